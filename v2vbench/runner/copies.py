"""Notebooks as files: clean copies that stages depend on, and executed ones that are the same bytes every time."""

import os
import re
from pathlib import Path
from typing import cast

import nbformat

from v2vbench.files import write_whole
from v2vbench.params import Fault

METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
TOURS = ("00_start.ipynb", "09_people.ipynb")  # they show what is there, and are no stages
ADDRESS = re.compile(r"\b0x[0-9a-f]{6,}\b")


def cleaned(nb: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """A notebook as its author wrote it, whoever saved it since: no outputs, counts or empty cells; fixed ids."""
    cells = [cell for cell in nb.cells if cell.source.strip()]
    for cell in cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return _bare(cells)


def normalised(nb: nbformat.NotebookNode, root: Path) -> nbformat.NotebookNode:
    """An executed notebook without what differs between equal runs: times, warnings, which are logged, paths."""
    places = {f"{root}{os.sep}": "", str(root): ".", f"{os.path.expanduser('~')}{os.sep}": "~/"}
    for cell in (cell for cell in nb.cells if cell.cell_type == "code"):
        cell.outputs = [out for out in cell.outputs if out.get("name") != "stderr"]
        for texts in [out.data if "data" in out else out for out in cell.outputs]:
            for kind in [kind for kind in texts if kind == "text" or kind.startswith("text/")]:
                for place, short in places.items():
                    texts[kind] = texts[kind].replace(place, short) if len(place) > 2 else texts[kind]
                texts[kind] = ADDRESS.sub("0x…", texts[kind])
    injected = any("injected-parameters" in cell.metadata.get("tags", ()) for cell in nb.cells)
    return _bare([cell for cell in nb.cells if not injected or "parameters" not in cell.metadata.get("tags", ())])


def _bare(cells: list) -> nbformat.NotebookNode:
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number:03d}"
        cell.metadata = {"tags": cell.metadata.tags} if cell.metadata.get("tags") else {}
    content = {"cells": cells, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}
    return cast(nbformat.NotebookNode, nbformat.from_dict(content))


def read(path: Path) -> nbformat.NotebookNode:
    """Read a notebook; raises Fault where it is none."""
    try:
        return nbformat.read(path, 4)
    except (ValueError, nbformat.ValidationError) as error:
        raise Fault(f"{path}: not a notebook ({str(error).splitlines()[0]})") from None


def write(nb: nbformat.NotebookNode, path: Path) -> None:
    """Write a notebook whole or not at all, and only if its bytes would change."""
    content = (nbformat.writes(nb).rstrip("\n") + "\n").encode()
    if path.is_file() and path.read_bytes() == content:
        return
    write_whole(path, content)


def write_cleaned(root: Path, folder: str) -> None:
    """Write clean copies of notebooks/*.ipynb to `folder`: stages depend on them, so saving a notebook re-runs none.

    TOURS are cleaned in place alone, where `folder` is notebooks: no stage depends on them.
    """
    for path in sorted((root / "notebooks").glob("*.ipynb")):
        if path.name not in TOURS or folder == "notebooks":
            write(cleaned(read(path)), root / folder / path.name)
