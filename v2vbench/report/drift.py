"""What happens to the scores along the clip: each method's second half less its first half."""

from v2vbench.report import marks
from v2vbench.report.tables import digits

GAINS = {"higher": 1, "lower": -1}  # the sign of a rise that is a gain; of a ratio neither is


def drift(about: dict, labels: list, runs: dict, marked: bool) -> dict | None:
    """The `drift` of one group of compare.json: {"rows": a metric each, "methods": titles}; None where no metric has one.

    labels    metrics to tell of, in the order of params.yaml
    marked    whether a drift whose interval leaves out 0 is marked
    """
    rows = []
    for label in labels:
        metric = about["metrics"][label]
        if held := metric["drift"]:
            cells = [held.get(run) or {"value": None, "low": None, "high": None} for run in runs]
            rows.append(
                {key: metric[key] for key in ("title", "unit", "better")}
                | {
                    "digits": digits(cells),
                    "cells": [cell | {"sure": marked and _word(cell, metric["better"])} for cell in cells],
                }
            )
    return {"rows": rows, "methods": list(runs.values())} if rows else None


def _word(cell: dict, better: str) -> str | None:
    """What a drift whose interval leaves out 0 is: better or worse towards the end, or, of a ratio, only clear."""
    if not marks.finite(cell["low"]) or cell["low"] <= 0 <= cell["high"]:
        return None
    return {1: "better", -1: "worse", 0: "clear"}[GAINS.get(better, 0) * (1 if cell["low"] > 0 else -1)]
