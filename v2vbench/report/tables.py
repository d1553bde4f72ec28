"""What the page's tables and figures hold: the numbers of metrics/, in the order of params.yaml, ready to print."""
import hashlib
import math
from dataclasses import dataclass
from functools import cached_property
from statistics import median

from v2vbench import clips
from v2vbench.params import Params
from v2vbench.report import charts, marks

FEW = 30         # clips: fewer are worth a word of caution
FIRST = 3        # sentences of a group that stand at the top; the others unfold


@dataclass(frozen=True)
class Results:
    """All that was found out, and how the report numbers it."""
    params: Params
    compare: dict                        # metrics/compare.json
    scores: dict[str, dict]              # metrics/runs/<run>.json
    future: list[dict]                   # metrics/future/<prediction>.json
    stores: dict[str, clips.Store]       # of each data set
    fakes: dict[str, clips.Store]        # of each run
    restyled: dict[str, clips.Store]     # of each line of `styles`

    @cached_property
    def methods(self) -> dict[str, int]:
        """Each method's number, that is its colour, marker and dash: by title, so the same on every data set."""
        titles = [self.compare["runs"][run]["title"] for run in ordered(self.compare["runs"], self.params.runs)]
        for prediction in self.future:
            for group in prediction["groups"].values():
                titles += [title for metric in group["metrics"].values() for title in metric["methods"]]
        titles += [line.title for line in (self.params.runs | self.params.forecasts).values()]
        return {title: i for i, title in enumerate(dict.fromkeys(titles))}

    @cached_property
    def protocols(self) -> dict[str, dict]:
        """Every protocol id on the page: its footnote's number, and whose it is."""
        holders = [*self.compare["datasets"].values(), *self.future]
        groups = [group for holder in holders for group in holder["groups"].values()]
        found = {}
        for label in ordered({label for group in groups for label in group["metrics"]}, self.params.metrics):
            for group in groups:
                if metric := group["metrics"].get(label):
                    found.setdefault(metric["protocol"], {"number": len(found) + 1, "title": metric["title"]})
        return found


class Captions:
    """Numbers tables and figures as they come: {{ caption("Table") }}."""

    def __init__(self):
        self.last = {}

    def __call__(self, kind: str) -> str:
        self.last[kind] = self.last.get(kind, 0) + 1
        return f"{kind} {self.last[kind]}"


def number(value: float | None, digits: int) -> str:
    """With a fixed number of decimals and a true minus sign; a dash where there is none."""
    return f"{value:.{digits}f}".replace("-", "−") if marks.finite(value) else "–"


def brief(value: float) -> str:
    """Three significant digits, without an exponent."""
    return number(value, max(0, 2 - math.floor(math.log10(abs(value))))) if value else "0"


def duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02} min"
    return f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"


def memory(megabytes: float) -> str:
    return f"{megabytes:.0f} MB" if megabytes < 1000 else f"{megabytes / 1000:.1f} GB"


def counted(n: int, word: str) -> str:
    return f"{n} {word}{'' if n == 1 else 's'}"


def ordered(keys, like) -> list[str]:
    """The keys in the order of `like`, then the others by name."""
    return [key for key in like if key in keys] + sorted(key for key in keys if key not in like)


def digits(rows: list[dict]) -> int:
    """Decimals for a column: two significant digits of its typical interval, or three of its smallest value."""
    halves = [(row["high"] - row["low"]) / 2 for row in rows if marks.finite(row["low"]) and row["high"] > row["low"]]
    values = [abs(row["value"]) for row in rows if marks.finite(row["value"]) and row["value"]]
    step = median(halves) if halves else min(values, default=1.0) / 10
    return min(8, max(0, 1 - math.floor(math.log10(step))))


def legend(facts: clips.Facts) -> list[tuple[str, tuple]]:
    """The source's labels and colours; labels of one colour share a line."""
    colours = {}
    for name, colour in zip(facts.label_names, facts.label_colours):
        colours.setdefault(colour, []).append(name)
    return [(", ".join(names), colour) for colour, names in colours.items()]


def dataset(results: Results, name: str) -> dict:
    """One data set's section."""
    about, store = results.compare["datasets"][name], results.stores[name]
    facts, train = store.facts, store.split("train")
    prints = "\n".join(f"{key} {clip['sha256']}" for key, clip in store.clips.items())
    return {"name": name, "title": about["title"], "about": about["about"], "sanity": about["standing"] == "sanity",
            "fps": facts.fps, "size": facts.size, "origin": facts.origin, "licence": facts.licence,
            "legend": legend(facts), "n_train": len(train), "n_test": len(store.clips) - len(train),
            "n_train_frames": sum(store.clips[clip]["n_frames"] for clip in train),
            "sha256": hashlib.sha256(prints.encode()).hexdigest(),
            "groups": [group(results, name, key) for key in ordered(about["groups"], facts.groups)]}


def group(results: Results, dataset: str, name: str) -> dict:
    """One test group of a data set: its table, charts, preferences and caveats; `players` is filled later."""
    compare, methods = results.compare, results.methods
    about = compare["datasets"][dataset]["groups"][name]
    labels = ordered(about["metrics"], results.params.metrics)
    present = {run for metric in about["metrics"].values() for run in metric["rows"]}
    runs = {run: compare["runs"][run]["title"] for run in ordered(present, results.params.runs)}
    lengths = [results.stores[dataset].clips[clip]["n_frames"] for clip in about["clips"]]
    columns, panels = [], []
    for label in labels:
        metric = about["metrics"][label]
        shown = [(title, methods[title], {key: metric["rows"][run][key] for key in ("value", "low", "high")})
                 for run, title in runs.items() if run in metric["rows"]]
        decimals = digits([row for _, _, row in shown] + ([metric["real"]] if metric["real"] else []))
        columns.append({key: metric[key] for key in ("title", "unit", "better", "real")} | {
            "digits": decimals, "footnote": results.protocols[metric["protocol"]]["number"]})
        panels.append(charts.intervals(metric["title"], shown, metric["real"], metric["better"], decimals))
    rows = [{"title": title, "method": methods[title], "first_frames": compare["runs"][run]["first_frames"],
             "cells": [about["metrics"][label]["rows"].get(run) for label in labels]} for run, title in runs.items()]
    return {"name": name, "title": about["title"], "clips": about["clips"], "n_clips": about["n_clips"],
            "n_frames": sum(lengths), "runs": runs, "columns": columns, "rows": rows, "panels": panels, "players": [],
            "legend": [(title, methods[title]) for title in runs.values()],
            "titles": {label: about["metrics"][label]["title"] for label in labels},
            "marks": compare["datasets"][dataset]["standing"] != "sanity",
            "curves": _curves(results, name, labels, runs, max(lengths)),
            "preference": _preference(results, about, runs),
            "caveats": _caveats(results, about, name, labels, next(iter(runs)))} | _sentences(results, dataset, name)


def _sentences(results: Results, dataset: str, name: str) -> dict[str, list[str]]:
    """A group's sentences without the words that the heading above them says already: the first and every warning;
    then more."""
    about, told = results.compare["datasets"][dataset]["groups"][name], []
    names = tuple(run["title"] for run in results.compare["runs"].values())
    heading = f"{about['title'][0].upper()}{about['title'][1:]}, {counted(about['n_clips'], 'clip')}: "
    for sentence in results.compare["sentences"]:
        if (sentence["dataset"], sentence["group"]) == (dataset, name):
            text = sentence["text"].removeprefix(heading)
            told.append(text if text.startswith(names) else text[0].upper() + text[1:])
    shown = [text for i, text in enumerate(told) if i < FIRST or text.startswith("Beware")]
    return {"sentences": shown, "more": [text for text in told if text not in shown]}


def _curves(results: Results, name: str, labels: list, runs: dict, n_frames: int) -> list:
    """The per-clip metrics over the frames of a clip. Those of pairs have one value less, and the same last."""
    panels = []
    for label in labels:
        series, metric = [], None
        for run, title in runs.items():
            scored = results.scores[run]["groups"][name]["metrics"].get(label)
            if scored and scored["kind"] == "clip":
                series.append((title, results.methods[title], scored["curve"], None, None))
                metric = scored
        if metric:
            x = list(range(n_frames - len(metric["curve"]) + 1, n_frames + 1))
            panels.append(charts.lines(metric["title"], series, x=x, x_label="frame", y_label=metric["unit"]))
    return panels


def _preference(results: Results, about: dict, runs: dict) -> dict | None:
    """Each pair with the preferred method first, as the paper prints it."""
    if not about.get("preference") or not about["preference"]["pairs"]:
        return None
    pairs = []
    for pair in about["preference"]["pairs"]:
        a, b, share, low, high = (pair[key] for key in ("a", "b", "share", "low", "high"))
        if share < 0.5:
            a, b, share = b, a, 1 - share
            low, high = (None if v is None else 1 - v for v in (high, low))
        bar = marks.share(results.methods[runs[a]], results.methods[runs[b]], share, low, high)
        pairs.append({"a": runs[a], "b": runs[b], "share": share, "low": low, "high": high, "n_clips": pair["n_clips"],
                      "first_frames": " / ".join(results.compare["runs"][run]["first_frames"] for run in (a, b)),
                      "decided": marks.finite(low) and low > 0.5, "bar": bar})
    return {"voters": [about["metrics"][label]["title"] for label in about["preference"]["metrics"]], "pairs": pairs}


def _caveats(results: Results, about: dict, name: str, labels: list, run: str) -> list[str]:
    """What the data themselves say against reading too much into them."""
    told = []
    if about["n_clips"] == 1:
        told.append("There is one clip only, so no interval can be given.")
    elif about["n_clips"] < FEW:
        told.append(f"There are only {about['n_clips']} clips: the intervals are themselves rough.")
    scored = results.scores[run]["groups"][name]["metrics"]
    sets = [scored[label] for label in labels if label in scored and scored[label]["kind"] == "set"]
    told += [f"{metric['title']} has no value: {metric['note']}." for metric in sets if metric.get("note")]
    short = [f"{metric['title']} {metric['n']}" for metric in sets
             if metric["value"] is not None and metric["rank"] == metric["n"] - 1]
    if short:
        told.append(f"The feature sets have fewer rows than features ({', '.join(short)}), so their covariances "
                    "have no full rank: compare these distances down their column only, never with another set's.")
    return told


def prediction(results: Results, future: dict) -> dict:
    """One prediction's section: a chart a metric, and the same numbers as a table."""
    unknown = {"title": future["dataset"], "groups": {}}
    about, methods = results.compare["datasets"].get(future["dataset"], unknown), results.methods
    steps, groups = list(range(1, future["horizon"] + 1)), []
    for name, held in sorted(future["groups"].items()):
        panels, rows = [], []
        for label in ordered(held["metrics"], results.params.metrics):
            metric = held["metrics"][label]
            own = {title: metric["methods"][title] for title in sorted(metric["methods"], key=methods.get)}
            series = [(title, methods[title], m["curve"], m["low"], m["high"]) for title, m in own.items()]
            panels.append(charts.lines(
                metric["title"], series, x=steps, x_label="frames ahead", y_label=metric["unit"]))
            values = [{"value": v, "low": None, "high": None} for m in own.values() for v in m["curve"]]
            rows += [{"metric": metric["title"], "unit": metric["unit"], "better": metric["better"], "title": title,
                      "footnote": results.protocols[metric["protocol"]]["number"], "digits": digits(values),
                      "method": methods[title], "curve": m["curve"]} for title, m in own.items()]
        groups.append({"title": about["groups"].get(name, {"title": name})["title"], "n_clips": len(held["clips"]),
                       "panels": panels, "rows": rows})
    shown = {row["title"]: row["method"] for group in groups for row in group["rows"]}
    return {key: future[key] for key in ("title", "n_past", "horizon", "fps")} | {
        "dataset": about["title"], "steps": steps, "groups": groups,
        "methods": dict(sorted(shown.items(), key=lambda item: item[1]))}
