"""What stages depend on: code, values of params.yaml that dvc.yaml cannot name, files in folders that suites share.

build/code/<stage>/<key>    written by `v2vbench sources`: a line with a digest for each file of the package that the
                            stage runs, and a line for each value of params.yaml that dvc.yaml cannot name, because
                            another value selects it
build/inputs/<name>         written by `v2vbench inputs`: a line with a sha256 for each file that earlier stages wrote
                            and params.yaml names; files of other suites in the same folder are left out
"""

import hashlib
import json
import shutil
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from v2vbench.closure import PACKAGE, data_files, digests
from v2vbench.files import write_whole
from v2vbench.params import NO_RUN, Fault, Params, choose
from v2vbench.stages._published import is_published, read_published

EMPTY = (2).to_bytes(8, "little") + b"{}"  # an empty safetensors file


def write_code(params: Params, root: Path) -> None:
    """Write build/code for every stage, and there, as inputs/<name>, the paths that `write_inputs` will list.

    raises    Fault where a line names a file of the package that is not there
    """
    texts = {f"inputs/{name}": "\n".join(sum(lists.values(), [])) for name, lists in inputs(params).items()}
    for name, (files, values) in code(params).items():
        lines = [f"v2vbench/{file} {digest}\n" for file, digest in digests(files).items()]
        lines += [f"{path} {json.dumps(value, ensure_ascii=False, sort_keys=True)}\n" for path, value in values.items()]
        texts[name] = "".join(lines)
    for name, text in texts.items():
        path = root / "build/code" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def write_placeholder_weights(root: Path) -> None:
    """Write empty weights of runs/none, runs/real, runs/self, futures/none, judges/none and predictors/none.

    A stage depends on the weights of the run that `base` or `first_frames` names; these files stand for the values that
    name no run. The folders of futures, judges and predictors must exist even if a suite has none.
    """
    for folder in (*(f"runs/{word}" for word in NO_RUN), "futures/none", "judges/none", "predictors/none"):
        write_whole(root / folder / "model.safetensors", EMPTY)


def write_published_weights(params: Params, root: Path) -> None:
    """Copy the published weights that runs and predictors start from to where stages look for a base.

    That is runs/published/<suite>/<run>, or predictors/published/<suite>/<predictor>.

    raises    Fault where they are missing or not those of the suite's manifest
    """
    for section in ("runs", "predictors"):
        shutil.rmtree(root / section / "published", ignore_errors=True)
        (root / section / "published").mkdir(parents=True)
        for base in {line.base for line in getattr(params, section).values() if is_published(line.base)}:
            write_whole(root / section / base / "model.safetensors", read_published(base, root))


def write_inputs(params: Params, name: str, root: Path) -> None:
    """Write what `inputs` says below build/inputs; raises Fault where a file that it lists is missing.

    Files of votes are listed where they are there: people make them, and no stage.
    """
    if name in ("scoring", "future"):  # folders, also where a suite has no line for them
        (root / "build/inputs" / name).mkdir(parents=True, exist_ok=True)
    for path, files in choose(inputs(params), name, "inputs").items():
        files = [file for file in files if (root / file).is_file() or not file.startswith("votes/")]
        if missing := [file for file in files if not (root / file).is_file()]:
            raise Fault(f"{missing[0]}: missing; `dvc repro` makes it")
        lines = [f"{file} {hashlib.sha256((root / file).read_bytes()).hexdigest()}\n" for file in files]
        write_whole(root / "build/inputs" / path, "".join(lines).encode())


def code(params: Params) -> dict[str, tuple[list[str], dict]]:
    """{stage/key: (files that it starts from, {path in params.yaml: value})}."""
    found = {}
    for key, line in params.datasets.items():
        loader = _member("datasets", line.get("loader"), f"datasets.{key}.loader")
        found[f"data/{key}"] = ["stages/data.py", loader], {}
        files, values = scoring(params, metrics_on(params, key))
        found[f"calibrate/{key}"] = ["stages/calibrate.py", *files], values
    for key in params.runs | params.predictors | params.judges:
        found[f"train/{key}"] = ["stages/train.py", _model(params, key)], {}
    for key, run in params.runs.items():
        found[f"synthesize/{key}"] = ["stages/synthesize.py", *_rollout(params, key)], _published_kwargs(params, key)
        files, values = scoring(params, metrics_on(params, run.dataset))
        found[f"evaluate/{key}"] = ["stages/evaluate.py", *files], values
    for key, line in params.futures.items():
        files, values = scoring(params, metrics_on(params, key))
        used = [*predictors_on(params, key), *([line.video] if line.video in params.runs else [])]
        for used_key in used:
            run = params.run(used_key)
            values[f"{params.folder(used_key).parent}.{used_key}"] = [run.title, run.model, run.kwargs]
        found[f"future/{key}"] = ["stages/future.py", *(_model(params, one) for one in used), *files], values
    for key, line in params.styles.items():
        files = ["stages/restyle.py", *_rollout(params, line.video)]
        found[f"styles/{key}"] = files, _published_kwargs(params, line.video)
    compared = {key: metrics_on(params, key) for key in params.datasets}
    values = {"metrics": compared, "runs": {key: run.dataset for key, run in params.runs.items()}}
    found["compare"] = ["stages/compare.py"], values
    shown = [params.report["players_by"]] if params.report.get("players_by") in params.metrics else []
    sections = {section: _sha256(value) for section, value in asdict(params).items()}
    found["report"] = ["report/__init__.py", *data_files(PACKAGE / "report"), *scoring(params, shown)[0]], sections
    return found


def inputs(params: Params) -> dict[str, dict[str, list[str]]]:
    """{name of a stage that lists files: {file below build/inputs: paths that it lists}}."""
    judges = {key: [params.metrics[label].get("judge") for label in metrics_on(params, key)] for key in params.datasets}
    compared = [dataset for dataset in params.datasets if dataset in {run.dataset for run in params.runs.values()}]
    scores = [f"metrics/runs/{key}.json" for key in params.runs]
    scores += [f"metrics/calibrate/{key}.json" for key in compared] + [f"data/{key}.zip" for key in compared]
    clips = [f"runs/{key}/clips.zip" for key in params.runs]
    shown = [f"metrics/future/{key}.json" for key in params.futures]
    shown += [f"futures/{key}/{predictor}.zip" for key in params.futures for predictor in predictors_on(params, key)]
    shown += clips + [f"runs/{key}/clips.zip" for key in params.styles]
    shown += [f"runs/{run.base}/model.safetensors" for run in params.runs.values() if is_published(run.base)]
    shown += [f"{params.folder(key)}/curves.csv" for key in params.runs | params.predictors | params.judges]
    shown += [f"reports/notebooks/{notebook}.ipynb" for notebook in _notebooks(params)]
    return {
        "scoring": {
            f"scoring/{key}": [f"judges/{judge}/model.safetensors" for judge in dict.fromkeys(used) if judge]
            for key, used in judges.items()
        },
        "future": {
            f"future/{key}": [f"predictors/{predictor}/model.safetensors" for predictor in predictors_on(params, key)]
            + _learned(params)
            for key in params.futures
        },
        "compare": {"compare": scores + clips + _votes(params, compared) + _learned(params)},
        "report": {"report": ["metrics/compare.json", *scores, *shown]},
    }


def _votes(params: Params, compared: list[str]) -> list[str]:
    """Files of people's votes on the data sets, where params.yaml asks for them."""
    return [f"votes/{key}.jsonl" for key in compared] if params.preference.get("votes", "none") != "none" else []


def _learned(params: Params) -> list[str]:
    """What published votes taught, of the teachers that params.yaml names."""
    teachers = (params.preference.get("win") or {}).get("teachers", [])
    return [f"votes/learned/{teacher}.json" for teacher in teachers if teacher not in ("people", "damages")]


def _notebooks(params: Params) -> list[str]:
    """Names of the executed notebooks of every stage."""
    lines = {
        "data": params.datasets,
        "train": params.runs | params.predictors | params.judges,
        "synthesize": params.runs,
        "evaluate": params.runs,
        "calibrate": params.datasets,
        "future": params.futures,
        "styles": params.styles,
        "compare": ["all"],
    }
    return [f"{stage}-{key}" for stage, keys in lines.items() for key in keys]


def _sha256(value) -> str:
    return hashlib.sha256(json.dumps(value, ensure_ascii=False).encode()).hexdigest()


def predictors_on(params: Params, dataset: str) -> list[str]:
    """The predictors that are trained on a data set."""
    return [key for key, line in params.predictors.items() if line.dataset == dataset]


def metrics_on(params: Params, dataset: str) -> list[str]:
    """The metrics that are defined on a data set, as `metrics.applicable` has them, without importing one."""

    def is_on(line: dict) -> bool:
        judge = params.judges.get(line.get("judge"))
        on = line.get("on") if judge is None else [judge.dataset]
        return on is None or dataset in on

    return [label for label, line in params.metrics.items() if is_on(line or {})]


def scoring(params: Params, labels: Iterable[str]) -> tuple[list[str], dict]:
    """What scoring with these metrics runs: files of metrics, extractors and judges' models; and the lines of these."""
    files, values = [], {}
    for label in labels:
        line = params.metrics[label] or {}
        values[f"metrics.{label}"] = line
        files.append(_metric(params, label))
        if isinstance(line.get("features"), dict):  # written in the metric's line
            where = f"metrics.{label}.features.extractor"
            files.append(_member("extractors", line["features"].get("extractor"), where))
        elif "features" in line:
            features = choose(params.features, line["features"], f"metrics.{label}.features")
            values[f"features.{line['features']}"] = features
            files.append(_member("extractors", features.get("extractor"), f"features.{line['features']}.extractor"))
        if "judge" in line:
            judge = choose(params.judges, line["judge"], f"metrics.{label}.judge")
            values[f"judges.{line['judge']}"] = {"dataset": judge.dataset, "model": judge.model, "kwargs": judge.kwargs}
            files.append(_model(params, line["judge"]))
    return list(dict.fromkeys(files)), dict(sorted(values.items()))


def _metric(params: Params, label: str) -> str:
    return _member("metrics", (params.metrics[label] or {}).get("metric", label), f"metrics.{label}")


def _rollout(params: Params, key: str) -> list[str]:
    """Files of the models that make a run's video: that of the run, and that of the run that makes its first frames."""
    painter = params.runs[key].first_frames
    return [_model(params, key), *([_model(params, painter)] if painter in params.runs else [])]


def _published_kwargs(params: Params, key: str) -> dict:
    """The kwargs of a run that starts from published weights: params.yaml may say `published` in their place."""
    run = params.runs[key]
    return {f"runs.{key}.kwargs": run.kwargs} if is_published(run.base) else {}


def _model(params: Params, key: str) -> str:
    return _member("models", params.run(key).model, f"{key}.model")


def _member(kind: str, name: str, where: str) -> str:
    """kind/name.py; raises Fault where there is no such file."""
    names = sorted(path.stem for path in (PACKAGE / kind).glob("[!_]*.py"))
    return f"{kind}/{choose(dict.fromkeys(names, name), name, where)}.py"
