"""Videos with a known content, and files of them, written on the spot."""

import struct
import zlib
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image


def moving_square(n: int, size: tuple[int, int] = (32, 48)) -> list[np.ndarray]:
    """n frames (H, W, 3) uint8: a bright square that goes right by one pixel a frame over a smooth pattern."""
    height, width = size
    y, x = np.mgrid[:height, :width]
    back = np.stack([40 + x * 100 // width, 60 + y * 100 // height, 90 + (x + y) % 50], -1).astype(np.uint8)
    frames = []
    for t in range(n):
        frame = back.copy()
        left = t % max(1, width - width // 4)
        frame[height // 4 : height // 2, left : left + width // 4] = (230, 200 - t % 100, 20)
        frames.append(frame)
    return frames


def noise(n: int, size: tuple[int, int] = (33, 47), seed: int = 0) -> list[np.ndarray]:
    """n frames (H, W, 3) uint8 in which every pixel is drawn: no error of one level or one pixel stays unseen."""
    return list(np.random.default_rng(seed).integers(0, 256, (n, *size, 3), dtype=np.uint8))


def planar(kind: str, planes: Sequence[np.ndarray]) -> av.VideoFrame:
    """A frame of the pixel format `kind` with these planes, (H, W) each."""
    height, width = planes[0].shape
    frame = av.VideoFrame(width, height, kind)
    for plane, values in zip(frame.planes, planes):
        rows = np.zeros((plane.height, plane.line_size // values.itemsize), values.dtype)
        rows[:, : values.shape[1]] = values
        plane.update(rows.tobytes())
    return frame


def write_video(
    path: Path,
    frames: Iterable[np.ndarray | av.VideoFrame],
    *,
    codec: str = "ffv1",
    pix_fmt: str = "bgr0",
    fps: float = 25,
    options: dict[str, str] | None = None,
    layout: dict[str, str] | None = None,
    times_ms: Sequence[int] | None = None,
    matrix: int | None = None,
    full_range: bool | None = None,
    sound: bool = False,
) -> Path:
    """Write frames, (H, W, 3) uint8 RGB or ready ones, as a video file; returns `path`.

    options, layout    of the encoder and of the container, as FFmpeg names them
    times_ms           time stamps, ms; None: even ones, by fps
    matrix             matrix_coefficients of H.273 that the file states: 1 for BT.709, 5 for BT.601; None: none
    full_range         whether levels go from 0 to 255, which the file states; None: it does not
    sound              a second of silence beside the video
    """
    frames = [av.VideoFrame.from_ndarray(f, "rgb24") if isinstance(f, np.ndarray) else f for f in frames]
    with av.open(str(path), "w", options=layout or {}) as file:
        stream = file.add_stream(codec, rate=Fraction(fps).limit_denominator(1001), options=options or {})
        stream.width, stream.height, stream.pix_fmt = frames[0].width, frames[0].height, pix_fmt
        stream.bit_rate = 4_000_000
        if matrix is not None:
            stream.codec_context.colorspace = matrix
        if full_range is not None:
            stream.codec_context.color_range = 2 if full_range else 1
        if times_ms is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        audio = file.add_stream("pcm_s16le", rate=8000) if sound else None
        for i, frame in enumerate(frames):
            if times_ms is not None:
                frame.pts, frame.time_base = times_ms[i], Fraction(1, 1000)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
        if audio:
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), format="s16", layout="mono")
            silence.sample_rate, silence.pts = 8000, 0
            file.mux([*audio.encode(silence), *audio.encode()])
    return path


def write_pictures(folder: Path, frames: Iterable[np.ndarray], name: str = "frame_{:03d}.png", first: int = 0) -> Path:
    """Write each frame, as Pillow takes it, as a picture `name` with its number; returns `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(frames, first):
        Image.fromarray(frame).save(folder / name.format(number))
    return folder


def write_png_16(path: Path, values: np.ndarray) -> None:
    """Write (H, W, 2) grey and alpha, (H, W, 3) RGB or (H, W, 4) RGBA, uint16, as a PNG of 16 bits."""
    height, width, n = values.shape
    header = struct.pack(">2I5B", width, height, 16, {2: 4, 3: 2, 4: 6}[n], 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in values.astype(">u2"))
    raw = b"\x89PNG\r\n\x1a\n"
    for kind, content in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        raw += struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    path.write_bytes(raw)


def set_display_matrix(path: Path, a: int, b: int, c: int, d: int) -> None:
    """Write a display matrix into an mp4 file: a pixel at (x, y) is shown at (a x + c y, b x + d y)."""
    raw = bytearray(path.read_bytes())
    at = raw.index(b"tkhd") + 4 + 40  # version and flags, then 36 bytes of a header of version 0
    assert raw[at - 40] == 0
    raw[at : at + 36] = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    path.write_bytes(raw)


def set_promised_frames(path: Path, n: int) -> None:
    """Write n into an avi file as the number of its frames, whatever is in it."""
    raw = bytearray(path.read_bytes())
    for at in (raw.index(b"avih") + 8 + 16, raw.index(b"strh") + 8 + 32):
        raw[at : at + 4] = struct.pack("<I", n)
    path.write_bytes(raw)
