"""The chance that a clip of one method is preferred to that of another, learned from damages or from votes."""

from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
from scipy import optimize, stats
from scipy.special import expit

from v2vbench.params import Count, Range, Share
from v2vbench.results.comparison import (
    Accuracy,
    CrossValidation,
    Fit,
    ReliabilityBin,
    RidgeFits,
    VoteShare,
    WinModel,
    WinPair,
)
from v2vbench.results.metric import Interval
from v2vbench.statistics.bradley_terry import Vote, share_of
from v2vbench.statistics.cost import cost
from v2vbench.statistics.intervals import Estimate, of_clips, spread
from v2vbench.statistics.ordered_pairs import OrderedPairs

Teacher = Literal["people", "bvi_vfi", "bapps", "damages"]
RIDGES = (0.1, 1, 10)  # times the ridge of params.yaml: the interval of a chance holds those at each of them


@dataclass(frozen=True, kw_only=True)
class WinSettings:
    """How it is learned; `preference.win` of params.yaml."""

    teachers: list[Teacher]  # the first that is here teaches, see v2vbench.statistics.teachers
    ridge: Annotated[float, Range(1e-6)]  # of the squared weights, beside the mean loss of a pair; see RIDGES
    n_folds: Annotated[int, Range(2)]  # of clusters, at most, in cross-validation
    n_bins: Count  # of the calibration curve, from a chance of a half to 1
    reach: Annotated[float, Range(0.5, 1)]  # quantile of the training differences; beyond it there is no evidence
    evidence: Share  # share of the clips that must be within reach; with fewer, two methods have no chance


@dataclass(frozen=True)
class _Weights:
    """One fit, (L,) arrays in the order of the metrics."""

    weights: np.ndarray  # log odds
    scales: np.ndarray  # median size of a difference
    reach: np.ndarray  # size of a difference beyond which there is no evidence


@dataclass(frozen=True)
class _HeldOut:
    """Chances of the rows of each fold, learned without them; a row may be in two folds."""

    p: np.ndarray  # (m,), NaN beyond reach
    row: np.ndarray  # (m,) int, of the pairs
    fold: np.ndarray  # (m,) names
    fits: dict[str, _Weights]  # without each fold

    def within_reach(self) -> "_HeldOut":
        near = np.isfinite(self.p)
        return _HeldOut(self.p[near], self.row[near], self.fold[near], self.fits)


def learn(pairs: OrderedPairs, settings: WinSettings, confidence: float) -> WinModel | None:
    """Logistic regression on differences of costs, with cross-validation; None if no metric separates any pair.

    P(first) = 1 / (1 + exp(-sum of weight x tanh(difference / scale))). There is no intercept, so exchanging the clips
    gives 1 - P. No weight is negative, so a clip that is better by every metric has P of at least 1/2. A metric adds at
    most its weight to the log odds, however far the clips differ. In effect it is a weighted majority vote, in which
    small differences count less.

    Held out in turn are folds of clusters, and what pairs.left_out names: of damages each one, and each kind. The
    calibration curve and `without` are of the first of these, such as damages not learned from, or of clusters where
    nothing can be left out. The outcome of a pair may be a share of votes, and its weight their number.
    """
    if not np.any(pairs.difference):
        return None
    everything = np.ones(len(pairs.outcome), bool)
    fit = _fit(pairs, everything, settings)
    at = {cluster: i for i, cluster in enumerate(dict.fromkeys(pairs.cluster))}
    fold = np.array([at[cluster] for cluster in pairs.cluster]) % settings.n_folds
    folds = {"cluster": {str(i): fold == i for i in range(min(settings.n_folds, len(at)))}} | pairs.left_out
    held_out = {by: _held_out(pairs, masks, settings) for by, masks in folds.items()}
    apart = next((by for by in pairs.left_out if len(held_out[by].fits) > 1), "cluster")

    def by_label(values: np.ndarray) -> dict[str, float]:
        return dict(zip(pairs.better, values.tolist()))

    ridges = {}
    for ridge in (times * settings.ridge for times in RIDGES if times != 1):
        other = replace(settings, ridge=ridge)
        without = {name: _fit(pairs, ~folds[apart][name], other) for name in held_out[apart].fits}
        ridges[f"{ridge:g}"] = RidgeFits(
            weights=by_label(_fit(pairs, everything, other).weights),
            without={name: by_label(one.weights) for name, one in without.items()},
        )
    return WinModel(
        learned_from=pairs.learned_from,
        n_pairs=len(pairs.outcome),
        n_adjacent=int(pairs.adjacent.sum()),
        n_clips=len(set(pairs.clip)),
        n_clusters=len(at),
        better=pairs.better,
        weights=by_label(fit.weights),
        scales=by_label(fit.scales),
        reach=by_label(fit.reach),
        apart=apart,
        without={
            name: Fit(weights=by_label(one.weights), scales=by_label(one.scales))
            for name, one in held_out[apart].fits.items()
        },
        ridges=ridges,
        cross_validation={by: _score(pairs, chances, confidence) for by, chances in held_out.items()},
        curve=_curve(pairs, held_out[apart], settings.n_bins, confidence),
    )


def probability(model: WinModel, differences: np.ndarray) -> list[float | None]:
    """The chance of the first clip of each pair; None, no evidence, where a metric differs by more than in training.

    differences     (n, L), cost of the second less that of the first, in the order of model.better
    """
    weights, scales, reach = (_in_order(model, values) for values in (model.weights, model.scales, model.reach))
    chances = _chances(weights, scales, reach, np.asarray(differences, float))
    return [None if np.isnan(p) else float(p) for p in chances]


def _in_order(model: WinModel, values: dict[str, float]) -> np.ndarray:
    """(L,) in the order of model.better."""
    return np.array([values[label] for label in model.better])


def win_pair(
    model: WinModel,
    a: str,
    b: str,
    values: dict[str, dict[str, list[float]]],
    settings: WinSettings,
    confidence: float,
    clusters: list[str],
) -> WinPair:
    """The mean chance that a clip of one run is preferred to the same clip of another.

    The mean is over clips within reach; there is none if these are too few. At each of RIDGES there is Student's
    interval: it adds the jackknife's variance over clusters and that over what was learned from, without each damage in
    turn, so that it is wide where the answer hangs on one of them. Low and high are the outermost of these: the ridge
    is a choice and no draw, and three of them have no variance that could be added.

    a, b        two runs
    values      {run: {label: a value a clip}} of the metrics of the model
    clusters    of each clip
    """
    difference = np.stack(
        [cost(values[b][label], how) - cost(values[a][label], how) for label, how in model.better.items()], -1
    )
    near, n = np.array([p is not None for p in probability(model, difference)]), len(difference)
    counts = {"n_clips": n, "n_no_evidence": int(n - near.sum())}
    if not near.any() or near.sum() < settings.evidence * n:
        return WinPair(a=a, b=b, chance=None, ridges=None, **counts)
    difference, names = difference[near], [name for name, keep in zip(clusters, near) if keep]
    means, ends = [], []
    for weights, without in _ridges(model):
        chances = _chances(weights, _in_order(model, model.scales), np.inf, difference)
        again = np.array(
            [
                _chances(fewer, _in_order(model, model.without[name].scales), np.inf, difference).mean()
                for name, fewer in without.items()
            ]
        )
        means.append(float(chances.mean()))
        if len(set(names)) > 1 and len(again) > 1:
            over_clusters = spread(of_clips(chances.tolist(), names))[1]
            over_teachers = spread(Estimate(means[-1], again, np.ones(len(again), int)))[1]
            error = np.hypot(over_clusters, over_teachers)
            half = stats.t.ppf((1 + confidence) / 2, min(len(set(names)), len(again)) - 1) * error
            ends.append((means[-1] - half, means[-1] + half))
    low = max(0.0, float(min(low for low, _ in ends))) if ends else None
    high = min(1.0, float(max(high for _, high in ends))) if ends else None
    chance = Interval(value=means[0], low=low, high=high)
    return WinPair(a=a, b=b, chance=chance, ridges=(min(means), max(means)), **counts)


def _ridges(model: WinModel) -> list[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Weights, and those without each of what is held out, at the ridge of params.yaml and then at the others."""
    without = {name: _in_order(model, fit.weights) for name, fit in model.without.items()}
    rounds = [(_in_order(model, model.weights), without)]
    for fits in model.ridges.values():
        without = {name: _in_order(model, weights) for name, weights in fits.without.items()}
        rounds.append((_in_order(model, fits.weights), without))
    return rounds


def _chances(weights: np.ndarray, scales: np.ndarray, reach: np.ndarray | float, difference: np.ndarray) -> np.ndarray:
    """(n,), NaN out of reach."""
    return np.where(
        (np.abs(difference) <= reach * (1 + 1e-9)).all(1), expit(np.tanh(difference / scales) @ weights), np.nan
    )


def _fit(pairs: OrderedPairs, rows: np.ndarray, settings: WinSettings) -> _Weights:
    """From some of the rows; a metric that is the same in all of them has weight and reach 0."""
    difference, outcome, weight = (
        pairs.difference[rows],
        pairs.outcome[rows],
        pairs.weight[rows] / pairs.weight[rows].sum(),
    )
    size = np.abs(difference)
    scales = np.array([np.median(some[some > 0]) if some.any() else 1.0 for some in size.T])
    z = np.tanh(difference / scales)

    def loss(w):
        logit = z @ w
        return weight @ (np.logaddexp(0, logit) - outcome * logit) + settings.ridge * w @ w / 2, (
            (weight * (expit(logit) - outcome)) @ z + settings.ridge * w
        )

    best = optimize.minimize(
        loss,
        np.zeros(len(scales)),
        jac=True,
        method="L-BFGS-B",
        bounds=len(scales) * [(0, None)],
        options={"ftol": 1e-12, "gtol": 1e-8, "maxiter": 1000},
    )
    return _Weights(best.x, scales, np.quantile(size, settings.reach, axis=0))


def _held_out(pairs: OrderedPairs, folds: dict[str, np.ndarray], settings: WinSettings) -> _HeldOut:
    p, row, fold, fits = [np.empty(0)], [np.empty(0, int)], [], {}
    for name, mask in folds.items():
        if mask.any() and pairs.difference[~mask].any():
            fit = fits[name] = _fit(pairs, ~mask, settings)
            p.append(_chances(fit.weights, fit.scales, fit.reach, pairs.difference[mask]))
            row.append(np.flatnonzero(mask))
            fold += mask.sum() * [name]
    return _HeldOut(np.concatenate(p), np.concatenate(row), np.array(fold), fits)


def _right(speaks: np.ndarray, outcome: np.ndarray) -> np.ndarray:
    """1 where what speaks for the first (above 0) or second agrees with the outcome, 0 where not; else a half."""
    return 0.5 + np.sign(speaks) * (outcome - 0.5)


def _share(pairs: OrderedPairs, rows: np.ndarray, right: np.ndarray, confidence: float) -> VoteShare | None:
    """Share of some of the pairs that was right, with its interval by cluster."""
    votes = [
        Vote(clip=clip, cluster=cluster, a="right", b="wrong", outcome=outcome, rater=None, source="metrics")
        for clip, cluster, outcome in zip(pairs.clip[rows], pairs.cluster[rows], right)
    ]
    return share_of(votes, confidence) if votes else None


def _score(pairs: OrderedPairs, held_out: _HeldOut, confidence: float) -> CrossValidation | None:
    """How well held-out pairs are predicted, beside what each metric alone, and most metrics, say of the same pairs.

    A pair without evidence counts in none of them. None where nothing could be held out.
    """
    near = held_out.within_reach()
    if not len(near.p):
        return None
    outcome, adjacent, signs = pairs.outcome[near.row], pairs.adjacent[near.row], np.sign(pairs.difference[near.row])
    right, safe = _right(near.p - 0.5, outcome), np.clip(near.p, 1e-15, 1 - 1e-15)

    def accuracy(speaks: np.ndarray) -> Accuracy:
        hits = _right(speaks, outcome)
        return Accuracy(accuracy=float(hits.mean()), adjacent=float(hits[adjacent].mean()) if adjacent.any() else None)

    metrics = {label: accuracy(signs[:, i]) for i, label in enumerate(pairs.better)}
    loss = -(outcome * np.log(safe) + (1 - outcome) * np.log1p(-safe)).mean()
    return CrossValidation(
        n_folds=len(held_out.fits),
        n_pairs=len(held_out.p),
        n_no_evidence=len(held_out.p) - len(near.p),
        accuracy=_share(pairs, near.row, right, confidence),
        log_loss=float(loss),
        log_loss_of_a_coin=float(np.log(2)),
        adjacent=_share(pairs, near.row[adjacent], right[adjacent], confidence),
        metrics=metrics,
        majority=accuracy(signs.sum(1)),
        best_metric=max(metrics, key=lambda label: metrics[label].accuracy),
        folds={name: float(right[near.fold == name].mean()) for name in held_out.fits if (near.fold == name).any()},
    )


def _curve(pairs: OrderedPairs, held_out: _HeldOut, n_bins: int, confidence: float) -> list[ReliabilityBin]:
    """Calibration curve: how often the clip with the higher probability was preferred, by that probability."""
    near = held_out.within_reach()
    outcome = pairs.outcome[near.row]
    favoured, right = np.maximum(near.p, 1 - near.p), np.where(near.p >= 0.5, outcome, 1 - outcome)
    edges = np.linspace(0.5, 1, n_bins + 1)
    of = np.minimum(((favoured - 0.5) * 2 * n_bins).astype(int), n_bins - 1)
    return [
        ReliabilityBin(
            low=float(edges[i]),
            high=float(edges[i + 1]),
            predicted=float(favoured[of == i].mean()) if (of == i).any() else None,
            observed=_share(pairs, near.row[of == i], right[of == i], confidence),
        )
        for i in range(n_bins)
    ]
