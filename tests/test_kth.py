"""KTH on its true layout: tiny videos in MPEG-4, packed as published, served from this machine."""

import av
import numpy as np
import pytest
from test_fetch import fault, serving
from test_unpack import zipped

from v2vbench import params
from v2vbench.clips.store import Store
from v2vbench.datasets import kth
from v2vbench.download import archives

H, W = 24, 32  # the aspect ratio of the true 120 x 160
ACTIONS = ("walking", "running")
LIST = """
Training:   person11, 12, 13

person01_walking_d1\t\tframes\t3-10, 12-16
person01_walking_d2    \tframes\t1-3
person17_walking_d1\t\tframes\t1-8
person13_handclapping_d3\t*missing*
"""


def level(person: int, t: int) -> int:
    """The grey level of a frame's middle, which tells its person and number."""
    return 40 + 7 * t + person


def video(path, person: int, n_frames: int) -> bytes:
    """The middle 24 columns at `level`, the rest black."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = W, H, "yuv420p", 10**7
        for t in range(n_frames):
            picture = np.zeros((H, W, 3), np.uint8)
            picture[:, 4:28] = level(person, t)
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                file.mux(packet)
        for packet in stream.encode():
            file.mux(packet)
    return path.read_bytes()


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, dict[str, bytes]]:
    """{action: {name: video}}; person 1 has 20 frames, person 17 has 11."""
    folder = tmp_path_factory.mktemp("kth")
    made = {person: video(folder / "a.avi", person, n) for person, n in ((1, 20), (17, 11))}
    return {
        action: {f"person{p:02d}_{action}_d{d}_uncomp.avi": made[p] for p in made for d in range(1, 5)}
        for action in ACTIONS
    }


@pytest.fixture(autouse=True)
def no_copy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("V2VBENCH_DATA", raising=False)


def archive(url: str) -> dict:
    return {"url": url, "sha256": None, "size": None}


def prepare(folder, url="http://127.0.0.1:9", **changes):
    line = {
        "size": [16, 16],
        "n_frames": 4,
        "n_train_clips": 9,
        "n_test_clips": 1,
        "actions": {action: archive(f"{url}/{action}.zip") for action in ACTIONS},
        "visible": "none",
        "train": [1],
        "test": [17],
    } | changes
    params.bind(kth.prepare, line, "datasets.kth", out=folder / "k.zip", name="kth", cache=folder / "cache")
    return Store(folder / "k.zip")


def lay_out(folder, files):
    for action, content in files.items():
        (folder / action).mkdir(parents=True)
        for name, of_video in content.items():
            (folder / action / name).write_bytes(of_video)
    return folder


def test_downloads_and_decodes(files, tmp_path):
    with serving({f"/{action}.zip": zipped(content) for action, content in files.items()}) as server:
        store = prepare(tmp_path, server.url)
        first = (tmp_path / "k.zip").read_bytes()
        prepare(tmp_path, server.url)
        assert (tmp_path / "k.zip").read_bytes() == first and len(server.seen) == 2
    store.verify()
    assert store.facts.source == "none" and store.facts.cluster == "person" and store.facts.fps == 25
    walking = [f"person01_walking_d{d}-{first:04d}" for d in range(1, 5) for first in (0, 4, 8, 12, 16)]
    assert [key for key in store.split("train") if "walking" in key] == walking
    assert len(store.split("train")) == 2 * len(walking) and len(store.split("test")) == 2 * 4
    assert {clip["cluster"] for clip in store.clips.values()} == {"person01", "person17"}
    for key, about in store.clips.items():
        real, first = store.read(key)["real"], int(key[-4:])
        assert real.shape == (4, 16, 16, 3) and (real == real[..., :1]).all()
        want = [level(int(key[6:8]), first + t) for t in range(4)]
        np.testing.assert_allclose(real[:, 4:12, 4:12].mean((1, 2, 3)), want, atol=3)
        assert real[:, :, 1:15].min() > 30  # only the middle square is kept, not the black columns
        assert about["archive_sha256"] and about["licence"]


def test_clips_lie_in_the_listed_frames(files, tmp_path):
    """Frames are listed from 1, both ends included; a video that is not listed, or too short, has no clips."""
    served = {f"/{action}.zip": zipped(content) for action, content in files.items()}
    with serving(served | {"/00sequences.txt": LIST.encode()}) as server:
        line = {"visible": archive(f"{server.url}/00sequences.txt"), "n_test_clips": 2}
        store = prepare(tmp_path, server.url, **line)
        keys = ["person01_walking_d1-0002", "person01_walking_d1-0006", "person01_walking_d1-0011"]
        assert store.split("train") == keys
        assert store.split("test") == ["person17_walking_d1-0000", "person17_walking_d1-0004"]
        assert prepare(tmp_path, server.url, **line, n_train_clips=2).split("train") == [keys[0], keys[2]]
        assert "no video of test has 9 frames" in fault(
            prepare, tmp_path, server.url, **line, train=[17], test=[1], n_frames=9
        )
        server.files["/00sequences.txt"] = b"nothing"
        (tmp_path / "cache/kth/00sequences.txt").unlink()
        assert "no lines like" in fault(prepare, tmp_path, server.url, **line)


def test_windows():
    """Against every start that a loop finds; evenly spread where there are more than wanted."""
    spans = [(0, 10), (12, 30), (25, 60)]
    starts = [t for start, stop in spans for t in range(start, 60, 5) if t + 5 <= min(stop, 43)]
    assert kth.windows(spans, 43, 5, 99) == sorted(starts)
    assert kth.windows([(0, 100)], 100, 10, 4) == [0, 30, 60, 90]
    assert kth.windows([(0, 100)], 100, 10, 1) == [0]
    assert kth.windows([(0, 9)], 100, 10, 4) == []
    assert kth.windows([(0, 10), (0, 10)], 100, 10, 4) == [0]


def test_own_copy_and_faults(files, tmp_path, monkeypatch):
    own = lay_out(tmp_path / "own/kth", files)
    monkeypatch.setenv("V2VBENCH_DATA", str(own.parent))
    store = prepare(tmp_path)  # nothing listens at its url
    assert store.clips["person01_running_d2-0004"]["archive_sha256"] == "own copy"
    assert "multiples of 8" in fault(prepare, tmp_path, size=[16, 20])
    assert "person 1 is in train and in test" in fault(prepare, tmp_path, test=[17, 1])
    assert "no person02_walking_d1_uncomp.avi" in fault(prepare, tmp_path, train=[1, 2])
    listed = {"visible": archive("http://127.0.0.1:9/00sequences.txt")}
    assert "00sequences.txt: missing" in fault(prepare, tmp_path, **listed)
    (own / "00sequences.txt").write_text(LIST)
    assert len(prepare(tmp_path, **listed).clips) == 4
    whole = files["walking"]["person01_walking_d1_uncomp.avi"]
    path = own / "walking/person01_walking_d3_uncomp.avi"
    (tmp_path / "k.zip").unlink()
    pictures = whole.index(b"movi")
    for damaged in (b"no video", b"", whole[:300], whole[: pictures + (len(whole) - pictures) // 3]):
        path.write_bytes(damaged)
        message = fault(prepare, tmp_path)
        assert str(path) in message and "unpack the archive again" in message
    assert not (tmp_path / "k.zip").exists()
    monkeypatch.setattr(kth, "SHORT", {"person01_walking_d3"})  # as it is published: what can be decoded is used
    assert 0 < sum("walking_d3" in key for key in prepare(tmp_path).split("train")) < 5
    path.unlink()
    assert "no person01_walking_d3_uncomp.avi" in fault(prepare, tmp_path)
    monkeypatch.setattr(kth, "ABSENT", {"person01_walking_d3"})  # never published
    assert not any("walking_d3" in key for key in prepare(tmp_path).split("train"))


def test_no_network(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "PAUSE_S", 0.001)
    assert "walking.zip: no connection" in fault(prepare, tmp_path)
    assert not (tmp_path / "k.zip").exists()
