"""Executed notebooks as pages that need nothing from outside."""

import re
from functools import cache
from pathlib import Path

import nbformat
from nbconvert import HTMLExporter

from v2vbench.params import Fault

HERE = Path(__file__).parent


def convert(notebook: Path, style: str, back: str) -> str:
    """The page of one executed notebook, by the template in ./notebook: no script, no address of another host.

    style     the report's style sheet
    back      address of the report, seen from the page
    raises    Fault where the file is no notebook
    """
    try:
        content = nbformat.read(notebook, as_version=4)
    except (ValueError, KeyError, AttributeError, nbformat.ValidationError) as error:
        what = str(error).splitlines()[0]
        raise Fault(f"{notebook}: not a whole notebook ({what}); delete it and run `dvc repro`") from None
    heading = next(
        (
            line
            for cell in content.cells
            if cell.cell_type == "markdown"
            for line in cell.source.splitlines()
            if line.startswith("# ")
        ),
        "",
    )
    title = re.sub(r"[*_`]|^# ", "", heading) or notebook.stem
    about = {"heading": bool(heading), "title": title, "stem": notebook.stem}
    page, _ = _exporter().from_notebook_node(content, resources={"style": style, "back": back, "about": about})
    return page


@cache
def _exporter() -> HTMLExporter:
    """One for all pages, since it compiles its templates once."""
    return HTMLExporter(template_name="notebook", extra_template_basedirs=[str(HERE)], anchor_link_text="")
