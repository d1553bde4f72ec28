"""Which run is better and by how much: tables, verdicts, votes and sentences from what the runs scored on the same clips."""
import json
from itertools import combinations
from pathlib import Path

import numpy as np

from v2vbench import decide, equivalents, preference
from v2vbench.clips import Store
from v2vbench.files import write_json
from v2vbench.intervals import interval, without_each
from v2vbench.ledger import ledger
from v2vbench.ledger import pairs as beside_the_paper
from v2vbench.metrics import COST, applicable
from v2vbench.params import Fault, Params, Protocol, bind
from v2vbench.sentences import SPELT_OUT, told

NOTHING = {"value": None, "low": None, "high": None}


def compare(params: Params, root: Path) -> dict:
    """Compare the runs of each data set, a test group at a time; writes metrics/compare.json.

    root      the project's folder: metrics/runs/<run>.json of every run, metrics/calibrate/<dataset>.json and data/<dataset>.zip are read
    raises    Fault naming the run without results, or two runs whose clips or protocols differ
    """
    results, datasets, sentences, beside = {run: _result(root, run, params) for run in params.runs}, {}, [], []
    for dataset in params.datasets:
        own = {run: result for run, result in results.items() if params.runs[run].dataset == dataset}
        if not own:
            continue
        facts = Store(root / "data" / f"{dataset}.zip").facts
        calibration = _read(root / "metrics" / "calibrate" / f"{dataset}.json", "calibrate the data set")
        datasets[dataset] = {"title": facts.title, "about": facts.about, "standing": facts.standing, "fps": facts.fps,
                             "size": list(facts.size), "groups": {}}
        for group, title in facts.groups.items():
            scored = {run: result["groups"][group] for run, result in own.items()}
            raw = _raw(scored, calibration["groups"][group], group)
            titles = {run: result["title"] for run, result in own.items()}
            table = _table(scored, raw, calibration["groups"][group], title, params)
            table["preference"] = _preference(scored, calibration["groups"][group], titles, params)
            datasets[dataset]["groups"][group] = table
            if facts.standing == "benchmark":
                texts = told(table, raw, titles, params)
                beside += ledger(dataset, group, table, raw, titles, params.protocol.confidence)
            else:
                texts = [f"{facts.title} is a sanity check of the path on {table['n_clips']} "
                         f"clip{'s' * (table['n_clips'] != 1)}, not a ranking of methods."]
            sentences += [{"dataset": dataset, "group": group, "text": text} for text in texts]
    runs = {run: {name: result[name] for name in ("title", "dataset", "model", "first_frames")}
            for run, result in results.items()}
    result = {"confidence": params.protocol.confidence, "datasets": datasets, "runs": runs, "sentences": sentences, "ledger": beside}
    write_json(root / "metrics" / "compare.json", result)
    return result


def _read(path: Path, how: str) -> dict:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise Fault(f"{path}: no such results; `dvc repro` makes them") from None
    except ValueError as error:
        raise Fault(f"{path}: not whole ({error}); {how} again") from None


def _result(root: Path, run: str, params: Params) -> dict:
    path = root / "metrics" / "runs" / f"{run}.json"
    result, labels = _read(path, "evaluate the run"), {metric.label for metric in applicable(params, params.runs[run].dataset)}
    metrics = [group["metrics"].keys() for group in result["groups"].values()]
    if result["skip_frames"] != params.protocol.skip_frames or any(keys != labels for keys in metrics):
        raise Fault(f"{path}: made with other metrics or skip_frames than params.yaml has; evaluate the run again")
    return result


def _raw(scored: dict, calibration: dict, group: str) -> dict:
    """{label: {run: (value, replicates)}} of one group, without runs that have no value; refuses what differs.

    A number is laid beside another only if both carry the same protocol id: runs, and the damages that they are held against.
    """
    raw, (first, *others) = {}, scored
    for label, metric in scored[first]["metrics"].items():
        ids = [(run, scored[run]["clips"], scored[run]["metrics"][label]["protocol"]) for run in others]
        ids.append(("the calibration", calibration["clips"], calibration["protocols"].get(label, "none")))
        for other, clips, protocol in ids:
            if (clips, protocol) != (scored[first]["clips"], metric["protocol"]):
                what, a, b = ("clips", scored[first]["clips"], clips) if clips != scored[first]["clips"] else (
                    "protocol", metric["protocol"], protocol)
                raise Fault(f"metrics.{label}: {first} and {other} differ in their {what} of group {group}, {a} and {b}; make both again")
        raw[label] = {}
        for run, group_scores in scored.items():
            score = group_scores["metrics"][label]
            if score["value"] is not None:
                raw[label][run] = score["value"], (
                    without_each(score["per_clip"]) if score["kind"] == "clip" else np.array(score["leave_one_out"]))
    return raw


def alpha(protocol: Protocol) -> float:
    """Level of the verdicts of one table together: what the confidence of its intervals leaves."""
    return round(1 - protocol.confidence, 12)


def _verdicts(raw: dict, better: dict, reference: str, protocol: Protocol) -> dict:
    """{label: {run: is it better than the reference}}, of runs and metrics that have two clips or more."""
    found = decide.verdicts(decide.paired(raw, better, reference), alpha=alpha(protocol), power=protocol.power,
                            correction=protocol.correction, n_flips=protocol.n_flips, seed=protocol.seed)
    return {label: {run: {"against": reference, "word": own["word"], "p": own["adjusted"], "clips_needed": own["clips_needed"]}
                    for run, own in runs.items()} for label, runs in found.items()}


def _table(scored: dict, raw: dict, calibration: dict, title: str, params: Params) -> dict:
    """Intervals, verdicts, equivalents and cheats of every metric, of one group."""
    protocol, reference = params.protocol, next(iter(scored))
    first, metrics = scored[reference], {}
    verdicts = _verdicts(raw, {label: metric["better"] for label, metric in first["metrics"].items()}, reference, protocol)
    for label, about in first["metrics"].items():
        cost, confidence = COST[about["better"]], protocol.confidence
        rows = {run: (interval(*raw[label][run], confidence) if run in raw[label] else dict(NOTHING)) | {"best": False} for run in scored}
        costs = {run: float(cost(rows[run]["value"])) for run in raw[label]}
        for run, row in rows.items():
            row["best"] = run in costs and costs[run] == min(costs.values())
            row["verdict"] = verdicts.get(label, {}).get(run)
            row["equivalent"] = equivalents.equivalent(row, calibration, label, about["better"]) if run in costs else None
        metrics[label] = {name: about[name] for name in ("title", "unit", "better", "protocol", "kind")} | {
            "absent": about.get("absent"), "rows": rows, "sees": (calibration["sees"].get(label) or {}).get("word"),
            "unsafe": equivalents.unsafe({run: rows[run]["value"] for run in costs}, calibration["cheats"], label, about["better"])}
        for name in ("real", "floor"):
            other = about.get(name)
            metrics[label][name] = interval(other["value"], without_each(other["per_clip"]), confidence) if other else None
    cheats = {key: {"title": cheat["title"], "about": cheat["about"], "metrics": {
        label: {"value": value["value"], "wins": key in metrics[label]["unsafe"]} for label, value in cheat["metrics"].items()}}
        for key, cheat in calibration["cheats"].items()}
    ladders = {key: {name: ladder[name] for name in ("title", "unit", "kind", "levels")} | {"metrics": {
        label: {"values": own["values"], "monotone": own["monotone"]} for label, own in ladder["metrics"].items()}}
        for key, ladder in calibration["ladders"].items()}
    return {"title": title, "clips": first["clips"], "n_clips": len(first["clips"]), "reference": reference,
            "n_tests": sum(map(len, verdicts.values())), "alpha": alpha(protocol), "correction": protocol.correction,
            "metrics": metrics, "cheats": cheats,
            "calibration": {"ladders": ladders, "n_frames": calibration["n_frames"]}}


def _preference(scored: dict, calibration: dict, titles: dict, params: Params) -> dict:
    """Votes between the runs of one group, their ranking, and chances of being preferred, as compare.json has them."""
    pairs, settings = _pairs(list(scored)), bind(preference.Preference, params.preference, "preference")
    pairs += [pair for pair in beside_the_paper(titles) if pair not in pairs and pair[::-1] not in pairs]
    found = preference.of_group(scored, pairs, calibration, [], settings, params.protocol.confidence)
    held, won = found["ranking"], found["win"]
    runs = [{"run": run, "strength": own["value"], "low": own["low"], "high": own["high"]}
            for part in held["rankings"] for run, own in part["strengths"].items()]
    parts = [", ".join(titles[run] for run in part["runs"]) for part in held["rankings"]]
    notes = [] if held["connected"] else [f"no vote connects {' with '.join(parts)}"]
    notes += [" beats ".join(titles[run] for run in (*cycle["runs"], cycle["runs"][0])) for cycle in held["cycles"]]
    if any(part["held_by_prior"] for part in held["rankings"]):
        notes.append("some never lose to others, so that only the prior holds their distance")
    ranking = {"model": "Bradley-Terry with ties", "votes": held["n_votes"], "connected": held["connected"], "runs": runs,
               "note": "; ".join(notes) or None} if held["n_votes"] else None
    win = None
    if won:
        model = won["model"]
        told = model["cross_validation"][model["apart"]]
        win = {"learned_from": model["learned_from"], "model": model, "accuracy": told and told["accuracy"]["share"],
               "log_loss": told and told["log_loss"], "pairs": won["pairs"], "note": _how_well(model),
               "curve": [{"predicted": point["predicted"]} | {key: point["observed"][name] for key, name in (
                   ("observed", "share"), ("low", "low"), ("high", "high"), ("n", "n_votes"))}
                   for point in model["curve"] if point["observed"] and point["predicted"] is not None]}
    return {"metrics": found["metrics"], "pairs": found["pairs"], "ranking": ranking, "win": win}


def _how_well(model: dict) -> str | None:
    """How well pairs are told that were not learned from, in words."""
    told = model["cross_validation"][model["apart"]]
    if not told:
        return None
    best = told["metrics"][told["best_metric"]]["accuracy"]
    near = f", {100 * told['adjacent']['share']:.0f} % of neighbouring degrees" if told["adjacent"] else ""
    n = told["n_pairs"] - told["n_no_evidence"]
    return (f"left out by {model['apart']}: {100 * told['accuracy']['share']:.0f} % of {n} pairs right{near}; the best single metric "
            f"({told['best_metric']}) {100 * best:.0f} %; no evidence for {told['n_no_evidence']}")


def _pairs(runs: list[str]) -> list[tuple[str, str]]:
    """Who votes are held between: each two, or of more than SPELT_OUT + 1 the first, which is the suite's own method, and each other."""
    return [(a, b) for a, b in combinations(runs, 2) if len(runs) <= SPELT_OUT + 1 or a == runs[0]]
