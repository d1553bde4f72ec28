"""A judge that predicts the label of each pixel: a small U-Net that the suite trains on real training frames."""

import numpy as np
import torch
from torch.nn import functional as F

from v2vbench.clips.augment import disturb
from v2vbench.clips.store import IGNORE, Facts, Store
from v2vbench.models import Judge
from v2vbench.models._blocks import must_divide
from v2vbench.models._unet import UNet
from v2vbench.parallel import passes
from v2vbench.params import Count, Fault, Weight

BATCH = 4  # frames per forward pass


class Model(Judge):
    """Frames to labels.

    n_filters                  channels of the first layer; doubled with every halving of the size
    n_down                     how often the size is halved
    blur, noise, brightness    augmentation: see clips.augment
    prior                      buffer: the most frequent label of each pixel in the training clips
    """

    READS = ("real", "label")

    def __init__(
        self, facts: Facts, *, n_filters: Count, n_down: Count, blur: Weight, noise: Weight, brightness: Weight
    ):
        super().__init__()
        if facts.source != "labels":
            raise Fault(f"segmenter predicts labels, and the source of {facts.name} is {facts.source}")
        must_divide(facts, 2**n_down, "segmenter")
        self.n_labels, self.disturbances = len(facts.label_names), dict(blur=blur, noise=noise, brightness=brightness)
        self.net = UNet(self.n_labels, n_filters, n_down)
        self.register_buffer("prior", torch.full(facts.size, IGNORE, dtype=torch.uint8))

    def parts(self) -> dict:
        """{part: its parameters}."""
        return {"G": list(self.net.parameters())}

    def scores(self, frames: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) to logits (B, K, H, W)."""
        return F.interpolate(self.net(frames).float(), scale_factor=2, mode="bilinear", align_corners=False)

    def losses(self, clip: dict) -> dict:
        """Cross-entropy, nats per pixel, in which each label has weight 1 / sqrt(its pixels in the batch).

        The weights help with rare labels, which matter as much as frequent ones in mean IoU. Ignored pixels are left
        out.
        """
        frames, labels = (
            disturb(clip["real"].flatten(0, 1), clip["step"], **self.disturbances),
            clip["source"].flatten(0, 1),
        )
        counts = torch.stack([(labels == label).sum() for label in range(self.n_labels)])
        return {
            "G": F.cross_entropy(self.scores(frames), labels, weight=counts.clamp_min(1).rsqrt(), ignore_index=IGNORE)
        }

    def finish(self, store: Store) -> None:
        """Set `prior` from the labels of every training frame."""
        counts = np.zeros((self.n_labels, *store.facts.size), np.int32)
        for clip in store.split("train"):
            for _, part in store.stream(clip, ["label"]):
                for label in range(self.n_labels):
                    counts[label] += (part["label"] == label).sum(0, dtype=np.int32)
        prior = np.where(counts.any(0), counts.argmax(0), IGNORE)  # ties: the lowest id
        self.prior.copy_(torch.from_numpy(prior))

    def predict(self, frames: torch.Tensor) -> torch.Tensor:
        """(T, 3, H, W) in [-1, 1] to label ids (T, H, W) int64, the same for any batch and any number of cores."""
        return passes(lambda batch: self.scores(batch).argmax(1), frames.float(), BATCH)
