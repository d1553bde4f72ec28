"""Each learned predictor learns: on moving digits it beats both floors within ten minutes of one core."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from v2vbench import find
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
MARGIN_DB = {}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits")
    data(SUITE, "moving_digits", folder)
    for key in FLOORS:
        train(SUITE, key, folder)
    return folder


def psnr(root, key) -> float:
    """Mean over clips and predicted frames, dB, of the first sample."""
    store, values = Store(root / "data" / "moving_digits.zip"), []
    model = trained_model(SUITE, key, root, store.facts)
    for clip in store.split("test"):
        real = to_tensors(store.read(clip, arrays=["real"]))["real"]
        seed = int.from_bytes(hashlib.sha256(clip.encode()).digest()[:4], "big")
        past = {"real": real[None, : TASK.n_past]}
        fake = model.predict(past, TASK.n_future, torch.Generator().manual_seed(seed))[0]
        error = ((fake - real[TASK.n_past : TASK.n_past + TASK.n_future]) / 2).square().mean((1, 2, 3))
        values.append(float((-10 * error.clamp_min(1e-10).log10()).mean()))
    return float(np.mean(values))


@pytest.mark.slow  # minutes of training each
@pytest.mark.parametrize("key", LEARNED)
def test_each_learned_predictor_beats_both_floors(root, key):
    """By the margin above, on digits that were never shown in training."""
    train(SUITE, key, root)
    own, floors = psnr(root, key), {floor: psnr(root, floor) for floor in FLOORS}
    print(f"{key}: {own:.2f} dB; {floors}")
    assert own > max(floors.values()) + MARGIN_DB[SUITE.predictors[key].model]
