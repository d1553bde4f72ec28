"""Votes between methods: of people where some were asked, else of one metric a heading; and what each group of compare.json tells of them.

What metrics say is no human preference, and is never added to one.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from v2vbench.metrics import Metric
from v2vbench.params import Fault, Range, choose
from v2vbench.statistics import ordered_pairs as known
from v2vbench.statistics import win_probability as win
from v2vbench.statistics.bradley_terry import rank, share_of
from v2vbench.statistics.cost import COST


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """Per-clip metrics of each heading, the one that should vote first: on a group votes the first of them that may."""

    fidelity: list[str]  # to the source and the real frames
    realism: list[str]  # in space and time


@dataclass(frozen=True, kw_only=True)
class Preference:
    """Section `preference` of params.yaml."""

    metrics: Candidates
    ridge: Annotated[float, Range(1e-3)]  # 1 / variance of the prior on a method's strength in log odds
    win: win.Win


def check_candidates(settings: Preference, metrics: list[Metric], where: str):
    """Raises Fault naming the candidate that is no metric, none of single clips, or of the other heading."""
    lines = {metric.label: metric for metric in metrics}
    for heading, labels in vars(settings.metrics).items():
        for i, label in enumerate(labels):
            at = f"{where}.metrics.{heading}[{i}]"
            metric = choose(lines, label, at)
            if metric.kind != "clip":
                raise Fault(f"{at}: {label} has no value of a single clip; only metrics of single clips vote")
            if metric.module.HEADING != heading:
                raise Fault(f"{at}: {label} is a metric of {metric.module.HEADING}; name it there")


def of_group(
    scored: dict,
    pairs: list[tuple[str, str]],
    calibration: dict | None,
    people: list[dict],
    settings: Preference,
    confidence: float,
    *,
    clusters: list[str] | None = None,
    fooled: dict | None = None,
) -> dict:
    """Part "preference" of one group in metrics/compare.json.

    scored        {run: its group in metrics/runs/<run>.json}
    pairs         (a, b) of runs: who is held against whom
    calibration   the group in metrics/calibrate/<dataset>.json, or None
    people        votes of people; those on other clips or runs are left out. [] where no one was asked
    clusters      of each clip of the group, within which clips are alike; None: each clip is its own
    fooled        {label: [{"control"}]} of the calibration: what fools each metric. Only feasible controls count. None: nothing is known
    returns       {"voters": {heading: {"label" or None, "passed_over": {candidate: why it does not vote}}}, "metrics": labels of the
                  voters, "reason": why there are no votes and chances, or None, "pairs": [{"a", "b", and see `share_of`}], "ranking":
                  `rank` of the votes of metrics, "people": `rank` of those of people or None, "win": {"model": see `win.learn`,
                  "pairs": [{"a", "b", and see `win.pairs`}]} or None where there is nothing to learn from}. Clips of one cluster say
                  nothing of others: there "pairs" is empty, "ranking" is of no votes, and the rest is None
    """
    first, runs = next(iter(scored.values())), list(scored)
    alike = dict(zip(first["clips"], clusters or first["clips"]))
    fools = feasible(fooled, calibration)
    chosen = voters(scored, settings.metrics, fools)
    labels = [own["label"] for own in chosen.values() if own["label"]]
    told = {"voters": chosen, "metrics": labels, "reason": None, "pairs": [], "people": None, "win": None}
    if len(set(alike.values())) < 2:
        n = len(alike)
        what = "there is one clip only" if n == 1 else f"all {n} clips are alike (one cluster)"
        return told | {
            "reason": f"{what}, which says nothing of others",
            "ranking": rank([], runs, ridge=settings.ridge, confidence=confidence),
        }
    votes = {pair: metric_votes(scored, *pair, labels, alike) for pair in pairs if labels}
    people = [
        vote | {"cluster": alike[vote["clip"]]}
        for vote in people
        if vote["clip"] in alike and vote["a"] in scored and vote["b"] in scored
    ]
    better, values = _predictors(scored, calibration, fools, bool(people))
    model = None
    if better and people:
        model = win.learn(known.of_votes(people, values, first["clips"], better), settings.win, confidence)
    elif better and calibration is not None:
        model = win.learn(known.of_damages(calibration, better, list(alike.values())), settings.win, confidence)
    return told | {
        "reason": None if labels else "no metric that may vote is left",
        "pairs": [{"a": a, "b": b} | share_of(own, confidence) for (a, b), own in votes.items()],
        "ranking": rank(sum(votes.values(), []), runs, ridge=settings.ridge, confidence=confidence),
        "people": rank(people, runs, ridge=settings.ridge, confidence=confidence) if people else None,
        "win": model
        and {
            "model": model,
            "pairs": [
                {"a": a, "b": b}
                | win.pairs(model, values[a], values[b], settings.win, confidence, list(alike.values()))
                for a, b in pairs
            ],
        },
    }


def feasible(fooled: dict | None, calibration: dict | None) -> dict[str, list[str]]:
    """{label: titles of the feasible controls that fool it}: those made without the target frames, as a method's video is."""
    controls = (calibration or {}).get("controls", {})
    found = {
        label: [controls[own["control"]]["title"] for own in of if controls[own["control"]]["feasible"]]
        for label, of in (fooled or {}).items()
    }
    return {label: titles for label, titles in found.items() if titles}


def voters(scored: dict, candidates: Candidates, fools: dict[str, list[str]]) -> dict:
    """Who votes on a group for each heading: the first candidate that has a value of each run's clips and that nothing feasible fools.

    returns       {heading: {"label", or None where no candidate is left, "passed_over": {candidate before it: why}}}
    """
    found = {}
    for heading, labels in vars(candidates).items():
        passed = {}
        for label in labels:
            own = [group["metrics"].get(label) for group in scored.values()]
            if None in own:
                passed[label] = "not defined on these clips"
            elif any(metric["value"] is None for metric in own):
                passed[label] = next(metric.get("absent") or "no value" for metric in own if metric["value"] is None)
            elif any(metric["kind"] != "clip" for metric in own):
                passed[label] = "has no value of a single clip"
            elif label in fools:
                passed[label] = f"fooled by {', '.join(fools[label])}"
            else:
                break
        found[heading] = {
            "label": next((label for label in labels if label not in passed), None),
            "passed_over": passed,
        }
    return found


def metric_votes(scored: dict, a: str, b: str, labels: list[str], clusters: dict[str, str]) -> list[dict]:
    """The vote of each clip between two runs, that of its metrics together, as v2vbench.statistics.bradley_terry takes them.

    Where the metrics agree, or one says nothing, that is the outcome; where they disagree, or none says anything, it is a tie.

    clusters      {clip: its cluster}
    """
    ballots = []
    for label in labels:
        cost = COST[scored[a]["metrics"][label]["better"]]
        one, two = (cost(np.array(scored[run]["metrics"][label]["per_clip"])) for run in (a, b))
        ballots.append(np.sign(two - one))
    outcomes = (np.sign(np.sum(ballots, 0)) + 1) / 2
    return [
        {
            "clip": clip,
            "cluster": clusters[clip],
            "a": a,
            "b": b,
            "outcome": float(outcome),
            "rater": None,
            "source": "metrics",
        }
        for clip, outcome in zip(scored[a]["clips"], outcomes)
    ]


def _predictors(scored: dict, calibration: dict | None, fools: dict, people: bool) -> tuple[dict, dict]:
    """{label: BETTER} of the metrics that predict, and {run: {label: per clip}}: of single clips, that nothing feasible fools, and with a
    value of each run and, where damages teach, of each damage."""
    ladders, first = (
        [] if calibration is None or people else calibration["ladders"].values(),
        next(iter(scored.values())),
    )
    better = {
        label: metric["better"]
        for label, metric in first["metrics"].items()
        if metric["kind"] == "clip"
        and label not in fools
        and all(own["metrics"][label]["value"] is not None for own in scored.values())
        and all(_whole(ladder["metrics"].get(label, {})) for ladder in ladders)
    }
    return better, {run: {label: own["metrics"][label]["per_clip"] for label in better} for run, own in scored.items()}


def _whole(metric: dict) -> bool:
    return metric.get("per_clip") is not None and all(values is not None for values in metric["per_clip"])
