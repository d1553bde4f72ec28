"""What 09_people shows: a study planned, made, read and judged, with simulated raters in the place of people."""

import os
import shutil
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import av
import numpy as np
from IPython.display import HTML, Image
from matplotlib.figure import Figure

from v2vbench.clips.store import Store
from v2vbench.display.palette import COLOURS
from v2vbench.display.pictures import picture, strip, times
from v2vbench.display.table import table
from v2vbench.files import write_whole
from v2vbench.params import Fault, Params
from v2vbench.people.make import make
from v2vbench.people.power import Setting, plan
from v2vbench.people.power_table import drawn, words
from v2vbench.people.read import read
from v2vbench.people.records import Question, Rules, Study, Trial
from v2vbench.people.rehearse import rehearse
from v2vbench.results.comparison import ComparedGroup, People
from v2vbench.stages.compare import compare

SIMULATED = "SIMULATED RATERS, no person answered"
INPUTS = ("data", "runs", "metrics/calibrate", "metrics/runs")
CROWD = {
    "tie": 0.4,
    "side": 0.3,
    "lapse": 0.03,
    "clip_effect": 0.5,
    "rater_effect": 0.5,
}  # log odds, but for the lapses
SHARE = 0.67  # of the votes for the better method; the paper's for vid2vid against no flow warping
APART = 0.6  # log odds between one method and the next, in the order in which params.yaml names them
RULES = Rules(failed_catches=0, hurried_ms=300, one_side=0.9, answered=0.5)


@dataclass(frozen=True)
class Rehearsal:
    """A study with simulated raters."""

    params: Params  # of the project, with votes
    root: Path  # below .cache, with the project's data, runs and scores
    study: Study
    said: str  # by `study make`

    @property
    def truth(self) -> dict[str, float]:
        """{run: log odds that the simulated raters go by}."""
        n = len(self.study.runs)
        return {run: APART * ((n - 1) / 2 - i) for i, run in enumerate(self.study.runs)}


def power(raters: list[int], studies: int) -> Image:
    """How surely studies of several sizes find that a method has SHARE of the votes; prints it as a table too."""
    setting = Setting(
        share=SHARE,
        power=0.8,
        trials=None,
        clips=24,
        pairs=1,
        rater_effect=CROWD["rater_effect"],
        clip_effect=CROWD["clip_effect"],
        lapse=CROWD["lapse"],
        tie=CROWD["tie"],
        studies=studies,
        confidence=0.95,
        seed=0,
    )
    result = plan(setting, raters)
    print(words(result))
    return picture(drawn(result), f"{SIMULATED}. Power by number of raters at a share of {SHARE:g}.")


def rehearsal(
    params: Params, root: Path, dataset: str, question: Question, n_methods: int, n_raters: int, seed: int
) -> Rehearsal:
    """Make a study of the first runs of a data set, on its last test group, below .cache/rehearsal, which is made anew.

    raises    Fault where clips or scores are missing, and as `make` does
    """
    folder = root / ".cache" / "rehearsal"
    shutil.rmtree(folder, ignore_errors=True)
    for name in INPUTS:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        os.symlink(root / name, folder / name)
    store = root / "data" / f"{dataset}.zip"
    if not store.is_file():
        raise Fault(f"{store}: not here yet; `make repro` makes it")
    said = make(
        params,
        folder,
        dataset=dataset,
        group=list(Store(store).facts.groups)[-1],
        runs=[key for key, run in params.runs.items() if run.dataset == dataset][:n_methods],
        question=question,
        n_raters=n_raters,
        n_trials=None,
        seed=seed,
        out=folder / "study",
        consent=None,
        post=None,
        simulated=True,
        rules=RULES,
    )
    (key,) = (folder / "studies").glob("*.json")
    voted = replace(params, preference=params.preference | {"votes": "votes/<dataset>.jsonl"})
    return Rehearsal(voted, folder, Study.load(key), said.replace(f"{root}{os.sep}", ""))


def first_trial(made: Rehearsal, n: int) -> Image:
    """The first trial of the first rater at `n` times, as the page shows it: no method is named."""
    number, own = next(iter(made.study.raters.items()))
    videos = {side: _frames(made, name) for side, name in (("left", own[0].left), ("right", own[0].right))}
    at = times(0, len(videos["left"]) - 1, n)
    rows = {side: pixels[at] for side, pixels in videos.items()}
    return strip(rows, [f"frame {t}" for t in at], f"{SIMULATED}. Rater {number}, trial 1: {made.study.asked}")


def _frames(made: Rehearsal, name: str) -> np.ndarray:
    """The frames of a video file of the page, uint8 (T, H, W, 3)."""
    with av.open(str(made.root / "study" / "videos" / f"{name}.mp4")) as file:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)])


def trials(made: Rehearsal, n: int) -> HTML:
    """The first `n` trials of the first rater, as only the key knows them."""
    number, own = next(iter(made.study.raters.items()))

    def row(i: int, trial: Trial) -> dict:
        left, right = (made.study.videos[name].shows for name in (trial.left, trial.right))
        return {"trial": i + 1, "kind": trial.kind, "clip": trial.clip, "left": left, "right": right}

    return table([row(i, trial) for i, trial in enumerate(own[:n])], f"{SIMULATED}. Rater {number}, from the key")


def answered(made: Rehearsal, careless: Collection[str], seed: int) -> str:
    """Simulated raters answer, and their files are read; returns what `study read` says.

    careless    numbers of raters who answer by a coin
    """
    folder = made.root / "answers"
    for rater, text in rehearse(made.study, made.truth, **CROWD, careless=set(careless), seed=seed).items():
        write_whole(folder / f"{rater}.jsonl", text.encode())
    said = read(sorted(folder.glob("*.jsonl")), made.root)
    return said.replace(f"{made.root}{os.sep}", "")


def judged(made: Rehearsal) -> ComparedGroup:
    """What the votes say, by the stage `compare`; nothing of the project is written."""
    return compare(made.params, made.root).datasets[made.study.dataset].groups[made.study.group]


def _people(group: ComparedGroup) -> People:
    (people,) = group.preference.people.values()
    return people


def shares(made: Rehearsal, group: ComparedGroup) -> Image:
    """The share of each pair with its interval, beside the share that the simulated raters go by."""
    people = _people(group)
    rows = [(f"{_title(made, pair.a)} / {_title(made, pair.b)}", pair) for pair in people.pairs]
    figure = Figure(figsize=(9, 0.34 * len(rows) + 1.3), layout="constrained")
    axes = figure.subplots()
    for i, (_, pair) in enumerate(rows):
        axes.plot([pair.share.low, pair.share.high], [i, i], color=COLOURS[0][0], linewidth=2)
        axes.plot(pair.share.value, i, "o", color=COLOURS[0][0])
        axes.plot(1 / (1 + np.exp(made.truth[pair.b] - made.truth[pair.a])), i, "x", color=COLOURS[1][0])
    axes.axvline(0.5, color="grey", linewidth=0.8)
    axes.set_yticks(range(len(rows)), [name for name, _ in rows], size=9)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel(
        "share of the votes for the first; o: from the votes, x: of a typical rater on a typical clip", size=9
    )
    axes.set_title(SIMULATED, size=10, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    ends = [f"{name}: {pair.share.value:.2f} ({pair.share.low:.2f} to {pair.share.high:.2f})" for name, pair in rows]
    return picture(figure, f"{SIMULATED}. {'; '.join(ends)}.")


def care(group: ComparedGroup) -> HTML:
    """What tells how carefully raters answered."""
    people = _people(group)
    rows = [
        {"what": "raters whose votes count", "value": str(people.n_raters)},
        *({"what": f"left out: {why}", "value": str(n)} for why, n in people.excluded.items()),
        *({"what": f"not counted: {why}", "value": str(n)} for why, n in people.refused.items()),
        {"what": "votes, of these without a preference", "value": f"{people.n_votes}, {people.n_ties}"},
        {"what": "the same answer to a repeated trial", "value": _span(people.repeats)},
        {"what": "votes for the left video", "value": _span(people.left)},
        {"what": "log odds that standing on the left adds", "value": _span(people.side)},
        {"what": "Krippendorff's alpha", "value": _span(people.alpha)},
    ]
    return table(rows, SIMULATED)


def agreement(group: ComparedGroup) -> HTML:
    """How often the other raters, metrics, and a model learned from the votes predict a vote."""
    people = _people(group)
    learned = {f"learned from votes, each {by} held out": fit and fit.accuracy for by, fit in people.learned.items()}
    found = {"other raters (the ceiling)": people.ceiling, "votes of metrics together": people.proxy} | learned
    by_metric = {group.metrics[label].title: share for label, share in people.agreement.items() if share}
    for label in sorted(by_metric, key=lambda label: -by_metric[label].value):
        found[label] = by_metric[label]
    rows = [{"predicted by": name, "share of votes": _span(share)} for name, share in found.items() if share]
    return table(rows, SIMULATED)


def _title(made: Rehearsal, run: str) -> str:
    return made.params.runs[run].title


def _span(value) -> str | None:
    if value is None:
        return None
    return f"{value.value:.2f}" + ("" if value.low is None else f" ({value.low:.2f} to {value.high:.2f})")
