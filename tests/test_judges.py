"""Judges of generated frames: their training data, resuming after a kill, and the scores made with them."""

import numpy as np
import pytest
import torch
from conftest import facts, sliding_clip

from v2vbench.clips.augment import disturb
from v2vbench.clips.store import Store, write_store
from v2vbench.clips.tensors import to_tensors
from v2vbench.clips.windows import Windows
from v2vbench.metrics import keypoint_error, segmentation
from v2vbench.metrics._pooled import pooled
from v2vbench.models import locator, segmenter
from v2vbench.params import Fault, Schedule
from v2vbench.stages import train

FACTS = "n_warmup", "step", "single"  # of every batch
CALM = dict(blur=0.0, noise=0.0, brightness=0.0)
SEGMENTER = dict(n_filters=4, n_down=2, blur=1.0, noise=8.0, brightness=0.1)
LOCATOR = dict(n_points=3, n_filters=8, n_down=2, spread=2.0, shift=2.0, zoom=0.1, blur=0.5, noise=4.0, brightness=0.1)


def schedule(**changes) -> Schedule:
    return Schedule(
        **dict(
            seed=1,
            steps=4,
            batch_size=2,
            n_frames=1,
            n_warmup=0,
            double_every=0,
            single_frames="none",
            drop_parts=0.0,
            compile=False,
            lr=1e-2,
            lr_d=0.0,
            betas=(0.9, 0.999),
            constant_share=0.5,
            ema=0,
            precision="32-true",
            log_every=2,
            checkpoint_every=2,
        )
        | changes
    )


@pytest.fixture(scope="module")
def dots(tmp_path_factory):
    """Three training clips and a test clip of three dots: two have labels, the third has no keypoint in odd frames."""

    def make(seed: int) -> dict:
        rng, (y, x) = np.random.default_rng(seed), np.mgrid[:32, :64]
        points = rng.uniform((6, 6), (57, 25), (8, 3, 2))
        away = (x[..., None, None] - points[..., 0].T) ** 2 + (
            y[..., None, None] - points[..., 1].T
        ) ** 2  # (H, W, P, T)
        real = np.moveaxis(30 + 220 * np.exp(-away / 8), -1, 0).clip(0, 255).astype(np.uint8)
        sure = np.ones((8, 3, 1))
        sure[1::2, 2] = 0
        label = np.where(away[:, :, 0] < 16, 1, np.where(away[:, :, 1] < 16, 2, 0)).astype(np.uint8)
        return {
            "real": real,
            "label": np.moveaxis(label, -1, 0),
            "keypoints": np.concatenate([points, sure], -1).astype(np.float32),
        }

    path = tmp_path_factory.mktemp("dots") / "dots.zip"
    write_store(
        path,
        facts(name="dots", groups={"seen": "seen"}),
        ((dict(id=f"dots-{i}", split=split), make(i)) for i, split in enumerate(["train"] * 3 + ["seen"])),
    )
    return Store(path)


def untrained(module, store, **kwargs):
    torch.manual_seed(0)
    return module.Model(store.facts, **kwargs)


def fit(model, store, folder, **changes):
    folder.mkdir(exist_ok=True)
    return train.fit(model, schedule(**changes), store, "judge", folder / "checkpoint.pt")


@pytest.mark.parametrize("kind", ["segmenter", "locator"])
def test_broken_off_training_ends_at_the_same_weights(kind, store, dots, tmp_path, monkeypatch):
    module, data, kwargs = {"segmenter": (segmenter, store, SEGMENTER), "locator": (locator, dots, LOCATOR)}[kind]
    whole, rows, _ = fit(untrained(module, data, **kwargs), data, tmp_path / "whole")
    batch = Windows.batch
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):

        def dies(self, step):
            if step == 3:
                raise KeyboardInterrupt
            return batch(self, step)

        patch.setattr(Windows, "batch", dies)
        fit(untrained(module, data, **kwargs), data, tmp_path / "broken")
    assert torch.load(tmp_path / "broken" / "checkpoint.pt", weights_only=True)["step"] == 2
    again, same_rows, _ = fit(untrained(module, data, **kwargs), data, tmp_path / "broken")
    assert rows == same_rows and all(torch.equal(whole[name], again[name]) for name in whole)
    assert "prior" in whole and not torch.equal(
        whole["net.out.weight"], untrained(module, data, **kwargs).state_dict()["net.out.weight"]
    )


def test_prior_of_labels_is_the_most_frequent_at_each_pixel(store):
    model = untrained(segmenter, store, **SEGMENTER)
    assert (model.prior == 255).all()
    model.finish(store)
    labels = np.concatenate([store.read(clip, arrays=["label"])["label"] for clip in store.split("train")])
    want = [[np.bincount(labels[:, y, x], minlength=3).argmax() for x in range(64)] for y in range(32)]
    assert model.prior.dtype == torch.uint8 and np.array_equal(model.prior, want)


def test_prior_of_points_is_their_mean_where_known(dots):
    model = untrained(locator, dots, **LOCATOR)
    model.finish(dots)
    points = np.concatenate([dots.read(clip, arrays=["keypoints"])["keypoints"] for clip in dots.split("train")])
    assert np.allclose(model.prior[:2], points[:, :2, :2].mean(0), atol=1e-4)
    assert np.allclose(model.prior[2], points[::2, 2, :2].mean(0), atol=1e-4)


def test_judges_read_only_what_they_need(store, dots, tmp_path):
    shape = dict(n_frames=2, n_warmup=0, batch_size=1, seed=0, double_every=0, drop_parts=0.5)
    assert set(Windows(store, arrays=segmenter.Model.READS, **shape).batch(0)) == {"real", "source", *FACTS}
    assert set(Windows(dots, arrays=locator.Model.READS, **shape).batch(0)) == {"real", "keypoints", *FACTS}
    assert "keypoints" not in Windows(dots, **shape).batch(0)
    with pytest.raises(Fault, match="its clips have no keypoints, which the model is trained on"):
        fit(untrained(locator, store, **LOCATOR), store, tmp_path)


def test_refusals(store, dots, tmp_path):
    with pytest.raises(Fault, match="segmenter predicts labels, and the source of sliding is maps"):
        segmenter.Model(facts(source="maps"), **SEGMENTER)
    for kind, kwargs in ((segmenter, SEGMENTER), (locator, LOCATOR)):
        with pytest.raises(
            Fault, match=f"{kind.__name__.rsplit('.')[-1]}: frames of sliding are 32 x 64, and 64 does not divide"
        ):
            kind.Model(facts(), **kwargs | dict(n_down=6))
    with pytest.raises(Fault, match="n_points: 5, and dots has 3 keypoints a frame"):
        fit(untrained(locator, dots, **LOCATOR | dict(n_points=5)), dots, tmp_path)


@pytest.mark.parametrize("kind", ["segmenter", "locator"])
def test_no_frame_is_judged_by_another(kind, store, dots):
    module, data, kwargs = {"segmenter": (segmenter, store, SEGMENTER), "locator": (locator, dots, LOCATOR)}[kind]
    model, frames = untrained(module, data, **kwargs).eval(), torch.rand(5, 3, 32, 64) * 2 - 1
    seen = model.predict(frames)
    assert seen.shape == ((5, 32, 64) if kind == "segmenter" else (5, 3, 2)) and not seen.requires_grad
    assert torch.equal(seen[[4, 1]], model.predict(frames[[4, 1]]))


def test_disturbances_are_of_the_step_and_at_most_as_asked():
    frames = torch.rand(6, 3, 16, 24) - 0.5
    assert torch.allclose(disturb(frames, 3, **CALM), frames, atol=1e-7)
    much = dict(blur=1.5, noise=10.0, brightness=0.2)
    assert torch.equal(disturb(frames, 3, **much), disturb(frames, 3, **much))
    assert not torch.equal(disturb(frames, 3, **much), disturb(frames, 4, **much))
    flat = torch.full((40, 3, 16, 24), 0.5)
    assert torch.allclose(disturb(flat, 0, **CALM | dict(blur=1.5)), flat, atol=1e-6)  # edges are no darker
    level = disturb(flat, 0, **CALM | dict(brightness=0.2)).mean((1, 2, 3))
    assert 0.2 <= level.min() < 0.35 and 0.65 < level.max() <= 0.8
    grain = disturb(flat, 0, **CALM | dict(noise=12.75)).std((1, 2, 3))
    assert grain.min() < 0.02 and 0.08 < grain.max() < 0.11
    rough = torch.rand(40, 3, 32, 32) - 0.5
    left = disturb(rough, 0, **CALM | dict(blur=1.5)).std((1, 2, 3)) / rough.std((1, 2, 3))
    assert left.max() > 0.95 and left.min() < 0.3


def test_frames_and_their_points_move_together(dots):
    model, clip = untrained(locator, dots, **LOCATOR | dict(shift=4.0, zoom=0.15)), to_tensors(dots.read("dots-0"))
    for step in range(3):
        frames, points = model._move(clip["real"], clip["keypoints"][..., :2], step)
        assert (points - clip["keypoints"][..., :2]).norm(dim=-1).max() > 1
        for picture, places in zip(frames, points):
            for colour, (x, y) in zip(picture, places.tolist()):  # a dot has a colour of its own
                if 3 < x < 60 and 3 < y < 28:
                    weight = (colour + 0.6).clamp_min(0)
                    assert abs((weight.sum(0) * torch.arange(64)).sum() / weight.sum() - x) < 0.6
                    assert abs((weight.sum(1) * torch.arange(32)).sum() / weight.sum() - y) < 0.6


def test_mean_place_of_a_heat_map():
    heat = torch.full((1, 2, 8, 12), -50.0)
    heat[0, 0, 3, 5] = 50
    heat[0, 1, 2, 4:6] = 50
    assert locator.mean_place(heat).tolist() == [
        [[10.5, 6.5], [9.5, 4.5]]
    ]  # a cell covers two pixels: 10 and 11, 6 and 7


def test_unknown_points_teach_nothing(dots):
    model, clip = untrained(locator, dots, **LOCATOR), to_tensors(dots.read("dots-0"))
    clip = {name: clip[name][None] for name in ("real", "keypoints")} | {"step": 0}
    moved = clip["keypoints"].clone()
    moved[:, 1::2, 2, :2] = torch.nan
    assert torch.equal(model.losses(clip)["G"], model.losses(clip | {"keypoints": moved})["G"])
    moved[..., 2] = 0
    assert model.losses(clip | {"keypoints": moved})["G"] == 0


@pytest.mark.parametrize("kind", ["segmenter", "locator"])
def test_a_judge_learns_more_than_the_prior_knows(kind, dots, tmp_path):
    module, metric, data, kwargs, name, settings, sign = {
        "segmenter": (segmenter, segmentation, dots, SEGMENTER | dict(n_filters=8), "source", {}, 1),
        "locator": (locator, keypoint_error, dots, LOCATOR, "keypoints", {"unit": "px"}, -1),
    }[kind]
    model = untrained(module, data, **kwargs)
    fit(model, data, tmp_path, steps=60, batch_size=4)
    clip = to_tensors(data.read(data.split("seen")[0]))
    scores = [
        metric.compute(frames, clip[name], model.eval(), **settings) for frames in (clip["real"], clip["real"] * 0)
    ]
    scores.append(metric.floor(clip[name], model, **settings))
    assert all(len(score) == len(clip["real"]) for score in scores)
    real, grey, floor = (
        metric.pool(score.sum(0).numpy()) if kind == "segmenter" else float(score.mean()) for score in scores
    )
    assert sign * (real - floor) > 0.2 * floor and sign * (real - grey) > 0


class Says(torch.nn.Module):
    """A judge that has been told."""

    def __init__(self, answer, prior, n_labels=3):
        super().__init__()
        self.answer, self.prior, self.n_labels = answer, prior, n_labels

    def predict(self, frames):
        return self.answer


def test_segmentation_closed_form():
    source = torch.zeros(3, 4, 8, dtype=torch.int64)
    source[:, 2:] = 1  # halves
    source[1, :2], source[2, 0] = 255, 255
    seen = source.clone().masked_fill(source == 255, 0)
    seen[:, 3] = 2  # of 16 px of label 1, 8 are read as what no frame has
    judge = Says(seen, torch.ones(4, 8, dtype=torch.uint8))
    score = lambda counts: segmentation.pool(counts.numpy().astype(float))  # noqa: E731
    compute = lambda judge: segmentation.compute(torch.zeros(3, 3, 4, 8), source, judge)  # noqa: E731
    assert [score(frame) for frame in compute(judge)] == [0.75, 0.5, 0.75]
    assert score(compute(judge).sum(0)) == 0.75  # 24 of 24 and 24 of 48, each label once for all frames
    assert [score(frame) for frame in segmentation.floor(source, judge)] == [0.25, 1, 8 * 2 / 24 / 2]
    assert score(segmentation.floor(source, judge).sum(0)) == 48 / 72 / 2
    assert score(compute(Says(source, judge.prior)).sum(0)) == 1
    unknown = Says(source, torch.full((4, 8), 255, dtype=torch.uint8))  # a pixel that no training frame labels
    assert score(segmentation.floor(source, unknown).sum(0)) == 0
    assert compute(judge).sum() == segmentation.floor(source, unknown).sum() == (source != 255).sum()
    with pytest.raises(ValueError, match="a pixel has label 1, and the judge knows 1"):
        compute(Says(seen, judge.prior, 1))
    source[1] = 255
    with pytest.raises(ValueError, match="frame 1 has no pixel with a label"):
        compute(judge)


def test_mean_iou_is_scikit_learns_on_the_arrays_of_the_store(dots):
    """The judge reads the red channel, so that other code can compute the score from the arrays on disk alone."""
    from sklearn.metrics import jaccard_score

    judge = Says(None, torch.zeros(32, 64, dtype=torch.uint8), 4)
    judge.predict = lambda frames: ((frames[:, 0] + 1) * 127.5).round().long() // 64
    counts, floors, true, seen = [], [], [], []
    for clip in ("dots-0", "dots-1", "dots-2", "dots-3"):
        arrays = dots.read(clip, arrays=["real", "label"])
        arrays["label"][:, :3] = 255
        tensors = to_tensors(arrays)
        counts.append(segmentation.compute(tensors["real"], tensors["source"], judge).double().numpy())
        floors.append(segmentation.floor(tensors["source"], judge).double().numpy())
        true.append(arrays["label"][:, 3:].ravel())
        seen.append(arrays["real"][:, 3:, :, 0].ravel() // 64)

    def theirs(true, seen):
        return jaccard_score(true, seen, labels=np.unique(true), average="macro")

    clusters = ["a", "b", "a", "c"]
    found, floor = (pooled(segmentation.pool, own, clusters) for own in (counts, floors))
    assert found["value"] == pytest.approx(theirs(np.concatenate(true), np.concatenate(seen)), abs=1e-12)
    assert floor["value"] == pytest.approx(theirs(np.concatenate(true), 0 * np.concatenate(true)), abs=1e-12)
    for name, value in zip("abc", found["leave_one_out"], strict=True):
        kept = [i for i, cluster in enumerate(clusters) if cluster != name]
        assert value == pytest.approx(
            theirs(*(np.concatenate([own[i] for i in kept]) for own in (true, seen))), abs=1e-12
        )
    by_frame = [np.concatenate([own.reshape(8, -1)[5] for own in part]) for part in (true, seen)]
    assert len(found["curve"]) == 8 and found["curve"][5] == pytest.approx(theirs(*by_frame), abs=1e-12)
    assert 0.05 < found["value"] < 0.95 and np.ptp(found["leave_one_out"]) > 0


def test_a_label_that_one_cluster_alone_has_counts_only_with_it():
    counts = [np.diag([8.0, 0.0])[None], np.diag([6.0, 0.0])[None], np.array([[[4.0, 0.0], [4.0, 0.0]]])]
    assert pooled(segmentation.pool, [np.pad(own, ((0, 0), (0, 0), (0, 1))) for own in counts], ["x", "y", "z"]) == {
        "value": 18 / 22 / 2,
        "leave_one_out": [10 / 14 / 2, 12 / 16 / 2, 1.0],
        "curve": [18 / 22 / 2],
    }
    assert pooled(segmentation.pool, [np.pad(counts[0], ((0, 0), (0, 0), (0, 1)))], ["x"])["leave_one_out"] == []


def test_keypoint_error_closed_form():
    def score(found, points, unit="px"):
        return keypoint_error.compute(
            torch.zeros(len(points), 3, 4, 8), points, Says(found, found[0]), unit=unit
        ).tolist()

    points = torch.rand(2, 68, 2) * 50
    points[:, 36], points[:, 45] = torch.tensor([10.0, 0]), torch.tensor([30.0, 0])
    found = points + torch.tensor([[[3.0, 4.0]], [[0.0, 2.0]]])
    assert score(found, points) == pytest.approx([5, 2], abs=1e-5)
    assert score(found, points, "inter-ocular") == pytest.approx([0.25, 0.1], abs=1e-6)
    partly = points.clone()
    partly[0, :30] = torch.nan  # D = 2: unknown where not finite
    worse = found.clone()
    worse[0, :30] += 100
    assert score(worse, partly) == pytest.approx([5, 2], abs=1e-5)
    sure = torch.cat([points, torch.ones(2, 68, 1)], -1)  # D = 3: unknown where the confidence is 0
    sure[0, :30, 2] = 0
    assert score(worse, sure) == pytest.approx([5, 2], abs=1e-5)
    judge = Says(found, torch.zeros(68, 2))
    assert keypoint_error.floor(sure, judge, unit="px").tolist() == pytest.approx(
        [float(points[0, 30:].norm(dim=1).mean()), float(points[1].norm(dim=1).mean())]
    )
    sure[1, :, 2] = 0
    with pytest.raises(ValueError, match="frame 1 has no known keypoint"):
        score(found, sure)
    with pytest.raises(ValueError, match="unit inter-ocular takes a face's 68 landmarks with both eyes"):
        score(found, sure, "inter-ocular")
    with pytest.raises(ValueError, match="the judge finds 68 points, and there are 25 keypoints"):
        score(found, points[:, :25])
    with pytest.raises(ValueError, match="unit inter-ocular takes"):
        score(found[:, :25], points[:, :25], "inter-ocular")


def test_the_judge_of_shuffled_frames_gives_shuffled_scores(store):
    clip, model = to_tensors(sliding_clip(5, 6)), untrained(segmenter, store, **SEGMENTER).eval()
    order = [3, 0, 5, 1, 4, 2]
    values = segmentation.compute(clip["real"], clip["source"], model)
    assert torch.equal(values[order], segmentation.compute(clip["real"][order], clip["source"][order], model))
