"""A made-up study for tests: its key and the clips of its runs, without data, page or videos."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from conftest import facts

from v2vbench.clips.store import Store, facts_of_run, write_store
from v2vbench.people.design import design
from v2vbench.people.records import Question, Rules, Study, StudyVideo, Trial, identify
from v2vbench.people.rehearse import rehearse

SIZE, N_FRAMES, MS = (8, 8), 2, 1400
RULES = Rules(failed_catches=0, hurried_ms=300, one_side=0.9, answered=0.5)
RUNS = ("vid2vid", "pix2pixhd", "copy_last")
STRENGTHS = {"vid2vid": 1.0, "pix2pixhd": 0.0, "copy_last": -0.5}
CALM: dict[str, Any] = dict(tie=0.2, side=0.3, lapse=0.0, clip_effect=0.3, rater_effect=0.3, careless=())


def clips_of(n: int) -> dict[str, str]:
    """{clip: test group}: n that are voted on, and 6 for catches."""
    return {f"clip-{i:02d}": "unseen" for i in range(n)} | {f"other-{i}": "seen" for i in range(6)}


def write_run(root: Path, run: str, n_clips: int = 24, seed: int = 0) -> Store:
    """runs/<run>/clips.zip; another seed is another training."""
    path, rng = root / "runs" / run / "clips.zip", np.random.default_rng([seed, *run.encode()])
    own = facts_of_run(facts(size=SIZE), run, run)
    frames = lambda: rng.integers(0, 256, (N_FRAMES, *SIZE, 3)).astype(np.uint8)  # noqa: E731
    write_store(path, own, [({"id": clip, "split": of}, {"fake": frames()}) for clip, of in clips_of(n_clips).items()])
    return Store(path)


def make_study(
    root: Path,
    *,
    runs: tuple[str, ...] = RUNS,
    n_raters: int = 4,
    n_trials: int = 30,
    n_clips: int = 24,
    simulated: bool = True,
    question: Question = "look",
    dataset: str = "sliding",
    rules: Rules = RULES,
    seed: int = 0,
) -> Study:
    """Write studies/<id>.json, and clips of those runs that have none below `root`; returns the key."""
    stores = {}
    for run in runs:
        path = root / "runs" / run / "clips.zip"
        stores[run] = Store(path) if path.is_file() else write_run(root, run, n_clips)
    groups = clips_of(n_clips)
    planned = design(
        list(runs),
        [clip for clip, group in groups.items() if group == "unseen"],
        n_raters=n_raters,
        n_trials=n_trials,
        seed=seed,
        catch_clips=[clip for clip, group in groups.items() if group == "seen"],
        damages=("frozen", "blurred"),
    )
    both = {(trial.clip, side) for own in planned.values() for trial in own for side in (trial.left, trial.right)}
    names = {one: hashlib.sha256(f"{seed} {one}".encode()).hexdigest()[:12] for one in sorted(both)}
    videos = {
        name: StudyVideo(
            clip=clip,
            shows=shows,
            sha256=stores[shows].clips[clip]["sha256"] if shows in stores else None,
            file_sha256=hashlib.sha256(name.encode()).hexdigest(),
            ms=MS,
        )
        for (clip, shows), name in names.items()
    }
    raters = {
        rater: [
            Trial(
                kind=trial.kind,
                clip=trial.clip,
                left=names[trial.clip, trial.left],
                right=names[trial.clip, trial.right],
                source=None,
            )
            for trial in own
        ]
        for rater, own in planned.items()
    }
    study = Study(
        id="",
        dataset=dataset,
        group="unseen",
        question=question,
        asked="Which of the two looks more like a video filmed by a real camera?",
        simulated=simulated,
        runs=list(runs),
        seed=seed,
        rules=rules,
        videos=videos,
        raters=raters,
    )
    study = replace(study, id=identify(study))
    study.save(Study.path(root, study.id))
    return study


def write_answers(folder: Path, study: Study, seed: int = 0, **how: Any) -> dict[str, Path]:
    """A file of answers for each rater, {number: path}; `how` as in `rehearse`, beside CALM."""
    folder.mkdir(exist_ok=True)
    files = {}
    for rater, text in rehearse(study, **{"strengths": STRENGTHS} | CALM | how, seed=seed).items():
        files[rater] = folder / f"answers-{study.id}-{rater}.jsonl"
        files[rater].write_text(text)
    return files
