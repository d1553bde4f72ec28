"""The answer that the page opens with: one plain sentence, its number, and how sure it is."""

import math
from dataclasses import dataclass

from v2vbench.report.format import counted, number, percent
from v2vbench.report.inputs import Inputs, ordered
from v2vbench.results.comparison import ComparedGroup, ComparedMetric, Word
from v2vbench.results.metric import Heading, Interval
from v2vbench.statistics.intervals import Estimate, interval, mean_of, of_score
from v2vbench.statistics.sentences import UNCLEAR, outcome

CLAIMS: dict[Heading, str] = {
    "realism": "looks and moves more like real video",
    "fidelity": "keeps closer to its source",
}  # what a better method does, by heading, the more telling one first


@dataclass(frozen=True)
class Answer:
    """What one group of clips says of the reference and another method."""

    claim: str  # "vid2vid looks and moves more like real video than pix2pixHD"
    evidence: str  # "track error 0.83 against 0.93 on 12 maps"; empty where there is no number
    sure: str  # "95 % sure: 0.07 to 0.15 lower"; empty where there is no interval

    @property
    def text(self) -> str:
        """The whole sentence."""
        evidence = f": {self.evidence}" if self.evidence else ""
        return f"{self.claim}{evidence}{f' ({self.sure})' if self.sure else ''}."


def rival(inputs: Inputs, runs: dict[str, str], reference: str) -> str | None:
    """The run that the reference is compared with: the first of another model, else the first other; None without."""
    others = [run for run in runs if run != reference]
    model = inputs.comparison.runs[reference].model
    return next((run for run in others if inputs.comparison.runs[run].model != model), next(iter(others), None))


def answer(inputs: Inputs, dataset: str, name: str, other: str | None) -> Answer:
    """The reference of group `name` against run `other`; no more than the verdicts and the interval say."""
    compared, titles = inputs.comparison.datasets[dataset], inputs.runs_of(dataset)
    group = compared.groups[name]
    ours = titles[group.reference]
    if other is None:
        return Answer(f"{ours} is the only method here, so nothing is compared", "", "")
    if compared.standing == "sanity":
        clips = counted(group.n_clips, "clip")
        return Answer(f"{clips} of {compared.title} cannot rank methods: this checks that everything runs", "", "")
    words = outcome(group, other)
    metric_label = _label(inputs, group, other, words)
    claim = _claim(words, ours, titles[other])
    if group.clusters_needed:
        clusters = counted(group.n_clusters, group.cluster)
        claim = f"{claim}, since {clusters} cannot show a difference"
    if metric_label is None:
        return Answer(claim, "", "")
    runs = [group.reference, other]
    if "worse" in words.values() and "better" not in words.values():
        runs.reverse()  # the sentence begins with the other run
    a, b = (_estimate(inputs, run, name, metric_label) for run in runs)
    difference, metric = interval(a - b, inputs.comparison.confidence), group.metrics[metric_label]
    values = [metric.rows[run].value for run in runs]
    return Answer(claim, *_evidence(group, metric, values, difference, inputs.comparison.confidence))


def _claim(words: dict[Heading, str], ours: str, theirs: str) -> str:
    """What the verdicts under both headings say.

    words    by heading: better, worse, divided or not distinguishable, of `ours` against `theirs`
    """
    won, lost = ([CLAIMS[key] for key in CLAIMS if words.get(key) == word] for word in ("better", "worse"))
    if won and lost:
        claim = f"{ours} {won[0]}, but {theirs} {lost[0]}"
    elif won or lost:
        first, second = (ours, theirs) if won else (theirs, ours)
        claim = f"{first} {' and '.join(won or lost)} than {second}"
    elif "divided" in words.values():
        return f"Which of {ours} and {theirs} is better depends on the measure"
    else:
        return f"{ours} and {theirs} cannot be told apart"
    return f"{claim}, while other measures disagree" if "divided" in words.values() else claim


def _label(inputs: Inputs, group: ComparedGroup, other: str, words: dict[Heading, str]) -> str | None:
    """The primary metric whose number stands for the claim: one with a value a clip before a distance between sets."""
    won, lost = (any(said == word for said in words.values()) for word in ("better", "worse"))
    wanted: Word = "worse" if won else "better" if lost else UNCLEAR  # of the other run
    telling = next((key for key in CLAIMS if words.get(key) == ("better" if won else "worse")), None)
    labels = [
        label
        for label in ordered(group.metrics, inputs.params.protocol.primary)
        if group.metrics[label].primary and _verdict(group.metrics[label], other)
    ]

    def rank(label: str) -> tuple[bool, bool, bool]:
        metric = group.metrics[label]
        return _verdict(metric, other) != wanted, metric.heading != (telling or metric.heading), metric.kind != "clip"

    return min(labels, key=rank, default=None)


def _verdict(metric: ComparedMetric, run: str) -> Word | None:
    verdict = metric.rows[run].verdict if run in metric.rows else None
    return verdict.word if verdict else None


def _estimate(inputs: Inputs, run: str, name: str, label: str) -> Estimate:
    """A run's metric on a group, the mean over its training seeds."""
    group = inputs.scores[run].groups[name]
    scores = [group.scores[label].fake, *(seed[label] for seed in group.seeds.values() if label in seed)]
    return mean_of([of_score(score, group.clusters) for score in scores if score])


def _evidence(
    group: ComparedGroup, metric: ComparedMetric, values: list[float], difference: Interval, confidence: float
) -> tuple[str, str]:
    """Both values, and the interval of their difference, paired by cluster."""
    digits, unit = _decimals(difference), f" {metric.unit}" if metric.unit else ""
    evidence = " against ".join(f"{number(value, digits)}{unit}" for value in values)
    evidence = f"{metric.title} {evidence} on {place(group)}"
    if difference.low is None or difference.high is None:
        return evidence, ""
    low, high = difference.low, difference.high
    if low < 0 < high:
        span = f"{number(-low, digits)} lower to {number(high, digits)} higher"
    else:
        ends = (low, high) if low >= 0 else (-high, -low)
        span = f"{number(ends[0], digits)} to {number(ends[1], digits)} {'higher' if low >= 0 else 'lower'}"
    return evidence, f"{percent(confidence)} sure: {span}"


def place(group: ComparedGroup) -> str:
    """Where a group's numbers are from: "12 maps never trained on", "3 clips, the last"."""
    plural = f"{group.cluster}s "
    if group.title.startswith(plural):
        return f"{counted(group.n_clusters, group.cluster)} {group.title.removeprefix(plural)}"
    return f"{counted(group.n_clusters, group.cluster)}, {group.title}"


def _decimals(difference: Interval) -> int:
    """Decimals for a difference and what it is between: the first digit of half its interval.

    One more where the difference itself would not be seen: few clusters have wide intervals.
    """
    step, wide = abs(difference.value), 0.0
    if difference.low is not None and difference.high is not None:
        wide = (difference.high - difference.low) / 2
    if not step and not wide:
        return 2
    if not wide:
        return _places(step / 10)
    return _places(wide) + (0 < step < 10.0 ** -_places(wide))


def _places(step: float) -> int:
    """Decimals that show the first digit of `step`."""
    return min(8, max(0, -math.floor(math.log10(step))))
