"""`v2vbench study make`: a folder that raters open in a browser, and its key, which stays in the project."""

import secrets
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from v2vbench.clips.store import Store
from v2vbench.files import write_whole
from v2vbench.params import Fault, Params, choose
from v2vbench.people import page
from v2vbench.people.consent import paragraphs
from v2vbench.people.design import N_CATCHES, N_REPEATS, Planned, design
from v2vbench.people.exclusions import chance_of_failing
from v2vbench.people.folder import check_folder, put
from v2vbench.people.records import Question, Rules, Study, StudyVideo, Trial, identify
from v2vbench.people.videos import MADE, Source, write_videos
from v2vbench.stages._same_clips import same_clips

ASKED: dict[Question, tuple[str, str]] = {  # the question, and a sentence more
    "look": (
        "Which of the two looks more like a video filmed by a real camera?",
        "Watch the single pictures as well as how they move.",
    ),
    "motion": (
        "In which of the two do things move more naturally?",
        "Watch the movement, not how sharp the picture is.",
    ),
    "fit": (
        "Which of the two shows better what the source in the middle prescribes?",
        "Compare what is where, and when, with the source.",
    ),
}
DAMAGES = {"look": ("frozen", "blurred"), "motion": ("frozen",), "fit": ("frozen",)}
N_CATCH_CLIPS = 2 * N_CATCHES  # of a study: each rater sees some of them, and the folder stays small
LOOKED_AT = 4 * N_CATCH_CLIPS  # clips among which those that move the most are taken for catches
LAPSES = 0.03  # of an attentive rater
READING_MIN = 2  # consent and instructions


def make(
    params: Params,
    root: Path,
    *,
    dataset: str,
    group: str,
    runs: Sequence[str],
    question: Question,
    n_raters: int,
    n_trials: int | None,
    seed: int | None,
    out: Path,
    consent: Path | None,
    post: str | None,
    simulated: bool,
    rules: Rules,
    force: bool = False,
) -> str:
    """Write the folder `out` and studies/<id>.json, or nothing at all.

    runs         lines of `runs`; empty: all of the data set
    n_trials     of a rater; None: 30, or as many as there are clips for
    seed         of names, order and sides; None: drawn, since whoever knows it knows what stands left
    consent      a text file, paragraphs with an empty line between; None: one that names no one
    post         URL of a receiver of the lab's; None: raters send files
    force        a study that is in `out` may be replaced; nothing else ever is
    returns      what was written, what the rules catch, and what to do next
    raises       Fault for a wrong argument, clips that are missing or stale, or a folder that holds other files
    """
    source = _source(params, root, dataset, group, runs)
    store, clips = source.store, source.store.split(group)
    if question == "fit" and store.facts.source == "none":
        raise Fault(f"study: --question fit: the clips of {dataset} have no source; ask look or motion")
    _check_rules(rules)
    out = out.resolve()
    check_folder(out, root, force)
    seed = secrets.randbits(31) if seed is None else seed
    if seed < 0:
        raise Fault(f"study: --seed {seed}: takes 0 or more")
    asked, hint = ASKED[question]
    trials = design(
        list(source.runs),
        clips,
        n_raters=n_raters,
        n_trials=n_trials,
        seed=seed,
        n_repeats=min(N_REPEATS, len(clips)),
        catch_clips=_catch_clips(source, group, seed),
        damages=DAMAGES[question],
    )
    height, width = source.size()
    about = {
        "question": question,
        "asked": asked,
        "hint": hint,
        "simulated": simulated,
        "consent": paragraphs(consent),
        "post": post,
        "width": width,
        "height": height,
        "fps": store.facts.fps,
        "break_after": -(-len(trials["01"]) // 2),
    }
    page.render(about | {"id": "", "raters": {}, "ms": {}})  # what is wrong in it is said before the videos are made
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}.", suffix=".partial"))
    try:
        partial.chmod(0o755)  # a web server reads it
        (partial / "videos").mkdir()
        videos = write_videos(source, _shown(trials, question), partial / "videos", seed)
        study = Study(
            id="",
            dataset=dataset,
            group=group,
            question=question,
            asked=asked,
            simulated=simulated,
            runs=list(source.runs),
            seed=seed,
            rules=rules,
            videos=videos,
            raters=_named(trials, videos, question),
        )
        study = replace(study, id=identify(study))
        raters = {
            rater: [[trial.left, trial.right, trial.source] for trial in own] for rater, own in study.raters.items()
        }
        about |= {"id": study.id, "raters": raters, "ms": {name: video.ms for name, video in videos.items()}}
        write_whole(partial / "index.html", page.render(about))
        key = Study.path(root, study.id)
        study.save(key)  # before the page: there is none without its key
        put(partial, out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return _message(study, out, key, has_consent=consent is not None)


def _source(params: Params, root: Path, dataset: str, group: str, runs: Sequence[str]) -> Source:
    """The clips of the data set and of the runs, after a check that they fit."""
    choose(params.datasets, dataset, "study: --dataset")
    known = {run: line for run, line in params.runs.items() if line.dataset == dataset}
    for run in runs:
        other = choose(params.runs, run, "study: --runs").dataset
        if other != dataset:
            raise Fault(f"study: --runs {run}: is a run of {other}, not of {dataset}; a study compares runs of one")
    runs = list(dict.fromkeys(runs or known))
    if len(runs) < 2:
        raise Fault(f"study: --runs {' '.join(runs) or 'none'}: it takes two runs or more of {dataset} to compare")
    if reserved := sorted(set(runs) & set(MADE)):
        raise Fault(f"study: --runs {reserved[0]}: the key uses this name for other videos; give the run another")
    store = Store(root / "data" / f"{dataset}.zip")
    choose(store.facts.groups, group, "study: --group")
    fakes = {run: Store(root / "runs" / run / "clips.zip") for run in runs}
    n_cut = max(same_clips(store, clips, params.protocol)[0] for clips in fakes.values())
    most = max(store.brief(clip)["n_frames"] for clip in store.split(group)) - n_cut
    return Source(store=store, runs=fakes, n_cut=n_cut, most=most)


def _catch_clips(source: Source, group: str, seed: int) -> list[str]:
    """Clips for catches, none of the group: those of some that move the most, as a frozen one has to be told from them.

    returns    as many as N_CATCH_CLIPS, fewer where the data set has no more
    """
    store, rng = source.store, np.random.default_rng([seed, 2])
    others = [clip for split in ("train", *store.facts.groups) if split != group for clip in store.split(split)]
    others = [clip for clip in others if source.n_frames(clip) > 1 and "real" in store.brief(clip)["arrays"]]
    some = [others[i] for i in rng.permutation(len(others))[:LOOKED_AT]]

    def moves(clip: str) -> float:
        real = source.frames(clip, "real")
        return float(np.abs(real - real[:1].astype(np.int16)).mean())

    return sorted(some, key=lambda clip: -moves(clip))[:N_CATCH_CLIPS]


def _shown(trials: dict[str, list[Planned]], question: Question) -> set[tuple[str, str]]:
    """(clip, what is shown) of all videos."""
    both = {(trial.clip, side) for own in trials.values() for trial in own for side in (trial.left, trial.right)}
    return both | ({(clip, "source") for clip, _ in both} if question == "fit" else set())


def _named(
    trials: dict[str, list[Planned]], videos: dict[str, StudyVideo], question: Question
) -> dict[str, list[Trial]]:
    """The trials with names of videos."""
    names = {(video.clip, video.shows): name for name, video in videos.items()}
    return {
        rater: [
            Trial(
                kind=trial.kind,
                clip=trial.clip,
                left=names[trial.clip, trial.left],
                right=names[trial.clip, trial.right],
                source=names[trial.clip, "source"] if question == "fit" else None,
            )
            for trial in own
        ]
        for rater, own in trials.items()
    }


def _check_rules(rules: Rules) -> None:
    for name, value, low, high in (
        ("failed-catches", rules.failed_catches, 0, N_CATCHES),
        ("hurried-ms", rules.hurried_ms, 0, 60_000),
        ("one-side", rules.one_side, 0.5, 1),
        ("answered", rules.answered, 0, 1),
    ):
        if not low <= value <= high:
            raise Fault(f"study: --{name} {value:g}: takes {low:g} to {high:g}")


def _message(study: Study, out: Path, key: Path, *, has_consent: bool) -> str:
    trials, last = study.raters["01"], max(study.raters, key=int)
    n = {kind: sum(trial.kind == kind for trial in trials) for kind in ("vote", "catch", "repeat")}
    coin, attentive = (chance_of_failing(n["catch"], study.rules, right) for right in (0.5, 1 - LAPSES / 2))
    ms = max(sum(2 * study.videos[trial.left].ms + 2000 for trial in own) for own in study.raters.values())
    size = sum(path.stat().st_size for path in out.rglob("*.mp4")) / 1e6
    lines = [
        f"{out}: study {study.id}{', a rehearsal with simulated raters' if study.simulated else ''}: "
        f"{len(study.raters)} raters, {len(trials)} trials each ({n['vote']} votes, {n['catch']} catches, "
        f"{n['repeat']} repeats), {len(study.videos)} videos, {size:.1f} MB",
        f"Which video is which stands in {key}: keep it, and never put it where raters can look",
        f"Put the folder on a web host, or send it; raters open index.html#01 to index.html#{last}, one each",
        f"A rater takes about {round(ms / 60_000 + READING_MIN)} minutes, reading included",
        f"The catches leave out {coin:.1%} of those who toss a coin, and {attentive:.1%} of attentive raters, who "
        f"answer {LAPSES:.0%} of the trials blindly",
        "Then: v2vbench study read answers/*.jsonl",
    ]
    clips = {one.clip for own in study.raters.values() for one in own if one.kind == "vote"}
    n_pairs = len(study.runs) * (len(study.runs) - 1) / 2
    if (n_seen := len(study.raters) * n["vote"] / n_pairs / len(clips)) < 2:
        lines.append(
            f"Note: {n_seen:.1f} raters see each pair of methods on each clip, so how far raters agree will hardly be "
            "known; name fewer --runs, or ask more raters"
        )
    if not has_consent:
        lines.append(
            "Warning: the page has no consent text of yours; give one with --consent FILE before people are asked, "
            "see docs/people.md"
        )
    return "\n".join(lines)
