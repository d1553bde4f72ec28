"""What 07_compare shows: the runs of each test group side by side."""

from html import escape
from pathlib import Path
from typing import get_args

import numpy as np
from IPython.display import HTML

from v2vbench.clips.store import Store
from v2vbench.display.table import DIRECTIONS, table
from v2vbench.display.video import clip_player
from v2vbench.people.records import Question
from v2vbench.results.comparison import ComparedGroup, Comparison, People, Row, VotePair
from v2vbench.results.runs import RunScores
from v2vbench.statistics.cost import cost
from v2vbench.statistics.sentences import likeness_in_words

SIGNS = {"better": "▲", "worse": "▼", "not distinguishable": "≈"}


def player(result: Comparison, root: Path, dataset: str, group: str) -> HTML:
    """The clip in the middle between the worst and the best, as every method made it."""
    runs = {run: result.runs[run].title for run in _runs(result, dataset)}
    fakes = {title: Store(root / "runs" / run / "clips.zip") for run, title in runs.items()}
    clip, about = _middle(result, root, dataset, group)
    return clip_player(Store(root / "data" / f"{dataset}.zip"), fakes, clip, about)


def _middle(result: Comparison, root: Path, dataset: str, group: str) -> tuple[str, str]:
    """The middle clip by its mean over the runs, and by what: the first metric, primary ones before others, that
    scores single clips of every run."""
    scores = [RunScores.load(RunScores.path(root, run)).groups[group].scores for run in _runs(result, dataset)]
    compared = result.datasets[dataset].groups[group]
    for label in sorted(compared.metrics, key=lambda label: not compared.metrics[label].primary):
        values = [run[label].fake for run in scores if label in run]
        per_clip = [value.per_clip for value in values if value and value.per_clip]
        if len(per_clip) == len(scores) and len(compared.clips) > 1:
            metric = compared.metrics[label]
            order = np.argsort(cost(np.mean(per_clip, 0), metric.better), kind="stable")
            place = len(order) // 2
            return compared.clips[order[place]], f", number {place + 1} of {len(order)} by {metric.title}"
    return compared.clips[0], ""


def conclusions(result: Comparison, dataset: str, group: str) -> HTML:
    """The main conclusions on one group."""
    compared = result.datasets[dataset].groups[group]
    texts = " ".join(sentence.text for sentence in compared.sentences if not sentence.detail)
    return HTML(f"<p><b>{escape(f'{result.datasets[dataset].title}, {compared.title}')}:</b> {escape(texts)}</p>")


def details(result: Comparison, dataset: str, group: str) -> HTML:
    """What the main conclusions leave out."""
    compared = result.datasets[dataset].groups[group]
    items = "".join(f"<li>{escape(sentence.text)}</li>" for sentence in compared.sentences if sentence.detail)
    about = f"{result.datasets[dataset].title}, {compared.title}"
    return HTML(f"<p><b>{escape(about)}</b></p><ul>{items}</ul>" if items else "")


def headline(result: Comparison, dataset: str, group: str) -> HTML:
    """The primary metrics alone, a column a run, without intervals: value, * for the best, verdict."""
    compared, rows = result.datasets[dataset].groups[group], []
    for metric in (metric for metric in compared.metrics.values() if metric.primary):
        row: dict[str, str | float | None] = {
            "metric": ", ".join(filter(None, (metric.title, metric.unit))),
            "better": DIRECTIONS[metric.better],
        }
        row |= {result.runs[run].title: _cell(metric.rows.get(run), span=False) for run in _runs(result, dataset)}
        rows.append(row | {"real video": metric.real.value if metric.real else None})
    about = f"{_clips(compared)}; * the best; against {result.runs[compared.reference].title}"
    return table(rows, f"{about}: ▲ better, ▼ worse, ≈ not distinguishable")


def scores(result: Comparison, dataset: str, group: str) -> HTML:
    """Every metric of runs, then of controls: value, interval, * for the best, and verdict against the first run."""
    compared = result.datasets[dataset].groups[group]
    rows = []
    for metric in compared.metrics.values():
        primary = " (primary)" if metric.primary else ""
        row: dict[str, str | float | None] = {
            "metric": ", ".join(filter(None, (metric.title, metric.unit))) + primary,
            "heading": metric.heading,
            "better": DIRECTIONS[metric.better],
        }
        row |= {result.runs[run].title: _cell(metric.rows.get(run)) for run in _runs(result, dataset)}
        row["real video"] = metric.real.value if metric.real else None
        row |= {control.title: _cell(metric.controls.get(key)) for key, control in compared.controls.items()}
        row["fooled by"] = ", ".join(compared.controls[key].title for key in metric.fooled_by) or None
        rows.append(row)
    rows = [
        {name: value for name, value in row.items() if any(other[name] is not None for other in rows)} for row in rows
    ]
    about = f"{result.datasets[dataset].title}, {compared.title}, {_clips(compared)}"
    n_tests = {name: family.n_tests for name, family in compared.families.items()}
    if n_tests["primary"] + n_tests["exploratory"]:
        about += (
            f"; against {result.runs[compared.reference].title}: ▲ better, ▼ worse, ≈ not distinguishable, at "
            f"{100 * compared.alpha:.2g} % over the {n_tests['primary']} tests of the primary metrics"
        )
    if n_tests["exploratory"]:
        about += f", and over the {n_tests['exploratory']} of the others, which are exploratory"
    return table(rows, about)


def _clips(compared: ComparedGroup) -> str:
    """ "12 clips", "24 clips of 12 maps"."""
    clips = f"{compared.n_clips} clips" if compared.n_clips > 1 else "1 clip"
    if compared.cluster == "clip":
        return clips
    return f"{clips} of {compared.n_clusters} {compared.cluster}{'s' * (compared.n_clusters > 1)}"


def _runs(result: Comparison, dataset: str) -> list[str]:
    return [run for run, info in result.runs.items() if info.dataset == dataset]


def _cell(row: Row | None, span: bool = True) -> str | None:
    if row is None:
        return None
    interval = "" if row.low is None or not span else f" ({row.low:.3g} to {row.high:.3g})"
    sign = f" {SIGNS[row.verdict.word]}" if row.verdict else ""
    return f"{row.value:.4g}{interval}{' *' * row.best}{sign}"


def equivalents(result: Comparison, dataset: str, group: str) -> HTML:
    """Each run's scores as levels of damage to the real video."""
    rows = []
    for metric in result.datasets[dataset].groups[group].metrics.values():
        words = {run: likeness_in_words(row.equivalent) for run, row in metric.rows.items() if row.equivalent}
        if words:
            titles = {result.runs[run].title: words.get(run) for run in _runs(result, dataset)}
            rows.append({"metric": metric.title, "sees": metric.sees} | titles)
    return table(rows, "Scores as damage") if rows else HTML("<p>No ladder fits any of the metrics.</p>")


def votes(result: Comparison, dataset: str, group: str) -> HTML | str:
    """For each pair of runs what people said, where they were asked; then the share of clips by the voting metrics."""
    compared = result.datasets[dataset].groups[group]
    preference = compared.preference
    asked = [_asked(result, said) for said in _in_order(preference.people)]
    rows = [_pair(result, pair) | {"clips": pair.share.n_clips} for pair in preference.pairs]
    if rows:
        voters = [compared.metrics[label].title for label in preference.labels]
        verb = "prefers" if len(voters) == 1 else "together prefer"
        shown = table(rows, f"Share of clips on which {' and '.join(voters)} {verb} the first")
    else:
        nothing = f"No votes: {preference.reason or 'there is only one run'}."
        if not asked:
            return nothing
        shown = HTML(f"<p>{escape(nothing)}</p>")
    return HTML("".join(str(one.data) for one in (*asked, shown))) if asked else shown


def _in_order(people: dict[str, People]) -> list[People]:
    """The question of the paper first."""
    return [people[question] for question in get_args(Question) if question in people]


def _asked(result: Comparison, said: People) -> HTML:
    """The shares of one question."""
    who = "Simulated raters, no person answered" if said.simulated else "People asked"
    rows = [_pair(result, pair) | {"votes": pair.share.n_votes} for pair in said.pairs]
    return table(rows, f"{who}: “{said.asked}” Share of the votes of {said.n_raters} raters for the first")


def _pair(result: Comparison, pair: VotePair) -> dict[str, str | float | None]:
    return {
        "run": result.runs[pair.a].title,
        "against": result.runs[pair.b].title,
        "share": pair.share.value,
        "low": pair.share.low,
        "high": pair.share.high,
    }


def paper(result: Comparison) -> HTML:
    """The paper's comparisons, and ours beside them."""
    rows = [
        {
            "table": entry.table,
            "what": entry.what,
            "methods": " / ".join(entry.methods),
            "published": " / ".join(f"{value:g}" for value in entry.published.values()) or None,
            "published ratio": entry.published_ratio,
            "here": f"{entry.dataset}, {entry.group}",
            "our ratio": entry.ratio and f"{entry.ratio.value:.3g} ({entry.ratio.low:.3g} to {entry.ratio.high:.3g})",
            "which leads": entry.agrees,
            "absent": entry.absent,
        }
        for entry in result.published
    ]
    return table(rows, "Tables 1 to 3 of the paper, and ours") if rows else HTML("<p>No benchmark data set.</p>")
