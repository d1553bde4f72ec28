"""Download a published file: resumed, checked, and there whole or not at all. The only module that uses the network."""

import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

import requests

from v2vbench.download import unpack
from v2vbench.params import Fault
from v2vbench.progress import progress, say

MIB = 1 << 20
ATTEMPTS = 5  # consecutive attempts with less than 1 MiB each before a download fails
PAUSE_S = 1.0  # before the second attempt; doubled before each later one
TIMEOUT_S = 30.0  # without any data
OWN_COPY = "set V2VBENCH_DATA to a folder that holds your own copy, unpacked"


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A file to download; a line of a data set in params.yaml."""

    url: str
    sha256: str | None  # null: any file is accepted, and its hash is printed
    size: int | None  # bytes; null: as many as the server says


class _TryAgain(Exception):
    """A temporary failure: the next attempt may succeed."""


def local_copy() -> Path | None:
    """The folder in V2VBENCH_DATA, which replaces downloads, or None; raises Fault if it is not a folder."""
    if not (name := os.environ.get("V2VBENCH_DATA")):
        return None
    if not Path(name).is_dir():
        raise Fault(f"V2VBENCH_DATA={name}: no such folder; correct it, or unset it to download")
    return Path(name)


def archive(wanted: Archive, folder: Path, *, only: str) -> tuple[Path, str]:
    """Download and unpack an archive, unless that has been done before.

    folder     of downloads
    only       unpack only members whose path contains this; "": all
    returns    the folder with the content; sha256 of the archive
    raises     Fault
    """
    target = Path(folder) / re.sub(r"\.(zip|tar\.gz|tgz|tar)$", "", _name(wanted.url))
    if (digest := unpack.origin(target, only)) and wanted.sha256 in (None, digest):
        return target, digest  # the archive itself may have been deleted since
    path, digest = fetch(wanted.url, folder, sha256=wanted.sha256, size=wanted.size)
    if wanted.sha256 is None:
        say(f"{path.name}: sha256 {digest}; write it in the parameters, so that nobody gets another file unnoticed")
    return unpack.unpack(path, target, sha256=digest, only=only), digest


def fetch(url: str, folder: Path, *, sha256: str | None = None, size: int | None = None) -> tuple[Path, str]:
    """Download `url` to `folder`; an interrupted download is resumed, now or at the next call.

    sha256, size    expected of the file; None: not checked
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
        digest = _sha256(path)
    except OSError as error:
        raise Fault(f"{path}: {error.strerror or error}; {unpack.CURE}") from None
    if sha256 and digest != sha256:
        path.unlink()
        raise Fault(
            f"{url}: sha256 is {digest}, expected {sha256}; the file was removed: run again, and if it comes back so, "
            "the publisher has changed it"
        )
    return path, digest


def _download(url: str, partial: Path, state: Path, sha256: str | None, size: int | None) -> None:
    """Retry until `partial` is complete; raises Fault after ATTEMPTS consecutive attempts with almost no data."""
    failed, furthest = 0, 0
    while True:
        try:
            return _attempt(url, partial, state, sha256, size)
        except (
            requests.ConnectionError,
            requests.Timeout,
            requests.exceptions.ChunkedEncodingError,
            _TryAgain,
        ) as error:
            reason = _reason(error)
        except requests.RequestException as error:
            raise Fault(f"{url}: {_reason(error)}; {OWN_COPY}") from None
        reached = partial.stat().st_size if partial.is_file() else 0
        failed = 1 if reached >= furthest + MIB else failed + 1
        furthest = max(furthest, reached)
        if failed >= ATTEMPTS:
            raise Fault(f"{url}: {reason}; tried {ATTEMPTS} times. Run again to resume, or {OWN_COPY}")
        say(f"{_name(url)}: {reason}; trying again, {ATTEMPTS - failed} left")
        time.sleep(PAUSE_S * 2 ** (failed - 1))


def _attempt(url: str, partial: Path, state: Path, sha256: str | None, size: int | None) -> None:
    """Send one request and append the missing bytes to `partial`; returns when it is complete.

    state     a file with the URL and the validator (ETag or date) of the bytes in `partial`
    raises    _TryAgain, or an error of requests
    """
    start, validator, headers = 0, "", {"Accept-Encoding": "identity"}
    if partial.is_file() and state.is_file():
        address, _, validator = state.read_text().partition("\n")
        # Without a validator only the final hash can show that both parts belong to the same file.
        start = partial.stat().st_size if address == url and (validator or sha256) else 0
    if start:
        headers |= {"Range": f"bytes={start}-"} | ({"If-Range": validator} if validator else {})
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as response:
        if response.status_code == 416:  # no bytes after `start`: complete, or another file
            if response.headers.get("Content-Range") == f"bytes */{start}":
                return
            partial.unlink()
            raise _TryAgain("the server has less than was downloaded")
        if response.status_code == 429 or response.status_code >= 500:
            raise _TryAgain(f"the server answers {response.status_code} {response.reason}")
        if response.status_code not in (200, 206):
            raise Fault(f"{url}: the server answers {response.status_code} {response.reason}; {OWN_COPY}")
        tag, modified = response.headers.get("ETag", ""), response.headers.get("Last-Modified", "")
        current = tag if tag and not tag.startswith("W/") else modified
        if response.status_code == 206:
            span = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
            if not span or int(span[1]) != start or (validator and current != validator):
                partial.unlink(missing_ok=True)
                raise _TryAgain("the server sent another part than was requested")
            total = int(span[2])
        else:
            start = 0  # the file has changed, or the server does not support ranges: start over
            total = int(response.headers.get("Content-Length", 0)) or size or 0
        if size and total != size:
            raise Fault(f"{url}: the server has {total} bytes, expected {size}; correct the size, or {OWN_COPY}")
        _check_space(partial.parent, total - start, url)
        state.write_text(f"{url}\n{current}")
        with open(partial, "ab" if start else "wb") as file:
            pieces = _save(response, file, start)
            what, done = f"download {_name(url)}", start // MIB
            for _ in progress(pieces, what, unit="MiB", total=total // MIB, start=done):
                pass
            file.flush()
            os.fsync(file.fileno())
        if total and partial.stat().st_size != total:
            raise _TryAgain(f"{partial.stat().st_size} of {total} bytes arrived")


def _save(response: requests.Response, file: BinaryIO, start: int) -> Iterator[None]:
    """Write the body and yield after each MiB. Pieces are small because an interrupted piece is lost."""
    for piece in response.iter_content(MIB // 16):
        file.write(piece)
        yield from [None] * ((start + len(piece)) // MIB - start // MIB)
        start += len(piece)


def _sha256(path: Path) -> str:
    digest, n_pieces = hashlib.sha256(), -(-path.stat().st_size // MIB)
    with open(path, "rb") as file:
        pieces = iter(lambda: file.read(MIB), b"")
        for piece in progress(pieces, f"check {path.name}", unit="MiB", total=n_pieces):
            digest.update(piece)
    return digest.hexdigest()


def _name(url: str) -> str:
    """The file name at the end of a URL."""
    if not (name := re.sub(r"[^\w.-]", "_", unquote(PurePosixPath(urlsplit(url).path).name))):
        raise Fault(f"{url}: this URL names no file")
    return name


def _check_space(folder: Path, n_bytes: int, url: str) -> None:
    """Raises Fault if the disk of `folder` has less than `n_bytes` free."""
    if (free := shutil.disk_usage(folder).free) < n_bytes:
        sizes = f"needs {n_bytes / 1e9:.1f} GB, {folder} has {free / 1e9:.1f} GB free"
        raise Fault(f"{url}: {sizes}; free some, or {OWN_COPY}")


def _reason(error: Exception) -> str:
    """Why an attempt failed, in words."""
    if isinstance(error, requests.Timeout) or "timed out" in str(error):
        return f"no answer for {TIMEOUT_S:g} s"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke"
    if isinstance(error, requests.ConnectionError):
        return "no connection: no network, a name that does not resolve, or a server that is down"
    return str(error)
