"""Which run is better, and by how much: tables, verdicts, votes and sentences from scores on the same clips."""

from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path

from v2vbench.clips.store import Facts, Store
from v2vbench.files import write_json
from v2vbench.metrics import applicable
from v2vbench.params import Fault, Params, bind
from v2vbench.results.calibration import CalibrationScores
from v2vbench.results.comparison import ComparedDataset, ComparedGroup, Comparison, PublishedEntry
from v2vbench.results.proxy import Proxy
from v2vbench.results.runs import RunInfo, RunScores
from v2vbench.stages._asked import asked_people
from v2vbench.statistics import people, preference, published, teachers
from v2vbench.statistics.group_table import Estimates, Inputs, of_group
from v2vbench.statistics.people import Asked
from v2vbench.statistics.sentences import SPELT_OUT, none_counts, sanity, write_sentences
from v2vbench.statistics.win_probability import Teacher


def compare(params: Params, root: Path) -> Comparison:
    """Compare the runs of each data set, a test group at a time.

    root      the project's folder; reads metrics/runs/<run>.json of every run, metrics/calibrate/<dataset>.json and
              data/<dataset>.zip; where people were asked, votes/<dataset>.jsonl and the runs' clips; and what published
              votes taught, votes/learned/<name>.json
    writes    metrics/compare.json; for `dvc metrics show`, metrics/summary/<group>/<run>.json with the run's values of
              the primary metrics
    raises    Fault naming the run without results, or two runs whose clips or protocols differ
    """
    results = {run: _scores(root, run, params) for run in params.runs}
    learned = teachers.proxies(root, bind(preference.PreferenceSettings, params.preference, "preference").win)
    datasets: dict[str, ComparedDataset] = {}
    entries: list[PublishedEntry] = []
    for dataset in params.datasets:
        runs = {run: result for run, result in results.items() if params.runs[run].dataset == dataset}
        if not runs:
            continue
        facts = Store(root / "data" / f"{dataset}.zip").facts
        calibration = CalibrationScores.load(CalibrationScores.path(root, dataset))
        about = ComparedDataset(
            title=facts.title, about=facts.about, standing=facts.standing, fps=facts.fps, size=facts.size, groups={}
        )
        groups = {}
        asked = asked_people(params, root, dataset, facts, list(runs))
        for group in facts.groups:
            votes = Votes(asked=asked.get(group), learned=learned)
            groups[group], beside = _group(params, about, dataset, group, facts, runs, calibration, votes)
            entries += beside
        datasets[dataset] = replace(about, groups=groups)
    result = Comparison(
        confidence=params.protocol.confidence,
        runs={
            run: RunInfo(title=scores.title, dataset=scores.dataset, model=scores.model, n_given=scores.n_given)
            for run, scores in results.items()
        },
        datasets=datasets,
        published=entries,
    )
    result.save(Comparison.path(root))
    for run, scores in results.items():
        for group, values in scores.summary(params.protocol.primary).items():
            write_json(root / "metrics" / "summary" / group / f"{run}.json", values)
    return result


@dataclass(frozen=True, kw_only=True)
class Votes:
    """The votes on one test group that no metric of this suite gave."""

    asked: Asked | None = None  # of people; None: nobody was asked
    learned: dict[Teacher, Proxy] = field(default_factory=dict)  # what published votes taught


def _group(
    params: Params,
    about: ComparedDataset,
    dataset: str,
    group: str,
    facts: Facts,
    runs: dict[str, RunScores],
    calibration: CalibrationScores,
    votes: Votes,
) -> tuple[ComparedGroup, list[PublishedEntry]]:
    """The comparison of one test group; for a benchmark data set, also beside the paper's results."""
    _check_same(runs, calibration, group)
    titles = {run: result.title for run, result in runs.items()}
    inputs = Inputs(
        scored={run: result.groups[group] for run, result in runs.items()},
        metrics=next(iter(runs.values())).metrics,
        calibration=calibration.groups[group],
        protocol=params.protocol,
    )
    table, raw = compared_group(params, inputs, titles, facts.groups[group], facts.cluster, votes)
    if facts.standing != "benchmark":
        return replace(table, sentences=sanity(about, table)), []
    beside = published.beside_the_paper(
        published.Group(dataset, group, table, raw, titles, params.protocol.confidence), published.SYNTHESIS
    )
    return table, beside


def compared_group(
    params: Params, inputs: Inputs, titles: dict[str, str], title: str, cluster: str, votes: Votes | None = None
) -> tuple[ComparedGroup, Estimates]:
    """One test group with votes and sentences, and {label: {run: Estimate}}.

    titles     {run: its method}
    title      of the group
    cluster    the word for one: map, video, person, clip
    votes      of people, and what published ones taught; None: neither
    """
    votes, confidence = votes or Votes(), params.protocol.confidence
    settings = bind(preference.PreferenceSettings, params.preference, "preference")
    by_metrics = preference.of_group(
        inputs.scored,
        inputs.metrics,
        titles,
        _pairs(titles),
        inputs.calibration,
        settings,
        confidence,
        votes=votes.asked.lines if votes.asked else [],
        learned=votes.learned,
    )
    said = {}
    if votes.asked:
        beside = people.Beside(scored=inputs.scored, metrics=inputs.metrics, titles=titles, voters=by_metrics.labels)
        said = people.of_group(
            votes.asked,
            beside,
            lambda lines: preference.validated(
                preference.Lesson(inputs.scored, inputs.metrics, inputs.calibration, lines, {}),
                settings.win,
                confidence,
            ),
            ridge=settings.ridge,
            confidence=confidence,
        )
    table, raw = of_group(inputs, title, cluster, replace(by_metrics, people=said))
    texts = write_sentences(table, raw, titles, confidence)
    if votes.asked and not said:
        for simulated in (False, True):
            refused, excluded = people.not_counted(votes.asked, simulated)
            if refused or excluded:
                texts.append(none_counts(refused, excluded, simulated))
    return replace(table, sentences=texts), raw


def _scores(root: Path, run: str, params: Params) -> RunScores:
    """The scores of a run; raises Fault if they are missing, or of other metrics or frames than in params.yaml."""
    path = RunScores.path(root, run)
    scores = RunScores.load(path)
    labels = {metric.label for metric in applicable(params, params.runs[run].dataset)}
    groups = [group.scores.keys() for group in scores.groups.values()]
    if scores.skip_frames != params.protocol.skip_frames or any(
        set(keys) != labels for keys in (scores.metrics, *groups)
    ):
        raise Fault(f"{path}: made with other metrics or skip_frames than params.yaml has; evaluate the run again")
    return scores


def _check_same(runs: dict[str, RunScores], calibration: CalibrationScores, group: str) -> None:
    """Check that all scores of a group have the same clips, clusters and protocol id; else they are not comparable.

    raises    Fault naming the metric and the two that differ: runs, or a run and the calibration
    """
    (first, scores), *others = runs.items()
    sides = [*others, ("the calibration", calibration)]
    for other, side in sides:
        if group not in side.groups:
            raise Fault(f"{other} has no group {group}, where {first} has one; make both again")
    for label, metric in scores.metrics.items():
        for other, side in sides:
            its_protocol = side.metrics[label].protocol if label in side.metrics else "none"
            for what, a, b in (
                ("clips", scores.groups[group].clips, side.groups[group].clips),
                ("clusters", scores.groups[group].clusters, side.groups[group].clusters),
                ("protocol", metric.protocol, its_protocol),
            ):
                if a != b:
                    raise Fault(
                        f"metrics.{label}: {first} and {other} differ in their {what} of group {group}, {a} and {b}; "
                        "make both again"
                    )


def _pairs(titles: dict[str, str]) -> list[tuple[str, str]]:
    """Pairs of runs that metrics vote on: all pairs, and the pairs that the paper has votes on.

    With more than SPELT_OUT + 1 runs, instead of all pairs those of the first run, the suite's main method.
    """
    runs = list(titles)
    pairs = [(a, b) for a, b in combinations(runs, 2) if len(runs) <= SPELT_OUT + 1 or a == runs[0]]
    for pair in published.published_pairs(titles):
        if pair not in pairs and pair[::-1] not in pairs:
            pairs.append(pair)
    return pairs
