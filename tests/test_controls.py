"""Every control: the contract, closed forms, and that a feasible one never saw the frames that it is held against."""

import numpy as np
import pytest
from conftest import facts, sliding_clip
from test_contracts import suites

from v2vbench.clips.controls import CONTROLS, IGNORE, Context, another, cut, following, possible, training_colours
from v2vbench.clips.damage import blur
from v2vbench.clips.store import Store, write_store
from v2vbench.params import check

SETTINGS = {
    "frozen": {},
    "flow_carried": {},
    "label_colours": {},
    "memorised": {},
    "copied": {},
    "blurred": {"sigma": 2.0},
    "averaged": {"n_frames": 5},
}
for suite in suites():  # what is not listed has the settings of the first suite that names it
    SETTINGS = suite.calibration["controls"] | SETTINGS


def video(store, name, clip="slide-5", n_given=2, **changes):
    context = Context(store, clip, n_given, training_colours(store) if name == "label_colours" else None)
    return CONTROLS[name].video(store.read(clip) | changes, context, **SETTINGS[name])


@pytest.mark.parametrize("name", CONTROLS)
def test_control(name, store):
    control, real = CONTROLS[name], store.read("slide-5")["real"]
    assert check(control.video, SETTINGS[name], name, given=("clip", "context")) == SETTINGS[name]
    assert "{" not in control.title.format(**SETTINGS[name]) and control.about.endswith(".")
    made = video(store, name)
    assert made.shape == real.shape and made.dtype == np.uint8 and not np.array_equal(made[2:], real[2:])
    assert np.array_equal(made, video(store, name))
    few = {key: array[: 3 - (key in ("flow", "occluded"))] for key, array in store.read("slide-5").items()}
    assert video(store, name, **few).shape == real[:3].shape


@pytest.mark.parametrize("name", CONTROLS)
def test_a_feasible_control_never_saw_what_it_is_held_against(name, store):
    """Other real frames after those that are given change nothing; of the others they change something."""
    real = store.read("slide-5")["real"].copy()
    real[2:] = 255 - real[2:]
    same = np.array_equal(video(store, name), video(store, name, real=real))
    assert same == (CONTROLS[name].feasible or name == "copied")  # that one saw test clips, but not its own


def test_frozen_and_copied(store):
    real = {clip: store.read(clip, arrays=["real"])["real"] for clip in store.clips}
    seen, training = store.split("seen"), store.split("train")
    assert (video(store, "frozen") == real["slide-5"][0]).all()
    for at, after in ((0, 1), (2, 0)):
        assert np.array_equal(video(store, "copied", seen[at]), real[seen[after]])
        assert np.array_equal(video(store, "memorised", seen[at]), real[training[at]])
        assert np.array_equal(another(Context(store, seen[at], 2, None), seen), real[seen[after]])
    assert following(["a", "b"], "b") == "a" and np.array_equal(
        cut(real["slide-5"][:3], 5), real["slide-5"][[0, 1, 2, 2, 2]]
    )


def test_a_group_of_one_copies_from_training(store, monkeypatch):
    monkeypatch.setattr(store, "split", lambda name, split=store.split: split(name)[:1])
    alone = store.split("seen")[0]
    assert np.array_equal(video(store, "copied", alone), store.read(store.split("train")[0], arrays=["real"])["real"])


@pytest.mark.parametrize("n_given", [0, 1, 3])
def test_a_frame_is_carried_along_the_true_flow(store, n_given):
    """A world that slides by whole pixels: what comes from the last given frame is that frame's, to the bit."""
    clip = store.read("slide-5")
    made, start = video(store, "flow_carried", n_given=n_given), max(n_given, 1)
    assert np.array_equal(made[:start], clip["real"][:start])
    traced = np.ones(clip["label"].shape[1:], bool)
    y, x = np.mgrid[: traced.shape[0], : traced.shape[1]]
    for t in range(start, len(made)):
        dx, dy = np.moveaxis(clip["flow"][t - 1].astype(int), -1, 0)
        at = (y + dy).clip(0, traced.shape[0] - 1), (x + dx).clip(0, traced.shape[1] - 1)
        traced = traced[at] & (clip["occluded"][t - 1] == 0)
        assert traced.any() and np.abs(made[t].astype(int) - clip["real"][t])[traced].max() <= 1, (
            t
        )  # positions of float32
    assert (made[-1] != clip["real"][-1])[~traced].any()


def test_labels_have_their_mean_training_colour(store):
    colours, training = training_colours(store), [store.read(clip) for clip in store.split("train")]
    real, label = (np.concatenate([clip[name] for clip in training]) for name in ("real", "label"))
    for number in range(3):
        assert colours[number] == pytest.approx(real[label == number].mean(0))
    assert colours[2] == pytest.approx([200, 40, 40])  # the square
    assert colours[7] == pytest.approx(real.mean((0, 1, 2))) and colours[IGNORE] == pytest.approx(real.mean((0, 1, 2)))
    made, shown = video(store, "label_colours"), store.read("slide-5")["label"]
    assert all((made[shown == number] == np.rint(colours[number])).all() for number in range(3))


def test_of_maps_the_mean_training_frame(tmp_path):
    made = [sliding_clip(seed, 4) for seed in range(3)]
    arrays = [{"real": clip["real"], "maps": clip["label"][..., None]} for clip in made]
    write_store(
        tmp_path / "maps.zip",
        facts(source="maps", label_names=("one",), label_colours=((9, 9, 9),)),
        (
            (dict(id=str(i), split=split, origin="", licence=""), own)
            for i, (split, own) in enumerate(zip(["train", "train", "seen"], arrays))
        ),
    )
    store = Store(tmp_path / "maps.zip")
    colours = training_colours(store)
    assert colours == pytest.approx(np.concatenate([clip["real"] for clip in made[:2]]).mean(0))
    assert (video(store, "label_colours", "2") == np.rint(colours)).all()
    arrays = store.clips["2"]["arrays"]
    assert possible("label_colours", store.facts, arrays) and not possible("flow_carried", store.facts, arrays)


def test_what_is_made_from_the_target(store):
    real = store.read("slide-5")["real"]
    for t, around in ((0, real[:3]), (5, real[3:8]), (11, real[9:])):
        assert np.array_equal(video(store, "averaged")[t], np.rint(around.mean(0)))
    assert np.array_equal(video(store, "blurred"), blur(real, 2.0, None))
