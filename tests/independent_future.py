"""Recomputes metrics/future/<dataset>.json from the stores: curves by frames ahead, intervals, and who wins when."""

from itertools import combinations

import independent_networks as networks
import numpy as np
from independent_compare import COST
from independent_measure import ARITHMETIC, PER_CLIP, SETS, TOLERANCES, measure
from independent_project import Store, clusters_of, replicates
from independent_statistics import deltas, interval, jackknife, max_t

SHOWN = (1, 2, 5, 10, 20)  # frames ahead
EXACT = 1e-8, 1e-8  # of numbers that JSON has with 9 digits


def check(report, project, part):
    """Every group of every data set that has a future."""
    for dataset in project.params["futures"]:
        result = project.json("future", f"{dataset}.json")
        keys = [key for key, line in project.params["predictors"].items() if line["dataset"] == dataset]
        report.word(
            f"{part} {dataset} predictors",
            sorted({one["predictor"] for one in result["entries"].values()}),
            sorted(keys),
        )
        stores = {key: Store(project.root / "futures" / dataset / f"{key}.zip") for key in keys}
        for name, group in result["groups"].items():
            Group(report, project, f"{part} {dataset} {name}", dataset, result, group, stores).check(name)


class Group:
    """One group of clips, of which the first n_past frames were seen."""

    def __init__(self, report, project, where, dataset, result, told, stores):
        self.report, self.project, self.where, self.told, self.result = report, project, where, told, result
        self.store, self.stores, self.line = project.stores[dataset], stores, project.params["futures"][dataset]
        self.n_past, self.n_future = self.line["n_past"], self.line["n_future"]
        self.n = self.n_past + self.n_future
        self.sizes, self.members = clusters_of(told["table"])
        self.clips = told["table"]["clips"]
        self.real = [self.store.read(clip) for clip in self.clips]
        self.guesses = {
            key: one for key, one in result["entries"].items() if one["sampling"] in ("deterministic", "one sample")
        }
        self.known = {}  # arrays of predicted clips
        self.steps = {}  # {label: {entry: (value, replicates) of each step}}

    def check(self, name):
        report = self.report
        report.word(f"{self.where} clips", self.clips, self.store.split(name))
        clusters = [self.store.clips[clip]["cluster"] for clip in self.clips]
        report.word(f"{self.where} clusters", self.told["table"]["clusters"], clusters)
        self.check_stores()
        for label, entries in self.told["curves"].items():
            self.steps[label] = {}
            for entry, curve in entries.items():
                if entry in self.guesses:
                    if curve["per_clip"] is not None:
                        self.check_clips(label, entry, curve)
                    else:
                        self.check_counts(label, entry, curve)
        for entry, one in self.guesses.items():
            if one["sampling"] == "deterministic":
                self.check_sets(entry)
        for label in self.told["winners"]:
            self.check_winners(label)
        for label in self.told["ahead"]:
            self.check_ahead(label)

    def fake(self, entry, i):
        if (entry, i) not in self.known:
            self.known[entry, i] = self.stores[self.result["entries"][entry]["predictor"]].read(self.clips[i])
        return self.known[entry, i]

    def check_stores(self):
        """The past is the real one; what holds the last frame holds it, and a ceiling by labels has the true ones."""
        for entry, one in self.guesses.items():
            for i, clip in enumerate(self.clips):
                made, real, where = self.fake(entry, i), self.real[i], f"{self.where} {entry} {clip}"
                fake, last = made["fake"], real["real"][self.n_past - 1]
                self.report.word(f"{where} frames", len(fake), self.n)
                past = bool((fake[: self.n_past] == real["real"][: self.n_past]).all())
                self.report.word(f"{where} past", past, True)
                if one["model"] == "copy_last":
                    self.report.word(f"{where} held", bool((fake[self.n_past :] == last).all()), True)
                if "label" in made:
                    same = bool((made["label"] == real["label"][: self.n]).all())
                    self.report.word(f"{where} labels", same or not one["ceiling"], True)

    def by_step(self, label, entry, i):
        """(n_future,) values of a metric of one clip; those of pairs of frames begin with the last past frame."""
        name, line = self.project.line(label)
        start = self.n_past - 1
        late = {
            key: array[start : self.n - (key in ("flow", "occluded"))]
            for key, array in self.real[i].items()
            if key in ("real", "label", "flow", "occluded")
        }
        fake = self.fake(entry, i)["fake"][start : self.n]
        return PER_CLIP[name](fake, late["real"], late, line)[-self.n_future :]

    def check_clips(self, label, entry, curve):
        """Every value of every clip, their means, and the row of the table: the mean over all steps."""
        where, tolerance = f"{self.where} {label} {entry}", TOLERANCES.get(self.project.line(label)[0], ARITHMETIC)
        theirs = np.array(curve["per_clip"])
        self.report.word(f"{where} shape", list(theirs.shape), [len(self.clips), self.n_future])
        for i in range(len(self.clips)):
            for step, value in enumerate(self.by_step(label, entry, i), 1):
                one = float(theirs[i, step - 1])
                self.report.number(f"{where} per_clip {i} +{step}", one, float(value), tolerance)
        self.steps[label][entry] = [(float(own.mean()), replicates(own, self.members)) for own in theirs.T]
        self.check_ends(where, curve, self.steps[label][entry], EXACT)
        if row := self.row(label, entry):
            whole = theirs.mean(1)
            pair = float(whole.mean()), replicates(whole, self.members)
            self.check_interval(f"{where} table", row, pair, EXACT)

    def check_counts(self, label, entry, curve):
        """Curves of confusions that are summed over the clips, of what a judge reads or of the labels themselves."""
        counts = np.stack(
            [[self.confusion(label, entry, i, t) for t in range(self.n_past, self.n)] for i in range(len(self.clips))]
        )
        where, tolerance = f"{self.where} {label} {entry}", (EXACT if label == "label_miou" else (1e-3, 0))

        def pair(own):
            """(value, replicates) of (clips, 256, 256)."""
            without = [networks.mean_iou(own[~of].sum(0)) for of in self.members] if len(self.sizes) > 1 else []
            return float(networks.mean_iou(own.sum(0))), [float(value) for value in without]

        self.steps[label][entry] = [pair(counts[:, step]) for step in range(self.n_future)]
        self.check_ends(where, curve, self.steps[label][entry], tolerance)
        if row := self.row(label, entry):
            self.check_interval(f"{where} table", row, pair(counts.sum(1)), tolerance)

    def confusion(self, label, entry, i, t):
        truth = self.real[i]["label"][t]
        if label != "label_miou":
            judge = self.project.judge(self.project.line(label)[1]["judge"])
            return networks.confusion(networks.read_labels(judge, self.fake(entry, i)["fake"][t : t + 1])[0], truth)
        held = self.result["entries"][entry]["model"] == "copy_last"
        return networks.confusion(
            self.real[i]["label"][self.n_past - 1] if held else self.fake(entry, i)["label"][t], truth
        )

    def row(self, label, entry):
        """Of the table, where only deterministic entries are; ceilings are its controls."""
        metric = self.told["table"]["metrics"].get(label)
        return metric and (metric["controls"] if self.guesses[entry]["ceiling"] else metric["rows"]).get(entry)

    def check_sets(self, entry):
        """Distances of the predicted frames alone, and of the past and them."""
        for label in self.told["table"]["metrics"]:
            base, _, past = label.partition("+")
            name = self.project.line(base)[0]
            if name not in SETS or not (row := self.row(label, entry)):
                continue
            first = 0 if past else self.n_past
            fakes = [{"fake": self.fake(entry, i)["fake"][first : self.n]} for i in range(len(self.clips))]
            reals = [{"real": clip["real"][first : self.n]} for clip in self.real]
            ours = measure(self.project, base, fakes, reals, self.members)
            self.check_interval(
                f"{self.where} {label} {entry} table", row, (ours["value"], ours["leave_one_out"]), TOLERANCES[name]
            )

    def check_ends(self, where, curve, steps, tolerance):
        for step, pair in enumerate(steps, 1):
            ends = {"value": curve["curve"][step - 1]} | {
                end: curve[end] and curve[end][step - 1] for end in ("low", "high")
            }
            self.check_interval(f"{where} +{step}", ends, pair, tolerance)

    def check_interval(self, name, row, pair, tolerance):
        """Ends are multiples of a value less multiples of replicates, so they may be off by as many tolerances."""
        value, without = pair
        n, most = 2 * len(self.sizes) + 2, max(abs(v) for v in (value, *without))
        bound = n * (tolerance[0] + tolerance[1] * most), 0
        for end, number in zip(("value", "low", "high"), interval(value, without, self.sizes, self.project.confidence)):
            self.report.number(f"{name} {end}", row[end], number if number is None else float(number), bound)

    def cost(self, label, pair):
        value = jackknife(*pair, self.sizes)[0] if len(pair[1]) > 1 else pair[0]
        return COST[self.result["metrics"][label]["better"]](value)

    def apart(self, label, tests):
        """{test: sign of the difference where the first is told from the second, else 0}, corrected together."""
        if len(self.sizes) < 2:
            return dict.fromkeys(tests, 0)
        better = self.result["metrics"][label]["better"]
        rows = {test: deltas(*pairs, self.sizes, better) for test, pairs in tests.items()}
        ps = dict(zip(rows, max_t(list(rows.values()))))
        alpha = 1 - self.project.confidence
        return {test: int(np.sign(row.mean())) if ps[test] <= alpha else 0 for test, row in rows.items()}

    def check_winners(self, label):
        """The best at each shown step among deterministic predictions, and those that are not told from it."""
        own = {
            entry: steps
            for entry, steps in self.steps[label].items()
            if self.guesses[entry]["sampling"] == "deterministic" and not self.guesses[entry]["ceiling"]
        }
        shown = [step for step in SHOWN if step <= self.n_future]
        tests = {
            (step, a, b): (own[a][step - 1], own[b][step - 1])
            for step in shown
            for a, b in combinations(sorted(own), 2)
        }
        apart, told = self.apart(label, tests), self.told["winners"][label]
        self.report.word(f"{self.where} {label} shown", [one["steps_ahead"] for one in told], shown)
        for one in told:
            step, where = one["steps_ahead"], f"{self.where} {label} winner +{one['steps_ahead']}"
            costs = {entry: self.cost(label, steps[step - 1]) for entry, steps in own.items()}
            self.report.word(f"{where} best", costs[one["entry"]] <= min(costs.values()) + 1e-9, True)
            sure = {
                entry
                for (at, *two), sign in apart.items()
                if at == step and sign and one["entry"] in two
                for entry in two
            }
            self.report.word(f"{where} tied", sorted(one["tied"]), sorted(own.keys() - sure - {one["entry"]}))
            tolerance = EXACT if label != "segmentation" else (1e-3, 0)
            self.check_interval(where, one["value"], own[one["entry"]][step - 1], tolerance)

    def check_ahead(self, label):
        """The longest unbroken run of steps at which an entry beats the held last frame, the first of equals."""
        floor = next(entry for entry, one in self.guesses.items() if one["model"] == "copy_last")
        for entry, told in self.told["ahead"][label].items():
            pairs = zip(self.steps[label][entry], self.steps[label][floor])
            signs = self.apart(label, dict(enumerate(pairs, 1)))
            first, last, begins = None, None, None
            for step in range(1, self.n_future + 2):
                if signs.get(step) == -1:
                    begins = begins or step
                    if last is None or step - begins > last - first:
                        first, last = begins, step
                else:
                    begins = None
            self.report.word(f"{self.where} {label} {entry} ahead", [told["first"], told["last"]], [first, last])
