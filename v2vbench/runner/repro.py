"""`dvc repro` with independent stages side by side: trainings take one thread each, so that two of them fill two cores.

Threads of one training that wait for each other lose a factor of four to a busy neighbour, and part of the second core even alone;
two stages that share nothing lose neither (docs/performance.md). Each stage is run by a `dvc repro --single-item` of its own.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import psutil

from v2vbench.params import Fault

STAGE_GIB = 4  # of memory that a stage may take: fewer run side by side where there is less
EDGE = re.compile(r'^"([^"]+)" -> "([^"]+)";$', re.MULTILINE)


def dvc(root: Path, *words: str) -> str:
    """What `dvc <words>` prints; raises Fault with its last line where it fails."""
    done = subprocess.run(["dvc", *words], cwd=root, check=False, capture_output=True, text=True)
    if done.returncode:
        raise Fault(f"dvc {' '.join(words)}: {(done.stderr.strip() or done.stdout.strip()).splitlines()[-1]}")
    return done.stdout


def upstream(dot: str) -> dict[str, set[str]]:
    """{stage: those that it waits for, directly} of what `dvc dag --dot` prints, in the order of dvc.yaml."""
    stages = {name: set() for name in re.findall(r'^"([^"]+)";$', dot, re.MULTILINE)}
    for before, after in EDGE.findall(dot):
        stages.setdefault(before, set())
        stages.setdefault(after, set()).add(before)
    return stages


def pending(stages: dict[str, set[str]], changed: set[str]) -> dict[str, set[str]]:
    """The changed stages and all that follow them, {stage: those among them that it waits for}."""
    found = set(changed) & stages.keys()
    while more := {name for name, before in stages.items() if before & found} - found:
        found |= more
    return {name: before & found for name, before in stages.items() if name in found}


def n_jobs() -> int:
    """Stages that this machine runs side by side: one a core, as memory allows; one alone where there is a GPU, which it fills."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory = psutil.virtual_memory().available // (STAGE_GIB << 30)
    return 1 if shutil.which("nvidia-smi") else max(1, min(cores, memory))


def repro(root: Path, jobs: int) -> int:
    """Bring every stage of dvc.yaml up to date, `jobs` side by side; returns how many were run or looked at.

    raises    Fault naming the stages that failed; those that ran beside them are finished first
    """
    changed = set(json.loads(dvc(root, "status", "--json") or "{}"))
    waiting = pending(upstream(dvc(root, "dag", "--dot")), changed)
    total, failed, running, lock = len(waiting), [], set(), threading.Condition()
    if not total:
        print("Everything is up to date.")

    def run(stage: str) -> None:
        print(f"Running stage {stage}", file=sys.stderr, flush=True)
        words = ["dvc", "--wait-for-lock", "repro", "--single-item", stage]
        code = subprocess.run(words, cwd=root, check=False, stdout=subprocess.DEVNULL).returncode
        with lock:
            running.discard(stage)
            if code:
                failed.append(stage)
            else:
                for before in waiting.values():
                    before.discard(stage)
            lock.notify()

    with lock:
        while running or (waiting and not failed):
            ready = [] if failed else [stage for stage, before in waiting.items() if not before][: jobs - len(running)]
            for stage in ready:
                del waiting[stage]
                running.add(stage)
                threading.Thread(target=run, args=(stage,), daemon=True).start()
            lock.wait()
    if failed:
        raise Fault(
            f"{' and '.join(sorted(failed))} failed, for the reason above; mend it and run again, what is finished is kept"
        )
    return total
