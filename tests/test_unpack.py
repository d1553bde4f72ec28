"""Archives: unpacked whole or not at all, and never outside their folder."""

import errno
import io
import os
import stat
import tarfile
import zipfile

import pytest
from test_fetch import BODY, fault

from v2vbench.download.unpack import unpack


def zipped(members: dict[str, bytes | str]) -> bytes:
    """A zip; a str is a link to it."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (stat.S_IFLNK | 0o777) << 16 if isinstance(content, str) else 0
            file.writestr(info, content)
    return stream.getvalue()


def tarred(members: dict[str, bytes | str]) -> bytes:
    """A tar.gz; a str is a link to it."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as file:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
            else:
                info.size = len(content)
            file.addfile(info, None if isinstance(content, str) else io.BytesIO(content))
    return stream.getvalue()


@pytest.mark.parametrize("make", [zipped, tarred])
def test_unpack(tmp_path, make):
    path, folder = tmp_path / "a", tmp_path / "out"
    path.write_bytes(make({"top/train/1.txt": b"one", "top/test/2.txt": b"two"}))
    assert unpack(path, folder, sha256="1", only="train/") == folder
    assert (folder / "top/train/1.txt").read_bytes() == b"one"
    assert not (folder / "top/test").exists()
    (folder / "mine").write_text("kept")
    unpack(path, folder, sha256="1", only="train/")
    assert (folder / "mine").exists()  # done already
    unpack(path, folder, sha256="2", only="train/")
    assert not (folder / "mine").exists()
    assert sorted(os.listdir(tmp_path)) == ["a", "out"]
    assert "holds no" in fault(unpack, path, tmp_path / "b", sha256="1", only="labels/")
    (tmp_path / "c").mkdir()
    assert "in the way" in fault(unpack, path, tmp_path / "c", sha256="1", only="")


@pytest.mark.parametrize(
    "make, members",
    [
        (make, {"fine.txt": b"fine", **evil})
        for make in (zipped, tarred)
        for evil in (
            {"../evil": b"!"},
            {"a/../../evil": b"!"},
            {"/tmp/evil": b"!"},
            {"..\\evil": b"!"},
            {"C:\\evil": b"!"},
            {"link": "/etc/passwd"},
            {"link": "../..", "link/evil": b"!"},
        )
    ],
)
def test_unpack_stays_inside(tmp_path, make, members):
    (tmp_path / "a").write_bytes(make(members))
    assert "unsafe" in fault(unpack, tmp_path / "a", tmp_path / "in/out", sha256="1", only="")
    assert {p.name for p in tmp_path.rglob("*")} == {"a", "in"}


def test_damaged_archives(tmp_path, monkeypatch):
    content = {"a.bin": BODY}
    for damaged in (
        zipped(content)[:-50_000],
        tarred(content)[:-50_000],
        b"<html>please log in</html>",
        b"",
        zipped(content).replace(BODY[1000:1010], bytes(10)),
    ):
        (tmp_path / "a").write_bytes(damaged)
        assert "not a whole archive" in fault(unpack, tmp_path / "a", tmp_path / "out", sha256="1", only="")
        assert os.listdir(tmp_path) == ["a"]
    (tmp_path / "a").write_bytes(zipped(content))

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "extract", full)
    assert "No space left" in fault(unpack, tmp_path / "a", tmp_path / "out", sha256="1", only="")
    assert os.listdir(tmp_path) == ["a"]
