"""Which run is better and by how much: tables, verdicts, votes and sentences from what the runs scored on the same clips."""

import json
from itertools import combinations
from pathlib import Path

from v2vbench.clips.store import Store
from v2vbench.files import write_json
from v2vbench.metrics import applicable
from v2vbench.params import Fault, Params, bind
from v2vbench.statistics import group_table as tables
from v2vbench.statistics import preference
from v2vbench.statistics.published import ledger
from v2vbench.statistics.published import pairs as beside_the_paper
from v2vbench.statistics.sentences import SPELT_OUT, write_sentences


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
        facts, metrics = Store(root / "data" / f"{dataset}.zip").facts, applicable(params, dataset)
        calibration = _read(root / "metrics" / "calibrate" / f"{dataset}.json", "calibrate the data set")
        titles = {run: result["title"] for run, result in own.items()}
        datasets[dataset] = {
            "title": facts.title,
            "about": facts.about,
            "standing": facts.standing,
            "fps": facts.fps,
            "size": list(facts.size),
            "groups": {},
        }
        for group, title in facts.groups.items():
            scored, known = {run: result["groups"][group] for run, result in own.items()}, calibration["groups"][group]
            _check_same(scored, known, group)
            table, raw = tables.of_group(scored, known, title, facts.cluster, metrics, params)
            table["preference"] = _preference(scored, known, titles, params)
            datasets[dataset]["groups"][group] = table
            if facts.standing == "benchmark":
                texts = write_sentences(table, raw, titles, params)
                beside += ledger(dataset, group, table, raw, titles, params.protocol.confidence)
            else:
                texts = [
                    {
                        "text": f"{facts.title} is a sanity check of the path on {table['n_clips']} "
                        f"clip{'s' * (table['n_clips'] != 1)}, not a ranking of methods.",
                        "detail": False,
                    }
                ]
            sentences += [{"dataset": dataset, "group": group} | text for text in texts]
    runs = {
        run: {name: result[name] for name in ("title", "dataset", "model", "first_frames")}
        for run, result in results.items()
    }
    result = {
        "confidence": params.protocol.confidence,
        "datasets": datasets,
        "runs": runs,
        "sentences": sentences,
        "ledger": beside,
    }
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
    result, labels = (
        _read(path, "evaluate the run"),
        {metric.label for metric in applicable(params, params.runs[run].dataset)},
    )
    metrics = [group["metrics"].keys() for group in result["groups"].values()]
    if result["skip_frames"] != params.protocol.skip_frames or any(keys != labels for keys in metrics):
        raise Fault(f"{path}: made with other metrics or skip_frames than params.yaml has; evaluate the run again")
    return result


def _check_same(scored: dict, calibration: dict, group: str) -> None:
    """Refuses what differs in one group: a number is laid beside another only if clips, clusters and protocol id are the same.

    Raises Fault naming the metric and the two that differ: runs, or a run and the calibration that it is held against.
    """
    (first, own), *others = scored.items()
    sides = [
        (run, other, {label: metric["protocol"] for label, metric in other["metrics"].items()}) for run, other in others
    ]
    sides.append(("the calibration", calibration, calibration["protocols"]))
    for label, metric in own["metrics"].items():
        for other, side, protocols in sides:
            for what, a, b in (
                ("clips", own["clips"], side["clips"]),
                ("clusters", own["clusters"], side["clusters"]),
                ("protocol", metric["protocol"], protocols.get(label, "none")),
            ):
                if a != b:
                    raise Fault(
                        f"metrics.{label}: {first} and {other} differ in their {what} of group {group}, {a} and {b}; "
                        "make both again"
                    )


def _preference(scored: dict, calibration: dict, titles: dict, params: Params) -> dict:
    """Votes between the runs of one group, their ranking, and chances of being preferred, as compare.json has them."""
    pairs, settings = _pairs(list(scored)), bind(preference.Preference, params.preference, "preference")
    pairs += [pair for pair in beside_the_paper(titles) if pair not in pairs and pair[::-1] not in pairs]
    found = preference.of_group(
        scored,
        pairs,
        calibration,
        [],
        settings,
        params.protocol.confidence,
        clusters=calibration["clusters"],
        fooled=calibration["fooled"],
    )
    held, won = found["ranking"], found["win"]
    runs = [
        {"run": run, "strength": own["value"], "low": own["low"], "high": own["high"]}
        for part in held["rankings"]
        for run, own in part["strengths"].items()
    ]
    parts = [", ".join(titles[run] for run in part["runs"]) for part in held["rankings"]]
    notes = [] if held["connected"] else [f"no vote connects {' with '.join(parts)}"]
    notes += [" beats ".join(titles[run] for run in (*cycle["runs"], cycle["runs"][0])) for cycle in held["cycles"]]
    if any(part["held_by_prior"] for part in held["rankings"]):
        notes.append("some never lose to others, so that only the prior holds their distance")
    ranking = (
        {
            "model": "Bradley-Terry with ties",
            "votes": held["n_votes"],
            "connected": held["connected"],
            "runs": runs,
            "note": "; ".join(notes) or None,
        }
        if held["n_votes"]
        else None
    )
    win = None
    if won:
        model = won["model"]
        told = model["cross_validation"][model["apart"]]
        win = {
            "learned_from": model["learned_from"],
            "model": model,
            "accuracy": told and told["accuracy"]["share"],
            "log_loss": told and told["log_loss"],
            "pairs": won["pairs"],
            "note": _how_well(model),
            "curve": [
                {"predicted": point["predicted"]}
                | {
                    key: point["observed"][name]
                    for key, name in (("observed", "share"), ("low", "low"), ("high", "high"), ("n", "n_votes"))
                }
                for point in model["curve"]
                if point["observed"] and point["predicted"] is not None
            ],
        }
    return {name: found[name] for name in ("metrics", "voters", "reason", "pairs")} | {"ranking": ranking, "win": win}


def _how_well(model: dict) -> str | None:
    """How well pairs are told that were not learned from, in words."""
    told = model["cross_validation"][model["apart"]]
    if not told:
        return None
    best = told["metrics"][told["best_metric"]]["accuracy"]
    near = f", {100 * told['adjacent']['share']:.0f} % of neighbouring degrees" if told["adjacent"] else ""
    n = told["n_pairs"] - told["n_no_evidence"]
    return (
        f"left out by {model['apart']}: {100 * told['accuracy']['share']:.0f} % of {n} pairs right{near}; the best single metric "
        f"({told['best_metric']}) {100 * best:.0f} %; no evidence for {told['n_no_evidence']}"
    )


def _pairs(runs: list[str]) -> list[tuple[str, str]]:
    """Who votes are held between: each two, or of more than SPELT_OUT + 1 the first, which is the suite's own method, and each other."""
    return [(a, b) for a, b in combinations(runs, 2) if len(runs) <= SPELT_OUT + 1 or a == runs[0]]
