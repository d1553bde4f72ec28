"""The registry of metrics: one file, one metric; lines of params.yaml bound to them."""

import inspect
from dataclasses import dataclass

import torch

from v2vbench.params import Fault, Params, TrainedModel, brief, check, choose, member

SET_INPUTS = ("fake_features", "real_features", "clusters")


@dataclass(frozen=True)
class Metric:
    """One line of `metrics`, resolved."""

    label: str
    module: object
    inputs: tuple[str, ...]  # of compute: those of a clip, or SET_INPUTS
    settings: dict  # compute's keyword-only arguments
    on: list[str] | None  # data sets that have what it needs; None: all
    judge: str | None  # the line of `judges` that it asks, whose data set is then the only one

    @property
    def kind(self) -> str:
        """set: a distance between sets of rows; pooled: a score of counts that add up over clips; clip: a value a clip."""
        return "set" if self.inputs == SET_INPUTS else "pooled" if hasattr(self.module, "pool") else "clip"

    def about(self, names: dict[str, str]) -> dict:
        """kind, title, unit, better, heading and the protocol id.

        names     what the id holds beside the line's own numbers: `names` of its features, `judge` with its hash
        """
        words = {
            f"{name}_word": words[self.settings[name]] for name, words in getattr(self.module, "WORDS", {}).items()
        }
        names = self.settings | words | names
        return {
            "kind": self.kind,
            "title": self.module.TITLE.format(**names),
            "unit": self.module.UNIT,
            "better": self.module.BETTER,
            "heading": self.module.HEADING,
            "protocol": self.module.PROTOCOL.format(**names),
        }

    def compute(self, clip: dict, where: str, function: str = "compute") -> torch.Tensor:
        """Its values on one clip, (T,) or (T-1,), of a pooled metric counts (T, ...).

        raises    Fault naming metric and clip where an input is missing or a value is not finite
        """
        function = getattr(self.module, function)
        takes = inputs(function)
        if missing := [name for name in takes if name not in clip]:
            raise Fault(
                f"metrics.{self.label}: {where} has no {' and no '.join(missing)}; take the metric out, or name the data sets "
                "that have what it needs with `on`"
            )
        try:
            values = function(**{name: clip[name] for name in takes}, **self.settings)
        except ValueError as error:
            raise Fault(f"metrics.{self.label}: {where}: {error}") from None
        if bad := (~values.isfinite().reshape(len(values), -1).all(1)).nonzero().flatten().tolist():
            raise Fault(
                f"metrics.{self.label}: {where}: {values[bad[0]].tolist()} as value {bad[0]} of {len(values)}; "
                "docs/protocols.md says what the metric needs"
            )
        return values


def inputs(function) -> tuple[str, ...]:
    """What a metric's function takes of a clip or a set: all but the settings, which are keyword-only."""
    return tuple(name for name, p in inspect.signature(function).parameters.items() if p.kind is not p.KEYWORD_ONLY)


def resolve(lines: dict, judges: dict[str, TrainedModel] | None = None, file: str = "metrics") -> list[Metric]:
    """The lines of `metrics` of params.yaml, bound to their files; raises Fault with the path to the line.

    judges    lines of `judges`, which metrics may name
    """
    metrics, judges = [], judges or {}
    for label, line in lines.items():
        where, own = f"{file}.{label}", {} if line is None else line
        if not isinstance(own, dict):
            raise Fault(f"{where}: expected a mapping, got {brief(own)}")
        module = member("metrics", own.get("metric", label), where)
        takes, on, judge = inputs(module.compute), own.get("on"), own.get("judge")
        if on is not None and not (isinstance(on, list) and on and all(isinstance(name, str) for name in on)):
            raise Fault(f"{where}.on: {brief(on)} is not a list of data sets")
        if ("judge" in takes) != (judge is not None):
            raise Fault(f"{where}: {'missing judge, a line of judges' if judge is None else 'takes no judge'}")
        if judge is not None:
            on = [choose(judges, judge, f"{where}.judge").dataset]
        settings = {name: value for name, value in own.items() if name not in ("metric", "on", "judge")}
        metrics.append(Metric(label, module, takes, check(module.compute, settings, where, given=takes), on, judge))
    return metrics


def applicable(params: Params, dataset: str) -> list[Metric]:
    """The metrics that are defined on a data set."""
    return [metric for metric in resolve(params.metrics, params.judges) if metric.on is None or dataset in metric.on]


def score_clip(clip: dict[str, torch.Tensor], lines: dict, where: str = "clip") -> dict[str, torch.Tensor]:
    """Each per-clip metric of `lines` on one clip, {label: a value a frame (T,) or a pair of frames (T-1,)}.

    clip      fake, real and what else the metrics name, without the batch axis
    lines     `metrics` of params.yaml, those that ask no judge
    where     the clip's name, for messages
    raises    Fault naming the metric and the clip where an input is missing or a value is not finite
    """
    return {metric.label: metric.compute(clip, where) for metric in resolve(lines) if metric.kind == "clip"}
