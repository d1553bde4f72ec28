"""Starts the processes of one stage's work, watches them, and says in one line which of them failed and how."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import chdir
from pathlib import Path

from v2vbench.machine import Machine
from v2vbench.params import Fault
from v2vbench.stages._ranks import PULSES

CHECK_S = 1.0
POLL_S = 0.2
END_S = 5.0  # from SIGTERM to SIGKILL
CONSEQUENCES = "Connection|connection|gloo|NCCL|timed out|Timed out"  # errors of those that lost another process


def launch(verb: str, key: str, root: Path, n: int, machine: Machine) -> None:
    """Run `v2vbench work <verb> <key>` in n processes on this machine, or on each of several nodes under SLURM; returns
    when all have finished.

    writes    .cache/ranks/<verb>-<key>/: <rank> says what each process does, <rank>.log what it printed
    raises    Fault naming the rank that failed or hung; the others have ended then
    """
    pulses = root / ".cache" / "ranks" / f"{verb}-{key}"
    shutil.rmtree(pulses, ignore_errors=True)
    pulses.mkdir(parents=True)
    words = [sys.executable, "-m", "v2vbench", "work", verb, key]
    os.environ[PULSES] = str(pulses)
    watch = Watch(pulses, machine.patience_s)
    try:
        with watch, chdir(root):
            failed = _on_nodes(words, n, machine, pulses) if machine.nodes > 1 else _here(words, n, pulses)
    finally:
        del os.environ[PULSES]
    if watch.hung:
        raise Fault(
            f"{verb} {key}: {watch.hung}; all were ended; run it again, and it goes on from its last checkpoint"
        )
    if failed:
        raise Fault(f"{verb} {key}: {failed}")


def _here(words: list[str], n: int, pulses: Path) -> str:
    """The processes on this machine, as torchrun starts them; returns what failed, or "".

    When one fails, the others are ended: they would wait for it.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(n), "LOCAL_WORLD_SIZE": str(n)}
    common |= {"GROUP_RANK": "0", "TORCHELASTIC_RUN_ID": pulses.name}
    common |= {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // n)))}
    processes = []
    try:
        for rank in range(n):
            with open(pulses / f"{rank}.log", "wb") as log:
                environment = os.environ | common | {"RANK": str(rank), "LOCAL_RANK": str(rank)}
                printed = None if rank == 0 else log  # rank 0 shows the progress
                processes.append(subprocess.Popen(words, env=environment, stdout=printed, stderr=printed))
        while any(process.poll() is None for process in processes) and not any(p.returncode for p in processes):
            time.sleep(POLL_S)
    finally:
        codes = {rank: process.returncode for rank, process in enumerate(processes) if process.returncode}
        _end(processes)
    return _cause(codes, n, pulses) if codes else ""


def _end(processes: list[subprocess.Popen]) -> None:
    """End processes, those that do not react by force."""
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _on_nodes(words: list[str], n: int, machine: Machine, pulses: Path) -> str:
    """The processes on several nodes of this SLURM job, n on each; returns what failed, or ""."""
    if "SLURM_JOB_ID" not in os.environ or not shutil.which("srun"):
        raise Fault("machine.yaml: nodes is more than 1, and this is no SLURM job; see docs/scale.md")
    log = pulses / "srun.log"
    flags = [
        f"--nodes={machine.nodes}",
        f"--ntasks-per-node={n}",
        "--kill-on-bad-exit=1",
        "--overlap",
    ]  # beside the notebook's own step
    with open(log, "wb") as file:
        done = subprocess.run(["srun", *flags, *words], check=False, stdout=file, stderr=subprocess.STDOUT)
    if not done.returncode:
        return ""
    return _cause({int(path.stem): 1 for path in pulses.glob("*.failed")} or {0: done.returncode}, n, pulses)


def _cause(codes: dict[int, int], n: int, pulses: Path) -> str:
    """The failure that caused the others: a process that was killed, or one that says why.

    codes    exit codes of the ranks that failed by themselves
    """
    rank = min(codes, key=lambda rank: (codes[rank] > 0, rank))
    if codes[rank] < 0:
        name = signal.Signals(-codes[rank]).name
        memory = ", out of memory?" * (name == "SIGKILL")
        return f"rank {rank} of {n} was killed by {name}{memory}; run it again, and it goes on from its last checkpoint"
    said = {rank: (pulses / f"{rank}.failed").read_text() for rank in codes if (pulses / f"{rank}.failed").is_file()}
    own = {rank: line for rank, line in said.items() if not re.search(CONSEQUENCES, line)}
    for rank, line in (own or said).items():
        return f"rank {rank} of {n}: {line}"
    return f"rank {rank} of {n} ended with code {codes[rank]}, see {pulses}"


class Watch:
    """Ends all processes when for a while none of them has gone on, and names those that the others wait for.

    hung    what happened; "" if nothing
    """

    def __init__(self, pulses: Path, patience_s: float):
        self.pulses, self.patience_s, self.hung = pulses, patience_s, ""
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        began = time.time()
        while not self._done.wait(CHECK_S):
            pulses = self._read()
            last = max((pulse["since"] for pulse in pulses.values()), default=began)
            if pulses and time.time() - last > self.patience_s:
                slow = {rank: p for rank, p in pulses.items() if not p["doing"].startswith("waits")} or pulses
                names = "; ".join(f"rank {rank} {pulse['doing']}" for rank, pulse in sorted(slow.items()))
                self.hung = f"no process went on for {self.patience_s:g} s (patience_s of machine.yaml): {names}"
                self._end(pulses)
                return

    def _read(self) -> dict[int, dict]:
        return {int(path.name): json.loads(path.read_text()) for path in self.pulses.iterdir() if path.name.isdigit()}

    def _end(self, pulses: dict[int, dict]) -> None:
        """Kill the processes that run on this machine; under SLURM, the step that runs them."""
        import psutil

        children = {child.pid: child for child in psutil.Process().children(recursive=True)}
        for child in children.values():
            if child.pid in {pulse["pid"] for pulse in pulses.values()} or "srun" in child.name():
                child.kill()
