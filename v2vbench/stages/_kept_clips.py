"""Clips that are made already: whole ones that a package brought back, and single ones of a roll-out that was stopped.

.cache/clips/<fingerprint>/    may be deleted at any time
  clips.zip, made.json         written by `v2vbench unpack`: what `synthesize` would write, and where it was made
  parts-<version of torch>/    frames of finished clips, uint8, while the others are made
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from v2vbench.clips.store import Store
from v2vbench.closure import digests
from v2vbench.params import Fault, Params
from v2vbench.progress import goes_on_from, say


def named(where: str, lines: Mapping) -> dict:
    """{path in params.yaml: value}; a mapping in `lines` becomes one entry for each of its lines."""
    flat = {}
    for name, value in lines.items():
        below = isinstance(value, Mapping) and value
        flat |= named(f"{where}.{name}", value) if below else {f"{where}.{name}": value}
    return flat


def makers(params: Params, key: str) -> list[str]:
    """The runs whose weights make the clips of run `key`: itself, and the one that makes its first frames."""
    painter = params.runs[key].first_frames
    return [key, *([painter] if painter in params.runs else [])]


def determined(params: Params, key: str, store: Store, weights: Mapping[str, str]) -> dict:
    """All that determines the clips of run `key` but the machine and its versions, each with a name for messages.

    weights    {run: sha256 of its model.safetensors} for each of `makers`
    """
    run, models = params.runs[key], {name: params.runs[name] for name in makers(params, key)}
    found = {f"runs.{key}.{name}": getattr(run, name) for name in ("title", "seeds", "first_frames")}
    for name, line in models.items():
        found |= named(f"runs.{name}", {"model": line.model, "kwargs": line.kwargs})
        found[f"weights of {name}"] = weights[name]
    content = hashlib.sha256()
    for entry in (asdict(store.facts), *store.clips.values()):
        content.update(json.dumps(entry, sort_keys=True).encode())
    found[f"data/{run.dataset}.zip"] = content.hexdigest()
    files = ["stages/synthesize.py", *(f"models/{line.model}.py" for line in models.values())]
    return found | {f"v2vbench/{file}": digest for file, digest in digests(files).items()}


def fingerprint(content: dict) -> str:
    """The name of the folder of clips with this `determined`."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def folder_of_clips(params: Params, key: str, root: Path, store: Store) -> Path:
    """The folder of the clips of run `key`; raises Fault if weights that make them are missing."""
    paths = {name: root / "runs" / name / "model.safetensors" for name in makers(params, key)}
    if missing := [path for path in paths.values() if not path.is_file()]:
        raise Fault(f"{missing[0]}: no such weights; `dvc repro` trains them")
    weights = {name: sha256_of(path) for name, path in paths.items()}
    return root / ".cache" / "clips" / fingerprint(determined(params, key, store, weights))


def take(folder: Path, out: Path, key: str) -> bool:
    """Copy clips.zip of `folder` to `out`, if it is there; returns whether it was.

    raises    Fault if the file is damaged
    """
    path = folder / "clips.zip"
    if not path.is_file():
        return False
    try:
        about = json.loads((folder / "made.json").read_text())
        if sha256_of(path) != about["sha256"]:
            raise ValueError("other bytes than were brought back")
        made = about["made"]
        say(f"synthesize {key}: clips made on {made['device']}, {made['host_cpu']} with torch {made['torch']}")
        goes_on_from(made["seconds"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Fault(f"{path}: not whole ({error}); delete the folder, and the clips are made here") from None
    copy_whole(path, out)
    return True


def sha256_of(path: Path) -> str:
    """The hash of a file of any size."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def copy_whole(path: Path, out: Path) -> None:
    """Copy a file of any size; it appears at `out` whole or not at all."""
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f"{out.name}.partial")
    shutil.copyfile(path, partial)
    with open(partial, "rb") as file:
        os.fsync(file.fileno())
    os.replace(partial, out)


def part(folder: Path, number: int, seed: int | None) -> Path:
    """The file of one clip, by its number in the data set's store; seed None: the first of the run."""
    name = f"{number:05d}" if seed is None else f"{number:05d}@{seed}"
    return folder / f"parts-{torch.__version__}" / name


def resumed(path: Path, shape: tuple[int, ...], frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Frames (1, H, W, 3) uint8 of a clip: from the file `path`, or else from `frames`, and then into it.

    shape     of the whole clip, (T, H, W, 3); the file appears with the last frame
    """
    if path.is_file():
        yield from np.memmap(path, np.uint8, "r", shape=shape)[:, None]
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with open(partial, "wb") as file:
        for frame in frames:
            file.write(frame.tobytes())
            yield frame
    partial.rename(path)


def forget_parts(folder: Path) -> None:
    """Delete the single clips; the clip store has them now."""
    for parts in folder.glob("parts-*"):
        shutil.rmtree(parts)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
