"""Which video-to-video method is better, by how much, how sure are we, and can anyone get the same answer again?

Conventions, everywhere in this package:

B clips of a batch, T frames, C channels, H, W pixels, K labels, N clips of a split, D features; time is axis 1.
image     float32 in [-1, 1], RGB, (B, T, 3, H, W); uint8 (T, H, W, 3) on disk
source    what the video is made from: labels int64 (B, T, H, W), 255 = ignore, one-hot inside models;
          or maps (edges, distances, poses) float32 in [0, 1], (B, T, C, H, W)
flow      float32, pixels, (dx, dy), (B, T-1, 2, H, W), from frame t back to t-1:
          warp(real[:, t-1], flow[:, t-1]) ~ real[:, t]
occluded  float32, (B, T-1, 1, H, W), 1 where that warp fails; same sign as a model's `mask` (1 = hallucinated frame)
Names: source real fake raw flow mask past G D_image D_video clip run; counts n_, loss weights w_, unit as suffix.
"""

import importlib
import warnings
from pathlib import Path

__version__ = "0.1.0"


def __getattr__(name: str):
    """`v2vbench.score`, imported when it is first used: importing it takes seconds."""
    if name == "score":
        with warnings.catch_warnings():  # in a notebook pooch asks for ipywidgets, which nothing here uses
            warnings.filterwarnings("ignore", "IProgress not found")
            return importlib.import_module("v2vbench.scoring.run").score
    raise AttributeError(f"module 'v2vbench' has no attribute {name!r}")


def find(kind: str, name: str):
    """The module v2vbench/<kind>/<name>.py: the folder is the registry, a leading underscore means shared.

    kind      "datasets", "models", "metrics" or "extractors"
    raises    KeyError naming the modules that exist
    """
    folder = Path(__file__).parent / kind
    if not name.isidentifier() or name.startswith("_") or not (folder / f"{name}.py").is_file():
        names = ", ".join(sorted(path.stem for path in folder.glob("[!_]*.py")))
        raise KeyError(f"no {kind.removesuffix('s')} {name!r} in v2vbench/{kind}; there are {names}")
    return importlib.import_module(f"v2vbench.{kind}.{name}")
