"""Players: pictures side by side, frame for frame, as a small video inside the notebook; equal input, equal bytes."""

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

import numpy as np
from IPython.display import HTML
from PIL import Image, ImageDraw, ImageFont

from v2vbench.clips.store import Store
from v2vbench.display.mp4 import write_mp4
from v2vbench.display.palette import colour

WIDTH = 800  # px, about, of the whole video; the page shows it as wide as there is room, up to WIDEST
WIDEST = 1100  # px
BAND, GAP = 26, 6  # px: the names above a row of tiles; between tiles
GROUND, WORDS, SOFT = (22, 23, 26), (236, 234, 229), (168, 166, 160)
FONT = ImageFont.load_default(16)
CRF = range(24, 52, 4)  # quality of the encoder, from the best: the first that keeps to the limit
LIMIT = 210_000  # bytes of a video; as text in the notebook a third more


@dataclass(frozen=True)
class Tile:
    """One picture of a player."""

    title: str
    frames: np.ndarray  # uint8 (T, H, W, 3)
    n_given: int = 0  # first frames that are real ones, given to the method


def clip_player(store: Store, fakes: dict[str, Store], key: str, about: str = "") -> HTML:
    """A clip as a player: its source, the real frames, and those of each of `fakes`.

    fakes    {title: store of generated clips}
    about    follows the name of the clip
    """
    arrays = store.read(key, arrays=[a for a in store.clips[key]["arrays"] if a in ("real", "label", "maps")])
    tiles = [Tile("source", colour(arrays, store.facts)), Tile("real", arrays["real"])]
    for title, other in fakes.items():
        frames = other.read(key, arrays=["fake"])["fake"]
        tiles.append(Tile(title, frames, other.clips[key].get("given", 0)))
    return player(tiles, store.facts.fps, f"{store.facts.title}, clip {key}{about}")


def player(tiles: list[Tile], fps: float, caption: str) -> HTML:
    """Tiles that play in step, as an HTML5 video in the page itself, below its caption."""
    n_frames = min(len(tile.frames) for tile in tiles)
    frames = list(_compose(tiles, n_frames))
    content = encode(frames, fps)
    names = ", ".join(tile.title for tile in tiles)
    about = escape(f"{caption}. Side by side: {names}; {n_frames} frames.", quote=True)
    return HTML(
        f"<figure style='margin:0.5em 0'><figcaption>{escape(caption)}</figcaption>"
        f'<video controls loop muted autoplay playsinline aria-label="{about}" '
        f'style="width:100%;max-width:{WIDEST}px" src="data:video/mp4;base64,{base64.b64encode(content).decode()}">'
        "</video></figure>"
    )


def _compose(tiles: list[Tile], n_frames: int) -> Iterator[np.ndarray]:
    """The frames of the whole, uint8 (H', W', 3): rows of two or three tiles, enlarged by a whole factor."""
    columns = len(tiles) if len(tiles) <= 3 else 2 if len(tiles) == 4 else 3
    rows = -(-len(tiles) // columns)
    height, width = tiles[0].frames.shape[1:3]
    factor = max(1, round(WIDTH / width / columns))
    height, width = height * factor, width * factor
    size = columns * (width + GAP) - GAP, rows * (BAND + height) + BAND
    ground = Image.new("RGB", (size[0] + size[0] % 2, size[1] + size[1] % 2), GROUND)
    corners = [(i // columns * (BAND + height) + BAND, i % columns * (width + GAP)) for i in range(len(tiles))]
    for t in range(n_frames):
        frame = ground.copy()
        draw = ImageDraw.Draw(frame)
        for tile, (y, x) in zip(tiles, corners):
            draw.text((x + 4, y - 8), tile.title, WORDS, FONT, anchor="ls")
            if t < tile.n_given:
                draw.text((x + width - 4, y - 8), "given", SOFT, FONT, anchor="rs")
        draw.text((size[0] - 4, size[1] - 8), f"frame {t} of {n_frames - 1}", SOFT, FONT, anchor="rs")
        pixels = np.array(frame)
        for tile, (y, x) in zip(tiles, corners):
            pixels[y : y + height, x : x + width] = tile.frames[t].repeat(factor, 0).repeat(factor, 1)
        yield pixels


def encode(frames: list[np.ndarray], fps: float) -> bytes:
    """Frames, uint8 (H, W, 3), as MP4 in the best quality that keeps to LIMIT bytes; where none does, the smallest."""
    content = b""
    for crf in CRF:
        content = _encode(frames, fps, crf)
        if len(content) <= LIMIT:
            break
    return content


def _encode(frames: list[np.ndarray], fps: float, crf: int) -> bytes:
    file = io.BytesIO()
    write_mp4(file, frames, fps, crf=str(crf), preset="medium")
    return file.getvalue()
