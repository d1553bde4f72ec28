"""KITTI's drives and Caltech's .seq files on their true layout, generated small."""

import io
import struct

import numpy as np
import pytest
from PIL import Image
from test_fetch import fault, serving
from test_unpack import zipped

from v2vbench import params
from v2vbench.clips.store import Store
from v2vbench.datasets import kitti_caltech

DRIVES = {"2011_09_26_drive_0001": 8, "2011_09_28_drive_0002": 4}  # frames
SEQS = {"set06/V000.seq": (20, 8, True), "set07/V000.seq": (11, 16, True), "set07/V001.seq": (9, 8, False)}


def picture(place: int, t: int, size: tuple[int, int], kind: str) -> bytes:
    """Left and right thirds black; the middle tells the video and the frame."""
    pixels = np.zeros((*size, 3), np.uint8)
    pixels[:, size[1] // 3 : -(size[1] // 3)] = 20 + 8 * t, 60 * place, 200
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **({"quality": 95} if kind == "jpeg" else {}))
    return stream.getvalue()


def seq(images: list[bytes], after: int = 8, counted: bool = True, format: int = 201) -> bytes:
    """As StreamPix and Dollar's toolbox write it: `after` bytes behind each image, a time stamp and zeros."""
    head = struct.pack("<I24s2i512s", 0xFEED, "Norpix seq\0\0".encode("utf-16-le"), 3, 1024, b"")
    head += struct.pack("<9Id", 64, 48, 24, 8, 64 * 48 * 3, format, len(images) * counted, 0, 9728, 30.0)
    frames = (struct.pack("<I", len(i) + 4) + i + struct.pack("<iH", 9, 5).ljust(after, b"\0") for i in images)
    return head.ljust(1024, b"\0") + b"".join(frames)


@pytest.fixture(scope="module")
def drives() -> dict[str, bytes]:
    return {
        f"{drive[:10]}/{drive}_sync/{camera}/data/{t:010d}.png": picture(k, t, (36, 120), "png")
        for k, (drive, n) in enumerate(DRIVES.items())
        for camera in ("image_02", "image_03")
        for t in range(n if camera == "image_03" else 1)
    }


@pytest.fixture
def caltech(tmp_path):
    for k, (name, (n, after, counted)) in enumerate(SEQS.items()):
        path = tmp_path / "caltech/Test" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(seq([picture(k, t, (48, 64), "jpeg") for t in range(n)], after, counted))
    return tmp_path / "caltech"


@pytest.fixture(autouse=True)
def no_copy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("V2VBENCH_DATA", raising=False)


def prepare(folder, caltech, server="http://127.0.0.1:9", **changes):
    line = {
        "size": [16, 24],
        "n_frames": 3,
        "url": server + "/{drive}/{drive}_sync.zip",
        "train_drives": dict.fromkeys(DRIVES),
        "caltech": str(caltech),
        "test_sets": [6, 7],
    } | changes
    given = {"out": folder / "k.zip", "name": "kc", "cache": folder / "cache"}
    params.bind(kitti_caltech.prepare, line, "datasets.kc", **given)
    return Store(folder / "k.zip")


def lay_out(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_downloads_and_decodes(drives, caltech, tmp_path, capsys):
    served = {f"/{d}/{d}_sync.zip": zipped({k: v for k, v in drives.items() if d in k}) for d in DRIVES}
    with serving(served) as server:
        store = prepare(tmp_path, caltech, server.url)
        assert "2011_09_26_drive_0001_sync.zip: sha256" in capsys.readouterr().err
        first = (tmp_path / "k.zip").read_bytes()
        prepare(tmp_path, caltech, server.url)
        assert (tmp_path / "k.zip").read_bytes() == first and len(server.seen) == 2
        wrong = {"2011_09_26_drive_0001": "0" * 64}
        assert "sha256 is" in fault(prepare, tmp_path, caltech, server.url, train_drives=wrong)
    store.verify()
    assert not list((tmp_path / "cache").rglob("image_02"))
    a, b = DRIVES
    assert store.split("train") == [f"{a}-00002", f"{a}-00005", f"{b}-00001"]  # cut from the end
    # 20, 11 and 9 frames at 30 a second are 6, 3 and 3 at 10
    want = ["set06-V000-00000", "set06-V000-00003", "set07-V000-00000", "set07-V001-00000"]
    assert store.split("test") == want
    assert store.clips["set06-V000-00003"]["cluster"] == "set06-V000" and store.facts.fps == 10
    assert store.facts.source == "none"
    for key in store.clips:
        real, (video, _, first) = store.read(key)["real"], key.rpartition("-")
        test = video.startswith("set")
        place = [*SEQS].index(video.replace("-", "/") + ".seq") if test else [*DRIVES].index(video)
        assert real.shape == (3, 16, 24, 3)
        for t, frame in enumerate(real):
            number = int(first) + t
            number = 3 * number + 2 if test else number  # every third frame, from the third
            middle = frame[4:12, 10:14].astype(float).mean((0, 1))
            np.testing.assert_allclose(middle, (20 + 8 * number, 60 * place, 200), atol=3)
    train, test = store.read(f"{a}-00002")["real"][0], store.read("set06-V000-00000")["real"][0]
    assert train[:, :3].max() < 40 < 150 < train[:, 4:20, 2].min()  # of 120 columns the middle 54, 40 of them not black
    assert test[:, :7].max() < 40 < 150 < test[:, 9:15, 2].min()  # of 48 rows the middle 43, and all columns


@pytest.mark.parametrize("after", [8, 16])
@pytest.mark.parametrize("counted", [True, False])
def test_seq_reader(tmp_path, after, counted):
    """Each place in the index holds the very bytes that were packed."""
    images = [bytes([255, 216]) + np.random.default_rng(t).bytes(40 + 7 * t) for t in range(5)]
    path = tmp_path / "V000.seq"
    content = seq(images, after, counted)
    path.write_bytes(content)
    index = kitti_caltech.seq_index(path)
    assert [content[at : at + n] for at, n in index] == images
    path.write_bytes(content[: 1024 + 4 + len(images[0]) + after + 20])
    assert f"{path}: cut off or damaged at frame 1" in fault(kitti_caltech.seq_index, path)
    path.write_bytes(content[:1000])
    assert "cut off in its header" in fault(kitti_caltech.seq_index, path)
    for other in (b"\0" * 2000, seq(images, format=100)):
        path.write_bytes(other)
        assert "not a .seq file of JPEGs" in fault(kitti_caltech.seq_index, path)


def test_own_copy_and_faults(drives, caltech, tmp_path, monkeypatch):
    own = lay_out(tmp_path / "own/raw", drives)
    monkeypatch.setenv("V2VBENCH_DATA", str(own.parent))
    store = prepare(tmp_path, caltech)  # nothing listens at its url
    assert store.clips[f"{[*DRIVES][0]}-00002"]["file_sha256"] == "own copy"
    (tmp_path / "k.zip").unlink()
    assert "multiples of 8" in fault(prepare, tmp_path, caltech, size=[16, 20])
    assert "is not like" in fault(prepare, tmp_path, caltech, train_drives={"../x": None})
    assert "no {drive} in it" in fault(prepare, tmp_path, caltech, url="http://127.0.0.1:9/a.zip")
    message = fault(prepare, tmp_path, caltech, test_sets=[6, 8])
    assert "no set08/V*.seq" in message and "f6rph-90m20" in message
    assert "no set06" in fault(prepare, tmp_path, tmp_path / "nowhere")
    assert "no video of train has 9 frames" in fault(prepare, tmp_path, caltech, n_frames=9)
    assert "no video of test has 7 frames" in fault(prepare, tmp_path, caltech, n_frames=7)
    other = {"2011_09_26_drive_0009": None}
    assert "no 2011_09_26/2011_09_26_drive_0009_sync/image_03" in fault(prepare, tmp_path, caltech, train_drives=other)
    path = own / "2011_09_26/2011_09_26_drive_0001_sync/image_03/data/0000000004.png"
    whole = path.read_bytes()
    for damaged in (b"", b"no png", whole[:60]):
        path.write_bytes(damaged)
        assert f"{path}: the image at byte 0 cannot be decoded" in fault(prepare, tmp_path, caltech)
    path.unlink()
    assert f"{path}: missing" in fault(prepare, tmp_path, caltech)
    path.write_bytes(whole)
    film = caltech / "Test/set06/V000.seq"
    content = film.read_bytes()
    film.write_bytes(content.replace(b"\xff\xd8\xff", b"\0\0\0"))
    assert f"{film}: the image at byte" in fault(prepare, tmp_path, caltech)
    film.write_bytes(content[:-100])
    assert "cut off or damaged at frame 19" in fault(prepare, tmp_path, caltech)
    assert not (tmp_path / "k.zip").exists()
