"""The contract of a model: a file here has a class `Model` that extends one of the three classes below.

| class      | section of params.yaml | must define     | produces                                            |
|------------|------------------------|-----------------|-----------------------------------------------------|
| VideoModel | runs                   | parts, generate | video, frame by frame, from its source              |
| Predictor  | predictors             | parts, predict  | the future of a video, from its past                |
| Judge      | judges                 | parts, predict  | what a frame shows; metrics name a judge in `judge` |

`Model(facts, *, ...)` is built from the data set's facts. Its other arguments are the `kwargs` of a line in
params.yaml, and their types are the schema of that line. A model whose `parts` is not empty also defines `losses`. All
other methods and constants have defaults, which a model may replace.
"""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import torch
from torch import nn

from v2vbench.clips.store import Store


def is_discriminator(name: str) -> bool:
    """Whether a parameter is a discriminator's, whose names are D or begin with D_: it is needed in training alone."""
    return name.split(".")[0] == "D" or name.startswith("D_")


class Trainable(nn.Module, ABC):
    """A model as the training loop uses it.

    READS    arrays of the store that training reads; None: all except depth and keypoints
    """

    READS: ClassVar[tuple[str, ...] | None] = None

    @abstractmethod
    def parts(self) -> dict[str, list[nn.Parameter]]:
        """{part: parameters of its optimiser}: "G" first, then its discriminators; {} if there is nothing to train."""

    def losses(self, clip: dict) -> dict[str, torch.Tensor]:
        """The loss of every part on one batch of windows, and the detached terms of these losses for learning curves.

        clip       as `Windows.batch` returns it
        returns    scalars; the loss of a part is under the part's name
        """
        raise NotImplementedError(f"{type(self).__module__} has parts to train and defines no losses")

    def begin(self, weights: dict[str, torch.Tensor]) -> None:
        """Start from the weights that `base` names: all of them, or those of a generator with new discriminators.

        raises    RuntimeError naming keys that are missing, unexpected or of another shape
        """
        if not any(is_discriminator(name) for name in weights):
            weights = {name: value for name, value in self.state_dict().items() if is_discriminator(name)} | weights
        self.load_state_dict(weights)

    def finish(self, store: Store) -> None:
        """Compute buffers from the training clips; runs once after training, before the weights are saved."""


class VideoModel(Trainable):
    """A method: makes video from its source.

    n_past          past frames that the next frame is made from; 0: each frame is made alone
    from_nothing    the model also generates its first n_past frames, each from a shorter past
    NEEDS           arrays that `generate` needs in addition to the source
    NEEDS_BASE      the model of the run that `base` must name; "": `base` is optional and names a run of the same model

    n_past and from_nothing may be arguments of a model: `check` reads them from the kwargs, or else from the class.
    """

    NEEDS: ClassVar[tuple[str, ...]] = ()
    NEEDS_BASE: ClassVar[str] = ""
    n_past: int = 0
    from_nothing: bool = False

    @abstractmethod
    def generate(self, clip: dict, past: torch.Tensor, memory: dict) -> torch.Tensor:
        """The frame after `past`.

        clip       (1, P + 1, ...) each, of the frames in `past` and the next one: `source`, `instance` if the data set
                   has it, and the arrays in NEEDS
        past       (1, P, 3, H, W) in [-1, 1]; P is n_past, or less at a clip's start if from_nothing is set
        memory     what the model keeps from frame to frame. At a clip's start it holds "clip", the store's entry of the
                   test clip (id, n_frames, ...), and "style_seed" where styles are drawn with another seed; it is empty
                   where the source is of no test clip, such as a predicted one
        returns    (1, 3, H, W) in [-1, 1]
        """

    def check_store(self, store: Store) -> None:
        """Refuse a data set whose test clips the model cannot make; runs before the first frame; raises Fault."""


class Predictor(Trainable):
    """Continues a video after its first frames, without the source of the frames that it predicts.

    PREDICTS      "frames"; or "labels", from which the run that the line names in `video` makes frames
    SEES          arrays of the past that `predict` reads, of real, source, instance, flow and occluded
    STOCHASTIC    it draws: each sample is another future
    CEILING       it is given the true future of the arrays in SEES: a yardstick that no prediction can beat
    """

    PREDICTS: ClassVar[Literal["frames", "labels"]] = "frames"
    SEES: ClassVar[tuple[str, ...]] = ("real",)
    STOCHASTIC: ClassVar[bool] = False
    CEILING: ClassVar[bool] = False

    @abstractmethod
    def predict(self, past: dict, n_future: int, noise: torch.Generator) -> torch.Tensor:
        """The n_future frames after `past`, or their labels.

        past       (1, n_past, ...) each, of the arrays in SEES: real in [-1, 1]; source, label ids or maps; flow and
                   occluded have one frame fewer. Of a CEILING (1, n_past + n_future, ...)
        noise      what a STOCHASTIC model draws from, on the device of `past`; equal seeds give equal futures
        returns    (1, n_future, 3, H, W) in [-1, 1], or label ids (1, n_future, H, W)
        """


class Judge(Trainable):
    """A network trained on real frames that predicts what a frame shows, such as labels or keypoints.

    prior    a buffer: the constant prediction that ignores the frame
    """

    prior: torch.Tensor

    @abstractmethod
    def predict(self, frames: torch.Tensor) -> torch.Tensor:
        """(T, 3, H, W) in [-1, 1] to (T, ...); the prediction for a frame depends on no other frame."""


SECTIONS: dict[str, type[Trainable]] = {"runs": VideoModel, "predictors": Predictor, "judges": Judge}  # of params.yaml


def problems(module) -> list[str]:
    """How a file breaks the contract, one line for each problem."""
    model = getattr(module, "Model", None)
    if not (isinstance(model, type) and issubclass(model, tuple(SECTIONS.values()))):
        return [f"has no class Model that extends {' or '.join(kind.__name__ for kind in SECTIONS.values())}"]
    return [f"class Model does not define {name}" for name in sorted(model.__abstractmethods__)]
