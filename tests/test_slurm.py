"""Stages as SLURM jobs: what is asked for, who may write, and, where SLURM is installed, what happens to faults."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import slurm_cluster
import test_runner as runner

from v2vbench.machine import Machine
from v2vbench.params import Fault
from v2vbench.runner import slurm, slurm_job
from v2vbench.runner.slurm_resources import Resources, resources

nothing_left = runner.nothing_left
SECTION = {
    "partition": "gpu",
    "minutes": 240,
    "stages": {"train": {"gpus": 8, "minutes": 2880}, "evaluate": {"gpus": 0, "cpus": 4}},
    "head": ["data"],
}


def test_a_stage_asks_for_what_its_lines_say():
    machine = Machine(slurm=SECTION, nodes=2, devices=4)
    train, synthesize, evaluate = (resources(machine, stage) for stage in ("train", "synthesize", "evaluate"))
    assert train == Resources(partition="gpu", minutes=2880, gpus=8, nodes=2, cpus=64, memory_gb=256)
    assert synthesize == Resources(partition="gpu", minutes=240, gpus=1, nodes=1, cpus=8, memory_gb=32)
    assert evaluate == Resources(partition="gpu", minutes=240, gpus=0, nodes=1, cpus=4, memory_gb=32)
    assert resources(machine, "data") is None
    assert resources(Machine(devices=4), "train").gpus == 4
    assert resources(Machine(), "compare").gpus == 0


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ({"partion": "gpu"}, "machine.yaml: slurm: unknown partion; it takes partition"),
        ({"minutes": 0}, "machine.yaml: slurm.minutes: 0 is out of range"),
        ({"setup": "module load cuda"}, "machine.yaml: slurm.setup: 'module load cuda' is not list"),
        ({"stages": {"tarin": {}}}, "machine.yaml: slurm: no 'tarin'; there are data, train"),
        ({"stages": {"train": {"gpu": 8}}}, "machine.yaml: slurm.stages.train: unknown gpu"),
        ({"stages": {"train": 8}}, "machine.yaml: slurm.stages.train: expected a mapping, got 8"),
        ({"head": ["sources"]}, "machine.yaml: slurm: no 'sources'"),
    ],
)
def test_a_wrong_line_is_named(section, says):
    with pytest.raises(Fault) as fault:
        resources(Machine(slurm=section), "compare")  # whichever stage asks
    assert str(fault.value).startswith(says)


def test_the_executor_is_local_or_slurm(monkeypatch, tmp_path):
    monkeypatch.delenv("V2VBENCH_EXECUTOR", raising=False)
    assert not slurm.goes_out("train", tmp_path)
    monkeypatch.setenv("V2VBENCH_EXECUTOR", "slrum")
    with pytest.raises(Fault, match="V2VBENCH_EXECUTOR: no 'slrum'; there are local, slurm"):
        slurm.goes_out("train", tmp_path)
    monkeypatch.setenv("V2VBENCH_EXECUTOR", "slurm")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Fault, match="no sbatch here; start it on a login node"):
        slurm.goes_out("train", tmp_path)
    program(tmp_path, "sbatch", "")
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "submitit", None)
        without.setitem(sys.modules, "submitit.core", None)
        with pytest.raises(Fault, match=r"pip install 'v2vbench\[slurm\]'"):
            slurm.goes_out("train", tmp_path)
    (tmp_path / "machine.yaml").write_text("slurm: {head: [data]}\n")
    assert slurm.goes_out("train", tmp_path)
    assert not slurm.goes_out("data", tmp_path)


def program(folder: Path, name: str, lines: str) -> None:
    """A program of SLURM's, as a script."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{lines}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def root(tmp_path):
    (tmp_path / "p").mkdir()
    (tmp_path / "p/params.yaml").write_text("{}")
    return tmp_path / "p"


def test_bodies_that_are_alike_become_one_array(root, monkeypatch):
    calls = []

    def sbatch(root, stage, asked, bodies):
        calls.append((stage, [body.key for body in bodies]))
        return [f"12_{n}" for n in range(len(bodies))]

    monkeypatch.setattr(slurm, "_sbatch", sbatch)
    a, b, dead, other = (slurm.Job("train", key, root) for key in ("a", "b", "dead", "other"))
    dead.content["created"] -= 100  # another process had this number
    other.content["resources"] = other.content["resources"] | {"minutes": 1}
    for job in (b, dead, other, a):
        slurm.write_whole(job.request, json.dumps(job.content).encode())
    slurm._submit_array(root, a.group)
    assert calls == [("train", ["a", "b"])]
    assert [slurm_job.read_record(job.record).get("job") for job in (a, b, dead, other)] == ["12_0", "12_1", None, None]
    assert [job.request.exists() for job in (a, b, dead, other)] == [False, False, False, True]


def test_the_script_says_what_is_asked_for_and_the_job_is_no_child_of_dvc(root, tmp_path, monkeypatch):
    program(tmp_path / "bin", "srun", "")
    program(tmp_path / "bin", "sbatch", f'cp "$1" {tmp_path}/script; env > {tmp_path}/env; echo job 31')
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    for name in ("DVC_ROOT", "V2VBENCH_EXECUTOR", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.setenv(name, "here")
    asked = Resources(qos="long", minutes=90, gpus=2, nodes=2, cpus=16, memory_gb=64, setup=["module load cuda"])
    body = slurm_job.Body(root, "train", "a", "", 90)
    assert slurm._sbatch(root, "train", asked, [body]) == ["31"]
    script = (tmp_path / "script").read_text()
    flags = ("time=90", "nodes=2", "gpus-per-node=2", "cpus-per-task=16", "mem=64GB", "qos=long", f"chdir={root}")
    for flag in (*flags, "requeue", "job-name=v2v-train"):
        assert f"#SBATCH --{flag}\n" in script
    assert "partition" not in script
    assert script.index("module load cuda") < script.index("--nodes=1 --ntasks=1 --cpus-per-task=16")
    assert not {"DVC_ROOT", "V2VBENCH_EXECUTOR", "CUDA_VISIBLE_DEVICES"} & {
        line.partition("=")[0] for line in (tmp_path / "env").read_text().splitlines()
    }
    assert os.environ["DVC_ROOT"] == "here"
    inside = body.environment(began=1000.0)
    assert "DVC_ROOT" not in inside
    assert "V2VBENCH_EXECUTOR" not in inside
    assert inside["V2VBENCH_STOP_AT"] == str(1000 + 90 * 60 - 180)


def test_what_sbatch_refuses_is_one_line(root, tmp_path, monkeypatch):
    program(tmp_path / "bin", "srun", "")
    program(tmp_path / "bin", "sbatch", "echo 'sbatch: error: invalid partition specified: gpu' >&2; exit 1")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    monkeypatch.setattr(slurm, "QUIET_S", 0)
    job = slurm.Job("train", "a", root)
    with pytest.raises(Fault, match="^machine.yaml: slurm: sbatch: error: invalid partition specified: gpu$"):
        job.run()
    assert not list((root / ".cache/slurm/requests").iterdir())
    assert not list((root / ".cache/slurm/jobs").iterdir())


def test_a_node_that_sees_other_files_refuses(root, tmp_path):
    job = slurm.Job("train", "a", root)
    body = slurm_job.Body(root, "train", "a", job.group["params"], 1)
    assert body.other_files("n1") == ""
    (root / "params.yaml").write_text("{ }")
    assert "on node n1 is not the one that the job was submitted with" in body.other_files("n1")
    body.root = tmp_path / "elsewhere"
    assert "node n1 cannot read" in body.other_files("n1")
    assert "must lie on a shared file system" in body.other_files("n1")


def test_a_job_without_its_record_or_its_head_ends(tmp_path, monkeypatch, capsys):
    record = tmp_path / "train-a.json"
    record.write_text('{"job": "12_0"}')
    slurm_job.Lease(record, "12_0").check()
    with pytest.raises(SystemExit):
        slurm_job.Lease(record, "12_1").check()
    record.write_text('{"job": "12_0", "cancelled": true}')
    with pytest.raises(SystemExit):
        slurm_job.Lease(record, "12_0").check()
    assert "the head node has given this job up" in capsys.readouterr().err
    record.write_text('{"job": "12_0"}')
    monkeypatch.setattr(slurm_job, "SILENCE_S", 0)
    lease = slurm_job.Lease(record, "12_0")
    lease.check()
    os.utime(record, ns=(1, 1))  # a sign of life, whatever the clock says
    lease.check()
    time.sleep(0.01)
    with pytest.raises(SystemExit):
        lease.check()


def test_the_job_of_a_killed_call_is_ended_before_a_stage_begins(root, tmp_path, monkeypatch):
    record = root / slurm.JOBS / "train-a.json"
    slurm.write_whole(record, b'{"job": "12_0", "request": "x"}')
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(Fault, match="job 12_0 of SLURM may still run, and there is no scancel here"):
        slurm.end_leftover("train-a", root)
    program(tmp_path / "bin", "scancel", f"echo $1 >> {tmp_path}/cancelled")
    program(tmp_path / "bin", "squeue", "echo 'RUNNING (None)'")
    monkeypatch.setattr(slurm, "GONE_S", 0)
    with pytest.raises(Fault, match="job 12_0 of SLURM does not end"):
        slurm.end_leftover("train-a", root)
    assert slurm_job.read_record(record)["cancelled"]
    program(tmp_path / "bin", "squeue", "echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1")
    with pytest.raises(Fault, match="does not end"):
        slurm.end_leftover("train-a", root)
    program(tmp_path / "bin", "squeue", "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1")
    slurm.end_leftover("train-a", root)
    assert not record.exists()
    assert (tmp_path / "cancelled").read_text() == "12_0\n" * 3


# A SLURM that runs a job at once. squeue says whether it still runs, scancel ends it.
FAKE = {
    "sbatch": 'cd {folder}; (SLURM_JOB_ID=31 setsid bash "$1" > out 2>&1 & echo $! > pid); echo Submitted batch job 31',
    "srun": 'while [ "${{1#--}}" != "$1" ]; do case $1 in --output|--error) shift;; esac; shift; done; exec sh -c "$*"',
    "squeue": "kill -0 $(cat {folder}/pid) 2>/dev/null && echo 'RUNNING (None)'; true",
    "scancel": "kill -9 -$(cat {folder}/pid)",
    "scontrol": "echo JobState=CANCELLED Reason=None ExitCode=0:15",
}


@pytest.fixture
def fake(tmp_path):
    """A project whose `train` fails for the key bad and goes on for the key long; the variables of a fake SLURM."""
    root = runner.project(tmp_path / "p", train=[CELL])
    (root / "machine.yaml").write_text("slurm: {minutes: 10, cpus: 1, memory_gb: 1, gpus: 0}\n")
    for name, lines in FAKE.items():
        program(tmp_path / "bin", name, lines.format(folder=tmp_path))
    yield root, {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "V2VBENCH_EXECUTOR": "slurm"}
    pid = tmp_path / "pid"
    subprocess.run(["sh", "-c", f"kill -9 -$(cat {pid})"], check=False, capture_output=True)


CELL = """import os, time
from v2vbench.params import Fault
from v2vbench.progress import say
name = stage['key']
for n in range(10**6 if name == 'long' and not os.path.exists('go') else 3):
    say(f'{name} step {n}')
    open('grows', 'a').write(f'{os.getpid()} {name}\\n')
    time.sleep(0.05)
if name == 'bad':
    raise Fault('runs.bad: mend it')
print(sorted(word for word in os.environ if word.startswith('DVC')))"""


def test_a_body_goes_out_and_its_progress_and_error_come_back(fake):
    root, env = fake
    process = runner.start(root, "v2vbench", "run", "train", "bad", DVC_SITE_CACHE_DIR="x", **env)
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 1
    assert "train-bad: submitted as job 31\n" in errors
    assert "bad step 2\n" in errors
    assert "v2vbench: runs.bad: mend it; log: logs/slurm/train-bad/31.log (job 31 on " in errors
    assert errors.endswith(")\n")
    assert "runs.bad: mend it" in (root / "logs/slurm/train-bad/31.log").read_text()
    assert not (root / "reports/notebooks/train-bad.ipynb").exists()
    process = runner.start(root, "v2vbench", "run", "train", "good", DVC_SITE_CACHE_DIR="x", **env)
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    assert "[]" in (root / "reports/notebooks/train-good.ipynb").read_text()  # no variable of DVC's
    assert json.loads((root / "logs/train-good.json").read_text())["key"] == "good"
    assert not list((root / ".cache/slurm/jobs").iterdir())


def test_ctrl_c_cancels_the_job(fake):
    root, env = fake
    head = runner.start(root, "v2vbench", "run", "train", "long", **env)
    kernel = runner.kernel_of(root)
    head.send_signal(signal.SIGINT)
    _, errors = head.communicate(timeout=600)
    assert head.returncode == 130
    assert errors.endswith("v2vbench: train long: stopped by SIGINT\n")
    runner.stopped(root, kernel)
    assert not list((root / ".cache/slurm/jobs").iterdir())


# From here on with a real SLURM.
PIPELINE = """stages:
  train:
    foreach: [a, b, long]
    do:
      cmd: python -m v2vbench run train ${item}
      deps: [build/notebooks/01_train.ipynb]
      outs:
        - reports/notebooks/train-${item}.ipynb
  last:
    cmd: cat reports/notebooks/train-a.ipynb > last
    deps: [reports/notebooks]
    outs: [last]
"""


@pytest.fixture(scope="module")
def cluster():
    if reason := slurm_cluster.missing():
        pytest.skip(reason)
    with slurm_cluster.cluster() as env:
        yield env


@pytest.fixture
def piped(cluster, tmp_path):
    """A project with PIPELINE under DVC, and `call(*words)`, which starts a command there that uses the cluster."""
    root = runner.project(tmp_path / "p", train=[CELL])
    (root / "dvc.yaml").write_text(PIPELINE)
    (root / "machine.yaml").write_text("slurm: {minutes: 10, cpus: 1, memory_gb: 1, gpus: 0}\n")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {"PATH": path, "SHELL": "/bin/sh", "DVC_SITE_CACHE_DIR": str(tmp_path / "site"), "DVC_NO_ANALYTICS": "1"}
    env |= {"V2VBENCH_EXECUTOR": "slurm", "OMP_NUM_THREADS": "1"} | cluster

    def call(*words: str) -> subprocess.Popen:
        return runner.start(root, *words, **env)

    assert call("dvc", "init", "-q", "--no-scm").wait(timeout=600) == 0
    yield root, call
    for job in queue(cluster):
        slurm_cluster.client(cluster, "scancel", job)


def queue(cluster) -> dict[str, str]:
    """{job: its state} of what SLURM runs or will run."""
    lines = slurm_cluster.client(cluster, "squeue", "-h", "-r", "-o", "%i %T").splitlines()
    return dict(line.split(" ") for line in lines)


def job_of(root: Path, name: str, head: subprocess.Popen) -> str:
    """The job of a stage, as soon as there is one."""

    def job() -> str:
        assert head.poll() is None, head.communicate()
        return slurm_job.read_record(root / slurm.JOBS / f"{name}.json").get("job", "")

    return runner.until(job, f"the job of {name}")


def finished(process: subprocess.Popen) -> tuple[int, str]:
    out, errors = process.communicate(timeout=600)
    return process.returncode, out + errors


@pytest.mark.slow
def test_a_pipeline_whose_jobs_are_cancelled_and_held_up_ends_with_all_results(cluster, piped):
    root, call = piped
    scheduler = call("v2vbench", "repro", "--jobs", "3")
    jobs = {name: job_of(root, name, scheduler) for name in ("train-a", "train-b", "train-long")}
    assert len({job.split("_")[0] for job in jobs.values()}) < 3  # an array; under load one may come late
    long = jobs["train-long"]
    runner.until(lambda: queue(cluster) == {long: "RUNNING"}, "a and b to finish")
    runner.until(lambda: (root / "logs/train-long.log").read_text(), "progress")
    slurm_cluster.client(cluster, "scancel", long)
    code, said = finished(scheduler)
    assert code == 1, said
    assert f"train-long: job {long} ended without a result: CANCELLED" in said
    assert "train@long failed" in said
    assert "long step 0" in said

    host = slurm_cluster.client(cluster, "sinfo", "-h", "-o", "%n")
    slurm_cluster.client(cluster, "scontrol", "update", f"NodeName={host}", "State=DRAIN", "Reason=test")
    try:
        scheduler = call("v2vbench", "repro", "--jobs", "3")
        long = job_of(root, "train-long", scheduler)
        runner.until(lambda: queue(cluster).get(long) == "PENDING", "the job to wait for the node")
        time.sleep(2)
        assert queue(cluster) == {long: "PENDING"}  # a and b are kept
    finally:
        slurm_cluster.client(cluster, "scontrol", "update", f"NodeName={host}", "State=RESUME")
    (root / "go").touch()
    code, said = finished(scheduler)
    assert code == 0, said
    assert "PENDING" in said
    assert (root / "last").is_file()
    assert not queue(cluster)
    code, said = finished(call("dvc", "status", "--json"))
    assert json.loads(said) == {}, said


@pytest.mark.slow
@pytest.mark.parametrize("signum", ["SIGINT", "SIGKILL"])
def test_no_job_outlives_the_scheduler(cluster, piped, signum):
    root, call = piped
    scheduler = call("v2vbench", "repro", "--jobs", "3")
    kernel = runner.kernel_of(root)
    family = psutil.Process(scheduler.pid).children(recursive=True)
    scheduler.send_signal(signal.Signals[signum])
    finished(scheduler)
    _, alive = psutil.wait_procs(family, timeout=300)
    assert not alive
    runner.until(lambda: not queue(cluster), "the jobs to end")
    runner.stopped(root, kernel)


@pytest.mark.slow
def test_a_job_whose_head_was_killed_is_ended_before_the_stage_runs_again(cluster, piped):
    root, call = piped
    head = call("v2vbench", "run", "train", "long")
    first = runner.kernel_of(root)
    old = job_of(root, "train-long", head)
    head.kill()
    head.communicate(timeout=600)
    assert queue(cluster) == {old: "RUNNING"}
    (root / "go").touch()
    code, said = finished(call("dvc", "repro", "train@long"))  # plain DVC, too
    assert code == 0, said
    assert not first.is_running()
    pids = [line.split(" ")[0] for line in (root / "grows").read_text().splitlines()]
    assert sum(a != b for a, b in zip(pids, pids[1:])) == 1  # the second began when the first had ended


@pytest.mark.slow
@pytest.mark.parametrize("how", ["requeue", "preempt"])
def test_a_job_that_slurm_stops_and_runs_again_ends_as_if_it_had_not(cluster, piped, how):
    root, call = piped
    head = call("v2vbench", "run", "train", "long")
    first = runner.kernel_of(root)
    job = job_of(root, "train-long", head)
    (root / "go").touch()
    if how == "requeue":  # as SLURM does where PreemptMode is REQUEUE
        slurm_cluster.client(cluster, "scontrol", "requeue", job)
    else:  # the signal on which submitit's hook requeues
        slurm_cluster.client(cluster, "scancel", "--signal=USR2", job)
    runner.until(lambda: queue(cluster).get(job) == "PENDING", "SLURM to take it back")
    slurm_cluster.client(cluster, "scontrol", "update", f"JobId={job}", "StartTime=now")  # else, two minutes later
    code, said = finished(head)
    assert code == 0, said
    assert not first.is_running()
    assert len({line.split(" ")[0] for line in (root / "grows").read_text().splitlines()}) == 2
