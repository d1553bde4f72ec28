"""A video with everything side by side, frame for frame: the source, the real frames and every method's."""

import hashlib
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from v2vbench.clips.store import Facts
from v2vbench.display.mp4 import write_mp4
from v2vbench.display.palette import COLOURS, colour, legend
from v2vbench.report.settings import Settings

GROUND, WORDS, SOFT = (22, 23, 26), (236, 234, 229), (168, 166, 160)  # of the video, in light and dark pages alike
BAND, GAP, EDGE = 38, 8, 14  # px: the band with a tile's name above it; between tiles; around them all
SMALL, NORMAL = ImageFont.load_default(18), ImageFont.load_default(24)
GIVEN = "real frame, given", "given", ""  # what stands above a frame that a method was given: the first that fits
LINE = 24  # px, of the legend
SOURCE = "source"  # title of the tile that shows what videos are made from
PAST = (222, 170, 62)  # of the line around a frame that a method was given


@dataclass(frozen=True)
class Tile:
    """One picture of the composite."""

    title: str
    method: int | None  # its number; None for what no method made
    frames: np.ndarray  # uint8 (T, H, W, 3)
    n_given: int  # first frames that are real ones
    under: np.ndarray | None = None  # a map of the same shape, below it


@dataclass(frozen=True)
class Video:
    """A video as the page shows it."""

    clip: str
    address: str
    poster: str  # address of its middle frame
    height: int
    width: int
    first: int  # height of what shows first; the rest is shown on request
    n_frames: int
    fps: float


@dataclass(frozen=True)
class Layout:
    """Where the tiles of a composite are."""

    factor: int  # by which frames are enlarged
    height: int  # of the composite, even
    width: int  # even
    first: int  # height of the part above the further tiles
    corners: list[tuple[int, int]]  # top left (y, x) of each tile
    further: list[tuple[int, int]]  # and of each further one


def layout(
    n_methods: int,
    size: tuple[int, int],
    tile_px: int,
    has_maps: bool = False,
    n_further: int = 0,
    has_source: bool = True,
) -> Layout:
    """Rows of two tiles, of three or of four: source and real first, then the methods, with maps below them.

    Where the last row would stay open, the methods begin a row of their own instead. Further tiles stand below all.
    Without a source the real video stands in one row with the methods.
    """
    factor = max(1, round(tile_px / size[1]))
    height, width = size[0] * factor, size[1] * factor
    if has_source:
        columns = 2 if n_methods == 2 else 4 if has_maps and n_methods == 4 else 3
        skipped = 1 if has_maps or (columns == 3 and n_methods % 3 == 0) else 0
        begin = columns if has_maps else 2 + skipped
        cells, n_plain = [0, 1, *range(begin, begin + n_methods)], 1  # rows without maps
    else:
        columns = 2 if n_methods in (1, 3) else 3
        cells, n_plain = list(range(1 + n_methods)), 0
    tall, across = BAND + GAP + height, width + GAP
    tops = [0]  # of the rows
    for row in range(cells[-1] // columns + 1):
        tops.append(tops[-1] + tall + (height + GAP) * (has_maps and row >= n_plain))

    def corner(cell: int, top: int) -> tuple[int, int]:
        return top + BAND + 4, EDGE + cell % columns * across

    first = tops[-1] + BAND
    total = first + -(-n_further // columns) * tall
    wide = columns * across - GAP + 2 * EDGE
    return Layout(
        factor=factor,
        height=total + total % 2,
        width=wide + wide % 2,
        first=first,
        corners=[corner(cell, tops[cell // columns]) for cell in cells],
        further=[corner(cell, first + cell // columns * tall) for cell in range(n_further)],
    )


def compose(
    tiles: list[Tile], caption: str, labels: list[tuple[str, tuple]], tile_px: int, further: Sequence[Tile] = ()
) -> Iterator[np.ndarray]:
    """The frames of the composite, uint8 (H', W', 3), one at a time.

    caption    stands at the foot, with the frame's number
    labels     [(name, RGB)] of the source, in the cell beside `real` where the layout leaves it free
    further    tiles below the foot, which the page shows on request
    """
    n_frames, size = len(tiles[0].frames), tiles[0].frames.shape[1:3]
    where = _layout_of(tiles, tile_px, further)
    tile_width, tile_height = size[1] * where.factor, size[0] * where.factor
    background = Image.new("RGB", (where.width, where.height), GROUND)
    draw = ImageDraw.Draw(background)
    for tile, corner in zip((*tiles, *further), (*where.corners, *where.further)):
        _name_tile(draw, tile, corner, tile_width)
    beside_real = EDGE + 2 * (tile_width + GAP)
    if (
        tiles[0].title == SOURCE
        and len(tiles) > 2
        and beside_real + tile_width <= where.width
        and where.corners[2][0] > where.corners[1][0]
    ):
        _draw_legend(draw, labels, (where.corners[1][0], beside_real + 16), (tile_height, tile_width))
    numbering = f"frame {n_frames} of {n_frames}"
    room = where.width - 3 * EDGE - SMALL.getlength(numbering)
    draw.text((EDGE, where.first - 11), _fitting(caption, SMALL, room), SOFT, SMALL, anchor="ls")
    pictures = [(tile.frames, corner) for tile, corner in zip((*tiles, *further), (*where.corners, *where.further))]
    pictures += [
        (tile.under, (y + tile_height + GAP, x)) for tile, (y, x) in zip(tiles, where.corners) if tile.under is not None
    ]
    for t in range(n_frames):
        frame = background.copy()
        draw = ImageDraw.Draw(frame)
        for tile, (y, x) in zip(tiles, where.corners):
            if t < tile.n_given:
                room = tile_width - _title_width(tile)
                words = next(words for words in GIVEN if SMALL.getlength(words) < room or not words)
                draw.text((x + tile_width, y - 9), words, SOFT, SMALL, anchor="rs")
        draw.text((where.width - EDGE, where.first - 11), f"frame {t + 1} of {n_frames}", SOFT, SMALL, anchor="rs")
        for tile, (y, x) in zip(tiles, where.corners):
            if t < tile.n_given:
                draw.rectangle((x - 3, y - 3, x + tile_width + 2, y + tile_height + 2), fill=PAST)
        pixels = np.array(frame)
        for frames, (y, x) in pictures:
            enlarged = frames[t].repeat(where.factor, 0).repeat(where.factor, 1)
            pixels[y : y + enlarged.shape[0], x : x + enlarged.shape[1]] = enlarged
        yield pixels


def _layout_of(tiles: list[Tile], tile_px: int, further: Sequence[Tile]) -> Layout:
    has_maps, has_source = any(tile.under is not None for tile in tiles), tiles[0].title == SOURCE
    n_methods = len(tiles) - 1 - has_source
    return layout(n_methods, tiles[0].frames.shape[1:3], tile_px, has_maps, len(further), has_source)


def _name_tile(draw: ImageDraw.ImageDraw, tile: Tile, corner: tuple[int, int], width: int) -> None:
    """A tile's title above it, after a square in its method's colour."""
    (y, x), indent = corner, _indent(tile)
    if tile.method is not None:
        draw.rectangle((x, y - 25, x + 15, y - 10), fill=COLOURS[tile.method % len(COLOURS)][1])
    draw.text((x + indent, y - 9), _fitting(tile.title, NORMAL, width - indent), WORDS, NORMAL, anchor="ls")


def _indent(tile: Tile) -> int:
    return 0 if tile.method is None else 24


def _title_width(tile: Tile) -> float:
    """How wide a tile's whole title is, with a gap behind it."""
    return _indent(tile) + NORMAL.getlength(tile.title) + GAP


def _draw_legend(
    draw: ImageDraw.ImageDraw, labels: list[tuple[str, tuple]], corner: tuple[int, int], size: tuple[int, int]
) -> None:
    """The source's labels, in one column or in two, as many as fit."""
    (y, x), rows = corner, size[0] // LINE
    column = size[1] // (1 if len(labels) <= rows else 2)
    for i, (name, rgb) in enumerate(labels[: 2 * rows]):
        left, top = x + i // rows * column, y + i % rows * LINE
        draw.rectangle((left, top + 3, left + 13, top + 16), fill=rgb)
        draw.text((left + 22, top + 16), _fitting(name, SMALL, column - 44), SOFT, SMALL, anchor="ls")


def _fitting(words: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: float) -> str:
    """The words, cut where they are wider than `width` px."""
    if font.getlength(words) < width:
        return words
    n = next((n for n in range(len(words) - 1, 1, -1) if font.getlength(f"{words[:n]}…") < width), 1)
    return f"{words[:n]}…"


def encode(path: Path, frames: Iterator[np.ndarray], fps: float, crf: int, poster: int) -> tuple[int, int]:
    """Write a video, and its frame `poster` as .jpg beside it; returns (height, width).

    No B-frames and a key frame every 8, so that stepping to a frame is quick and exact.
    """

    def kept() -> Iterator[np.ndarray]:
        for t, pixels in enumerate(frames):
            if t == poster:
                Image.fromarray(pixels).save(path.with_suffix(".jpg"), quality=88)
            yield pixels

    return write_mp4(path, kept(), fps, crf=str(crf), preset="veryfast", bf="0", g="8")


def strip(tiles: list[Tile], at: list[int], columns: list[str]) -> bytes:
    """Some frames of each tile as a PNG: a row a tile, a column a frame.

    at         frames; those that a tile was given have a line around them
    columns    what stands above each
    """
    height, width = tiles[0].frames.shape[1:3]
    left = max(round(_title_width(tile)) for tile in tiles) + EDGE
    size = left + len(at) * (width + GAP), BAND + len(tiles) * (height + GAP)
    picture = Image.new("RGB", size, GROUND)
    draw = ImageDraw.Draw(picture)
    for j, words in enumerate(columns):
        draw.text((left + j * (width + GAP) + width / 2, BAND - 11), words, SOFT, SMALL, anchor="ms")
    for i, tile in enumerate(tiles):
        y = BAND + i * (height + GAP)
        _name_tile(draw, tile, (y + height // 2 + 17, EDGE), left)
        for j, t in enumerate(at):
            x = left + j * (width + GAP)
            if t < tile.n_given:
                draw.rectangle((x - 3, y - 3, x + width + 2, y + height + 2), fill=PAST)
            picture.paste(Image.fromarray(tile.frames[t]), (x, y))
    file = io.BytesIO()
    picture.save(file, format="png")
    return file.getvalue()


def keep(media: Path, name: str, content: bytes) -> str:
    """Write a file of the page under its name and hash; returns its address seen from the page."""
    stem, _, suffix = name.rpartition(".")
    name = f"{stem}-{hashlib.sha256(content).hexdigest()[:8]}.{suffix}"
    (media / name).write_bytes(content)
    return f"media/{name}"


def heads(arrays: dict, facts: Facts) -> list[Tile]:
    """The first tiles of a clip: its source, where the data set has one, and the real video."""
    source = [] if facts.source == "none" else [Tile(SOURCE, None, colour(arrays, facts), 0)]
    return [*source, Tile("real", None, arrays["real"], 0)]


def make_video(
    tiles: list[Tile], clip: str, facts: Facts, settings: Settings, media: Path, name: str, further: Sequence[Tile] = ()
) -> Video:
    """Write one composite and its poster to `media`."""
    frames = compose(tiles, f"{facts.title}, clip {clip}", legend(facts), settings.tile_px, further)
    video = _write(frames, clip, facts, settings, media, name, len(tiles[0].frames))
    return replace(video, first=_layout_of(tiles, settings.tile_px, further).first) if further else video


def make_mosaic(tiles: list[Tile], clip: str, facts: Facts, settings: Settings, media: Path, name: str) -> Video:
    """Write a video of bare pictures, two a row, and its poster to `media`; the page cuts it into its tiles."""
    even = tiles[0].frames.shape[1] // 2 * 2  # H.264 has no odd heights
    pictures = [tile.frames[:, :even] for tile in tiles]
    factor = max(1, round(settings.tile_px / pictures[0].shape[2]))
    if len(pictures) % 2:
        pictures.append(np.zeros_like(pictures[0]))
    pairs = list(zip(pictures[::2], pictures[1::2]))
    frames = (
        np.concatenate([np.concatenate([left[t], right[t]], 1) for left, right in pairs], 0)
        .repeat(factor, 0)
        .repeat(factor, 1)
        for t in range(len(pictures[0]))
    )
    return _write(frames, clip, facts, settings, media, name, len(pictures[0]))


def _write(
    frames: Iterator[np.ndarray], clip: str, facts: Facts, settings: Settings, media: Path, name: str, n_frames: int
) -> Video:
    """Write a video and its poster, named by their hash."""
    raw = media / "raw.mp4"
    height, width = encode(raw, frames, facts.fps, settings.crf, n_frames // 2)
    name = re.sub(r"[^\w.-]+", "_", name, flags=re.ASCII)[:80]  # part of an address; the hash keeps clips apart
    address = keep(media, f"{name}.mp4", raw.read_bytes())
    poster = f"{address.removesuffix('.mp4')}.jpg"
    raw.with_suffix(".jpg").rename(media.parent / poster)
    raw.unlink()
    return Video(clip, address, poster, height, width, height, n_frames, facts.fps)
