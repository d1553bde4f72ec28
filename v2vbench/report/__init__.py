"""The report: one page that needs nothing from outside, its videos beside it, and every executed notebook as a page."""

import os
import shutil
from pathlib import Path

from v2vbench.params import Fault, Params, bind, choose
from v2vbench.report import notebooks
from v2vbench.report.page import render, style_sheet
from v2vbench.report.provenance import is_current
from v2vbench.report.settings import Settings

__all__ = ["Settings", "write"]


def write(params: Params, root: Path) -> Path:
    """Write reports/index.html, reports/media/ and reports/notebooks/*.html; returns the path of index.html.

    Everything is made in a folder of its own first. Media carry a hash in their name, so the page that is there keeps
    its videos until the new page stands in its place: whenever this is broken off, there is one whole report.
    raises    Fault where something that the report is about is missing or broken, or cannot be written
    """
    settings = bind(Settings, params.report, "params.yaml: report")
    choose(params.metrics, settings.players_by, "params.yaml: report.players_by")
    out = Path(root) / "reports"
    partial = out / ".partial"
    try:
        shutil.rmtree(partial, ignore_errors=True)
        for folder in (partial / "media", partial / "notebooks", out / "media", out / "notebooks"):
            folder.mkdir(parents=True, exist_ok=True)
        style = style_sheet()
        executed = [path for path in sorted((out / "notebooks").glob("*.ipynb")) if is_current(params, path.stem)]
        for path in executed:
            (partial / "notebooks" / f"{path.stem}.html").write_text(notebooks.convert(path, style, "../index.html"))
        page = render(params, settings, Path(root), partial / "media", style, [path.stem for path in executed])
        (partial / "index.html").write_text(page)
        made = sorted(path for folder in ("media", "notebooks") for path in (partial / folder).iterdir())
        for path in (*made, partial / "index.html"):
            os.replace(path, out / path.relative_to(partial))
        for path in (*(out / "media").iterdir(), *(out / "notebooks").glob("*.html")):
            if partial / path.relative_to(out) not in made:
                path.unlink()
        shutil.rmtree(partial)
    except OSError as error:
        where, what = error.filename or out, error.strerror or error
        raise Fault(f"{where}: {what}; the report that was there is as it was") from error
    return out / "index.html"
