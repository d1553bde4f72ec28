import itertools
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import fields

import numpy as np
import psutil
import pytest

from v2vbench import params
from v2vbench.clips.store import Store, digest
from v2vbench.datasets import _doom, _doom_dress, _doom_truth, _doom_walk, freedoom

ACCEPT = dict(luma=40, sprites=0.002, flow=[0.5, 12], agreement=0.95, unknown=0.2, warp_error=0.01, overlap=0.5)
SETTINGS = dict(
    size=[32, 64],
    train_maps=["freedoom2:MAP13"],
    unseen_maps=["freedoom2:MAP20"],
    n_train_clips=1,
    n_test_clips=1,
    n_unseen_clips=1,
    n_frames=6,
    seed=0,
    n_draws=20,
    walk=dict(speed=12, turn=0.75),
    accept=ACCEPT,
    dress="none",
)
KINDS = (("SIDEDEFS", _doom.SIDE), ("SECTORS", _doom.SECTOR))
LOOKS = dict(looks=["grey", "brown", "stone"])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The store of a tiny set of real walks."""
    out = tmp_path_factory.mktemp("freedoom") / "tiny.zip"
    params.bind(freedoom.prepare, SETTINGS, "datasets.tiny", out=out, name="tiny", cache=out.parent)
    assert not [file for file in os.listdir() if "vizdoom" in file or "engine" in file]  # what the engine leaves
    return Store(out)


def test_real_walks_agree_with_the_engine_and_warp_well(made):
    assert [clip["split"] for clip in made.clips.values()] == ["seen", "train", "unseen"]
    made.verify()
    for key, clip in made.clips.items():
        arrays, figures = made.read(key), clip["figures"]
        assert figures["agreement"] > ACCEPT["agreement"] and figures["warp_error"] < 0.35 * figures["still_error"]
        assert np.isfinite(arrays["flow"]).all() and set(np.unique(arrays["label"])) <= {*range(12), _doom.IGNORE}
        sprites = arrays["instance"] > 0
        assert sprites.any() and (arrays["label"][sprites] > _doom.LIQUID).all()
        known = arrays["label"] != _doom.IGNORE
        np.testing.assert_array_equal(np.isinf(arrays["depth"][known]), arrays["label"][known] == _doom.SKY)


def test_without_clips_of_a_group_there_is_no_such_group(made, tmp_path):
    out = tmp_path / "one.zip"
    settings = SETTINGS | dict(n_test_clips=0)
    params.bind(freedoom.prepare, settings, "datasets.one", out=out, name="one", cache=tmp_path)
    alone = Store(out)
    assert [clip["split"] for clip in alone.clips.values()] == ["train", "unseen"]
    assert list(alone.facts.groups) == ["unseen"]
    assert list(made.facts.groups) == ["seen", "unseen"]
    assert alone.split("unseen") == made.split("unseen")  # the test clips are those of the larger set


def test_a_map_and_a_seed_give_the_same_clip_again(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    second = list(made.clips.values())[1]  # made after others, by an engine already at work
    (world, view), size = (_doom.load(freedoom.wad_file("freedoom2"), "MAP13"), _doom.camera(32, 64)), (32, 64)
    game = _doom_walk.start_engine(freedoom.wad_file("freedoom2"), "MAP13", size)
    frames = _doom_walk.walk(game, world, size, 6, second["seed"], _doom_walk.Walk(speed=12.0, turn=0.75), 40)
    game.close()
    assert digest(_doom_truth.annotate(world, view, frames)[0]) == second["sha256"]


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(size=[64, 64]), "size"),
        (dict(train_maps=["freedoom2:MAP33"]), "no map 'freedoom2:MAP33'"),
        (dict(unseen_maps=["freedoom2:MAP13"]), "stands twice"),
        (dict(n_test_clips=0, n_unseen_clips=0), "n_test_clips and n_unseen_clips are both 0: nothing to test on"),
        (dict(accept=ACCEPT | dict(luma=256)), "accept.luma"),
        (dict(accept=ACCEPT | dict(luma=255), n_draws=2), "no clip for seen, train, unseen.*refused {'dark': 4}"),
        (dict(walk={}), "missing"),
        (dict(dress=dict(looks=[])), "dress.looks: at least one of grey, brown, stone"),
        (dict(dress=dict(looks=["loud"])), "dress"),
    ],
)
def test_wrong_parameters_are_one_line(tmp_path, change, message):
    with pytest.raises(params.Fault, match=message) as fault:
        params.bind(freedoom.prepare, SETTINGS | change, "datasets.x", out=tmp_path / "x.zip", name="x", cache=tmp_path)
    assert "\n" not in str(fault.value) and not (tmp_path / "x.zip").exists()


@pytest.fixture(scope="module")
def dressed(tmp_path_factory):
    """The same maps, dressed."""
    out = tmp_path_factory.mktemp("dressed") / "tiny.zip"
    settings = SETTINGS | dict(dress=dict(looks=["grey"]))
    params.bind(freedoom.prepare, settings, "datasets.tiny", out=out, name="tiny", cache=out.parent)
    return Store(out)


def colours(store):
    """{(map, label): mean colour} of floors, ceilings and walls."""
    pixels = {}
    for key, clip in store.clips.items():
        arrays = store.read(key)
        for label in (_doom.FLOOR, _doom.CEILING, _doom.WALL):
            inside = arrays["real"][arrays["label"] == label].astype(float)
            pixels.setdefault((clip["cluster"], label), []).append(inside)
    return {at: np.concatenate(parts).mean(0) for at, parts in pixels.items() if sum(map(len, parts)) > 300}


def test_a_dressed_map_has_one_texture_for_each_label(made, dressed):
    """A label has one colour in all maps, and labels differ; nothing hides behind grates, and motion stays exact."""
    for key, clip in dressed.clips.items():
        figures = clip["figures"]
        assert clip["look"] == "grey" and "look" not in made.clips.get(key, {})
        assert figures["unknown"] == 0 and figures["warp_error"] < 0.35 * figures["still_error"]

    def apart(store):  # largest difference of one label's colour between two maps
        means = colours(store)
        pairs = [(a, b) for a in means for b in means if a[1] == b[1] and a[0] < b[0]]
        return max(abs(means[a] - means[b]).max() for a, b in pairs)

    assert apart(dressed) < 20 < apart(made)
    means = list(colours(dressed).items())
    assert all(abs(x - y).max() > 20 for (a, x), (b, y) in itertools.combinations(means, 2) if a[1] != b[1])


def test_a_map_has_the_same_look_in_every_data_set():
    dress = params.bind(freedoom.Dress, LOOKS, "dress")
    looks = [freedoom.look_of(where, dress) for where in freedoom.MAPS]
    assert looks[:4] == ["grey", "brown", "stone", "grey"] and set(looks) == set(LOOKS["looks"])
    assert {freedoom.look_of(where, "none") for where in freedoom.MAPS} == {None}


@pytest.mark.parametrize("look", _doom_dress.LOOKS)
@pytest.mark.parametrize("where", ["freedoom2:MAP13", "freedoom1:E2M2"])
def test_dressing_keeps_geometry_and_labels(tmp_path, look, where):
    wad, level = where.split(":")
    path = freedoom.wad_file(wad)
    out = _doom_dress.dress(path, level, look, tmp_path / "dressed.wad")
    before, after = _doom.load(path, level), _doom.load(out, level)
    for field in fields(_doom.World):
        if field.name != "grate":
            np.testing.assert_array_equal(getattr(before, field.name), getattr(after, field.name), field.name)
    assert not after.grate.any() and before.grate.any()
    alike = {name for name, lump in _doom.lumps(out, level).items() if lump == _doom.lumps(path, level)[name]}
    assert alike == set(_doom_dress.LUMPS) - {"SIDEDEFS", "SECTORS"}
    sides, sectors = (np.frombuffer(_doom.lumps(out, level)[name], kind) for name, kind in KINDS)
    right, left = np.frombuffer(_doom.lumps(out, level)["LINEDEFS"], "<u2").reshape(-1, 7).T[-2:]
    one, two = right[left == 0xFFFF], np.r_[right[left != 0xFFFF], left[left != 0xFFFF]]
    textures = {*sides["middle"][one], *sides["upper"][two], *sides["lower"][two], *sides["middle"][two]}
    assert {name.decode() for name in textures} <= {*_doom_dress.LOOKS[look][:3], "-"}
    assert set(sectors["light"]) <= {192, 224} and not np.isin(sectors["special"], (1, 2, 3, 8, 12, 13, 17)).any()


def test_altered_wad_is_a_fault(monkeypatch):
    monkeypatch.setitem(freedoom.WADS, "freedoom1", "0" * 64)
    with pytest.raises(params.Fault, match="freedoom1.wad: altered: pip install"):
        freedoom.wad_file("freedoom1")


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["parent", "engine"])
def test_killed_renderer_leaves_no_process(tmp_path, victim):
    (tmp_path / "make.py").write_text(
        f"from pathlib import Path; from v2vbench import params; from v2vbench.datasets import freedoom\n"
        f"settings = {SETTINGS | dict(n_frames=99, n_train_clips=9)!r}\n"
        f"if __name__ == '__main__':\n"
        f"    params.bind(freedoom.prepare, settings, 'w', out=Path('x.zip'), name='x', cache=Path('.'))\n"
    )
    with open(tmp_path / "log", "w") as log:
        made = subprocess.Popen([sys.executable, "make.py"], cwd=tmp_path, stderr=log)
    engines = []
    while not engines and made.poll() is None:  # however slow the machine
        family = psutil.Process(made.pid).children(recursive=True)
        engines = [child for child in family if child.name() == "vizdoom"]
        time.sleep(0.1)
    assert engines
    if victim == "parent":
        os.kill(made.pid, signal.SIGKILL)
    else:
        engines[0].kill()
    assert made.wait(timeout=600) != 0
    if victim == "engine":
        assert re.search("Fault.*(the engine that renders failed|process was killed)", (tmp_path / "log").read_text())
    gone, alive = psutil.wait_procs(family, timeout=300)
    assert not alive and not (tmp_path / "x.zip").exists()
