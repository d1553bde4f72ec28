"""What differs between two comparisons: of two revisions, two suites, or two folders of results."""

import math
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from v2vbench.files import write_whole
from v2vbench.params import Fault
from v2vbench.report.format import counted, decimals, number
from v2vbench.report.inputs import ordered
from v2vbench.report.page import environment, policy, style_sheet
from v2vbench.results.comparison import ComparedGroup, ComparedMetric, Comparison, Row, Word
from v2vbench.statistics.cost import cost

Kind = Literal["better", "worse", "moved", "within", "no interval", "same"]
KINDS: dict[Kind, str] = {
    "better": "better, beyond the intervals",
    "worse": "worse, beyond the intervals",
    "moved": "beyond the intervals, as good as before",
    "within": "within the intervals",
    "no interval": "changed, without an interval",
    "same": "the same",
}  # in the order in which they are shown
BEYOND: tuple[Kind, ...] = ("better", "worse", "moved")


@dataclass(frozen=True)
class Change:
    """One metric of one method, before and after."""

    method: str
    metric: ComparedMetric
    before: Row
    after: Row
    kind: Kind

    @property
    def decimals(self) -> int:
        return decimals([self.before, self.after])

    @property
    def verdicts(self) -> tuple[Word, Word] | None:
        """The verdicts before and after, where they differ."""
        old, new = self.before.verdict, self.after.verdict
        return (old.word, new.word) if old and new and old.word != new.word else None


@dataclass(frozen=True)
class GroupDiff:
    """One test group."""

    title: str
    changes: list[Change]  # those beyond their intervals first

    @property
    def beyond(self) -> list[Change]:
        """What is worth a look: changes beyond the intervals, and changed verdicts."""
        return [change for change in self.changes if change.kind in BEYOND or change.verdicts]

    @property
    def rest(self) -> list[Change]:
        return [change for change in self.changes if change not in self.beyond]


@dataclass(frozen=True)
class Diff:
    """Two comparisons."""

    a: str  # as the user named it
    b: str
    groups: list[GroupDiff]
    only: dict[str, list[str]]  # {a or b: what the other does not have}
    protocols: list[str]  # metrics that are measured in another way: not compared
    clips: list[str]  # test groups of other clips: not compared

    @property
    def counts(self) -> Counter[Kind]:
        return Counter(change.kind for group in self.groups for change in group.changes)

    @property
    def sentence(self) -> str:
        """What changed, in one sentence."""
        counts, n = self.counts, sum(self.counts.values())
        if not n:
            return "The two have no number in common."
        beyond = sum(counts[kind] for kind in BEYOND)
        parts = [f"{counts[kind]} {kind}" for kind in ("better", "worse") if counts[kind]]
        changed = sum(bool(change.verdicts) for group in self.groups for change in group.changes)
        verdicts = f"; {counted(changed, 'verdict')} changed" if changed else ""
        if not beyond:
            return f"None of {counted(n, 'number')} changed beyond its interval{verdicts}."
        split = f": {' and '.join(parts)}" if parts else ""
        return f"{beyond} of {counted(n, 'number')} changed beyond the intervals{split}{verdicts}."


def load(name: str, root: Path) -> Comparison:
    """The comparison that a name stands for; `root` is the project's folder.

    name      a file; a folder with compare.json or metrics/compare.json; a suite in results/; a revision of git, or
              revision:path
    raises    Fault where it is none of these, or not whole
    """
    place = root / name
    for path in (place, place / "compare.json", place / Comparison.PATH, root / "results" / name / "compare.json"):
        if path.is_file():
            return Comparison.load(path)
    revision, _, path = name.partition(":")
    command = ["git", "-C", str(root), "show", f"{revision}:./{path or Comparison.PATH}"]
    try:
        shown = subprocess.run(command, capture_output=True, check=False)
    except OSError:  # no git
        shown = None
    if shown is None or shown.returncode:
        raise Fault(f"{name}: no file, no folder with compare.json, no suite in results/, no revision that has one")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "compare.json"
        copy.write_bytes(shown.stdout)
        try:
            return Comparison.load(copy)
        except Fault as fault:
            raise Fault(str(fault).replace(str(copy), name)) from None


def compare(a: Comparison, b: Comparison, names: tuple[str, str]) -> Diff:
    """The numbers that both have: of the same data set, test clips, method (by title) and protocol."""
    groups, protocols, clips = [], [], []
    for key, dataset in a.datasets.items():
        other = b.datasets.get(key)
        for name in ordered(dataset.groups, ()):
            if other is None or name not in other.groups:
                continue
            if not _same_clips(dataset.groups[name], other.groups[name]):
                clips.append(f"{dataset.title}, {dataset.groups[name].title}")
                continue
            before, after, changes = dataset.groups[name].metrics, other.groups[name].metrics, []
            runs = {title: (run, _run(b, key, title)) for run, title in _titles(a, key).items()}
            for label in (label for label in before if label in after):
                old, new = before[label], after[label]
                if old.protocol != new.protocol:
                    if old.rows and new.rows:
                        protocols.append(f"{dataset.title}, {dataset.groups[name].title}: {old.title}")
                    continue
                for title, (first, second) in runs.items():
                    if first in old.rows and second in new.rows:
                        rows = old.rows[first], new.rows[second]
                        changes.append(Change(title, new, *rows, _kind(*rows, new)))
            changes.sort(key=lambda change: (list(KINDS).index(change.kind), not change.metric.primary))
            groups.append(GroupDiff(f"{other.title}, {other.groups[name].title}", changes))
    only = {name: _parts(one) - _parts(two) for name, one, two in ((names[0], a, b), (names[1], b, a))}
    return Diff(*names, groups, {name: sorted(parts) for name, parts in only.items() if parts}, protocols, clips)


def _same_clips(a: ComparedGroup, b: ComparedGroup) -> bool:
    """Whether two groups have the same clips: their names, and the scores of the real video itself.

    Data may change under the same names; then the real video scores otherwise, by more than a CPU's rounding.
    """
    pairs = [(a.metrics[label], b.metrics[label]) for label in a.metrics if label in b.metrics]
    reals = [(x.real.value, y.real.value) for x, y in pairs if x.protocol == y.protocol and x.real and y.real]
    return a.clips == b.clips and all(math.isclose(x, y, rel_tol=1e-3, abs_tol=1e-9) for x, y in reals)


def _titles(comparison: Comparison, dataset: str) -> dict[str, str]:
    return {run: info.title for run, info in comparison.runs.items() if info.dataset == dataset}


def _run(comparison: Comparison, dataset: str, title: str) -> str | None:
    return next((run for run, one in _titles(comparison, dataset).items() if one == title), None)


def _parts(comparison: Comparison) -> set[str]:
    """What it has: "Freedoom, maps never trained on", "Freedoom: vid2vid"."""
    return {
        f"{dataset.title}{part}"
        for key, dataset in comparison.datasets.items()
        for part in (
            *(f", {group.title}" for group in dataset.groups.values()),
            *(f": {title}" for title in _titles(comparison, key).values()),
        )
    }


def _kind(before: Row, after: Row, metric: ComparedMetric) -> Kind:
    """A change is beyond the intervals where it exceeds the root of the sum of both squared half-widths."""
    change = after.value - before.value
    if not change:
        return "same"
    if before.low is None or before.high is None or after.low is None or after.high is None:
        return "no interval"
    if abs(change) <= math.hypot((before.high - before.low) / 2, (after.high - after.low) / 2):
        return "within"
    gain = float(cost(before.value, metric.better) - cost(after.value, metric.better))
    return "moved" if not gain else "better" if gain > 0 else "worse"


def in_words(diff: Diff) -> str:
    """The changes beyond the intervals as lines of text."""
    lines = [f"{diff.a} -> {diff.b}", diff.sentence]
    for group in diff.groups:
        rows = [
            (
                change.method,
                change.metric.title,
                f"{number(change.before.value, change.decimals)} -> {number(change.after.value, change.decimals)}",
                change.kind + (f"; verdict {' -> '.join(change.verdicts)}" if change.verdicts else ""),
            )
            for change in group.beyond
        ]
        if rows:
            widths = [max(map(len, column)) for column in zip(*rows)]
            lines += ["", group.title]
            lines += ["  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    lines += ["", *(f"only in {name}: {'; '.join(parts)}" for name, parts in diff.only.items())] if diff.only else []
    if diff.clips:
        lines.append(f"of other test clips, so not compared: {'; '.join(diff.clips)}")
    if diff.protocols:
        lines.append(f"measured in another way, so not compared: {'; '.join(diff.protocols)}")
    return "\n".join(lines)


def write(a: str, b: str, root: Path) -> tuple[Path, str]:
    """Write reports/diff.html on two comparisons, named as `load` takes them; returns its path, and the words."""
    diff, style = compare(load(a, root), load(b, root), (a, b)), style_sheet()
    page = environment().get_template("diff.html.j2").render(diff=diff, kinds=KINDS, style=style, csp=policy(style))
    path = Path(root) / "reports" / "diff.html"
    write_whole(path, page.encode())
    return path, in_words(diff)
