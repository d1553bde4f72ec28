"""A training step on the real CPU in a process of its own: bytes that it takes, and bytes that the fake says.

Run as `python measured_step.py NAME SHARE`: prints JSON. Large tensors get pages of their own, which go back at once.
"""

import json
import resource
import sys
from pathlib import Path

import psutil
import torch

sys.path.insert(0, str(Path(__file__).parent))
from test_plan import large

from v2vbench.planning.batches import batch
from v2vbench.planning.fake import fake_cuda
from v2vbench.planning.steps import fill_optimisers, step_cost
from v2vbench.stages._trainer import Trainer


def measured(name: str) -> dict:
    make, schedule, shape = large(name)
    torch.manual_seed(0)
    model, device = make(), torch.device("cpu")
    trainer = Trainer(model, schedule, device=device)
    fill_optimisers(trainer)
    clip = batch(schedule, shape, model, n_windows=schedule.batch_size, n_warmup=0)
    before = psutil.Process().memory_info().rss
    trainer.update(clip)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    with fake_cuda() as cuda:
        cost = step_cost(make, schedule, shape, cuda, n_windows=schedule.batch_size, n_warmup=0)
    return {"measured": after - before, "said": cost.peak - cost.resident}


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(json.dumps(measured(sys.argv[1])))
