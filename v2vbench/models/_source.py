"""What a generator sees of a frame's source: labels, edges, drawings, and the styles of its instances."""

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
    """The instance-wise encoder and the mixtures that stand for it where no real frame is to be seen."""

    n_features: Count  # channels of a style
    n_filters: Count  # of the encoder
    n_down: Natural
    mixture: Literal["gauss", "kmeans"]  # a label's: vid2vid's Gaussians, pix2pixHD's cluster centres
    n_components: Count  # of it, at most
    min_px: Count  # of a region whose style counts in the fit
    seed: Natural  # of the fit, and of what is drawn for a clip


class Source(nn.Module):
    """One-hot labels or maps, instance edges, and with `styles` a style for each instance (section 3.4, Multimodal; pix2pixHD 3.4).

    The styles come from the real frames in training and are drawn from the mixtures when video is made; a drawn style is held over
    the clip.

    n_plain, n_channels    channels without and with styles
    raises                 Fault where edges or styles are asked of data that have no instances or labels
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

        clip      with `real`: styles are encoded from it; without: they are drawn
        memory    of the roll-out; `style_seed` in it replaces the run's own
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
        """What a generator sees (B, T, n_channels, H, W), and what a discriminator does, the same without styles."""
        plain, style = self(clip, memory)
        return (plain if style is None else torch.cat([plain, style], 2)), plain

    def encoded(self, real: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        """The styles of real frames (B, T, 3, H, W): features averaged over each region, (B, T, n_features, H, W), 0 where ignored."""
        features = styles.pool(self.E(real.flatten(0, 1)).float().unflatten(0, real.shape[:2]), ids)
        return features * (ids[:, :, None] // styles.STRIDE != IGNORE)

    @torch.no_grad()
    def fit(self, store: Store) -> None:
        """Fit the mixtures to the styles of the training clips, a few frames of which are in memory at a time; without styles, nothing."""
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
