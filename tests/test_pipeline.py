"""The whole path on the tiny suite: the same bytes twice, and DVC re-runs what a change determines and no more."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest
import torch
from nbformat.v4 import new_output
from safetensors.torch import load_file
from tiny_project import one_thread, run_project

from v2vbench.params import load
from v2vbench.report import write as report
from v2vbench.runner.suites import load_suite

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def twice(tiny_project, tmp_path_factory):
    """Two projects in which everything was run, on the same clips."""
    with one_thread():
        return tiny_project, run_project(tmp_path_factory.mktemp("again") / "two", tiny_project / "data/freedoom.zip")


def test_two_runs_are_the_same_bytes(twice):
    one, two = (sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file()) for folder in twice)
    assert one == two
    some = {
        "metrics/compare.json",
        "metrics/runs/vid2vid.json",
        "metrics/future/freedoom.json",
        "runs/styles/clips.zip",
    }
    some |= {"futures/freedoom/forecast.zip", "predictors/forecast/model.safetensors", "metrics/horizon/freedoom.csv"}
    assert some <= set(map(str, one))
    timed = {path for path in one if path.match(".cache/runs/*/weights.safetensors")}  # they know how long it took
    made = [path for path in one if path not in timed]
    assert [path for path in made if (twice[0] / path).read_bytes() != (twice[1] / path).read_bytes()] == []
    for path in timed:
        weights, again = (load_file(folder / path) for folder in twice)
        assert weights.keys() == again.keys() and all(torch.equal(value, again[key]) for key, value in weights.items())


def test_the_report_of_the_tiny_suite(twice):
    page = report(load(twice[0] / "params.yaml"), twice[0]).read_text()
    for text in ("Nothing is learnt here", "warp error", "seeds 0, 1, 2", "wall shown as door"):
        assert text in page
    future = page.split('<section id="future"')[1].split('<section id="training"')[0]
    for text in ("3 frames seen", "5 predicted", "label forecast + vid2vid", "true labels + vid2vid", "label mIoU"):
        assert text in future
    assert list((twice[0] / "reports/media").glob("freedoom-*-future-*.png"))
    assert list((twice[0] / "reports/media").glob("*.mp4"))


def test_plots_draw_the_loss_of_every_part(tiny_project):
    """Vega-Lite folds columns by name, so .dvc/plots/losses.json has the names."""
    drawn = json.loads((ROOT / ".dvc/plots/losses.json").read_text())["transform"][0]["fold"]
    tables = [path.read_text().partition("\n")[0].split(",") for path in tiny_project.glob("*/*/curves.csv")]
    losses = {name for columns in tables for name in columns if name == "G" or name.startswith("D_")}
    assert {"G", "D_image", "D_video0"} <= losses
    assert losses <= set(drawn)
    suites = [load_suite(path) for path in (ROOT / "suites").glob("*.yaml")]
    n_scales = max(run.kwargs.get("n_scales_temporal", 0) for suite in suites for run in suite.runs.values())
    assert f"D_video{n_scales - 1}" in drawn


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A copy of this project with the tiny suite, in which `dvc repro` has run once."""
    root = tmp_path_factory.mktemp("clone") / "v2vbench"
    files = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for file in filter(lambda file: (ROOT / file).is_file(), files.splitlines()):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, root / file)
    (root / "dvc.lock").unlink(missing_ok=True)
    shutil.rmtree(root / "metrics", ignore_errors=True)
    shutil.copy(ROOT / "tests/tiny.yaml", root / "params.yaml")
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    assert "report" in repro(root)
    return root


def command(root: Path, *words: str) -> dict:
    """Arguments of subprocess for dvc in `root`, with an empty home."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DVC", "JUPYTER", "IPYTHON", "PYTEST"))
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return dict(
        args=["dvc", *words],
        cwd=root,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=clean
        | {
            "PATH": path,
            "HOME": str(root.parent),
            "DVC_SITE_CACHE_DIR": str(root.parent / "site"),
            "OMP_NUM_THREADS": "1",
        },
    )


def repro(root: Path, *words: str) -> list[str]:
    """`dvc repro`: the stages that it ran."""
    done = subprocess.run(**command(root, "repro", *words), check=False)
    assert done.returncode == 0, done.stdout
    return re.findall(r"Running stage '(.*)'", done.stdout)


def edit(path: Path, old: str, new: str) -> None:
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


SECOND = """  second:
    title: second
    dataset: freedoom
    model: copy_last
    schedule: none
    base: none
    first_frames: real
    seeds: [0]
    kwargs: {}
"""
HELD = """  held:
    title: held
    dataset: freedoom
    model: copy_last
    schedule: none
    base: none
    kwargs: {}
"""
FUTURE = {"future@freedoom"}
LAST = {"inputs_compare", "compare", "inputs_report", "report"}


@pytest.mark.slow
def test_dvc_runs_what_a_change_determines(clone):
    """Stages really run, here; tests/test_edit_costs.py asks DVC about each kind of edit."""
    assert repro(clone) == []
    edit(clone / "params.yaml", "\npredictors:\n", f"{SECOND}\npredictors:\n")
    assert set(repro(clone)) == {"sources", "train@second", "synthesize@second", "evaluate@second"} | LAST
    edit(clone / "params.yaml", "title: vid2vid\n", "title: the first\n")
    assert set(repro(clone)) == {"sources", "synthesize@vid2vid", "evaluate@vid2vid"} | FUTURE | LAST
    kept = {path: path.stat().st_mtime_ns for path in (clone / ".cache/futures").iterdir()}
    edit(clone / "params.yaml", "\nfutures:\n", f"{HELD}\nfutures:\n")
    assert set(repro(clone)) == {"sources", "train_predictor@held", "inputs_future", "inputs_report", "report"} | FUTURE
    assert {path.stat().st_mtime_ns for path in kept} == set(kept.values())  # what was predicted is not predicted again
    assert len(list((clone / ".cache/futures").iterdir())) == len(kept) + 1
    edit(clone / "v2vbench/report/style.css", "\n", "\n\n")
    assert repro(clone) == ["sources", "report"]
    nb = nbformat.read(clone / "notebooks/02_train.ipynb", 4)
    nb.cells[-1].outputs = [new_output("stream", name="stdout", text="saved by JupyterLab\n")]
    nbformat.write(nb, clone / "notebooks/02_train.ipynb")
    assert repro(clone) == ["sources"]
    store = clone / "v2vbench/clips/store.py"
    store.write_text(f"# One comment more.\n{store.read_text()}")
    assert repro(clone) == ["sources"]


@pytest.mark.slow
def test_a_dry_run_names_the_edit_and_runs_no_stage(clone):
    assert repro(clone) == []
    verdicts = clone / "v2vbench/statistics/verdicts.py"
    verdicts.write_text(f"{verdicts.read_text()}\nADDED = 1\n")
    words = [sys.executable, "-m", "v2vbench", "repro", "--dry"]
    done = subprocess.run(**command(clone) | {"args": words, "stderr": subprocess.PIPE}, check=True)
    assert done.stderr.splitlines() == [
        "Running stage sources",
        "compare is stale: v2vbench/statistics/verdicts.py",
        "run after these, where what they read changes: inputs_report, report",
    ]
    assert set(repro(clone)) == {"compare"}  # the same numbers, so nothing follows


@pytest.mark.slow
def test_training_that_was_killed_ends_in_the_same_weights(clone):
    def weights():
        return hashlib.sha256((clone / "runs/vid2vid/model.safetensors").read_bytes()).hexdigest()

    edit(clone / "params.yaml", "    steps: 3\n", "    steps: 40\n")
    assert repro(clone, "train@vid2vid") == ["sources", "train@vid2vid"]
    unbroken = weights()
    for victim in ("dvc", "v2vbench.runner.kernel"):
        shutil.rmtree(clone / ".cache/runs")  # which has the finished weights
        with subprocess.Popen(**command(clone, "repro", "-f", "-s", "train@vid2vid")) as dvc:
            while not list(clone.glob(".cache/runs/*/checkpoint.pt")):
                assert dvc.poll() is None, "it ended before it could be killed"
                time.sleep(0.05)
            children = [(process.cmdline(), process) for process in psutil.Process(dvc.pid).children(recursive=True)]
            family = {"dvc": psutil.Process(dvc.pid)} | {
                words[2]: process for words, process in children if words[1:2] == ["-m"]
            }
            assert family.keys() == {"dvc", "v2vbench", "v2vbench.runner.kernel"}
            family[victim].send_signal(signal.SIGKILL)
            assert not psutil.wait_procs(family.values(), timeout=300)[1]
        assert list(clone.glob(".cache/runs/*/checkpoint.pt"))
        # -f: past what DVC has cached of the unbroken run
        assert repro(clone, "-f", "-s", "train@vid2vid") == ["train@vid2vid"]
        assert weights() == unbroken, victim
