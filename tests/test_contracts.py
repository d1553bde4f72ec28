"""Every file that params.yaml can name keeps the contract of its folder, and one that does not is refused in one line.

Files and lines are found, not listed: a new file with a line in tests/tiny.yaml or a suite is tested without an entry.
"""

import importlib
import types
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from conftest import facts, sliding_clip

import v2vbench
from v2vbench import find, params
from v2vbench.clips.controls import CONTROLS
from v2vbench.clips.damage import LADDERS
from v2vbench.clips.store import write_store
from v2vbench.metrics import Metric, resolve
from v2vbench.metrics import __main__ as protocols
from v2vbench.params import Fault, Params
from v2vbench.runner.suites import load_suite
from v2vbench.stages import data

ROOT = Path(__file__).parents[1]
KINDS = ("datasets", "models", "metrics", "extractors")
FILES = [
    (kind, path.stem) for kind in KINDS for path in sorted((Path(v2vbench.__file__).parent / kind).glob("[!_]*.py"))
]


@cache
def suites() -> list[Params]:
    """tests/tiny.yaml first, then params.yaml and the suites."""
    return [load_suite(path) for path in (ROOT / "tests/tiny.yaml", ROOT / "params.yaml", *ROOT.glob("suites/*.yaml"))]


def kwargs_of_models() -> dict[str, dict]:
    """{file: the kwargs of the first line that names it}."""
    lines = [line for suite in suites() for line in (suite.runs | suite.predictors | suite.judges).values()]
    return {line.model: line.kwargs for line in reversed(lines)}


def metrics_of_suites() -> list[Metric]:
    """Every label of `metrics` once, as the first suite that has it says."""
    lines = {label: metric for suite in reversed(suites()) for label, metric in _metrics(suite).items()}
    return list(lines.values())


def _metrics(suite: Params) -> dict[str, Metric]:
    return {metric.label: metric for metric in resolve(suite.metrics, suite.judges)}


@pytest.mark.parametrize("kind, name", FILES)
def test_every_file_keeps_its_contract(kind, name):
    module = find(kind, name)
    assert importlib.import_module(f"v2vbench.{kind}").problems(module) == []
    assert module.__doc__


def test_every_model_and_metric_has_a_line_in_a_suite():
    """Their tests take its kwargs and settings. Lines of external name files, so no suite can have one."""
    used = {metric.module.__name__.rsplit(".")[-1] for metric in metrics_of_suites()}
    assert {name for kind, name in FILES if kind == "metrics"} <= used
    assert {name for kind, name in FILES if kind == "models"} - {"external"} <= kwargs_of_models().keys()


def test_every_damage_and_control_is_documented_and_in_a_suite():
    ladders, controls = (
        {name for suite in suites() for name in suite.calibration[of]} for of in ("ladders", "controls")
    )
    rare = {"jpeg", "h264", "colour", "drop", "fast"}  # in no suite: each costs a calibration seconds a clip
    assert set(LADDERS) - rare <= ladders
    assert set(CONTROLS) <= controls
    assert all(protocols.summary(ladder.damage) for ladder in LADDERS.values())
    assert all(protocols.summary(control.video) for control in CONTROLS.values())


def test_the_documented_protocols_are_those_of_the_files():
    text = protocols.DOCUMENT.read_text(encoding="utf-8")
    assert protocols.renewed(text) == text, "python -m v2vbench.metrics writes it anew"


def test_markers_of_the_document_are_needed():
    with pytest.raises(ValueError, match="no single pair of markers <!-- made from code: metrics of clips -->"):
        protocols.renewed("nothing")


def a_metric(**changes):
    def compute(fake, real, *, sigma: float): ...

    constants = dict(TITLE="x", UNIT="", BETTER="lower", HEADING="realism", PROTOCOL="x/1:", compute=compute)
    return types.SimpleNamespace(__doc__="What it is.", **constants | changes)


def takes(*names, settings=("sigma",)):
    """A function of these inputs and settings."""
    text = f"lambda {', '.join((*names, *(('*', *settings) if settings else ())))}: None"
    return eval(text)


METRICS = {
    "no docstring": (dict(__doc__=None), "has no docstring"),
    "no unit": (dict(UNIT=None), "UNIT: None is not str"),
    "a direction": (dict(BETTER="up"), "BETTER: 'up' is not one of"),
    "a heading": (dict(HEADING="speed"), "HEADING: 'speed' is not one of"),
    "ladders": (dict(LADDERS="blur"), "LADDERS: 'blur' is not"),
    "no function": (dict(pool=3), "pool is no function"),
    "unknown input": (dict(compute=takes("fake", "sound")), "compute takes fake, sound; it takes"),
    "no fake": (dict(compute=takes("real")), "compute takes real; it takes"),
    "a set without features": (
        dict(compute=takes("fake_features", "real_features", "clusters", "real_clusters=None")),
        "compute has no setting features",
    ),
    "other settings": (dict(weights=takes(settings=("size",))), "weights takes other settings than compute"),
}


@pytest.mark.parametrize("changes, says", METRICS.values(), ids=METRICS)
def test_a_metric_outside_the_contract_is_told_what_is_wrong(changes, says):
    from v2vbench.metrics import problems

    changed = a_metric(**{name: value for name, value in changes.items() if name != "__doc__"})
    changed.__doc__ = changes.get("__doc__", "What it is.")
    assert problems(a_metric()) == []
    assert len(problems(changed)) == 1 and says in problems(changed)[0]


def test_a_metric_that_lacks_what_is_required_is_told_each():
    from v2vbench.metrics import problems

    bare = types.SimpleNamespace(__doc__="What it is.")
    assert problems(bare) == [
        f"has no {name}" for name in ("TITLE", "UNIT", "BETTER", "HEADING", "PROTOCOL", "compute")
    ]


def test_classes_outside_the_contract_are_told_what_is_wrong():
    from v2vbench import extractors, models

    class Half(models.VideoModel):
        def parts(self):
            return {}

    class Blind(models.Predictor):
        def parts(self):
            return {}

    class Silent(extractors.Extractor):
        pass

    has = types.SimpleNamespace
    assert models.problems(has()) == ["has no class Model that extends VideoModel or Predictor or Judge"]
    assert models.problems(has(Model=dict)) == models.problems(has())
    assert models.problems(has(Model=Half)) == ["class Model does not define generate"]
    assert models.problems(has(Model=Blind)) == ["class Model does not define predict"]
    assert extractors.problems(has()) == ["has no class Extractor that extends v2vbench.extractors.Extractor"]
    assert extractors.problems(has(Extractor=Silent)) == [
        "class Extractor does not define extract",
        "class Extractor has no VERSION",
    ]


def test_a_loader_outside_the_contract_is_told_what_is_wrong():
    from v2vbench.datasets import problems

    assert problems(types.SimpleNamespace()) == ["has no function prepare"]
    assert problems(types.SimpleNamespace(prepare=lambda out, *, name: None)) == ["prepare does not take cache"]


def test_a_line_that_names_such_a_file_is_refused(monkeypatch):
    monkeypatch.setattr(params, "find", lambda kind, name: types.SimpleNamespace())
    says = (
        r"datasets.a.loader: v2vbench/datasets/half.py has no function prepare; v2vbench/datasets/__init__.py has the"
    )
    with pytest.raises(Fault, match=says):
        params.member("datasets", "half", "datasets.a.loader")


def test_a_loader_that_says_no_licence_is_refused(monkeypatch, tmp_path):
    def prepare(out, *, name, cache):
        write_store(out, facts(name=name), [(dict(id="a", split="train", origin=""), sliding_clip(0, 3))])

    monkeypatch.setattr(data, "member", lambda *line: types.SimpleNamespace(prepare=prepare))
    with pytest.raises(Fault, match="datasets.freedoom: the loader says no licence of clip a"):
        data.data(replace(suites()[0], datasets={"freedoom": {"loader": "half"}}), "freedoom", tmp_path)
