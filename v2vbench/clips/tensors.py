"""Conversions between arrays of the clip store and tensors for models and metrics."""

import numpy as np
import torch


def to_image(array: np.ndarray) -> torch.Tensor:
    """uint8 (T, H, W, 3) to float32 in [-1, 1], (T, 3, H, W)."""
    return torch.from_numpy(array).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def to_pixels(tensor: torch.Tensor) -> np.ndarray:
    """float in [-1, 1], (T, 3, H, W) to uint8 (T, H, W, 3), rounded."""
    return tensor.detach().float().add(1).mul(127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().numpy()


def to_tensors(arrays: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """Arrays of one window as tensors: real, fake, source, instance, flow, occluded, depth.

    Shapes as in the docstring of the package, without the batch axis; instance int64 (T, H, W), 0 = none; depth
    float32 (T, H, W).
    """
    clip = {}
    for name, array in arrays.items():
        if name in ("real", "fake"):
            clip[name] = to_image(array)
        elif name == "label":
            clip["source"] = torch.from_numpy(array).long()
        elif name == "maps":
            clip["source"] = torch.from_numpy(array).permute(0, 3, 1, 2).float().div_(255)
        elif name == "flow":
            clip[name] = torch.from_numpy(array).permute(0, 3, 1, 2).float()
        elif name == "occluded":
            clip[name] = torch.from_numpy(array)[:, None].float()
        elif name == "instance":
            clip[name] = torch.from_numpy(array.astype(np.int64))
        else:
            clip[name] = torch.from_numpy(array).float()
    return clip
