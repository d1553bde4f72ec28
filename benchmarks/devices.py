"""What several processes of one training gain, and what reading ahead gains: `python -m benchmarks --only devices`.

vid2vid's training step at 128x64 on made-up clips, from the store to the averaged gradients, as the loop has it.
On CPUs the processes are connected by gloo, on GPUs by NCCL.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROUNDS = 3
SECONDS = 8.0  # per measurement
BATCH = 2  # windows of a step, of all processes together
SETTINGS = {  # title: (processes, windows at a time, threads that read ahead)
    "one process, reads between steps": (1, BATCH, 0),
    "one process, 1 thread reads ahead": (1, BATCH, 1),
    "one process, 2 threads read ahead": (1, BATCH, 2),
    "one process, one window at a time (micro_batch: 1)": (1, 1, 2),
    "two processes, a window each (devices: 2)": (2, 1, 2),
}


def worker(micro_batch: int, n_workers: int, seconds: float) -> None:
    """Print the frames per second of a training, as one of the processes that the environment tells."""
    from dataclasses import replace
    from itertools import count

    import torch

    from benchmarks import models
    from benchmarks._clips import stored
    from v2vbench.clips.windows import Windows
    from v2vbench.machine import Machine
    from v2vbench.stages._ranks import ALONE, Group
    from v2vbench.stages._trainer import Trainer, read_ahead

    torch.set_num_threads(1)
    machine = Machine(micro_batch=micro_batch)
    ranks = Group(machine) if "WORLD_SIZE" in os.environ else ALONE
    schedule = replace(models.SCHEDULE, batch_size=BATCH, steps=10**9)
    with tempfile.TemporaryDirectory() as folder:
        store, _ = stored(Path(folder), (64, 128))
        trainer = Trainer(models.build("vid2vid", store.facts, models.SMALL), schedule, machine=machine, ranks=ranks)
        windows = Windows(
            store,
            n_frames=schedule.n_frames,
            n_warmup=0,
            batch_size=BATCH,
            seed=0,
            double_every=0,
            drop_parts=0.0,
            share=(ranks.rank, ranks.n),
        )
        batches = read_ahead(windows.batch, count(), n_workers, pin=trainer.device.type == "cuda")
        durations, began, goes_on = [], time.perf_counter(), True
        while goes_on:
            start = time.perf_counter()
            trainer.update(trainer.to_device(next(batches)))
            trainer.read_losses()
            durations.append(time.perf_counter() - start)
            goes_on = len(durations) < 5 or ranks.first(time.perf_counter() - began < seconds)
        batches.close()
    if ranks.rank == 0:
        print(BATCH * (schedule.n_frames - 2) / median(durations[2:]))
    ranks.leave()


def rate(title: str, seconds: float) -> float:
    """Frames per second of a setting, of all processes together."""
    n, micro_batch, n_workers = SETTINGS[title]
    command = [sys.executable, "-m", "benchmarks.devices", "--worker", str(micro_batch), str(n_workers), str(seconds)]
    if n > 1:
        torchrun = ["torch.distributed.run", "--standalone", f"--nproc-per-node={n}", "-m", *command[2:]]
        command = [sys.executable, "-m", *torchrun]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=os.environ)
    return float(done.stdout.split()[-1])


def main(rounds: int = ROUNDS, seconds: float = SECONDS) -> None:
    """Print frames per second of each setting, and as a share of the first."""
    rates = {title: [] for title in SETTINGS}
    for _ in range(rounds):
        for title in rates:
            rates[title].append(rate(title, seconds))
    first = median(rates[next(iter(rates))])
    print("| setting | frames/s | of the first |")
    print("|---|---:|---:|")
    for title, values in rates.items():
        span = f"{median(values):.1f} ({min(values):.1f} to {max(values):.1f})"
        print(f"| {title} | {span} | {median(values) / first:.2f} |", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        worker(int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
    else:
        main()
