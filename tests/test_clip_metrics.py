"""Per-clip metrics beyond PSNR and SSIM against other libraries and closed forms; order of damage; errors."""

import types
from pathlib import Path

import cv2
import lpips as package
import numpy as np
import pytest
import torch
from conftest import sliding_clip
from scipy.ndimage import gaussian_filter
from torchvision import models

from v2vbench.clips.tensors import to_image, to_pixels, to_tensors
from v2vbench.download import weights
from v2vbench.metrics import _networks, dists, flicker, flow_error, identity, lpips, ms_ssim, ssim, tlp, tof, vmaf
from v2vbench.params import Fault

BETAS = [0.0448, 0.2856, 0.3001]
ORDER = [3, 7, 0, 5, 1, 8, 2, 6, 4]  # no frame keeps its neighbour


def smooth_world(n_frames=9, size=(64, 64), seed=0):
    """The sliding world, its texture coarse enough for an estimator of motion."""
    clip = sliding_clip(seed, n_frames, size)
    rng, (H, W) = np.random.default_rng(seed), size
    dx, dy = clip["flow"][0, 0, 0].astype(int)
    wall = gaussian_filter(rng.normal(0, 400, (H + 40, W + 40, 3)), (2, 2, 0)) + 128
    starts = [(20 + dy * t, 20 + dx * t) for t in range(n_frames)]
    clip["real"] = (
        np.stack([wall[top : top + H, left : left + W] for top, left in starts]).clip(0, 255).astype(np.uint8)
    )
    clip["flow"][:] = (dx, dy)
    y, x = np.mgrid[:H, :W]
    clip["occluded"][:] = (y + dy < 0) | (y + dy >= H) | (x + dx >= W)
    return to_tensors(clip)


@pytest.fixture(scope="module")
def world():
    return smooth_world()


@pytest.fixture(scope="session")
def backbones(tmp_path_factory):
    """Random AlexNet and VGG16, in files as torchvision publishes its own, and their `features`."""
    folder, nets = tmp_path_factory.mktemp("weights"), {}
    for name in ("alexnet", "vgg16"):
        with torch.device("meta"):
            net = getattr(models, name)(weights=None).features
        net, rng = net.to_empty(device="cpu").eval(), torch.Generator().manual_seed(0)
        for layer in net:
            if isinstance(layer, torch.nn.Conv2d):
                torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=rng)
                torch.nn.init.normal_(layer.bias, 0, 0.1, generator=rng)
        torch.save(
            {f"features.{key}": value for key, value in net.state_dict().items()}
            | {"classifier.1.bias": torch.zeros(3)},
            folder / f"{name}.pth",
        )
        nets[name] = net
    return folder, nets


@pytest.fixture
def random_weights(backbones, monkeypatch):
    folder, nets = backbones
    monkeypatch.setattr(weights, "path", lambda name: folder / f"{name}.pth")
    return nets


@pytest.fixture
def raw_pair():
    """Generated and real frames as they come from disk, (3, 48, 56, 3) uint8."""
    rng = np.random.default_rng(0)
    real = rng.integers(0, 256, (3, 48, 56, 3))
    return (real + 38 * rng.normal(size=real.shape)).clip(0, 255).astype(np.uint8), real.astype(np.uint8)


@pytest.fixture
def pair(raw_pair):
    return tuple(map(to_image, raw_pair))


def blurred(frames, sigma):
    return torch.from_numpy(gaussian_filter(frames.numpy(), (0, 0, sigma, sigma)))


def ms(fake, real, betas=BETAS):
    return ms_ssim.compute(fake, real, sigma=1.5, betas=betas)


def test_ms_ssim_of_one_scale_is_ssim_and_an_inverted_frame_has_none(pair):
    fake, real = pair
    assert torch.allclose(ms(fake, real, [0.7]), ssim.compute(fake, real, sigma=1.5), atol=1e-12)
    assert (ms(real, real) == 1).all() and (ms(-real, real) == 0).all()  # contrast below 0 has no power


@pytest.mark.parametrize("size, n", [((64, 128), 3), ((96, 128), 4), ((21, 43), 2), ((10, 99), 0)])
def test_ms_ssim_says_how_many_scales_fit(size, n):
    frames = torch.rand(1, 3, *size)
    if n:
        assert ms(frames, frames, [1 / n] * n) == 1
    with pytest.raises(ValueError, match=f"hold {n} scales of a window of 11, and there are {n + 1} betas"):
        ms(frames, frames, [1 / (n + 1)] * (n + 1))


STAGES = {"alex": (2, 5, 8, 10, 12), "vgg": (4, 9, 16, 23, 30)}  # where the stages of `features` end


def lpips_formula(backbone, net):
    """Zhang et al. 2018, eq. 1, of two 8-bit frames: `net` read out after each stage, the package's heads, NumPy."""
    file = Path(package.__file__).parent / f"weights/v0.1/{backbone}.pth"
    heads = torch.load(file, weights_only=True, map_location="cpu")
    mean, deviation = (np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225]))  # ImageNet's

    @torch.no_grad()
    def units(frame):
        x, stages = torch.from_numpy(((frame / 255 - mean) / deviation).transpose(2, 0, 1)[None]).float(), []
        for number, layer in enumerate(net[: STAGES[backbone][-1]], 1):
            x = layer(x)
            if number in STAGES[backbone]:
                maps = x[0].double().numpy()
                stages.append(maps / np.sqrt((maps**2).sum(0)))
        return stages

    def distance(x, y):
        weights = [head.double().numpy().reshape(-1, 1, 1) for head in heads.values()]
        return sum((w * (a - b) ** 2).sum(0).mean() for w, a, b in zip(weights, units(x), units(y), strict=True))

    return distance


@pytest.mark.parametrize("backbone", ["alex", "vgg"])
def test_lpips_is_its_formula(backbone, random_weights, raw_pair, pair):
    formula, (fake, real) = lpips_formula(backbone, random_weights[_networks.NAMES[backbone]]), pair
    expected = np.array([formula(x, y) for x, y in zip(*raw_pair)])
    values = lpips.compute(fake, real, backbone=backbone)
    assert (expected > 1e-3).all()
    assert np.allclose(values, expected, rtol=1e-5, atol=0)
    assert torch.equal(lpips.compute(real, real.clone(), backbone=backbone), torch.zeros(3))
    assert torch.equal(lpips.compute(fake[[2, 0]], real[[2, 0]], backbone=backbone), values[[2, 0]])  # each pair alone


def test_the_lpips_network_leaves_the_random_numbers_of_others_alone(random_weights, pair):
    state = torch.get_rng_state()
    lpips.compute(*pair, backbone="alex")
    assert torch.equal(torch.get_rng_state(), state)


def test_dists_is_torchmetrics(random_weights, raw_pair, pair, monkeypatch):
    from torchmetrics.functional.image import dists as theirs

    fake, real = pair
    monkeypatch.setattr(theirs, "vgg16", lambda weights: types.SimpleNamespace(features=random_weights["vgg16"]))
    want = theirs.DISTSNetwork()(*(torch.from_numpy(np.moveaxis(frames, -1, 1) / 255).float() for frames in raw_pair))
    own = dists.compute(fake, real)
    assert (want > 1e-3).all() and torch.allclose(own, want, rtol=0, atol=1e-6)
    assert torch.equal(dists.compute(real, real.clone()), torch.zeros(3))
    assert torch.equal(dists.compute(fake[[2, 0]], real[[2, 0]]), own[[2, 0]])


def test_tlp_is_a_difference_of_lpips(random_weights, raw_pair, pair):
    formula, (fake, real) = lpips_formula("alex", random_weights["alexnet"]), pair
    of_fake, of_real = (np.array([formula(x, y) for x, y in zip(frames, frames[1:])]) for frames in raw_pair)
    assert np.allclose(tlp.compute(fake, real), 100 * np.abs(of_fake - of_real), rtol=0, atol=1e-3 * of_real.max())
    frozen = real[:1].expand_as(real)  # the real video's change is missing
    assert np.allclose(tlp.compute(frozen, real), 100 * of_real, rtol=1e-5)
    assert (tlp.compute(real, real) == 0).all()


def test_networks_refuse_small_frames_and_missing_weights(backbones, monkeypatch, tmp_path):
    frames = torch.zeros(2, 3, 40, 56)
    for module, settings in ((lpips, {"backbone": "vgg"}), (dists, {}), (tlp, {})):
        assert all(name in weights.TABLE for name in module.weights(**settings))
        with pytest.raises(Fault, match=r"weights absent: .* `v2vbench fetch weights` brings it"):
            module.compute(frames, frames, **settings)
    monkeypatch.setattr(weights, "path", lambda name: backbones[0] / f"{name}.pth")
    for backbone, least in (("alex", 31), ("vgg", 16)):
        assert lpips.compute(frames[..., :least], frames[..., :least], backbone=backbone).tolist() == [0, 0]
        with pytest.raises(ValueError, match=rf"\(40, {least - 1}\) px are smaller than the {least} px"):
            lpips.compute(frames[..., : least - 1], frames[..., : least - 1], backbone=backbone)
    with pytest.raises(ValueError, match="smaller than the 16 px"):
        dists.compute(frames[..., :15], frames[..., :15])
    torch.save({"features.0.weight": torch.zeros(3)}, tmp_path / "vgg16.pth")
    monkeypatch.setattr(weights, "path", lambda name: tmp_path / f"{name}.pth")
    with pytest.raises(Fault, match="vgg16.pth: not torchvision's vgg16"):
        dists.compute(frames, frames)


def test_tof_of_a_slide_against_a_still_is_its_length():
    rng = np.random.default_rng(0)
    wall = gaussian_filter(rng.normal(0, 600, (96, 160, 3)), (3, 3, 0)).clip(-120, 120) + 128
    slide = to_image(np.stack([wall[:, 3 * t : 128 + 3 * t] for t in range(4)]).astype(np.uint8))
    assert tof.compute(slide, slide[:1].expand_as(slide)).numpy() == pytest.approx([3, 3, 3], rel=0.1)
    assert torch.equal(tof.compute(slide, slide[:1].expand_as(slide)), tof.compute(slide[:1].expand_as(slide), slide))


def test_flicker_closed_form(world):
    real = world["real"] * 0.5
    value = lambda fake: flicker.compute(fake, real, block_px=8)  # noqa: E731
    sign = (-1.0) ** torch.arange(len(real))[:, None, None, None]
    assert torch.allclose(value(real + 0.1 * sign), torch.full((8,), 0.2 * 127.5, dtype=torch.float64), atol=1e-5)
    assert value(real + 0.1).max() < 1e-5 and (value(real) == 0).all()  # wrong all the time is no flicker
    frozen = flicker.change(real, 8).abs().mean((1, 2))
    assert frozen.min() > 1 and torch.allclose(value(real[:1].expand_as(real)), frozen, atol=1e-12)
    green = torch.zeros_like(real)
    green[:, 1] = 0.1 * sign[:, 0]
    assert torch.allclose(value(real + green), torch.tensor(0.587 * 0.2 * 127.5).double(), atol=1e-5)


def test_flow_error_closed_form(world):
    flow, occluded, real = world["flow"], world["occluded"], world["real"]
    assert flow_error.compute(real, flow, occluded).max() < 0.1  # the estimator's own error
    frozen = flow_error.compute(real[:1].expand_as(real), flow, occluded)
    assert torch.allclose(frozen, flow[:, :, 0, 0].double().norm(dim=1), atol=1e-6)  # no motion: what is missing
    wrong = torch.where(occluded > 0, 1e3, flow)
    assert torch.equal(flow_error.compute(real, wrong, occluded), flow_error.compute(real, flow, occluded))
    with pytest.raises(ValueError, match="every pixel of frame 1 is occluded"):
        flow_error.compute(real, flow, torch.ones_like(occluded))


def test_more_damage_more_distance(world, random_weights):
    real, rng = world["real"], torch.Generator().manual_seed(0)
    noise = torch.randn(real.shape, generator=rng)
    noisy, blurry = [(real + s * noise).clamp(-1, 1) for s in (0.02, 0.1, 0.4)], [blurred(real, s) for s in (1, 2, 4)]
    shaking = [torch.stack([frame.roll(px * (t % 2), -1) for t, frame in enumerate(real)]) for px in (1, 2, 3)]
    distances = {
        "ms_ssim": lambda fake: -ms(fake, real),
        "lpips": lambda fake: lpips.compute(fake, real, backbone="alex"),
        "dists": lambda fake: dists.compute(fake, real),
        "tof": lambda fake: tof.compute(fake, real),
        "flicker": lambda fake: flicker.compute(fake, real, block_px=8),
        "flow_error": lambda fake: flow_error.compute(fake, world["flow"], world["occluded"]),
    }
    for name, ladders in {
        "ms_ssim": (noisy, blurry),
        "lpips": (noisy, blurry),
        "dists": (noisy[1:], blurry),
        "tof": (noisy, shaking),
        "flicker": (noisy, shaking),
        "flow_error": (noisy, shaking),
    }.items():
        for ladder in ladders:
            values = [float(distances[name](fake).mean()) for fake in (real, *ladder)]
            assert (np.diff(values) > 0).all(), (name, values)


def test_shuffling_frames_moves_temporal_metrics_alone(world, random_weights):
    real, rng = world["real"], torch.Generator().manual_seed(0)
    fake = (real + 0.1 * torch.randn(real.shape, generator=rng)).clamp(-1, 1)
    for frame_metric in (ms, lambda a, b: lpips.compute(a, b, backbone="alex"), dists.compute):
        assert torch.equal(frame_metric(fake, real)[ORDER], frame_metric(fake[ORDER], real[ORDER]))
    for temporal in (
        lambda f: tof.compute(f, real),
        lambda f: flicker.compute(f, real, block_px=8),
        lambda f: flow_error.compute(f, world["flow"], world["occluded"]),
    ):
        assert temporal(fake[ORDER]).mean() > 1.5 * temporal(fake).mean()


def test_motion_refuses_one_frame_and_what_is_not_finite(world):
    real, flow, occluded = world["real"], world["flow"], world["occluded"]
    for name, compute in {
        "tof": lambda f: tof.compute(f, real[: len(f)]),
        "flow": lambda f: flow_error.compute(f, flow, occluded),
        "flicker": lambda f: flicker.compute(f, real, block_px=8),
        "tlp": lambda f: tlp.compute(f, f),
    }.items():
        with pytest.raises(ValueError, match="1 frame, and it takes 2"):
            compute(real[:1])
        broken = real.clone()
        broken[4, 0, 0, 0] = torch.nan
        if name in ("tof", "flow"):  # 8 bits would make a number of it
            with pytest.raises(ValueError, match="frame 4 has values that are not finite"):
                compute(broken)
        elif name == "flicker":
            assert compute(broken).isnan().any()


def faces(seen, where):
    """Replaces dlib's networks: a face is at the brightest column of the frame, its descriptor is the colour there."""

    def run(frame, n_times, threshold):
        column = int(frame.sum((0, 2)).argmax())
        return ([], [], []) if frame.max() < 200 else ([column, column], [0.1, 0.2], [0, 0])

    def describe(frame, place):
        seen.append((frame.shape, place))
        return frame[0, place] / 255

    describer = types.SimpleNamespace(compute_face_descriptor=describe)
    return types.SimpleNamespace(run=run), lambda frame, box: where.append(box) or box, describer


def test_identity_looks_where_the_real_face_is(monkeypatch):
    seen, where = [], []
    monkeypatch.setattr(identity, "_networks", lambda: faces(seen, where))
    real = torch.full((3, 3, 8, 16), -1.0)
    for t in range(3):
        real[t, :, :, 4 * t] = 1
    fake = real.roll(1, 3)  # the generated face is elsewhere: it must not be looked for
    values = identity.compute(fake, real, enlarge=1, threshold=-0.5)
    assert values.tolist() == pytest.approx([3**0.5] * 3) and where == [0, 4, 8]
    assert seen == [((8, 16, 3), place) for place in (0, 0, 4, 4, 8, 8)]
    assert identity.compute(real, real, enlarge=1, threshold=-0.5).tolist() == [0, 0, 0]
    real[1] = -1
    with pytest.raises(ValueError, match="no face in real frame 1; lower the threshold, -0.5, or raise enlarge, 1"):
        identity.compute(fake, real, enlarge=1, threshold=-0.5)
    fake[2, 0, 0, 0] = torch.inf
    with pytest.raises(ValueError, match="frame 2 has values that are not finite"):
        identity.compute(fake, real, enlarge=1, threshold=-0.5)


def test_identity_without_dlib_is_refused(monkeypatch):
    assert identity.weights(enlarge=3, threshold=-0.5) == ("dlib_faces",)
    monkeypatch.setattr(weights, "find", lambda name: None)
    identity._networks.cache_clear()
    with pytest.raises(Fault, match=r"weights absent: dlib_faces .*v2vbench\[faces\]"):
        identity.compute(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8), enlarge=1, threshold=0)


@pytest.mark.weights
def test_identity_of_carphone():
    if weights.find("dlib_faces") is None:
        pytest.skip(weights.why_absent(["dlib_faces"]))
    from v2vbench.datasets import carphone

    real = to_image(carphone.video()[90::8])
    values = [
        identity.compute(fake, real, enlarge=2, threshold=-0.5)
        for fake in (real, *(blurred(real, s) for s in (1, 2, 4, 8)))
    ]
    assert (values[0] == 0).all() and (np.diff([float(v.mean()) for v in values]) > 0).all() and values[-1].min() > 0.6


def luma_of_opencv(frames):
    """The Y plane that a coder gets: BT.601, 16 to 235, rounded."""
    return np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_I420)[: frame.shape[0]] for frame in frames])


def test_vmaf_is_given_the_luma_of_coded_video_and_the_real_one_first(monkeypatch, raw_pair):
    """A stand-in for the package, which keeps what it is given."""
    given = []

    class Listens(torch.nn.Module):
        def forward(self, real, fake):
            given.extend((real, fake))
            return torch.arange(3.0)[:, None]

    monkeypatch.setattr(vmaf, "_model", Listens)
    fake, real = map(to_image, raw_pair)
    assert vmaf.compute(fake, real).tolist() == [0, 1, 2] and len(given) == 2
    for seen, frames in zip(given, reversed(raw_pair)):
        assert seen.shape == (3, 1, 48, 56) and np.abs(seen[:, 0].numpy() - luma_of_opencv(frames)).max() < 1.01
    assert vmaf.weights() == ("vmaf",)
    monkeypatch.undo()
    monkeypatch.setattr(weights, "find", lambda name: None)
    vmaf._model.cache_clear()
    with pytest.raises(Fault, match=r"weights absent: vmaf .*v2vbench\[vmaf\]"):
        vmaf.compute(fake, real)


@pytest.mark.weights
def test_vmaf_falls_with_damage_and_is_the_packages(world):
    if weights.find("vmaf") is None:
        pytest.skip(weights.why_absent(["vmaf"]))
    import vmaf_torch

    real = world["real"]
    fakes = [real, *(blurred(real, s) for s in (1, 2, 4))]
    values = [float(vmaf.compute(fake, real).mean()) for fake in fakes]
    assert values[0] > 95 and (np.diff(values) < 0).all()
    planes = [torch.from_numpy(luma_of_opencv(to_pixels(frames))).float()[:, None] for frames in (real, fakes[2])]
    assert values[2] == pytest.approx(float(vmaf_torch.VMAF(clip_score=True)(*planes).mean()), abs=1)  # rounded levels
