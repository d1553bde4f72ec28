"""Simulated raters who answer a study that is marked as simulated: for tests, the notebook and rehearsals."""

from collections.abc import Collection, Mapping

import numpy as np

from v2vbench.params import Fault, Natural, Share, Weight
from v2vbench.people.answers import Answer, write
from v2vbench.people.records import Choice, Study, Trial


def rehearse(
    study: Study,
    strengths: Mapping[str, float],
    *,
    tie: Weight,
    side: float,
    lapse: Share,
    clip_effect: Weight,
    rater_effect: Weight,
    careless: Collection[str],
    seed: Natural,
) -> dict[str, str]:
    """The text of the file of answers that the page would save, by number of the rater; arguments as in `choices`.

    Times are longer than the study's rules ask for, as those of people who look are.
    """
    chosen = choices(
        study,
        strengths,
        tie=tie,
        side=side,
        lapse=lapse,
        clip_effect=clip_effect,
        rater_effect=rater_effect,
        careless=careless,
        seed=seed,
    )
    return {
        rater: _file(study, rater, own, np.random.default_rng([seed, 1, int(rater)])) for rater, own in chosen.items()
    }


def choices(
    study: Study,
    strengths: Mapping[str, float],
    *,
    tie: Weight,
    side: float,
    lapse: Share,
    clip_effect: Weight,
    rater_effect: Weight,
    careless: Collection[str],
    seed: Natural,
) -> dict[str, list[Choice]]:
    """What each rater answers in each trial: a script for the page, too.

    strengths     {run: log odds}
    tie           nu of Davidson's model, see statistics.bradley_terry
    side          log odds that standing on the left adds
    lapse         share of trials, catches too, that are answered by a coin
    clip_effect   standard deviation of how far each clip alters each run's strength, log odds
    rater_effect  and each rater, for all clips alike: a taste
    careless      numbers of the raters who answer every trial by a coin
    seed          a rater's answers do not depend on which other raters there are
    returns       {number of the rater: answers}
    raises        Fault for a study of people, whose answers are never made up, and a run or rater that is not there
    """
    if not study.simulated:
        raise Fault(f"study {study.id} asks people, and their answers are not made up; `study make --simulated`")
    if missing := sorted(set(study.runs) - set(strengths)):
        raise Fault(f"study {study.id}: no strength of {', '.join(missing)}")
    if unknown := sorted(set(careless) - set(study.raters)):
        raise Fault(f"study {study.id}: no raters {', '.join(unknown)}; there are {', '.join(study.raters)}")
    clips = sorted({video.clip for video in study.videos.values()})
    of_clip = np.random.default_rng([seed, 2]).normal(0, clip_effect, (len(clips), len(study.runs)))
    strength = {
        (clip, run): strengths[run] + of_clip[i, j]
        for i, clip in enumerate(clips)
        for j, run in enumerate(sorted(study.runs))
    }
    chosen: dict[str, list[Choice]] = {}
    for rater, trials in study.raters.items():
        rng = np.random.default_rng([seed, 0, int(rater)])
        taste = dict(zip(sorted(study.runs), rng.normal(0, rater_effect, len(study.runs))))
        blind = 1.0 if rater in careless else lapse
        chosen[rater] = [_choice(study, trial, strength, taste, tie, side, blind, rng) for trial in trials]
    return chosen


def _choice(
    study: Study,
    trial: Trial,
    strength: Mapping[tuple[str, str], float],
    taste: Mapping[str, float],
    tie: float,
    side: float,
    blind: float,
    rng: np.random.Generator,
) -> Choice:
    looks, drawn = rng.random(2)
    left, right = (study.videos[name].shows for name in (trial.left, trial.right))
    if looks < blind:
        return "left" if drawn < 0.5 else "right"
    if trial.kind == "catch":
        return "left" if left == "real" else "right"
    apart = strength[trial.clip, left] + taste[left] - strength[trial.clip, right] - taste[right] + side
    weights = np.array([np.exp(apart / 2), tie, np.exp(-apart / 2)])  # Davidson's model
    at = np.searchsorted(np.cumsum(weights) / weights.sum(), drawn, side="right")
    names: tuple[Choice, ...] = ("left", "neither", "right")
    return names[min(int(at), 2)]


def _file(study: Study, rater: str, chosen: list[Choice], rng: np.random.Generator) -> str:
    session, previous, lines = rng.bytes(8).hex(), study.id, []
    for number, (trial, answer) in enumerate(zip(study.raters[rater], chosen)):
        loop = max(study.videos[trial.left].ms, study.videos[trial.right].ms)
        ms = int(loop * rng.integers(1, 3)) + study.rules.hurried_ms + 200 + round(rng.gamma(2, 700))
        lines.append(
            write(
                Answer(
                    study=study.id,
                    rater=rater,
                    session=session,
                    trial=number,
                    left=trial.left,
                    right=trial.right,
                    answer=answer,
                    ms=ms,
                    loops=max(1, ms // max(loop, 1)),
                    drift=0.0,
                    screen=(1280, 720),
                    reloads=0,
                    simulated=True,
                ),
                previous,
            )
        )
        previous = lines[-1][-10:-2]
    return "".join(f"{line}\n" for line in lines)
