"""A notebook tells and shows; the package does. And whoever opened and saved it, a stage sees the same bytes."""

import ast
import json
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from v2vbench.params import Fault
from v2vbench.runner.copies import TOURS, cleaned, normalised, read, write, write_cleaned

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
WRITES = {
    "open",
    "write_text",
    "write_bytes",
    "write_json",
    "write_whole",
    "savefig",
    "to_csv",
    "to_json",
    "save",
    "dump",
    "mkdir",
}


STAGES = [path for path in NOTEBOOKS if path.name not in TOURS]


def faults(nb, is_stage=True):
    """What is wrong with a notebook by the house's rules."""
    code = [cell for cell in nb.cells if cell.cell_type == "code"]
    if nb.cells[0].cell_type != "markdown" or not nb.cells[0].source.startswith("# "):
        yield "does not begin with a heading"
    if len(code) > 15:
        yield f"{len(code)} code cells"
    parameters = [cell.source for cell in code if "parameters" in cell.metadata.get("tags", ())]
    keys = [list(ast.literal_eval(source.removeprefix("stage = "))) for source in parameters]
    if keys != ([["key"]] if is_stage else []):
        yield "has no parameters cell with stage alone" if is_stage else "has parameters, and is no stage"
    for number, cell in enumerate(code):
        if cell.source.count("\n") >= 12:
            yield f"cell {number}: {cell.source.count(chr(10)) + 1} lines"
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Lambda, ast.AsyncFunctionDef)):
                yield f"cell {number}: defines something"
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
                yield f"cell {number}: a value that belongs in params.yaml: {ast.unparse(node)}"
            if isinstance(node, ast.Constant) and isinstance(node.value, float):
                yield f"cell {number}: a number that belongs in params.yaml: {node.value}"
            if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in WRITES:
                yield f"cell {number}: writes: {ast.unparse(node)}"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_is_thin(path):
    assert not list(faults(read(path), path.name not in TOURS))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_is_stripped(path):
    """`v2vbench sources --strip` mends it."""
    assert path.read_text() == nbformat.writes(cleaned(read(path))).rstrip("\n") + "\n"


def test_there_is_a_notebook_for_every_stage():
    stages = {
        line.split()[5]
        for line in (ROOT / "dvc.yaml").read_text().splitlines()
        if "cmd: python -m v2vbench run" in line
    }
    assert stages == {path.stem[3:] for path in STAGES}


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("def dice(a):\n    return a", "defines"),
        ("f = lambda x: x", "defines"),
        ("lr = 3", "belongs in params.yaml"),
        ("f(1e-3)", "belongs in params.yaml"),
        ("open('x', 'w')", "writes"),
        ("path.write_text('x')", "writes"),
        ("\n".join("abcdefghijklm"), "13 lines"),
    ],
)
def test_a_thick_one_is_caught(cell, says):
    nb = read(STAGES[0])
    nb.cells.append(new_code_cell(cell))
    assert [says in fault for fault in faults(nb)] == [True]


def used(nb):
    """The notebook as saved by JupyterLab after use: run, another kernel, scrolled, an empty cell at the end."""
    for number, cell in enumerate(nb.cells):
        cell.id = f"random-{number}"
        cell.metadata["execution"] = {"iopub.status.busy": "2026-01-01T00:00:00Z"}
        if cell.cell_type == "code":
            cell.execution_count = 7
            cell.metadata |= {"scrolled": True, "collapsed": False}
            cell.outputs = [
                new_output("stream", name="stdout", text="a\n"),
                new_output("display_data", data={"image/png": "AAAA"}),
            ]
    nb.cells.append(new_code_cell(""))
    nb.metadata = {
        "kernelspec": {"name": "other", "display_name": "Someone's", "language": "python"},
        "language_info": {"name": "python", "version": "3.14"},
    }
    return nb


@pytest.mark.parametrize("path", STAGES, ids=lambda path: path.stem)
def test_saving_a_notebook_changes_no_source(tmp_path, path):
    folder = tmp_path / "notebooks"
    folder.mkdir()
    nbformat.write(used(read(path)), folder / path.name)
    write_cleaned(tmp_path, "build/notebooks")
    copy = tmp_path / "build/notebooks" / path.name
    assert copy.read_bytes() == path.read_bytes() != (folder / path.name).read_bytes()
    stamp = copy.stat().st_mtime_ns
    write_cleaned(tmp_path, "build/notebooks")
    assert copy.stat().st_mtime_ns == stamp  # not even written again
    edited = read(path)
    edited.cells[-1].source += " # changed"
    nbformat.write(edited, folder / path.name)
    write_cleaned(tmp_path, "build/notebooks")
    assert copy.read_bytes() != path.read_bytes()


@pytest.mark.parametrize("name", TOURS)
def test_a_tour_is_cleaned_in_place_and_is_no_stage(tmp_path, name):
    (tmp_path / "notebooks").mkdir()
    path = tmp_path / "notebooks" / name
    nbformat.write(used(read(ROOT / "notebooks" / name)), path)
    write_cleaned(tmp_path, "build/notebooks")
    assert not (tmp_path / "build").exists()
    write_cleaned(tmp_path, "notebooks")
    assert path.read_bytes() == (ROOT / "notebooks" / name).read_bytes()


def test_an_executed_notebook_keeps_results_and_nothing_of_the_machine(tmp_path):
    outputs = [
        new_output("stream", name="stderr", text="a warning"),
        new_output("stream", name="stdout", text=f"{tmp_path}/data/x.zip\n"),
        new_output(
            "execute_result",
            data={"text/plain": f"<Thing at 0x7f00aa112233> in {Path.home()}/x", "image/png": "0x7f00aa"},
        ),
    ]
    cell = new_code_cell(
        "1", outputs=outputs, metadata={"papermill": {"duration": 1.2}, "tags": ["a"]}, execution_count=3
    )
    nb = normalised(new_notebook(cells=[cell], metadata={"papermill": {"output_path": str(tmp_path)}}), tmp_path)
    write(nb, tmp_path / "out.ipynb")
    kept = json.loads((tmp_path / "out.ipynb").read_text())
    texts = [output.get("text") or output["data"] for output in kept["cells"][0]["outputs"]]
    assert texts == [["data/x.zip\n"], {"text/plain": ["<Thing at 0x…> in ~/x"], "image/png": "0x7f00aa"}]
    assert kept["cells"][0]["metadata"] == {"tags": ["a"]} and kept["cells"][0]["execution_count"] == 3
    assert str(tmp_path) not in json.dumps(kept) and "duration" not in json.dumps(kept)
    assert kept["metadata"]["language_info"] == {"name": "python"}


def test_a_broken_notebook_is_one_line(tmp_path):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks/01_x.ipynb").write_text('{"cells": [')
    with pytest.raises(Fault, match="01_x.ipynb: not a notebook"):
        write_cleaned(tmp_path, "build/notebooks")
