"""A suite that travels: what was trained elsewhere, with no more than the listed packages, is what is trained here."""

import contextlib
import functools
import hashlib
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock
from packaging.requirements import Requirement
from safetensors import safe_open
from test_pipeline import repro
from tiny_project import one_thread

from v2vbench.clips.store import Store
from v2vbench.params import Fault, load
from v2vbench.progress import STOP_AT, OutOfTime
from v2vbench.runner import pack as packing
from v2vbench.runner import packed
from v2vbench.runner import unpack as unpacking
from v2vbench.runner.arguments import parser
from v2vbench.runner.pack import check_data, code_files, pack, select
from v2vbench.runner.unpack import unpack
from v2vbench.stages import train as training
from v2vbench.stages.synthesize import synthesize

ROOT = Path(__file__).parents[1]
TUNED = """  tuned:
    title: fine-tuned
    dataset: freedoom
    model: vid2vid
    schedule: few
    base: vid2vid
    first_frames: styled
    seeds: [0, 1]
    kwargs: *kwargs
  theirs:
    title: of another method
    dataset: freedoom
    model: external
    schedule: none
    base: none
    first_frames: none
    seeds: [0]
    kwargs: {folder: videos, sha256: none}

predictors:
"""
KEYS = ["tuned", "reader"]
TRAINED = ["styled", "vid2vid", "tuned", "reader"]  # in this order
# A Python that has the packages in requirements.txt, and those that torch brings, and no other.
ONLY = """
import runpy, sys
others = set(sys.argv.pop(1).split(","))

class Finder:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in others else self.finder.find_spec(name, path, target)

sys.meta_path[:] = map(Finder, sys.meta_path)
sys.argv.pop(0)
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def write_project(root: Path, store_path: Path) -> Path:
    """tests/tiny.yaml with a run that starts from another and takes a third one's first frames, over sliding planes."""
    (root / "data").mkdir(parents=True)
    os.link(store_path, root / "data/freedoom.zip")
    text = (ROOT / "tests/tiny.yaml").read_text()
    text = text.replace("    kwargs:\n      n_past: 2\n", "    kwargs: &kwargs\n      n_past: 2\n", 1)
    text = text.replace("foreground: [monster, item]", "foreground: [square]")
    (root / "params.yaml").write_text(text.replace("\npredictors:\n", TUNED, 1))
    write_lock(root)
    return root


def write_lock(root: Path, **changes) -> None:
    """The entry of dvc.lock for the data, as `dvc repro` writes it; JSON is YAML."""
    md5 = hashlib.md5((root / "data/freedoom.zip").read_bytes()).hexdigest()
    line = load(root / "params.yaml").datasets["freedoom"] | changes
    outs = [{"path": "data/freedoom.zip", "hash": "md5", "md5": md5}]
    stage = {"params": {"params.yaml": {"datasets.freedoom": line}}, "outs": outs}
    (root / "dvc.lock").write_text(json.dumps({"schema": "2.0", "stages": {"data@freedoom": stage}}))


def listed(package: Path) -> list[str]:
    return [line.partition("==")[0] for line in (package / "requirements.txt").read_text().splitlines()]


def start(package: Path, *words: str) -> subprocess.CompletedProcess:
    """`python run.py` in a Python with the packages of requirements.txt alone."""
    command = sys.executable, "-c", ONLY, ",".join(others(*listed(package))), str(package / "run.py"), *words
    env = {name: value for name, value in os.environ.items() if not name.startswith("V2VBENCH")}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env | {"OMP_NUM_THREADS": "1"})


@functools.cache
def others(*names: str) -> list[str]:
    """Top-level modules of all that is installed but these distributions and those that torch needs."""
    waiting, there = ["torch"], set(names) - {"torch"}
    while waiting:
        name = waiting.pop()
        if name not in there:
            there.add(name)
            with contextlib.suppress(importlib.metadata.PackageNotFoundError):  # for another platform
                lines = importlib.metadata.requires(name) or []
                waiting += [same(Requirement(line).name) for line in lines if "extra ==" not in line]
    providers = importlib.metadata.packages_distributions().items()
    return [top for top, given in providers if not there & set(map(same, given)) and top != "v2vbench"]


def same(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


@pytest.fixture(scope="module")
def there(store_path, tmp_path_factory):
    """A package in which everything was trained and made, in sittings; and what each sitting said."""
    root = write_project(tmp_path_factory.mktemp("packed") / "project", store_path)
    package = root / "pack/tiny"
    said = pack("tiny", load(root / "params.yaml"), root, None, KEYS)
    first = start(package, "--minutes", "0")
    half = sorted(path.name for path in (package / "done").glob("*"))
    return package, said, (first, start(package)), half


@pytest.fixture(scope="module")
def here(store_path, tmp_path_factory):
    """The same, trained and made in a project directly."""
    root = write_project(tmp_path_factory.mktemp("direct") / "project", store_path)
    params = load(root / "params.yaml")
    with one_thread():
        for key in TRAINED:
            training.train(params, key, root)
        synthesize(params, "tuned", root)
    return root


@pytest.fixture
def project(store_path, tmp_path, monkeypatch):
    """A project that nothing was trained in, and that can train nothing."""

    def refuse(*words, **more):
        raise AssertionError("it trained")

    monkeypatch.setattr(training, "fit", refuse)
    return write_project(tmp_path / "project", store_path)


def back(there, tmp_path: Path) -> Path:
    """A copy of what is done."""
    return Path(shutil.copytree(there[0] / "done", tmp_path / "done"))


def test_it_stops_in_time_and_goes_on(there):
    package, said, (first, last), half = there
    assert (first.returncode, last.returncode) == (3, 0), first.stderr + last.stderr
    assert "out of time after step 1 of 3" in first.stderr
    assert half == []  # nothing is half there
    assert "going on from step 1 of 3" in last.stderr and "all done" in last.stderr
    assert {path.name for path in (package / "done").glob("*.json")} == {
        *(f"train-{key}.json" for key in TRAINED),
        "synthesize-tuned.json",
    }
    assert all(packed._is_done(package, "train", key) for key in TRAINED)  # so the next call does nothing
    assert not packed._is_done(package, "train", "copy_last")


def test_what_the_package_holds(there):
    package, said, *_ = there
    assert "4 trainings, 1 set of clips" in said
    files = {path.relative_to(package).as_posix() for path in package.rglob("*")}
    assert {"run.py", "README.txt", "params.yaml", "data/freedoom.zip", "v2vbench/models/vid2vid.py"} <= files
    assert not [file for file in files if file.startswith(("tests", "v2vbench/metrics", "v2vbench/report"))]
    assert len((package / "README.txt").read_text().splitlines()) == 10
    names = listed(package)
    assert {"torch", "numpy", "safetensors", "filelock", "ruamel-yaml", "tqdm", "zarr", "scikit-learn"} <= set(names)
    assert {"dvc", "papermill", "vizdoom", "av", "lpips", "cv2", "IPython", "jupyterlab"} <= set(others(*names))
    manifest = packed.read_manifest(package)
    assert manifest["train"] == TRAINED and manifest["files"].keys() < files
    assert packed.damage(package, manifest["files"]) == []


def test_nothing_is_trained_again_and_the_bytes_are_those_of_a_training_here(there, here, project, monkeypatch):
    params = load(project / "params.yaml")
    lines, refused = unpack(there[0], params, project)
    assert refused == []
    assert lines[0].startswith("train: ") and lines[1].startswith("synthesize: tuned:")
    assert unpack(there[0], params, project) == (lines, [])  # a second time, nothing changes
    for key in TRAINED:
        training.train(params, key, project)
    monkeypatch.setattr("v2vbench.stages.synthesize.trained_model", lambda *words: pytest.fail("it made clips"))
    synthesize(params, "tuned", project)
    for file in [f"{params.folder(key) / name}" for key in TRAINED for name in ("model.safetensors", "curves.csv")]:
        assert (project / file).read_bytes() == (here / file).read_bytes(), file
    assert (project / "runs/tuned/clips.zip").read_bytes() == (here / "runs/tuned/clips.zip").read_bytes()


def test_it_says_where_it_was_made(there, project):
    params = load(project / "params.yaml")
    unpack(there[0], params, project)
    made = json.loads((project / "logs/packages/train-tuned.json").read_text())["made"]
    assert {"device", "host_cpu", "torch", "python", "seconds", "finished", "revision", "suite"} <= made.keys()
    assert made["device"] == packed._machine()["device"] and made["seconds"] > 0
    for key in TRAINED:
        training.train(params, key, project)
    beside = []
    for path in (project / ".cache/runs").glob("*/weights.safetensors"):
        with safe_open(path, "np") as file:
            beside.append(json.loads(file.metadata()["made"]))
    assert [one["torch"] for one in beside] == [made["torch"]] * (len(TRAINED) + 1)  # tuned has two seeds
    (about,) = (project / ".cache/clips").glob("*/made.json")
    assert json.loads(about.read_text())["made"]["suite"] == "tiny"


def test_the_weights_themselves_say_where_they_were_made(there, project):
    unpack(there[0], load(project / "params.yaml"), project)
    kept = list((project / ".cache/runs").glob("*/weights.safetensors"))
    assert len(kept) == len(TRAINED) + 1
    for path in kept:
        with safe_open(path, "pt") as file:
            assert json.loads(file.metadata()["made"])["torch"] == training.torch.__version__


def test_what_came_back_in_part_is_taken(there, project, tmp_path):
    done = back(there, tmp_path)
    for path in done.glob("*tuned*"):
        path.unlink()
    lines, refused = unpack(done, load(project / "params.yaml"), project)
    assert refused == [] and len(lines) == 1 and "vid2vid" in lines[0] and "tuned" not in lines[0]
    training.train(load(project / "params.yaml"), "vid2vid", project)
    with pytest.raises(AssertionError, match="it trained"):
        training.train(load(project / "params.yaml"), "tuned", project)
    for path in done.iterdir():
        path.unlink()
    with pytest.raises(Fault, match="holds nothing that is finished"):
        unpack(done, load(project / "params.yaml"), project)


def test_a_damaged_file_is_not_taken_nor_what_follows_from_it(there, project, tmp_path):
    done = back(there, tmp_path)
    path = done / "train-vid2vid-0.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    lines, refused = unpack(done, load(project / "params.yaml"), project)
    assert "reader" in lines[0] and "styled" in lines[0]
    assert len(refused) == 3 and "train-vid2vid-0.safetensors: damaged" in refused[0]
    assert "it starts from vid2vid, which was not taken" in refused[1]
    assert "the weights of tuned that made them were not taken" in refused[2]


@pytest.mark.parametrize(
    "old, new, line, n_left",
    [
        ("    steps: 3\n", "    steps: 4\n", "schedules.few.steps is 4 here, 3 there", 0),
        ("    seeds: [0, 1]\n", "    seeds: [0, 2]\n", "runs.tuned.seeds is [0, 2] here, [0, 1] there", 3),
        ("  tuned:\n", "  other:\n", "params.yaml has no such line", 3),
        ("title: fine-tuned", "title: new", "runs.tuned.title is 'new' here, 'fine-tuned' there", 4),
    ],
    ids=["schedule", "seeds", "name", "title"],
)
def test_other_params_are_refused_by_name(there, project, old, new, line, n_left):
    path = project / "params.yaml"
    path.write_text(path.read_text().replace(old, new))
    lines, refused = unpack(there[0], load(path), project)
    assert any(line in one for one in refused)
    assert sum(len(one.split(": ")[1].split(", ")) for one in lines) == n_left


def test_other_code_and_other_data_are_refused(there, project, monkeypatch, tmp_path):
    params = load(project / "params.yaml")
    real = packed.training

    def other(name):
        return lambda *words: real(*words) | {name: "0" * 64}

    monkeypatch.setattr("v2vbench.runner.unpack.training", other("v2vbench/stages/train.py"))
    lines, refused = unpack(there[0], params, project)
    assert lines == [] and "v2vbench/stages/train.py differs" in refused[0]
    monkeypatch.setattr("v2vbench.runner.unpack.training", other("data/freedoom.zip"))
    assert "data/freedoom.zip differs" in unpack(there[0], params, project)[1][0]


def test_the_commands(there, project, monkeypatch, capsys):
    command = parser()
    for one in (packing, unpacking):
        monkeypatch.setattr(one, "load_checked", lambda root: load(root / "params.yaml"))
    unpacking.run(command.parse_args(["unpack", str(there[0])]), project)
    assert capsys.readouterr().out.startswith("train: reader, ")
    (project / "params.yaml").write_text((project / "params.yaml").read_text().replace("title: fine-tuned", "title: x"))
    with pytest.raises(Fault, match="^unpack: synthesize tuned not taken: runs.tuned.title is 'x' here"):
        unpacking.run(command.parse_args(["unpack", str(there[0])]), project)
    with pytest.raises(Fault, match="params.yaml is the suite tiny, not mini"):
        packing.run(command.parse_args(["pack", "mini", "--out", "x", "--runs", "a", "b"]), project)


def test_weights_that_were_trained_here_stay(there, project):
    params = load(project / "params.yaml")
    store = Store(project / "data/freedoom.zip")
    (state,) = packed.states(params, "reader", store, project, None).values()
    training.keep(state, {"other": training.torch.zeros(1)}, [], 1.0)
    refused = unpack(there[0], params, project)[1]
    assert len(refused) == 1 and "trained here already, with other weights; delete .cache/runs/" in refused[0]
    assert training.finished(state)[0].keys() == {"other"}


def test_damaged_clips_are_refused_by_the_stage(there, project):
    params = load(project / "params.yaml")
    unpack(there[0], params, project)
    for key in TRAINED:
        training.train(params, key, project)
    (path,) = (project / ".cache/clips").glob("*/clips.zip")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(Fault, match="not whole .* delete the folder"):
        synthesize(params, "tuned", project)


def test_clips_stop_in_time_and_end_in_the_same_bytes(here, store_path, tmp_path, monkeypatch):
    root = write_project(tmp_path / "project", store_path)
    shutil.copytree(here / "runs", root / "runs")
    (root / "runs/tuned/clips.zip").unlink()
    params, store = load(root / "params.yaml"), Store(root / "data/freedoom.zip")
    n_clips = 2 * sum(len(store.split(group)) for group in store.facts.groups)
    monkeypatch.setenv(STOP_AT, "0")
    for _ in range(n_clips - 1):
        with pytest.raises(OutOfTime, match="synthesize tuned: out of time before"):
            synthesize(params, "tuned", root)
    assert synthesize(params, "tuned", root).read_bytes() == (here / "runs/tuned/clips.zip").read_bytes()
    assert not list((root / ".cache/clips").iterdir())


def test_a_package_that_was_damaged_on_the_way_does_not_run(there, tmp_path):
    package = Path(shutil.copytree(there[0], tmp_path / "package", ignore=shutil.ignore_patterns("done", ".cache")))
    text = (package / "v2vbench/params.py").read_text()
    (package / "v2vbench/params.py").write_text(text[:-1])
    done = start(package)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("run.py: v2vbench/params.py: damaged") and done.stderr.count("\n") == 1
    (package / "v2vbench/params.py").unlink()
    assert start(package).stderr == "run.py: v2vbench/params.py: missing; copy the package again\n"
    (package / "manifest.json").write_text("{")
    assert start(package).stderr.startswith("run.py: manifest.json: not whole")


def test_data_that_are_not_those_of_the_suite_are_refused(project):
    params = load(project / "params.yaml")
    check_data(params, "freedoom", project)
    write_lock(project, seed=1)
    with pytest.raises(Fault, match="as params.yaml says now; `dvc repro data@freedoom` makes it"):
        check_data(params, "freedoom", project)
    write_lock(project)
    path = project / "data/freedoom.zip"
    content = path.read_bytes()
    path.unlink()  # it is a link to the file of all tests
    path.write_bytes(content + b"\0")
    with pytest.raises(Fault, match="not the file that dvc.lock has"):
        pack("tiny", params, project)
    path.unlink()
    with pytest.raises(Fault, match=r"data/freedoom.zip: missing; `dvc repro data@freedoom`"):
        pack("tiny", params, project)
    assert not list(project.glob("pack*"))


def test_what_cannot_be_packed_is_said(project):
    params = load(project / "params.yaml")
    with pytest.raises(Fault, match="params.yaml is the suite tiny, not mini; `v2vbench use mini` first"):
        pack("mini", params, project)
    with pytest.raises(Fault, match="pack: --runs: no 'nothing'; there are vid2vid"):
        select(params, ["nothing"])
    with pytest.raises(Fault, match="theirs is not trained, its videos are in files"):
        select(params, ["theirs"])
    (project / "pack/tiny").mkdir(parents=True)
    (project / "pack/tiny/file").touch()
    with pytest.raises(Fault, match="there is something already"):
        pack("tiny", params, project)


def test_a_folder_that_only_looks_like_an_unfinished_package_stays(project):
    (project / "mine.partial").mkdir()
    (project / "mine.partial/file").touch()
    pack("tiny", load(project / "params.yaml"), project, project / "mine", ["copy_last"])
    assert [path.name for path in project.glob("mine*/file")] == ["file"]
    assert sorted(path.name for path in project.glob("mine*")) == ["mine", "mine.partial"]


def test_a_second_run_in_a_package_is_refused_and_a_damaged_record_is_made_again(there, tmp_path):
    package = Path(shutil.copytree(there[0], tmp_path / "package"))
    with FileLock(package / ".cache/run.lock"):
        done = start(package)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1) and "another run.py works in this folder" in done.stderr
    record = next((package / "done").glob("synthesize-*.json"))
    whole = json.loads(record.read_text())
    record.write_text("{")
    assert start(package).returncode == 0
    assert json.loads(record.read_text())["files"] == whole["files"]
    assert start(package, "--minutes", "nan").returncode == 2


def test_bases_come_first_and_what_is_in_files_stays_at_home(project):
    chosen = select(load(project / "params.yaml"))
    assert chosen.train.index("vid2vid") < chosen.train.index("tuned") < chosen.train.index("forecast")
    assert chosen.train[-1] == "reader"
    assert chosen.synthesize == ["vid2vid", "styled", "copy_last", "tuned"] and chosen.at_home == ["theirs"]


def test_the_code_is_closed_and_needs_neither_video_files_nor_metrics():
    files = code_files(["runner/packed.py", "models/vid2vid.py"])
    assert {"params.py", "progress.py", "stages/train.py", "stages/synthesize.py", "closure.py"} <= set(files)
    assert not [file for file in files if file.startswith(("clips/video_files", "metrics", "scoring", "display"))]


@pytest.mark.slow
def test_dvc_takes_all_that_the_whole_tiny_suite_made_elsewhere(tmp_path):
    root = tmp_path / "v2vbench"
    words = ["git", "ls-files", "-co", "--exclude-standard"]
    for file in subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines():
        if (ROOT / file).is_file() and not file.startswith("metrics/") and file != "dvc.lock":
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, root / file)
    shutil.copy(ROOT / "tests/tiny.yaml", root / "params.yaml")
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    assert set(repro(root, "data@freedoom")) == {"sources", "data@freedoom"}
    params = load(root / "params.yaml")
    said = pack("tiny", params, root, tmp_path / "package")
    assert "7 trainings, 3 sets of clips" in said
    done = start(tmp_path / "package", "--minutes", "60")
    assert done.returncode == 0, done.stderr
    lines, refused = unpack(tmp_path / "package", params, root)
    assert refused == []

    def seconds(path: Path) -> float:
        return json.loads(packed.metadata(path.read_bytes())["seconds"])

    before = {path: seconds(path) for path in (root / ".cache/runs").glob("*/weights.safetensors")}
    ran = repro(root, "synthesize", "train_predictor", "train_judge")
    assert {f"train@{key}" for key in params.runs} | {f"synthesize@{key}" for key in params.runs} <= set(ran)
    after = {path: seconds(path) for path in (root / ".cache/runs").glob("*/weights.safetensors")}
    assert after == before  # a training here would have taken another time
    for key in params.runs:
        assert "clips made on" in (root / f"logs/synthesize-{key}.log").read_text()
        there = tmp_path / "package/runs" / key
        for file in ("model.safetensors", "curves.csv", "clips.zip"):
            assert (root / "runs" / key / file).read_bytes() == (there / file).read_bytes()
