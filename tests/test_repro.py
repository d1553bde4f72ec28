"""Stages side by side: what waits for what, how many at once, what a failure leaves, and what made a stage stale."""

import hashlib
import json
import shutil
import stat
import sys

import pytest
import torch

from v2vbench.parallel import fixed_threads
from v2vbench.params import Fault
from v2vbench.runner import repro

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
    (tmp_path / "dot").write_text(DOT)

    def run(status: str, jobs: int, bad: str = "nothing", beside: int = 2, dry: bool = False) -> list[str]:
        (tmp_path / "status").write_text(status)
        (tmp_path / "bad").write_text(bad)
        (tmp_path / "log").write_text("")
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
