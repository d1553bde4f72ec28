"""Speed of the models: a training step and a painted frame against a floor, the convolutions alone; and what an option gives."""

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from statistics import median

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from v2vbench import find, params
from v2vbench.clips.store import Facts, Store
from v2vbench.clips.windows import Windows
from v2vbench.progress import say
from v2vbench.stages import synthesize
from v2vbench.stages.train import Trainer

aten = torch.ops.aten
CONVOLUTIONS = (aten.convolution.default, aten.convolution_backward.default)
BORDERS = (aten.reflection_pad2d.default, aten.reflection_pad2d_backward.default)  # no other module reflects
MODELS = ("vid2vid", "pix2pixhd", "covst")
SMALL = dict(size=(64, 128), width=16, n_down=2, n_blocks=4)
SETTINGS = (SMALL, SMALL | dict(width=32), dict(size=(128, 256), width=32, n_down=3, n_blocks=6))
SCHEDULE = params.Schedule(
    seed=0,
    steps=1,
    batch_size=1,
    n_frames=6,
    n_warmup=0,
    double_every=0,
    drop_parts=0.0,
    lr=2e-4,
    lr_d=2e-4,
    betas=(0.5, 0.999),
    constant_share=1.0,
    precision="32-true",
    compile=False,
    log_every=1,
    checkpoint_every=1,
)


class Floor(TorchDispatchMode):
    """Records every convolution that PyTorch carries out while it is entered; `replay` makes the same calls with nothing around them.

    What is recorded stands below autograd and autocast: each forward of a Conv2d or ConvTranspose2d, and each of its backward passes
    with the outputs that autograd asked of it: the gradient of the input, of weights and bias, or of both. So it holds the passes of the
    step, no more and no fewer: a discriminator's layers go backward on the fake frames twice, for G's loss to the input alone and for
    D's own loss to the weights too; on the real frames once; frozen layers go to the input alone; layers without gradient not at all.
    A layer's reflected border is a call of its own, forward and backward, as in the layer. The calls are made in the order of the step,
    straight to aten, on random operands of the shapes, memory layouts and dtypes recorded; operands alike in these are one tensor,
    which keeps the floor small, and its operands at least as warm in the caches as the step's.

    Not in it: norms, activations, sums, warps, losses, one-hot labels, the zero_grad and step of the optimisers, adding up gradients,
    casts to bf16 (of bf16-mixed the floor is the convolutions in bf16), autograd's graph, modules and hooks, and making the operands.
    """

    def __init__(self):
        super().__init__()
        self.calls, self.operands = [], {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func in CONVOLUTIONS + BORDERS:
            self.calls.append((func, *tree_map_only(torch.Tensor, self.operand, (args, kwargs))))
            return func(*args, **kwargs)
        with self:  # in inference mode a conv2d comes whole
            result = func.decompose(*args, **kwargs)
        return func(*args, **kwargs) if result is NotImplemented else result

    def operand(self, like: torch.Tensor) -> torch.Tensor:
        """A random tensor of the same shape, strides and dtype on the same device."""
        key = like.shape, like.stride(), like.dtype, like.device
        if key not in self.operands:
            n = 1 + sum((size - 1) * stride for size, stride in zip(like.shape, like.stride()))
            self.operands[key] = torch.randn(n, dtype=like.dtype, device=like.device).as_strided(
                like.shape, like.stride()
            )
        return self.operands[key]

    @torch.inference_mode()
    def replay(self) -> None:
        """Make every call once more; the results are thrown away."""
        for func, args, kwargs in self.calls:
            func(*args, **kwargs)

    def dtypes(self) -> str:
        """What the convolutions calculate in."""
        return ", ".join(
            sorted({str(args[0].dtype).removeprefix("torch.") for func, args, _ in self.calls if func in CONVOLUTIONS})
        )


def build(name: str, facts: Facts, setting: dict) -> torch.nn.Module:
    """An untrained model: vid2vid with the losses of its reference code, at one spatial and one temporal scale; no foreground, and
    neither VGG19 nor anything in its place."""
    width = setting["width"]
    nets = dict(
        n_filters=width, n_down=setting["n_down"], n_blocks=setting["n_blocks"], n_blocks_local=1, instance_edges=True
    )
    discriminators = dict(
        n_scales=2,
        n_filters_d=width,
        n_layers_d=3,
        w_feature=10.0,
        w_pixel=0.0,
        w_perceptual=0.0,
        perceptual="none",
        styles="none",
    )
    own = {
        "vid2vid": discriminators
        | dict(
            n_past=2,
            n_scales_spatial=1,
            n_frozen_steps=0,
            n_backprop=0,
            from_nothing=False,
            norm="batch",
            foreground=[],
            composition="over",
            with_flow=True,
            flow_scale=20.0,
            resample="bilinear",
            n_scales_temporal=1,
            condition_video=True,
            score_raw=True,
            w_flow=10.0,
            w_warp=10.0,
            w_temporal=10.0,
            w_mask=0.0,
        ),
        "pix2pixhd": discriminators | dict(n_local=0, styles_at="input", norm="instance"),
        "covst": dict(n_local=0, norm="instance", n_filters_mask=width, w_coherence=1.0, w_occlusion=1.0),
    }[name]
    torch.manual_seed(0)
    return params.bind(find("models", name).Model, nets | own, name, facts=facts)


def call_twice(model: torch.nn.Module) -> torch.nn.Module:
    """Let vid2vid's discriminators see the fake frames once more, detached, for their own loss, as common code does."""
    attached, original = {}, model.gan_and_feature_loss

    def again(D, args, pred):
        if not args[0].requires_grad:  # real frames
            return pred
        detached = D.forward(args[0].detach())
        attached[id(detached)] = pred
        return detached

    for D in (model.D_image, *model.D_video):
        D.register_forward_hook(again)
    model.gan_and_feature_loss = lambda terms, name, pred_fake, pred_real: original(
        terms, name, attached.pop(id(pred_fake)), pred_real
    )
    return model


@dataclass
class Row:
    """What is timed together: calls by name, taking turns.

    about      the first cells of the table
    frames     that one call makes
    times      {name of the call: seconds a call, one a round}
    """

    about: tuple
    frames: int
    calls: dict[str, Callable[[], object]]
    times: dict[str, list[float]] = field(default_factory=dict)

    def rate(self, name: str) -> str:
        return f"{self.frames / median(self.times[name]):,.2f}"

    def ratio(self, name: str, to: str) -> str:
        """Median over the rounds of one time to another of the same round, with the least and the most."""
        ratios = [a / b for a, b in zip(self.times[name], self.times[to])]
        return f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def turns(calls: dict[str, Callable], seconds: float) -> dict[str, float]:
    """Seconds a call of each, called one after the other until the slowest has had `seconds`."""
    spent, n = dict.fromkeys(calls, 0.0), 0
    while not n or max(spent.values()) < seconds:
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            spent[name] += time.perf_counter() - began
        n += 1
    return {name: total / n for name, total in spent.items()}


def race(rows: list[Row], rounds: int, seconds: float) -> list[Row]:
    """Fill the rows' times: every row has its turns once a round."""
    for number in range(rounds):
        for row in rows:
            for name, taken in turns(row.calls, seconds).items():
                row.times.setdefault(name, []).append(taken)
        say(f"round {number + 1} of {rounds}: {len(rows)} rows timed")
    return rows


def step(model: torch.nn.Module, batch: dict, contiguous: bool = False, **changes) -> Callable:
    """A training step on the held batch, the third; `contiguous` undoes the trainer's channels_last, others change the schedule."""
    made = Trainer(model, replace(SCHEDULE, **changes))
    if contiguous:
        made.model.to(memory_format=torch.contiguous_format)
    held = made.fabric.to_device(batch)
    made.update(held), made.update(held)  # the optimisers' moments and oneDNN's or cuDNN's plans are there now
    return lambda: made.update(held)


def floor(call: Callable) -> Floor:
    """The floor of one call, warm."""
    with Floor() as recorded:
        call()
    recorded.replay()
    return recorded


def told(setting: dict) -> tuple[str, int]:
    return f"{setting['size'][1]}x{setting['size'][0]}", setting["width"]


def windows(store: Store) -> Windows:
    wanted = ("n_frames", "n_warmup", "batch_size", "seed", "double_every", "drop_parts")
    return Windows(store, **{name: getattr(SCHEDULE, name) for name in wanted})


def steps(stores: dict[tuple, Store]) -> list[Row]:
    """A training step of each model, its floor, and reading the batch of the next step; frames are those that have a loss."""
    rows = []
    for setting in SETTINGS:
        store = stores[setting["size"]]
        loader, numbers = windows(store), itertools.count()
        for name, precision in [(name, "32-true") for name in MODELS] + [("vid2vid", "bf16-mixed")]:
            model = build(name, store.facts, setting)
            update = step(model, loader.batch(0), precision=precision)
            convolutions = floor(update)
            calls = {
                "own": update,
                "floor": convolutions.replay,
                "read": lambda loader=loader, numbers=numbers: loader.batch(next(numbers)),
            }
            n_given = model.n_past + bool(model.NEEDS)  # COVST has no loss on its first frame
            rows.append(
                Row(
                    ("step", name, *told(setting), precision, convolutions.dtypes()), SCHEDULE.n_frames - n_given, calls
                )
            )
    return rows


def frames(stores: dict[tuple, Store]) -> list[Row]:
    """The roll-out of each model over a window, frame by frame, its data held in memory, and its floor."""
    rows, device = [], torch.device("cuda" if torch.cuda.is_available() else "cpu")
    for setting in SETTINGS:
        store = stores[setting["size"]]
        held = {key: value.to(device) for key, value in windows(store).batch(0).items() if torch.is_tensor(value)}
        for name in MODELS:
            model = build(name, store.facts, setting).to(device, memory_format=torch.channels_last)  # as `trained` does
            first = held["real"][0, : model.n_past]

            def paint(model=model, held=held, first=first):
                return list(
                    synthesize.stream(
                        model, lambda start, stop: synthesize.part(held, start, stop), SCHEDULE.n_frames, first
                    )
                )

            paint()
            convolutions = floor(paint)
            rows.append(
                Row(
                    ("frame", name, *told(setting), "32-true", convolutions.dtypes()),
                    SCHEDULE.n_frames - model.n_past,
                    {"own": paint, "floor": convolutions.replay},
                )
            )
    return rows


def options(stores: dict[tuple, Store], with_compile: bool) -> Row:
    """A training step of vid2vid at the first setting as `train` makes it, and with one thing changed."""
    setting = SETTINGS[0]
    store = stores[setting["size"]]
    batch = windows(store).batch(0)

    def changed(change=lambda model: model, **changes) -> Callable:
        return step(change(build("vid2vid", store.facts, setting)), batch, **changes)

    calls = {
        "as shipped": changed(),
        "bf16-mixed": changed(precision="bf16-mixed"),
        "fakes judged twice": changed(call_twice),
        "contiguous": changed(contiguous=True),
    } | ({"compiled": changed(compile=True)} if with_compile else {})
    return Row(("step", "vid2vid", *told(setting)), SCHEDULE.n_frames - 2, calls)


def table(head: list[str], rows: list[list]) -> str:
    """Markdown, its columns aligned."""
    cells = [[str(cell) for cell in row] for row in (head, *rows)]
    wide = [max(map(len, column)) for column in zip(*cells)]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, wide)) + " |" for row in cells]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in wide) + "|", *lines[1:]])


def shown(rows: list[Row]) -> str:
    """The table of steps and frames."""
    head = [
        "",
        "model",
        "size",
        "width",
        "precision",
        "convolved in",
        "frames/s",
        "floor frames/s",
        "time / floor",
        "reading",
    ]
    lines = []
    for row in rows:
        share = [read / (read + own) for read, own in zip(row.times.get("read", ()), row.times["own"])]
        lines.append(
            [
                *row.about,
                row.rate("own"),
                row.rate("floor"),
                row.ratio("own", "floor"),
                f"{1000 * median(row.times['read']):.1f} ms, {median(share):.1%}" if share else "",
            ]
        )
    return table(head, lines)


def shown_options(row: Row) -> str:
    """The table of options."""
    return table(
        ["option", "frames/s", "time / as shipped"],
        [[name, row.rate(name), row.ratio(name, "as shipped")] for name in row.calls],
    )
