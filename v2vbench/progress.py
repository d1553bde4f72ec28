"""How far a long piece of work has come: step, rate and time left, in a terminal, a notebook, papermill or DVC."""

import os
import sys
import time

from tqdm import tqdm

EVERY_S = 5.0


def say(line: str) -> None:
    """Show one line to whoever waits. In a notebook run as a stage it goes to the runner's terminal, not the notebook,
    so that an executed notebook holds results and no times."""
    if path := os.environ.get("V2VBENCH_PROGRESS"):
        with open(path, "a") as file:
            file.write(line + "\n")
    else:
        print(line, file=sys.stderr, flush=True)


def progress(items, what: str, *, unit: str, total: int | None = None, scale: int = 1, start: int = 0, note=lambda: ""):
    """Yield from `items`, saying every few seconds how far it is.

    what      the work, with its subject: "train freedoom_vid2vid"
    unit      of what is counted, e.g. "frame"
    scale     units an item
    start     items already done before this call, as after a resumption
    note      () -> str, added to the line: a loss
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
