"""What each metric does under damage of known degree: a table of small curves, ladders of damage across and metrics down."""
import math

from v2vbench.report import marks
from v2vbench.report.scores import has_value
from v2vbench.report.tables import counted

KINDS = {"space": "all frames worse alike", "both": "each frame worse in its own way", "time": "whole frames at the wrong time"}
SEES = {"space": "Sees single frames", "time": "Sees time", "both": "Sees both", "neither": "Sees little of either"}
GOOD = {"higher": lambda v: v, "lower": lambda v: -v, "one": lambda v: -abs(math.log(max(v, 1e-9)))}


def board(about: dict, labels: list, titles: dict, marked: bool) -> dict | None:
    """The calibration of one group of compare.json; None where it has none.

    labels    metrics in the order of params.yaml; titles: their names
    marked    whether cheats that win are told
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
    return {"kinds": kinds, "ladders": ladders, "rows": rows, "words": _words(about, labels, titles, marked),
            "n_frames": about["calibration"].get("n_frames"),
            "n": f"{counted(len(ladders), 'ladder')} of damage, {counted(len(rows), 'metric')}"}


def _levels(ladder: dict) -> str:
    """The mildest level above 0, which is the untouched video, and the worst in the ladder's own words: "σ 0.5 to 4 px"."""
    levels, unit = ladder["levels"][ladder["levels"][0] == 0:], ladder["unit"]
    span = " to ".join(f"{level:g}" for level in dict.fromkeys((levels[0], levels[-1])))
    return unit.replace("{}", span) if "{}" in unit else f"{span} {unit}".strip()


def _cells(found: list[dict | None], good) -> list[dict | None]:
    """One metric's curve on each ladder, all between the best and the worst that it says of any damage."""
    curves = [[good(v) for v in held["values"] if marks.finite(v)] if held else [] for held in found]
    every = [height for curve in curves for height in curve] or [0]
    low, span = min(every), (max(every) - min(every)) or 1
    return [{"drawn": marks.rungs([(height - low) / span for height in curve], held["monotone"]), "monotone": held["monotone"],
             "worst": two_digits(held["values"][-1])} if curve else None for held, curve in zip(found, curves)]


def two_digits(value: float | None) -> str:
    """Two significant digits, all digits before the point, no exponent."""
    if not marks.finite(value):
        return "–"
    decimals = max(0, 1 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{value:.{min(decimals, 5)}f}".replace("-", "−")


def _words(about: dict, labels: list, titles: dict, marked: bool) -> list[tuple[str, str]]:
    """What the ladders and the cheats showed, in words: (term, names of metrics)."""
    told, metrics, cheats = [], about["metrics"], about.get("cheats") or {}
    labels = [label for label in labels if has_value(metrics[label])]
    for sees, words in SEES.items():
        if names := [titles[label] for label in labels if metrics[label].get("sees") == sees]:
            told.append((words, "; ".join(names)))
    won = {label: [cheats[key]["title"] if key in cheats else key for key in metrics[label].get("unsafe") or ()] for label in labels}
    if names := [f"{titles[label]} ({', '.join(by)})" for label, by in won.items() if by]:
        told += [("A cheat wins", "; ".join(names))] if marked else []
    return told
