"""What the tables say, in words: no sentence says more than its interval or its verdict does.

That one method is better than another takes better primary metrics under both headings and worse ones under neither.
"""

import numpy as np

from v2vbench.params import Params
from v2vbench.statistics.intervals import Estimate, interval, ratio

SPELT_OUT = 5  # other methods, at most, between each two of which votes are held
N_MAIN = 3  # sentences of a group that are not details
HEADINGS = {"fidelity": "fidelity to the source", "realism": "realism in space and time"}
UNCLEAR = "not distinguishable"
TURNED = {"better": "worse", "worse": "better", UNCLEAR: UNCLEAR}


def write_sentences(table: dict, raw: dict, titles: dict, params: Params) -> list[dict]:
    """[{"text", "detail"}] of one group of test clips, the weightiest first; at most N_MAIN are no details.

    table     the group as metrics/compare.json has it
    raw       {label: {run: Estimate}}
    titles    {run: its method}
    """
    others = [run for run in titles if run != table["reference"]]
    main, details = _conclusions(table, titles, others), []
    if table["clusters_needed"]:
        n, word = table["n_clusters"], table["cluster"]
        main.insert(
            0, f"With {_count(n, word)} no difference can be told, however large: it takes {table['clusters_needed']}."
        )
    for run in others:
        for heading, title in HEADINGS.items():
            details += _details(table, raw, titles, run, heading, title, params.protocol.confidence)
        details += _exploratory(table, titles, run)
    if any(
        row["verdict"] and row["verdict"]["of"] == "weights"
        for metric in table["metrics"].values()
        for row in metric["rows"].values()
    ):
        details.append(
            "Verdicts are of these weights, except where both methods were trained with several seeds: "
            "another training may differ more than other clips do."
        )
    details += _fooled(table) + _votes(table, titles)
    return [{"text": text, "detail": False} for text in main[:N_MAIN]] + [
        {"text": text, "detail": True} for text in main[N_MAIN:] + details
    ]


def outcome(table: dict, run: str) -> dict[str, str]:
    """{heading: what the reference is by the primary metrics against a run: better, worse, divided or not distinguishable}.

    A heading under which no primary metric has a verdict is left out.
    """
    found = {}
    for heading in HEADINGS:
        words = {TURNED[verdict["word"]] for verdict in _verdicts(table, run, heading, primary=True).values()}
        if words:
            clear = words - {UNCLEAR}
            found[heading] = "divided" if len(clear) > 1 else clear.pop() if clear else UNCLEAR
    return found


def _verdicts(table: dict, run: str, heading: str | None, primary: bool) -> dict[str, dict]:
    """{label: the verdict of a run} of the metrics that have one."""
    return {
        label: metric["rows"][run]["verdict"]
        for label, metric in table["metrics"].items()
        if metric["primary"] == primary and heading in (None, metric["heading"]) and metric["rows"][run]["verdict"]
    }


def _conclusions(table: dict, titles: dict, others: list[str]) -> list[str]:
    """The reference against the others by the primary metrics, those of which the same is true in one sentence."""
    alike, reference = {}, titles[table["reference"]]
    for run in others:
        if told := tuple(outcome(table, run).items()):
            alike.setdefault(told, []).append(titles[run])
    both = [told for told in alike if len(told) == len(HEADINGS)]
    order = {"better": 0, "worse": 1, "divided": 2, UNCLEAR: 3}
    texts = []
    for told in sorted(alike, key=lambda told: (told not in both, max(order[word] for _, word in told))):
        names, words = _list(alike[told]), dict(told)
        if told in both and set(words.values()) == {"better"}:
            texts.append(f"{reference} is better than {names}, in {_list(list(HEADINGS.values()))}.")
        elif told in both and set(words.values()) == {"worse"}:
            verb = "are" if len(alike[told]) > 1 else "is"
            texts.append(f"{names} {verb} better than {reference}, in {_list(list(HEADINGS.values()))}.")
        elif set(words.values()) == {UNCLEAR}:
            texts.append(
                f"{reference} and {names} cannot be told apart by the primary metrics{'' if told in both else _only(words)}."
            )
        else:
            texts.append(
                f"Against {names}, {reference} is {_list([_under(word, heading) for heading, word in told])}"
                f"{'' if told in both else _only(words)}."
            )
    return texts


def _under(word: str, heading: str) -> str:
    what = {UNCLEAR: "not distinguishable", "divided": "better by some primary metrics and worse by others"}.get(
        word, word
    )
    return f"{what} in {HEADINGS[heading]}"


def _only(words: dict) -> str:
    """Where one heading has no verdict, that it has none."""
    missing = [title for heading, title in HEADINGS.items() if heading not in words]
    return f"; of {_list(missing)} nothing is known here"


def _details(table: dict, raw: dict, titles: dict, run: str, heading: str, title: str, confidence: float) -> list[str]:
    """How far the reference is from one other run on the primary metrics of one heading."""
    parts = []
    for label, verdict in _verdicts(table, run, heading, primary=True).items():
        metric, word = table["metrics"][label], TURNED[verdict["word"]]
        part = (
            f"{metric['title']} {_apart(metric, raw[label][table['reference']], raw[label][run], confidence)}, {word}"
        )
        if word == UNCLEAR:
            unit = f" {metric['unit']}" if metric["unit"] else ""
            part += (
                " (no difference, however large, could be)"
                if verdict["detectable"] is None
                else (f" (these {table['cluster']}s would show one of {_number(verdict['detectable'])}{unit})")
            )
        parts.append(part)
    return [f"{titles[table['reference']]} against {titles[run]}, {title}: {'; '.join(parts)}."] if parts else []


def _apart(metric: dict, reference: Estimate, other: Estimate, confidence: float) -> str:
    """The reference's value held against another's: as a ratio where that has an interval, else as a difference."""
    if metric["better"] == "lower" and (times := ratio(reference, other, confidence)):
        return f"{_number(times[0])} times as high ({_number(times[1])} to {_number(times[2])})"
    if metric["better"] == "one":
        return f"{_number(interval(reference, confidence)['value'])} beside {_number(interval(other, confidence)['value'])}"
    by = interval(reference - other, confidence)
    above = by["value"] >= 0
    low, high = (by["low"], by["high"]) if above else (-by["high"], -by["low"])
    unit = f" {metric['unit']}" if metric["unit"] else ""
    return f"{_number(abs(by['value']))}{unit} {'higher' if above else 'lower'} ({_number(low)} to {_number(high)})"


def _exploratory(table: dict, titles: dict, run: str) -> list[str]:
    """On which of the metrics that are not primary the reference is better and worse than one other run."""
    words = {label: TURNED[verdict["word"]] for label, verdict in _verdicts(table, run, None, primary=False).items()}
    parts = []
    for word in ("better", "worse"):
        if names := [table["metrics"][label]["title"] for label, own in words.items() if own == word]:
            parts.append(f"{word} by {_list(names)}")
    rest = sum(word == UNCLEAR for word in words.values())
    parts += [f"{'not distinguishable by' if parts else 'not distinguishable by any of'} {rest}"] if rest else []
    return [f"Exploratory, {titles[table['reference']]} against {titles[run]}: {_list(parts)}."] if parts else []


def _fooled(table: dict) -> list[str]:
    parts = []
    for metric in table["metrics"].values():
        if metric["fooled_by"]:
            parts.append(
                f"{metric['title']} by {_list([table['controls'][key]['title'] for key in metric['fooled_by']])}"
            )
    return (
        [f"Fooled on these clips, by what costs no more than a real video hardly damaged: {'; '.join(parts)}."]
        if parts
        else []
    )


def _votes(table: dict, titles: dict) -> list[str]:
    texts, voters = [], _list([table["metrics"][label]["title"] for label in table["preference"]["metrics"]])
    for pair in table["preference"]["pairs"]:
        a, b, won, low, high = (pair[name] for name in ("a", "b", "share", "low", "high"))
        if won < 0.5:
            a, b, won, low, high = b, a, 1 - won, 1 - high, 1 - low
        unsure = "" if low > 0.5 else ", too few clips to tell them apart"
        texts.append(
            f"Votes of {voters} prefer {titles[a]} to {titles[b]} on {won:.2f} / {1 - won:.2f} of the clips "
            f"({low:.2f} to {high:.2f}{unsure}); metrics vote here, not people."
        )
    return texts


def _count(n: int, word: str) -> str:
    return f"{n} {word}{'s' if n != 1 else ''}"


def _list(parts: list[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _number(value: float) -> str:
    """Three significant digits, without an exponent."""
    return np.format_float_positional(float(f"{value:.3g}"), trim="-")
