"""One test group's table: values with intervals by cluster, verdicts by family, controls as rows, and drift along the clip."""

import numpy as np

from v2vbench.metrics import Metric
from v2vbench.params import Params, Protocol
from v2vbench.statistics import equivalents
from v2vbench.statistics import verdicts as decide
from v2vbench.statistics.cost import COST
from v2vbench.statistics.intervals import Estimate, interval, mean_of, of_clips, of_score, spread

NOTHING = {"value": None, "low": None, "high": None}
BIASED = "biased at this number of clips: see the kernel distance of the same features"
GUESSED = "the real video's own score is not clearly better than that of a guess"


def alpha(protocol: Protocol) -> float:
    """Level of each family of verdicts: what the confidence of the intervals leaves."""
    return round(1 - protocol.confidence, 12)


def estimates(scored: dict) -> dict[str, dict[str, list[Estimate]]]:
    """{label: {run: its Estimate with each training seed, its own first}} of one group, without runs that have no value.

    scored    {run: its group in metrics/runs/<run>.json}
    """
    result = {}
    for label in next(iter(scored.values()))["metrics"]:
        result[label] = {}
        for run, group in scored.items():
            of_seeds = [group["metrics"], *group.get("seeds", {}).values()]
            scores = [
                metrics[label] for metrics in of_seeds if label in metrics and metrics[label]["value"] is not None
            ]
            if scores and group["metrics"][label]["value"] is not None:
                result[label][run] = [of_score(score, group["clusters"]) for score in scores]
    return result


def of_group(
    scored: dict, calibration: dict, title: str, cluster: str, metrics: list[Metric], params: Params
) -> tuple[dict, dict]:
    """The group of metrics/compare.json but for its preference, and {label: {run: Estimate}}, means over training seeds.

    scored         {run: its group in metrics/runs/<run>.json}, the reference first
    calibration    the group in metrics/calibrate/<dataset>.json
    title          of the group
    cluster        the word for it: map, video, person, clip
    metrics        those that are defined on the data set
    """
    protocol, reference = params.protocol, next(iter(scored))
    first, confidence = scored[reference], protocol.confidence
    without_verdicts = {metric.label for metric in metrics if not metric.get("VERDICTS")}
    of_seeds, clusters = estimates(scored), first["clusters"]
    raw = {label: {run: mean_of(own) for run, own in runs.items()} for label, runs in of_seeds.items()}
    controls = {
        label: {
            key: of_score(control["metrics"][label], clusters)
            for key, control in calibration["controls"].items()
            if label in control["metrics"]
        }
        for label in raw
    }
    hidden = {label: _hidden(about, clusters, confidence) for label, about in first["metrics"].items()}
    mute = {label for label in raw if hidden[label] or label in without_verdicts}
    primary = [label for label in protocol.primary if label in raw]
    families, verdicts = _families(first["metrics"], raw, of_seeds, controls, primary, mute, reference, protocol)
    table = {}
    for label, about in first["metrics"].items():
        rows = {
            run: _row(raw[label].get(run), of_seeds[label].get(run), label, about["better"], calibration, confidence)
            for run in scored
        }
        costs = {run: float(COST[about["better"]](rows[run]["value"])) for run in raw[label]}
        for run, row in rows.items():
            row["best"] = run in costs and costs[run] == min(costs.values())
            row["verdict"] = verdicts.get((False, label, run))
            row["equivalent"] = (
                equivalents.equivalent(row, calibration, label, about["better"]) if run in costs else None
            )
        held = {
            key: _row(own, None, label, about["better"], calibration, confidence)
            | {"verdict": verdicts.get((True, label, key))}
            for key, own in controls[label].items()
        }
        table[label] = {name: about[name] for name in ("title", "unit", "better", "protocol", "kind", "heading")} | {
            "primary": label in primary,
            "absent": about.get("absent"),
            "hidden": hidden[label],
            "no_verdict": BIASED if label in without_verdicts else None,
            "sees": (calibration["sees"].get(label) or {}).get("word"),
            "fooled_by": [own["control"] for own in calibration["fooled"].get(label, ())],
            "rows": rows,
            "controls": held,
            "drift": _drift(scored, label, confidence),
        }
        for name in ("real", "floor"):
            table[label][name] = interval(of_score(about[name], clusters), confidence) if about.get(name) else None
    ladders = {
        key: {name: ladder[name] for name in ("title", "unit", "kind", "levels")}
        | {
            "metrics": {
                label: {"values": own["values"], "monotone": own["monotone"]}
                for label, own in ladder["metrics"].items()
            }
        }
        for key, ladder in calibration["ladders"].items()
    }
    n_clusters, n_tests = (
        len(set(clusters)),
        sum(len(raw[label]) - 1 for label in primary if reference in raw[label] and label not in mute),
    )
    needed = decide.clusters_needed(n_tests, alpha(protocol)) if n_tests else 0
    return {
        "title": title,
        "clips": first["clips"],
        "clusters": clusters,
        "n_clips": len(clusters),
        "n_clusters": n_clusters,
        "cluster": cluster,
        "reference": reference,
        "alpha": alpha(protocol),
        "families": families,
        "clusters_needed": needed if needed > n_clusters else None,
        "metrics": table,
        "controls": {
            key: {name: own[name] for name in ("title", "about", "feasible")}
            for key, own in calibration["controls"].items()
        },
        "calibration": {"ladders": ladders, "n_frames": calibration["n_frames"]},
    }, raw


def _row(
    estimate: Estimate | None,
    of_seeds: list[Estimate] | None,
    label: str,
    better: str,
    calibration: dict,
    confidence: float,
) -> dict:
    """A run's or a control's row: its interval, the spread over its training seeds, and its place between floor and ceiling."""
    row = (interval(estimate, confidence) if estimate else dict(NOTHING)) | {
        "best": False,
        "verdict": None,
        "equivalent": None,
        "bar": None,
        "seeds": None,
    }
    if estimate and (bounds := equivalents.bounds(calibration, label, better)):
        way = equivalents.share_of_way(row["value"], *bounds, better, confidence)
        row["bar"] = None if way is None else min(max(way, 0.0), 1.0)
    if of_seeds and len(of_seeds) > 1:
        values = [_shown(own) for own in of_seeds]
        row["seeds"] = {"n": len(values), "values": values, "low": min(values), "high": max(values)}
    return row


def _shown(estimate: Estimate) -> float:
    return interval(estimate, 0.95)["value"]  # which is the same at any confidence


def _hidden(about: dict, clusters: list[str], confidence: float) -> str | None:
    """Why a metric tells nothing on these clips: by it the real video is not clearly better than an answer that knows nothing."""
    if not (about.get("real") and about.get("floor")):
        return None
    floor, real = (of_score(about[name], clusters).transformed(COST[about["better"]]) for name in ("floor", "real"))
    gain = interval(floor - real, confidence)
    return GUESSED if (gain["value"] if gain["low"] is None else gain["low"]) <= 0 else None


def _families(
    about: dict, raw: dict, of_seeds: dict, controls: dict, primary: list, mute: set, reference: str, protocol: Protocol
) -> tuple[dict, dict]:
    """{family: {"correction", "n_tests"}} and {(whether of a control, label, run or control): verdict against the reference}.

    Holm over the primaries, max-t over the other metrics, and max-t over the controls on all: neither another metric nor another
    control changes what is said of methods by the primaries.
    """
    better = {label: own["better"] for label, own in about.items()}
    held = {
        label: {None: raw[label][reference]} | controls[label]
        for label in raw
        if label not in mute and reference in raw[label]
    }
    told = {label: own for label, own in raw.items() if label not in mute}
    tables = {
        "primary": ("holm", {label: told[label] for label in primary if label in told}),
        "exploratory": ("max-t", {label: own for label, own in told.items() if label not in primary}),
        "controls": ("max-t", held),
    }
    families, verdicts = {}, {}
    for family, (correction, own) in tables.items():
        control = family == "controls"
        deltas = decide.paired(own, better, None if control else reference)
        trained = (
            {}
            if control
            else {
                label: {run: _seeds_p(of_seeds[label], run, reference, better[label]) for run in runs}
                for label, runs in deltas.items()
            }
        )
        found = decide.verdicts(
            deltas,
            alpha=alpha(protocol),
            power=protocol.power,
            correction=correction,
            n_flips=protocol.n_flips,
            seed=protocol.seed,
            over_seeds=trained,
        )
        families[family] = {"correction": correction, "n_tests": sum(map(len, found.values()))}
        for label, runs in found.items():
            for run, said in runs.items():
                verdicts[control, label, run] = {
                    "against": reference,
                    "word": said["word"],
                    "p": said["adjusted"],
                    "family": family,
                    "detectable": _in_unit(said["detectable"], raw[label][reference], better[label]),
                    "of": "weights" if trained.get(label, {}).get(run) is None else "method",
                }
    return families, verdicts


def _seeds_p(of_seeds: dict, run: str, reference: str, better: str) -> float | None:
    return decide.seeds_p(*([_shown(own) for own in of_seeds[one]] for one in (run, reference)), better)


def _in_unit(effect: float | None, reference: Estimate, better: str) -> float | None:
    """A difference of costs as one of values; of a ratio, whose cost is a logarithm, as a rise over the reference's. None beyond e^20."""
    if better != "one" or effect is None:
        return effect
    return float(max(spread(reference)[0], decide.SMALLEST) * np.expm1(effect)) if effect < 20 else None


def _drift(scored: dict, label: str, confidence: float) -> dict | None:
    """{run: interval} of the second half of the clips less the first half, of the first training seed; None where there are no halves."""
    found = {run: group["metrics"][label].get("drift") for run, group in scored.items()}
    return (
        {
            run: interval(of_clips(own, scored[run]["clusters"]), confidence) if own else dict(NOTHING)
            for run, own in found.items()
        }
        if any(found.values())
        else None
    )
