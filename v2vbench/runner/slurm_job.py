"""The side of a SLURM job: runs `v2vbench run STAGE KEY` on a node, as long as the head node holds the job's record."""

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

INSIDE = "V2VBENCH_INSIDE_JOB"  # set for the stage in a job
OUT_OF_TIME, STOPPED = 3, 130  # exit codes of `v2vbench run`: it has a checkpoint to go on from; it got a signal
JOBS = Path(".cache/slurm/jobs")  # <stage>-<key>.json: which job may write the outputs of that stage
LOOK_S = 5  # between looks at the record
SILENCE_S = 900  # without a sign of life from the head, after which a job ends; signs come every HEARTBEAT_S
HEARTBEAT_S = 15
HOLD_S = 300  # for SLURM to end a job whose stage it has stopped: it will run the job again, or never


def read_record(path: Path) -> dict:
    """The content of a record; {} where there is none, or it is being replaced on a distant file system."""
    with suppress(OSError, ValueError):
        return json.loads(path.read_text())
    return {}


@dataclass
class Body:
    """What a job runs: one stage for one key. submitit pickles it, calls it on the node and pickles what it returns."""

    root: Path
    stage: str
    key: str
    params_sha256: str  # of params.yaml on the head node
    minutes: int  # of the job

    def __call__(self) -> dict:
        """Run the stage; returns its exit code, its one-line error ("" if none), the log and the node."""
        from submitit import JobEnvironment

        began, job = time.time(), JobEnvironment().job_id
        node = socket.gethostname()
        if problem := self.other_files(node):
            return {"code": 1, "error": problem, "log": "", "node": node}
        log = self.root / f"logs/slurm/{self.stage}-{self.key}/{job}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        holds = Lease(self.root / JOBS / f"{self.stage}-{self.key}.json", job)
        holds.wait()
        with open(log, "ab") as out:
            start = out.tell()
            command = [sys.executable, "-m", "v2vbench", "run", self.stage, self.key]
            env = self.environment(began)
            self.child = subprocess.Popen(command, cwd=self.root, env=env, stdout=out, stderr=out)
            try:
                while self.child.poll() is None:
                    holds.check()
                    with suppress(subprocess.TimeoutExpired):
                        self.child.wait(LOOK_S)
            finally:
                self.end_child()
        code = self.child.returncode
        if code == OUT_OF_TIME:
            os.kill(os.getpid(), signal.SIGUSR2)  # submitit's sign to checkpoint and requeue; it does not return
            time.sleep(HOLD_S)
        if code in (STOPPED, -signal.SIGTERM, -signal.SIGKILL):
            # SLURM stopped it, to preempt or to cancel the job: a result now would look like a stage that failed
            end = time.monotonic() + (HOLD_S if code != -signal.SIGKILL else 2 * LOOK_S)
            while time.monotonic() < end:
                holds.check()
                time.sleep(1)
        said = [line for line in log.read_bytes()[start:].decode(errors="replace").splitlines() if line.strip()]
        faults = [line for line in said if line.startswith("v2vbench: ")] or said[-1:] or [f"exit code {code}"]
        error = faults[-1].removeprefix("v2vbench: ") if code else ""
        return {"code": code, "error": error, "log": str(log.relative_to(self.root)), "node": node}

    def checkpoint(self):
        """Called by submitit before it has SLURM run the job again: the stage goes on from its own checkpoint."""
        from submitit.helpers import DelayedSubmission

        self.end_child()
        return DelayedSubmission(Body(self.root, self.stage, self.key, self.params_sha256, self.minutes))

    def other_files(self, node: str) -> str:
        """Why this node does not see the project as the head node does; "" where it does."""
        path = self.root / "params.yaml"
        try:
            same = hashlib.sha256(path.read_bytes()).hexdigest() == self.params_sha256
        except OSError as error:
            return f"node {node} cannot read {path} ({error.strerror}): the project must lie on a shared file system"
        where = f"{path} on node {node} is not the one that the job was submitted with"
        return "" if same else f"{where}: it was edited since, or the file system is not shared; run it again"

    def environment(self, began: float) -> dict[str, str]:
        """The stage's environment: no DVC is above it, it submits nothing, and stops before the job's time is up."""
        ours = {name: text for name, text in os.environ.items() if not name.startswith("DVC")}
        ours.pop("V2VBENCH_EXECUTOR", None)
        margin = min(180.0, self.minutes * 60 / 5)
        if n_nodes := ours.get("SLURM_JOB_NUM_NODES"):
            ours["V2VBENCH_NODES"] = n_nodes  # `nodes` of machine.yaml is for trainings; other jobs have one
        return ours | {INSIDE: "1", "V2VBENCH_STOP_AT": f"{began + self.minutes * 60 - margin:.0f}"}

    def end_child(self) -> None:
        """End the stage, and wait until it has ended."""
        child = getattr(self, "child", None)
        if child and child.poll() is None:
            child.terminate()
            try:
                child.wait(30)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


class Lease:
    """The right to write a stage's outputs: the head's record names this job, and the head renews it.

    check()    raises SystemExit if it is lost: the record names no or another job, or was not renewed for SILENCE_S
    """

    def __init__(self, record: Path, job: str):
        self.record, self.job = record, job
        self.seen, self.since = None, time.monotonic()

    def wait(self) -> None:
        """Wait for the record, which is written just after the submission; raises SystemExit without it."""
        end = time.monotonic() + 60
        while not self._named() and time.monotonic() < end:
            time.sleep(0.5)
        self.check()

    def check(self) -> None:
        if not self._named():
            self._lost("the head node has given this job up")
        sign = self.record.stat().st_mtime_ns  # compared with itself: clocks of other machines differ
        if sign != self.seen:
            self.seen, self.since = sign, time.monotonic()
        elif time.monotonic() - self.since > SILENCE_S:
            self._lost(f"no sign of life from the head node for {SILENCE_S} s")

    def _named(self) -> bool:
        record = read_record(self.record)
        return record.get("job") == self.job and not record.get("cancelled")

    def _lost(self, why: str) -> None:
        print(f"v2vbench: {why}; the stage is stopped", file=sys.stderr, flush=True)
        raise SystemExit(STOPPED)
