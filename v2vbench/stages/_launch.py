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
from contextlib import chdir, suppress
from pathlib import Path

from v2vbench.machine import Machine
from v2vbench.params import Fault
from v2vbench.progress import OutOfTime
from v2vbench.stages._ranks import PULSES

CHECK_S = 1.0
LAUNCHER = "launcher"
STOPS = f"{OutOfTime.__name__}: "
POLL_S = 0.2
END_S = 5.0  # from SIGTERM to SIGKILL
REPORT_S = 5.0  # on nodes, for the reports of others that ended at about the same time as the first
KEPT = {"SLURM_JOB_ID", "SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_JWT"}  # of SLURM's variables, for a step
ENDED = re.compile(r"^srun: error: \S+: tasks? ([\d,-]+): (?:Exited with exit code (\d+)|(.+?)(?: \(core dumped\))?)$")
SIGNALS = {signal.strsignal(number): number for number in signal.valid_signals()} | {"Out Of Memory": signal.SIGKILL}
CONSEQUENCES = "Connection|connection|gloo|NCCL|timed out|Timed out"  # errors of those that lost another process


def launch(verb: str, key: str, root: Path, n: int, machine: Machine) -> None:
    """Run `v2vbench work <verb> <key>` in n processes on this machine, or on each of several nodes under SLURM; returns
    when all have finished.

    writes    .cache/ranks/<verb>-<key>/: <rank> says what each process does, <rank>.log what it printed; `launcher`
              changes while this process lives, and processes on nodes end when it does not
    raises    Fault naming the rank that failed or hung; the others have ended then; OutOfTime if they stopped in time
    """
    pulses = root / ".cache" / "ranks" / f"{verb}-{key}"
    shutil.rmtree(pulses, ignore_errors=True)
    pulses.mkdir(parents=True)
    words = [sys.executable, "-m", "v2vbench", "work", verb, key]
    os.environ[PULSES] = str(pulses)
    watch = Watch(pulses, machine.patience_s)
    try:
        with watch, chdir(root):
            failed = _on_nodes(words, n, machine.nodes, watch) if machine.nodes > 1 else _here(words, n, watch)
    finally:
        del os.environ[PULSES]
    if watch.hung:
        raise Fault(
            f"{verb} {key}: {watch.hung}; all were ended; run it again, and it goes on from its last checkpoint"
        )
    if failed:
        raise Fault(f"{verb} {key}: {failed}")


def _here(words: list[str], n: int, watch: "Watch") -> str:
    """The processes on this machine, as torchrun starts them; returns what failed, or "".

    When one fails, the others are ended: they would wait for it.
    """
    pulses = watch.pulses
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": _port(), "WORLD_SIZE": str(n), "LOCAL_WORLD_SIZE": str(n)}
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
            if watch.hung:
                break
            time.sleep(POLL_S)
    finally:
        codes = {rank: process.returncode for rank, process in enumerate(processes) if process.returncode}
        _end(processes)
    return _cause(codes, n, pulses) if codes else ""


def _port() -> str:
    """A port that is free on this machine."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        return str(probe.getsockname()[1])


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


def _on_nodes(words: list[str], n: int, n_nodes: int, watch: "Watch") -> str:
    """The processes on several nodes of this SLURM job, n on each, as one step; returns what failed, or "".

    The step gets none of the variables of the step that it is started in: SLURM_NTASKS=1, the CPUs to bind to and
    others would be taken for its options. When a process fails, the step goes on for REPORT_S: srun names those that
    fail meanwhile, and --kill-on-bad-exit would make those that it kills look like the cause.
    """
    pulses, nodes = watch.pulses, _nodes(n_nodes)
    cpus = min(int(number) for number in re.findall(r"(\d+)(?:\(x\d+\))?", os.environ["SLURM_JOB_CPUS_PER_NODE"]))
    cpus_each = max(1, cpus // n)
    flags = {
        "nodes": n_nodes,
        "nodelist": ",".join(nodes),
        "ntasks": n_nodes * n,
        "ntasks-per-node": n,
        "cpus-per-task": cpus_each,
        "distribution": "block",
        "kill-on-bad-exit": 0,
        "job-name": pulses.name,  # Fabric takes a step named `interactive`, as salloc names it, for none
        "mpi": "none",
        "output": str(pulses).replace("%", "%%") + "/%t.log",
    }
    environment = {name: text for name, text in os.environ.items() if not name.startswith("SLURM_") or name in KEPT}
    environment |= {"MASTER_ADDR": _address(nodes[0]), "MASTER_PORT": _port()}
    environment.setdefault("OMP_NUM_THREADS", str(cpus_each))
    # --overlap: beside the step of the notebook, on the same CPUs and GPUs
    command = ["srun", "--overlap", *(f"--{name}={value}" for name, value in flags.items()), *words]
    log = pulses / "srun.log"
    with open(log, "wb") as file:
        srun = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
    try:
        end = float("inf")
        while srun.poll() is None and not watch.hung and time.monotonic() < end:
            time.sleep(POLL_S)
            if end == float("inf") and _ended(log):
                end = time.monotonic() + REPORT_S
        code, codes = srun.poll(), _ended(log)
    finally:
        _end([srun])  # on SIGTERM it kills all processes of the step, also those that are stopped
    if codes:
        return _cause(codes, n_nodes * n, pulses)
    said = [line for line in log.read_text(errors="replace").splitlines() if "error" in line]
    return "; ".join([f"srun ended with code {code}", *said[:1], f"see {log}"]) if code else ""


def _nodes(n: int) -> list[str]:
    """The first n nodes of this SLURM job."""
    if "SLURM_JOB_ID" not in os.environ or not shutil.which("srun"):
        raise Fault("machine.yaml: nodes is more than 1, and this is no SLURM job; see docs/scale.md")
    nodes = _scontrol("hostnames", os.environ["SLURM_JOB_NODELIST"]).split()
    if len(nodes) < n:
        raise Fault(f"machine.yaml: nodes is {n}, and this SLURM job has {len(nodes)}")
    return nodes[:n]


def _address(node: str) -> str:
    """Where SLURM itself reaches a node: its name need not be that of a host."""
    found = re.search(r"\bNodeAddr=(\S+)", _scontrol("node", node, "--oneliner"))
    return found[1] if found else node


def _scontrol(*words: str) -> str:
    done = subprocess.run(["scontrol", "show", *words], check=False, capture_output=True, text=True)
    if done.returncode:
        raise Fault(f"scontrol show {' '.join(words)}: {' '.join((done.stderr or done.stdout).split())[:200]}")
    return done.stdout


def _ended(log: Path) -> dict[int, int]:
    """{rank: its exit code, or minus the signal} of the processes of which srun has said that they failed."""
    codes = {}
    for line in log.read_text(errors="replace").splitlines():
        if found := ENDED.match(line):
            for first, last in (
                part.split("-") * 2 if "-" not in part else part.split("-") for part in found[1].split(",")
            ):
                code = int(found[2]) if found[2] else -SIGNALS.get(found[3], -1)
                codes |= dict.fromkeys(range(int(first), int(last) + 1), code)
    return codes


def _cause(codes: dict[int, int], n: int, pulses: Path) -> str:
    """The failure that caused the others: a process that was killed, or one that says why.

    codes    exit codes of the ranks that failed by themselves
    raises   OutOfTime where they stopped with a checkpoint at the time that V2VBENCH_STOP_AT says
    """
    rank = min(codes, key=lambda rank: (codes[rank] > 0, rank))
    if codes[rank] < 0:
        name = signal.Signals(-codes[rank]).name
        memory = ", out of memory?" * (name == "SIGKILL")
        return f"rank {rank} of {n} was killed by {name}{memory}; run it again, and it goes on from its last checkpoint"
    said = {rank: (pulses / f"{rank}.failed").read_text() for rank in codes if (pulses / f"{rank}.failed").is_file()}
    own = {rank: line for rank, line in said.items() if not re.search(CONSEQUENCES, line)}
    for rank, line in (own or said).items():
        if line.startswith(STOPS):
            raise OutOfTime(line.removeprefix(STOPS))
        return f"rank {rank} of {n}: {line}"
    return f"rank {rank} of {n} ended with code {codes[rank]}, see {pulses}"


class Watch:
    """Says when for a while no process has gone on, and which ones the others wait for; all are then to be ended.

    pulses    the folder of what the processes say; a change of that counts, since clocks of machines differ
    hung      what happened; "" if nothing
    """

    def __init__(self, pulses: Path, patience_s: float):
        self.pulses, self.patience_s, self.hung = pulses, patience_s, ""
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._alive()

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        pulses, since = {}, time.monotonic()
        while not self._done.wait(CHECK_S):
            self._alive()
            if (now := pulses | self._read()) != pulses:
                pulses, since = now, time.monotonic()
            if pulses and time.monotonic() - since > self.patience_s:
                doing = {rank: json.loads(text)["doing"] for rank, text in pulses.items()}
                slow = {rank: said for rank, said in doing.items() if not said.startswith("waits")} or doing
                names = "; ".join(f"rank {rank} {said}" for rank, said in sorted(slow.items()))
                self.hung = f"no process went on for {self.patience_s:g} s (patience_s of machine.yaml): {names}"
                return

    def _alive(self) -> None:
        """Tell processes on nodes that this one lives."""
        (self.pulses / LAUNCHER).write_text(str(time.time()))

    def _read(self) -> dict[int, str]:
        pulses = {}
        for path in self.pulses.iterdir():
            if path.name.isdigit():
                with suppress(OSError):  # on NFS a file that was just replaced may be stale; it is read the next time
                    pulses[int(path.name)] = path.read_text()
        return pulses
