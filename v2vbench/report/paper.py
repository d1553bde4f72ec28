"""The paper's tables beside this suite's numbers: what was published, what was found here, and how the two measurements differ."""

from v2vbench.report import marks
from v2vbench.report.tables import Results, digits

PARTS = (
    (False, "The paper's measure"),
    (True, "another measure, laid beside: no test of the paper's claim, whoever leads"),
)
BESIDE = "beside it; tests nothing"
WITHIN = {
    True: "the published one lies in our interval",
    False: "the published one lies outside our interval",
    None: None,
}


def ledger(results: Results) -> dict | None:
    """compare.json's `ledger`, ready to print; None where it is empty.

    returns    {"parts": [{"title", "stand_in", "entries"}]: the paper's own kind of measure, then stand-ins, "nothing": entries that have
               nothing of ours beside them, as (what, published, why), "notes": how measurements differ, to which entries refer by number}
    """
    entries, notes = {}, {}
    for raw in results.compare.get("ledger") or ():
        entry = _entry(results, raw)
        entry["note"] = notes.setdefault(raw["difference"], len(notes) + 1)
        same = (entry["head"], tuple(raw["methods"]), entry["absent"], entry["found"] and entry["where"])
        if same in entries:  # nothing is here of several groups: one line for all
            entries[same]["where"] += f"; {entry['where']}"
        entries.setdefault(same, entry)
    shown = [entry for entry in entries.values() if entry["found"] or entry["fetched"]]
    parts = [
        {"title": title, "stand_in": stand_in, "entries": [entry for entry in shown if entry["stand_in"] is stand_in]}
        for stand_in, title in PARTS
    ]
    nothing = {
        (entry["head"], entry["told"], entry["absent"] or "not measured"): None
        for entry in entries.values()
        if entry not in shown
    }
    used = {number: i for i, number in enumerate(sorted({entry["note"] for entry in shown}), 1)}
    for entry in shown:
        entry["note"] = used[entry["note"]]
    told = {
        "parts": [part for part in parts if part["entries"]],
        "nothing": list(nothing),
        "notes": [text for text, number in notes.items() if number in used],
    }
    return told if entries else None


def _entry(results: Results, entry: dict) -> dict:
    """One line of the ledger: of each method what was published and what was found; `fetched`: only weights are missing."""
    dataset = results.compare["datasets"][entry["dataset"]]
    group = dataset["groups"][entry["group"]]
    metric, nothing = group["metrics"].get(entry["label"]), {"value": None, "low": None, "high": None}
    protocol = results.protocols.get(metric["protocol"]) if metric else None
    own = {method: (entry["ours"] or {}).get(method) or nothing for method in entry["methods"]}
    known = [f"{method} {entry['published'][method]:g}" for method in entry["methods"] if method in entry["published"]]
    verdict = "; ".join(filter(None, (entry["agrees"], WITHIN[entry.get("within")])))
    return {key: entry[key] for key in ("table", "what", "published_ratio", "absent", "ratio", "stand_in")} | {
        "head": f"{entry['table']}: {entry['what']}",
        "told": ", ".join(known),
        "agrees": BESIDE if entry["stand_in"] else verdict,
        "where": ", ".join(filter(None, (dataset["title"], group["title"]))),
        "measured": metric and metric["title"],
        "footnote": protocol and protocol["number"],
        "digits": digits(list(own.values())),
        "found": any(marks.finite(row["value"]) for row in own.values()),
        "fetched": bool(metric and metric.get("absent") and metric["absent"] == entry["absent"]),
        "methods": [
            {"title": method, "published": entry["published"].get(method), "ours": row} for method, row in own.items()
        ],
    }
