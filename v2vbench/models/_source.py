"""The input of a generator for a frame: its labels, instance edges or maps, and the styles of its instances."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from v2vbench.clips.store import IGNORE, Facts, Store
from v2vbench.clips.tensors import to_tensors
from v2vbench.models import _styles as styles
from v2vbench.models._blocks import decoder, encode, encoder, head, n_source
from v2vbench.params import Count, Fault, Natural


@dataclass(frozen=True, kw_only=True)
class Styles:
    """Settings of the instance-wise encoder, and of the mixtures that styles are drawn from in synthesis."""

    n_features: Count  # channels of a style
    n_filters: Count  # of the encoder
    n_down: Natural
    mixture: Literal["gauss", "kmeans"]  # of each label: Gaussians as in vid2vid, cluster centres as in pix2pixHD
    n_components: Count  # at most, of each mixture
    min_px: Count  # smaller regions are left out of the fit
    seed: Natural  # of the fit, and of the styles drawn for a clip


class Source(nn.Module):
    """One-hot labels or maps, instance edges, and with `styles` a style for each instance.

    In training, styles are encoded from the real frames. In synthesis they are drawn from the mixtures; a drawn style
    stays the same for the whole clip.

    n_plain, n_channels    channels without and with styles
    raises                 Fault if edges or styles are set for data without instances or labels
    source                 section 3.4, Multimodal synthesis; pix2pixHD, section 3.4
    """

    means: torch.Tensor
    factors: torch.Tensor
    weights: torch.Tensor

    def __init__(self, facts: Facts, instance_edges: bool, style: Literal["none"] | Styles):
        super().__init__()
        self.facts, self.instance_edges = facts, instance_edges
        self.style = style if isinstance(style, Styles) else None
        self.n_plain = self.n_channels = n_source(facts, instance_edges)
        if isinstance(style, Styles):
            if facts.source != "labels":
                raise Fault(f"styles: {facts.name} has no labels; set styles: none in the run's kwargs")
            K, M, n = len(facts.label_names), style.n_components, style.n_features
            self.E = nn.Sequential(
                encoder(3, style.n_filters, style.n_down, 0, "instance"),
                decoder(style.n_filters, style.n_down, "instance"),
                head(style.n_filters, n, nn.Tanh()),
            )
            self.n_channels += n
            for name, shape in dict(means=(K, M, n), factors=(K, M, n, n), weights=(K, M)).items():
                self.register_buffer(name, torch.zeros(shape))

    def forward(self, clip: dict, memory: dict | None = None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The plain channels (B, T, n_plain, H, W) and the styles (B, T, n_features, H, W) or None.

        clip      if it has `real`, styles are encoded from these frames, else they are drawn
        memory    of the roll-out; its `style_seed`, if any, replaces the seed of the run
        """
        plain = encode(clip, self.facts, self.instance_edges)
        if not self.style:
            return plain, None
        ids = styles.regions(clip["source"], clip.get("instance"))
        if "real" in clip:
            return plain, self.encoded(clip["real"], ids)
        memory = {} if memory is None else memory
        drawn, seed = memory.setdefault("styles", {}), memory.get("style_seed", self.style.seed)
        new = [pair for pair in styles.present(ids) if pair not in drawn]
        mixture = dict(means=self.means.cpu(), factors=self.factors.cpu(), weights=self.weights.cpu())
        drawn |= styles.draw(mixture, new, seed)
        return plain, styles.paint(drawn, ids).to(plain.device)

    def joined(self, clip: dict, memory: dict | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """The inputs of the generator, (B, T, n_channels, H, W), and of the discriminator, (B, T, n_plain, H, W)."""
        plain, style = self(clip, memory)
        return (plain if style is None else torch.cat([plain, style], 2)), plain

    def encoded(self, real: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        """Styles of real frames: encoder features averaged over each region, 0 where the label is IGNORE.

        real       (B, T, 3, H, W)
        returns    (B, T, n_features, H, W)
        """
        features = styles.pool(self.E(real.flatten(0, 1)).float().unflatten(0, real.shape[:2]), ids)
        return features * (ids[:, :, None] // styles.STRIDE != IGNORE)

    @torch.no_grad()
    def fit(self, store: Store) -> None:
        """Fit the mixtures to the styles of the training clips, a few frames at a time; no-op without styles."""
        if self.style is None:
            return

        def pieces(name: str):
            arrays = [a for a in ("real", "label", "instance") if a in store.clips[name]["arrays"]]
            for _, piece in store.stream(name, arrays):
                tensors = {key: value[None].to(self.means.device) for key, value in to_tensors(piece).items()}
                ids = styles.regions(tensors["source"], tensors.get("instance"))
                yield self.encoded(tensors["real"], ids).cpu(), ids.cpu()

        vectors = styles.collect((piece for name in store.split("train") for piece in pieces(name)), self.style.min_px)
        mixture = styles.fit(
            vectors, self.style.mixture, self.style.n_components, self.style.seed, n_labels=len(self.means)
        )
        for name, value in mixture.items():
            getattr(self, name).copy_(value)
