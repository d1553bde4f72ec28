"""How the numbers came about: what ran, for how long and on what, and how the losses went."""

import csv
from pathlib import Path

from v2vbench.params import Fault, Params
from v2vbench.report import charts, marks
from v2vbench.report.tables import Results

STAGES = ("sources", "data", "train", "synthesize", "evaluate", "future", "styles", "calibrate", "compare")
MACHINE = {
    "revision": "git revision",
    "lock_sha256": "requirements.lock, sha256",
    "python": "Python",
    "torch": "PyTorch",
    "device": "device",
    "host_cpu": "processor",
}


def current(params: Params, stem: str) -> bool:
    """Whether a log or notebook, named <stage>-<key>, is of a line that params.yaml still has."""
    lines = {
        "all",
        *params.datasets,
        *params.judges,
        *params.runs,
        *params.forecasts,
        *params.predictions,
        *params.styles,
    }
    return stem.partition("-")[2] in lines


def provenance(logs: list[dict], ran: list[str]) -> dict:
    """A row for each stage that left a log or an executed notebook, the totals, and the machine."""
    by_stage = {f"{log['stage']}-{log['key']}": log for log in logs}
    longest = max((log["seconds"] for log in logs), default=0) or 1

    def turn(stem):
        stage = stem.partition("-")[0]
        return STAGES.index(stage) if stage in STAGES else len(STAGES), stem

    rows = []
    for stem in sorted({*by_stage, *ran}, key=turn):
        stage, _, key = stem.partition("-")
        log = by_stage.get(stem)
        rows.append(
            {
                "stage": stage,
                "key": key,
                "page": f"notebooks/{stem}.html" if stem in ran else None,
                "seconds": log and log["seconds"],
                "memory": log and log["peak_memory_mb"],
                "bar": marks.bar(log["seconds"] / longest) if log else "",
            }
        )
    machine = [(title, sorted({str(log.get(key) or "unknown") for log in logs})) for key, title in MACHINE.items()]
    return {
        "rows": rows,
        "n": len(logs),
        "logged": bool(logs),
        "machine": machine if logs else [],
        "seconds": sum(log["seconds"] for log in logs),
        "memory": max((log["peak_memory_mb"] for log in logs), default=0),
        "started": min((log["started"] for log in logs), default=None),
    }


def training(results: Results, root: Path) -> dict[str, list[dict]]:
    """Learning curves of every run, forecast and judge by data set: one small chart a loss.

    raises    Fault where those of a compared run are missing, or are no table of numbers
    """
    params, compare, told = results.params, results.compare, {}
    for key, run in (params.runs | params.forecasts | params.judges).items():
        path = root / params.folder(key) / "curves.csv"
        if not path.is_file():
            if key in compare["runs"]:
                raise Fault(f"{path}: missing; `dvc repro` makes it")
            continue
        with open(path, newline="") as file:
            rows = list(csv.DictReader(file))
        try:
            columns = {name: [float(row[name]) for row in rows] for name in (rows[0] if rows else ())}
        except (TypeError, ValueError):
            raise Fault(f"{path}: not a whole table of numbers; delete it and run `dvc repro`") from None
        steps, method = columns.pop("step", []), results.methods[run.title]
        title = compare["datasets"].get(run.dataset, {"title": run.dataset})["title"]
        told.setdefault(title, []).append(
            {
                "title": run.title,
                "method": method,
                "schedule": params.schedules[run.schedule],
                "steps": int(steps[-1]) if steps else 0,
                "sparks": [charts.sparkline(name, steps, ys, method) for name, ys in columns.items()],
            }
        )
    return told
