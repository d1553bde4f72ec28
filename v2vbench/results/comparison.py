"""metrics/compare.json: which run is better and by how much, on each test group of each data set."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from v2vbench.params import Share as Probability
from v2vbench.results.calibration import ControlInfo, DamageKind, Sees
from v2vbench.results.metric import Better, Bounded, Interval, MetricInfo
from v2vbench.results.record import Record
from v2vbench.results.runs import RunInfo

if TYPE_CHECKING:
    import pandas as pd

Word = Literal["better", "worse", "not distinguishable"]
FamilyName = Literal["primary", "exploratory", "controls"]
Likeness = Literal["as bad as", "at most as bad as", "no worse than the real video", "worse than another clip"]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a test says of a run, or a control, against the reference run by one metric."""

    against: Annotated[str, "the reference run"]
    word: Annotated[Word, "what it is against the reference, at the level `alpha` of its family"]
    p: Annotated[float, "two-sided, of a sign-flip permutation test by cluster, corrected for the tests of the family"]
    family: Annotated[FamilyName, "the tests that it is corrected with"]
    detectable: Annotated[
        float | None,
        "smallest true difference, in the metric's unit, that so many clusters show with the chance `protocol.power`; "
        "null where no difference, however large, could be shown",
    ]
    of: Annotated[Literal["weights", "method"], "method: several training seeds of both agree; weights: of these alone"]


@dataclass(frozen=True, kw_only=True)
class Equivalent:
    """A score as a level of damage to the real video: "as bad as blur σ 1.8 px". `sentences.likeness` words it."""

    kind: Annotated[
        Likeness,
        "as bad as: at `level`; at most as bad as: better than the real video, but its interval reaches `high`; "
        "no worse than the real video: all of its interval is; worse than another clip: no ladder reaches it",
    ]
    ladder: Annotated[str | None, "key of the ladder; null where the score is compared with another clip"]
    what: Annotated[str, "title of the ladder, or of the other clip"]
    unit: Annotated[str, "how a level is written: {} stands for the number; empty without a ladder"]
    level: Annotated[float | None, "level at which the real video scores as the run does; null without a ladder"]
    low: Annotated[float | None, "level of the better end of the score's interval, cut at the ladder's ends"]
    high: Annotated[float | None, "level of the worse end"]


@dataclass(frozen=True, kw_only=True)
class Seeds:
    """The same method trained several times."""

    values: Annotated[list[float], "of each training seed, the run's own first"]

    @property
    def n(self) -> int:
        return len(self.values)

    @property
    def low(self) -> float:
        return min(self.values)

    @property
    def high(self) -> float:
        return max(self.values)


@dataclass(frozen=True, kw_only=True)
class Row(Interval):
    """One metric of a run, or of a control: mean over its training seeds, with its interval over clusters of clips."""

    best: Annotated[bool, "of the runs; never of a control"]
    verdict: Annotated[Verdict | None, "null for the reference, and where the metric gives no verdicts"]
    equivalent: Annotated[Equivalent | None, "null for controls, and where nothing is comparable"]
    way: Annotated[
        Probability | None,
        "0 at the best feasible control, 1 at the worst of the mildly damaged real videos; null where these are not "
        "clearly apart",
    ]
    seeds: Annotated[Seeds | None, "null where it is trained once"]


@dataclass(frozen=True, kw_only=True)
class ComparedMetric(MetricInfo):
    """One metric on one group: all runs and controls."""

    primary: Annotated[bool, "named in params.yaml as one on which conclusions rest"]
    hidden: Annotated[str | None, "why it says nothing on these clips"]
    sees: Annotated[Sees | None, "what it responds to under damage; null where the ladders for it are not run"]
    fooled_by: Annotated[list[str], "controls"]
    rows: Annotated[dict[str, Row], "by run; those without a value are left out"]
    controls: Annotated[dict[str, Row], "by control"]
    real: Annotated[Interval | None, "of the real video; null where the metric is a comparison with it"]
    floor: Annotated[Interval | None, "of an answer that knows nothing of the video"]
    drift: Annotated[
        dict[str, Interval] | None, "by run: second half of the clips less the first; null where clips have no halves"
    ]


@dataclass(frozen=True, kw_only=True)
class Family:
    """Tests that are corrected together."""

    correction: Annotated[Literal["holm", "max-t"], "Holm 1979, or Westfall & Young's max-t"]
    n_tests: Annotated[int, "tests"]


@dataclass(frozen=True, kw_only=True)
class DamageCurves:
    """The metrics along one ladder of damage, as the calibration has them."""

    title: Annotated[str, "its name in tables"]
    unit: Annotated[str, "how a level is written: {} stands for the number"]
    kind: Annotated[DamageKind, "what is damaged"]
    levels: Annotated[list[int | float], "0, the untouched video, then from the mildest to the worst"]
    values: Annotated[dict[str, list[float]], "by label: a value a level"]
    monotone: Annotated[dict[str, bool], "by label: whether more damage always scores worse"]


@dataclass(frozen=True, kw_only=True)
class VoteShare(Bounded):
    """A share of votes, 0 to 1, with its interval by cluster of clips."""

    n_votes: Annotated[int, "votes"]
    n_clips: Annotated[int, "clips they are on"]
    n_clusters: Annotated[int, "clusters of clips that are alike"]


@dataclass(frozen=True, kw_only=True)
class Voter:
    """The metric that votes for one heading."""

    label: Annotated[str | None, "null where no candidate may vote"]
    passed_over: Annotated[dict[str, str], "candidates before it, and why each may not vote"]


@dataclass(frozen=True, kw_only=True)
class VotePair:
    """Two runs, voted on clip by clip."""

    a: Annotated[str, "a run"]
    b: Annotated[str, "another"]
    share: Annotated[VoteShare, "of the votes that prefer a; a tie is half a vote"]


@dataclass(frozen=True, kw_only=True)
class Strength:
    """How strong a run is by votes."""

    run: Annotated[str, "its key"]
    elo: Annotated[Interval | None, "Elo points, their mean over the runs that votes connect 0; null without votes"]


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """Runs ranked by votes between pairs of them."""

    model: Annotated[str, "how"]
    n_votes: Annotated[int, "votes"]
    connected: Annotated[bool, "whether votes connect all runs; those that are not connected are not comparable"]
    strengths: Annotated[list[Strength], "the best first, within each connected set of runs"]
    note: Annotated[str | None, "what to know when reading it"]


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """How often the right clip of a pair is chosen, 0 to 1."""

    accuracy: Annotated[float, "of all pairs"]
    adjacent: Annotated[float | None, "of pairs of neighbouring degrees; null where there are none"]


@dataclass(frozen=True, kw_only=True)
class CrossValidation:
    """How well held-out pairs are predicted, beside what single metrics say of the same pairs."""

    n_folds: Annotated[int, "folds"]
    n_pairs: Annotated[int, "held-out pairs"]
    n_no_evidence: Annotated[int, "of these beyond what was learned from; they count in nothing below"]
    accuracy: Annotated[VoteShare | None, "share of pairs predicted right"]
    adjacent: Annotated[VoteShare | None, "the same of pairs of neighbouring degrees"]
    log_loss: Annotated[float, "nats a pair"]
    log_loss_of_a_coin: Annotated[float, "log 2"]
    metrics: Annotated[dict[str, Accuracy], "by label: the metric alone"]
    majority: Annotated[Accuracy, "most of the metrics"]
    best_metric: Annotated[str, "label of the most accurate"]
    folds: Annotated[dict[str, float], "by what is held out: the accuracy, 0 to 1"]


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A logistic regression on differences of costs."""

    weights: Annotated[dict[str, float], "by label: log odds"]
    scales: Annotated[dict[str, float], "by label: median size of a difference, by which differences are divided"]


@dataclass(frozen=True, kw_only=True)
class RidgeFits:
    """The weights at another ridge; the scales do not depend on it."""

    weights: Annotated[dict[str, float], "by label"]
    without: Annotated[dict[str, dict[str, float]], "by what is held out, and label"]


@dataclass(frozen=True, kw_only=True)
class ReliabilityBin:
    """Held-out pairs that were given about the same chance."""

    low: Annotated[float, "lower end of the bin, a chance from 0.5 to 1"]
    high: Annotated[float, "upper end"]
    predicted: Annotated[float | None, "mean chance of the clip held more likely; null in an empty bin"]
    observed: Annotated[VoteShare | None, "how often it was the preferred one"]


@dataclass(frozen=True, kw_only=True)
class WinModel(Fit):
    """What gives the chance that one clip is preferred to another, and how well it does on held-out pairs."""

    learned_from: Annotated[str, "what taught it: damages of known order, people, simulated raters, or published votes"]
    n_pairs: Annotated[int, "pairs of known order"]
    n_adjacent: Annotated[int, "of these of neighbouring degrees"]
    n_clips: Annotated[int, "clips"]
    n_clusters: Annotated[int, "clusters of clips that are alike"]
    better: Annotated[dict[str, Better], "by label: the metrics that predict"]
    reach: Annotated[dict[str, float], "by label: size of a difference beyond which there is no evidence"]
    apart: Annotated[str, "what `without` and `curve` hold out: cluster, damage, clip or model"]
    without: Annotated[dict[str, Fit], "by what is held out"]
    ridges: Annotated[dict[str, RidgeFits], "by other ridge"]
    cross_validation: Annotated[
        dict[str, CrossValidation | None], "by what is held out: cluster, damage, kind, clip, rater or model"
    ]
    curve: Annotated[list[ReliabilityBin], "calibration of the chances of held-out pairs"]

    @property
    def held_out(self) -> CrossValidation | None:
        """How well pairs are predicted that `apart` holds out."""
        return self.cross_validation[self.apart]


@dataclass(frozen=True, kw_only=True)
class WinPair:
    """The chance that a clip of one run is preferred to the same clip of another."""

    a: Annotated[str, "a run"]
    b: Annotated[str, "another"]
    chance: Annotated[Interval | None, "mean over clips, 0 to 1, that a is preferred; null with too few clips in reach"]
    ridges: Annotated[tuple[float, float] | None, "lowest and highest mean chance over the ridges"]
    n_clips: Annotated[int, "clips"]
    n_no_evidence: Annotated[int, "of these beyond what was learned from"]


@dataclass(frozen=True, kw_only=True)
class Win:
    """Chances of being preferred."""

    model: Annotated[WinModel, "what gives them"]
    pairs: Annotated[list[WinPair], "as those that votes are on"]
    note: Annotated[str | None, "how well held-out pairs are predicted"]
    passed_over: Annotated[dict[str, str], "teachers named before the one that taught, and why each could not"] = field(
        default_factory=dict
    )


@dataclass(frozen=True, kw_only=True)
class People:
    """What people said to one question, or simulated raters in their place."""

    asked: Annotated[str, "the question in words"]
    simulated: Annotated[bool, "no person answered: a rehearsal"]
    studies: Annotated[list[str], "ids"]
    n_raters: Annotated[int, "whose votes count"]
    excluded: Annotated[dict[str, int], "by reason: raters who were left out, by rules fixed before"]
    refused: Annotated[dict[str, int], "by reason: answers that were not counted"]
    n_votes: Annotated[int, "votes"]
    n_ties: Annotated[int, "of these without a preference"]
    n_clips: Annotated[int, "clips they are on"]
    pairs: Annotated[list[VotePair], "shares with equal weight of both sides, intervals by clip and rater"]
    ranking: Annotated[Ranking | None, "with the side as a covariate; null with too few votes"]
    left: Annotated[VoteShare | None, "share of the left video among votes that chose one"]
    side: Annotated[Interval | None, "log odds that standing on the left adds; null with too few votes"]
    alpha: Annotated[
        Interval | None,
        "Krippendorff's alpha of the raters, interval scale, each pair in both orders: 0 of coins, 1 where all agree; "
        "null where no two saw the same clip and pair",
    ]
    repeats: Annotated[VoteShare | None, "share of repeated trials with the same answer, sides exchanged; null: none"]
    ceiling: Annotated[
        VoteShare | None,
        "share of votes that most of the other raters predict, of votes that chose one and on whose clip and pair "
        "another rater voted; where the others are divided evenly a half counts; null where there are no such votes",
    ]
    agreement: Annotated[
        dict[str, VoteShare | None],
        "by label: share of votes that a metric of single clips predicts, of the votes of `ceiling`, or where that is "
        "null of all that chose one; equal values count a half; null where it has no value",
    ]
    proxy: Annotated[VoteShare | None, "the same of the metrics that vote together; null where none may"]
    learned: Annotated[
        dict[str, CrossValidation | None], "of a win model learned from these votes, by what is held out: clip or rater"
    ]
    note: Annotated[str | None, "what to know when reading it"]


@dataclass(frozen=True, kw_only=True)
class Preference:
    """Votes between runs, and what follows from them: of metrics, and of people where these were asked."""

    voters: Annotated[dict[str, Voter], "by heading"]
    reason: Annotated[str | None, "why there are no votes"]
    pairs: Annotated[list[VotePair], "pairs of runs"]
    ranking: Annotated[Ranking | None, "null without votes"]
    win: Annotated[Win | None, "null where there is nothing to learn from"]
    people: Annotated[dict[str, People], "by question: look, motion or fit; empty where nobody was asked"] = field(
        default_factory=dict
    )

    @property
    def labels(self) -> list[str]:
        """The metrics that vote."""
        return [voter.label for voter in self.voters.values() if voter.label]


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """A conclusion in words."""

    text: Annotated[str, "one sentence; no more than its interval or verdict says"]
    detail: Annotated[bool, "whether it is beside the main conclusions"]


@dataclass(frozen=True, kw_only=True)
class ComparedGroup:
    """One test group of clips."""

    title: Annotated[str, "what clips it has"]
    clips: Annotated[list[str], "ids"]
    clusters: Annotated[list[str], "of each clip the cluster within which clips are alike"]
    cluster: Annotated[str, "the word for one: map, video, person, clip"]
    reference: Annotated[str, "the run that all others are compared with"]
    alpha: Annotated[float, "level of each family of verdicts"]
    families: Annotated[dict[FamilyName, Family], "tests corrected together"]
    clusters_needed: Annotated[int | None, "clusters from which verdicts are possible; null where there are as many"]
    metrics: Annotated[dict[str, ComparedMetric], "by label"]
    controls: Annotated[dict[str, ControlInfo], "videos that no method made"]
    n_frames: Annotated[int, "scored frames of the longest clip"]
    damage: Annotated[dict[str, DamageCurves], "by ladder: the metrics on damaged real clips"]
    preference: Annotated[Preference, "who wins by votes"]
    sentences: Annotated[list[Sentence], "the weightiest first"]

    @property
    def n_clips(self) -> int:
        return len(self.clips)

    @property
    def n_clusters(self) -> int:
        return len(set(self.clusters))


@dataclass(frozen=True, kw_only=True)
class ComparedDataset:
    """One data set."""

    title: Annotated[str, "its name in tables"]
    about: Annotated[str, "what it shows"]
    standing: Annotated[Literal["benchmark", "sanity"], "sanity: a check of the path, which ranks nothing"]
    fps: Annotated[float, "frames a second"]
    size: Annotated[tuple[int, int], "height and width, pixels"]
    groups: Annotated[dict[str, ComparedGroup], "by test group"]


@dataclass(frozen=True, kw_only=True)
class PublishedEntry:
    """Two methods that the paper compares, beside the same two here."""

    table: Annotated[str, "of the paper"]
    what: Annotated[str, "what is measured"]
    dataset: Annotated[str, "ours, its key"]
    group: Annotated[str, "ours, its key"]
    methods: Annotated[list[str], "the two; vid2vid is the first"]
    published: Annotated[dict[str, float], "by method; empty where a stand-in has no published value"]
    published_ratio: Annotated[float | None, "of the first to the second"]
    label: Annotated[str | None, "of our metric; null for votes"]
    ours: Annotated[dict[str, Interval] | None, "by method"]
    ratio: Annotated[Interval | None, "ours, of the first to the second; of votes the odds"]
    absent: Annotated[str | None, "why something of ours is missing"]
    agrees: Annotated[
        Literal["the same one leads", "the other one leads", "not distinguishable"] | None,
        "who leads here, as in the paper or not; null where ours is another measure",
    ]
    within: Annotated[bool | None, "whether the published ratio lies in our interval"]
    difference: Annotated[str, "how the two measurements differ"]
    stand_in: Annotated[bool, "ours is another measure, laid beside: it tests nothing that the paper claims"]


@dataclass(frozen=True, kw_only=True)
class Comparison(Record):
    """metrics/compare.json: which run is better and by how much, on each test group of each data set."""

    SCHEMA: ClassVar[str] = "v2vbench/comparison/1"
    PATH: ClassVar[str] = "metrics/compare.json"

    confidence: Annotated[float, "of all intervals, 0 to 1"]
    runs: Annotated[dict[str, RunInfo], "by run"]
    datasets: Annotated[dict[str, ComparedDataset], "by data set"]
    published: Annotated[list[PublishedEntry], "the paper's tables beside ours"]

    def frame(self) -> "pd.DataFrame":
        """A row a data set, group, metric and run: dataset, group, metric, run, value, low, high, verdict, p."""
        import pandas as pd

        rows = []
        for dataset, about in self.datasets.items():
            for name, group in about.groups.items():
                cells = [(label, run, row) for label, own in group.metrics.items() for run, row in own.rows.items()]
                for label, run, row in cells:
                    verdict = (row.verdict.word, row.verdict.p) if row.verdict else (None, None)
                    rows.append((dataset, name, label, run, row.value, row.low, row.high, *verdict))
        columns = ["dataset", "group", "metric", "run", "value", "low", "high", "verdict", "p"]
        return pd.DataFrame(rows, columns=columns)
