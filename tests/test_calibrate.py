"""Calibration: scores read back as levels of damage, what metrics see, what fools them, and the whole stage on a small store."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import facts

from v2vbench import find, params
from v2vbench.clips.damage import LADDERS
from v2vbench.clips.store import Store, write_store
from v2vbench.display import tables as tell
from v2vbench.files import rounded
from v2vbench.params import Fault
from v2vbench.stages import calibrate as stage
from v2vbench.stages.calibrate import calibrate, resolve, sees
from v2vbench.statistics.equivalents import bounds, climb, equivalent, fooled, share_of_way
from v2vbench.statistics.intervals import Estimate

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


def ladder(name, levels, values, better="lower", seen_from=0.05):
    about = {key: getattr(LADDERS[name], key) for key in ("title", "unit", "kind", "neutral")}
    return about | {"levels": [0, *levels], "metrics": {"m": {"values": values} | climb(values, better, seen_from)}}


def group(order=None, **ladders):
    return {"equivalents": {"m": order or list(ladders)}, "ladders": ladders, "other_clip": None}


def read(value, about, better="lower", low=None, high=None):
    return equivalent({"value": value, "low": low, "high": high}, about, "m", better)


@pytest.mark.parametrize("level", [0, 0.3, 0.5, 1.7, 2, 4])
@pytest.mark.parametrize("better, sign", [("lower", 1), ("higher", -1)])
def test_a_level_is_read_back(level, better, sign):
    about = group(blur=ladder("blur", [0.5, 1, 2, 4], [sign * (7 + 3 * x) for x in (0, 0.5, 1, 2, 4)], better))
    ends = sorted(sign * (7 + 3 * x) for x in (level / 2, min(level + 0.1, 4)))
    found = read(sign * (7 + 3 * level), about, better, *ends)
    assert found["ladder"] == "blur" and found["level"] == pytest.approx(level) and found["beyond"] is None
    assert (found["low"], found["high"]) == pytest.approx((level / 2, min(level + 0.1, 4)))
    assert found["text"] == f"as bad as blur σ {level:g} px"


def test_between_rungs_the_level_is_linear():
    about = group(noise=ladder("noise", [2, 10], [0.0, 1.0, 5.0]))
    assert read(0.5, about)["level"] == pytest.approx(1) and read(3, about)["level"] == pytest.approx(6)


def test_beyond_the_ends():
    about = group(blur=ladder("blur", [0.5, 4], [0.2, 1.0, 5.0]))
    wide = read(3, about, low=-1, high=9)
    assert wide["low"] == 0 and wide["high"] == 4 and wide["beyond"] is None
    assert read(5.1, about, low=4.9, high=6) is None


@pytest.mark.parametrize("better, sign", [("lower", 1), ("higher", -1)])
def test_no_worse_than_the_real_video_is_said_of_a_whole_interval_alone(better, sign):
    about = group(blur=ladder("blur", [0.5, 4], [sign * 0.2, sign * 1.0, sign * 5.0], better))
    told = [read(sign * 0.1, about, better, *sorted((sign * -0.3, sign * high))) for high in (0.2, 0.6, 5.1)]
    assert told[0]["text"] == "no worse than the real video" and told[0]["beyond"] == "better" and told[0]["level"] == 0
    assert told[1]["text"] == "at most as bad as blur σ 0.25 px" and told[1]["high"] == pytest.approx(0.25)
    assert told[2] is None and read(sign * 0.1, about, better) is None


def test_the_first_ladder_that_brackets_is_taken():
    about = group(
        ["noise", "blur"], blur=ladder("blur", [1, 9], [0.0, 1.0, 9.0]), noise=ladder("noise", [2, 4], [0.0, 1.0, 2.0])
    )
    assert [read(value, about)["text"] for value in (1.5, 3)] == [
        "as bad as noise σ 3 grey levels",
        "as bad as blur σ 3 px",
    ]
    assert read(10, about) is None


def test_what_no_ladder_brackets_stands_beside_another_clip():
    about = group(blur=ladder("blur", [1], [0.0, 1.0])) | {
        "other_clip": {"title": "another clip of this map", "metrics": {"m": {"value": 8.0}}}
    }
    told = [read(value, about, low=value - 1, high=value + 1) for value in (0.5, 5, 7.5, 10)]
    assert [own and own["text"] for own in told] == [
        "as bad as blur σ 0.5 px",
        None,
        "as bad as another clip of this map",
        "worse than another clip of this map",
    ]
    assert (
        told[3]["beyond"] == "worse"
        and read(10, about) is None
        and read(10, about | {"other_clip": None}, low=9, high=11) is None
    )


def test_a_scale_that_runs_down_has_no_level_for_the_untouched_video():
    about = group(jpeg=ladder("jpeg", [80, 40, 10], [100.0, 34.0, 30.0, 24.0], "higher"))
    found = read(27, about, "higher", 26, 29)
    assert found["level"] == 25 and found["text"] == "as bad as JPEG quality 25"
    assert (found["low"], found["high"]) == pytest.approx((35, 20))  # from mild to worse
    assert read(50, about, "higher") is None and read(20, about, "higher") is None


def test_the_first_ladder_that_is_climbed_is_taken():
    flat, odd = ladder("freeze", [2, 4], [1.0, 1.0, 1.0]), ladder("blur", [1, 2, 3], [1.0, 3.0, 2.0, 4.0])
    down, good = ladder("flicker", [1, 2], [1.0, 0.9, 0.5]), ladder("noise", [1, 2], [1.0, 2.0, 3.0])
    assert not any(own["metrics"]["m"]["monotone"] for own in (flat, odd, down)) and flat["metrics"]["m"]["rho"] is None
    assert odd["metrics"]["m"]["rho"] == pytest.approx(0.8) and down["metrics"]["m"]["rho"] == pytest.approx(-1)
    assert (
        read(2.5, group(freeze=flat, blur=odd, flicker=down, noise=good))["text"] == "as bad as noise σ 1.5 grey levels"
    )
    assert (
        read(2.5, group(freeze=flat, blur=odd)) is None
        and read(2.5, group(["noise"], noise=good | {"metrics": {}})) is None
    )


def test_a_metric_that_saturates_still_climbs():
    own = ladder("blur", [1, 2, 4], [0.0, 6.0, 10.0, 9.9])
    assert own["metrics"]["m"]["monotone"] and not climb([0.0, 6.0, 10.0, 9.0], "lower", 0.05)["monotone"]
    assert read(8, group(blur=own))["level"] == pytest.approx(1.5) and read(9.95, group(blur=own))[
        "level"
    ] == pytest.approx(1.9875)
    assert read(10.1, group(blur=own)) is None


def test_round_off_is_no_climb():
    assert climb([0.3, 0.3 + 1e-13, 0.3 + 2e-13], "lower", 0.05) == {"monotone": False, "rho": None}


def test_a_ratio_has_two_sides():
    levels = [0.5, 1, 2]
    about = group(
        blur=ladder("blur", levels, np.exp([0, -0.5, -1, -2]).tolist(), "one"),
        noise=ladder("noise", levels, np.exp([0, 0.5, 1, 2]).tolist(), "one"),
        flicker=ladder("flicker", levels, [1, 0.9, 1.4, 2.0], "one"),
    )
    less, more = (read(np.exp(sign * 1.5), about, "one", *np.exp(sorted((sign * 1.4, sign * 1.7)))) for sign in (-1, 1))
    assert (less["ladder"], more["ladder"]) == ("blur", "noise") and less["level"] == pytest.approx(
        more["level"]
    ) == pytest.approx(1.5)
    assert (less["low"], less["high"], more["low"], more["high"]) == pytest.approx((1.4, 1.7, 1.4, 1.7))
    across = read(np.exp(-0.2), about, "one", np.exp(-0.6), np.exp(0.3))
    assert across["low"] == 0 and across["high"] == pytest.approx(0.6)
    assert read(0.0, about, "one") is None
    assert not climb([1, 0.9, 1.4, 2.0], "one", 0.05)["monotone"] and climb([1, 1.2, 1.4], "one", 0.05)["monotone"]


@pytest.mark.parametrize(
    "values, word",
    [
        (dict(blur=9, shuffle=0, space=4, both=4), "space"),  # a set of frames
        (
            dict(blur=9, shuffle=9, space=4, both=4.1),
            "space",
        ),  # PSNR: a frame out of place is wrong, and no shaking is seen
        (dict(blur=9, shuffle=0, space=2, both=6), "space"),  # sees a richer mixture, and no order
        (dict(blur=0.1, shuffle=9, space=0.2, both=8), "time"),
        (dict(blur=5, shuffle=9, space=2, both=8), "both"),
        (dict(blur=0.1, shuffle=0.1, space=0, both=9), "neither"),
    ],
)
def test_what_a_metric_sees(values, word):
    own = {
        name: ladder(name, [1], [1.0, 1.0 + values[key]])
        for name, key in (
            ("blur", "blur"),
            ("shuffle", "shuffle"),
            ("warp_space", "space"),
            ("warp_space_time", "both"),
        )
    }
    found = sees(own, "m", "lower", 0.05)
    full = max(values.values())
    assert found["word"] == word and found["space"] == pytest.approx(max(values["blur"], values["space"]) / full)
    assert found["order"] == pytest.approx(values["shuffle"] / full)
    assert found["shake"] == pytest.approx((values["both"] - values["space"]) / full)
    assert found["time"] == min(found["order"], found["shake"])


def test_what_was_not_tried_is_not_told():
    own = {
        name: ladder(name, levels, [1.0, 2.0])
        for name, levels in (("blur", [1]), ("warp_space", [1]), ("warp_space_time", [2]))
    }
    assert sees(own, "m", "lower", 0.05) == {"space": 1, "time": None, "order": None, "shake": None, "word": None}
    assert sees({}, "m", "lower", 0.05)["word"] is None
    assert (
        sees(
            {"blur": ladder("blur", [1], [1.0, 1.0]), "shuffle": ladder("shuffle", [2], [1.0, 1.0])}, "m", "lower", 0.05
        )["space"]
        == 0
    )


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
            "calibration.ladders: no warp_space_time; controls are held against",
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
        for path in Path(stage.__file__).parent.glob("metrics/[!_]*.py")
    }
    assert any(named.values()) and all(set(own) <= LADDERS.keys() for own in named.values())
    shipped = resolve(PARAMS.calibration).ladders
    assert all(set(own) & shipped.keys() for own in named.values() if own)


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
    own = project(folder, Store(store_path))
    return calibrate(own, "sliding", folder), own, folder


def values(result, name, label, group="seen"):
    return result["groups"][group]["ladders"][name]["metrics"][label]["values"]


def test_what_is_written(result, store):
    found, own, folder = result
    path = folder / "metrics" / "calibrate" / "sliding.json"
    first, n_threads = path.read_bytes(), torch.get_num_threads()
    assert found["skip_frames"] == 2
    assert json.loads(first) == json.loads(json.dumps(rounded(found)))
    for name, about in found["groups"].items():
        assert about["clips"] == store.split(name) and about["n_frames"] == 10 and "elsewhere" not in about["protocols"]
        assert len(about["clusters"]) == 3 and about["other_clip"] is None
        assert about["equivalents"]["motion_ratio"] == ["freeze", "blur", "noise"] and about["equivalents"]["psnr"] == [
            "blur",
            "noise",
        ]
        assert {key: own["levels"] for key, own in about["ladders"].items()} == {
            key: [0, *levels] for key, levels in SECTION["ladders"].items()
        }
        for ladder in about["ladders"].values():
            assert ladder["metrics"].keys() == own.metrics.keys() - {"elsewhere"}
            for label, metric in ladder["metrics"].items():
                assert len(metric["values"]) == len(ladder["levels"])
                lists = metric["leave_one_out" if label in ("frames", "windows") else "per_clip"]
                assert [len(row) for row in lists] == [3] * len(ladder["levels"])
    try:
        torch.set_num_threads(2)
        calibrate(own, "sliding", folder)  # on two threads, with features from the cache
        assert path.read_bytes() == first and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(n_threads)


def test_what_the_ladders_show(result):
    found = result[0]
    for group in found["groups"]:
        assert values(found, "blur", "psnr", group)[0] == 100 and values(found, "blur", "frames", group)[0] == 0
        for name, label in (
            ("blur", "psnr"),
            ("noise", "psnr"),
            ("blur", "sharpness_ratio"),
            ("noise", "sharpness_ratio"),
            ("noise", "frames"),
            ("noise", "warp_error"),
        ):
            assert found["groups"][group]["ladders"][name]["metrics"][label]["monotone"], (name, label)
        assert values(found, "shuffle", "frames", group) == [0, 0, 0]  # the same frames, to the bit
        assert (
            values(found, "shuffle", "windows", group)[2] > 0
            and values(found, "freeze", "motion_ratio", group)[1] < 0.5
        )
        words = {label: about["word"] for label, about in found["groups"][group]["sees"].items()}
        assert words["psnr"] == words["frames"] == words["sharpness_ratio"] == "space" and words["warp_error"] in (
            "time",
            "both",
        )


def test_a_damage_of_known_degree_is_read_back(result):
    """What a ladder makes of the clips, scored as a method's: the level comes out again."""
    found = result[0]
    for group in found["groups"].values():
        for label in ("psnr", "sharpness_ratio"):
            metric, better = group["ladders"]["blur"]["metrics"][label], found["metrics"][label]["better"]
            for level, value, per_clip in zip([0, 0.5, 1, 3], metric["values"], metric["per_clip"]):
                score = {"value": value, "low": min(per_clip), "high": max(per_clip)}
                assert equivalent(score, group, label, better)["level"] == pytest.approx(level)


def test_what_the_controls_show(result):
    for group in result[0]["groups"].values():
        metrics = {name: own["metrics"] for name, own in group["controls"].items()}
        assert metrics["frozen"]["motion_ratio"]["value"] == 0 and len(metrics["copied"]["psnr"]["per_clip"]) == 3
        assert metrics["copied"]["frames"]["value"] == pytest.approx(0, abs=1e-6)  # the same frames, of other clips
        assert metrics["copied"]["psnr"]["value"] < 15 and group["controls"]["copied"]["about"].startswith(
            "The real frames of another"
        )
        assert metrics["flow_carried"]["psnr"]["value"] > max(
            metrics[name]["psnr"]["value"] for name in ("frozen", "copied")
        )
        assert metrics["label_colours"]["sharpness_ratio"]["value"] < 0.1
        for label, mild in group["mild"].items():
            assert mild.keys() == {"blur", "noise", "warp_space_time"}
            if label not in ("frames", "windows"):
                assert {name: own["per_clip"] for name, own in mild.items()} == {
                    name: group["ladders"][name]["metrics"][label]["per_clip"][1] for name in mild
                }
        assert "psnr" in group["fooled"] and "copied" in [own["control"] for own in group["fooled"]["frames"]]


def test_ladders_and_controls_are_scored_as_a_run_is(result, store):
    """A run that shows what a ladder or a control shows has its very values: same frames, same clips, same arithmetic."""
    from v2vbench.clips.controls import CONTROLS, Context
    from v2vbench.clips.damage import damaged
    from v2vbench.stages.evaluate import evaluate

    found, own, folder = result
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
        return evaluate(replace(own, runs={"x": line}), "x", folder)["groups"]["seen"]["metrics"]

    noisy = run(
        lambda clip, arrays: np.concatenate([arrays["real"][:2], damaged(arrays["real"][2:], "noise", 30, clip, 0)])
    )
    carried = run(lambda clip, arrays: CONTROLS["flow_carried"].video(arrays, Context(store, clip, 2, None)))
    group = found["groups"]["seen"]
    for label, metric in noisy.items():
        key = "per_clip" if metric["kind"] == "clip" else "leave_one_out"
        assert group["ladders"]["noise"]["metrics"][label][key][2] == metric[key], label
        assert group["controls"]["flow_carried"]["metrics"][label] == {
            name: carried[label][name] for name in ("value", key)
        }, label


def test_passes_over_the_clips_change_nothing(result, monkeypatch):
    """As few as one video a pass, where rows of more would not be held."""
    found, own, folder = result
    monkeypatch.setattr(stage, "HELD", 1)
    assert calibrate(own, "sliding", folder) == found


def test_another_clip_of_a_cluster(tmp_path, store_path, monkeypatch):
    """Only where every cluster has one; held against the clip that follows in its own cluster."""
    store = Store(store_path)
    own = project(
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
    lines = {name: line for name, line in own.metrics.items() if name == "psnr"}
    groups = calibrate(replace(own, metrics=lines, features={}), "sliding", tmp_path)["groups"]
    assert (
        groups["seen"]["other_clip"]["metrics"] == groups["seen"]["controls"]["copied"]["metrics"]
    )  # the group is one cluster
    assert groups["seen"]["clusters"] == ["map"] * 3 and groups["unseen"]["other_clip"] is None


def still(seed: int) -> dict[str, np.ndarray]:
    """Colours that slide over a picture whose brightness stands still."""
    y, x = np.mgrid[:32, :64]
    wave = [80 * np.sin(2 * np.pi * (x + 2 * t + 5 * y / 3) / 32 + seed) for t in range(12)]
    real = np.stack([np.stack([128 + w, 128 - w * 0.299 / 0.587, 128 + 0 * w], -1) for w in wave])
    label = np.broadcast_to((x // 32).astype(np.uint8), (12, 32, 64))
    return {"real": np.rint(real).astype(np.uint8), "label": np.ascontiguousarray(label)}


def test_what_is_known_to_fool(tmp_path):
    """Flicker by a frozen video where the real brightness barely changes; not PSNR, which sees that the colours have moved."""
    splits = ["train"] * 2 + ["seen"] * 4 + ["unseen"] * 4
    write_store(
        tmp_path / "still.zip",
        facts(),
        (({"id": str(i), "split": split, "origin": "", "licence": ""}, still(i)) for i, split in enumerate(splits)),
    )
    own = project(
        tmp_path,
        Store(tmp_path / "still.zip"),
        controls={"frozen": {}, "label_colours": {}},
        ladders={"blur": [0.5], "noise": [4], "warp_space_time": [1]},
        equivalents=[],
    )
    lines = {name: line for name, line in own.metrics.items() if name in ("psnr", "flicker", "frames")}
    group = calibrate(replace(own, metrics=lines), "sliding", tmp_path)["groups"]["seen"]
    assert [(own["control"], own["sure"]) for own in group["fooled"]["flicker"]] == [
        ("frozen", True),
        ("label_colours", True),
    ]
    assert group["fooled"]["psnr"] == [] and "frozen" in [own["control"] for own in group["fooled"]["frames"]]


def test_what_the_notebook_tells(result, store):
    found = result[0]
    assert (
        "climbs" in tell.senses(found, "seen").data and "copied from another clip" in tell.controls(found, "seen").data
    )
    about = found["groups"]["seen"] | {
        "fooled": {"psnr": [{"control": "frozen", "sure": True}, {"control": "copied", "sure": False}]}
    }
    assert tell.fools(about, "psnr") == "frozen, copied from another clip (?)" and tell.fools(about, "frames") is None
    assert "blur" in tell.climbs(found, "seen", "space").alt and "shuffle" in tell.climbs(found, "seen", "time").alt
    key = store.split("seen")[0]
    assert (
        "blur 0.5, 1, 3" in tell.spoiled(store, found, key).alt
        and "freeze 4" in tell.misplaced(store, found, key, 6).alt
    )


def test_faults(tmp_path, store):
    own = project(tmp_path, store)
    wide = own.features["windows"] | {"windows": {"n_frames": 11, "stride": 4, "change_weight": 4}}
    with pytest.raises(Fault, match="clip slide-4: 10 frames are fewer than a window of 11"):
        calibrate(replace(own, features=own.features | {"windows": wide}), "sliding", tmp_path)
    with pytest.raises(Fault, match="other.zip: no such clip store"):
        calibrate(own, "other", tmp_path)


def of_values(values):
    return {"value": float(np.mean(values)), "per_clip": list(values)}


@pytest.mark.parametrize("better, sign", [("lower", 1), ("higher", -1)])
def test_a_metric_is_fooled_by_what_costs_no_more_than_the_worst_mild_damage(better, sign):
    """With the paired interval written out: differences of clips, Student's quantile at 3 degrees of freedom."""
    mild = {"blur": [1, 2, 3, 4], "noise": [2, 3, 4, 5.5], "warp_space_time": [0, 0, 0, 0]}
    controls = {"less": [1, 2, 3, 4], "even": [2, 3, 4, 5.5], "perhaps": [0, 3, 6, 5], "more": [3, 4, 5, 6]}
    mild, controls = (
        {name: of_values(sign * np.array(own, float)) for name, own in some.items()} for some in (mild, controls)
    )
    found = {own["control"]: own for own in fooled(controls, mild, list("abcd"), better, 0.95)}
    assert list(found) == ["less", "even", "perhaps"] and {own["against"] for own in found.values()} == {"noise"}
    assert [found[name]["sure"] for name in found] == [True, True, False]
    apart = np.array([0, 3, 6, 5]) - [2, 3, 4, 5.5]
    half = 3.182446305 * apart.std(ddof=1) / 2
    assert (found["perhaps"]["difference"], found["perhaps"]["low"], found["perhaps"]["high"]) == pytest.approx(
        (apart.mean(), apart.mean() - half, apart.mean() + half)
    )


def test_digits_that_files_lose_fool_no_one():
    """Equal videos count as equal, though one value came from a file of 9 digits: 3.50354682 against ...688 is another matter."""
    real = np.array([3.50354688123, 3.2, 3.9])
    for control, fools in (
        (real, True),
        (np.array(rounded(real.tolist())), True),
        (real + 6e-8, True),
        (real + 1e-3, False),
    ):
        assert bool(fooled({"x": of_values(control)}, {"blur": of_values(real)}, list("abc"), "lower", 0.95)) == fools


def test_clips_of_one_cluster_are_one_witness():
    mild, control = of_values([1.0] * 6), of_values([0.5] * 5 + [0.9])
    sure = {
        clusters: fooled({"x": control}, {"blur": mild}, list(clusters), "lower", 0.95)[0]["sure"]
        for clusters in ("abcdef", "aaaaab")
    }
    assert sure == {"abcdef": True, "aaaaab": False}
    assert fooled({"x": control}, {"blur": mild}, ["a"] * 6, "lower", 0.95)[0] == {
        "control": "x",
        "against": "blur",
        "difference": pytest.approx(-0.5 + 0.4 / 6),
        "low": None,
        "high": None,
        "sure": False,
    }


@pytest.mark.parametrize("better, to", [("lower", lambda cost: cost), ("higher", lambda cost: -cost), ("one", np.exp)])
def test_the_share_of_the_way(better, to):
    about = {
        "clusters": list("abcde"),
        "mild": {"m": {name: of_values(to(np.full(5, cost))) for name, cost in (("a", 1), ("b", 2))}},
        "controls": {
            str(cost): {"feasible": cost != 4, "metrics": {"m": of_values(to(np.full(5, float(cost))))}}
            for cost in (4, 6, 9)
        },
    }
    floor, ceiling = bounds(about, "m", better)
    assert (floor.value, ceiling.value) == pytest.approx((6, 2))
    assert [share_of_way(to(cost), floor, ceiling, better, 0.95) for cost in (6, 5, 2, 1, 8)] == pytest.approx(
        [0, 0.25, 1, 1.25, -0.5]
    )
    assert share_of_way(to(3), ceiling, floor, better, 0.95) is None
    assert bounds(about | {"controls": {}}, "m", better) is None and bounds(about | {"mild": {}}, "m", better) is None


def test_no_share_of_a_way_that_may_be_none():
    floor, sizes = Estimate(2.0, np.array([1.0, 3.0, 2.0]), np.ones(3, int)), np.ones(3, int)
    assert share_of_way(1.5, floor, Estimate(1.0, np.ones(3), sizes), "lower", 0.95) is None
    assert (
        share_of_way(1.5, Estimate(2.0, np.empty(0), sizes), Estimate(1.0, np.empty(0), sizes), "lower", 0.95) is None
    )
