"""The contract of a model: a file here has a class `Model` that extends one of the three classes below.

| class      | a line of | must define     | is asked for                                    |
|------------|-----------|-----------------|-------------------------------------------------|
| VideoModel | runs      | parts, generate | video, frame by frame                           |
| Forecaster | forecasts | parts, forecast | the source of frames to come                    |
| Judge      | judges    | parts, predict  | what a frame shows; metrics name it in `judge`  |

`Model(facts, *, ...)` is built from the data set's facts; its other arguments are the `kwargs` of a line, and their types the
schema. What has parts also defines `losses`. The other methods and constants have defaults, which a model may replace.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import nn

from v2vbench.clips.store import Store


class Trainable(nn.Module, ABC):
    """What the training loop needs.

    READS    arrays of the store that training reads; None: all but depth and keypoints
    """

    READS: ClassVar[tuple[str, ...] | None] = None

    @abstractmethod
    def parts(self) -> dict[str, list[nn.Parameter]]:
        """{part: the parameters of its optimiser}: "G" first, then what is trained against it; {}: there is nothing to train."""

    def losses(self, clip: dict) -> dict[str, torch.Tensor]:
        """The loss of every part on one batch of windows, and terms of the losses, detached, for the learning curves.

        clip       as `Windows.batch` returns it
        returns    scalars: each part's loss under the part's name
        """
        raise NotImplementedError(f"{type(self).__module__} has parts to train and defines no losses")

    def begin(self, weights: dict[str, torch.Tensor]) -> None:
        """Start from the weights of the line's `base`; raises RuntimeError naming keys that do not fit."""
        self.load_state_dict(weights)

    def finish(self, store: Store) -> None:
        """Called once after training, before the weights are saved: fills buffers from the training clips."""


class VideoModel(Trainable):
    """A method: makes video from its source.

    n_past          frames that the next one is made from; 0: each frame is made alone
    from_nothing    its first n_past frames are its own as well, made from a shorter past
    NEEDS           arrays beside the source that `generate` is given
    NEEDS_BASE      the model of the run that `base` must name; "": none is needed, and a base is of the same model

    n_past and from_nothing are arguments of a model that is given them as kwargs; `check` reads them there or on the class.
    """

    NEEDS: ClassVar[tuple[str, ...]] = ()
    NEEDS_BASE: ClassVar[str] = ""
    n_past: int = 0
    from_nothing: bool = False

    @abstractmethod
    def generate(self, clip: dict, past: torch.Tensor, memory: dict) -> torch.Tensor:
        """The frame after `past`.

        clip       `source`, and where there are any `instance` and NEEDS, of the frames of `past` and of the next one: (1, P + 1, ...)
        past       (1, P, 3, H, W) in [-1, 1]; P is n_past, or with from_nothing fewer at a clip's start
        memory     what the model keeps from frame to frame; empty at a clip's start
        returns    (1, 3, H, W) in [-1, 1]
        """


class Forecaster(Trainable):
    """Predicts the source, from which a VideoModel then makes video."""

    @abstractmethod
    def forecast(self, source: torch.Tensor, horizon: int) -> torch.Tensor:
        """Source (1, n_past, ...) to that of the `horizon` frames after it, (1, horizon, ...)."""


class Judge(Trainable):
    """Trained on real frames, reads what frames show.

    prior    a buffer: what it would answer without a look at the frame
    """

    prior: torch.Tensor

    @abstractmethod
    def predict(self, frames: torch.Tensor) -> torch.Tensor:
        """(T, 3, H, W) in [-1, 1] to (T, ...); the answer for a frame depends on no other frame."""


SECTIONS: dict[str, type[Trainable]] = {"runs": VideoModel, "forecasts": Forecaster, "judges": Judge}  # of params.yaml


def problems(module) -> list[str]:
    """What keeps a file from the contract, a line each."""
    model = getattr(module, "Model", None)
    if not (isinstance(model, type) and issubclass(model, tuple(SECTIONS.values()))):
        return [f"has no class Model that extends {' or '.join(kind.__name__ for kind in SECTIONS.values())}"]
    return [f"class Model does not define {name}" for name in sorted(model.__abstractmethods__)]
