"""The score table of a group: a row a metric under one of two headings; columns are methods, what they are read against, and controls."""

from v2vbench.report import marks
from v2vbench.report.tables import Results, digits, two_digits

HEADINGS = {"fidelity": "Fidelity to the source", "realism": "Realism in space and time"}
SEES = {"space": "sees frames", "time": "sees time", "both": "sees frames and time", "neither": "sees little of either"}
SCOPES = {"clip": "", "set": "of whole sets", "pooled": "all clips pooled"}
SIGNS = {"better": "▲", "worse": "▼", "not distinguishable": "≈"}
CORRECTIONS = {"holm": "Holm", "max-t": "max-t"}
FAMILIES = {"primary": "primary metrics", "exploratory": "exploratory metrics", "controls": "controls"}
BANDS = {True: "controls that never saw the target", False: "controls made from the real video"}
AS_BAD = "as bad as "


def scores(results: Results, about: dict, group: str, labels: list, runs: dict, marked: bool) -> dict:
    """What the template prints of one group's `metrics` and `controls`.

    labels    metrics in the order of params.yaml
    runs      {run: title}, a column each
    marked    whether best and verdicts are told; a sanity check only has values
    """
    metrics, controls = about["metrics"], about["controls"]
    kept, order = shown(about, labels), sorted(controls, key=lambda key: not controls[key]["feasible"])
    sections = {heading: [] for heading in HEADINGS}
    for label in sorted(kept, key=lambda label: not metrics[label]["primary"]):
        sections[metrics[label]["heading"]].append(_row(results, metrics[label], runs, controls, order, marked))
    rows = [row for section in sections.values() for row in section]
    bands = [
        (BANDS[feasible], [controls[key] for key in order if controls[key]["feasible"] is feasible])
        for feasible in BANDS
    ]
    return {
        "sections": [(HEADINGS[heading], own) for heading, own in sections.items() if own],
        "bands": [band for band in bands if band[1]],
        "begins": [0, len(bands[0][1])],
        "reference": runs.get(about["reference"]),
        "alpha": about["alpha"],
        "needed": about["clusters_needed"] if marked else None,
        "families": [
            (FAMILIES[name], CORRECTIONS[own["correction"]], own["n_tests"])
            for name, own in about["families"].items()
            if own["n_tests"]
        ],
        "mute": _alike(
            [(metrics[label]["no_verdict"], metrics[label]["title"]) for label in kept if metrics[label]["no_verdict"]]
        ),
        "missing": _missing(
            results.scores[next(iter(runs))]["groups"][group]["metrics"],
            {label: metrics[label] for label in labels if label not in kept},
        ),
    } | _present(rows)


def _present(rows: list[dict]) -> dict[str, bool]:
    """What the table has anywhere, so that a note below it is due."""
    cells = [cell for row in rows for cell in row["cells"] + row["controls"]]
    verdicts = [cell["verdict"] for cell in cells if cell["verdict"]]
    return (
        {"verdicts": bool(verdicts)}
        | {name: any(verdict[name] for verdict in verdicts) for name in ("detects", "of_method")}
        | {name: any(cell[name] for cell in cells) for name in ("equivalent", "bar", "seeds")}
        | {name: any(row[name] for row in rows) for name in ("primary", "fooled", "real", "floor")}
    )


def has_value(metric: dict) -> bool:
    return not metric.get("absent") and any(marks.finite(row["value"]) for row in metric["rows"].values())


def shown(about: dict, labels: list) -> list[str]:
    """The metrics of a group that have a value, and tell something on its clips."""
    return [label for label in labels if has_value(about["metrics"][label]) and not about["metrics"][label]["hidden"]]


def _row(results: Results, metric: dict, runs: dict, controls: dict, order: list, marked: bool) -> dict:
    own = [metric["rows"][run] for run in runs if run in metric["rows"]]
    detail = [metric["unit"], SEES.get(metric["sees"]), SCOPES[metric["kind"]]]
    return {key: metric[key] for key in ("title", "better", "heading", "primary", "real", "floor")} | {
        "detail": ", ".join(filter(None, detail)),
        "digits": digits(own + ([metric["real"]] if metric["real"] else [])),
        "footnote": results.protocols[metric["protocol"]]["number"],
        "mute": marked and bool(metric["no_verdict"]),
        "fooled": "; ".join(controls[key]["title"] for key in metric["fooled_by"]),
        "cells": [_cell(metric["rows"].get(run), runs, marked) for run in runs],
        "controls": [_cell(metric["controls"].get(key), runs, marked) for key in order],
    }


def _cell(row: dict | None, runs: dict, marked: bool) -> dict:
    """A method's or a control's value of one metric: interval, verdict against the reference, what it is as bad as, spread over seeds."""
    row = row or {
        "value": None,
        "low": None,
        "high": None,
        "best": False,
        "verdict": None,
        "equivalent": None,
        "bar": None,
        "seeds": None,
    }
    return {key: row[key] for key in ("value", "low", "high", "seeds")} | {
        "best": marked and row["best"],
        "verdict": _verdict(row["verdict"], runs) if marked and row["verdict"] else None,
        "equivalent": _equivalent(row["equivalent"]) if row["equivalent"] else None,
        "bar": marks.way(row["bar"]) if marks.finite(row["bar"]) else None,
        "percent": marks.finite(row["bar"]) and round(100 * row["bar"]),
    }


def _verdict(verdict: dict, runs: dict) -> dict:
    """A sign, the words that it stands for, and what could be detected where these do not decide."""
    word, p = verdict["word"], verdict["p"]
    words = f"{word} {'from' if word == 'not distinguishable' else 'than'} {runs.get(verdict['against'], verdict['against'])}"
    told = [words, *([p_value(p)] if marks.finite(p) else []), FAMILIES[verdict["family"]]]
    of_method = verdict["of"] == "method"
    detects = None
    if word == "not distinguishable":
        least = verdict["detectable"]
        detects = f"could detect Δ ≥ {two_digits(least)}" if marks.finite(least) else "could detect no Δ, however large"
    return {
        "kind": word.partition(" ")[0],
        "sign": SIGNS[word],
        "words": ", ".join(told + ["over seeds too"] * of_method),
        "detects": detects,
        "of_method": of_method,
    }


def p_value(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p {p:.3f}"


def _equivalent(equivalent: dict) -> dict:
    """The words without "as bad as", which the table says once for all; how far the interval's ends lie on the ladder."""
    text, low, high = equivalent["text"], equivalent["low"], equivalent["high"]
    span = f"{low:.3g} to {high:.3g}" if marks.finite(low) and marks.finite(high) else None
    before, as_bad, after = text.partition(AS_BAD)
    return {
        "whole": text,
        "before": before if as_bad else "",
        "as_bad": as_bad,
        "text": after if as_bad else before,
        "span": span,
    }


def _missing(scored: dict, metrics: dict) -> dict:
    """Metrics that are not in the table, alike ones together: {"absent", "hidden", "other": [(titles, why)]}.

    absent    their weights are
    hidden    they tell nothing on these clips
    other     no value
    scored    what metrics/runs/ holds of them for one run, which may say why
    """
    found = {"absent": [], "hidden": [], "other": []}
    for label, metric in metrics.items():
        kind = "absent" if metric["absent"] else "hidden" if metric["hidden"] else "other"
        why = metric["absent"] or metric["hidden"] or scored.get(label, {}).get("note") or "no value"
        found[kind].append((why, metric["title"]))
    return {kind: _alike(pairs) for kind, pairs in found.items()}


def _alike(pairs: list[tuple[str, str]]) -> list[tuple[list[str], str]]:
    """[(titles, why)] of [(why, title)]."""
    found = {}
    for why, title in pairs:
        found.setdefault(why, []).append(title)
    return [(titles, why) for why, titles in found.items()]
