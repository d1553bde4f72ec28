"""Every metric: the contract, closed forms, reference libraries, and order (more damage, more distance)."""
import inspect
import re
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import torch
from conftest import sliding_clip
from skimage.metrics import structural_similarity

import v2vbench
from v2vbench import clips, find, params
from v2vbench.evaluate import SET_INPUTS, resolve

ROOT = Path(__file__).parents[1]
LINES = params.load(ROOT / "params.yaml").metrics
NAMES = sorted(path.stem for path in Path(v2vbench.__file__).parent.glob("metrics/[!_]*.py"))
METRICS = [metric for metric in resolve(LINES)]
BY_CLIP = {metric.label: metric for metric in METRICS if metric.kind == "clip"}
BY_SET = {metric.label: metric for metric in METRICS if metric.kind == "set"}


def world(seed=0, n_frames=9, size=(32, 64)):
    clip = clips.tensors(sliding_clip(seed, n_frames, size))
    return clip | {"fake": clip["real"].clone()}


def score(label, clip):
    metric = BY_CLIP[label]
    return metric.module.compute(**{name: clip[name] for name in metric.inputs}, **metric.settings)


def blurred(frames, sigma):
    from scipy.ndimage import gaussian_filter
    return torch.from_numpy(gaussian_filter(frames.numpy(), (0, 0, sigma, sigma)))


@pytest.mark.parametrize("name", NAMES)
def test_contract_of_every_file(name):
    module = find("metrics", name)
    assert module.__doc__ and module.BETTER in ("higher", "lower", "one")
    assert isinstance(module.TITLE, str) and isinstance(module.UNIT, str)
    assert re.match(r"[a-z0-9-]+/\d+:", module.PROTOCOL)
    assert module.PROTOCOL.split(":")[0] in (ROOT / "docs" / "protocols.md").read_text(encoding="utf-8")
    names = {n: p.kind for n, p in inspect.signature(module.compute).parameters.items()}
    inputs = tuple(n for n, kind in names.items() if kind is not inspect.Parameter.KEYWORD_ONLY)
    assert inputs == SET_INPUTS or set(inputs) <= {"fake", "real", "source", "flow", "occluded"} and "fake" in inputs
    assert inputs != SET_INPUTS or ("features" in names and module.MIN_CLIPS >= 1 and module.MIN_ROWS >= 1)
    assert name in {metric.module.__name__.rsplit(".")[-1] for metric in METRICS}, "no line of params.yaml uses it"


@pytest.mark.parametrize("label", BY_CLIP)
def test_shapes_and_untouched_inputs(label):
    clip = world()
    clip["fake"] = -clip["real"]
    before = {name: value.clone() for name, value in clip.items()}
    assert score(label, clip).shape in ((9,), (8,))
    assert all(torch.equal(value, clip[name]) for name, value in before.items())


def test_a_perfect_video():
    values = {label: score(label, world()) for label in BY_CLIP}
    assert (values["psnr"] == BY_CLIP["psnr"].settings["cap_db"]).all()
    assert values["warp_error"].max() < 1e-11                      # the sliding world's flow is exact, warp is float32
    for label in ("ssim", "motion_ratio", "sharpness_ratio"):
        assert float(values[label].mean()) == pytest.approx(1, abs=1e-12)


def test_psnr_closed_form():
    clip = {"real": torch.zeros(2, 3, 16, 16), "fake": torch.full((2, 3, 16, 16), 0.2)}
    assert torch.allclose(score("psnr", clip), torch.tensor(20.0).double(), atol=1e-5)      # 10 log10(4 / 0.04)


@pytest.mark.parametrize("offset", [0.0, 0.9])
def test_ssim_is_scikit_images(offset):
    rng = torch.Generator().manual_seed(0)
    real = offset + (0.001 if offset else 0.3) * torch.randn(3, 3, 24, 40, generator=rng)
    fake = real + (0.001 if offset else 0.2) * torch.randn(real.shape, generator=rng)
    want = [structural_similarity(a.double().numpy(), b.double().numpy(), channel_axis=0, gaussian_weights=True,
                                  sigma=1.5, use_sample_covariance=False, data_range=2) for a, b in zip(real, fake)]
    assert np.abs(score("ssim", {"fake": fake, "real": real}).numpy() - want).max() < 1e-6
    with pytest.raises(ValueError, match="smaller than a window of 11"):
        score("ssim", {"fake": fake[..., :10], "real": real[..., :10]})


def test_warp_error_closed_form():
    clip = world()
    clip["fake"][1::2] += 0.2                                      # flicker: 0.1 on a [0, 1] scale
    assert torch.allclose(score("warp_error", clip), torch.tensor(0.01).double(), atol=1e-6)
    hidden = clip["occluded"][:1].bool()
    assert hidden.any() and torch.equal(score("warp_error", clip), score("warp_error", clip | {
        "fake": torch.cat([clip["fake"][:-1], clip["fake"][-1:].masked_fill(hidden, 9)])}))      # occluded: no weight
    assert score("warp_error", clip | {"occluded": torch.ones_like(clip["occluded"])}).isnan().all()


def test_more_damage_more_distance():
    clip, rng = world(size=(64, 96)), torch.Generator().manual_seed(0)
    noise = torch.randn(clip["real"].shape, generator=rng)
    def ladder(label, fakes):
        return [float(score(label, clip | {"fake": fake}).mean()) for fake in (clip["real"], *fakes)]

    noisy = [clip["real"] + s * noise for s in (0.02, 0.1, 0.4)]
    blurry = [blurred(clip["real"], s) for s in (0.5, 1, 2)]
    for label, fakes, sign in (("psnr", noisy, -1), ("psnr", blurry, -1), ("ssim", noisy, -1), ("ssim", blurry, -1),
                              ("warp_error", noisy, 1), ("sharpness_ratio", noisy, 1), ("sharpness_ratio", blurry, -1)):
        assert (np.diff(ladder(label, fakes)) * sign > 0).all(), label
    assert ladder("sharpness_ratio", blurry)[2] < 0.3


def test_freezing_and_flicker_are_seen():
    clip = world(size=(64, 96))
    frozen, slow = clip["real"][:1].expand_as(clip["real"]), clip["real"][torch.arange(9) // 2]
    flicker = clip["real"] + 0.5 * (-1.0) ** torch.arange(9)[:, None, None, None]
    motion = [float(score("motion_ratio", clip | {"fake": fake}).mean()) for fake in (frozen, slow, flicker)]
    assert motion[0] == 0 and 0.4 < motion[1] < 0.6 and motion[2] > 1.5
    assert score("motion_ratio", clip | {"fake": frozen, "real": frozen}).isnan().all()


def rows(n_clips=6, n=8, d=20, seed=0, shift=0.0, scale=1.0):
    rng = np.random.default_rng(seed)
    own = rng.normal(size=(n_clips, 1, d)) + rng.normal(size=(n_clips, n, d))                # alike within a clip
    return scale * own.reshape(-1, d) / np.arange(1, d + 1) ** 0.4 + shift, np.repeat(np.arange(n_clips), n)


def distance(label, x, y, owner=None):
    metric = BY_SET[label]
    return metric.module.compute(x, y, np.arange(len(x)) if owner is None else owner, **metric.settings)


@pytest.mark.parametrize("label", BY_SET)
def test_set_distances(label):
    (x, owner), (y, _) = rows(), rows(seed=1)
    before = x.copy(), y.copy()
    assert distance(label, x, x.copy(), owner) == 0.0                                        # exactly
    assert distance(label, x, y, owner) == pytest.approx(distance(label, y, x, owner), rel=1e-9)
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(20, 20)))[0]
    assert distance(label, x @ turn, y @ turn, owner) == pytest.approx(distance(label, x, y, owner), rel=1e-9)
    ladder = [distance(label, x + s, x, owner) for s in (0.1, 0.3, 1)]
    assert 0 < ladder[0] < ladder[1] < ladder[2]
    assert np.array_equal(before[0], x) and np.array_equal(before[1], y)


@pytest.mark.parametrize("d, tolerance", [(20, 1e-8), (47, 1e-8), (48, 1e-5), (120, 1e-5)])  # 48 rows have rank 47
def test_fed_is_scipys(d, tolerance):
    (x, _), (y, _) = rows(d=d), rows(d=d, seed=1, shift=0.3, scale=1.4)
    a, b = np.cov(x.T), np.cov(y.T)
    root = scipy.linalg.sqrtm(a @ b).real if d < 48 else scipy.linalg.sqrtm(root_of(a) @ b @ root_of(a)).real
    want = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(a) + np.trace(b) - 2 * np.trace(root)
    assert distance("fed_frames", x, y) == pytest.approx(want, rel=tolerance)


def root_of(matrix):
    values, vectors = np.linalg.eigh(matrix)
    return vectors * np.sqrt(values.clip(0)) @ vectors.T


def test_fed_of_a_shift_is_its_square():
    x, _ = rows()
    assert distance("fed_frames", x + 0.5, x) == pytest.approx(20 * 0.25, rel=1e-9)


def test_ked_is_the_loop():
    (x, owner), (y, _) = rows(n_clips=3, n=4), rows(n_clips=3, n=4, seed=1, shift=0.2)
    def k(a, b):
        return (a @ b / 20 + 1) ** 3

    terms = [k(x[i], x[j]) + k(y[i], y[j]) - k(x[i], y[j]) - k(x[j], y[i])
             for i in range(12) for j in range(12) if owner[i] != owner[j]]
    assert distance("ked_frames", x, y, owner) == pytest.approx(1000 * np.mean(terms), rel=1e-9)


def test_ked_has_no_bias_where_clips_are_alike():
    pairs, owner = [(rows(seed=2 * s)[0], rows(seed=2 * s + 1)[0]) for s in range(200)], rows()[1]
    blocked, usual = ([distance("ked_frames", x, y, own) for x, y in pairs] for own in (owner, np.arange(48)))
    assert abs(np.mean(blocked)) < 3 * np.std(blocked) / np.sqrt(200)
    assert np.mean(usual) > 10 * np.std(usual) / np.sqrt(200)      # with the diagonal alone left out
