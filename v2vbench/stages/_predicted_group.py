"""Predictors on one test group: tables, curves by frames ahead, and who wins how far ahead."""

# pyright: reportArgumentType=false

from dataclasses import replace

import numpy as np

from v2vbench.metrics import segmentation
from v2vbench.params import Fault, bind
from v2vbench.results.calibration import CalibratedGroup, Control
from v2vbench.results.comparison import ComparedGroup, PublishedEntry
from v2vbench.results.future import LABELS, Ahead, Entry, PredictedGroup, Winner
from v2vbench.results.metric import Interval, MetricInfo
from v2vbench.results.runs import ScoredGroup
from v2vbench.stages._predict import Task
from v2vbench.stages._predictions import Scored
from v2vbench.stages._scorer import Scorer
from v2vbench.stages._summaries import set_summary, summaries
from v2vbench.statistics import horizons, preference, published, teachers
from v2vbench.statistics.cost import cost
from v2vbench.statistics.group_table import Inputs, of_group
from v2vbench.statistics.intervals import Estimate, interval, of_clips
from v2vbench.statistics.sentences import sanity, write_sentences

PAST = "+past"  # ends the label of a distance between sets that hold the past too


class Group:
    """One test group, compared."""

    def __init__(
        self,
        task: Task,
        scorer: Scorer,
        group: str,
        entries: dict[str, Entry],
        scores: dict[str, dict[str, list[Scored]]],
        info: dict[str, MetricInfo],
        calibration: CalibratedGroup,
    ):
        self.task, self.scorer, self.group, self.entries, self.info = task, scorer, group, entries, info
        self.clips, self.clusters = task.store.split(group), scorer.clusters(group)
        self.scores = {key: [some[clip] for clip in self.clips] for key, some in scores.items()}  # [clip][sample]
        self.calibration, self.protocol = calibration, replace(task.params.protocol, primary=task.line.primary)
        self.metrics = {m.label: m for m in scorer.present if m.kind != "set"}

    def compared(self) -> tuple[PredictedGroup, list[PublishedEntry]]:
        """The group, and the rows of the paper's Table 3 beside it."""
        steps, curves = self.steps(), {}
        for label, some in steps.items():
            clip_kind = self.info[label].kind == "clip"
            curves[label] = {
                entry: horizons.curve(own, self.protocol.confidence, self.by_step(label, entry) if clip_kind else None)
                for entry, own in some.items()
            }
        scored = {
            entry: self.scored(entry) for entry, about in self.entries.items() if about.sampling == "deterministic"
        }
        table, beside = self.table(scored)
        return PredictedGroup(
            table=table,
            notes={label: score.note for label, score in scored[table.reference].scores.items() if score.note},
            samples={
                entry: self.over_all(entry)
                for entry, about in self.entries.items()
                if about.sampling != "deterministic"
            },
            curves=curves,
            ahead=self.ahead(steps),
            winners=self.winners(steps),
        ), beside

    def of_entry(self, entry: str, values) -> list[np.ndarray]:
        """A metric's values of each clip, (n_future, ...) each, as the entry's sampling has them.

        values    (Scored) to (n_future,), or counts
        """
        about = self.entries[entry]
        samples = [[values(sample) for sample in clip] for clip in self.scores[about.predictor]]
        if about.sampling == "mean of n":
            return [np.mean(clip, 0) for clip in samples]
        return [clip[0] for clip in samples]

    def best(self, entry: str, label: str) -> list[np.ndarray]:
        """Of each clip the sample that scores best."""
        metric, better = self.metrics[label], self.info[label].better
        pool = metric.get("pool") if metric.kind == "pooled" else None

        def own_cost(values: np.ndarray) -> float:
            return float(cost(pool(values.sum(0)) if pool else values.mean(), better))

        clips = self.scores[self.entries[entry].predictor]
        return [min((sample.future.fake[label] for sample in clip), key=own_cost) for clip in clips]

    def by_step(self, label: str, entry: str) -> np.ndarray:
        """(n_clips, n_future, ...)."""
        if label == LABELS:
            held = self.task.params.predictors[self.entries[entry].predictor].model == "copy_last"
            return np.stack(self.of_entry(entry, lambda scored: scored.held if held else scored.labels))
        if self.entries[entry].sampling == "best of n":
            return np.stack(self.best(entry, label))
        return np.stack(self.of_entry(entry, lambda scored: scored.future.fake[label]))

    def has_labels(self, entry: str) -> bool:
        """Whether it predicts labels; holding the last frame holds its labels."""
        about = self.entries[entry]
        if about.ceiling or about.sampling in ("best of n", "mean of n"):
            return False
        first = self.scores[about.predictor][0][0]
        held = self.task.params.predictors[about.predictor].model == "copy_last" and first.held is not None
        return first.labels is not None or held

    def steps(self) -> dict[str, dict[str, list[Estimate]]]:
        """{label: {entry: Estimate at each step}}."""
        result = {}
        for label, metric in self.metrics.items():
            pool = metric.get("pool")
            result[label] = {
                entry: horizons.of_counts(pool, values, self.clusters)
                if pool
                else horizons.of_steps(values, self.clusters)
                for entry in self.entries
                for values in [self.by_step(label, entry)]
            }
        if LABELS in self.info and (entries := [entry for entry in self.entries if self.has_labels(entry)]):
            result[LABELS] = {
                entry: horizons.of_counts(segmentation.pool, self.by_step(LABELS, entry), self.clusters)
                for entry in entries
            }
        return result

    def over_all(self, entry: str) -> dict[str, Interval]:
        """{label: value over all predicted frames}; of sets, that of one sample alone."""
        result = {}
        for label, metric in self.metrics.items():
            values = self.by_step(label, entry)
            if pool := metric.get("pool"):
                estimate = horizons.of_counts(pool, values.sum(1, keepdims=True), self.clusters)[0]
            else:
                estimate = of_clips(values.mean(1), self.clusters)
            result[label] = interval(estimate, self.protocol.confidence)
        return result

    def primary(self, steps: dict) -> list[str]:
        """The primary metrics with curves, and stage one's labels."""
        return [label for label in (*self.protocol.primary, LABELS) if label in steps]

    def ahead(self, steps: dict[str, dict[str, list[Estimate]]]) -> dict[str, dict[str, Ahead]]:
        """{label: {entry: where it beats the held last frame}}, of entries with one guess a clip."""
        floor = next((entry for entry, about in self.entries.items() if about.model == "copy_last"), None)
        result = {}
        for label in self.primary(steps) if floor else []:
            guesses = [
                entry
                for entry in steps[label]
                if entry != floor and self.entries[entry].sampling in ("deterministic", "one sample")
            ]
            result[label] = {
                entry: horizons.ahead(steps[label][entry], steps[label][floor], self.info[label].better, self.protocol)
                for entry in guesses
            }
        return result

    def winners(self, steps: dict[str, dict[str, list[Estimate]]]) -> dict[str, list[Winner]]:
        """{label: who is best at each shown step}, of deterministic predictions."""
        result = {}
        for label in self.primary(steps):
            own = {
                entry: some
                for entry, some in steps[label].items()
                if self.entries[entry].sampling == "deterministic" and not self.entries[entry].ceiling
            }
            if len(own) > 1:
                result[label] = horizons.winners(own, self.info[label].better, self.protocol)
        return result

    def table(self, scored: dict[str, ScoredGroup]) -> tuple[ComparedGroup, list[PublishedEntry]]:
        """The comparison of deterministic predictors over all predicted frames, and Table 3 beside it."""
        params, task = self.task.params, self.task
        fixed = {entry: about for entry, about in self.entries.items() if about.sampling == "deterministic"}
        titles = {entry: about.title for entry, about in fixed.items() if not about.ceiling}
        if not titles:
            raise Fault(f"futures.{task.dataset}: no predictor without draws or the truth to compare the others with")
        info = {label: metric for label, metric in self.info.items() if label != LABELS}
        controls = {
            entry: Control(
                title=about.title,
                about="Is given the true future of its source: no prediction can know it.",
                feasible=False,
                scores={label: score.fake for label, score in scored[entry].scores.items() if score.fake},
            )
            for entry, about in fixed.items()
            if about.ceiling
        }
        calibration = CalibratedGroup(
            clips=self.clips,
            clusters=self.clusters,
            n_frames=task.line.n_future,
            ladders={},
            mild={},
            controls=controls,
            other_clip=None,
            preferred={},
            fooled={},
            responses=self.calibration.responses,
        )
        inputs = Inputs(
            scored={entry: scored[entry] for entry in titles},
            metrics=info,
            calibration=calibration,
            protocol=self.protocol,
        )
        settings = bind(preference.PreferenceSettings, params.preference, "preference")
        votes = preference.of_group(
            inputs.scored,
            info,
            titles,
            _pairs(titles),
            self.calibration,
            settings,
            self.protocol.confidence,
            votes=[],  # people were shown runs, and no futures
            learned=teachers.proxies(task.root, settings.win),
        )
        facts = task.store.facts
        table, raw = of_group(inputs, facts.groups[self.group], facts.cluster, votes)
        if facts.standing != "benchmark":
            return replace(table, sentences=sanity(facts, table)), []
        beside = published.beside_the_paper(
            published.Group(task.dataset, self.group, table, raw, titles, self.protocol.confidence),
            published.PREDICTION,
        )
        return replace(table, sentences=write_sentences(table, raw, titles, self.protocol.confidence)), beside

    def scored(self, entry: str) -> ScoredGroup:
        """The scores of a deterministic entry on all predicted frames."""
        clips, where = self.scores[self.entries[entry].predictor], f"group {self.group} of {entry}"
        scores = summaries(self.scorer, [clip[0].future for clip in clips], self.clusters, where)
        for metric in self.scorer.metrics:
            if metric.kind == "set":
                whole = scores[metric.label]
                if metric in self.scorer.present:
                    whole = set_summary(metric, [clip[0].whole for clip in clips], self.clusters, where)
                scores[metric.label + PAST] = whole
        return ScoredGroup(
            clips=self.clips, clusters=self.clusters, n_frames=self.task.line.n_future, scores=scores, seeds={}
        )


def _pairs(titles: dict[str, str]) -> list[tuple[str, str]]:
    """Pairs that metrics vote on: those of the reference with each other one, and those that the paper has votes on."""
    first, *others = titles
    pairs = [(first, other) for other in others]
    return pairs + [pair for pair in published.published_pairs(titles) if pair not in pairs]
