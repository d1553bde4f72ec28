"""A judge: what label does each pixel of a frame show? A small U-Net that the suite trains on real training frames."""

import numpy as np
import torch
from torch.nn import functional as F

from v2vbench.clips.store import IGNORE, Facts, Store
from v2vbench.models import Judge
from v2vbench.models._blocks import must_divide
from v2vbench.models._unet import UNet, disturb
from v2vbench.parallel import passes
from v2vbench.params import Count, Fault, Weight

BATCH = 4  # frames a pass


class Model(Judge):
    """Frames to labels.

    n_filters                  of the first layer; they double with every halving
    n_down                     halvings
    blur, noise, brightness    of training frames at most, see _unet.disturb
    The buffer `prior` is the label that each pixel shows most often in the training clips, which knows no frame at all.
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
        """(B, 3, H, W) to (B, K, H, W), unnormalised."""
        return F.interpolate(self.net(frames).float(), scale_factor=2, mode="bilinear", align_corners=False)

    def losses(self, clip: dict) -> dict:
        """Cross-entropy, nats a pixel, in which a label counts by 1 / sqrt(its pixels in the batch): mean IoU asks for the rare too.

        Ignored pixels do not count.
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
        """Count the labels of every training frame."""
        counts = np.zeros((self.n_labels, *store.facts.size), np.int32)
        for clip in store.split("train"):
            for _, part in store.stream(clip, ["label"]):
                for label in range(self.n_labels):
                    counts[label] += (part["label"] == label).sum(0, dtype=np.int32)
        prior = np.where(counts.any(0), counts.argmax(0), IGNORE)  # of equally frequent ones the first
        self.prior.copy_(torch.from_numpy(prior))

    def predict(self, frames: torch.Tensor) -> torch.Tensor:
        """(T, 3, H, W) in [-1, 1] to label ids (T, H, W) int64; no frame's depend on the others or on the number of cores."""
        return passes(lambda batch: self.scores(batch).argmax(1), frames.float(), BATCH)
