"""Votes of metrics between runs: who may vote, what follows, and why there is none."""

from dataclasses import replace

import pytest
from made_up_results import (
    calibrated_group,
    climb,
    clip_score,
    control,
    fooled_by,
    ladder,
    metric_info,
    run_score,
    scored_group,
    set_score,
)

from v2vbench.metrics import resolve
from v2vbench.params import Fault, bind
from v2vbench.results.comparison import Voter
from v2vbench.statistics.preference import PreferenceSettings, check_candidates, choose_voters, metric_votes, of_group

SECTION = {
    "votes": "none",
    "metrics": {"fidelity": ["psnr", "ssim"], "realism": ["warp"]},
    "ridge": 0.5,
    "win": {"teachers": ["damages"], "ridge": 0.01, "n_folds": 5, "n_bins": 5, "reach": 1, "evidence": 0.5},
}
SETTINGS = bind(PreferenceSettings, SECTION, "preference")
ONLY_PSNR = replace(SETTINGS.metrics, fidelity=["psnr"], realism=[])
METRICS = {
    "psnr": metric_info("psnr", "higher", heading="fidelity"),
    "ssim": metric_info("ssim", "higher", heading="fidelity"),
    "warp": metric_info("warp", "lower"),
    "fed": metric_info("fed", "lower", kind="set"),
}
TITLES = {"a": "A", "b": "B", "c": "C"}
EVEN = {run: [[30.0] * 6, [0.8] * 6, [0.02] * 6] for run in "ab"}


def scored(runs, clusters=None):
    """{run: its scores}; `runs` {run: values per clip of psnr, ssim and warp}."""
    groups = {}
    for run, rows in runs.items():
        ids = [f"c{i}" for i in range(len(rows[0]))]
        scores = {label: run_score(clip_score(row)) for label, row in zip(("psnr", "ssim", "warp"), rows)}
        groups[run] = scored_group(ids, scores | {"fed": run_score(set_score(1.0))}, clusters)
    return groups


def calibration(n_clips=6, clusters=None, **fooled):
    """Damages that every metric sees; `fooled` {label: controls that fool it}."""
    steep = [1 + i / n_clips for i in range(n_clips)]
    metrics = {
        "psnr": climb([[100.0] * n_clips, *([40 - 4 * level * s for s in steep] for level in (1, 2, 3))]),
        "ssim": climb([[1 - 0.1 * level * s for s in steep] for level in range(4)]),
        "warp": climb([[0.01 * (1 + level * s) for s in steep] for level in range(4)]),
    }
    damages = {name: ladder(kind, range(4), metrics) for name, kind in (("x", "space"), ("y", "space"), ("z", "time"))}
    return calibrated_group(
        [f"c{i}" for i in range(n_clips)],
        damages,
        clusters,
        controls={"frozen": control("frozen", True), "blurred": control("blurred", False)},
        fooled={label: fooled_by(*names) for label, names in fooled.items()},
    )


def preference(runs, calibrated=None, pairs=(("a", "b"),), settings=SETTINGS):
    clusters = calibrated.clusters if calibrated else None
    n_clips = len(next(iter(runs.values()))[0])
    calibrated = calibrated or calibration(n_clips)
    return of_group(
        scored(runs, clusters), METRICS, TITLES, list(pairs), calibrated, settings, 0.95, votes=[], learned={}
    )


def test_one_vote_a_heading():
    """Both agree, one is even, both are even, they disagree: in each order."""
    a, b = [[2, 2, 1, 1, 2, 1], [0] * 6, [1, 1, 1, 1, 2, 2]], [[1, 1, 1, 2, 1, 2], [9] * 6, [2, 1, 1, 2, 1, 1]]
    groups = scored({"a": a, "b": b}, [f"m{i // 3}" for i in range(6)])

    def outcomes(*how):
        return [vote.outcome for vote in metric_votes(groups, METRICS, *how)]

    assert outcomes("a", "b", ["psnr", "warp"]) == [1, 1, 0.5, 0.5, 0.5, 0]  # warp is the lower the better
    assert outcomes("b", "a", ["psnr", "warp"]) == [0, 0, 0.5, 0.5, 0.5, 1]
    assert outcomes("a", "b", ["psnr"]) == [1, 1, 0.5, 0, 1, 0]
    votes = metric_votes(groups, METRICS, "a", "b", ["psnr"])
    assert [vote.cluster for vote in votes] == ["m0"] * 3 + ["m1"] * 3
    assert {vote.source for vote in votes} == {"metrics"}


def test_who_votes_is_whom_nothing_feasible_fools():
    nothing = preference(EVEN)
    assert nothing.labels == ["psnr", "warp"]
    assert list(nothing.win.model.better) == ["psnr", "ssim", "warp"]
    some = preference(EVEN, calibration(psnr=["frozen"], warp=["blurred"]))  # who saw the target is no method
    assert some.labels == ["ssim", "warp"]
    assert list(some.win.model.better) == ["ssim", "warp"]
    assert some.voters["fidelity"] == Voter(label="ssim", passed_over={"psnr": "fooled by frozen"})
    more = preference(EVEN, calibration(warp=["blurred", "frozen"]))
    assert more.labels == ["psnr"]
    assert more.voters["realism"] == Voter(label=None, passed_over={"warp": "fooled by frozen"})


def test_where_all_are_fooled_no_one_votes():
    nobody = preference(EVEN, calibration(psnr=["frozen"], ssim=["frozen"], warp=["frozen"]))
    assert nobody.labels == []
    assert nobody.pairs == []
    assert nobody.ranking is None
    assert nobody.win is None
    assert nobody.reason == "no metric that may vote is left"


def test_candidates_without_a_value_of_each_run_are_passed_over():
    groups = scored(EVEN)
    groups["b"].scores["psnr"] = run_score(None)
    metrics = METRICS | {
        "psnr": replace(METRICS["psnr"], absent="weights absent: x"),
        "warp": replace(METRICS["warp"], kind="set"),
    }
    candidates = replace(SETTINGS.metrics, realism=["elsewhere", "warp"])
    assert choose_voters(groups, metrics, candidates, {}) == {
        "fidelity": Voter(label="ssim", passed_over={"psnr": "weights absent: x"}),
        "realism": Voter(
            label=None, passed_over={"elsewhere": "not defined on these clips", "warp": "has no value of a single clip"}
        ),
    }


@pytest.mark.parametrize(
    "n, clusters, why", [(1, None, "there is one clip only"), (6, ["map01"] * 6, "all 6 clips are alike (one cluster)")]
)
def test_one_cluster_has_no_votes_and_says_why(n, clusters, why):
    runs = {run: [[30.0 + i] * n, [0.8] * n, [0.02] * n] for i, run in enumerate("ab")}
    alone = preference(runs, calibration(n, clusters))
    assert alone.reason == f"{why}, which says nothing of others"
    assert alone.pairs == []
    assert alone.ranking is None
    assert alone.win is None
    assert alone.labels == ["psnr", "warp"]


def test_two_clusters_are_two_independent_votes():
    two = preference(EVEN, calibration(6, ["map01"] * 3 + ["map02"] * 3))
    assert two.reason is None
    assert (two.pairs[0].share.n_clips, two.pairs[0].share.n_clusters) == (6, 2)
    assert two.win.model.n_clusters == 2


def test_a_group_as_compare_stores_it():
    good, bad = ([[value] * 12 for value in row] for row in ((30, 0.8, 0.02), (28, 0.75, 0.03)))
    whole = preference({"a": good, "b": bad, "c": bad}, pairs=[("a", "b"), ("a", "c")])
    share = whole.pairs[0].share
    assert (share.value, share.n_votes, share.n_clusters) == (1, 12, 12)
    assert share.low == pytest.approx(0.025 ** (1 / 12))  # exact of 12 votes for
    assert whole.ranking.strengths[0].run == "a"
    assert whole.ranking.n_votes == 24
    assert whole.ranking.connected
    assert whole.ranking.note == "some never lose to others, so that only the prior holds their distance"
    assert whole.win.model.learned_from == "damages of known order"
    assert list(whole.win.model.better) == ["psnr", "ssim", "warp"]
    assert whole.win.pairs[0].chance.value > 0.5
    assert [pair.b for pair in whole.win.pairs] == ["b", "c"]


def test_one_run_has_chances_of_nothing():
    alone = preference({"a": EVEN["a"]}, pairs=[])
    assert alone.pairs == alone.win.pairs == []
    assert alone.ranking is None


def test_a_metric_without_values_does_not_predict():
    groups, settings = scored(EVEN), replace(SETTINGS, metrics=ONLY_PSNR)
    groups["b"].scores["ssim"] = run_score(None)
    some = of_group(groups, METRICS, TITLES, [("a", "b")], calibration(), settings, 0.95, votes=[], learned={})
    assert list(some.win.model.better) == ["psnr", "warp"]
    assert some.labels == ["psnr"]
    partial = calibration()
    partial.ladders["z"] = ladder("time", range(4), {"psnr": partial.ladders["x"].metrics["psnr"]})
    some = of_group(groups, METRICS, TITLES, [("a", "b")], partial, settings, 0.95, votes=[], learned={})
    assert list(some.win.model.better) == ["psnr"]


def test_settings_are_checked():
    for wrong, why in (
        ({"ridge": 0}, "preference.ridge: 0.0 is out of range"),
        ({"win": {}}, "preference.win: missing teachers, ridge, n_folds"),
        ({"win": SECTION["win"] | {"reach": 2}}, "preference.win.reach: 2.0 is out of range"),
        ({"voters": []}, "unknown voters"),
        ({"votes": "votes/freedoom.jsonl"}, "preference.votes: .*votes/<dataset>.jsonl"),
        ({"metrics": {"fidelity": ["psnr"]}}, "preference.metrics: missing realism"),
    ):
        with pytest.raises(Fault, match=why):
            bind(PreferenceSettings, SECTION | wrong, "preference")
    lines = resolve(
        {
            "psnr": {"data_range": 2, "cap_db": 100},
            "warp_error": {},
            "fed": {"metric": "frechet", "features": "x", "divisor": "n-1"},
        }
    )
    headings = {metric.label: (metric.kind, metric.module.HEADING) for metric in lines}
    for labels, why in (
        (["warp_error", "sim"], "preference.metrics.realism[1]: no 'sim'; there are psnr, warp_error, fed"),
        (["psnr"], "preference.metrics.realism[0]: psnr is a metric of fidelity; name it there"),
        (
            ["fed"],
            "preference.metrics.realism[0]: fed has no value of a single clip; only metrics of single clips vote",
        ),
    ):
        with pytest.raises(Fault) as fault:
            check_candidates(replace(SETTINGS, metrics=replace(ONLY_PSNR, realism=labels)), headings, "preference")
        assert str(fault.value) == why
    check_candidates(replace(SETTINGS, metrics=replace(ONLY_PSNR, realism=["warp_error"])), headings, "preference")
