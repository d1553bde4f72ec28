"""Videos of another method as a run: `v2vbench import-videos`."""

import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from v2vbench.clips.external import fitting_videos, remarks, videos_sha256
from v2vbench.clips.store import Store
from v2vbench.params import Fault, Params, choose, load
from v2vbench.progress import say
from v2vbench.runner.check import EXTERNAL
from v2vbench.runner.check_signatures import check_signatures
from v2vbench.runner.entries import IMPORTED, check_name, edited, with_run, with_values


def import_videos(folder: Path, name: str, root: Path, *, dataset: str, title: str | None = None) -> str:
    """Check a folder of videos, and write the run `name` that shows them into params.yaml, or nothing.

    A run of that name that shows videos already gets the new folder and digest.

    folder     a video file or a folder of pictures for every test clip, named by the clip's id
    dataset    the line whose test clips the videos are of; data/<dataset>.zip must be there
    title      of the run in tables; None: its name, or the title that it has
    returns    what was done and what to do next, in one line
    raises     Fault where a video is missing, surplus, damaged, or of another length or size than its clip, or the name
               is taken
    """
    file, verb = root / "params.yaml", "import-videos"
    params = load(file)
    check_name(name, verb)
    choose(params.datasets, dataset, f"{verb}: --dataset")
    run = params.runs.get(name)
    if name in params.judges | params.predictors | params.styles or (run and run.model != EXTERNAL):
        raise Fault(f"{verb}: {name} is in params.yaml already, and shows no videos; take another name")
    if run and run.dataset != dataset:
        raise Fault(f"{verb}: {name} is a run on {run.dataset}, not on {dataset}; take another name")
    kwargs = {"folder": _written(folder, root), "sha256": videos_sha256(folder)}
    videos = fitting_videos(Store(root / "data" / f"{dataset}.zip"), folder)
    line = (
        asdict(replace(run, title=title or run.title, kwargs=kwargs)) if run else _line(title or name, dataset, kwargs)
    )
    text = file.read_bytes().decode()
    if not run:
        text = with_run(text, name, line, params)
    else:
        text = with_values(text, name, _changes(params, name, line))
    with edited(file, text, name, line) as new_file:
        check_signatures(load(new_file), file.name)
        os.replace(new_file, file)
    for remark in remarks(videos.values()):
        say(f"{folder}: {remark}")
    done = "params.yaml has the new files" if run else "params.yaml has the run"
    return f"{name}: {len(videos)} videos fit the test clips of {dataset}, {done}; `dvc repro` scores it"


def _line(title: str, dataset: str, kwargs: dict[str, str]) -> dict[str, Any]:
    return dict(
        title=title,
        dataset=dataset,
        model=EXTERNAL,
        schedule=IMPORTED,
        base="none",
        first_frames="none",
        seeds=[0],
        kwargs=kwargs,
    )


def _changes(params: Params, name: str, line: dict[str, Any]) -> dict[tuple[str, ...], str]:
    """What the run's line says otherwise than params.yaml, {path below the line: string}."""
    old = params.runs[name]
    new = {("title",): line["title"]} | {("kwargs", key): value for key, value in line["kwargs"].items()}
    has = {("title",): old.title} | {("kwargs", key): value for key, value in old.kwargs.items()}
    return {path: value for path, value in new.items() if value != has.get(path)}


def _written(folder: Path, root: Path) -> str:
    """The folder as params.yaml names it: relative to the project if it is inside, else absolute."""
    whole, project = folder.resolve(), root.resolve()
    written = whole.relative_to(project).as_posix() if whole.is_relative_to(project) else whole.as_posix()
    if not written.isprintable():
        raise Fault(f"import-videos: {written!r} has characters that params.yaml cannot hold; rename the folder")
    return written
