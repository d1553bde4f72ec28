"""The processes that share one training or its clips: each has a rank, and usually a GPU."""

import json
import logging
import os
import time
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import torch

from v2vbench.machine import Machine
from v2vbench.params import Fault

PULSES = "V2VBENCH_PULSES"  # the folder in which ranks say what they do, for the process that started them
BUCKET = 2**25  # gradients summed at once, in numbers: the copy takes 128 MiB


def default_device() -> torch.device:
    """The GPU, if there is one; it then computes float32 as IEEE has it."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    set_float32("32-true")
    return torch.device("cuda")


def set_float32(precision: str) -> None:
    """Say whether GPUs may round the factors of float32 products to TF32, of 10 bits: in precision `tf32` alone."""
    kind = "tf32" if precision == "tf32" else "ieee"
    torch.backends.cuda.matmul.fp32_precision = kind
    torch.backends.cudnn.conv.fp32_precision = kind  # pyright: ignore[reportAttributeAccessIssue]


class Ranks:
    """One process alone; the parent of `Group`, and what the code of a training sees of the others.

    rank, n    of this process, and how many there are
    """

    rank, n = 0, 1

    @property
    def device(self) -> torch.device:
        """The device of this process."""
        return default_device()

    def beat(self, doing: str) -> None:
        """Say what this process does now."""

    def mean_(self, tensors: list[torch.Tensor]) -> None:
        """Replace tensors, float, by their means over all processes."""

    def mean(self, values: torch.Tensor) -> torch.Tensor:
        """The mean over all processes."""
        return values

    def gather(self, content) -> list:
        """The content of each process, in order of rank."""
        return [content]

    def first(self, content):
        """The content of rank 0."""
        return content

    def share_first(self, tensors: Iterable[torch.Tensor]) -> None:
        """Replace tensors by those of rank 0."""

    def leave(self) -> None:
        """Wait for the others, and end."""


ALONE = Ranks()


class Group(Ranks):
    """One of several processes, started by `_launch`, torchrun or srun; found and connected by Lightning Fabric.

    Gradients are averaged here and not by torch's DistributedDataParallel: each part of a model has a backward pass of
    its own through the same forward pass, parts may rest for a step, and DistributedDataParallel expects one of each.
    """

    def __init__(self, machine: Machine):
        """Connect the processes: by NCCL on GPUs, by gloo on CPUs.

        raises    Fault if they do not meet
        """
        import lightning_fabric
        from lightning_fabric.strategies.ddp import DDPStrategy

        logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
        local = int(os.environ.get("LOCAL_WORLD_SIZE") or os.environ.get("SLURM_NTASKS_PER_NODE") or 1)
        total = int(os.environ.get("WORLD_SIZE") or os.environ.get("SLURM_NTASKS") or local)
        strategy = DDPStrategy(timeout=timedelta(seconds=2 * machine.patience_s))
        accelerator = "cuda" if torch.cuda.is_available() else "cpu"
        self.fabric = lightning_fabric.Fabric(
            accelerator=accelerator, devices=local, num_nodes=max(1, total // local), strategy=strategy
        )
        try:
            self.fabric.launch()
        except (RuntimeError, OSError) as error:
            raise Fault(f"{total} processes could not meet: {' '.join(str(error).split())[:200]}") from None
        self.rank, self.n = self.fabric.global_rank, self.fabric.world_size
        self._pulse = Path(os.environ[PULSES]) / str(self.rank) if PULSES in os.environ else None

    @property
    def device(self) -> torch.device:
        return self.fabric.device

    def beat(self, doing: str) -> None:
        if self._pulse:
            partial = self._pulse.with_suffix(".new")
            partial.write_text(json.dumps({"pid": os.getpid(), "doing": doing, "since": time.time()}))
            os.replace(partial, self._pulse)

    def mean_(self, tensors: list[torch.Tensor]) -> None:
        self.beat("waits for the gradients of the others")
        for some in buckets(tensors, BUCKET):
            flat = torch.cat([tensor.reshape(-1) for tensor in some])
            torch.distributed.all_reduce(flat)
            flat /= self.n
            for tensor, mean in zip(some, flat.split([tensor.numel() for tensor in some])):
                tensor.copy_(mean.view(tensor.shape))

    def mean(self, values: torch.Tensor) -> torch.Tensor:
        self.beat("waits for the losses of the others")
        total = values.double()
        torch.distributed.all_reduce(total)
        return total / self.n

    def gather(self, content) -> list:
        self.beat("waits for the states of the others")
        contents: list = [None] * self.n
        torch.distributed.all_gather_object(contents, content)
        return contents

    def first(self, content):
        self.beat("waits for the first process")
        return self.fabric.broadcast(content)

    def share_first(self, tensors: Iterable[torch.Tensor]) -> None:
        self.beat("waits for the weights of the first process")
        for tensor in tensors:
            sent = tensor.contiguous()  # not in channels_last, which NCCL refuses
            torch.distributed.broadcast(sent, 0)
            tensor.copy_(sent)

    def leave(self) -> None:
        self.beat("waits for the end of the others")
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


def buckets(tensors: Iterable[torch.Tensor], most: int) -> Iterable[list[torch.Tensor]]:
    """Tensors in lists of at most `most` numbers together, or of one tensor that is larger; of one dtype each."""
    some: list[torch.Tensor] = []
    n = 0
    for tensor in tensors:
        if some and (n + tensor.numel() > most or tensor.dtype != some[0].dtype):
            yield some
            some, n = [], 0
        some.append(tensor)
        n += tensor.numel()
    if some:
        yield some
