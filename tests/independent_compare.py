"""Recomputes metrics/compare.json from metrics/runs and metrics/calibrate: intervals, verdicts, drift, votes and ratios."""
import numpy as np
from independent_project import ROUNDED, clusters_of, estimate, replicates
from independent_statistics import (best_max_t_level, clopper_pearson, deltas, detectable, fieller, flip_p, holm, interval, max_t)

COST = {"lower": lambda v: v, "higher": lambda v: -v, "one": lambda v: abs(np.log(max(v, 1e-9)))}
SURE_SIGNS = 20      # clusters up to which all signs are tried


def check(report, project, part):
    """Every group of metrics/compare.json, and the ratios beside the paper's."""
    result = project.json("compare.json")
    groups = {}
    for dataset, own in result["datasets"].items():
        calibration = project.json("calibrate", f"{dataset}.json")
        for group, table in own["groups"].items():
            runs = {run: project.json("runs", f"{run}.json")["groups"][group] for run, line in project.params["runs"].items()
                    if line["dataset"] == dataset}
            groups[dataset, group] = runs
            Table(report, project, f"compare {dataset} {group}", table, runs, calibration["groups"][group]).check()
    titles = {run: line["title"] for run, line in project.params["runs"].items()}
    for row in result["ledger"]:
        if row["ratio"] and row["label"]:
            check_ratio(report, project, row, groups[row["dataset"], row["group"]], titles)


def check_ratio(report, project, row, runs, titles):
    sizes, members = clusters_of(next(iter(runs.values())))
    a, b = (next(runs[run] for run in runs if titles[run] == method) for method in row["methods"])
    ours = fieller(*(estimate(own["metrics"][row["label"]], members) for own in (a, b)), sizes, project.confidence)
    for end, value in zip(("value", "low", "high"), ours):
        report.number(f"ledger {row['dataset']} {row['group']} {row['label']} ratio {end}", row["ratio"][end], value, (0, 1e-6))


class Table:
    """One group of compare.json beside what it was made from."""

    def __init__(self, report, project, where, table, runs, calibration):
        self.report, self.project, self.where, self.table, self.runs, self.calibration = report, project, where, table, runs, calibration
        self.sizes, self.members = clusters_of(next(iter(runs.values())))

    def check(self):
        report, table = self.report, self.table
        report.word(f"{self.where} clusters", [table["n_clips"], table["n_clusters"]], [sum(self.sizes), len(self.sizes)])
        for label, metric in table["metrics"].items():
            for run, row in metric["rows"].items():
                if row["value"] is not None:
                    self.check_row(f"{label} {run}", row, self.runs[run]["metrics"][label])
                    self.check_drift(metric, label, run)
            self.check_best(label, metric)
            for key, row in metric["controls"].items():
                self.check_row(f"{label} control {key}", row, self.calibration["controls"][key]["metrics"][label])
            for name in ("real", "floor"):
                if metric[name]:
                    self.check_row(f"{label} {name}", metric[name], next(iter(self.runs.values()))["metrics"][label][name])
        for family in ("primary", "exploratory"):
            self.check_family(family)
        self.check_votes()

    def tolerance(self, value, without):
        """What 9 digits leave of pseudo-values: each is a multiple of the value less a multiple of a replicate."""
        return 1e-8 * max(abs(v) for v in (value, *without)) * (2 * len(self.sizes) + 2) + 1e-12, 0

    def check_row(self, name, row, score):
        self.check_interval(name, row, *estimate(score, self.members))

    def check_interval(self, name, row, value, without):
        ours = interval(value, without, self.sizes, self.project.confidence)
        for end, number in zip(("value", "low", "high"), ours):
            self.report.number(f"{self.where} {name} {end}", row[end], number, self.tolerance(value, without))

    def check_drift(self, metric, label, run):
        drift = (metric["drift"] or {}).get(run)
        if drift:
            per_clip = self.runs[run]["metrics"][label]["drift"]
            self.check_interval(f"{label} {run} drift", drift, float(np.mean(per_clip)), replicates(per_clip, self.members))

    def check_best(self, label, metric):
        costs = {run: COST[metric["better"]](row["value"]) for run, row in metric["rows"].items() if row["value"] is not None}
        best = {run for run, cost in costs.items() if cost <= min(costs.values()) + 1e-9 * abs(cost)}
        self.report.word(f"{self.where} {label} best", {run for run, row in metric["rows"].items() if row["best"]}, best)

    def cells(self, family):
        """{(label, run): deltas} of a family's tests."""
        reference, found = self.table["reference"], {}
        for label, metric in self.table["metrics"].items():
            if metric["primary"] == (family == "primary"):
                pairs = {run: estimate(own["metrics"][label], self.members) for run, own in self.runs.items()
                         if own["metrics"][label]["value"] is not None}
                found |= {(label, run): deltas(pair, pairs[reference], self.sizes, metric["better"]) for run, pair in pairs.items()
                          if run != reference and reference in pairs and min(len(pair[1]), len(pairs[reference][1])) > 1}
        return found

    def check_family(self, family):
        """p, word and smallest detectable effect of every test."""
        cells, told = self.cells(family), self.table["families"][family]
        where, alpha, protocol = f"{self.where} {family}", self.table["alpha"], self.project.params["protocol"]
        self.report.word(f"{where} n_tests", told["n_tests"], len(cells))
        if not cells:
            return
        n, rows = len(self.sizes), list(cells.values())
        exact = 2 ** n <= protocol["n_flips"]
        error = 1e-8 if exact else 5 * np.sqrt(0.25 / protocol["n_flips"]) * (len(cells) if told["correction"] == "holm" else 1)
        if told["correction"] == "holm":
            ps = holm([flip_p(row) for row in rows])
            steps = int(alpha / len(cells) * 2 ** (n - 1) * (1 + 1e-9))
            level = min(alpha / len(cells), steps / 2 ** (n - 1)) if steps else None
        else:
            ps, level = max_t(rows), best_max_t_level(rows, alpha)
        for ((label, run), row), p in zip(cells.items(), ps):
            verdict = self.table["metrics"][label]["rows"][run]["verdict"]
            name = f"{where} {label} {run}"
            self.report.number(f"{name} p", verdict["p"], float(p), (error, 0))
            if abs(p - alpha) > error or exact:
                word = "not distinguishable" if p > alpha else "worse" if row.mean() > 0 else "better"
                self.report.word(f"{name} word", verdict["word"], word)
            self.report.number(f"{name} detectable", verdict["detectable"], detectable(row, level, protocol["power"]),
                               (0, 1e-6 if exact else 0.5))

    def check_votes(self):
        """The share of clips on which most voters prefer a run, one clip at a time."""
        settings, preference = self.project.params["preference"], self.table["preference"]
        for pair in preference["pairs"]:
            votes = []
            for clip in range(self.table["n_clips"]):
                lead = 0
                for label in preference["metrics"]:
                    cost = COST[self.table["metrics"][label]["better"]]
                    a, b = (cost(self.runs[pair[side]]["metrics"][label]["per_clip"][clip]) for side in ("a", "b"))
                    lead += (b > a) - (b < a)
                lead = lead / len(preference["metrics"])
                votes.append(0.5 if abs(lead) <= settings["tie"] + 1e-9 else float(lead > 0))
            for end, value in zip(("share", "low", "high"), clopper_pearson(votes, self.project.confidence)):
                self.report.number(f"{self.where} votes {pair['a']} {pair['b']} {end}", pair[end], value, ROUNDED)
