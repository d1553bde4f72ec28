"""Speed of the models: training steps and generated frames against a floor, their convolutions; effect of options."""

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
from v2vbench.models import Trainable, vid2vid
from v2vbench.progress import say
from v2vbench.stages import synthesize
from v2vbench.stages._trainer import Trainer

Stores = dict[tuple[int, int], Store]  # by size
aten = torch.ops.aten
CONVOLUTIONS = (aten.convolution.default, aten.convolution_backward.default)
BORDERS = (aten.reflection_pad2d.default, aten.reflection_pad2d_backward.default)  # no other module reflects
MODELS = ("vid2vid", "pix2pixhd", "covst")
SCHEDULE = params.Schedule(
    seed=0,
    steps=1,
    batch_size=1,
    n_frames=6,
    n_warmup=0,
    double_every=0,
    single_frames="none",
    drop_parts=0.0,
    lr=2e-4,
    lr_d=2e-4,
    betas=(0.5, 0.999),
    constant_share=1.0,
    ema=0,
    precision="32-true",
    compile=False,
    log_every=1,
    checkpoint_every=1,
)


@dataclass(frozen=True)
class Setting:
    """The sizes of a model that is timed."""

    size: tuple[int, int]  # H, W in pixels
    width: int  # filters of the first layer, of generator and discriminators
    n_down: int
    n_blocks: int

    @property
    def cells(self) -> tuple[str, int]:
        """Its cells in a table."""
        return f"{self.size[1]}x{self.size[0]}", self.width


SMALL = Setting(size=(64, 128), width=16, n_down=2, n_blocks=4)
SETTINGS = (SMALL, replace(SMALL, width=32), Setting(size=(128, 256), width=32, n_down=3, n_blocks=6))


class Floor(TorchDispatchMode):
    """Records every convolution that PyTorch carries out while it is entered; `replay` makes the same calls alone.

    Recorded, below autograd and autocast, in the order of the step: each forward of a Conv2d or ConvTranspose2d, and
    each of its backward passes with the gradients that autograd requests: of the input, of weights and bias, or of
    both. So a discriminator's layers go backward twice on the fake frames (for G's loss to the input alone, for D's own
    loss to the weights too) and once on the real ones; frozen layers go to the input alone; layers without gradient not
    at all. A reflected border is a call of its own, as in the layer.

    Replayed: straight to aten, on random operands of the recorded shapes, memory layouts and dtypes. Operands that are
    equal in these are one tensor, which keeps the floor small, and its operands at least as warm in the caches.

    Left out: norms, activations, sums, warps, losses, one-hot labels, the optimisers, the accumulation of gradients,
    casts to bf16, autograd's graph, modules, hooks, and making the operands.
    """

    def __init__(self):
        super().__init__()
        self.calls, self.operands = [], {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func in CONVOLUTIONS + BORDERS:
            self.calls.append((func, *tree_map_only(torch.Tensor, self.operand, (args, kwargs))))
            return func(*args, **kwargs)
        with self:  # in inference mode a conv2d arrives undivided
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
        """Make every call again; the results are discarded."""
        for func, args, kwargs in self.calls:
            func(*args, **kwargs)

    def dtypes(self) -> str:
        """The dtypes of the convolutions."""
        dtypes = {str(args[0].dtype) for func, args, _ in self.calls if func in CONVOLUTIONS}
        return ", ".join(sorted(dtype.removeprefix("torch.") for dtype in dtypes))


def build(name: str, facts: Facts, setting: Setting):
    """An untrained model.

    vid2vid has the losses of its reference code, one spatial and one temporal scale, no foreground, and neither VGG19
    nor anything in its place.
    """
    width = setting.width
    generators = dict(
        n_filters=width, n_down=setting.n_down, n_blocks=setting.n_blocks, n_blocks_local=1, instance_edges=True
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
    others = {
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
            upsample="transposed",
            n_scales_temporal=1,
            condition_video=True,
            score_raw=True,
            w_flow=10.0,
            w_warp=10.0,
            w_temporal=10.0,
            w_mask=0.0,
        ),
        "pix2pixhd": discriminators | dict(n_local=0, styles_at="input", norm="instance", upsample="transposed"),
        "covst": dict(
            n_local=0, norm="instance", upsample="transposed", n_filters_mask=width, w_coherence=1.0, w_occlusion=1.0
        ),
    }[name]
    torch.manual_seed(0)
    return params.bind(find("models", name).Model, generators | others, name, facts=facts)


def call_twice(model: vid2vid.Model) -> vid2vid.Model:
    """Let the discriminators see the fake frames a second time, detached, for their own loss, as is common practice."""
    attached, gan_and_feature_loss = {}, model.gan_and_feature_loss

    def again(D, args, pred):
        if not args[0].requires_grad:  # real frames
            return pred
        detached = D.forward(args[0].detach())
        attached[id(detached)] = pred
        return detached

    for D in (model.D_image, *model.D_video):
        D.register_forward_hook(again)

    def patched(terms, name, pred_fake, pred_real):
        return gan_and_feature_loss(terms, name, attached.pop(id(pred_fake)), pred_real)

    model.gan_and_feature_loss = patched
    return model


@dataclass
class Row:
    """Calls that are timed together, in turns."""

    about: tuple  # the first cells of its table
    frames: int  # that one call makes
    calls: dict[str, Callable[[], object]]
    times: dict[str, list[float]] = field(default_factory=dict)  # {call: seconds per call, one for each round}

    def rate(self, name: str) -> str:
        """Frames per second of a call: the median over the rounds."""
        return f"{self.frames / median(self.times[name]):,.2f}"

    def ratio(self, name: str, to: str) -> str:
        """One time over another of the same round: median over the rounds, least and most."""
        ratios = [a / b for a, b in zip(self.times[name], self.times[to])]
        return f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def turns(calls: dict[str, Callable], seconds: float) -> dict[str, float]:
    """Seconds per call of each, called in turns until the slowest has taken `seconds`."""
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
    """Fill the rows' times: every row has its turns once per round."""
    for number in range(rounds):
        for row in rows:
            for name, seconds_per_call in turns(row.calls, seconds).items():
                row.times.setdefault(name, []).append(seconds_per_call)
        say(f"round {number + 1} of {rounds}: {len(rows)} rows timed")
    return rows


def step(
    model: Trainable, batch: dict, memory_format: torch.memory_format | None = None, **changes
) -> Callable[[], object]:
    """The third training step on a batch in memory.

    memory_format    of the weights, in place of the trainer's own
    changes          of SCHEDULE
    """
    trainer = Trainer(model, replace(SCHEDULE, **changes))
    if memory_format:
        trainer.module.to(memory_format=memory_format)
    batch = trainer.to_device(batch)
    for _ in range(2):  # after them the optimisers' moments and the plans of oneDNN or cuDNN exist
        trainer.update(batch)
    return lambda: trainer.update(batch)


def floor(call: Callable) -> Floor:
    """The floor of a call, replayed once."""
    with Floor() as recorder:
        call()
    recorder.replay()
    return recorder


def windows(store: Store) -> Windows:
    """The training windows of SCHEDULE."""
    names = ("n_frames", "n_warmup", "batch_size", "seed", "double_every", "drop_parts")
    return Windows(store, **{name: getattr(SCHEDULE, name) for name in names})


def steps(stores: Stores) -> list[Row]:
    """A training step of each model, its floor, and reading the next step's batch; frames are those with a loss."""
    rows = []
    for setting in SETTINGS:
        store = stores[setting.size]
        loader, numbers = windows(store), itertools.count()
        for name, precision in [(name, "32-true") for name in MODELS] + [("vid2vid", "bf16-mixed")]:
            model = build(name, store.facts, setting)
            update = step(model, loader.batch(0), precision=precision)
            convolutions = floor(update)
            calls = {
                "model": update,
                "floor": convolutions.replay,
                "read": lambda loader=loader, numbers=numbers: loader.batch(next(numbers)),
            }
            n_given = model.n_past + bool(model.NEEDS)  # COVST has no loss on its first frame
            rows.append(
                Row(
                    ("step", name, *setting.cells, precision, convolutions.dtypes()), SCHEDULE.n_frames - n_given, calls
                )
            )
    return rows


def frames(stores: Stores) -> list[Row]:
    """The roll-out of each model over a window whose data are in memory, and its floor."""
    rows, device = [], torch.device("cuda" if torch.cuda.is_available() else "cpu")
    for setting in SETTINGS:
        store = stores[setting.size]
        clip = {key: value.to(device) for key, value in windows(store).batch(0).items() if torch.is_tensor(value)}
        for name in MODELS:
            model = (
                build(name, store.facts, setting).to(device).to(memory_format=torch.channels_last)
            )  # as `trained_model`
            first = clip["real"][0, : model.n_past]

            def paint(model=model, clip=clip, first=first):
                return synthesize.rollout(model, clip, SCHEDULE.n_frames, first)

            paint()
            convolutions = floor(paint)
            rows.append(
                Row(
                    ("frame", name, *setting.cells, "32-true", convolutions.dtypes()),
                    SCHEDULE.n_frames - model.n_past,
                    {"model": paint, "floor": convolutions.replay},
                )
            )
    return rows


def options(stores: Stores, with_compile: bool) -> Row:
    """A training step of vid2vid at the first setting as `train` makes it, and with one change each."""
    setting = SETTINGS[0]
    store = stores[setting.size]
    batch = windows(store).batch(0)

    def changed(change=lambda model: model, **changes) -> Callable[[], object]:
        return step(change(build("vid2vid", store.facts, setting)), batch, **changes)

    calls = {
        "as shipped": changed(),
        "bf16-mixed": changed(precision="bf16-mixed"),
        "fakes judged twice": changed(call_twice),
        "contiguous": changed(memory_format=torch.contiguous_format),
        "channels_last": changed(memory_format=torch.channels_last),
    } | ({"compiled": changed(compile=True)} if with_compile else {})
    return Row(("step", "vid2vid", *setting.cells), SCHEDULE.n_frames - 2, calls)


def table(head: list[str], rows: list[list]) -> str:
    """Markdown with aligned columns."""
    cells = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells)]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in cells]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def table_of_rates(rows: list[Row]) -> str:
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
        share = [read / (read + update) for read, update in zip(row.times.get("read", ()), row.times["model"])]
        lines.append(
            [
                *row.about,
                row.rate("model"),
                row.rate("floor"),
                row.ratio("model", "floor"),
                f"{1000 * median(row.times['read']):.1f} ms, {median(share):.1%}" if share else "",
            ]
        )
    return table(head, lines)


def table_of_options(row: Row) -> str:
    """The table of options."""
    return table(
        ["option", "frames/s", "time / as shipped"],
        [[name, row.rate(name), row.ratio(name, "as shipped")] for name in row.calls],
    )
