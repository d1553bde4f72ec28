"""What the page is made from: parameters, results and videos, and how the page numbers methods and protocols."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from v2vbench.clips.store import Store
from v2vbench.params import Fault, Params
from v2vbench.results.comparison import Comparison
from v2vbench.results.future import FutureScores
from v2vbench.results.runs import RunScores


@dataclass(frozen=True)
class Footnote:
    """One protocol id among the page's footnotes."""

    number: int
    title: str  # of the metric


@dataclass(frozen=True)
class Inputs:
    """Everything that the page is made from."""

    params: Params
    comparison: Comparison
    scores: dict[str, RunScores]  # by run
    futures: list[FutureScores]  # of the lines of `futures` that have run
    predicted: dict[str, dict[str, Store]]  # by data set of these and by predictor
    stores: dict[str, Store]  # by data set
    fakes: dict[str, Store]  # by run
    restyled: dict[str, Store]  # by line of `styles`
    is_unpaired: bool = False  # generated clips have no real ones of their own

    @classmethod
    def load(cls, params: Params, root: Path) -> "Inputs":
        """The results of a project; raises Fault where a file is missing or broken."""
        comparison = Comparison.load(Comparison.path(root))
        futures = [
            FutureScores.load(path) for key in params.futures if (path := FutureScores.path(root, key)).is_file()
        ]
        for future in futures:
            if gone := [one.predictor for one in future.entries.values() if one.predictor not in params.predictors]:
                path = FutureScores.path(root, future.dataset)
                raise Fault(f"{path}: has {gone[0]}, which params.yaml has no more; run `dvc repro`")
        return cls(
            params=params,
            comparison=comparison,
            scores={run: RunScores.load(RunScores.path(root, run)) for run in comparison.runs},
            futures=futures,
            predicted={
                future.dataset: {
                    one.predictor: Store(root / "futures" / future.dataset / f"{one.predictor}.zip")
                    for one in future.entries.values()
                }
                for future in futures
            },
            stores={
                name: Store(root / "data" / f"{name}.zip")
                for name in dict.fromkeys([*comparison.datasets, *(future.dataset for future in futures)])
            },
            fakes={run: Store(root / "runs" / run / "clips.zip") for run in comparison.runs},
            restyled={key: Store(root / "runs" / key / "clips.zip") for key in params.styles},
        )

    @cached_property
    def method_numbers(self) -> dict[str, int]:
        """The number of each method, by title: one colour, marker and dash, the same on every data set."""
        titles = [self.comparison.runs[run].title for run in ordered(self.comparison.runs, self.params.runs)]
        titles += [line.title for line in (self.params.runs | self.params.judges).values()]
        return {title: i for i, title in enumerate(dict.fromkeys(titles))}

    def number_of(self, key: str, title: str) -> int:
        """The number of the line `key`; predictors have a section of the page and numbers of their own."""
        predictors = list(self.params.predictors)
        return predictors.index(key) if key in predictors else self.method_numbers[title]

    @cached_property
    def footnotes(self) -> dict[str, Footnote]:
        """By protocol id, in the order of params.yaml; metrics without weights have none."""
        groups = [group.metrics for dataset in self.comparison.datasets.values() for group in dataset.groups.values()]
        groups += [future.metrics for future in self.futures]
        labels = ordered({label for metrics in groups for label in metrics}, self.params.metrics)
        titles = {}
        for label in labels:
            for metrics in groups:
                if label in metrics and not metrics[label].absent:
                    titles.setdefault(metrics[label].protocol, metrics[label].title)
        return {protocol: Footnote(number, title) for number, (protocol, title) in enumerate(titles.items(), 1)}

    def runs_of(self, dataset: str) -> dict[str, str]:
        """{run: title of its method} of a data set, in the order of params.yaml."""
        runs = {run: info.title for run, info in self.comparison.runs.items() if info.dataset == dataset}
        return {run: runs[run] for run in ordered(runs, self.params.runs)}


def ordered(keys: Collection[str], like: Iterable[str]) -> list[str]:
    """The keys in the order of `like`, then the others by name."""
    like = list(like)
    return [key for key in like if key in keys] + sorted(key for key in keys if key not in like)
