"""Each learned predictor learns: on moving digits it beats both floors within ten minutes of one core."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from v2vbench.clips.store import Store
from v2vbench.clips.tensors import to_tensors
from v2vbench.runner.suites import load_suite
from v2vbench.stages._weights import trained_model
from v2vbench.stages.data import data
from v2vbench.stages.train import train

SUITE = load_suite(Path(__file__).parents[1] / "suites" / "moving_digits.yaml")
TASK = SUITE.futures["moving_digits"]
LEARNED = [key for key, line in SUITE.predictors.items() if SUITE.schedules[line.schedule].steps]
FLOORS = [key for key in SUITE.predictors if key not in LEARNED]
SHARE = {"simvp": 0.7, "prednet": 0.75, "svg_lp": 0.95}  # of the better floor's squared error, at most


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits")
    data(SUITE, "moving_digits", folder)
    for key in FLOORS:
        train(SUITE, key, folder)
    return folder


def error(root, key) -> float:
    """Mean squared error over clips and predicted frames of the first sample, grey levels from 0 to 1."""
    store, values = Store(root / "data" / "moving_digits.zip"), []
    model = trained_model(SUITE, key, root, store.facts)
    for clip in store.split("test"):
        real = to_tensors(store.read(clip, arrays=["real"]))["real"]
        seed = int.from_bytes(hashlib.sha256(clip.encode()).digest()[:4], "big")
        past = {"real": real[None, : TASK.n_past]}
        fake = model.predict(past, TASK.n_future, torch.Generator().manual_seed(seed))[0]
        values.append(float(((fake - real[TASK.n_past : TASK.n_past + TASK.n_future]) / 2).square().mean()))
    return float(np.mean(values))


@pytest.mark.slow  # minutes of training each
@pytest.mark.parametrize("key", LEARNED)
def test_each_learned_predictor_beats_both_floors(root, key):
    """By the share above, on digits that were never shown in training."""
    train(SUITE, key, root)
    own, floors = error(root, key), {floor: error(root, floor) for floor in FLOORS}
    assert own < SHARE[SUITE.predictors[key].model] * min(floors.values()), (own, floors)
