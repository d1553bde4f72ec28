"""The contract of a data set: a file here has a function `prepare`, which writes a clip store."""

import inspect
from pathlib import Path
from typing import Protocol

CLIP_FIELDS = ("id", "split", "origin", "licence")  # that a loader says of every clip; `cluster` where clips are alike


class Contract(Protocol):
    """The members of a loader's file: a docstring and this function."""

    def prepare(self, out: Path, *, name: str, cache: Path) -> None:
        """Fetch or render, verify, and write a clip store with `clips.store.write_store`; each clip has CLIP_FIELDS.

        out      the store's path
        name     key of the line of `datasets` in params.yaml, which becomes Facts.name
        cache    folder for downloads, shared by all data sets
        ...      further keyword-only arguments are the settings of that line, and their types are its schema
        """
        ...


def problems(module) -> list[str]:
    """How a file breaks the contract, one line for each problem."""
    if not callable(getattr(module, "prepare", None)):
        return ["has no function prepare"]
    takes = inspect.signature(module.prepare).parameters
    missing = [name for name in ("out", "name", "cache") if name not in takes]
    return [f"prepare does not take {name}" for name in missing]
