"""`pip install v2vbench`: the wheel has every file that the library reads, and works without the repository."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
USE = """
import torch
import v2vbench
from v2vbench.datasets.carphone import LANDMARKS, read_landmarks
from v2vbench.metrics import psnr
from v2vbench.report import page
frames = torch.zeros(2, 3, 8, 8)
assert psnr.compute(frames, frames, data_range=2, cap_db=100).tolist() == [100, 100]
assert len(read_landmarks(LANDMARKS)[0]) > 0
assert "{" in page.style_sheet()
print(v2vbench.__file__)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel of this working tree, built without the network."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return next(folder.glob("v2vbench-*.whl"))


def test_it_has_every_file_of_the_package(wheel):
    command = ["git", "ls-files", "-co", "--exclude-standard", "v2vbench"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    files = {name for name in listed if (ROOT / name).is_file()}
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("v2vbench/")}
    assert packed == files
    assert {Path(name).suffix for name in packed} >= {".py", ".j2", ".css", ".js", ".csv"}


def test_it_works_alone(wheel, tmp_path):
    """Templates, style and tables are found where the wheel is unpacked."""
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r})\n{USE}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "site/v2vbench/__init__.py")
