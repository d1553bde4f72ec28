"""Which of two methods is preferred: votes of metrics, the ranking that follows from them, and chances learned from what is known."""

from v2vbench.report import charts, marks
from v2vbench.report.tables import Results

TEACHERS = {
    "people": ("Learned from people.", "People's votes on pairs of videos taught it."),
    "simulated raters": (
        "Simulated raters taught it, no person did.",
        "It shows that the arithmetic works, and nothing about what people prefer.",
    ),
    "damages of known order": (
        "Learned from damage, not from people.",
        "It was taught on real clips with more and with less damage, where the better one is known without asking "
        "anyone. Whether people would choose alike is not known.",
    ),
}
OBSERVED = {"damages of known order": "less damaged", "people": "preferred", "simulated raters": "preferred"}


def preference(results: Results, about: dict, runs: dict) -> dict | None:
    """The preference part of one group: {"cluster", "reason", "headings", "voters", "pairs", "ranking", "win"}; None where it is empty.

    cluster    the word for clips that are alike
    reason     why there are no votes, as a sentence, or ""
    headings   [{"name", "voter": title or None, "passed_over": [(title, why)]}]
    """
    held = about.get("preference") or {}
    title = {label: metric["title"] for label, metric in about["metrics"].items()}
    told = {
        "cluster": about.get("cluster", "cluster"),
        "reason": sentence(held.get("reason")),
        "voters": [title[label] for label in held.get("metrics", ())],
        "headings": [
            {
                "name": heading,
                "voter": title.get(own["label"]),
                "passed_over": [(title.get(label, label), why) for label, why in own["passed_over"].items()],
            }
            for heading, own in (held.get("voters") or {}).items()
        ],
        "pairs": [_pair(results, pair, runs) for pair in held.get("pairs") or ()],
        "ranking": _ranking(results, held.get("ranking"), runs),
        "win": _win(results, held.get("win"), runs),
    }
    return told if told["reason"] or told["pairs"] or told["ranking"] or told["win"] else None


def _turned(pair: dict, share: str) -> tuple:
    """a, b, share of a, low, high, with the preferred run first, as the paper prints it."""
    a, b, value, low, high = (pair[key] for key in ("a", "b", share, "low", "high"))
    if marks.finite(value) and value < 0.5:
        a, b, value = b, a, 1 - value
        low, high = (None if v is None else 1 - v for v in (high, low))
    return a, b, value, low, high


def _pair(results: Results, pair: dict, runs: dict, share: str = "share") -> dict:
    """One row of a table of pairs."""
    a, b, value, low, high = _turned(pair, share)
    bar = (
        marks.share(results.methods[runs[a]], results.methods[runs[b]], value, low, high) if marks.finite(value) else ""
    )
    return {
        "a": runs[a],
        "b": runs[b],
        "share": value,
        "low": low,
        "high": high,
        "n_clips": pair["n_clips"],
        "n_clusters": pair.get("n_clusters"),
        "bar": bar,
        "first_frames": " / ".join(results.compare["runs"][run]["first_frames"] for run in (a, b)),
        "decided": marks.finite(low) and low > 0.5,
    }


def sentence(text: str | None) -> str:
    """A note as a sentence of its own."""
    return f"{text[0].upper()}{text[1:].rstrip('.')}." if text else ""


def _ranking(results: Results, ranking: dict | None, runs: dict) -> dict | None:
    """Strengths best first as a chart; runs without votes stand last."""
    if not ranking or not ranking["runs"]:
        return None
    held = sorted(ranking["runs"], key=lambda row: -row["strength"] if marks.finite(row["strength"]) else float("inf"))
    rows = [
        (
            runs[row["run"]],
            results.methods[runs[row["run"]]],
            {"value": row["strength"], "low": row["low"], "high": row["high"]},
        )
        for row in held
    ]
    return {key: ranking[key] for key in ("model", "votes", "connected")} | {
        "note": sentence(ranking["note"]),
        "chart": charts.intervals("strength, Elo points", rows, None, "higher", 0),
    }


def _win(results: Results, win: dict | None, runs: dict) -> dict | None:
    """Chances of winning, how good they were where the answer is known, and loudly who taught them."""
    if not win:
        return None
    teacher = win["learned_from"]
    loud, told = TEACHERS.get(teacher, (f"Learned from {teacher}.", ""))
    curve = (
        charts.reliability("foretold and found", win["curve"], OBSERVED.get(teacher, "won")) if win["curve"] else None
    )
    pairs = [_pair(results, pair, runs, "p") | {"n_no_evidence": pair["n_no_evidence"]} for pair in win["pairs"]]
    return {
        "loud": loud,
        "told": told,
        "human": teacher == "people",
        "accuracy": win["accuracy"],
        "log_loss": win["log_loss"],
        "note": sentence(win["note"]),
        "curve": curve,
        "n": sum(point["n"] or 0 for point in win["curve"]),
        "pairs": pairs,
        "no_evidence": any(pair["n_no_evidence"] for pair in win["pairs"]),
    }
