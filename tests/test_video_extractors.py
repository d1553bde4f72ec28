"""The video networks are those of the papers: names, sizes, padding; torchvision's outputs for equal random weights."""

import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_fetch import fault
from torch import nn
from torch.nn import functional as F

from v2vbench import params
from v2vbench.download import weights
from v2vbench.extractors import i3d, r2plus1d, resnext101, resolve, s3d
from v2vbench.extractors._rows import Rows

I3D = dict(weights="piergiaj", output="pool", n_frames=10, stride=5, resize="torch-bilinear", px=64)
RESNEXT = dict(n_frames=4, stride=2, px=32, resize="torch-bilinear", input="hara")
S3D = dict(n_frames=14, stride=7, px=64, resize="torch-bilinear")
R2PLUS1D = dict(n_frames=4, stride=2, px=32, resize="short-side-crop")
SETTINGS = {
    "i3d": (i3d, I3D, 1024),
    "resnext101": (resnext101, RESNEXT, 2048),
    "s3d": (s3d, S3D, 1024),
    "r2plus1d": (r2plus1d, R2PLUS1D, 512),
}


def drawn(shapes: dict, seed: int = 0) -> dict[str, torch.Tensor]:
    """Random weights that preserve the scale of activations: {name: shape} to a state dict without batch counters."""
    noises, state, at = torch.randn(1_000_003, generator=torch.Generator().manual_seed(seed)).repeat(6), {}, 0
    for name, shape in shapes.items():
        n = math.prod(shape)
        noise, at = noises[at : at + n].view(shape), (at + n) % 1_000_003  # one draw, over and over
        if len(shape) > 1:
            state[name] = noise * (2 / noise[0].numel()) ** 0.5
        elif name.endswith("running_var"):
            state[name] = 1 + 0.2 * noise.tanh()
        elif not name.endswith("num_batches_tracked"):
            state[name] = 0.1 * noise + (name.replace("weight", "running_var") in shapes and name.endswith("weight"))
    return state


def shapes_of(net: nn.Module) -> dict:
    return {name: tuple(value.shape) for name, value in net.state_dict().items()}


def on_meta(build) -> nn.Module:
    with torch.device("meta"):
        return build()


def norm(name: str, n: int) -> dict:
    return {f"{name}.{part}": (n,) for part in ("weight", "bias", "running_mean", "running_var")}


def i3d_as_published() -> dict:
    """{name: shape} of rgb_imagenet.pt and, without batch counters, i3d_pretrained_400.pt, as their code names them."""
    found, n = {}, 192
    for name, n_in, n_out, size in (("1a_7x7", 3, 64, 7), ("2b_1x1", 64, 64, 1), ("2c_3x3", 64, 192, 3)):
        found |= {f"Conv3d_{name}.conv3d.weight": (n_out, n_in, *[size] * 3), **norm(f"Conv3d_{name}.bn", n_out)}
    for name, branches in {
        "3b": (64, 96, 128, 16, 32, 32),
        "3c": (128, 128, 192, 32, 96, 64),
        "4b": (192, 96, 208, 16, 48, 64),
        "4c": (160, 112, 224, 24, 64, 64),
        "4d": (128, 128, 256, 24, 64, 64),
        "4e": (112, 144, 288, 32, 64, 64),
        "4f": (256, 160, 320, 32, 128, 128),
        "5b": (256, 160, 320, 32, 128, 128),
        "5c": (384, 192, 384, 48, 128, 128),
    }.items():
        b0, b1a, b1b, b2a, b2b, b3b = branches
        for branch, n_in, n_out, size in (
            ("b0", n, b0, 1),
            ("b1a", n, b1a, 1),
            ("b1b", b1a, b1b, 3),
            ("b2a", n, b2a, 1),
            ("b2b", b2a, b2b, 3),
            ("b3b", n, b3b, 1),
        ):
            found |= {
                f"Mixed_{name}.{branch}.conv3d.weight": (n_out, n_in, *[size] * 3),
                **norm(f"Mixed_{name}.{branch}.bn", n_out),
            }
        n = b0 + b1b + b2b + b3b
    return found | {"logits.conv3d.weight": (400, 1024, 1, 1, 1), "logits.conv3d.bias": (400,)}


def resnext_as_published() -> dict:
    """{name: shape} of resnext-101-kinetics.pth, as its code names them, with DataParallel's prefix `module.`."""
    found, n_in = {"conv1.weight": (64, 3, 7, 7, 7), **norm("bn1", 64)}, 64
    for stage, n_blocks, n in ((1, 3, 128), (2, 4, 256), (3, 23, 512), (4, 3, 1024)):
        for block in range(n_blocks):
            at = f"layer{stage}.{block}"
            found |= {
                f"{at}.conv1.weight": (n, n_in, 1, 1, 1),
                **norm(f"{at}.bn1", n),
                f"{at}.conv2.weight": (n, n // 32, 3, 3, 3),
                **norm(f"{at}.bn2", n),
                f"{at}.conv3.weight": (2 * n, n, 1, 1, 1),
                **norm(f"{at}.bn3", 2 * n),
            }
            if block == 0:
                found |= {f"{at}.downsample.0.weight": (2 * n, n_in, 1, 1, 1), **norm(f"{at}.downsample.1", 2 * n)}
            n_in = 2 * n
    return {f"module.{name}": shape for name, shape in (found | {"fc.weight": (400, 2048), "fc.bias": (400,)}).items()}


@pytest.fixture(scope="module")
def states():
    """What the published files hold, drawn at random."""
    from torchvision.models import video

    return {
        "i3d_piergiaj": drawn(i3d_as_published()),
        "resnext101": {
            "arch": "resnext-101",
            "epoch": 1,
            "optimizer": {"param_groups": []},
            "state_dict": drawn(resnext_as_published()),
        },
        "s3d": drawn(shapes_of(on_meta(video.s3d))),
        "r2plus1d": drawn(shapes_of(on_meta(video.r2plus1d_18))),
    }


@pytest.fixture(scope="module")
def folder(states, tmp_path_factory):
    """These files in a temporary folder, with the batch counters that torchvision's strict loading needs."""
    folder = tmp_path_factory.mktemp("weights")
    from torchvision.models import video

    for name, build in (("s3d", video.s3d), ("r2plus1d", video.r2plus1d_18)):
        states[name] |= {
            key: torch.tensor(0) for key in on_meta(build).state_dict() if key.endswith("num_batches_tracked")
        }
    for name, state in states.items():
        torch.save(state, folder / weights.TABLE[name].file)
    return folder


@pytest.fixture
def here(folder, monkeypatch, tmp_path):
    """The files count as the published ones."""
    monkeypatch.setenv("V2VBENCH_WEIGHTS", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name, entry in weights.TABLE.items():
        if isinstance(entry, weights.Weights):
            monkeypatch.setitem(weights.TABLE, name, replace(entry, sha256=None))
    return folder


def make(module, **settings):
    return params.bind(module.Extractor, settings, "features.x")


def snippets(extractor, n: int, seed: int = 0) -> torch.Tensor:
    px = extractor.resize[1]
    coarse = torch.rand(n * extractor.snippet[0], 3, 8, 8, generator=torch.Generator().manual_seed(seed)) * 255
    return F.interpolate(coarse, (px, px), mode="bilinear").view(n, extractor.snippet[0], 3, px, px)


@pytest.mark.parametrize("name", SETTINGS)
def test_rows(here, name):
    """One row per snippet, of the right size; bit-equal whatever else is in the batch and on any number of cores."""
    module, settings, n_features = SETTINGS[name]
    extractor = make(module, **settings)
    assert extractor.snippet == (settings["n_frames"], settings["stride"]) and extractor.resize == (
        settings["resize"],
        settings["px"],
    )
    images = snippets(extractor, 3)
    images[2] = images[0].flip(0)  # the same frames in another order
    rows, n_threads = extractor.extract(images), torch.get_num_threads()
    assert rows.shape == (3, n_features) and rows.dtype == torch.float32 and rows.isfinite().all()
    scale = (rows[0] - rows[1]).norm()
    assert scale > 0 and (rows[0] - rows[2]).norm() > 1e-2 * scale
    try:
        torch.set_num_threads(2)
        assert torch.equal(extractor.extract(images[1:]), rows[1:]) and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(n_threads)
    assert not torch.equal(make(module, **settings).extract(images[:1] + 1), rows[:1])
    assert set(extractor.titles) == set(extractor.ids) == {"frechet", "kernel"} and str(n_features) in extractor.rows


@pytest.mark.parametrize("name", SETTINGS)
def test_other_weights_are_refused(here, name, monkeypatch, tmp_path):
    module, settings, _ = SETTINGS[name]
    extractor = make(module, **settings)
    key, images = extractor.weights[0], torch.zeros(1, extractor.snippet[0], 3, *[extractor.resize[1]] * 2)
    monkeypatch.setenv("V2VBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    assert fault(extractor.extract, images) == weights.why_absent(
        [key]
    ) and f"weights absent: {key} (" in weights.why_absent([key])
    for content, message in (
        ({"another": torch.zeros(1)}, "not the weights of"),
        ([torch.zeros(1)], "not a file of weights"),
    ):
        torch.save(content, tmp_path / weights.TABLE[key].file)
        assert message in fault(extractor.extract, images)


def test_networks_have_the_published_names_and_sizes():
    """Number of parameters: 12.29 million of I3D without logits and 47.6 million of ResNeXt-101 with the 51 classes of
    HMDB-51 (both quoted from memory of papers that list them); of torchvision's networks, from its metadata."""
    nets = {"i3d": on_meta(lambda: i3d.Network(1e-3)), "resnext101": on_meta(resnext101.Network)}
    counted = {
        name: {key: shape for key, shape in shapes_of(net).items() if not key.endswith("num_batches_tracked")}
        for name, net in nets.items()
    }
    assert counted["i3d"] == i3d_as_published() and len(i3d_as_published()) == 57 * 5 + 2
    assert {f"module.{key}": shape for key, shape in counted["resnext101"].items()} == resnext_as_published()
    n = {name: sum(value.numel() for value in net.parameters()) for name, net in nets.items()}
    assert n == {"i3d": 12_287_264 + 410_000, "resnext101": 47_521_216 + 2049 * 400}
    assert n["resnext101"] + 2049 * (51 - 400) == pytest.approx(47.63e6, abs=5e3)


def test_older_files_lack_the_counters_of_batches(states):
    """rgb_imagenet.pt and resnext-101-kinetics.pth have none, i3d_pretrained_400.pt may: nothing else may lack."""
    state = states["i3d_piergiaj"]
    with_counters = state | {
        key.replace("running_var", "num_batches_tracked"): torch.tensor(7)
        for key in state
        if key.endswith("running_var")
    }
    video = torch.rand(1, 3, 10, 32, 32)
    assert torch.equal(i3d.from_state(state, 1e-3)(video, "pool"), i3d.from_state(with_counters, 1e-3)(video, "pool"))
    for wrong in (
        state | {"another": torch.zeros(1)},
        {key: value for key, value in state.items() if key != "logits.conv3d.bias"},
        state | {"logits.conv3d.weight": torch.zeros(101, 1024, 1, 1, 1)},
    ):
        with pytest.raises(RuntimeError):
            i3d.from_state(wrong, 1e-3)
    plain = {key.removeprefix("module."): value for key, value in states["resnext101"]["state_dict"].items()}
    assert torch.equal(resnext101.from_state(plain)(video), resnext101.from_state(states["resnext101"])(video))
    with pytest.raises(RuntimeError):
        resnext101.from_state(plain | {"another": torch.zeros(1)})


@pytest.mark.parametrize("size", range(1, 17))
@pytest.mark.parametrize("kernel, stride", [(7, 2), (3, 2), (3, 1), (2, 2), (1, 2), (1, 1)])
def test_padding_is_tensorflows(size, kernel, stride):
    """ceil(size / stride) outputs; window i starts at i * stride - before; an odd zero of padding goes to the end."""
    n = -(-size // stride)
    total = max((n - 1) * stride + kernel - size, 0)
    line = torch.arange(1.0, size + 1)
    for axis in range(3):
        shape, k, s = ([1 if i != axis else value for i in range(3)] for value in (size, kernel, stride))
        padded = i3d.same(line.view(1, 1, *shape), tuple(k), tuple(s)).flatten()
        assert (
            len(padded) == size + total
            and torch.equal(padded[total // 2 : total // 2 + size], line)
            and padded.sum() == line.sum()
        )
        assert (len(padded) - kernel) // stride + 1 == n


@pytest.mark.parametrize("n_frames, after", [(10, [5, 5, 3, 2]), (16, [8, 8, 4, 2]), (25, [13, 13, 7, 4])])
def test_i3d_sizes(n_frames, after):
    net = i3d.from_state(drawn(i3d_as_published()), 1e-3)
    seen = {}
    for name in ("Conv3d_1a_7x7", "Mixed_3c", "Mixed_4f", "Mixed_5c"):
        getattr(net, name).register_forward_hook(lambda _, __, y, name=name: seen.update({name: y.shape[2:]}))
    x = torch.rand(1, 3, n_frames, 40, 64) * 2 - 1
    rows, logits = net(x, "pool"), net(x, "logits")
    assert [tuple(shape) for shape in seen.values()] == list(zip(after, (20, 5, 3, 2), (32, 8, 4, 2)))
    head = net.logits.conv3d
    torch.testing.assert_close(
        logits, F.linear(rows, head.weight.flatten(1), head.bias), rtol=1e-5, atol=1e-5
    )  # means in any order


def still(image: torch.Tensor, n_frames: int) -> torch.Tensor:
    return image[:, :, None].expand(-1, -1, n_frames, -1, -1)


def middle_taps(state: dict) -> dict:
    """Weights of an image network as those of a video network whose kernels are zero except at their middle frame."""
    found = {}
    for name, value in state.items():
        if value.ndim == 4:
            size = value.shape[-1]
            value, flat = value.new_zeros(*value.shape[:2], size, size, size), value
            value[:, :, size // 2] = flat
        found[name] = value
    return found


def test_i3d_of_a_still_is_torchvisions_googlenet():
    """I3D is GoogLeNet inflated in time: with TensorFlow's first padding, a still gives GoogLeNet's 1024 features."""
    from torchvision.models import googlenet

    net = googlenet(weights=None, init_weights=False, aux_logits=False, transform_input=False).eval()
    state = drawn(shapes_of(net))
    net.load_state_dict(state, strict=False)
    ours = {}
    places = {"conv1": "Conv3d_1a_7x7", "conv2": "Conv3d_2b_1x1", "conv3": "Conv3d_2c_3x3"}
    branches = {
        "branch1": "b0",
        "branch2.0": "b1a",
        "branch2.1": "b1b",
        "branch3.0": "b2a",
        "branch3.1": "b2b",
        "branch4.1": "b3b",
    }
    for inception, mixed in zip(("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"), i3d.MIXED):
        places |= {f"inception{inception}.{theirs}": f"Mixed_{mixed}.{name}" for theirs, name in branches.items()}
    for theirs, name in places.items():
        ours |= {
            f"{name}{key.removeprefix(theirs).replace('.conv.', '.conv3d.')}": value
            for key, value in state.items()
            if key.startswith(f"{theirs}.")
        }
    ours |= {
        "logits.conv3d.weight": state["fc.weight"].new_zeros(400, 1024, 1, 1),
        "logits.conv3d.bias": torch.zeros(400),
    }
    net.fc, net.conv1.conv.padding = nn.Identity(), (0, 0)
    image = torch.rand(2, 3, 64, 96) * 2 - 1
    with torch.inference_mode():
        expected = net(F.pad(image, (2, 3, 2, 3)))
        rows = i3d.from_state(middle_taps(ours), 1e-3)(still(image, 16), "pool")
    assert expected.std() > 0.01
    torch.testing.assert_close(rows, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


def test_resnext_of_a_still_is_torchvisions():
    """With kernels that are zero except at their middle frame, the network is torchvision's ResNeXt-101 (32 x 4d)."""
    from torchvision.models.resnet import Bottleneck, ResNet

    net = on_meta(lambda: ResNet(Bottleneck, [3, 4, 23, 3], num_classes=400, groups=32, width_per_group=4)).eval()
    state = drawn(shapes_of(net))
    for name in state:
        if name.endswith("bn3.weight"):
            state[name] *= 0.3  # or 33 residual blocks would make numbers of 10^5
    counters = {name: torch.tensor(0) for name in net.state_dict() if name.endswith("num_batches_tracked")}
    net.load_state_dict(counters | state, assign=True)
    net.fc = nn.Identity()
    image = torch.rand(2, 3, 64, 32) * 255 - 100
    with torch.inference_mode():
        expected = net(image)
        rows = resnext101.from_state(middle_taps(state))(still(image, 4))
    assert expected.std() > 0.01
    torch.testing.assert_close(rows, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


def test_resnext_sizes(states):
    net, seen = resnext101.from_state(states["resnext101"]), []
    for layer in (net.conv1, net.layer1, net.layer2, net.layer3, net.layer4):
        layer.register_forward_hook(lambda _, __, y: seen.append(tuple(y.shape[2:])))
    net(torch.rand(1, 3, 10, 48, 32))
    assert seen == [(10, 24, 16), (5, 12, 8), (3, 6, 4), (2, 3, 2), (1, 2, 1)]


def test_inputs_of_resnext(here):
    """Frames of the mean colour are zeros for `hara`; for `vfid-metrics` grey 127.5 is."""
    hara, vfid = make(resnext101, **RESNEXT), make(resnext101, **RESNEXT | {"input": "vfid-metrics"})
    mean = torch.tensor([114.7748, 107.7354, 99.4750])[:, None, None].expand(1, 4, 3, 32, 32)
    torch.testing.assert_close(hara.extract(mean), vfid.extract(torch.full_like(mean, 127.5)))
    assert not torch.allclose(hara.extract(mean), vfid.extract(mean))
    assert hara.ids["frechet"] == "vfid-resnext101" and vfid.ids["frechet"] == "vfid-resnext101-vfid-metrics"


@pytest.mark.parametrize("name", ["s3d", "r2plus1d"])
def test_torchvisions_own_preprocessing_and_network(here, states, name):
    """Ours, then torchvision's last layer, are the logits of torchvision from the frames to the end."""
    from torchvision.models import video
    from torchvision.transforms._presets import VideoClassification

    module, settings, _ = SETTINGS[name]
    px, build = (256, video.s3d) if name == "s3d" else (64, video.r2plus1d_18)
    preset = getattr(video, "S3D_Weights" if name == "s3d" else "R2Plus1D_18_Weights").DEFAULT.transforms
    assert preset.keywords["crop_size"][0] / preset.keywords["resize_size"][0] == module.CROPPED
    extractor = make(module, **settings | {"px": px})
    frames = torch.randint(
        0, 256, (1, settings["n_frames"], 3, px, px), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    net = build(weights=None).eval()
    net.load_state_dict(states[name])
    cropped = round(px * module.CROPPED)
    with torch.inference_mode():
        expected = net(VideoClassification(crop_size=(cropped, cropped), resize_size=(px, px))(frames))
        rows = extractor.extract(frames.float())
        logits = net.classifier[1](rows[..., None, None, None]).flatten(1) if name == "s3d" else net.fc(rows)
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


def test_i3d_as_stylegan_v_ships_it(here, tmp_path, monkeypatch):
    """The file is called with its own preprocessing on, and both ids name the same rows."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.tensor(2.0))

        def forward(self, x, rescale: bool, resize: bool, return_features: bool):
            assert rescale and resize and return_features and x.shape[1] == 3
            time = torch.arange(x.shape[2], dtype=torch.float32)[:, None, None]
            return self.scale * torch.cat([x.mean((2, 3, 4)), (x * time).mean((2, 3, 4))], 1)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        torch.jit.script(Net()).save(str(tmp_path / "i3d_torchscript.pt"))
    monkeypatch.setenv("V2VBENCH_WEIGHTS", str(tmp_path))
    whole = I3D | {"output": "logits", "n_frames": 16, "px": 224}
    ours, theirs = make(i3d, **whole | {"weights": "tfhub"}), make(i3d, **whole | {"weights": "stylegan-v"})
    assert (ours.rows, ours.resize, ours.snippet) == (theirs.rows, theirs.resize, theirs.snippet)
    assert (ours.titles["frechet"], ours.ids["frechet"]) == ("FVD", "fvd-i3d") and theirs.ids[
        "frechet"
    ] == "fvd-stylegan-v"
    colours = torch.rand(2, 16, 3, 1, 1) * 255
    time = torch.arange(16)[:, None, None, None]
    expected = 2 * torch.cat([colours.mean((1, 3, 4)), (colours * time).mean((1, 3, 4))], 1)
    for extractor in (ours, theirs, ours):  # and the second call gives what the first gave
        rows = extractor.extract(colours.expand(2, 16, 3, 224, 224))
        torch.testing.assert_close(rows, expected, rtol=1e-5, atol=1e-2)


def test_i3d_titles_ids_and_ports():
    pool, logits = make(i3d, **I3D), make(i3d, **I3D | {"output": "logits", "weights": "videogpt"})
    assert (
        pool.titles == {"frechet": "video FID (I3D)", "kernel": "video KID (I3D)"} and pool.ids["frechet"] == "vfid-i3d"
    )
    assert logits.titles["frechet"] == "FVD (VideoGPT)" and logits.ids == {
        "frechet": "fvd-videogpt",
        "kernel": "kvd-videogpt",
    }
    assert pool.rows == "piergiaj:64-torch-bilinear:10f-stride5:pool1024"
    assert logits.rows == "videogpt:64-torch-bilinear:10f-stride5:logits400"
    for name, eps in (("piergiaj", 1e-3), ("videogpt", 1e-5)):
        assert {
            layer.eps
            for layer in on_meta(lambda name=name: i3d.Network(i3d.EPS[name])).modules()
            if hasattr(layer, "eps")
        } == {eps}


@pytest.mark.parametrize(
    "module, settings, message",
    [
        (i3d, I3D | {"n_frames": 9}, "from 10"),
        (i3d, I3D | {"weights": "tfhub"}, "logits of 224 px"),
        (i3d, I3D | {"weights": "tfhub", "output": "logits"}, "px: 224"),
        (i3d, I3D | {"weights": "jedi"}, "not one of"),
        (i3d, I3D | {"weights": "stylegan-v", "output": "logits", "px": 224}, "n_frames: 16"),
        (i3d, I3D | {"resize": "tf"}, "not one of"),
        (resnext101, RESNEXT | {"input": "imagenet"}, "not one of"),
        (s3d, S3D | {"n_frames": 13}, "from 14"),
        (r2plus1d, R2PLUS1D | {"px": 8}, "from 32"),
    ],
)
def test_wrong_settings(module, settings, message):
    assert message in fault(make, module, **settings)


def test_a_clip_through_the_cache(here, tmp_path):
    """From frames to rows as evaluation asks for them; a clip shorter than a snippet is an error that says so."""
    lines = {"pool": {"extractor": "i3d", **I3D}, "logits": {"extractor": "i3d", **I3D, "output": "logits"}}
    rows = Rows(resolve(lines).values(), tmp_path / "rows")
    frames = np.random.default_rng(0).integers(0, 256, (17, 20, 30, 3)).astype(np.uint8)
    found = rows.of(frames)
    assert found["pool"].shape == (2, 1024) and found["logits"].shape == (2, 400)
    again = Rows(resolve(lines).values(), tmp_path / "rows").of(frames)
    assert all(np.array_equal(found[key], again[key]) for key in found)
    with pytest.raises(ValueError, match="9 frames are fewer than a snippet of 10"):
        rows.of(frames[:9])


@pytest.mark.weights
def test_the_two_ports_of_tf_hubs_network_agree():
    """With the real files: our network with VideoGPT's numbers gives nearly the logits of StyleGAN-V's file."""
    if line := weights.why_absent(["i3d_tfhub", "i3d_videogpt"]):
        pytest.skip(line)
    whole = I3D | {"output": "logits", "n_frames": 16, "px": 224}
    images = snippets(make(i3d, **whole | {"weights": "videogpt"}), 4)
    ours, theirs = (make(i3d, **whole | {"weights": name}).extract(images) for name in ("videogpt", "tfhub"))
    assert (ours - theirs).norm() < 0.02 * theirs.norm()


def test_published_sha256_is_whole_where_it_is_known():
    partly = {name for name, entry in weights.TABLE.items() if len(getattr(entry, "sha256", None) or "") != 64}
    assert partly == {"i3d_videogpt", "resnext101", "raft_large", "s3d", "dlib_faces", "vmaf"}
