"""Methods ranked by votes between pairs of them: Bradley and Terry's model with ties, and intervals that know who voted on what.

A vote is {"clip", "a", "b", "outcome", "rater", "source"}: outcome 1 for run `a`, 0 for run `b`, 0.5 for neither; rater a name, or None
where no one in particular voted; source "people", "metrics" or "simulated". A vote may have "cluster", the clips that its clip is alike
with (a map, a source video); without it each clip is its own.

`read_votes` is for the study of people, which will call it; no stage does yet.
"""

import json
from pathlib import Path

import numpy as np
from scipy import optimize, stats
from scipy.sparse import csgraph

from v2vbench.params import Fault

ELO = 400 / np.log(10)  # points a unit of log odds
KEYS, SOURCES = ("clip", "a", "b", "outcome", "rater", "source"), ("people", "metrics", "simulated")


def read_votes(path: Path) -> list[dict]:
    """Votes of a file of JSON lines; raises Fault naming the line that is none."""
    votes = []
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), 1):
        try:
            vote = dict(json.loads(line))
        except (ValueError, TypeError) as error:
            raise Fault(f"{path}:{number}: not a vote in JSON ({error}); mend or remove the line") from None
        if missing := [key for key in KEYS if key not in vote]:
            wrong = f"missing {', '.join(missing)}"
        elif vote["outcome"] not in (0, 0.5, 1):
            wrong = f"outcome {vote['outcome']!r} is not 1, 0 or 0.5"
        elif vote["a"] == vote["b"]:
            wrong = f"{vote['a']} against itself"
        elif vote["source"] not in SOURCES:
            wrong = f"source {vote['source']!r} is none of {', '.join(SOURCES)}"
        else:
            votes.append(vote)
            continue
        raise Fault(f"{path}:{number}: {wrong}; mend or remove the line")
    return votes


def rank(votes: list[dict], runs: list[str], *, ridge: float, confidence: float, anchor: str | None = None) -> dict:
    """Strength of each run in Elo points, within each group of runs that votes connect; who beats whom; and cycles.

    ridge         1 / variance of the normal prior on a strength in log odds: keeps a run that always wins finite
    anchor        the run that is 0 points; None: the mean of a group's runs is
    returns       {"source", "n_votes", "n_ties", "n_clips", "n_clusters", "n_raters", "connected", "rankings": [{"runs", "tie",
                  "strengths", "held_by_prior"}], "wins": {a: {b: share of the votes for a}}, "cycles"}. A ranking is of one connected
                  group, best first: groups are never ranked together. "strengths": {run: {"value", "low", "high", "ranks": [best,
                  worst]}}, of None for a run without votes. "tie": nu, see `fit`. "held_by_prior": some of its runs never lose to the
                  others, so that only the prior holds their distance
    raises        Fault for a run that is not in `runs`, and where sources mix: what people say and what formulas say is never added up
    """
    sources = sorted({vote["source"] for vote in votes})
    if len(sources) > 1:
        raise Fault(f"votes of {' and '.join(sources)} are not counted together; rank them apart")
    if unknown := sorted(({vote[side] for vote in votes for side in "ab"} | ({anchor} - {None})) - set(runs)):
        raise Fault(f"votes or anchor name {', '.join(unknown)}; there are {', '.join(runs)}")
    at = {run: i for i, run in enumerate(runs)}
    scored = np.zeros((len(runs), len(runs)))  # by row, against column; a tie counts for both
    for vote in votes:
        scored[at[vote["a"]], at[vote["b"]]] += vote["outcome"]
        scored[at[vote["b"]], at[vote["a"]]] += 1 - vote["outcome"]
    n_groups, group = csgraph.connected_components(scored, directed=False)
    rankings = []
    for g in range(n_groups):
        own = np.flatnonzero(group == g)
        names = [runs[i] for i in own]
        inside = [vote for vote in votes if vote["a"] in names]
        n_strong, _ = csgraph.connected_components(scored[np.ix_(own, own)], connection="strong")
        rankings.append(_ranking(inside, names, ridge, confidence, anchor) | {"held_by_prior": int(n_strong) > 1})
    wins = _wins(votes, confidence)
    return {
        "source": sources[0] if sources else None,
        "n_votes": len(votes),
        "n_ties": sum(bool(vote["outcome"] == 0.5) for vote in votes),
        "n_clips": len({vote["clip"] for vote in votes}),
        "n_clusters": len({cluster_of(vote) for vote in votes}),
        "n_raters": len({vote["rater"] for vote in votes} - {None}),
        "connected": int(n_groups) == 1,
        "rankings": rankings,
        "wins": wins,
        "cycles": _cycles(wins, runs),
    }


def fit(
    votes: list[dict], runs: list[str], *, ridge: float, ties: bool = True
) -> tuple[np.ndarray, float, list[np.ndarray]]:
    """Strengths in log odds (their mean is 0), the tie parameter, and covariances, by penalised maximum likelihood.

    P(a) : P(tie) : P(b) = exp(d/2) : nu : exp(-d/2), d = s_a - s_b. Where no vote is a tie, or `ties` is false, nu is 0: a tie is then half
    a vote for either, and this is logistic regression. The prior is normal on s and on log nu, of variance 1 / ridge.

    returns       s (K,), nu, and covariances (K, K) of s: of independent votes; then, if there are two clusters, of votes that depend on
                  each other within a cluster; and if there are two raters, within a rater, and both, which need not be positive
    source        Davidson 1970, eq. 2; half votes as in FastChat. Clusters: jackknife of one Newton step without each (Bell & McCaffrey
                  2002, CR3), the two ways added as in Cameron, Gelbach & Miller 2011
    """
    at, k, n = {run: i for i, run in enumerate(runs)}, len(runs), len(votes)
    outcome, x = np.array([vote["outcome"] for vote in votes]), np.zeros((n, k))
    for row, vote in zip(x, votes):
        row[at[vote["a"]]], row[at[vote["b"]]] = 0.5, -0.5
    rows, target = np.stack([x, -x], 1), np.stack([outcome, 1 - outcome], 1)  # (V, outcomes, K), (V, outcomes)
    if with_ties := ties and bool((outcome == 0.5).any()):
        rows = np.concatenate([np.pad(rows, ((0, 0), (0, 0), (0, 1))), np.tile(np.eye(k + 1)[k], (n, 1, 1))], 1)
        target = np.stack([outcome == 1, outcome == 0, outcome == 0.5], 1).astype(float)
    prior = ridge * np.eye(k + with_ties)
    prior[:k, :k] += 1 / k  # of the sum of s, of which no vote tells: it stays 0

    def chances(theta):
        logits = rows @ theta
        shifted = np.exp(logits - logits.max(1, keepdims=True))
        return shifted / shifted.sum(1, keepdims=True)

    def loss(theta):
        return -(target * np.log(np.maximum(chances(theta), 1e-300))).sum() + theta @ prior @ theta / 2

    def slopes(theta):  # (V, P)
        return np.einsum("vop,vo->vp", rows, target - chances(theta))

    def curvatures(theta):  # (V, P, P)
        p = chances(theta)
        mean = np.einsum("vop,vo->vp", rows, p)
        return np.einsum("vop,vo,voq->vpq", rows, p, rows) - mean[:, :, None] * mean[:, None]

    found = optimize.minimize(
        loss,
        np.zeros(k + with_ties),
        method="trust-exact",
        options={"gtol": 1e-9},
        jac=lambda theta: prior @ theta - slopes(theta).sum(0),
        hess=lambda theta: prior + curvatures(theta).sum(0),
    ).x
    u, j = slopes(found), curvatures(found)
    total = prior + j.sum(0)

    def clustered(of):
        g = max(of) + 1
        own_u, own_j = np.zeros((g, *u.shape[1:])), np.zeros((g, *j.shape[1:]))
        np.add.at(own_u, of, u)
        np.add.at(own_j, of, j)
        moved = np.linalg.solve(total - own_j, own_u[..., None])[..., 0]
        return (g - 1) / g * moved.T @ moved

    alike, raters, cells = clusters(votes)
    covariances = [np.linalg.inv(total)]
    if max(alike) > 0:
        covariances.append(clustered(alike))
        if max(raters) > 0 and any(vote["rater"] is not None for vote in votes):
            covariances += [clustered(raters), covariances[1] + clustered(raters) - clustered(cells)]
    centred = np.eye(k) - 1 / k
    return (
        centred @ found[:k],
        float(np.exp(found[k])) if with_ties else 0.0,
        [centred @ c[:k, :k] @ centred for c in covariances],
    )


def _ranking(votes: list[dict], runs: list[str], ridge: float, confidence: float, anchor: str | None) -> dict:
    """One connected group, best first; an interval is the widest that any way of depending asks for."""
    if len(runs) == 1:
        return {
            "runs": runs,
            "tie": None,
            "strengths": {runs[0]: {"value": None, "low": None, "high": None, "ranks": None}},
        }
    s, nu, covariances = fit(votes, runs, ridge=ridge)
    alike, raters, _ = clusters(votes)
    n_units = min(max(alike) + 1, max(raters) + 1)
    t = stats.t.ppf((1 + confidence) / 2, n_units - 1) if len(covariances) > 1 and n_units > 1 else None

    def told(contrast):  # value and half width
        return contrast @ s, None if t is None else t * np.sqrt(max(contrast @ c @ contrast for c in covariances))

    unit = np.eye(len(runs))
    zero = unit[runs.index(anchor)] if anchor in runs else np.full(len(runs), 1 / len(runs))
    order = sorted(range(len(runs)), key=lambda i: -s[i])
    strengths = {}
    for i in order:
        value, half = told(unit[i] - zero)
        apart = [told(unit[i] - unit[j]) for j in order if j != i]
        strengths[runs[i]] = {"value": float(ELO * value)} | (
            {"low": None, "high": None, "ranks": None}
            if half is None
            else {
                "low": float(ELO * (value - half)),
                "high": float(ELO * (value + half)),
                "ranks": [1 + int(sum(d < -h for d, h in apart)), len(runs) - int(sum(d > h for d, h in apart))],
            }
        )
    return {"runs": list(strengths), "tie": nu, "strengths": strengths}


def cluster_of(vote: dict) -> str:
    """The name of a vote's cluster; of its clip where it has none."""
    return str(vote.get("cluster", vote["clip"]))


def clusters(votes: list[dict]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The number of each vote's cluster, rater and pair of both, (V,) each from 0; a vote of no one is its own rater."""
    alike = np.unique([cluster_of(vote) for vote in votes], return_inverse=True)[1]
    raters = np.unique(
        [f"of {vote['rater']}" if vote["rater"] is not None else f"vote {i}" for i, vote in enumerate(votes)],
        return_inverse=True,
    )[1]
    return alike, raters, np.unique(alike * (max(raters) + 1) + raters, return_inverse=True)[1]


def share_of(votes: list[dict], confidence: float) -> dict:
    """Share of the outcomes, with Clopper and Pearson's interval on as many independent votes as these are worth.

    With one vote a clip, a clip a cluster and no raters that is `intervals.share`. Votes that agree within a cluster, or a rater, are
    worth fewer.

    returns       {"share", "low", "high", "n_votes", "n_clips", "n_clusters"}
    source        Korn & Graubard 1998: n p (1 - p) / variance, never above n; the variance is the largest of those by cluster, by rater
                  and by both ways. At a share of 0 or 1 they are worth as many as there are clusters, or raters if these are fewer
    """
    outcome, (alike, raters, cells) = np.array([vote["outcome"] for vote in votes], float), clusters(votes)
    n, p, tail = len(outcome), outcome.mean(), (1 - confidence) / 2
    by_cluster, by_rater, by_both = ((np.bincount(of, outcome - p) ** 2).sum() / n**2 for of in (alike, raters, cells))
    variance, units = max(by_cluster, by_rater, by_cluster + by_rater - by_both), min(max(alike), max(raters)) + 1
    worth = min(n, p * (1 - p) / variance) if 0 < p < 1 and variance > 0 else units
    if 1 < units < n:
        worth *= (stats.t.ppf(1 - tail, n - 1) / stats.t.ppf(1 - tail, units - 1)) ** 2
    worth = min(worth, n) if units > 1 else 1
    k = p * worth
    return {
        "share": float(p),
        "low": float(stats.beta.ppf(tail, k, worth - k + 1)) if p > 0 else 0.0,
        "high": float(stats.beta.ppf(1 - tail, k + 1, worth - k)) if p < 1 else 1.0,
        "n_votes": n,
        "n_clips": len({vote["clip"] for vote in votes}),
        "n_clusters": int(max(alike) + 1),
    }


def _wins(votes: list[dict], confidence: float) -> dict:
    """{a: {b: share of the votes between them that are for a}}, of pairs that have votes, both ways."""
    held = {}
    for vote in votes:
        held.setdefault((vote["a"], vote["b"]), []).append(vote)
        held.setdefault((vote["b"], vote["a"]), []).append(vote | {"outcome": 1 - vote["outcome"]})
    wins = {}
    for (a, b), own in sorted(held.items()):
        wins.setdefault(a, {})[b] = share_of(own, confidence)
    return wins


def _cycles(wins: dict, runs: list[str]) -> list[dict]:
    """A shortest circle of majorities in each set of runs that has one: {"runs", "sure"}, each beats the next, the last the first.

    sure        every share of it is above a half by more than its interval: no order of these runs agrees with the votes
    """
    beats = np.array(
        [[wins.get(a, {}).get(b, {"share": 0})["share"] > 0.5 for b in runs] for a in runs], float
    ).reshape(2 * [len(runs)])
    _, group = csgraph.connected_components(beats, connection="strong")
    steps, before = csgraph.shortest_path(beats, unweighted=True, return_predecessors=True)
    found = []
    for g in sorted(set(group)):
        own = np.flatnonzero(group == g)
        if len(own) < 2:
            continue
        _, i, j = min((steps[j, i], i, j) for i in own for j in own if beats[i, j])
        back = [i]  # from j to i, against the arrows
        while back[-1] != j:
            back.append(before[j, back[-1]])
        circle = [runs[m] for m in [i, *back[:0:-1]]]
        found.append(
            {"runs": circle, "sure": all(wins[a][b]["low"] > 0.5 for a, b in zip(circle, circle[1:] + circle[:1]))}
        )
    return found
