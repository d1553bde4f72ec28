"""The folder of a study: whether one may be written there, and how it comes to its place."""

import os
import re
import shutil
import tempfile
from pathlib import Path

from v2vbench.params import Fault

FILE = re.compile(r"[0-9a-f]{12}\.mp4")


def check_folder(out: Path, root: Path, force: bool) -> None:
    """Raise Fault unless `out` is empty, not there, or a study that may be replaced."""
    if out.is_relative_to((root / "studies").resolve()):
        raise Fault(f"--out {out}: keys of studies are there, and must not be published; name another folder")
    if out.is_dir() and not any(out.iterdir()) or not out.exists():
        return
    if not _is_study(out):
        raise Fault(f"--out {out}: there is something that is no study; name an empty folder")
    if not force:
        raise Fault(f"--out {out}: a study is there; name another folder, or replace it with --force")


def _is_study(folder: Path) -> bool:
    """Whether a folder has the files of a study and no other."""
    if (
        folder.is_symlink()
        or not folder.is_dir()
        or {path.name for path in folder.iterdir()} != {"index.html", "videos"}
    ):
        return False
    index, videos = folder / "index.html", folder / "videos"
    return (
        index.is_file()
        and b"v2vbench/answers/" in index.read_bytes()
        and videos.is_dir()
        and all(FILE.fullmatch(path.name) and path.is_file() for path in videos.iterdir())
    )


def put(partial: Path, out: Path) -> None:
    """Move the finished folder to its place; a study that is there stays until the new one can replace it."""
    old = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}.")) if _is_study(out) else None
    if old:
        os.replace(out, old / out.name)
    os.replace(partial, out)
    if old:
        shutil.rmtree(old)
