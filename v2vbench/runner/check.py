"""params.yaml held against the code that it names, before anything runs: a typo anywhere is one line within seconds."""

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from v2vbench.params import NO_RUN, SLUG, Fault, Params, Run, bind, brief, check, choose, load, member, shorten

N_KEY = 100  # characters of a key; a file name has 255, and other words in it


def check_references(params: Params, file: str, imported: Iterable[str] = ()) -> None:
    """What a line refers to is there. Raises Fault with the path to the first line that refers to nothing.

    imported    checkpoints that `v2vbench import-checkpoint` has put into runs/
    """
    for section in (
        "datasets",
        "schedules",
        "judges",
        "features",
        "metrics",
        "runs",
        "forecasts",
        "predictions",
        "styles",
    ):
        for key in getattr(params, section):
            if not isinstance(key, str) or not re.fullmatch(SLUG, key):
                raise Fault(f"{file}: {section}: the key {brief(key)} is not made of a-z, 0-9, _ and -")
            if len(key) > N_KEY:
                raise Fault(
                    f"{file}: {section}: the key {brief(key)} has {len(key)} characters; it becomes part of file names, "
                    f"so {N_KEY} at most"
                )
    makers = [*params.judges, *params.runs, *params.forecasts, *params.predictions, *params.styles]
    if taken := [key for key in [*makers, *imported] if key in NO_RUN]:
        raise Fault(f"{file}: a run cannot be called {taken[0]}; base and first_frames use the word")
    if twice := [key for i, key in enumerate(makers) if key in makers[:i]]:
        raise Fault(
            f"{file}: {twice[0]} names two lines of judges, runs, forecasts, predictions and styles; a name stands for one"
        )
    for section in ("runs", "forecasts", "judges"):
        for key, run in getattr(params, section).items():
            choose(params.datasets, run.dataset, f"{file}: {section}.{key}.dataset")
            choose(params.schedules, run.schedule, f"{file}: {section}.{key}.schedule")
            lines = getattr(params, section)
            starts = {"base": run.base} | ({"first_frames": run.first_frames} if section == "runs" else {})
            for field, other in starts.items():
                if other == "none" or (field == "first_frames" and other in NO_RUN):
                    continue
                where = f"{file}: {section}.{key}.{field}"
                line = choose(lines | dict.fromkeys(imported), other, where)
                if line and line.dataset != run.dataset:
                    raise Fault(f"{where}: {other} is trained on {line.dataset}, not on {run.dataset}")
                if line and field == "first_frames" and line.first_frames != "none":
                    raise Fault(f"{where}: {other} needs first frames itself; name a run that makes each frame alone")
            if section == "runs" and (not run.seeds or len(set(run.seeds)) < len(run.seeds)):
                raise Fault(f"{file}: runs.{key}.seeds: {brief(run.seeds)} is not one seed or more, each once")
            seen = [key]
            while seen[-1] in lines:
                seen.append(lines[seen[-1]].base)
                if seen[-1] in seen[:-1]:
                    raise Fault(
                        f"{file}: {section}.{key}.base: {shorten(' starts from '.join(seen), 200)}, in a circle"
                    )
    for key, line in params.predictions.items():
        where = f"{file}: predictions.{key}"
        choose(params.datasets, line.dataset, f"{where}.dataset")
        for role, section in (("labels", params.forecasts), ("video", params.runs)):
            trained_on = choose(section, getattr(line, role), f"{where}.{role}").dataset
            if trained_on != line.dataset:
                raise Fault(f"{where}.{role}: {getattr(line, role)} is trained on {trained_on}, not on {line.dataset}")
    for key, line in params.styles.items():
        where = f"{file}: styles.{key}"
        choose(params.datasets, line.dataset, f"{where}.dataset")
        run = choose(params.runs, line.video, f"{where}.video")
        if run.dataset != line.dataset:
            raise Fault(f"{where}.video: {line.video} is trained on {run.dataset}, not on {line.dataset}")
        if run.kwargs.get("styles", "none") == "none":
            raise Fault(f"{where}.video: {line.video} draws no styles; name a run whose kwargs have styles")
        if not line.seeds or len(set(line.seeds)) < len(line.seeds):
            raise Fault(f"{where}.seeds: {brief(line.seeds)} is not one seed or more, each once")
    primary = params.protocol.primary if params.metrics else []  # a file that scores nothing concludes nothing
    for i, label in enumerate(primary):
        choose(params.metrics, label, f"{file}: protocol.primary[{i}]")
    if params.metrics and not 3 <= len(primary) <= 5 or len(set(primary)) < len(primary):
        raise Fault(f"{file}: protocol.primary: {brief(primary)} is not three to five metrics, each once")


def check_signatures(params: Params, file: str) -> None:
    """Each line binds to the signature it is for. Raises Fault with the path to the first value that does not; imports every member."""
    from v2vbench import metrics, models
    from v2vbench.extractors import resolve_all
    from v2vbench.report import Settings
    from v2vbench.stages import calibrate
    from v2vbench.statistics.preference import PreferenceSettings, check_candidates

    check(Settings, params.report, f"{file}: report")
    preference = bind(PreferenceSettings, params.preference, f"{file}: preference")
    calibrate.resolve(params.calibration, f"{file}: calibration")
    for key, line in params.datasets.items():
        where = f"{file}: datasets.{key}"
        if not isinstance(line, dict) or "loader" not in line:
            raise Fault(f"{where}: missing loader, the name of a file in v2vbench/datasets")
        own = {name: value for name, value in line.items() if name != "loader"}
        check(member("datasets", line["loader"], f"{where}.loader").prepare, own, where, given=("out", "name", "cache"))
    kinds = resolve_all(params, f"{file}: ")
    lines = metrics.resolve(params.metrics, params.judges, f"{file}: metrics")
    _check_headings(params, lines, f"{file}: protocol.primary")
    headings = {metric.label: (metric.kind, metric.module.HEADING) for metric in lines}
    check_candidates(preference, headings, f"{file}: preference")
    for metric in lines:
        where = f"{file}: metrics.{metric.label}"
        for dataset in metric.on or ():
            choose(params.datasets, dataset, f"{where}.on")
        if metric.kind == "set":
            choose(kinds, metric.settings["features"], f"{where}.features")
    for section in ("runs", "forecasts", "judges"):
        for key, run in getattr(params, section).items():
            where = f"{file}: {section}.{key}"
            model = member("models", run.model, f"{where}.model").Model
            if not issubclass(model, models.SECTIONS[section]):
                fitting = [name for name, contract in models.SECTIONS.items() if issubclass(model, contract)]
                raise Fault(f"{where}.model: {run.model} belongs in {' or '.join(fitting)}")
            check(model, run.kwargs, f"{where}.kwargs", given=("facts",))
            if isinstance(run, Run) and model.NEEDS_BASE and run.base == "none":
                raise Fault(f"{where}.base: {run.model} starts from {model.NEEDS_BASE}")


def _check_headings(params: Params, lines: list, where: str) -> None:
    """On some data set primary metrics of both headings are defined, and have verdicts: else no conclusion would ever be possible."""
    primary = [line for line in lines if line.label in params.protocol.primary]
    if mute := [line.label for line in primary if not line.get("VERDICTS")]:
        raise Fault(f"{where}: {mute[0]} has no verdicts; take the kernel distance of its features")
    on = {
        dataset: {line.module.HEADING for line in primary if line.on is None or dataset in line.on}
        for dataset in params.datasets
    }
    if on and lines and not any({"fidelity", "realism"} <= headings for headings in on.values()):
        found = sorted(set().union(*on.values()))
        raise Fault(
            f"{where}: on no data set are there metrics of both headings, fidelity and realism; there are of "
            f"{' and '.join(found) or 'none'} only"
        )


def slow_precision(params: Params) -> str:
    """One line that names the schedules whose precision this machine emulates; "" where none does. Imports torch only where a schedule
    that trains asks for bfloat16."""
    asking = [
        key for key, schedule in params.schedules.items() if schedule.precision == "bf16-mixed" and schedule.steps
    ]
    if not asking:
        return ""
    from v2vbench.stages import _precision

    said = _precision.slow_precision("bf16-mixed")
    return said and f"schedules {shorten(', '.join(asking), 200)}: {said}"


def load_checked(root: Path) -> Params:
    """The parameters, loaded and held against the code; what has passed is not held against it again until a byte of
    params.yaml or of the package changes, since that imports every model."""
    params, passed = load(root / "params.yaml"), root / ".cache" / "checked"
    check_references(params, "params.yaml", {path.parent.name for path in root.glob("runs/*/imported.json")})
    files = [root / "params.yaml", *sorted(Path(__file__).parents[1].rglob("*.py"))]
    state = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    if not passed.is_file() or passed.read_text() != state:
        check_signatures(params, "params.yaml")
        passed.parent.mkdir(exist_ok=True)
        passed.write_text(state)
    return params
