"""Calibration: scores read back as levels of damage, what metrics see, which cheats win, and the whole stage on a small store."""
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from v2vbench import params, tell
from v2vbench.calibrate import calibrate, cheat, resolve, sees
from v2vbench.damage import CHEATS, LADDERS
from v2vbench.equivalents import climb, equivalent, unsafe
from v2vbench.files import rounded
from v2vbench.params import Fault

PARAMS = params.load(Path(__file__).parents[1] / "params.yaml")
SECTION = {"seed": 0, "n_frames": 8, "seen_from": 0.05, "equivalents": ["blur", "noise"], "cheats": {"frozen": {}, "copied": {}},
           "ladders": {"blur": [0.5, 1, 3], "noise": [4, 30], "shuffle": [2, 8], "warp_space": [1], "warp_space_time": [1], "freeze": [4]}}


def ladder(name, levels, values, better="lower", seen_from=0.05):
    about = {key: getattr(LADDERS[name], key) for key in ("title", "unit", "kind", "neutral")}
    return about | {"levels": [0, *levels], "metrics": {"m": {"values": values} | climb(values, better, seen_from)}}


def group(order=None, **ladders):
    return {"equivalents": order or list(ladders), "ladders": ladders}


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
    worse, better, wide = read(5.1, about, low=4.9, high=6), read(0.1, about), read(3, about, low=-1, high=9)
    assert worse["text"] == "worse than blur σ 4 px" and worse["beyond"] == "worse" and worse["low"] is worse["high"] is None
    assert better["text"] == "no worse than the real video" and better["beyond"] == "better" and better["level"] == 0
    assert wide["low"] == 0 and wide["high"] == 4 and wide["beyond"] is None


def test_a_scale_that_runs_down_has_no_level_for_the_untouched_video():
    about = group(jpeg=ladder("jpeg", [80, 40, 10], [100.0, 34.0, 30.0, 24.0], "higher"))
    found = read(27, about, "higher", 26, 29)
    assert found["level"] == 25 and found["text"] == "as bad as JPEG quality 25"
    assert (found["low"], found["high"]) == pytest.approx((35, 20))                        # from mild to worse
    assert read(50, about, "higher")["text"] == "better than JPEG quality 80"
    assert read(20, about, "higher")["text"] == "worse than JPEG quality 10"


def test_the_first_ladder_that_is_climbed_is_taken():
    flat, odd = ladder("freeze", [2, 4], [1.0, 1.0, 1.0]), ladder("blur", [1, 2, 3], [1.0, 3.0, 2.0, 4.0])
    down, good = ladder("flicker", [1, 2], [1.0, 0.9, 0.5]), ladder("noise", [1, 2], [1.0, 2.0, 3.0])
    assert not any(own["metrics"]["m"]["monotone"] for own in (flat, odd, down)) and flat["metrics"]["m"]["rho"] is None
    assert odd["metrics"]["m"]["rho"] == pytest.approx(0.8) and down["metrics"]["m"]["rho"] == pytest.approx(-1)
    assert read(2.5, group(freeze=flat, blur=odd, flicker=down, noise=good))["text"] == "as bad as noise σ 1.5 grey levels"
    assert read(2.5, group(freeze=flat, blur=odd)) is None and read(2.5, group(["noise"], noise=good | {"metrics": {}})) is None


def test_a_metric_that_saturates_still_climbs():
    own = ladder("blur", [1, 2, 4], [0.0, 6.0, 10.0, 9.9])
    assert own["metrics"]["m"]["monotone"] and not climb([0.0, 6.0, 10.0, 9.0], "lower", 0.05)["monotone"]
    assert read(8, group(blur=own))["level"] == pytest.approx(1.5) and read(9.95, group(blur=own))["level"] == pytest.approx(1.9875)
    assert read(10.1, group(blur=own))["text"] == "worse than blur σ 4 px"


def test_round_off_is_no_climb():
    assert climb([0.3, 0.3 + 1e-13, 0.3 + 2e-13], "lower", 0.05) == {"monotone": False, "rho": None}


def test_a_ratio_has_two_sides():
    levels = [0.5, 1, 2]
    about = group(blur=ladder("blur", levels, np.exp([0, -0.5, -1, -2]).tolist(), "one"),
                  noise=ladder("noise", levels, np.exp([0, 0.5, 1, 2]).tolist(), "one"),
                  flicker=ladder("flicker", levels, [1, 0.9, 1.4, 2.0], "one"))
    less, more = (read(np.exp(sign * 1.5), about, "one", *np.exp(sorted((sign * 1.4, sign * 1.7)))) for sign in (-1, 1))
    assert (less["ladder"], more["ladder"]) == ("blur", "noise") and less["level"] == pytest.approx(more["level"]) == pytest.approx(1.5)
    assert (less["low"], less["high"], more["low"], more["high"]) == pytest.approx((1.4, 1.7, 1.4, 1.7))
    across = read(np.exp(-0.2), about, "one", np.exp(-0.6), np.exp(0.3))
    assert across["low"] == 0 and across["high"] == pytest.approx(0.6)
    assert read(0.0, about, "one")["text"] == "worse than blur σ 2 px"
    assert not climb([1, 0.9, 1.4, 2.0], "one", 0.05)["monotone"] and climb([1, 1.2, 1.4], "one", 0.05)["monotone"]


@pytest.mark.parametrize("values, word", [
    (dict(blur=9, shuffle=0, space=4, both=4), "space"),            # a set of frames
    (dict(blur=9, shuffle=9, space=4, both=4.1), "space"),          # PSNR: a frame out of place is wrong, and no shaking is seen
    (dict(blur=9, shuffle=0, space=2, both=6), "space"),            # sees a richer mixture, and no order
    (dict(blur=0.1, shuffle=9, space=0.2, both=8), "time"),
    (dict(blur=5, shuffle=9, space=2, both=8), "both"),
    (dict(blur=0.1, shuffle=0.1, space=0, both=9), "neither")])
def test_what_a_metric_sees(values, word):
    own = {name: ladder(name, [1], [1.0, 1.0 + values[key]]) for name, key in (
        ("blur", "blur"), ("shuffle", "shuffle"), ("warp_space", "space"), ("warp_space_time", "both"))}
    found = sees(own, "m", "lower", 0.05)
    full = max(values.values())
    assert found["word"] == word and found["space"] == pytest.approx(max(values["blur"], values["space"]) / full)
    assert found["order"] == pytest.approx(values["shuffle"] / full)
    assert found["shake"] == pytest.approx((values["both"] - values["space"]) / full)
    assert found["time"] == min(found["order"], found["shake"])


def test_what_was_not_tried_is_not_told():
    own = {name: ladder(name, levels, [1.0, 2.0]) for name, levels in (("blur", [1]), ("warp_space", [1]), ("warp_space_time", [2]))}
    assert sees(own, "m", "lower", 0.05) == {"space": 1, "time": None, "order": None, "shake": None, "word": None}
    assert sees({}, "m", "lower", 0.05)["word"] is None
    assert sees({"blur": ladder("blur", [1], [1.0, 1.0]), "shuffle": ladder("shuffle", [2], [1.0, 1.0])}, "m", "lower", 0.05)["space"] == 0


@pytest.mark.parametrize("better, methods, cheats, wins", [
    ("lower", {"a": 3.0, "b": 2.0}, {"x": 2.5, "y": 1.0, "z": 2.0}, ["y", "z"]),
    ("higher", {"a": 30.0, "b": 20.0}, {"x": 29.0, "y": 31.0}, ["y"]),
    ("one", {"a": 0.5, "b": 1.3}, {"x": 0.8, "y": 0.0, "z": 1.4}, ["x"]),
    ("lower", {"a": 3.0}, {}, []), ("lower", {}, {"x": 0.0}, [])])
def test_cheats_that_win(better, methods, cheats, wins):
    held = {name: {"metrics": {"m": {"value": value}}} for name, value in cheats.items()} | {"none": {"metrics": {}}}
    assert unsafe(methods, held, "m", better) == wins


@pytest.mark.parametrize("change, says", [
    ({"ladders": {"smear": [1]}}, "calibration.ladders: no 'smear'"),
    ({"ladders": {"blur": []}}, r"calibration.ladders.blur: \[\] do not lead"),
    ({"ladders": {"blur": [2, 1]}}, "calibration.ladders.blur: .* do not lead from mild to worse"),
    ({"ladders": {"blur": [1, 1]}}, "calibration.ladders.blur: .* do not lead from mild to worse"),
    ({"ladders": {"jpeg": [40, 80]}}, "calibration.ladders.jpeg: .* do not lead from mild to worse"),
    ({"ladders": {"jpeg": [40, 0]}}, r"calibration.ladders.jpeg\[1\]: 0 is out of range"),
    ({"ladders": {"shuffle": [2.5]}}, r"calibration.ladders.shuffle\[0\]: 2.5 is not int"),
    ({"equivalents": ["jpeg"]}, "calibration.equivalents: no 'jpeg'"),
    ({"cheats": {"bribed": {}}}, "calibration.cheats: no 'bribed'"),
    ({"cheats": {"blurred": {}}}, "calibration.cheats.blurred: missing sigma"),
    ({"cheats": {"frozen": {"sigma": 1}}}, "calibration.cheats.frozen: unknown sigma"),
    ({"n_frames": 0}, "calibration.n_frames: 0 is out of range"), ({"n": 1}, "calibration: unknown n")])
def test_wrong_lines_are_refused(change, says):
    with pytest.raises(Fault, match=says):
        resolve(SECTION | change)


def test_the_shipped_lines_and_what_they_need_are_there():
    settings = resolve(PARAMS.calibration)
    assert settings.ladders.keys() == LADDERS.keys() and {"frozen", "blurred", "averaged", "memorised"} <= settings.cheats.keys()
    assert settings.ladders["warp_space"] == settings.ladders["warp_space_time"]
    assert all(len(settings.ladders[name]) > 1 for name in settings.equivalents)


def project(folder, store, **changes):
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "sliding.zip").symlink_to(store.path)
    features = {"frames": {"extractor": "efficientnet_lite0", "px": 32},
                "windows": {"extractor": "efficientnet_lite0", "px": 32, "windows": {"n_frames": 4, "stride": 4, "change_weight": 4}}}
    lines = {name: PARAMS.metrics[name] for name in ("psnr", "warp_error", "sharpness_ratio", "motion_ratio")} | {
        "frames": {"metric": "frechet", "features": "frames", "divisor": "n-1"},
        "windows": {"metric": "frechet", "features": "windows", "divisor": "n-1"},
        "elsewhere": {"metric": "psnr", "on": ["other"], "data_range": 2, "cap_db": 100}}
    return replace(PARAMS, datasets={"sliding": {}}, judges={}, features=features, metrics=lines, calibration=SECTION | changes)


@pytest.fixture(scope="module")
def result(tmp_path_factory, store_path):
    """The stage on 3 + 3 clips of 12 frames, and its project."""
    from v2vbench.clips import Store
    folder = tmp_path_factory.mktemp("calibrate")
    own = project(folder, Store(store_path))
    return calibrate(own, "sliding", folder), own, folder


def values(result, name, label, group="seen"):
    return result["groups"][group]["ladders"][name]["metrics"][label]["values"]


def test_what_is_written(result, store):
    found, own, folder = result
    path = folder / "metrics" / "calibrate" / "sliding.json"
    first, n_threads = path.read_bytes(), torch.get_num_threads()
    assert json.loads(first) == json.loads(json.dumps(rounded(found)))
    for name, about in found["groups"].items():
        assert about["clips"] == store.split(name) and about["n_frames"] == 8 and "elsewhere" not in about["protocols"]
        assert {key: own["levels"] for key, own in about["ladders"].items()} == {
            key: [0, *levels] for key, levels in SECTION["ladders"].items()}
        for ladder in about["ladders"].values():
            assert ladder["metrics"].keys() == own.metrics.keys() - {"elsewhere"}
            for label, metric in ladder["metrics"].items():
                assert len(metric["values"]) == len(ladder["levels"])
                lists = metric["leave_one_out" if label in ("frames", "windows") else "per_clip"]
                assert [len(row) for row in lists] == [3] * len(ladder["levels"])
    try:
        torch.set_num_threads(2)
        calibrate(own, "sliding", folder)                            # on two threads, with features from the cache
        assert path.read_bytes() == first and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(n_threads)


def test_what_the_ladders_show(result):
    found = result[0]
    for group in found["groups"]:
        assert values(found, "blur", "psnr", group)[0] == 100 and values(found, "blur", "frames", group)[0] == 0
        for name, label in (("blur", "psnr"), ("noise", "psnr"), ("blur", "sharpness_ratio"), ("noise", "sharpness_ratio"),
                            ("noise", "frames"), ("noise", "warp_error")):
            assert found["groups"][group]["ladders"][name]["metrics"][label]["monotone"], (name, label)
        assert values(found, "shuffle", "frames", group) == [0, 0, 0]                       # the same frames, to the bit
        assert values(found, "shuffle", "windows", group)[2] > 0 and values(found, "freeze", "motion_ratio", group)[1] < 0.5
        words = {label: about["word"] for label, about in found["groups"][group]["sees"].items()}
        assert words["psnr"] == words["frames"] == words["sharpness_ratio"] == "space" and words["warp_error"] in ("time", "both")


def test_a_damage_of_known_degree_is_read_back(result):
    """What a ladder makes of the clips, scored as a method's: the level comes out again."""
    found = result[0]
    for group in found["groups"].values():
        for label in ("psnr", "sharpness_ratio"):
            metric, better = group["ladders"]["blur"]["metrics"][label], found["metrics"][label]["better"]
            for level, value, per_clip in zip([0, 0.5, 1, 3], metric["values"], metric["per_clip"]):
                score = {"value": value, "low": min(per_clip), "high": max(per_clip)}
                assert equivalent(score, group, label, better)["level"] == pytest.approx(level)


def test_what_the_cheats_show(result, store):
    found = result[0]
    for group in found["groups"].values():
        frozen, copied = (group["cheats"][name] for name in ("frozen", "copied"))
        assert frozen["metrics"]["motion_ratio"]["value"] == 0 and len(copied["metrics"]["psnr"]["per_clip"]) == 3
        assert copied["metrics"]["frames"]["value"] <= 1e-6              # the same frames, of other clips; 0 before the jackknife
        assert copied["metrics"]["psnr"]["value"] < 15 and copied["about"].startswith("The real frames of another")
    ids, train = store.split("seen"), store.split("train")
    real = {clip: store.read(clip, arrays=["real"])["real"] for clip in (*ids, *train)}
    for at, after in ((0, 1), (2, 0)):
        assert np.array_equal(cheat(store, ids[at], "copied", {}), real[ids[after]])
    assert np.array_equal(cheat(store, ids[2], "memorised", {}), real[train[2]])
    assert np.array_equal(cheat(store, ids[1], "blurred", {"sigma": 1.0}), CHEATS["blurred"].video(real[ids[1]], None, sigma=1.0))


def test_a_group_of_one_copies_from_training(store, monkeypatch):
    monkeypatch.setattr(store, "split", lambda name, split=store.split: split(name)[:1])
    alone = store.split("seen")[0]
    assert np.array_equal(cheat(store, alone, "copied", {}), store.read(store.split("train")[0], arrays=["real"])["real"])


def test_what_the_notebook_tells(result, store):
    found = result[0]
    assert "climbs" in tell.senses(found, "seen").data and "copied from another clip" in tell.cheats(found, "seen").data
    assert "blur" in tell.climbs(found, "seen", "space").alt and "shuffle" in tell.climbs(found, "seen", "time").alt
    key = store.split("seen")[0]
    assert "blur 0.5, 1, 3" in tell.spoiled(store, found, key).alt and "freeze 4" in tell.misplaced(store, found, key, 6).alt


def test_faults(tmp_path, store):
    own = project(tmp_path, store, n_frames=3)
    with pytest.raises(Fault, match="clip slide-4, untouched 0: 3 frames are fewer than a window of 4"):
        calibrate(own, "sliding", tmp_path)
    with pytest.raises(Fault, match="other.zip: no such clip store"):
        calibrate(own, "other", tmp_path)
