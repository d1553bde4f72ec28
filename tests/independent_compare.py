"""Recomputes metrics/compare.json from metrics/runs and metrics/calibrate: intervals, drift, bars, votes and ratios."""

import numpy as np
from independent_project import clusters_of, estimate, replicates
from independent_statistics import fieller, interval, jackknife, share
from independent_verdicts import CORRECTIONS, check_family

COST = {"lower": lambda v: v, "higher": lambda v: -v, "one": lambda v: abs(np.log(max(v, 1e-9)))}


def check(report, project, part):
    """Every group of metrics/compare.json, and the ratios beside the paper's."""
    result, tables = project.json("compare.json"), {}
    for dataset, own in result["datasets"].items():
        calibration = project.json("calibrate", f"{dataset}.json")
        for group, told in own["groups"].items():
            runs = {
                run: project.json("runs", f"{run}.json")["groups"][group]
                for run, line in project.params["runs"].items()
                if line["dataset"] == dataset
            }
            tables[dataset, group] = Table(
                report, project, f"compare {dataset} {group}", told, runs, calibration["groups"][group]
            )
            tables[dataset, group].check()
    titles = {run: line["title"] for run, line in project.params["runs"].items()}
    for row in result["published"]:
        if row["ratio"] and row["label"]:
            tables[row["dataset"], row["group"]].check_ratio(row, titles)


def mean_estimate(pairs):
    """The mean of several (value, replicates) of the same clips."""
    return float(np.mean([value for value, _ in pairs])), list(np.mean([without for _, without in pairs], 0))


class Table:
    """One group of compare.json beside what it was made from."""

    def __init__(self, report, project, where, table, runs, calibration):
        self.report, self.project, self.where = report, project, where
        self.told, self.runs, self.calibration = table, runs, calibration
        self.sizes, self.members = clusters_of(next(iter(runs.values())))
        self.seeds = {label: self.by_run(label) for label in table["metrics"]}
        self.estimates = {
            label: {run: mean_estimate(own) for run, own in runs.items()} for label, runs in self.seeds.items()
        }
        self.held = {
            label: {
                key: estimate(control["scores"][label], self.members)
                for key, control in calibration["controls"].items()
                if label in control["scores"]
            }
            for label in table["metrics"]
        }

    def by_run(self, label):
        """{run: (value, replicates) with each training seed} of the runs that have a value."""
        result = {}
        for run, group in self.runs.items():
            if (first := group["scores"][label]["fake"]) is not None:
                further = [scores[label] for scores in group["seeds"].values() if label in scores]
                result[run] = [estimate(score, self.members) for score in (first, *further)]
        return result

    def check(self):
        report, table = self.report, self.told
        report.word(
            f"{self.where} clips and clusters",
            [len(table["clips"]), len(set(table["clusters"]))],
            [sum(self.sizes), len(self.sizes)],
        )
        for label, metric in table["metrics"].items():
            self.check_rows(label, metric)
            for name in ("real", "floor"):
                if metric[name]:
                    self.check_interval(f"{label} {name}", metric[name], self.reference(label, name))
            for run, drift in (metric["drift"] or {}).items():
                per_clip = self.runs[run]["scores"][label]["drift"]
                pair = float(np.mean(per_clip)), replicates(per_clip, self.members)
                self.check_interval(f"{label} {run} drift", drift, pair)
            report.word(f"{self.where} {label} hidden", metric["hidden"] is not None, self.hidden(label, metric))
        for family, correction in CORRECTIONS.items():
            report.word(f"{self.where} {family} correction", table["families"][family]["correction"], correction)
            check_family(self, family, correction)
        self.check_votes()

    def reference(self, label, name):
        return estimate(next(iter(self.runs.values()))["scores"][label][name], self.members)

    def check_rows(self, label, metric):
        """Intervals, the best run, and the way from floor to ceiling."""
        costs = {run: COST[metric["better"]](row["value"]) for run, row in metric["rows"].items()}
        best = {run for run, cost in costs.items() if cost <= min(costs.values()) + 1e-9 * abs(cost)}
        self.report.word(f"{self.where} {label} runs", sorted(metric["rows"]), sorted(self.estimates[label]))
        self.report.word(
            f"{self.where} {label} best",
            sorted(run for run, row in metric["rows"].items() if row["best"]),
            sorted(best),
        )
        for kind, rows, ours in (
            ("", metric["rows"], self.estimates[label]),
            ("control ", metric["controls"], self.held[label]),
        ):
            for key, row in rows.items():
                self.check_interval(f"{label} {kind}{key}", row, ours[key])
                self.report.number(
                    f"{self.where} {label} {kind}{key} way",
                    row["way"],
                    self.way(label, metric, row["value"]),
                    (1e-6, 1e-6),
                )

    def check_interval(self, name, row, pair):
        """Each end to what 9 digits leave of pseudo-values: multiples of a value less multiples of a replicate."""
        value, without = pair
        tolerance = 1e-8 * max(abs(v) for v in (value, *without)) * (2 * len(self.sizes) + 2) + 1e-12, 0
        for end, number in zip(("value", "low", "high"), interval(value, without, self.sizes, self.project.confidence)):
            self.report.number(f"{self.where} {name} {end}", row[end], number, tolerance)

    def cost(self, pair, better):
        """(value, replicates) of the cost."""
        return COST[better](pair[0]), [COST[better](v) for v in pair[1]]

    def mean_cost(self, pair):
        return jackknife(*pair, self.sizes)[0] if len(pair[1]) > 1 else pair[0]

    def difference(self, a, b):
        """(value, low, high) of a - b."""
        return interval(a[0] - b[0], [p - q for p, q in zip(a[1], b[1])], self.sizes, self.project.confidence)

    def hidden(self, label, metric):
        """Whether the real video is not clearly better than what knows nothing."""
        if not (metric["real"] and metric["floor"]):
            return False
        floor, real = (self.cost(self.reference(label, name), metric["better"]) for name in ("floor", "real"))
        value, low, _ = self.difference(floor, real)
        return bool((value if low is None else low) <= 0)

    def way(self, label, metric, value):
        """Share of the way, in cost, from the best feasible control to the worst mild damage; None if not apart."""
        feasible = [
            self.cost(pair, metric["better"])
            for key, pair in self.held[label].items()
            if self.calibration["controls"][key]["feasible"]
        ]
        mild = [
            self.cost(estimate(score, self.members), metric["better"])
            for score in self.calibration["mild"].get(label, {}).values()
        ]
        if not feasible or not mild:
            return None
        floor, ceiling = min(feasible, key=self.mean_cost), max(mild, key=self.mean_cost)
        whole, low, _ = self.difference(floor, ceiling)
        if low is None or low <= 0:
            return None
        return float(np.clip((self.mean_cost(floor) - COST[metric["better"]](value)) / whole, 0, 1))

    def check_votes(self):
        """Who votes for each heading, and the share of clips on which the voters together prefer a run."""
        preference, voters = self.told["preference"], []
        for candidates in self.project.params["preference"]["metrics"].values():
            voter = next((label for label in candidates if self.may_vote(label)), None)
            voters += [voter] if voter else []
        labels = [voter["label"] for voter in preference["voters"].values() if voter["label"]]
        self.report.word(f"{self.where} voters", labels, voters)
        for pair in preference["pairs"]:
            votes = [self.vote(pair, voters, clip) for clip in range(len(self.told["clips"]))]
            for end, value in zip(("value", "low", "high"), share(votes, self.members, self.project.confidence)):
                name = f"{self.where} votes {pair['a']} {pair['b']} {end}"
                self.report.number(name, pair["share"][end], float(value), (1e-8, 1e-8))

    def may_vote(self, label):
        """Whether all runs have a value of each clip, and no feasible control fools the metric."""
        scores = [group["scores"].get(label, {"fake": None})["fake"] for group in self.runs.values()]
        fooled = [row["control"] for row in self.calibration["fooled"].get(label, ())]
        feasible = [key for key in fooled if self.calibration["controls"][key]["feasible"]]
        return not feasible and all(score is not None and score["per_clip"] is not None for score in scores)

    def vote(self, pair, voters, clip):
        """1 for the pair's first run, 0 for its second; 0.5 where the voters disagree or see no difference."""
        lead = 0
        for label in voters:
            cost = COST[self.told["metrics"][label]["better"]]
            a, b = (cost(self.runs[pair[side]]["scores"][label]["fake"]["per_clip"][clip]) for side in ("a", "b"))
            lead += int(b > a) - int(b < a)
        return 0.5 if lead == 0 else float(lead > 0)

    def check_ratio(self, row, titles):
        """Fieller's interval of a ratio beside the paper's."""
        named = {titles[run]: pair for run, pair in self.estimates[row["label"]].items()}
        ours = fieller(*(named[method] for method in row["methods"]), self.sizes, self.project.confidence)
        for end, value in zip(("value", "low", "high"), ours):
            self.report.number(
                f"{self.where} {row['label']} ratio {' '.join(row['methods'])} {end}",
                row["ratio"][end],
                value,
                (0, 1e-5),
            )
