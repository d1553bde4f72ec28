"""Decoded frames to 8-bit RGB in integer arithmetic, so that every CPU gets the same pixels."""

import math
import re
from collections.abc import Callable
from functools import cache

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from v2vbench.params import Fault

# weights of red and blue in luma by matrix_coefficients of ITU-T H.273; 5 and 6 are BT.601
LUMA = {
    1: (0.2126, 0.0722),
    4: (0.3, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}
NOT_STATED = (0, 2, 3)  # RGB, unspecified, reserved
LIMITED, FULL = 1, 2
PACKED = ("rgb24", "bgr24", "rgba", "bgra", "argb", "abgr", "rgb0", "bgr0", "0rgb", "0bgr")
PACKED_DEEP = ("rgb48", "bgr48", "rgba64", "bgra64")
SHIFT = 21  # bits after the point: no Y, U and V give 600 levels or more, and 600 * 2^21 fits 32 bits
ROWS = 32  # converted at a time, so that they stay in the CPU's cache
BILINEAR = int(Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.BITEXACT)


class Colours:
    """Converts the frames of one video to what a player shows.

    name    of the video, for messages
    note    called with one short phrase for each thing that was done
    """

    def __init__(self, name: str, note: Callable[[str], None]):
        self.name, self.note, self.reformatter = name, note, VideoReformatter()

    def __call__(self, frame: av.VideoFrame) -> np.ndarray:
        """(H, W, 3) uint8 RGB; raises Fault for pixels, a matrix or a rotation that cannot be read."""
        pixels = laid_over_black(self._rgb(frame), self.note)
        return self._turned(pixels, frame)

    def _rgb(self, frame: av.VideoFrame) -> np.ndarray:
        """(H, W, 3) RGB or (H, W, 4) RGBA, uint8."""
        pixels = frame.format
        name, bits = re.sub("[lb]e$", "", pixels.name), max(part.bits for part in pixels.components)
        if re.search("f16|f32|^xyz|^bayer", name) or bits > 16:
            raise Fault(f"{self.name}: pixels of kind {pixels.name} cannot be read; encode it again in 8 bits")
        if bits > 8:
            self.note(f"{bits} bits rounded to 8")
        if pixels.has_palette:
            index, palette = frame.to_ndarray()  # pyright: ignore[reportAssignmentType]
            return palette[:, [1, 2, 3, 0]][index]
        if name in PACKED or name in PACKED_DEEP:
            order = name.rstrip("0123456789") if name in PACKED_DEEP or name.endswith("24") else name
            values = _planes(frame)[0].reshape(frame.height, frame.width, len(order))
            return rounded(values[..., [order.index(c) for c in ("rgba" if "a" in order else "rgb")]], bits)
        if name.startswith("gbr"):
            g, b, r, *alpha = _planes(frame)
            return rounded(np.stack([r, g, b, *alpha], -1), bits)
        if name.startswith("ya"):
            return rounded(_planes(frame)[0].reshape(frame.height, frame.width, 2)[..., [0, 0, 0, 1]], bits)
        if name.startswith("gray"):
            if frame.color_range == LIMITED:
                return _from_yuv(_planes(frame), bits, LIMITED, 5)
            return rounded(np.repeat(_planes(frame)[0][..., None], 3, -1), bits)
        if pixels.is_rgb or name.startswith("mono"):  # fewer than 8 bits
            return self.reformatter.reformat(frame, format="rgb24", interpolation=BILINEAR, threads=1).to_ndarray()
        return self._of_yuv(frame, bits)

    def _of_yuv(self, frame: av.VideoFrame, bits: int) -> np.ndarray:
        matrix = frame.colorspace
        if matrix in NOT_STATED:
            matrix = 5
            self.note("no colour matrix stated, BT.601 taken")
        if matrix not in LUMA:
            raise Fault(f"{self.name}: matrix_coefficients {matrix} of H.273 are not known; encode it again as BT.709")
        side = FULL if frame.color_range == FULL or frame.format.name.startswith("yuvj") else LIMITED
        alpha = "a" if any(part.is_alpha for part in frame.format.components) else ""
        planar = f"yuv{alpha}444p" + (f"{bits}le" if bits > 8 else "")
        if frame.format.name != planar:  # same levels, more samples of chroma
            frame = self.reformatter.reformat(
                frame, format=planar, interpolation=BILINEAR, src_color_range=side, dst_color_range=side, threads=1
            )
        return _from_yuv(_planes(frame), bits, side, matrix)

    def _turned(self, pixels: np.ndarray, frame: av.VideoFrame) -> np.ndarray:
        """As players show it, after the display matrix: right = a x + c y, down = b x + d y."""
        matrix = frame.side_data.get("DISPLAYMATRIX")
        if matrix is None:
            return pixels
        a, b, _, c, d = np.frombuffer(matrix, np.int32)[:5] / 65536.0
        if sorted(map(abs, (a, b, c, d))) != [0, 0, 1, 1] or abs(a) != abs(d):
            raise Fault(f"{self.name}: a display matrix that is no quarter turn; encode it again without one")
        mirrored = a * d - b * c < 0
        turn = round(math.degrees(math.atan2(-b, -a) if mirrored else math.atan2(b, a))) % 360
        if mirrored:
            self.note("mirrored")
        if turn:
            self.note(f"rotated by {turn} degrees")
        right, down = (a, d) if a else (c, b)
        upright = pixels if a else pixels.swapaxes(0, 1)
        return np.ascontiguousarray(upright[:: -1 if down < 0 else 1, :: -1 if right < 0 else 1])


def _planes(frame: av.VideoFrame) -> list[np.ndarray]:
    """(H, W * values per pixel) of each plane, uint8 or uint16."""
    wide = max(part.bits for part in frame.format.components) > 8
    kind = np.dtype(">u2" if frame.format.name.endswith("be") else "<u2") if wide else np.dtype(np.uint8)
    each = frame.format.padded_bits_per_pixel // (8 * kind.itemsize) if len(frame.planes) == 1 else 1
    planes = []
    for plane in frame.planes:
        rows = np.frombuffer(memoryview(plane), kind).reshape(-1, plane.line_size // kind.itemsize)
        planes.append(rows[: plane.height, : plane.width * each])
    return planes


@cache
def _weights(bits: int, side: int, matrix: int) -> tuple[list[int], int, int]:
    """Weights of Y, of V in R, of V and U in G and of U in B for 8-bit levels times 2^SHIFT; zeros of Y and of U, V."""
    red, blue = LUMA[matrix]
    green, unit, top = 1 - red - blue, 1 << (bits - 8), (1 << bits) - 1
    luma, chroma = (219 * unit, 224 * unit) if side == LIMITED else (top, top)
    y, v, u = 255 / luma, 2 * (1 - red) * 255 / chroma, 2 * (1 - blue) * 255 / chroma
    weights = [y, v, -v * red / green, -u * blue / green, u]
    return [round(weight * 2**SHIFT) for weight in weights], 16 * unit if side == LIMITED else 0, 128 * unit


def _from_yuv(planes: list[np.ndarray], bits: int, side: int, matrix: int) -> np.ndarray:
    """Planes Y, U, V and perhaps alpha, (H, W) each, or Y alone, to the nearest RGB or RGBA by H.273, uint8."""
    (of_y, v_in_r, v_in_g, u_in_g, u_in_b), black, grey = _weights(bits, side, matrix)
    height, width = planes[0].shape
    rgb = np.empty((height, width, 4 if planes[3:] else 3), np.uint8)
    for top in range(0, height, ROWS):
        rows = slice(top, top + ROWS)
        y = (planes[0][rows].astype(np.int32) - black) * of_y + (1 << (SHIFT - 1))
        if len(planes) == 1:
            rgb[rows] = np.clip(y >> SHIFT, 0, 255)[..., None]
            continue
        u, v = (plane[rows].astype(np.int32) - grey for plane in planes[1:3])
        for i, total in enumerate((y + v * v_in_r, y + v * v_in_g + u * u_in_g, y + u * u_in_b)):
            total >>= SHIFT
            rgb[rows, :, i] = np.clip(total, 0, 255, out=total)
    if planes[3:]:
        rgb[..., 3] = rounded(planes[3], bits)
    return rgb


def rounded(values: np.ndarray, bits: int) -> np.ndarray:
    """Levels of `bits` bits, at most 16, to the nearest of 8 bits, uint8."""
    if bits <= 8:
        return np.ascontiguousarray(values)
    top = (1 << bits) - 1
    return ((values.astype(np.uint32) * 255 + top // 2) // top).astype(np.uint8)


def laid_over_black(pixels: np.ndarray, note: Callable[[str], None]) -> np.ndarray:
    """(H, W, 3 or 4) to (H, W, 3) uint8; calls note(phrase) if a pixel is not opaque."""
    if pixels.shape[-1] == 3:
        return pixels
    colour, alpha = pixels[..., :3], pixels[..., 3:]
    if (alpha == 255).all():
        return np.ascontiguousarray(colour)
    note("alpha laid over black")
    return ((colour.astype(np.uint16) * alpha + 127) // 255).astype(np.uint8)
