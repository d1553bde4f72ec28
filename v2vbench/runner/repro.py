"""`dvc repro` with independent stages in parallel, and for each stage the edit that made it stale.

On CPUs each training takes one thread, so that two of them fill two cores. The threads of one training would wait for
each other: it would lose a factor of four on a busy machine, and part of the second core even alone
(docs/performance.md). On GPUs each stage that uses them gets its own, and stages that use none run beside.
Each stage is run by a separate `dvc repro --single-item`, which ends with this process, whatever ends it.
"""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable
from contextlib import contextmanager
from pathlib import Path

import psutil
from ruamel.yaml import YAML

from v2vbench.machine import load_machine
from v2vbench.params import Fault, choose
from v2vbench.runner.gpus import Gpus, visible_gpus
from v2vbench.runner.leash import leashed
from v2vbench.runner.slurm_resources import resources

N_REASONS = 4  # shown of a stale stage
STAGE_GIB = 4  # memory that a stage may need; limits the number of parallel stages
HEAD_GIB, MOST_JOBS = 0.5, 64  # memory of DVC and the runner of a stage whose body is a SLURM job; most such stages
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


def n_jobs(executor: str = "local") -> int:
    """Number of parallel stages without GPUs: one per core, limited by memory; for SLURM, as memory here allows."""
    memory = psutil.virtual_memory().available / 2**30
    if executor == "slurm":
        return max(1, min(MOST_JOBS, int(memory / HEAD_GIB)))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, int(memory / STAGE_GIB)))


def repro(root: Path, jobs: int = 0, dry: bool = False, executor: str = "") -> int:
    """Bring every stage of dvc.yaml up to date, in parallel; returns how many were run, or listed if `dry`.

    jobs      at a time, at most; 0: as many as have GPUs of their own, and n_jobs() beside
    dry       run only `sources`, if it is stale, and print which stages are stale and why
    executor  where the bodies of stages run: local or slurm; "": as V2VBENCH_EXECUTOR says
    raises    Fault naming the stages that failed, after all running stages have finished; KeyboardInterrupt after
              SIGINT, SIGTERM or SIGHUP, when all running stages have been ended
    """
    executor = executor or os.environ.get("V2VBENCH_EXECUTOR") or "local"
    choose({"local": 0, "slurm": 0}, executor, "executor")
    if jobs < 0:
        raise Fault(f"--jobs {jobs}: at least 1, or 0 for as many as fit this machine")
    machine = load_machine(root)
    if executor == "slurm":
        resources(machine, "train")  # a wrong line is said now, not by each stage
        gpus = Gpus([], 0)
    else:
        gpus = Gpus(visible_gpus(), 1 if machine.devices == "auto" else machine.devices)
    jobs = jobs or len(gpus.all) + n_jobs(executor)
    changed = _changed(root)
    if not changed:
        print("Everything is up to date.")
        return 0
    stages, n_quick = upstream(dvc(root, "dag", "--dot")), 0
    while ready := _quick(stages, changed, dry):
        n_quick += _run(root, {name: set() for name in ready}, 1, gpus, executor)
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
    return n_quick if dry else n_quick + _run(root, waiting, jobs, gpus, executor)


def _changed(root: Path) -> dict[str, list]:
    """{stage: its entry in `dvc status`} of the stale stages."""
    return json.loads(dvc(root, "status", "--json") or "{}")


def _quick(stages: dict[str, set[str]], changed: dict[str, list], dry: bool) -> list[str]:
    """The stale quick stages without stale dependencies; in a dry run only `sources`."""
    behind = pending(stages, changed)
    names = re.compile("sources") if dry else QUICK
    return [name for name, before in behind.items() if name in changed and not before and names.fullmatch(name)]


def _run(root: Path, waiting: dict[str, set[str]], jobs: int, gpus: Gpus, executor: str) -> int:
    """Run the stages, {stage: its dependencies among these}; returns their number."""
    total, failed, running, lock = len(waiting), [], {}, threading.Condition()

    def run(stage: str, process: subprocess.Popen, taken: list[str]) -> None:
        with process:  # which closes the pipe
            code = process.wait()
        with lock:
            del running[stage]
            gpus.give_back(taken)
            if code:
                failed.append(stage)
            else:
                for before in waiting.values():
                    before.discard(stage)
            lock.notify()

    def start(stage: str) -> None:
        taken = gpus.take(stage)
        where = f" on GPU {', '.join(taken)}" if taken else ""
        print(f"Running stage {stage}{where}", file=sys.stderr, flush=True)
        env = {"V2VBENCH_EXECUTOR": executor} | ({"CUDA_VISIBLE_DEVICES": ",".join(taken)} if gpus.all else {})
        process = running[stage] = leashed(["dvc", "--wait-for-lock", "repro", "--single-item", stage], root, env)
        threading.Thread(target=run, args=(stage, process, taken), daemon=True).start()

    with _stopped_by_signals():
        try:
            with lock:
                while running or (waiting and not failed):
                    ready = [] if failed else [stage for stage, before in waiting.items() if not before]
                    ready.sort(key=lambda stage: not stage.startswith(LONGEST))  # else, in the order of dvc.yaml
                    for stage in _fitting(ready, jobs - len(running), gpus):
                        del waiting[stage]
                        start(stage)
                    lock.wait()
        except KeyboardInterrupt:
            _end(running)
            raise
    if failed:
        raise Fault(
            f"{' and '.join(sorted(failed))} failed, for the reason above; mend it and run again, "
            "what is finished is kept"
        )
    return total


def _fitting(ready: list[str], n: int, gpus: Gpus) -> Iterable[str]:
    """Those of the ready stages, at most n, that can start; one by one, since each takes GPUs from the next.

    No later stage gets the GPUs that a stage waits for: one that needs many would never start.
    """
    full = False
    for stage in ready:
        if n <= 0:
            return
        if gpus.needed(stage) and (full := full or not gpus.fits(stage)):
            continue
        yield stage
        n -= 1


def _end(running: dict[str, subprocess.Popen]) -> None:
    """End running stages, as Ctrl-C does, and wait until they have ended."""
    processes = list(running.values())
    if processes:
        print(f"Stopping {', '.join(running)}", file=sys.stderr, flush=True)
    for process in processes:
        assert process.stdin
        process.stdin.close()
    for process in processes:
        process.wait()


@contextmanager
def _stopped_by_signals():
    """SIGTERM and SIGHUP, too, raise KeyboardInterrupt in the block, unless they are ignored, as by nohup."""

    def stop(signum, frame):
        raise KeyboardInterrupt

    main = threading.current_thread() is threading.main_thread()
    names = [name for name in (signal.SIGTERM, signal.SIGHUP) if main and signal.getsignal(name) is not signal.SIG_IGN]
    before = {name: signal.signal(name, stop) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


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
