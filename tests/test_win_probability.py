"""Chances of being preferred, learned from damages of known order: what they say, and how sure they are of it."""

from dataclasses import replace

import numpy as np
import pytest
from made_up_results import calibrated_group, climb, ladder
from sklearn.linear_model import LogisticRegression

from v2vbench.clips import damage
from v2vbench.statistics.ordered_pairs import MILD, PLAIN, of_damages
from v2vbench.statistics.win_probability import WinSettings, learn, probability, win_pair

SETTINGS = WinSettings(teachers=["damages"], ridge=0.01, n_folds=5, n_bins=5, reach=1.0, evidence=0.5)
BETTER = {"psnr": "higher", "ssim": "higher", "warp": "lower", "blind": "lower"}


def ladders(n_clips=12, seed=0, clusters=None, **more):
    """A calibration of made-up damages: psnr sees all, ssim sees space, warp sees time, and `blind` is noise."""
    rng, damages = np.random.default_rng(seed), {}
    for kind, sees in (("space", (1, 1, 0.0)), ("time", (0.6, 0.0, 1))):
        for i in range(3):
            levels = [0, 1, 2, 3]
            steep, noise = rng.uniform(0.6, 1.4, n_clips), rng.normal(0, 0.35, (4, 4, n_clips))
            rows = [
                [
                    40 - 4 * (sees[0] * level * steep + noise[0, level]),
                    1 - 0.1 * (sees[1] * level * steep + noise[1, level]),
                    0.01 * (1 + sees[2] * level * steep + noise[2, level]),
                    noise[3, level],
                ]
                for level in levels
            ]
            rows[0][0] = np.full(n_clips, 100.0)  # the undamaged clip is at the bound
            metrics = {label: climb([row[j] for row in rows]) for j, label in enumerate(BETTER)}
            damages[f"{kind}{i}"] = ladder(kind, levels, metrics)
    return calibrated_group([f"c{i}" for i in range(n_clips)], damages | more, clusters)


PAIRS = of_damages(ladders(), BETTER)
MODEL = learn(PAIRS, SETTINGS, 0.95)


def test_pairs_of_damages_leave_out_the_undamaged_clip():
    assert len(PAIRS.outcome) == 6 * 3 * 12
    assert PAIRS.adjacent.sum() == 6 * 2 * 12
    assert PAIRS.outcome.all()
    assert np.abs(PAIRS.difference[:, 0]).max() < 20  # no 100 dB in it
    first, metrics = PAIRS.difference[:12], ladders().ladders["space0"].metrics
    psnr, warp = (np.array(metrics[label].per_clip) for label in ("psnr", "warp"))
    np.testing.assert_allclose(first[:, 0], psnr[1] - psnr[2])
    np.testing.assert_allclose(first[:, 2], warp[2] - warp[1])
    short = ladder("space", [0, 1, 2], {label: climb(curve.per_clip[:3]) for label, curve in metrics.items()})
    uneven = of_damages(ladders(short=short), BETTER)
    assert uneven.weight[uneven.left_out["damage"]["short"]].sum() == pytest.approx(
        uneven.weight[uneven.left_out["damage"]["time1"]].sum()
    )


def named(n_clips=12):
    """The ladders of `ladders` under names of damages, with levels on both sides of what is mild and plain."""
    levels = {"blur": [0, 0.5, 2, 4], "noise": [0, 4, 8, 16], "slow": [0, 1.5, 2, 3], "flicker": [0, 4, 16, 32]}
    group = ladders(n_clips)
    made = dict(zip(levels, group.ladders.values()))
    return replace(group, ladders={name: replace(made[name], levels=levels[name]) for name in levels})


def test_damages_against_each_other_where_their_order_is_known():
    assert set(MILD) | set(PLAIN) <= set(damage.LADDERS)
    pairs, damages = of_damages(named(), BETTER), named().ladders
    n = len(pairs.outcome) - 4 * 3 * 12  # beside the rungs of each ladder
    assert n == 12 * (
        1 + 1 + 2 * 2
    )  # noise 4 over blur 4; blur 0.5 over noise 16; both over flicker 16 and 32; slow of neither
    cost = {name: -np.array(one.metrics["psnr"].per_clip) for name, one in damages.items()}
    want = [
        cost["blur"][3] - cost["noise"][1],
        cost["noise"][3] - cost["blur"][1],
        *(cost["flicker"][j] - cost[mild][1] for mild in ("blur", "noise") for j in (2, 3)),
    ]
    np.testing.assert_allclose(pairs.difference[-n:, 0], np.concatenate(want))
    assert not pairs.adjacent[-n:].any()
    assert pairs.outcome.all()
    of_damage, across = pairs.left_out["damage"], np.arange(len(pairs.outcome)) >= len(pairs.outcome) - n
    assert [int((of_damage[name] & across).sum()) for name in ("blur", "noise", "slow", "flicker")] == [48, 48, 0, 48]
    for name in ("blur", "noise", "flicker"):  # across weighs as much as a ladder's own rungs, for each that is plain
        assert pairs.weight[of_damage[name] & ~across].sum() == pytest.approx(12)
    assert pairs.weight[across].sum() == pytest.approx(3 * 12)


def turned_on_m0(clusters):
    """`ladders`, psnr turned round on the first 3 clips, those of m0."""
    group = ladders(clusters=clusters)
    for damage_ladder in group.ladders.values():
        for row in damage_ladder.metrics["psnr"].per_clip[1:]:
            row[:3] = [-value for value in row[:3]]
    return group


def test_folds_are_clusters():
    """Clips of one map have what no other map has: what is learned from them holds for them, and for no other map."""
    maps = [f"m{i // 3}" for i in range(12)]
    model = learn(of_damages(ladders(clusters=maps), BETTER), SETTINGS, 0.95)
    assert model.n_clusters == 4
    assert model.n_clips == 12
    assert model.cross_validation["cluster"].n_folds == 4
    assert model.cross_validation["cluster"].accuracy.n_clusters == 4
    by_map, by_clip = (
        learn(of_damages(turned_on_m0(clusters), {"psnr": "higher"}), SETTINGS, 0.95).cross_validation["cluster"]
        for clusters in (maps, None)
    )
    assert by_map.folds["0"] < 0.2 < 0.8 < min(by_map.folds[fold] for fold in "123")
    assert by_clip.n_folds == 5


def test_what_is_learned():
    assert MODEL.learned_from == "damages of known order"
    assert MODEL.weights["psnr"] > 1
    assert MODEL.weights["warp"] > 0.3
    assert MODEL.weights["blind"] < 0.3
    assert learn(PAIRS, SETTINGS, 0.95) == MODEL


def test_what_held_out_pairs_say():
    checked = MODEL.cross_validation
    assert {by: score.n_folds for by, score in checked.items()} == {"cluster": 5, "damage": 6, "kind": 2}
    for score in checked.values():
        assert score.n_pairs == len(PAIRS.outcome)
        assert score.adjacent.n_votes < score.accuracy.n_votes
        assert score.log_loss < score.log_loss_of_a_coin
        assert score.n_no_evidence == score.n_pairs - score.accuracy.n_votes
        assert score.best_metric == "psnr"
        assert abs(score.metrics["blind"].accuracy - 0.5) < 0.15
    for by in ("cluster", "damage"):  # neighbouring degrees are harder
        assert checked[by].adjacent.value < checked[by].accuracy.value
    assert checked["kind"].accuracy.value <= checked["cluster"].accuracy.value
    assert MODEL.held_out == checked["damage"]


def test_weights_are_those_of_another_library():
    rng = np.random.default_rng(0)
    difference = rng.normal(size=(400, 2)) * (1, 5)
    outcome = (rng.random(400) < 1 / (1 + np.exp(-np.tanh(difference / (1, 5)) @ (1.5, 0.7)))).astype(float)
    drawn = replace(
        PAIRS,
        better={"x": "lower", "y": "lower"},
        difference=difference,
        outcome=outcome,
        weight=np.ones(400),
        clip=np.arange(400).astype(str),
        cluster=np.arange(400).astype(str),
        adjacent=np.ones(400, bool),
        left_out={"damage": {}},
    )
    model = learn(drawn, SETTINGS, 0.95)
    u = np.tanh(difference / list(model.scales.values()))
    theirs = LogisticRegression(C=1 / (400 * 0.01), fit_intercept=False, tol=1e-10).fit(u, outcome).coef_[0]
    np.testing.assert_allclose(list(model.weights.values()), theirs, atol=1e-4)


def test_what_is_left_out_was_not_learned_from():
    """A damage that improves every metric cannot be judged by what other damages teach."""
    first = ladders().ladders["space0"]
    turned = {label: climb(curve.per_clip[:1] + curve.per_clip[:0:-1]) for label, curve in first.metrics.items()}
    lying = ladder("space", [0, 1, 2, 3], turned)
    folds = learn(of_damages(ladders(lying=lying), BETTER), SETTINGS, 0.95).cross_validation["damage"].folds
    assert folds["lying"] < 0.2
    assert folds["space1"] > 0.9


def test_chances_are_what_they_say():
    """Pairs drawn from a known rule: of those of damages not learned from, as many are won as the chances say."""
    rng, n = np.random.default_rng(0), 1080
    difference = rng.normal(size=(n, 2))
    won = rng.random(n) < 1 / (1 + np.exp(-np.tanh(difference) @ (2, 1)))
    drawn = replace(
        PAIRS,
        better={"x": "lower", "y": "lower"},
        difference=difference,
        outcome=won.astype(float),
        weight=np.ones(n),
        clip=np.arange(n).astype(str),
        cluster=np.arange(n).astype(str),
        adjacent=np.ones(n, bool),
        left_out={"damage": {name: np.arange(n) % 4 == i for i, name in enumerate("abcd")}},
    )
    loose = replace(SETTINGS, ridge=1e-4)
    model = learn(drawn, loose, 0.99)
    assert model.apart == "damage"
    assert set(model.without) == set("abcd")
    assert 1.4 < model.weights["x"] < 2.6
    assert 0.6 < model.weights["y"] < 1.4
    for point in model.curve:
        assert point.low <= point.predicted <= point.high
        assert point.observed.low <= point.predicted <= point.observed.high
    mirrored = replace(drawn, difference=-drawn.difference, outcome=1 - drawn.outcome)
    assert learn(mirrored, loose, 0.99).weights == pytest.approx(model.weights, abs=1e-4)


def test_chances_mirror_rise_and_end_where_training_did():
    reach = np.array(list(MODEL.reach.values()))
    inside = np.random.default_rng(0).uniform(-1, 1, (50, 4)) * reach
    p, q = (np.array(probability(MODEL, sign * inside)) for sign in (1, -1))
    np.testing.assert_allclose(p + q, 1)
    assert probability(MODEL, np.zeros((1, 4))) == [0.5]
    assert all(p > 0.5 for p in probability(MODEL, np.abs(inside)))
    assert all(probability(MODEL, np.array([reach * 0.9, reach])))
    for label in range(4):
        beyond = np.zeros((1, 4))
        beyond[0, label] = 1.01 * reach[label]
        assert probability(MODEL, beyond) == [None]


def level(n, label):
    """A metric's values of each clip at one level of the first damage."""
    return np.array(ladders().ladders["space0"].metrics[label].per_clip[n])


MILDER, WORSE = ({label: level(n, label) for label in BETTER} for n in (1, 2))


def pair(first, second, model=MODEL, clusters=None):
    """The chance of the first of two runs, {label: values per clip} each; without clusters each clip is alone."""
    alike = clusters or [str(i) for i in range(len(first["psnr"]))]
    return win_pair(model, "a", "b", {"a": first, "b": second}, SETTINGS, 0.95, alike)


def test_pairs_of_methods():
    better, turned = pair(MILDER, WORSE), pair(WORSE, MILDER)
    assert 0.5 < better.chance.low < better.chance.value < better.chance.high <= 1
    assert (better.a, better.b) == ("a", "b")
    assert better.n_clips == 12
    assert better.n_no_evidence == 0
    assert turned.chance.value == pytest.approx(1 - better.chance.value)
    assert turned.chance.high == pytest.approx(1 - better.chance.low)
    even = pair(MILDER, MILDER)
    assert even.ridges == (0.5, 0.5)
    assert vars(even.chance) == pytest.approx({"value": 0.5, "low": 0.5, "high": 0.5})


def test_clips_beyond_reach_are_no_evidence():
    some, most = ({label: values.copy() for label, values in WORSE.items()} for _ in range(2))
    some["psnr"][:5], most["psnr"][:7] = -100, -100
    assert pair(MILDER, some).n_no_evidence == 5
    assert pair(MILDER, some).chance is not None
    nothing = pair(MILDER, most)
    assert nothing.chance is None
    assert nothing.ridges is None
    assert (nothing.n_clips, nothing.n_no_evidence) == (12, 7)


def test_one_clip_has_no_interval():
    one = pair(*({label: values[:1] for label, values in side.items()} for side in (MILDER, WORSE)))
    assert one.chance.value > 0.5
    assert one.chance.low is None


def test_the_interval_holds_what_other_ridges_say():
    all_ridges, each = pair(MILDER, WORSE), []
    for ridge in (0.001, 0.01, 0.1):
        alone = replace(learn(PAIRS, replace(SETTINGS, ridge=ridge), 0.95), ridges={})
        each.append(pair(MILDER, WORSE, alone).chance)
    assert list(MODEL.ridges) == ["0.001", "0.1"]
    assert each[0].value > each[1].value + 0.02 > each[2].value + 0.04
    assert all_ridges.chance.value == each[1].value
    assert all_ridges.ridges == pytest.approx((each[2].value, each[0].value))
    assert all_ridges.chance.low == pytest.approx(min(chance.low for chance in each))
    assert all_ridges.chance.high == pytest.approx(max(chance.high for chance in each))


def test_intervals_of_chances_go_by_cluster():
    """Clips that say the same are worth one a cluster."""
    milder, worse = ({label: np.repeat(values[:4], 3) for label, values in side.items()} for side in (MILDER, WORSE))
    by_clip = pair(milder, worse).chance
    by_cluster = pair(milder, worse, clusters=[f"m{i // 3}" for i in range(12)]).chance
    assert by_clip.value == by_cluster.value
    assert by_clip.high - by_clip.low < by_cluster.high - by_cluster.low
    assert pair(milder, worse, clusters=["m"] * 12).chance.low is None


def test_an_answer_that_hangs_on_one_damage_has_a_wide_interval():
    milder, worse = ({label: np.full(12, value * (label == "warp")) for label in BETTER} for value in (0.0, 0.012))
    few = ladders()
    del few.ladders["time1"], few.ladders["time2"]
    narrow, wide = (
        pair(milder, worse, learn(of_damages(damages, BETTER), SETTINGS, 0.95)).chance for damages in (ladders(), few)
    )
    assert narrow.low < narrow.value < narrow.high
    assert wide.low < wide.value < wide.high
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


BADNESS = {
    "blur": {0.5: 0.2, 1: 0.8, 2: 1.8, 4: 3},
    "noise": {4: 0.3, 16: 2},
    "flicker": {4: 0.8, 16: 2.5},
    "shuffle": {2: 2.5, 5: 3},
    "freeze": {2: 1.2, 5: 2.5},
}
SEEN_BY = {
    "pixels": (1, 1, 0.3, 1.2, 0.6),
    "motion": (0.1, 0.2, 0.1, 1.5, 1.2),
    "light": (0.2, 0.1, 1.5, 1, 0.6),
    "smooth": (-1, 0.5, 1, 0.8, -0.5),
}  # of each damage; the last is paid for blur and for freezing


def simulated_damages(seed, n_maps=8, each=2):
    """Damages of known badness, as four metrics see them; clips of a map are alike."""
    rng, n, damages = np.random.default_rng(seed), n_maps * each, {}
    for i, (name, badness) in enumerate(BADNESS.items()):
        steep, metrics = np.repeat(rng.lognormal(0, 0.3, n_maps), each) * rng.lognormal(0, 0.1, n), {}
        for label, share in SEEN_BY.items():
            levels = (0, *badness.values())
            metrics[label] = climb([share[i] * bad * steep + rng.normal(0, 0.15, n) for bad in levels])
        kind = ("space", "both", "both", "time", "time")[i]
        damages[name] = ladder(kind, [0, *badness], metrics)
    return calibrated_group([f"c{i}" for i in range(n)], damages, [f"m{i // each}" for i in range(n)])


def simulated_methods(seed, n=400):
    """Pairs of clips that have some of each damage; the first is smooth, to please the metric that is paid for it.

    returns    {label: (n,) difference of cost}, (n,) whether the first is preferred
    """
    rng = np.random.default_rng(seed)
    bad = rng.exponential(0.6, (2, n, 5)) * (rng.random((2, n, 5)) < 0.5)
    cost = {
        label: (bad * share * rng.lognormal(0, 0.3, bad.shape)).sum(2)
        + rng.normal(0, 0.15, (2, n))
        - (label == "smooth") * np.c_[[2, 0]]
        for label, share in SEEN_BY.items()
    }
    return {label: two - one for label, (one, two) in cost.items()}, rng.random(n) < 1 / (
        1 + np.exp(-2 * (bad[1] - bad[0]).sum(1))
    )


def quality(calibration, labels, difference, won):
    """Of chances: share of pairs right, log loss, share without evidence, and log loss of held-out damages."""
    model = learn(of_damages(calibration, dict.fromkeys(labels, "lower")), SETTINGS, 0.95)
    chances = probability(model, np.stack([difference[label] for label in labels], 1))
    p = np.array([0.5 if chance is None else chance for chance in chances])
    loss = -np.log(np.where(won, p, 1 - p)).mean()
    held_out = model.cross_validation["damage"].log_loss
    return ((p > 0.5) == won)[p != 0.5].mean(), loss, (p == 0.5).mean(), held_out


def test_damages_against_each_other_and_no_fooled_metric_tell_methods_better():
    """Before: single ladders, all metrics, folds of clips. After: across ladders, no fooled metric, folds of maps.

    Methods mix damages, as no ladder does. Means of 6 studies, before and after, which docs/protocols.md quotes; no
    evidence is a half.
    """
    studies = []
    for seed in range(6):
        across = simulated_damages(seed)
        apart = replace(
            across,
            clusters=across.clips,
            ladders={f"single {name}": damages for name, damages in across.ladders.items()},
        )
        difference, won = simulated_methods(1000 + seed)
        labels = list(SEEN_BY)
        studies.append(
            [
                quality(apart, labels, difference, won),
                quality(across, [label for label in labels if label != "smooth"], difference, won),
            ]
        )
    before, after = np.mean(studies, 0)
    assert after[0] > before[0] + 0.005
    assert after[1] < before[1] - 0.05
    assert after[2] < before[2] / 4
    assert after[3] < before[3] / 2


def test_a_metric_that_is_flat_has_no_weight():
    flat = ladders()
    for damages in flat.ladders.values():
        damages.metrics["blind"] = climb([[1.0] * 12] * 4)
    model = learn(of_damages(flat, BETTER), SETTINGS, 0.95)
    assert model.weights["blind"] == 0
    assert model.reach["blind"] == 0
    assert learn(of_damages(flat, {"blind": "lower"}), SETTINGS, 0.95) is None


def test_little_to_learn_from():
    undamaged = calibrated_group(["c0"], {"x": ladder("space", [0, 1], {"psnr": climb([[100], [30]])})})
    assert learn(of_damages(undamaged, {"psnr": "higher"}), SETTINGS, 0.95) is None
    single = calibrated_group(["c0"], {"x": ladder("space", [1, 2, 3], {"psnr": climb([[35], [31], [30]])})})
    model = learn(of_damages(single, {"psnr": "higher"}), SETTINGS, 0.95)
    assert model.cross_validation == {"cluster": None, "damage": None, "kind": None}
    assert model.without == {}
    assert all(point.observed is None for point in model.curve)
    assert pair({"psnr": [32]}, {"psnr": [30]}, model).chance.value > 0.5
