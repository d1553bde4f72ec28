"""What 02_train shows: what is trained and how, and how its losses went."""

import csv
from pathlib import Path

import torch
from IPython.display import HTML, Image

from v2vbench.display.pictures import Line, curves
from v2vbench.display.table import table
from v2vbench.params import Schedule


def modules(model) -> HTML:
    """A model's modules: what they are, how many parameters they have, and which part's optimiser trains them."""
    part_of = {id(p): part for part, parameters in model.parts().items() for p in parameters}
    rows = []
    for name, module in model.named_children():
        parts = {part_of[id(p)] for p in module.parameters() if id(p) in part_of}
        rows.append(
            {
                "module": name,
                "kind": type(module).__name__,
                "parameters": f"{_n_parameters(module):,}",
                "trained as": ", ".join(sorted(parts)) or "nothing",
            }
        )
    rows.append({"module": "all", "kind": "", "parameters": f"{_n_parameters(model):,}", "trained as": ""})
    return table(rows, "The model's modules")


def _n_parameters(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def schedule(settings: Schedule) -> HTML:
    """How it is trained."""
    return table([{"setting": name, "value": value} for name, value in vars(settings).items()], "How it is trained")


def learning_curves(path: Path) -> Image | str:
    """The losses of a training, a panel each."""
    losses = columns(path)
    if not losses:
        return "Nothing is trained here."
    panels = {name: {"": Line(*column)} for name, column in losses.items() if name != "step"}
    return curves(panels, "step", "Learning curves")


def columns(path: Path) -> dict[str, tuple[list[int], list[float]]]:
    """The columns of a curves.csv: the steps at which there is a value, and the values. {} if nothing is trained.

    A loss may begin late: see `single_frames` of a schedule.

    raises    TypeError or ValueError if it is no table of numbers
    """
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    result = {}
    for name in rows[0] if rows else ():
        there = [row for row in rows if row[name] != ""]
        result[name] = [int(row["step"]) for row in there], [float(row[name]) for row in there]
    return result
