"""Get a published archive and open it: resumed, checked, whole or not at all. The only module on the network."""

import hashlib
import os
import re
import shutil
import stat
import tarfile
import time
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import requests

from v2vbench.params import Fault
from v2vbench.progress import progress, say

MIB = 1 << 20
ATTEMPTS = 5  # in a row that bring less than a MiB, before we give up
PAUSE_S = 1.0  # before the second attempt; doubled for each further one
TIMEOUT_S = 30.0  # without a byte
MARKER = ".unpacked"  # in a folder: from which archive
MEND = "free some space or mend the folder, and run again"
OWN = "set V2VBENCH_DATA to a folder that holds your own copy, unpacked"


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A file to download; a line of a data set in params.yaml."""

    url: str
    sha256: str | None  # null: any file is taken and its hash is told
    size: int | None  # bytes; null: as many as the server says


class _Again(Exception):
    """What may go better at the next attempt."""


def own_copy() -> Path | None:
    """The folder that V2VBENCH_DATA names, used in place of downloads, or None; raises Fault where it is no folder."""
    if not (name := os.environ.get("V2VBENCH_DATA")):
        return None
    if not Path(name).is_dir():
        raise Fault(f"V2VBENCH_DATA={name}: no such folder; correct it, or unset it to download")
    return Path(name)


def archive(wanted: Archive, folder: Path, *, only: str) -> tuple[Path, str]:
    """Download and unpack, or find both done.

    folder     of downloads
    only       members to unpack: those with this in their path; "" is all
    returns    the folder with the content; sha256 of the archive
    raises     Fault
    """
    target = Path(folder) / re.sub(r"\.(zip|tar\.gz|tgz|tar)$", "", _name(wanted.url))
    if (found := _unpacked(target, only)) and wanted.sha256 in (None, found):
        return target, found  # the archive itself may have been deleted since
    path, sha256 = fetch(wanted.url, folder, sha256=wanted.sha256, size=wanted.size)
    if wanted.sha256 is None:
        say(f"{path.name}: sha256 {sha256}; write it in the parameters, so that nobody gets another file unseen")
    return unpack(path, target, sha256=sha256, only=only), sha256


def fetch(url: str, folder: Path, *, sha256: str | None = None, size: int | None = None) -> tuple[Path, str]:
    """Download `url` to `folder`; a broken download is taken up where it stopped, now or at the next call.

    sha256, size    that the file must have; None: not known
    returns         the file, which appears whole or not at all; its sha256
    raises          Fault, always with the URL
    """
    path = Path(folder) / _name(url)
    partial, state = path.with_name(path.name + ".partial"), path.with_name(path.name + ".partial.of")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file():
            _download(url, partial, state, sha256, size)
            os.replace(partial, path)
            state.unlink(missing_ok=True)
        if size and path.stat().st_size != size:
            raise Fault(f"{url}: {path} has {path.stat().st_size} bytes, expected {size}; correct that or delete it")
        found = _sha256(path)
    except OSError as error:
        raise Fault(f"{path}: {error.strerror or error}; {MEND}") from None
    if sha256 and found != sha256:
        path.unlink()
        raise Fault(
            f"{url}: sha256 is {found}, expected {sha256}; the file was removed: run again, "
            "and if it comes back so, the publisher changed it"
        )
    return path, found


def _download(url: str, partial: Path, state: Path, sha256: str | None, size: int | None) -> None:
    failed, furthest = 0, 0
    while True:
        try:
            return _attempt(url, partial, state, sha256, size)
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError, _Again) as error:
            reason = _reason(error)
        except requests.RequestException as error:
            raise Fault(f"{url}: {_reason(error)}; {OWN}") from None
        reached = partial.stat().st_size if partial.is_file() else 0
        failed = 1 if reached >= furthest + MIB else failed + 1
        furthest = max(furthest, reached)
        if failed >= ATTEMPTS:
            raise Fault(f"{url}: {reason}; tried {ATTEMPTS} times. Run again to go on, or {OWN}")
        say(f"{_name(url)}: {reason}; trying again, {ATTEMPTS - failed} left")
        time.sleep(PAUSE_S * 2 ** (failed - 1))


def _attempt(url: str, partial: Path, state: Path, sha256: str | None, size: int | None) -> None:
    """One request: append what is missing to `partial`; returns when it is whole, raises _Again or of requests."""
    have, known, headers = 0, "", {"Accept-Encoding": "identity"}
    if partial.is_file() and state.is_file():
        of, _, known = state.read_text().partition("\n")
        # Without a validator, nothing but the final hash could tell that the two parts are of one file.
        have = partial.stat().st_size if of == url and (known or sha256) else 0
    if have:
        headers |= {"Range": f"bytes={have}-"} | ({"If-Range": known} if known else {})
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as response:
        if response.status_code == 416:  # nothing after `have`: whole already, or not this file
            if response.headers.get("Content-Range") == f"bytes */{have}":
                return
            partial.unlink()
            raise _Again("the server has less than was downloaded")
        if response.status_code == 429 or response.status_code >= 500:
            raise _Again(f"the server answers {response.status_code} {response.reason}")
        if response.status_code not in (200, 206):
            raise Fault(f"{url}: the server answers {response.status_code} {response.reason}; {OWN}")
        tag, modified = response.headers.get("ETag", ""), response.headers.get("Last-Modified", "")
        validator = tag if tag and not tag.startswith("W/") else modified
        if response.status_code == 206:
            span = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
            if not span or int(span[1]) != have or (known and validator != known):
                partial.unlink(missing_ok=True)
                raise _Again("the server sent another part than the one asked for")
            total = int(span[2])
        else:
            have = 0  # another file by now, or no ranges: from the start
            total = int(response.headers.get("Content-Length", 0)) or size or 0
        if size and total != size:
            raise Fault(f"{url}: the server has {total} bytes, expected {size}; correct the size, or {OWN}")
        _room(partial.parent, total - have, url)
        state.write_text(f"{url}\n{validator}")
        with open(partial, "ab" if have else "wb") as file:
            for _ in progress(
                _save(response, file, have), f"download {_name(url)}", unit="MiB", total=total // MIB, start=have // MIB
            ):
                pass
            file.flush()
            os.fsync(file.fileno())
        if total and partial.stat().st_size != total:
            raise _Again(f"{partial.stat().st_size} of {total} bytes arrived")


def _save(response: requests.Response, file, have: int):
    """Write the body, yielding once a MiB. Small pieces: the one that a break interrupts is lost."""
    for piece in response.iter_content(MIB // 16):
        file.write(piece)
        yield from [None] * ((have + len(piece)) // MIB - have // MIB)
        have += len(piece)


def unpack(path: Path, folder: Path, *, sha256: str, only: str) -> Path:
    """Unpack a zip or tar archive so that `folder` appears whole or not at all; done already, it is left as it is.

    sha256     of the archive, recorded in the folder
    only       see `archive`
    raises     Fault for an archive that is damaged or that reaches out of the folder
    """
    folder, partial = Path(folder), Path(folder).with_name(folder.name + ".unpacking")
    if _unpacked(folder, only) == sha256:
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
    except tarfile.FilterError as error:
        raise Fault(f"{path}: unsafe: {error}; nothing was unpacked") from None
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, RuntimeError) as error:
        told = (str(error) or repr(error)).splitlines()[0]
        raise Fault(f"{path}: not a whole archive ({told}); delete it and run again") from None
    except OSError as error:
        raise Fault(f"{folder}: {error.strerror or error}; {MEND}") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def _unzip(path: Path, folder: Path, only: str) -> None:
    with zipfile.ZipFile(path) as file:
        for member in file.infolist():
            if stat.S_ISLNK(member.external_attr >> 16):
                raise Fault(f"{path}: unsafe: {member.filename} is a link; nothing was unpacked")
        for member in _members(path, folder, only, [(m, m.filename, m.file_size) for m in file.infolist()]):
            file.extract(member, folder)


def _untar(path: Path, folder: Path, only: str) -> None:
    with tarfile.open(path) as file:
        for member in _members(path, folder, only, [(m, m.name, m.size) for m in file.getmembers()]):
            file.extract(member, folder, filter="data")  # refuses links out of the folder, devices and the like


def _members(path: Path, folder: Path, only: str, members: list[tuple]):
    """Those to unpack of (member, name, bytes), once every name is found to stay in the folder and there is room."""
    for _, name, _ in members:
        if name.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", name) or re.match(r"[A-Za-z]:", name):
            raise Fault(f"{path}: unsafe: {name!r} leads out of the folder; nothing was unpacked")
    members = [member for member in members if only in member[1]]
    if not members:
        raise Fault(f"{path}: holds no {only or 'file'}; it is not the archive expected")
    _room(folder, sum(n_bytes for _, _, n_bytes in members), path.name)
    for member, _, _ in progress(members, f"unpack {path.name}", unit="file"):
        yield member


def _unpacked(folder: Path, only: str) -> str | None:
    """sha256 of the archive that `folder` was unpacked from, None where it was not."""
    marker = folder / MARKER
    sha256, _, what = marker.read_text().partition("\n") if marker.is_file() else ("", "", None)
    return sha256 if what == only else None


def _sha256(path: Path) -> str:
    sha = hashlib.sha256()
    with open(path, "rb") as file:
        for piece in progress(
            iter(lambda: file.read(MIB), b""), f"check {path.name}", unit="MiB", total=-(-path.stat().st_size // MIB)
        ):
            sha.update(piece)
    return sha.hexdigest()


def _name(url: str) -> str:
    if not (name := re.sub(r"[^\w.-]", "_", unquote(PurePosixPath(urlsplit(url).path).name))):
        raise Fault(f"{url}: this URL names no file")
    return name


def _room(folder: Path, n_bytes: int, what: str) -> None:
    if (free := shutil.disk_usage(folder).free) < n_bytes:
        raise Fault(f"{what}: needs {n_bytes / 1e9:.1f} GB, {folder} has {free / 1e9:.1f} GB free; free some, or {OWN}")


def _reason(error: Exception) -> str:
    if isinstance(error, requests.Timeout) or "timed out" in str(error):
        return f"no answer for {TIMEOUT_S:g} s"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke"
    if isinstance(error, requests.ConnectionError):
        return "no connection: no network, a name that does not resolve, or a server that is down"
    return str(error)
