"""Published weights: `v2vbench publish` writes them, and `base: published/<suite>/<run>` makes a run of them."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ruamel.yaml import YAML
from safetensors.torch import load, save
from tiny_project import one_thread

from v2vbench import params as parameters
from v2vbench.clips.store import Store
from v2vbench.params import Fault
from v2vbench.report.provenance import provenance
from v2vbench.results.runs import RunScores
from v2vbench.runner import check, digests, publish
from v2vbench.stages import _published
from v2vbench.stages._predict import Task, predict_all
from v2vbench.stages.data import data as write_data
from v2vbench.stages.evaluate import evaluate
from v2vbench.stages.synthesize import synthesize
from v2vbench.stages.train import train

ROOT = Path(__file__).parents[1]
LOG = {
    "started": "2026-01-01T00:00:00+00:00",
    "seconds": 1.5,
    "peak_memory_mb": 700,
    "device": "cpu",
    "host_cpu": "2 x made up",
    "python": "3.11.7",
    "torch": "2.15.0",
    "revision": "0123456789abcdef0123456789abcdef01234567",
    "lock_sha256": None,
}
PAGE = '<a href="notebooks/train-vid2vid.html">as executed</a> <a href="media/a-1.mp4">a video</a>'


@pytest.fixture(scope="module")
def finished(tiny_project, tmp_path_factory):
    """The tiny project with a report and logs, which only `dvc repro` writes: these are made up."""
    root = tmp_path_factory.mktemp("published") / "project"
    shutil.copytree(tiny_project, root, ignore=shutil.ignore_patterns("reports", ".cache"))
    for path, content in {
        "reports/index.html": PAGE,
        "reports/media/a-1.mp4": "video",
        "reports/notebooks/train-vid2vid.html": "a page",
        "logs/train-vid2vid.json": json.dumps(LOG | {"stage": "train", "key": "vid2vid"}),
        "logs/train-of_another_suite.json": json.dumps(LOG | {"stage": "train", "key": "of_another_suite"}),
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)
    publish.publish("tiny", parameters.load(root / "params.yaml"), root)
    return root


@pytest.fixture
def project(finished, tmp_path):
    """A copy of the finished project, in which a test may change files."""
    return shutil.copytree(finished, tmp_path / "project")


def with_predictor(root: Path, of: str = "forecast", **changes) -> None:
    """Add to params.yaml the predictor `again`: the published predictor `of`, without a step of training."""
    file = root / "params.yaml"
    content = YAML(typ="safe").load(file)
    line = content["predictors"]["forecast"] | {"title": "again", "schedule": "none", "base": f"published/tiny/{of}"}
    content["predictors"]["again"] = line | {"kwargs": "published"} | changes
    YAML().dump(content, file)


def with_run(root: Path, of: str = "vid2vid", **changes) -> None:
    """Add to params.yaml the run `again`: the published run `of`, without a step of training."""
    file = root / "params.yaml"
    content = YAML(typ="safe").load(file)
    line = content["runs"][of] | {"title": "again", "schedule": "none", "base": f"published/tiny/{of}"}
    content["runs"]["again"] = line | {"kwargs": "published"} | changes
    YAML().dump(content, file)


def rewritten(root: Path, change, of: str = "vid2vid") -> None:
    """Change (metadata, tensors) of published weights, and their sha256 in the manifest with them."""
    out = root / "results/tiny"
    path, manifest = out / f"weights/{of}.safetensors", out / "manifest.json"
    about, tensors = vars(_published.read_about(path.read_bytes(), "")), load(path.read_bytes())
    change(about, tensors)
    content = save(tensors, _published.metadata(_published.About(**about)))
    path.write_bytes(content)
    listed = json.loads(manifest.read_text())
    listed["files"][f"weights/{of}.safetensors"]["sha256"] = hashlib.sha256(content).hexdigest()
    manifest.write_text(json.dumps(listed))


def make(root: Path, key: str = "again", params: parameters.Params | None = None) -> None:
    """What `dvc repro synthesize@again` runs."""
    params = params or parameters.load(root / "params.yaml")
    digests.write_published_weights(params, root)
    with one_thread():
        train(params, key, root)
        synthesize(params, key, root)


def frames(root: Path, key: str) -> np.ndarray:
    """The generated frames of all clips of a run, 0 .. 255."""
    fakes = Store(root / "runs" / key / "clips.zip")
    return np.concatenate([fakes.read(clip)["fake"] for clip in fakes.clips]).astype(float)


def test_a_folder_has_figures_weights_and_report(finished):
    out = finished / "results/tiny"
    names = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert names == {
        "params.yaml",
        "compare.json",
        "runs/vid2vid.json",
        "runs/styled.json",
        "runs/copy_last.json",
        "calibrate/freedoom.json",
        "future/freedoom.json",
        "provenance.json",
        "weights/vid2vid.safetensors",
        "weights/styled.safetensors",
        "weights/forecast.safetensors",
        "report/index.html",
        "report/media/a-1.mp4",
        "manifest.json",
    }
    listed = json.loads((out / "manifest.json").read_text())["files"]
    assert listed.keys() == names - {"manifest.json"}
    assert all(listed[name]["bytes"] == (out / name).stat().st_size for name in listed)
    assert (out / "compare.json").read_bytes() == (finished / "metrics/compare.json").read_bytes()
    assert (out / "params.yaml").read_bytes() == (finished / "params.yaml").read_bytes()
    assert (out / "report/index.html").read_text() == 'as executed <a href="media/a-1.mp4">a video</a>'
    made = json.loads((out / "provenance.json").read_text())
    assert made["seconds"] == {"train-vid2vid": 1.5}
    assert made["revisions"] == [LOG["revision"]]
    assert made["data"]["freedoom"]["licence"] == "BSD-3-Clause"


def test_weights_are_those_that_synthesis_needs(finished):
    params = parameters.load(finished / "params.yaml")
    for run, folder in {"vid2vid": "runs", "forecast": "predictors", "styled": "runs"}.items():
        path = finished / folder / run / "model.safetensors"
        full = load(path.read_bytes())
        content = (finished / f"results/tiny/weights/{run}.safetensors").read_bytes()
        tensors, about = load(content), _published.read_about(content, run)
        assert tensors.keys() == {name for name in full if not name.startswith("D_")}
        assert len(content) < (0.7 if run == "forecast" else 0.6) * path.stat().st_size  # its few kB have a long header
        for name, tensor in tensors.items():
            mixture = name in ("source.means", "source.factors", "source.weights")
            assert tensor.dtype == (torch.float32 if mixture else torch.float16)
            assert torch.allclose(tensor.float(), full[name], rtol=0 if mixture else 2**-11, atol=3e-8)
        line = getattr(params, folder)[run]
        assert (about.suite, about.run, about.title, about.model) == ("tiny", run, line.title, line.model)
        assert about.kwargs == line.kwargs
        assert about.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        assert about.train_clusters == ["freedoom2:MAP01"]
        assert about.steps == 3
        assert about.licence == "Apache-2.0; trained on Freedoom, licence BSD-3-Clause"
    assert _published.read_about(content, "").revision is None  # styled left no log
    assert load(content)["source.weights"].any()


def test_float16_is_no_place_for_every_number():
    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("mean", torch.ones(2))

    weights = {"G.a": torch.tensor([1.0, 2.0]), "G.b": torch.tensor([1.0, 1e5]), "D_image.a": torch.ones(1)}
    tensors = publish.of_generator(Model(), weights | {"mean": torch.ones(2)})
    assert {name: value.dtype for name, value in tensors.items()} == {
        "G.a": torch.float16,
        "G.b": torch.float32,
        "mean": torch.float32,
    }


def test_the_report_says_what_was_published(project):
    with_run(project)
    params = parameters.load(project / "params.yaml")
    with pytest.raises(Fault, match="runs/published/tiny/vid2vid/model.safetensors: missing; `dvc repro` makes it"):
        provenance(params, project, [])
    digests.write_published_weights(params, project)
    (base,) = provenance(params, project, []).published
    assert (base.title, base.about.suite, base.about.run, base.about.steps) == ("again", "tiny", "vid2vid", 3)
    content = (project / "results/tiny/weights/vid2vid.safetensors").read_bytes()
    assert base.sha256 == hashlib.sha256(content).hexdigest()
    listed = digests.inputs(params)["report"]["report"]
    assert "runs/published/tiny/vid2vid/model.safetensors" in listed
    with_predictor(project, title="and again")
    params = parameters.load(project / "params.yaml")
    params = replace(params, predictors={"foreseen": params.predictors["again"]})
    with pytest.raises(Fault, match="predictors/published/tiny/forecast/model.safetensors: missing; `dvc repro` makes"):
        provenance(params, project, [])
    digests.write_published_weights(params, project)
    shown = {base.title: base for base in provenance(params, project, []).published}
    assert (shown["and again"].about.run, shown["and again"].about.model) == ("forecast", "forecast")
    assert shown.keys() == {"again", "and again"}


@pytest.mark.parametrize("of", ["vid2vid", "styled"])
def test_a_run_of_published_weights_makes_the_same_video(project, of):
    """Up to float16, to which a roll-out of untrained flow is sensitive; styles are not fitted again."""
    with_run(project, of)
    make(project)
    assert parameters.load(project / "params.yaml").runs["again"].kwargs["n_filters"] == 4
    difference = abs(frames(project, "again") - frames(project, of)).reshape(-1, 10, 32, 64, 3)
    assert difference[:, :3].mean() < 0.05  # the first frames that are generated
    assert difference.mean() < (3 if of == "vid2vid" else 0.2)
    assert abs(frames(project, "again") - frames(project, "copy_last")).mean() > 20
    weights, full = (load((project / f"runs/{run}/model.safetensors").read_bytes()) for run in ("again", of))
    assert weights.keys() == full.keys()
    if of == "styled":
        assert all(torch.equal(weights[name], full[name]) for name in full if name.startswith("source.means"))
    assert (project / "runs/again/curves.csv").read_text() == "step\n"


def test_a_run_can_train_on_from_published_weights(project):
    with_run(project, "styled", schedule="few")
    make(project)
    weights, full = (load((project / f"runs/{run}/model.safetensors").read_bytes()) for run in ("again", "styled"))
    assert weights.keys() == full.keys()
    assert max(float((weights[name] - full[name]).abs().max()) for name in full if name.startswith("G.")) > 1e-4


def test_a_predictor_of_published_weights_predicts_the_same(project):
    """Up to float16; its kwargs are those of the published line, and its base is no run's."""
    with_predictor(project)
    params = check.load_checked(project)
    assert params.predictors["again"].kwargs == params.predictors["forecast"].kwargs
    digests.write_published_weights(params, project)
    assert [path.name for path in (project / "runs/published").iterdir()] == []
    with one_thread():
        train(params, "again", project)
        weights, full = (
            load((project / f"predictors/{key}/model.safetensors").read_bytes()) for key in ("again", "forecast")
        )
        assert weights.keys() == full.keys()
        assert all(torch.allclose(weights[name], full[name], rtol=2**-11, atol=3e-8) for name in full)
        assert not all(torch.equal(weights[name], full[name]) for name in full)
        store = Store(project / "data/freedoom.zip")
        task = Task(params, "freedoom", params.futures["freedoom"], store, project)
        stores = predict_all(task)
    labels = {
        key: np.stack([own.read(clip)["label"][3:] for clip in task.clips])
        for key, own in stores.items()
        if key in ("again", "forecast")
    }
    assert (labels["again"] == labels["forecast"]).mean() > 0.99
    true = np.stack([store.read(clip)["label"][3:8] for clip in task.clips])
    assert (labels["forecast"] == true).mean() < 0.95  # which is no copy of what happened


def test_a_predictor_can_train_on_from_published_weights(project):
    with_predictor(project, schedule="ahead")
    params = parameters.load(project / "params.yaml")
    digests.write_published_weights(params, project)
    with one_thread():
        train(params, "again", project)
    weights, full = (
        load((project / f"predictors/{key}/model.safetensors").read_bytes()) for key in ("again", "forecast")
    )
    assert max(float((weights[name] - full[name]).abs().max()) for name in full) > 1e-4


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"base": "published/evening/forecast"},
            "predictors.again.base: no suite 'evening' in results; there are tiny",
        ),
        ({"base": "published/tiny/fore"}, "predictors.again.base: results/tiny: no 'fore'; there are vid2vid, styled"),
        ({"of": "true_labels", "kwargs": {}, "model": "true_labels"}, "again.base: no 'published/tiny/true_labels'"),
        ({"base": "forecast"}, "predictors.again.kwargs: published stands for the kwargs of a base published/"),
        (
            {"of": "vid2vid", "kwargs": "of forecast"},
            "predictors.again.base: published/tiny/vid2vid is a vid2vid, and forecast cannot start from it, without a",
        ),
        (
            {"of": "vid2vid", "kwargs": "of forecast", "schedule": "ahead"},
            "is a vid2vid, and forecast cannot start from",
        ),
        ({"seeds": [0]}, "predictors.again: unknown seeds"),
    ],
)
def test_check_names_the_predictor_that_is_wrong(project, changes, message):
    kwargs = parameters.load(project / "params.yaml").predictors["forecast"].kwargs
    if changes.get("kwargs") == "of forecast":
        changes = changes | {"kwargs": kwargs}
    with_predictor(project, **changes)
    with pytest.raises(Fault, match=message):
        check.load_checked(project)


def test_check_compares_what_a_predictor_has_written_out(project):
    kwargs = parameters.load(project / "params.yaml").predictors["forecast"].kwargs
    with_predictor(project, kwargs=kwargs | {"flow_scale": 4})
    with pytest.raises(Fault, match="predictors.again.kwargs.flow_scale: 4, but 5 in published/tiny/forecast; write"):
        check.load_checked(project)


def test_published_weights_of_a_predictor_know_their_data(project):
    """What they were trained on is held against the test clips when training begins."""
    store = Store(project / "data/freedoom.zip")
    leaked = store.clips[store.split("seen")[0]]
    with_predictor(project)
    rewritten(project, lambda about, tensors: about.update(train_clips=[leaked["sha256"]]), "forecast")
    params = parameters.load(project / "params.yaml")
    digests.write_published_weights(params, project)
    message = f"predictors.again.base: published/tiny/forecast was trained on {leaked['id']}, a test clip of freedoom"
    with pytest.raises(Fault, match=message):
        train(params, "again", project)
    assert not (project / "predictors/again").exists()


def test_published_again_is_the_same(project):
    """Byte for byte, and in place of what was there."""
    before = {path: path.read_bytes() for path in (project / "results/tiny").rglob("*") if path.is_file()}
    (project / "results/tiny/weights/old.safetensors").write_bytes(b"")
    publish.publish("tiny", parameters.load(project / "params.yaml"), project)
    assert before == {path: path.read_bytes() for path in (project / "results/tiny").rglob("*") if path.is_file()}


def test_some_runs_and_none_that_is_published_itself(project):
    with_run(project)
    shutil.copy(project / "metrics/runs/vid2vid.json", project / "metrics/runs/again.json")
    with_predictor(project, title="and again")
    params = parameters.load(project / "params.yaml")
    predictors = {"foreseen" if key == "again" else key: line for key, line in params.predictors.items()}
    params = replace(params, predictors=predictors)  # published itself, as the run is
    digests.write_published_weights(params, project)
    out = publish.publish("tiny", params, project)
    assert sorted(path.stem for path in (out / "weights").iterdir()) == ["forecast", "styled", "vid2vid"]
    publish.publish("tiny", params, project, ["styled"])
    assert [path.stem for path in (out / "weights").iterdir()] == ["styled"]
    publish.publish("tiny", params, project, ["forecast"])
    assert [path.stem for path in (out / "weights").iterdir()] == ["forecast"]
    for run, message in {
        "again": "publish: --runs: no 'again'; there are vid2vid, styled",
        "copy_last": "publish: --runs: copy_last has no weights",
        "true_labels": "publish: --runs: true_labels has no weights",
        "foreseen": "publish: --runs: no 'foreseen'; there are vid2vid, styled",
    }.items():
        with pytest.raises(Fault, match=message):
            publish.publish("tiny", params, project, [run])


@pytest.mark.parametrize(
    "suite, missing, message",
    [
        ("mini", None, "publish: params.yaml is the suite tiny, not mini; `v2vbench use mini` first"),
        ("../tiny", None, "publish: '../tiny' is not made of a-z"),
        ("tiny", "metrics/future/freedoom.json", "metrics/future/freedoom.json: missing; `make repro` makes it"),
        (
            "tiny",
            "predictors/forecast/model.safetensors",
            "predictors/forecast/model.safetensors: missing; `make repro`",
        ),
        ("tiny", "metrics/runs/styled.json", "metrics/runs/styled.json: missing; `make repro` makes it"),
        ("tiny", "runs/vid2vid/model.safetensors", "model.safetensors: missing; `make repro` makes it"),
        ("tiny", "reports/index.html", "reports/index.html: missing; `make repro` makes it"),
        ("tiny", "logs/train-vid2vid.json", "publish: logs/ holds no log of a stage of params.yaml"),
        ("tiny", "data/freedoom.zip", "data/freedoom.zip: no such clip store"),
    ],
)
def test_what_has_not_run_is_not_published(project, suite, missing, message):
    before = (project / "results/tiny/manifest.json").read_bytes()
    if missing:
        (project / missing).unlink()
    with pytest.raises(Fault, match=message):
        publish.publish(suite, parameters.load(project / "params.yaml"), project)
    assert [path.name for path in (project / "results").iterdir()] == ["tiny"]
    assert (project / "results/tiny/manifest.json").read_bytes() == before


def test_git_is_no_place_for_large_files(project, monkeypatch):
    params = parameters.load(project / "params.yaml")
    monkeypatch.setattr(publish, "WEIGHTS_MB", 0.01)
    with pytest.raises(Fault, match=r"the weights have 0\.\d MB, and 0.01 are .*; name runs by --runs \(vid2vid 0"):
        publish.publish("tiny", params, project)
    (project / "reports/media/long.mp4").write_bytes(bytes(26_000_000))
    with pytest.raises(Fault, match=r"media have 26\.0 MB, and 25 are published at most; lower report.players"):
        publish.publish("tiny", params, project)
    assert (project / "results/tiny/weights/vid2vid.safetensors").is_file()


def damage(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content if how == "altered" else content[:-10])


@pytest.mark.parametrize("how", ["altered", "truncated"])
def test_damaged_weights_are_refused(project, how):
    with_run(project)
    damage(project / "results/tiny/weights/vid2vid.safetensors", how)
    message = "results/tiny/weights/vid2vid.safetensors: .* as in manifest.json; it is damaged: `git checkout` it"
    with pytest.raises(Fault, match=message):
        check.load_checked(project)
    with pytest.raises(Fault, match=message):
        digests.write_published_weights(parameters.load(project / "params.yaml"), project)


def other_shape(about, tensors):
    name = next(name for name in tensors if tensors[name].ndim == 4)
    tensors[name] = tensors[name][:, :1].contiguous()


@pytest.mark.parametrize(
    "change, message",
    [
        (other_shape, r"runs/published/tiny/vid2vid/model.safetensors: does not fit: .*size mismatch"),
        (lambda about, tensors: tensors.pop(min(tensors)), r"model.safetensors: does not fit: G\.0.* is missing"),
        (
            lambda about, tensors: about.update(label_names=["wall", "floor"]),
            r"runs.again.base: published/tiny/vid2vid is trained with labels \['wall', 'floor'\], and freedoom has ",
        ),
        (lambda about, tensors: about.update(source="maps"), "with source 'maps', and freedoom has 'labels'"),
        (
            lambda about, tensors: about.update(train_clusters=["freedoom2:MAP01", "freedoom2:MAP07"]),
            "was trained on map freedoom2:MAP07, which no run of freedoom may have seen",
        ),
    ],
    ids=["shape", "left out", "labels", "source", "test map"],
)
def test_weights_that_do_not_fit_are_refused(project, change, message):
    with_run(project)
    rewritten(project, change)
    with pytest.raises(Fault, match=message):
        make(project)
    assert not (project / "runs/again").exists()


def test_a_test_clip_that_was_trained_on_is_refused(project):
    store = Store(project / "data/freedoom.zip")
    leaked = store.clips[store.split("seen")[0]]
    with_run(project)
    rewritten(project, lambda about, tensors: about.update(train_clips=[leaked["sha256"]]))
    with pytest.raises(Fault, match=f"was trained on {leaked['id']}, a test clip of freedoom"):
        make(project)


def test_a_sound_line_passes_and_what_it_says_is_what_was_published(project):
    with_run(project)
    run = check.load_checked(project).runs["again"]
    assert run.kwargs == parameters.load(project / "params.yaml").runs["vid2vid"].kwargs
    files, values = digests.code(parameters.load(project / "params.yaml"))["synthesize/again"]
    assert values == {"runs.again.kwargs": run.kwargs}
    with_run(project, kwargs=run.kwargs)  # written out
    assert check.load_checked(project).runs["again"] == run


STANDS = "published stands for the kwargs of a base published/<suite>/<run>, and base is"


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"base": "published/evening/vid2vid"}, "runs.again.base: no suite 'evening' in results; there are tiny"),
        ({"base": "published/tiny/vid"}, "runs.again.base: results/tiny: no 'vid'; there are vid2vid, styled"),
        ({"of": "copy_last"}, "runs.again.base: no 'published/tiny/copy_last'; there are .*published/tiny/styled"),
        ({"base": "vid2vid"}, f"runs.again.kwargs: {STANDS} 'vid2vid'"),
        ({"base": 1}, f"runs.again.kwargs: {STANDS} 1"),
        (
            {"of": "styled", "model": "vid2vid", "first_frames": "real", "kwargs": "of vid2vid"},
            "again.base: published/tiny/styled is a pix2pixhd, and vid2vid cannot start from it, without a step",
        ),
        ({"seeds": [0, 1]}, r"runs.again.seeds: \[0, 1\]; published weights are of one training, so write one seed"),
    ],
)
def test_check_names_the_line_that_is_wrong(project, changes, message):
    if changes.get("kwargs") == "of vid2vid":
        changes = changes | {"kwargs": parameters.load(project / "params.yaml").runs["vid2vid"].kwargs}
    with_run(project, **changes)
    with pytest.raises(Fault, match=message):
        check.load_checked(project)


def test_check_compares_what_is_written_out(project):
    kwargs = parameters.load(project / "params.yaml").runs["vid2vid"].kwargs
    with_run(project, kwargs=kwargs | {"flow_scale": 10})
    with pytest.raises(Fault, match="runs.again.kwargs.flow_scale: 10, but 20 in published/tiny/vid2vid; write"):
        check.load_checked(project)
    with_run(project, kwargs=kwargs | {"flow_scale": 10}, schedule="few")  # training may change it
    check.load_checked(project)


def test_check_compares_the_size_of_the_data(project):
    file = project / "params.yaml"
    with_run(project)
    content = YAML(typ="safe").load(file)
    content["datasets"]["freedoom"]["size"] = [64, 64]
    YAML().dump(content, file)
    with pytest.raises(Fault, match=r"again.base: .*vid2vid is trained at \[32, 64\] on freedoom, not at \[64, 64\]"):
        check.load_checked(project)


PIXELS = ("psnr", "ssim", "sharpness_ratio", "motion_ratio", "warp_error", "flicker", "tof")  # need no other weights
TOLERANCE = 0.05  # of a published figure of one clip: float16, and the last digits of another CPU


def suite_as_published(root: Path, suite: str) -> parameters.Params:
    """The parameters of a published suite; one from before predictors were lines has none."""
    path = root / "results" / suite / "params.yaml"
    content = parameters.parse(parameters.read(path), path.name)
    if "predictors" not in content:
        assert content.pop("forecasts") == content.pop("predictions") == {}
        content |= {"predictors": {}, "futures": {}}
    return parameters.typed(content, path.name, root)


def again(root: Path, suite: str, run: str, folder: Path) -> list[tuple[str, str, float, float]]:
    """A published run made again in `folder` on one clip of each test group: (clip, metric, published, here)."""
    published = suite_as_published(root, suite)
    scores = RunScores.load(root / "results" / suite / "runs" / f"{run}.json")
    line = published.runs[run]
    line = replace(line, base=f"published/{suite}/{run}", schedule="none", seeds=line.seeds[:1])
    data = published.datasets[line.dataset]
    assert data["loader"] == "freedoom", f"of {data['loader']} no single clip can be made"
    maps = {name: group.clusters[0] for name, group in scores.groups.items()}
    data = data | {"train_maps": [maps["seen"]], "unseen_maps": [maps["unseen"]]}
    data |= {"n_train_clips": 1, "n_test_clips": 1, "n_unseen_clips": 1}
    params = replace(
        published,
        datasets={line.dataset: data},
        metrics={label: published.metrics[label] for label in PIXELS if label in published.metrics},
        judges={},
        schedules={"none": replace(next(iter(published.schedules.values())), steps=0)},
        runs={run: line},
    )
    folder.mkdir()
    (folder / "results").symlink_to(root / "results")
    write_data(params, line.dataset, folder)
    make(folder, run, params)
    rows = []
    for name, group in evaluate(params, run, folder).groups.items():
        for label, score in group.scores.items():
            before = dict(zip(scores.groups[name].clips, scores.groups[name].scores[label].fake.per_clip))
            rows += [(clip, label, before[clip], here) for clip, here in zip(group.clips, score.fake.per_clip)]
    return rows


def hold(rows: list[tuple[str, str, float, float]]) -> None:
    assert len({label for _, label, _, _ in rows}) >= 3
    wrong = [row for row in rows if not np.isclose(row[3], row[2], rtol=TOLERANCE, atol=0)]
    assert wrong == [], "clip, metric, published, here"


def test_published_figures_are_made_again_from_published_weights(finished, tmp_path):
    hold(again(finished, "tiny", "styled", tmp_path / "again"))


PUBLISHED = sorted(_published.published_runs(ROOT)) or [
    pytest.param("", marks=pytest.mark.skip(reason="results/ has no published weights yet"))
]


@pytest.mark.parametrize("base", PUBLISHED)
def test_published_weights_are_whole(base):
    """What results/ ships: every byte as in its manifest, and the kwargs those of its params.yaml."""
    _, suite, run = base.split("/")
    about = _published.read_about(_published.read_published(base, ROOT), base)
    params = suite_as_published(ROOT, suite)
    assert (about.suite, about.run) == (suite, run)
    assert about.kwargs == params.run(run).kwargs
    listed = json.loads((ROOT / "results" / suite / "manifest.json").read_text())["files"]
    for name, what in listed.items():
        assert hashlib.sha256((ROOT / "results" / suite / name).read_bytes()).hexdigest() == what["sha256"], name
    n_bytes = {name: what["bytes"] for name, what in listed.items()}
    for folder, most in {"weights": publish.WEIGHTS_MB, "report": publish.REPORT_MB}.items():
        assert sum(n for name, n in n_bytes.items() if name.startswith(f"{folder}/")) <= most * publish.MB


@pytest.mark.slow
@pytest.mark.parametrize("base", PUBLISHED)
def test_published_weights_give_the_published_figures(base, tmp_path):
    _, suite, run = base.split("/")
    hold(again(ROOT, suite, run, tmp_path / "again"))
