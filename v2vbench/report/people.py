"""What people said, or simulated raters in a rehearsal: shares, ranking, agreement of raters, and metrics with them."""

from dataclasses import dataclass

from markupsafe import Markup

from v2vbench.report import charts
from v2vbench.report.format import counted, number
from v2vbench.report.inputs import Inputs
from v2vbench.report.rows import PairRow, RankingChart, pair_row, ranking_chart
from v2vbench.results.comparison import ComparedGroup, People, VoteShare
from v2vbench.results.metric import Interval

HEADINGS = {"look": "What looks real", "motion": "What moves naturally", "fit": "What shows the source"}
HELD_OUT = {"clip": "clips", "rater": "raters"}  # of which the learned model saw nothing


@dataclass(frozen=True)
class Fact:
    """A line of the table on the study."""

    name: str
    value: str
    about: str = ""


@dataclass(frozen=True)
class PeoplePart:
    """What was said to one question on one group."""

    question: str
    people: People
    heading: str
    pairs: list[PairRow]
    ranking: RankingChart | None
    facts: list[Fact]
    agreement: Markup | None  # a chart
    unknown: list[str]  # titles of the metrics without a value

    @property
    def who(self) -> str:
        return "simulated raters" if self.people.simulated else "people"


def people_parts(inputs: Inputs, group: ComparedGroup) -> list[PeoplePart]:
    """The questions that were asked on a group, in their order."""
    asked = group.preference.people
    return [_part(inputs, group, question, asked[question]) for question in HEADINGS if question in asked]


def _part(inputs: Inputs, group: ComparedGroup, question: str, said: People) -> PeoplePart:
    titles = {label: metric.title for label, metric in group.metrics.items()}
    return PeoplePart(
        question=question,
        people=said,
        heading=HEADINGS[question],
        pairs=[
            pair_row(
                inputs,
                pair.a,
                pair.b,
                pair.share,
                pair.share.n_clips,
                n_clusters=pair.share.n_clusters,
                n_votes=pair.share.n_votes,
            )
            for pair in said.pairs
        ],
        ranking=ranking_chart(inputs, said.ranking, _title(said, "strength, Elo points")) if said.ranking else None,
        facts=_facts(said),
        agreement=_chart(said, titles),
        unknown=[titles[label] for label, share in said.agreement.items() if share is None],
    )


def _facts(said: People) -> list[Fact]:
    """The raters, what was left out, and how they answered."""
    facts = [Fact("raters", str(said.n_raters))]
    facts += [_counts("raters left out", said.excluded, "by rules fixed beforehand")]
    facts += [
        Fact("votes", str(said.n_votes), f"on {counted(said.n_clips, 'clip')}; {said.n_ties} without a preference")
    ]
    facts += [_counts("answers not counted", said.refused)]
    if said.alpha:
        about = "Krippendorff’s alpha: 0 where raters answer like coins, 1 where all answer alike"
        facts.append(Fact("raters agree", _with_interval(said.alpha), about))
    if said.repeats:
        about = f"with exchanged sides, {counted(said.repeats.n_votes, 'repeated trial')}"
        facts.append(Fact("same answer again", _with_interval(said.repeats), about))
    if said.left:
        facts.append(Fact("left side chosen", _with_interval(said.left), "of the answers that chose one; 0.50 is fair"))
    if said.side:
        facts.append(Fact("what the left side adds", _with_interval(said.side), "log odds, taken out of the ranking"))
    return facts


def _counts(name: str, counts: dict[str, int], about: str = "") -> Fact:
    """How many, and of each reason."""
    reasons = "; ".join(f"{n} {reason}" for reason, n in sorted(counts.items(), key=lambda count: -count[1]))
    return Fact(name, str(sum(counts.values())), ": ".join(filter(None, (about, reasons))) if reasons else "")


def _with_interval(interval: Interval) -> str:
    if interval.low is None or interval.high is None:
        return number(interval.value, 2)
    return f"{number(interval.value, 2)} ({number(interval.low, 2)} to {number(interval.high, 2)})"


def _title(said: People, title: str) -> str:
    """Of a chart: a picture may be copied without its caption, so that simulated raters are named in it."""
    return f"simulated: {title.removeprefix('share of ')}" if said.simulated else title


def _chart(said: People, titles: dict[str, str]) -> Markup | None:
    """Who predicts a vote, the best first: metrics, their joint vote, a model of them; behind them the ceiling."""
    rows: list[tuple[str, VoteShare]] = [
        (titles[label], share) for label, share in said.agreement.items() if share is not None
    ]
    if said.proxy:
        rows.append(("the voting metrics", said.proxy))
    for by, held_out in said.learned.items():
        if held_out and held_out.accuracy:
            rows.append((f"model, new {HELD_OUT[by]}", held_out.accuracy))
    if not rows:
        return None
    rows.sort(key=lambda row: -row[1].value)
    return charts.agreement(_title(said, "share of votes predicted"), rows, said.ceiling, "other raters")
