"""Downloads from a server that misbehaves."""

import errno
import hashlib
import os
import threading
import time
from collections import namedtuple
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from v2vbench.download import archives
from v2vbench.params import Fault

BODY = np.random.default_rng(0).bytes(300_000)
BROKEN_AT = 200_000 // 65536 * 65536  # the piece that a break interrupts is lost


class Handler(BaseHTTPRequestHandler):
    """Answers by the server's plan, one behaviour a request; once it is empty, as a good server."""

    def log_message(self, *args):
        pass

    def do_GET(self):
        server, asked, path = self.server, self.headers.get("Range"), self.path.split("?")[0]
        server.seen.append((path, asked))
        behaviour = server.plan.pop(0) if server.plan else "good"
        if behaviour.isdigit() or path not in server.files:
            return self.send_error(int(behaviour) if behaviour.isdigit() else 404)
        body, tag = server.files[path], f'"{hashlib.sha256(server.files[path]).hexdigest()[:8]}"'
        start = 0
        same = self.headers.get("If-Range", tag) == tag or behaviour == "no If-Range"
        if asked and behaviour != "no ranges" and same:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
        if start >= len(body):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(body)}")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        self.send_response(206 if start else 200)
        if start:
            first = start + 1 if behaviour == "another part" else start
            self.send_header("Content-Range", f"bytes {first}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(body) - start + (100 if behaviour == "too long" else 0)))
        if not server.anonymous:
            self.send_header("ETag", tag)
        self.end_headers()
        stop = 200_000 if behaviour in ("break", "stall", "change") else None
        part = body[::-1] if behaviour == "other bytes" else body[start:stop]
        with suppress(ConnectionError):  # a client that has read enough hangs up
            for piece in (part[i : i + 60_000] for i in range(0, len(part), 60_000)):
                self.wfile.write(piece)
                time.sleep(0.05 if behaviour == "trickle" else 0)
        if behaviour == "stall":
            server.release.wait(5)
        if behaviour == "change":
            server.files[path] = body[::-1]


@contextmanager
def serving(files: dict[str, bytes]):
    """A server on this machine; `plan` its next behaviours, `seen` the requests (path, Range)."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.files, server.plan, server.seen, server.anonymous, server.release = files, [], [], False, threading.Event()
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.release.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    monkeypatch.setattr(archives, "PAUSE_S", 0.001)
    monkeypatch.setattr(archives, "TIMEOUT_S", 0.5)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("V2VBENCH_DATA", raising=False)


@pytest.fixture
def server():
    with serving({"/a/clip.zip": BODY}) as server:
        yield server


def get(server, folder, **expected):
    return archives.fetch(f"{server.url}/a/clip.zip?download=1", folder, **expected)


def fault(call, *args, **kwargs) -> str:
    with pytest.raises(Fault) as caught:
        call(*args, **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


RESUMED = f"bytes={BROKEN_AT}-"


@pytest.mark.parametrize(
    "plan, ranges",
    [
        (["good"], [None]),
        (["trickle"], [None]),
        (["break"], [None, RESUMED]),
        (["stall"], [None, RESUMED]),
        (["503", "429", "503"], [None] * 4),
        (["break", "503"], [None, RESUMED, RESUMED]),
        (["break", "no ranges"], [None, RESUMED]),
        (["break", "another part"], [None, RESUMED, None]),
        (["too long"], [None, "bytes=262144-"]),
    ],
)
def test_recovers(server, tmp_path, plan, ranges):
    server.plan = plan
    known = hashlib.sha256(BODY).hexdigest()
    path, sha256 = get(server, tmp_path, sha256=known, size=None if plan == ["too long"] else len(BODY))
    assert path == tmp_path / "clip.zip"
    assert path.read_bytes() == BODY
    assert sha256 == known
    assert [r for _, r in server.seen] == ranges
    assert os.listdir(tmp_path) == ["clip.zip"]
    get(server, tmp_path)
    assert len(server.seen) == len(ranges)  # there already: nothing was asked


def test_goes_on_at_the_next_call(server, tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "ATTEMPTS", 1)
    server.plan = ["break"]
    assert "connection broke" in fault(get, server, tmp_path)
    assert (tmp_path / "clip.zip.partial").stat().st_size == BROKEN_AT
    assert get(server, tmp_path)[0].read_bytes() == BODY
    assert server.seen[-1][1] == RESUMED


@pytest.mark.parametrize("n_bytes, ranges", [(len(BODY), ["bytes=300000-"]), (len(BODY) + 1, ["bytes=300001-", None])])
def test_partial_file_already_whole_or_too_long(server, tmp_path, n_bytes, ranges):
    server.plan = ["break"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(archives, "ATTEMPTS", 1)
        fault(get, server, tmp_path)
    (tmp_path / "clip.zip.partial").write_bytes((BODY + b"!")[:n_bytes])
    assert get(server, tmp_path)[0].read_bytes() == BODY
    assert [r for _, r in server.seen[1:]] == ranges


@pytest.mark.parametrize("answer, ranges", [("good", [None, RESUMED]), ("no If-Range", [None, RESUMED, None])])
def test_starts_anew_when_the_file_changed(server, tmp_path, answer, ranges):
    server.plan = ["change", answer]
    assert get(server, tmp_path)[0].read_bytes() == BODY[::-1]
    assert [r for _, r in server.seen] == ranges


@pytest.mark.parametrize("sha256, second", [(None, None), (hashlib.sha256(BODY).hexdigest(), RESUMED)])
def test_resumes_without_a_validator_only_if_the_hash_is_known(server, tmp_path, sha256, second):
    server.plan, server.anonymous = ["break"], True
    assert get(server, tmp_path, sha256=sha256)[0].read_bytes() == BODY
    assert server.seen[1][1] == second


def test_gives_up(server, tmp_path):
    for code in ("404", "403"):
        server.plan = [code]
        message = fault(get, server, tmp_path)
        assert f"{server.url}/a/clip.zip" in message
        assert code in message
        assert "V2VBENCH_DATA" in message
    assert len(server.seen) == 2  # at once
    server.plan = ["503"] * 99
    assert "503" in fault(get, server, tmp_path)
    assert len(server.seen) == 2 + archives.ATTEMPTS


def test_no_network(tmp_path):
    with serving({}) as gone:
        pass
    message = fault(get, gone, tmp_path)
    assert gone.url in message
    assert "no network" in message
    assert "V2VBENCH_DATA" in message


def test_wrong_bytes_are_removed(server, tmp_path):
    server.plan = ["other bytes"]
    assert "sha256 is" in fault(get, server, tmp_path, sha256=hashlib.sha256(BODY).hexdigest())
    assert os.listdir(tmp_path) == []
    assert "expected 5" in fault(get, server, tmp_path, size=5)
    assert os.listdir(tmp_path) == []
    get(server, tmp_path)
    assert "expected 5" in fault(get, server, tmp_path, size=5)
    assert os.listdir(tmp_path) == ["clip.zip"]
    assert "names no file" in fault(archives.fetch, server.url + "/", tmp_path)
    assert "htp://" in fault(archives.fetch, "htp://clip.zip/a", tmp_path / "new")


def test_full_disk(server, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(archives.shutil, "disk_usage", lambda _: namedtuple("usage", "free")(len(BODY) - 1))
        assert "free" in fault(get, server, tmp_path)
        assert not (tmp_path / "clip.zip.partial").exists()

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(archives, "_save", full)
    assert "No space left" in fault(get, server, tmp_path)
