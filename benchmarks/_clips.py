"""Made-up clips of the size that is timed."""

from pathlib import Path

import numpy as np

from v2vbench.clips.store import Facts, Store, write_store

N_CLIPS, N_FRAMES = 8, 40


def surrogate(size: tuple[int, int], n_frames: int, seed: int) -> dict[str, np.ndarray]:
    """A made-up clip: flat regions with noise of 3 bits, smooth flow. It takes about half the bytes of game frames."""
    rng = np.random.default_rng(seed)
    height, width = size
    regions = rng.integers(0, 12, (height // 8 + 1, width // 8 + 1)).repeat(8, 0).repeat(8, 1)[:height, :width]
    label = np.stack([np.roll(regions, 3 * t, 1) for t in range(n_frames)]).astype(np.uint8)
    real = (label[..., None] * 20 + rng.integers(0, 8, (*label.shape, 3))).astype(np.uint8)
    ramp = np.linspace(-4, 4, height * width).reshape(height, width)
    flow = np.stack([np.stack([ramp + 0.01 * t, ramp / 2], -1) for t in range(n_frames - 1)]).astype(np.float16)
    return dict(
        real=real,
        label=label,
        instance=(label == 3).astype(np.uint16),
        flow=flow,
        occluded=(label[1:] == 5).astype(np.uint8),
    )


def stored(folder: Path, size: tuple[int, int]) -> tuple[Store, dict]:
    """A store of surrogates with 12 labels in the folder, and its arrays in memory."""
    facts = Facts(
        name="bench",
        title="bench",
        about="",
        standing="benchmark",
        fps=17.5,
        source="labels",
        label_names=tuple("abcdefghijkl"),
        label_colours=((0, 0, 0),) * 12,
        groups={"test": "test"},
        origin="",
        licence="",
        size=size,
    )
    clips = {f"c{i}": surrogate(size, N_FRAMES, i) for i in range(N_CLIPS)}
    path = folder / f"{size[1]}x{size[0]}.zip"
    entries = [(dict(id=key, split="train"), dict(arrays)) for key, arrays in clips.items()]
    write_store(path, facts, entries)  # pyright: ignore[reportArgumentType]
    return Store(path), clips
