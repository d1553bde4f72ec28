"""The chance that a clip of one method is preferred to that of another, learned from pairs whose order is known.

Without votes of people it learns from damages: the same real clip, damaged less and more. That is a proxy, and no human preference.
"""
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from scipy import optimize, stats
from scipy.special import expit

from v2vbench.intervals import Estimate, of_clips, spread
from v2vbench.metrics import COST
from v2vbench.params import Count, Range, Share
from v2vbench.rank import share_of

LEARNED_FROM = {"people": "people", "simulated": "simulated raters", "damages": "damages of known order"}


@dataclass(frozen=True, kw_only=True)
class Win:
    """How it is learned; `preference.win` of params.yaml."""
    ridge: Annotated[float, Range(1e-6)]   # of the squared weights, beside the mean loss of a pair
    n_folds: Annotated[int, Range(2)]      # of clips, at most, in cross-validation
    n_bins: Count                          # of the calibration curve, from a chance of a half to 1
    reach: Annotated[float, Range(0.5, 1)]         # quantile of the differences seen in training; beyond it there is no evidence
    evidence: Share                        # share of the clips that must be within reach; below it two methods have no chance told


@dataclass(frozen=True)
class Known:
    """Pairs of clips whose order is known, a row each."""
    better: dict[str, str]                 # {label: BETTER} of the L metrics
    difference: np.ndarray                 # (n, L), cost of the second clip less that of the first: above 0 speaks for the first
    outcome: np.ndarray                    # (n,), 1 the first is preferred, 0 the second, 0.5 neither
    clip: np.ndarray                       # (n,), names
    weight: np.ndarray                     # (n,)
    adjacent: np.ndarray                   # (n,) bool: as near to each other as known pairs get
    left_out: dict                         # {"damage" | "kind" | "model": {name: (n,) bool, whether a row is of it}}
    learned_from: str


def of_damages(calibration: dict, better: dict[str, str]) -> Known:
    """Pairs of the same clip at two levels of one ladder, the less damaged preferred; all ladders count alike.

    The undamaged clip, level 0, is left out: no method's video is the real one, and a metric that compares with real frames
    has its bound there (100 dB, 1, 0), so that no later difference would be out of reach.

    calibration   {"clips", "ladders": {name: {"kind", "levels", "metrics": {label: {"per_clip": (levels, clips)}}}}}, levels in
                  the order of damage
    """
    parts = []
    for name, ladder in calibration["ladders"].items():
        costs = np.stack([COST[how](np.array(ladder["metrics"][label]["per_clip"], float)) for label, how in better.items()], -1)
        levels = [i for i, level in enumerate(ladder["levels"]) if level != 0]
        weight = 2 / (len(levels) * (len(levels) - 1)) if len(levels) > 1 else 0
        parts += [(costs[j] - costs[i], clip, name, ladder["kind"], weight, j == i + 1) for i in levels for j in levels if j > i
                  for clip in [calibration["clips"]]]
    difference = np.concatenate([np.empty((0, len(better))), *(part[0] for part in parts)])
    rows = [(clip, *rest) for _, clips, *rest in parts for clip in clips]
    clip, name, kind, weight, adjacent = map(np.array, zip(*rows)) if rows else 5 * (np.empty(0),)
    left_out = {"damage": {str(n): name == n for n in dict.fromkeys(name)}, "kind": {str(k): kind == k for k in dict.fromkeys(kind)}}
    return Known(better, difference, np.ones(len(rows)), clip, weight, adjacent.astype(bool), left_out, LEARNED_FROM["damages"])


def of_votes(votes: list[dict], values: dict, clips: list[str], better: dict[str, str]) -> Known:
    """Pairs that someone voted on, of one source; `values` are {run: {label: per clip}}, in the order of `clips`."""
    at = {clip: i for i, clip in enumerate(clips)}
    costs = {run: np.stack([COST[how](np.array(own[label], float)) for label, how in better.items()], -1) for run, own in values.items()}
    difference = np.array([costs[v["b"]][at[v["clip"]]] - costs[v["a"]][at[v["clip"]]] for v in votes])
    models = sorted({vote[side] for vote in votes for side in "ab"})
    left_out = {"model": {m: np.array([m in (v["a"], v["b"]) for v in votes]) for m in models}}
    return Known(better, difference, np.array([v["outcome"] for v in votes], float), np.array([v["clip"] for v in votes]),
                 np.ones(len(votes)), np.ones(len(votes), bool), left_out, LEARNED_FROM[votes[0]["source"]])


def learn(known: Known, settings: Win, confidence: float) -> dict | None:
    """Logistic regression on differences of costs, cross-validated; None where no metric tells any pair apart.

    P(first) = 1 / (1 + exp(-sum of weight x tanh(difference / scale))): no intercept, so that exchanging the clips gives 1 - P; no
    weight is below 0, so that a clip that is better by every metric is never the less likely one; and no metric adds more than its
    weight to the log odds, however far the clips differ. It is a majority vote with weights, in which a small lead counts less.

    returns     {"learned_from", "n_pairs", "n_adjacent", "n_clips", "better": {label: BETTER}, "weights": {label: log odds},
                "scales": {label: median size of a difference}, "reach": {label: beyond which there is no evidence}, "apart": by,
                "without": {what was left out: {"weights", "scales"} learned without it}, "cross_validation": {by: see `_score`, or None},
                "curve": [{"from", "to", "predicted", "observed": see `share_of`}]}. `by` is "clip", and "damage" and "kind" of damage, or
                "model"; the curve and "without" are of damages or models not learned from, or of clips if there are too few
    """
    if not np.any(known.difference):
        return None
    weights, scales, reach = _fit(known, np.ones(len(known.outcome), bool), settings)
    at = {clip: i for i, clip in enumerate(dict.fromkeys(known.clip))}
    fold = np.array([at[clip] for clip in known.clip]) % settings.n_folds
    held_out = {by: _held_out(known, folds, settings) for by, folds in
                ({"clip": {str(i): fold == i for i in range(min(settings.n_folds, len(at)))}} | known.left_out).items()}
    by = next((by for by in known.left_out if len(held_out[by]["fits"]) > 1), "clip")
    apart = held_out[by]
    by_label = {name: dict(zip(known.better, values.tolist())) for name, values in
                {"weights": weights, "scales": scales, "reach": reach}.items()}
    return {"learned_from": known.learned_from, "n_pairs": len(known.outcome), "n_adjacent": int(known.adjacent.sum()), "n_clips": len(at),
            "better": known.better, **by_label, "apart": by, "without": {
                name: {"weights": own[0].tolist(), "scales": own[1].tolist()} for name, own in apart["fits"].items()},
            "cross_validation": {by: _score(known, own, confidence) for by, own in held_out.items()},
            "curve": _curve(known, apart, settings.n_bins, confidence)}


def probability(model: dict, differences: np.ndarray) -> list[float | None]:
    """The chance of the first clip of each pair; None, no evidence, where a metric differs by more than it did in training.

    differences     (n, L), cost of the second less that of the first, in the order of model["better"]
    """
    fit = (np.array(list(model[name].values())) for name in ("weights", "scales", "reach"))
    chances = _chances(*fit, np.asarray(differences, float))
    return [None if np.isnan(p) else float(p) for p in chances]


def pairs(model: dict, a: dict, b: dict, settings: Win, confidence: float) -> dict:
    """The mean chance that a clip of `a` is preferred to the same clip of `b`, each {label: values per clip}.

    returns     {"p", "low", "high", "n_clips", "n_no_evidence"}. The mean is over clips within reach, and None if these are too few. The
                interval is Student's: it adds the jackknife's variance over clips and that over what was learned from, without each
                damage (or model) in turn, so that it is wide where the answer hangs on one of them
    """
    difference = np.stack([COST[how](np.array(b[label], float)) - COST[how](np.array(a[label], float))
                           for label, how in model["better"].items()], -1)
    found, n = probability(model, difference), len(difference)
    near, chances = [p is not None for p in found], [p for p in found if p is not None]
    told = {"p": None, "low": None, "high": None, "n_clips": n, "n_no_evidence": n - len(chances)}
    if not chances or len(chances) < settings.evidence * n:
        return told
    told["p"] = p = float(np.mean(chances))
    without = np.array([_chances(np.array(own["weights"]), np.array(own["scales"]), np.inf, difference[near]).mean()
                        for own in model["without"].values()])
    if len(chances) > 1 and len(without) > 1:
        error = np.hypot(spread(of_clips(chances, range(len(chances))))[1], spread(Estimate(p, without, np.ones(len(without), int)))[1])
        half = stats.t.ppf((1 + confidence) / 2, min(len(chances), len(without)) - 1) * error
        told |= {"low": max(0.0, float(p - half)), "high": min(1.0, float(p + half))}
    return told


def _chances(weights: np.ndarray, scales: np.ndarray, reach: np.ndarray | float, difference: np.ndarray) -> np.ndarray:
    """(n,), NaN out of reach."""
    return np.where((np.abs(difference) <= reach * (1 + 1e-9)).all(1), expit(np.tanh(difference / scales) @ weights), np.nan)


def _fit(known: Known, rows: np.ndarray, settings: Win) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights, scales and reach (L,) from some of the rows; a metric that is the same in all of them has weight and reach 0."""
    difference, outcome, weight = known.difference[rows], known.outcome[rows], known.weight[rows] / known.weight[rows].sum()
    size = np.abs(difference)
    scales = np.array([np.median(own[own > 0]) if own.any() else 1.0 for own in size.T])
    z = np.tanh(difference / scales)

    def loss(w):
        logit = z @ w
        return weight @ (np.logaddexp(0, logit) - outcome * logit) + settings.ridge * w @ w / 2, (
            (weight * (expit(logit) - outcome)) @ z + settings.ridge * w)

    found = optimize.minimize(loss, np.zeros(len(scales)), jac=True, method="L-BFGS-B", bounds=len(scales) * [(0, None)],
                              options={"ftol": 1e-12, "gtol": 1e-8, "maxiter": 1000})
    return found.x, scales, np.quantile(size, settings.reach, axis=0)


def _held_out(known: Known, folds: dict, settings: Win) -> dict:
    """Chances of the rows of each fold, learned without them: {"p", "row", "fold", "fits"}; a row may be in two folds."""
    p, row, fold, fits = [np.empty(0)], [np.empty(0, int)], [], {}
    for name, mask in folds.items():
        if mask.any() and known.difference[~mask].any():
            fits[name] = _fit(known, ~mask, settings)
            p.append(_chances(*fits[name], known.difference[mask]))
            row.append(np.flatnonzero(mask))
            fold += mask.sum() * [name]
    return {"p": np.concatenate(p), "row": np.concatenate(row), "fold": np.array(fold), "fits": fits}


def _right(speaks: np.ndarray, outcome: np.ndarray) -> np.ndarray:
    """1 where what speaks for the first (above 0) or the second agrees with the outcome, 0 where not, a half where either is even."""
    return 0.5 + np.sign(speaks) * (outcome - 0.5)


def _share(right: np.ndarray, clips: np.ndarray, confidence: float) -> dict | None:
    votes = [{"clip": clip, "rater": None, "outcome": outcome} for clip, outcome in zip(clips, right)]
    return share_of(votes, confidence) if votes else None


def _score(known: Known, held: dict, confidence: float) -> dict | None:
    """How well pairs that were not learned from are told, beside what each metric alone, and most metrics, say of the same pairs.

    returns     {"n_folds", "n_pairs", "n_no_evidence", "accuracy", "log_loss", "log_loss_of_a_coin", "adjacent": accuracy on adjacent
                pairs, "metrics": {label: {"accuracy", "adjacent"}}, "majority": the same, "best_metric": label, "folds": {name: accuracy}};
                a pair without evidence counts in none of them. None where nothing could be left out
    """
    seen = np.isfinite(held["p"])
    if not seen.any():
        return None
    p, row, fold = held["p"][seen], held["row"][seen], held["fold"][seen]
    outcome, clip, near, signs = known.outcome[row], known.clip[row], known.adjacent[row], np.sign(known.difference[row])
    right, safe = _right(p - 0.5, outcome), np.clip(p, 1e-15, 1 - 1e-15)

    def both(speaks):
        own = _right(speaks, outcome)
        return {"accuracy": float(own.mean()), "adjacent": float(own[near].mean()) if near.any() else None}

    metrics = {label: both(signs[:, i]) for i, label in enumerate(known.better)}
    loss = -(outcome * np.log(safe) + (1 - outcome) * np.log1p(-safe)).mean()
    return {"n_folds": len(held["fits"]), "n_pairs": len(held["p"]), "n_no_evidence": int((~seen).sum()),
            "accuracy": _share(right, clip, confidence), "log_loss": float(loss), "log_loss_of_a_coin": float(np.log(2)),
            "adjacent": _share(right[near], clip[near], confidence), "metrics": metrics, "majority": both(signs.sum(1)),
            "best_metric": max(metrics, key=lambda label: metrics[label]["accuracy"]),
            "folds": {name: float(right[fold == name].mean()) for name in held["fits"] if (fold == name).any()}}


def _curve(known: Known, held: dict, n_bins: int, confidence: float) -> list[dict]:
    """How often the clip held more likely was preferred, by how likely it was held."""
    seen = np.isfinite(held["p"])
    p, row = held["p"][seen], held["row"][seen]
    favoured, right = np.maximum(p, 1 - p), np.where(p >= 0.5, known.outcome[row], 1 - known.outcome[row])
    edges = np.linspace(0.5, 1, n_bins + 1)
    of = np.minimum(((favoured - 0.5) * 2 * n_bins).astype(int), n_bins - 1)
    return [{"from": float(edges[i]), "to": float(edges[i + 1]), "predicted": float(favoured[of == i].mean()) if (of == i).any() else None,
             "observed": _share(right[of == i], known.clip[row][of == i], confidence)} for i in range(n_bins)]
