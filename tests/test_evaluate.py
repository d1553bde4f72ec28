"""A run's results on a world with a known answer: counts in are counts out, and what has no score is refused."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import facts, sliding_clip

from v2vbench import params
from v2vbench.clips.store import Store, write_store
from v2vbench.clips.tensors import to_tensors
from v2vbench.files import rounded
from v2vbench.metrics import score_clip
from v2vbench.params import Fault
from v2vbench.results.metric import Score
from v2vbench.results.runs import RunScores
from v2vbench.stages._scorer import Scorer
from v2vbench.stages.evaluate import evaluate

PARAMS = params.load(Path(__file__).parents[1] / "params.yaml")
RUN = params.Run(
    title="mine",
    dataset="sliding",
    model="copy_last",
    schedule="none",
    base="none",
    first_frames="real",
    seeds=[0],
    kwargs={},
)
LITE0 = {"extractor": "efficientnet_lite0", "px": 64}
FEATURES = {
    "frames": LITE0,
    "windows": LITE0 | {"windows": {"n_frames": 6, "stride": 2, "change_weight": 4}},
    "inception": {"extractor": "inception2015", "resize": "tf"},
}
METRICS = {
    label: PARAMS.metrics[label] for label in ("psnr", "ssim", "warp_error", "sharpness_ratio", "motion_ratio")
} | {
    f"{name}_{rows}": {"metric": metric, "features": rows} | kwargs
    for rows in ("frames", "windows")
    for name, metric, kwargs in (("fed", "frechet", {"divisor": "n-1"}), ("ked", "kernel", {"pairs": "other-clusters"}))
}
PARAMS = replace(
    PARAMS,
    datasets={"sliding": {}},
    runs={"method": RUN},
    predictors={},
    futures={},
    judges={},
    features=FEATURES,
    metrics=METRICS,
    protocol=replace(PARAMS.protocol, skip_frames=2),
)


def project(folder, store, change=lambda frames: frames, keep=lambda clip: True, extra=(), given=2):
    """A project whose run has put `change` on the real frames of each test clip but the first two."""
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "sliding.zip").symlink_to(store.path)

    def fakes():
        for clip in (clip for group in store.facts.groups for clip in store.split(group)):
            frames = store.read(clip, arrays=["real"])["real"]
            about = {"id": clip, "split": store.clips[clip]["split"], "real_sha256": store.clips[clip]["sha256"]}
            if keep(clip):
                yield about | {"given": given}, {"fake": np.concatenate([frames[:2], change(frames[2:])])}
        yield from extra

    write_store(folder / "runs" / "method" / "clips.zip", replace(store.facts, name="method"), fakes())
    return folder


def scored(result, group, label):
    return result.groups[group].scores[label]


def test_real_frames_score_as_real(tmp_path, store):
    result = evaluate(PARAMS, "method", project(tmp_path, store))
    assert result.first_frames == "2 real frames"
    assert result.skip_frames == 2
    assert set(result.metrics) == set(PARAMS.metrics)
    for name, group in result.groups.items():
        assert group.clips == store.split(name)
        assert group.n_frames == 10
        assert set(group.scores) == set(PARAMS.metrics)
        for label, score in group.scores.items():
            info, size = result.metrics[label], score.size
            assert "{" not in info.protocol + info.title
            if info.kind == "clip":
                assert len(score.fake.per_clip) == 3
                assert len(score.curve) in (9, 10)
                assert score.value == pytest.approx(np.mean(score.fake.per_clip))
                assert score.real is None or score.real.per_clip == score.fake.per_clip
            else:
                assert score.fake == Score(value=0, per_clip=None, leave_one_out=[0, 0, 0])
                assert size.n_clips == 3
                assert size.n_rows == (30 if label.endswith("frames") else 9)
                assert size.rank == size.n_rows - 1


def test_what_is_written_is_the_same_from_cached_features(tmp_path, store):
    result = evaluate(PARAMS, "method", project(tmp_path, store))
    path = RunScores.path(tmp_path, "method")
    first = path.read_bytes()
    result.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == first
    assert RunScores.load(path).groups["seen"].clips == result.groups["seen"].clips
    evaluate(PARAMS, "method", tmp_path)
    assert path.read_bytes() == first
    assert len(list((tmp_path / ".cache" / "features").iterdir())) == 6  # real and fake are equal


def test_curves_by_frame_as_a_table(tmp_path, store):
    """Equal results, equal bytes; metrics of pairs of frames have no value at the first scored frame."""
    root = project(tmp_path, store, lambda frames: frames // 2)
    result, path = evaluate(PARAMS, "method", root), root / "metrics/frames/method.csv"
    with open(path, newline="") as file:
        rows = [row for row in csv.DictReader(file) if (row["group"], row["metric"]) == ("seen", "warp_error")]
    assert [int(row["frame"]) for row in rows] == list(range(4, 13))
    assert [float(row["value"]) for row in rows] == rounded(scored(result, "seen", "warp_error").curve)
    before = path.read_bytes()
    evaluate(PARAMS, "method", root)
    assert path.read_bytes() == before


def test_shuffled_frames_change_what_looks_at_time_and_nothing_else(tmp_path, store):
    noise = np.random.default_rng(0).integers(0, 30, (10, 32, 64, 3)).astype(np.uint8)
    order = np.random.default_rng(1).permutation(10)
    plain, shuffled = (
        evaluate(PARAMS, "method", project(tmp_path / name, store, change))
        for name, change in (
            ("plain", lambda frames: frames // 2 + noise),
            ("shuffled", lambda frames: (frames // 2 + noise)[order]),
        )
    )
    for group in ("seen", "unseen"):
        for label in ("fed_frames", "ked_frames"):
            assert scored(plain, group, label) == scored(shuffled, group, label)  # to the last bit, replicates too
        for label in ("fed_windows", "warp_error", "motion_ratio"):
            assert scored(shuffled, group, label).value > 1.1 * scored(plain, group, label).value
        sharpness = [scored(result, group, "sharpness_ratio").value for result in (plain, shuffled)]
        assert sharpness[0] == pytest.approx(sharpness[1], rel=1e-12)


def test_frozen_video(tmp_path, store):
    result = evaluate(PARAMS, "method", project(tmp_path, store, lambda frames: frames[:1].repeat(10, 0)))
    for group in ("seen", "unseen"):
        assert scored(result, group, "motion_ratio").value == 0
        assert scored(result, group, "fed_windows").value > 0


OTHER = sliding_clip(0, 12)["real"]


def instead(id="slide-5", split="seen", frames=OTHER, **about):
    """A project whose run has another clip in the place of slide-5."""
    clip = {"id": id, "split": split, "given": 2} | about
    return {"keep": lambda clip: clip != "slide-5", "extra": [(clip, {"fake": frames})]}


@pytest.mark.parametrize(
    "how, says",
    [
        ({"keep": lambda clip: clip != "slide-5"}, "clip slide-5 is missing"),
        (instead("more"), "clip more is no test clip"),
        (instead(frames=OTHER[:9]), "clip slide-5 has n_frames 9, where sliding.zip has 12"),
        (instead(split="unseen"), "clip slide-5 has split unseen, where sliding.zip has seen"),
        (instead(real_sha256="0"), "clip slide-5 was made from another"),
        ({"given": 3}, "start with 3 real frames"),
        ({"extra": [({"id": "slide-5@1", "split": "seen", "given": 2}, {"fake": OTHER})]}, "clip slide-4@1 is missing"),
        (
            {"extra": [({"id": "slide-5@first", "split": "seen", "given": 2}, {"fake": OTHER})]},
            "clip slide-5@first is no test clip",
        ),
    ],
)
def test_clips_that_do_not_fit_are_named(tmp_path, store, how, says):
    with pytest.raises(Fault, match=says):
        evaluate(PARAMS, "method", project(tmp_path, store, **how))
    assert not (tmp_path / "metrics").exists()


def test_other_size(tmp_path, store):
    root, ids = project(tmp_path, store), store.split("seen") + store.split("unseen")
    write_store(
        root / "runs" / "method" / "clips.zip",
        facts(size=(16, 64)),
        (({"id": clip, "split": store.clips[clip]["split"], "given": 2}, {"fake": OTHER[:, :16]}) for clip in ids),
    )
    with pytest.raises(Fault, match=r"frames of \(16, 64\) px, where sliding.zip has \(32, 64\)"):
        evaluate(PARAMS, "method", root)


def test_an_altered_store_is_refused(tmp_path, store):
    path = project(tmp_path, store) / "runs" / "method" / "clips.zip"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(Fault, match="clips.zip: clip slide-"):
        evaluate(PARAMS, "method", tmp_path)


def test_clips_of_one_cluster_are_left_out_together(tmp_path, store):
    """Sets without each cluster are sets of the other clusters' clips, and no row is paired with one of its cluster."""
    ids = store.split("seen") + store.split("unseen")
    together = replace(store.facts, groups={"all": "all"})
    clusters = ["y", "x", "y", "x", "z", "y"]
    write_store(
        tmp_path / "all.zip",
        together,
        (({"id": key, "split": "all", "cluster": cluster}, store.read(key)) for key, cluster in zip(ids, clusters)),
    )
    change = {
        key: np.random.default_rng(i).integers(0, 40, (10, 32, 64, 3)).astype(np.uint8) for i, key in enumerate(ids)
    }
    noisy = iter(ids)
    result = evaluate(
        PARAMS,
        "method",
        project(tmp_path / "p", Store(tmp_path / "all.zip"), lambda frames: frames // 2 + change[next(noisy)]),
    )
    group = result.groups["all"]
    assert group.clusters == clusters
    assert len(group.scores["psnr"].fake.per_clip) == 6
    fed, ked = group.scores["fed_frames"], group.scores["ked_frames"]
    assert len(fed.fake.leave_one_out) == len(ked.fake.leave_one_out) == 3
    assert (fed.size.n_clusters, fed.size.n_clips) == (3, 6)
    rest = [key for key, cluster in zip(ids, clusters) if cluster != "y"]  # y comes first: what is left without it
    write_store(
        tmp_path / "rest.zip",
        together,
        (({"id": key, "split": "all", "cluster": clusters[ids.index(key)]}, store.read(key)) for key in rest),
    )
    noisy = iter(rest)
    without = (
        evaluate(
            PARAMS,
            "method",
            project(tmp_path / "q", Store(tmp_path / "rest.zip"), lambda frames: frames // 2 + change[next(noisy)]),
        )
        .groups["all"]
        .scores
    )
    assert fed.fake.leave_one_out[0] == pytest.approx(without["fed_frames"].value, rel=1e-9)
    assert ked.fake.leave_one_out[0] == pytest.approx(without["ked_frames"].value, rel=1e-9)


def test_every_training_seed_is_scored(tmp_path, store):
    """Clips of further seeds are scored as the first's; the run's own numbers stay those of its first seed."""

    def of_seed(seed, level):
        for group in store.facts.groups:
            for clip in store.split(group):
                frames = store.read(clip, arrays=["real"])["real"]
                yield (
                    {
                        "id": f"{clip}@{seed}",
                        "split": group,
                        "given": 2,
                        "seed": seed,
                        "real_sha256": store.clips[clip]["sha256"],
                    },
                    {"fake": np.concatenate([frames[:2], frames[2:] // level])},
                )

    alone = evaluate(PARAMS, "method", project(tmp_path / "alone", store, lambda frames: frames // 2))
    seeds = [*of_seed(7, 2), *of_seed(11, 4)]
    result = evaluate(PARAMS, "method", project(tmp_path / "seeds", store, lambda frames: frames // 2, extra=seeds))
    for name, group in result.groups.items():
        assert group.scores == alone.groups[name].scores
        assert alone.groups[name].seeds == {}
        assert list(group.seeds) == ["7", "11"]
        assert group.seeds["7"] == {label: score.fake for label, score in group.scores.items()}
        assert group.seeds["11"]["psnr"].value < group.scores["psnr"].value


def test_drift_is_of_the_halves(tmp_path, store):
    def later(frames):
        return np.concatenate([frames[:5], frames[5:] // 2])

    psnr = scored(evaluate(PARAMS, "method", project(tmp_path, store, later)), "seen", "psnr")
    assert len(psnr.drift) == 3
    assert psnr.drift[0] == pytest.approx(2 * (psnr.fake.per_clip[0] - 100))  # the first half is exact: 100 dB


def test_clips_too_short(tmp_path, store):
    root, long = project(tmp_path, store), LITE0 | {"windows": {"n_frames": 11, "stride": 2, "change_weight": 4}}
    with pytest.raises(Fault, match="clip slide-4 has 12 frames.*it takes 13"):
        evaluate(replace(PARAMS, protocol=replace(PARAMS.protocol, skip_frames=11)), "method", root)
    with pytest.raises(Fault, match="clip slide-4 of method: 10 frames are fewer than a window of 11"):
        evaluate(replace(PARAMS, features=FEATURES | {"windows": long}), "method", root)


def lone(folder, clip):
    """A store of one clip."""
    write_store(folder / "one.zip", facts(groups={"last": "the end"}), [({"id": "only", "split": "last"}, clip)])
    return Store(folder / "one.zip")


def test_one_clip(tmp_path):
    root = project(tmp_path, lone(tmp_path, sliding_clip(3, 12)), lambda frames: frames // 2)
    scores = evaluate(PARAMS, "method", root).groups["last"].scores
    assert scores["ked_frames"].value is None
    assert "takes 2 rows of 2 clusters" in scores["ked_frames"].note
    assert scores["fed_frames"].value > 0
    assert scores["fed_frames"].fake.leave_one_out == []
    assert len(scores["psnr"].fake.per_clip) == 1


def test_no_finite_value_names_metric_and_clip(tmp_path):
    still = sliding_clip(1, 12)
    still["real"][:] = still["real"][:1]
    with pytest.raises(Fault, match="metrics.motion_ratio: clip only of method: .* as value 0 of 9"):
        evaluate(PARAMS, "method", project(tmp_path, lone(tmp_path, still)))


def test_score_clip(store):
    clip = to_tensors(store.read("slide-4"))
    scores = score_clip(clip | {"fake": clip["real"]}, PARAMS.metrics)
    assert set(scores) == {"psnr", "ssim", "warp_error", "sharpness_ratio", "motion_ratio"}
    assert all(isinstance(values, torch.Tensor) and len(values) in (11, 12) for values in scores.values())
    with pytest.raises(Fault, match="metrics.warp_error: slide-4 has no flow and no occluded"):
        score_clip({"fake": clip["real"], "real": clip["real"]}, PARAMS.metrics, "slide-4")


@pytest.mark.parametrize(
    "line, says",
    [
        ({"metric": "psnrr"}, "metrics.psnr: no metric 'psnrr'"),
        ({"cap_db": 100}, "metrics.psnr: missing data_range"),
        (
            {"metric": "frechet", "features": "frame", "divisor": "n"},
            "metrics.psnr.features: no 'frame'; there are frames, windows",
        ),
        ({"data_range": 2, "cap_db": 100, "judge": "reader"}, "metrics.psnr: takes no judge"),
        ({"on": "x"}, "on: 'x' is not a list"),
        ({"metric": "segmentation"}, "metrics.psnr: missing judge"),
        ([], "expected a mapping"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, store, line, says):
    with pytest.raises(Fault, match=says):
        evaluate(replace(PARAMS, metrics={"psnr": line}), "method", project(tmp_path, store))


def test_absent_weights_leave_a_column_empty_and_the_others_as_they_were(tmp_path, store, monkeypatch):
    monkeypatch.setattr("v2vbench.download.weights.find", lambda name: None)
    more = {"fid": {"metric": "frechet", "features": "inception", "divisor": "n-1"}, "lpips": {"backbone": "alex"}}
    root = project(tmp_path, store, lambda frames: frames // 2)
    alone = evaluate(PARAMS, "method", root)
    beside = evaluate(replace(PARAMS, metrics=more | METRICS), "method", root)
    for group in ("seen", "unseen"):
        assert {label: scored(beside, group, label) for label in METRICS} == alone.groups[group].scores
        assert scored(beside, group, "fid").fake is scored(beside, group, "lpips").fake is None
    assert beside.metrics["fid"].absent.startswith("weights absent: inception2015 (")
    assert "alexnet" in beside.metrics["lpips"].absent
    assert beside.metrics["fid"].protocol.startswith("fid-inception2015/1:")


def test_a_metric_for_other_data_sets_is_left_out(tmp_path, store):
    result = evaluate(
        replace(PARAMS, metrics=METRICS | {"ssim": METRICS["ssim"] | {"on": ["other"]}}),
        "method",
        project(tmp_path, store),
    )
    assert set(result.groups["seen"].scores) == METRICS.keys() - {"ssim"}


def test_a_scorer_takes_frames_that_are_in_no_store(tmp_path, store):
    project(tmp_path, store)
    scorer, clip = Scorer.of_project(PARAMS, "sliding", tmp_path), store.split("seen")[0]
    arrays = scorer.read(clip)
    assert {name: len(array) for name, array in arrays.items()} == {"real": 10, "flow": 9, "occluded": 9}
    scores = scorer.score(arrays | {"fake": arrays["real"] // 2}, "half", real=False, keep=False)
    assert len(scores.fake["psnr"]) == 10
    assert scores.real == scores.floor == {}
    assert scores.fake_rows.keys() == scores.real_rows.keys() == {"frames", "windows"}
    assert len(list((tmp_path / ".cache" / "features").iterdir())) == 1  # of the real frames alone
    with pytest.raises(Fault, match="short: frames are"):
        scorer.score(arrays | {"fake": arrays["real"][:-1]}, "short")


class ReadsRed(torch.nn.Module):
    """A judge for whom the red of a pixel is its label, and that knows 3."""

    n_labels, prior = 3, torch.zeros(32, 64, dtype=torch.uint8)

    def predict(self, frames):
        return ((frames[:, 0] + 1) * 127.5).round().long() // 85


def test_a_pooled_metric_has_one_score_a_set_and_leaves_out_clusters(tmp_path, store, monkeypatch):
    from sklearn.metrics import jaccard_score

    root = project(tmp_path, store, lambda frames: frames // 2)
    judge = params.TrainedModel(
        title="reader", dataset="sliding", model="segmenter", schedule="none", base="none", kwargs={}
    )
    settings = replace(
        PARAMS, judges={"reader": judge}, metrics={"psnr": METRICS["psnr"], "segmentation": {"judge": "reader"}}
    )
    monkeypatch.setattr("v2vbench.stages._scorer.trained_model", lambda *given: ReadsRed())
    (root / settings.folder("reader")).mkdir(parents=True)
    (root / settings.folder("reader") / "model.safetensors").write_bytes(b"red")
    ids = store.split("seen")
    monkeypatch.setattr(Scorer, "clusters", lambda self, group: ["map a", "map b", "map a"])
    result = evaluate(settings, "method", root)
    segmentation = scored(result, "seen", "segmentation")
    arrays = {clip: store.read(clip, 2, 12, ["real", "label"]) for clip in ids}

    def theirs(read, kept):
        true = np.concatenate([arrays[clip]["label"].ravel() for clip in kept])
        return jaccard_score(
            true,
            np.concatenate([read(arrays[clip]["real"][..., 0].ravel()) for clip in kept]),
            labels=np.unique(true),
            average="macro",
        )

    assert result.metrics["segmentation"].kind == "pooled"
    assert result.metrics["segmentation"].protocol.startswith("segmentation/2:reader@")
    assert len(segmentation.curve) == 10
    for score, read in (
        (segmentation.fake, lambda red: red // 2 // 85),
        (segmentation.real, lambda red: red // 85),
        (segmentation.floor, lambda red: 0 * red),
    ):
        without = [theirs(read, ids[1:2]), theirs(read, [ids[0], ids[2]])]
        assert score.value == pytest.approx(theirs(read, ids), abs=1e-9)
        assert score.leave_one_out == pytest.approx(without, abs=1e-9)
        assert score.per_clip is None
