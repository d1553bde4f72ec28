"""What was found out, in the order of params.yaml, and how a number is printed."""

import math
from dataclasses import dataclass
from functools import cached_property
from statistics import median

from v2vbench.clips.store import Facts, Store
from v2vbench.params import Params
from v2vbench.report import charts, marks


@dataclass(frozen=True)
class Results:
    """All that was found out, and how the report numbers it."""

    params: Params
    compare: dict  # metrics/compare.json
    scores: dict[str, dict]  # metrics/runs/<run>.json
    future: list[dict]  # metrics/future/<prediction>.json
    stores: dict[str, Store]  # of each data set
    fakes: dict[str, Store]  # of each run
    restyled: dict[str, Store]  # of each line of `styles`

    @cached_property
    def methods(self) -> dict[str, int]:
        """Each method's number, that is its colour, marker and dash: by title, so the same on every data set."""
        titles = [self.compare["runs"][run]["title"] for run in ordered(self.compare["runs"], self.params.runs)]
        for prediction in self.future:
            for group in prediction["groups"].values():
                titles += [title for metric in group["metrics"].values() for title in metric["methods"]]
        titles += [line.title for line in (self.params.runs | self.params.forecasts | self.params.judges).values()]
        return {title: i for i, title in enumerate(dict.fromkeys(titles))}

    @cached_property
    def protocols(self) -> dict[str, dict]:
        """Every protocol id on the page: its footnote's number, and whose it is."""
        holders = [*self.compare["datasets"].values(), *self.future]
        groups = [group for holder in holders for group in holder["groups"].values()]
        found = {}
        for label in ordered({label for group in groups for label in group["metrics"]}, self.params.metrics):
            for group in groups:
                metric = group["metrics"].get(label)
                if metric and not metric.get("absent"):
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


def signed(value: float | None, digits: int) -> str:
    """As `number`, with the sign of a rise too."""
    return f"+{number(value, digits)}" if marks.finite(value) and value > 0 else number(value, digits)


def brief(value: float) -> str:
    """Three significant digits, without an exponent."""
    return number(value, max(0, 2 - math.floor(math.log10(abs(value))))) if value else "0"


def two_digits(value: float | None) -> str:
    """Two significant digits, all digits before the point, no exponent."""
    if not marks.finite(value):
        return "–"
    decimals = max(0, 1 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{value:.{min(decimals, 8)}f}".replace("-", "−")


def duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02} min"
    return f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"


def memory(megabytes: float) -> str:
    return f"{megabytes:.0f} MB" if megabytes < 1000 else f"{megabytes / 1000:.1f} GB"


def counted(n: int, word: str) -> str:
    return f"{n} {word}{'' if n == 1 else 's'}"


def clusters(about: dict) -> str:
    """What intervals and verdicts of a group go by: "12 maps"."""
    return counted(about["n_clusters"], about["cluster"])


def ordered(keys, like) -> list[str]:
    """The keys in the order of `like`, then the others by name."""
    return [key for key in like if key in keys] + sorted(key for key in keys if key not in like)


def digits(rows: list[dict]) -> int:
    """Decimals for a column: two significant digits of its typical interval, or three of its smallest value."""
    halves = [(row["high"] - row["low"]) / 2 for row in rows if marks.finite(row["low"]) and row["high"] > row["low"]]
    values = [abs(row["value"]) for row in rows if marks.finite(row["value"]) and row["value"]]
    step = median(halves) if halves else min(values, default=1.0) / 10
    return min(8, max(0, 1 - math.floor(math.log10(step))))


def legend(facts: Facts) -> list[tuple[str, tuple]]:
    """The source's labels and colours; labels of one colour share a line."""
    colours = {}
    for name, colour in zip(facts.label_names, facts.label_colours):
        colours.setdefault(colour, []).append(name)
    return [(", ".join(names), colour) for colour, names in colours.items()]


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
            panels.append(
                charts.lines(metric["title"], series, x=steps, x_label="frames ahead", y_label=metric["unit"])
            )
            values = [{"value": v, "low": None, "high": None} for m in own.values() for v in m["curve"]]
            rows += [
                {
                    "metric": metric["title"],
                    "unit": metric["unit"],
                    "better": metric["better"],
                    "title": title,
                    "footnote": results.protocols[metric["protocol"]]["number"],
                    "digits": digits(values),
                    "method": methods[title],
                    "curve": m["curve"],
                }
                for title, m in own.items()
            ]
        groups.append(
            {
                "title": about["groups"].get(name, {"title": name})["title"],
                "n_clips": len(held["clips"]),
                "panels": panels,
                "rows": rows,
            }
        )
    shown = {row["title"]: row["method"] for group in groups for row in group["rows"]}
    return {key: future[key] for key in ("title", "n_past", "horizon", "fps")} | {
        "dataset": about["title"],
        "steps": steps,
        "groups": groups,
        "methods": dict(sorted(shown.items(), key=lambda item: item[1])),
    }
