"""The command's verbs that a person types: what they say, and what they refuse to lose."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from v2vbench.__main__ import main
from v2vbench.params import load
from v2vbench.runner import doctor
from v2vbench.stages import _precision

TINY = Path(__file__).parent / "tiny.yaml"


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A project in git with params.yaml and a suite `small`, both as tests/tiny.yaml."""
    (tmp_path / "suites").mkdir()
    shutil.copy(TINY, tmp_path / "params.yaml")
    (tmp_path / "suites/small.yaml").write_text(TINY.read_text().replace("suite: tiny", "suite: small"))
    monkeypatch.chdir(tmp_path)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "a"]):
        subprocess.run(git + words, check=True)
    return tmp_path


def test_use_replaces_what_git_has_and_refuses_what_it_has_not(root, capsys):
    own = TINY.read_text().replace("steps: 3", "steps: 4")
    (root / "params.yaml").write_text(own)
    assert main(["use", "small"]) == 1
    assert (root / "params.yaml").read_text() == own
    refusal = (
        "v2vbench: use: params.yaml holds changes that git does not have; commit it first, "
        "or add --force to lose them\n"
    )
    assert capsys.readouterr().err == refusal
    assert main(["use", "small", "--force"]) == 0
    assert "suite: small" in (root / "params.yaml").read_text()
    assert main(["use", "small"]) == 0  # what a suite holds is not lost
    assert main(["use", "smal"]) == 1
    assert "use: no suite 'smal' in suites; there are small\n" in capsys.readouterr().err
    (root / "suites/small.yaml").write_text("suite: small\n")
    assert main(["use", "small"]) == 1
    assert "small.yaml: missing about, protocol" in capsys.readouterr().err
    assert "about: Nothing" in (root / "params.yaml").read_text()


def test_use_writes_a_suite_whole_that_extends_another(root):
    own = "extends: small\nsuite: wide\nreport:\n  extends: small\n  crf: 30   # small files\n"
    (root / "suites/wide.yaml").write_text(own)
    assert main(["use", "wide"]) == 0
    params = load(root / "params.yaml")
    assert params.suite == "wide"
    assert params.report == load(root / "suites/small.yaml").report | {"crf": 30}
    assert "  crf: 30   # small files\n" in (root / "params.yaml").read_text()
    assert main(["use", "small"]) == 0  # what a suite holds is not lost, though git does not have it


def test_check_says_what_it_found(root, capsys):
    assert main(["check"]) == 0
    assert "params.yaml is sound: suite tiny, 1 data set, 3 runs\n" == capsys.readouterr().out
    (root / "params.yaml").write_text("suite: a\nsuite: b\n")
    assert main(["check"]) == 1
    assert capsys.readouterr().err.startswith("v2vbench: params.yaml:2: found duplicate key")


def test_a_precision_that_the_cpu_emulates_is_told_with_its_measured_cost(root, capsys, monkeypatch):
    monkeypatch.setattr("torch.accelerator.is_available", lambda: False)
    monkeypatch.setattr(_precision, "bfloat16_gain", lambda: pytest.fail("measured, though nothing asks for bfloat16"))
    own = TINY.read_text()
    assert main(["check"]) == 0
    assert capsys.readouterr().out.count("\n") == 1
    (root / "params.yaml").write_text(own.replace("32-true", "bf16-mixed"))
    monkeypatch.setattr(_precision, "bfloat16_gain", lambda: 0.1463)
    says = "precision bf16-mixed runs 0.15 x as fast as 32-true on this CPU (measured); set 32-true, or train on a GPU"
    assert main(["check"]) == 0  # `none` trains for no step
    assert capsys.readouterr().out.splitlines()[1:] == [f"params.yaml: schedules few, ahead: {says}"]
    assert _precision.slow_precision("bf16-mixed") == says
    monkeypatch.setattr(_precision, "bfloat16_gain", lambda: 1.8)  # it has them
    assert _precision.slow_precision("bf16-mixed") == ""
    monkeypatch.setattr(_precision, "bfloat16_gain", lambda: pytest.fail("measured, though no CPU trains"))
    monkeypatch.setattr("torch.accelerator.is_available", lambda: True)
    assert _precision.slow_precision("bf16-mixed") == ""


def test_the_cost_of_bfloat16_is_measured_and_leaves_no_trace():
    state, n_threads = torch.get_rng_state(), torch.get_num_threads()
    assert 0 < _precision.bfloat16_gain() < 100
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == n_threads


def test_sources_can_strip_the_notebooks_themselves(root):
    shutil.copytree(TINY.parents[1] / "notebooks", root / "notebooks", ignore=shutil.ignore_patterns(".*"))
    before = {path.name: path.read_bytes() for path in (root / "notebooks").iterdir()}
    run = before["01_data.ipynb"].replace(b'"execution_count": null', b'"execution_count": 5')
    (root / "notebooks/01_data.ipynb").write_bytes(run)
    assert main(["sources", "--strip"]) == 0
    assert not (root / "build").exists()
    assert {path.name: path.read_bytes() for path in (root / "notebooks").iterdir()} == before


def test_doctor_is_one_screen_and_says_what_a_missing_thing_costs(root, capsys, monkeypatch):
    monkeypatch.setattr(doctor, "find_spec", lambda name: None if name in ("vizdoom", "dlib") else True)
    monkeypatch.setenv("V2VBENCH_DATA", "")
    (root / "reports").write_text("not a folder")
    (root / "suites/small.yaml").write_text("suite: small\n")
    assert main(["doctor"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 24
    assert [line for line in lines if line.startswith("ok      Python")]
    for what in ("MISSING ViZDoom", "MISSING reports/", "-       dlib", "-       suite small"):
        assert [line for line in lines if line.startswith(what) and "  ->  " in line], what
    about = "3 runs on freedoom; no download. Nothing is learnt here"
    assert [line for line in lines if line.startswith("ok      params.yaml") and about in line]


def test_doctor_adds_up_what_is_downloaded():
    datasets = {"a": {"images": {"url": "u", "size": 2}, "labels": {"url": "v", "size": None}}, "b": {"n": 3}}
    assert doctor.archive_sizes(datasets) == [2, None]
    assert doctor.downloads(datasets) == "2 downloads"
    datasets["a"]["labels"]["size"] = 10**9
    assert doctor.downloads(datasets) == "2 downloads, 1.0 GB"
    assert doctor.downloads({"b": {"n": 3}}) == "no download"


def test_outside_a_project_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["check"]) == 1
    assert "run this inside a clone of v2vbench" in capsys.readouterr().err


def test_fetch_takes_note_of_what_is_there_and_refuses_what_is_not_known(root, monkeypatch, capsys):
    """A file of one's own counts; the manifest that evaluation depends on is written whatever else fails."""
    own = root / "mine"
    own.mkdir()
    (own / "i3d_pretrained_400.pt").write_bytes(b"any bytes: no hash of it is known")
    monkeypatch.setenv("V2VBENCH_WEIGHTS", str(own))
    assert main(["fetch", "weights", "i3d_videogpt"]) == 0
    manifest = json.loads((root / "weights.json").read_text())
    assert list(manifest) == ["i3d_videogpt"]
    assert len(manifest["i3d_videogpt"]) == 64
    assert main(["fetch", "weights", "i3d"]) == 1
    assert "v2vbench: weights: no 'i3d'; there are inception2015" in capsys.readouterr().err
