"""Methods ranked by votes between pairs of them: Bradley and Terry's model with ties, intervals by cluster and rater.

Metrics vote on every clip; a study of people brings votes of raters, see v2vbench.statistics.people. Intervals allow
for votes of one rater being alike, and votes of different sources are never counted together.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import optimize, stats
from scipy.sparse import csgraph

from v2vbench.params import Fault
from v2vbench.results.comparison import VoteShare
from v2vbench.results.metric import Interval

ELO = 400 / np.log(10)  # points a unit of log odds


@dataclass(frozen=True, kw_only=True)
class Vote:
    """Which of two runs is preferred on one clip."""

    clip: str
    cluster: (
        str  # of clips that are alike (a map, a source video); of a clip that is like no other, the name of the clip
    )
    a: str  # a run
    b: str  # another
    outcome: float  # 1 for a, 0 for b, 0.5 for neither
    rater: str | None  # None where no one in particular voted
    source: Literal["people", "metrics", "simulated"]
    left: str | None = None  # the run that stood on the left; None where neither did


@dataclass(frozen=True, kw_only=True)
class Elo:
    """How strong a run is, in Elo points; all None for a run without votes."""

    value: float | None
    low: float | None  # of its interval; None, like the two below, where all votes are of one cluster
    high: float | None
    ranks: tuple[int, int] | None  # best and worst place that the intervals of differences leave


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """Runs that votes connect, directly or through others."""

    strengths: dict[str, Elo]  # best first; their mean is 0
    tie: float | None  # nu, see `fit`
    held_by_prior: bool  # some runs never lose to the others, so only the prior keeps their distance finite

    @property
    def runs(self) -> list[str]:
        return list(self.strengths)


@dataclass(frozen=True, kw_only=True)
class Cycle:
    """A shortest cycle of majorities: each run beats the next, and the last beats the first."""

    runs: list[str]
    sure: bool  # all its shares are significantly above a half: no order of these runs agrees with the votes


@dataclass(frozen=True, kw_only=True)
class Standings:
    """What votes between runs say."""

    source: str | None  # of the votes
    n_votes: int
    n_ties: int
    n_clips: int
    n_clusters: int
    n_raters: int
    rankings: list[Ranking]  # one for each set of runs that votes connect; runs of different sets are not comparable
    wins: dict[str, dict[str, VoteShare]]  # {a: {b: share of the votes between them that are for a}}
    cycles: list[Cycle]
    side: Interval | None  # log odds that standing on the left adds; None where no vote says who did

    @property
    def connected(self) -> bool:
        return len(self.rankings) == 1


def rank(votes: list[Vote], runs: list[str], *, ridge: float, confidence: float) -> Standings:
    """Strength of each run in Elo points, within each set of runs that votes connect; who beats whom; and cycles.

    ridge     1 / variance of the normal prior on a strength in log odds: keeps a run that always wins finite
    raises    Fault for a run that is not in `runs`, or if votes of several sources are mixed: votes of people and of
              metrics are never added up
    """
    sources = sorted({vote.source for vote in votes})
    if len(sources) > 1:
        raise Fault(f"votes of {' and '.join(sources)} are not counted together; rank them apart")
    if unknown := sorted({run for vote in votes for run in (vote.a, vote.b)} - set(runs)):
        raise Fault(f"votes name {', '.join(unknown)}; there are {', '.join(runs)}")
    at = {run: i for i, run in enumerate(runs)}
    scored = np.zeros((len(runs), len(runs)))  # by row, against column; a tie counts for both
    for vote in votes:
        scored[at[vote.a], at[vote.b]] += vote.outcome
        scored[at[vote.b], at[vote.a]] += 1 - vote.outcome
    n_groups, group = csgraph.connected_components(scored, directed=False)
    rankings = []
    for g in range(n_groups):
        members = np.flatnonzero(group == g)
        names = [runs[i] for i in members]
        inside = [vote for vote in votes if vote.a in names]
        n_strong, _ = csgraph.connected_components(scored[np.ix_(members, members)], connection="strong")
        rankings.append(_ranking(inside, names, ridge, confidence, held_by_prior=int(n_strong) > 1))
    wins = _wins(votes, confidence)
    return Standings(
        source=sources[0] if sources else None,
        n_votes=len(votes),
        n_ties=sum(bool(vote.outcome == 0.5) for vote in votes),
        n_clips=len({vote.clip for vote in votes}),
        n_clusters=len({vote.cluster for vote in votes}),
        n_raters=len({vote.rater for vote in votes} - {None}),
        rankings=rankings,
        wins=wins,
        cycles=_cycles(wins, runs),
        side=_side(votes, ridge, confidence),
    )


@dataclass(frozen=True)
class _Fitted:
    """The parameters that fit best: strengths (K,), the side where votes have one, log nu where some are ties."""

    theta: np.ndarray  # (P,)
    covariances: list[np.ndarray]  # (P, P) each, see `fit`
    n_runs: int
    with_side: bool
    with_ties: bool

    @property
    def tie(self) -> float:
        return float(np.exp(self.theta[-1])) if self.with_ties else 0.0


def fit(votes: list[Vote], runs: list[str], *, ridge: float) -> tuple[np.ndarray, float, list[np.ndarray]]:
    """Strengths in log odds (their mean is 0), the tie parameter, and covariances, by penalised maximum likelihood.

    P(a) : P(tie) : P(b) = exp(d/2) : nu : exp(-d/2), d = s_a - s_b, to which the side is added where a stood on the
    left, and from which it is taken where b did. Where no vote is a tie nu is 0, and this is logistic regression. The
    prior is normal on s, on the side and on log nu, of variance 1 / ridge.

    returns       s (K,), nu, and covariances (K, K) of s: of independent votes; then, if there are two clusters, of
                  votes that depend on each other within a cluster; and if there are two raters, within a rater, and
                  both, which need not be positive
    source        Davidson 1970, eq. 2; the side, Davidson & Beaver 1977, as log odds; half votes as in FastChat.
                  Clusters: jackknife of one Newton step without each (Bell & McCaffrey 2002, CR3), the two ways added
                  as in Cameron, Gelbach & Miller 2011
    """
    fitted, k = _fitted(votes, runs, ridge), len(runs)
    centred = np.eye(k) - 1 / k
    return (centred @ fitted.theta[:k], fitted.tie, [centred @ c[:k, :k] @ centred for c in fitted.covariances])


def _fitted(votes: list[Vote], runs: list[str], ridge: float) -> _Fitted:
    at, k, n = {run: i for i, run in enumerate(runs)}, len(runs), len(votes)
    with_side = any(vote.left is not None for vote in votes)
    outcome, x = np.array([vote.outcome for vote in votes]), np.zeros((n, k + with_side))
    for row, vote in zip(x, votes):
        row[at[vote.a]], row[at[vote.b]] = 0.5, -0.5
        if vote.left is not None:
            row[k] = 0.5 if vote.left == vote.a else -0.5
    rows, target = np.stack([x, -x], 1), np.stack([outcome, 1 - outcome], 1)  # (V, outcomes, P), (V, outcomes)
    m = k + with_side
    if with_ties := bool((outcome == 0.5).any()):
        rows = np.concatenate([np.pad(rows, ((0, 0), (0, 0), (0, 1))), np.tile(np.eye(m + 1)[m], (n, 1, 1))], 1)
        target = np.stack([outcome == 1, outcome == 0, outcome == 0.5], 1).astype(float)
    prior = ridge * np.eye(m + with_ties)
    prior[:k, :k] += 1 / k  # prior on the sum of s, which votes do not determine: it stays 0

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

    best = optimize.minimize(
        loss,
        np.zeros(m + with_ties),
        method="trust-exact",
        options={"gtol": 1e-9},
        jac=lambda theta: prior @ theta - slopes(theta).sum(0),
        hess=lambda theta: prior + curvatures(theta).sum(0),
    ).x
    u, j = slopes(best), curvatures(best)
    total = prior + j.sum(0)

    def clustered(of):
        g = max(of) + 1
        sum_u, sum_j = np.zeros((g, *u.shape[1:])), np.zeros((g, *j.shape[1:]))
        np.add.at(sum_u, of, u)
        np.add.at(sum_j, of, j)
        moved = np.linalg.solve(total - sum_j, sum_u[..., None])[..., 0]
        return (g - 1) / g * moved.T @ moved

    alike, raters, cells = clusters(votes)
    covariances = [np.linalg.inv(total)]
    if max(alike) > 0:
        covariances.append(clustered(alike))
        if max(raters) > 0 and any(vote.rater is not None for vote in votes):
            covariances += [clustered(raters), covariances[1] + clustered(raters) - clustered(cells)]
    return _Fitted(best, covariances, k, with_side, with_ties)


def _t(votes: list[Vote], n_covariances: int, confidence: float) -> float | None:
    """Student's quantile, of as many degrees as there are clusters or raters, whichever are fewer; None of one."""
    alike, raters, _ = clusters(votes)
    n_units = min(max(alike) + 1, max(raters) + 1)
    return float(stats.t.ppf((1 + confidence) / 2, n_units - 1)) if n_covariances > 1 and n_units > 1 else None


def _side(votes: list[Vote], ridge: float, confidence: float) -> Interval | None:
    """Log odds that standing on the left adds, of all votes together; None where no vote says who stood there."""
    if all(vote.left is None for vote in votes):
        return None
    fitted = _fitted(votes, sorted({run for vote in votes for run in (vote.a, vote.b)}), ridge)
    at, t = fitted.n_runs, _t(votes, len(fitted.covariances), confidence)
    value = float(fitted.theta[at])
    if t is None:
        return Interval(value=value, low=None, high=None)
    half = float(t * np.sqrt(max(c[at, at] for c in fitted.covariances)))
    return Interval(value=value, low=value - half, high=value + half)


def _ranking(votes: list[Vote], runs: list[str], ridge: float, confidence: float, held_by_prior: bool) -> Ranking:
    """One connected set of runs; intervals use the largest of the covariances from `fit`."""
    if len(runs) == 1:
        nothing = Elo(value=None, low=None, high=None, ranks=None)
        return Ranking(strengths={runs[0]: nothing}, tie=None, held_by_prior=held_by_prior)
    s, nu, covariances = fit(votes, runs, ridge=ridge)
    t = _t(votes, len(covariances), confidence)

    def half_width(contrast: np.ndarray) -> float:
        assert t is not None, "asked for where there is an interval"
        return float(t * np.sqrt(max(contrast @ c @ contrast for c in covariances)))

    unit, zero = np.eye(len(runs)), np.full(len(runs), 1 / len(runs))
    order, strengths = sorted(range(len(runs)), key=lambda i: -s[i]), {}
    for i in order:
        contrast = unit[i] - zero
        value = contrast @ s
        if t is None:
            strengths[runs[i]] = Elo(value=float(ELO * value), low=None, high=None, ranks=None)
            continue
        apart = [((unit[i] - unit[j]) @ s, half_width(unit[i] - unit[j])) for j in order if j != i]
        ranks = 1 + int(sum(d < -h for d, h in apart)), len(runs) - int(sum(d > h for d, h in apart))
        half = half_width(contrast)
        ends = {"low": float(ELO * (value - half)), "high": float(ELO * (value + half))}
        strengths[runs[i]] = Elo(value=float(ELO * value), ranks=ranks, **ends)
    return Ranking(strengths=strengths, tie=nu, held_by_prior=held_by_prior)


def clusters(votes: Sequence[Vote]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Numbers of each vote's cluster, rater and pair of both, (V,) each from 0; a vote of no one is a rater alone."""
    alike = np.unique([vote.cluster for vote in votes], return_inverse=True)[1]
    raters = np.unique(
        [f"of {vote.rater}" if vote.rater is not None else f"vote {i}" for i, vote in enumerate(votes)],
        return_inverse=True,
    )[1]
    return alike, raters, np.unique(alike * (max(raters) + 1) + raters, return_inverse=True)[1]


def share_of(votes: Sequence[Vote], confidence: float, strata: Sequence | None = None) -> VoteShare:
    """Share of the outcomes, with Clopper and Pearson's interval on as many independent votes as these are worth.

    With one vote a clip, a clip a cluster and no raters they are worth their number. Votes that agree within a cluster,
    or a rater, are worth fewer.

    strata    of each vote; each stratum has the same weight, however many votes it has: with the sides as strata a
              liking for one side leaves no trace in the share. None: all votes weigh the same
    source    Clopper & Pearson 1934, half votes into the same beta quantiles; Korn & Graubard 1998: n p (1 - p) /
              variance, never above n. The variance is the largest of those by cluster, by rater and by both ways. At a
              share of 0 or 1 they are worth as many as there are clusters, or raters if these are fewer. Weighted votes
              are n = (sum of weights)^2 / sum of squares (Kish 1965), and deviate from the share of their stratum
    """
    outcome, (alike, raters, cells) = np.array([vote.outcome for vote in votes], float), clusters(votes)
    of = np.unique([0] * len(outcome) if strata is None else list(strata), return_inverse=True)[1]
    each = np.bincount(of)
    weight = (len(outcome) / len(each) / each)[of]  # all 1 where there is one stratum
    total, tail = len(outcome), (1 - confidence) / 2
    n, p = total**2 / (weight**2).sum(), float((weight * outcome).sum() / total)
    apart = weight * (outcome - (np.bincount(of, outcome) / each)[of])
    by_cluster, by_rater, by_both = (
        (np.bincount(unit, apart) ** 2).sum() / total**2 for unit in (alike, raters, cells)
    )
    variance, units = max(by_cluster, by_rater, by_cluster + by_rater - by_both), min(max(alike), max(raters)) + 1
    worth = min(n, p * (1 - p) / variance) if 0 < p < 1 and variance > 0 else min(n, units)
    if 1 < units < n:
        worth *= (stats.t.ppf(1 - tail, n - 1) / stats.t.ppf(1 - tail, units - 1)) ** 2
    worth = min(worth, n) if units > 1 else 1
    k = p * worth
    return VoteShare(
        value=p,
        low=float(stats.beta.ppf(tail, k, worth - k + 1)) if p > 0 else 0.0,
        high=float(stats.beta.ppf(1 - tail, k + 1, worth - k)) if p < 1 else 1.0,
        n_votes=total,
        n_clips=len({vote.clip for vote in votes}),
        n_clusters=int(max(alike) + 1),
    )


def _wins(votes: list[Vote], confidence: float) -> dict[str, dict[str, VoteShare]]:
    """{a: {b: share of the votes between them that are for a}}, of pairs that have votes, both ways."""
    between: dict[tuple[str, str], list[Vote]] = {}
    for vote in votes:
        between.setdefault((vote.a, vote.b), []).append(vote)
        between.setdefault((vote.b, vote.a), []).append(replace(vote, outcome=1 - vote.outcome))
    wins: dict[str, dict[str, VoteShare]] = {}
    for (a, b), both in sorted(between.items()):
        wins.setdefault(a, {})[b] = share_of(both, confidence)
    return wins


def _cycles(wins: dict[str, dict[str, VoteShare]], runs: list[str]) -> list[Cycle]:
    """A shortest cycle of majorities in each set of runs that has one."""
    beats = np.zeros((len(runs), len(runs)))
    for i, a in enumerate(runs):
        for j, b in enumerate(runs):
            beats[i, j] = b in wins.get(a, {}) and wins[a][b].value > 0.5
    _, group = csgraph.connected_components(beats, connection="strong")
    steps, before = csgraph.shortest_path(beats, unweighted=True, return_predecessors=True)
    cycles = []
    for g in sorted(set(group)):
        members = np.flatnonzero(group == g)
        if len(members) < 2:
            continue
        _, i, j = min((steps[j, i], i, j) for i in members for j in members if beats[i, j])
        back = [i]  # from j to i, against the arrows
        while back[-1] != j:
            back.append(before[j, back[-1]])
        circle = [runs[m] for m in [i, *back[:0:-1]]]
        sure = all(wins[a][b].low > 0.5 for a, b in zip(circle, circle[1:] + circle[:1]))
        cycles.append(Cycle(runs=circle, sure=sure))
    return cycles
