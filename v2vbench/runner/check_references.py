"""Checks that everything exists that a line of params.yaml refers to."""

import re
from collections.abc import Collection

from v2vbench.params import NO_RUN, SLUG, Fault, Params, Run, brief, choose, shorten
from v2vbench.stages._published import is_published

LONGEST_KEY = 100  # characters; a file name has 255, and other words in it
TRAINED = ("runs", "predictors", "judges")
WITH_WEIGHTS = (*TRAINED, "styles")  # sections whose lines write to runs/<key>, predictors/<key> or judges/<key>


def check_references(params: Params, file: str, imported: Collection[str] = ()) -> None:
    """Check that all lines that lines refer to exist; raises Fault with the path to the first one that is missing.

    imported    names of the checkpoints that `v2vbench import-checkpoint` has put into runs/, and of published weights
    """
    _check_keys(params, file, imported)
    for section in TRAINED:
        for key in getattr(params, section):
            _check_trained(params, section, key, f"{file}: {section}.{key}", imported)
    for dataset, line in params.futures.items():
        where = f"{file}: futures.{dataset}"
        choose(params.datasets, dataset, f"{file}: futures")
        if line.video != "none":
            video = choose(params.runs, line.video, f"{where}.video")
            _check_same_data(line.video, video.dataset, dataset, f"{where}.video")
        if not any(predictor.dataset == dataset for predictor in params.predictors.values()):
            raise Fault(f"{where}: no line of predictors is trained on {dataset}")
        _check_primary(params, line.primary, f"{where}.primary")
    for key, line in params.predictors.items():
        if line.dataset not in params.futures:
            cause = f"it has no line in futures, which says what is predicted on {line.dataset}"
            raise Fault(f"{file}: predictors.{key}.dataset: {cause}")
    for key, line in params.styles.items():
        where = f"{file}: styles.{key}"
        choose(params.datasets, line.dataset, f"{where}.dataset")
        run = choose(params.runs, line.video, f"{where}.video")
        _check_same_data(line.video, run.dataset, line.dataset, f"{where}.video")
        if run.kwargs.get("styles", "none") == "none":
            raise Fault(f"{where}.video: {line.video} draws no styles; name a run whose kwargs have styles")
        _check_seeds(line.seeds, f"{where}.seeds")
    if params.metrics:  # without metrics there are no conclusions
        _check_primary(params, params.protocol.primary, f"{file}: protocol.primary")


def _check_primary(params: Params, primary: list[str], where: str) -> None:
    """Three to five metrics, each once; raises Fault."""
    for i, label in enumerate(primary):
        choose(params.metrics, label, f"{where}[{i}]")
    if not 3 <= len(primary) <= 5 or len(set(primary)) < len(primary):
        raise Fault(f"{where}: {brief(primary)} is not three to five metrics, each once")


def _check_keys(params: Params, file: str, imported: Collection[str]) -> None:
    """Keys are valid in file names, and no key is used twice."""
    for section in ("datasets", "schedules", "features", "metrics", *WITH_WEIGHTS):
        for key in getattr(params, section):
            if not isinstance(key, str) or not re.fullmatch(SLUG, key):
                rule = "is not made of a-z, 0-9, _ and - (not as the first)"
                raise Fault(f"{file}: {section}: the key {brief(key)} {rule}")
            if len(key) > LONGEST_KEY:
                rule = f"it becomes part of file names, so {LONGEST_KEY} at most"
                raise Fault(f"{file}: {section}: the key {brief(key)} has {len(key)} characters; {rule}")
    keys = [key for section in WITH_WEIGHTS for key in getattr(params, section)]
    if reserved := [key for key in [*keys, *imported] if key in NO_RUN]:
        raise Fault(f"{file}: a run cannot be called {reserved[0]}; base and first_frames use the word")
    if twice := [key for i, key in enumerate(keys) if key in keys[:i]]:
        sections = "judges, runs, predictors and styles"
        raise Fault(f"{file}: {twice[0]} names two lines of {sections}; a name stands for one")
    if overwritten := [key for key in keys if key in imported]:
        cause = f"runs/{overwritten[0]} holds an imported checkpoint, which it would overwrite"
        raise Fault(f"{file}: {overwritten[0]}: {cause}; choose another name")


def _check_trained(params: Params, section: str, key: str, where: str, imported: Collection[str]) -> None:
    """A line of runs, predictors or judges: its data set, its schedule, and what it starts from."""
    lines = getattr(params, section)
    line = lines[key]
    choose(params.datasets, line.dataset, f"{where}.dataset")
    choose(params.schedules, line.schedule, f"{where}.schedule")
    if section == "judges" and line.base != "none":
        raise Fault(f"{where}.base: a judge is trained from the beginning, so it must be none, not {brief(line.base)}")
    if line.base != "none":
        others = imported if section == "runs" else [name for name in imported if is_published(name)]
        base = choose(lines | dict.fromkeys(others), line.base, f"{where}.base")
        if base and not _differ_in_size(params.datasets, base.dataset, line.dataset):
            _check_same_data(line.base, base.dataset, line.dataset, f"{where}.base")
    chain = [key]
    while chain[-1] in lines:
        chain.append(lines[chain[-1]].base)
        if chain[-1] in chain[:-1]:
            raise Fault(f"{where}.base: {shorten(' starts from '.join(chain), 200)}, in a circle")
    if isinstance(line, Run):
        if line.first_frames not in NO_RUN:
            painter = choose(lines, line.first_frames, f"{where}.first_frames")
            _check_same_data(line.first_frames, painter.dataset, line.dataset, f"{where}.first_frames")
            if painter.first_frames != "none":
                cause = "needs first frames itself; name a run that makes each frame alone"
                raise Fault(f"{where}.first_frames: {line.first_frames} {cause}")
        _check_seeds(line.seeds, f"{where}.seeds")


def _check_same_data(key: str, trained_on: str, dataset: str, where: str) -> None:
    if trained_on != dataset:
        raise Fault(f"{where}: {key} is trained on {trained_on}, not on {dataset}")


def _differ_in_size(datasets: dict, *keys: str) -> bool:
    """Whether two lines of `datasets` are the same videos, perhaps at two sizes: training from coarse to fine."""
    settings = []
    for key in keys:
        line = datasets.get(key)
        if not isinstance(line, dict) or "size" not in line:
            return False
        settings.append({name: value for name, value in line.items() if name != "size"})
    return settings[0] == settings[1]


def _check_seeds(seeds: list[int], where: str) -> None:
    if not seeds or len(set(seeds)) < len(seeds):
        raise Fault(f"{where}: {brief(seeds)} is not one seed or more, each once")
