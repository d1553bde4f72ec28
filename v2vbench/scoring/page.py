"""The page of `v2vbench score`: that of a project, with a section on files in place of training and provenance."""

import hashlib
import os
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from v2vbench.files import write_whole
from v2vbench.params import Fault, bind
from v2vbench.report.files import FileRow, Files
from v2vbench.report.inputs import Inputs
from v2vbench.report.page import fill, style_sheet
from v2vbench.report.players import Player, all_players
from v2vbench.report.settings import Settings
from v2vbench.report.videos import Tile, Video, keep, make_video
from v2vbench.scoring.settings import DATASET, GROUP
from v2vbench.scoring.sides import Side

if TYPE_CHECKING:
    from v2vbench.scoring.results import Scores

OURS = re.compile(rf"({DATASET}-.*|unpaired-\d+|scores)-[0-9a-f]{{8}}\.(mp4|jpg|json)")  # media that this page writes
NAMES = {
    "dis-medium-at-2x": "estimated by OpenCV's DIS",
    "exact": "exact, as the clip store has it",
    "none": "not used",
}


def write_page(scores: "Scores", folder: Path) -> Path:
    """Write index.html and media/ to a folder that has scores.json, scores.csv and clips.csv; returns its path.

    Media carry a hash in their name and are written first, so a page that is there keeps its videos until the new one
    stands in its place.
    raises    Fault where something cannot be written
    """
    settings = bind(Settings, scores.params.report, "score.yaml: report")
    media, partial = folder / "media", folder / ".partial"
    try:
        shutil.rmtree(partial, ignore_errors=True)
        (partial / "media").mkdir(parents=True)
        media.mkdir(exist_ok=True)
        inputs = Inputs(
            params=scores.params,
            comparison=scores.comparison,
            scores=scores.runs,
            futures=[],
            predicted={},
            stores={DATASET: scores.real},
            fakes=dict(scores.fakes),
            restyled={},
            is_unpaired=bool(scores.sides.unpaired),
        )
        players: dict[tuple[str, str], list[Player]] = {(DATASET, GROUP): []}
        if not inputs.is_unpaired:
            players = all_players(inputs, settings, partial / "media")
        page = fill(
            inputs,
            settings,
            partial / "media",
            style_sheet(),
            numbers=keep(partial / "media", "scores.json", (folder / "scores.json").read_bytes()),
            players=players,
            files=_files(scores, settings, partial / "media"),
        )
        made = {path.name for path in (partial / "media").iterdir()}
        for name in made:
            os.replace(partial / "media" / name, media / name)
        write_whole(folder / "index.html", page.encode())
        for path in media.iterdir():
            if path.name not in made and OURS.fullmatch(path.name):
                path.unlink()
        shutil.rmtree(partial)
    except OSError as error:
        raise Fault(f"{error.filename or folder}: {error.strerror or error}") from error
    return folder / "index.html"


def _files(scores: "Scores", settings: Settings, media: Path) -> Files:
    flow = scores.real.facts.flow
    several = list(_side_by_side(scores, settings, media)) if scores.sides.unpaired else None
    return Files(
        rows=[row for side in scores.sides.all for row in _rows(side)],
        warnings=scores.warnings(),
        command=_command(scores),
        flow=NAMES.get(flow, f"estimated by {flow}"),
        sha256={side.title: _checksum(side) for side in scores.sides.all},
        tables={name: name for name in ("clips.csv", "scores.csv")},
        unpaired=several,
    )


def _side_by_side(scores: "Scores", settings: Settings, media: Path) -> Iterator[tuple[Video, list[str]]]:
    """A clip of each side that is not paired, evenly spread over their names, and what they are called."""
    stores = [scores.real, *scores.fakes.values()]
    titles = ["real", *(run.title for run in scores.runs.values())]
    n = min(settings.players, *(len(store.clips) for store in stores))
    for number, places in enumerate(zip(*(np.linspace(0, len(store.clips) - 1, n).round() for store in stores))):
        names = [list(store.clips)[int(place)] for store, place in zip(stores, places)]
        n_frames = min(store.clips[name]["n_frames"] for store, name in zip(stores, names))
        tiles = []
        for i, (store, name) in enumerate(zip(stores, names)):
            kind = store.side.kind
            frames = scores.real.as_wide(store.read(name, 0, n_frames, [kind])[kind])
            tiles.append(Tile(titles[i], i - 1 if i else None, frames, 0))
        video = make_video(tiles, f"{number + 1} of {n}", scores.real.facts, settings, media, f"unpaired-{number}")
        yield video, [f"{title}: {name}" for title, name in zip(titles, names)]


def _rows(side: Side) -> list[FileRow]:
    """A row for each way in which clips of a side are kept."""
    alike: dict[tuple, list] = {}
    for clip in side.clips.values():
        alike.setdefault((clip.size, clip.codec, clip.lossy, clip.notes), []).append(clip)
    return [
        FileRow(
            side=side.title,
            n_clips=len(clips),
            n_frames=sum(clip.n_frames for clip in clips),
            size=f"{size[1]} x {size[0]}",
            codec=codec,
            lossy=lossy,
            notes="; ".join(notes),
        )
        for (size, codec, lossy, notes), clips in alike.items()
    ]


def _checksum(side: Side) -> str:
    lines = [f"{clip.sha256} {name} {clip.start} {clip.n_frames}\n" for name, clip in side.clips.items()]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _command(scores: "Scores") -> str:
    """The command that makes these numbers again."""
    words = ["v2vbench", "score", "--real", scores.sides.real.where]
    for side in scores.sides.fakes:
        words += ["--fake", f"{side.title}={side.where}"]
    return shlex.join([*words, *scores.options])
