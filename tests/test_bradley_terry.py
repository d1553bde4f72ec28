"""Votes ranked with intervals that cover: Davidson's model by other libraries, clusters and raters, cycles."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize, stats
from sklearn.linear_model import LogisticRegression

from v2vbench.params import Fault
from v2vbench.people.simulate import simulate
from v2vbench.statistics.bradley_terry import ELO, Elo, Vote, fit, rank, share_of

ABC = {"a": 0.8, "b": 0.2, "c": -1.0}
CALM = dict(tie=0.0, side=0.0, lapse=0.0, clip_effect=0.0, rater_effect=0.0)


def vote(clip, a, b, outcome, rater=None, source="people", cluster=None):
    alike = str(clip if cluster is None else cluster)
    return Vote(clip=str(clip), cluster=alike, a=a, b=b, outcome=float(outcome), rater=rater, source=source)


def votes_of(counts):
    """{(a, b): (wins of a, ties, wins of b)} as votes, each on a clip like no other."""
    votes = []
    for (a, b), counted in counts.items():
        outcomes = np.repeat([1, 0.5, 0], counted).tolist()
        votes += [vote(f"{a}{b}{i}", a, b, outcome) for i, outcome in enumerate(outcomes)]
    return votes


MIXED = votes_of(
    {
        ("a", "b"): (14, 6, 9),
        ("b", "c"): (17, 3, 4),
        ("a", "c"): (20, 1, 5),
        ("c", "d"): (8, 5, 9),
        ("a", "d"): (12, 0, 7),
    }
)


def test_without_ties_and_prior_it_is_logistic_regression():
    decided = [one for one in MIXED if one.outcome != 0.5]
    x = [[(run == one.a) - (run == one.b) for run in "abcd"] for one in decided]
    y = [one.outcome for one in decided]
    theirs = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-12, max_iter=10_000).fit(x, y).coef_[0]
    s, nu, _ = fit(decided, list("abcd"), ridge=0)
    assert nu == 0
    assert np.abs(ELO * (s - (theirs - theirs.mean()))).max() < 1e-3


def test_ties_are_davidsons():
    s, nu, _ = fit(MIXED, list("abcd"), ridge=0)

    def loss(theta):  # the formula, written out vote by vote
        total = 0
        for one in MIXED:
            a, b, both = np.exp(theta["abcd".index(one.a)]), np.exp(theta["abcd".index(one.b)]), np.exp(theta[4])
            tie = both * np.sqrt(a * b)
            total -= np.log({1: a, 0.5: tie, 0: b}[one.outcome] / (a + b + tie))
        return total

    theirs = optimize.minimize(loss, np.zeros(5), method="BFGS", options={"gtol": 1e-7}).x
    np.testing.assert_allclose(s, theirs[:4] - theirs[:4].mean(), atol=1e-5)
    assert nu == pytest.approx(np.exp(theirs[4]), rel=1e-5)


def test_a_run_that_always_wins_has_a_finite_strength():
    always = votes_of({("a", "b"): (10, 0, 0), ("b", "c"): (6, 0, 4)})
    loose, tight = (rank(always, list("abc"), ridge=ridge, confidence=0.95).rankings[0] for ridge in (0.1, 10))
    top, low = loose.strengths["a"], tight.strengths["a"]
    assert loose.held_by_prior
    assert loose.runs[0] == "a"
    assert 0 < low.value < top.value < 2000
    assert top.high - top.low > low.high - low.low > 0  # all votes agree, yet nothing is certain
    assert not rank(MIXED, list("abcd"), ridge=0.5, confidence=0.95).rankings[0].held_by_prior
    even = fit(votes_of({("a", "b"): (0, 9, 0)}), ["a", "b"], ridge=0.5)
    assert np.allclose(even[0], 0)
    assert 1 < even[1] < 1e4


def test_what_votes_do_not_connect_is_not_ranked_together():
    apart = rank(votes_of({("a", "b"): (3, 0, 1), ("c", "d"): (1, 1, 3)}), list("abcde"), ridge=0.5, confidence=0.95)
    assert not apart.connected
    assert [ranking.runs for ranking in apart.rankings] == [["a", "b"], ["d", "c"], ["e"]]
    assert apart.rankings[2].strengths["e"] == Elo(value=None, low=None, high=None, ranks=None)
    assert set(apart.wins["a"]) == {"b"}
    assert "e" not in apart.wins
    assert rank(MIXED, list("abcd"), ridge=0.5, confidence=0.95).connected
    assert rank([], ["a", "b"], ridge=0.5, confidence=0.95).n_votes == 0


def test_order_of_runs_votes_and_sides_does_not_matter():
    turned = [vote(v.clip, v.b, v.a, 1 - v.outcome) for v in MIXED[::-1]]
    one, two = (
        rank(votes, runs, ridge=0.5, confidence=0.95) for votes, runs in ((MIXED, list("abcd")), (turned, list("dbca")))
    )
    assert one.rankings[0].runs == two.rankings[0].runs
    for run, elo in one.rankings[0].strengths.items():
        other = two.rankings[0].strengths[run]
        assert elo.ranks == other.ranks
        assert [elo.value, elo.low, elo.high] == pytest.approx([other.value, other.low, other.high], abs=1e-4)
    assert one.wins == two.wins


def test_strengths_are_around_0():
    strengths = rank(MIXED, list("abcd"), ridge=0.5, confidence=0.95).rankings[0].strengths
    assert sum(elo.value for elo in strengths.values()) == pytest.approx(0, abs=1e-6)


def test_one_newton_step_is_as_good_as_fitting_again():
    votes, runs = (
        simulate(ABC, n_clips=25, n_raters=1, clips_each=25, seed=3, **CALM | {"tie": 0.5, "clip_effect": 1.0}),
        list(ABC),
    )
    _, _, (_, stepped) = fit(votes, runs, ridge=0.5)
    clips = sorted({one.clip for one in votes})
    again = np.array([fit([one for one in votes if one.clip != clip], runs, ridge=0.5)[0] for clip in clips])
    s = fit(votes, runs, ridge=0.5)[0]
    np.testing.assert_allclose(
        stepped, (len(clips) - 1) / len(clips) * (again - s).T @ (again - s), rtol=0.05, atol=1e-4
    )


def covered(truth, how, n=45, confidence=0.9):
    """Share of strengths in the interval, and in one that takes votes as independent; and both mean widths."""
    hits, widths, t = [], [], stats.norm.ppf((1 + confidence) / 2)
    for seed in range(n):
        votes = simulate(ABC, seed=seed, **how)
        found = rank(votes, list(ABC), ridge=0.1, confidence=confidence).rankings[0].strengths
        s, _, covariances = fit(votes, list(ABC), ridge=0.1)
        naive = t * np.sqrt(np.diag(covariances[0]))
        hits.append(
            [
                [found[run].low <= ELO * truth[i] <= found[run].high, abs(s[i] - truth[i]) <= naive[i]]
                for i, run in enumerate(ABC)
            ]
        )
        widths.append([(found[run].high - found[run].low, 2 * ELO * naive[i]) for i, run in enumerate(ABC)])
    return np.mean(hits, (0, 1)), np.mean(widths, (0, 1))


def test_intervals_of_strengths_cover_where_raters_are_alike():
    (ours, naive), _ = covered(
        np.array(list(ABC.values())), dict(n_clips=30, n_raters=12, clips_each=6) | CALM | {"tie": 0.5}
    )
    assert ours >= 0.9 - 0.05
    assert naive >= 0.9 - 0.05  # of 135, 2 standard errors are 0.05


def test_intervals_of_strengths_cover_where_raters_differ_and_naive_ones_do_not():
    how = CALM | {"tie": 0.5, "clip_effect": 0.5, "rater_effect": 1.0}
    crowd = simulate(ABC, n_clips=1200, n_raters=1200, clips_each=5, seed=99, **how)
    truth = fit(crowd, list(ABC), ridge=0.1)[0]  # effects draw strengths to each other: what a crowd would say
    (ours, naive), (width, narrow) = covered(truth, dict(n_clips=20, n_raters=12, clips_each=10) | how)
    assert ours >= 0.9 - 0.05
    assert naive < 0.8
    assert width > 1.5 * narrow


def cycles_of(votes):
    return [(cycle.runs, cycle.sure) for cycle in rank(votes, list("abcd"), ridge=0.5, confidence=0.95).cycles]


def test_cycles_are_flagged():
    circle = votes_of({("a", "b"): (9, 0, 1), ("b", "c"): (9, 0, 1), ("c", "a"): (9, 0, 1), ("a", "d"): (9, 0, 1)})
    assert cycles_of(circle) == [(["a", "b", "c"], True)]
    weak = votes_of({("a", "b"): (6, 0, 4), ("b", "c"): (6, 0, 4), ("c", "d"): (6, 0, 4), ("d", "a"): (6, 0, 4)})
    assert cycles_of(weak) == [(["a", "b", "c", "d"], False)]
    assert cycles_of(MIXED) == []


def test_ranks_say_what_is_told_apart():
    clear = votes_of({("a", "b"): (40, 0, 10), ("b", "c"): (25, 0, 25), ("a", "c"): (40, 0, 10)})
    found = rank(clear, list("abc"), ridge=0.5, confidence=0.95).rankings[0].strengths
    assert [found[run].ranks for run in "abc"] == [(1, 1), (2, 3), (2, 3)]
    same_clip = [replace(one, clip="c", cluster="c") for one in clear]
    one_clip = rank(same_clip, list("abc"), ridge=0.5, confidence=0.95).rankings[0].strengths
    assert one_clip["a"].low is None
    assert one_clip["a"].ranks is None


def clopper_pearson(k, n, confidence):
    tail = (1 - confidence) / 2
    return stats.beta.ppf(tail, k, n - k + 1), stats.beta.ppf(1 - tail, k + 1, n - k)


def test_votes_that_repeat_themselves_are_worth_one():
    outcomes = [1, 1, 1, 0.5, 0, 1, 1, 0, 1, 1]
    single = [vote(i, "a", "b", outcome) for i, outcome in enumerate(outcomes)]
    low, high = clopper_pearson(sum(outcomes), len(outcomes), 0.95)
    share = share_of(single, 0.95)
    assert [share.value, share.low, share.high] == pytest.approx([np.mean(outcomes), low, high])
    for k in range(9):
        one = share_of([vote(i, "a", "b", float(i < k)) for i in range(8)], 0.95)
        ends = stats.binomtest(k, 8).proportion_ci(0.95, method="exact")
        assert (one.low, one.high) == pytest.approx((ends.low, ends.high))
    often = share_of([replace(one, rater=f"r{r}") for one in single for r in range(7)], 0.95)
    assert often.low <= low + 0.02
    assert often.high >= high - 0.02
    assert often.n_votes == 70
    tastes = [
        vote(i, "a", "b", float(r < 3), f"r{r}") for i in range(50) for r in range(4)
    ]  # each rater always says the same
    assert share_of(tastes, 0.95).low < 0.3
    assert share_of(tastes, 0.95).high > 0.98
    one = share_of(single[:1], 0.95)
    assert vars(one) == pytest.approx(
        {"value": 1, "low": 0.025, "high": 1, "n_votes": 1, "n_clips": 1, "n_clusters": 1}
    )


def test_clips_that_are_alike_are_worth_one():
    """Every clip of a map says what its map says: as much is known as from one clip a map, and intervals are alike."""
    maps = [1, 1, 0, 1, 1, 0.5, 1, 0, 1, 1]
    one = [vote(f"m{i}", "a", "b", outcome) for i, outcome in enumerate(maps)]
    many = [vote(f"m{i}-{k}", "a", "b", outcome, cluster=f"m{i}") for i, outcome in enumerate(maps) for k in range(4)]
    few, lot = share_of(one, 0.95), share_of(many, 0.95)
    naive = share_of([replace(one, cluster=one.clip) for one in many], 0.95)
    assert (lot.n_votes, lot.n_clips, lot.n_clusters) == (40, 40, 10)
    assert few.n_clusters == 10
    assert lot.low <= few.low + 0.05
    assert lot.high >= few.high - 0.05
    assert naive.low > lot.low + 0.08
    every = share_of([replace(one, outcome=1.0) for one in many], 0.95)
    assert 0.025 ** (1 / 7) < every.low < 0.025 ** (1 / 10) < 0.025 ** (1 / 40)  # exact of 7, of 10, of 40 votes for
    s, _, covariances = fit(many, ["a", "b"], ridge=0.5)
    assert np.allclose(s, fit(one * 4, ["a", "b"], ridge=0.5)[0])
    assert covariances[1][0, 0] > 2 * covariances[0][0, 0]
    assert rank(many, ["a", "b"], ridge=0.5, confidence=0.95).n_clusters == 10


def test_shares_of_clustered_votes_cover():
    """Each map has its taste: the interval by map covers the true share as often as it says, one by clip does not."""
    rng, hits = np.random.default_rng(0), []
    for _ in range(400):
        lean = rng.beta(1, 1, 12)  # of each map, and 6 clips of it; a half on the whole
        votes = [
            vote(f"{m}-{k}", "a", "b", float(rng.random() < lean[m]), cluster=m) for m in range(12) for k in range(6)
        ]
        low, high = clopper_pearson(sum(one.outcome for one in votes), len(votes), 0.9)
        share = share_of(votes, 0.9)
        hits.append([share.low <= 0.5 <= share.high, low <= 0.5 <= high])
    ours, naive = np.mean(hits, 0)
    assert ours > 0.9 - 0.045
    assert naive < 0.8  # 3 standard errors are 0.045


def test_votes_that_cannot_be_counted_are_refused():
    person = vote("c0", "a", "b", 0.5, "r1")
    with pytest.raises(Fault, match="votes of metrics and people are not counted together"):
        rank([person, vote("c0", "a", "b", 1, source="metrics")], ["a", "b"], ridge=0.5, confidence=0.95)
    with pytest.raises(Fault, match="name b; there are a, c"):
        rank([person], ["a", "c"], ridge=0.5, confidence=0.95)
