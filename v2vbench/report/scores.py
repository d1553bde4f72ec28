"""The score table of a group: a row a metric; columns are the methods, then what they are read against, then the cheats."""
from v2vbench.report import marks
from v2vbench.report.tables import Results, digits
from v2vbench.sentences import decisive

AGAINST = "Against the same real frames, clip by clip"
ALONE = "Of the video alone, the real video's own value beside it"
SETS = "Distances between whole sets of clips"
SEES = {"space": "sees frames", "time": "sees time", "both": "sees frames and time", "neither": "sees little of either"}
SIGNS = {"better": "▲", "worse": "▼", "not distinguishable": "≈"}
CORRECTIONS = {"holm": "Holm", "max-t": "Westfall and Young's max-T"}
AS_BAD = "as bad as "


def scores(results: Results, about: dict, group: str, labels: list, runs: dict, marked: bool) -> dict:
    """What the template prints of one group's `metrics` and `cheats`.

    labels    metrics in the order of params.yaml
    runs      {run: title}, a column each
    marked    whether best, verdicts and cheats that win are told; a sanity check only has values
    """
    told = [label for label in labels if has_value(about["metrics"][label])]
    cheats, reference = about.get("cheats") or {}, about.get("reference")
    sections = {}
    for label in told:
        metric = about["metrics"][label]
        kind = SETS if metric["kind"] == "set" else ALONE if metric["real"] else AGAINST
        sections.setdefault(kind, []).append(_row(results, label, metric, runs, cheats, marked) | {"kind": kind})
    rows = [row for section in sections.values() for row in section]
    return {"sections": [(kind, sections[kind]) for kind in (AGAINST, ALONE, SETS) if kind in sections],
            "real": any(row["real"] for row in rows), "floor": any(row["floor"] for row in rows),
            "cheats": [{"title": cheat["title"], "about": cheat["about"]} for cheat in cheats.values()],
            "n_metrics": len(rows), "n_unsafe": sum(bool(row["unsafe"]) for row in rows),
            "reference": runs.get(reference), "verdicts": any(cell["verdict"] for row in rows for cell in row["cells"]),
            "equivalents": any(cell["equivalent"] for row in rows for cell in row["cells"]),
            "n_tests": about.get("n_tests"), "correction": CORRECTIONS.get(about.get("correction", "holm")), "alpha": about.get("alpha"),
            "missing": _missing(results.scores[next(iter(runs))]["groups"][group]["metrics"], {
                label: about["metrics"][label] for label in labels if label not in told})}


def has_value(metric: dict) -> bool:
    return not metric.get("absent") and any(marks.finite(row["value"]) for row in metric["rows"].values())


def _row(results: Results, label: str, metric: dict, runs: dict, cheats: dict, marked: bool) -> dict:
    own, floor = [metric["rows"][run] for run in runs if run in metric["rows"]], metric.get("floor")
    cheated = [cheat["metrics"].get(label) for cheat in cheats.values()]
    titles = {key: cheat["title"] for key, cheat in cheats.items()}
    return {key: metric[key] for key in ("title", "unit", "better", "real")} | {
        "digits": digits(own + ([metric["real"]] if metric["real"] else [])), "floor": floor,
        "footnote": results.protocols[metric["protocol"]]["number"], "sees": SEES.get(metric.get("sees")),
        "unsafe": [titles.get(key, key) for key in metric.get("unsafe") or ()] if marked else [],
        "cells": [_cell(metric["rows"].get(run), runs, marked) for run in runs],
        "cheats": [{"value": cell["value"], "wins": marked and cell["wins"]} if cell else None for cell in cheated]}


def _cell(row: dict | None, runs: dict, marked: bool) -> dict:
    """One method's value of one metric, its interval, its verdict against the first method, and what it is as bad as."""
    row = row or {"value": None, "low": None, "high": None, "best": False}
    equivalent = row.get("equivalent")
    return {key: row[key] for key in ("value", "low", "high")} | {
        "best": marked and row["best"], "verdict": _verdict(row.get("verdict"), runs) if marked else None,
        "equivalent": equivalent and _equivalent(equivalent)}


def _verdict(verdict: dict | None, runs: dict) -> dict | None:
    """A sign, the words that it stands for, and how many clips would decide where these do not."""
    if not verdict:
        return None
    word, clips, p = verdict["word"], verdict.get("clips_needed"), verdict.get("p")
    words = f"{word} {'from' if word == 'not distinguishable' else 'than'} {runs.get(verdict['against'], verdict['against'])}"
    told = [words, p_value(p)] if marks.finite(p) else [words]
    decided = word != "not distinguishable" or not clips
    return {"kind": word.partition(" ")[0], "sign": SIGNS[word], "words": ", ".join(told),
            "clips": None if decided else f"{decisive(clips).removeprefix('about ').replace('more than ', '>')} clips to decide"}


def p_value(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p {p:.3f}"


def _equivalent(equivalent: dict) -> dict:
    """The words without "as bad as", which the table says once for all; how far the interval's ends lie on the ladder."""
    text, low, high = equivalent["text"], equivalent.get("low"), equivalent.get("high")
    span = f"{low:.3g} to {high:.3g}" if marks.finite(low) and marks.finite(high) else None
    return {"text": text.removeprefix(AS_BAD), "prefix": AS_BAD if text.startswith(AS_BAD) else "", "span": span}


def _missing(scored: dict, metrics: dict) -> dict:
    """Metrics without a value: those whose weights are absent, then others; {"absent", "other": [(titles, why)]}, alike ones together.

    scored    what metrics/runs/ holds of them for one run, which may say why
    """
    found = {"absent": {}, "other": {}}
    for label, metric in metrics.items():
        why = metric.get("absent")
        note = scored.get(label, {}).get("note") or "no value"
        found["absent" if why else "other"].setdefault(why or note, []).append(metric["title"])
    return {kind: [(titles, why) for why, titles in lines.items()] for kind, lines in found.items()}
