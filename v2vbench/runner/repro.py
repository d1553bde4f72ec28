"""`dvc repro` with independent stages in parallel, and for each stage the edit that made it stale.

Each training takes one thread, so that two of them fill two cores. The threads of one training would wait for each
other: it would lose a factor of four on a busy machine, and part of the second core even alone (docs/performance.md).
Each stage is run by a separate `dvc repro --single-item`.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

import psutil
from ruamel.yaml import YAML

from v2vbench.params import Fault

N_REASONS = 4  # shown of a stale stage
STAGE_GIB = 4  # memory that a stage may need; limits the number of parallel stages
EDGE = re.compile(r'^"([^"]+)" -> "([^"]+)";$', re.MULTILINE)
LONGEST = "calibrate"  # of the stages that may run beside it: begun last, it would run alone at the end
# Stages that take a second and rarely change their outputs: they run first, then `dvc status` is run again.
QUICK = re.compile("sources|inputs_.*")


def dvc(root: Path, *words: str) -> str:
    """The output of `dvc <words>`; raises Fault with its last line if it fails."""
    done = subprocess.run(["dvc", *words], cwd=root, check=False, capture_output=True, text=True)
    if done.returncode:
        raise Fault(f"dvc {' '.join(words)}: {(done.stderr.strip() or done.stdout.strip()).splitlines()[-1]}")
    return done.stdout


def upstream(dot: str) -> dict[str, set[str]]:
    """{stage: its direct dependencies} from the output of `dvc dag --dot`, in the order of dvc.yaml."""
    stages = {name: set() for name in re.findall(r'^"([^"]+)";$', dot, re.MULTILINE)}
    for before, after in EDGE.findall(dot):
        stages.setdefault(before, set())
        stages.setdefault(after, set()).add(before)
    return stages


def pending(stages: dict[str, set[str]], changed: Iterable[str]) -> dict[str, set[str]]:
    """The changed stages and all that depend on them, {stage: its dependencies among these}."""
    selected = set(changed) & stages.keys()
    while more := {name for name, before in stages.items() if before & selected} - selected:
        selected |= more
    return {name: before & selected for name, before in stages.items() if name in selected}


def n_jobs() -> int:
    """Number of parallel stages: one per core, limited by memory; one if there is a GPU."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory = psutil.virtual_memory().available // (STAGE_GIB << 30)
    return 1 if shutil.which("nvidia-smi") else max(1, min(cores, memory))


def repro(root: Path, jobs: int, dry: bool = False) -> int:
    """Bring every stage of dvc.yaml up to date, `jobs` in parallel; returns how many were run, or listed if `dry`.

    dry       run only `sources`, if it is stale, and print which stages are stale and why
    raises    Fault naming the stages that failed, after all running stages have finished
    """
    changed = _changed(root)
    if not changed:
        print("Everything is up to date.")
        return 0
    stages, n_quick = upstream(dvc(root, "dag", "--dot")), 0
    while ready := _quick(stages, changed, dry):
        n_quick += _run(root, {name: set() for name in ready}, 1)
        changed = _changed(root)
    waiting = pending(stages, changed)
    if not waiting:
        print("Everything is up to date: the edit changes no result.")
    reasons = why(root, changed)
    for name, names in reasons.items():
        more = f" and {len(names) - N_REASONS} more" if len(names) > N_REASONS else ""
        print(f"{name} is stale: {', '.join(names[:N_REASONS])}{more}", file=sys.stderr)
    for what, names in (
        ("not run here yet", [name for name in changed if name not in reasons]),
        ("run after these, where what they read changes", [name for name in waiting if name not in changed]),
    ):
        if names and (dry or reasons):  # in a fresh clone all are stale, and are named as they start
            print(f"{what}: {', '.join(names)}", file=sys.stderr)
    return n_quick if dry else n_quick + _run(root, waiting, jobs)


def _changed(root: Path) -> dict[str, list]:
    """{stage: its entry in `dvc status`} of the stale stages."""
    return json.loads(dvc(root, "status", "--json") or "{}")


def _quick(stages: dict[str, set[str]], changed: dict[str, list], dry: bool) -> list[str]:
    """The stale quick stages without stale dependencies; in a dry run only `sources`."""
    behind = pending(stages, changed)
    names = re.compile("sources") if dry else QUICK
    return [name for name, before in behind.items() if name in changed and not before and names.fullmatch(name)]


def _run(root: Path, waiting: dict[str, set[str]], jobs: int) -> int:
    """Run the stages, {stage: its dependencies among these}; returns their number."""
    total, failed, running, lock = len(waiting), [], set(), threading.Condition()

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
            ready = [] if failed else [stage for stage, before in waiting.items() if not before]
            ready.sort(key=lambda stage: not stage.startswith(LONGEST))  # else, in the order of dvc.yaml
            for stage in ready[: jobs - len(running)]:
                del waiting[stage]
                running.add(stage)
                threading.Thread(target=run, args=(stage,), daemon=True).start()
            lock.wait()
    if failed:
        raise Fault(
            f"{' and '.join(sorted(failed))} failed, for the reason above; mend it and run again, "
            "what is finished is kept"
        )
    return total


def why(root: Path, changed: dict[str, list]) -> dict[str, list[str]]:
    """{stage: the files, values and results whose change made it stale}, from the output of `dvc status --json`.

    For digests in build/code and lists in build/inputs the changed lines are named, if DVC's cache still has the file
    that the stage ran with. Stages that never ran are left out.
    """
    lock = root / "dvc.lock"
    ran_with = YAML(typ="safe").load(lock.read_text(encoding="utf-8"))["stages"] if lock.is_file() else {}
    again = {
        stage: entries for stage, entries in changed.items() if stage in ran_with and not _results_missing(entries)
    }
    cache = Path(dvc(root, "cache", "dir").strip() if again else "")

    def named(stage: str, path: str, state: str | dict) -> list[str]:
        if isinstance(state, dict):  # parameters
            return list(state)
        if path.startswith(("build/code/", "build/inputs/")) and state == "modified":
            md5 = next((dep["md5"] for dep in ran_with[stage]["deps"] if dep["path"] == path), "")
            before = cache / "files/md5" / md5[:2] / md5[2:]
            if before.is_file():
                return _changed_lines(before, root / path)
        return [path if state == "modified" else f"{path} ({state})"]

    reasons = {stage: [] for stage in again}
    for stage, entry in ((stage, entry) for stage, entries in again.items() for entry in entries):
        if isinstance(entry, str):  # "changed command"
            reasons[stage].append(entry)
            continue
        for paths in entry.values():
            for path, state in paths.items():
                reasons[stage] += named(stage, path, state)
    return reasons


def _results_missing(entries: list) -> bool:
    """Whether an output of a stage is missing, by its entries in `dvc status`."""
    outs = [state for entry in entries if isinstance(entry, dict) for state in entry.get("changed outs", {}).values()]
    return any(state in ("deleted", "not in cache") for state in outs)


def _changed_lines(before: Path, after: Path) -> list[str]:
    """Names (first words) of the lines that are in only one of two lists."""
    old, new = (set(path.read_text(encoding="utf-8").splitlines()) for path in (before, after))
    return sorted({line.partition(" ")[0] for line in old ^ new}) or [after.name]
