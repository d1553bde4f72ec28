"""Intervals that cover, decisions by pairs, votes by clip, and sentences that say no more than the numbers."""
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import facts, sliding_clip
from scipy import stats

from v2vbench import clips, params
from v2vbench.compare import compare
from v2vbench.intervals import interval, ratio, share, without_each
from v2vbench.params import Fault
from v2vbench.sentences import decisive

N = 8
PARAMS = params.load(Path(__file__).parents[1] / "params.yaml")
BETTER = {"psnr": "higher", "warp_error": "lower", "motion_ratio": "one", "ked_frames": "lower"}
REAL = {"warp_error": 0.5}
BLUR = {"psnr": [100, 25, 10], "warp_error": [0.5, 0.4, 0.3], "motion_ratio": [1, 0.9, 0.8], "ked_frames": [0, 4, 8]}      # at 0, 1, 2 px
NOISE_AT = {"psnr": [100, 30, 20], "warp_error": [0.5, 2, 6], "motion_ratio": [1, 2, 4], "ked_frames": [0, 1, 2]}       # at 0, 5, 20
CHEAT = {"psnr": 15, "warp_error": 0.0, "motion_ratio": 0.001, "ked_frames": 50}
NOISE = np.random.default_rng(0).normal(size=(3, N))
WIDE = np.linspace(-3, 3, N)                              # clips differ from each other far more than the methods do


def calibration(n, cheat):
    """What calibrate leaves: blur lowers the warp error, so that its levels do not tell one; a frozen video has none."""
    def ladder(title, unit, levels, values):
        rising = {label: values[label][0] < values[label][-1] for label in values}
        return {"title": title, "unit": unit, "kind": "space", "neutral": 0, "levels": levels, "metrics": {
            label: {"values": own, "per_clip": [[value] * n for value in own], "rho": 1.0,
                    "monotone": label == "motion_ratio" or rising[label] == (BETTER[label] == "lower")} for label, own in values.items()}}

    return {"clips": [f"c{i}" for i in range(n)], "n_frames": 3, "protocols": {label: f"{label}/1:x" for label in BETTER},
            "equivalents": ["blur", "noise"], "sees": {label: {"space": 1.0, "time": 0.0, "word": "space"} for label in BETTER},
            "ladders": {"blur": ladder("blur", "σ {} px", [0, 1, 2], BLUR),
                        "noise": ladder("noise", "σ {} grey levels", [0, 5, 20], NOISE_AT)},
            "cheats": {"frozen": {"title": "frozen", "about": "The first frame, held.",
                                  "metrics": {label: {"value": value} for label, value in cheat.items()}}}}


def project(folder, runs, standing="benchmark", change=lambda results: None, cheat=CHEAT, calibrated=lambda result: None):
    """Results of made-up runs, {run: {label: per clip}}, of one group of a data set."""
    data, results, n = folder / "data" / "sliding.zip", {}, len(next(iter(runs.values()))["psnr"])
    clips.write(data, facts(standing=standing, groups={"unseen": "maps never seen"}),
                [({"id": "c0", "split": "unseen"}, sliding_clip(0, 3))])
    for run, values in runs.items():
        metrics = {}
        for label, better in BETTER.items():
            per_clip = np.asarray(values[label], float)
            own = {"title": label, "unit": "dB" * (label == "psnr"), "better": better, "protocol": f"{label}/1:x"}
            own |= {"kind": "set", "leave_one_out": without_each(per_clip).tolist()} if label == "ked_frames" else {
                "kind": "clip", "per_clip": per_clip.tolist()}
            own |= {"real": {"value": REAL[label], "per_clip": [REAL[label]] * n}} if label in REAL else {}
            metrics[label] = own | {"value": float(per_clip.mean())}
        groups = {"unseen": {"clips": [f"c{i}" for i in range(n)], "metrics": metrics}}
        results[run] = {"run": run, "title": run.upper(), "dataset": "sliding", "model": run, "first_frames": "none",
                        "skip_frames": 2, "groups": groups}
    change(results)
    known = {"groups": {"unseen": calibration(n, cheat)}}
    calibrated(known)
    for path, result in ({"calibrate/sliding": known} | {f"runs/{run}": own for run, own in results.items()}).items():
        path = folder / "metrics" / f"{path}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(result))
    line = params.Run(title="", dataset="sliding", model="", schedule="none", base="none", first_frames="none", kwargs={})
    lines = {label: PARAMS.metrics[label] for label in BETTER}
    return replace(PARAMS, datasets={"sliding": {}}, runs=dict.fromkeys(runs, line), judges={}, metrics=lines,
                   preference=PARAMS.preference | {"metrics": ["psnr", "warp_error", "motion_ratio"]})


def good(**changes):
    return {"psnr": 20 + WIDE, "warp_error": 2 + WIDE / 4, "motion_ratio": 1 + 0.01 * NOISE[0],
            "ked_frames": 5 + WIDE} | changes


def bad(**changes):
    return {"psnr": 19 + WIDE + 0.1 * NOISE[1], "warp_error": 4 + WIDE / 2, "motion_ratio": np.full(N, 3.0),
            "ked_frames": 5 + WIDE + NOISE[2]} | changes


def table_of(folder, runs, protocol=(), **how):
    own = project(folder, runs, **how)
    own = replace(own, protocol=replace(own.protocol, **dict(protocol)))
    return compare(own, folder)["datasets"]["sliding"]["groups"]["unseen"]


def test_verdicts_are_decided_in_pairs(tmp_path):
    close = good(psnr=20 + WIDE + 0.5 * NOISE[1] - 0.5 * NOISE[1].mean() - 0.01)
    table = table_of(tmp_path, {"a": good(), "b": bad(), "c": close}, protocol={"confidence": 0.9})
    metrics, rows = table["metrics"], table["metrics"]["psnr"]["rows"]
    assert rows["a"]["low"] < rows["b"]["value"] < rows["a"]["high"]              # overlapping intervals decide nothing
    assert [row["best"] for row in rows.values()] == [True, False, False] and rows["a"]["verdict"] is None
    assert [rows[run]["verdict"]["word"] for run in "bc"] == ["worse", "not distinguishable"]
    assert metrics["ked_frames"]["rows"]["b"]["verdict"]["word"] == "not distinguishable"
    assert metrics["warp_error"]["rows"]["b"]["verdict"] | {"clips_needed": 0} == {
        "against": "a", "word": "worse", "p": pytest.approx(8 * 2 / 2 ** N), "clips_needed": 0}      # 8 tests, and no smaller p at 8 clips
    assert metrics["warp_error"]["real"] == {"value": 0.5, "low": 0.5, "high": 0.5}
    assert table["title"] == "maps never seen" and table["n_clips"] == N and table["n_tests"] == 8 and table["alpha"] == 0.1


def test_holm_asks_for_more_clips_than_there_are(tmp_path):
    """Of 8 tests at 5 % the first must be below 0.6 %, and flipped signs of 8 clips go to 0.8 %: 9 would do."""
    rows = table_of(tmp_path, {"a": good(), "b": bad(), "c": bad()})["metrics"]["warp_error"]["rows"]
    assert rows["b"]["verdict"]["word"] == "not distinguishable" and rows["b"]["verdict"]["clips_needed"] == 9
    rows = table_of(tmp_path, {"a": good(), "b": bad(), "c": bad()}, protocol={"correction": "max-t"})["metrics"]["warp_error"]["rows"]
    assert rows["b"]["verdict"]["word"] == "worse"


def test_scores_are_told_in_levels_of_damage(tmp_path):
    metrics = table_of(tmp_path, {"a": good(), "b": bad()})["metrics"]
    psnr, warp, ked = (metrics[label]["rows"]["a"]["equivalent"] for label in ("psnr", "warp_error", "ked_frames"))
    assert psnr["ladder"] == ked["ladder"] == "blur" and warp["ladder"] == "noise"            # blur lowers the warp error
    assert 1 < psnr["level"] < 2 and 1 < ked["level"] < 2 and psnr["text"].startswith("as bad as blur σ 1.")
    assert warp["level"] == pytest.approx(5, rel=0.05) and warp["text"].startswith("as bad as noise σ 5")


def test_a_metric_that_a_cheat_wins_is_unsafe(tmp_path):
    table = table_of(tmp_path, {"a": good(), "b": bad()})
    assert {label: metric["unsafe"] for label, metric in table["metrics"].items()} == {
        "psnr": [], "warp_error": ["frozen"], "motion_ratio": [], "ked_frames": []}
    assert table["cheats"]["frozen"]["metrics"]["warp_error"] == {"value": 0.0, "wins": True}
    (tmp_path / "none").mkdir()
    safe = table_of(tmp_path / "none", {"a": good(), "b": bad()}, cheat=CHEAT | {"warp_error": 9})
    assert not any(metric["unsafe"] for metric in safe["metrics"].values())


def test_votes(tmp_path):
    b = good(psnr=21 + WIDE, warp_error=1 + WIDE / 4, motion_ratio=np.full(N, 3.0))      # two of three metrics prefer b
    b["psnr"][0] = 0                                                                     # clip 0: two prefer a
    b["warp_error"][1], b["motion_ratio"][1] = 9, good()["motion_ratio"][1]              # clip 1: one each, one even
    pairs = table_of(tmp_path, {"a": good(), "b": b})["preference"]["pairs"]
    assert pairs == [{"a": "a", "b": "b"} | share(np.array([1, 0.5, 0, 0, 0, 0, 0, 0]), 0.95)]


def told(folder, runs, protocol=(), **how):
    own = project(folder, runs, **how)
    return [s["text"] for s in compare(replace(own, protocol=replace(own.protocol, **dict(protocol))), folder)["sentences"]]


def test_sentences(tmp_path):
    text = told(tmp_path, {"a": good(), "b": bad()})
    assert all(t.startswith("Maps never seen, 8 clips: ") for t in text)
    start = "Maps never seen, 8 clips: "
    assert text[0] == (start + "against B, A is better on 2 (psnr and motion_ratio) and not distinguishable on 1 of the 3 metrics that no "
                       "cheat wins (5 % over all 4 tests of the table).")
    assert text[1] == start + ("warp_error cannot tell the methods from a video that cheats (frozen) on these clips: unsafe, and left out "
                               "of the count.")
    assert start + "the warp_error of A is 0.5 times (0.5 to 0.5) that of B: better." in text
    assert any("the psnr of A is 1.0" in t and "above that of B: better." in t for t in text)
    assert any("ked_frames" in t and "not distinguishable, where about" in t for t in text)
    assert "prefers A to B on 1.00 / 0.00 of the clips (0.63 to 1.00); metrics vote here, not people." in text[-1]


def test_a_method_that_is_worse_is_told_so(tmp_path):
    text = told(tmp_path, {"b": bad(), "a": good()})
    assert any("the warp_error of B is 2 times (2 to 2) that of A: worse." in t for t in text)
    assert any("the psnr of B is" in t and "below that of A: worse." in t for t in text)
    assert "B is worse on" in text[0]


def test_of_many_methods_only_numbers_are_told(tmp_path):
    """And votes are told of the first method alone: 21 pairs would be read by nobody."""
    text = told(tmp_path, {"a": good()} | {name: bad() for name in "bcdef"} | {"g": good()}, protocol={"correction": "max-t"})
    assert "Maps never seen, 8 clips: by warp_error, A is better than 5 of the 6 others." in text
    votes = [t for t in text if "prefers" in t]
    assert len(votes) == 6 and all(" A " in t for t in votes)


def test_a_frozen_winner_earns_a_warning(tmp_path):
    frozen = bad(warp_error=np.full(N, 0.1), motion_ratio=np.full(N, 0.001))
    warning, = [t for t in told(tmp_path, {"a": good(), "frozen": frozen}) if "beware" in t]
    assert "FROZEN, the best in warp_error" in warning and "its motion_ratio is 0.001 and not near 1" in warning
    assert "the real video's own warp_error is 0.5 and not 0.1" in warning
    (tmp_path / "honest").mkdir()
    assert not [t for t in told(tmp_path / "honest", {"a": good(), "b": bad()}) if "beware of A" in t]


def test_a_sanity_check_is_no_ranking(tmp_path):
    one = {label: values[:1] for label, values in good().items()}
    two = {label: values[:1] for label, values in bad().items()}
    assert told(tmp_path, {"a": one, "b": two}, standing="sanity") == [
        "Sliding planes is a sanity check of the path on 1 clip, not a ranking of methods."]
    rows = table_of(tmp_path, {"a": one, "b": two})["metrics"]["psnr"]["rows"]
    assert rows["a"]["low"] is None and rows["a"]["best"] and rows["b"]["verdict"] is None    # one clip tells nothing apart


def test_a_metric_without_a_value(tmp_path):
    def empty(results):
        for result in results.values():
            result["groups"]["unseen"]["metrics"]["ked_frames"] |= {"value": None, "leave_one_out": [], "note": "few"}

    table = table_of(tmp_path, {"a": good(), "b": bad()}, change=empty)
    nothing = {"value": None, "low": None, "high": None, "best": False, "verdict": None, "equivalent": None}
    assert table["metrics"]["ked_frames"]["rows"] == {"a": nothing, "b": nothing}
    first = (tmp_path / "metrics" / "compare.json").read_bytes()
    compare(project(tmp_path, {"a": good(), "b": bad()}, change=empty), tmp_path)
    assert (tmp_path / "metrics" / "compare.json").read_bytes() == first


@pytest.mark.parametrize("damage, says", [
    (lambda r: r["b"]["groups"]["unseen"]["metrics"]["psnr"].update(protocol="y"), "a and b differ in their protocol"),
    (lambda r: r["b"]["groups"]["unseen"].update(clips=["x"]), "a and b differ in their clips"),
    (lambda r: r["b"].update(skip_frames=1), "b.json: made with other metrics or skip_frames"),
    (lambda r: r["b"]["groups"]["unseen"]["metrics"].pop("psnr"), "b.json: made with other metrics"),
])
def test_what_cannot_be_compared_is_refused(tmp_path, damage, says):
    with pytest.raises(Fault, match=says):
        compare(project(tmp_path, {"a": good(), "b": bad()}, change=damage), tmp_path)


def test_a_calibration_of_another_protocol_is_refused(tmp_path):
    def other(result):
        result["groups"]["unseen"]["protocols"]["psnr"] = "psnr/2:x"

    with pytest.raises(Fault, match="metrics.psnr: a and the calibration differ in their protocol of group unseen, psnr/1:x and psnr/2:x"):
        compare(project(tmp_path, {"a": good(), "b": bad()}, calibrated=other), tmp_path)


def test_missing_results_and_a_vote_without_clips(tmp_path):
    project_params = project(tmp_path, {"a": good(), "b": bad()})
    with pytest.raises(Fault, match="preference: ked_frames has one value for all clips"):
        compare(replace(project_params, preference=PARAMS.preference | {"metrics": ["ked_frames"]}), tmp_path)
    path = tmp_path / "metrics" / "runs" / "b.json"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(Fault, match="b.json: not whole"):
        compare(project_params, tmp_path)
    path.unlink()
    with pytest.raises(Fault, match="b.json: no such results"):
        compare(project_params, tmp_path)


@pytest.mark.parametrize("n, says", [(9, "about 9"), (100, "about 100"), (348, "about 350"), (533924, "more than 10,000")])
def test_a_number_of_clips_is_no_more_exact_than_it_is(n, says):
    assert decisive(n) == says


def test_a_circle_of_votes_is_told_by_the_methods_names(tmp_path):
    """Three metrics, three methods, each first in one and last in another: each beats the next, and the last the first."""
    def method(psnr, warp, motion):
        return good(psnr=psnr + WIDE, warp_error=warp + WIDE / 100, motion_ratio=np.full(N, motion))

    runs = {"a": method(30, 3, 2), "b": method(20, 1, 3), "c": method(10, 2, 1)}
    assert table_of(tmp_path, runs)["preference"]["ranking"]["note"] in (
        "A beats B beats C beats A", "B beats C beats A beats B", "C beats A beats B beats C")
