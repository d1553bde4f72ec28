"""H.264 files that every browser plays: one encoder for players in notebooks and on the page."""

import io
import itertools
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def write_mp4(file: Path | io.BytesIO, frames: Iterable[np.ndarray], fps: float, **options: str) -> tuple[int, int]:
    """Write frames, uint8 (H, W, 3) with even sides, as H.264 in MP4; returns (H, W).

    In a file the index stands at the front. One thread and BT.709: equal input, equal bytes, colours as in the frames.

    options    of the encoder, such as crf and preset
    """
    frames = iter(frames)
    first = next(frames)
    height, width = first.shape[:2]
    on_disk = isinstance(file, Path)
    layout = {"movflags": "+faststart"} if on_disk else {}  # ffmpeg reads the file again for it
    with av.open(str(file) if on_disk else file, "w", format="mp4", options=layout) as out:
        stream = out.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001), options=options)
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        stream.codec_context.thread_count = 1
        stream.codec_context.color_range = 1  # 16..235
        for name in ("colorspace", "color_primaries", "color_trc"):
            setattr(stream.codec_context, name, 1)  # BT.709
        for pixels in itertools.chain((first,), frames):
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
            out.mux(stream.encode(frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")))
        out.mux(stream.encode())
    return height, width
