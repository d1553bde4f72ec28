"""What the tables say, in words: no sentence says more than its interval or its verdict does."""
import numpy as np

from v2vbench.intervals import interval, ratio
from v2vbench.metrics import COST
from v2vbench.params import Params

SPELT_OUT = 5          # other methods, at most, of which each is told in words


def told(table: dict, raw: dict, titles: dict, params: Params) -> list[str]:
    """The sentences of one group of test clips, the weightiest first.

    table     as `compare` makes it, without its preference if that is empty
    raw       {label: {run: (value, replicates)}}
    titles    {run: its method}
    """
    metrics = table["metrics"]
    texts = _counted(table, titles)
    cheated = {label: metric for label, metric in metrics.items() if metric["unsafe"]}
    if cheated:
        cheats = dict.fromkeys(table["cheats"][key]["title"] for metric in cheated.values() for key in metric["unsafe"])
        texts.append(f"{_list([metric['title'] for metric in cheated.values()])} cannot tell the methods from a video that cheats "
                     f"({_list(list(cheats))}) on these clips: unsafe, and left out of the count.")
    for label, metric in metrics.items():
        if metric["better"] != "one" and len(raw[label]) > 1 and table["reference"] in raw[label]:
            texts += _details(metric, raw[label], table["reference"], titles, params.protocol.confidence)
    texts += _warnings(metrics, titles, params.protocol.far_from_one) if len(titles) > 1 else []
    voters = _list([metrics[label]["title"] for label in table["preference"]["metrics"]])
    for pair in table["preference"]["pairs"]:
        a, b, won, low, high = (pair[name] for name in ("a", "b", "share", "low", "high"))
        if won < 0.5:
            a, b, won, low, high = b, a, 1 - won, 1 - high, 1 - low
        unsure = "" if low > 0.5 else ", too few clips to tell them apart"
        texts.append(f"the majority of {voters} prefers {titles[a]} to {titles[b]} on {won:.2f} / {1 - won:.2f} of the "
                     f"clips ({low:.2f} to {high:.2f}{unsure}); metrics vote here, not people.")
    where = f"{table['title'][0].upper()}{table['title'][1:]}, {_clips(table['n_clips'])}"
    return [f"{where}: {text}" for text in texts]


def _counted(table: dict, titles: dict) -> list[str]:
    """The reference method against each other one: on how many metrics that no cheat wins it is better, and worse."""
    texts, reference = [], table["reference"]
    for run in titles:
        words = {"better": [], "worse": [], "not distinguishable": []}       # of the other, against the reference
        for metric in table["metrics"].values():
            if (verdict := metric["rows"][run].get("verdict")) and not metric["unsafe"]:
                words[verdict["word"]].append(metric["title"])
        n = sum(map(len, words.values()))
        if run == reference or not n:
            continue
        parts = [f"{word} on {len(names)}{f' ({_list(names)})' if 0 < len(names) < 4 else ''}"
                 for word, names in (("better", words["worse"]), ("worse", words["better"])) if names]
        unclear = words["not distinguishable"]
        parts += [f"not distinguishable on {len(unclear) if len(unclear) < n else 'any'}"] if unclear else []
        level = f"{100 * table['alpha']:.2g} % over all {table['n_tests']} tests of the table"
        texts.append(f"against {titles[run]}, {titles[reference]} is {_list(parts)} of the {n} metrics that no cheat wins ({level}).")
    return texts


def _details(metric: dict, raw: dict, reference: str, titles: dict, confidence: float) -> list[str]:
    """How far the reference is from each other run on one metric: as a ratio where that has an interval, else as a difference.

    Of more than SPELT_OUT others only how many are worse: the table has the rest.
    """
    (value, replicates), others = raw[reference], [run for run in raw if run != reference]
    if len(replicates) < 2:
        return []
    lower, unit, parts = metric["better"] == "lower", f" {metric['unit']}" if metric["unit"] else "", []
    words = {run: metric["rows"][run]["verdict"]["word"] for run in others}
    if len(others) > SPELT_OUT:
        counts = [f"{word} than {n}" for word, other in (("better", "worse"), ("worse", "better"))
                  if (n := sum(w == other for w in words.values()))] or ["not distinguishable from any"]
        return [f"by {metric['title']}, {titles[reference]} is {_list(counts)} of the {len(others)} others."]
    for run in others:
        if lower and (times := ratio(raw[reference], raw[run], confidence)):
            part = f"{_number(times[0])} times ({_number(times[1])} to {_number(times[2])}) that of {titles[run]}"
        else:
            sign = -1 if lower else 1
            by = interval(sign * (value - raw[run][0]), sign * (replicates - raw[run][1]), confidence)
            above = by["value"] >= 0
            low, high = (by["low"], by["high"]) if above else (-by["high"], -by["low"])
            part = (f"{_number(abs(by['value']))}{unit} ({_number(low)} to {_number(high)}) "
                    f"{'above' if above != lower else 'below'} that of {titles[run]}")
        verdict = {"better": "worse", "worse": "better"}.get(words[run], words[run])      # of the reference, not of the other
        needed = metric["rows"][run]["verdict"]["clips_needed"]
        more = f", where {decisive(needed)} clips would decide" if words[run] == "not distinguishable" and needed else ""
        parts.append(f"{part}: {verdict}{more}")
    return [f"the {metric['title']} of {titles[reference]} is {'; '.join(parts)}."]


def _warnings(metrics: dict, titles: dict, far: float) -> list[str]:
    """What is not held against the very same real frame can be won by freezing or blurring: say what hints at that."""
    texts, ratios = [], [metric for metric in metrics.values() if metric["better"] == "one"]
    for run, title in titles.items():
        won = {metric["title"]: (metric, metric["rows"][run]) for metric in metrics.values() if metric["better"] != "one"
               and (metric["kind"] == "set" or metric["real"]) and metric["rows"][run]["best"] and metric["rows"][run]["value"] is not None}
        hints = [f"its {metric['title']} is {_number(metric['rows'][run]['value'])} and not near 1" for metric in ratios
                 if metric["rows"][run]["value"] is not None and not 1 / far <= metric["rows"][run]["value"] <= far]
        for name, (metric, row) in won.items():
            cost = COST[metric["better"]]
            if metric["real"] and cost(row["value"]) < cost(metric["real"]["value"]):
                own = _number(metric["real"]["value"])
                hints.append(f"the real video's own {name} is {own} and not {_number(row['value'])}")
        if won and hints:
            texts.append(f"beware of {title}, the best in {_list(list(won))}: {', '.join(hints)}; freezing or "
                         f"blurring can win {'this metric' if len(won) == 1 else 'these metrics'}.")
    return texts


def decisive(n: int) -> str:
    """A number of clips that would decide, no more exact than it is."""
    return "more than 10,000" if n > 10000 else f"about {float(f'{n:.2g}'):.0f}" if n > 100 else f"about {n}"


def _clips(n: int) -> str:
    return f"{n} clip{'s' if n != 1 else ''}"


def _list(parts: list[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _number(value: float) -> str:
    """Three significant digits, without an exponent."""
    return np.format_float_positional(float(f"{value:.3g}"), trim="-")
