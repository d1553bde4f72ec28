"""Each resize policy equals the library it is named after, for frames that shrink, grow, are cropped or unchanged."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from pytorch_fid.inception import InceptionV3
from torch.nn import functional as F
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x
from torchmetrics.image.fid import NoTrainInceptionV3
from torchvision.transforms.functional import to_tensor

from v2vbench.extractors._resizes import POLICIES, resize

SIZES = ((130, 241), (61, 33), (75, 75), (9, 200), (1, 1))
PX = 75


def frames(size, n=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, *size, 3), dtype=np.uint8)


def nchw(frames):
    return torch.from_numpy(frames).permute(0, 3, 1, 2).contiguous().float()


def torchmetrics(frames):
    """What its Inception's first layer is given."""
    seen = []
    layers = dict.fromkeys(("Conv2d_2a_3x3", "Conv2d_2b_3x3", "MaxPool_1"), lambda x: x)
    layers["Conv2d_1a_3x3"] = lambda x: seen.append(x) or x
    net = SimpleNamespace(features_list=["64"], INPUT_IMAGE_SIZE=PX, use_antialias=True, **layers)
    NoTrainInceptionV3._torch_fidelity_forward(net, nchw(frames).byte())
    return seen[0] * 128 + 128


def pytorch_fid(frames, monkeypatch):
    """What its Inception's first block is given."""
    net = SimpleNamespace(
        resize_input=True, normalize_input=True, blocks=[lambda x: x], output_blocks=[0], last_needed_block=0
    )
    interpolate = F.interpolate
    monkeypatch.setattr(
        F, "interpolate", lambda x, size, **settings: interpolate(x, (PX, PX), **settings)
    )  # 299 is written in it
    given = InceptionV3.forward(net, torch.stack([to_tensor(frame) for frame in frames]))[0]
    monkeypatch.undo()
    return (given + 1) / 2 * 255


def clean_fid(frames):
    """As cleanfid/resize.py does it; the package itself is not run."""

    def one(channel):
        return np.asarray(Image.fromarray(channel.astype(np.float32)).resize((PX, PX), resample=Image.BICUBIC)).clip(
            0, 255
        )

    return torch.from_numpy(np.stack([np.stack([one(frame[..., i]) for i in range(3)]) for frame in frames]))


def cropped(frames):
    """VideoGPT's preprocess_single, of frames on 0..1."""
    height, width = frames.shape[1:3]
    size = (PX, int(np.ceil(width * (PX / height)))) if height < width else (int(np.ceil(height * (PX / width))), PX)
    images = F.interpolate(nchw(frames) / 255, size, mode="bilinear", align_corners=False) * 255
    top, left = (size[0] - PX) // 2, (size[1] - PX) // 2
    return images[:, :, top : top + PX, left : left + PX]


@pytest.mark.parametrize("size", SIZES)
def test_others_do_the_same(size, monkeypatch):
    pictures = frames(size)
    theirs = {
        "tf": interpolate_bilinear_2d_like_tensorflow1x(nchw(pictures), (PX, PX), align_corners=False),
        "torch-bilinear": pytorch_fid(pictures, monkeypatch),
        "pil-bicubic": clean_fid(pictures),
        "torch-antialias": torchmetrics(pictures),
        "short-side-crop": cropped(pictures),
    }
    for policy, images in theirs.items():
        own = resize(pictures, policy, PX)
        assert own.dtype == torch.float32 and own.shape == images.shape == (3, 3, PX, PX)
        assert (own - images).abs().max() < 1e-4, policy
    assert torch.equal(resize(pictures, "tf", PX), theirs["tf"])


@pytest.mark.parametrize("size", SIZES)
def test_antialias_is_that_of_version_1_of_the_offline_features(size):
    pictures = frames(size)
    images = torch.from_numpy(pictures).permute(0, 3, 1, 2).float()
    images = F.interpolate(images, (PX, PX), mode="bilinear", antialias=True, align_corners=False)
    assert torch.equal(resize(pictures, "bilinear-antialias", PX), images)


def test_clean_bicubic_is_no_property_of_pillow_alone():
    pictures = frames((130, 241))
    images = F.interpolate(nchw(pictures), (PX, PX), mode="bicubic", antialias=True, align_corners=False).clamp(0, 255)
    assert (resize(pictures, "pil-bicubic", PX) - images).abs().max() < 1e-3


@pytest.mark.parametrize("size", [size for size in SIZES if min(size) > 3])
def test_torch_bicubic_is_opencvs(size):
    """OpenCV's cubic has the same kernel, a = -0.75, repeats edges and has no antialias either."""
    pictures = frames(size)
    want = np.stack(
        [cv2.resize(picture.astype(np.float32), (PX, PX), interpolation=cv2.INTER_CUBIC) for picture in pictures]
    )
    assert (resize(pictures, "torch-bicubic", PX) - nchw(want)).abs().max() < 0.05


@pytest.mark.parametrize("policy", POLICIES)
def test_frames_are_resized_one_by_one_within_range(policy):
    pictures = frames((130, 241)) // 255 * 255  # black and white: a filter overshoots at every edge
    together = resize(pictures, policy, PX)
    if policy == "torch-bicubic":  # cmmd-pytorch does not clip
        assert together.min() < -20
    else:
        assert 0 <= together.min() and together.max() <= 255
    assert torch.equal(together, torch.cat([resize(pictures[i : i + 1], policy, PX) for i in range(3)]))
    assert torch.equal(together, resize(np.asfortranarray(pictures), policy, PX))
    assert len(resize(pictures[:0], policy, PX)) == 0


@pytest.mark.parametrize("policy", POLICIES)
def test_flat_frames_stay_flat_and_red_stays_red(policy):
    red = np.full((1, 130, 241, 3), (200, 30, 7), np.uint8)
    assert (resize(red, policy, PX) - torch.tensor([200.0, 30, 7])[:, None, None]).abs().max() < 1e-3


def test_no_two_policies_are_one():
    pictures = frames((150, 301))
    found = {
        policy: resize(pictures, policy, PX) for policy in POLICIES if policy != "torch-antialias"
    }  # one, under two names
    assert all((found[a] - found[b]).abs().max() > 1 for a in found for b in found if a < b)


def test_what_antialias_is_for():
    stripes = np.zeros((1, 8 * PX, 8 * PX, 3), np.uint8)
    stripes[:, :, ::8] = 255
    assert (resize(stripes, "tf", PX) == 255).all() and (resize(stripes, "torch-bilinear", PX) == 0).all()
    for policy in ("bilinear-antialias", "pil-bicubic"):
        assert (resize(stripes, policy, PX)[..., 2:-2] - 255 / 8).abs().max() < 2


def test_what_is_no_policy_or_no_frames():
    with pytest.raises(ValueError, match=f"no resize 'bicubic'; there are {', '.join(POLICIES)}"):
        resize(frames((8, 8)), "bicubic", PX)
    for wrong in (frames((8, 8))[0], frames((8, 8)).astype(np.float32), frames((8, 8))[..., :2], frames((8, 8))[:, :0]):
        with pytest.raises(ValueError, match=r"uint8 \(T, H, W, 3\)"):
            resize(wrong, "tf", PX)
