"""Stages side by side: what waits for what, how many at once, what a failure leaves, and what made a stage stale."""

import hashlib
import json
import os
import shutil
import signal
import stat
import sys
from pathlib import Path

import psutil
import pytest
import test_runner as runner
import torch

from v2vbench.parallel import fixed_threads
from v2vbench.params import Fault
from v2vbench.runner import repro
from v2vbench.runner.gpus import visible_gpus

nothing_left = runner.nothing_left  # of the processes that a failed test has started

DOT = """strict digraph {
"sources";
"data";
"train@a";
"train@b";
"inputs_compare";
"compare";
"sources" -> "data";
"data" -> "train@a";
"data" -> "train@b";
"train@a" -> "inputs_compare";
"train@b" -> "inputs_compare";
"inputs_compare" -> "compare";
}
"""
# Stands for dvc: answers dag, cache and status, each time with the next line, and notes when a stage starts and ends.
FAKE = """#!{python}
import json, os, pathlib, sys, time
here = pathlib.Path({folder!r})
words = sys.argv[1:]
if words[0] == "dag":
    print((here / "dot").read_text())
elif words[0] == "status":
    line, *rest = (here / "status").read_text().splitlines()
    (here / "status").write_text("\\n".join(rest or [line]))
    print(line)
elif words == ["cache", "dir"]:
    print(here / "cache")
else:
    stage = words[-1]
    assert words == ["--wait-for-lock", "repro", "--single-item", stage]
    with open(here / "log", "a") as log:
        log.write(f"start {{stage}}\\n")
    with open(here / "gpus", "a") as log:
        log.write(f"{{stage}} {{os.environ.get('CUDA_VISIBLE_DEVICES', 'unset')}}\\n")
    if stage.startswith("train"):              # until another training has begun, or half a minute
        for _ in range(600):
            if (here / "log").read_text().count("start train") >= int(os.environ["BESIDE"]):
                break
            time.sleep(0.05)
    with open(here / "log", "a") as log:
        log.write(f"end {{stage}}\\n")
    sys.exit(stage in (here / "bad").read_text())
"""


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """A folder whose `dvc` is FAKE; `fake(status, jobs)` runs repro there and returns what happened, in order."""
    (tmp_path / "bin").mkdir()
    dvc = tmp_path / "bin" / "dvc"
    dvc.write_text(FAKE.format(python=sys.executable, folder=str(tmp_path)))
    dvc.chmod(dvc.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(dvc.parent), prepend=":")
    monkeypatch.setenv("V2VBENCH_GPUS", "0")
    (tmp_path / "dot").write_text(DOT)

    def run(status: str, jobs: int, bad: str = "nothing", beside: int = 2, dry: bool = False) -> list[str]:
        (tmp_path / "status").write_text(status)
        (tmp_path / "bad").write_text(bad)
        for name in ("log", "gpus"):
            (tmp_path / name).write_text("")
        monkeypatch.setenv("BESIDE", str(beside))
        try:
            repro.repro(tmp_path, jobs, dry)
        finally:
            run.log = (tmp_path / "log").read_text().splitlines()
        return run.log

    return run


def test_what_changed_is_run_with_what_follows_from_it_and_in_order(fake):
    log = fake('{"data": [{"changed deps": {}}]}', jobs=2)
    assert log[:2] == ["start data", "end data"]
    assert log[-2:] == ["start compare", "end compare"]
    assert sorted(log[2:4]) == ["start train@a", "start train@b"]  # each waits for the other to begin
    assert not any("sources" in line for line in log)


def test_one_job_is_one_after_the_other(fake):
    log = fake('{"train@a": [], "train@b": []}', jobs=1, beside=1)
    assert log[:2] == ["start train@a", "end train@a"]
    assert len(log) == 8


def test_the_longest_stage_begins_first(fake, tmp_path):
    (tmp_path / "dot").write_text('strict digraph {\n"evaluate@a";\n"evaluate@b";\n"calibrate@c";\n}\n')
    log = fake('{"evaluate@a": [], "evaluate@b": [], "calibrate@c": []}', jobs=1)
    assert [line for line in log if line.startswith("start")] == [
        "start calibrate@c",
        "start evaluate@a",
        "start evaluate@b",
    ]


def test_nothing_changed_runs_nothing(fake, capsys):
    assert fake("{}", jobs=2) == []
    assert "up to date" in capsys.readouterr().out


def test_a_failure_lets_its_neighbour_finish_and_starts_nothing_more(fake):
    with pytest.raises(Fault, match="train@a failed"):
        fake('{"data": []}', jobs=2, bad="train@a")
    assert "end train@b" in fake.log
    assert not any("compare" in line for line in fake.log)


def test_quick_stages_run_first_and_what_they_leave_unchanged_is_not_looked_at(fake, capsys):
    log = fake('{"sources": [], "data": []}\n{}', jobs=2)
    assert log == ["start sources", "end sources"]
    assert "the edit changes no result" in capsys.readouterr().out


def test_a_quick_stage_waits_for_the_stale_stages_before_it(fake):
    log = fake('{"train@a": [], "inputs_compare": []}', jobs=1, beside=1)
    assert [line for line in log if "end" in line] == ["end train@a", "end inputs_compare", "end compare"]


def gpus_of(tmp_path) -> dict[str, str]:
    """{stage: its CUDA_VISIBLE_DEVICES} of the last run."""
    return dict(line.split(" ") for line in (tmp_path / "gpus").read_text().splitlines())


def test_without_gpus_the_environment_stays(fake, tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    fake('{"train@a": []}', jobs=1, beside=1)
    assert set(gpus_of(tmp_path).values()) == {"unset"}


def test_each_training_has_a_gpu_of_its_own_and_others_see_none(fake, tmp_path, monkeypatch):
    monkeypatch.setenv("V2VBENCH_GPUS", "2")
    fake('{"data": []}', jobs=0)  # the trainings wait for each other to begin
    seen = gpus_of(tmp_path)
    assert {seen.pop("train@a"), seen.pop("train@b")} == {"0", "1"}
    assert seen == {"data": "", "inputs_compare": "", "compare": ""}


def test_a_number_that_would_start_nothing_is_refused(tmp_path, monkeypatch):
    with pytest.raises(Fault, match="--jobs -1: at least 1"):
        repro.repro(tmp_path, jobs=-1)
    monkeypatch.setenv("V2VBENCH_GPUS", "two")
    with pytest.raises(Fault, match="V2VBENCH_GPUS: 'two' is not a number of GPUs"):
        repro.repro(tmp_path)


def test_a_training_takes_the_devices_of_machine_yaml(fake, tmp_path, monkeypatch):
    monkeypatch.setenv("V2VBENCH_GPUS", "3")
    (tmp_path / "machine.yaml").write_text("devices: 2\n")
    log = fake('{"data": []}', jobs=8, beside=1)
    assert {gpus_of(tmp_path)[stage] for stage in ("train@a", "train@b")} == {"0,1"}
    assert log.index("end train@a") < log.index("start train@b")  # one GPU is free meanwhile, and two are needed
    (tmp_path / "machine.yaml").write_text("devices: 4\n")
    with pytest.raises(Fault, match="devices: 4 for a training, and there are 3 GPUs here"):
        fake('{"data": []}', jobs=8)


def test_stages_without_gpus_run_beside_and_a_large_one_is_not_overtaken():
    gpus = repro.Gpus(["4", "7"], per_training=2)
    assert list(repro._fitting(["train@a", "synthesize@b", "evaluate@c"], 9, gpus)) == [
        "train@a",
        "synthesize@b",
        "evaluate@c",
    ]
    assert gpus.take("synthesize@b") == ["4"]
    assert list(repro._fitting(["train@a", "synthesize@d", "evaluate@c"], 9, gpus)) == ["evaluate@c"]
    gpus.give_back(["4"])
    assert gpus.take("train_judge@e") == ["4", "7"]
    assert gpus.take("compare") == []


@pytest.mark.parametrize(
    ("visible", "ids"), [("2,5", ["2", "5"]), ("", []), ("0,-1,2", ["0"]), ("GPU-8f2c, GPU-11", ["GPU-8f2c", "GPU-11"])]
)
def test_gpus_that_are_hidden_stay_hidden(monkeypatch, visible, ids):
    monkeypatch.delenv("V2VBENCH_GPUS", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert visible_gpus() == ids


def test_gpus_are_counted_by_nvidia_smi(tmp_path, monkeypatch):
    for name in ("V2VBENCH_GPUS", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'GPU 0: A (UUID: GPU-1)'\necho '  MIG 1g.5gb Device 0:'\necho 'GPU 1: A'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert visible_gpus() == ["0", "1"]


# Each stage goes on until the file `go` is there: one as a notebook, one as a command that no runner watches.
PIPELINE = """stages:
  first:
    cmd: echo 1 > first
    deps: [params.yaml]
    outs: [first]
  train:
    cmd: python -m v2vbench run train x
    deps: [first, build/notebooks/01_train.ipynb]
    outs: [reports/notebooks/train-x.ipynb]
  plain:
    cmd: while [ ! -e go ]; do echo $$ >> plain_grows; sleep 0.05; done; echo 1 > plain
    deps: [first]
    outs: [plain]
  last:
    cmd: test -e mended && cat first plain > last
    deps: [first, plain, reports/notebooks/train-x.ipynb]
    outs: [last]
"""
WAITS = """import os, time
while not os.path.exists('go'):
    open('grows', 'a').write(f'{os.getpid()}\\n')
    time.sleep(0.05)"""


@pytest.mark.slow
@pytest.mark.parametrize("signum", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_whatever_ends_the_scheduler_ends_its_stages_and_the_next_call_goes_on(tmp_path, signum):
    root = runner.project(tmp_path / "p", train=[WAITS])
    (root / "dvc.yaml").write_text(PIPELINE)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {"PATH": path, "SHELL": "/bin/sh", "DVC_SITE_CACHE_DIR": str(tmp_path / "site"), "DVC_NO_ANALYTICS": "1"}
    env["V2VBENCH_GPUS"] = "0"

    def call(*words: str) -> tuple[int, str]:
        process = runner.start(root, *words, **env)
        out, errors = process.communicate(timeout=600)
        return process.returncode, out + errors

    assert call("dvc", "init", "-q", "--no-scm")[0] == 0
    scheduler = runner.start(root, "v2vbench", "repro", "--jobs", "2", **env)
    runner.until(lambda: (root / "grows").is_file() and (root / "plain_grows").is_file(), "both stages to begin")
    family = psutil.Process(scheduler.pid).children(recursive=True)
    assert len(family) >= 7  # for each stage a leash, dvc and its command, and a kernel
    scheduler.send_signal(signal.Signals[signum])
    _, errors = scheduler.communicate(timeout=600)
    assert scheduler.returncode == (-9 if signum == "SIGKILL" else 130), errors
    runner.stopped(root, *family)
    assert not (root / "plain").exists()

    (root / "go").touch()
    code, said = call("v2vbench", "repro", "--jobs", "2")
    assert code == 1
    assert "Running stage first" not in said  # finished before
    assert "last failed" in said
    (root / "mended").touch()
    code, said = call("v2vbench", "repro", "--jobs", "2")
    assert code == 0, said
    assert [line for line in said.splitlines() if line.startswith("Running")] == ["Running stage last"]
    assert json.loads(call("dvc", "status", "--json")[1]) == {}


@pytest.fixture
def ran(tmp_path):
    """A folder in which train@a ran with other code than is there now, of which the cache has the list."""
    before, path = "v2vbench/clips/store.py 1\nv2vbench/files.py 1\n", "build/code/train/a"
    md5 = hashlib.md5(before.encode()).hexdigest()
    cached, now = tmp_path / "cache/files/md5" / md5[:2] / md5[2:], tmp_path / path
    for file, text in ((cached, before), (now, before.replace("store.py 1", "store.py 2"))):
        file.parent.mkdir(parents=True)
        file.write_text(text)
    deps = [{"path": path, "md5": md5}, {"path": "data/x.zip", "md5": "1"}]
    (tmp_path / "dvc.lock").write_text(json.dumps({"stages": {"train@a": {"deps": deps}}}))  # JSON is YAML
    return tmp_path


STATUS = {
    "train@a": [
        {
            "changed deps": {
                "build/code/train/a": "modified",
                "data/x.zip": "modified",
                "params.yaml": {"runs.a.kwargs": "modified"},
            }
        },
        {"changed outs": {"runs/a/model.safetensors": "modified"}},
        "changed command",
    ],
    "train@b": [{"changed outs": {"runs/b/model.safetensors": "deleted"}}],
}


def test_a_dry_run_names_the_edit_that_made_a_stage_stale_and_runs_nothing(fake, ran, capsys):
    assert fake(json.dumps(STATUS), jobs=2, dry=True) == []
    assert capsys.readouterr().err.splitlines() == [
        "train@a is stale: v2vbench/clips/store.py, data/x.zip, runs.a.kwargs, runs/a/model.safetensors and 1 more",
        "not run here yet: train@b",
        "run after these, where what they read changes: inputs_compare, compare",
    ]


def test_a_list_that_the_cache_has_lost_is_named_itself(fake, ran):
    shutil.rmtree(ran / "cache")
    status = {"train@a": [{"changed deps": {"build/code/train/a": "modified"}}]}
    assert repro.why(ran, status) == {"train@a": ["build/code/train/a"]}


def test_networks_run_on_a_fixed_number_of_threads(monkeypatch):
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with fixed_threads():
            assert torch.get_num_threads() == 1
        monkeypatch.setenv("V2VBENCH_THREADS", "2")
        with fixed_threads():
            assert torch.get_num_threads() == 2
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
