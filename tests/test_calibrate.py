"""The stage `calibrate` on a small store: settings, what ladders and controls show, and threads that change nothing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import facts

from v2vbench import find, metrics, params
from v2vbench.clips.controls import CONTROLS, Context
from v2vbench.clips.damage import LADDERS, damaged
from v2vbench.clips.store import Store, write_store
from v2vbench.params import Fault
from v2vbench.results.calibration import CalibrationScores
from v2vbench.results.metric import Interval
from v2vbench.stages import calibrate as stage
from v2vbench.stages.calibrate import calibrate, resolve
from v2vbench.stages.evaluate import evaluate
from v2vbench.statistics.equivalents import equivalent

PARAMS = params.load(Path(__file__).parents[1] / "params.yaml")
SECTION = {
    "seed": 0,
    "seen_from": 0.05,
    "equivalents": ["blur", "noise"],
    "controls": {"frozen": {}, "copied": {}, "flow_carried": {}, "label_colours": {}},
    "ladders": {
        "blur": [0.5, 1, 3],
        "noise": [4, 30],
        "shuffle": [2, 8],
        "warp_space": [1],
        "warp_space_time": [1],
        "freeze": [4],
    },
}


@pytest.mark.parametrize(
    "change, says",
    [
        ({"ladders": {"smear": [1]}}, "calibration.ladders: no 'smear'"),
        ({"ladders": {"blur": []}}, r"calibration.ladders.blur: \[\] do not lead"),
        ({"ladders": {"blur": [2, 1]}}, "calibration.ladders.blur: .* do not lead from mild to worse"),
        ({"ladders": {"blur": [1, 1]}}, "calibration.ladders.blur: .* do not lead from mild to worse"),
        ({"ladders": {"jpeg": [40, 80]}}, "calibration.ladders.jpeg: .* do not lead from mild to worse"),
        ({"ladders": {"jpeg": [40, 0]}}, r"calibration.ladders.jpeg\[1\]: 0 is out of range"),
        ({"ladders": {"shuffle": [2.5]}}, r"calibration.ladders.shuffle\[0\]: 2.5 is not int"),
        ({"equivalents": ["jpeg"]}, "calibration.equivalents: no 'jpeg'"),
        ({"controls": {"bribed": {}}}, "calibration.controls: no 'bribed'"),
        ({"controls": {"blurred": {}}}, "calibration.controls.blurred: missing sigma"),
        ({"controls": {"frozen": {"sigma": 1}}}, "calibration.controls.frozen: unknown sigma"),
        (
            {"ladders": {"blur": [1], "noise": [1]}, "equivalents": []},
            "calibration.ladders: no warp_space_time; controls are compared with",
        ),
        ({"n": 1}, "calibration: unknown n"),
    ],
)
def test_wrong_lines_are_refused(change, says):
    with pytest.raises(Fault, match=says):
        resolve(SECTION | change)


def test_the_shipped_lines_and_what_they_need_are_there():
    settings = resolve(PARAMS.calibration)
    assert {"frozen", "flow_carried", "label_colours", "memorised"} < settings.controls.keys()
    assert settings.ladders["warp_space"] == settings.ladders["warp_space_time"]
    assert all(len(settings.ladders[name]) > 1 for name in settings.equivalents)


def test_metrics_name_ladders_that_there_are():
    named = {
        path.stem: getattr(find("metrics", path.stem), "LADDERS", ())
        for path in Path(metrics.__file__).parent.glob("[!_]*.py")
    }
    assert any(named.values())
    assert all(set(ladders) <= LADDERS.keys() for ladders in named.values())
    shipped = resolve(PARAMS.calibration).ladders
    assert all(set(ladders) & shipped.keys() for ladders in named.values() if ladders)


def project(folder, store, **changes):
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "sliding.zip").symlink_to(store.path)
    features = {
        "frames": {"extractor": "efficientnet_lite0", "px": 32},
        "windows": {
            "extractor": "efficientnet_lite0",
            "px": 32,
            "windows": {"n_frames": 4, "stride": 4, "change_weight": 4},
        },
    }
    lines = {
        name: PARAMS.metrics[name] for name in ("psnr", "warp_error", "sharpness_ratio", "motion_ratio", "flicker")
    } | {
        "frames": {"metric": "frechet", "features": "frames", "divisor": "n-1"},
        "windows": {"metric": "frechet", "features": "windows", "divisor": "n-1"},
        "elsewhere": {"metric": "psnr", "on": ["other"], "data_range": 2, "cap_db": 100},
    }
    return replace(
        PARAMS, datasets={"sliding": {}}, judges={}, features=features, metrics=lines, calibration=SECTION | changes
    )


@pytest.fixture(scope="module")
def result(tmp_path_factory, store_path):
    """The stage on 3 + 3 clips of 12 frames, and its project."""
    folder = tmp_path_factory.mktemp("calibrate")
    settings = project(folder, Store(store_path))
    return calibrate(settings, "sliding", folder), settings, folder


def values(result, name, label, group="seen"):
    return result.groups[group].ladders[name].metrics[label].values


def test_what_is_returned_is_what_is_written(result, tmp_path):
    scores, _, folder = result
    path = CalibrationScores.path(folder, "sliding")
    scores.save(tmp_path / "again.json")
    assert path.read_bytes() == (tmp_path / "again.json").read_bytes()
    assert CalibrationScores.load(path).groups["seen"].ladders.keys() == scores.groups["seen"].ladders.keys()


def test_what_is_written(result, store):
    scores, settings, folder = result
    assert scores.skip_frames == 2
    assert "elsewhere" not in scores.metrics
    for name, group in scores.groups.items():
        assert group.clips == store.split(name)
        assert group.n_frames == 10
        assert len(group.clusters) == 3
        assert group.other_clip is None
        assert group.preferred["motion_ratio"] == ["freeze", "blur", "noise"]
        assert group.preferred["psnr"] == ["blur", "noise"]
        levels = {key: ladder.levels for key, ladder in group.ladders.items()}
        assert levels == {key: [0, *own] for key, own in SECTION["ladders"].items()}
        for ladder in group.ladders.values():
            assert ladder.metrics.keys() == settings.metrics.keys() - {"elsewhere"}
            for label, curve in ladder.metrics.items():
                assert len(curve.values) == len(ladder.levels)
                rows = curve.leave_one_out if label in ("frames", "windows") else curve.per_clip
                assert [len(row) for row in rows] == [3] * len(ladder.levels)


def test_two_threads_and_cached_features_change_no_byte(result):
    _, settings, folder = result
    path, n_threads = CalibrationScores.path(folder, "sliding"), torch.get_num_threads()
    first = path.read_bytes()
    try:
        torch.set_num_threads(2)
        calibrate(settings, "sliding", folder)
        assert path.read_bytes() == first
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(n_threads)


def test_one_scorer_serves_all_threads(result, monkeypatch):
    """Its judges are built once, whatever the number of cores."""
    _, settings, folder = result
    built, build, n_threads = [], stage.Scorer.of_project, torch.get_num_threads()

    def counted(*args):
        built.append(args)
        return build(*args)

    monkeypatch.setattr(stage.Scorer, "of_project", counted)
    few = {"blur": [1], "noise": [4], "warp_space_time": [1]}
    small = SECTION | {"ladders": few, "controls": {}, "equivalents": []}
    lines = {"psnr": settings.metrics["psnr"]}
    try:
        torch.set_num_threads(4)
        calibrate(replace(settings, metrics=lines, features={}, calibration=small), "sliding", folder)
    finally:
        torch.set_num_threads(n_threads)
    assert len(built) == 1


def test_what_the_ladders_show(result):
    scores = result[0]
    climbed = [
        ("blur", "psnr"),
        ("noise", "psnr"),
        ("blur", "sharpness_ratio"),
        ("noise", "sharpness_ratio"),
        ("noise", "frames"),
        ("noise", "warp_error"),
    ]
    for name, group in scores.groups.items():
        assert values(scores, "blur", "psnr", name)[0] == 100
        assert values(scores, "blur", "frames", name)[0] == 0
        assert [pair for pair in climbed if not group.ladders[pair[0]].metrics[pair[1]].monotone] == []
        assert values(scores, "shuffle", "frames", name) == [0, 0, 0]  # the same frames, to the bit
        assert values(scores, "shuffle", "windows", name)[2] > 0
        assert values(scores, "freeze", "motion_ratio", name)[1] < 0.5
        sees = {label: reading.sees for label, reading in group.responses.items()}
        assert sees["psnr"] == sees["frames"] == sees["sharpness_ratio"] == "space"
        assert sees["warp_error"] in ("time", "both")


@pytest.mark.parametrize("label", ["psnr", "sharpness_ratio"])
def test_a_damage_of_known_degree_is_read_back(result, label):
    """What a ladder makes of the clips, scored as a method's: the level comes out again."""
    scores = result[0]
    for group in scores.groups.values():
        curve, better = group.ladders["blur"].metrics[label], scores.metrics[label].better
        for level, value, per_clip in zip([0, 0.5, 1, 3], curve.values, curve.per_clip):
            score = Interval(value=value, low=min(per_clip), high=max(per_clip))
            assert equivalent(score, group, label, better).level == pytest.approx(level)


def test_what_the_controls_show(result):
    for group in result[0].groups.values():
        scores = {name: control.scores for name, control in group.controls.items()}
        assert scores["frozen"]["motion_ratio"].value == 0
        assert len(scores["copied"]["psnr"].per_clip) == 3
        assert scores["copied"]["frames"].value == pytest.approx(0, abs=1e-6)  # the same frames, of other clips
        assert scores["copied"]["psnr"].value < 15
        assert group.controls["copied"].about.startswith("The real frames of another")
        assert scores["flow_carried"]["psnr"].value > max(scores[name]["psnr"].value for name in ("frozen", "copied"))
        assert scores["label_colours"]["sharpness_ratio"].value < 0.1
        assert "psnr" in group.fooled
        assert "copied" in [one.control for one in group.fooled["frames"]]


def test_mild_scores_are_those_of_the_first_rung(result):
    for group in result[0].groups.values():
        for label, mild in group.mild.items():
            assert mild.keys() == {"blur", "noise", "warp_space_time"}
            rungs = {name: group.ladders[name].metrics[label] for name in mild}
            assert {name: score.per_clip for name, score in mild.items()} == {
                name: curve.per_clip and curve.per_clip[1] for name, curve in rungs.items()
            }
            assert {name: score.leave_one_out for name, score in mild.items()} == {
                name: curve.leave_one_out and curve.leave_one_out[1] for name, curve in rungs.items()
            }


def test_ladders_and_controls_are_scored_as_a_run_is(result, store):
    """A run that shows what a ladder or a control shows has its values: same frames, same clips, same arithmetic."""
    scores, settings, folder = result
    line = params.bind(
        params.Run,
        {
            "title": "x",
            "dataset": "sliding",
            "model": "copy_last",
            "schedule": "none",
            "base": "none",
            "first_frames": "real",
            "seeds": [0],
            "kwargs": {},
        },
        "test",
    )

    def run(made):
        write_store(
            folder / "runs" / "x" / "clips.zip",
            facts(),
            (
                (
                    {"id": clip, "split": group, "given": 2, "licence": "", "origin": ""},
                    {"fake": made(clip, store.read(clip))},
                )
                for group in ("seen", "unseen")
                for clip in store.split(group)
            ),
        )
        return evaluate(replace(settings, runs={"x": line}), "x", folder).groups["seen"].scores

    noisy = run(
        lambda clip, arrays: np.concatenate([arrays["real"][:2], damaged(arrays["real"][2:], "noise", 30, clip, 0)])
    )
    carried = run(lambda clip, arrays: CONTROLS["flow_carried"].video(arrays, Context(store, clip, 2, None)))
    group = scores.groups["seen"]
    for label, score in noisy.items():
        curve = group.ladders["noise"].metrics[label]
        assert (curve.per_clip and curve.per_clip[2]) == score.fake.per_clip, label
        assert (curve.leave_one_out and curve.leave_one_out[2]) == score.fake.leave_one_out, label
        assert group.controls["flow_carried"].scores[label] == carried[label].fake, label


def test_passes_over_the_clips_change_nothing(result, monkeypatch):
    """As few as one video a pass, where rows of more would not be held."""
    scores, settings, folder = result
    monkeypatch.setattr(stage, "HELD", 1)
    assert calibrate(settings, "sliding", folder) == scores


def test_another_clip_of_a_cluster(tmp_path, store_path, monkeypatch):
    """Only where every cluster has one; held against the clip that follows in its own cluster."""
    store = Store(store_path)
    settings = project(
        tmp_path,
        store,
        ladders={"blur": [1], "noise": [4], "warp_space_time": [1]},
        controls={"copied": {}},
        equivalents=[],
    )
    read = Store.__init__

    def clustered(self, path):
        read(self, path)
        for number, clip in enumerate(self.clips.values()):
            clip["cluster"] = "map" if clip["split"] == "seen" else f"map {number // 2}"

    monkeypatch.setattr(Store, "__init__", clustered)
    lines = {name: line for name, line in settings.metrics.items() if name == "psnr"}
    groups = calibrate(replace(settings, metrics=lines, features={}), "sliding", tmp_path).groups
    assert groups["seen"].other_clip.scores == groups["seen"].controls["copied"].scores  # the group is one cluster
    assert groups["seen"].clusters == ["map"] * 3
    assert groups["unseen"].other_clip is None


def still(seed: int) -> dict[str, np.ndarray]:
    """Colours that slide over a picture whose brightness stands still."""
    y, x = np.mgrid[:32, :64]
    wave = [80 * np.sin(2 * np.pi * (x + 2 * t + 5 * y / 3) / 32 + seed) for t in range(12)]
    real = np.stack([np.stack([128 + w, 128 - w * 0.299 / 0.587, 128 + 0 * w], -1) for w in wave])
    label = np.broadcast_to((x // 32).astype(np.uint8), (12, 32, 64))
    return {"real": np.rint(real).astype(np.uint8), "label": np.ascontiguousarray(label)}


def test_what_is_known_to_fool(tmp_path):
    """Flicker by a frozen video where real brightness barely changes; not PSNR, which sees that the colours moved."""
    splits = ["train"] * 2 + ["seen"] * 4 + ["unseen"] * 4
    write_store(
        tmp_path / "still.zip",
        facts(),
        (({"id": str(i), "split": split, "origin": "", "licence": ""}, still(i)) for i, split in enumerate(splits)),
    )
    settings = project(
        tmp_path,
        Store(tmp_path / "still.zip"),
        controls={"frozen": {}, "label_colours": {}},
        ladders={"blur": [0.5], "noise": [4], "warp_space_time": [1]},
        equivalents=[],
    )
    lines = {name: line for name, line in settings.metrics.items() if name in ("psnr", "flicker", "frames")}
    group = calibrate(replace(settings, metrics=lines), "sliding", tmp_path).groups["seen"]
    assert [(one.control, one.sure) for one in group.fooled["flicker"]] == [("frozen", True), ("label_colours", True)]
    assert group.fooled["psnr"] == []
    assert "frozen" in [one.control for one in group.fooled["frames"]]


def test_faults(tmp_path, store):
    settings = project(tmp_path, store)
    wide = settings.features["windows"] | {"windows": {"n_frames": 11, "stride": 4, "change_weight": 4}}
    with pytest.raises(Fault, match="clip slide-4: 10 frames are fewer than a window of 11"):
        calibrate(replace(settings, features=settings.features | {"windows": wide}), "sliding", tmp_path)
    with pytest.raises(Fault, match="other.zip: no such clip store"):
        calibrate(settings, "other", tmp_path)
