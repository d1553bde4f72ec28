"""Stages as real processes: what they leave, what they say when they fail, and that nothing outlives a kill."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from v2vbench import params
from v2vbench.__main__ import main
from v2vbench.runner.check import load_checked
from v2vbench.runner.copies import write_cleaned

TINY = params.load(Path(__file__).parent / "tiny.yaml")
SECTIONS = ("datasets", "schedules", "judges", "features", "metrics", "runs", "predictors", "futures", "styles")
# JSON is YAML
EMPTY = json.dumps(
    {
        "suite": "t",
        "about": "t",
        "protocol": vars(TINY.protocol),
        "calibration": TINY.calibration,
        "report": TINY.report,
        "preference": TINY.preference | {"metrics": {"fidelity": [], "realism": []}},
    }
    | dict.fromkeys(SECTIONS, {})
)
STARTED = []
GROW = """import os, time
file = open('grows', 'a', buffering=1)
while True:
    file.write(f'{os.getpid()}\\n')
    time.sleep(0.05)"""
# Holds the GIL: no Python thread can help.
NATIVE = """import os
open('grows', 'w').write(str(os.getpid()))
sum(range(10**13))"""
FAULTS = {
    "raise": (
        "1 / 0",
        "v2vbench: notebooks/01_train.ipynb, code cell 3: ZeroDivisionError: division by zero; "
        "partial notebook: .cache/notebooks/train-x.ipynb\n",
    ),
    "lines": ("raise ValueError('one\\n  two')", "code cell 3: ValueError: one two; partial"),
    "fault": ("from v2vbench.params import Fault\nraise Fault('runs.x: mend it')", "v2vbench: runs.x: mend it\n"),
    "exit": ("import sys\nsys.exit(0)", "code cell 3: sys.exit is no way to end a notebook; partial"),
    "die": ("import os\nos._exit(0)", "code cell 3: the kernel died: exit code 0; partial"),
    "killed": ("import os\nos.kill(os.getpid(), 9)", "code cell 3: the kernel died: SIGKILL, out of memory?; partial"),
}


def project(folder: Path, **stages: list[str]) -> Path:
    """A project whose stages have these cells."""
    (folder / "notebooks").mkdir(parents=True)
    (folder / "params.yaml").write_text(EMPTY)
    for number, (stage, cells) in enumerate(stages.items(), 1):
        first = new_code_cell('stage = {"key": "y"}', metadata={"tags": ["parameters"]})
        nbformat.write(
            new_notebook(cells=[first, *map(new_code_cell, cells)]), folder / f"notebooks/{number:02d}_{stage}.ipynb"
        )
    write_cleaned(folder, "build/notebooks")
    load_checked(folder)  # remembered: the runner need not import every model again
    return folder


def start(folder: Path, *command: str, **env: str) -> subprocess.Popen:
    home = folder / "home"
    home.mkdir(exist_ok=True)
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DVC", "JUPYTER", "IPYTHON", "PYTEST"))
    }
    STARTED.append(
        subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=folder,
            env=clean | {"HOME": str(home)} | env,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    )
    return STARTED[-1]


@pytest.fixture(autouse=True)
def nothing_left():
    """Whatever a test that failed has left running is ended."""
    yield
    while STARTED:
        with STARTED.pop() as process:
            process.kill()


def until(condition, what: str, seconds: float = 600):
    """Wait for a condition; its value."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.05)
    pytest.fail(f"waited {seconds} s for {what}")


def test_a_stage_leaves_the_same_bytes_and_tells_of_itself(tmp_path):
    root = project(
        tmp_path / "p",
        train=[
            "import warnings, os\nfrom v2vbench.progress import goes_on_from, say\nsay('step 1 of 2')\n"
            "goes_on_from(5000)\nwarnings.warn('be' + 'ware')",
            "print(stage, object(), os.getcwd(), os.environ['CUBLAS_WORKSPACE_CONFIG'])\nprint({'a', 'b', 'c', 'd'})",
            "import sys\nprint(sys.executable)\nfrom matplotlib import pyplot\npyplot.plot([1, 2]);",
        ],
    )
    foreign = root / "home/.local/share/jupyter/kernels/python3"  # someone else's kernel of the usual name
    foreign.mkdir(parents=True)
    (foreign / "kernel.json").write_text('{"argv": ["/bin/false"], "display_name": "other", "language": "python"}')
    process = start(root, "v2vbench", "run", "train", "x")
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 0
    assert errors.startswith("step 1 of 2\n")
    assert "beware" in errors
    assert len(errors.splitlines()) <= 4
    out = root / "reports/notebooks/train-x.ipynb"
    first = out.read_bytes()
    assert b"'key': 'x'" in first
    assert b"<object object at 0x\xe2\x80\xa6> . :4096:8" in first
    assert b"image/png" in first
    assert b"beware" not in first
    assert str(root).encode() not in first
    assert b"duration" not in first
    assert b'{\\"key\\": \\"y\\"}' not in first  # the default, which another has replaced
    assert sys.executable in first.decode()
    assert "beware" in (root / "logs/train-x.log").read_text()
    facts = json.loads((root / "logs/train-x.json").read_text())
    assert facts["stage"] == "train"
    assert facts["key"] == "x"
    assert facts["device"] == "cpu"
    assert 30 < facts["peak_memory_mb"] < 2000
    assert 5000 < facts["seconds"] < 6000  # with those of earlier sittings
    assert facts["revision"] is None
    assert not list((root / ".cache/notebooks").iterdir())
    out.unlink()
    assert start(root, "v2vbench", "run", "train", "x", HOME="/nonexistent").wait(timeout=600) == 0
    assert out.read_bytes() == first


@pytest.fixture
def command(monkeypatch, capsys):
    """v2vbench in this process, inside a project: its exit code and its stderr. The kernel is a process of its own."""

    def call(root: Path, *words: str) -> tuple[int, str]:
        monkeypatch.chdir(root)
        capsys.readouterr()
        return main([*words]), capsys.readouterr().err

    before = dict(os.environ)
    yield call
    os.environ.clear()
    os.environ.update(before)


@pytest.mark.parametrize(("cell", "says"), FAULTS.values(), ids=FAULTS)
def test_a_failure_is_one_line(tmp_path, command, cell, says):
    root = project(tmp_path / "p", train=["a = 1", cell, "b = 2"])
    code, errors = command(root, "run", "train", "x")
    assert code == 1, errors
    assert says in errors, errors
    assert errors.startswith("v2vbench: "), errors
    assert errors.count("\n") == 1, errors
    assert not (root / "reports/notebooks/train-x.ipynb").exists()
    partial = nbformat.read(root / ".cache/notebooks/train-x.ipynb", 4)
    assert "b = 2" in partial.cells[-1].source
    assert not partial.cells[-1].outputs


def test_what_cannot_start_is_one_line(tmp_path, command):
    root = project(tmp_path / "p", good=["1"], late=["1"], other=["1"])
    assert "v2vbench: run: no 'tarin'; there are good, late, other\n" == command(root, "run", "tarin", "x")[1]
    assert "a key is made of a-z" in command(root, "run", "good", "../x")[1]
    late = root / "build/notebooks/02_late.ipynb"
    late.write_text(late.read_text().replace("stage =", "stages ="))
    assert "no cell tagged `parameters` sets stage" in command(root, "run", "late", "x")[1]
    (root / "build/notebooks/03_other.ipynb").write_text("{")
    assert "03_other.ipynb: not a notebook" in command(root, "run", "other", "x")[1]
    (root / "params.yaml").write_text(EMPTY.replace('"runs"', '"runz"'))
    code, errors = command(root, "run", "good", "x")
    assert code == 1
    assert errors.startswith("v2vbench: params.yaml: unknown runz; it takes suite, about")
    assert errors.count("\n") == 1
    assert not (root / "reports").exists()


def test_a_disk_that_is_full_or_closed_is_one_line(tmp_path, command):
    root = project(tmp_path / "p", train=["1"])
    (root / ".cache/notebooks").mkdir(parents=True)
    (root / ".cache/notebooks/train-x.ipynb").symlink_to("/dev/full")
    code, errors = command(root, "run", "train", "x")
    assert code == 1, errors
    assert errors.startswith("v2vbench: [Errno 28] No space left on device"), errors
    assert errors.count("\n") == 1, errors
    (root / ".cache/notebooks/train-x.ipynb").unlink()
    (root / "reports").write_text("not a folder")
    code, errors = command(root, "run", "train", "x")
    assert code == 1, errors
    assert errors.startswith("v2vbench: [Errno"), errors
    assert "reports" in errors, errors
    assert errors.count("\n") == 1, errors


def kernel_of(root: Path) -> psutil.Process:
    path = root / "grows"
    return psutil.Process(int(until(lambda: path.is_file() and path.read_text().split(), "the kernel to write")[0]))


def stopped(root: Path, *processes: psutil.Process) -> None:
    """The processes are gone, and what they wrote grows no more."""
    _, alive = psutil.wait_procs(processes, timeout=300)
    assert not alive
    size = (root / "grows").stat().st_size
    time.sleep(0.3)
    assert (root / "grows").stat().st_size == size


@pytest.mark.parametrize(
    ("victim", "signum", "cell"),
    [("runner", "SIGTERM", GROW), ("runner", "SIGKILL", NATIVE), ("kernel", "SIGKILL", GROW)],
)
def test_nothing_outlives_a_kill(tmp_path, victim, signum, cell):
    root = project(tmp_path / "p", train=[cell])
    runner = start(root, "v2vbench", "run", "train", "x")
    kernel = kernel_of(root)
    os.kill({"runner": runner, "kernel": kernel}[victim].pid, signal.Signals[signum])
    _, errors = runner.communicate(timeout=600)
    assert runner.returncode == {"runner SIGTERM": 130, "runner SIGKILL": -9, "kernel SIGKILL": 1}[f"{victim} {signum}"]
    assert errors == {130: "v2vbench: notebooks/01_train.ipynb: stopped by SIGTERM\n", -9: ""}.get(
        runner.returncode, errors
    )
    assert victim != "kernel" or "the kernel died: SIGKILL" in errors
    stopped(root, kernel)


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("python -m v2vbench run train x", marks=pytest.mark.slow),
        "true; python -m v2vbench run train x; true",
    ],
)
def test_a_killed_dvc_takes_its_stage_along(tmp_path, line):
    """Without and with a shell between dvc and the runner that lives on."""
    root = project(tmp_path / "p", train=[GROW])
    (root / "dvc.yaml").write_text(
        f"stages:\n  train:\n    cmd: {line}\n    deps:\n    - build/notebooks/01_train.ipynb\n"
    )
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {"PATH": path, "SHELL": "/bin/sh", "DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(tmp_path / "site")}
    assert start(root, "dvc", "init", "-q", "--no-scm", **env).wait(timeout=600) == 0
    dvc = start(root, "dvc", "repro", **env)
    kernel = kernel_of(root)
    runner = kernel.parent()
    assert {"run", "train", "x"} <= set(runner.cmdline())
    dvc.send_signal(signal.SIGKILL)
    stopped(root, runner, kernel)
    dvc.communicate(timeout=600)
