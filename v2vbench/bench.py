"""Speed, as rates and as ratios to a floor measured in the same minute: `make bench`."""
import tempfile
import time
from pathlib import Path

import numpy as np

from v2vbench import clips

SECONDS = 3.0        # a measurement
ROUNDS = 3           # in turn, so that a slow minute of the machine hits everything alike


def surrogate(size: tuple[int, int], n_frames: int, seed: int) -> dict[str, np.ndarray]:
    """A made-up clip: flat regions with noise of 3 bits, smooth flow. It takes about half the bytes of game frames."""
    rng = np.random.default_rng(seed)
    height, width = size
    regions = rng.integers(0, 12, (height // 8 + 1, width // 8 + 1)).repeat(8, 0).repeat(8, 1)[:height, :width]
    label = np.stack([np.roll(regions, 3 * t, 1) for t in range(n_frames)]).astype(np.uint8)
    real = (label[..., None] * 20 + rng.integers(0, 8, (*label.shape, 3))).astype(np.uint8)
    ramp = np.linspace(-4, 4, height * width).reshape(height, width)
    flow = np.stack([np.stack([ramp + 0.01 * t, ramp / 2], -1) for t in range(n_frames - 1)]).astype(np.float16)
    return dict(real=real, label=label, instance=(label == 3).astype(np.uint16), flow=flow, occluded=(label[1:] == 5).astype(np.uint8))


def rate(read, n_clips: int, n_frames: int, window: int) -> float:
    """Frames a second of `read(clip, start, stop)` at random places."""
    rng, began, frames = np.random.default_rng(0), time.perf_counter(), 0
    while time.perf_counter() - began < SECONDS:
        start = int(rng.integers(n_frames - window + 1))
        read(f"c{rng.integers(n_clips)}", start, start + window)
        frames += window
    return frames / (time.perf_counter() - began)


def bench_clips(size: tuple[int, int], n_clips: int = 8, n_frames: int = 40, window: int = 6) -> dict[str, list[float]]:
    """Random windows of every array from a store on disk, and from plain arrays in memory, which is the floor."""
    facts = clips.Facts(name="bench", title="bench", about="", standing="benchmark", fps=17.5, source="labels",
                        label_names=tuple("abcdefghijkl"), label_colours=((0, 0, 0),) * 12,
                        groups={"test": "test"}, origin="", licence="", size=size)
    held = {f"c{i}": surrogate(size, n_frames, i) for i in range(n_clips)}
    rates = {"store": [], "memory": []}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.zip"
        clips.write(path, facts, ((dict(id=key, split="train"), arrays) for key, arrays in held.items()))
        store = clips.Store(path)
        for _ in range(ROUNDS):
            rates["store"].append(rate(store.read, n_clips, n_frames, window))
            rates["memory"].append(rate(lambda clip, start, stop: {name: array[start:stop].copy() for name, array in held[clip].items()},
                                        n_clips, n_frames, window))
        rates["MB a frame on disk"] = [path.stat().st_size / 1e6 / n_clips / n_frames]
    return rates


def main() -> None:
    """Print a table of rates with their spread."""
    for size in ((64, 128), (256, 512)):
        rates = bench_clips(size)
        store, memory = sorted(rates["store"]), sorted(rates["memory"])
        print(f"clip store {size[1]}x{size[0]}, random 6-frame windows of all arrays: {store[1]:,.0f} frames/s "
              f"({store[0]:,.0f} to {store[-1]:,.0f}), {store[1] / memory[1]:.3f} of a copy in memory; "
              f"{rates['MB a frame on disk'][0]:.3f} MB a frame", flush=True)


if __name__ == "__main__":
    main()
