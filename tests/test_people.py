"""What people said: sides corrected, intervals that cover, agreement as others compute it, and old votes refused."""

from dataclasses import replace

import krippendorff
import numpy as np
import pytest
from compared_project import PARAMS, N, bad, good, project
from conftest import facts, sliding_clip
from made_up_results import clip_score, metric_info, run_score, scored_group
from scipy import stats

from v2vbench.clips.store import Store, write_store
from v2vbench.params import Fault
from v2vbench.people.records import ReadStudy, VoteFile, VoteLine
from v2vbench.people.simulate import simulate
from v2vbench.people.votes import save
from v2vbench.results.comparison import Comparison
from v2vbench.runner import digests
from v2vbench.stages.compare import compare
from v2vbench.statistics import people
from v2vbench.statistics.bradley_terry import ELO, Vote, fit, rank, share_of
from v2vbench.statistics.people import Asked, Beside, agreement_of_raters, alpha, leave_one_rater_out, of_group

ABC = {"a": 0.8, "b": 0.2, "c": -1.0}
CALM = dict(tie=0.0, side=0.0, lapse=0.0, clip_effect=0.0, rater_effect=0.0)
NONE = {"reader": None}


def vote(clip, outcome, rater="r1", left="a", a="a", b="b", source="people", cluster=None):
    alike = str(clip if cluster is None else cluster)
    return Vote(clip=str(clip), cluster=alike, a=a, b=b, outcome=float(outcome), rater=rater, source=source, left=left)


def line(clip, answer, rater="r1", left="a", a="a", b="b", **more):
    rest = {"study": "s1", "question": "look", "group": "seen", "repeat": False, "ms": 4000, "loops": 2}
    return VoteLine(
        clip=clip,
        a=a,
        b=b,
        answer=answer,
        left=left,
        rater=rater,
        sha256={a: "0", b: "1"},
        **rest | {"simulated": False} | more,
    )


def study(**more):
    rest = {"question": "look", "asked": "Which looks real?", "group": "seen", "runs": ["a", "b"], "simulated": False}
    return ReadStudy(**rest | {"n_raters": 3, "excluded": {"hurried": 1}, "refused": {"no such trial": 2}} | more)


def lines_of(votes, **more):
    """Votes as the lines that `study read` would write of them."""
    answers = {1.0: "a", 0.0: "b", 0.5: "neither"}
    return [
        line(v.clip, answers[v.outcome], v.rater, v.left, v.a, v.b, **{"simulated": v.source == "simulated"} | more)
        for v in votes
    ]


def beside(runs, clusters=None, voters=("psnr",)):
    """Scores by psnr and a set distance; `runs` {run: psnr a clip}."""
    metrics = {
        "psnr": metric_info("psnr", "higher", heading="fidelity"),
        "ssim": metric_info("ssim", "higher", heading="fidelity", absent="weights absent"),
        "fed": metric_info("fed", kind="set"),
    }
    scored = {
        run: scored_group(
            [f"c{i}" for i in range(len(values))],
            {"psnr": run_score(clip_score(values)), "ssim": run_score(None), "fed": run_score(None)},
            clusters,
        )
        for run, values in runs.items()
    }
    return Beside(scored=scored, metrics=metrics, titles={run: run.upper() for run in runs}, voters=list(voters))


def said(lines, studies=None, refused=None, runs=None, **how):
    """What is made of lines on up to 40 clips."""
    runs = runs or {run: np.arange(40.0) for run in "abc"}
    asked = Asked(lines=lines, studies=studies or {"s1": study()}, refused=refused or {})
    return of_group(asked, beside(runs, **how), lambda lines: dict(NONE), ridge=0.1, confidence=0.9)


# sides


def test_the_side_is_told_from_the_strength():
    """With all strengths alike what is left of the votes is the side, as a logistic regression would have it."""
    crowd = simulate(
        dict.fromkeys("ab", 0.0), n_clips=3000, n_raters=4, clips_each=3000, seed=5, **CALM | {"side": 0.7}
    )
    found = rank(crowd, list("ab"), ridge=1e-3, confidence=0.95)
    n_left = sum(v.outcome == (v.left == "a") for v in crowd)
    assert found.side.value == pytest.approx(np.log(n_left / (len(crowd) - n_left)), abs=0.02)
    assert found.side.low < 0.7 < found.side.high
    assert found.rankings[0].strengths["a"].low < 0 < found.rankings[0].strengths["a"].high
    assert rank([replace(v, left=None) for v in crowd], list("ab"), ridge=1e-3, confidence=0.95).side is None


def test_exchanging_sides_turns_the_side_alone():
    votes = simulate(ABC, n_clips=20, n_raters=5, clips_each=10, seed=1, **CALM | {"side": 0.5, "tie": 0.3})
    turned = [replace(v, left=v.b if v.left == v.a else v.a) for v in votes]
    one, two = (rank(some, list(ABC), ridge=0.1, confidence=0.95) for some in (votes, turned))
    assert (one.side.value, one.side.low) == pytest.approx((-two.side.value, -two.side.high), abs=1e-5)
    for run, elo in one.rankings[0].strengths.items():
        assert elo.value == pytest.approx(two.rankings[0].strengths[run].value, abs=1e-3)


def test_a_covariate_takes_the_side_out_of_an_unbalanced_design():
    """a stands on the left in nine of ten trials, and the left is liked: without sides a seems the better one."""
    rng, votes = np.random.default_rng(2), []
    for clip in range(400):
        for rater in range(5):
            on_left = rng.random() < 0.9
            chosen = rng.random() < 1 / (1 + np.exp(-(1.2 if on_left else -1.2)))
            votes.append(vote(f"c{clip}", chosen, f"r{rater}", "a" if on_left else "b"))
    blind = [replace(v, left=None) for v in votes]
    with_side, without = (fit(some, ["a", "b"], ridge=0.01)[0][0] for some in (votes, blind))
    assert abs(2 * with_side) < 0.15
    assert 2 * without > 0.8
    weighed, plain = share_of(votes, 0.95, [v.left for v in votes]), share_of(votes, 0.95)
    assert weighed.low < 0.5 < weighed.high
    assert abs(weighed.value - 0.5) < 0.03
    assert plain.low > 0.6
    (pair,) = said(lines_of([v for v in votes if int(v.clip[1:]) < 40]))["look"].pairs
    assert pair.share.low < 0.5 < pair.share.high


def test_sides_weigh_the_same():
    votes = [vote(i, 1) for i in range(6)] + [vote(i, i % 2, left="b") for i in range(6, 8)]
    share = share_of(votes, 0.95, [v.left for v in votes])
    assert share.value == pytest.approx((1 + 0.5) / 2)
    balanced = [vote(i, i % 3 == 0, left="ab"[i % 2]) for i in range(12)]
    assert share_of(balanced, 0.95, [v.left for v in balanced]).value == pytest.approx(share_of(balanced, 0.95).value)
    few = [vote(0, 1), *(vote(i, i % 2, left="b") for i in range(1, 30))]  # one vote of one side says half of it all
    lonely = share_of(few, 0.95, [v.left for v in few])
    assert lonely.high - lonely.low > 0.6


def test_one_stratum_is_no_stratum():
    rng = np.random.default_rng(0)
    for _ in range(50):
        n = rng.integers(1, 30)
        votes = [vote(rng.integers(8), rng.choice([0, 0.5, 1]), f"r{rng.integers(4)}") for _ in range(n)]
        assert share_of(votes, 0.9) == share_of(votes, 0.9, ["x"] * n)


def pseudo_truth(how):
    """Strengths and side that a crowd would give: lapses and tastes draw them to 0."""
    crowd = simulate(ABC, n_clips=2000, n_raters=200, clips_each=200, seed=99, **how)
    found = rank(crowd, list(ABC), ridge=0.1, confidence=0.9)
    return {run: elo.value for run, elo in found.rankings[0].strengths.items()}, found.side.value


def covered(n_studies, how, confidence=0.9):
    """Of how many studies the interval has each strength and the side, and how many there are of both."""
    truth, side = pseudo_truth(how)
    hits = []
    for seed in range(n_studies):
        votes = simulate(ABC, n_clips=20, n_raters=12, clips_each=8, seed=seed, **how)
        found = rank(votes, list(ABC), ridge=0.1, confidence=confidence)
        strengths = found.rankings[0].strengths
        hits.append([elo.low <= truth[run] <= elo.high for run, elo in strengths.items()])
        hits[-1].append(found.side.low <= side <= found.side.high)
    return np.sum(hits, 0)


CARELESS = CALM | {"tie": 0.4, "side": 0.4, "lapse": 0.1, "clip_effect": 0.4, "rater_effect": 0.4}


def test_intervals_of_sides_and_strengths_cover():
    n = 60
    assert (covered(n, CARELESS) >= stats.binom.ppf(1e-3, n, 0.9)).all()


@pytest.mark.slow  # 400 studies
def test_intervals_of_sides_and_strengths_cover_in_many_studies():
    n = 400
    for how in (CARELESS, CALM | {"side": 0.8}, CARELESS | {"rater_effect": 1.0}):
        assert (covered(n, how) >= stats.binom.ppf(1e-3, n, 0.9)).all()


# agreement of raters

OBSERVERS = [  # Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", C: 4 observers, 12 units, 0: no value
    [1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3],
    [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0],
]


def test_alpha_is_krippendorffs():
    units = [[value for value in unit if value] for unit in zip(*OBSERVERS)]
    assert alpha(units) == pytest.approx(0.849, abs=5e-4)  # his figure for an interval scale
    assert alpha([[1, 1], [-1, -1], [0, 0]]) == 1
    assert alpha([[1, -1], [-1, 1]]) == pytest.approx(-0.5)  # 1 - 2 (n - 1) / n of n = 4 values
    for nothing in ([], [[1]], [[1], [-1]], [[1, 1], [1, 1]]):
        assert alpha(nothing) is None


def test_alpha_is_the_librarys():
    rng = np.random.default_rng(1)
    for n_units, most in ((5, 3), (40, 2), (12, 6)):
        table = np.full((most, n_units), np.nan)  # a row a rater
        for unit in range(n_units):
            n = rng.integers(1, most + 1)
            table[rng.permutation(most)[:n], unit] = rng.integers(-1, 2, n)
        library = krippendorff.alpha(reliability_data=table, level_of_measurement="interval")
        assert alpha([column[np.isfinite(column)] for column in table.T]) == pytest.approx(library, abs=1e-12)


def test_raters_agree_as_alpha_says():
    def panel(outcomes):
        """`outcomes` of each clip: one a rater."""
        return [vote(c, o, f"r{r}") for c, some in enumerate(outcomes) for r, o in enumerate(some)]

    every = agreement_of_raters(panel([[1, 1, 1]] * 3 + [[0, 0, 0]]), 0.95)
    assert (every.value, every.low, every.high) == (1, None, None)
    one_sided = agreement_of_raters(panel([[1, 1, 1]] * 4), 0.95)  # all for the same method agree, too
    assert one_sided.value == 1
    rng = np.random.default_rng(0)
    coins = panel(rng.integers(0, 2, (60, 4)))
    chance = agreement_of_raters(coins, 0.95)
    assert chance.low < 0 < chance.high
    assert chance.value == pytest.approx(0, abs=0.12)
    turned = [replace(v, a="b", b="a", outcome=1 - v.outcome) if v.clip in "01234" else v for v in coins]
    assert agreement_of_raters(turned, 0.95).value == pytest.approx(chance.value)  # which one is called a is arbitrary
    assert agreement_of_raters(panel([[1], [0], [1]]), 0.95) is None
    assert agreement_of_raters(panel([[0.5, 0.5]] * 3), 0.95) is None
    assert agreement_of_raters(panel([[1, 0]]), 0.95).low is None  # one clip


def test_repeats_are_no_votes_and_tell_consistency():
    first = [line(f"c{i}", "ab"[i % 2], rater) for i in range(4) for rater in ("r1", "r2")]
    again = [
        line("c0", "a", left="b", repeat=True),
        line("c1", "a", left="b", repeat=True),
        line("c1", "b", "r2", "b", repeat=True),
        line("c9", "b", "r2", "b", repeat=True),  # its first trial was left out
    ]
    with_repeats, without = said(first + again)["look"], said(first)["look"]
    assert (with_repeats.repeats.value, with_repeats.repeats.n_votes) == (pytest.approx(2 / 3), 3)
    assert without.repeats is None
    assert replace(with_repeats, repeats=None) == without
    assert said(again) == {}


# who agrees with people


def test_ceiling_and_agreement_are_of_the_same_votes():
    lines = [
        *(line("c0", "a", f"r{i}") for i in (1, 2, 3)),  # the others agree with each
        *(line("c1", answer, f"r{i}") for i, answer in enumerate("aab")),  # a tie, a tie, wrong
        line("c2", "neither", "r1"),
        line("c2", "b", "r2"),  # of the other one no preference: a half
        line("c3", "b", "r1"),  # alone: counts in none of them
    ]
    runs = {"a": [3, 1, 2, 9], "b": [1, 3, 2, 1]}  # psnr prefers a, b, neither, a
    found = said(lines, runs=runs)["look"]
    assert found.ceiling.n_votes == found.agreement["psnr"].n_votes == found.proxy.n_votes == 7
    assert found.ceiling.value == pytest.approx((3 + 0.5 + 0.5 + 0 + 0.5) / 7)
    assert found.agreement["psnr"].value == pytest.approx((3 + 0 + 0 + 1 + 0.5) / 7)
    assert found.proxy == found.agreement["psnr"]
    assert found.agreement["ssim"] is None
    assert "fed" not in found.agreement
    assert said(lines, runs=runs, voters=())["look"].proxy is None
    assert "another rater" in found.note
    alone = said([line(f"c{i}", "a") for i in range(3)], runs=runs)["look"]
    assert alone.ceiling is None
    assert alone.agreement["psnr"].n_votes == 3
    assert alone.ranking is None and alone.side is None
    assert "no ranking" in alone.note


def test_ceiling_is_what_raters_can_reach():
    """Raters who each say the truth with a chance q: of two others the majority is right with q, or divided."""
    rng, q, votes = np.random.default_rng(3), 0.8, []
    for clip in range(3000):
        right = rng.random(3) < q
        votes += [vote(clip, one, f"r{i}") for i, one in enumerate(right)]
    found = np.mean([right for _, right in leave_one_rater_out(votes)])
    alike = q**3 + (1 - q) ** 3 + 2 * q * (1 - q) / 2  # both others and the vote; or they are divided, a half
    assert found == pytest.approx(alike, abs=0.015)


def test_what_is_counted():
    lines = [line("c0", "a"), line("c0", "b", "r2", "b"), line("c1", "neither", "r2", a="b", b="c", left="c")]
    found = said(
        lines, refused={("look", False): {"another video": 4}, ("look", True): {"x": 1}, ("fit", False): {"y": 9}}
    )["look"]
    assert (found.n_raters, found.n_votes, found.n_ties, found.n_clips) == (2, 3, 1, 2)
    assert found.excluded == {"hurried": 1}
    assert found.refused == {"no such trial": 2, "another video": 4}
    assert (found.asked, found.studies, found.simulated, found.learned) == ("Which looks real?", ["s1"], False, NONE)
    assert found.left.value == 1
    assert [(pair.a, pair.b, pair.share.n_votes) for pair in found.pairs] == [("a", "b", 2), ("b", "c", 1)]
    assert [strength.run for strength in found.ranking.strengths] != []
    backwards = said(lines, runs={run: np.arange(40.0) for run in "cba"})["look"]  # in the order of params.yaml
    assert [(pair.a, pair.b) for pair in backwards.pairs] == [("b", "a"), ("c", "b")]
    assert said([]) == {}


def test_questions_are_apart():
    lines = [line("c0", "a"), line("c0", "b", "r2"), line("c1", "b", "r1", question="fit")]
    studies = {"s1": study(), "s2": study(question="fit", asked="Which fits?")}
    found = said(lines, studies)
    assert list(found) == ["look", "fit"]
    assert (found["look"].n_votes, found["fit"].n_votes, found["fit"].asked) == (2, 1, "Which fits?")


def test_simulated_raters_never_count_beside_people():
    people_said = [line("c0", "a"), line("c1", "b", "r2")]
    rehearsed = lines_of(
        simulate(ABC, n_clips=5, n_raters=3, clips_each=4, seed=0, **CALM), study="s9", question="look"
    )
    studies = {"s1": study(), "s9": study(simulated=True, excluded={"catch": 7})}
    both, alone = said(people_said + rehearsed, studies)["look"], said(people_said)["look"]
    assert not both.simulated
    assert f"{len(rehearsed)} votes of simulated raters not counted" in both.note
    assert replace(both, note=alone.note) == alone
    simulated = said(rehearsed, studies)["look"]
    assert simulated.simulated
    assert simulated.studies == ["s9"]
    assert simulated.excluded == {"catch": 7}
    assert people.QUESTIONS == ("look", "motion", "fit")
    assert simulated.ranking.strengths[0].elo.value > 0
    assert abs(simulated.ranking.strengths[0].elo.value) < 10 * ELO


# votes in a project


def voted(folder, answers, **more):
    """Writes votes/sliding.jsonl: `answers` of each rater, a letter a clip, on the videos that are there."""
    stores = {run: Store(folder / "runs" / run / "clips.zip").clips for run in "ab"}
    votes = [
        line(
            f"c{i}",
            {"a": "a", "b": "b", "=": "neither"}[answer],
            f"s1-{rater}",
            "ab"[(i + rater) % 2],
            **{"group": "unseen"} | more,
        )
        for rater, some in enumerate(answers)
        for i, answer in enumerate(some)
    ]
    of = [{run: stores[run][one.clip]["sha256"] for run in "ab"} for one in votes]
    studies = {"s1": study(group="unseen", n_raters=len(answers), **more)}
    path = folder / "votes" / "sliding.jsonl"
    path.parent.mkdir(exist_ok=True)
    file = VoteFile(
        dataset="sliding", studies=studies, votes=[replace(one, sha256=sha256) for one, sha256 in zip(votes, of)]
    )
    save(path, file)
    return path


def shown(folder, run, start=0):
    """Writes the clips of a run; other clips with another start."""
    about = facts(name=run, groups={"unseen": "maps never seen"})
    clips = [({"id": f"c{i}", "split": "unseen"}, {"fake": sliding_clip(start + i, 3)["real"]}) for i in range(N)]
    write_store(folder / "runs" / run / "clips.zip", about, clips)


ASK = {"votes": "votes/<dataset>.jsonl"}
ANSWERS = ("aaaaaaab", "aaabaaaa", "aa=aaaaa") * 2


@pytest.fixture
def asked_project(tmp_path):
    bound = project(tmp_path, {"a": good(), "b": bad()})
    for run in "ab":
        shown(tmp_path, run)
    return tmp_path, replace(bound, preference=bound.preference | ASK)


def group_of(folder, bound):
    return compare(bound, folder).datasets["sliding"].groups["unseen"]


def test_without_votes_nothing_changes(asked_project):
    folder, bound = asked_project
    path = Comparison.path(folder)
    group_of(folder, replace(bound, preference=bound.preference | {"votes": "none"}))
    without = path.read_bytes()
    group_of(folder, bound)
    assert path.read_bytes() == without
    voted(folder, ANSWERS)
    group_of(folder, replace(bound, preference=bound.preference | {"votes": "none"}))
    assert path.read_bytes() == without
    group_of(folder, bound)
    assert path.read_bytes() != without


def test_people_stand_in_the_comparison(asked_project, capsys):
    folder, bound = asked_project
    voted(folder, ANSWERS)
    group = group_of(folder, bound)
    found = group.preference.people["look"]
    assert capsys.readouterr().out == ""
    (stored,) = Comparison.load(Comparison.path(folder)).datasets["sliding"].groups["unseen"].preference.people.values()
    assert stored.pairs[0].share.value == pytest.approx(found.pairs[0].share.value, abs=1e-6)
    assert (stored.asked, stored.agreement.keys()) == (found.asked, found.agreement.keys())
    assert (found.n_raters, found.n_votes, found.n_ties, found.simulated) == (6, 48, 2, False)
    assert found.pairs[0].share.value == pytest.approx(43 / 48, abs=0.03)
    assert set(found.agreement) == {"psnr", "warp_error", "motion_ratio"}
    assert found.agreement["psnr"].n_votes == found.ceiling.n_votes == 46
    assert {"clip", "rater"} == set(found.learned)
    assert found.learned["rater"].n_folds == 6
    assert set(found.learned["rater"].folds) == set("123456")  # raters have no names there
    assert "s1-0" not in Comparison.path(folder).read_text()
    assert found.learned["clip"].n_folds == N
    assert group.preference.win.model.learned_from == "people"
    first = group.sentences[0].text
    assert first.startswith("People (6 raters, 48 votes) prefer A to B on 0.")
    voted(folder, ANSWERS, simulated=True)
    rehearsed = group_of(folder, bound)
    assert rehearsed.preference.people["look"].simulated
    texts = [sentence.text for sentence in rehearsed.sentences]
    assert not any("People (" in text for text in texts)
    assert any(text.startswith("Simulated raters, no person (6 raters, 48 votes), prefer") for text in texts)
    assert not any("Simulated" in sentence.text for sentence in rehearsed.sentences if not sentence.detail)
    assert rehearsed.preference.win.model.learned_from == "simulated raters"


def test_votes_on_old_videos_do_not_count(asked_project, capsys):
    folder, bound = asked_project
    path = voted(folder, ANSWERS)
    head, *votes = path.read_text().splitlines()
    path.write_text("\n".join([head, *(vote.replace('"c0"', '"c99"') for vote in votes)]) + "\n")
    assert group_of(folder, bound).preference.people["look"].refused == {
        "no such trial": 2,
        "a shows another video now": 6,
    }
    assert "votes/sliding.jsonl: 6 answers not counted (6: a shows another video now)" in capsys.readouterr().out
    other = replace(bound, runs={run: bound.runs["a"] for run in "ac"})
    for name in ("metrics/runs/b.json", "metrics/runs/c.json"):
        (folder / name).write_text((folder / "metrics/runs/b.json").read_text().replace('"B"', '"C"'))
    gone = group_of(folder, other)
    assert gone.preference.people == {}
    assert "b is no run here), which leaves none" in capsys.readouterr().out
    assert gone.sentences[-1].text.startswith("People were asked, and no vote of theirs counts here (48 answers: ")
    shown(folder, "b", start=1)  # trained again
    assert group_of(folder, bound).preference.people == {}
    assert "b shows another video now" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda text: text[: len(text) // 2], "cut off"),
        (lambda text: "", "line 1"),
        (lambda text: text.replace('"dataset": "sliding"', '"dataset": "else"'), "else"),
        (lambda text: text.replace('"answer": "a"', '"answer": "left"', 1), "line 2"),
    ],
)
def test_a_damaged_file_of_votes_is_refused(asked_project, spoil, why):
    folder, bound = asked_project
    path = voted(folder, ANSWERS)
    path.write_text(spoil(path.read_text()))
    with pytest.raises(Fault, match=why) as fault:
        group_of(folder, bound)
    assert "\n" not in str(fault.value)


def test_a_file_of_votes_makes_compare_stale(asked_project):
    folder, bound = asked_project
    assert "votes/sliding.jsonl" in digests.inputs(bound)["compare"]["compare"]
    assert not any(
        path.startswith("votes/sliding")
        for path in digests.inputs(replace(bound, preference=PARAMS.preference))["compare"]["compare"]
    )
    digests.write_inputs(bound, "compare", folder)
    listed = folder / "build/inputs/compare"
    before = listed.read_text()
    assert "votes/" not in before
    voted(folder, ANSWERS)
    digests.write_inputs(bound, "compare", folder)
    assert listed.read_text().startswith(before)
    assert listed.read_text().removeprefix(before).startswith("votes/sliding.jsonl ")
