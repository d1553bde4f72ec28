"""Who teaches the chances of being preferred: the order, the reasons, and what votes become as pairs to learn from."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import get_args

import numpy as np
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

from v2vbench.files import rounded
from v2vbench.params import Fault, bind, load
from v2vbench.people.records import VoteLine
from v2vbench.report.votes import TEACHERS
from v2vbench.results.calibration import CalibrationScores
from v2vbench.results.proxy import Proxy
from v2vbench.results.runs import RunScores
from v2vbench.statistics import preference
from v2vbench.statistics.ordered_pairs import OrderedPairs, of_damages
from v2vbench.statistics.teachers import LEARNED_FROM, SIMULATED, of_votes, proxies, teach
from v2vbench.statistics.win_probability import Teacher, WinSettings, learn, win_pair

ROOT = Path(__file__).parents[1]
BETTER = {"psnr": "higher", "warp": "lower"}
METRICS = {label: metric_info(label, how) for label, how in BETTER.items()} | {"fed": metric_info("fed", kind="set")}
CLIPS, CLUSTERS = [f"c{i}" for i in range(6)], ["m0", "m0", "m1", "m1", "m2", "m2"]
SETTINGS = WinSettings(
    teachers=["people", "bvi_vfi", "bapps", "damages"], ridge=0.01, n_folds=5, n_bins=5, reach=1, evidence=0.5
)
RUNS = {
    "x": {"psnr": [30.0, 31, 32, 33, 34, 35], "warp": [0.2, 0.3, 0.2, 0.3, 0.2, 0.3]},
    "y": {"psnr": [28.0, 28, 33, 30, 30, 36], "warp": [0.3, 0.3, 0.1, 0.4, 0.4, 0.2]},
    "z": {"psnr": [25.0, 26, 27, 26, 25, 26], "warp": [0.5, 0.6, 0.5, 0.6, 0.5, 0.6]},
}
SCORED = {
    run: scored_group(
        CLIPS,
        {label: run_score(clip_score(row)) for label, row in rows.items()} | {"fed": run_score(set_score(1.0))},
        CLUSTERS,
    )
    for run, rows in RUNS.items()
}


def calibration(**more):
    """Damages that both metrics see."""
    steep = [1 + i / 6 for i in range(6)]
    metrics = {
        "psnr": climb([[100.0] * 6, *([40 - 4 * level * s for s in steep] for level in (1, 2, 3))]),
        "warp": climb([[0.1 * (1 + level * s) for s in steep] for level in range(4)]),
    }
    made = {name: ladder(kind, range(4), metrics) for name, kind in (("blur", "space"), ("noise", "both"))}
    controls = {"frozen": control("frozen", True), "blurred": control("blurred", False)}
    return calibrated_group(CLIPS, made, CLUSTERS, controls=controls, **more)


def vote(clip, a, b, answer, rater="s/01", **more):
    facts = {"study": "s", "question": "look", "group": "test", "left": a, "repeat": False, "simulated": False}
    facts |= {"sha256": {a: "0", b: "1"}, "ms": 5000, "loops": 2} | more
    return VoteLine(rater=rater, clip=clip, a=a, b=b, answer=answer, **facts)


def votes(raters=("s/01", "s/02", "s/03"), **more):
    """Everyone prefers x to z, and y to z, on every clip."""
    return [vote(clip, run, "z", "a", rater, **more) for rater in raters for run in ("x", "y") for clip in CLIPS]


def proxy(name="bvi_vfi", weights=None, protocols=None, **more):
    """What a published set taught of psnr and warp."""
    wanted = {"psnr": 1.5, "warp": 0.5} if weights is None else weights
    rng = np.random.default_rng(0)
    difference = rng.normal(size=(60, len(wanted))) * 8
    logit = np.tanh(difference / 5) @ np.array(list(wanted.values()))
    pairs = OrderedPairs(
        better={label: BETTER[label] for label in wanted},
        difference=difference * np.array([value > 0 for value in wanted.values()]),
        outcome=1 / (1 + np.exp(-logit)),
        clip=np.arange(60).astype(str),
        cluster=np.array([f"s{i % 6}" for i in range(60)]),
        weight=np.ones(60),
        adjacent=np.zeros(60, bool),
        left_out={"source": {f"s{i}": np.arange(60) % 6 == i for i in range(6)}},
        learned_from=LEARNED_FROM[name],
    )
    facts = {
        "name": name, "title": name, "licence": "none", "citation": "none", "split": "none",
        "source": "folder", "archives": {},
        "inputs_sha256": "0", "subsets": {"all": 60}, "limit": None, "n_pairs": 60, "n_votes": 300.0, "n_sources": 6,
        "algorithms": [], "n_unscored": 0, "sizes": {}, "n_frames": {}, "left_out": {}, "weights_sha256": {},
        "version": "0", "models": [learn(pairs, SETTINGS, 0.95)],
        "protocols": {label: METRICS[label].protocol for label in wanted} | (protocols or {}),
    }  # fmt: skip
    return Proxy(**facts | more)


def taught(given=(), learned=None, settings=SETTINGS, scored=SCORED, metrics=METRICS, calibrated=None, **more):
    calibrated = calibrated or calibration()
    fools = preference.feasible(calibrated)
    return teach(scored, metrics, fools, calibrated, list(given), learned or {}, settings, 0.95, **more)


def test_teachers_have_words_in_the_report():
    assert set(LEARNED_FROM) == set(get_args(Teacher))
    assert {*LEARNED_FROM.values(), SIMULATED} == set(TEACHERS)


def test_the_first_that_is_here_teaches():
    both = {"bvi_vfi": proxy(), "bapps": proxy("bapps")}
    for given, learned, who, over in (
        (votes(), both, "people", []),
        ([], both, "votes of BVI-VFI", ["people"]),
        ([], {"bapps": both["bapps"]}, "votes of BAPPS", ["people", "bvi_vfi"]),
        ([], {}, "damages of known order", ["people", "bvi_vfi", "bapps"]),
    ):
        lesson = taught(given, learned)
        assert lesson.model.learned_from == who
        assert list(lesson.passed_over) == over
        assert all(lesson.passed_over.values())
    turned = replace(SETTINGS, teachers=["damages", "people"])
    assert taught(votes(), settings=turned).model.learned_from == "damages of known order"
    nobody = taught(votes(), settings=replace(SETTINGS, teachers=[]))
    assert (nobody.model, nobody.passed_over) == (None, {})
    assert taught().passed_over["people"] == "no votes of people on these clips"
    assert "docs/published_votes.md" in taught().passed_over["bapps"]


def test_damages_teach_what_they_taught_before():
    lesson = taught()
    assert lesson.model == learn(of_damages(calibration(), BETTER), SETTINGS, 0.95)
    assert lesson.values == {run: {label: rows[label] for label in BETTER} for run, rows in RUNS.items()}


def test_damages_teach_the_numbers_of_the_committed_suite():
    """Another machine may round otherwise in the last digits, so not to the bit."""
    params = load(ROOT / "params.yaml")
    published = json.loads((ROOT / "metrics" / "compare.json").read_text())
    settings = replace(bind(WinSettings, params.preference["win"], "win"), teachers=["damages"])
    compared = 0
    for dataset, content in published["datasets"].items():
        calibrated = CalibrationScores.load(CalibrationScores.path(ROOT, dataset))
        runs = {
            run: RunScores.load(RunScores.path(ROOT, run))
            for run, line in params.runs.items()
            if line.dataset == dataset
        }
        for group, there in content["groups"].items():
            win = there["preference"]["win"]
            if win is None or win["model"]["learned_from"] != LEARNED_FROM["damages"]:
                continue
            scored = {run: scores.groups[group] for run, scores in runs.items()}
            metrics = next(iter(runs.values())).metrics
            here = calibrated.groups[group]
            lesson = teach(
                scored, metrics, preference.feasible(here), here, [], {}, settings, params.protocol.confidence
            )
            made = rounded(asdict(lesson.model))
            for field in ("weights", "scales", "reach"):
                assert made[field] == pytest.approx(win["model"][field], rel=1e-5)
            for field in ("better", "n_pairs", "n_clips", "n_clusters", "apart"):
                assert made[field] == win["model"][field]
            for pair in win["pairs"]:
                again = win_pair(
                    lesson.model,
                    pair["a"],
                    pair["b"],
                    lesson.values,
                    settings,
                    params.protocol.confidence,
                    here.clusters,
                )
                assert (again.chance is None) == (pair["chance"] is None)
                if again.chance:
                    assert again.chance.value == pytest.approx(pair["chance"]["value"], rel=1e-5)
                compared += 1
    assert compared


def test_votes_as_pairs_by_hand():
    given = [
        vote("c2", "x", "y", "b", "s/07"),
        vote("c0", "y", "z", "a", "s/08"),
        vote("c0", "x", "y", "neither", "s/07"),
        vote("c0", "x", "y", "a", "s/07", repeat=True),
    ]
    pairs = of_votes(given, SCORED, BETTER)
    # of psnr the cost is -psnr, so that of the second less that of the first is psnr(a) - psnr(b)
    np.testing.assert_allclose(pairs.difference, [[32 - 33, 0.1 - 0.2], [28 - 25, 0.5 - 0.3], [30 - 28, 0.3 - 0.2]])
    assert pairs.outcome.tolist() == [0, 1, 0.5]
    assert pairs.clip.tolist() == ["c2", "c0", "c0"]
    assert pairs.cluster.tolist() == ["m1", "m0", "m0"]
    assert pairs.weight.tolist() == [1, 1, 1]
    assert not pairs.adjacent.any()
    assert {name: mask.tolist() for name, mask in pairs.left_out["clip"].items()} == {
        "c2": [True, False, False],
        "c0": [False, True, True],
    }
    raters = {name: mask.tolist() for name, mask in pairs.left_out["rater"].items()}
    assert raters == {"1": [True, False, True], "2": [False, True, False]}  # no pseudonym
    assert pairs.learned_from == "people"
    assert of_votes([replace(one, simulated=True) for one in given], SCORED, BETTER).learned_from == SIMULATED
    empty = of_votes([], SCORED, BETTER)
    assert empty.difference.shape == (0, 2)
    assert empty.left_out == {"clip": {}, "rater": {}}


def test_what_people_teach():
    lesson = taught(votes())
    model = lesson.model
    assert model.learned_from == "people"
    assert model.n_pairs == 36
    assert (model.n_clips, model.n_clusters) == (6, 3)
    assert sum(model.weights.values()) > 1
    checked = model.cross_validation
    assert {by: score.n_folds for by, score in checked.items()} == {"cluster": 3, "clip": 6, "rater": 3}
    assert checked["rater"].accuracy.value == 1
    chance = win_pair(model, "x", "z", lesson.values, SETTINGS, 0.95, CLUSTERS).chance
    assert chance.value > 0.8
    swapped = [vote(one.clip, "z", one.a, "b", one.rater) for one in votes()]
    assert taught(swapped).model.weights == pytest.approx(model.weights, abs=1e-5)


def test_repeats_other_questions_and_strangers_do_not_teach():
    model = taught(votes()).model
    more = [
        *[replace(one, repeat=True, answer="b") for one in votes()],
        *[replace(one, question="motion", answer="b") for one in votes()],
        vote("elsewhere", "x", "z", "b"),
        vote("c0", "gone", "z", "b"),
        *[replace(one, simulated=True, answer="b") for one in votes()],
    ]
    assert taught(votes() + more).model == model
    assert taught(votes(question="motion"), question="motion").model.learned_from == "people"
    assert "no votes" in taught(votes(question="motion")).passed_over["people"]


def test_simulated_raters_teach_under_their_own_name():
    assert taught(votes(simulated=True)).model.learned_from == "simulated raters"


def test_one_rater_or_one_cluster_does_not_teach():
    one = taught(votes(raters=["s/01"]))
    assert one.model.learned_from == "damages of known order"
    assert "one rater" in one.passed_over["people"]
    near = [line for line in votes() if line.clip in ("c0", "c1")]
    assert "one cluster of clips" in taught(near).passed_over["people"]


def fooled(*labels):
    return calibration(fooled={label: fooled_by("frozen") for label in labels})


def without_warp():
    """Scores of which one run's warp has no value."""
    groups = {run: replace(group, scores=dict(group.scores)) for run, group in SCORED.items()}
    groups["y"].scores["warp"] = run_score(None)
    return groups


@pytest.mark.parametrize(
    ("learned", "more", "why"),
    [
        (proxy(limit=60), {}, "a quick try of 60 pairs"),
        (proxy(protocols={"psnr": "psnr/9:x"}), {}, r"psnr \(another protocol, psnr/1:x here and psnr/9:x there\)"),
        (proxy(), {"calibrated": fooled("warp")}, r"warp \(fooled by frozen\)"),
        (proxy(), {"scored": without_warp()}, r"warp \(no value of a run\)"),
        (proxy(), {"metrics": {"psnr": METRICS["psnr"]}}, r"warp \(not among the metrics"),
        (proxy(models=[]), {}, "it has no fit"),
    ],
)
def test_what_was_learned_elsewhere_holds_only_for_the_same_measurements(learned, more, why):
    lesson = taught(learned={"bvi_vfi": learned}, **more)
    assert lesson.model.learned_from == "damages of known order"
    (reason,) = [lesson.passed_over["bvi_vfi"]]
    assert "\n" not in reason
    with pytest.raises(Fault, match=why):
        raise Fault(reason)


def test_a_fit_of_fewer_metrics_teaches_where_the_whole_cannot():
    fewer = proxy(weights={"psnr": 1.5}).models[0]
    whole = proxy()
    learned = {"bvi_vfi": replace(whole, models=[*whole.models, fewer])}
    assert taught(learned=learned).model == whole.models[0]
    assert taught(learned=learned, calibrated=fooled("warp")).model == fewer


def test_a_metric_without_weight_may_be_missing():
    """What counts in no fit is taken out, and chances stay as they are."""
    flat = proxy(weights={"psnr": 1.5, "warp": 0.0})
    assert flat.models[0].weights["warp"] == 0
    lesson = taught(learned={"bvi_vfi": flat}, calibrated=fooled("warp"))
    assert lesson.model.learned_from == "votes of BVI-VFI"
    assert list(lesson.model.better) == ["psnr"]
    chance = win_pair(lesson.model, "x", "z", lesson.values, SETTINGS, 0.95, CLUSTERS).chance
    assert 0.5 < chance.low < chance.value < chance.high < 1


def test_files_of_what_was_learned(tmp_path):
    assert proxies(tmp_path, SETTINGS) == {}
    made = proxy("bapps")
    made.save(Proxy.path(tmp_path, "bapps"))
    (read,) = proxies(tmp_path, SETTINGS).values()
    assert read.models[0].weights == pytest.approx(made.models[0].weights, rel=1e-8)
    assert taught(learned=proxies(tmp_path, SETTINGS)).model.learned_from == "votes of BAPPS"
    assert proxies(tmp_path, replace(SETTINGS, teachers=["people", "damages"])) == {}
    Proxy.path(tmp_path, "bapps").write_text("{")
    with pytest.raises(Fault, match=r"bapps\.json: not whole"):
        proxies(tmp_path, SETTINGS)
