"""The chance that a clip of one method is preferred to that of another, learned from pairs whose order is known (v2vbench.statistics.ordered_pairs)."""

from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from scipy import optimize, stats
from scipy.special import expit

from v2vbench.params import Count, Range, Share
from v2vbench.statistics.bradley_terry import share_of
from v2vbench.statistics.cost import COST
from v2vbench.statistics.intervals import Estimate, of_clips, spread
from v2vbench.statistics.ordered_pairs import Known

RIDGES = (0.1, 1, 10)  # times the ridge of params.yaml: the interval of a chance holds those at each of them


@dataclass(frozen=True, kw_only=True)
class Win:
    """How it is learned; `preference.win` of params.yaml."""

    ridge: Annotated[float, Range(1e-6)]  # of the squared weights, beside the mean loss of a pair; see RIDGES
    n_folds: Annotated[int, Range(2)]  # of clusters, at most, in cross-validation
    n_bins: Count  # of the calibration curve, from a chance of a half to 1
    reach: Annotated[
        float, Range(0.5, 1)
    ]  # quantile of the differences seen in training; beyond it there is no evidence
    evidence: Share  # share of the clips that must be within reach; below it two methods have no chance told


def learn(known: Known, settings: Win, confidence: float) -> dict | None:
    """Logistic regression on differences of costs, cross-validated; None where no metric tells any pair apart.

    P(first) = 1 / (1 + exp(-sum of weight x tanh(difference / scale))): no intercept, so that exchanging the clips gives 1 - P; no
    weight is below 0, so that a clip that is better by every metric is never the less likely one; and no metric adds more than its
    weight to the log odds, however far the clips differ. It is a majority vote with weights, in which a small lead counts less.

    returns     {"learned_from", "n_pairs", "n_adjacent", "n_clips", "n_clusters", "better": {label: BETTER}, "weights": {label: log odds},
                "scales": {label: median size of a difference}, "reach": {label: beyond which there is no evidence}, "apart": by,
                "without": {what was left out: {"weights", "scales"} learned without it}, "ridges": {ridge: {"weights", "without": {what
                was left out: weights}}}, of the others of RIDGES, "cross_validation": {by: see `_score`, or None}, "curve": [{"from", "to",
                "predicted", "observed": see `share_of`}]}. `by` is "cluster" of clips, and "damage" and "kind" of damage, or "model"; the
                curve and "without" are of damages or models not learned from, or of clusters if there are too few
    """
    if not np.any(known.difference):
        return None
    weights, scales, reach = _fit(known, np.ones(len(known.outcome), bool), settings)
    at = {cluster: i for i, cluster in enumerate(dict.fromkeys(known.cluster))}
    fold = np.array([at[cluster] for cluster in known.cluster]) % settings.n_folds
    out = {"cluster": {str(i): fold == i for i in range(min(settings.n_folds, len(at)))}} | known.left_out
    held_out = {by: _held_out(known, folds, settings) for by, folds in out.items()}
    by = next((by for by in known.left_out if len(held_out[by]["fits"]) > 1), "cluster")
    apart, ridges = held_out[by], {}
    for ridge in (times * settings.ridge for times in RIDGES if times != 1):
        other = replace(settings, ridge=ridge)
        ridges[f"{ridge:g}"] = {
            "weights": _fit(known, np.ones(len(known.outcome), bool), other)[0].tolist(),
            "without": {name: _fit(known, ~out[by][name], other)[0].tolist() for name in apart["fits"]},
        }
    by_label = {
        name: dict(zip(known.better, values.tolist()))
        for name, values in {"weights": weights, "scales": scales, "reach": reach}.items()
    }
    return {
        "learned_from": known.learned_from,
        "n_pairs": len(known.outcome),
        "n_adjacent": int(known.adjacent.sum()),
        "n_clips": len(set(known.clip)),
        "n_clusters": len(at),
        "better": known.better,
        **by_label,
        "apart": by,
        "without": {
            name: {"weights": own[0].tolist(), "scales": own[1].tolist()} for name, own in apart["fits"].items()
        },
        "ridges": ridges,
        "cross_validation": {by: _score(known, own, confidence) for by, own in held_out.items()},
        "curve": _curve(known, apart, settings.n_bins, confidence),
    }


def probability(model: dict, differences: np.ndarray) -> list[float | None]:
    """The chance of the first clip of each pair; None, no evidence, where a metric differs by more than it did in training.

    differences     (n, L), cost of the second less that of the first, in the order of model["better"]
    """
    fit = (np.array(list(model[name].values())) for name in ("weights", "scales", "reach"))
    chances = _chances(*fit, np.asarray(differences, float))
    return [None if np.isnan(p) else float(p) for p in chances]


def pairs(model: dict, a: dict, b: dict, settings: Win, confidence: float, clusters: list[str] | None = None) -> dict:
    """The mean chance that a clip of `a` is preferred to the same clip of `b`, each {label: values per clip}.

    clusters    of each clip; None: each clip is its own
    returns     {"p", "low", "high", "p_ridges": [lowest, highest p of RIDGES], "n_clips", "n_no_evidence"}. The mean is over clips within
                reach, and None if these are too few. At each of RIDGES there is Student's interval: it adds the jackknife's variance over
                clusters and that over what was learned from, without each damage (or model) in turn, so that it is wide where the answer
                hangs on one of them. Low and high are the outermost of these: the ridge is a choice and no draw, and three of them have
                no variance that could be added
    """
    difference = np.stack(
        [
            COST[how](np.array(b[label], float)) - COST[how](np.array(a[label], float))
            for label, how in model["better"].items()
        ],
        -1,
    )
    found, n = probability(model, difference), len(difference)
    near = np.array([p is not None for p in found])
    told = {"p": None, "low": None, "high": None, "p_ridges": None, "n_clips": n, "n_no_evidence": int(n - near.sum())}
    if not near.any() or near.sum() < settings.evidence * n:
        return told
    names = [name for name, own in zip(clusters or range(n), near) if own]
    scales, without = np.array(list(model["scales"].values())), model["without"]
    rounds = [(list(model["weights"].values()), {name: own["weights"] for name, own in without.items()})]
    rounds += [(own["weights"], own["without"]) for own in model["ridges"].values()]
    means, ends = [], []
    for weights, others in rounds:
        chances = _chances(np.array(weights), scales, np.inf, difference[near])
        again = np.array(
            [
                _chances(np.array(own), np.array(without[name]["scales"]), np.inf, difference[near]).mean()
                for name, own in others.items()
            ]
        )
        means.append(float(chances.mean()))
        if len(set(names)) > 1 and len(again) > 1:
            error = np.hypot(
                spread(of_clips(chances, names))[1], spread(Estimate(means[-1], again, np.ones(len(again), int)))[1]
            )
            half = stats.t.ppf((1 + confidence) / 2, min(len(set(names)), len(again)) - 1) * error
            ends.append((means[-1] - half, means[-1] + half))
    told |= {"p": means[0], "p_ridges": [min(means), max(means)]}
    if ends:
        told |= {
            "low": max(0.0, float(min(low for low, _ in ends))),
            "high": min(1.0, float(max(high for _, high in ends))),
        }
    return told


def _chances(weights: np.ndarray, scales: np.ndarray, reach: np.ndarray | float, difference: np.ndarray) -> np.ndarray:
    """(n,), NaN out of reach."""
    return np.where(
        (np.abs(difference) <= reach * (1 + 1e-9)).all(1), expit(np.tanh(difference / scales) @ weights), np.nan
    )


def _fit(known: Known, rows: np.ndarray, settings: Win) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights, scales and reach (L,) from some of the rows; a metric that is the same in all of them has weight and reach 0."""
    difference, outcome, weight = (
        known.difference[rows],
        known.outcome[rows],
        known.weight[rows] / known.weight[rows].sum(),
    )
    size = np.abs(difference)
    scales = np.array([np.median(own[own > 0]) if own.any() else 1.0 for own in size.T])
    z = np.tanh(difference / scales)

    def loss(w):
        logit = z @ w
        return weight @ (np.logaddexp(0, logit) - outcome * logit) + settings.ridge * w @ w / 2, (
            (weight * (expit(logit) - outcome)) @ z + settings.ridge * w
        )

    found = optimize.minimize(
        loss,
        np.zeros(len(scales)),
        jac=True,
        method="L-BFGS-B",
        bounds=len(scales) * [(0, None)],
        options={"ftol": 1e-12, "gtol": 1e-8, "maxiter": 1000},
    )
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


def _share(known: Known, rows: np.ndarray, right: np.ndarray, confidence: float) -> dict | None:
    """`share_of` of what was right about some of the pairs, by cluster."""
    votes = [
        {"clip": clip, "cluster": cluster, "rater": None, "outcome": outcome}
        for clip, cluster, outcome in zip(known.clip[rows], known.cluster[rows], right)
    ]
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
    outcome, near, signs = known.outcome[row], known.adjacent[row], np.sign(known.difference[row])
    right, safe = _right(p - 0.5, outcome), np.clip(p, 1e-15, 1 - 1e-15)

    def both(speaks):
        own = _right(speaks, outcome)
        return {"accuracy": float(own.mean()), "adjacent": float(own[near].mean()) if near.any() else None}

    metrics = {label: both(signs[:, i]) for i, label in enumerate(known.better)}
    loss = -(outcome * np.log(safe) + (1 - outcome) * np.log1p(-safe)).mean()
    return {
        "n_folds": len(held["fits"]),
        "n_pairs": len(held["p"]),
        "n_no_evidence": int((~seen).sum()),
        "accuracy": _share(known, row, right, confidence),
        "log_loss": float(loss),
        "log_loss_of_a_coin": float(np.log(2)),
        "adjacent": _share(known, row[near], right[near], confidence),
        "metrics": metrics,
        "majority": both(signs.sum(1)),
        "best_metric": max(metrics, key=lambda label: metrics[label]["accuracy"]),
        "folds": {name: float(right[fold == name].mean()) for name in held["fits"] if (fold == name).any()},
    }


def _curve(known: Known, held: dict, n_bins: int, confidence: float) -> list[dict]:
    """How often the clip held more likely was preferred, by how likely it was held."""
    seen = np.isfinite(held["p"])
    p, row = held["p"][seen], held["row"][seen]
    favoured, right = np.maximum(p, 1 - p), np.where(p >= 0.5, known.outcome[row], 1 - known.outcome[row])
    edges = np.linspace(0.5, 1, n_bins + 1)
    of = np.minimum(((favoured - 0.5) * 2 * n_bins).astype(int), n_bins - 1)
    return [
        {
            "from": float(edges[i]),
            "to": float(edges[i + 1]),
            "predicted": float(favoured[of == i].mean()) if (of == i).any() else None,
            "observed": _share(known, row[of == i], right[of == i], confidence),
        }
        for i in range(n_bins)
    ]
