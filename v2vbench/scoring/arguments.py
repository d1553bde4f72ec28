"""The arguments of `score`: their ranges, what is given as which side, and the same as words of a command line."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from v2vbench.params import Fault, brief
from v2vbench.scoring.sides import Given

Fakes = Given | Iterable[str | Path] | Mapping[str, str | Path]


def check(*, size, fps, skip, max_frames, cut, flow) -> None:
    """Raises Fault naming the first argument that is out of its range."""
    if size is not None and (len(size) != 2 or min(size) < 8):
        raise Fault(f"--size: {brief(size)}; it takes a width and a height of at least 8 px: 256x128")
    for name, value, least in (
        ("--fps", fps, 1e-3),
        ("--skip", skip, 0),
        ("--max-frames", max_frames, 1),
        ("--cut", cut, 2),
    ):
        if value is not None and value < least:
            raise Fault(f"{name}: {brief(value)}; it takes {least} or more")
    if flow not in ("estimated", "raft", "given"):
        raise Fault(f"--flow: {brief(flow)}; it takes estimated, raft or given")


def target(out: str | Path | None) -> Path | None:
    """The folder to write to, which is empty, or has results of this command."""
    if out is None:
        return None
    target = Path(out).expanduser()
    if target.is_dir() and any(target.iterdir()) and not (target / "scores.json").is_file():
        raise Fault(f"--out {target}: holds other files; name an empty folder or a new one")
    if target.exists() and not target.is_dir():
        raise Fault(f"--out {target}: is a file; name a folder")
    return target


def generated(fake: Fakes) -> dict[str, Given]:
    """{title: what is given}; folders of one name are told apart by those above them."""
    if isinstance(fake, str | Path | np.ndarray):
        return {title(fake, "fake"): fake}
    if isinstance(fake, Mapping):
        if any(isinstance(value, np.ndarray) and value.ndim == 4 for value in fake.values()):
            return {"fake": fake}  # pyright: ignore[reportReturnType] - clips by name
        return {str(title): given for title, given in fake.items()}
    paths = [Path(path) for path in fake]
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
