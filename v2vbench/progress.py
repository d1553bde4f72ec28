"""Progress of long tasks: step, rate and time left, in a terminal, a notebook, papermill or DVC."""

import math
import os
import sys
import time

from tqdm import tqdm

EVERY_S = 5.0
STOP_AT = "V2VBENCH_STOP_AT"  # seconds since 1970 at which long work writes a checkpoint and stops
earlier_s = 0.0  # seconds of work by earlier processes that this one went on from


class OutOfTime(Exception):
    """Long work has stopped at the time that V2VBENCH_STOP_AT says; the same call goes on from its checkpoint."""


def stop_at() -> float:
    """When long work has to stop, in seconds since 1970."""
    return float(os.environ.get(STOP_AT, math.inf))


def goes_on_from(seconds: float) -> None:
    """Count work that is not done again, such as the steps before a checkpoint, among the seconds of this stage."""
    global earlier_s
    earlier_s += seconds


def say(line: str) -> None:
    """Print one line of progress. In a notebook that runs as a stage it goes to the runner's terminal instead of the
    notebook, so that executed notebooks contain results and no times."""
    if path := os.environ.get("V2VBENCH_PROGRESS"):
        with open(path, "a") as file:
            file.write(line + "\n")
    else:
        print(line, file=sys.stderr, flush=True)


def progress(items, what: str, *, unit: str, total: int | None = None, scale: int = 1, start: int = 0, note=lambda: ""):
    """Yield from `items` and print the progress every few seconds.

    what      name of the task: "train freedoom_vid2vid"
    unit      what is counted: "frame"
    scale     units per item
    start     items done before this call, after a resumption
    note      () -> str, appended to the line, such as a loss
    """
    total = total if total is not None else len(items) + start
    began = said = time.monotonic()
    done = start
    for item in items:
        yield item
        done += 1
        if time.monotonic() - said >= EVERY_S or done == total:
            said = time.monotonic()
            meter = tqdm.format_meter(
                done * scale,
                total * scale,
                said - began,
                prefix=what,
                unit=unit,
                ncols=110,
                ascii=" -",
                initial=start * scale,
                postfix=note(),
            )
            say(meter)
