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
from v2vbench.metrics import fed, ked
from v2vbench.params import Fault

N = 8
PARAMS = params.load(Path(__file__).parents[1] / "params.yaml")
BETTER = {"psnr": "higher", "warp_error": "lower", "motion_ratio": "one", "ked_frames": "lower"}
REAL = {"warp_error": 0.5}
NOISE = np.random.default_rng(0).normal(size=(3, N))
WIDE = np.linspace(-3, 3, N)                              # clips differ from each other far more than the methods do


def project(folder, runs, standing="benchmark", change=lambda results: None):
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
    for run, result in results.items():
        path = folder / "metrics" / "runs" / f"{run}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(result))
    line = params.Run(title="", dataset="sliding", model="", schedule="none", base="none", first_frames="none", kwargs={})
    return replace(PARAMS, datasets={"sliding": {}}, runs=dict.fromkeys(runs, line), metrics=dict.fromkeys(BETTER),
                   preference=["psnr", "warp_error", "motion_ratio"])


def good(**changes):
    return {"psnr": 20 + WIDE, "warp_error": 2 + WIDE / 4, "motion_ratio": 1 + 0.01 * NOISE[0],
            "ked_frames": 5 + WIDE} | changes


def bad(**changes):
    return {"psnr": 19 + WIDE + 0.1 * NOISE[1], "warp_error": 4 + WIDE / 2, "motion_ratio": np.full(N, 3.0),
            "ked_frames": 5 + WIDE + NOISE[2]} | changes


def table_of(folder, runs, **how):
    return compare(project(folder, runs, **how), folder)["datasets"]["sliding"]["groups"]["unseen"]


def test_interval_of_a_mean_is_students():
    for n in (2, 5, 30):
        x = np.random.default_rng(n).normal(size=n)
        low, high = stats.ttest_1samp(x, 0).confidence_interval(0.9)
        assert interval(x.mean(), without_each(x), 0.9) == pytest.approx({"value": x.mean(), "low": low, "high": high})
    assert interval(3.0, without_each([3.0]), 0.9) == {"value": 3.0, "low": None, "high": None}


def test_ratio_agrees_with_the_paired_difference():
    rng, sides = np.random.default_rng(0), set()
    for _ in range(200):
        shared = rng.normal(size=N)
        a, b = (10 + rng.normal() + shared + rng.normal(size=N) for _ in range(2))
        pair = [(x.mean(), without_each(x)) for x in (a, b)]
        value, low, high = ratio(*pair, 0.95)
        assert low < value < high and value == pytest.approx(a.mean() / b.mean())
        assert (low <= 1 <= high) == (stats.ttest_rel(a, b).pvalue >= 0.05)
        for r in (low, high):                             # the difference a - r b is at the edge of being 0
            assert stats.ttest_1samp(a - r * b, 0).pvalue == pytest.approx(0.05, abs=1e-6)
        sides.add(low <= 1 <= high)
    assert sides == {True, False}
    assert ratio((1.0, np.ones(N)), ((b - b.mean()).mean(), without_each(b - b.mean())), 0.95) is None


def test_share_is_exact():
    for k in range(N + 1):
        votes = np.arange(N) < k
        want = stats.binomtest(k, N).proportion_ci(0.95, method="exact")
        assert share(votes, 0.95) == pytest.approx({"share": k / N, "low": want.low, "high": want.high, "n_clips": N})
    half, mirrored = share(np.array([1, 1, 0.5, 0]), 0.95), share(np.array([0, 0, 0.5, 1]), 0.95)
    assert half["share"] == 0.625 and half["low"] == pytest.approx(1 - mirrored["high"])


def covers(draw, distance, true, n_clips, n_draws=150):
    hits = []
    for seed in range(n_draws):
        x, y, owner = draw(np.random.default_rng(seed))
        without = np.array([distance(x[owner != i], y[owner != i], owner[owner != i]) for i in range(n_clips)])
        around = interval(distance(x, y, owner), without, 0.95)
        hits.append(around["low"] <= true <= around["high"])
    return np.mean(hits)


def test_jackknife_covers_on_independent_clips():
    """Nominal 95 %: of 150 draws, 134 are within 3 standard errors of that."""
    def draw(rng, n=40, d=4):
        return rng.normal(size=(n, d)), 0.5 + rng.normal(size=(n, d)), np.arange(n)

    def alike(rng, n=16, d=4, length=4):                  # frames of a clip are correlated by a half
        x, y = (rng.normal(size=(n, 1, d)) + rng.normal(size=(n, length, d)) for _ in range(2))
        return x.reshape(-1, d), 0.5 + y.reshape(-1, d), np.repeat(np.arange(n), length)

    assert covers(draw, lambda *rows: fed.compute(*rows, features="frames"), 4 * 0.25, 40) > 134 / 150
    true = np.mean([ked.compute(*alike(np.random.default_rng(9000 + s), 60), features="frames") for s in range(60)])
    assert covers(alike, lambda *rows: ked.compute(*rows, features="frames"), true, 16) > 134 / 150


def test_best_and_tied_are_decided_in_pairs(tmp_path):
    close = good(psnr=20 + WIDE + 0.5 * NOISE[1] - 0.5 * NOISE[1].mean() - 0.01)
    table = table_of(tmp_path, {"a": good(), "b": bad(), "c": close})
    metrics, rows = table["metrics"], table["metrics"]["psnr"]["rows"]
    assert rows["a"]["low"] < rows["b"]["value"] < rows["a"]["high"]              # overlapping intervals decide nothing
    assert [(row["best"], row["tied"]) for row in rows.values()] == [(True, False), (False, False), (False, True)]
    assert metrics["motion_ratio"]["rows"]["a"]["best"] and metrics["warp_error"]["rows"]["c"]["best"]
    assert metrics["ked_frames"]["rows"]["b"]["tied"] and not metrics["warp_error"]["rows"]["b"]["tied"]
    assert metrics["warp_error"]["real"] == {"value": 0.5, "low": 0.5, "high": 0.5}
    assert table["title"] == "maps never seen" and table["n_clips"] == N


def test_votes(tmp_path):
    b = good(psnr=21 + WIDE, warp_error=1 + WIDE / 4, motion_ratio=np.full(N, 3.0))      # two of three metrics prefer b
    b["psnr"][0] = 0                                                                     # clip 0: two prefer a
    b["warp_error"][1], b["motion_ratio"][1] = 9, good()["motion_ratio"][1]              # clip 1: one each, one even
    pairs = table_of(tmp_path, {"a": good(), "b": b})["preference"]["pairs"]
    assert pairs == [{"a": "a", "b": "b"} | share(np.array([1, 0.5, 0, 0, 0, 0, 0, 0]), 0.95)]


def told(folder, runs, **how):
    return [s["text"] for s in compare(project(folder, runs, **how), folder)["sentences"]]


def test_sentences(tmp_path):
    text = told(tmp_path, {"a": good(), "b": bad()})
    assert all(t.startswith("Maps never seen, 8 clips: ") for t in text)
    assert "Maps never seen, 8 clips: A has the lowest warp_error, 0.5 times (0.5 to 0.5) that of B." in text
    assert any("A has the highest psnr, 1.0" in t and "above that of B." in t for t in text)
    assert any("ked_frames" in t and "not distinguishable" in t for t in text)
    assert "prefers A to B on 1.00 / 0.00 of the clips (0.63 to 1.00); metrics vote here, not people." in text[-1]


def test_of_many_methods_only_the_undecided_are_named(tmp_path):
    """And votes are told of the first method alone: 21 pairs would be read by nobody."""
    text = told(tmp_path, {"a": good()} | {name: bad() for name in "bcdef"} | {"g": good()})
    assert "Maps never seen, 8 clips: A has the lowest warp_error, better than 5 of the 6 others, not distinguishable from G." in text
    votes = [t for t in text if "prefers" in t]
    assert len(votes) == 6 and all(" A " in t for t in votes)


def test_a_frozen_winner_earns_a_warning(tmp_path):
    frozen = bad(warp_error=np.full(N, 0.1), motion_ratio=np.zeros(N))
    warning, = [t for t in told(tmp_path, {"a": good(), "frozen": frozen}) if "beware" in t]
    assert "FROZEN among the best in warp_error" in warning and "its motion_ratio is 0 and not near 1" in warning
    assert "the real video's own warp_error is 0.5 and not 0.1" in warning
    (tmp_path / "honest").mkdir()
    assert not [t for t in told(tmp_path / "honest", {"a": good(), "b": bad()}) if "beware of A" in t]


def test_a_sanity_check_is_no_ranking(tmp_path):
    one = {label: values[:1] for label, values in good().items()}
    two = {label: values[:1] for label, values in bad().items()}
    assert told(tmp_path, {"a": one, "b": two}, standing="sanity") == [
        "Sliding planes is a sanity check of the path on 1 clip, not a ranking of methods."]
    rows = table_of(tmp_path, {"a": one, "b": two})["metrics"]["psnr"]["rows"]
    assert rows["a"]["low"] is None and rows["a"]["best"] and rows["b"]["tied"]    # one clip tells nothing apart


def test_a_metric_without_a_value(tmp_path):
    def empty(results):
        for result in results.values():
            result["groups"]["unseen"]["metrics"]["ked_frames"] |= {"value": None, "leave_one_out": [], "note": "few"}

    table = table_of(tmp_path, {"a": good(), "b": bad()}, change=empty)
    nothing = {"value": None, "low": None, "high": None, "best": False, "tied": False}
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


def test_missing_results_and_a_vote_without_clips(tmp_path):
    project_params = project(tmp_path, {"a": good(), "b": bad()})
    with pytest.raises(Fault, match="preference: ked_frames has one value for all clips"):
        compare(replace(project_params, preference=["ked_frames"]), tmp_path)
    path = tmp_path / "metrics" / "runs" / "b.json"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(Fault, match="b.json: not whole"):
        compare(project_params, tmp_path)
    path.unlink()
    with pytest.raises(Fault, match="b.json: no such results"):
        compare(project_params, tmp_path)
