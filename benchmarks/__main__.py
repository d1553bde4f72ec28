"""Speed, as rates and as ratios to a floor measured in the same minute: `make bench`."""

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch

from benchmarks import devices as bench_devices
from benchmarks import fid as bench_fid
from benchmarks import models
from benchmarks import scaling as bench_scaling
from benchmarks import score as bench_score
from benchmarks import threads as bench_threads
from benchmarks._clips import N_CLIPS, N_FRAMES, stored

SECONDS = 1.5  # per measurement
ROUNDS = 3  # in turn, so that a slow minute of the machine affects all alike
WINDOW = 6  # frames per read
SIZES = ((64, 128), (256, 512))  # of the stores whose reading is timed


def rate(read, seconds: float) -> float:
    """Frames per second of `read(clip, start, stop)` at random places."""
    rng, began, frames = np.random.default_rng(0), time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        start = int(rng.integers(N_FRAMES - WINDOW + 1))
        read(f"c{rng.integers(N_CLIPS)}", start, start + WINDOW)
        frames += WINDOW
    return frames / (time.perf_counter() - began)


def bench_clips(size: tuple[int, int], seconds: float) -> str:
    """Random windows of every array from a store on disk, and from plain arrays in memory, which is the floor."""
    rates = {"store": [], "memory": []}
    with tempfile.TemporaryDirectory() as folder:
        store, clips = stored(Path(folder), size)
        for _ in range(ROUNDS):
            rates["store"].append(rate(store.read, seconds))
            rates["memory"].append(
                rate(
                    lambda clip, start, stop: {name: array[start:stop].copy() for name, array in clips[clip].items()},
                    seconds,
                )
            )
        frame_mb = store.path.stat().st_size / 1e6 / N_CLIPS / N_FRAMES
    read, copied = rates["store"], rates["memory"]
    return (
        f"clip store {size[1]}x{size[0]}, random {WINDOW}-frame windows of all arrays: {median(read):,.0f} frames/s "
        f"({min(read):,.0f} to {max(read):,.0f}), {median(read) / median(copied):.3f} of a copy in memory; "
        f"{frame_mb:.3f} MB per frame"
    )


def bench_models(only: str | None, seconds: float, with_compile: bool) -> None:
    """Training steps, generated frames and options, each as a table."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    machine = f"torch {torch.__version__}, {torch.get_num_threads()} threads, {gpu}"
    print(f"{machine}; {ROUNDS} rounds, {seconds:g} s per measurement\n")
    with tempfile.TemporaryDirectory() as folder:
        stores = {size: stored(Path(folder), size)[0] for size in {setting.size for setting in models.SETTINGS}}
        rows = models.steps(stores) if only in (None, "train") else []
        rows += models.frames(stores) if only in (None, "synthesize") else []
        if rows:
            print(models.table_of_rates(models.race(rows, ROUNDS, seconds)) + "\n", flush=True)
        if only in (None, "options"):
            print(
                models.table_of_options(*models.race([models.options(stores, with_compile)], ROUNDS, seconds)),
                flush=True,
            )


def main(argv: list[str] | None = None) -> None:
    """Print tables of rates with their spread."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parts = ("clips", "train", "synthesize", "options", "fid", "threads", "score", "scaling", "devices")
    parser.add_argument("--only", choices=parts, help="one part; all of them otherwise")
    parser.add_argument(
        "--seconds", type=float, default=SECONDS, help="a measurement, of which each row has one a round (%(default)s)"
    )
    parser.add_argument("--compile", action="store_true", help="torch.compile among the options: minutes more")
    args = parser.parse_args(argv)
    if args.only in (None, "clips"):
        for size in SIZES:
            print(bench_clips(size, args.seconds), flush=True)
    if args.only in (None, "fid"):
        bench_fid.main([])
    if args.only in (None, "threads"):
        bench_threads.main(ROUNDS, bench_threads.SECONDS)
    if args.only in (None, "score"):
        bench_score.main([])
    if args.only in (None, "devices"):
        bench_devices.main()
    if args.only in (None, "scaling"):
        bench_scaling.main([])
    if args.only not in ("clips", "fid", "threads", "score", "scaling", "devices"):
        bench_models(args.only, args.seconds, args.compile)


if __name__ == "__main__":
    main()
