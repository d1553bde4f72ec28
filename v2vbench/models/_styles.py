"""Many videos from one source: style vectors of regions, drawn from mixtures fitted to the training clips; label edits.

A region is a pair (label, instance); a label without instances is one region.
Source: vid2vid (Wang et al., NeurIPS 2018), section 3, "Multimodal synthesis"; pix2pixHD (Wang et al., CVPR 2018),
section 3.4.
"""

import warnings
from collections.abc import Iterable
from typing import Literal

import numpy as np
import torch

from v2vbench.clips.store import IGNORE
from v2vbench.params import Count, Fault, Natural, choose

STRIDE = 65536  # region id = label * STRIDE + instance: instances are uint16 in the store
LEAST_VARIANCE = 1e-6  # added to every covariance's diagonal; the features are in [-1, 1]


def regions(source: torch.Tensor, instance: torch.Tensor | None = None) -> torch.Tensor:
    """An integer id for each region, the same in every frame.

    source      (B, T, H, W) int64, labels, 255 = ignore: one region, whatever `instance` says there
    instance    (B, T, H, W) int64 in 0..65535, 0 = none; None = none anywhere
    returns     (B, T, H, W) int64, label * 65536 + instance
    raises      Fault if the source is maps
    """
    if source.is_floating_point():
        raise Fault("styles need a source of labels; this one is maps")
    ids = source.long() * STRIDE
    return ids if instance is None else ids + instance.long() * (source != IGNORE)


def present(ids: torch.Tensor) -> list[tuple[int, int]]:
    """The pairs (label, instance) of the ids from `regions`, sorted; (255, 0) stands for ignored pixels."""
    return [divmod(name, STRIDE) for name in ids.unique().tolist()]


def _means(features, ids) -> tuple[torch.Tensor, ...]:
    """The mean of the features over each of n ids in each frame, and where they are.

    returns    means (B * T * n, F); number of pixels (B * T * n,), which may be 0; the row of each pixel in these two,
               (B, T, H, W); the ids (n,)
    """
    B, T, n_features = features.shape[:3]
    names, rows = ids.unique(return_inverse=True)
    rows = rows + len(names) * torch.arange(B * T, device=ids.device).view(B, T, 1, 1)
    n_px = rows.flatten().bincount(minlength=B * T * len(names))
    # float64: in float32 the sum of half a million equal values is off by half a percent
    totals = torch.zeros(len(n_px), n_features, dtype=torch.float64, device=features.device)
    totals = totals.index_add(0, rows.flatten(), features.movedim(2, -1).flatten(0, 3).double())
    return totals / n_px.clamp(min=1)[:, None], n_px, rows, names


def pool(features: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """The mean of each region of each frame, at all of its pixels: instance-wise average pooling.

    features    (B, T, F, H, W)
    ids         (B, T, H, W) int64
    returns     (B, T, F, H, W) float32, or float64 for float64 features, also under autocast; differentiable
    """
    means, _, rows, _ = _means(features, ids)
    return means.to(torch.promote_types(features.dtype, torch.float32))[rows].movedim(-1, 2)


@torch.no_grad()
def collect(batches: Iterable[tuple[torch.Tensor, torch.Tensor]], min_px: Count) -> dict[int, np.ndarray]:
    """One vector for each region and frame, grouped by label: the input of `fit`.

    batches    pairs of features (B, T, F, H, W), pooled or not, and ids (B, T, H, W) from `regions`
    min_px     smaller regions are left out, and so are ignored pixels
    returns    {label: (N, F) float32}, sorted by label; labels without a large enough region are missing
    """
    vectors: dict[int, list[np.ndarray]] = {}
    for features, ids in batches:
        means, n_px, _, names = _means(features, ids)
        labels = (names // STRIDE).repeat(features.shape[0] * features.shape[1])
        large = n_px >= max(min_px, 1)
        for label in labels[large & (labels != IGNORE)].unique().tolist():
            vectors.setdefault(label, []).append(means[large & (labels == label)].float().cpu().numpy())
    return {label: np.concatenate(vectors[label]) for label in sorted(vectors)}


def _gauss(x: np.ndarray, n: int, seed: int) -> tuple[np.ndarray, ...]:
    from sklearn.mixture import GaussianMixture

    x = np.concatenate([x, x]) if len(x) == 1 else x  # scikit-learn needs two
    fitted = GaussianMixture(n, reg_covar=LEAST_VARIANCE, max_iter=500, n_init=3, random_state=seed).fit(x)
    means, covariances, shares = map(np.asarray, (fitted.means_, fitted.covariances_, fitted.weights_))
    return means, np.linalg.cholesky(covariances), shares


def _kmeans(x: np.ndarray, n: int, seed: int) -> tuple[np.ndarray, ...]:
    from sklearn.cluster import KMeans

    fitted = KMeans(n, n_init=10, random_state=seed).fit(x)  # pyright: ignore[reportArgumentType] - a number is allowed
    return fitted.cluster_centers_, np.zeros((n, x.shape[1], x.shape[1])), np.full(n, 1 / n)


def fit(
    vectors: dict[int, np.ndarray],
    kind: Literal["gauss", "kmeans"],
    n_components: Count,
    seed: Natural,
    n_labels: Count,
) -> dict[str, torch.Tensor]:
    """Fit a mixture to the vectors of each label: Gaussians (vid2vid) or cluster centres (pix2pixHD).

    vectors         {label: (N, F)} as from `collect`
    kind            "gauss": full covariances; "kmeans": centres alone, all equally likely
    n_components    M, at most, of each label. A label with few distinct vectors has fewer: with "gauss" one component
                    for each F + 1 of them (F + 1 points span F dimensions) and at least one, with "kmeans" one for each
                    distinct vector. The unused components are zero and have weight 0
    n_labels        K
    returns         float32 arrays, the same on any number of threads:
                    means      (K, M, F)
                    factors    (K, M, F, F), lower Cholesky factors of the covariances; 0 for "kmeans"
                    weights    (K, M), which sum to 1 for a label in `vectors`; all 0 for other labels
    raises          Fault if `vectors` is empty, a label is not in 0..K-1, or a vector is not finite
    """
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    vectors = {label: np.asarray(x, np.float64) for label, x in vectors.items() if len(x)}
    fitter = choose({"gauss": _gauss, "kmeans": _kmeans}, kind, "kind of mixture")
    if not vectors:
        raise Fault("no vectors to fit: the training clips have no region of min_px pixels")
    if wrong := [label for label in vectors if not 0 <= label < n_labels]:
        raise Fault(f"vectors of label {wrong[0]}, but there are {n_labels} labels")
    if wrong := [label for label, x in vectors.items() if not np.isfinite(x).all()]:
        raise Fault(f"vectors of label {wrong[0]} are not finite: the encoder's training went astray")
    n_features = next(iter(vectors.values())).shape[1]
    means = torch.zeros(n_labels, n_components, n_features)
    factors, weights = torch.zeros(*means.shape, n_features), torch.zeros(*means.shape[:2])
    for label, x in vectors.items():
        n = len(np.unique(x, axis=0)) // (n_features + 1 if kind == "gauss" else 1)
        n = min(n_components, max(1, n))
        # One thread, since threads sum in any order. The warnings are of fits that have not quite converged, or that
        # have two equal centres; both are usable mixtures.
        with threadpool_limits(1), warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
            means[label, :n], factors[label, :n], weights[label, :n] = map(torch.from_numpy, fitter(x, n, seed))
    return {"means": means, "factors": factors, "weights": weights}


def draw(
    mixture: dict[str, torch.Tensor], pairs: Iterable[tuple[int, int]], seed: Natural
) -> dict[tuple[int, int], torch.Tensor]:
    """A random vector for each pair (label, instance), which depends on the seed and on that pair alone.

    mixture    from `fit`
    pairs      from `present`
    returns    {pair: (F,) float32}, on the mixture's device; zeros for labels of weight 0 (absent from the training
               clips) and for ignored pixels
    """
    means, factors, weights = (mixture[name].cpu().double().numpy() for name in ("means", "factors", "weights"))
    drawn = {}
    for label, instance in pairs:
        vector = np.zeros(means.shape[-1])
        if label < len(weights) and weights[label].any():
            rng = np.random.default_rng([seed, label, instance])
            m = rng.choice(weights.shape[1], p=weights[label] / weights[label].sum())
            vector = means[label, m] + factors[label, m] @ rng.standard_normal(len(vector))
        drawn[label, instance] = torch.from_numpy(vector).float().to(mixture["means"].device)
    return drawn


def paint(vectors: dict[tuple[int, int], torch.Tensor], ids: torch.Tensor) -> torch.Tensor:
    """Each region's vector at all of its pixels, in every frame of the clip.

    vectors    {(label, instance): (F,)} from `draw`
    ids        (B, T, H, W) int64 from `regions`; a pair has the same vector in all B clips
    returns    (B, T, F, H, W) float32
    raises     Fault naming a region that has no vector
    """
    if missing := [pair for pair in present(ids) if pair not in vectors]:
        raise Fault(f"no vector for label {missing[0][0]}, instance {missing[0][1]}")
    table = torch.stack([vectors[pair] for pair in present(ids)]).float().to(ids.device)
    return table[ids.unique(return_inverse=True)[1]].movedim(-1, 2)


def swap(source: torch.Tensor, names: tuple[str, ...], pairs: dict[str, str]) -> torch.Tensor:
    """The source with labels replaced, all at once: {"wall": "door", "door": "wall"} exchanges the two.

    source     (B, T, H, W) int64, 255 = ignore, which stays
    names      of the labels, as in the store's facts
    returns    a new tensor of the same shape and dtype; instances are not changed here
    raises     Fault naming an unknown label and listing the valid ones, or if the source is maps
    """
    if source.is_floating_point():
        raise Fault("swap needs a source of labels; this one is maps")
    if unknown := sorted({*pairs, *pairs.values()} - set(names)):
        raise Fault(f"swap: no label {', '.join(unknown)}; there are {', '.join(names)}")
    table = torch.arange(IGNORE + 1, device=source.device)
    for old, new in pairs.items():
        table[names.index(old)] = names.index(new)
    return table[source.long()]
