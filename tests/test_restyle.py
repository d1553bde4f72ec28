"""Several videos of one clip: one per seed, and one from an edited source; and their section of the report."""

import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from made_up import project as reported
from test_train import project

from v2vbench import report
from v2vbench.clips.store import Store
from v2vbench.clips.tensors import to_pixels
from v2vbench.models import _styles as styles
from v2vbench.params import Fault, Style
from v2vbench.stages import restyle, train
from v2vbench.stages._weights import trained_model

STYLES = dict(n_features=2, n_filters=4, n_down=1, mixture="gauss", n_components=2, min_px=4, seed=0)
LINE = Style(title="styles", dataset="sliding", video="x", seeds=[0, 1], swap={"square": "odd"}, clip="first")
NAMES = ["slide-4-seed-0", "slide-4-seed-1", "slide-4-edited"]


def styled(store_path, root, model, first_frames, **changes):
    """A project whose run `x` is trained, of a model with styles, and the line `looks` that makes its videos."""
    params = project(store_path, root, model=model, first_frames=first_frames, steps=2, n_warmup=0)
    kwargs = params.runs["x"].kwargs | {"styles": STYLES} | changes
    params = replace(params, styles={"looks": LINE}, runs={"x": replace(params.runs["x"], kwargs=kwargs)})
    train.train(params, "x", root)
    return params


@pytest.fixture(scope="module")
def made(store_path, tmp_path_factory):
    """The parameters, the folder and the store of what was made by a model of single frames."""
    root = tmp_path_factory.mktemp("styles")
    params = styled(store_path, root, "pix2pixhd", "none")
    return params, root, Store(restyle.restyle(params, "looks", root))


def test_each_seed_is_a_video_and_the_same_seed_the_same_bytes(made, tmp_path):
    params, root, store = made
    assert list(store.clips) == NAMES and store.clips[NAMES[0]]["n_frames"] == 12
    assert [
        [clip[field] for field in ("of", "run", "split", "seed", "swap", "given")] for clip in store.clips.values()
    ] == [
        ["slide-4", "x", "seen", 0, {}, 0],
        ["slide-4", "x", "seen", 1, {}, 0],
        ["slide-4", "x", "seen", 0, LINE.swap, 0],
    ]
    fakes = [store.read(name)["fake"] for name in NAMES]
    assert not any(np.array_equal(a, b) for a, b in ((fakes[0], fakes[1]), (fakes[0], fakes[2]), (fakes[1], fakes[2])))
    other = Store(restyle.restyle(replace(params, styles={"other": replace(LINE, seeds=[1], swap={})}), "other", root))
    assert list(other.clips) == NAMES[1:2] and np.array_equal(other.read(NAMES[1])["fake"], fakes[1])
    before = store.path.read_bytes()
    restyle.restyle(params, "looks", root)
    assert store.path.read_bytes() == before


def test_the_edited_clip_is_made_from_the_source_that_is_kept(made, store):
    params, root, variants = made
    real, label = store.read("slide-4"), variants.read("slide-4-edited")["label"]
    assert np.array_equal(variants.read("slide-4-seed-1")["label"], real["label"])
    square = real["label"] == 2
    assert (label[square] == 1).all() and np.array_equal(label[~square], real["label"][~square])
    assert (
        variants.clips["slide-4-edited"]["changed"] == square.mean() > 0 == variants.clips["slide-4-seed-0"]["changed"]
    )
    model, names = trained_model(params, "x", root, store.facts), store.facts.label_names
    seen = {
        "source": torch.from_numpy(label[None, :1]).long(),
        "instance": torch.from_numpy(real["instance"][None, :1].astype(np.int64)),
    }
    with torch.inference_mode():
        frame = to_pixels(model.generate(seen, torch.empty(1, 0, 3, 32, 64), {"style_seed": 0}))
    assert np.array_equal(frame[0], variants.read("slide-4-edited")["fake"][0])
    edited = restyle.edited(
        lambda start, stop: {"source": seen["source"][:, start:stop], "instance": "kept"}, names, {"odd": "square"}
    )
    assert (
        torch.equal(edited(0, 1)["source"], styles.swap(seen["source"], names, {"odd": "square"}))
        and edited(0, 1)["instance"] == "kept"
    )


def test_a_video_model_carries_real_first_frames_on_unless_it_needs_none(store_path, store, tmp_path):
    first = store.read("slide-4", 0, 2)["real"]
    for alone, given in ((False, 2), (True, 0)):
        root = tmp_path / str(given)
        root.mkdir()
        params = styled(store_path, root, "vid2vid", "self" if alone else "real", from_nothing=alone)
        if alone:  # whatever the run says
            params = replace(params, runs={"x": replace(params.runs["x"], first_frames="real")})
        made = Store(restyle.restyle(params, "looks", root))
        starts = [made.read(name)["fake"][:2] for name in NAMES]
        assert [clip["given"] for clip in made.clips.values()] == [given] * 3
        assert [np.array_equal(start, first) for start in starts] == [not alone] * 3
        assert alone == (not np.array_equal(starts[0], starts[1]))


def test_first_frames_that_another_run_paints_have_the_same_style(made, store_path, tmp_path):
    _, root, painted = made
    shutil.copytree(root / "runs" / "x", tmp_path / "runs" / "images")
    params = styled(store_path, tmp_path, "vid2vid", "real")
    params = replace(params, runs={"x": replace(params.runs["x"], first_frames="images"), "images": made[0].runs["x"]})
    video = Store(restyle.restyle(params, "looks", tmp_path))
    assert all(np.array_equal(video.read(name)["fake"][:2], painted.read(name)["fake"][:2]) for name in NAMES)


@pytest.mark.parametrize(
    "change, says",
    [
        (dict(swap={"square": "round"}), "styles.looks.swap: no label round; there are even, odd, square"),
        (dict(swap={"round": "odd"}), "styles.looks.swap: no label round"),
        (dict(swap={"odd": "odd"}), "styles.looks.swap: clip slide-4 shows nothing of odd that would change"),
        (dict(clip="slide-0"), "styles.looks.clip: no 'slide-0'; there are first, slide-4, slide-5,"),
    ],
)
def test_faults_are_named_before_a_video_is_made(made, monkeypatch, change, says):
    params, root, store = made
    monkeypatch.setattr(restyle, "write_store", lambda *_: pytest.fail("a store is written"))
    with pytest.raises(Fault, match=re.escape(says)):
        restyle.restyle(replace(params, styles={"looks": replace(LINE, **change)}), "looks", root)
    with pytest.raises(Fault, match="styles: no 'lux'; there are looks"):
        restyle.restyle(params, "lux", root)


@pytest.mark.parametrize("change, films", [({}, 2), (dict(swap={}, seeds=[3]), 1)])
def test_the_report_shows_each_variant_and_says_what_it_is(made, tmp_path, change, films):
    params, root, _ = made
    shutil.copytree(root / "data", tmp_path / "data")
    bound = reported(tmp_path, ["sliding"])
    without = report.write(bound, tmp_path).read_text()
    assert "Styles and edits" not in without and "shown as" not in without
    shutil.copytree(root / "runs" / "x", tmp_path / "runs" / "x")
    line = replace(LINE, title="<looks>", **change)
    restyle.restyle(replace(params, styles={"looks": line}), "looks", tmp_path)
    bound = replace(
        bound,
        styles={"looks": line},
        runs=bound.runs | {"x": replace(params.runs["x"], title="painter", schedule="short")},
    )
    page = report.write(bound, tmp_path).read_text()
    section = page.split('<section id="styles"')[1].split("</section>")[0]
    assert all(text in section for text in ("&lt;looks&gt;", 'run <span class="id">x</span>', "by painter", "slide-4"))
    assert ("seeds 0, 1" if not change else "seed 3") in section and section.count("<video") == films
    assert [text in section for text in ("square shown as odd, 3.96 % of the pixels", "edited source")] == [
        not change
    ] * 2
    assert all((tmp_path / "reports" / name).is_file() for name in re.findall(r'(?:src|poster)="([^"]+)"', section))
    assert 'data-frames="12"' in section
