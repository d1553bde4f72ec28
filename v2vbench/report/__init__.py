"""The report: one page that needs nothing from outside, its videos beside it, and every executed notebook as a page."""

import base64
import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import jinja2

from v2vbench import __version__
from v2vbench.clips.store import Store
from v2vbench.params import Count, Fault, Natural, Params, Range, bind, choose
from v2vbench.progress import progress
from v2vbench.report import marks, notebooks, players, sections, tables
from v2vbench.report import provenance as stages
from v2vbench.report.paper import ledger
from v2vbench.report.tables import Results

HERE = Path(__file__).parent
CSP = (
    "default-src 'none'; img-src 'self' file: data:; media-src 'self' file:; style-src 'sha256-{style}'; "
    "script-src 'sha256-{script}'; base-uri 'none'; form-action 'none'"
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How the report shows things; the section `report`."""

    players: Natural  # clips with a player, a data set and group
    players_by: str  # the per-clip metric that orders them and is drawn under each
    tile_px: Count  # about the width of a video: frames are enlarged by a whole factor
    crf: Annotated[int, Range(0, 51)]  # H.264 quality; lower is better and larger


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
        style = marks.css_colours() + (HERE / "style.css").read_text()
        ran = [path for path in sorted((out / "notebooks").glob("*.ipynb")) if stages.current(params, path.stem)]
        for path in ran:
            (partial / "notebooks" / f"{path.stem}.html").write_text(notebooks.convert(path, style, "../index.html"))
        page = _page(params, settings, Path(root), partial / "media", style, [path.stem for path in ran])
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


def read(path: Path) -> dict:
    """A JSON file; raises Fault where it is missing or broken."""
    if not path.is_file():
        raise Fault(f"{path}: missing; `dvc repro` makes it")
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise Fault(f"{path}: not whole ({error}); delete it and run `dvc repro`") from None


def _page(params: Params, settings: Settings, root: Path, media: Path, style: str, ran: list[str]) -> str:
    """index.html as text; its videos are written to `media`."""
    compare = read(root / "metrics" / "compare.json")
    results = Results(
        params=params,
        compare=compare,
        scores={run: read(root / "metrics" / "runs" / f"{run}.json") for run in compare["runs"]},
        future=[read(path) for path in sorted((root / "metrics" / "future").glob("*.json"))],
        stores={name: Store(root / "data" / f"{name}.zip") for name in compare["datasets"]},
        fakes={run: Store(root / "runs" / run / "clips.zip") for run in compare["runs"]},
        restyled={key: Store(root / "runs" / key / "clips.zip") for key in params.styles},
    )
    datasets = [sections.dataset(results, name) for name in tables.ordered(compare["datasets"], params.datasets)]
    logs = [read(path) for path in sorted((root / "logs").glob("*.json")) if stages.current(params, path.stem)]
    training = stages.training(results, root)
    wanted = [
        (dataset, group, *pick)
        for dataset in datasets
        for group in dataset["groups"]
        for pick in players.picks(results, group, settings)
    ]
    for dataset, group, position, place in progress(wanted, "report", unit="player"):
        player = players.player(results, settings, dataset["name"], group, position, place, media)
        group["players"].append(player)
    styles = [players.restyled(results, settings, key, media) for key in params.styles]
    numbers = players.keep(media, "compare.json", json.dumps(compare, sort_keys=True, indent=1).encode())
    script = (HERE / "script.js").read_text()
    jinja = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    jinja.filters |= {name: getattr(tables, name) for name in ("number", "signed", "brief", "duration", "memory")}
    jinja.filters["codes"] = marks.codes
    return jinja.get_template("index.html.j2").render(
        params=params,
        settings=settings,
        compare=compare,
        datasets=datasets,
        marks=marks,
        numbers=numbers,
        future=[tables.prediction(results, f) for f in results.future],
        ledger=ledger(results),
        styles=styles,
        training=training,
        protocols=results.protocols,
        provenance=stages.provenance(logs, ran),
        version=__version__,
        n_methods=len({run["title"] for run in compare["runs"].values()}),
        caption=tables.Captions(),
        style=style,
        script=script,
        csp=CSP.format(style=_sha(style), script=_sha(script)),
    )


def _sha(text: str) -> str:
    """As a content security policy names an inline style or script."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
