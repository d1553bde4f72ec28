"""The paper's figures as published, and beside them only what was measured, by its entry name."""

from dataclasses import replace

import numpy as np
import pytest

from v2vbench.results.comparison import ComparedGroup, ComparedMetric, People, Preference, Row, VotePair, Voter
from v2vbench.results.metric import Bounded
from v2vbench.statistics import intervals
from v2vbench.statistics.bradley_terry import Vote, share_of
from v2vbench.statistics.published import (
    ENTRIES,
    OTHER,
    PREDICTION,
    SAME,
    SYNTHESIS,
    UNSURE,
    Group,
    beside_the_paper,
    published_pairs,
)

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
FORESEEN = {"v": "vid2vid", "p": "PredNet", "c": "MCNet", "f": "last frame"}  # predictors, of which v is not a run
SUITE = {"v": "vid2vid", "p": "pix2pixHD", "c": "COVST", "f": "no flow warping"}
ABSENT = "weights absent: resnext101 (resnext.pth, 190 MB): `v2vbench fetch weights` brings them"


def share(outcomes):
    """Of votes on as many clips, each like no other."""
    votes = [
        Vote(clip=f"c{i}", cluster=f"c{i}", a="a", b="b", outcome=outcome, rater=None, source="metrics")
        for i, outcome in enumerate(outcomes)
    ]
    return share_of(votes, 0.95)


def compared(label, raw, absent):
    """A metric of which only titles, protocol and values matter here."""
    rows = {
        run: Row(
            **vars(intervals.interval(estimate, 0.95)), best=False, verdict=None, equivalent=None, way=None, seeds=None
        )
        for run, estimate in raw.items()
    }
    return ComparedMetric(
        title=label.upper(),
        unit="",
        better="lower",
        heading="realism",
        kind="set",
        protocol=f"{label}/1:x",
        no_verdict=None,
        absent=absent,
        primary=False,
        hidden=None,
        sees=None,
        fooled_by=[],
        rows=rows,
        controls={},
        real=None,
        floor=None,
        drift=None,
    )


def measured(
    titles=SUITE, labels=("vfid_i3d", "fed_windows", "psnr"), n=8, absent=(), means=None, shares=None, reason=None
):
    """A group of n clips: v scores 4, p 5, c 3.97, f 3, clips differ much and methods on a clip little."""
    rng, means = np.random.default_rng(0), {"v": 4, "p": 5, "c": 3.97, "f": 3} | (means or {})
    wide, raw, metrics = rng.normal(0, 0.5, n), {}, {}
    for label in labels:
        per_clip = {run: means.get(run, 6) * (1 + wide / 5) + 0.05 * rng.normal(size=n) for run in titles}
        estimates = {run: intervals.of_clips(values, range(n)) for run, values in per_clip.items()}
        raw[label] = {} if label in absent else estimates
        metrics[label] = compared(label, raw[label], ABSENT if label in absent else None)
    preference = Preference(
        voters={"fidelity": Voter(label="psnr", passed_over={})},
        reason=reason,
        pairs=[VotePair(a=a, b=b, share=share(outcomes)) for (a, b), outcomes in (shares or {}).items()],
        ranking=None,
        win=None,
    )
    ids = [f"c{i}" for i in range(n)]
    table = ComparedGroup(
        title="seen",
        clips=ids,
        clusters=ids,
        cluster="map",
        reference="v",
        alpha=0.05,
        families={},
        clusters_needed=None,
        metrics=metrics,
        controls={},
        n_frames=8,
        damage={},
        preference=preference,
        sentences=[],
    )
    return Group("freedoom", "seen", table, raw, titles, 0.95)


def rows_of(titles=SUITE, tables=SYNTHESIS, **how):
    return beside_the_paper(measured(titles, **how), tables)


def foreseen(titles=FORESEEN, **how):
    return rows_of(titles, PREDICTION, **how)


def row(rows, table, what, other):
    matching = [one for one in rows if one.table == table and one.what.startswith(what) and one.methods[1] == other]
    assert len(matching) == 1
    return matching[0]


def test_every_figure_of_the_paper_and_no_other():
    figures = [(entry.table, entry.of, entry.other, *entry.published.values()) for entry in ENTRIES]
    assert sorted(figures) == sorted(PUBLISHED)
    assert all(list(entry.published) == ["vid2vid", entry.other] for entry in ENTRIES)
    assert {entry.table for entry in rows_of()} == {"Table 1", "Table 2"}
    assert {entry.table for entry in foreseen()} == {"Table 3"}
    entries = [entry for entry in rows_of(tables=SYNTHESIS + PREDICTION) if entry.published]
    assert sorted(tuple(entry.published.values()) for entry in entries) == sorted(line[3:] for line in PUBLISHED)
    for entry in entries:
        assert entry.published_ratio == pytest.approx(np.divide(*entry.published.values()))
        assert entry.dataset == "freedoom"
        assert entry.group == "seen"
        assert "Cityscapes" in entry.difference
    assert row(entries, "Table 1", "video FID, I3D", "pix2pixHD").published_ratio == pytest.approx(0.8366, abs=1e-4)


def test_ratio_is_fiellers_and_says_who_leads():
    rows, raw = rows_of(), measured().raw
    clear = row(rows, "Table 1", "video FID, I3D", "pix2pixHD")
    assert clear.ratio == intervals.ratio(raw["vfid_i3d"]["v"], raw["vfid_i3d"]["p"], 0.95)
    assert clear.ratio.value == pytest.approx(0.8, abs=0.02)
    assert clear.agrees == SAME
    assert clear.absent is None
    assert clear.within is False
    assert clear.stand_in is False
    assert clear.ours["vid2vid"].value == pytest.approx(4, abs=0.5)
    near = row(rows, "Table 1", "video FID, I3D", "COVST")
    assert near.agrees == UNSURE
    assert near.ratio.low < 1 < near.ratio.high
    turned = row(rows_of(means={"v": 6}), "Table 1", "video FID, I3D", "pix2pixHD")
    assert turned.agrees == OTHER
    assert turned.ratio.low > 1
    alike = row(rows_of(means={"v": 4.25}), "Table 1", "video FID, I3D", "pix2pixHD")
    assert alike.within is True


def test_without_a_ratio_the_difference_decides():
    rows = rows_of(means={"v": -0.5, "p": 3, "c": -0.5})  # an unbiased distance may be below 0
    below = row(rows, "Table 1", "video FID, I3D", "pix2pixHD")
    assert below.ratio is None
    assert below.within is None
    assert below.agrees == SAME
    assert below.ours["vid2vid"].value < 0
    assert row(rows, "Table 1", "video FID, I3D", "COVST").agrees == UNSURE
    single = row(rows_of(n=1), "Table 1", "video FID, I3D", "pix2pixHD")
    assert single.ratio is None
    assert single.agrees == UNSURE
    assert single.ours["vid2vid"].low is None


def test_stand_ins_never_stand_where_the_number_would():
    rows = rows_of(labels=("vfid_i3d", "fed_windows", "ked_windows", "psnr"), absent=["vfid_i3d"])
    entry = row(rows, "Table 1", "video FID, I3D", "pix2pixHD")
    assert entry.ours is None
    assert entry.absent == ABSENT
    assert entry.ratio is None
    assert entry.agrees is None
    assert entry.label == "vfid_i3d"
    stand_ins = [r for r in rows if r.stand_in and r.what.startswith("instead")]
    assert {(r.label, r.methods[1]) for r in stand_ins} == {
        (label, other) for label in ("fed_windows", "ked_windows") for other in ("pix2pixHD", "COVST")
    }
    for r in stand_ins:
        assert r.published == {}
        assert r.published_ratio is None
        assert r.within is r.agrees is None
        assert r.ours
        assert "instead of a video FID" in r.what
        assert f"Another measure, {r.label}/1:x" in r.difference
        assert "no test of the paper's claim" in r.difference
        assert r.ratio
    assert not any("instead" in r.what for r in rows_of(labels=("vfid_i3d", "psnr")))
    assert {r.label for r in rows if r.published and not r.stand_in} == {"vfid_i3d", "vfid_resnext101"}


def test_what_is_missing_is_said():
    rows = rows_of({"v": "vid2vid", "c": "COVST"})
    gone = row(rows, "Table 1", "video FID, I3D", "pix2pixHD")
    assert gone.absent == "not run in this suite: pix2pixHD"
    assert list(gone.ours) == ["vid2vid"]
    assert gone.agrees is None
    assert row(rows, "Table 1", "video FID, ResNeXt", "COVST").absent == "vfid_resnext101 is no metric of this suite"
    assert row(rows, "Table 2", "human", "no flow warping").absent == "not run in this suite: no flow warping"
    others = foreseen({"v": "vid2vid", "c": "MCNet"})
    assert row(others, "Table 3", "video FID, I3D", "PredNet").absent == "not run in this suite: PredNet"
    assert row(others, "Table 3", "video FID, ResNeXt", "MCNet").absent == "vfid_resnext101 is no metric of this suite"
    assert "600 to 1200 frames" in row(rows, "Table 1", "human preference, long", "COVST").absent
    assert "no votes are held" in row(rows, "Table 1", "human preference, short", "COVST").absent
    for r in rows_of({}):
        assert r.absent
        assert r.ours is None
        assert r.agrees is None


def test_synthesis_never_stands_for_prediction():
    """Runs have no rows of Table 3, whatever they are called; predictors have no rows of Tables 1 and 2."""
    every = SUITE | {"n": "PredNet", "m": "MCNet"}
    assert not [entry for entry in rows_of(every, shares={("v", "n"): [1] * 8}) if entry.table == "Table 3"]
    assert not [entry for entry in foreseen(every, shares={("v", "p"): [1] * 8}) if entry.table != "Table 3"]


def test_predictions_are_held_against_table_3():
    rows, raw = foreseen(), measured(FORESEEN).raw
    entry = row(rows, "Table 3", "video FID, I3D", "PredNet")
    assert entry.published == {"vid2vid": 3.44, "PredNet": 11.18}
    assert entry.published_ratio == pytest.approx(0.3077, abs=1e-4)
    assert entry.ratio == intervals.ratio(raw["vfid_i3d"]["v"], raw["vfid_i3d"]["p"], 0.95)
    assert (entry.agrees, entry.within, entry.stand_in, entry.absent) == (SAME, False, False, None)
    assert row(rows, "Table 3", "video FID, I3D", "MCNet").agrees == UNSURE
    assert row(foreseen(means={"v": 6}), "Table 3", "video FID, I3D", "PredNet").agrees == OTHER
    alike = foreseen(means={"v": 3.49, "p": 11.18})
    assert row(alike, "Table 3", "video FID, I3D", "PredNet").within is True
    assert "How many frames were seen and predicted is not said" in entry.difference
    assert "Cityscapes" in entry.difference
    stand_ins = [one for one in rows if one.what.startswith("instead")]
    assert [(one.label, one.methods[1]) for one in stand_ins] == [("fed_windows", "PredNet"), ("fed_windows", "MCNet")]
    assert all(one.agrees is one.within is None and one.stand_in and not one.published for one in stand_ins)


def test_metrics_vote_between_the_predictors_that_people_compared():
    assert published_pairs(FORESEEN) == [("v", "p"), ("v", "c")]
    votes = {("v", "p"): [1] * 7 + [0.5], ("c", "v"): [0] * 8}
    rows = foreseen(shares=votes)
    entry = row(rows, "Table 3", "human preference, prediction", "PredNet")
    assert entry.published == {"vid2vid": 0.92, "PredNet": 0.08}
    assert entry.ours["vid2vid"].value == pytest.approx(15 / 16)
    assert entry.ratio.value == pytest.approx(15)
    assert entry.published_ratio == pytest.approx(0.92 / 0.08)
    assert entry.stand_in and entry.agrees is entry.within is None
    assert "no person's vote counts; PSNR voted on 8 clips" in entry.difference
    every = row(rows, "Table 3", "human preference, prediction", "MCNet")  # held the other way round
    assert (every.ours["vid2vid"].value, every.ratio) == (1, None)
    silent = row(foreseen(), "Table 3", "human preference, prediction", "MCNet")
    assert "no votes are held" in silent.absent


def test_votes_stand_beside_peoples_and_test_nothing():
    votes = {("v", "p"): [1] * 7 + [0.5], ("c", "v"): [0] * 8, ("f", "v"): [1] * 8}
    rows = rows_of(shares=votes)
    entry = row(rows, "Table 1", "human preference, short", "pix2pixHD")
    votes_for = share(votes["v", "p"])
    assert entry.ours["vid2vid"] == Bounded(value=votes_for.value, low=votes_for.low, high=votes_for.high)
    assert votes_for.low < entry.published["vid2vid"] < votes_for.high  # and yet it lies within nothing
    assert entry.ours["pix2pixHD"].low == pytest.approx(1 - votes_for.high)
    assert entry.ratio.value == pytest.approx(15)
    assert entry.published_ratio == pytest.approx(0.87 / 0.13)
    assert entry.stand_in
    assert "no human's" in entry.what
    assert "no person's vote counts; PSNR voted on 8 clips" in entry.difference
    assert "no test of what people did" in entry.difference
    every = row(rows, "Table 1", "human preference, short", "COVST")  # held the other way round
    assert every.ours["vid2vid"].value == 1
    assert every.ratio is None
    assert row(rows, "Table 2", "human", "no flow warping").ours["vid2vid"].value == 0


def people(outcomes, pair=("v", "p"), **more):
    """What raters said to the paper's question, a vote on each clip."""
    rest = dict.fromkeys(("ranking", "left", "side", "alpha", "repeats", "ceiling", "proxy", "note"))
    rest |= {"studies": ["s1"], "excluded": {}, "refused": {}, "agreement": {}, "learned": {}}
    a, b = pair
    return People(
        **rest
        | {
            "asked": "Which looks real?",
            "simulated": False,
            "n_raters": 9,
            "n_votes": len(outcomes),
            "n_ties": 0,
            "n_clips": len(outcomes),
            "pairs": [VotePair(a=a, b=b, share=share(outcomes))],
        }
        | more
    )


def with_people(said, titles=SUITE, shares=None):
    """The rows where people, or others, answered; metrics vote as `shares`."""
    group = measured(titles, shares=shares)
    preference = replace(group.table.preference, people=said)
    return beside_the_paper(replace(group, table=replace(group.table, preference=preference)), SYNTHESIS)


def test_people_are_compared_with_people():
    by_metrics = {("v", "p"): [0] * 8, ("v", "c"): [1] * 8}
    rows = with_people({"look": people([1] * 26 + [0] * 4)}, shares=by_metrics)
    entry = row(rows, "Table 1", "human preference, short", "pix2pixHD")
    assert entry.what == "human preference, short sequences; ours are votes of people too"
    assert (entry.stand_in, entry.agrees, entry.within) == (False, SAME, True)
    assert entry.ours["vid2vid"].value == pytest.approx(26 / 30)
    assert entry.ratio.value == pytest.approx(26 / 4)
    assert entry.ratio.low < entry.published_ratio < entry.ratio.high
    assert "9 raters gave 30 votes on 30 clips of freedoom, asked “Which looks real?”" in entry.difference
    assert "no person's vote counts" not in entry.difference
    other = row(rows, "Table 1", "human preference, short", "COVST")  # of whom nobody was asked
    assert other.stand_in and other.agrees is other.within is None
    assert "no human's" in other.what
    assert "600 to 1200 frames" in row(rows, "Table 1", "human preference, long", "pix2pixHD").absent

    def said(outcomes, **how):
        return row(with_people({"look": people(outcomes, **how)}), "Table 1", "human preference, short", "pix2pixHD")

    assert said([0] * 26 + [1] * 4).agrees == OTHER
    assert said([0] * 26 + [1] * 4).within is False
    assert said([0, 1] * 8).agrees == UNSURE
    turned = said([0] * 26 + [1] * 4, pair=("p", "v"))
    assert (turned.agrees, turned.ours["vid2vid"].value) == (SAME, pytest.approx(26 / 30))
    every = said([1] * 30)
    assert (every.ratio, every.agrees, every.within) == (None, SAME, False)
    assert said([1] * 8).within is True


def test_only_people_and_the_papers_question_count_beside_it():
    by_metrics = {("v", "p"): [1] * 8}
    plain = with_people({}, shares=by_metrics)
    rehearsal = with_people({"look": people([0] * 30, simulated=True)}, shares=by_metrics)
    other = with_people({"fit": people([0] * 30), "motion": people([0] * 30)}, shares=by_metrics)
    assert rehearsal == other == plain


def test_people_on_ablations_name_who_stands_for_vid2vid():
    titles = SUITE | {"s": "short vid2vid"}
    rows = with_people({"look": people([1] * 9, pair=("s", "f"))}, titles)
    entry = row(rows, "Table 2", "human", "no flow warping")
    assert not entry.stand_in
    assert "For vid2vid stands short vid2vid" in entry.difference


def test_only_the_same_kind_of_measurement_can_agree():
    every = {pair: [1] * 8 for pair in published_pairs(SUITE)}
    for how in ({}, {"means": {"v": 6}}, {"means": {"v": 4.25}}):
        rows = rows_of(
            shares=every, labels=("vfid_i3d", "vfid_resnext101", "fed_windows", "ked_windows", "psnr"), **how
        )
        tested = [entry for entry in rows if entry.agrees or entry.within is not None]
        assert len(tested) == 4
        assert {entry.label for entry in tested} == {"vfid_i3d", "vfid_resnext101"}
        assert all(entry.agrees is entry.within is None for entry in rows if entry.stand_in)
    rows = rows_of(reason="there is one clip only, which says nothing of others")
    alone = row(rows, "Table 1", "human preference, short", "COVST")
    assert alone.absent == "no votes: there is one clip only, which says nothing of others"
    assert alone.ours is None


def test_ablations_are_held_against_their_equal_in_training():
    titles = SUITE | {"s": "short vid2vid", "b": "no foreground prior"}
    assert published_pairs(titles) == [("v", "p"), ("v", "c"), ("s", "b"), ("s", "f")]
    assert published_pairs(SUITE) == [("v", "p"), ("v", "c"), ("v", "f")]
    assert published_pairs({"v": "vid2vid"}) == []
    rows = rows_of(titles, shares={("v", "f"): [1] * 8, ("s", "f"): [0] * 8})
    entry = row(rows, "Table 2", "human", "no flow warping")
    assert entry.ours["vid2vid"].value == 0
    assert "For vid2vid stands short vid2vid" in entry.difference
