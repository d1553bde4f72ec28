"""The contract of a data set: a file here has a function `prepare`, which writes the clip store of a line of `datasets`."""

import inspect
from pathlib import Path
from typing import Protocol


class Contract(Protocol):
    """What a loader's file has: a docstring and this function."""

    def prepare(self, out: Path, *, name: str, cache: Path) -> None:
        """Fetch or render, verify, and write a clip store with `clips.store.write_store`.

        out      the store's path
        name     the line's key, which becomes Facts.name
        cache    folder for downloads, shared by all data sets
        ...      further keyword-only arguments are the settings of a line, and their types its schema
        """
        ...


def problems(module) -> list[str]:
    """What keeps a file from the contract, a line each."""
    if not callable(getattr(module, "prepare", None)):
        return ["has no function prepare"]
    takes = inspect.signature(module.prepare).parameters
    missing = [name for name in ("out", "name", "cache") if name not in takes]
    return [f"prepare does not take {name}" for name in missing]
