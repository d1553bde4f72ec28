"""What is measured: the lines of score.yaml, less those that are not wanted and those that clips do not allow."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from v2vbench.extractors import resolve_all
from v2vbench.metrics import resolve
from v2vbench.params import Fault, Params, Run, brief, parse, read, shorten, typed

DATASET, GROUP = "yours", "clips"  # keys of the one data set and of its one group
PLAYERS_BY = "psnr"  # orders the players, so it is always computed where clips are paired
MOST_PRIMARY = 5
FILE = Path(__file__).with_name("score.yaml")
UNPAIRED_PRIMARY = ("ked_windows", "ked_frames", "kvd", "kid")


def settings(labels: Iterable[str] | None, *, skip: int, paired: bool) -> Params:
    """The parameters of a run of `score`.

    labels    of the metrics that are wanted, which are then the primary ones; None: all
    skip      first frames of each clip that no metric sees
    paired    whether each generated clip has its real one
    raises    Fault naming the label that is none
    """
    params = typed(parse(read(FILE), FILE.name), FILE.name)
    wanted = list(dict.fromkeys(labels)) if labels is not None else None
    if wanted is not None and (unknown := [label for label in wanted if label not in params.metrics]):
        raise Fault(f"--metrics: no {brief(unknown[0])}; there are all, {shorten(', '.join(params.metrics), 400)}")
    if wanted == []:
        raise Fault("--metrics: names none")
    primary = params.protocol.primary if paired else list(UNPAIRED_PRIMARY)
    if wanted is not None:
        lines = {metric.label: metric for metric in resolve({label: params.metrics[label] for label in wanted})}
        primary = [label for label in wanted if lines[label].get("VERDICTS")][:MOST_PRIMARY]
        also = [PLAYERS_BY] if paired and PLAYERS_BY not in wanted else []
        params = replace(params, metrics={label: params.metrics[label] for label in [*wanted, *also]})
    present = [label for label in primary if label in params.metrics]
    return replace(
        params,
        protocol=replace(params.protocol, skip_frames=skip, primary=present),
        datasets={DATASET: {}},
        features={label: line for label, line in params.features.items() if _is_used(params, label)},
    )


def _is_used(params: Params, features: str) -> bool:
    return any((line or {}).get("features") == features for line in params.metrics.values())


def with_runs(params: Params, titles: dict[str, str]) -> Params:
    """With a line for each generated side, {key: title}, the reference first."""
    runs = {
        key: Run(
            title=title,
            dataset=DATASET,
            model="external",
            schedule="none",
            base="none",
            first_frames="none",
            seeds=[0],
            kwargs={},
        )
        for key, title in titles.items()
    }
    return replace(params, runs=runs)


def impossible(params: Params, *, unpaired: str, n_frames: int, shortest: str, flow: bool) -> dict[str, str]:
    """{label: why it has no value on these clips}.

    unpaired    why clips are not paired; "" where they are
    n_frames    scored frames of the shortest clip
    shortest    its name
    flow        whether the motion of the real videos is known or estimated
    """
    kinds, reasons = resolve_all(params), {}
    for metric in resolve(params.metrics):
        if metric.kind != "set":
            if unpaired:
                reasons[metric.label] = f"compares a clip with the real one of its name, and {unpaired}"
            elif not flow and {"flow", "occluded"} & set(metric.inputs):
                reasons[metric.label] = "needs the motion of the real videos"
            continue
        kind = kinds[metric.settings["features"]]
        needed = kind.windows.n_frames if kind.windows else (kind.extractor.snippet or (1,))[0]
        if needed > n_frames:
            reasons[metric.label] = f"compares {needed} frames at once, and clip {shortest} has {n_frames}"
    return reasons
