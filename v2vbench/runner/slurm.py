"""Runs the bodies of stages as SLURM jobs, through submitit; DVC and the scheduler stay on the head node.

The project lies on a file system that all nodes share. What a job needs is said in machine.yaml, section `slurm`. Which
job may write a stage's outputs is said in .cache/slurm/jobs/<stage>-<key>.json, which the head node renews and the job
watches: a job without it ends, so that never two processes write the same outputs.
"""

import dataclasses
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from filelock import FileLock

from v2vbench.files import write_whole
from v2vbench.machine import FILE, load_machine
from v2vbench.params import Fault, choose, shorten
from v2vbench.runner.slurm_job import HEARTBEAT_S, JOBS, Body, read_record
from v2vbench.runner.slurm_resources import STAGES, Resources, resources

FOLDER = JOBS.parent
QUIET_S, COLLECT_S = 2, 20  # bodies become one array once no other has come for so long; the longest wait for others
ASK_S = (1, 15)  # between questions to SLURM about a job: at first, and later
GONE_S = 60  # for a job to end after scancel, and for its result to arrive on this machine
RETRIES = 20  # of a job that ran out of minutes
RESUMED = ("train",)  # stages that go on from a checkpoint when their job is run again


def executor() -> str:
    """Where bodies of stages run: local or slurm, from V2VBENCH_EXECUTOR."""
    name = os.environ.get("V2VBENCH_EXECUTOR") or "local"
    return choose({"local": "local", "slurm": "slurm"}, name, "V2VBENCH_EXECUTOR")


def goes_out(stage: str, root: Path) -> bool:
    """Whether a stage's body runs as a job; raises Fault where it should and cannot."""
    if executor() == "local" or stage not in STAGES:
        return False
    if not shutil.which("sbatch"):
        raise Fault("executor slurm: no sbatch here; start it on a login node of the cluster")
    _submitit()
    return resources(load_machine(root), stage) is not None


def _submitit():
    """The package submitit, which takes 0.1 s to import and is optional."""
    try:
        import submitit.core.utils
    except ModuleNotFoundError:
        raise Fault("executor slurm needs the package submitit: pip install 'v2vbench[slurm]'") from None
    return submitit


class Job:
    """The body of one stage as a SLURM job, seen from the head node."""

    def __init__(self, stage: str, key: str, root: Path):
        asked = resources(load_machine(root), stage)
        assert asked
        self.root, self.name, self.id = root, f"{stage}-{key}", ""
        self.record, self.lock = root / JOBS / f"{self.name}.json", root / FOLDER / "lock"
        self.request = root / FOLDER / "requests" / f"{uuid.uuid4().hex}.json"
        self.group = {
            "stage": stage,
            "params": hashlib.sha256((root / "params.yaml").read_bytes()).hexdigest(),
            "resources": dataclasses.asdict(asked),
        }
        self.content = {"key": key, "pid": os.getpid(), "created": psutil.Process().create_time()} | self.group

    def run(self) -> None:
        """Submit the job, alone or in an array with others, and wait for its end; raises Fault if it fails."""
        write_whole(self.request, json.dumps(self.content).encode())
        try:
            self._submit()
            result = self._wait()
        except BaseException:
            self.cancel()
            raise
        self.record.unlink(missing_ok=True)
        for path in (self.root / FOLDER / "submitit").glob(f"{self.id}_*.pkl"):
            path.unlink()
        if result["code"]:
            log = result["log"] and f"; log: {result['log']} (job {self.id} on {result['node']})"
            raise Fault(f"{result['error']}{log}")

    def cancel(self) -> None:
        """Withdraw the request, and end the job if there is one."""
        with FileLock(self.lock, timeout=GONE_S):  # else another process might be submitting it
            self.request.unlink(missing_ok=True)
        if read_record(self.record).get("request") == self.request.stem:
            end_leftover(self.name, self.root)

    def _submit(self) -> None:
        """Wait until no more bodies come; then the first that gets the lock submits all that are alike."""
        others, quiet, end = set(), time.monotonic(), time.monotonic() + COLLECT_S
        while time.monotonic() < min(end, quiet + QUIET_S) and self.request.exists():
            if (seen := set(self.request.parent.glob("*.json"))) != others:
                others, quiet = seen, time.monotonic()
            time.sleep(0.1)
        with FileLock(self.lock), _uninterrupted():
            if self.request.exists():
                _submit_array(self.root, self.group)
        reply = read_record(self.record)
        if "error" in reply:
            raise Fault(reply["error"])
        self.id = reply["job"]
        print(f"{self.name}: submitted as job {self.id}", file=sys.stderr, flush=True)

    def _wait(self) -> dict:
        """What the job's Body returned."""
        job = _submitit().SlurmJob(self.root / FOLDER / "submitit", self.id)
        folder, state, began, asked, alive = job.paths.folder, "", time.monotonic(), 0.0, 0.0
        while True:
            with suppress(OSError):
                folder.chmod(folder.stat().st_mode)  # has NFS look at the folder anew
            if job.paths.result_pickle.exists():
                return self._result(job)
            now = time.monotonic()
            if now - alive > HEARTBEAT_S:
                os.utime(self.record)
                alive = now
            if now - asked > min(ASK_S[1], ASK_S[0] + (now - began) / 20):
                before, state, asked = state, _state(self.id), now
                if state and state != before:
                    print(f"{self.name}: job {self.id} {state}", file=sys.stderr, flush=True)
                if not state and not before and now - began > ASK_S[0]:  # twice: a result may be on its way
                    end = now + (GONE_S if _final(self.id).startswith("COMPLETED") else 2 * ASK_S[0])
                    while not job.paths.result_pickle.exists() and time.monotonic() < end:
                        time.sleep(0.5)
                    if not job.paths.result_pickle.exists():
                        raise Fault(self._died(job.paths.stderr))
            time.sleep(0.3)

    def _result(self, job) -> dict:
        try:
            return job.result()
        except _submitit().core.utils.UncompletedJobError as error:
            last = [line for line in str(error).splitlines() if re.match(r"\S*(Error|Exception|Exit)\b", line)]
            cause = last[-1] if last else str(error)
            raise Fault(f"{self.name}: job {self.id}: {shorten(cause, 300)}; log: {job.paths.stderr}") from None

    def _died(self, stderr: Path) -> str:
        """The line about a job that ended without a result."""
        logs = self.root / "logs/slurm" / self.name / f"{self.id}.log"
        named = [path for path in (logs, stderr) if path.is_file() and path.stat().st_size]
        said = f"; log: {named[0].relative_to(self.root)}" if named else f"; do the nodes see {self.root}?"
        return f"{self.name}: job {self.id} ended without a result: {_final(self.id)}{said}"


def _submit_array(root: Path, group: dict) -> None:
    """Submit every waiting request of a group as one job or array, and write a record for each.

    The caller holds the lock.
    """
    waiting = {}
    for path in (root / FOLDER / "requests").glob("*.json"):
        request = read_record(path)
        if not _alive(request):
            path.unlink(missing_ok=True)
        elif {name: request[name] for name in group} == group:
            waiting[path] = request
    waiting = dict(sorted(waiting.items(), key=lambda item: item[1]["key"]))
    asked = Resources(**group["resources"])
    bodies = [Body(root, group["stage"], one["key"], group["params"], asked.minutes) for one in waiting.values()]
    try:
        replies = [{"job": job} for job in _sbatch(root, group["stage"], asked, bodies)]
    except Fault as fault:
        replies = [{"error": str(fault)} for _ in waiting]
    for (path, request), reply in zip(waiting.items(), replies):
        record = root / JOBS / f"{group['stage']}-{request['key']}.json"
        write_whole(record, json.dumps({"request": path.stem} | reply).encode())
        path.unlink(missing_ok=True)


def _sbatch(root: Path, stage: str, asked: Resources, bodies: list[Body]) -> list[str]:
    """The ids of the jobs of bodies, one job or the elements of one array; raises Fault with sbatch's error."""
    submitit = _submitit()
    retries = RETRIES if stage in RESUMED else 0
    sbatch = submitit.SlurmExecutor(root / FOLDER / "submitit", max_num_timeout=retries)
    sbatch.update_parameters(
        job_name=f"v2v-{stage}",
        time=asked.minutes,
        nodes=asked.nodes,
        ntasks_per_node=1,
        cpus_per_task=asked.cpus,
        mem=f"{asked.memory_gb}GB",
        setup=asked.setup or None,
        signal_delay_s=min(90, asked.minutes * 10),
        # The body runs on the first node; a training on several starts the others itself, by srun.
        srun_args=["--nodes=1", "--ntasks=1", f"--cpus-per-task={asked.cpus}"],
        additional_parameters={"chdir": str(root), "requeue": True},
        **({"gpus_per_node": asked.gpus} if asked.gpus else {}),
        **{name: value for name in ("partition", "account", "qos") if (value := getattr(asked, name))},
    )
    before = dict(os.environ)
    for name in before:
        if name.startswith("DVC") or name in ("V2VBENCH_EXECUTOR", "CUDA_VISIBLE_DEVICES"):
            del os.environ[name]  # the job inherits the others
    try:
        with sbatch.batch():
            jobs = [sbatch.submit(body) for body in bodies]
        return [job.job_id for job in jobs]
    except (submitit.core.utils.FailedJobError, submitit.core.utils.FailedSubmissionError) as error:
        said = [line for line in str(error).splitlines() if "error" in line] or str(error).splitlines()
        raise Fault(f"{FILE}: slurm: {shorten(said[0], 300)}") from None
    finally:
        os.environ.update(before)


def end_leftover(name: str, root: Path) -> None:
    """End the job of a stage that an earlier call, or one that was killed, has left; returns when it is gone.

    raises    Fault if it goes on, or if that cannot be known here
    """
    path = root / JOBS / f"{name}.json"
    record = read_record(path)
    if job := record.get("job"):
        if not shutil.which("scancel"):
            raise Fault(f"{name}: job {job} of SLURM may still run, and there is no scancel here; delete {path} if not")
        write_whole(path, json.dumps(record | {"cancelled": True}).encode())  # the job itself ends without it, too
        _call("scancel", job)
        end = time.monotonic() + GONE_S
        while _state(job):
            if time.monotonic() > end:
                raise Fault(f"{name}: job {job} of SLURM does not end; see `squeue -j {job}`")
            time.sleep(0.5)
    path.unlink(missing_ok=True)


def _state(job: str) -> str:
    """The state of a job and why it waits: "PENDING (Resources)"; "" once it has left the queue."""
    code, out = _call("squeue", "-h", "-j", job, "-o", "%T (%r)")
    if code and "Invalid job id" not in out:
        return f"unknown: {shorten(out, 100)}"  # no answer is no end
    return "" if code or not out else shorten(out.splitlines()[0].removesuffix(" (None)"), 100)


def _final(job: str) -> str:
    """How a job ended: "CANCELLED, exit code 0:15"."""
    facts = dict(re.findall(r"(JobState|Reason|ExitCode)=(\S+)", _call("scontrol", "show", "job", "-o", job)[1]))
    reason = facts.get("Reason", "None")
    said = [facts.get("JobState", ""), *([reason] if reason != "None" else []), f"exit code {facts.get('ExitCode')}"]
    return ", ".join(said) if facts else "SLURM knows it no more"


def _call(*words: str) -> tuple[int, str]:
    """Exit code and output of a SLURM command."""
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    return done.returncode, (done.stdout if not done.returncode else done.stderr).strip()


def _alive(request: dict) -> bool:
    """Whether the process that waits for a request still runs."""
    with suppress(psutil.Error, KeyError):
        return abs(psutil.Process(request["pid"]).create_time() - request["created"]) < 1
    return False


@contextmanager
def _uninterrupted():
    """Signals that would end this process wait: a job that was submitted has to get its record."""
    came = []
    handlers = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    for signum in handlers:
        signal.signal(signum, lambda signum, frame: came.append(signum))
    try:
        yield
    finally:
        for signum, handler in handlers.items():
            signal.signal(signum, handler)
        for signum in came:
            signal.raise_signal(signum)
