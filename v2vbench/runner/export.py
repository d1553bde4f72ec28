"""What the author of another method needs to make videos for a data set: `v2vbench export`."""

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from v2vbench.clips.store import Store
from v2vbench.display.mp4 import write_mp4
from v2vbench.display.palette import colour
from v2vbench.files import write_json, write_whole
from v2vbench.params import Fault, Params, brief, choose
from v2vbench.progress import progress

README = """\
{title}: what is needed to make videos that v2vbench compares with others.
Generate a video for each clip in clips.json whose split is not train: {n_test} videos.
A video has as many frames as its source, n_frames, of {width}x{height} px; nothing is cut, repeated or resized.
Source of each frame, in <clip>: {source}.
<clip>/instance, where there is one, numbers objects in 16-bit grey pictures, 0 where there is none.
<clip>/first holds the first {skip_frames} real frames, which a method may see; no metric sees these frames.
Train on nothing but the training clips (with --train: <clip>/real), and look at no other frame of the test clips.
Save each video as <clip>.mkv (ffmpeg -c:v ffv1 -pix_fmt bgr0) or as a folder <clip> of PNG files: both are lossless.
Put all of them, and no other video, into one folder, and send it back. Then, in the project:
v2vbench import-videos FOLDER NAME --dataset {name}; dvc repro. More is in docs/external.md.
"""
SOURCES = {
    "labels": "source/, label ids as 8-bit grey pictures; id i is label_names[i] of clips.json, 255 is no label",
    "grey": "source/, one map as 8-bit grey pictures",
    "rgb": "source/, maps as RGB pictures, in the order of label_names in clips.json; a channel more than these is 0",
    "array": "source.npy, maps as uint8 (frames, height, width, maps), in the order of label_names in clips.json",
    "none": "none, there are frames alone",
}


def export(
    dataset: str, params: Params, root: Path, out: Path | None = None, *, train: bool = False, video: bool = False
) -> str:
    """Write source and first real frames of every test clip to a folder, or nothing at all; see `README`.

    dataset    a line of `datasets`; data/<dataset>.zip must be there
    out        the folder, which must be empty or not there; None: export/<dataset> in the project
    train      training clips as well, with all their real frames
    video      source_colours.mp4, for looking, in place of source_colours.png with three frames
    returns    what was written, in one line
    raises     Fault where the folder holds something, the data are not there, or a clip's id can be no path
    """
    choose(params.datasets, dataset, "export")
    store, out = Store(root / "data" / f"{dataset}.zip"), root / "export" / dataset if out is None else out
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise Fault(f"{out}: there is something already; name an empty folder with --out, or delete it")
    tests = [clip for group in store.facts.groups for clip in store.split(group)]
    clips = [*tests, *(store.split("train") if train else [])]
    for clip in clips:
        _check_id(clip, store.path)
    partial, n_first = out.with_name(f"{out.name}.partial"), params.protocol.skip_frames
    shutil.rmtree(partial, ignore_errors=True)  # what a killed export left
    try:
        for clip in progress(clips, f"export {dataset}", unit="clip"):
            _write_clip(store, clip, partial / clip, None if store.clips[clip]["split"] == "train" else n_first)
            _write_colours(store, clip, partial / clip, video)
        facts = store.facts
        text = README.format(
            title=facts.title,
            name=dataset,
            n_test=len(tests),
            width=facts.size[1],
            height=facts.size[0],
            source=SOURCES[_form(store)],
            skip_frames=n_first,
        )
        write_whole(partial / "README.txt", text.encode())
        write_json(partial / "clips.json", _about(store, clips, n_first) | {"files": _sha256s(partial)})
        os.replace(partial, out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    counted = f"{len(tests)} test clips" + (f" and {len(clips) - len(tests)} for training" if train else "")
    return f"{out}: {counted} of {dataset}; README.txt there says what to make of them"


def _check_id(clip: str, path: Path) -> None:
    parts = PurePosixPath(clip).parts
    is_path = parts and "/".join(parts) == clip and clip.isprintable()
    if not is_path or any(part.startswith((".", "/")) for part in parts):
        raise Fault(f"{path}: the id of clip {brief(clip)} can be no folder below another; give it another id")


def _form(store: Store) -> str:
    """How the source is written, a key of SOURCES."""
    if store.facts.source != "maps":
        return store.facts.source
    n = len(store.facts.label_names)
    return "grey" if n == 1 else "rgb" if n <= 3 else "array"


def _write_clip(store: Store, clip: str, folder: Path, n_first: int | None) -> None:
    """Source and instances of a clip, and its first n_first real frames; None: all of them, in `real`."""
    form, arrays = _form(store), store.clips[clip]["arrays"]
    if form == "labels":
        _write_pictures(folder / "source", _frames(store, clip, "label"))
    elif form in ("grey", "rgb"):
        _write_pictures(folder / "source", map(_as_picture, _frames(store, clip, "maps")))
    elif form == "array":
        shape = store.clips[clip]["n_frames"], *store.facts.size, len(store.facts.label_names)
        folder.mkdir(parents=True)
        array = np.lib.format.open_memmap(folder / "source.npy", mode="w+", dtype=np.uint8, shape=shape)
        for t, maps in enumerate(_frames(store, clip, "maps")):
            array[t] = maps
        array.flush()
    if "instance" in arrays:
        _write_pictures(folder / "instance", _frames(store, clip, "instance"))
    name, stop = ("real", store.clips[clip]["n_frames"]) if n_first is None else ("first", n_first)
    if stop:
        _write_pictures(folder / name, _frames(store, clip, "real", stop))


def _frames(store: Store, clip: str, array: str, stop: int | None = None) -> Iterator[np.ndarray]:
    """An array of a clip, frame by frame up to `stop`."""
    left = store.clips[clip]["n_frames"] if stop is None else stop
    for start, piece in store.stream(clip, [array]):
        if start >= left:
            return
        yield from piece[array][: left - start]


def _as_picture(maps: np.ndarray) -> np.ndarray:
    """Maps (H, W, C ≤ 3) as a grey or RGB picture; a missing third channel is 0."""
    return maps[..., 0] if maps.shape[-1] == 1 else np.pad(maps, ((0, 0), (0, 0), (0, 3 - maps.shape[-1])))


def _write_pictures(folder: Path, frames: Iterable[np.ndarray]) -> None:
    """000000.png, ... of frames (H, W) uint8 or uint16, or (H, W, 3) RGB uint8."""
    folder.mkdir(parents=True, exist_ok=True)
    for t, frame in enumerate(frames):
        (folder / f"{t:06d}.png").write_bytes(_png(frame))


def _png(picture: np.ndarray) -> bytes:
    pixels = np.ascontiguousarray(picture[..., ::-1] if picture.ndim == 3 else picture)  # OpenCV writes BGR
    return cv2.imencode(".png", pixels)[1].tobytes()


def _write_colours(store: Store, clip: str, folder: Path, video: bool) -> None:
    """The source in colours: source_colours.mp4, or source_colours.png of the first, middle and last frame."""
    if store.facts.source == "none":
        return
    array, n = "label" if store.facts.source == "labels" else "maps", store.clips[clip]["n_frames"]
    if video:
        odd = [(0, side % 2) for side in store.facts.size]
        frames = (colour({array: one[None]}, store.facts)[0] for one in _frames(store, clip, array))
        padded = (np.pad(frame, (*odd, (0, 0)), mode="edge") for frame in frames)  # H.264 takes even sides
        write_mp4(folder / "source_colours.mp4", padded, store.facts.fps, crf="18")
    else:
        parts = [store.read(clip, t, t + 1, [array])[array] for t in (0, n // 2, n - 1)]
        row = np.concatenate([colour({array: part}, store.facts)[0] for part in parts], axis=1)
        (folder / "source_colours.png").write_bytes(_png(row))


def _about(store: Store, clips: list[str], n_first: int) -> dict:
    """The content of clips.json but for its files."""
    facts = store.facts
    fields = ("id", "split", "n_frames", "sha256", "cluster", "licence", "origin")
    listed = [{name: store.clips[clip][name] for name in fields if name in store.clips[clip]} for clip in clips]
    return {
        "dataset": facts.name,
        "title": facts.title,
        "source": facts.source,
        "label_names": facts.label_names,
        "label_colours": facts.label_colours,
        "groups": facts.groups,
        "skip_frames": n_first,
        "clips": [about | {"size": facts.size, "fps": facts.fps} for about in listed],
    }


def _sha256s(folder: Path) -> dict[str, str]:
    """{path below the folder: sha256} of every file in it."""
    digests = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with open(path, "rb") as file:
            digests[path.relative_to(folder).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return digests
