"""What a busy neighbour costs a training: threads, how they wait, and parallel stages. Part of `make bench`.

Every setting is a process of its own, since OpenMP reads only once how its threads wait. vid2vid's training step at
128x64 on made-up clips.
"""

import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from statistics import median

SECONDS = 10.0  # per measurement
SETTINGS = {  # title: (threads of a training, parallel trainings, environment); 0: one per core
    "one training, a thread a core": (0, 1, {}),
    "the same, threads sleep while they wait": (0, 1, {"OMP_WAIT_POLICY": "PASSIVE"}),
    "one training, one thread": (1, 1, {}),
    "a training a core, one thread each (as `make repro`)": (1, 0, {}),
}


def worker(n_threads: int, seconds: float) -> None:
    """Print the frames per second of one training with `n_threads` threads."""
    import torch

    from benchmarks import models
    from benchmarks._clips import stored

    torch.set_num_threads(n_threads)
    with tempfile.TemporaryDirectory() as folder:
        store, _ = stored(Path(folder), (64, 128))
        step = models.step(models.build("vid2vid", store.facts, models.SMALL), models.windows(store).batch(0))
        step()
        durations, began = [], time.perf_counter()
        while time.perf_counter() - began < seconds:
            start = time.perf_counter()
            step()
            durations.append(time.perf_counter() - start)
    print((models.SCHEDULE.n_frames - 2) / median(durations))  # frames with a loss: two of a window are given


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
    """Frames per second of all trainings of a setting together."""
    threads, n_trainings, env = SETTINGS[title]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    command = [sys.executable, "-m", "benchmarks.threads", "--worker", str(threads or cores), str(seconds)]
    with neighbour(busy):
        processes = [
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | env)
            for _ in range(n_trainings or cores)
        ]
        return sum(float(process.communicate()[0]) for process in processes)


def main(rounds: int, seconds: float) -> None:
    """Print frames per second of each setting alone and beside a busy process, and what the latter costs."""
    rates = {(title, busy): [] for title in SETTINGS for busy in (False, True)}
    for _ in range(rounds):
        for title, busy in rates:
            rates[title, busy].append(rate(title, busy, seconds))
    best = max(median(rates[title, False]) for title in SETTINGS)
    print("| setting | alone, frames/s | of the best alone | beside a busy core | times slower |")
    print("|---|---:|---:|---:|---:|")
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
