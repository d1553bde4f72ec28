"""The metrics that the score table of a test group does not have, and why."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from v2vbench.report.inputs import Inputs, ordered
from v2vbench.results.comparison import ComparedGroup


@dataclass(frozen=True)
class Without:
    """Metrics that lack something for one reason."""

    titles: list[str]
    reason: str


@dataclass(frozen=True)
class Missing:
    """The metrics that are not in the table."""

    absent: list[Without]  # their weights are not here
    hidden: list[Without]  # they say nothing on these clips
    other: list[Without]  # they have no value


def missing_metrics(
    inputs: Inputs, group: ComparedGroup, notes: Mapping[str, str | None], labels: list[str]
) -> Missing:
    """The metrics `labels` of a group by why they are missing; what one run has no value of, none has.

    notes    {label: why there is no value}
    """
    absent, hidden, other = [], [], []
    for label in ordered(labels, inputs.params.metrics):
        metric = group.metrics[label]
        if metric.absent:
            absent.append((metric.absent, metric.title))
        elif metric.hidden:
            hidden.append((metric.hidden, metric.title))
        else:
            other.append((notes.get(label) or "no value", metric.title))
    return Missing(by_reason(absent), by_reason(hidden), by_reason(other))


def by_reason(pairs: Iterable[tuple[str, str]]) -> list[Without]:
    """Titles of (reason, title), those with the same reason together."""
    titles: dict[str, list[str]] = {}
    for reason, title in pairs:
        titles.setdefault(reason, []).append(title)
    return [Without(together, reason) for reason, together in titles.items()]
