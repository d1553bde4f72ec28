"""What the tables say, in words: no sentence says more than its interval or its verdict does.

That one method is better than another takes better primary metrics under both headings and worse ones under neither.
All prose about results is written here, and is never taken apart again.
"""

import numpy as np

from v2vbench.results.comparison import (
    ComparedDataset,
    ComparedGroup,
    ComparedMetric,
    Equivalent,
    People,
    Sentence,
    Verdict,
    VotePair,
    WinModel,
    Word,
)
from v2vbench.results.metric import Heading
from v2vbench.statistics.bradley_terry import Standings
from v2vbench.statistics.intervals import Estimate, bounded, ratio, unbiased

SPELT_OUT = 5  # other runs, at most, for votes between all pairs of runs
N_MAIN = 3  # sentences of a group that are not details
HEADINGS: dict[Heading, str] = {"fidelity": "fidelity to the source", "realism": "realism in space and time"}
UNCLEAR = "not distinguishable"
TURNED: dict[Word, Word] = {"better": "worse", "worse": "better", "not distinguishable": "not distinguishable"}
ASKED = {"look": "what looks more real", "motion": "what moves more naturally", "fit": "what shows the source better"}
GUESSED = "the real video's own score is not clearly better than that of a guess"
PAPER_VOTES = (
    "Paper: Cityscapes; 10 people a question chose the video that looks more like one of a real camera. How many "
    "pairs, and any interval, is not said."
)

Raw = dict[str, dict[str, Estimate]]  # {label: {run: Estimate}}


def write_sentences(group: ComparedGroup, raw: Raw, titles: dict[str, str], confidence: float) -> list[Sentence]:
    """The sentences of one group of test clips, the weightiest first; at most N_MAIN are no details.

    titles    {run: its method}
    """
    others = [run for run in titles if run != group.reference]
    asked, beside = _people(group, titles)
    main, details = asked + _conclusions(group, titles, others), []
    if group.clusters_needed:
        clusters = _count(group.n_clusters, group.cluster)
        needed = f"With {clusters} no difference can be told, however large: it takes {group.clusters_needed}."
        main.insert(0, needed)
    for run in others:
        for heading in HEADINGS:
            details += _details(group, raw, titles, run, heading, confidence)
        details += _exploratory(group, titles, run)
    verdicts = [row.verdict for metric in group.metrics.values() for row in metric.rows.values() if row.verdict]
    if any(verdict.of == "weights" for verdict in verdicts):
        details.append(
            "Verdicts are of these weights, except where both methods were trained with several seeds: "
            "another training may differ more than other clips do."
        )
    details += beside + _fooled(group) + _votes(group, titles)
    return [Sentence(text=text, detail=False) for text in main[:N_MAIN]] + [
        Sentence(text=text, detail=True) for text in main[N_MAIN:] + details
    ]


def sanity(dataset: ComparedDataset, group: ComparedGroup) -> list[Sentence]:
    """What is said of a data set that ranks nothing."""
    clips = _count(group.n_clips, "clip")
    text = f"{dataset.title} is a sanity check of the path on {clips}, not a ranking of methods."
    return [Sentence(text=text, detail=False)]


def outcome(group: ComparedGroup, run: str) -> dict[Heading, str]:
    """What the reference is against a run, by heading: better, worse, divided or not distinguishable.

    A heading under which no primary metric has a verdict is left out.
    """
    result = {}
    for heading in HEADINGS:
        words = {TURNED[verdict.word] for verdict in _verdicts(group, run, heading, primary=True).values()}
        if words:
            clear = words - {UNCLEAR}
            result[heading] = "divided" if len(clear) > 1 else clear.pop() if clear else UNCLEAR
    return result


def _verdicts(group: ComparedGroup, run: str, heading: Heading | None, primary: bool) -> dict[str, Verdict]:
    """{label: the verdict of a run} of the metrics that have one."""
    result = {}
    for label, metric in group.metrics.items():
        verdict = metric.rows[run].verdict if run in metric.rows else None
        if verdict and metric.primary == primary and heading in (None, metric.heading):
            result[label] = verdict
    return result


def _conclusions(group: ComparedGroup, titles: dict[str, str], others: list[str]) -> list[str]:
    """The reference against the others by the primary metrics, those of which the same is true in one sentence."""
    alike, reference = {}, titles[group.reference]
    for run in others:
        if words := tuple(outcome(group, run).items()):
            alike.setdefault(words, []).append(titles[run])
    both = [words for words in alike if len(words) == len(HEADINGS)]
    order = {"better": 0, "worse": 1, "divided": 2, UNCLEAR: 3}
    texts = []
    for words in sorted(alike, key=lambda words: (words not in both, max(order[word] for _, word in words))):
        names, by_heading = _list(alike[words]), dict(words)
        if words in both and set(by_heading.values()) == {"better"}:
            texts.append(f"{reference} is better than {names}, in {_list(list(HEADINGS.values()))}.")
        elif words in both and set(by_heading.values()) == {"worse"}:
            verb = "are" if len(alike[words]) > 1 else "is"
            texts.append(f"{names} {verb} better than {reference}, in {_list(list(HEADINGS.values()))}.")
        elif set(by_heading.values()) == {UNCLEAR}:
            unknown = "" if words in both else _unknown(by_heading)
            texts.append(f"{reference} and {names} cannot be told apart by the primary metrics{unknown}.")
        else:
            unknown = "" if words in both else _unknown(by_heading)
            texts.append(
                f"Against {names}, {reference} is {_list([_under(word, heading) for heading, word in words])}{unknown}."
            )
    return texts


def _under(word: str, heading: Heading) -> str:
    what = {UNCLEAR: "not distinguishable", "divided": "better by some primary metrics and worse by others"}.get(
        word, word
    )
    return f"{what} in {HEADINGS[heading]}"


def _unknown(words: dict) -> str:
    """Where one heading has no verdict, that it has none."""
    missing = [title for heading, title in HEADINGS.items() if heading not in words]
    return f"; of {_list(missing)} nothing is known here"


def _details(
    group: ComparedGroup, raw: Raw, titles: dict[str, str], run: str, heading: Heading, confidence: float
) -> list[str]:
    """How far the reference is from one other run on the primary metrics of one heading."""
    parts = []
    for label, verdict in _verdicts(group, run, heading, primary=True).items():
        metric, word = group.metrics[label], TURNED[verdict.word]
        part = f"{metric.title} {_apart(metric, raw[label][group.reference], raw[label][run], confidence)}, {word}"
        if word == UNCLEAR:
            part += (
                " (no difference, however large, could be)"
                if verdict.detectable is None
                else f" (these {group.cluster}s would show one of {_number(verdict.detectable)}{_unit(metric)})"
            )
        parts.append(part)
    against = f"{titles[group.reference]} against {titles[run]}, {HEADINGS[heading]}"
    return [f"{against}: {'; '.join(parts)}."] if parts else []


def _apart(metric: ComparedMetric, reference: Estimate, other: Estimate, confidence: float) -> str:
    """The reference's value beside another's: as a ratio where that has an interval, else as a difference."""
    if metric.better == "lower" and (times := ratio(reference, other, confidence)):
        low, high = times.low, times.high
        assert low is not None and high is not None, "a ratio has an interval"
        return f"{_number(times.value)} times as high ({_number(low)} to {_number(high)})"
    if metric.better == "one":
        return f"{_number(unbiased(reference))} beside {_number(unbiased(other))}"
    by = bounded(reference - other, confidence)
    above = by.value >= 0
    low, high = (by.low, by.high) if above else (-by.high, -by.low)
    how = "higher" if above else "lower"
    return f"{_number(abs(by.value))}{_unit(metric)} {how} ({_number(low)} to {_number(high)})"


def _exploratory(group: ComparedGroup, titles: dict[str, str], run: str) -> list[str]:
    """On which of the metrics that are not primary the reference is better and worse than one other run."""
    words = {label: TURNED[verdict.word] for label, verdict in _verdicts(group, run, None, primary=False).items()}
    parts = []
    for word in ("better", "worse"):
        if names := [group.metrics[label].title for label, said in words.items() if said == word]:
            parts.append(f"{word} by {_list(names)}")
    rest = sum(word == UNCLEAR for word in words.values())
    parts += [f"{'not distinguishable by' if parts else 'not distinguishable by any of'} {rest}"] if rest else []
    return [f"Exploratory, {titles[group.reference]} against {titles[run]}: {_list(parts)}."] if parts else []


def _fooled(group: ComparedGroup) -> list[str]:
    parts = []
    for metric in group.metrics.values():
        if metric.fooled_by:
            parts.append(f"{metric.title} by {_list([group.controls[key].title for key in metric.fooled_by])}")
    fooled = "Fooled on these clips, by what costs no more than a real video hardly damaged"
    return [f"{fooled}: {'; '.join(parts)}."] if parts else []


def _people(group: ComparedGroup, titles: dict[str, str]) -> tuple[list[str], list[str]]:
    """What people said of the first pair to the first question, and what else was said. Simulated raters tell nothing
    of methods, so that none of theirs is a main sentence."""
    main, details = [], []
    for question, said in group.preference.people.items():
        pairs = sorted(said.pairs, key=lambda pair: group.reference not in (pair.a, pair.b))
        texts = [_of_people(question, said, pair, titles) for pair in pairs]
        if said.simulated or main:
            details += texts
        else:
            main, details = texts[:1], details + texts[1:]
    return main, details


def _of_people(question: str, said: People, pair: VotePair, titles: dict[str, str]) -> str:
    """What the raters said of one pair."""
    raters, votes = _count(said.n_raters, "rater"), _count(pair.share.n_votes, "vote")
    who = f"Simulated raters, no person ({raters}, {votes})," if said.simulated else f"People ({raters}, {votes})"
    a, b, won, low, high = _winner_first(pair)
    prefer = f"prefer {titles[a]} to {titles[b]} on"
    if low <= 0.5:
        prefer = f"do not clearly prefer {titles[a]} or {titles[b]}:"
    return f"{who} {prefer} {won:.2f} / {1 - won:.2f} ({low:.2f} to {high:.2f}), asked {ASKED[question]}."


def _winner_first(pair: VotePair) -> tuple[str, str, float, float, float]:
    """Both runs, the preferred one first, its share, and the interval."""
    share = pair.share
    if share.value < 0.5:
        return pair.b, pair.a, 1 - share.value, 1 - share.high, 1 - share.low
    return pair.a, pair.b, share.value, share.low, share.high


def _votes(group: ComparedGroup, titles: dict[str, str]) -> list[str]:
    texts, voters = [], _list([group.metrics[label].title for label in group.preference.labels])
    for pair in group.preference.pairs:
        a, b, won, low, high = _winner_first(pair)
        unsure = "" if low > 0.5 else ", too few clips to tell them apart"
        texts.append(
            f"Votes of {voters} prefer {titles[a]} to {titles[b]} on {won:.2f} / {1 - won:.2f} of the clips "
            f"({low:.2f} to {high:.2f}{unsure}); metrics vote here, not people."
        )
    return texts


def people_note(n_simulated: int, too_few: bool, alone: bool) -> str | None:
    """What to know of votes of people.

    n_simulated     votes of simulated raters, which do not count beside people's
    too_few         of one cluster or one rater alone
    alone           whether some votes have no other rater's beside them
    """
    notes = []
    if n_simulated:
        notes.append(f"{_count(n_simulated, 'vote')} of simulated raters not counted, since people answered")
    if too_few:
        notes.append("votes of one rater, or on clips that are all alike, say nothing of others: there is no ranking")
    if alone:
        notes.append("agreement is on the votes to which another rater's can be compared")
    return "; ".join(notes) or None


def none_counts(refused: dict[str, int], excluded: dict[str, int], simulated: bool) -> Sentence:
    """What is said of a group on which people were asked, or simulated raters, and none of their votes counts.

    refused     {reason: answers}
    excluded    {reason: raters}
    """
    whys = [f"{_count(n, 'answer')}: {why}" for why, n in refused.items()]
    whys += [f"{_count(n, 'rater')} left out: {why}" for why, n in excluded.items()]
    who = "Simulated raters, no person, answered in a rehearsal" if simulated else "People were asked"
    return Sentence(text=f"{who}, and no vote of theirs counts here ({'; '.join(whys)}).", detail=True)


def votes_refused(dataset: str, refused: dict[str, int], all_of_them: bool) -> str:
    """What `compare` prints of answers that it does not count."""
    n, why = sum(refused.values()), "; ".join(f"{count}: {reason}" for reason, count in refused.items())
    rest = ", which leaves none" if all_of_them else ""
    return f"votes/{dataset}.jsonl: {_count(n, 'answer')} not counted ({why}){rest}"


def likeness(equivalent: Equivalent) -> tuple[str, str]:
    """A score as damage, in two parts: ("as bad as", "blur σ 1.8 px"); the second is empty where nothing is named.

    "at most as bad as" names the worse end of the interval.
    """
    if equivalent.kind == "no worse than the real video":
        return equivalent.kind, ""
    if equivalent.kind == "worse than another clip":
        return "worse than", equivalent.what
    level = equivalent.high if equivalent.kind == "at most as bad as" else equivalent.level
    if level is None:
        return equivalent.kind, equivalent.what
    return equivalent.kind, f"{equivalent.what} {equivalent.unit.format(two_digits(level))}"


def likeness_in_words(equivalent: Equivalent) -> str:
    """ "as bad as blur σ 1.8 px"."""
    return " ".join(filter(None, likeness(equivalent)))


def no_votes(clusters: list[str], voters: list[str]) -> str | None:
    """Why metrics do not vote on a group; None where they do.

    clusters    of each clip
    voters      labels of the metrics that may vote
    """
    if len(set(clusters)) < 2:
        n = len(clusters)
        what = "there is one clip only" if n == 1 else f"all {n} clips are alike (one cluster)"
        return f"{what}, which says nothing of others"
    return None if voters else "no metric that may vote is left"


def no_votes_here(reason: str | None) -> str:
    """Why the paper's votes have none of ours beside them."""
    return f"no votes: {reason}" if reason else "no votes are held between these two in this suite"


def ranking_note(standings: Standings, titles: dict[str, str]) -> str | None:
    """What to know of a ranking: what is not connected, who beats whom in a circle, what rests on the prior."""
    notes = []
    if not standings.connected:
        parts = [", ".join(titles[run] for run in ranking.runs) for ranking in standings.rankings]
        notes.append(f"no vote connects {' with '.join(parts)}")
    for cycle in standings.cycles:
        notes.append(" beats ".join(titles[run] for run in (*cycle.runs, cycle.runs[0])))
    if any(ranking.held_by_prior for ranking in standings.rankings):
        notes.append("some never lose to others, so that only the prior holds their distance")
    return "; ".join(notes) or None


def win_note(model: WinModel) -> str | None:
    """How well held-out pairs are predicted."""
    held_out = model.held_out
    if held_out is None or held_out.accuracy is None:
        return None
    best = held_out.metrics[held_out.best_metric].accuracy
    adjacent = held_out.adjacent
    near = f", {100 * adjacent.value:.0f} % of neighbouring degrees" if adjacent else ""
    n = held_out.n_pairs - held_out.n_no_evidence
    return (
        f"left out by {model.apart}: {100 * held_out.accuracy.value:.0f} % of {n} pairs right{near}; the best single "
        f"metric ({held_out.best_metric}) {100 * best:.0f} %; no evidence for {held_out.n_no_evidence}"
    )


def another_measure(metric: ComparedMetric, other: str) -> str:
    """Why a distance of other features tests nothing that the paper says of vid2vid and another method."""
    return (
        f"Another measure, {metric.protocol}: no published value belongs beside it, and it is no test of the "
        f"paper's claim that vid2vid is nearer to the real videos than {other} by I3D and by ResNeXt."
    )


def other_distance(table: str, network: str, pooled: int, protocol: str | None, n_clips: int, dataset: str) -> str:
    """How the two measurements of a video FID differ.

    table       of the paper
    pooled      features of the network's last layer before classes
    protocol    of our metric; None where it is none of the suite's
    """
    paper = (
        f"Paper: Cityscapes, it seems 500 validation clips of 30 frames; {network} without its last layers. Which "
        f"layers, weights, clip length and size was never said. 500 clips are fewer than {pooled} pooled features: the "
        "covariance is not of full rank, and the value depends on the number of clips."
    )
    if table == "Table 3":
        return f"{paper} How many frames were seen and predicted is not said either."
    how = f", {protocol}" if protocol else ""
    return f"{paper} Here: {_count(n_clips, 'clip')} of {dataset}{how}; trained as long as this suite's schedules say."


def other_voters(voters: list[str] | None, n_clips: int, dataset: str, instead: str | None) -> str:
    """How votes of metrics differ from the paper's votes of people.

    voters     titles of the metrics; None where nothing of ours is beside the paper's
    instead    title of the run that stands for vid2vid, where it is another one
    """
    if voters is None:
        return PAPER_VOTES
    here = (
        f"Here: no person's vote counts; {' and '.join(voters) or 'no metric'} voted on {n_clips} clips of {dataset}, "
        "by rule. What formulas prefer is no test of what people did."
    )
    stands = f" For vid2vid stands {instead}, trained as the ablations were." if instead else ""
    return f"{PAPER_VOTES} {here}{stands}"


def other_people(said: People, dataset: str, instead: str | None) -> str:
    """How the paper's votes of people and ours differ.

    instead    title of the run that stands for vid2vid, where it is another one
    """
    here = (
        f"Here: {_count(said.n_raters, 'rater')} gave {_count(said.n_votes, 'vote')} on {_count(said.n_clips, 'clip')} "
        f"of {dataset}, asked “{said.asked}”"
    )
    stands = f" For vid2vid stands {instead}, trained as the ablations were." if instead else ""
    return f"{PAPER_VOTES} {here}.{stands}"


def two_digits(value: float) -> str:
    """Two significant digits, without an exponent."""
    return np.format_float_positional(float(f"{value:.2g}"), trim="-")


def _unit(metric: ComparedMetric) -> str:
    return f" {metric.unit}" if metric.unit else ""


def _count(n: int, word: str) -> str:
    return f"{n} {word}{'s' if n != 1 else ''}"


def _list(parts: list[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _number(value: float) -> str:
    """Three significant digits, without an exponent."""
    return np.format_float_positional(float(f"{value:.3g}"), trim="-")
