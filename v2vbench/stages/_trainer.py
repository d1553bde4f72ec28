"""One training step of a model, on one device or as one of several processes, and the content of a checkpoint."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import torch
from torch.utils.checkpoint import checkpoint

from v2vbench.machine import HERE, Machine
from v2vbench.models import Trainable
from v2vbench.params import Fault, Schedule
from v2vbench.stages._ranks import ALONE, Ranks, set_float32


def lr_share(step: int, steps: int, constant_share: float) -> float:
    """Learning rate of a step as a share of the initial one: constant, then linear decay to 0 at `steps`."""
    decay = steps * (1 - constant_share)
    return min(1.0, (steps - step) / decay) if decay else 1.0


class Trainer:
    """A model, its optimisers and the number of steps done: the content of a checkpoint.

    Nothing in a step waits for a GPU: losses stay on the device until `read_losses`.
    """

    def __init__(
        self,
        model: Trainable,
        schedule: Schedule,
        *,
        device: torch.device | None = None,
        machine: Machine = HERE,
        ranks: Ranks = ALONE,
    ):
        """Move a model to a device and make an optimiser for each of its parts.

        device     default: that of `ranks`
        machine    how much fits on the device; default: the whole batch
        ranks      the processes that train together, of which this is one
        """
        self.device, self.ranks = device or ranks.device, ranks
        self.schedule, self.step, self.rows, self.seconds = schedule, 0, [], 0.0
        self.micro_batch = None if machine.micro_batch == "all" else machine.micro_batch
        on_gpu = self.device.type == "cuda"
        if on_gpu:
            set_float32(schedule.precision)
        if next(model.parameters(), torch.empty(0, device=self.device)).device.type != self.device.type:
            model.to(self.device)
        # On a CPU backward passes are up to 1.5 times as fast in the usual layout (docs/performance.md).
        self.module = model.to(memory_format=torch.channels_last if on_gpu else torch.contiguous_format)
        self.parts = self.module.parts()
        self.lr = {name: schedule.lr if name == "G" else schedule.lr_d for name in self.parts}
        self.optimisers = {
            name: torch.optim.Adam(part, lr=self.lr[name], betas=schedule.betas, fused=True)
            for name, part in self.parts.items()
        }
        ranks.share_first(self.module.state_dict().values())
        if machine.recompute:
            for network in networks(self.module):
                network.forward = partial(checkpoint, network.forward, use_reentrant=False)
        if schedule.compile:
            compile_networks(self.module, graphs=schedule.compile == "cuda_graphs")
        self.average = [weight.detach().clone() for weight in self.parts["G"]] if schedule.ema else []
        self._unread: list[tuple[int, list[str], torch.Tensor]] = []

    def to_device(self, clip: dict) -> dict:
        """A batch on the device; from pinned memory without waiting."""
        return {
            name: value.to(self.device, non_blocking=True) if torch.is_tensor(value) else value
            for name, value in clip.items()
        }

    def update(self, clip: dict) -> dict[str, torch.Tensor]:
        """One training step of every part on one batch, or on this process's share of it.

        The losses of all parts share one forward pass, so all gradients are computed before any weight changes, each
        with respect to the parameters of its part alone. In a step on single frames a part may have no loss, and stays.

        returns    the losses and their terms, scalars on the device; of this process's windows
        """
        self.ranks.beat(f"computes step {self.step}")
        share = lr_share(self.step, self.schedule.steps, self.schedule.constant_share)
        pieces = list(split(clip, self.micro_batch))
        for optimiser in self.optimisers.values():
            optimiser.zero_grad()
        total, trained = {}, []
        for piece in pieces:
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.schedule.precision == "bf16-mixed"):
                losses = self.module.losses(piece)
            trained = [name for name in self.parts if name in losses or not clip.get("single")]
            for name in trained:
                loss = losses[name] / len(pieces) if len(pieces) > 1 else losses[name]
                torch.autograd.backward(loss, inputs=self.parts[name], retain_graph=name != trained[-1])
            for name, value in losses.items():
                total[name] = total.get(name, 0) + value.detach() / len(pieces)
        self.ranks.mean_([weight.grad for name in trained for weight in self.parts[name] if weight.grad is not None])
        for name in trained:
            for group in self.optimisers[name].param_groups:
                group["lr"] = self.lr[name] * share
            self.optimisers[name].step()
        if self.average:  # of few weights at first: those of the first steps are worth nothing
            decay = min(self.schedule.ema, (1 + self.step) / (10 + self.step))
            torch._foreach_lerp_(  # pyright: ignore[reportPrivateImportUsage]
                self.average, [weight.detach() for weight in self.parts["G"]], 1 - decay
            )
        self._unread.append((self.step, list(total), torch.stack([value.float() for value in total.values()])))
        self.step += 1
        return total

    def read_losses(self) -> list[tuple[int, dict[str, float]]]:
        """The losses of the steps since the last call, (step, {name: value}): means over processes; one transfer."""
        if not self._unread:
            return []
        steps, self._unread = self._unread, []
        values = iter(self.ranks.mean(torch.cat([values for _, _, values in steps])).tolist())
        return [(step, {name: next(values) for name in names}) for step, names, _ in steps]

    @torch.no_grad()
    def finish(self) -> None:
        """Put the moving average of the generator's weights in place of the last ones, if the schedule asks for it."""
        for weight, average in zip(self.parts["G"], self.average):
            weight.copy_(average)

    def state(self) -> dict:
        """The content of a checkpoint; loads with weights_only=True. All processes call it: each has a random state."""
        here = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            here["cuda"] = torch.cuda.get_rng_state(self.device)
        return {
            "step": self.step,
            "rows": self.rows,
            "seconds": self.seconds,
            "model": self.module.state_dict(),
            "rng": self.ranks.gather(here),
            "average": self.average,
            "optimisers": {name: optimiser.state_dict() for name, optimiser in self.optimisers.items()},
        }

    def load(self, path) -> None:
        """Resume from a checkpoint, which another number of processes may have written."""
        state = torch.load(path, map_location="cpu", weights_only=True)
        self.step, self.rows, self.seconds = state["step"], state["rows"], state["seconds"]
        self.module.load_state_dict(state["model"])
        for name, optimiser in self.optimisers.items():
            optimiser.load_state_dict(state["optimisers"][name])
        self.average = [value.to(weight.device) for value, weight in zip(state["average"], self.parts["G"])]
        if self.ranks.rank < len(state["rng"]):
            rng = state["rng"][self.ranks.rank]
            torch.set_rng_state(rng["cpu"])
            if "cuda" in rng and self.device.type == "cuda":
                torch.cuda.set_rng_state(rng["cuda"], self.device)
        else:  # a process that was not there before
            torch.manual_seed(self.schedule.seed + 1_000_003 * self.ranks.rank + self.step)


def networks(model: Trainable) -> list[torch.nn.Module]:
    """The networks of a model: its children, those of lists one by one."""
    return [
        part for child in model.children() for part in (child if isinstance(child, torch.nn.ModuleList) else [child])
    ]


def compile_networks(model: Trainable, graphs: bool) -> None:
    """torch.compile for each network.

    graphs    also record CUDA graphs, which save the time to launch kernels; they need a GPU and batches of one shape
    """
    from torch._functorch import config

    config.donated_buffer = False  # `update` uses one graph once for each part
    for network in networks(model):
        network.compile(mode="reduce-overhead" if graphs else None)


def split(clip: dict, n: int | None) -> Iterator[dict]:
    """A batch in pieces of `n` windows; None: in one piece.

    raises    Fault if the windows cannot be divided into equal pieces
    """
    n_windows = next(len(value) for value in clip.values() if torch.is_tensor(value))
    if n is None or n >= n_windows:
        yield clip
        return
    if n_windows % n:
        raise Fault(f"machine.yaml: micro_batch {n} does not divide the {n_windows} windows of a batch on one device")
    for start in range(0, n_windows, n):
        yield {name: value[start : start + n] if torch.is_tensor(value) else value for name, value in clip.items()}


def read_ahead(read: Callable[[int], dict], steps: Iterable[int], n_workers: int, pin: bool) -> Generator[dict]:
    """`read` of each step in order, while up to `n_workers` threads read the next ones.

    n_workers    0: each is read when it is asked for
    pin          into page-locked memory, from which a GPU copies while it computes
    """

    def one(step: int) -> dict:
        batch = read(step)
        return {k: v.pin_memory() if torch.is_tensor(v) else v for k, v in batch.items()} if pin else batch

    if not n_workers:
        yield from map(one, steps)
        return
    pool = ThreadPoolExecutor(n_workers, "read", initializer=torch.set_num_threads, initargs=(1,))
    waiting: deque = deque()
    try:
        for step in steps:
            waiting.append(pool.submit(one, step))
            if len(waiting) > n_workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
