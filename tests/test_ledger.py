"""The paper's figures as published, and beside them only what was measured, by its own name."""

import json

import numpy as np
import pytest

from v2vbench.statistics import intervals
from v2vbench.statistics.published import ENTRIES, OTHER, SAME, UNSURE, ledger, pairs

PUBLISHED = [  # by hand, from the tables: table, column, second method, vid2vid's figure, the other's
    ("Table 1", "I3D", "pix2pixHD", 4.66, 5.57),
    ("Table 1", "I3D", "COVST", 4.66, 5.55),
    ("Table 1", "ResNeXt", "pix2pixHD", 0.15, 0.18),
    ("Table 1", "ResNeXt", "COVST", 0.15, 0.18),
    ("Table 1", "short sequences", "pix2pixHD", 0.87, 0.13),
    ("Table 1", "short sequences", "COVST", 0.84, 0.16),
    ("Table 1", "long sequences", "pix2pixHD", 0.83, 0.17),
    ("Table 1", "long sequences", "COVST", 0.80, 0.20),
    ("Table 2", "ablation", "no background-foreground prior", 0.80, 0.20),
    ("Table 2", "ablation", "no conditional video discriminator", 0.84, 0.16),
    ("Table 2", "ablation", "no flow warping", 0.67, 0.33),
    ("Table 3", "I3D", "PredNet", 3.44, 11.18),
    ("Table 3", "I3D", "MCNet", 3.44, 10.00),
    ("Table 3", "ResNeXt", "PredNet", 0.18, 0.59),
    ("Table 3", "ResNeXt", "MCNet", 0.18, 0.43),
    ("Table 3", "prediction", "PredNet", 0.92, 0.08),
    ("Table 3", "prediction", "MCNet", 0.98, 0.02),
]
SUITE = {"v": "vid2vid", "p": "pix2pixHD", "c": "COVST", "f": "no flow warping"}
ABSENT = "weights absent: resnext101 (resnext.pth, 190 MB): `v2vbench fetch weights` brings them"


def measured(titles=SUITE, labels=("vfid_i3d", "fed_windows", "psnr"), n=8, absent=(), means=None, shares=None):
    """(table, raw) of a group of n clips: v scores 4, p 5, c 3.97, f 3, clips differ much and methods on a clip little."""
    rng, means = np.random.default_rng(0), {"v": 4, "p": 5, "c": 3.97, "f": 3} | (means or {})
    wide, raw, metrics = rng.normal(0, 0.5, n), {}, {}
    for label in labels:
        per_clip = {run: means.get(run, 6) * (1 + wide / 5) + 0.05 * rng.normal(size=n) for run in titles}
        raw[label] = (
            {} if label in absent else {run: intervals.of_clips(own, range(n)) for run, own in per_clip.items()}
        )
        metrics[label] = {
            "title": label.upper(),
            "protocol": f"{label}/1:x",
            "absent": ABSENT if label in absent else None,
            "rows": {
                run: intervals.interval(raw[label][run], 0.95) | {"best": False}
                if raw[label]
                else dict.fromkeys(("value", "low", "high"))
                for run in titles
            },
        }
    votes = [{"a": a, "b": b} | intervals.share(np.array(own), 0.95) for (a, b), own in (shares or {}).items()]
    return {"n_clips": n, "metrics": metrics, "preference": {"metrics": ["psnr"], "pairs": votes}}, raw


def rows_of(titles=SUITE, **how):
    rows = ledger("freedoom", "seen", *measured(titles, **how), titles, 0.95)
    assert json.loads(json.dumps(rows)) == rows
    return rows


def row(rows, table, what, other):
    found = [
        own for own in rows if own["table"] == table and own["what"].startswith(what) and own["methods"][1] == other
    ]
    assert len(found) == 1
    return found[0]


def test_every_figure_of_the_paper_and_no_other():
    found = [(entry.table, entry.of, entry.other, *entry.published.values()) for entry in ENTRIES]
    assert sorted(found) == sorted(PUBLISHED) and all(
        list(entry.published) == ["vid2vid", entry.other] for entry in ENTRIES
    )
    held = [own for own in rows_of() if own["published"]]
    assert sorted(tuple(own["published"].values()) for own in held) == sorted(line[3:] for line in PUBLISHED)
    for own in held:
        assert own["published_ratio"] == pytest.approx(np.divide(*own["published"].values()))
        assert own["dataset"] == "freedoom" and own["group"] == "seen" and "Cityscapes" in own["difference"]
    assert row(held, "Table 1", "video FID, I3D", "pix2pixHD")["published_ratio"] == pytest.approx(0.8366, abs=1e-4)


def test_ratio_is_fiellers_and_says_who_leads():
    rows, (_, raw) = rows_of(), measured()
    clear = row(rows, "Table 1", "video FID, I3D", "pix2pixHD")
    assert tuple(clear["ratio"].values()) == pytest.approx(
        intervals.ratio(raw["vfid_i3d"]["v"], raw["vfid_i3d"]["p"], 0.95)
    )
    assert (
        clear["ratio"]["value"] == pytest.approx(0.8, abs=0.02) and clear["agrees"] == SAME and clear["absent"] is None
    )
    assert (
        clear["within"] is False
        and clear["stand_in"] is False
        and clear["ours"]["vid2vid"]["value"] == pytest.approx(4, abs=0.5)
    )
    near = row(rows, "Table 1", "video FID, I3D", "COVST")
    assert near["agrees"] == UNSURE and near["ratio"]["low"] < 1 < near["ratio"]["high"]
    turned = row(rows_of(means={"v": 6}), "Table 1", "video FID, I3D", "pix2pixHD")
    assert turned["agrees"] == OTHER and turned["ratio"]["low"] > 1
    alike = row(rows_of(means={"v": 4.25}), "Table 1", "video FID, I3D", "pix2pixHD")
    assert alike["within"] is True


def test_without_a_ratio_the_difference_decides():
    rows = rows_of(means={"v": -0.5, "p": 3, "c": -0.5})  # an unbiased distance may be below 0
    below = row(rows, "Table 1", "video FID, I3D", "pix2pixHD")
    assert (
        below["ratio"] is None
        and below["within"] is None
        and below["agrees"] == SAME
        and below["ours"]["vid2vid"]["value"] < 0
    )
    assert row(rows, "Table 1", "video FID, I3D", "COVST")["agrees"] == UNSURE
    single = row(rows_of(n=1), "Table 1", "video FID, I3D", "pix2pixHD")
    assert single["ratio"] is None and single["agrees"] == UNSURE and single["ours"]["vid2vid"]["low"] is None


def test_stand_ins_never_stand_where_the_number_would():
    rows = rows_of(labels=("vfid_i3d", "fed_windows", "ked_windows", "psnr"), absent=["vfid_i3d"])
    own = row(rows, "Table 1", "video FID, I3D", "pix2pixHD")
    assert (
        own["ours"] is None
        and own["absent"] == ABSENT
        and own["ratio"] is None
        and own["agrees"] is None
        and own["label"] == "vfid_i3d"
    )
    stand_ins = [r for r in rows if r["stand_in"] and r["what"].startswith("instead")]
    assert {(r["label"], r["methods"][1]) for r in stand_ins} == {
        (label, other) for label in ("fed_windows", "ked_windows") for other in ("pix2pixHD", "COVST")
    }
    for r in stand_ins:
        assert (
            r["published"] == {} and r["published_ratio"] is None and r["within"] is r["agrees"] is None and r["ours"]
        )
        assert "instead of a video FID" in r["what"] and f"Another measure, {r['label']}/1:x" in r["difference"]
        assert "no test of the paper's claim" in r["difference"] and r["ratio"]
    assert not any("instead" in r["what"] for r in rows_of(labels=("vfid_i3d", "psnr")))
    assert {r["label"] for r in rows if r["published"] and not r["stand_in"]} == {"vfid_i3d", "vfid_resnext101"}


def test_what_is_missing_is_said():
    rows = rows_of({"v": "vid2vid", "c": "COVST"})
    gone = row(rows, "Table 1", "video FID, I3D", "pix2pixHD")
    assert (
        gone["absent"] == "not run in this suite: pix2pixHD"
        and list(gone["ours"]) == ["vid2vid"]
        and gone["agrees"] is None
    )
    assert row(rows, "Table 1", "video FID, ResNeXt", "COVST")["absent"] == "vfid_resnext101 is no metric of this suite"
    assert row(rows, "Table 2", "human", "no flow warping")["absent"] == "not run in this suite: no flow warping"
    assert "not run in this suite: PredNet" in row(rows, "Table 3", "video FID, I3D", "PredNet")["absent"]
    assert "600 to 1200 frames" in row(rows, "Table 1", "human preference, long", "COVST")["absent"]
    assert "no votes are held" in row(rows, "Table 1", "human preference, short", "COVST")["absent"]
    for r in rows_of({}):
        assert r["absent"] and r["ours"] is None and r["agrees"] is None


def test_synthesis_never_stands_for_prediction():
    rows = rows_of(SUITE | {"n": "PredNet"}, shares={("v", "n"): [1] * 8})
    for what in ("video FID, I3D", "human"):
        own = row(rows, "Table 3", what, "PredNet")
        assert (
            "prediction by vid2vid" in own["absent"] and "vid2vid" not in (own["ours"] or {}) and own["agrees"] is None
        )


def test_votes_stand_beside_peoples_and_test_nothing():
    votes = {("v", "p"): [1] * 7 + [0.5], ("c", "v"): [0] * 8, ("f", "v"): [1] * 8}
    rows = rows_of(shares=votes)
    own = row(rows, "Table 1", "human preference, short", "pix2pixHD")
    share = intervals.share(np.array(votes["v", "p"]), 0.95)
    assert own["ours"]["vid2vid"] == pytest.approx(
        {"value": share["share"], "low": share["low"], "high": share["high"]}
    )
    assert share["low"] < own["published"]["vid2vid"] < share["high"]  # and yet it lies within nothing
    assert own["ours"]["pix2pixHD"]["low"] == pytest.approx(1 - share["high"])
    assert own["ratio"]["value"] == pytest.approx(15) and own["published_ratio"] == pytest.approx(0.87 / 0.13)
    assert (
        own["stand_in"]
        and "no human's" in own["what"]
        and "no one was asked; PSNR voted on 8 clips" in own["difference"]
    )
    assert "no test of what people did" in own["difference"]
    every = row(rows, "Table 1", "human preference, short", "COVST")  # held the other way round
    assert every["ours"]["vid2vid"]["value"] == 1 and every["ratio"] is None
    assert row(rows, "Table 2", "human", "no flow warping")["ours"]["vid2vid"]["value"] == 0


def test_only_the_same_kind_of_measurement_can_agree():
    every = {(a, b): [1] * 8 for a, b in pairs(SUITE)}
    for how in ({}, {"means": {"v": 6}}, {"means": {"v": 4.25}}):
        rows = rows_of(
            shares=every, labels=("vfid_i3d", "vfid_resnext101", "fed_windows", "ked_windows", "psnr"), **how
        )
        told = [own for own in rows if own["agrees"] or own["within"] is not None]
        assert len(told) == 4 and {own["label"] for own in told} == {"vfid_i3d", "vfid_resnext101"}
        assert all(own["agrees"] is own["within"] is None for own in rows if own["stand_in"])
    table, raw = measured(shares={})
    table["preference"]["reason"] = "there is one clip only, which says nothing of others"
    alone = row(ledger("freedoom", "seen", table, raw, SUITE, 0.95), "Table 1", "human preference, short", "COVST")
    assert alone["absent"] == "no votes: there is one clip only, which says nothing of others" and alone["ours"] is None


def test_ablations_are_held_against_their_equal_in_training():
    titles = SUITE | {"s": "short vid2vid", "b": "no foreground prior"}
    assert pairs(titles) == [("v", "p"), ("v", "c"), ("s", "b"), ("s", "f")]
    assert pairs(SUITE) == [("v", "p"), ("v", "c"), ("v", "f")] and pairs({"v": "vid2vid"}) == []
    rows = rows_of(titles, shares={("v", "f"): [1] * 8, ("s", "f"): [0] * 8})
    own = row(rows, "Table 2", "human", "no flow warping")
    assert own["ours"]["vid2vid"]["value"] == 0 and "For vid2vid stands short vid2vid" in own["difference"]
