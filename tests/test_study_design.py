"""Which rater sees what, where and when: balance over many seeds and sizes, from counts alone."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from scipy.sparse import csgraph

from v2vbench.params import Fault
from v2vbench.people.design import Planned, design

SIZES = [  # runs, clips, raters, trials
    (2, 12, 3, None),
    (2, 7, 12, 10),
    (3, 12, 12, 18),
    (3, 24, 20, 30),
    (4, 12, 12, 18),  # 6 pairs and 12 clips: every clip's numbers have the same pair in each lap, but for the shift
    (5, 24, 7, 25),  # 10 pairs and 24 clips share the factor 2
    (5, 40, 25, 30),
    (6, 15, 11, 21),  # as many pairs as clips
    (6, 30, 1, 11),  # fewer votes than pairs
    (4, 3, 5, 9),  # as few trials as there can be
]


def planned(n_runs: int, n_clips: int, n_raters: int, n_trials: int | None, seed: int, **more):
    runs, clips = [f"run{i}" for i in range(n_runs)], [f"clip{i}" for i in range(n_clips)]
    others = [f"other{i}" for i in range(6)]
    how = {"catch_clips": others, "damages": ("frozen", "blurred")} | more
    return design(runs, clips, n_raters=n_raters, n_trials=n_trials, seed=seed, **how)


def of_kind(own: list[Planned], kind: str) -> list[Planned]:
    return [trial for trial in own if trial.kind == kind]


def spread(counts: Counter, keys) -> int:
    numbers = [counts[key] for key in keys]
    return max(numbers) - min(numbers)


def pair(trial: Planned) -> tuple[str, str]:
    a, b = sorted((trial.left, trial.right))
    return a, b


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_200_seeds_are_balanced_in_clips_pairs_and_sides(size):
    n_runs, n_clips, n_raters, n_trials = size
    m = (min(30, n_clips + 6) if n_trials is None else n_trials) - 6
    clips, pairs = [f"clip{i}" for i in range(n_clips)], list(combinations([f"run{i}" for i in range(n_runs)], 2))
    for seed in range(200):
        raters = planned(*size, seed)
        assert list(raters) == [f"{i:02d}" for i in range(1, n_raters + 1)]
        votes = [vote for own in raters.values() for vote in of_kind(own, "vote")]
        assert len(votes) == n_raters * m
        assert spread(Counter(vote.clip for vote in votes), clips) <= 1
        assert spread(Counter(map(pair, votes)), pairs) <= 1
        cells = [(clip, both) for clip in clips for both in pairs]
        assert spread(Counter((vote.clip, pair(vote)) for vote in votes), cells) <= 1
        lead = Counter()
        for own in raters.values():
            mine = of_kind(own, "vote")
            assert len({vote.clip for vote in mine}) == m
            assert spread(Counter(map(pair, mine)), pairs) <= 2
            leads = Counter()
            for vote in mine:
                leads[pair(vote)] += 1 if vote.left < vote.right else -1
            assert all(abs(n) <= 1 for n in leads.values())
            lead.update(leads)
        assert all(abs(n) <= 1 for n in lead.values())
        graph = np.zeros((n_runs, n_runs))
        for vote in votes:
            graph[int(vote.left[3:]), int(vote.right[3:])] = 1
        assert csgraph.connected_components(graph, directed=False)[0] == 1


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_200_seeds_place_catches_and_repeats(size):
    for seed in range(200):
        raters, real_left = planned(*size, seed), 0
        for own in raters.values():
            n = len(own)
            catches = [i for i, trial in enumerate(own) if trial.kind == "catch"]
            repeats = [i for i, trial in enumerate(own) if trial.kind == "repeat"]
            assert len(catches) == len(repeats) == 3
            assert min(catches) >= 2
            assert {"real"} <= {own[i].left for i in catches} != {"real"}  # both sides
            real_left += sum(own[i].left == "real" for i in catches)
            assert {own[i].clip for i in catches} <= {f"other{i}" for i in range(6)}
            assert len({own[i].clip for i in catches}) == 3
            assert {pair(own[i])[0] for i in catches} == {"frozen", "blurred"}
            firsts = []
            for i in repeats:
                (first,) = (j for j, trial in enumerate(own) if trial.kind == "vote" and trial.clip == own[i].clip)
                assert (own[first].left, own[first].right) == (own[i].right, own[i].left)
                assert first < i
                firsts.append(first)
            assert len(set(firsts)) == 3
            if n >= 18:  # a third of each half is enough room
                assert all(first < n // 2 <= i and i - first >= 5 for first, i in zip(firsts, repeats))
                thirds = [(i - 2) * 3 // (n - 2) for i in catches]
                assert max(thirds) > min(thirds)
        assert abs(2 * real_left - 3 * len(raters)) <= 1


def test_a_seed_is_a_design_and_raters_differ():
    first, again, other = (planned(3, 12, 4, 18, seed) for seed in (1, 1, 2))
    assert first == again != other
    assert len({tuple(own) for own in first.values()}) == 4


def test_all_cells_are_filled_once_by_as_many_votes_whatever_the_numbers_share():
    for n_runs, n_clips, n_raters in ((4, 12, 6), (5, 24, 10), (3, 7, 3), (4, 9, 6)):
        raters = planned(n_runs, n_clips, n_raters, n_clips + 6, 0)
        cells = Counter((vote.clip, pair(vote)) for own in raters.values() for vote in of_kind(own, "vote"))
        assert len(cells) == n_clips * n_runs * (n_runs - 1) // 2
        assert set(cells.values()) == {1}


def test_catches_are_on_clips_that_the_rater_does_not_vote_on_while_there_are_such():
    for seed in range(20):
        for own in planned(2, 12, 3, 12, seed, catch_clips=["other0"]).values():
            seen = {vote.clip for vote in of_kind(own, "vote")}
            caught = {catch.clip for catch in of_kind(own, "catch")}
            assert len(caught) == 3
            assert "other0" in caught
            assert not caught & seen
        for own in planned(2, 4, 3, None, seed, catch_clips=[]).values():  # every clip is voted on
            assert len({catch.clip for catch in of_kind(own, "catch")}) == 3


def test_few_trials_are_placed_without_repeats_and_with_one():
    for n_repeats, n_clips in ((0, 2), (1, 1), (2, 2), (3, 3)):
        for seed in range(50):
            for own in planned(2, n_clips, 2, None, seed, n_repeats=n_repeats).values():
                assert Counter(trial.kind for trial in own) == Counter(
                    {"vote": n_clips, "catch": 3} | ({"repeat": n_repeats} if n_repeats else {})
                )


@pytest.mark.parametrize(
    "size, says",
    [
        ((2, 12, 3, 19), "a rater votes on a clip once, and there are 12; with 3 catches and 3 repeats 18 trials"),
        ((2, 12, 3, 8), "--trials 8: with 3 catches and 3 repeats 9 trials are the fewest"),
        ((2, 12, 0, 12), "--raters 0: takes 1 to 2000"),
        ((1, 12, 3, 12), "run0: it takes two runs or more"),
        ((6, 3, 1, 9), "--raters 1: 3 votes cannot connect 6 runs; it takes 5 or more"),
    ],
)
def test_what_cannot_be_designed_is_refused_in_one_line(size, says):
    with pytest.raises(Fault, match=says) as fault:
        planned(*size, 0)
    assert "\n" not in str(fault.value)
