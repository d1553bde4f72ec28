"""Speed of `v2vbench score`, beside torch-fidelity's FID and a plain FVD loop on the same files: clips per second.

    python -m benchmarks.score --clips 200

Weights are made up, so the numbers of FID and FVD say nothing; the arithmetic is that of the true ones. Each is timed
once, from the files to the result, as a process would be that starts with everything imported.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np
import scipy.linalg
import torch
from PIL import Image
from torch.nn import functional as F

from benchmarks import fid as bench_fid
from v2vbench.download import weights
from v2vbench.extractors import i3d
from v2vbench.progress import progress
from v2vbench.scoring.run import score

SIZE, N_FRAMES = (256, 256), 32
SNIPPET, STRIDE, PX = 16, 16, 224  # of the FVD loop
SIDES = {"real": 0.0, "fake": 12.0}  # grey levels of noise
PAIRED = ["psnr", "ssim", "ms_ssim", "warp_error", "flicker"]


def write(folder: Path, n_clips: int) -> dict[str, Path]:
    """{side: folder of folders of PNG files}: textures that slide, with and without noise."""
    for side, sigma in SIDES.items():
        for clip in progress(range(n_clips), f"write {side}", unit="clip"):
            rng, place = np.random.default_rng(clip), folder / side / f"{clip:04d}"
            place.mkdir(parents=True)
            coarse = rng.integers(0, 256, (48, 48, 3), np.uint8)
            texture = cv2.resize(coarse, (2 * SIZE[1], 2 * SIZE[0]), interpolation=cv2.INTER_CUBIC)
            dx, dy = rng.integers(0, 4, 2)
            for t in range(N_FRAMES):
                frame = texture[t * dy : t * dy + SIZE[0], t * dx : t * dx + SIZE[1]]
                frame = (frame + rng.normal(0, sigma, frame.shape)).clip(0, 255) if sigma else frame
                Image.fromarray(frame.astype(np.uint8)).save(place / f"{t:03d}.png", compress_level=1)
    return {side: folder / side for side in SIDES}


def made_up_i3d() -> i3d.Network:
    """The network of FVD with random weights."""
    torch.manual_seed(0)
    return i3d.Network(1e-3).eval()


def fvd(folders: dict[str, Path], network: i3d.Network) -> float:
    """As most published loops go: a clip at a time, snippets resized, all statistics at the end."""
    statistics = []
    for folder in folders.values():
        rows = []
        for clip in sorted(folder.iterdir()):
            frames = np.stack([np.asarray(Image.open(file)) for file in sorted(clip.iterdir())])
            for start in range(0, len(frames) - SNIPPET + 1, STRIDE):
                video = torch.from_numpy(frames[start : start + SNIPPET]).permute(0, 3, 1, 2).float() / 127.5 - 1
                video = F.interpolate(video, (PX, PX), mode="bilinear", align_corners=False)
                with torch.inference_mode():
                    rows.append(network(video.transpose(0, 1)[None], "logits").flatten().numpy())
        stacked = np.stack(rows)
        statistics.append((stacked.mean(0), np.cov(stacked, rowvar=False)))
    (a, sa), (b, sb) = statistics
    root: Any = scipy.linalg.sqrtm(sa @ sb)
    return float(((a - b) ** 2).sum() + np.trace(sa + sb - 2 * np.real(root)))


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.score", description=__doc__)
    parser.add_argument("--clips", type=int, default=4, help="a side, of 32 frames of 256 x 256 (%(default)s)")
    parser.add_argument("--only", nargs="+", help="rows of the table")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as place:
        folders = write(Path(place), args.clips)
        path = bench_fid.random_weights(Path(place) / "inception.pth")
        network = made_up_i3d()
        inputs = folders["real"], folders["fake"]

        def fidelity() -> None:
            import torch_fidelity

            torch_fidelity.calculate_metrics(
                input1=str(inputs[1]),
                input2=str(inputs[0]),
                samples_find_deep=True,
                fid=True,
                **bench_fid.fidelity_settings(path),
            )

        rows: dict[str, Callable[[], object]] = {
            "score, all metrics without weights": lambda: score(*inputs, cache=None),
            f"score, {', '.join(PAIRED)}": lambda: score(*inputs, metrics=PAIRED, cache=None),
            "score, FID": lambda: score(*inputs, metrics=["fid"], pair="none", cache=None),
            "torch-fidelity, FID": fidelity,
            "plain loop, FVD": lambda: fvd(folders, network),
        }
        print()
        for name, run in rows.items():
            if args.only and name not in args.only:
                continue
            fid = "FID" in name
            with bench_fid.made_up(path), mock.patch.object(weights, "sha256", lambda name: "made up"):
                present = {"inception2015"} if fid else set()
                with mock.patch.object(weights, "why_absent", absent_but(present)):
                    began = time.perf_counter()
                    run()
                    seconds = time.perf_counter() - began
            print(f"{name:45} {seconds:8.1f} s  {args.clips / seconds:6.2f} clips/s", flush=True)


def absent_but(present: set[str]) -> Callable:
    """In place of `weights.why_absent`: all that need no others than `present` are there."""
    return lambda names: None if set(names) <= present else "not here"


if __name__ == "__main__":
    main()
