"""A video is made frame by frame: from no later source, in bounded memory, from the first frames that its line says."""

import dataclasses
from itertools import islice

import pytest
import torch
from conftest import facts, sliding_clip
from test_models import SMALL, STYLES, build
from test_train import TINY, kept, project

from v2vbench import params
from v2vbench.clips.store import CHUNK, Store, write_store
from v2vbench.clips.tensors import to_image, to_pixels, to_tensors
from v2vbench.params import Fault
from v2vbench.stages import synthesize, train
from v2vbench.stages._weights import build_model, trained_model

MODELS = {
    "vid2vid": ("vid2vid", {}),
    "two scales": ("vid2vid", dict(n_scales_spatial=2, n_down=1)),
    "from nothing": ("vid2vid", dict(from_nothing=True)),
    "pix2pixhd": ("pix2pixhd", {}),
    "covst": ("covst", {}),
}
RUNS = {
    "v": ("vid2vid", {}),
    "nothing": ("vid2vid", dict(from_nothing=True)),
    "p": ("pix2pixhd", {}),
    "c": ("covst", {}),
}


def line(p, model, first_frames, changes):
    return dataclasses.replace(p.runs["x"], model=model, first_frames=first_frames, kwargs=TINY[model] | changes)


@pytest.fixture
def runs(store_path, tmp_path):
    """A project with finished but untrained runs; `start(key, first_frames)` gives the first frames of a video."""
    p = project(store_path, tmp_path)
    p = dataclasses.replace(p, runs={key: line(p, model, "none", changes) for key, (model, changes) in RUNS.items()})
    store = Store(store_path)
    for number, key in enumerate(RUNS):
        torch.manual_seed(number)
        kept(build_model(p, key, store.facts).state_dict(), tmp_path, key)
    return p


def with_first(p, key, first_frames):
    return dataclasses.replace(p, runs=p.runs | {key: dataclasses.replace(p.runs[key], first_frames=first_frames)})


def start(p, key, first_frames, root, store):
    model = trained_model(p, key, root, store.facts)
    first, given = synthesize.starter(with_first(p, key, first_frames), key, root, store, model)
    return first("slide-4", synthesize.reader(store, "slide-4", model, torch.device("cpu"))), given, model


@pytest.mark.parametrize("name, changes", MODELS.values(), ids=MODELS)
def test_no_later_frame_is_seen(name, changes):
    """Frame t does not change if all later sources and all real frames are nan, and is nan if its source is nan."""
    torch.manual_seed(0)
    plain = dict(instance_edges=False) | ({"foreground": []} if name == "vid2vid" else {}) | changes
    model = params.bind(
        train.parameters.member("models", name, "").Model, SMALL[name] | plain, name, facts=facts(source="maps")
    )
    first = torch.rand(0 if "from_nothing" in changes else model.n_past, 3, 32, 64) * 2 - 1
    clip = dict(
        source=torch.rand(1, 6, 3, 32, 64),
        flow=torch.randn(1, 5, 2, 32, 64),
        occluded=(torch.rand(1, 5, 1, 32, 64) < 0.2).float(),
    )
    whole = synthesize.rollout(model, clip, 6, first)
    assert whole.isfinite().all() and torch.equal(whole[: len(first)], first)
    for t in range(len(first), 6):
        for last, seen in ((t, True), (t - 1, False)):
            blind = {key: value.clone() for key, value in clip.items()} | {
                "real": torch.full((1, 6, 3, 32, 64), torch.nan)
            }
            blind["source"][:, last + 1 :] = torch.nan
            blind["flow"][:, t:], blind["occluded"][:, t:] = torch.nan, torch.nan
            frames = synthesize.stream(
                model, lambda start, stop, blind=blind: synthesize.part(blind, start, stop), 6, first
            )
            frame = list(islice(frames, t + 1))[t]
            assert torch.equal(frame, whole[t]) if seen else frame.isnan().any()


@pytest.mark.parametrize("name, changes", MODELS.values(), ids=MODELS)
def test_a_long_clip_is_streamed_in_little_memory(tmp_path, name, changes):
    """From the store a few frames at a time, the same frames as from the whole clip in memory."""
    write_store(tmp_path / "long.zip", facts(), [(dict(id="long", split="seen"), sliding_clip(0, 60))])
    store, model, spans = Store(tmp_path / "long.zip"), build(name, **changes), []
    read, asked = store.read, []

    def counted(clip, start=0, stop=None, arrays=None):
        spans.append((start, stop, tuple(arrays)))
        return read(clip, start, stop, arrays)

    store.read = counted
    pieces = synthesize.reader(store, "long", model, torch.device("cpu"))
    first = torch.zeros(0 if "from_nothing" in changes else model.n_past, 3, 32, 64)
    made = torch.stack(list(synthesize.stream(model, lambda a, b: asked.append(b - a) or pieces(a, b), 60, first)))
    clip = {key: value[None] for key, value in to_tensors(read("long")).items()}
    assert torch.equal(made, synthesize.rollout(model, clip, 60, first)) and made.shape == (60, 3, 32, 64)
    assert max(asked) == (2 if name == "covst" else model.n_past + 1)
    assert max(stop - start for start, stop, _ in spans) <= max(asked) + 2 * CHUNK and len(spans) > 2
    assert not any("real" in arrays for *_, arrays in spans) and len(spans) <= 2 * 60 / CHUNK


def test_a_frame_is_seen_again_as_it_is_shown():
    """In 8 bits: what is scored is what was shown, and what the model goes on from."""
    model, pasts = build("vid2vid"), []
    generate = model.generate
    model.generate = lambda clip, past, memory: pasts.append(past[0]) or generate(clip, past, memory)
    clip = {key: value[None] for key, value in to_tensors(sliding_clip(0, 6)).items()}
    made = synthesize.rollout(model, clip, 6, clip["real"][0, :2])
    shown = to_image(to_pixels(made))
    assert torch.allclose(made, shown, atol=1e-6) and (made[2:] - made[1:-1]).abs().max() > 0.01
    assert all(torch.equal(past, made[t : t + 2]) for t, past in enumerate(pasts)) and len(pasts) == 4


def test_a_clip_shorter_than_what_is_given(store):
    clip = {key: value[None] for key, value in to_tensors(store.read("slide-4")).items()}
    assert torch.equal(synthesize.rollout(build("vid2vid"), clip, 1, clip["real"][0, :2]), clip["real"][0, :1])


@pytest.mark.parametrize(
    "key, first_frames, n, n_real",
    [
        ("v", "real", 2, 2),
        ("nothing", "real", 2, 2),
        ("nothing", "self", 0, 0),
        ("v", "p", 2, 0),
        ("nothing", "p", 2, 0),
        ("p", "none", 0, 0),
        ("c", "none", 0, 0),
    ],
)
def test_first_frames_are_what_the_line_says(runs, store, tmp_path, key, first_frames, n, n_real):
    first, given, model = start(runs, key, first_frames, tmp_path, store)
    assert first.shape == (n, 3, 32, 64) and given == n_real
    clip = {key: value[None] for key, value in to_tensors(store.read("slide-4")).items()}
    if first_frames == "real":
        assert torch.equal(first, clip["real"][0, :2])
    elif first_frames == "p":  # as that run's own video begins
        own = synthesize.rollout(trained_model(runs, "p", tmp_path, store.facts), clip, 12, clip["real"][0, :0])
        assert torch.equal(first, own[:2]) and not torch.equal(own[0], own[1])
    assert synthesize.rollout(model, clip, 12, first).shape == (12, 3, 32, 64)


@pytest.mark.parametrize(
    "key, first_frames, says",
    [
        ("v", "none", "vid2vid starts from 2 frames, so it must be real, or a run whose model needs no past"),
        ("v", "self", "vid2vid starts from 2 frames, so it must be real, or a run whose model needs no past"),
        ("nothing", "none", "vid2vid starts from 2 frames, so it must be self"),
        ("p", "real", "pix2pixhd starts from 0 frames, so it must be none"),
        ("p", "self", "pix2pixhd starts from 0 frames, so it must be none"),
        ("p", "c", "pix2pixhd starts from 0 frames, so it must be none"),
        ("c", "real", "covst starts from 0 frames, so it must be none"),
        ("v", "v", "v needs a past itself; name a run that makes each frame alone"),
        ("v", "nothing", "nothing needs a past itself; name a run that makes each frame alone"),
        ("v", "c", "c needs a past itself; name a run that makes each frame alone"),
    ],
)
def test_other_first_frames_are_refused(runs, store, tmp_path, key, first_frames, says):
    with pytest.raises(Fault, match=f"runs.{key}.first_frames: {says}"):
        start(runs, key, first_frames, tmp_path, store)


def test_a_painted_start_without_its_weights_is_a_fault(runs, store, tmp_path):
    (tmp_path / "runs" / "p" / "model.safetensors").unlink()
    with pytest.raises(Fault, match="runs/p/model.safetensors: no such weights"):
        start(runs, "v", "p", tmp_path, store)


def test_written_videos_begin_with_the_other_runs(runs, store, tmp_path):
    """The files of two runs hold the same first frames, and none is called real."""
    for key, first_frames in (("p", "none"), ("v", "p")):
        synthesize.synthesize(with_first(runs, key, first_frames), key, tmp_path)
    alone, video = (Store(tmp_path / "runs" / key / "clips.zip") for key in "pv")
    for clip in store.split("seen") + store.split("unseen"):
        assert video.clips[clip]["given"] == 0 and video.clips[clip]["n_frames"] == 12
        assert (video.read(clip)["fake"][:2] == alone.read(clip)["fake"][:2]).all()
        assert (video.read(clip)["fake"][2:] != alone.read(clip)["fake"][2:]).any()


def test_styles_of_a_video_and_of_its_start_are_of_one_seed(store_path, store, tmp_path):
    p = project(store_path, tmp_path)
    p = dataclasses.replace(
        p, runs={"p": line(p, "pix2pixhd", "none", dict(styles=STYLES)), "v": line(p, "vid2vid", "p", {})}
    )
    for key in p.runs:
        torch.manual_seed(0)
        model = build_model(p, key, store.facts)
        model.finish(store)
        kept(model.state_dict(), tmp_path, key)
    first, _ = synthesize.starter(p, "v", tmp_path, store, model)
    read = synthesize.reader(store, "slide-4", model, torch.device("cpu"))
    assert torch.equal(first("slide-4", read, 1), first("slide-4", read, 1))
    assert not torch.equal(first("slide-4", read, 1), first("slide-4", read, 2))
    assert torch.equal(first("slide-4", read), first("slide-4", read, STYLES["seed"]))
