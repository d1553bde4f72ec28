"""What each metric does under damage of known degree: a table of small curves, ladders of damage across and metrics down."""

import math

from v2vbench.report import marks
from v2vbench.report.scores import has_value
from v2vbench.report.tables import counted, two_digits

KINDS = {
    "space": "all frames worse alike",
    "both": "each frame worse in its own way",
    "time": "whole frames at the wrong time",
}
SEES = {"space": "Sees single frames", "time": "Sees time", "both": "Sees both", "neither": "Sees little of either"}
GOOD = {"higher": lambda v: v, "lower": lambda v: -v, "one": lambda v: -abs(math.log(max(v, 1e-9)))}


def board(about: dict, labels: list, titles: dict) -> dict | None:
    """The calibration of one group of compare.json; None where it has none.

    labels    metrics in the order of params.yaml; titles: their names
    """
    if not about.get("calibration"):
        return None
    held, known = about["calibration"]["ladders"], list(KINDS)
    order = sorted(held, key=lambda key: known.index(held[key]["kind"]))
    kinds, rows = [], []
    for key in order:
        name = KINDS[held[key]["kind"]]
        kinds = [*kinds[:-1], (name, kinds[-1][1] + 1)] if kinds and kinds[-1][0] == name else [*kinds, (name, 1)]
    for label in (label for label in labels if has_value(about["metrics"][label])):
        found = [held[key]["metrics"].get(label) for key in order]
        if any(found):
            rows.append({"title": titles[label], "cells": _cells(found, GOOD[about["metrics"][label]["better"]])})
    ladders = [{"title": held[key]["title"], "levels": _levels(held[key])} for key in order]
    return {
        "kinds": kinds,
        "ladders": ladders,
        "rows": rows,
        "words": _words(about, labels, titles),
        "n_frames": about["calibration"]["n_frames"],
        "n": f"{counted(len(ladders), 'ladder')} of damage, {counted(len(rows), 'metric')}",
    }


def _levels(ladder: dict) -> str:
    """The mildest level above 0, which is the untouched video, and the worst in the ladder's own words: "σ 0.5 to 4 px"."""
    levels, unit = ladder["levels"][ladder["levels"][0] == 0 :], ladder["unit"]
    span = " to ".join(f"{level:g}" for level in dict.fromkeys((levels[0], levels[-1])))
    return unit.replace("{}", span) if "{}" in unit else f"{span} {unit}".strip()


def _cells(found: list[dict | None], good) -> list[dict | None]:
    """One metric's curve on each ladder, all between the best and the worst that it says of any damage."""
    curves = [[good(v) for v in held["values"] if marks.finite(v)] if held else [] for held in found]
    every = [height for curve in curves for height in curve] or [0]
    low, span = min(every), (max(every) - min(every)) or 1
    return [
        {
            "drawn": marks.rungs([(height - low) / span for height in curve], held["monotone"]),
            "monotone": held["monotone"],
            "worst": two_digits(held["values"][-1]),
        }
        if curve
        else None
        for held, curve in zip(found, curves)
    ]


def _words(about: dict, labels: list, titles: dict) -> list[tuple[str, str]]:
    """What the ladders and the controls showed, in words: (term, names of metrics)."""
    told, metrics = [], about["metrics"]
    labels = [label for label in labels if has_value(metrics[label])]
    for sees, words in SEES.items():
        if names := [titles[label] for label in labels if metrics[label]["sees"] == sees]:
            told.append((words, "; ".join(names)))
    for key, control in about["controls"].items():
        if names := [titles[label] for label in labels if key in metrics[label]["fooled_by"]]:
            told.append((f"Fooled by {control['title']}", "; ".join(names)))
    return told
