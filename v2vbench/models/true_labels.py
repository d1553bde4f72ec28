"""The ceiling of prediction by labels: the true labels of the future, from which a run then makes frames."""

from typing import ClassVar, Literal

import torch

from v2vbench.clips.store import Facts
from v2vbench.models import Predictor
from v2vbench.params import Fault


class Model(Predictor):
    """Has nothing to train, and predicts nothing: it is given the labels of the future."""

    PREDICTS: ClassVar[Literal["frames", "labels"]] = "labels"
    SEES: ClassVar[tuple[str, ...]] = ("source",)
    CEILING: ClassVar[bool] = True

    def __init__(self, facts: Facts):
        super().__init__()
        if facts.source != "labels":
            raise Fault(f"true_labels needs labels, and the source of {facts.name} is {facts.source}")

    def parts(self) -> dict:
        """{}: nothing to train."""
        return {}

    def predict(self, past: dict, n_future: int, noise: torch.Generator) -> torch.Tensor:
        """The last n_future of source (1, n_past + n_future, H, W)."""
        return past["source"][:, -n_future:]
