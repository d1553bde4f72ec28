"""Verdicts by family and by cluster, rows of controls and seeds, scores as damage, and what may not be compared."""

import json
from dataclasses import replace

import numpy as np
import pytest
from compared_project import METRICS, NOISE, PRIMARY, SETS, WIDE, N, bad, good, project, table_of
from made_up_results import clip_score, run_score
from scipy import stats

from v2vbench.params import Fault
from v2vbench.results.comparison import Comparison, Family
from v2vbench.results.metric import Interval
from v2vbench.results.runs import RunScores
from v2vbench.stages._scorer import BIASED
from v2vbench.stages.compare import compare
from v2vbench.statistics.sentences import GUESSED, likeness_in_words
from v2vbench.statistics.verdicts import clusters_needed


def test_verdicts_are_decided_in_pairs(tmp_path):
    close = good(psnr=20 + WIDE + 0.5 * NOISE[1] - 0.5 * NOISE[1].mean() - 0.01)
    table = table_of(tmp_path, {"a": good(), "b": bad(), "c": close}, protocol={"confidence": 0.9})
    metrics, rows = table.metrics, table.metrics["psnr"].rows
    assert rows["a"].low < rows["b"].value < rows["a"].high  # overlapping intervals decide nothing
    assert [row.best for row in rows.values()] == [True, False, False]
    assert rows["a"].verdict is None
    assert [rows[run].verdict.word for run in "bc"] == ["worse", "not distinguishable"]
    assert metrics["ked_frames"].rows["b"].verdict.word == "not distinguishable"
    verdict = metrics["warp_error"].rows["b"].verdict
    assert (verdict.against, verdict.word, verdict.family, verdict.of) == ("a", "worse", "primary", "weights")
    assert verdict.p == pytest.approx(6 * 2 / 2**N)
    assert metrics["warp_error"].real == Interval(value=0.5, low=0.5, high=0.5)
    assert table.families == {
        "primary": Family(correction="holm", n_tests=6),
        "exploratory": Family(correction="max-t", n_tests=2),
        "controls": Family(correction="max-t", n_tests=8),
    }
    assert table.title == "maps never seen"
    assert table.n_clips == table.n_clusters == N
    assert table.alpha == 0.1
    assert table.clusters_needed is None
    assert metrics["psnr"].primary
    assert not metrics["motion_ratio"].primary
    assert [metrics[label].heading for label in ("psnr", "ked_frames")] == ["fidelity", "realism"]


def test_another_metric_changes_no_verdict_on_the_primaries(tmp_path):
    runs, fewer = {"a": good(), "b": bad(), "c": bad()}, ["psnr", "warp_error"]
    table = table_of(tmp_path, runs)
    (tmp_path / "fewer").mkdir()
    smaller = table_of(tmp_path / "fewer", runs, protocol={"primary": fewer})
    of_three, of_two = (one.metrics["psnr"].rows["b"].verdict.p for one in (table, smaller))
    assert of_three == pytest.approx(1.5 * of_two)

    def without(results):
        for result in results.values():
            result.metrics["motion_ratio"] = replace(METRICS["motion_ratio"], absent="weights absent")
            result.groups["unseen"].scores["motion_ratio"] = run_score(None)

    (tmp_path / "absent").mkdir()
    absent = table_of(tmp_path / "absent", runs, change=without)
    for label in PRIMARY:
        assert absent.metrics[label].rows == table.metrics[label].rows
    assert absent.families["exploratory"].n_tests == 0


def test_too_few_clusters_are_said_to_be_too_few(tmp_path):
    """Of 9 tests at 5 % the first must be below 0.56 %, and flipped signs of 8 clusters go to 0.8 %: 9 would do."""
    table = table_of(tmp_path, {"a": good(), "b": bad(), "c": bad(), "d": bad()})
    verdict = table.metrics["warp_error"].rows["b"].verdict
    assert verdict.word == "not distinguishable"
    assert verdict.detectable is None
    assert table.clusters_needed == 9
    exploratory = table.metrics["motion_ratio"].rows["b"].verdict
    assert exploratory.word == "worse"
    assert exploratory.family == "exploratory"


def test_clips_of_one_cluster_are_one(tmp_path):
    """Sixteen clips of four maps are four, whatever each clip says; as many maps as clips would decide."""
    runs = {
        run: {label: np.tile(row, 2) for label, row in values.items()} for run, values in (("a", good()), ("b", bad()))
    }
    alone = table_of(tmp_path, runs)
    (tmp_path / "maps").mkdir()
    table = table_of(tmp_path / "maps", runs, clusters=[f"map {i % 4}" for i in range(16)])
    assert (table.n_clips, table.n_clusters, table.clusters_needed) == (16, 4, clusters_needed(3, 0.05))
    words = [one.metrics["psnr"].rows["b"].verdict.word for one in (alone, table)]
    assert words == ["worse", "not distinguishable"]
    low, high = stats.ttest_1samp([np.mean(runs["a"]["psnr"][i::4]) for i in range(4)], 0).confidence_interval(0.95)
    row = table.metrics["psnr"].rows["a"]
    assert (row.low, row.high) == pytest.approx((low, high), rel=1e-6)


def test_detectable_is_in_the_metrics_unit(tmp_path):
    a, b = good(), bad(motion_ratio=1.5 * np.exp(0.1 * NOISE[2]))
    metrics = table_of(tmp_path, {"a": a, "b": b}).metrics
    apart = a["psnr"] - b["psnr"]  # by the noncentral t, whose level flips of 8 signs have nearest below 5 % / 3
    bound = stats.t.ppf(1 - 4 / 2**8 / 2, N - 1)
    effect = metrics["psnr"].rows["b"].verdict.detectable
    shift = effect / (apart.std(ddof=1) / np.sqrt(N))
    assert stats.nct.sf(bound, N - 1, shift) == pytest.approx(0.8, abs=1e-6)
    ratio = metrics["motion_ratio"].rows["b"].verdict
    assert 0.05 < ratio.detectable < 0.5
    assert ratio.word == "worse"  # of a ratio near 1 whose logarithm varies by 0.1


def test_frechet_distances_have_no_verdict(tmp_path):
    table = table_of(tmp_path, {"a": good(), "b": bad()})
    fed, ked = (table.metrics[label] for label in SETS[::-1])
    assert fed.rows["b"].verdict is None
    assert fed.controls["frozen"].verdict is None
    assert fed.no_verdict == BIASED
    assert fed.rows["b"].value == pytest.approx(9)
    assert fed.rows["b"].high > 9  # the number and its interval stay
    assert ked.no_verdict is None
    assert ked.rows["b"].verdict


def test_controls_are_rows(tmp_path):
    metrics = table_of(tmp_path, {"a": good(), "frozen": bad()}).metrics
    row = metrics["psnr"].controls["frozen"]
    assert row.value == 15
    assert row.verdict.word == "worse"
    assert row.verdict.family == "controls"
    assert row.verdict.against == "a"
    assert not row.best
    assert row.equivalent is row.seeds is None
    assert metrics["warp_error"].controls["frozen"].verdict.word == "better"
    assert metrics["warp_error"].fooled_by == ["frozen"]
    assert metrics["psnr"].rows["frozen"].value == pytest.approx(19, abs=0.1)  # a run of the same name is another row
    assert metrics["psnr"].fooled_by == []


def test_bars_lead_from_a_feasible_control_to_a_mildly_damaged_video(tmp_path):
    rows = table_of(tmp_path, {"a": good(), "b": bad(psnr=np.full(N, 14.0))}).metrics["psnr"].rows
    assert rows["a"].way == pytest.approx((20 - 15) / (25 - 15))
    assert rows["b"].way == 0  # frozen 15, blurred by 1 px 25


def test_a_metric_that_a_guess_does_as_well_by_is_hidden(tmp_path):
    def guess(by):
        def change(results):
            for result in results.values():
                scores = result.groups["unseen"].scores
                floor = clip_score(20 + by + 0.5 * NOISE[0])
                scores["psnr"] = replace(scores["psnr"], real=clip_score(20 + WIDE), floor=floor)

        return change

    table = table_of(tmp_path, {"a": good(), "b": bad()}, change=guess(-1))
    assert table.metrics["psnr"].hidden == GUESSED
    assert table.metrics["psnr"].rows["b"].verdict is None
    assert table.families["primary"].n_tests == 2
    (tmp_path / "clear").mkdir()
    assert table_of(tmp_path / "clear", {"a": good(), "b": bad()}, change=guess(-9)).metrics["psnr"].hidden is None


def test_drift_is_of_each_clip(tmp_path):
    table = table_of(tmp_path, {"a": good(), "b": bad()})
    drift = table.metrics["warp_error"].drift["a"]
    low, high = stats.ttest_1samp(np.arange(N), 0).confidence_interval(0.95)
    assert vars(drift) == pytest.approx({"value": 3.5, "low": low, "high": high})
    assert table.metrics["psnr"].drift is None


def test_seeds_of_a_method(tmp_path):
    """Values are means over seeds; where another seed may turn the order round, nothing is told of the method."""

    def shifted(values, by):
        return values | {"psnr": values["psnr"] + by}

    a, b = good(), bad(psnr=19 + WIDE + 0.01 * NOISE[1])
    steady = {"a": {"1": shifted(a, 0.1), "2": shifted(a, -0.1)}, "b": {"1": shifted(b, 0.1), "2": shifted(b, -0.1)}}
    rows = table_of(tmp_path, {"a": a, "b": b}, seeds=steady).metrics["psnr"].rows
    seeds = rows["a"].seeds
    assert seeds.values == pytest.approx([20, 20.1, 19.9])
    assert (seeds.n, seeds.low, seeds.high) == pytest.approx((3, 19.9, 20.1))
    assert rows["a"].value == pytest.approx(20)
    welch = stats.ttest_ind(np.mean(b["psnr"]) + np.array([0, 0.1, -0.1]), [20, 20.1, 19.9], equal_var=False).pvalue
    assert rows["b"].verdict.word == "worse"
    assert rows["b"].verdict.of == "method"
    assert rows["b"].verdict.p == pytest.approx(3 * max(2 / 2**N, welch), rel=1e-6)
    (tmp_path / "shaky").mkdir()
    shaky = steady | {"b": {"1": shifted(b, 1.5), "2": shifted(b, 0.2)}}
    row = table_of(tmp_path / "shaky", {"a": a, "b": b}, seeds=shaky).metrics["psnr"].rows["b"]
    assert row.verdict.word == "not distinguishable"
    assert row.value < 19.7
    (tmp_path / "one").mkdir()
    row = table_of(tmp_path / "one", {"a": a, "b": b}, seeds={"a": steady["a"]}).metrics["psnr"].rows["b"]
    assert row.verdict.of == "weights"
    assert row.verdict.word == "worse"
    assert row.seeds is None


def test_scores_are_told_in_levels_of_damage(tmp_path):
    metrics = table_of(tmp_path, {"a": good(), "b": bad()}).metrics
    psnr, warp, ked = (metrics[label].rows["a"].equivalent for label in ("psnr", "warp_error", "ked_frames"))
    assert psnr.ladder == ked.ladder == "blur"
    assert warp.ladder == "noise"  # blur lowers the warp error
    assert 1 < psnr.level < 2
    assert 1 < ked.level < 2
    assert likeness_in_words(psnr).startswith("as bad as blur σ 1.")
    assert warp.level == pytest.approx(5, rel=0.05)
    assert likeness_in_words(warp).startswith("as bad as noise σ 5")


def test_votes(tmp_path):
    """One a heading: the warp error, which a frozen video wins, does not vote."""
    b = good(psnr=21 + WIDE, motion_ratio=np.full(N, 3.0))  # one prefers b, the other a: even
    b["psnr"][0] = 0  # clip 0: both prefer a
    b["motion_ratio"][1] = good()["motion_ratio"][1]  # clip 1: one prefers b, one is even
    votes = table_of(tmp_path, {"a": good(), "b": b}).preference
    assert votes.labels == ["psnr", "motion_ratio"]
    assert list(votes.voters["realism"].passed_over) == ["warp_error"]
    assert votes.reason is None
    assert (votes.pairs[0].a, votes.pairs[0].b, votes.pairs[0].share.value) == ("a", "b", 0.5)
    share = votes.pairs[0].share
    assert share.n_votes == share.n_clips == share.n_clusters == N
    (tmp_path / "one").mkdir()
    votes = table_of(tmp_path / "one", {"a": good(), "b": b}, clusters=N * ["map"]).preference
    assert votes.pairs == []
    assert votes.ranking is None
    assert "one cluster" in votes.reason


def test_a_metric_without_a_value(tmp_path):
    def empty(results):
        for result in results.values():
            result.groups["unseen"].scores["ked_frames"] = run_score(None, note="few")

    table = table_of(tmp_path, {"a": good(), "b": bad()}, change=empty)
    assert table.metrics["ked_frames"].rows == {}
    first = (tmp_path / "metrics" / "compare.json").read_bytes()
    compare(project(tmp_path, {"a": good(), "b": bad()}, change=empty), tmp_path)
    assert (tmp_path / "metrics" / "compare.json").read_bytes() == first


def test_what_is_returned_is_what_is_written(tmp_path):
    written = compare(project(tmp_path, {"a": good(), "b": bad()}), tmp_path)
    read = Comparison.load(Comparison.path(tmp_path))
    assert read.runs == written.runs
    assert read.datasets["sliding"].groups["unseen"].sentences == written.datasets["sliding"].groups["unseen"].sentences


def test_the_primary_metrics_of_each_run_for_dvc(tmp_path):
    project_params = project(tmp_path, {"a": good(), "b": bad()})
    compare(project_params, tmp_path)
    for run in "ab":
        summary = json.loads((tmp_path / "metrics/summary/unseen" / f"{run}.json").read_text())
        scores = RunScores.load(RunScores.path(tmp_path, run)).groups["unseen"].scores
        assert summary == {label: scores[label].value for label in PRIMARY}


def in_group(run, **changes):
    """Changes the group of a run."""

    def change(results):
        results[run].groups["unseen"] = replace(results[run].groups["unseen"], **changes)

    return change


def other_protocol(results):
    results["b"].metrics["psnr"] = replace(METRICS["psnr"], protocol="y")


def other_frames(results):
    results["b"] = replace(results["b"], skip_frames=1)


@pytest.mark.parametrize(
    "damage, says",
    [
        (other_protocol, "a and b differ in their protocol"),
        (in_group("b", clips=["x"]), "a and b differ in their clips"),
        (in_group("b", clusters=N * ["x"]), "a and b differ in their clusters"),
        (other_frames, "b.json: made with other metrics or skip_frames"),
        (lambda results: results["b"].groups["unseen"].scores.pop("psnr"), "b.json: made with other metrics"),
        (lambda results: results["b"].metrics.pop("psnr"), "b.json: made with other metrics"),
        (lambda results: results["b"].groups.pop("unseen"), "b has no group unseen, where a has one"),
    ],
)
def test_what_cannot_be_compared_is_refused(tmp_path, damage, says):
    with pytest.raises(Fault, match=says):
        compare(project(tmp_path, {"a": good(), "b": bad()}, change=damage), tmp_path)


def test_a_calibration_of_another_protocol_is_refused(tmp_path):
    def other(result):
        result.metrics["psnr"] = replace(METRICS["psnr"], protocol="psnr/2:x")

    with pytest.raises(
        Fault,
        match="metrics.psnr: a and the calibration differ in their protocol of group unseen, psnr/1:x and psnr/2:x",
    ):
        compare(project(tmp_path, {"a": good(), "b": bad()}, calibrated=other), tmp_path)


def test_missing_results(tmp_path):
    project_params = project(tmp_path, {"a": good(), "b": bad()})
    path = RunScores.path(tmp_path, "b")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(Fault, match="b.json: not whole"):
        compare(project_params, tmp_path)
    path.unlink()
    with pytest.raises(Fault, match="b.json: missing; `dvc repro` makes it"):
        compare(project_params, tmp_path)


def test_a_circle_of_votes_is_told_by_the_methods_names(tmp_path):
    """Three sorts of clips, each with another order of the methods: each beats the next, and the last the first."""
    order = np.array([[3, 2, 1], [1, 3, 2], [2, 1, 3]])[:, [0, 1, 2, 0, 1, 2, 0, 1]]  # (method, clip): how good
    runs = {run: good(psnr=20.0 + rank, motion_ratio=5.0 - rank) for run, rank in zip("acb", order)}
    assert table_of(tmp_path, runs).preference.ranking.note in (
        "A beats B beats C beats A",
        "B beats C beats A beats B",
        "C beats A beats B beats C",
    )
