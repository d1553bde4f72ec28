"""The tiny suite run from data to comparison as the notebooks call the stages, without DVC."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from v2vbench.params import load
from v2vbench.stages.calibrate import calibrate
from v2vbench.stages.compare import compare
from v2vbench.stages.data import data
from v2vbench.stages.evaluate import evaluate
from v2vbench.stages.future import future
from v2vbench.stages.restyle import restyle
from v2vbench.stages.synthesize import synthesize
from v2vbench.stages.train import train

ROOT = Path(__file__).parents[1]


@contextmanager
def one_thread() -> Iterator[None]:
    """torch on one thread: the suite's clips are too small for more."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)


def prepare(folder: Path) -> Path:
    """The suite's clips, rendered below `folder`: the store."""
    return data(load(ROOT / "tests/tiny.yaml"), "freedoom", folder)


def run_project(folder: Path, store: Path) -> Path:
    """Every stage after the data in a new `folder`, which is returned."""
    folder.mkdir()
    shutil.copy(ROOT / "tests/tiny.yaml", folder / "params.yaml")
    (folder / "data").mkdir()
    shutil.copy(store, folder / "data/freedoom.zip")
    params = load(folder / "params.yaml")
    for key in [*params.judges, *params.runs, *params.predictors]:
        train(params, key, folder)
    for key in params.runs:
        synthesize(params, key, folder)
        evaluate(params, key, folder)
    restyle(params, "styles", folder)
    calibrate(params, "freedoom", folder)
    future(params, "freedoom", folder)
    compare(params, folder)
    return folder
