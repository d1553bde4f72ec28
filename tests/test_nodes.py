"""Several nodes of a real SLURM train as one process; one that dies, hangs or loses its launcher ends the step."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import nbformat
import psutil
import pytest
import slurm_cluster
import test_ranks
import test_runner as runner
import torch
from nbformat.v4 import new_code_cell, new_notebook
from ruamel.yaml import YAML
from test_ranks import Training, differs, trained

from v2vbench.machine import Machine
from v2vbench.params import Fault
from v2vbench.progress import OutOfTime
from v2vbench.results.runs import RunScores
from v2vbench.runner.copies import write_cleaned
from v2vbench.runner.slurm_resources import resources
from v2vbench.stages import _launch, train

project = test_ranks.project
nothing_left = runner.nothing_left
SECTION = "slurm: {minutes: 10, cpus: 2, memory_gb: 2, gpus: 1}\n"
NODES = "devices: 1\nnodes: 2\n"
CELL = """from pathlib import Path
from v2vbench.params import load
from v2vbench.stages.{stage} import {stage}
{stage}(load('params.yaml'), stage['key'], Path.cwd())"""


def test_nodes_of_a_job_and_of_machine_yaml_agree():
    for nodes, section in ((1, {"nodes": 2}), (2, {"stages": {"train": {"nodes": 3}}})):
        with pytest.raises(Fault, match=r"machine.yaml: slurm: \d nodes for train, and `nodes` of machine.yaml is \d;"):
            resources(Machine(nodes=nodes, slurm=section), "evaluate")
    assert resources(Machine(nodes=2, slurm={"stages": {"train": {"nodes": 2}}}), "train").nodes == 2


def test_reports_of_srun_are_read(tmp_path):
    (tmp_path / "srun.log").write_text(
        "srun: error: n[3-4]: tasks 0,2-3: Exited with exit code 1\n"
        "srun: error: n3: task 1: Killed\n"
        "srun: error: n5: task 5: Segmentation fault (core dumped)\n"
        "srun: error: n5: task 7: Out Of Memory\n"
        "slurmstepd: error: *** STEP 7.1 ON n3 CANCELLED AT 2024-01-01T00:00:00 ***\n"
    )
    codes = {0: 1, 2: 1, 3: 1, 1: -signal.SIGKILL, 5: -signal.SIGSEGV, 7: -signal.SIGKILL}
    assert _launch._ended(tmp_path / "srun.log") == codes


@pytest.fixture(scope="module")
def cluster():
    if reason := slurm_cluster.missing():
        pytest.skip(reason)
    with slurm_cluster.cluster(n_nodes=2) as env:
        yield env


@pytest.fixture
def allocated(cluster, tmp_path, monkeypatch):
    """This process is in a job of two nodes, as in a shell that salloc started; returns the job's steps."""
    for name, value in (cluster | {"OMP_NUM_THREADS": "1"}).items():
        monkeypatch.setenv(name, value)
    words = ["salloc", "--kill-command=TERM", "--nodes=2", "--ntasks-per-node=1", "--cpus-per-task=2", "--mem=2G"]
    words += ["--gpus-per-node=1", "--time=10"]
    shell = subprocess.Popen(
        [*words, "sh", "-c", f"env > {tmp_path}/new; mv {tmp_path}/new {tmp_path}/env; exec sleep 600"],
        stderr=subprocess.DEVNULL,
    )
    runner.until((tmp_path / "env").exists, "the allocation")
    lines = (line.partition("=") for line in (tmp_path / "env").read_text().splitlines())
    for name, _, value in lines:
        if name.startswith("SLURM"):
            monkeypatch.setenv(name, value)
    job = os.environ["SLURM_JOB_ID"]
    yield lambda: slurm_cluster.client(cluster, "squeue", "-h", "-s", "-j", job, "-o", "%i").split()
    slurm_cluster.client(cluster, "scancel", job)
    shell.wait(60)


def processes(root: Path) -> list[psutil.Process]:
    """Those of the training of a project, on whichever node."""
    every = psutil.process_iter(["cmdline", "cwd"])
    return [p for p in every if p.info["cwd"] == str(root) and (p.info["cmdline"] or [])[-3:-1] == ["work", "train"]]


def stops_in_time(root: Path, monkeypatch) -> None:
    """A training whose time is up leaves a checkpoint, and the runner learns that it is to be run again."""
    monkeypatch.setenv("V2VBENCH_STOP_AT", "1")
    with pytest.raises(OutOfTime, match=f"^train x: out of time after step 1 of {test_ranks.STEPS}$"):
        trained(root)
    (path,) = root.glob(".cache/runs/*/checkpoint.pt")
    assert torch.load(path, weights_only=True)["step"] == 1
    assert not processes(root)


def test_processes_whose_time_is_up_leave_a_checkpoint(project, monkeypatch):
    stops_in_time(project("here", "devices: 2"), monkeypatch)


@pytest.mark.slow
def test_processes_on_nodes_whose_time_is_up_leave_a_checkpoint(allocated, project, monkeypatch):
    stops_in_time(project("nodes", NODES), monkeypatch)


def submitted(cluster, root: Path, *words: str) -> str:
    """Run `v2vbench <words>` with the executor slurm; returns what it printed."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {"PATH": path, "SHELL": "/bin/sh", "V2VBENCH_EXECUTOR": "slurm", "OMP_NUM_THREADS": "1"} | cluster
    process = runner.start(root, "v2vbench", *words, **env)
    out, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    return out + errors


def with_notebook(root: Path, stage: str) -> None:
    """Give a project one notebook, which runs a stage and nothing else."""
    for name in ("notebooks", "build"):
        shutil.rmtree(root / name, ignore_errors=True)
    (root / "notebooks").mkdir()
    first = new_code_cell('stage = {"key": "y"}', metadata={"tags": ["parameters"]})
    notebook = new_notebook(cells=[first, new_code_cell(CELL.format(stage=stage))])
    nbformat.write(notebook, root / f"notebooks/01_{stage}.ipynb")
    write_cleaned(root, "build/notebooks")


@pytest.mark.slow
def test_two_nodes_of_a_job_train_as_one_process(cluster, project):
    alone, root = (project(name, lines, "pix2pixhd", lr=1e-5, lr_d=1e-5) for name, lines in (("a", ""), ("b", NODES)))
    (root / "machine.yaml").write_text(NODES + SECTION)
    with_notebook(root, "train")
    yaml = YAML(typ="safe")
    lines, tiny = yaml.load(root / "params.yaml"), yaml.load(test_ranks.TINY_SUITE)
    lines["protocol"]["primary"] = ["psnr", "ssim", "warp_error"]  # the runner refuses fewer than three
    lines["metrics"] = {name: tiny["metrics"][name] for name in lines["protocol"]["primary"]}
    lines["runs"]["x"]["first_frames"] = "none"
    yaml.dump(lines, root / "params.yaml")
    said = submitted(cluster, root, "run", "train", "x")
    assert re.search(r"train x\S* +100%|train x.* 20/20", said), said
    pulses = root / ".cache/ranks/train-x"
    assert (pulses / "srun.log").read_text() == ""
    assert {path.name for path in pulses.iterdir() if path.name.isdigit()} == {"0", "1"}
    (path,) = root.glob(".cache/runs/*/weights.safetensors")
    assert differs(train.finished(path.parent)[1], trained(alone)) < 1e-6


@pytest.mark.slow
def test_a_stage_other_than_train_has_the_one_node_of_its_job(cluster, tiny_project, tmp_path):
    root, run = tmp_path / "project", "vid2vid"
    shutil.copytree(tiny_project, root)
    file = RunScores.path(root, run)
    before = file.read_bytes()
    file.unlink()
    (root / "machine.yaml").write_text(NODES + SECTION)
    with_notebook(root, "evaluate")
    submitted(cluster, root, "run", "evaluate", run)
    assert file.read_bytes() == before
    assert not (root / f".cache/ranks/evaluate-{run}").exists()


@pytest.mark.slow
def test_a_killed_process_on_a_node_is_named_and_the_next_call_goes_on(allocated, project, capfd):
    root = project("killed", NODES, steps=200, checkpoint_every=1)
    training = Training(root)
    hurt = training.hurt(1, signal.SIGKILL)
    training.join()
    assert training.ended - hurt < 60
    assert not processes(root)
    assert training.fault == (
        "train x: rank 1 of 2 was killed by SIGKILL, out of memory?; "
        "run it again, and it goes on from its last checkpoint"
    )
    rows = trained(root)
    assert re.search(r"train x: going on from step \d+ of 200", (root / ".cache/ranks/train-x/0.log").read_text())
    assert [row["step"] for row in rows] == list(range(1, 201))


@pytest.mark.slow
def test_a_process_on_a_node_that_hangs_is_named(allocated, project):
    root = project("hangs", NODES + "patience_s: 15", steps=4000, checkpoint_every=1)
    training = Training(root)
    training.hurt(1, signal.SIGSTOP)
    training.join()
    assert re.fullmatch(
        r"train x: no process went on for 15 s \(patience_s of machine.yaml\): rank 1 [a-z]+ .*; all were ended; "
        "run it again, and it goes on from its last checkpoint",
        training.fault,
    )
    runner.until(lambda: not processes(root), "the processes on the nodes to end")


@pytest.mark.slow
def test_a_fault_on_a_node_is_that_of_the_stage(allocated, project):
    with pytest.raises(Fault, match=r"^train x: rank \d of 2: runs.x: loss \w+ is (nan|inf) at step \d+; lower"):
        trained(project("nan", NODES, lr=1e18))
    with pytest.raises(Fault, match="^machine.yaml: nodes is 3, and this SLURM job has 2$"):
        trained(project("three", "devices: 1\nnodes: 3"))


@pytest.mark.slow
def test_processes_on_nodes_end_with_the_one_that_started_them(allocated, project):
    """Also where srun has no time to end them: it and the process that watches over it are killed at once."""
    root = project("lost", NODES, steps=100_000, checkpoint_every=10)
    code = f"import pathlib, v2vbench.params as p, v2vbench.stages.train as t; r = pathlib.Path({str(root)!r}); "
    launcher = subprocess.Popen([sys.executable, "-c", code + "t.train(p.load(r / 'params.yaml'), 'x', r)"], cwd=root)
    runner.until(lambda: list(root.glob(".cache/runs/*/checkpoint.pt")), "a checkpoint")
    family = psutil.Process(launcher.pid).children(recursive=True)
    for process in (psutil.Process(launcher.pid), *family):
        process.suspend()
    for process in (*family, launcher):
        process.kill()
    launcher.wait()
    assert processes(root)
    runner.until(lambda: not processes(root), "the processes on the nodes to end")
    assert "no sign of life from the launching process" in (root / ".cache/ranks/train-x/1.log").read_text()
