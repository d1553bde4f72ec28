"""The contract of a metric, one file each, and lines of `metrics` of params.yaml bound to their files."""

# pyright: reportArgumentType=false

import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch

from v2vbench.params import Fault, Params, TrainedModel, brief, check, choose, coerce, member

CLIP_INPUTS = ("fake", "real", "source", "flow", "occluded", "keypoints", "judge")
SET_INPUTS = ("fake_features", "real_features", "clusters", "real_clusters")


class Contract(Protocol):
    """What a metric's file has: a docstring, constants, and functions. A name with a value below may be left out.

    TITLE          in tables. In braces: settings of the line, and of set metrics what `Features.names` has
    UNIT           of the values; "": none
    BETTER         which values are better: lower, higher, or those near one
    HEADING        fidelity: to the source and to the real frames; realism: in space and in time
    PROTOCOL       the id, name/version:details, with braces as in TITLE; the version rises when the arithmetic changes
    LADDERS        damages in whose levels scores are told first
    WORDS          {setting: {its value: word}}; {setting_word} in TITLE is that word
    VERDICTS       False: no verdict is made of its values
    MIN_CLUSTERS, MIN_ROWS    of a set metric: with fewer there is no value

    compute        its inputs, then settings as keyword-only arguments, whose types are the schema of the line. Returns
                   of CLIP_INPUTS, `fake` among them: a value a frame (T,) or a pair of frames (T-1,); with `pool`,
                   counts (T, ...).
                   of SET_INPUTS, with a setting `features`: one number. `real_clusters` has the default None: the sets
                   are then of the same clips, row for row; else of different ones, whose clusters have the same names
                   in both sets.
                   Raises ValueError saying what is wrong with its inputs
    weights        the settings to names in download.weights.TABLE, without which there is no value
    pool           the sum of the counts of a group's clips to the group's value: the metric has none of a single clip
    floor          as compute, without `fake`: what an answer scores that looks at no frame
    leave_one_out  as compute of a set metric: its values without the rows of each cluster, on both sides, in turn;
                   without it, compute is called for each
    """

    __doc__: str | None
    TITLE: str
    UNIT: str
    BETTER: Literal["lower", "higher", "one"]
    HEADING: Literal["fidelity", "realism"]
    PROTOCOL: str
    LADDERS: tuple[str, ...] = ()
    WORDS: dict[str, dict[str, str]] = {}
    VERDICTS: bool = True
    MIN_CLUSTERS: int = 1
    MIN_ROWS: int = 2

    compute: Callable[..., Any]
    weights: Callable[..., tuple[str, ...]] | None = None
    pool: Callable[..., float] | None = None
    floor: Callable[..., torch.Tensor] | None = None
    leave_one_out: Callable[..., Any] | None = None


def problems(module) -> list[str]:
    """What keeps a file from the contract, a line each."""
    found = [] if module.__doc__ else ["has no docstring, which docs/protocols.md is made of"]
    for name, hint in typing.get_type_hints(Contract).items():
        if not hasattr(module, name):
            found += [] if hasattr(Contract, name) else [f"has no {name}"]
        elif name.isupper():
            try:
                coerce(getattr(module, name), hint, name)
            except Fault as fault:
                found.append(str(fault))
        elif name.islower() and not name.startswith("_") and not callable(getattr(module, name)):
            found.append(f"{name} is no function")
    return found or _problems_of_functions(module)


def _problems_of_functions(module) -> list[str]:
    takes, found = inputs(module.compute), []
    if takes != SET_INPUTS and not ("fake" in takes and set(takes) <= set(CLIP_INPUTS)):
        found.append(
            f"compute takes {', '.join(takes)}; it takes {', '.join(SET_INPUTS)}, or of {', '.join(CLIP_INPUTS)}"
        )
    if takes == SET_INPUTS and "features" not in settings_of(module.compute):
        found.append("compute has no setting features")
    if takes == SET_INPUTS and inspect.signature(module.compute).parameters["real_clusters"].default is not None:
        found.append("compute has not the default None of real_clusters")
    for name in ("weights", "floor", "leave_one_out"):
        function = getattr(module, name, None)
        if function and settings_of(function) != settings_of(module.compute):
            found.append(f"{name} takes other settings than compute")
    return found


def inputs(function) -> tuple[str, ...]:
    """What a metric's function takes of a clip or a set: all but the settings, which are keyword-only."""
    return tuple(name for name, p in inspect.signature(function).parameters.items() if p.kind is not p.KEYWORD_ONLY)


def settings_of(function) -> set[str]:
    """Names of the settings that a metric's function takes."""
    return inspect.signature(function).parameters.keys() - set(inputs(function))


@dataclass(frozen=True)
class Metric:
    """One line of `metrics`, resolved."""

    label: str
    module: Contract
    inputs: tuple[str, ...]  # of compute: those of a clip, or SET_INPUTS
    settings: dict  # compute's keyword-only arguments
    on: list[str] | None  # data sets that have what it needs; None: all
    judge: str | None  # the line of `judges` whose model it needs; that model's data set is then the only one

    def get(self, name: str) -> Any:
        """What the file has under a name of the contract, or the contract's own value."""
        return getattr(self.module, name, getattr(Contract, name, None))

    @property
    def kind(self) -> str:
        """set: a distance of sets of features; pooled: a score of summed counts; clip: per-clip scores."""
        return "set" if self.inputs == SET_INPUTS else "pooled" if self.get("pool") else "clip"

    @property
    def weights(self) -> tuple[str, ...]:
        """Names in download.weights.TABLE that this line needs; those of a set metric's features apart."""
        return self.get("weights")(**self.settings) if self.get("weights") else ()

    def about(self, names: dict[str, str]) -> dict:
        """kind, title, unit, better, heading and the protocol id.

        names     what the id holds beside the line's settings: `names` of its features, `judge` with its hash
        """
        words = {f"{name}_word": words[self.settings[name]] for name, words in self.get("WORDS").items()}
        names = self.settings | words | names
        return {
            "kind": self.kind,
            "title": self.module.TITLE.format(**names),
            "unit": self.module.UNIT,
            "better": self.module.BETTER,
            "heading": self.module.HEADING,
            "protocol": self.module.PROTOCOL.format(**names),
        }

    def compute(self, clip: dict, where: str, name: str = "compute") -> torch.Tensor:
        """The values on one clip of the file's function `name`: (T,) or (T-1,), of a pooled metric counts (T, ...).

        raises    Fault naming metric and clip where an input is missing or a value is not finite
        """
        function = self.get(name)
        takes = inputs(function)
        if missing := [name for name in takes if name not in clip]:
            raise Fault(
                f"metrics.{self.label}: {where} has no {' and no '.join(missing)}; remove it or name the data sets "
                "that have what it needs with `on`"
            )
        try:
            values = function(**{name: clip[name] for name in takes}, **self.settings)
        except ValueError as error:
            raise Fault(f"metrics.{self.label}: {where}: {error}") from None
        if not len(values):
            raise Fault(f"metrics.{self.label}: {where}: 1 frame, and it takes 2")
        if bad := (~values.isfinite().reshape(len(values), -1).all(1)).nonzero().flatten().tolist():
            raise Fault(
                f"metrics.{self.label}: {where}: {values[bad[0]].tolist()} as value {bad[0]} of {len(values)}; "
                "docs/protocols.md says what the metric needs"
            )
        return values


def resolve(lines: dict, judges: dict[str, TrainedModel] | None = None, file: str = "metrics") -> list[Metric]:
    """The lines of `metrics` of params.yaml, bound to their files; raises Fault with the path to the line.

    judges    lines of `judges`, which metrics may name
    """
    return [_resolve_line(label, line, judges or {}, f"{file}.{label}") for label, line in lines.items()]


def _resolve_line(label: str, line, judges: dict[str, TrainedModel], where: str) -> Metric:
    line = {} if line is None else line
    if not isinstance(line, dict):
        raise Fault(f"{where}: expected a mapping, got {brief(line)}")
    module = member("metrics", line.get("metric", label), where)
    takes, on, judge = inputs(module.compute), line.get("on"), line.get("judge")
    if on is not None and not (isinstance(on, list) and on and all(isinstance(name, str) for name in on)):
        raise Fault(f"{where}.on: {brief(on)} is not a list of data sets")
    if ("judge" in takes) != (judge is not None):
        raise Fault(f"{where}: {'missing judge, a line of judges' if judge is None else 'takes no judge'}")
    if judge is not None:
        on = [choose(judges, judge, f"{where}.judge").dataset]
    settings = {name: value for name, value in line.items() if name not in ("metric", "on", "judge")}
    if takes == SET_INPUTS and isinstance(settings.get("features"), dict):
        settings["features"] = f"metrics.{label}.features"  # as extractors.resolve_all names what stands in the line
    return Metric(label, module, takes, check(module.compute, settings, where, given=takes), on, judge)


def applicable(params: Params, dataset: str) -> list[Metric]:
    """The metrics that are defined on a data set."""
    return [metric for metric in resolve(params.metrics, params.judges) if metric.on is None or dataset in metric.on]


def score_clip(clip: dict[str, torch.Tensor], lines: dict, where: str = "clip") -> dict[str, torch.Tensor]:
    """Each per-clip metric of `lines` on one clip, {label: a value a frame (T,) or a pair of frames (T-1,)}.

    clip      fake, real and what else the metrics name, without the batch axis
    lines     `metrics` of params.yaml, those that name no judge
    where     the clip's name, for messages
    raises    Fault naming the metric and the clip where an input is missing or a value is not finite
    """
    return {metric.label: metric.compute(clip, where) for metric in resolve(lines) if metric.kind == "clip"}
