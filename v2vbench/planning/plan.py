"""The stages of a suite, with what each takes of a GPU's memory and time."""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from v2vbench.machine import Machine
from v2vbench.models import SECTIONS
from v2vbench.params import Fault, Params, Schedule, member, shorten
from v2vbench.planning.batches import Shape, longest_warmup
from v2vbench.planning.cards import Card
from v2vbench.planning.fake import fake_cuda
from v2vbench.planning.shapes import shape_of
from v2vbench.planning.steps import frame_cost, future_cost, step_cost, warmup_flops
from v2vbench.planning.tracker import Cost
from v2vbench.runner.duration import SCORE
from v2vbench.stages._weights import build_model

ON_THE_CPU = ("flow_extrapolation", "external")  # models that compute with NumPy or read files
ROLLOUT = "32-true"  # what roll-outs compute in
N_REGIONS = 32  # of labels and instances in a batch, where styles are pooled over them
CORES = 2  # on which runner.duration measured


@dataclass(frozen=True)
class Line:
    """A stage in the table; None: not known, or not on the GPU.

    devices    GPUs that it uses at once
    micro      windows at a time on each, and windows of a batch there
    memory     bytes on each
    flops      in total
    hours      at the given share of the card's peak
    note       what else there is to know
    """

    stage: str
    key: str
    precision: str = ""
    devices: int = 1
    micro: tuple[int, int] | None = None
    memory: int | None = None
    flops: float | None = None
    hours: float | None = None
    note: str = ""


class Planner:
    """Plans the stages of a suite on a card.

    Runs of one model with equal settings are computed once.
    devices         GPUs at most
    utilisation     share of the card's peak that kernels reach
    """

    def __init__(self, params: Params, root: Path, card: Card, *, devices: int, utilisation: float):
        self.params, self.root, self.card = params, root, card
        self.devices, self.utilisation = devices, utilisation
        self._costs: dict[str, Any] = {}
        self._shapes: dict[str, Shape | Fault] = {}

    @property
    def n_lines(self) -> int:
        """Lines that `lines` yields."""
        trained = [key for section in SECTIONS for key in getattr(self.params, section) if self._schedule(key).steps]
        return len(trained) + 2 * len(self.params.runs) + len(self._predictors())

    def lines(self) -> Iterator[Line]:
        """One line for each training, roll-out, prediction and evaluation."""
        for section in ("judges", "runs", "predictors"):
            for key in getattr(self.params, section):
                if self._schedule(key).steps:
                    yield self._guarded("train", key, self._train)
        for key in self.params.runs:
            yield self._guarded("synthesize", key, self._synthesize)
        for key in self._predictors():
            yield self._guarded("future", key, self._future)
        for key in self.params.runs:
            yield self._guarded("evaluate", key, self._evaluate)

    def _predictors(self) -> list[str]:
        return [key for key, line in self.params.predictors.items() if line.dataset in self.params.futures]

    def _schedule(self, key: str) -> Schedule:
        return self.params.schedules[self.params.run(key).schedule]

    def _guarded(self, stage: str, key: str, plan: Callable[[str], Line]) -> Line:
        """The line of a stage, or one that says why there is none."""
        try:
            return plan(key)
        except Fault as fault:
            return Line(stage, key, note=str(fault))
        except RuntimeError as error:  # what a fake refuses: the content of a tensor, another device
            return Line(stage, key, note=f"not computed: {shorten(str(error), 120)}")

    def _shape(self, dataset: str) -> Shape:
        if dataset not in self._shapes:
            try:
                self._shapes[dataset] = shape_of(self.params, dataset, self.root)
            except Fault as fault:
                self._shapes[dataset] = fault
        if isinstance(shape := self._shapes[dataset], Fault):
            raise shape
        return shape

    def _cost(self, function: Callable, key: str, **settings) -> Any:
        """What `function` of `steps` says of the model of line `key`, on a GPU that is not there."""
        line, shape = self.params.run(key), self._shape(self.params.run(key).dataset)
        known = [function.__name__, line.model, line.kwargs, asdict(shape), settings]
        if "schedule" in settings:
            known.append(asdict(settings["schedule"]))
        name = json.dumps(known, sort_keys=True, default=str)
        if name not in self._costs:
            make = partial(build_model, self.params, key, shape.facts)
            with fake_cuda(N_REGIONS) as cuda:
                self._costs[name] = function(make, shape=shape, device=cuda, **settings)
        return self._costs[name]

    def _hours(self, flops: float, precision: str, devices: int = 1) -> float:
        return flops / (self.card.tflops(precision) * 1e12 * self.utilisation * devices) / 3600

    def _train(self, key: str) -> Line:
        line, schedule = self.params.run(key), self._schedule(key)
        shape = self._shape(line.dataset)
        devices = max(n for n in range(1, self.devices + 1) if not schedule.batch_size % n)
        share, warmup = schedule.batch_size // devices, longest_warmup(schedule, shape)
        step = partial(self._cost, step_cost, key, schedule=schedule, n_warmup=0)
        whole = step(n_windows=share)
        frame = 0
        if warmup:
            frame = self._cost(warmup_flops, key, schedule=schedule, forward=whole.forward // share)
        flops = total_flops(schedule, whole.flops / share, frame, warmup)
        if schedule.single_frames != "none":
            single = schedule.single_frames
            one = self._cost(step_cost, key, schedule=schedule, n_windows=1, n_warmup=0, single=True)
            flops += single.steps * single.batch_size * one.flops
        flops *= len(getattr(line, "seeds", [0]))
        extra = share * warmup * frame_bytes(shape)
        micro, memory, note = self._fit(step, share, whole, extra)
        n = len(getattr(line, "seeds", [0]))
        note = ", ".join(filter(None, [note, f"{n} seeds" if n > 1 else ""]))
        hours = self._hours(flops, schedule.precision, devices)
        return Line("train", key, schedule.precision, devices, (micro, share), memory, flops, hours, note)

    def _fit(self, step: Callable[..., Cost], share: int, whole: Cost, extra: int) -> tuple[int, int, str]:
        """The largest micro batch that fits on the card, the bytes that it takes, and what to set for it.

        extra    bytes of the warm-up frames of a batch
        """
        room = self.card.room
        if whole.peak + extra <= room:
            return share, whole.peak + extra, ""
        sizes = [n for n in range(share - 1, 0, -1) if not share % n]
        one = step(n_windows=1) if sizes else whole
        for n in sizes:
            if (memory := in_pieces(one, whole, n, share) + extra) <= room:
                return n, memory, f"set micro_batch: {n} in machine.yaml"
        small = step(n_windows=1, machine=Machine(recompute=True))
        memory = small.peak + (small.gradients if share > 1 else 0) + extra
        smaller = "micro_batch: 1, recompute: true" if share > 1 else "recompute: true"
        if memory <= room:
            return 1, memory, f"set {smaller} in machine.yaml; takes about a third longer"
        return 1, memory, f"does not fit, even with {smaller}: take a larger card, a smaller size or fewer n_frames"

    def _synthesize(self, key: str) -> Line:
        line = self.params.runs[key]
        if line.model in ON_THE_CPU:
            return Line("synthesize", key, note="made elsewhere, read from files")
        shape = self._shape(line.dataset)
        cost = self._cost(frame_cost, key)
        if shape.n_test is None:
            return Line("synthesize", key, ROLLOUT, 1, None, cost.peak, note=_of_data(cost.flops, line.dataset))
        flops = shape.n_test[1] * len(line.seeds) * cost.flops
        return Line("synthesize", key, ROLLOUT, 1, None, cost.peak, flops, self._hours(flops, ROLLOUT))

    def _future(self, key: str) -> Line:
        line = self.params.predictors[key]
        future, model = self.params.futures[line.dataset], member("models", line.model, f"predictors.{key}.model").Model
        if line.model in ON_THE_CPU:
            return Line("future", key, note="computed with NumPy on a CPU")
        shape = self._shape(line.dataset)
        cost = self._cost(future_cost, key, n_past=future.n_past, n_future=future.n_future)
        flops, memory = cost.flops, cost.peak
        if model.PREDICTS == "labels":
            video = self._cost(frame_cost, future.video)
            flops, memory = flops + future.n_future * video.flops, memory + video.peak
        if shape.n_test is None:
            return Line("future", key, ROLLOUT, 1, None, memory, note=_of_data(flops, line.dataset, "prediction"))
        flops *= shape.n_test[0] * (future.n_samples if model.STOCHASTIC else 1)
        return Line("future", key, ROLLOUT, 1, None, memory, flops, self._hours(flops, ROLLOUT))

    def _evaluate(self, key: str) -> Line:
        shape = self._shape(self.params.runs[key].dataset)
        if shape.n_test is None:
            return Line("evaluate", key, note="on CPUs")
        px = shape.facts.size[0] * shape.facts.size[1] / 1e6
        n = len(self.params.runs[key].seeds)
        minutes = SCORE * px * shape.n_test[1] * n / 60
        takes = f"{minutes / 60:.1f} h" if minutes >= 60 else f"{minutes:.2g} min"
        return Line("evaluate", key, note=f"on CPUs, about {takes} on {CORES} cores")


def _of_data(flops: int, dataset: str, what: str = "frame") -> str:
    return f"{flops / 1e12:.2g} TFLOP a {what}; hours need data/{dataset}.zip"


def frame_bytes(shape: Shape) -> int:
    """Bytes of a frame of a window with all its arrays, as tensors."""
    K = len(shape.facts.label_names)
    each = {"real": 12, "label": 8, "maps": 4 * K, "instance": 8, "flow": 8, "occluded": 4}
    return shape.facts.size[0] * shape.facts.size[1] * sum(each.get(name, 0) for name in shape.arrays)


def in_pieces(one: Cost, whole: Cost, n: int, share: int) -> int:
    """Bytes of a step in pieces of n windows: what n windows take, the gradients so far, and the rest of the batch.

    one, whole    steps on 1 and on `share` windows; what lies between grows evenly with the windows
    """
    slope = (whole.peak - one.peak) / (share - 1) if share > 1 else 0
    batch = (whole.resident - one.resident) / (share - 1) if share > 1 else 0
    return round(one.peak + (n - 1) * slope + one.gradients + (share - n) * batch)


def total_flops(schedule: Schedule, window: float, frame: float, warmup: int) -> float:
    """Operations of a training, without its steps on single frames.

    window    operations of a step for one window without warm-up
    frame     operations of a warm-up frame of one window
    warmup    frames at most; their number is drawn evenly from 0 on, and doubles as `double_every` says
    """
    single = schedule.single_frames.steps if schedule.single_frames != "none" else 0
    total = 0.0
    for start, stop, longest in spans(schedule, warmup):
        n = max(0, stop - max(start, single))
        total += n * schedule.batch_size * (window + frame * (longest - schedule.n_frames) / 2)
    return total


def spans(schedule: Schedule, warmup: int) -> Iterator[tuple[int, int, int]]:
    """Steps from, to, and the largest total length of their windows, as `Windows.batch` has it."""
    longest, start, n = schedule.n_frames + warmup, 0, schedule.n_frames
    if not schedule.double_every:
        yield 0, schedule.steps, longest
        return
    while n < longest and start < schedule.steps:
        yield start, min(start + schedule.double_every, schedule.steps), n
        start, n = start + schedule.double_every, 2 * n
    if start < schedule.steps:
        yield start, schedule.steps, longest
