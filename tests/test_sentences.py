"""Sentences that say no more than the numbers, and scores as damage in words."""

import numpy as np
import pytest
from compared_project import NOISE, WIDE, bad, good, table_of

from v2vbench.results.comparison import Equivalent
from v2vbench.statistics.sentences import likeness, likeness_in_words

BOTH = "fidelity to the source and realism in space and time"


def sentences_of(folder, runs, **how):
    """The main sentences and the details of a group."""
    sentences = table_of(folder, runs, **how).sentences
    detail = [sentence.detail for sentence in sentences]
    assert detail == sorted(detail)
    assert detail.count(False) <= 3
    return tuple([sentence.text for sentence in sentences if sentence.detail is part] for part in (False, True))


def test_better_takes_both_headings(tmp_path):
    main, details = sentences_of(tmp_path, {"a": good(), "b": bad()})
    assert main == [f"A is better than B, in {BOTH}."]
    realism = next(t for t in details if t.startswith("A against B, realism in space and time: ked_frames "))
    assert "not distinguishable (these clips would show one of" in realism
    assert realism.endswith("; warp_error 0.5 times as high (0.5 to 0.5), better.")
    fidelity = next(t for t in details if t.startswith("A against B, fidelity to the source: psnr 1.0"))
    assert "dB higher" in fidelity
    assert fidelity.endswith("better.")
    assert "Exploratory, A against B: better by motion_ratio." in details
    assert any(t.startswith("Fooled on these clips") and t.endswith("warp_error by frozen.") for t in details)
    assert not any("beware" in t.lower() for t in details)


def test_a_method_that_is_worse_is_said_to_be(tmp_path):
    main, details = sentences_of(tmp_path, {"b": bad(), "a": good()})
    assert main == [f"A is better than B, in {BOTH}."]
    assert any("warp_error 2 times as high (2 to 2), worse" in t for t in details)


def test_one_heading_alone_is_no_better(tmp_path):
    close = good(psnr=20 + WIDE + 0.5 * NOISE[1] - 0.5 * NOISE[1].mean())
    main, _ = sentences_of(tmp_path, {"a": good(), "b": bad(psnr=close["psnr"])})
    assert main == [
        "Against B, A is not distinguishable in fidelity to the source and better in realism in space and time."
    ]
    (tmp_path / "divided").mkdir()
    main, _ = sentences_of(tmp_path / "divided", {"a": good(), "b": bad(ked_frames=1 + WIDE)})
    assert main == [
        "Against B, A is better in fidelity to the source and better by some primary metrics and worse by others in "
        "realism in space and time."
    ]
    (tmp_path / "same").mkdir()
    main, _ = sentences_of(tmp_path / "same", {"a": good(), "b": close})
    assert main == ["A and B cannot be told apart by the primary metrics."]


def test_methods_of_which_the_same_is_true_share_a_sentence(tmp_path):
    many = {label: np.concatenate([row, row + 0.01]) for label, row in good().items()}
    worse = {label: np.concatenate([row, row + 0.01]) for label, row in bad().items()}
    main, details = sentences_of(tmp_path, {"a": many} | {name: worse for name in "bcd"} | {"e": many})
    assert main == [f"A is better than B, C and D, in {BOTH}.", "A and E cannot be told apart by the primary metrics."]
    assert sum(t.startswith("Votes of") for t in details) == 10
    assert "metrics vote here, not people." in details[-1]


def test_too_few_clusters_are_said_first(tmp_path):
    main, details = sentences_of(tmp_path, {"a": good(), "b": bad()}, clusters=["x", "x", "x", "y", "y", "y", "z", "z"])
    assert (
        main[0] == "With 3 clips no difference can be told, however large: it takes 7."
    )  # the word for a cluster is the data set's
    assert main[1] == "A and B cannot be told apart by the primary metrics."
    assert any("(no difference, however large, could be)" in t for t in details)


def test_sentences_say_of_what_they_are(tmp_path):
    _, details = sentences_of(tmp_path, {"a": good(), "b": bad()})
    assert any(t.startswith("Verdicts are of these weights") for t in details)


def test_a_sanity_check_is_no_ranking(tmp_path):
    one = {label: values[:1] for label, values in good().items()}
    two = {label: values[:1] for label, values in bad().items()}
    assert sentences_of(tmp_path, {"a": one, "b": two}, standing="sanity") == (
        ["Sliding planes is a sanity check of the path on 1 clip, not a ranking of methods."],
        [],
    )
    rows = table_of(tmp_path, {"a": one, "b": two}).metrics["psnr"].rows
    assert rows["a"].low is None
    assert rows["a"].best
    assert rows["b"].verdict is None  # one clip tells nothing apart


def equivalent(kind, ladder="blur", what="blur", unit="σ {} px", level=1.84, low=1.0, high=2.56):
    return Equivalent(kind=kind, ladder=ladder, what=what, unit=unit, level=level, low=low, high=high)


CLIP = {"ladder": None, "what": "another clip of this map", "unit": "", "level": None, "low": None, "high": None}


@pytest.mark.parametrize(
    "score, parts",
    [
        (equivalent("as bad as"), ("as bad as", "blur σ 1.8 px")),
        (equivalent("at most as bad as"), ("at most as bad as", "blur σ 2.6 px")),
        (equivalent("no worse than the real video"), ("no worse than the real video", "")),
        (equivalent("as bad as", **CLIP), ("as bad as", "another clip of this map")),
        (equivalent("worse than another clip", **CLIP), ("worse than", "another clip of this map")),
    ],
)
def test_scores_as_damage_in_words(score, parts):
    assert likeness(score) == parts
    assert likeness_in_words(score) == " ".join(parts).strip()
