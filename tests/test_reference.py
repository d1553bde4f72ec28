"""The paper's own code: we compute what it computed, and its checkpoints become runs, or nothing."""

import copy
import difflib
import json
import os
import re
import shutil
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import MappingProxyType

import pytest
import torch
from conftest import SIZE, facts
from safetensors.torch import load_file
from test_models import SMALL, used
from torch import nn
from torch.nn import functional as F

from v2vbench import find, params
from v2vbench.__main__ import main
from v2vbench.clips.flow import warp
from v2vbench.clips.store import Store
from v2vbench.clips.tensors import to_pixels, to_tensors
from v2vbench.models import _blocks, _composite, _image, _source
from v2vbench.models import _styles as styles
from v2vbench.params import Fault
from v2vbench.reference import architecture, checkpoints
from v2vbench.reference import names as reference
from v2vbench.runner import entries
from v2vbench.stages import synthesize, train
from v2vbench.stages._weights import build_model, trained_model

FIXTURES = Path(__file__).parent / "fixtures"


def within(file: str, folder: str) -> dict:
    return {
        key.removeprefix(f"{folder}/"): value
        for key, value in load_file(FIXTURES / f"{file}.safetensors").items()
        if key.startswith(f"{folder}/")
    }


def imported(nets: dict, foreground=(), **about):
    """Our model of reference state dicts {net: state}, and its kwargs; through what the command does."""
    files, own = {net: Path(f"{net}.pth") for net in nets}, facts(**about)
    kind, kwargs = architecture.settings(nets, files, own, list(foreground))
    model = params.bind(find("models", kind).Model, kwargs, kind, facts=own)
    model.begin(checkpoints.weights(model, nets, files))
    return model, kwargs


@contextmanager
def in_double():
    """Computes in float64 what the code keeps to float32: encoded sources, the ends of networks, warps.

    Random networks fed with their own frames turn a last digit of float32 into a hundred grey levels within five
    frames, so that two codes can be compared only where that digit is small.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.Tensor, "float", torch.Tensor.double)
        yield


def largest(a: torch.Tensor, b: torch.Tensor) -> float:
    assert a.shape == b.shape
    return (a - b).abs().max().item()


# Numbers that the reference code has computed


@pytest.fixture(scope="module")
def video():
    """Our model with the fixture's weights, its clip, and the fixture."""
    about = load_file(FIXTURES / "reference_a.safetensors")
    model, _ = imported(
        {name: within("reference_a", f"net{name}") for name in ("G0", "G1", "D", "D_T0", "D_T1")},
        "e",
        label_names=tuple("abcdef"),
        label_colours=((0, 0, 0),) * 6,
    )
    unknown = torch.zeros(1, 3, *SIZE)  # before the first painted frame
    clip = {
        "real": about["frames"],
        "source": about["labels"].long(),
        "instance": about["instances"].long(),
        "flow": torch.cat([unknown[:, :2], about["loss_inputs/flow_ref"]]),
        "occluded": 1 - torch.cat([unknown[:, :1], about["loss_inputs/conf_ref"]]),
    }
    return model, {name: value[None] for name, value in clip.items()}, about


# Random networks magnify a last digit about five times per frame, and the order in which a convolution sums depends on
# the CPU: its instruction set, its caches. On every CPU two computations of a frame from one past differ by rounding,
# and two roll-outs by no more than the networks magnify it. Both are measured on the CPU that runs the test:
#   exact                our model in float64, from its own past
#   one-step rounding    our float32 frame from the exact past, minus the exact frame
#   magnified            float64 roll-outs in which that rounding, shuffled, is added to each frame that becomes past
# The bound is SAFETY times these. The fixture has the reference's past at full size only, while each scale keeps a past
# of its own: at half size we take the exact one, and the bound includes what rounding may have changed in theirs.
SAFETY = 8  # between another CPU's rounding and this one's shuffled
OUTPUTS = ("fake", "raw", "flow", "mask")
NOTHING = MappingProxyType({})
SCALES = ("half", "fake")  # whose frames become past, the coarser first


@torch.no_grad()
def unrolled(model, clip, *, dtype=torch.float64, pasts=NOTHING, shaken=NOTHING) -> dict[str, torch.Tensor]:
    """Frames 2 .. 5, each from the two before it: OUTPUTS, and the coarser scale's as `half`; (4, C, h, w) in float64.

    pasts     {scale: frames 2 .. 5} that become past in place of the model's own
    shaken    {scale: (4, 3, h, w)} added to the frames that become past
    """
    sources, first = _blocks.pyramid(model.source.joined(clip)[0], 2), _blocks.pyramid(clip["real"][:, :2], 2)
    past = {scale: list(frames[0].to(dtype)) for scale, frames in zip(SCALES, first)}
    found = {name: [] for name in (*OUTPUTS, "half")}
    exact = dtype is torch.float64
    model = copy.deepcopy(model).double() if exact else model
    with in_double() if exact else nullcontext():
        for t in range(4):
            out, frames = model.step(
                [source[:, t : t + 3].to(dtype) for source in sources],
                [torch.stack(past[scale][t:])[None] for scale in SCALES],
            )
            for name, value in (out | {"half": frames[0]}).items():
                if name in found:
                    found[name].append(value[0].double())
            for scale, own in zip(SCALES, frames):
                past[scale].append(
                    (pasts[scale][t] if scale in pasts else own[0]).to(dtype)
                    + (shaken[scale][t] if scale in shaken else 0)
                )
    return {name: torch.stack(values) for name, values in found.items()}


def apart(a: dict, b: dict) -> dict[str, torch.Tensor]:
    """The largest difference of each output, frame by frame (4,)."""
    return {name: (a[name] - b[name]).abs().flatten(1).max(1).values for name in OUTPUTS if name in a}


def bounds(model, clip, pasts: dict) -> tuple[dict, dict]:
    """The exact outputs from `pasts`, and how far from them float32 may come on any CPU: {output: (4,)}."""
    free = unrolled(model, clip)
    alone = unrolled(model, clip, dtype=torch.float32, pasts=free)
    exact, worst = unrolled(model, clip, pasts=pasts), dict.fromkeys(OUTPUTS, torch.zeros(4))
    for seed in range(4):
        order, shaken = torch.Generator().manual_seed(seed), {}
        for scale in SCALES:
            if scale not in pasts:
                rounding = (alone[scale] - free[scale]).flatten(1)
                shaken[scale] = rounding[:, torch.randperm(rounding.shape[1], generator=order)].view_as(free[scale])
        moved = apart(unrolled(model, clip, pasts=pasts, shaken=shaken), exact)
        worst = {name: torch.maximum(worst[name], moved[name]) for name in OUTPUTS}
    step = {name: error.max() for name, error in apart(alone, free).items()}
    return exact, {name: SAFETY * (step[name] + worst[name]) for name in OUTPUTS}


def recorded(about, kind) -> dict:
    return {name: about[f"{kind}/{name}"].double() for name in OUTPUTS if f"{kind}/{name}" in about}


def inside(found: dict, exact: dict, bound: dict) -> bool:
    return all((error <= bound[name]).all() for name, error in apart(found, exact).items())


def test_each_frame_from_the_references_past_is_the_references(video):
    model, clip, about = video
    pasts = {"fake": about["train/fake"]}
    exact, bound = bounds(model, clip, pasts)
    ours, train = unrolled(model, clip, dtype=torch.float32, pasts=pasts), recorded(about, "train")
    first = {
        name: error[0].item() for name, error in apart(ours, train).items()
    }  # of real frames: both scales' pasts are known
    assert max(first["fake"], first["raw"], first["mask"]) < 1e-4
    assert first["flow"] < 1e-3  # px, 40 of which are the net's 1
    assert inside(ours, exact, bound)
    assert inside(train, exact, bound)
    assert inside(recorded(about, "infer"), exact, bound)
    assert bound["fake"][0] < 1e-3
    assert bound["fake"].max() < 0.05  # of 2: no bound that anything would pass


def test_rollout_is_the_references_but_for_rounding(video):
    """All at once, frame by frame, and nearly so where frames are rounded to 8 bits on the way."""
    model, clip, about = video
    exact, bound = bounds(model, clip, {})
    with torch.no_grad():
        ours = model.rollout(clip, _blocks.pyramid(clip["real"][:, :2], 2))
        rounded = synthesize.rollout(model, clip, 6, clip["real"][0, :2])[2:]
        step_by_step = {"fake": used(model, clip)[0, 2:].double()}
    for found in (
        recorded(about, "train"),
        recorded(about, "infer"),
        {name: ours[name][0].double() for name in OUTPUTS},
        step_by_step,
    ):
        assert inside(found, exact, bound)
    assert bound["fake"][0] < 1e-3
    assert bound["fake"].max() < 0.05
    assert largest(rounded[:1], about["infer/fake"][:1]) <= 1 / 255 + 1e-4
    assert (rounded - about["infer/fake"]).abs().mean() < 0.02


@pytest.mark.parametrize("name", ["a flow 0.1 % too long", "a past in another order", "another mask"])
def test_bounds_of_rounding_see_a_small_fault(name, video):
    model, clip, about = copy.deepcopy(video[0]), *video[1:]
    for G in model.G:
        if name == "a flow 0.1 % too long":
            G.flow_scale *= 1.001
        elif name == "another mask":
            G.mask[0].bias.data += 0.001
        else:
            weight = G.down_past[0][0].weight.data
            weight[:] = torch.cat([weight[:, 3:], weight[:, :3]], 1)
    assert not inside(recorded(about, "train"), *bounds(model, clip, {}))


def test_rollout_is_the_references_to_the_digit_where_the_cpu_is_like_theirs(video):
    """Where the first frame equals the reference's, this CPU sums like the one that made the fixture, so all must.

    That CPU had AVX-512, which alone decides nothing: oneDNN also considers the caches.
    """
    model, clip, about = video
    with torch.no_grad():
        ours = model.rollout(clip, _blocks.pyramid(clip["real"][:, :2], 2))["fake"][0]
    error = (ours - about["infer/fake"]).abs().flatten(1).max(1).values
    if error[0] > 1e-6:
        pytest.skip(
            f"{torch.backends.cpu.get_cpu_capability()} rounds differently here from the CPU that made the fixture: "
            f"{error[0]:.0e} in the first frame; the bounds of rounding hold it"
        )
    assert error.max() < 1e-4


def test_losses_are_the_references(video):
    model, clip, about = video
    second, model.D_video = model.D_video, model.D_video[:1]  # 4 frames are too few for the second temporal scale
    out = model.rollout(clip, _blocks.pyramid(clip["real"][:, :2], 2))
    out |= {
        name: about[f"train/{name}"][None] for name in OUTPUTS
    }  # theirs to the digit: a roll-out has its CPU's rounding
    out["past"] = torch.cat([clip["real"][:, 1:2], out["fake"][:, :-1]], 1)
    ours = model.objective(clip, out)
    model.D_video = second
    theirs = {key: value for key, value in within("reference_a", "loss").items() if value}
    pairs = dict(
        flow="F_Flow",
        warp="F_Warp",
        temporal="G_Warp",
        image_gan="G_GAN",
        image_feature="G_GAN_Feat",
        video0_gan="G_T_GAN",
        video0_feature="G_T_GAN_Feat",
    )
    expected = {f"G_{name}": theirs.pop(key) for name, key in pairs.items()}
    expected["G"] = sum(expected.values())
    for name, key in (("D_image", "D"), ("D_video0", "D_T")):
        expected[name] = (theirs.pop(f"{key}_fake") + theirs.pop(f"{key}_real")) / 2
    assert not theirs
    assert {name: value.item() for name, value in ours.items()} == pytest.approx(
        {name: value.item() for name, value in expected.items()}, rel=1e-4
    )


@pytest.mark.parametrize(
    "name, net",
    [
        ("global", _image.Global(7, n_filters=8, n_down=3, n_blocks=2, norm="instance", upsample="transposed")),
        (
            "local",
            _image.Local(
                7,
                n_local=1,
                n_blocks_local=2,
                n_filters=4,
                n_down=2,
                n_blocks=2,
                norm="instance",
                upsample="transposed",
            ),
        ),
    ],
)
def test_single_images_are_the_references(name, net):
    net.load_state_dict(reference.renamed(net, within("reference_image_a", f"{name}_net"), name))
    about = load_file(FIXTURES / "reference_image_a.safetensors")
    assert largest(net(about["input"]), about[f"{name}/output"]) < 1e-4


def test_styles_are_the_references():
    model = params.bind(
        find("models", "pix2pixhd").Model,
        SMALL["pix2pixhd"]
        | {"styles": dict(n_features=3, n_filters=4, n_down=2, mixture="kmeans", n_components=2, min_px=1, seed=0)},
        "",
        facts=facts(),
    )
    model.source.E.load_state_dict(reference.renamed(model.source.E, within("reference_image_a", "encoder_net"), "E"))
    about = load_file(FIXTURES / "reference_image_a.safetensors")
    assert (
        largest(
            model.source.encoded(about["image"][None], styles.regions(about["instances"].long()))[0],
            about["encoder/output"],
        )
        < 1e-4
    )


# The architectures that the paper's authors trained: parameters and tensors of each, on no memory


def shapes(net: nn.Module) -> tuple[tuple[int, int], dict]:
    """Parameters and tensors, and their state dict."""
    state = {key: torch.empty(shape, device="meta") for key, (_, shape) in reference.names(net).items()}
    return (sum(p.numel() for p in net.parameters()), len(state)), state


def labels(n: int) -> dict:
    return dict(label_names=tuple(f"label {i}" for i in range(n)), label_colours=((0, 0, 0),) * n, size=(512, 1024))


STREET = dict(n_labels=35, instance_edges=True, foreground=["label 26"])


@pytest.mark.parametrize(
    "changes, counts",
    [
        (
            STREET | dict(n_scales_spatial=3),
            {
                "G0": (411335241, 533),
                "G1": (2880489, 197),
                "G2": (859641, 197),
                "D": (5606786, 50),
                "D_T0": (5553538, 50),
                "D_T1": (5553538, 50),
            },
        ),
        (STREET | dict(n_down=2, n_scales=3, n_scales_temporal=0), {"G0": (137792649, 491), "D": (8410179, 75)}),
        (STREET | dict(with_flow=False), {"G0": (329598534, 452)}),
        (dict(n_labels=15), {"G0": (364996230, 356)}),
        (dict(n_labels=15, n_filters=64), {"G0": (91370310, 356)}),
        (dict(n_labels=6), {"G0": (364826886, 356)}),
    ],
    ids=["street", "street g1", "street no flow", "face", "face g1", "pose"],
)
def test_vid2vid_has_the_references_size(changes, counts):
    """And its settings are told from the shapes alone."""
    kwargs = (
        architecture.VIDEO
        | architecture.DISCRIMINATOR
        | dict(
            n_past=2,
            n_filters=128,
            n_down=3,
            n_blocks=9,
            n_scales_spatial=1,
            n_blocks_local=3,
            norm="batch",
            with_flow=True,
            foreground=[],
            instance_edges=False,
            n_scales_temporal=2,
        )
        | changes
    )
    n_labels = kwargs.pop("n_labels")
    n_source = n_labels + kwargs["instance_edges"]
    shape = {
        name: kwargs[name]
        for name in (
            "n_past",
            "n_filters",
            "n_down",
            "n_blocks",
            "n_blocks_local",
            "norm",
            "with_flow",
            "flow_scale",
            "composition",
            "resample",
            "upsample",
        )
    }
    judge = dict(
        n_scales=kwargs["n_scales"], n_filters=kwargs["n_filters_d"], n_layers=kwargs["n_layers_d"], norm="batch"
    )
    with torch.device("meta"):
        found = _composite.generators(
            n_source, n_scales=kwargs["n_scales_spatial"], with_front=bool(kwargs["foreground"]), **shape
        )
        nets = {f"G{i}": G for i, G in enumerate(found)} | {
            name: _blocks.Discriminator(n_source + 3 if name == "D" else 13, **judge)
            for name in counts
            if name[0] == "D"
        }
    nets = {name: shapes(net) for name, net in nets.items()}
    assert {name: count for name, (count, _) in nets.items()} == counts
    told = architecture.settings(
        {name: state for name, (_, state) in nets.items()},
        {name: Path(name) for name in nets},
        facts(**labels(n_labels)),
        kwargs["foreground"],
    )
    assert told == ("vid2vid", kwargs)


@pytest.mark.parametrize(
    "n_labels, changes, counts",
    [
        (35, dict(n_filters=64, n_down=3), {"G": (45693699, 127)}),
        (35, dict(n_filters=64, n_down=4), {"G": (182543619, 137)}),
        (35, dict(n_filters=32, n_down=4, n_local=1), {"G": (182852355, 182)}),
        (
            15,
            dict(
                n_filters=64,
                n_down=3,
                styles=dict(n_features=16, n_filters=16, n_down=4) | architecture.STYLES,
                styles_at="bottleneck",
            ),
            {"G": (48453203, 127), "E": (799008, 47)},
        ),
    ],
    ids=["512", "1024", "2048", "face"],
)
def test_single_images_have_the_references_size(n_labels, changes, counts):
    """And their settings are told from the shapes alone."""
    kwargs = (
        architecture.LOSSES
        | architecture.DISCRIMINATOR
        | dict(
            n_blocks=9,
            n_local=0,
            n_blocks_local=3,
            instance_edges=False,
            styles="none",
            styles_at="input",
            norm="instance",
            upsample="transposed",
        )
        | changes
    )
    own = facts(**labels(n_labels))
    shape = {
        name: kwargs[name]
        for name in ("n_local", "n_blocks_local", "n_filters", "n_down", "n_blocks", "norm", "upsample")
    }
    with torch.device("meta"):
        nets = {"G": _image.generator(n_labels, 16 if "E" in counts else 0, **shape)}
        if "E" in counts:
            nets["E"] = _source.Source(own, False, _source.Styles(**kwargs["styles"])).E
    nets = {name: shapes(net) for name, net in nets.items()}
    assert {name: count for name, (count, _) in nets.items()} == counts
    told = architecture.settings(
        {name: state for name, (_, state) in nets.items()}, {name: Path(name) for name in nets}, own, []
    )
    assert told == ("pix2pixhd", kwargs)


# The reference's networks for any setting, from a description: torch itself numbers their layers; they keep statistics


def instance_norm(n):
    return nn.InstanceNorm2d(n, track_running_stats=True)


class Block(nn.Module):
    def __init__(self, n, norm):
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(n, n, 3),
            norm(n),
            nn.ReLU(),
            nn.ReflectionPad2d(1),
            nn.Conv2d(n, n, 3),
            norm(n),
        )

    def forward(self, x):
        return x + self.conv_block(x)


def down(n_in, n, n_down, norm):
    layers = [nn.ReflectionPad2d(3), nn.Conv2d(n_in, n, 7), norm(n), nn.ReLU()]
    for i in range(n_down):
        layers += [nn.Conv2d(n * 2**i, n * 2 ** (i + 1), 3, 2, 1), norm(n * 2 ** (i + 1)), nn.ReLU()]
    return layers


def up(n, n_down, norm, n_more=0):
    layers = []
    for i in reversed(range(n_down)):
        n_in = n * 2 ** (i + 1) + n_more * (i + 1 == n_down)
        layers += [nn.ConvTranspose2d(n_in, n * 2**i, 3, 2, 1, output_padding=1), norm(n * 2**i), nn.ReLU()]
    return layers


def blocks(n, n_blocks, norm):
    return [Block(n, norm) for _ in range(n_blocks)]


def last(n, n_out, *activation):
    return [nn.ReflectionPad2d(3), nn.Conv2d(n, n_out, 7), *activation]


def half(x):
    return F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)


class Composite(nn.Module):
    """A generator of vid2vid: the coarsest, or with `local` a finer one, whose blocks and upsampling are one part."""

    def __init__(self, n_in, n_prev, n, n_front, *, n_down, n_blocks, with_flow, norm, unit, local):
        super().__init__()
        wide, self.unit, before = n * 2**n_down, unit, [] if local else [n_blocks - n_blocks // 2]
        after = n_blocks if local else n_blocks // 2

        def add(name, *layers):
            self.add_module(name, nn.Sequential(*layers))

        def branch(name, n, n_blocks):
            trunk, rest = blocks(n * 2**n_down, n_blocks, norm), up(n, n_down, norm)
            prefix, kind = ("indv", "") if name == "indv" else ("model", f"_{name}")
            if local:
                add(f"{prefix}_up{kind}", *trunk, *rest)
            else:
                add(f"{prefix}_res{kind}", *trunk)
                add(f"{prefix}_up{kind}", *rest)

        if n_front:
            add("indv_down", *down(n_in, n_front, n_down, norm))
            branch("indv", n_front, n_blocks)
            add("indv_final", *last(n_front, 3, nn.Tanh()))
        add("model_down_seg", *down(n_in, n, n_down, norm), *(block for k in before for block in blocks(wide, k, norm)))
        add(
            "model_down_img",
            *down(n_prev, n, n_down, norm),
            *(block for k in before for block in blocks(wide, k, norm)),
        )
        branch("img", n, after)
        add("model_final_img", *last(n, 3, nn.Tanh()))
        if with_flow:
            branch("flow", n, after)
            add("model_final_flow", *last(n, 2))
            add("model_final_w", *last(n, 1, nn.Sigmoid()))

    def trunk(self, name, x):
        for part in (f"{name[0]}_res{name[1]}", f"{name[0]}_up{name[1]}"):
            x = getattr(self, part)(x) if hasattr(self, part) else x
        return x

    def forward(self, source, past, front, coarse):
        seen = self.model_down_seg(source) + self.model_down_img(past)
        image, motion, fore = self.trunk(("model", "_img"), seen + coarse[0]), 0, 0
        fake = raw = self.model_final_img(image)
        if hasattr(self, "model_final_w"):
            motion = self.trunk(("model", "_flow"), seen + coarse[1])
            mask = self.model_final_w(motion)
            fake = mask * raw + (1 - mask) * warp(past[:, -3:], self.unit * self.model_final_flow(motion))
        if front is not None:
            fore = self.trunk(("indv", ""), self.indv_down(source) + coarse[2])
            fake = self.indv_final(fore) * front + fake * (1 - front)
        return fake, (image, motion, fore)


class Judge(nn.Module):
    """Discriminators on a pyramid; number n - 1 sees the full size."""

    def __init__(self, n_in, n, *, n_scales, n_layers, norm):
        super().__init__()
        self.n_scales, self.n_layers = n_scales, n_layers
        for scale in range(n_scales):
            first = min(64, n * 2 ** (n_scales - 1 - scale))
            widths = [n_in, *(min(512, first * 2**i) for i in range(n_layers + 1))]
            for j in range(n_layers + 1):
                own = [
                    nn.Conv2d(widths[j], widths[j + 1], 4, 2 if j < n_layers else 1, 2),
                    *([norm(widths[j + 1])] if j else []),
                ]
                self.add_module(f"scale{scale}_layer{j}", nn.Sequential(*own, nn.LeakyReLU(0.2)))
            self.add_module(f"scale{scale}_layer{n_layers + 1}", nn.Sequential(nn.Conv2d(widths[-1], 1, 4, 1, 2)))

    def forward(self, x):
        outputs = []
        for scale in reversed(range(self.n_scales)):
            y = x
            for j in range(self.n_layers + 2):
                y = getattr(self, f"scale{scale}_layer{j}")(y)
                outputs.append(y)
            x = half(x)
        return outputs


class Single(nn.Module):
    """A generator of single images: global, with `n_local` enhancers, or with `n_z` styles at the bottleneck."""

    def __init__(self, n_in, n, *, n_down, n_blocks, n_local=0, n_blocks_local=1, n_z=0, norm=instance_norm):
        super().__init__()
        wide, self.n_local, self.n_down = n * 2 ** (n_down + n_local), n_local, n_down
        tail = last(n, 3, nn.Tanh())
        if n_z:
            self.model_downsample = nn.Sequential(*down(n_in + n_z, n, n_down, norm))
            self.model_resnet = nn.Sequential(*blocks(wide + n_z, n_blocks, norm))
            self.model_upsample = nn.Sequential(*up(n, n_down, norm, 2 * n_z))
            self.model_upsample_conv = nn.Sequential(*last(n + n_z, 3, nn.Tanh()))
            return
        m = n * 2**n_local
        deep = [*down(n_in, m, n_down, norm), *blocks(wide, n_blocks, norm)]
        self.model = nn.Sequential(*deep, *up(m, n_down, norm), *([] if n_local else tail))
        for i in range(1, n_local + 1):
            m = n * 2 ** (n_local - i)
            self.add_module(f"model{i}_1", nn.Sequential(*down(n_in, m, 1, norm)))
            finer = [*blocks(2 * m, n_blocks_local, norm), *up(m, 1, norm)]
            self.add_module(f"model{i}_2", nn.Sequential(*finer, *(tail if i == n_local else [])))

    def forward(self, x, z=None):
        if z is not None:
            small = F.avg_pool2d(z, 2**self.n_down)
            deep = self.model_resnet(torch.cat([self.model_downsample(torch.cat([x, z], 1)), small], 1))
            return self.model_upsample_conv(torch.cat([self.model_upsample(torch.cat([deep, small], 1)), z], 1))
        sizes = [x]
        for _ in range(self.n_local):
            sizes.append(half(sizes[-1]))
        y = self.model(sizes[-1])
        for i in range(1, self.n_local + 1):
            y = getattr(self, f"model{i}_2")(getattr(self, f"model{i}_1")(sizes[-1 - i]) + y)
        return y


def encoder(n, n_features, n_down):
    net = nn.Module()
    net.model = nn.Sequential(
        *down(3, n, n_down, instance_norm), *up(n, n_down, instance_norm), *last(n, n_features, nn.Tanh())
    )
    return net


def jittered(net: nn.Module) -> nn.Module:
    """Weights so large that an error shows, and statistics of some past batches."""
    with torch.no_grad():
        for value in net.parameters():
            value += (0.1 if value.ndim == 1 else 0.06) * torch.randn_like(value)
        for value in net.buffers():
            value += torch.randint(1, 9, value.shape) if value.dtype == torch.long else torch.rand_like(value)
    return net


def video_nets(
    n_source, *, n_scales, n, n_down, n_blocks, n_local, n_past, with_front, with_flow, norm, discriminators=None
):
    torch.manual_seed(0)
    nets = {}
    for scale in range(n_scales):
        width = n // 2**scale
        nets[f"G{scale}"] = Composite(
            n_source * (n_past + 1),
            3 * n_past,
            width,
            with_front * (width // 2 if n_down > 2 else width),
            n_down=1 if scale else n_down,
            n_blocks=n_local if scale else n_blocks,
            with_flow=with_flow,
            norm=norm,
            unit=20 * 2**scale,
            local=scale > 0,
        )
    if discriminators:
        nets |= {"D": Judge(n_source + 3, norm=norm, **discriminators)} | {
            f"D_T{i}": Judge(13, norm=norm, **discriminators) for i in range(2)
        }
    return {name: jittered(net) for name, net in nets.items()}


@torch.no_grad()
def their_video(nets, source, first, front, rounded):
    """The roll-out (T, 3, H, W): `source` (1, T, C, H, W), `first` (n_past, 3, H, W), each scale from its own past."""
    scales = [net for name, net in nets.items() if name.startswith("G")]

    def sizes(x):
        found = [x]
        for _ in scales[1:]:
            found.insert(0, half(found[0]))
        return found

    sources, frames, n_past = sizes(source[0]), list(first), len(first)
    pasts = [list(x) for x in sizes(first)]
    for t in range(n_past, source.shape[1]):
        features = (0, 0, 0)
        for net, seen, past in zip(scales, sources, pasts):
            mask = seen[t, front].sum(0)[None, None] if front else None
            fake, features = net(
                seen[t - n_past : t + 1].flatten(0, 1)[None], torch.cat(past[-n_past:])[None], mask, features
            )
            past.append(fake[0])
        if rounded:  # what is shown is what is seen next, at the full size
            pasts[-1][-1] = ((fake[0] + 1) * 127.5).round().clamp(0, 255) / 127.5 - 1
        frames.append(pasts[-1][-1])
    return torch.stack(frames)


def states(nets) -> dict:
    return {name: net.state_dict() for name, net in nets.items()}


def a_clip(store, name="slide-5", n=6) -> dict:
    return {
        key: value[None] for key, value in to_tensors(store.read(name, 0, n, ["real", "label", "instance"])).items()
    }


BN, IN = nn.BatchNorm2d, instance_norm
VIDEOS = {
    "one scale": dict(
        n_scales=1, n=4, n_down=3, n_blocks=3, n_local=3, n_past=2, with_front=False, with_flow=True, norm=BN
    ),
    "no flow": dict(
        n_scales=2,
        n=8,
        n_down=3,
        n_blocks=2,
        n_local=1,
        n_past=2,
        with_front=True,
        with_flow=False,
        norm=BN,
        discriminators=dict(n=4, n_scales=3, n_layers=2),
    ),
    "three scales": dict(
        n_scales=3, n=8, n_down=2, n_blocks=4, n_local=2, n_past=2, with_front=True, with_flow=True, norm=BN
    ),
    "no front": dict(
        n_scales=3,
        n=16,
        n_down=1,
        n_blocks=1,
        n_local=3,
        n_past=1,
        with_front=False,
        with_flow=True,
        norm=BN,
        discriminators=dict(n=32, n_scales=2, n_layers=3),
    ),
    "instance norm": dict(
        n_scales=1, n=6, n_down=2, n_blocks=5, n_local=3, n_past=3, with_front=True, with_flow=True, norm=IN
    ),
}


@pytest.mark.parametrize("edges", [False, True])
@pytest.mark.parametrize("name", VIDEOS)
def test_videos_of_other_settings(name, edges, store):
    shape = VIDEOS[name]
    nets, clip = video_nets(3 + edges, **shape), a_clip(store)
    front = ["odd", "square"] if shape["with_front"] else []
    model, kwargs = imported(states(nets), front)
    told = dict(
        n_scales_spatial=shape["n_scales"],
        n_filters=shape["n"],
        n_blocks_local=shape["n_local"],
        instance_edges=edges,
        norm="batch" if shape["norm"] is BN else "instance",
        n_scales_temporal=2,
        **{name: shape[name] for name in ("n_down", "n_blocks", "n_past", "with_flow")},
    )
    discriminators = shape.get("discriminators", dict(n_scales=2, n=64, n_layers=3))
    told |= dict(
        n_scales=discriminators["n_scales"], n_filters_d=discriminators["n"], n_layers_d=discriminators["n_layers"]
    )
    assert {name: kwargs[name] for name in told} == told
    with torch.no_grad():
        with in_double():
            exact, clip["real"] = copy.deepcopy(model).double(), clip["real"].double()
            source, first = _blocks.encode(clip, facts(), edges), clip["real"][0, : shape["n_past"]]
            theirs = {name: copy.deepcopy(net).double() for name, net in nets.items()}
            assert (
                largest(used(exact, clip)[0], their_video(theirs, source, first, model.front.tolist(), rounded=False))
                < 1e-6
            )
        for ours, theirs in zip([model.D_image, *model.D_video], [nets[name] for name in nets if name.startswith("D")]):
            x = torch.randn(1, ours.scales[0].layers[0][0].in_channels, *SIZE)
            outputs = [layer for scale in ours(x) for layer in scale]
            assert all(largest(a, b) < 1e-4 for a, b in zip(outputs, theirs(x), strict=True))


@pytest.mark.parametrize(
    "shape, n_features",
    [
        (dict(n_down=3, n_blocks=2), 0),
        (dict(n_down=1, n_blocks=1, norm=BN), 0),
        (dict(n_down=2, n_blocks=1, n_local=1, n_blocks_local=2), 0),
        (dict(n_down=1, n_blocks=3, n_local=2, n_blocks_local=3), 2),
        (dict(n_down=2, n_blocks=2), 3),
        (dict(n_down=2, n_blocks=2, n_z=3), 3),
    ],
)
@pytest.mark.parametrize("edges", [False, True])
def test_single_images_of_other_settings(shape, n_features, edges):
    torch.manual_seed(0)
    n_seen = 3 + edges + (0 if "n_z" in shape else n_features)
    nets = {
        "G": Single(n_seen, 6, **shape),
        "D": Judge(6 + edges, 4, n_scales=3, n_layers=1, norm=shape.get("norm", IN)),
    }
    nets |= {"E": encoder(5, n_features, 2)} if n_features else {}
    model, kwargs = imported(states({name: jittered(net) for name, net in nets.items()}))
    told = dict(
        n_filters=6,
        n_local=0,
        instance_edges=edges,
        n_filters_d=4,
        n_scales=3,
        n_layers_d=1,
        norm="batch" if shape.get("norm") is BN else "instance",
        styles_at="bottleneck" if "n_z" in shape else "input",
    )
    told |= {name: value for name, value in shape.items() if name not in ("norm", "n_z")}
    assert {name: kwargs[name] for name in told} == told
    x, z = torch.randn(1, n_seen, *SIZE), torch.randn(1, 3, *SIZE) if "n_z" in shape else None
    with torch.no_grad():
        assert largest(model.G(x, z), nets["G"](x, z)) < 1e-4
        if n_features:
            assert kwargs["styles"] == dict(n_features=n_features, n_filters=5, n_down=2) | architecture.STYLES
            assert largest(model.source.E(x[:, :3]), nets["E"].model(x[:, :3])) < 1e-4


def test_statistics_alone_may_be_missing():
    nets = states(video_nets(3, **VIDEOS["one scale"]))
    whole = imported(nets)[0].state_dict()
    for kinds in (
        ("num_batches_tracked",),
        ("num_batches_tracked", "running_mean", "running_var"),
    ):  # old torch; new torch
        less = {"G0": {key: value for key, value in nets["G0"].items() if not key.endswith(kinds)}}
        assert all(
            torch.equal(value, whole[key])
            for key, value in imported(less)[0].state_dict().items()
            if not key.startswith("D_")
        )


@pytest.mark.parametrize(
    "change, says",
    [
        (
            lambda own: own.pop("model_res_img.0.conv_block.5.bias"),
            "1 keys missing, model_res_img.0.conv_block.5.bias; nothing was loaded",
        ),
        (
            lambda own: own.update({"extra.1.weight": torch.zeros(1)}),
            "1 keys left over, extra.1.weight; nothing was loaded",
        ),
        (
            lambda own: own.update({"model_final_w.1.bias": torch.zeros(2)}),
            "model_final_w.1.bias is (2,), expected (1,); nothing was loaded",
        ),
        (
            lambda own: own.update({"model_up_img.1.running_var": torch.zeros(2)}),
            "model_up_img.1.running_var is (2,), expected (16,); nothing",
        ),
        (
            lambda own: [own.clear(), own.update(Single(3, 4, n_down=1, n_blocks=1).state_dict())],
            "110 keys missing, model_down_img.1.bias, ",
        ),
    ],
)
def test_a_state_dict_fits_whole_or_is_refused(change, says):
    nets = states(video_nets(3, **VIDEOS["one scale"]))
    net = imported(nets)[0].G[0]
    own = dict(nets["G0"])
    change(own)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    with pytest.raises(Fault, match=re.escape(f"a.pth: {says}")):
        net.load_state_dict(reference.renamed(net, own, "a.pth"))
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


# The command


@pytest.fixture
def project(store_path, tmp_path, monkeypatch):
    """tests/tiny.yaml over the sliding planes."""
    root = tmp_path / "project"
    (root / "data").mkdir(parents=True)
    os.link(store_path, root / "data/freedoom.zip")
    shutil.copy(Path(__file__).parent / "tiny.yaml", root / "params.yaml")
    monkeypatch.chdir(root)
    return root


def save(folder: Path, nets: dict, ending=""):
    """As the reference code does; once as DataParallel names it, once in the format of old torch."""
    folder.mkdir(exist_ok=True)
    for i, (name, net) in enumerate(nets.items()):
        state = {f"module.{key}" if i == 1 else key: value for key, value in net.state_dict().items()}
        torch.save(state, folder / f"latest_net_{name}{ending}.pth", _use_new_zipfile_serialization=i != 0)


def levels_apart(fake, frames) -> int:
    """The largest difference of videos in grey levels: 1 where rounding falls to the other side."""
    return abs(fake.astype(int) - to_pixels(frames)).max()


def test_a_video_checkpoint_becomes_a_run(project, store, tmp_path, capsys, monkeypatch):
    nets = video_nets(4, **VIDEOS["three scales"])
    save(tmp_path / "theirs", nets)
    (tmp_path / "theirs/latest_net_D_f.pth").write_bytes(b"of faces, which nothing here uses")
    before = (project / "params.yaml").read_text()
    assert (
        main(
            [
                "import-checkpoint",
                str(tmp_path / "theirs"),
                "city",
                "--dataset",
                "freedoom",
                "--foreground",
                "odd",
                "square",
            ]
        )
        == 0
    )
    assert capsys.readouterr().out == (
        "city: runs/city_reference holds G0, G1, G2, params.yaml the run; "
        "`dvc repro synthesize@city` makes its videos\n"
    )
    after = (project / "params.yaml").read_text()
    assert not [
        row for row in difflib.ndiff(before.splitlines(), after.splitlines()) if row[0] == "-"
    ]  # comments stay as well
    own = params.load()
    run, about = own.run("city"), json.loads((project / "runs/city_reference/imported.json").read_text())
    assert run.base == "city_reference"
    assert run.kwargs["foreground"] == ["odd", "square"]
    assert run.kwargs == about["kwargs"]
    assert list(about["files"]) == [f"latest_net_G{i}.pth" for i in range(3)]
    assert own.schedules["imported"].steps == 0
    train.train(own, "city", project)
    monkeypatch.setattr(synthesize, "trained_model", lambda *args: trained_model(*args).double())
    with in_double():
        synthesize.synthesize(own, "city", project)
        made = Store(project / "runs/city/clips.zip")
        theirs = {name: copy.deepcopy(net).double() for name, net in nets.items()}
        for name in made.clips:
            clip = a_clip(store, name, 6)
            video = their_video(
                theirs, _blocks.encode(clip, facts(), True), clip["real"][0, :2].double(), [1, 2], rounded=True
            )
            assert levels_apart(made.read(name, 0, 6)["fake"], video) <= 1
    second = video_nets(4, **VIDEOS["no flow"])
    save(tmp_path / "second", second)
    assert (
        main(["import-checkpoint", str(tmp_path / "second"), "second", "--dataset", "freedoom", "--foreground", "odd"])
        == 0
    )
    assert params.load().runs["city"] == run
    assert (project / "params.yaml").read_text().count("imported:") == 1
    own = params.load()
    weights = load_file(project / "runs/second_reference/model.safetensors")
    model = build_model(own, "second", store.facts)
    train.begin(model, project / "runs/second_reference")
    assert all(torch.equal(value, weights[key]) for key, value in model.state_dict().items())


def test_a_single_image_checkpoint_becomes_a_run(project, store, tmp_path, capsys):
    torch.manual_seed(0)
    net = jittered(Single(3, 4, n_down=2, n_blocks=1, n_local=1))
    save(tmp_path / "theirs", {"G": net}, ending="_512")
    save(tmp_path / "theirs", {"G": encoder(2, 3, 1)})  # another, which the file's own name does not mean
    assert (
        main(["import-checkpoint", str(tmp_path / "theirs/latest_net_G_512.pth"), "single", "--dataset", "freedoom"])
        == 0
    )
    own = params.load()
    assert own.runs["single"].first_frames == "none"
    assert own.runs["single"].model == "pix2pixhd"
    train.train(own, "single", project)
    synthesize.synthesize(own, "single", project)
    made = Store(project / "runs/single/clips.zip")
    for name in made.clips:
        source = _blocks.encode(a_clip(store, name, 12), facts(), False)[0]
        with torch.no_grad():
            assert levels_apart(made.read(name)["fake"], torch.cat([net(frame[None]) for frame in source])) <= 1


def test_styles_that_are_not_in_a_checkpoint_are_fitted(project, store, tmp_path):
    torch.manual_seed(0)
    save(tmp_path / "theirs", {"G": Single(4, 4, n_down=2, n_blocks=1, n_z=3), "E": encoder(4, 3, 1)})
    assert main(["import-checkpoint", str(tmp_path / "theirs"), "face", "--dataset", "freedoom"]) == 0
    own = params.load()
    train.train(own, "face", project)
    assert trained_model(own, "face", project, store.facts).source.weights.sum(1).allclose(torch.ones(3))


def without(key, net="G0"):
    return lambda nets: (
        states(nets) | {net: {name: value for name, value in nets[net].state_dict().items() if name != key}}
    )


FAULTS = {
    "no checkpoint": (
        lambda nets: {"E": {}},
        [],
        "theirs: no latest_net_G0.pth and no latest_net_G.pth; there are latest_net_E.pth",
    ),
    "two": (
        lambda nets: states(nets) | {"G": {}},
        [],
        "theirs: holds latest_net_G.pth and latest_net_G0.pth; give the file of the first",
    ),
    "a scale left out": (
        lambda nets: {"G0": {}, "G2": {}},
        [],
        "theirs: no latest_net_G1.pth beside latest_net_G0.pth, latest_net_G2.pth",
    ),
    "no image judge": (
        lambda nets: {"G0": {}, "D_T0": {}},
        [],
        "theirs: no latest_net_D.pth beside latest_net_D_T0.pth, latest_net_G0",
    ),
    "no weights": (
        lambda nets: {"G0": [1, 2]},
        [],
        "latest_net_G0.pth: holds no state dict, which is names and tensors",
    ),
    "code": (lambda nets: {"G0": Path("x")}, [], "latest_net_G0.pth: no file of weights (Weights only load failed"),
    "another net": (
        lambda nets: {"G0": {"a.b": torch.zeros(1)}},
        [],
        "no convolution model_down_seg.1.weight in it; it holds a.b, … and",
    ),
    "a key missing": (
        without("model_up_flow.1.bias"),
        ["square"],
        "G0.pth: 1 keys missing, model_up_flow.1.bias; nothing was loaded",
    ),
    "judges of another kind": (
        lambda nets: states(nets) | {"D": {"layer0.0.weight": torch.zeros(1, 1, 1, 1)}},
        ["square"],
        "D.pth: no scale0_layer0.0.weight in it; discriminators without feature matching are not supported, and",
    ),
    "judges of another size": (
        lambda nets: states(nets) | {"D": Judge(9, 4, n_scales=1, n_layers=1, norm=BN).state_dict()},
        ["square"],
        "D.pth: scale0_layer0.0.weight is (4, 9, 4, 4), expected (4, 7, 4, 4); nothing was loaded",
    ),
    "other labels": (
        lambda nets: states(video_nets(7, **VIDEOS["one scale"])),
        [],
        "G0.pth: its source has 7 channels; sliding has 3, or 4 with instance edges",
    ),
    "odd channels": (
        lambda nets: {"G0": nets["G0"].state_dict() | {"model_down_seg.1.weight": torch.zeros(8, 13, 7, 7)}},
        [],
        "G0.pth: the 13 channels of its input are not those of 3 frames",
    ),
    "foreground of what": (
        states,
        [],
        "G0.pth: paints a foreground, and weights do not show of which labels; add --foreground and some of even, o",
    ),
    "no such label": (states, ["car"], "foreground: no label car in sliding; there are even, odd, square"),
    "no foreground": (
        lambda nets: states(video_nets(3, **VIDEOS["one scale"])),
        ["odd"],
        "no network for a foreground; leave",
    ),
    "too deep": (
        lambda nets: states(video_nets(3, **VIDEOS["one scale"] | dict(n_down=6, n=2))),
        [],
        "and 64 does not divide both sides",
    ),
    "styles of what": (
        lambda nets: {"G": Single(3, 4, n_down=1, n_blocks=1, n_z=3).state_dict()},
        [],
        "G.pth: takes 3 channels of styles; the encoder that makes them, a net_E, must be in the same folder",
    ),
    "other styles": (
        lambda nets: {"G": Single(3, 4, n_down=1, n_blocks=1, n_z=3).state_dict(), "E": encoder(4, 2, 1).state_dict()},
        [],
        "G.pth: takes 3 channels of styles, but latest_net_E.pth makes 2",
    ),
    "styles unused": (
        lambda nets: {"G": Single(3, 4, n_down=1, n_blocks=1).state_dict(), "E": encoder(4, 3, 1).state_dict()},
        [],
        "G.pth: its source has 0 channels beside its styles; sliding has 3, or 4 with instance edges",
    ),
}


def refused(project, capsys, *words) -> str:
    """The line that the command ends in, once nothing has changed."""
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    assert main(["import-checkpoint", *map(str, words)]) == 1
    assert {path: path.read_bytes() for path in project.rglob("*") if path.is_file()} == before
    said = capsys.readouterr().err
    assert said.startswith("v2vbench: ")
    assert said.count("\n") == 1
    return said


@pytest.mark.parametrize("name", FAULTS)
def test_a_checkpoint_that_does_not_fit_leaves_nothing(name, project, tmp_path, capsys):
    make, foreground, says = FAULTS[name]
    (tmp_path / "theirs").mkdir()
    for net, state in make(video_nets(4, **VIDEOS["three scales"])).items():
        torch.save(state, tmp_path / f"theirs/latest_net_{net}.pth")
    words = ["--foreground", *foreground] if foreground else []
    assert says in refused(project, capsys, tmp_path / "theirs", "city", "--dataset", "freedoom", *words)


@pytest.mark.parametrize(
    "name, dataset, words, says",
    [
        ("copy_last", "freedoom", [], "copy_last is there already, in params.yaml or runs/"),
        ("old", "freedoom", [], "old_reference is there already, in params.yaml or runs/"),
        (
            "A b",
            "freedoom",
            [],
            "a run cannot be called 'A b'; take a-z, 0-9, _ and - (not as the first), and none of none, real, self",
        ),
        ("real", "freedoom", [], "a run cannot be called 'real'"),
        ("new", "kitti", [], "import-checkpoint: --dataset: no 'kitti'; there are freedoom"),
        (
            "new",
            "freedoom",
            ["--epoch", "later"],
            "theirs: no later_net_G0.pth and no later_net_G.pth; there are latest_net_G0.pth",
        ),
    ],
)
def test_a_run_that_cannot_be_added_leaves_nothing(name, dataset, words, says, project, tmp_path, capsys):
    save(tmp_path / "theirs", video_nets(3, **VIDEOS["one scale"]))
    (project / "runs/old_reference").mkdir(parents=True)
    assert says in refused(project, capsys, tmp_path / "theirs", name, "--dataset", dataset, *words)


def test_the_file_of_a_video_net_is_not_a_checkpoint(project, tmp_path, capsys):
    save(tmp_path / "theirs", video_nets(3, **VIDEOS["one scale"]))
    assert "G0.pth: give the folder" in refused(
        project, capsys, tmp_path / "theirs/latest_net_G0.pth", "new", "--dataset", "freedoom"
    )
    (project / "data/freedoom.zip").unlink()
    assert "freedoom.zip: no such clip store" in refused(
        project, capsys, tmp_path / "theirs", "new", "--dataset", "freedoom"
    )


@pytest.mark.parametrize("at", ["imported.json", "city_reference", "params.yaml"])
def test_a_full_disk_leaves_nothing(at, project, tmp_path, capsys, monkeypatch):
    save(tmp_path / "theirs", video_nets(3, **VIDEOS["one scale"]))
    replace = os.replace

    def full(old, new):
        if Path(new).name == at:
            raise OSError("No space left on device")
        replace(old, new)

    monkeypatch.setattr(os, "replace", full)
    assert "No space left on device" in refused(project, capsys, tmp_path / "theirs", "city", "--dataset", "freedoom")
    assert not list(project.glob("runs/*"))


TEXT = """# one
runs: # two
    a: {x: 1}     # three
    # four

    b:
        y: [1,
            2]
    # five

# six
other: 1
"""


def test_an_entry_goes_to_the_end_of_its_section():
    assert entries.with_entry(TEXT, "runs", "c:\n  d: 3\n") == TEXT.replace("# five\n", "# five\n    c:\n      d: 3\n")
    assert entries.with_entry("runs:\n  a: 1", "runs", "c: 3\n") == "runs:\n  a: 1\n  c: 3"
    for text in ("runs: {}\nother:\n  a: 1\n", "runs:\nother:\n  a: 1\n", "# runs:\nother:\n  runs:\n    a: 1\n"):
        with pytest.raises(Fault, match="params.yaml: runs is not a block of indented lines"):
            entries.with_entry(text, "runs", "c: 3\n")
