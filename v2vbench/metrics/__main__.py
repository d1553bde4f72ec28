"""`python -m v2vbench.metrics` writes the parts of docs/protocols.md made from code: metrics, ladders, controls."""

import inspect
import re
from pathlib import Path

from v2vbench import find
from v2vbench.clips.controls import CONTROLS
from v2vbench.clips.damage import LADDERS
from v2vbench.metrics import SET_INPUTS, inputs

DOCUMENT = Path(__file__).parents[2] / "docs" / "protocols.md"
BETTER = {"lower": "lower is better", "higher": "higher is better", "one": "1 is best"}


class Placeholders(dict):
    """Stands for the settings of a line in a protocol id: {sigma:g} becomes <sigma>."""

    def __missing__(self, name: str) -> "Placeholder":
        return Placeholder(name)


class Placeholder(str):
    def __format__(self, spec: str) -> str:
        return "<" + self + ">"


def sections(of_sets: bool) -> str:
    """The docstring of each metric's file under its name, unit and protocol id, those of clips or those of sets."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("[!_]*.py"))
    modules = {name: find("metrics", name) for name in names}
    return "\n\n".join(
        f"### `{name}` ({', '.join(filter(None, (module.UNIT, BETTER[module.BETTER], module.HEADING)))})\n\n"
        f"`{module.PROTOCOL.format_map(Placeholders())}`\n\n{inspect.getdoc(module)}"
        for name, module in modules.items()
        if (inputs(module.compute) == SET_INPUTS) == of_sets
    )


def table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def summary(function) -> str:
    """The first paragraph of its docstring, on one line."""
    return " ".join((inspect.getdoc(function) or "").split("\n\n")[0].split())


def parts() -> dict[str, str]:
    """What is made from code, by the name in the document's markers."""
    ladders = [
        (f"`{name}`", ladder.unit.format("…"), summary(ladder.damage), ladder.kind) for name, ladder in LADDERS.items()
    ]
    controls = [
        (f"`{name}`", summary(control.video), "yes" if control.feasible else "no") for name, control in CONTROLS.items()
    ]
    return {
        "metrics of clips": sections(of_sets=False),
        "metrics of sets": sections(of_sets=True),
        "ladders": table(("ladder", "level", "what is done", "spoils"), ladders),
        "controls": table(("control", "what is shown", "feasible"), controls),
    }


def renewed(text: str) -> str:
    """The document with its made parts made anew; raises ValueError where the markers of one are missing."""
    for name, content in parts().items():
        start, end = f"<!-- made from code: {name} -->", f"<!-- end: {name} -->"
        if text.count(start) != 1 or text.count(end) != 1:
            raise ValueError(f"{DOCUMENT}: no single pair of markers {start} and {end}")
        between = re.compile(re.escape(start) + ".*" + re.escape(end), re.DOTALL)
        text = between.sub(lambda _, new=f"{start}\n\n{content}\n\n{end}": new, text)
    return text


if __name__ == "__main__":
    DOCUMENT.write_text(renewed(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
