"""Future prediction on one data set: every predictor continues the test clips, and is scored by frames ahead."""

# pyright: reportArgumentType=false

from dataclasses import replace
from pathlib import Path

from v2vbench.parallel import fixed_threads
from v2vbench.params import Fault, Params, choose, member
from v2vbench.results.calibration import CalibrationScores
from v2vbench.results.future import LABELS, Entry, FutureScores, Sampling
from v2vbench.results.metric import MetricInfo
from v2vbench.results.record import write_csv
from v2vbench.stages._predict import Task, predict_all
from v2vbench.stages._predicted_group import PAST, Group
from v2vbench.stages._predictions import Scored, score_all
from v2vbench.stages._scorer import Scorer

SAMPLINGS: tuple[tuple[str, Sampling], ...] = (
    ("", "one sample"),
    (":best", "best of n"),
    (":mean", "mean of n"),
)  # of a model that draws: what its entries' keys end in


@fixed_threads()
def future(params: Params, dataset: str, root: Path) -> FutureScores:
    """Predict the test clips of `dataset` with every predictor that is trained on it, and compare the predictors.

    Models run on the GPU if there is one, metrics on the CPU. What was predicted stays in .cache/futures, so that one
    more predictor, or another metric, does not predict all again.

    root      the project's folder; reads data/<dataset>.zip, the weights of the predictors and of the run that makes
              frames from labels, and metrics/calibrate/<dataset>.json
    writes    metrics/future/<dataset>.json; futures/<dataset>/<predictor>.zip, the predicted frames and labels; for
              DVC's plots metrics/horizon/<dataset>.csv
    raises    Fault if a clip is shorter than n_past + n_future, or a run does not fit
    """
    line = choose(params.futures, dataset, "futures")
    scorer = Scorer.of_project(params, dataset, root)
    task = Task(params, dataset, line, scorer.store, root)
    if not task.predictors:
        raise Fault(f"futures.{dataset}: no line of predictors is trained on {dataset}")
    for clip in task.clips:
        if (n := task.store.clips[clip]["n_frames"]) < task.n_frames:
            cause = f"has {n} frames, fewer than n_past + n_future = {task.n_frames}"
            raise Fault(f"futures.{dataset}.n_future: clip {clip} {cause}")
    result = _compare(task, scorer, score_all(task, scorer, predict_all(task)))
    result.save(FutureScores.path(root, dataset))
    write_csv(root / "metrics" / "horizon" / f"{dataset}.csv", result.frame())
    return result


def _entries(task: Task) -> dict[str, Entry]:
    """The rows of the tables: a predictor, or three ways to look at the samples of one that draws."""
    entries = {}
    for key in task.predictors:
        line = task.params.predictors[key]
        model = member("models", line.model, f"predictors.{key}.model").Model
        ways = SAMPLINGS if model.STOCHASTIC else (("", "deterministic"),)
        for end, sampling in ways:
            entries[f"{key}{end}"] = Entry(
                predictor=key,
                title=line.title,
                model=line.model,
                sampling=sampling,
                n_samples=task.line.n_samples if sampling in ("best of n", "mean of n") else 1,
                ceiling=model.CEILING,
            )
    return entries


def _compare(task: Task, scorer: Scorer, scores: dict[str, dict[str, list[Scored]]]) -> FutureScores:
    """The tables, curves and winners of each group."""
    entries = _entries(task)
    info, beside = _metrics(task, scorer), []
    calibration = CalibrationScores.load(CalibrationScores.path(task.root, task.dataset))
    groups = {}
    for group in task.store.facts.groups:
        groups[group], some = Group(task, scorer, group, entries, scores, info, calibration.groups[group]).compared()
        beside += some
    video = task.params.runs[task.line.video].title if task.line.video != "none" else None
    return FutureScores(
        dataset=task.dataset,
        title=task.store.facts.title,
        video=video,
        n_past=task.line.n_past,
        n_future=task.line.n_future,
        fps=task.store.facts.fps,
        confidence=task.params.protocol.confidence,
        metrics=info,
        entries=entries,
        groups=groups,
        published=beside,
    )


def _metrics(task: Task, scorer: Scorer) -> dict[str, MetricInfo]:
    """The metrics, whose ids say what was seen, and of sets whether the past is in them."""
    about = f"{task.line.n_past}-seen:{task.line.n_future}-ahead:{task.store.facts.fps:g}fps"
    result = {}
    for metric in scorer.metrics:
        info = scorer.info[metric.label]
        sets = metric.kind == "set"
        result[metric.label] = replace(info, protocol=f"{info.protocol}:{about}{':future-only' if sets else ''}")
        if sets:
            protocol = f"{info.protocol}:{about}:past-and-future"
            result[metric.label + PAST] = replace(info, title=f"{info.title}, with the past", protocol=protocol)
    if task.store.facts.source == "labels":
        result[LABELS] = MetricInfo(
            title="label mIoU",
            unit="",
            better="higher",
            heading="fidelity",
            kind="pooled",
            protocol=f"label-miou/1:predicted-labels:ignore255:one-confusion-matrix:mean-iou-of-labels-in-set:{about}",
            no_verdict=None,
            absent=None,
        )
    return result
