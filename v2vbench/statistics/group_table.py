"""One test group's table: values with intervals by cluster, verdicts by family, controls, and drift along the clip."""

from dataclasses import dataclass

import numpy as np

from v2vbench.params import Protocol
from v2vbench.results.calibration import CalibratedGroup, ControlInfo
from v2vbench.results.comparison import (
    ComparedGroup,
    ComparedMetric,
    DamageCurves,
    Family,
    FamilyName,
    Preference,
    Row,
    Seeds,
    Verdict,
)
from v2vbench.results.metric import Better, Interval, MetricInfo
from v2vbench.results.runs import RunScore, ScoredGroup
from v2vbench.statistics import equivalents
from v2vbench.statistics.cost import SMALLEST_RATIO, cost
from v2vbench.statistics.intervals import Estimate, interval, mean_of, of_clips, of_score, spread, unbiased
from v2vbench.statistics.sentences import GUESSED
from v2vbench.statistics.verdicts import Correction, clusters_needed, decide, paired, seeds_p

Estimates = dict[str, dict[str, Estimate]]  # {label: {run: estimate}}
Cell = tuple[bool, str, str]  # whether it is of a control; label; run or control
CORRECTIONS: dict[FamilyName, Correction] = {"primary": "holm", "exploratory": "max-t", "controls": "max-t"}


def alpha(protocol: Protocol) -> float:
    """Level of each family of verdicts: what the confidence of the intervals leaves."""
    return round(1 - protocol.confidence, 12)


def estimates(scored: dict[str, ScoredGroup]) -> dict[str, dict[str, list[Estimate]]]:
    """{label: {run: its Estimate with each training seed, the first first}}, without runs that have no value."""
    result: dict[str, dict[str, list[Estimate]]] = {}
    for label in next(iter(scored.values())).scores:
        result[label] = {}
        for run, group in scored.items():
            if (first := group.scores[label].fake) is not None:
                further = [scores[label] for scores in group.seeds.values() if label in scores]
                result[label][run] = [of_score(score, group.clusters) for score in (first, *further)]
    return result


@dataclass(frozen=True)
class Inputs:
    """What a group's table is made of."""

    scored: dict[str, ScoredGroup]  # by run, the reference first
    metrics: dict[str, MetricInfo]  # by label
    calibration: CalibratedGroup
    protocol: Protocol

    @property
    def reference(self) -> str:
        return next(iter(self.scored))

    @property
    def clusters(self) -> list[str]:
        return self.scored[self.reference].clusters


def of_group(inputs: Inputs, title: str, cluster: str, preference: Preference) -> tuple[ComparedGroup, Estimates]:
    """The group as compared, yet without sentences, and {label: {run: Estimate}}, means over training seeds.

    title      of the group
    cluster    the word for one: map, video, person, clip
    """
    calibration, protocol, reference = inputs.calibration, inputs.protocol, inputs.reference
    of_seeds = estimates(inputs.scored)
    raw = {label: {run: mean_of(some) for run, some in runs.items()} for label, runs in of_seeds.items()}
    controls = {label: _controls(inputs, label) for label in raw}
    hidden = {label: _hidden(inputs, label) for label in raw}
    mute = {label for label in raw if hidden[label] or inputs.metrics[label].no_verdict}
    primary = [label for label in protocol.primary if label in raw]
    families, verdicts = _families(inputs, raw, of_seeds, controls, primary, mute)
    table = {}
    for label, metric in inputs.metrics.items():
        reading = calibration.responses.get(label)
        table[label] = ComparedMetric(
            **vars(metric),
            primary=label in primary,
            hidden=hidden[label],
            sees=reading.sees if reading else None,
            fooled_by=[one.control for one in calibration.fooled.get(label, ())],
            rows=_rows(inputs, label, raw[label], of_seeds[label], verdicts),
            controls={
                key: _row(inputs, label, estimate, verdicts.get((True, label, key)))
                for key, estimate in controls[label].items()
            },
            real=_reference_value(inputs, label, "real"),
            floor=_reference_value(inputs, label, "floor"),
            drift=_drift(inputs, label),
        )
    n_clusters = len(set(inputs.clusters))
    n_tests = sum(len(raw[label]) - 1 for label in primary if reference in raw[label] and label not in mute)
    needed = clusters_needed(n_tests, alpha(protocol)) if n_tests else 0
    group = ComparedGroup(
        title=title,
        clips=inputs.scored[reference].clips,
        clusters=inputs.clusters,
        cluster=cluster,
        reference=reference,
        alpha=alpha(protocol),
        families=families,
        clusters_needed=needed if needed > n_clusters else None,
        metrics=table,
        controls={
            key: ControlInfo(title=control.title, about=control.about, feasible=control.feasible)
            for key, control in calibration.controls.items()
        },
        n_frames=calibration.n_frames,
        damage=_damage(calibration),
        preference=preference,
        sentences=[],
    )
    return group, raw


def _damage(calibration: CalibratedGroup) -> dict[str, DamageCurves]:
    return {
        key: DamageCurves(
            title=ladder.title,
            unit=ladder.unit,
            kind=ladder.kind,
            levels=ladder.levels,
            values={label: climb.values for label, climb in ladder.metrics.items()},
            monotone={label: climb.monotone for label, climb in ladder.metrics.items()},
        )
        for key, ladder in calibration.ladders.items()
    }


def _controls(inputs: Inputs, label: str) -> dict[str, Estimate]:
    """{control: Estimate} of one metric."""
    controls = inputs.calibration.controls
    return {
        key: of_score(control.scores[label], inputs.clusters)
        for key, control in controls.items()
        if label in control.scores
    }


def _rows(
    inputs: Inputs,
    label: str,
    raw: dict[str, Estimate],
    of_seeds: dict[str, list[Estimate]],
    verdicts: dict[Cell, Verdict],
) -> dict[str, Row]:
    """The runs' rows of one metric: the best, what each is as bad as, and its spread over training seeds, too."""
    better = inputs.metrics[label].better
    costs = {run: float(cost(unbiased(estimate), better)) for run, estimate in raw.items()}
    rows = {}
    for run, estimate in raw.items():
        seeds = [unbiased(one) for one in of_seeds[run]]
        rows[run] = _row(
            inputs,
            label,
            estimate,
            verdicts.get((False, label, run)),
            best=costs[run] == min(costs.values()),
            equivalent=equivalents.equivalent(
                interval(estimate, inputs.protocol.confidence), inputs.calibration, label, better
            ),
            seeds=Seeds(values=seeds) if len(seeds) > 1 else None,
        )
    return rows


def _row(
    inputs: Inputs,
    label: str,
    estimate: Estimate,
    verdict: Verdict | None,
    best: bool = False,
    equivalent: equivalents.Equivalent | None = None,
    seeds: Seeds | None = None,
) -> Row:
    """A run's or a control's row: its interval, and its place between floor and ceiling."""
    better, confidence = inputs.metrics[label].better, inputs.protocol.confidence
    value = interval(estimate, confidence)
    way = None
    if bounds := equivalents.bounds(inputs.calibration, label, better):
        way = equivalents.share_of_way(value.value, *bounds, better, confidence)
    return Row(
        **vars(value),
        best=best,
        verdict=verdict,
        equivalent=equivalent,
        way=None if way is None else min(max(way, 0.0), 1.0),
        seeds=seeds,
    )


def _reference_score(inputs: Inputs, label: str) -> RunScore:
    return inputs.scored[inputs.reference].scores[label]


def _reference_value(inputs: Inputs, label: str, name: str) -> Interval | None:
    """Of the real video, or of an answer that knows nothing; `name`: real or floor."""
    score = getattr(_reference_score(inputs, label), name)
    return interval(of_score(score, inputs.clusters), inputs.protocol.confidence) if score else None


def _hidden(inputs: Inputs, label: str) -> str | None:
    """Why a metric says nothing here: the real video is not clearly better than an answer that knows nothing."""
    score, better = _reference_score(inputs, label), inputs.metrics[label].better
    if not (score.real and score.floor):
        return None
    floor, real = (equivalents.cost_of(one, inputs.clusters, better) for one in (score.floor, score.real))
    gain = interval(floor - real, inputs.protocol.confidence)
    return GUESSED if (gain.value if gain.low is None else gain.low) <= 0 else None


def _families(
    inputs: Inputs,
    raw: Estimates,
    of_seeds: dict[str, dict[str, list[Estimate]]],
    controls: Estimates,
    primary: list[str],
    mute: set[str],
) -> tuple[dict[FamilyName, Family], dict[Cell, Verdict]]:
    """The families of tests, and the verdict of each cell against the reference.

    Holm over the primaries, max-t over the other metrics, and max-t over the controls on all: neither another metric
    nor another control changes what is said of methods by the primaries.
    """
    protocol, reference = inputs.protocol, inputs.reference
    better: dict[str, Better] = {label: metric.better for label, metric in inputs.metrics.items()}
    runs = {label: some for label, some in raw.items() if label not in mute}
    beside = {label: controls[label] | {None: some[reference]} for label, some in runs.items() if reference in some}
    tables: dict[FamilyName, dict] = {
        "primary": {label: runs[label] for label in primary if label in runs},
        "exploratory": {label: some for label, some in runs.items() if label not in primary},
        "controls": beside,
    }
    families, verdicts = {}, {}
    for family, table in tables.items():
        control = family == "controls"
        deltas = paired(table, better, None if control else reference)
        over_seeds = {} if control else _over_seeds(deltas, of_seeds, reference, better)
        decisions = decide(
            deltas,
            alpha=alpha(protocol),
            power=protocol.power,
            correction=CORRECTIONS[family],
            n_flips=protocol.n_flips,
            seed=protocol.seed,
            over_seeds=over_seeds,
        )
        n_tests = sum(map(len, decisions.values()))
        families[family] = Family(correction=CORRECTIONS[family], n_tests=n_tests)
        cells = [(label, run, decision) for label, some in decisions.items() for run, decision in some.items()]
        for label, run, decision in cells:
            verdicts[control, label, run] = Verdict(
                against=reference,
                word=decision.word,
                p=decision.adjusted,
                family=family,
                detectable=_in_unit(decision.detectable, raw[label][reference], better[label]),
                of="weights" if over_seeds.get(label, {}).get(run) is None else "method",
            )
    return families, verdicts


def _over_seeds(
    deltas: dict, of_seeds: dict[str, dict[str, list[Estimate]]], reference: str, better: dict[str, Better]
) -> dict[str, dict[str, float | None]]:
    """{label: {run: p over training seeds against the reference, or None}}."""
    result: dict[str, dict[str, float | None]] = {}
    for label, runs in deltas.items():
        values = {run: [unbiased(one) for one in some] for run, some in of_seeds[label].items()}
        result[label] = {run: seeds_p(values[run], values[reference], better[label]) for run in runs}
    return result


def _in_unit(effect: float | None, reference: Estimate, better: Better) -> float | None:
    """A difference of costs as one of values; of a ratio, whose cost is a logarithm, as a rise over the reference.

    None beyond e^20.
    """
    if better != "one" or effect is None:
        return effect
    return float(max(spread(reference)[0], SMALLEST_RATIO) * np.expm1(effect)) if effect < 20 else None


def _drift(inputs: Inputs, label: str) -> dict[str, Interval] | None:
    """{run: second half of the clips less the first}, of the first training seed; None where clips have no halves."""
    drifts = {
        run: interval(of_clips(drift, group.clusters), inputs.protocol.confidence)
        for run, group in inputs.scored.items()
        if (drift := group.scores[label].drift)
    }
    return drifts or None
