"""Names of files: their natural order, and how a message shows them on one line."""

import re
from pathlib import Path

from v2vbench.params import brief


def natural(name: str) -> list[tuple[int, int | str]]:
    """A key by which a9 comes before a10."""
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in re.split(r"(\d+)", name) if part] + [
        (2, name)
    ]


def shown(path: Path | str) -> str:
    """A path on one line: its repr where it has characters that cannot be printed."""
    return str(path) if str(path).isprintable() else brief(str(path), 200)
