"""Controls: trivial videos that deserve a bad score. A metric that scores one well can be fooled by it.

A control is a function (clip, context, *, settings) -> frames, uint8 (T, H, W, 3), with the decorator `control`, which
adds it to CONTROLS. A feasible control does not use the target frames, so a method could produce it; other controls are
made from the target frames. Like a method, a feasible control may show the real frames that methods are given at the
start of a clip, since metrics skip those.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch

from v2vbench.clips import damage
from v2vbench.clips.damage import Several, to_uint8
from v2vbench.clips.flow import warp
from v2vbench.clips.store import IGNORE, Facts, Store
from v2vbench.params import Range


@dataclass(frozen=True)
class Context:
    """What a control may use besides its clip."""

    store: Store
    clip: str  # name of the control's clip
    n_given: int  # real frames that methods are given at the start of a clip
    colours: np.ndarray | None  # from `training_colours`; None if no control needs them

    def real(self, clip: str) -> np.ndarray:
        """The real frames of a clip, (T, H, W, 3) uint8."""
        return self.store.read(clip, arrays=["real"])["real"]


def training_colours(store: Store) -> np.ndarray:
    """The mean colour of each label over the real frames of all training clips, (256, 3) in 0..255.

    A label that no training frame has, and IGNORE, get the mean over all pixels. If the source is maps, returns the
    mean training frame, (H, W, 3).
    """
    labelled = store.facts.source == "labels"
    total = np.zeros((256, 3) if labelled else (*store.facts.size, 3))
    n = np.zeros((256, 1) if labelled else ())
    for clip in store.split("train"):
        for _, part in store.stream(clip, ["real", "label"] if labelled else ["real"]):
            real = part["real"].astype(np.float64)
            if labelled:
                label = part["label"].reshape(-1)
                total = total + np.stack(
                    [np.bincount(label, real[..., c].reshape(-1), 256) for c in range(3)], -1
                )  # (256, 3)
                n = n + np.bincount(label, minlength=256)[:, None]
            else:
                total, n = total + real.sum(0), n + len(real)
    if not labelled:
        return total / n
    mean = total / np.maximum(n, 1)
    return np.where((n > 0) & (np.arange(256) != IGNORE)[:, None], mean, total.sum(0) / n.sum())


@dataclass(frozen=True)
class Control:
    """A video that no method made.

    title       in tables; a format string that takes the control's settings
    about       one sentence for the report
    feasible    made without the target frames
    needs       arrays of the clip store; a data set that lacks one skips this control. "source": label or maps
    video       the function
    """

    title: str
    about: str
    feasible: bool
    needs: tuple[str, ...]
    video: Callable


CONTROLS: dict[str, Control] = {}  # by the name of the function, in the order of this file


def control(title: str, about: str, *, feasible: bool, needs: tuple[str, ...]) -> Callable:
    """Decorator that adds a function of this file to CONTROLS; see Control."""

    def register(video: Callable) -> Callable:
        CONTROLS[video.__name__] = Control(title, about, feasible, needs, video)
        return video

    return register


@control("frozen", "The first real frame, held: nothing is sharper, and nothing moves.", feasible=True, needs=("real",))
def frozen(clip: dict, context: Context) -> np.ndarray:
    """The first real frame, repeated."""
    return np.repeat(clip["real"][:1], len(clip["real"]), 0)


@control(
    "carried along the true flow",
    "The last real frame that methods are given, carried from frame to frame along the data set's flow (bilinear): "
    "the right motion, and nothing new where the view opens.",
    feasible=True,
    needs=("real", "flow"),
)
def flow_carried(clip: dict, context: Context) -> np.ndarray:
    """The real frames that methods are given, then the last of them warped along the data set's flow.

    Bilinear, edges repeated; the frame that is warped on is not rounded.
    """
    n_given, flow = max(context.n_given, 1), torch.from_numpy(clip["flow"].astype(np.float32)).permute(0, 3, 1, 2)
    frame = torch.from_numpy(clip["real"][n_given - 1].astype(np.float32)).permute(2, 0, 1)[None]
    carried = []
    for step in flow[n_given - 1 :]:  # not rounded between steps
        frame = warp(frame, step[None])
        carried.append(to_uint8(frame[0].permute(1, 2, 0).numpy()))
    return np.stack([*clip["real"][:n_given], *carried])


@control(
    "mean training colours",
    "Each label in its mean colour over the training clips (where the source is no labels, the mean training frame): "
    "the layout of the source, without any texture.",
    feasible=True,
    needs=("real", "source"),
)
def label_colours(clip: dict, context: Context) -> np.ndarray:
    """Each label in its mean colour over the training clips; the mean training frame if the source is maps.

    A label that the training clips lack, and pixels without a label, get the mean colour of all pixels.
    """
    if context.colours is None:
        raise ValueError("label_colours needs the training colours in its context")
    colours = to_uint8(context.colours)
    return colours[clip["label"]] if "label" in clip else np.repeat(colours[None], len(clip["real"]), 0)


@control(
    "copied from training",
    "The real frames of a training clip: what a method can learn by heart.",
    feasible=True,
    needs=("real",),
)
def memorised(clip: dict, context: Context) -> np.ndarray:
    """The i-th training clip for the i-th test clip, starting over at the end; cut, or its last frame repeated."""
    training = context.store.split("train")
    at = context.store.split(context.store.clips[context.clip]["split"]).index(context.clip)
    return cut(context.real(training[at % len(training)]), len(clip["real"]))


@control(
    "copied from another clip",
    "The real frames of another test clip: a perfect look, and nothing of what was asked for.",
    feasible=False,
    needs=("real",),
)
def copied(clip: dict, context: Context) -> np.ndarray:
    """The next clip of the group, the first for the last one; in a group of one clip, as `memorised`."""
    ids = context.store.split(context.store.clips[context.clip]["split"])
    return (
        cut(context.real(following(ids, context.clip)), len(clip["real"])) if len(ids) > 1 else memorised(clip, context)
    )


@control(
    "blurred, σ {sigma:g} px",
    "The real video, blurred: in its place and time, without its detail.",
    feasible=False,
    needs=("real",),
)
def blurred(clip: dict, context: Context, *, sigma: Annotated[float, Range(0.1, 64)]) -> np.ndarray:
    """Each frame blurred by a Gaussian of `sigma` px."""
    return damage.blur(clip["real"], sigma, None)


@control(
    "averaged over {n_frames} frames",
    "Each frame the mean of the real frames around it: calm, with ghosts.",
    feasible=False,
    needs=("real",),
)
def averaged(clip: dict, context: Context, *, n_frames: Several) -> np.ndarray:
    """Each frame the mean of the `n_frames` real frames around it."""
    real, before, after = clip["real"], (n_frames - 1) // 2, n_frames // 2
    return np.stack([to_uint8(real[max(0, t - before) : t + after + 1].mean(0)) for t in range(len(real))])


def following(ids: list[str], clip: str) -> str:
    """The clip after `clip` in a list, the first after the last."""
    return ids[(ids.index(clip) + 1) % len(ids)]


def cut(frames: np.ndarray, n: int) -> np.ndarray:
    """The first `n` frames; if there are fewer, the last one is repeated."""
    return frames[np.minimum(np.arange(n), len(frames) - 1)]


def another(context: Context, ids: list[str]) -> np.ndarray:
    """The real frames of the next clip in `ids`, the clips of one cluster: real video of the same kind."""
    return cut(context.real(following(ids, context.clip)), context.store.clips[context.clip]["n_frames"])


def possible(control: str, facts: Facts, arrays: list[str]) -> bool:
    """Whether `arrays` of the clip store include all that a control needs."""
    source = "label" if facts.source == "labels" else "maps"
    return all((source if name == "source" else name) in arrays for name in CONTROLS[control].needs)
