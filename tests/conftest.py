"""A small world with a known answer: textured planes that slide by whole pixels, so flow and occlusion are exact."""

import numpy as np
import pytest

from v2vbench.clips.store import Facts, Store, write_store

SIZE, N_LABELS = (32, 64), 3


def sliding_clip(seed: int, n_frames: int, size=SIZE) -> dict[str, np.ndarray]:
    """A background that slides by (dx, dy) a frame under a square (label 2, instance 1) that stands still.

    Every pixel's motion is a whole number, so warp(real[t-1], flow) equals real[t] wherever occluded is 0.
    """
    rng = np.random.default_rng(seed)
    height, width = size
    dx, dy = rng.integers(1, 3), rng.integers(-1, 2)
    texture = rng.integers(0, 256, (4 * height, 4 * width, 3)).astype(np.uint8)
    halves = (np.arange(4 * width) // 16 % 2).astype(np.uint8)
    y, x = np.mgrid[:height, :width]
    square = (abs(y - height // 2) < height // 6) & (abs(x - width // 2) < height // 6)
    real, label = [], []
    for t in range(n_frames):
        at = (y + 2 * height + dy * t) % (4 * height), (x + width + dx * t) % (4 * width)
        real.append(np.where(square[..., None], (200, 40, 40), texture[at]).astype(np.uint8))
        label.append(np.where(square, 2, halves[at[1]]).astype(np.uint8))
    flow = np.where(square[..., None], 0, (dx, dy)).astype(np.float16)
    source_y, source_x = y + flow[..., 1].astype(int), x + flow[..., 0].astype(int)
    outside = (source_y < 0) | (source_y >= height) | (source_x < 0) | (source_x >= width)
    covered = square[source_y.clip(0, height - 1), source_x.clip(0, width - 1)] & ~square
    return dict(
        real=np.stack(real),
        label=np.stack(label),
        instance=np.stack([square.astype(np.uint16)] * n_frames),
        flow=np.stack([flow] * (n_frames - 1)),
        occluded=np.stack([(outside | covered).astype(np.uint8)] * (n_frames - 1)),
    )


def facts(**changes) -> Facts:
    return Facts(
        **dict(
            name="sliding",
            title="Sliding planes",
            about="A world with a known answer.",
            standing="benchmark",
            fps=10.0,
            source="labels",
            label_names=("even", "odd", "square"),
            label_colours=((20, 20, 20), (120, 120, 120), (200, 40, 40)),
            groups={"seen": "seen", "unseen": "unseen"},
            origin="made by the tests",
            licence="Apache-2.0",
            size=SIZE,
        )
        | changes
    )


@pytest.fixture(scope="session")
def store_path(tmp_path_factory):
    """A store of 4 training clips and 3 in each of two test groups, 12 frames each."""
    path = tmp_path_factory.mktemp("data") / "sliding.zip"
    splits = ["train"] * 4 + ["seen"] * 3 + ["unseen"] * 3
    write_store(
        path,
        facts(),
        (
            (dict(id=f"slide-{i}", split=split, origin=f"seed {i}", licence="Apache-2.0"), sliding_clip(i, 12))
            for i, split in enumerate(splits)
        ),
    )
    return path


@pytest.fixture
def store(store_path):
    return Store(store_path)


@pytest.fixture(scope="session")
def tiny_project(tmp_path_factory):
    """The folder of a project in which every stage of the tiny suite has run; tests change no file that is in it."""
    from tiny_project import one_thread, prepare, run_project  # the stages take seconds to import, which few tests need

    folder = tmp_path_factory.mktemp("tiny")
    with one_thread():
        return run_project(folder / "one", prepare(folder))


@pytest.fixture(autouse=True)
def no_weights_of_this_machine(tmp_path_factory, monkeypatch, request):
    """Tests see only the pretrained weights that they bring themselves, whatever is on the machine that runs them."""
    if not {"weights", "network"} & {mark.name for mark in request.node.iter_markers()}:
        nowhere = str(tmp_path_factory.getbasetemp() / "nowhere")
        for name in ("XDG_CACHE_HOME", "TORCH_HOME"):
            monkeypatch.setenv(name, nowhere)
        monkeypatch.delenv("V2VBENCH_WEIGHTS", raising=False)
        monkeypatch.delenv("V2VBENCH_MIRROR", raising=False)
