"""Predictors see nothing after n_past; what is scored is what was predicted, by frames ahead, against raw stores."""

import csv
import itertools
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import facts
from sklearn.metrics import jaccard_score
from test_contracts import kwargs_of_models
from test_mcnet import KWARGS as MCNET
from test_prednet import KWARGS as PREDNET
from test_simvp import TINY as SIMVP
from test_svg_lp import TINY as SVG_LP
from test_train import few, project
from test_vid2vid_labels import KWARGS as VID2VID_LABELS

import v2vbench
from v2vbench import params
from v2vbench.clips.store import Store
from v2vbench.clips.tensors import to_tensors
from v2vbench.clips.windows import Windows
from v2vbench.extractors import resolve_all
from v2vbench.extractors._rows import Rows
from v2vbench.files import rounded
from v2vbench.metrics import kernel
from v2vbench.models import Predictor
from v2vbench.params import Fault, Future, TrainedModel
from v2vbench.results.future import FutureScores
from v2vbench.stages import _predict, _trainer, future, train
from v2vbench.stages._weights import trained_model
from v2vbench.stages.calibrate import calibrate

ROOT = Path(__file__).parents[1]
TINY = params.load(ROOT / "tests/tiny.yaml")
MILD = {"blur": [1], "noise": [4], "warp_space_time": [1]}  # the least that a calibration takes
N_PAST, N_FUTURE, N_SAMPLES = 4, 5, 3
LINE = Future(
    video="x",
    n_past=N_PAST,
    n_future=N_FUTURE,
    n_samples=N_SAMPLES,
    seed=0,
    primary=["psnr", "track_error", "ked_windows"],
)
KWARGS = kwargs_of_models() | {
    "copy_last": {},
    "flow_extrapolation": {},
    "true_labels": {},
    "forecast": dict(n_filters=4, n_down=1, n_blocks=1, n_seen=2, flow_scale=5.0, w_flow=0.1),
    "vid2vid_labels": VID2VID_LABELS,
    "prednet": PREDNET,
    "mcnet": MCNET,
    "simvp": SIMVP,
    "svg_lp": SVG_LP,
}
FILES = [path.stem for path in sorted((Path(v2vbench.__file__).parent / "models").glob("[!_]*.py"))]
PREDICTORS = [name for name in FILES if issubclass(v2vbench.find("models", name).Model, Predictor)]


def build(name):
    torch.manual_seed(0)
    return params.bind(v2vbench.find("models", name).Model, KWARGS[name], name, facts=facts())


def predictor(model, schedule="none"):
    return TrainedModel(
        title=model, dataset="sliding", model=model, schedule=schedule, base="none", kwargs=KWARGS[model]
    )


@pytest.fixture(scope="module")
def root(store_path, tmp_path_factory):
    """A project in which every predictor's weights are there, and the stage has run."""
    folder = tmp_path_factory.mktemp("future")
    p = bound(store_path, folder)
    for key in ("x", *p.predictors):
        train.train(p, key, folder)
    calibrate(p, "sliding", folder)
    future.future(p, "sliding", folder)
    return folder


def bound(store_path, folder, **changes):
    p = project(store_path, folder, steps=0, n_warmup=0)
    lines = TINY.metrics
    return replace(
        p,
        datasets={"sliding": {}},
        metrics={label: lines[label] for label in ("psnr", "track_error", "warp_error", "flow_error", "ked_windows")},
        features={"windows": TINY.features["windows"]},
        calibration=TINY.calibration | {"ladders": MILD, "controls": {"frozen": {}}, "equivalents": ["blur"]},
        preference=TINY.preference,
        schedules=p.schedules | {"none": p.schedules["few"]},
        predictors={name: predictor(name) for name in PREDICTORS},
        futures={"sliding": replace(LINE, **changes)},
    )


@pytest.fixture(scope="module")
def result(root):
    return FutureScores.load(FutureScores.path(root, "sliding"))


@pytest.fixture(scope="module")
def real(store_path):
    store = Store(store_path)
    return {clip: store.read(clip, arrays=["real", "label"]) for clip in store.clips}


def predictions(root, key, array="fake"):
    store = Store(root / "futures" / "sliding" / f"{key}.zip")
    return {clip: store.read(clip, arrays=[array])[array] for clip in store.clips}


def psnr(a, b):
    """Of 8-bit frames, a value a frame."""
    error = ((a / 255 - b / 255) ** 2).mean((1, 2, 3))
    return np.minimum(-10 * np.log10(np.maximum(error, 1e-20)), 100)


@pytest.fixture(scope="module")
def video(store_path, tmp_path_factory):
    """The run that makes frames from labels, untrained."""
    folder = tmp_path_factory.mktemp("video")
    p = bound(store_path, folder)
    train.train(p, "x", folder)
    return trained_model(p, "x", folder, Store(store_path).facts)


@pytest.mark.parametrize("name", PREDICTORS)
def test_nothing_later_is_seen(video, store, name):
    """Other frames, labels and flow after n_past change no bit of a prediction; a ceiling is given them."""
    arrays = to_tensors(store.read("slide-4"))
    clip = {array: value[None].contiguous() for array, value in arrays.items()}  # of the same layout as `changed`
    other = {array: value.flip(-1) for array, value in clip.items()}
    n = N_PAST + N_FUTURE
    changed = {}
    for array, value in clip.items():
        first = N_PAST - (array in ("flow", "occluded"))
        changed[array] = torch.cat([value[:, :first], other[array][:, first:]], 1)
    model = build(name)

    def predicted(of):
        noise = torch.Generator().manual_seed(3)
        return _predict.predicted(model, video, of, N_PAST, N_FUTURE, noise, [2])

    (frames, labels), (same, same_labels) = predicted(clip), predicted(changed)
    assert frames.shape == (n, 3, 32, 64) and frames.abs().max() <= 1
    assert torch.equal(frames[:N_PAST], clip["real"][0, :N_PAST])
    assert torch.equal(frames, same) is not model.CEILING
    assert (labels is None) is (model.PREDICTS == "frames")
    if labels is not None:
        assert labels.shape == (n, 32, 64) and torch.equal(labels[:N_PAST], clip["source"][0, :N_PAST])
        assert torch.equal(labels, same_labels) is not model.CEILING


@pytest.mark.parametrize("name", PREDICTORS)
def test_a_prediction_depends_on_the_draws_where_it_says_so(store_path, name):
    clip = {array: value[None] for array, value in to_tensors(Store(store_path).read("slide-4")).items()}
    model = build(name)
    n = N_PAST + 3 * model.CEILING
    seen = {array: clip[array][:, :n] for array in model.SEES}
    a, b, c = (model.predict(seen, 3, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(a, b)
    assert torch.equal(a, c) is not model.STOCHASTIC


def test_what_is_written(root, result):
    assert set(result.entries) == {*PREDICTORS, "svg_lp:best", "svg_lp:mean"}
    assert (result.n_past, result.n_future, result.fps, result.video) == (N_PAST, N_FUTURE, 10.0, "x")
    kinds = {key: (one.sampling, one.n_samples) for key, one in result.entries.items()}
    assert kinds["svg_lp"] == ("one sample", 1) and kinds["prednet"] == ("deterministic", 1)
    assert kinds["svg_lp:best"] == ("best of n", N_SAMPLES) and kinds["svg_lp:mean"] == ("mean of n", N_SAMPLES)
    assert [key for key, one in result.entries.items() if one.ceiling] == ["true_labels"]
    for key in PREDICTORS:
        made = Store(root / "futures" / "sliding" / f"{key}.zip")
        assert {clip["given"] for clip in made.clips.values()} == {N_PAST}
        assert {clip["n_frames"] for clip in made.clips.values()} == {N_PAST + N_FUTURE}
        assert len(made.clips) == 6 * (N_SAMPLES if key == "svg_lp" else 1)
    table = result.groups["seen"].table
    assert table.reference == PREDICTORS[0] and set(table.controls) == {"true_labels"}
    assert set(table.metrics["psnr"].rows) == set(PREDICTORS) - {"svg_lp", "true_labels"}


def test_scores_are_those_of_the_files(root, result, real):
    """PSNR of every clip, step and predictor, from the 8-bit frames of both stores."""
    for key in set(PREDICTORS) - {"svg_lp"}:
        fakes = predictions(root, key)
        for group in result.groups.values():
            for clip, values in zip(group.table.clips, group.curves["psnr"][key].per_clip):
                truth = real[clip]["real"][N_PAST : N_PAST + N_FUTURE]
                assert np.array_equal(fakes[clip][:N_PAST], real[clip]["real"][:N_PAST])
                assert values == pytest.approx(psnr(fakes[clip][N_PAST:], truth), rel=1e-5)


def test_copy_last_scores_as_the_last_frame_held(result, real):
    clips, own = result.groups["seen"].table.clips, result.groups["seen"].curves["psnr"]["copy_last"]
    held = [
        psnr(np.repeat(real[clip]["real"][N_PAST - 1 : N_PAST], N_FUTURE, 0), real[clip]["real"][N_PAST:][:N_FUTURE])
        for clip in clips
    ]
    assert own.per_clip == [pytest.approx(values, rel=1e-5) for values in held]
    assert own.curve == pytest.approx(np.mean(held, 0), rel=1e-5)


def test_samples_are_looked_at_in_three_ways(root, result, real):
    fakes, group = predictions(root, "svg_lp"), result.groups["unseen"]
    for i, clip in enumerate(group.table.clips):
        truth = real[clip]["real"][N_PAST:][:N_FUTURE]
        names = [clip, *(f"{clip}@{sample}" for sample in range(1, N_SAMPLES))]
        values = np.stack([psnr(fakes[name][N_PAST:], truth) for name in names])  # (samples, steps)
        assert len({fakes[name][N_PAST:].tobytes() for name in names}) == N_SAMPLES
        best = values[values.mean(1).argmax()]
        curves = {key: group.curves["psnr"][key].per_clip[i] for key in ("svg_lp", "svg_lp:best", "svg_lp:mean")}
        assert curves["svg_lp"] == pytest.approx(values[0], rel=1e-5)
        assert curves["svg_lp:best"] == pytest.approx(best, rel=1e-5)
        assert curves["svg_lp:mean"] == pytest.approx(values.mean(0), rel=1e-5)
    over_all = group.samples["svg_lp:mean"]["psnr"].value
    assert over_all == pytest.approx(np.mean(group.curves["psnr"]["svg_lp:mean"].per_clip), rel=1e-6)
    assert "svg_lp" not in group.table.metrics["psnr"].rows


def test_samples_are_the_same_whatever_other_clips_there_are():
    assert _predict._seed(0, "a", 1) == _predict._seed(0, "a", 1)
    assert len({_predict._seed(seed, clip, i) for seed in (0, 1) for clip in ("a", "b") for i in (0, 1)}) == 8


def jackknife(value):
    """The estimate freed of its first-order bias, of 3 clusters of one clip; `value` of a list of clips."""
    without = [value([j for j in range(3) if j != i]) for i in range(3)]
    return 3 * value([0, 1, 2]) - 2 * np.mean(without)


def test_labels_of_stage_one_by_step(root, result, real):
    """Mean IoU over all clips' pixels by scikit-learn, of predicted labels and of the last past labels, held."""
    group = result.groups["seen"]
    made = {key: predictions(root, key, "label") for key in ("forecast", "vid2vid_labels")}
    made["copy_last"] = {
        clip: np.repeat(real[clip]["label"][N_PAST - 1 : N_PAST], N_PAST + N_FUTURE, 0) for clip in group.table.clips
    }
    assert set(group.curves["label_miou"]) == made.keys()
    for key, step in itertools.product(made, range(N_FUTURE)):

        def miou(some, key=key, t=N_PAST + step):
            clips = [group.table.clips[i] for i in some]
            true, seen = (
                np.stack([source[t] for source in sources]).ravel()
                for sources in ([real[clip]["label"] for clip in clips], [made[key][clip] for clip in clips])
            )
            return jaccard_score(true, seen, labels=np.unique(true), average="macro", zero_division=0)

        assert group.curves["label_miou"][key].curve[step] == pytest.approx(jackknife(miou), abs=1e-7)


def test_distances_of_sets_say_whether_the_past_is_in_them(root, result, store_path):
    """KED of the rows of all clips, extracted here from the files."""
    group, store = result.groups["seen"], Store(store_path)
    kinds = [kind for label, kind in resolve_all(bound(store_path, root)).items() if label == "windows"]
    rows, fakes = Rows(kinds, None), predictions(root, "prednet")
    for label, first in (("ked_windows", N_PAST), ("ked_windows+past", 0)):
        sides = [
            (
                rows.of(fakes[clip][first:])["windows"],
                rows.of(store.read(clip, first, N_PAST + N_FUTURE, ["real"])["real"])["windows"],
            )
            for clip in group.table.clips
        ]

        def distance(some, sides=sides):
            fake, real = (np.concatenate([sides[i][side] for i in some]).astype(float) for side in (0, 1))
            owner = np.repeat(some, [len(sides[i][0]) for i in some])
            return kernel.compute(fake, real, owner, features="windows", pairs="other-clusters")

        scored = group.table.metrics[label].rows["prednet"].value
        assert scored == pytest.approx(jackknife(distance), rel=1e-6)
    ids = {label: result.metrics[label].protocol for label in ("ked_windows", "ked_windows+past", "psnr")}
    assert ids["ked_windows"].endswith(":4-seen:5-ahead:10fps:future-only")
    assert ids["ked_windows+past"].endswith(":4-seen:5-ahead:10fps:past-and-future")
    assert ids["psnr"].endswith(":4-seen:5-ahead:10fps")


def test_equal_results_are_equal_bytes(root, store_path, result):
    paths = [FutureScores.path(root, "sliding"), root / "metrics/horizon/sliding.csv"]
    paths += sorted((root / "futures/sliding").iterdir())
    before = [path.read_bytes() for path in paths]
    for kept in (root / ".cache/futures").iterdir():
        kept.unlink()
    future.future(bound(store_path, root), "sliding", root)
    assert [path.read_bytes() for path in paths] == before
    assert result.groups == FutureScores.load(paths[0]).groups


def test_what_was_predicted_is_not_predicted_again(root, store_path, tmp_path, monkeypatch):
    """Not for other metrics or fewer predictors; but for another length, and after other weights."""
    root = shutil.copytree(root, tmp_path / "copy")
    again = []
    predict = _predict._predict
    monkeypatch.setattr(_predict, "_predict", lambda task, key, path: (again.append(key), predict(task, key, path)))
    p = bound(store_path, root)
    fewer = {key: line for key, line in p.predictors.items() if key in ("copy_last", "prednet")}
    future.future(replace(p, metrics={"psnr": p.metrics["psnr"]}, predictors=fewer), "sliding", root)
    assert again == [] and {path.stem for path in (root / "futures/sliding").iterdir()} == set(fewer)
    future.future(replace(bound(store_path, root, n_future=4), predictors=fewer), "sliding", root)
    assert again == ["copy_last", "prednet"]
    weights = root / "predictors/prednet/model.safetensors"
    before = weights.read_bytes()
    train.train(replace(p, schedules=p.schedules | {"none": replace(p.schedules["none"], seed=5)}), "prednet", root)
    assert weights.read_bytes() != before
    future.future(replace(p, predictors=fewer), "sliding", root)
    assert again == ["copy_last", "prednet", "prednet"]


def test_the_table_of_horizons(root, result):
    with open(root / "metrics/horizon/sliding.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["steps_ahead", "group", "metric", "method", "value", "low", "high"]
    curve = result.groups["seen"].curves["track_error"]["prednet"]
    some = [row for row in rows if (row["group"], row["metric"], row["method"]) == ("seen", "track_error", "prednet")]
    assert [int(row["steps_ahead"]) for row in some] == list(range(1, N_FUTURE + 1))
    assert [float(row["value"]) for row in some] == rounded(curve.curve)
    assert [float(row["low"]) for row in some] == rounded(curve.low)


def test_models_and_clips_are_on_the_gpu_and_files_on_the_cpu(root, store_path, monkeypatch):
    gpu, moved, generator = torch.device("meta"), [], torch.Generator

    def predicted(model, video, clip, n_past, n_future, noise, things):
        moved.append({value.device for value in clip.values()})
        moved.append({value.device for one in (model, video) if one for value in one.state_dict().values()} or {gpu})
        return torch.zeros(n_past + n_future, 3, 32, 64), None

    monkeypatch.setattr(_predict, "default_device", lambda: gpu)
    monkeypatch.setattr(_predict.torch, "Generator", lambda device: generator("cpu"))
    monkeypatch.setattr(_predict, "predicted", predicted)
    p = bound(store_path, root)
    task = _predict.Task(p, "sliding", p.futures["sliding"], Store(store_path), root)
    _predict._predict(task, "prednet", root / "gpu.zip")
    assert moved == [{gpu}, {gpu}] * 6  # of 3 clips of two groups


@pytest.mark.parametrize(
    "changes, says",
    [
        (dict(n_future=9), "n_future: clip slide-4 has 12 frames, fewer than n_past [+] n_future = 13"),
        (dict(video="none"), "runs/none/model.safetensors: no such weights"),
    ],
)
def test_faults_are_named(root, store_path, changes, says):
    with pytest.raises(Fault, match=says):
        future.future(bound(store_path, root, **changes), "sliding", root)


def test_missing_weights_are_named(root, store_path):
    p = bound(store_path, root)
    lost = replace(p, predictors=p.predictors | {"lost": predictor("prednet")})
    with pytest.raises(Fault, match="predictors/lost/model.safetensors: no such weights"):
        future.future(lost, "sliding", root)


def test_instances_of_predicted_labels_are_connected_regions():
    source = torch.tensor([[[[1, 1, 0, 1], [0, 0, 0, 1], [2, 0, 2, 0]]]])
    assert _predict.instances(source, [1, 2]).tolist() == [[[[1, 1, 0, 2], [0, 0, 0, 2], [3, 0, 4, 0]]]]


TRAINED = [name for name in PREDICTORS if build(name).parts()]


@pytest.mark.parametrize("name", TRAINED)
def test_resumed_training_equals_unbroken_training(store, tmp_path, name):
    """Weights, averages and optimisers after 4 steps, and after 2, a checkpoint, a new process's state, and 2 more."""
    schedule = few(steps=4, n_frames=5, n_warmup=0, batch_size=2, ema=0.9)
    windows = Windows(
        store, n_frames=5, n_warmup=0, batch_size=2, seed=1, double_every=0, drop_parts=0.0, arrays=build(name).READS
    )

    def trainer():
        torch.manual_seed(0)
        return _trainer.Trainer(build(name), schedule)

    straight = trainer()
    for step in range(4):
        straight.update(windows.batch(step))
    broken = trainer()
    for step in range(2):
        broken.update(windows.batch(step))
    torch.save(broken.state(), tmp_path / "checkpoint.pt")
    resumed = trainer()
    torch.manual_seed(77)  # whatever was drawn meanwhile
    resumed.load(tmp_path / "checkpoint.pt")
    for step in (2, 3):
        resumed.update(windows.batch(step))
    one, two = (side.module.state_dict() for side in (straight, resumed))
    assert one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)
    assert all(torch.equal(a, b) for a, b in zip(straight.average, resumed.average, strict=True))
    assert any(not torch.equal(value, build(name).state_dict()[key]) for key, value in one.items())
