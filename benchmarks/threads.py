"""What a busy neighbour costs a training: threads, how they wait, and stages side by side. Part of `make bench`.

Every setting is a process of its own, since OpenMP reads how its threads wait once. vid2vid's training step at 128x64, of made-up clips.
"""

import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from statistics import median

SECONDS = 10.0  # a measurement
SETTINGS = {  # title: (threads of a training, 0 = one a core; trainings side by side, 0 = one a core; environment)
    "one training, a thread a core": (0, 1, {}),
    "the same, threads sleep while they wait": (0, 1, {"OMP_WAIT_POLICY": "PASSIVE"}),
    "one training, one thread": (1, 1, {}),
    "a training a core, one thread each (as `make repro`)": (1, 0, {}),
}


def worker(n_threads: int, seconds: float) -> None:
    """Print the frames a second of one training with so many threads."""
    import torch

    from benchmarks import models
    from benchmarks._clips import stored

    torch.set_num_threads(n_threads)
    with tempfile.TemporaryDirectory() as folder:
        store, _ = stored(Path(folder), (64, 128))
        step = models.step(models.build("vid2vid", store.facts, models.SMALL), models.windows(store).batch(0))
        step()
        took, began = [], time.perf_counter()
        while time.perf_counter() - began < seconds:
            start = time.perf_counter()
            step()
            took.append(time.perf_counter() - start)
    print((models.SCHEDULE.n_frames - 2) / median(took))  # frames with a loss: two of a window are given


@contextmanager
def neighbour(busy: bool):
    """A process that keeps one core busy, or none."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if busy else None
    try:
        yield
    finally:
        if process:
            process.kill()
            process.wait()


def rate(title: str, busy: bool, seconds: float) -> float:
    """Frames a second of all trainings of a setting together."""
    threads, side_by_side, env = SETTINGS[title]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    command = [sys.executable, "-m", "benchmarks.threads", "--worker", str(threads or cores), str(seconds)]
    with neighbour(busy):
        processes = [
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | env)
            for _ in range(side_by_side or cores)
        ]
        return sum(float(process.communicate()[0]) for process in processes)


def main(rounds: int, seconds: float) -> None:
    """Print frames a second of each setting alone and beside a busy process, and what the latter costs."""
    rates = {(title, busy): [] for title in SETTINGS for busy in (False, True)}
    for _ in range(rounds):
        for title, busy in rates:
            rates[title, busy].append(rate(title, busy, seconds))
    best = max(median(rates[title, False]) for title in SETTINGS)
    print(
        "| setting | alone, frames/s | of the best alone | beside a busy core | times slower |\n|---|---:|---:|---:|---:|"
    )
    for title in SETTINGS:
        alone, beside = (median(rates[title, busy]) for busy in (False, True))
        span = f"{min(rates[title, True]):.1f} to {max(rates[title, True]):.1f}"
        print(
            f"| {title} | {alone:.1f} | {alone / best:.2f} | {beside:.1f} ({span}) | {alone / beside:.2f} |", flush=True
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        worker(int(sys.argv[2]), float(sys.argv[3]))
    else:
        main(3, SECONDS)
