"""Learning curves of everything that was trained: one small chart a loss."""

from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from v2vbench.display.train import columns
from v2vbench.params import Fault, Schedule
from v2vbench.report.inputs import Inputs
from v2vbench.report.sparklines import sparkline
from v2vbench.stages._published import is_published


@dataclass(frozen=True)
class LearningCurves:
    """One training."""

    title: str
    method_number: int
    schedule: Schedule
    steps: int
    sparks: list[Markup]  # empty where nothing is trained
    published: bool  # it starts from published weights


def learning_curves(inputs: Inputs, root: Path) -> dict[str, list[LearningCurves]]:
    """Those of every run, predictor and judge, by title of the data set.

    raises    Fault where those of a compared run are missing, or are no table of numbers
    """
    params, comparison, curves = inputs.params, inputs.comparison, {}
    for key, line in (params.runs | params.predictors | params.judges).items():
        path = root / params.folder(key) / "curves.csv"
        if not path.is_file():
            if key in comparison.runs:
                raise Fault(f"{path}: missing; `dvc repro` makes it")
            continue
        try:
            losses, number = columns(path), inputs.number_of(key, line.title)
        except (TypeError, ValueError):
            raise Fault(f"{path}: not a whole table of numbers; delete it and run `dvc repro`") from None
        steps = losses.pop("step", ([], []))[1]
        store = inputs.stores.get(line.dataset)
        curves.setdefault(store.facts.title if store else line.dataset, []).append(
            LearningCurves(
                title=line.title,
                method_number=number,
                schedule=params.schedules[line.schedule],
                steps=int(steps[-1]) if steps else 0,
                sparks=[sparkline(name, *column, number) for name, column in losses.items()],
                published=is_published(line.base),
            )
        )
    return curves
