"""One video a clip with everything side by side: the source, the real frames and every method's, frame for frame."""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from v2vbench.clips.store import Facts
from v2vbench.clips.tensors import to_tensors
from v2vbench.display.palette import COLOURS, colour
from v2vbench.metrics import score_clip
from v2vbench.params import Fault, Params
from v2vbench.report import charts
from v2vbench.report.tables import Results, legend

GROUND, WORDS, SOFT = (22, 23, 26), (236, 234, 229), (168, 166, 160)  # of the video, in light and dark pages alike
BAND, GAP, EDGE = 38, 8, 14  # px: the band with a tile's name above it; between tiles; around them all


@dataclass(frozen=True)
class Tile:
    """One picture of the composite."""

    title: str
    method: int | None  # its number in the report's colours; None for what no method made
    frames: np.ndarray  # uint8 (T, H, W, 3)
    given: int  # first frames that are real ones


def picks(results: Results, group: dict, settings) -> list[tuple[int, int]]:
    """The clips of a group to show, by `pick`; raises Fault where `players_by` is not a per-clip metric of its runs."""
    label = settings.players_by
    scored = {run: results.scores[run]["groups"][group["name"]]["metrics"].get(label) for run in group["runs"]}
    if any(metric is None or metric["kind"] != "clip" or not metric["per_clip"] for metric in scored.values()):
        raise Fault(f"params.yaml: report.players_by: {label} has no value a clip of every run of {group['name']}")
    better = next(iter(scored.values()))["better"]
    return pick({run: metric["per_clip"] for run, metric in scored.items()}, better, settings.players)


def pick(values: dict[str, list[float]], better: str, n: int) -> list[tuple[int, int]]:
    """Which clips are shown: (position in the list, place from the worst, 0 first), evenly from the worst to the best.

    values    {run: one value a clip}; clips are ordered by their mean over the runs
    """

    def goodness(i):
        row = [v[i] for v in values.values() if v[i] is not None and math.isfinite(v[i])]
        if not row:
            return -math.inf
        mean = sum(row) / len(row)
        return {"higher": mean, "lower": -mean, "one": -abs(math.log(max(mean, 1e-12)))}[better]

    n_clips = len(next(iter(values.values())))
    ranked = sorted(range(n_clips), key=lambda i: (goodness(i), i))
    places = sorted({round(p) for p in np.linspace(0, n_clips - 1, min(n, n_clips))})
    return [(ranked[place], place) for place in places]


def place_name(place: int, n_clips: int) -> str:
    """ "worst of 8", "3rd best of 8", "best of 8"."""
    if n_clips == 1:
        return "the only clip"
    nth = n_clips - place
    ending = "th" if nth % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(nth % 10, "th")
    return f"{'best' if nth == 1 else 'worst' if place == 0 else f'{nth}{ending} best'} of {n_clips}"


def by_frame(params: Params, label: str, arrays: dict, fake: np.ndarray, where: str) -> list[float]:
    """The per-clip metric `label` at each frame of one clip after the frames that no metric sees."""
    scored = {name: array[params.protocol.skip_frames :] for name, array in (arrays | {"fake": fake}).items()}
    return score_clip(to_tensors(scored), {label: params.metrics[label]}, where)[label].tolist()


def layout(n_methods: int, size: tuple[int, int], tile_px: int) -> tuple[int, tuple[int, int], list[tuple[int, int]]]:
    """By what frames are enlarged; the composite's (height, width), both even; and each tile's top left (y, x).

    Source and real come first. Where the last row would stay open, the methods begin a row of their own instead.
    """
    factor = max(1, round(tile_px / size[1]))
    height, width = size[0] * factor, size[1] * factor
    columns = 2 if n_methods == 2 else 3
    skipped = 1 if columns == 3 and n_methods % 3 == 0 else 0
    cells = [0, 1, *range(2 + skipped, 2 + skipped + n_methods)]
    rows = cells[-1] // columns + 1
    down, across = height + BAND + GAP, width + GAP
    corners = [(cell // columns * down + BAND + 4, EDGE + cell % columns * across) for cell in cells]
    total = rows * down + BAND, columns * across - GAP + 2 * EDGE
    return factor, tuple(n + n % 2 for n in total), corners


def compose(tiles: list[Tile], caption: str, legend: list[tuple[str, tuple]], tile_px: int) -> Iterator[np.ndarray]:
    """The frames of the composite, uint8 (H', W', 3), one at a time.

    caption    stands at the foot, with the frame's number
    legend     [(name, RGB)] of the source, in the cell beside `real` where the layout leaves it free
    """
    n_frames, size = len(tiles[0].frames), tiles[0].frames.shape[1:3]
    factor, (height, width), corners = layout(len(tiles) - 2, size, tile_px)
    small, normal = ImageFont.load_default(18), ImageFont.load_default(24)
    ground = Image.new("RGB", (width, height), GROUND)
    draw = ImageDraw.Draw(ground)
    for tile, (y, x) in zip(tiles, corners):
        indent = 0
        if tile.method is not None:
            draw.rectangle((x, y - 25, x + 15, y - 10), fill=COLOURS[tile.method % len(COLOURS)][1])
            indent = 24
        draw.text((x + indent, y - 9), tile.title, WORDS, normal, anchor="ls")
    if len(tiles) % 3 == 2 and len(tiles) > 3:
        rows = size[0] * factor // 24
        column = size[1] * factor // (1 if len(legend) <= rows else 2)
        for i, (name, rgb) in enumerate(legend[: 2 * rows]):
            x, y = corners[1][1] + size[1] * factor + GAP + 16 + i // rows * column, corners[1][0] + i % rows * 24
            draw.rectangle((x, y + 3, x + 13, y + 16), fill=rgb)
            fits = next(n for n in range(len(name), 0, -1) if n == 1 or small.getlength(name[:n]) < column - 44)
            draw.text((x + 22, y + 16), name if fits == len(name) else name[:fits] + "…", SOFT, small, anchor="ls")
    draw.text((EDGE, height - 11), caption, SOFT, small, anchor="ls")
    for t in range(n_frames):
        frame = ground.copy()
        draw = ImageDraw.Draw(frame)
        for tile, (y, x) in zip(tiles, corners):
            if t < tile.given:
                draw.text((x + size[1] * factor, y - 9), "real frame, given", SOFT, small, anchor="rs")
        draw.text((width - EDGE, height - 11), f"frame {t + 1} of {n_frames}", SOFT, small, anchor="rs")
        pixels = np.array(frame)
        for tile, (y, x) in zip(tiles, corners):
            pixels[y : y + size[0] * factor, x : x + size[1] * factor] = (
                tile.frames[t].repeat(factor, 0).repeat(factor, 1)
            )
        yield pixels


def encode(path: Path, frames: Iterator[np.ndarray], fps: float, crf: int, poster: int) -> tuple[int, int]:
    """Write an H.264 file that every browser plays, and its frame `poster` as .jpg beside it; returns (height, width).

    The index stands at the front. No B-frames and a key frame every 8, so that stepping to a frame is quick and exact.
    One thread: equal input, equal bytes.
    """
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as file:
        stream = None
        for t, pixels in enumerate(frames):
            if t == poster:
                Image.fromarray(pixels).save(path.with_suffix(".jpg"), quality=88)
            if stream is None:
                stream = file.add_stream(
                    "libx264",
                    rate=Fraction(fps).limit_denominator(1001),
                    options={"crf": str(crf), "preset": "medium", "bf": "0", "g": "8"},
                )
                stream.height, stream.width, stream.pix_fmt = *pixels.shape[:2], "yuv420p"
                stream.codec_context.thread_count = 1
                stream.codec_context.color_range = 1  # 16..235
                for name in ("colorspace", "color_primaries", "color_trc"):
                    setattr(stream.codec_context, name, 1)  # BT.709
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
            file.mux(stream.encode(frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")))
        file.mux(stream.encode())
    return stream.height, stream.width


def keep(media: Path, name: str, content: bytes) -> str:
    """Write a file of the page under its name and hash; returns its address seen from the page."""
    stem, _, suffix = name.rpartition(".")
    name = f"{stem}-{hashlib.sha256(content).hexdigest()[:8]}.{suffix}"
    (media / name).write_bytes(content)
    return f"media/{name}"


def film(tiles: list[Tile], clip: str, facts: Facts, settings, media: Path, name: str) -> dict:
    """Make one composite's video and poster; how the page shows them."""
    n_frames, raw = len(tiles[0].frames), media / "raw.mp4"
    frames = compose(tiles, f"{facts.title}, clip {clip}", legend(facts), settings.tile_px)
    height, width = encode(raw, frames, facts.fps, settings.crf, n_frames // 2)
    video = keep(media, f"{name}.mp4", raw.read_bytes())
    poster = f"{video.removesuffix('.mp4')}.jpg"
    raw.with_suffix(".jpg").rename(media.parent / poster)
    raw.unlink()
    return {
        "clip": clip,
        "video": video,
        "poster": poster,
        "height": height,
        "width": width,
        "n_frames": n_frames,
        "fps": facts.fps,
    }


def player(results: Results, settings, dataset: str, group: dict, position: int, place: int, media: Path) -> dict:
    """Make one clip's video, poster and curves; what the page says about them."""
    store, clip, label = results.stores[dataset], group["clips"][position], settings.players_by
    arrays, facts, name, tiles, curves = store.read(clip), store.facts, group["titles"][label], [], []
    for run, title in group["runs"].items():
        fake, given = results.fakes[run].read(clip, arrays=["fake"])["fake"], results.fakes[run].clips[clip]["given"]
        tiles.append(Tile(title, results.methods[title], fake, given))
        curves.append((title, results.methods[title], by_frame(results.params, label, arrays, fake, clip)))
    tiles = [Tile("source", None, colour(arrays, facts), 0), Tile("real", None, arrays["real"], 0), *tiles]
    n_frames = len(arrays["real"])
    shown = film(tiles, clip, facts, settings, media, f"{dataset}-{group['name']}-{clip}")
    values = [value for _, _, ys in curves for value in ys]
    strip = charts.strip(f"{name} by frame, clip {clip}", curves, n_frames, n_frames - len(curves[0][2]))
    return shown | {
        "place": place_name(place, len(group["clips"])),
        "metric": name,
        "strip": strip,
        "low": min(values),
        "high": max(values),
        "log": charts.spans(values),
    }


def restyled(results: Results, settings, key: str, media: Path) -> dict:
    """One line of `styles`: the video of all its styles side by side, and that of the edit beside what it was made from."""
    line, made = results.params.styles[key], results.restyled[key]
    store, variants = results.stores[line.dataset], list(made.clips.values())
    clip, facts = variants[0]["of"], store.facts
    arrays = store.read(clip, arrays=["real", "label"])
    fakes = {name: made.read(name, arrays=["fake"])["fake"] for name in made.clips}
    source, given = Tile("source", None, colour(arrays, facts), 0), variants[0]["given"]
    styles = {v["seed"]: Tile(f"seed {v['seed']}", None, fakes[v["id"]], given) for v in variants if not v["swap"]}
    films = [
        film(
            [source, Tile("real", None, arrays["real"], 0), *styles.values()],
            clip,
            facts,
            settings,
            media,
            f"{key}-seeds",
        )
        | {"edit": None}
    ]
    for edit in (v for v in variants if v["swap"]):
        tiles = [
            source,
            Tile("edited source", None, colour(made.read(edit["id"], arrays=["label"]), facts), 0),
            styles[edit["seed"]],
            Tile("edited", None, fakes[edit["id"]], given),
        ]
        films.append(film(tiles, clip, facts, settings, media, f"{key}-edited") | {"edit": edit})
    run = variants[0]["run"]
    return {
        "title": line.title,
        "dataset": facts.title,
        "legend": legend(facts),
        "run": run,
        "method": results.params.runs[run].title,
        "clip": clip,
        "seeds": list(styles),
        "given": given,
        "films": films,
    }
