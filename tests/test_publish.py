"""Published weights: `v2vbench publish` writes them, and `base: published/<suite>/<run>` makes a run of them."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML
from safetensors.torch import load_file, save_file
from tiny_project import one_thread

from v2vbench.clips.store import Store
from v2vbench.params import Fault, load
from v2vbench.runner import check, digests, publish
from v2vbench.stages import _published
from v2vbench.stages.synthesize import synthesize
from v2vbench.stages.train import train

LOG = {
    "started": "2026-01-01T00:00:00+00:00",
    "seconds": 1.5,
    "peak_memory_mb": 700,
    "device": "cpu",
    "host_cpu": "2 x made up",
    "python": "3.11.7",
    "torch": "2.15.0",
    "revision": "0123456789abcdef0123456789abcdef01234567",
    "lock_sha256": None,
}
PAGE = '<a href="notebooks/train-vid2vid.html">as executed</a> <a href="media/a-1.mp4">a video</a>'


@pytest.fixture(scope="module")
def finished(tiny_project, tmp_path_factory):
    """The tiny project with a report and logs, which only `dvc repro` writes: these are made up."""
    root = tmp_path_factory.mktemp("published") / "project"
    shutil.copytree(tiny_project, root, ignore=shutil.ignore_patterns("reports", ".cache"))
    for path, content in {
        "reports/index.html": PAGE,
        "reports/media/a-1.mp4": "video",
        "reports/notebooks/train-vid2vid.html": "a page",
        "logs/train-vid2vid.json": json.dumps(LOG | {"stage": "train", "key": "vid2vid"}),
        "logs/train-of_another_suite.json": json.dumps(LOG | {"stage": "train", "key": "of_another_suite"}),
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)
    publish.publish("tiny", load(root / "params.yaml"), root)
    return root


@pytest.fixture
def project(finished, tmp_path):
    """A copy of the finished project, in which a test may change files."""
    return shutil.copytree(finished, tmp_path / "project")


def with_run(root: Path, key: str = "again", of: str = "vid2vid", **changes) -> Path:
    """Add to params.yaml a run of zero steps of the published run `of`."""
    file = root / "params.yaml"
    content = YAML(typ="safe").load(file)
    line = content["runs"][of] | {"title": key, "schedule": "none", "base": f"published/tiny/{of}"}
    content["runs"][key] = line | {"kwargs": "published"} | changes
    YAML().dump(content, file)
    return file


def video(root: Path, key: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The real frames and the generated ones of a run's clips."""
    store, fakes = Store(root / "data/freedoom.zip"), Store(root / "runs" / key / "clips.zip")
    return {clip: fakes.read(clip)["fake"].astype(float) for clip in fakes.clips}


def test_a_folder_has_figures_weights_and_report(finished):
    out = finished / "results/tiny"
    names = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert names == {
        "params.yaml",
        "compare.json",
        "runs/vid2vid.json",
        "runs/styled.json",
        "runs/copy_last.json",
        "calibrate/freedoom.json",
        "future/future.json",
        "provenance.json",
        "weights/vid2vid.safetensors",
        "weights/styled.safetensors",
        "report/index.html",
        "report/media/a-1.mp4",
        "manifest.json",
    }
    listed = json.loads((out / "manifest.json").read_text())["files"]
    assert listed.keys() == names - {"manifest.json"}
    assert all(listed[name]["bytes"] == (out / name).stat().st_size for name in listed)
    assert (out / "compare.json").read_bytes() == (finished / "metrics/compare.json").read_bytes()
    assert (out / "params.yaml").read_bytes() == (finished / "params.yaml").read_bytes()
    assert (out / "report/index.html").read_text() == 'as executed <a href="media/a-1.mp4">a video</a>'
    made = json.loads((out / "provenance.json").read_text())
    assert made["seconds"] == {"train-vid2vid": 1.5}
    assert made["revisions"] == [LOG["revision"]]
    assert made["data"]["freedoom"]["licence"] == "BSD-3-Clause"
