"""Memory and operations of a training step, a generated frame and a prediction."""

from collections.abc import Callable
from unittest import mock

import torch

from v2vbench.machine import HERE, Machine
from v2vbench.models import Predictor, Trainable, VideoModel, _styles
from v2vbench.params import Schedule
from v2vbench.planning.batches import Shape, arrays, batch
from v2vbench.planning.tracker import Cost, Tracker
from v2vbench.stages._trainer import Trainer
from v2vbench.stages.synthesize import rollout

N_ROLLED = 2  # frames of a roll-out that are measured


def step_cost(
    make: Callable[[], Trainable],
    schedule: Schedule,
    shape: Shape,
    device: torch.device,
    *,
    n_windows: int,
    n_warmup: int,
    single: bool = False,
    machine: Machine = HERE,
) -> Cost:
    """The cost of a training step when the optimisers have their state, as after the first step.

    make         an untrained model, on the default device
    n_windows    of the batch on this device
    n_warmup     frames before the window
    single       a step on single frames
    machine      micro_batch and recompute; default: the whole batch at once
    """
    with device:
        model = make()
        if perceptual := getattr(model, "perceptual", None):
            perceptual.net = vgg19_untrained()
        trainer = Trainer(model, schedule, device=device, machine=machine)
        clip = batch(schedule, shape, model, n_windows=n_windows, n_warmup=n_warmup, single=single)
    fill_optimisers(trainer)
    with Tracker(device.type) as tracker:
        held = [list(model.parameters()), list(model.buffers()), trainer.average, clip]
        held += [
            list(state.values()) for optimiser in trainer.optimisers.values() for state in optimiser.state.values()
        ]
        held += [list(perceptual.net.parameters())] if perceptual else []
        tracker.hold(held)
        resident, losses, forward = tracker.live, model.losses, 0

        def counted(clip: dict) -> dict[str, torch.Tensor]:
            nonlocal forward
            before = tracker.flops
            out = losses(clip)
            forward += tracker.flops - before
            return out

        model.losses = counted
        trainer.update(clip)
    n_bytes = sum(weight.nbytes for part in trainer.parts.values() for weight in part)
    return Cost(resident, tracker.peak, tracker.flops, tracker.n_syncs, forward, n_bytes)


def warmup_flops(
    make: Callable[[], Trainable], schedule: Schedule, shape: Shape, device: torch.device, forward: int
) -> int:
    """Operations for a warm-up frame of one window.

    forward    operations of the losses of one window without warm-up
    """
    with device:
        model = make()
        clip = batch(schedule, shape, model, n_windows=1, n_warmup=1)
    if perceptual := getattr(model, "perceptual", None):
        with device:
            perceptual.net = vgg19_untrained()
    with Tracker(device.type) as tracker, torch.no_grad():
        model.losses(clip)
    return tracker.flops - forward


def fill_optimisers(trainer: Trainer) -> None:
    """Give the optimisers the state that the first step gives them, without a change of the weights."""
    for name, optimiser in trainer.optimisers.items():
        for weight in trainer.parts[name]:
            weight.grad = torch.zeros_like(weight)
        rates = [group["lr"] for group in optimiser.param_groups]
        for group in optimiser.param_groups:
            group["lr"] = 0.0
        optimiser.step()
        optimiser.zero_grad()
        for group, rate in zip(optimiser.param_groups, rates):
            group["lr"] = rate


def frame_cost(make: Callable[[], Trainable], shape: Shape, device: torch.device) -> Cost:
    """The cost of a frame of a roll-out; resident and peak bytes with the few frames that it reads."""
    with device:
        model = make()
        assert isinstance(model, VideoModel)
        names = [name for name in shape.arrays if name != "depth"]
        clip = arrays(shape, names, 1, model.n_past + N_ROLLED)
    with Tracker(device.type) as tracker:
        tracker.hold(list(model.parameters()), list(model.buffers()), clip)
        resident = tracker.live
        with mock.patch.multiple(_styles, present=_present, draw=_draw, paint=_paint):
            rollout(model, clip, model.n_past + N_ROLLED, clip["real"][0, : model.n_past])
    return Cost(resident, tracker.peak, tracker.flops // N_ROLLED, tracker.n_syncs)


def _present(ids: torch.Tensor) -> list[tuple[int, int]]:
    """Drawn styles are few numbers, chosen on the host: any region stands for all."""
    return [(0, 0)]


def _draw(mixture: dict[str, torch.Tensor], pairs, seed: int) -> dict:
    return {pair: mixture["means"][0, 0] for pair in pairs}


def _paint(vectors: dict, ids: torch.Tensor) -> torch.Tensor:
    n = len(vectors[0, 0])
    return ids.new_zeros((*ids.shape[:2], n, *ids.shape[2:]), dtype=torch.float32)


def future_cost(make: Callable[[], Trainable], shape: Shape, device: torch.device, n_past: int, n_future: int) -> Cost:
    """The cost of one prediction, without the frames that a run then makes from predicted labels."""
    with device:
        model = make()
        assert isinstance(model, Predictor)
        past = arrays(shape, _arrays(model.SEES, shape), 1, n_past + n_future * model.CEILING)
    noise = torch.Generator(device) if device.type == "cpu" else torch.Generator()  # there is none on a fake GPU
    with Tracker(device.type) as tracker:
        tracker.hold(list(model.parameters()), list(model.buffers()), past)
        resident = tracker.live
        model.predict(past, n_future, noise)
    return Cost(resident, tracker.peak, tracker.flops, tracker.n_syncs)


def _arrays(sees: tuple[str, ...], shape: Shape) -> list[str]:
    """Arrays of the store for those that a predictor sees."""
    return [
        shape.facts.source.removesuffix("s" if shape.facts.source == "labels" else "") if name == "source" else name
        for name in sees
    ]


def vgg19_untrained() -> torch.nn.Sequential:
    """The convolutions of VGG19 as the perceptual loss has them, with random weights."""
    from torchvision.models import vgg19

    layers = list(vgg19(weights=None).features.children())
    for layer in layers:
        if isinstance(layer, torch.nn.ReLU):
            layer.inplace = False
    return torch.nn.Sequential(*layers).eval().requires_grad_(False)
