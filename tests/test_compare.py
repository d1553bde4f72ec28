"""Verdicts by family and by cluster, rows of controls and seeds, and sentences that say no more than the numbers."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import facts, sliding_clip
from scipy import stats

from v2vbench import params
from v2vbench.clips.store import write_store
from v2vbench.params import Fault
from v2vbench.stages.compare import compare
from v2vbench.statistics.group_table import BIASED, GUESSED
from v2vbench.statistics.intervals import of_clips
from v2vbench.statistics.verdicts import clusters_needed

N = 8
PARAMS = params.load(Path(__file__).parents[1] / "params.yaml")
BETTER = {"psnr": "higher", "warp_error": "lower", "motion_ratio": "one", "ked_frames": "lower", "fed_frames": "lower"}
HEADING = {"psnr": "fidelity"}  # of the others: realism
SETS = ("ked_frames", "fed_frames")
PRIMARY = ["psnr", "warp_error", "ked_frames"]
BLUR = {
    "psnr": [100, 25, 10],
    "warp_error": [0.5, 0.4, 0.3],
    "motion_ratio": [1, 0.9, 0.8],
    "ked_frames": [0, 4, 8],
    "fed_frames": [0, 4, 8],
}  # at 0, 1, 2 px
NOISE_AT = {
    "psnr": [100, 30, 20],
    "warp_error": [0.5, 2, 6],
    "motion_ratio": [1, 2, 4],
    "ked_frames": [0, 1, 2],
    "fed_frames": [0, 1, 2],
}  # at 0, 5, 20
FROZEN = {"psnr": 15.0, "warp_error": 0.0, "motion_ratio": 0.001, "ked_frames": 50.0, "fed_frames": 60.0}
NOISE = np.random.default_rng(0).normal(size=(3, N))
WIDE = np.linspace(-3, 3, N)  # clips differ from each other far more than the methods do


def score(label, per_clip, clusters):
    """As evaluate and calibrate leave it: of a set distance what a mean over clips would give without each cluster."""
    per_clip = np.asarray(per_clip, float)
    whole = {"value": float(per_clip.mean())}
    if label in SETS:
        return whole | {"leave_one_out": of_clips(per_clip, clusters).replicates.tolist()}
    return whole | {"per_clip": per_clip.tolist()}


def calibration(ids, clusters, frozen):
    """What calibrate leaves: blur lowers the warp error, so that its levels do not tell one; a frozen video has none."""

    def ladder(title, unit, levels, values):
        rising = {label: values[label][0] < values[label][-1] for label in values}
        return {
            "title": title,
            "unit": unit,
            "kind": "space",
            "neutral": 0,
            "levels": levels,
            "metrics": {
                label: {
                    "values": own,
                    "rho": 1.0,
                    "per_clip": [[value] * len(ids) for value in own],
                    "monotone": label == "motion_ratio" or rising[label] == (BETTER[label] == "lower"),
                }
                for label, own in values.items()
            },
        }

    def flat(values):
        return {label: score(label, np.broadcast_to(value, len(ids)), clusters) for label, value in values.items()}

    mild = {
        name: flat({label: own[1] for label, own in values.items()})
        for name, values in (("blur", BLUR), ("noise", NOISE_AT))
    }
    controls = {
        "frozen": {"title": "frozen", "about": "The first frame, held.", "feasible": True, "metrics": flat(frozen)},
        "blurred": {
            "title": "blurred",
            "about": "The real video, blurred.",
            "feasible": False,
            "metrics": flat({label: own[2] for label, own in BLUR.items()}),
        },
    }
    return {
        "clips": ids,
        "clusters": clusters,
        "n_frames": 3,
        "protocols": {label: f"{label}/1:x" for label in BETTER},
        "equivalents": {label: ["blur", "noise"] for label in BETTER},
        "other_clip": None,
        "sees": {label: {"space": 1.0, "time": 0.0, "word": "space"} for label in BETTER},
        "ladders": {
            "blur": ladder("blur", "σ {} px", [0, 1, 2], BLUR),
            "noise": ladder("noise", "σ {} grey levels", [0, 5, 20], NOISE_AT),
        },
        "mild": {label: {name: own[label] for name, own in mild.items()} for label in BETTER},
        "controls": controls,
        "fooled": {"warp_error": [{"control": "frozen"}]},
    }


def project(
    folder,
    runs,
    standing="benchmark",
    change=lambda results: None,
    frozen=FROZEN,
    calibrated=lambda result: None,
    clusters=None,
    seeds=(),
    voters=("psnr",),
):
    """Results of made-up runs, {run: {label: per clip}}, of one group of a data set; `seeds`: {run: {seed: {label: per clip}}}."""
    data, results, n = folder / "data" / "sliding.zip", {}, len(next(iter(runs.values()))["psnr"])
    ids, clusters = [f"c{i}" for i in range(n)], clusters or [f"c{i}" for i in range(n)]
    write_store(
        data,
        facts(standing=standing, groups={"unseen": "maps never seen"}),
        [({"id": "c0", "split": "unseen"}, sliding_clip(0, 3))],
    )
    for run, values in runs.items():
        metrics = {}
        for label, better in BETTER.items():
            about = {
                "title": label,
                "unit": "dB" * (label == "psnr"),
                "better": better,
                "protocol": f"{label}/1:x",
                "kind": "set" if label in SETS else "clip",
                "heading": HEADING.get(label, "realism"),
            }
            metrics[label] = about | score(label, values[label], clusters)
        metrics["warp_error"] |= {
            "real": score("warp_error", n * [0.5], clusters),
            "drift": np.arange(n, dtype=float).tolist(),
        }
        group = {"clips": ids, "clusters": clusters, "metrics": metrics}
        if run in dict(seeds):
            group["seeds"] = {
                seed: {label: score(label, own[label], clusters) for label in BETTER}
                for seed, own in dict(seeds)[run].items()
            }
        results[run] = {
            "run": run,
            "title": run.upper(),
            "dataset": "sliding",
            "model": run,
            "first_frames": "none",
            "skip_frames": 2,
            "groups": {"unseen": group},
        }
    change(results)
    known = {"groups": {"unseen": calibration(ids, clusters, frozen)}}
    calibrated(known)
    for path, result in ({"calibrate/sliding": known} | {f"runs/{run}": own for run, own in results.items()}).items():
        path = folder / "metrics" / f"{path}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(result))
    line = params.Run(
        title="", dataset="sliding", model="", schedule="none", base="none", first_frames="none", seeds=[0], kwargs={}
    )
    return replace(
        PARAMS,
        datasets={"sliding": {}},
        runs=dict.fromkeys(runs, line),
        judges={},
        metrics={label: PARAMS.metrics[label] for label in BETTER},
        protocol=replace(PARAMS.protocol, primary=PRIMARY),
        preference=PARAMS.preference
        | {"metrics": {"fidelity": list(voters), "realism": ["warp_error", "motion_ratio"]}},
    )


def good(**changes):
    return {
        "psnr": 20 + WIDE,
        "warp_error": 2 + WIDE / 4,
        "motion_ratio": 1 + 0.01 * NOISE[0],
        "ked_frames": 5 + WIDE,
        "fed_frames": 6 + WIDE,
    } | changes


def bad(**changes):
    return {
        "psnr": 19 + WIDE + 0.1 * NOISE[1],
        "warp_error": 4 + WIDE / 2,
        "motion_ratio": np.full(N, 3.0),
        "ked_frames": 5 + WIDE + NOISE[2],
        "fed_frames": 9 + WIDE,
    } | changes


def table_of(folder, runs, protocol=(), **how):
    own = project(folder, runs, **how)
    own = replace(own, protocol=replace(own.protocol, **dict(protocol)))
    return compare(own, folder)["datasets"]["sliding"]["groups"]["unseen"]


def test_verdicts_are_decided_in_pairs(tmp_path):
    close = good(psnr=20 + WIDE + 0.5 * NOISE[1] - 0.5 * NOISE[1].mean() - 0.01)
    table = table_of(tmp_path, {"a": good(), "b": bad(), "c": close}, protocol={"confidence": 0.9})
    metrics, rows = table["metrics"], table["metrics"]["psnr"]["rows"]
    assert rows["a"]["low"] < rows["b"]["value"] < rows["a"]["high"]  # overlapping intervals decide nothing
    assert [row["best"] for row in rows.values()] == [True, False, False] and rows["a"]["verdict"] is None
    assert [rows[run]["verdict"]["word"] for run in "bc"] == ["worse", "not distinguishable"]
    assert metrics["ked_frames"]["rows"]["b"]["verdict"]["word"] == "not distinguishable"
    assert metrics["warp_error"]["rows"]["b"]["verdict"] | {"detectable": 0} == {
        "against": "a",
        "word": "worse",
        "p": pytest.approx(6 * 2 / 2**N),
        "family": "primary",
        "detectable": 0,
        "of": "weights",
    }
    assert metrics["warp_error"]["real"] == {"value": 0.5, "low": 0.5, "high": 0.5}
    assert table["families"] == {
        "primary": {"correction": "holm", "n_tests": 6},
        "exploratory": {"correction": "max-t", "n_tests": 2},
        "controls": {"correction": "max-t", "n_tests": 8},
    }
    assert (
        table["title"] == "maps never seen" and table["n_clips"] == table["n_clusters"] == N and table["alpha"] == 0.1
    )
    assert table["clusters_needed"] is None and metrics["psnr"]["primary"] and not metrics["motion_ratio"]["primary"]
    assert [metrics[label]["heading"] for label in ("psnr", "ked_frames")] == ["fidelity", "realism"]


def test_another_metric_changes_no_verdict_on_the_primaries(tmp_path):
    runs, fewer = {"a": good(), "b": bad(), "c": bad()}, ["psnr", "warp_error"]
    table = table_of(tmp_path, runs)
    (tmp_path / "fewer").mkdir()
    own = table_of(tmp_path / "fewer", runs, protocol={"primary": fewer})
    assert table["metrics"]["psnr"]["rows"]["b"]["verdict"]["p"] == pytest.approx(
        1.5 * own["metrics"]["psnr"]["rows"]["b"]["verdict"]["p"]
    )

    def without(results):
        for result in results.values():
            result["groups"]["unseen"]["metrics"]["motion_ratio"] |= {
                "value": None,
                "per_clip": [],
                "absent": "weights absent",
            }

    (tmp_path / "absent").mkdir()
    absent = table_of(tmp_path / "absent", runs, change=without)
    for label in PRIMARY:
        assert absent["metrics"][label]["rows"] == table["metrics"][label]["rows"]
    assert absent["families"]["exploratory"]["n_tests"] == 0


def test_too_few_clusters_are_said_to_be_too_few(tmp_path):
    """Of 9 tests at 5 % the first must be below 0.56 %, and flipped signs of 8 clusters go to 0.8 %: 9 would do."""
    table = table_of(tmp_path, {"a": good(), "b": bad(), "c": bad(), "d": bad()})
    verdict = table["metrics"]["warp_error"]["rows"]["b"]["verdict"]
    assert verdict["word"] == "not distinguishable" and verdict["detectable"] is None and table["clusters_needed"] == 9
    exploratory = table["metrics"]["motion_ratio"]["rows"]["b"]["verdict"]
    assert exploratory["word"] == "worse" and exploratory["family"] == "exploratory"


def test_clips_of_one_cluster_are_one(tmp_path):
    """Sixteen clips of four maps are four, whatever each clip says; as many maps as clips would decide."""
    runs = {
        run: {label: np.tile(own, 2) for label, own in values.items()} for run, values in (("a", good()), ("b", bad()))
    }
    alone = table_of(tmp_path, runs)
    (tmp_path / "maps").mkdir()
    table = table_of(tmp_path / "maps", runs, clusters=[f"map {i % 4}" for i in range(16)])
    assert (table["n_clips"], table["n_clusters"], table["clusters_needed"]) == (16, 4, clusters_needed(3, 0.05))
    words = [own["metrics"]["psnr"]["rows"]["b"]["verdict"]["word"] for own in (alone, table)]
    assert words == ["worse", "not distinguishable"]
    low, high = stats.ttest_1samp([np.mean(runs["a"]["psnr"][i::4]) for i in range(4)], 0).confidence_interval(0.95)
    row = table["metrics"]["psnr"]["rows"]["a"]
    assert (row["low"], row["high"]) == pytest.approx((low, high), rel=1e-6)


def test_detectable_is_in_the_metrics_unit(tmp_path):
    a, b = good(), bad(motion_ratio=1.5 * np.exp(0.1 * NOISE[2]))
    metrics = table_of(tmp_path, {"a": a, "b": b})["metrics"]
    apart = a["psnr"] - b["psnr"]  # by the noncentral t, whose level flips of 8 signs have nearest below 5 % / 3
    bound = stats.t.ppf(1 - 4 / 2**8 / 2, N - 1)
    effect = metrics["psnr"]["rows"]["b"]["verdict"]["detectable"]
    shift = effect / (apart.std(ddof=1) / np.sqrt(N))
    assert stats.nct.sf(bound, N - 1, shift) == pytest.approx(0.8, abs=1e-6)
    ratio = metrics["motion_ratio"]["rows"]["b"]["verdict"]
    assert (
        0.05 < ratio["detectable"] < 0.5 and ratio["word"] == "worse"
    )  # of a ratio near 1 whose logarithm varies by 0.1


def test_frechet_distances_have_no_verdict(tmp_path):
    table = table_of(tmp_path, {"a": good(), "b": bad()})
    fed, ked = (table["metrics"][label] for label in SETS[::-1])
    assert (
        fed["rows"]["b"]["verdict"] is None
        and fed["controls"]["frozen"]["verdict"] is None
        and fed["no_verdict"] == BIASED
    )
    assert (
        fed["rows"]["b"]["value"] == pytest.approx(9) and fed["rows"]["b"]["high"] > 9
    )  # the number and its interval stay
    assert ked["no_verdict"] is None and ked["rows"]["b"]["verdict"]


def test_controls_are_rows(tmp_path):
    metrics = table_of(tmp_path, {"a": good(), "frozen": bad()})["metrics"]
    row = metrics["psnr"]["controls"]["frozen"]
    assert row["value"] == 15 and row["verdict"]["word"] == "worse" and row["verdict"]["family"] == "controls"
    assert row["verdict"]["against"] == "a" and not row["best"] and row["equivalent"] is row["seeds"] is None
    assert metrics["warp_error"]["controls"]["frozen"]["verdict"]["word"] == "better" and metrics["warp_error"][
        "fooled_by"
    ] == ["frozen"]
    assert metrics["psnr"]["rows"]["frozen"]["value"] == pytest.approx(
        19, abs=0.1
    )  # a run of the same name is another row
    assert metrics["psnr"]["fooled_by"] == []


def test_bars_lead_from_a_feasible_control_to_a_mildly_damaged_video(tmp_path):
    rows = table_of(tmp_path, {"a": good(), "b": bad(psnr=np.full(N, 14.0))})["metrics"]["psnr"]["rows"]
    assert (
        rows["a"]["bar"] == pytest.approx((20 - 15) / (25 - 15)) and rows["b"]["bar"] == 0
    )  # frozen 15, blurred by 1 px 25


def test_a_metric_that_a_guess_does_as_well_by_is_hidden(tmp_path):
    def guess(by):
        def change(results):
            for result in results.values():
                metric = result["groups"]["unseen"]["metrics"]["psnr"]
                metric |= {"real": score("psnr", 20 + WIDE, []), "floor": score("psnr", 20 + by + 0.5 * NOISE[0], [])}

        return change

    table = table_of(tmp_path, {"a": good(), "b": bad()}, change=guess(-1))
    assert table["metrics"]["psnr"]["hidden"] == GUESSED and table["metrics"]["psnr"]["rows"]["b"]["verdict"] is None
    assert table["families"]["primary"]["n_tests"] == 2
    (tmp_path / "clear").mkdir()
    assert (
        table_of(tmp_path / "clear", {"a": good(), "b": bad()}, change=guess(-9))["metrics"]["psnr"]["hidden"] is None
    )


def test_drift_is_of_each_clip(tmp_path):
    table = table_of(tmp_path, {"a": good(), "b": bad()})
    drift = table["metrics"]["warp_error"]["drift"]["a"]
    low, high = stats.ttest_1samp(np.arange(N), 0).confidence_interval(0.95)
    assert (
        drift == pytest.approx({"value": 3.5, "low": low, "high": high}) and table["metrics"]["psnr"]["drift"] is None
    )


def test_seeds_of_a_method(tmp_path):
    """Values are means over seeds; where another seed may turn the order round, nothing is told of the method."""

    def shifted(values, by):
        return values | {"psnr": values["psnr"] + by}

    a, b = good(), bad(psnr=19 + WIDE + 0.01 * NOISE[1])
    steady = {"a": {"1": shifted(a, 0.1), "2": shifted(a, -0.1)}, "b": {"1": shifted(b, 0.1), "2": shifted(b, -0.1)}}
    rows = table_of(tmp_path, {"a": a, "b": b}, seeds=steady)["metrics"]["psnr"]["rows"]
    assert rows["a"]["seeds"] == {
        "n": 3,
        "values": pytest.approx([20, 20.1, 19.9]),
        "low": pytest.approx(19.9),
        "high": pytest.approx(20.1),
    }
    assert rows["a"]["value"] == pytest.approx(20)
    welch = stats.ttest_ind(np.mean(b["psnr"]) + np.array([0, 0.1, -0.1]), [20, 20.1, 19.9], equal_var=False).pvalue
    assert rows["b"]["verdict"]["word"] == "worse" and rows["b"]["verdict"]["of"] == "method"
    assert rows["b"]["verdict"]["p"] == pytest.approx(3 * max(2 / 2**N, welch), rel=1e-6)
    (tmp_path / "shaky").mkdir()
    shaky = steady | {"b": {"1": shifted(b, 1.5), "2": shifted(b, 0.2)}}
    row = table_of(tmp_path / "shaky", {"a": a, "b": b}, seeds=shaky)["metrics"]["psnr"]["rows"]["b"]
    assert row["verdict"]["word"] == "not distinguishable" and row["value"] < 19.7
    (tmp_path / "one").mkdir()
    row = table_of(tmp_path / "one", {"a": a, "b": b}, seeds={"a": steady["a"]})["metrics"]["psnr"]["rows"]["b"]
    assert row["verdict"]["of"] == "weights" and row["verdict"]["word"] == "worse" and row["seeds"] is None


def test_scores_are_told_in_levels_of_damage(tmp_path):
    metrics = table_of(tmp_path, {"a": good(), "b": bad()})["metrics"]
    psnr, warp, ked = (metrics[label]["rows"]["a"]["equivalent"] for label in ("psnr", "warp_error", "ked_frames"))
    assert psnr["ladder"] == ked["ladder"] == "blur" and warp["ladder"] == "noise"  # blur lowers the warp error
    assert 1 < psnr["level"] < 2 and 1 < ked["level"] < 2 and psnr["text"].startswith("as bad as blur σ 1.")
    assert warp["level"] == pytest.approx(5, rel=0.05) and warp["text"].startswith("as bad as noise σ 5")


def test_votes(tmp_path):
    """One a heading: the warp error, which a frozen video wins, does not vote."""
    b = good(psnr=21 + WIDE, motion_ratio=np.full(N, 3.0))  # one prefers b, the other a: even
    b["psnr"][0] = 0  # clip 0: both prefer a
    b["motion_ratio"][1] = good()["motion_ratio"][1]  # clip 1: one prefers b, one is even
    held = table_of(tmp_path, {"a": good(), "b": b})["preference"]
    assert held["metrics"] == ["psnr", "motion_ratio"] and list(held["voters"]["realism"]["passed_over"]) == [
        "warp_error"
    ]
    assert held["reason"] is None and held["pairs"][0] | {"low": 0, "high": 0} == {
        "a": "a",
        "b": "b",
        "share": 0.5,
        "low": 0,
        "high": 0,
        "n_votes": N,
        "n_clips": N,
        "n_clusters": N,
    }
    (tmp_path / "one").mkdir()
    held = table_of(tmp_path / "one", {"a": good(), "b": b}, clusters=N * ["map"])["preference"]
    assert held["pairs"] == [] and held["ranking"] is None and "one cluster" in held["reason"]


def told(folder, runs, protocol=(), **how):
    own = project(folder, runs, **how)
    texts = compare(replace(own, protocol=replace(own.protocol, **dict(protocol))), folder)["sentences"]
    assert all(set(text) == {"dataset", "group", "text", "detail"} for text in texts)
    assert [text["detail"] for text in texts] == sorted(text["detail"] for text in texts) and sum(
        not text["detail"] for text in texts
    ) <= 3
    return [text["text"] for text in texts if not text["detail"]], [text["text"] for text in texts if text["detail"]]


BOTH = "fidelity to the source and realism in space and time"


def test_better_takes_both_headings(tmp_path):
    main, details = told(tmp_path, {"a": good(), "b": bad()})
    assert main == [f"A is better than B, in {BOTH}."]
    assert any(
        t.startswith(
            "A against B, realism in space and time: warp_error 0.5 times as high (0.5 to 0.5), better; ked_frames "
        )
        and "not distinguishable (these clips would show one of" in t
        for t in details
    )
    assert any(
        t.startswith("A against B, fidelity to the source: psnr 1.0") and "dB higher" in t and t.endswith("better.")
        for t in details
    )
    assert "Exploratory, A against B: better by motion_ratio." in details
    assert any(t.startswith("Fooled on these clips") and t.endswith("warp_error by frozen.") for t in details)
    assert not any("beware" in t.lower() for t in details)


def test_a_method_that_is_worse_is_told_so(tmp_path):
    main, details = told(tmp_path, {"b": bad(), "a": good()})
    assert main == [f"A is better than B, in {BOTH}."]
    assert any("warp_error 2 times as high (2 to 2), worse" in t for t in details)


def test_one_heading_alone_is_no_better(tmp_path):
    close = good(psnr=20 + WIDE + 0.5 * NOISE[1] - 0.5 * NOISE[1].mean())
    main, _ = told(tmp_path, {"a": good(), "b": bad(psnr=close["psnr"])})
    assert main == [
        "Against B, A is not distinguishable in fidelity to the source and better in realism in space and time."
    ]
    (tmp_path / "divided").mkdir()
    main, _ = told(tmp_path / "divided", {"a": good(), "b": bad(ked_frames=1 + WIDE)})
    assert main == [
        "Against B, A is better in fidelity to the source and better by some primary metrics and worse by others in realism in "
        "space and time."
    ]
    (tmp_path / "same").mkdir()
    main, _ = told(tmp_path / "same", {"a": good(), "b": close})
    assert main == ["A and B cannot be told apart by the primary metrics."]


def test_methods_of_which_the_same_is_true_share_a_sentence(tmp_path):
    many = {label: np.concatenate([own, own + 0.01]) for label, own in good().items()}
    worse = {label: np.concatenate([own, own + 0.01]) for label, own in bad().items()}
    main, details = told(tmp_path, {"a": many} | {name: worse for name in "bcd"} | {"e": many})
    assert main == [f"A is better than B, C and D, in {BOTH}.", "A and E cannot be told apart by the primary metrics."]
    assert sum(t.startswith("Votes of") for t in details) == 10 and "metrics vote here, not people." in details[-1]


def test_too_few_clusters_are_told_first(tmp_path):
    main, details = told(tmp_path, {"a": good(), "b": bad()}, clusters=["x", "x", "x", "y", "y", "y", "z", "z"])
    assert (
        main[0] == "With 3 clips no difference can be told, however large: it takes 7."
    )  # the word for a cluster is the data set's
    assert main[1] == "A and B cannot be told apart by the primary metrics."
    assert any("(no difference, however large, could be)" in t for t in details)


def test_sentences_say_of_what_they_are(tmp_path):
    _, details = told(tmp_path, {"a": good(), "b": bad()})
    assert any(t.startswith("Verdicts are of these weights") for t in details)


def test_a_sanity_check_is_no_ranking(tmp_path):
    one = {label: values[:1] for label, values in good().items()}
    two = {label: values[:1] for label, values in bad().items()}
    assert told(tmp_path, {"a": one, "b": two}, standing="sanity") == (
        ["Sliding planes is a sanity check of the path on 1 clip, not a ranking of methods."],
        [],
    )
    rows = table_of(tmp_path, {"a": one, "b": two})["metrics"]["psnr"]["rows"]
    assert (
        rows["a"]["low"] is None and rows["a"]["best"] and rows["b"]["verdict"] is None
    )  # one clip tells nothing apart


def test_a_metric_without_a_value(tmp_path):
    def empty(results):
        for result in results.values():
            result["groups"]["unseen"]["metrics"]["ked_frames"] |= {"value": None, "leave_one_out": [], "note": "few"}

    table = table_of(tmp_path, {"a": good(), "b": bad()}, change=empty)
    nothing = dict.fromkeys(("value", "low", "high", "verdict", "equivalent", "bar", "seeds")) | {"best": False}
    assert table["metrics"]["ked_frames"]["rows"] == {"a": nothing, "b": nothing}
    first = (tmp_path / "metrics" / "compare.json").read_bytes()
    compare(project(tmp_path, {"a": good(), "b": bad()}, change=empty), tmp_path)
    assert (tmp_path / "metrics" / "compare.json").read_bytes() == first


@pytest.mark.parametrize(
    "damage, says",
    [
        (
            lambda r: r["b"]["groups"]["unseen"]["metrics"]["psnr"].update(protocol="y"),
            "a and b differ in their protocol",
        ),
        (lambda r: r["b"]["groups"]["unseen"].update(clips=["x"]), "a and b differ in their clips"),
        (lambda r: r["b"]["groups"]["unseen"].update(clusters=N * ["x"]), "a and b differ in their clusters"),
        (lambda r: r["b"].update(skip_frames=1), "b.json: made with other metrics or skip_frames"),
        (lambda r: r["b"]["groups"]["unseen"]["metrics"].pop("psnr"), "b.json: made with other metrics"),
    ],
)
def test_what_cannot_be_compared_is_refused(tmp_path, damage, says):
    with pytest.raises(Fault, match=says):
        compare(project(tmp_path, {"a": good(), "b": bad()}, change=damage), tmp_path)


def test_a_calibration_of_another_protocol_is_refused(tmp_path):
    def other(result):
        result["groups"]["unseen"]["protocols"]["psnr"] = "psnr/2:x"

    with pytest.raises(
        Fault,
        match="metrics.psnr: a and the calibration differ in their protocol of group unseen, psnr/1:x and psnr/2:x",
    ):
        compare(project(tmp_path, {"a": good(), "b": bad()}, calibrated=other), tmp_path)


def test_missing_results(tmp_path):
    project_params = project(tmp_path, {"a": good(), "b": bad()})
    path = tmp_path / "metrics" / "runs" / "b.json"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(Fault, match="b.json: not whole"):
        compare(project_params, tmp_path)
    path.unlink()
    with pytest.raises(Fault, match="b.json: no such results"):
        compare(project_params, tmp_path)


def test_a_circle_of_votes_is_told_by_the_methods_names(tmp_path):
    """Three sorts of clips, in each of which another method is first and another last: each beats the next, and the last the first."""
    order = np.array([[3, 2, 1], [1, 3, 2], [2, 1, 3]])[:, [0, 1, 2, 0, 1, 2, 0, 1]]  # (method, clip): how good
    runs = {run: good(psnr=20.0 + own, motion_ratio=5.0 - own) for run, own in zip("acb", order)}
    assert table_of(tmp_path, runs)["preference"]["ranking"]["note"] in (
        "A beats B beats C beats A",
        "B beats C beats A beats B",
        "C beats A beats B beats C",
    )
