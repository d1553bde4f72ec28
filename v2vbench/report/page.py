"""The page as text: templates filled with sections."""

import base64
import hashlib
from pathlib import Path
from typing import Any

import jinja2

from v2vbench import __version__
from v2vbench.display.palette import LARGE_ERROR
from v2vbench.params import Params
from v2vbench.report import format, marks
from v2vbench.report.files import Files
from v2vbench.report.future import future_section
from v2vbench.report.inputs import Inputs, ordered
from v2vbench.report.opening import opening
from v2vbench.report.paper import paper_tables
from v2vbench.report.players import Player, all_players
from v2vbench.report.provenance import provenance
from v2vbench.report.sections import dataset_section
from v2vbench.report.settings import Settings
from v2vbench.report.styles import styles_section
from v2vbench.report.training import learning_curves
from v2vbench.report.videos import keep
from v2vbench.results.comparison import Comparison

HERE = Path(__file__).parent
FILTERS = ("number", "signed", "brief", "percent", "duration", "memory", "counted", "code_spans")
CSP = (
    "default-src 'none'; img-src 'self' file: data:; media-src 'self' file:; style-src {style}; script-src {script}; "
    "base-uri 'none'; form-action 'none'"
)


class Captions:
    """Numbers tables and figures as they come: {{ caption("Table") }}."""

    def __init__(self):
        self.last = {}

    def __call__(self, kind: str) -> str:
        self.last[kind] = self.last.get(kind, 0) + 1
        return f"{kind} {self.last[kind]}"


def render(params: Params, settings: Settings, root: Path, media: Path, style: str, notebooks: list[str]) -> str:
    """index.html of a project as text; its videos are written to `media`.

    style        the style sheet
    notebooks    stems of the executed notebooks that have a page
    raises       Fault where something that the report is about is missing or broken
    """
    inputs = Inputs.load(params, root)
    return fill(
        inputs,
        settings,
        media,
        style,
        numbers=keep(media, "compare.json", Comparison.path(root).read_bytes()),
        players=all_players(inputs, settings, media),
        paper=paper_tables(inputs),
        futures=[future_section(inputs, settings, future, media) for future in inputs.futures],
        styles=[styles_section(inputs, settings, key, media) for key in params.styles],
        training=learning_curves(inputs, root),
        provenance=provenance(params, root, notebooks),
    )


def fill(
    inputs: Inputs,
    settings: Settings,
    media: Path,
    style: str,
    *,
    numbers: str,
    players: dict[tuple[str, str], list[Player]],
    files: Files | None = None,
    **parts: Any,
) -> str:
    """The templates, filled.

    numbers    address of the JSON with every number
    players    by (data set, group)
    files      of videos that are in no project, in place of what only a project has: `parts`
    """
    comparison, script = inputs.comparison, (HERE / "script.js").read_text()
    of_project = {"paper": [], "futures": [], "styles": [], "training": {}, "provenance": None}
    names = ordered(comparison.datasets, inputs.params.datasets)
    return (
        environment()
        .get_template("index.html.j2")
        .render(
            **of_project | parts,
            params=inputs.params,
            settings=settings,
            comparison=comparison,
            confidence=format.percent(comparison.confidence),
            opening=opening(inputs, settings, media),
            datasets=[dataset_section(inputs, name, players) for name in names],
            files=files,
            footnotes=inputs.footnotes,
            large_error=LARGE_ERROR,
            numbers=numbers,
            n_methods=len({run.title for run in comparison.runs.values()}),
            version=__version__,
            caption=Captions(),
            style=style,
            script=script,
            csp=policy(style, script),
        )
    )


def environment() -> jinja2.Environment:
    """The page's templates, in which what is not defined is an error."""
    jinja = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    jinja.filters |= {name: getattr(format, name) for name in FILTERS}
    jinja.globals["marks"] = marks
    return jinja


def style_sheet() -> str:
    """The style of the report and of the notebooks' pages."""
    return marks.css_colours() + (HERE / "style.css").read_text()


def policy(style: str, script: str = "") -> str:
    """The content security policy of a page that has one style sheet, and one script or none."""
    return CSP.format(style=_digest(style), script=_digest(script) if script else "'none'")


def _digest(text: str) -> str:
    """As a content security policy names an inline style or script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
