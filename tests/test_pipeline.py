"""The whole path on the tiny suite: the same bytes twice, and DVC re-runs what a change determines and nothing else."""

import ast
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest
from nbformat.v4 import new_output
from ruamel.yaml import YAML
from tiny_project import one_thread, run_project

from v2vbench.params import load
from v2vbench.report import write as report

ROOT = Path(__file__).parents[1]
STAGES = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
# Change no number of a stage.
PLUMBING = {
    f"v2vbench/{name}.py" for name in ("__init__", "params", "progress", "files", "weights", "passes", "doctor")
}


@pytest.fixture(scope="module")
def twice(tiny_project, tmp_path_factory):
    """Two projects in which everything was run, on the same clips."""
    with one_thread():
        return tiny_project, run_project(tmp_path_factory.mktemp("again") / "two", tiny_project / "data/freedoom.zip")


def test_two_runs_are_the_same_bytes(twice):
    one, two = (sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file()) for folder in twice)
    assert one == two and {
        "metrics/compare.json",
        "metrics/runs/vid2vid.json",
        "metrics/future/future.json",
        "runs/styles/clips.zip",
    } <= set(map(str, one))
    assert not [path for path in one if (twice[0] / path).read_bytes() != (twice[1] / path).read_bytes()]


def test_the_report_of_the_tiny_suite(twice):
    page = report(load(twice[0] / "params.yaml"), twice[0]).read_text()
    assert (
        "Nothing is learnt here" in page and "warp error" in page and list((twice[0] / "reports/media").glob("*.mp4"))
    )
    assert "seeds 0, 1, 2" in page and "wall shown as door" in page


def imports(path: str) -> set[str]:
    """The files of the package that a file needs, and what those need."""
    todo, found = [path], set()
    while todo:
        found.add(path := todo.pop())
        for node in ast.walk(ast.parse((ROOT / path).read_text())):
            names = (
                [f"{node.module}.{a.name}" for a in node.names] + [node.module]
                if isinstance(node, ast.ImportFrom)
                else [a.name for a in node.names]
                if isinstance(node, ast.Import)
                else []
            )
            files = [f"{name.replace('.', '/')}{end}" for name in names for end in (".py", "/__init__.py")]
            todo += (
                {file for file in files if file.startswith("v2vbench/") and (ROOT / file).is_file()}
                - found
                - set(todo)
                - PLUMBING
            )
    return found


def listed(stage: str, **item: str) -> set[str]:
    """The files of the package that a stage of dvc.yaml depends on."""
    body = STAGES[stage].get("do", STAGES[stage])
    deps = [re.sub(r"\$\{item\.(\w+)\}", lambda match: item.get(match[1], "?"), dep) for dep in body["deps"]]
    return {
        str(file.relative_to(ROOT))
        for dep in deps
        if dep.startswith("v2vbench/")
        for file in ([ROOT / dep] if dep.endswith((".py", ".csv")) else (ROOT / dep).rglob("*.py"))
    }


SCORING = [
    f"{folder}/{path.stem}"
    for folder in ("metrics", "extractors", "models")
    for path in (ROOT / "v2vbench" / folder).glob("*.py")
]
MODELS = [path.stem for path in (ROOT / "v2vbench/models").glob("[!_]*.py")]
LOADERS = [path.stem for path in (ROOT / "v2vbench/datasets").glob("[!_]*.py")]
NEEDS = (
    [("data", {"loader": name}, ["datasets/__init__", f"datasets/{name}"]) for name in LOADERS]
    + [
        (stage, {"model": name}, [stage.partition("_")[0], f"models/{name}"])
        for stage in ("train", "train_forecast", "train_judge", "synthesize")
        for name in MODELS
    ]
    + [
        ("evaluate", {}, ["evaluate", *SCORING]),
        ("calibrate", {}, ["calibrate", *SCORING]),
        ("future", {}, ["future", *SCORING]),
        ("styles", {}, ["restyle", *(f"models/{name}" for name in MODELS)]),
        ("compare", {}, ["compare"]),
    ]
)


@pytest.mark.parametrize(
    ("stage", "item", "files"),
    NEEDS,
    ids=lambda value: value if isinstance(value, str) else "-".join(value.values()) if isinstance(value, dict) else "",
)
def test_a_stage_depends_on_the_code_it_runs(stage, item, files):
    """And on no file that is not there, nor on the report's: editing that trains nothing."""
    needed = set().union(*(imports(f"v2vbench/{file}.py") for file in files))
    assert not needed - listed(stage, **item) - PLUMBING
    assert all((ROOT / file).is_file() for file in listed(stage, **item))
    never = PLUMBING - {"v2vbench/files.py", "v2vbench/parallel.py"}
    assert not [file for file in listed(stage, **item) if "report" in file or file in never]


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A copy of this project with the tiny suite, in which `dvc repro` has run once."""
    root = tmp_path_factory.mktemp("clone") / "v2vbench"
    files = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for file in filter(lambda file: (ROOT / file).is_file(), files.splitlines()):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, root / file)
    (root / "dvc.lock").unlink(missing_ok=True)
    shutil.rmtree(root / "metrics", ignore_errors=True)
    shutil.copy(ROOT / "tests/tiny.yaml", root / "params.yaml")
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    assert "report" in repro(root)
    return root


def command(root: Path, *words: str) -> dict:
    """Arguments of subprocess for dvc in `root`, with an empty home."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DVC", "JUPYTER", "IPYTHON", "PYTEST"))
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return dict(
        args=["dvc", *words],
        cwd=root,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=clean
        | {
            "PATH": path,
            "HOME": str(root.parent),
            "DVC_SITE_CACHE_DIR": str(root.parent / "site"),
            "OMP_NUM_THREADS": "1",
        },
    )


def repro(root: Path, *words: str) -> list[str]:
    """`dvc repro`: the stages that it ran."""
    done = subprocess.run(**command(root, "repro", *words), check=False)
    assert done.returncode == 0, done.stdout
    return re.findall(r"Running stage '(.*)'", done.stdout)


def edit(path: Path, old: str, new: str) -> None:
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


@pytest.mark.slow
def test_dvc_runs_what_a_change_determines(clone):
    assert repro(clone) == []
    line = (
        "  second: {title: second, dataset: freedoom, model: copy_last, schedule: none, base: none, first_frames: real, seeds: [0], "
        "kwargs: {}}"
    )
    edit(clone / "params.yaml", "\nforecasts:\n", f"{line}\n\nforecasts:\n")
    assert repro(clone) == ["train@second", "synthesize@second", "evaluate@second", "compare", "report"]
    edit(clone / "params.yaml", "title: vid2vid\n", "title: the first\n")
    assert repro(clone) == ["synthesize@vid2vid", "evaluate@vid2vid", "future@future", "compare", "report"]
    edit(clone / "v2vbench/report/style.css", "\n", "\n\n")
    assert repro(clone) == ["report"]
    nb = nbformat.read(clone / "notebooks/02_train.ipynb", 4)
    nb.cells[-1].outputs = [new_output("stream", name="stdout", text="saved by JupyterLab\n")]
    nbformat.write(nb, clone / "notebooks/02_train.ipynb")
    assert repro(clone) == ["sources"]
    edit(clone / "v2vbench/metrics/psnr.py", "\n", "\n\n")
    assert {stage.partition("@")[0] for stage in repro(clone)} <= {"evaluate", "future", "compare", "report"}


@pytest.mark.slow
def test_training_that_was_killed_ends_in_the_same_weights(clone):
    def weights():
        return hashlib.sha256((clone / "runs/vid2vid/model.safetensors").read_bytes()).hexdigest()

    edit(clone / "params.yaml", "    steps: 3\n", "    steps: 40\n")
    assert repro(clone, "train@vid2vid") == ["train@vid2vid"]
    unbroken = weights()
    for victim in ("dvc", "v2vbench.runner.kernel"):
        with subprocess.Popen(**command(clone, "repro", "-f", "-s", "train@vid2vid")) as dvc:
            while not list(clone.glob(".cache/runs/*/checkpoint.pt")):
                assert dvc.poll() is None, "it ended before it could be killed"
                time.sleep(0.05)
            children = [(process.cmdline(), process) for process in psutil.Process(dvc.pid).children(recursive=True)]
            family = {"dvc": psutil.Process(dvc.pid)} | {
                words[2]: process for words, process in children if words[1:2] == ["-m"]
            }
            assert family.keys() == {"dvc", "v2vbench", "v2vbench.runner.kernel"}
            family[victim].send_signal(signal.SIGKILL)
            assert not psutil.wait_procs(family.values(), timeout=300)[1]
        assert list(clone.glob(".cache/runs/*/checkpoint.pt"))
        # -f: past what DVC has cached of the unbroken run
        assert repro(clone, "-f", "-s", "train@vid2vid") == ["train@vid2vid"] and weights() == unbroken, victim
