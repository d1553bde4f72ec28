"""A project of made-up runs on one group of clips, for what `compare` makes of it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from conftest import facts, sliding_clip
from made_up_results import (
    calibrated_group,
    climb,
    clip_score,
    control,
    fooled_by,
    ladder,
    metric_info,
    response,
    run_score,
    scored_group,
)

from v2vbench import params
from v2vbench.clips.store import write_store
from v2vbench.results.calibration import CalibrationScores, CalibrationSettings
from v2vbench.results.comparison import ComparedGroup
from v2vbench.results.metric import Score
from v2vbench.results.runs import RunScores
from v2vbench.stages._scorer import BIASED
from v2vbench.stages.compare import compare
from v2vbench.statistics.intervals import of_clips

N = 8
PARAMS = params.load(Path(__file__).parents[1] / "params.yaml")
BETTER = {"psnr": "higher", "warp_error": "lower", "motion_ratio": "one", "ked_frames": "lower", "fed_frames": "lower"}
HEADING = {"psnr": "fidelity"}  # of the others: realism
SETS = ("ked_frames", "fed_frames")
PRIMARY = ["psnr", "warp_error", "ked_frames"]
BLUR = {
    "psnr": [100, 25, 10],
    "warp_error": [0.5, 0.4, 0.3],
    "motion_ratio": [1, 0.9, 0.8],
    "ked_frames": [0, 4, 8],
    "fed_frames": [0, 4, 8],
}  # at 0, 1, 2 px
NOISE_AT = {
    "psnr": [100, 30, 20],
    "warp_error": [0.5, 2, 6],
    "motion_ratio": [1, 2, 4],
    "ked_frames": [0, 1, 2],
    "fed_frames": [0, 1, 2],
}  # at 0, 5, 20
FROZEN = {"psnr": 15.0, "warp_error": 0.0, "motion_ratio": 0.001, "ked_frames": 50.0, "fed_frames": 60.0}
NOISE = np.random.default_rng(0).normal(size=(3, N))
WIDE = np.linspace(-3, 3, N)  # clips differ from each other far more than the methods do
METRICS = {
    label: metric_info(
        label,
        better,
        "set" if label in SETS else "clip",
        HEADING.get(label, "realism"),
        unit="dB" * (label == "psnr"),
        no_verdict=BIASED if label == "fed_frames" else None,
    )
    for label, better in BETTER.items()
}


def score(label, per_clip, clusters) -> Score:
    """As evaluate and calibrate leave it: of a set distance what a mean over clips would give without each cluster."""
    whole = clip_score(per_clip)
    if label in SETS:
        return Score(
            value=whole.value, per_clip=None, leave_one_out=of_clips(whole.per_clip, clusters).replicates.tolist()
        )
    return whole


def calibration(ids, clusters):
    """What calibrate leaves: blur lowers the warp error, so that it is no ladder for it; a frozen video has none."""

    def damage(title, unit, levels, values):
        metrics = {}
        for label, means in values.items():
            rising = means[0] < means[-1]
            monotone = label == "motion_ratio" or rising == (BETTER[label] == "lower")
            metrics[label] = climb([[mean] * len(ids) for mean in means], means, monotone)
        return ladder("space", levels, metrics, title, unit)

    def flat(values):
        return {label: score(label, np.full(len(ids), value), clusters) for label, value in values.items()}

    mild = {
        name: flat({label: means[1] for label, means in values.items()})
        for name, values in (("blur", BLUR), ("noise", NOISE_AT))
    }
    return calibrated_group(
        ids,
        {
            "blur": damage("blur", "σ {} px", [0, 1, 2], BLUR),
            "noise": damage("noise", "σ {} grey levels", [0, 5, 20], NOISE_AT),
        },
        clusters,
        mild={label: {name: scores[label] for name, scores in mild.items()} for label in BETTER},
        controls={
            "frozen": control("frozen", True, flat(FROZEN)),
            "blurred": control("blurred", False, flat({label: means[2] for label, means in BLUR.items()})),
        },
        preferred={label: ["blur", "noise"] for label in BETTER},
        fooled={"warp_error": fooled_by("frozen")},
        responses={label: response() for label in BETTER},
    )


def run_scores(run, values, ids, clusters, seeds) -> RunScores:
    scores = {label: run_score(score(label, values[label], clusters)) for label in BETTER}
    scores["warp_error"] = replace(
        scores["warp_error"],
        real=score("warp_error", len(ids) * [0.5], clusters),
        drift=np.arange(len(ids), dtype=float).tolist(),
    )
    further = {
        seed: {label: score(label, trained[label], clusters) for label in BETTER} for seed, trained in seeds.items()
    }
    return RunScores(
        run=run,
        title=run.upper(),
        dataset="sliding",
        model=run,
        n_given=0,
        skip_frames=2,
        metrics=dict(METRICS),
        groups={"unseen": scored_group(ids, scores, clusters, seeds=further)},
    )


def project(
    folder,
    runs,
    standing="benchmark",
    change=lambda results: None,
    calibrated=lambda result: None,
    clusters=None,
    seeds=None,
    voters=("psnr",),
):
    """Results of made-up runs on one group of a data set; returns the parameters.

    runs          {run: {label: per clip}}
    change        changes {run: RunScores}; `calibrated` the CalibrationScores
    seeds         {run: {seed: {label: per clip}}}
    """
    n = len(next(iter(runs.values()))["psnr"])
    ids = [f"c{i}" for i in range(n)]
    alike = clusters or ids
    store_facts = facts(standing=standing, groups={"unseen": "maps never seen"})
    write_store(folder / "data" / "sliding.zip", store_facts, [({"id": "c0", "split": "unseen"}, sliding_clip(0, 3))])
    results = {run: run_scores(run, values, ids, alike, (seeds or {}).get(run, {})) for run, values in runs.items()}
    change(results)
    scores = CalibrationScores(
        dataset="sliding",
        skip_frames=2,
        settings=CalibrationSettings(seed=0, ladders={}, controls={}, equivalents=[], seen_from=0.05),
        metrics=dict(METRICS),
        groups={"unseen": calibration(ids, alike)},
    )
    calibrated(scores)
    scores.save(CalibrationScores.path(folder, "sliding"))
    for run, result in results.items():
        result.save(RunScores.path(folder, run))
    line = params.Run(
        title="", dataset="sliding", model="", schedule="none", base="none", first_frames="none", seeds=[0], kwargs={}
    )
    candidates = {"fidelity": list(voters), "realism": ["warp_error", "motion_ratio"]}
    return replace(
        PARAMS,
        datasets={"sliding": {}},
        runs=dict.fromkeys(runs, line),
        judges={},
        metrics={label: PARAMS.metrics[label] for label in BETTER},
        protocol=replace(PARAMS.protocol, primary=PRIMARY),
        preference=PARAMS.preference | {"metrics": candidates},
    )


def good(**changes):
    return {
        "psnr": 20 + WIDE,
        "warp_error": 2 + WIDE / 4,
        "motion_ratio": 1 + 0.01 * NOISE[0],
        "ked_frames": 5 + WIDE,
        "fed_frames": 6 + WIDE,
    } | changes


def bad(**changes):
    return {
        "psnr": 19 + WIDE + 0.1 * NOISE[1],
        "warp_error": 4 + WIDE / 2,
        "motion_ratio": np.full(N, 3.0),
        "ked_frames": 5 + WIDE + NOISE[2],
        "fed_frames": 9 + WIDE,
    } | changes


def table_of(folder, runs, protocol=(), **how) -> ComparedGroup:
    """The group as `compare` leaves it; `protocol` replaces fields of the protocol."""
    settings = project(folder, runs, **how)
    settings = replace(settings, protocol=replace(settings.protocol, **dict(protocol)))
    return compare(settings, folder).datasets["sliding"].groups["unseen"]
