"""What tables of votes have in common: two methods with a share between them, and a chart of a ranking."""

from dataclasses import dataclass

from markupsafe import Markup

from v2vbench.report import charts, marks
from v2vbench.report.charts import Method
from v2vbench.report.inputs import Inputs
from v2vbench.results.comparison import Ranking
from v2vbench.results.metric import Interval


@dataclass(frozen=True)
class PairRow:
    """Two methods, the preferred one first."""

    a: str
    b: str
    share: Interval | None  # of a
    bar: Markup
    n_clips: int
    n_clusters: int | None
    n_no_evidence: int
    n_votes: int | None  # of people; None: a vote is a clip
    first_frames: str

    @property
    def decided(self) -> bool:
        return self.share is not None and self.share.low is not None and self.share.low > 0.5


@dataclass(frozen=True)
class RankingChart:
    """Methods ranked by the votes."""

    ranking: Ranking
    chart: Markup


def pair_row(
    inputs: Inputs,
    a: str,
    b: str,
    share: Interval | None,
    n_clips: int,
    n_clusters: int | None = None,
    n_no_evidence: int = 0,
    n_votes: int | None = None,
) -> PairRow:
    """A row of runs a and b, turned round where b is preferred, as the paper prints it."""
    if share and share.value < 0.5:
        a, b, share = b, a, _complement(share)
    runs = [inputs.comparison.runs[run] for run in (a, b)]
    bar = Markup("")
    if share:
        first, second = (inputs.method_numbers[run.title] for run in runs)
        bar = marks.share(first, second, share.value, share.low, share.high)
    return PairRow(
        a=runs[0].title,
        b=runs[1].title,
        share=share,
        bar=bar,
        n_clips=n_clips,
        n_clusters=n_clusters,
        n_no_evidence=n_no_evidence,
        n_votes=n_votes,
        first_frames=" / ".join(run.first_frames for run in runs),
    )


def _complement(share: Interval) -> Interval:
    low, high = (None if end is None else 1 - end for end in (share.high, share.low))
    return Interval(value=1 - share.value, low=low, high=high)


def ranking_chart(inputs: Inputs, ranking: Ranking, title: str = "strength, Elo points") -> RankingChart:
    """Strengths, the best first; methods without votes stand last."""
    order = sorted(ranking.strengths, key=lambda strength: -strength.elo.value if strength.elo else float("inf"))
    titles = [inputs.comparison.runs[strength.run].title for strength in order]
    rows = [(Method(title, inputs.method_numbers[title]), strength.elo) for title, strength in zip(titles, order)]
    return RankingChart(ranking, charts.intervals(title, rows, None, "higher", 0))
