"""Unpack a zip or tar archive to a folder that appears whole or not at all; no member can write outside it."""

import os
import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from v2vbench.params import Fault
from v2vbench.progress import progress

MARKER = ".unpacked"  # a file in the folder: the sha256 of the archive, and the value of `only`
CURE = "free some space or repair the folder, and run again"
# Of tarfile's `extract`, since Python 3.11.4; Debian 12 has 3.11.2.
FILTER: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
Member = TypeVar("Member", zipfile.ZipInfo, tarfile.TarInfo)


def unpack(path: Path, folder: Path, *, sha256: str, only: str) -> Path:
    """Unpack an archive to `folder`, unless it is there already.

    sha256     of the archive, recorded in the folder
    only       unpack only members whose path contains this; "": all
    returns    the folder
    raises     Fault if the archive is damaged, or has links or paths that leave the folder
    """
    folder, partial = Path(folder), Path(folder).with_name(folder.name + ".unpacking")
    if origin(folder, only) == sha256:
        return folder
    if folder.exists() and not (folder / MARKER).is_file():
        raise Fault(f"{folder}: in the way of {path.name}, and not unpacked from it; move it")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        (_unzip if zipfile.is_zipfile(path) else _untar)(path, partial, only)
        (partial / MARKER).write_text(f"{sha256}\n{only}")
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(partial, folder)
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, RuntimeError) as error:
        reason = (str(error) or repr(error)).splitlines()[0]
        raise Fault(f"{path}: not a whole archive ({reason}); delete it and run again") from None
    except OSError as error:
        raise Fault(f"{folder}: {error.strerror or error}; {CURE}") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def origin(folder: Path, only: str) -> str | None:
    """sha256 of the archive that `folder` was unpacked from with the same `only`; None for any other folder."""
    marker = folder / MARKER
    sha256, _, members = marker.read_text().partition("\n") if marker.is_file() else ("", "", None)
    return sha256 if members == only else None


def _unzip(path: Path, folder: Path, only: str) -> None:
    with zipfile.ZipFile(path) as file:
        for member in file.infolist():
            if stat.S_ISLNK(member.external_attr >> 16):
                raise Fault(f"{path}: unsafe: {member.filename} is a link; nothing was unpacked")
        for member in _members(path, folder, only, [(m, m.filename, m.file_size) for m in file.infolist()]):
            file.extract(member, folder)


def _untar(path: Path, folder: Path, only: str) -> None:
    with tarfile.open(path) as file:
        for member in file.getmembers():
            if not (member.isfile() or member.isdir()):
                raise Fault(f"{path}: unsafe: {member.name} is a link or a device; nothing was unpacked")
        for member in _members(path, folder, only, [(m, m.name, m.size) for m in file.getmembers()]):
            file.extract(member, folder, **FILTER)


def _members(path: Path, folder: Path, only: str, members: list[tuple[Member, str, int]]) -> Iterator[Member]:
    """The members to unpack, after a check that all paths stay in the folder and that the disk has space.

    members    (member, its name, its bytes)
    """
    for _, name, _ in members:
        if name.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", name) or re.match(r"[A-Za-z]:", name):
            raise Fault(f"{path}: unsafe: {name!r} leads out of the folder; nothing was unpacked")
    members = [member for member in members if only in member[1]]
    if not members:
        raise Fault(f"{path}: holds no {only or 'file'}; it is not the archive expected")
    needed, free = sum(n_bytes for _, _, n_bytes in members), shutil.disk_usage(folder).free
    if free < needed:
        raise Fault(f"{path.name}: needs {needed / 1e9:.1f} GB, {folder} has {free / 1e9:.1f} GB free; {CURE}")
    for member, _, _ in progress(members, f"unpack {path.name}", unit="file"):
        yield member
