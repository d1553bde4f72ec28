"""params.yaml to typed arguments. The schema of a line is the signature of the function that gets its values."""

import importlib
import inspect
import re
import sys
import types
import typing
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from typing import Annotated

from ruamel.yaml import YAML  # YAML 1.2 as DVC reads it: 1e-4 is a float here and a string in YAML 1.1
from ruamel.yaml.error import ReusedAnchorWarning, YAMLError

from v2vbench import find


class Fault(ValueError):
    """An error that the user can correct; its message is one line that says what is wrong, where, and what to do."""


@dataclass(frozen=True)
class Range:
    """Bounds of a number, both included: Annotated[float, Range(0, 1)]."""

    low: float = -float("inf")
    high: float = float("inf")


Count = Annotated[int, Range(1)]
Natural = Annotated[int, Range(0)]
Share = Annotated[float, Range(0, 1)]
Weight = Annotated[float, Range(0)]
Size = tuple[Count, Count]  # H, W in pixels
NO_RUN = ("none", "real", "self")  # values of `base` and `first_frames` that do not name a run
LARGEST = sys.float_info.max
SLUG = "[a-z0-9_][a-z0-9_-]*"  # a key is part of file names, stage names and commands, where -x is an option
PUBLISHED = re.compile(f"published/({SLUG})/({SLUG})")  # a `base`: weights that are in results/<suite>/weights/<run>


@dataclass(frozen=True, kw_only=True)
class SingleFrames:
    """The first steps of a training: on single frames, each after n_past real ones, which cost little.

    In a roll-out the past is the model's own and not as sharp, and real past frames teach it to copy: so each frame's
    past is blurred and gets noise.
    """

    steps: Count
    batch_size: Count  # frames per step
    blur: Weight  # of the past: sigma in px, at most
    noise: Weight  # on the past: sigma in grey levels, at most


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How a run is trained; one line of `schedules`."""

    seed: Natural
    steps: Natural  # optimiser steps of every part
    batch_size: Count  # windows per step
    n_frames: Count  # frames of a window that the losses see, the past included
    n_warmup: Natural  # frames, at most, that a model with a past generates without gradient before them
    double_every: Natural  # steps after which the warm-up doubles, up to n_warmup; 0: n_warmup from the start
    single_frames: typing.Literal["none"] | SingleFrames  # the first steps; none: windows from the start
    drop_parts: Share  # chance that a droppable channel of the maps is blank in a window
    lr: Weight  # of Adam, for the generator
    lr_d: Weight  # of Adam, for each discriminator
    betas: tuple[Share, Share]
    constant_share: Share  # share of the steps at constant lr; then linear decay to 0
    ema: Share  # decay per step of the moving average of the generator's weights that is kept; 0: the last weights
    precision: typing.Literal["32-true", "tf32", "bf16-mixed"]  # 32-true is IEEE; tf32 differs on GPUs alone
    compile: typing.Literal[False, True, "cuda_graphs"]  # torch.compile of each network: other last digits; slow start
    log_every: Count  # steps between rows of the learning curve
    checkpoint_every: Count  # steps between resumable checkpoints


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """A model to train: a line of `predictors` (continue videos), `judges` (read frames) or, as Run, of `runs`."""

    title: str  # its name in tables
    dataset: str  # a line of `datasets`
    model: str  # a file in v2vbench/models
    schedule: str  # a line of `schedules`
    base: str  # whose weights it starts from: a run, an imported checkpoint, published/<suite>/<run>, or none
    kwargs: dict  # of the model, checked against its signature; in the file also `published`: those of the base


@dataclass(frozen=True, kw_only=True)
class Run(TrainedModel):
    """A method that makes video, trained and scored; one line of `runs`."""

    first_frames: str  # where the first past frames come from: real, self, a run that needs no past, or none
    seeds: list[Natural]  # one training each, added to the schedule's seed; players show the first


@dataclass(frozen=True, kw_only=True)
class Future:
    """What every predictor on a data set has to predict; the line of `futures` under the data set's key."""

    video: str  # a line of `runs`, which makes frames from predicted labels; none: where all predictors predict frames
    n_past: Annotated[int, Range(2)]  # first frames of a clip that are given, with their source and flow
    n_future: Count  # frames after them that are predicted; their source is withheld
    n_samples: Count  # futures drawn from a model that draws
    seed: Natural  # of these draws
    primary: list[str]  # 3 to 5 lines of `metrics` on which conclusions rest, named beforehand


@dataclass(frozen=True, kw_only=True)
class Style:
    """One clip in several styles, and once with labels exchanged; one line of `styles`."""

    title: str
    dataset: str
    video: str  # a line of `runs` whose model draws styles
    seeds: list[Natural]  # of the styles drawn: one video each
    swap: dict[str, str]  # {label: the label that replaces it} in one more video, of the first seed; {}: no such video
    clip: str  # a test clip, or first


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """What is scored and how conclusions are drawn; the same for every method."""

    skip_frames: Natural  # first frames of a clip that no metric sees: some methods are given real ones there
    confidence: Annotated[float, Range(0.5, 0.999)]  # level of intervals; verdicts are at the level 1 - confidence
    primary: list[str]  # 3 to 5 lines of `metrics`, of both headings, on which conclusions rest; named beforehand
    n_flips: Annotated[int, Range(1000)]  # sign flips drawn by a permutation test that cannot try every one
    power: Annotated[float, Range(0.5, 0.999)]  # target power of the estimate of the smallest detectable difference
    seed: Natural  # of the sign flips and every other random draw of the statistics


@dataclass(frozen=True, kw_only=True)
class Params:
    """The whole file."""

    suite: str
    about: str
    protocol: Protocol
    datasets: dict
    schedules: dict
    judges: dict
    features: dict
    metrics: dict
    calibration: dict
    preference: dict
    runs: dict
    predictors: dict
    futures: dict
    styles: dict
    report: dict

    def run(self, key: str) -> TrainedModel:
        """The line `key` of `runs`, `predictors` or `judges`."""
        return choose(self.runs | self.predictors | self.judges, key, "runs, predictors and judges")

    def folder(self, key: str) -> Path:
        """The folder of the weights of `key`.

        Judges have a separate one, because every evaluation depends on it, and predictors, because futures do.
        """
        return Path("judges" if key in self.judges else "predictors" if key in self.predictors else "runs") / key


def root() -> Path:
    """The root of the project: the current folder, or the nearest one above it, that has a params.yaml."""
    for folder in (Path.cwd(), *Path.cwd().parents):
        if (folder / "params.yaml").is_file():
            return folder
    raise Fault(f"no params.yaml in {Path.cwd()} or above it: run this inside a clone of v2vbench")


def load(path: Path | None = None) -> Params:
    """Read and bind params.yaml (or `path`); raises Fault with the path to the line."""
    path = Path(path or root() / "params.yaml")
    return typed(parse(read(path), path.name), path.name, path.parent)


def read(path: Path) -> str:
    """The text of a file; raises Fault if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Fault(f"{path}: {error}") from None


def parse(text: str, file: str):
    """The content of a YAML text; raises Fault with the number of the line that is not valid."""
    try:
        with warnings.catch_warnings(action="error", category=ReusedAnchorWarning):
            return YAML(typ="safe", pure=True).load(text)
    except ReusedAnchorWarning as warning:
        name, line = re.findall(r"anchor '.*?'", str(warning))[0], re.findall(r"line (\d+)", str(warning))[-1]
        raise Fault(f"{file}:{line}: found duplicate {shorten(name)}") from None
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{file}:{mark.line + 1}" if mark else file
        raise Fault(f"{where}: {shorten(getattr(error, 'problem', None) or str(error).splitlines()[0], 200)}") from None
    except RecursionError:
        raise Fault(f"{file}: nested too deep to be read") from None
    except ValueError as error:  # a 13th month, a number of more than 4,300 digits
        raise Fault(f"{file}: {shorten(str(error), 200)}") from None


def typed(content, file: str, folder: Path = Path()) -> Params:
    """The parsed content of `file` bound to its types; raises Fault with the path to the line.

    folder    the project's, whose results/ has the kwargs for which `kwargs: published` stands
    """
    if not isinstance(content, dict):
        raise Fault(f"{file}: expected a mapping of sections, got {type(content).__name__}")
    if "extends" in content:
        raise Fault(f"{file}: extends is for suites; `v2vbench use NAME` writes suites/NAME.yaml whole as params.yaml")
    params = bind(Params, content, file)
    lines = {
        "schedules": Schedule,
        "judges": TrainedModel,
        "runs": Run,
        "predictors": TrainedModel,
        "futures": Future,
        "styles": Style,
    }
    return bind(
        Params,
        vars(params)
        | {
            section: {
                key: bind(kind, _with_kwargs(line, folder, where), where)
                for key, line in getattr(params, section).items()
                for where in [f"{file}: {section}.{shorten(key)}"]
            }
            for section, kind in lines.items()
        },
        file,
    )


def _with_kwargs(line, folder: Path, where: str):
    """A line with the kwargs of the published run that `base` names, if its kwargs are the word `published`."""
    if not isinstance(line, dict) or line.get("kwargs") != "published":
        return line
    base = line.get("base")
    match = PUBLISHED.fullmatch(base) if isinstance(base, str) else None
    if not match:
        cause = f"stands for the kwargs of a base published/<suite>/<run>, and base is {brief(base)}"
        raise Fault(f"{where}.kwargs: published {cause}")
    suite, run = match.groups()
    path = folder / "results" / suite / "params.yaml"
    if not path.is_file():
        names = ", ".join(sorted(other.parent.name for other in path.parents[1].glob("*/params.yaml")))
        raise Fault(f"{where}.base: no suite {brief(suite)} in results; there are {shorten(names or 'none', 200)}")
    content = parse(read(path), f"results/{suite}/params.yaml")
    sections = [content.get(name) for name in ("runs", "predictors")] if isinstance(content, dict) else []
    lines = {key: line for section in sections if isinstance(section, dict) for key, line in section.items()}
    published = choose(lines, run, f"{where}.base: results/{suite}")
    return line | {"kwargs": published.get("kwargs") if isinstance(published, dict) else None}


def shorten(text, n: int = 60) -> str:
    """`text` on one line of at most n characters."""
    line = " ".join(str(text).split())
    return line if len(line) <= n else f"{line[: n - 1]}…"


def brief(value, n: int = 60) -> str:
    """A value as a message shows it: its repr, on one line of at most n characters."""
    try:
        return shorten(repr(value), n)
    except ValueError:  # Python writes no number of more than 4,300 digits
        return f"a {type(value).__name__} too long to be shown"


def choose(table: Mapping, key: str, where: str):
    """table[key]; raises Fault naming the valid keys."""
    if not isinstance(key, str) or key not in table:
        raise Fault(f"{where}: no {brief(key)}; there are {shorten(', '.join(map(str, table)) or 'none', 200)}")
    return table[key]


def member(kind: str, name: str, where: str):
    """The module v2vbench/<kind>/<name>.py, after a check against the contract of its folder.

    raises    Fault with the path to the line, if it is missing or breaks the contract
    """
    if not isinstance(name, str) or len(name) > 100:
        raise Fault(f"{where}: {brief(name)} is not the name of a file in v2vbench/{kind}")
    try:
        module = find(kind, name)
    except KeyError as error:
        raise Fault(f"{where}: {error.args[0]}") from None
    if problems := importlib.import_module(f"v2vbench.{kind}").problems(module):
        raise Fault(f"{where}: v2vbench/{kind}/{name}.py {problems[0]}; v2vbench/{kind}/__init__.py has the contract")
    return module


def check(fn, section: dict | None, where: str, given=()) -> dict:
    """The keyword arguments for `fn` in a section, each checked for name, type and range against fn's signature.

    section    a mapping read from params.yaml
    where      its path there, for messages: "runs.freedoom_vid2vid.kwargs"
    given      names of arguments that do not come from params.yaml: tensors, facts, folders
    returns    {name: value}, converted as `coerce` does
    raises     Fault
    """
    section = {} if section is None else section
    if not isinstance(section, dict):
        raise Fault(f"{where}: expected a mapping, got {brief(section)}")
    hints = typing.get_type_hints(fn.__init__ if inspect.isclass(fn) else fn, include_extras=True)
    takes = {name: p for name, p in inspect.signature(fn).parameters.items() if name not in given}
    if extra := sorted(map(str, section.keys() - takes.keys())):
        raise Fault(
            f"{where}: unknown {shorten(', '.join(extra))}; it takes {shorten(', '.join(takes) or 'nothing', 250)}"
        )
    if missing := [name for name, p in takes.items() if p.default is p.empty and name not in section]:
        raise Fault(f"{where}: missing {shorten(', '.join(missing), 250)}")
    return {name: coerce(value, hints.get(name, object), f"{where}.{name}") for name, value in section.items()}


def bind(fn, section: dict | None, where: str, **given):
    """fn(**given, **section), after `check` of the section."""
    return fn(**given, **check(fn, section, where, given))


def coerce(value, hint, where: str):
    """`value` as the type `hint`; raises Fault.

    Conversions are int to float, list to tuple and mapping to dataclass. Floats are finite, integers fit 64 bits.
    """
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        value = coerce(value, args[0], where)
        for bounds in (note for note in args[1:] if isinstance(note, Range)):  # other notes are documentation
            if not bounds.low <= value <= bounds.high:
                raise Fault(f"{where}: {brief(value)} is out of range; it goes from {bounds.low} to {bounds.high}")
        return value
    if origin in (typing.Union, types.UnionType):
        kinds = [arg for arg in args if arg is not types.NoneType]
        if isinstance(value, dict):
            kinds = [arg for arg in kinds if is_dataclass(arg)] or kinds
        if value is not None and len(kinds) == 1:
            return coerce(value, kinds[0], where)  # of x | None or "none" | x: the message is about x
        for arg in args:
            try:
                return coerce(value, arg, where)
            except Fault:
                continue
    elif origin is typing.Literal:
        if value in args and type(value) in map(type, args):
            return value
        raise Fault(f"{where}: {brief(value)} is not one of {', '.join(map(repr, args))}")
    elif origin is tuple and isinstance(value, (list, tuple)):
        kinds = [args[0]] * len(value) if args[-1] is Ellipsis else list(args)
        if len(kinds) == len(value):
            return tuple(coerce(v, kind, f"{where}[{i}]") for i, (v, kind) in enumerate(zip(value, kinds)))
    elif origin is list and isinstance(value, list):
        return [coerce(v, args[0], f"{where}[{i}]") for i, v in enumerate(value)]
    elif origin is dict and isinstance(value, dict):
        return {
            coerce(key, args[0], f"{where}: key"): coerce(v, args[1], f"{where}.{shorten(key)}")
            for key, v in value.items()
        }
    elif is_dataclass(hint) and isinstance(value, dict):
        return bind(hint, value, where)
    elif hint is float and type(value) in (int, float):
        if not abs(value) <= LARGEST:
            raise Fault(f"{where}: {brief(value)} is out of range; it must be a finite number")
        return float(value)
    elif hint is int and type(value) is int and not -1 << 63 <= value < 1 << 63:
        raise Fault(f"{where}: {brief(value)} is out of range; whole numbers have at most 63 bits here")
    elif hint in (object, type(value)) or (isinstance(hint, type) and is_dataclass(hint) and isinstance(value, hint)):
        return value
    raise Fault(f"{where}: {brief(value)} is not {_named(hint)}")


def _named(hint) -> str:
    """A type as messages show it: 'auto' or int from 1 to inf."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        bounds = [f" from {note.low} to {note.high}" for note in args[1:] if isinstance(note, Range)]
        return _named(args[0]) + "".join(bounds)
    if origin is typing.Literal:
        return " or ".join(map(repr, args))
    if origin in (typing.Union, types.UnionType):
        return " or ".join(map(_named, args))
    return getattr(hint, "__name__", str(hint)) if origin is None else str(hint)
