"""Tables 1 to 3 of vid2vid's paper as data, and beside each figure what a suite found, by which protocol, and whether the same one leads.

Only the same kind of measurement can agree with the paper: a video FID by the same kind of network. What stands in for another, votes of
metrics for people's or a distance of other features, is laid beside and tests nothing.

Wang et al. 2018, "Video-to-Video Synthesis", figures of the main text. The appendix has one more table, of Apolloscape; its figures
could not be checked and are not here. Nothing is published of faces, poses or styles.
"""

from dataclasses import dataclass

from v2vbench.statistics.intervals import interval, ratio

DISTANCES = {
    ("Table 1", "I3D"): {"vid2vid": 4.66, "pix2pixHD": 5.57, "COVST": 5.55},  # "Fréchet Inception Distance", of videos
    ("Table 1", "ResNeXt"): {"vid2vid": 0.15, "pix2pixHD": 0.18, "COVST": 0.18},
    ("Table 3", "I3D"): {"vid2vid": 3.44, "PredNet": 11.18, "MCNet": 10.00},
    ("Table 3", "ResNeXt"): {"vid2vid": 0.18, "PredNet": 0.59, "MCNet": 0.43},
}
PREFERENCES = {
    ("Table 1", "short sequences"): {"pix2pixHD": 0.87, "COVST": 0.84},  # share for vid2vid against each
    ("Table 1", "long sequences"): {"pix2pixHD": 0.83, "COVST": 0.80},
    ("Table 2", "ablation"): {
        "no background-foreground prior": 0.80,
        "no conditional video discriminator": 0.84,
        "no flow warping": 0.67,
    },
    ("Table 3", "prediction"): {"PredNet": 0.92, "MCNet": 0.98},
}
LABELS = {"I3D": "vfid_i3d", "ResNeXt": "vfid_resnext101"}  # lines of `metrics` of the same kind
STAND_INS = ("fed_windows", "ked_windows")  # of another kind, for Table 1
POOLED = {"I3D": 1024, "ResNeXt": 2048}  # features of the last layer before classes
TITLES = {
    "no background-foreground prior": ("no foreground prior",),
    "no conditional video discriminator": ("no video discriminator",),
}
OURS = {
    "Table 2": ("short vid2vid", "vid2vid"),  # for vid2vid: where there is one, the ablations' equal in training
    "Table 3": ("labels forecast, then vid2vid",),
}
SAME, OTHER, UNSURE = "the same one leads", "the other one leads", "not distinguishable"


@dataclass(frozen=True)
class Entry:
    """Two methods that the paper holds against each other; vid2vid is the first."""

    table: str
    of: str  # the column: I3D, ResNeXt, or which votes
    other: str
    published: dict[str, float]

    @property
    def votes(self) -> bool:
        return (self.table, self.of) in PREFERENCES


ENTRIES = [
    Entry(*column, other, {"vid2vid": values["vid2vid"], other: values[other]})
    for column, values in DISTANCES.items()
    for other in values
    if other != "vid2vid"
]
ENTRIES += [
    Entry(*column, other, {"vid2vid": won, other: round(1 - won, 2)})
    for column, values in PREFERENCES.items()
    for other, won in values.items()
]
ENTRIES.sort(key=lambda entry: entry.table)


def runs(entry: Entry, titles: dict[str, str]) -> dict[str, str]:
    """{method: run} of an entry's two methods, without those that no run is titled as; `titles` of the runs of one data set."""
    named = {title: run for run, title in reversed(titles.items())}
    found = {"vid2vid": OURS.get(entry.table, ("vid2vid",)), entry.other: TITLES.get(entry.other, (entry.other,))}
    return {
        method: next(named[title] for title in wanted if title in named)
        for method, wanted in found.items()
        if any(title in named for title in wanted)
    }


def pairs(titles: dict[str, str]) -> list[tuple[str, str]]:
    """Runs of one data set between which the paper has people's votes: votes of metrics have to be held between them too."""
    found = [tuple(runs(entry, titles).values()) for entry in ENTRIES if entry.votes]
    return [pair for pair in dict.fromkeys(found) if len(pair) == 2]


def ledger(dataset: str, group: str, table: dict, raw: dict, titles: dict[str, str], confidence: float) -> list[dict]:
    """Every entry of the paper beside one group of test clips of a benchmark data set, and rows of stand-ins.

    dataset, group    their keys in metrics/compare.json
    table             the group there
    raw               {label: {run: Estimate}}, of which ratios are made
    titles            {run: title} of the runs on the data set
    returns           [{"table", "what", "dataset", "group", "methods": [first, second], "published": {method: value}, "published_ratio":
                      of the first to the second, "label": of our metric, "ours": {method: {"value", "low", "high"}} or None, "absent": why
                      something is missing, "ratio": {"value", "low", "high"} or None, "agrees": SAME, OTHER, UNSURE or None, "within":
                      whether the published ratio lies in our interval, "difference", "stand_in"}]. A stand-in is another measure: a
                      distance of other features has no published values beside it, shares of metrics' votes have the people's. It never
                      agrees or disagrees: "agrees" and "within" are None
    """
    rows = []
    for entry in ENTRIES:
        held = runs(entry, titles)
        missing = [method for method in (entry.other, "vid2vid") if method not in held]
        absent = f"not run in this suite: {_named(entry, missing[0])}" if missing else None
        first, second = entry.published.values()
        row = {
            "table": entry.table,
            "dataset": dataset,
            "group": group,
            "methods": list(entry.published),
            "published": entry.published,
            "published_ratio": first / second,
            "label": LABELS.get(entry.of),
            "ours": None,
            "absent": absent,
            "ratio": None,
            "agrees": None,
            "within": None,
            "stand_in": entry.votes,
        }
        if entry.votes:
            rows.append(
                row
                | _votes(entry, table, held, absent)
                | {
                    "what": f"human preference, {entry.of}; ours are votes of metrics, no human's",
                    "difference": _asked(entry, dataset, table, titles, held),
                }
            )
            continue
        rows.append(
            row
            | _distance(row["label"], table, raw, held, absent, confidence, first / second)
            | {"what": f"video FID, {entry.of}", "difference": _measured(entry, dataset, table)}
        )
        if entry.table == "Table 1" and entry.of == "I3D" and not missing:
            for label, metric in ((label, table["metrics"][label]) for label in STAND_INS if label in table["metrics"]):
                rows.append(
                    row
                    | _distance(label, table, raw, held, absent, confidence, None)
                    | {
                        "published": {},
                        "published_ratio": None,
                        "label": label,
                        "stand_in": True,
                        "agrees": None,
                        "within": None,
                        "what": f"instead of a video FID: {metric['title']}",
                        "difference": f"Another measure, {metric['protocol']}: no published value belongs beside it, and it is no test of the "
                        f"paper's claim that vid2vid is nearer to the real videos than {entry.other} by I3D and by ResNeXt.",
                    }
                )
    return rows


def _named(entry: Entry, method: str) -> str:
    return "prediction by vid2vid among the runs" if (entry.table, method) == ("Table 3", "vid2vid") else method


def _distance(
    label: str, table: dict, raw: dict, held: dict, absent: str | None, confidence: float, published: float | None
) -> dict:
    """What we found of one distance: the paper says in each that vid2vid's is the lower one."""
    metric = table["metrics"].get(label)
    if metric is None:
        return {"absent": "; ".join(filter(None, [absent, f"{label} is no metric of this suite"]))}
    own = {method: metric["rows"][run] for method, run in held.items() if run in raw[label]}
    found = {
        "ours": {method: {end: row[end] for end in ("value", "low", "high")} for method, row in own.items()} or None
    }
    if len(own) < len(held):
        absent = "; ".join(filter(None, [absent, metric.get("absent") or "no value"]))
    if absent:
        return found | {"absent": absent}
    a, b = (raw[label][run] for run in held.values())
    if min(len(a.replicates), len(b.replicates)) < 2:
        return found | {"agrees": UNSURE}
    times, apart = ratio(a, b, confidence), interval(a - b, confidence)
    return found | {
        "agrees": SAME if apart["high"] < 0 else OTHER if apart["low"] > 0 else UNSURE,
        "ratio": times and dict(zip(("value", "low", "high"), map(float, times))),
        "within": bool(times[1] <= published <= times[2]) if times and published else None,
    }


def _votes(entry: Entry, table: dict, held: dict, absent: str | None) -> dict:
    """Our share of clips on which metrics prefer vid2vid, beside the paper's share of people's votes: neither tests the other."""
    if entry.of == "long sequences":
        return {"absent": "no sequences of 600 to 1200 frames are scored in this suite"}
    if absent:
        return {"absent": absent}
    a, b = held.values()
    for pair in table["preference"]["pairs"]:
        if {pair["a"], pair["b"]} == {a, b}:
            share, low, high = (pair[end] for end in ("share", "low", "high"))
            if pair["a"] != a:
                share, low, high = 1 - share, 1 - high, 1 - low
            odds = (
                {"value": share / (1 - share), "low": low / (1 - low), "high": high / (1 - high)}
                if 0 < share < 1
                else None
            )
            return {
                "ratio": odds,
                "ours": {
                    "vid2vid": {"value": share, "low": low, "high": high},
                    entry.other: {"value": 1 - share, "low": 1 - high, "high": 1 - low},
                },
            }
    reason = table["preference"].get("reason")
    return {"absent": f"no votes: {reason}" if reason else "no votes are held between these two in this suite"}


def _measured(entry: Entry, dataset: str, table: dict) -> str:
    """How the two measurements of one distance differ, in words."""
    metric, clips = table["metrics"].get(LABELS[entry.of]), f"{table['n_clips']} clip{'s' * (table['n_clips'] != 1)}"
    paper = (
        f"Paper: Cityscapes, it seems 500 validation clips of 30 frames; {entry.of} without its last layers. Which layers, weights, "
        f"clip length and size was never said. 500 clips are fewer than {POOLED[entry.of]} pooled features: the covariance is "
        "not of full rank, and the value depends on the number of clips."
    )
    if entry.table == "Table 3":
        return f"{paper} How many frames were seen and predicted is not said either."
    how = f", {metric['protocol']}" if metric else ""
    return f"{paper} Here: {clips} of {dataset}{how}; trained as long as this suite's schedules say."


def _asked(entry: Entry, dataset: str, table: dict, titles: dict, held: dict) -> str:
    """How votes of metrics differ from the paper's votes of people, in words."""
    voters = " and ".join(table["metrics"][label]["title"] for label in table["preference"]["metrics"])
    paper = (
        "Paper: Cityscapes; 10 people a question chose the video that looks more like one of a real camera. How many pairs, and any "
        "interval, is not said."
    )
    here = (
        f"Here: no one was asked; {voters or 'no metric'} voted on {table['n_clips']} clips of {dataset}, by rule. What formulas "
        "prefer is no test of what people did."
    )
    title = titles.get(held.get("vid2vid"), "vid2vid")
    instead = (
        f" For vid2vid stands {title}, trained as the ablations were."
        if entry.table == "Table 2" and title != "vid2vid"
        else ""
    )
    return paper if entry.of == "long sequences" or entry.table == "Table 3" else f"{paper} {here}{instead}"
