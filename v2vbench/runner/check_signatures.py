"""Checks that every line of params.yaml fits the signature of its code, and the lines that it refers to."""

from pathlib import Path

from v2vbench.params import NO_RUN, Fault, Params, Run, bind, brief, check, choose, member
from v2vbench.runner.check_references import TRAINED
from v2vbench.stages._published import check_line, check_run, needs_base, read_about

EXTERNAL = "external"  # the model of runs whose videos were made elsewhere


def check_signatures(params: Params, file: str) -> None:
    """Check every line against the signature of its code, and lines that refer to each other; imports that code.

    raises    Fault with the path to the first value that does not fit
    """
    from v2vbench import metrics
    from v2vbench.extractors import resolve_all
    from v2vbench.report.settings import Settings
    from v2vbench.stages import calibrate
    from v2vbench.statistics.preference import PreferenceSettings, check_candidates

    report = bind(Settings, params.report, f"{file}: report")
    preference = bind(PreferenceSettings, params.preference, f"{file}: preference")
    calibrate.resolve(params.calibration, f"{file}: calibration")
    for key, line in params.datasets.items():
        where = f"{file}: datasets.{key}"
        if not isinstance(line, dict) or "loader" not in line:
            raise Fault(f"{where}: missing loader, the name of a file in v2vbench/datasets")
        loader = member("datasets", line["loader"], f"{where}.loader")
        settings = {name: value for name, value in line.items() if name != "loader"}
        check(loader.prepare, settings, where, given=("out", "name", "cache"))
    kinds = resolve_all(params, f"{file}: ")
    lines = metrics.resolve(params.metrics, params.judges, f"{file}: metrics")
    for metric in lines:
        where = f"{file}: metrics.{metric.label}"
        for dataset in metric.on or ():
            choose(params.datasets, dataset, f"{where}.on")
        if metric.kind == "set":
            choose(kinds, metric.settings["features"], f"{where}.features")
    _check_headings(params, lines, f"{file}: protocol.primary")
    headings = {metric.label: (metric.kind, metric.module.HEADING) for metric in lines}
    check_candidates(preference, headings, f"{file}: preference")  # pyright: ignore[reportArgumentType]
    if lines:
        _check_players(params, lines, report.players_by, f"{file}: report.players_by")
    for section in TRAINED:
        for key in getattr(params, section):
            _check_model(params, section, key, f"{file}: {section}.{key}")
    _check_judges(params, lines, file)
    for key, run in params.runs.items():
        _check_run(params, run, f"{file}: runs.{key}")
    for dataset in params.futures:
        _check_future(params, dataset, lines, kinds, f"{file}: futures.{dataset}")
    _check_titles(params, file)


def _model(line):
    """The class of the model of a line of runs, predictors or judges."""
    return member("models", line.model, "model").Model


def setting(line, name: str):
    """A property of a line's model that is one of its kwargs, or else of its class: `n_past`, `from_nothing`."""
    return line.kwargs.get(name, getattr(_model(line), name))


def _check_model(params: Params, section: str, key: str, where: str) -> None:
    """The line's kwargs bind to its model, which is of a kind that its section takes."""
    from v2vbench import models

    line = getattr(params, section)[key]
    model = member("models", line.model, f"{where}.model").Model
    if not issubclass(model, models.SECTIONS[section]):
        fitting = [name for name, contract in models.SECTIONS.items() if issubclass(model, contract)]
        raise Fault(f"{where}.model: {line.model} belongs in {' or '.join(fitting)}")
    check(model, line.kwargs, f"{where}.kwargs", given=("facts",))
    if section == "predictors" and line.base in params.predictors:
        if (other := params.predictors[line.base].model) != line.model:
            raise Fault(f"{where}.base: {line.model} starts from one of its kind, and {line.base} is one of {other}")
    schedule = params.schedules[line.schedule]
    if section == "predictors" and schedule.steps and (schedule.n_warmup or schedule.single_frames != "none"):
        cause = "a predictor starts from real frames, so n_warmup must be 0 and single_frames none"
        raise Fault(f"{where}.schedule: {line.schedule}: {cause}")


def _check_run(params: Params, run: Run, where: str) -> None:
    """The run's base, first frames and schedule are what its model needs."""
    model, n_past, alone = _model(run), setting(run, "n_past"), setting(run, "from_nothing")
    needs = model.NEEDS_BASE
    if needs and run.base == "none":
        raise Fault(f"{where}.base: {run.model} starts from a run of {needs} whose generator has the same kwargs")
    if run.base in params.runs and params.runs[run.base].model != (needs or run.model):
        kind = params.runs[run.base].model
        raise Fault(
            f"{where}.base: {run.model} starts from a run of {needs or run.model}, and {run.base} is one of {kind}"
        )
    first = run.first_frames
    right = first == "none" if not n_past else first == "real" or (first == "self" and alone) or first not in NO_RUN
    if not right:
        wants = (
            "none" if not n_past else "self, real, or a run" if alone else "real, or a run whose model needs no past"
        )
        raise Fault(
            f"{where}.first_frames: {run.model} starts from {n_past} frames, so it must be {wants}, not {first}"
        )
    if first not in NO_RUN and (given := _model(params.runs[first]).NEEDS):
        cause = f"is shown {' and '.join(given)} of the real video; name a run that needs the source alone"
        raise Fault(f"{where}.first_frames: {first} {cause}")
    if first not in NO_RUN and params.runs[first].model == EXTERNAL:
        raise Fault(
            f"{where}.first_frames: {first} shows videos that were made elsewhere; name a run that is made here"
        )
    if run.model == EXTERNAL and len(run.seeds) > 1:
        raise Fault(f"{where}.seeds: {brief(run.seeds)}; its videos are of one training, so write one seed")
    if first == "real" and n_past > params.protocol.skip_frames:
        cause = f"metrics see all but {params.protocol.skip_frames} (protocol.skip_frames)"
        raise Fault(f"{where}.first_frames: {n_past} real frames are given, and {cause}")
    schedule = params.schedules[run.schedule]
    if schedule.steps and schedule.n_frames <= n_past and not alone:
        cause = f"of {schedule.n_frames} frames leave none to learn from after {n_past} of the past"
        raise Fault(f"{where}.schedule: windows of {run.schedule} {cause}")
    single = schedule.single_frames
    if not schedule.steps or single == "none":
        return
    if not n_past:
        raise Fault(f"{where}.schedule: single_frames of {run.schedule} follow a past, and {run.model} has none")
    if single.steps >= schedule.steps:
        cause = f"{single.steps} of {schedule.steps} steps are on single frames"
        raise Fault(f"{where}.schedule: {run.schedule} leaves no window to learn from: {cause}")


def _check_future(params: Params, dataset: str, lines: list, kinds: dict, where: str) -> None:
    """What is predicted on a data set is enough for the run that makes frames; primary metrics have verdicts."""
    line = params.futures[dataset]
    predictors = {key: _model(own) for key, own in params.predictors.items() if own.dataset == dataset}
    by_labels = [key for key, model in predictors.items() if model.PREDICTS == "labels"]
    if by_labels and line.video == "none":
        raise Fault(f"{where}.video: {by_labels[0]} predicts labels; name the run that makes frames from them")
    if line.video != "none":
        run = params.runs[line.video]
        if run.model == EXTERNAL:
            raise Fault(
                f"{where}.video: {line.video} shows videos that were made elsewhere, and makes none from labels"
            )
        if (n_past := setting(run, "n_past")) > line.n_past:
            raise Fault(f"{where}.n_past: {line.video} needs {n_past} frames, not {line.n_past}")
        if needs := _model(run).NEEDS:
            cause = f"is shown {' and '.join(needs)} of the real video, which the future has not"
            raise Fault(f"{where}.video: {line.video} {cause}")
    if all(model.STOCHASTIC or model.CEILING for model in predictors.values()):
        cause = "every predictor draws or is given the truth; there is none to compare with, such as copy_last"
        raise Fault(f"{where}: {cause}")
    for metric in lines:
        if metric.kind != "set" or (metric.on is not None and dataset not in metric.on):
            continue
        kind = kinds[metric.settings["features"]]
        needed = kind.windows.n_frames if kind.windows else (kind.extractor.snippet or (1,))[0]
        if needed > line.n_future:
            cause = f"compares {needed} frames at once, and n_future is {line.n_future}"
            raise Fault(f"{where}: {metric.label} {cause}; name the data sets that have more with `on`")
    for i, label in enumerate(line.primary):
        metric = next(metric for metric in lines if metric.label == label)
        if metric.on is not None and dataset not in metric.on:
            raise Fault(f"{where}.primary[{i}]: {label} is not defined on {dataset}")
        if not metric.get("VERDICTS"):
            raise Fault(f"{where}.primary[{i}]: {label} has no verdicts; take the kernel distance of its features")


def _check_judges(params: Params, lines: list, file: str) -> None:
    """The judge of a metric predicts what the metric needs."""
    from v2vbench.stages._scorer import ARRAYS

    for metric in lines:
        where, line = f"{file}: metrics.{metric.label}", params.metrics[metric.label]
        if metric.judge is None:
            continue
        if line.get("on") not in (None, metric.on):
            raise Fault(f"{where}.on: the data set of its judge, {metric.on[0]}, decides; leave it out")
        learns = set(_model(params.judges[metric.judge]).READS or ()) - {"real"}
        compares = {array for name in metric.inputs for array in ARRAYS.get(name, ())}
        if learns and not learns & compares:
            wants = f"the metric compares {' or '.join(sorted(compares))}"
            raise Fault(f"{where}.judge: {metric.judge} learns to read {' and '.join(sorted(learns))}, and {wants}")


def _check_players(params: Params, lines: list, label: str, where: str) -> None:
    """The metric that orders players has a value for every clip of every run, without a judge."""
    metric = choose({metric.label: metric for metric in lines}, label, where)
    if metric.kind != "clip":
        raise Fault(f"{where}: {label} has no value of a single clip; name a metric of single clips")
    if metric.judge is not None:
        raise Fault(f"{where}: {label} needs its judge; name a metric that needs none")
    datasets = dict.fromkeys(run.dataset for run in params.runs.values())
    if lacking := [dataset for dataset in datasets if metric.on is not None and dataset not in metric.on]:
        raise Fault(f"{where}: {label} is not defined on {lacking[0]}; name a metric that is defined on every data set")


def check_published(params: Params, file: str, published: dict[str, bytes]) -> None:
    """Runs and predictors whose base is published can start from it.

    published    {base: its file}, see `read_published`
    """
    for section in ("runs", "predictors"):
        for key, line in getattr(params, section).items():
            if line.base in published:
                where = f"{file}: {section}.{key}"
                about = read_about(published[line.base], f"{where}.base: {line.base}")
                check_line(about, params.datasets[line.dataset], where)
                check_run(about, line, needs_base(_model(line)), params.schedules[line.schedule].steps, where)


def check_players_weights(params: Params, where: str, root: Path) -> None:
    """The metric that orders the players can be computed here: its pretrained weights are there and listed."""
    from v2vbench import metrics
    from v2vbench.download.weights import why_unusable

    label = params.report["players_by"]
    for metric in metrics.resolve(params.metrics, params.judges):
        if metric.label == label and (weights := metric.get("weights")):
            if reason := why_unusable(weights(**metric.settings), root):
                raise Fault(f"{where}: {label}: {reason}")


def _check_headings(params: Params, lines: list, where: str) -> None:
    """At least one data set has primary metrics with verdicts under both headings; else there is no conclusion."""
    primary = [line for line in lines if line.label in params.protocol.primary]
    if mute := [line.label for line in primary if not line.get("VERDICTS")]:
        raise Fault(f"{where}: {mute[0]} has no verdicts; take the kernel distance of its features")
    on = {
        dataset: {line.module.HEADING for line in primary if line.on is None or dataset in line.on}
        for dataset in params.datasets
    }
    if on and lines and not any({"fidelity", "realism"} <= headings for headings in on.values()):
        headings = " and ".join(sorted(set().union(*on.values()))) or "none"
        cause = "on no data set are there metrics of both headings, fidelity and realism"
        raise Fault(f"{where}: {cause}; there are of {headings} only")


def _check_titles(params: Params, file: str) -> None:
    """Titles are unique, since tables, charts and players name a method by its title."""
    for section in ("runs", "predictors"):
        names: dict[tuple[str, str], str] = {}
        for key, line in getattr(params, section).items():
            other = names.setdefault((line.dataset, line.title), key)
            if other != key:
                cause = f"{brief(line.title)} is the title of {other} as well, on the same data set"
                raise Fault(f"{file}: {section}.{key}.title: {cause}")
