"""Which run is better and by how much: tables, votes and sentences from what the runs scored on the same clips."""
import json
from itertools import combinations
from pathlib import Path

import numpy as np

from v2vbench.clips import Store
from v2vbench.files import write_json
from v2vbench.intervals import interval, ratio, share, without_each
from v2vbench.params import Fault, Params

COST = {"lower": lambda v: v, "higher": lambda v: -v,      # BETTER: what is less in a better video
        "one": lambda v: np.abs(np.log(np.maximum(v, 1e-9)))}
SPELT_OUT = 5          # other methods, at most, of which each is told in words


def compare(params: Params, root: Path) -> dict:
    """Compare the runs of each data set, a test group at a time; writes metrics/compare.json.

    root      the project's folder: metrics/runs/<run>.json of every run and data/<dataset>.zip are read
    raises    Fault naming the run without results, or two runs whose clips or protocols differ
    """
    results, datasets, sentences = {run: _result(root, run, params) for run in params.runs}, {}, []
    for dataset in params.datasets:
        own = {run: result for run, result in results.items() if params.runs[run].dataset == dataset}
        if not own:
            continue
        facts = Store(root / "data" / f"{dataset}.zip").facts
        datasets[dataset] = {"title": facts.title, "about": facts.about, "standing": facts.standing, "fps": facts.fps,
                             "size": list(facts.size), "groups": {}}
        for group, title in facts.groups.items():
            scored = {run: result["groups"][group] for run, result in own.items()}
            raw = _raw(scored, group, params)
            table = _table(scored, raw, title, params)
            datasets[dataset]["groups"][group] = table
            titles = {run: result["title"] for run, result in own.items()}
            told = _told(table, raw, titles, params) if facts.standing == "benchmark" else [
                f"{facts.title} is a sanity check of the path on {_clips(table['n_clips'])}, not a ranking of methods."]
            sentences += [{"dataset": dataset, "group": group, "text": text} for text in told]
    runs = {run: {name: result[name] for name in ("title", "dataset", "model", "first_frames")}
            for run, result in results.items()}
    result = {"confidence": params.protocol.confidence, "datasets": datasets, "runs": runs, "sentences": sentences}
    write_json(root / "metrics" / "compare.json", result)
    return result


def _result(root: Path, run: str, params: Params) -> dict:
    path = root / "metrics" / "runs" / f"{run}.json"
    try:
        result = json.loads(path.read_text())
    except FileNotFoundError:
        raise Fault(f"{path}: no such results; `dvc repro` makes them") from None
    except ValueError as error:
        raise Fault(f"{path}: not whole ({error}); evaluate the run again") from None
    metrics = [group["metrics"].keys() for group in result["groups"].values()]
    if result["skip_frames"] != params.protocol.skip_frames or any(keys != params.metrics.keys() for keys in metrics):
        raise Fault(f"{path}: made with other metrics or skip_frames than params.yaml has; evaluate the run again")
    return result


def _raw(scored: dict, group: str, params: Params) -> dict:
    """{label: {run: (value, replicates)}} of one group, without runs that have no value; refuses what differs."""
    raw, (first, *others) = {}, scored
    for label in params.metrics:
        for run in others:
            one, two = ((scored[r]["clips"], scored[r]["metrics"][label]["protocol"]) for r in (first, run))
            if one != two:
                what, a, b = ("clips", one[0], two[0]) if one[0] != two[0] else ("protocol", one[1], two[1])
                raise Fault(f"metrics.{label}: {first} and {run} differ in their {what} of group {group}, {a} and {b}; "
                            "evaluate both again")
        raw[label] = {}
        for run, group_scores in scored.items():
            score = group_scores["metrics"][label]
            if score["value"] is not None:
                raw[label][run] = score["value"], (
                    without_each(score["per_clip"]) if score["kind"] == "clip" else np.array(score["leave_one_out"]))
    return raw


def _table(scored: dict, raw: dict, title: str, params: Params) -> dict:
    """Intervals, best and tied of every metric, and the votes, of one group."""
    confidence, first = params.protocol.confidence, next(iter(scored.values()))
    metrics = {}
    for label in params.metrics:
        about = first["metrics"][label]
        real = about.get("real")
        metrics[label] = {name: about[name] for name in ("title", "unit", "better", "protocol", "kind")} | {
            "real": interval(real["value"], without_each(real["per_clip"]), confidence) if real else None,
            "rows": _rows(scored, raw[label], COST[about["better"]], confidence)}
    pairs = [{"a": a, "b": b} | share(_votes(scored[a], scored[b], params), confidence)
             for a, b in _pairs(list(scored)) if params.preference]
    return {"title": title, "clips": first["clips"], "n_clips": len(first["clips"]), "metrics": metrics,
            "preference": {"metrics": list(params.preference), "pairs": pairs}}


def _pairs(runs: list[str]) -> list[tuple[str, str]]:
    """Who votes are held between: each two, or of more than SPELT_OUT + 1 the first, which is the suite's own method, and each other."""
    return [(a, b) for a, b in combinations(runs, 2) if len(runs) <= SPELT_OUT + 1 or a == runs[0]]


def _rows(runs, raw: dict, cost, confidence: float) -> dict:
    """Each run's interval; which is best; and which differ from it by what may be 0, clip by clip."""
    nothing = {"value": None, "low": None, "high": None}
    rows = {run: interval(*raw[run], confidence) if run in raw else dict(nothing) for run in runs}
    costs = {run: float(cost(rows[run]["value"])) for run in raw}
    best = min(costs, key=costs.get) if costs else None
    for run, row in rows.items():
        row["best"], row["tied"] = run in costs and costs[run] == costs[best], False
        if run in costs and not row["best"]:
            (a, a_without), (b, b_without) = raw[run], raw[best]
            difference = interval(cost(a) - cost(b), cost(a_without) - cost(b_without), confidence)
            row["tied"] = difference["low"] is None or difference["low"] <= 0 <= difference["high"]
    return rows


def _votes(a: dict, b: dict, params: Params) -> np.ndarray:
    """The vote of each clip between two runs, that of most of its metrics: 1 for `a`, 0 for `b`, 0.5 if even."""
    votes = []
    for label in params.preference:
        one, two = a["metrics"][label], b["metrics"][label]
        if one["kind"] != "clip":
            raise Fault(f"preference: {label} has one value for all clips; only metrics of single clips vote")
        cost = COST[one["better"]]
        votes.append(np.sign(cost(np.array(two["per_clip"])) - cost(np.array(one["per_clip"]))))
    return (np.sign(np.sum(votes, 0)) + 1) / 2


def _told(table: dict, raw: dict, titles: dict, params: Params) -> list[str]:
    """What the numbers of one group say, a sentence each."""
    told = []
    for label, metric in table["metrics"].items():
        if metric["better"] != "one" and len(raw[label]) > 1:
            told += _best_told(metric, raw[label], titles, params.protocol.confidence)
    told += _warnings(table["metrics"], titles, params.protocol.far_from_one) if len(titles) > 1 else []
    voters = _list([table["metrics"][label]["title"] for label in table["preference"]["metrics"]])
    for pair in table["preference"]["pairs"]:
        a, b, won, low, high = (pair[name] for name in ("a", "b", "share", "low", "high"))
        if won < 0.5:
            a, b, won, low, high = b, a, 1 - won, 1 - high, 1 - low
        unsure = "" if low > 0.5 else ", too few clips to tell them apart"
        told.append(f"the majority of {voters} prefers {titles[a]} to {titles[b]} on {won:.2f} / {1 - won:.2f} of the "
                    f"clips ({low:.2f} to {high:.2f}{unsure}); metrics vote here, not people.")
    where = f"{table['title'][0].upper()}{table['title'][1:]}, {_clips(table['n_clips'])}"
    return [f"{where}: {text}" for text in told]


def _best_told(metric: dict, raw: dict, titles: dict, confidence: float) -> list[str]:
    """How far the best run is from each other one: as a ratio where that has an interval, else as a difference.

    Of more than SPELT_OUT others, only how many are worse and which cannot be told apart: the table has the rest.
    """
    best, parts = next(run for run, row in metric["rows"].items() if row["best"]), []
    lower, unit = metric["better"] == "lower", f" {metric['unit']}" if metric["unit"] else ""
    (value, replicates), others = raw[best], [run for run in raw if run != best]
    if len(replicates) < 2:
        return []
    tied = [titles[run] for run in others if metric["rows"][run]["tied"] or metric["rows"][run]["best"]]
    if len(others) > SPELT_OUT:
        worse = f"better than {len(others) - len(tied)} of the {len(others)} others"
        return [f"{titles[best]} has the {'lowest' if lower else 'highest'} {metric['title']}, {worse}"
                f"{', not distinguishable from ' * bool(tied)}{_list(tied) if tied else ''}."]
    for run in others:
        if lower and (times := ratio(raw[best], raw[run], confidence)):
            part = f"{_number(times[0])} times ({_number(times[1])} to {_number(times[2])}) that of {titles[run]}"
        else:
            sign = -1 if lower else 1
            by = interval(sign * (value - raw[run][0]), sign * (replicates - raw[run][1]), confidence)
            part = (f"{_number(by['value'])}{unit} ({_number(by['low'])} to {_number(by['high'])}) "
                    f"{'below' if lower else 'above'} that of {titles[run]}")
        parts.append(part + (", not distinguishable" if metric["rows"][run]["tied"] else ""))
    return [f"{titles[best]} has the {'lowest' if lower else 'highest'} {metric['title']}, {_list(parts)}."]


def _warnings(metrics: dict, titles: dict, far: float) -> list[str]:
    """What is not held against the very same real frame can be won by freezing or blurring: say what hints at that."""
    told, ratios = [], [metric for metric in metrics.values() if metric["better"] == "one"]
    for run, title in titles.items():
        rows = {metric["title"]: (metric, metric["rows"][run]) for metric in metrics.values()
                if metric["better"] != "one" and (metric["kind"] == "set" or metric["real"])}
        won = {name: pair for name, pair in rows.items() if pair[1]["best"] or pair[1]["tied"]}
        hints = [f"its {metric['title']} is {_number(metric['rows'][run]['value'])} and not near 1" for metric in ratios
                 if not 1 / far <= metric["rows"][run]["value"] <= far]
        for name, (metric, row) in won.items():
            cost = COST[metric["better"]]
            if metric["real"] and cost(row["value"]) < cost(metric["real"]["value"]):
                own = _number(metric["real"]["value"])
                hints.append(f"the real video's own {name} is {own} and not {_number(row['value'])}")
        if won and hints:
            told.append(f"beware of {title} among the best in {_list(list(won))}: {', '.join(hints)}; freezing or "
                        f"blurring can win {'this metric' if len(won) == 1 else 'these metrics'}.")
    return told


def _clips(n: int) -> str:
    return f"{n} clip{'s' if n != 1 else ''}"


def _list(parts: list[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _number(value: float) -> str:
    """Three significant digits, without an exponent."""
    return np.format_float_positional(float(f"{value:.3g}"), trim="-")
