"""Votes between methods: of people where some were asked, else of metrics; and what each group of compare.json tells of them.

What metrics say is no human preference, and is never added to one.
"""
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from v2vbench import win
from v2vbench.intervals import share
from v2vbench.metrics import COST
from v2vbench.params import Fault, Range, Share
from v2vbench.rank import rank


@dataclass(frozen=True, kw_only=True)
class Preference:
    """Section `preference` of params.yaml."""
    metrics: list[str]                     # the per-clip metrics that vote, one vote each
    tie: Share                             # a clip is a tie where the majority leads by no more than this share of the voters
    ridge: Annotated[float, Range(1e-3)]   # 1 / variance of the prior on a method's strength in log odds
    win: win.Win


def of_group(scored: dict, pairs: list[tuple[str, str]], calibration: dict | None, people: list[dict], settings: Preference,
             confidence: float) -> dict:
    """Part "preference" of one group in metrics/compare.json.

    scored        {run: its group in metrics/runs/<run>.json}
    pairs         (a, b) of runs: who is held against whom
    calibration   the group in metrics/calibrate/<dataset>.json, or None
    people        votes of people; those on other clips or runs are left out. [] where no one was asked
    returns       {"metrics": voters that are defined here, "pairs": [{"a", "b", "share", "low", "high", "n_clips"}], "ranking": `rank`
                  of the votes of metrics, "people": `rank` of those of people or None, "win": {"model": see `win.learn`, "pairs":
                  [{"a", "b", and see `win.pairs`}]} or None where there is nothing to learn from}
    """
    first = next(iter(scored.values()))
    voters = [label for label in settings.metrics if label in first["metrics"]]
    votes = {(a, b): metric_votes(scored, a, b, voters, settings.tie) for a, b in pairs if voters}
    counted = [{"a": a, "b": b} | share(np.array([vote["outcome"] for vote in own]), confidence) for (a, b), own in votes.items()]
    people = [vote for vote in people if vote["clip"] in first["clips"] and vote["a"] in scored and vote["b"] in scored]
    ladders = [] if calibration is None else list(calibration["ladders"].values())
    better = {label: metric["better"] for label, metric in first["metrics"].items()
              if metric["kind"] == "clip" and all(own["metrics"][label]["value"] is not None for own in scored.values())
              and (people or all(label in ladder["metrics"] and _whole(ladder["metrics"][label]) for ladder in ladders))}
    values = {run: {label: own["metrics"][label]["per_clip"] for label in better} for run, own in scored.items()}
    known = win.of_votes(people, values, first["clips"], better) if people else win.of_damages(calibration, better) if ladders else None
    model = win.learn(known, settings.win, confidence) if known and better else None
    return {"metrics": voters, "pairs": counted,
            "ranking": rank(sum(votes.values(), []), list(scored), ridge=settings.ridge, confidence=confidence),
            "people": rank(people, list(scored), ridge=settings.ridge, confidence=confidence) if people else None,
            "win": model and {"model": model, "pairs": [{"a": a, "b": b} | win.pairs(model, values[a], values[b], settings.win, confidence)
                                                        for a, b in pairs]}}


def metric_votes(scored: dict, a: str, b: str, voters: list[str], tie: Share) -> list[dict]:
    """The vote of each clip between two runs, that of most of its metrics, as v2vbench.rank takes them."""
    ballots = []
    for label in voters:
        one, two = scored[a]["metrics"][label], scored[b]["metrics"][label]
        if one["kind"] != "clip":
            raise Fault(f"preference: {label} has one value for all clips; only metrics of single clips vote")
        if one["value"] is None or two["value"] is None:
            raise Fault(f"preference: {label} has no value of {a if one['value'] is None else b}; take it out of preference.metrics")
        cost = COST[one["better"]]
        ballots.append(np.sign(cost(np.array(two["per_clip"])) - cost(np.array(one["per_clip"]))))
    lead = np.mean(ballots, 0)
    outcomes = (np.sign(np.where(np.abs(lead) > tie + 1e-9, lead, 0)) + 1) / 2
    return [{"clip": clip, "a": a, "b": b, "outcome": float(outcome), "rater": None, "source": "metrics"}
            for clip, outcome in zip(scored[a]["clips"], outcomes)]


def _whole(metric: dict) -> bool:
    return metric.get("per_clip") is not None and all(values is not None for values in metric["per_clip"])
