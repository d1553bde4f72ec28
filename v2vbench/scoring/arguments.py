"""The arguments of `score`: their ranges, what is given as which side, and the same as words of a command line."""

import re
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

import numpy as np

from v2vbench.params import Fault, brief
from v2vbench.scoring.data import Flow
from v2vbench.scoring.pairing import Pairing
from v2vbench.scoring.sides import Given

WRITTEN = ("scores.json", "scores.csv", "clips.csv")  # by which a folder with results is known
Fakes = Given | Iterable[str | Path] | Mapping[str, str | Path]


def check(*, size, fps, skip, max_frames, cut, flow, pair, cache) -> None:
    """Raises Fault naming the first argument that is of another type or out of its range."""
    if size is not None and not (
        isinstance(size, tuple | list) and len(size) == 2 and all(_is_whole(n) and n >= 8 for n in size)
    ):
        raise Fault(f"--size: {brief(size)}; it takes a width and a height of at least 8 px, 256x128: (128, 256)")
    if fps is not None and not (isinstance(fps, int | float) and 1e-3 <= fps <= 1000):
        raise Fault(f"--fps: {brief(fps)}; it takes a number from 0.001 to 1000")
    for name, value, least in (("--skip", skip, 0), ("--max-frames", max_frames, 1), ("--cut", cut, 2)):
        if value is None and name != "--skip":
            continue
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise Fault(f"{name}: {brief(value)}; it takes a whole number, {least} or more")
    for name, value, words in (("--flow", flow, get_args(Flow)), ("--pair", pair, get_args(Pairing))):
        if value not in words:
            raise Fault(f"{name}: {brief(value)}; it takes {', '.join(words)}")
    if not isinstance(cache, str | Path | None):
        raise Fault(f"--cache: {brief(cache)}; it takes a folder, or none")


def _is_whole(value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def labels(metrics: Iterable[str] | None) -> list[str] | None:
    """Labels of metrics; None: all."""
    if metrics is None:
        return None
    wanted: list[Any] = list(metrics) if isinstance(metrics, Iterable) and not isinstance(metrics, str) else [metrics]
    if bad := [label for label in wanted if not isinstance(label, str) or not label]:
        raise Fault(f"--metrics: {brief(bad[0])} is no name of a metric")
    return None if wanted == ["all"] else wanted


def target(out: str | Path | None, given: Iterable = ()) -> Path | None:
    """The folder to write to, made if it is missing: it is empty, or has results of this command.

    given     of the sides, in none of which it may lie
    raises    Fault where it holds other files, or nothing can be written to it
    """
    if out is None:
        return None
    if not isinstance(out, str | Path) or not str(out):
        raise Fault(f"--out: {brief(out)}; it takes a folder")
    folder = Path(out).expanduser()
    if folder.exists() and not folder.is_dir():
        raise Fault(f"--out {folder}: is a file; name a folder")
    if folder.is_dir() and any(folder.iterdir()) and not all((folder / name).is_file() for name in WRITTEN):
        raise Fault(f"--out {folder}: holds other files; name an empty folder or a new one")
    for path in (Path(one).expanduser() for one in given if isinstance(one, str | Path)):
        if path.is_dir() and folder.resolve().is_relative_to(path.resolve()):
            raise Fault(f"--out {folder}: lies in {path}, whose videos are read; name a folder elsewhere")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise Fault(f"--out {folder}: {error.strerror or error}; name a folder that can be written to") from None
    return folder


def generated(fake: Fakes) -> dict[str, Given]:
    """{title: what is given}; folders of one name are told apart by those above them."""
    if not isinstance(fake, str | Path | np.ndarray | Iterable) or isinstance(fake, bytes):
        raise Fault(f"--fake: {brief(fake)} is {type(fake).__name__}; it takes a path, several, or arrays")
    if isinstance(fake, str | Path | np.ndarray):
        return {title(fake, "fake"): fake}
    if isinstance(fake, Mapping):
        if any(isinstance(value, np.ndarray) and value.ndim == 4 for value in fake.values()):
            return {"fake": fake}  # pyright: ignore[reportReturnType] - clips by name
        if not fake or not all(map(str, fake)):
            raise Fault("--fake: names nothing, or has an empty title")
        return {str(title): given for title, given in fake.items()}
    several = list(fake)
    if bad := [one for one in several if not isinstance(one, str | Path) or not str(one)]:
        cause = f"{brief(bad[0])} is {type(bad[0]).__name__} among several"
        raise Fault(f"--fake: {cause}; several are paths, or {{title: path or arrays}}")
    paths = [Path(path) for path in several]
    if not paths:
        raise Fault("--fake: names nothing")
    for depth in range(1, 5):
        titles = ["/".join(path.resolve().with_suffix("").parts[-depth:]) for path in paths]
        if len(set(titles)) == len(titles):
            return dict(zip(titles, paths))
    raise Fault(f"--fake: {paths[0]} is given twice")


def title(given: Given, otherwise: str) -> str:
    return Path(given).expanduser().resolve().stem if isinstance(given, str | Path) else otherwise


def words(options: dict) -> tuple[str, ...]:
    """Options as words of a command line; those that are None are left out."""
    words = []
    for name, value in options.items():
        if value is not None:
            words += [name, *(map(str, value) if isinstance(value, list) else [str(value)])]
    return tuple(words)


def keys(titles: list[str]) -> dict[str, str]:
    """{key: title}: keys are part of addresses."""
    keys: dict[str, str] = {}
    for title in titles:
        stem = re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_") or "method"
        key = next(key for n in range(1, len(titles) + 1) if (key := stem if n == 1 else f"{stem}_{n}") not in keys)
        keys[key] = title
    return keys
