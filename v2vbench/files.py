"""Writing files atomically, with the same bytes for the same content."""

import json
import os
import tempfile
from pathlib import Path

_mask = os.umask(0)
os.umask(_mask)
MODE = 0o666 & ~_mask  # of files, as `open` makes them; those of tempfile are for their owner alone


def write_whole(path: Path, content: bytes) -> None:
    """Write `content` to `path` atomically; missing folders are created."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, partial = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name[:40]}.", suffix=".partial")
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(partial, MODE)
        os.replace(partial, path)  # whole, whoever else writes the same
    except BaseException:
        os.unlink(partial)
        raise


def write_json(path: Path, content: dict) -> None:
    """Write JSON with sorted keys and floats of 9 significant digits, so that equal results are equal bytes.

    raises    ValueError for nan and infinity, which JSON cannot represent
    """
    write_whole(path, (json.dumps(rounded(content), sort_keys=True, indent=1, allow_nan=False) + "\n").encode())


def rounded(value):
    """`value` with every float in it at 9 significant digits."""
    if isinstance(value, float):
        return float(f"{value:.9g}")
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, (list, tuple)) else value
