"""What an edit costs: DVC calls exactly those stages stale whose results the edit can change."""

import ast
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_output

from v2vbench import closure
from v2vbench.metrics import applicable
from v2vbench.params import Fault, load
from v2vbench.runner import copies, digests
from v2vbench.runner.suites import load_suite

ROOT = Path(__file__).parents[1]
DATA, COMPARE, REPORT = {"data@freedoom"}, {"compare"}, {"report"}
RUNS = ("vid2vid", "styled", "copy_last")
PREDICTORS = ("forecast", "copy_last_frame", "true_labels")
TRAIN = {f"train@{run}" for run in RUNS} | {f"train_predictor@{key}" for key in PREDICTORS} | {"train_judge@reader"}
SYNTHESIZE = {f"synthesize@{run}" for run in RUNS}
EVALUATE = {f"evaluate@{run}" for run in RUNS}
CALIBRATE, FUTURE, STYLES = {"calibrate@freedoom"}, {"future@freedoom"}, {"styles@styles"}
SCORING = EVALUATE | CALIBRATE
VIDEO = SYNTHESIZE | FUTURE | STYLES
EVERY = DATA | TRAIN | VIDEO | SCORING | COMPARE | REPORT


class Project:
    """A clone with the tiny suite in which DVC takes every stage for done; what the stages wrote is made up."""

    def __init__(self, root: Path):
        from dvc.repo import Repo

        self.root, self.repo = root, Repo
        files = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard", "--", ".dvc", ".dvcignore", "dvc.yaml", "v2vbench"]
            + ["notebooks", "results/README.md", "votes/README.md", "weights.json"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for file in filter(lambda file: (ROOT / file).is_file(), files.splitlines()):
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, root / file)
        shutil.copy(ROOT / "tests/tiny.yaml", root / "params.yaml")
        (root / ".dvc/config.local").write_text(f"[core]\n    no_scm = true\n    site_cache_dir = {root}/.dvc/site\n")
        self.sources()
        with Repo(str(root)) as repo:
            outs = [Path(out.fs_path) for stage in repo.index.stages for out in stage.outs]
        for out in outs:
            if out.relative_to(root).as_posix() == "futures/freedoom":
                out.mkdir(parents=True)
                for key in PREDICTORS:
                    (out / f"{key}.zip").write_text(f"{out} of {key}")
            elif (
                out.name in ("media", "scoring", "summary") or out.relative_to(root).as_posix() == "build/inputs/future"
            ):
                out.mkdir(parents=True)
                (out / "freedoom").write_text(str(out))
            elif not out.exists():
                out.parent.mkdir(parents=True, exist_ok=True)
                out.write_text(str(out))
        self.inputs()
        with Repo(str(root)) as repo:
            repo.commit(force=True)

    def sources(self) -> None:
        """What `v2vbench sources` does, on the clone's package."""
        copies.write_cleaned(self.root, "build/notebooks")
        digests.write_placeholder_weights(self.root)
        digests.write_published_weights(load(self.root / "params.yaml"), self.root)
        digests.write_code(load(self.root / "params.yaml"), self.root)

    def inputs(self) -> None:
        """What `v2vbench inputs` does."""
        for name in ("scoring", "future", "compare", "report"):
            digests.write_inputs(load(self.root / "params.yaml"), name, self.root)

    def stale(self) -> set[str]:
        """The stages that `dvc status` names once `sources` has run."""
        self.sources()
        with self.repo(str(self.root)) as repo:
            return set(repo.status()) - {"sources"}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    root = tmp_path_factory.mktemp("costs") / "v2vbench"
    with pytest.MonkeyPatch.context() as patch:
        for module in (closure, digests):
            patch.setattr(module, "PACKAGE", root / "v2vbench")
        root.mkdir()
        patch.chdir(root)  # DVC goes by it
        yield Project(root)


@pytest.fixture
def clean(project):
    """The project; what a test changes in it is undone."""

    def contents() -> dict[Path, bytes]:
        files = (path for path in project.root.rglob("*") if path.is_file() and ".dvc" not in path.parts)
        return {path: path.read_bytes() for path in files}

    before = contents()
    yield project
    for path, content in contents().items():
        if path not in before:
            path.unlink()
        elif content != before[path]:
            path.write_bytes(before[path])


def edit(path: Path, old: str, new: str) -> None:
    assert old in path.read_text(), f"{path} has no {old}"
    path.write_text(path.read_text().replace(old, new, 1))


def add_line(path: Path) -> None:
    path.write_text(f"{path.read_text()}\nADDED = 1\n")


def test_nothing_is_stale_before_an_edit(clean):
    assert clean.stale() == set()


def test_comments_and_docstrings_cost_nothing(clean):
    for path in clean.root.glob("v2vbench/**/*.py"):
        text = re.sub(r'"""(?=\w)', '"""Told otherwise. ', path.read_text())
        path.write_text(f"# One comment more.\n{text}\n# And one.\n")
    assert clean.stale() == set()


def test_layout_costs_nothing(clean):
    for path in clean.root.glob("v2vbench/**/*.py"):
        path.write_text(ast.unparse(ast.parse(path.read_text())))
    assert clean.stale() == set()


CODE = {
    "clips/store.py": EVERY,
    "parallel.py": EVERY - DATA - COMPARE - REPORT,
    "models/vid2vid.py": {"train@vid2vid", "synthesize@vid2vid"} | FUTURE,
    "models/_blocks.py": TRAIN - {"train@copy_last", "train_predictor@copy_last_frame", "train_predictor@true_labels"}
    | SYNTHESIZE - {"synthesize@copy_last"}
    | FUTURE
    | STYLES
    | SCORING,
    "models/segmenter.py": {"train_judge@reader"} | SCORING | FUTURE,
    "models/forecast.py": {"train_predictor@forecast"} | FUTURE,
    "models/true_labels.py": {"train_predictor@true_labels"} | FUTURE,
    "models/copy_last.py": {"train@copy_last", "synthesize@copy_last", "train_predictor@copy_last_frame"} | FUTURE,
    "models/prednet.py": set(),
    "models/covst.py": set(),
    "metrics/psnr.py": SCORING | FUTURE | REPORT,
    "metrics/frechet.py": SCORING | FUTURE,
    "metrics/vmaf.py": set(),
    "extractors/efficientnet_lite0.py": SCORING | FUTURE,
    "extractors/dinov2.py": set(),
    "datasets/freedoom.py": DATA,
    "datasets/_doom.py": DATA,
    "datasets/carphone.py": set(),
    "statistics/verdicts.py": COMPARE | FUTURE,
    "statistics/horizons.py": FUTURE,
    "stages/_predict.py": FUTURE,
    "stages/_predicted_group.py": FUTURE,
    "stages/train.py": TRAIN,
    "stages/_fit.py": TRAIN,
    "stages/_launch.py": set(),
    "machine.py": set(),
    "stages/synthesize.py": VIDEO,
    "stages/_scorer.py": SCORING | FUTURE,
    "report/charts.py": REPORT,
    "report/future.py": REPORT,
    "display/future.py": REPORT,
    "display/palette.py": REPORT,
    "params.py": set(),
    "progress.py": set(),
    "download/weights.py": set(),
    "runner/kernel.py": set(),
    "runner/notebook.py": set(),
    "reference/names.py": set(),
}


@pytest.mark.parametrize(("file", "stale"), CODE.items(), ids=CODE)
def test_code_costs_the_stages_that_run_it(clean, file, stale):
    add_line(clean.root / "v2vbench" / file)
    assert clean.stale() == stale


DATA_FILES = {
    "report/templates/index.html.j2": REPORT,
    "report/style.css": REPORT,
    "report/notebook/conf.json": REPORT,
    "datasets/carphone_landmarks.csv": set(),
}


@pytest.mark.parametrize(("file", "stale"), DATA_FILES.items(), ids=DATA_FILES)
def test_data_files_cost_the_stages_that_read_them(clean, file, stale):
    path = clean.root / "v2vbench" / file
    path.write_text(path.read_text() + "\n")
    assert clean.stale() == stale


def test_a_new_file_costs_nothing(clean):
    for folder in ("models", "metrics", "extractors", "datasets"):
        (clean.root / "v2vbench" / folder / "brand_new.py").write_text("NUMBER = 1\n")
    assert clean.stale() == set()


PARAMS = {
    "confidence": ("confidence: 0.95", "confidence: 0.9", CALIBRATE | FUTURE | COMPARE | REPORT),
    "skip_frames": ("skip_frames: 2", "skip_frames: 3", SCORING | COMPARE | REPORT),
    "primary": ("primary: [segmentation, ", "primary: [psnr, ", COMPARE | REPORT),
    "kwarg of a run": ("w_warp: 10", "w_warp: 9", {"train@vid2vid", "synthesize@vid2vid"} | FUTURE | REPORT),
    "title of a run": (
        "title: vid2vid\n",
        "title: other\n",
        {"synthesize@vid2vid", "evaluate@vid2vid"} | FUTURE | REPORT,
    ),
    "title of a run that makes no predicted frames": (
        "title: pix2pixHD, styles\n",
        "title: other\n",
        {"synthesize@styled", "evaluate@styled"} | REPORT,
    ),
    "kwarg of a judge": ("noise: 12,", "noise: 11,", {"train_judge@reader"} | SCORING | FUTURE | REPORT),
    "kwarg of a predictor": ("w_flow: 0.1", "w_flow: 0.2", {"train_predictor@forecast"} | FUTURE | REPORT),
    "title of a predictor": ("title: true labels + vid2vid", "title: other", FUTURE | REPORT),
    "frames to predict": ("n_future: 5", "n_future: 4", FUTURE | REPORT),
    "primary metrics of the future": (
        "primary: [psnr, segmentation, t",
        "primary: [ssim, segmentation, t",
        FUTURE | REPORT,
    ),
    "a metric": ("data_range: 2", "data_range: 1", SCORING | FUTURE | REPORT),
    "a metric of sets": ("divisor: n-1", "divisor: n", SCORING | FUTURE | REPORT),
    "one metric more": ("  tof: {}\n", "  tof: {}\n  tlp: {}\n", SCORING | FUTURE | COMPARE | REPORT),
    "features that a metric compares": ("change_weight: 5", "change_weight: 4", SCORING | FUTURE | REPORT),
    "calibration": ("seen_from: 0.05", "seen_from: 0.1", CALIBRATE | REPORT),
    "preference": ("ridge: 1\n", "ridge: 2\n", FUTURE | COMPARE | REPORT),
    "report": ("crf: 23", "crf: 24", REPORT),
    "a data set": ("n_draws: 20", "n_draws: 30", DATA | REPORT),
    "a comment": ("suite: tiny", "suite: tiny   # the smallest", set()),
}


@pytest.mark.parametrize(("old", "new", "stale"), PARAMS.values(), ids=PARAMS)
def test_a_value_costs_the_stages_that_read_it(clean, old, new, stale):
    edit(clean.root / "params.yaml", old, new)
    assert clean.stale() == stale


def test_saving_a_notebook_costs_nothing_and_changing_it_its_stages(clean):
    path = clean.root / "notebooks/04_evaluate.ipynb"
    nb = nbformat.read(path, 4)
    cell = [cell for cell in nb.cells if cell.cell_type == "code"][-1]
    cell.outputs = [new_output("stream", name="stdout", text="saved by JupyterLab\n")]
    nbformat.write(nb, path)
    assert clean.stale() == set()
    cell.source += "\nprint(1)"
    nbformat.write(nb, path)
    assert clean.stale() == EVALUATE


def test_changing_the_introduction_costs_nothing_at_all(clean):
    path = clean.root / "notebooks/00_start.ipynb"
    nb = nbformat.read(path, 4)
    nb.cells[-1].source += "\nchanged"
    nbformat.write(nb, path)
    with clean.repo(str(clean.root)) as repo:
        assert repo.status() == {}


LEFT_OVER = {
    "judges/old/model.safetensors": {"inputs_scoring", "inputs_report"},
    "metrics/runs/old.json": {"inputs_compare", "inputs_report"},
    "data/old.zip": {"inputs_compare", "inputs_report"},
    "runs/old/clips.zip": {"inputs_compare", "inputs_report"},
    "predictors/old/model.safetensors": {"inputs_future", "inputs_report"},
    "futures/old/held.zip": {"inputs_report"},
    "votes/old.jsonl": {"inputs_compare", "inputs_future"},
}


@pytest.mark.parametrize(("file", "lists"), LEFT_OVER.items(), ids=LEFT_OVER)
def test_what_another_suite_left_costs_a_list(clean, file, lists):
    (clean.root / file).parent.mkdir(parents=True, exist_ok=True)
    (clean.root / file).write_text("left over")
    assert clean.stale() == lists
    clean.inputs()
    assert clean.stale() == lists  # what the lists hold is as it was, so no stage that reads one is stale


def test_a_run_is_stale_with_the_model_that_paints_its_first_frames(project):
    params = load(project.root / "params.yaml")
    painted = replace(params, runs=params.runs | {"vid2vid": replace(params.runs["vid2vid"], first_frames="styled")})
    assert "models/pix2pixhd.py" not in digests.code(params)["synthesize/vid2vid"][0]
    assert "models/pix2pixhd.py" in digests.code(painted)["synthesize/vid2vid"][0]


def test_a_future_reads_its_predictors_and_its_run_and_no_other(project):
    params = load(project.root / "params.yaml")
    other = replace(params.predictors["forecast"], dataset="elsewhere", model="prednet", title="of another data set")
    params = replace(params, predictors=params.predictors | {"other": other})
    files, values = digests.code(params)["future/freedoom"]
    assert {"models/forecast.py", "models/copy_last.py", "models/true_labels.py", "models/vid2vid.py"} <= set(files)
    assert not {"models/prednet.py", "models/pix2pixhd.py"} & set(files)
    assert values["predictors.forecast"][:2] == ["label forecast + vid2vid", "forecast"]
    assert values["runs.vid2vid"][0] == "vid2vid"
    assert not {"predictors.other", "runs.styled"} & values.keys()
    assert digests.inputs(params)["future"] == {
        "future/freedoom": [f"predictors/{key}/model.safetensors" for key in PREDICTORS]
    }
    shown = digests.inputs(params)["report"]["report"]
    assert {f"futures/freedoom/{key}.zip" for key in PREDICTORS} == {
        path for path in shown if path.startswith("futures")
    }
    assert "metrics/future/freedoom.json" in shown and "predictors/forecast/curves.csv" in shown


@pytest.mark.parametrize("suite", sorted((ROOT / "suites").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_metrics_of_a_data_set_are_those_that_score_it(suite):
    params = load_suite(suite)
    for dataset in params.datasets:
        assert digests.metrics_on(params, dataset) == [metric.label for metric in applicable(params, dataset)]


def test_a_line_that_names_no_file_is_refused_with_its_path():
    params = load(ROOT / "tests/tiny.yaml")
    with pytest.raises(Fault, match="metrics.psnr: no 'pnsr'; there are"):
        digests.code(replace(params, metrics=params.metrics | {"psnr": {"metric": "pnsr"}}))


def test_a_missing_result_is_named(tmp_path):
    with pytest.raises(Fault, match="judges/reader/model.safetensors: missing"):
        digests.write_inputs(load(ROOT / "tests/tiny.yaml"), "scoring", tmp_path)
