"""What published votes teach: metrics on the videos that were voted on, and a win model fitted to the votes."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from v2vbench import __version__
from v2vbench.download import weights
from v2vbench.metrics import Metric, resolve
from v2vbench.params import Fault, Params, bind, choose
from v2vbench.people.published import VotedPair, folders, named
from v2vbench.people.published.scores import Hashes, Key, Scored, frames_at_once, keys, scores
from v2vbench.progress import say
from v2vbench.results.comparison import Comparison
from v2vbench.results.metric import Better
from v2vbench.results.proxy import Proxy
from v2vbench.statistics.cost import cost
from v2vbench.statistics.ordered_pairs import OrderedPairs
from v2vbench.statistics.teachers import LEARNED_FROM, PUBLISHED
from v2vbench.statistics.win_probability import Teacher, WinSettings
from v2vbench.statistics.win_probability import learn as fit

MOST_FOLDS = 40  # of sources, left out in turn
MOST_FAILING = 0.01  # share of the videos on which a metric may have no value; with more it is left out
INPUTS = {"fake", "real"}  # what a published pair has of a clip


def learn(
    name: str, source: str, params: Params, root: Path, *, subsets: Sequence[str] = (), limit: int | None = None
) -> str:
    """Fit the win model to a published set of votes and write votes/learned/<name>.json.

    What was scored is kept in .cache/published, so that an interrupted call goes on.

    name       a file in v2vbench/people/published
    source     a folder, a URL, or `download`; see `published.folders`
    params     whose metrics of single clips are computed, and whose preference.win is how it is learned
    root       the project's folder
    subsets    parts of the set; none: all
    limit      pairs, at most, spread over the subsets: a quick try, which teaches no suite
    returns    what was written, in a sentence
    raises     Fault
    """
    if limit is not None and limit < 1:
        raise Fault(f"--limit {limit}: expected at least 1")
    votes, settings = named(name), bind(WinSettings, params.preference.get("win"), "preference.win")
    metrics, left_out = computable(params, root)
    teacher: Teacher = next(one for one in PUBLISHED if one == name)
    places, archives = folders(votes, source, Path(root))
    pairs = list(_chosen(votes, places, subsets, limit))
    if not pairs:
        raise Fault(f"{source}: has no pair that was voted on")
    hashes = Hashes()
    scored = scores(name, metrics, params, pairs, hashes, Path(root))
    used, failing = _used(metrics, scored)
    whole = [pair for pair in pairs if all(label in scored[key].values for key in keys(pair) for label in used)]
    if not used or not whole:
        why = next(iter((left_out | failing).values()), "params.yaml names none")
        raise Fault(f"{votes.TITLE}: no metric of single clips has values ({why})")
    models = []
    for labels in choices(used, Path(root)):
        ordered = ordered_pairs(whole, scored, {label: used[label] for label in labels}, LEARNED_FROM[teacher])
        models.append(fit(ordered, settings, params.protocol.confidence))
    if models[0] is None:
        raise Fault(f"{votes.TITLE}: no metric tells apart what was voted on in {len(whole)} pairs")
    needed = sorted({needed for metric in metrics if metric.label in used for needed in metric.weights})
    sizes = [scored[keys(pair)[0]].size for pair in whole]
    proxy = Proxy(
        name=name,
        title=votes.TITLE,
        licence=votes.LICENCE,
        citation=votes.CITATION,
        split=votes.SPLIT,
        source=", ".join(archives) or "folder",
        archives=archives,
        inputs_sha256=_inputs_sha256(pairs, hashes),
        subsets=_counts(pair.subset for pair in whole),
        limit=limit,
        n_pairs=len(whole),
        n_votes=float(sum(pair.votes for pair in whole)),
        n_sources=len({pair.source for pair in whole}),
        algorithms=sorted({one for pair in whole for one in pair.algorithms if one}),
        n_unscored=len(pairs) - len(whole),
        sizes=_counts(f"{height}x{width}" for height, width in sizes),
        n_frames={f"{height}x{width}": frames_at_once((height, width)) for height, width in sorted(set(sizes))},
        protocols={label: metric.about({})["protocol"] for label, metric in used.items()},
        left_out=left_out | failing,
        weights_sha256={needs: weights.sha256(needs) for needs in needed},
        version=__version__,
        models=[model for model in models if model is not None],
    )
    path = Proxy.path(root, name)
    proxy.save(path)
    tried = ": a quick try, which teaches no suite" if limit is not None else ""
    return f"{path}: learned from {len(whole)} pairs of {votes.TITLE}, {len(used)} metrics, {len(models)} fits{tried}"


def computable(params: Params, root: Path) -> tuple[list[Metric], dict[str, str]]:
    """The metrics of single clips that need no more than two videos, and {label: why not} of the others.

    raises    Fault with the path to the line
    """
    there, left_out = [], {}
    for metric in resolve(params.metrics, params.judges):
        if metric.kind != "clip":
            continue
        if metric.judge:
            left_out[metric.label] = "needs a network that was trained on the suite's own data"
        elif needs := [need for need in metric.inputs if need not in INPUTS]:
            left_out[metric.label] = f"needs {' and '.join(needs)}, which published pairs do not have"
        elif why := weights.why_unusable(metric.weights, root):
            left_out[metric.label] = why
        else:
            there.append(metric)
    return there, left_out


def choices(used: dict[str, Metric], root: Path) -> list[list[str]]:
    """Sets of metrics to fit, the largest first: which of them hold on a suite is not known before it is calibrated.

    All; those that need no pretrained weights; those of fidelity; and, where this project has been compared, those that
    predict on each of its groups. Each is fitted apart, since the weights of one are not those of another.

    root      the project's folder; metrics/compare.json is read where it is there
    """
    light = {label for label, metric in used.items() if not metric.weights}
    faithful = {label for label, metric in used.items() if metric.module.HEADING == "fidelity"}
    sets = [set(used), light, faithful, light & faithful]
    sets += [predict & set(used) for predict in _predicting(root)]
    ordered = [[label for label in used if label in some] for some in sets if some]
    return sorted((some for i, some in enumerate(ordered) if some not in ordered[:i]), key=len, reverse=True)


def _predicting(root: Path) -> list[set[str]]:
    """The metrics that predict on each group of this project, where it has been compared."""
    if not (path := Comparison.path(root)).is_file():
        return []
    try:
        datasets = Comparison.load(path).datasets.values()
    except Fault as fault:
        say(f"no fit of the metrics that predict in this project: {fault}")
        return []
    groups = [group for dataset in datasets for group in dataset.groups.values()]
    return [set(group.preference.win.model.better) for group in groups if group.preference.win]


def ordered_pairs(
    pairs: list[VotedPair], scored: dict[Key, Scored], used: dict[str, Metric], learned_from: str
) -> OrderedPairs:
    """Pairs to learn from: the outcome is the share of the votes for the first, the weight is their number.

    Left out in turn are sources, in at most MOST_FOLDS folds of neighbours, and algorithms: of each, all pairs that it
    is in.
    """
    better: dict[str, Better] = {label: metric.module.BETTER for label, metric in used.items()}

    def costs(side: int) -> np.ndarray:
        """(n, L), of the first or of the second of each pair."""
        values = [scored[keys(pair)[side]].values for pair in pairs]
        return np.stack([cost([one[label] for one in values], how) for label, how in better.items()], -1)

    sources = list(dict.fromkeys(pair.source for pair in pairs))
    n_folds = min(MOST_FOLDS, len(sources))
    folds = {one: i * n_folds // len(sources) for i, one in enumerate(sources)}
    fold = np.array([folds[pair.source] for pair in pairs])
    titles = {i: [one for one in sources if folds[one] == i] for i in range(n_folds)}
    algorithms = sorted({one for pair in pairs for one in pair.algorithms if one})
    return OrderedPairs(
        better=better,
        difference=costs(1) - costs(0),
        outcome=np.array([pair.votes_a / pair.votes for pair in pairs], float),
        clip=np.array([pair.reference.key for pair in pairs], str),
        cluster=np.array([pair.source for pair in pairs], str),
        weight=np.array([pair.votes for pair in pairs], float),
        adjacent=np.zeros(len(pairs), bool),
        left_out={
            "source": {" to ".join(dict.fromkeys((some[0], some[-1]))): fold == i for i, some in titles.items()},
            "algorithm": {one: np.array([one in pair.algorithms for pair in pairs]) for one in algorithms},
        },
        learned_from=learned_from,
    )


def _chosen(votes, places: list[Path], subsets: Sequence[str], limit: int | None) -> Iterator[VotedPair]:
    """The pairs of the subsets that are wanted; with a limit as many of each, at even distances."""
    there: dict[str, Path] = {}
    for place in places:
        for subset in votes.subsets(place):
            if subset in there:
                raise Fault(f"{place}: has subset {subset}, as {there[subset]}; give one of them")
            there[subset] = place
    for subset in subsets:
        choose(there, subset, "--subset")
    wanted = [subset for subset in there if not subsets or subset in subsets]
    for i, subset in enumerate(wanted):
        pairs = list(votes.pairs(there[subset], subset))
        if limit is not None:
            n = min(len(pairs), limit * (i + 1) // len(wanted) - limit * i // len(wanted))
            pairs = [pairs[j * len(pairs) // n] for j in range(n)]
        yield from pairs


def _counts(names: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return dict(sorted(counts.items()))


def _used(metrics: list[Metric], scored: dict[Key, Scored]) -> tuple[dict[str, Metric], dict[str, str]]:
    """{label: metric} of those with a value of nearly every video, and {label: why not} of the others."""
    used, failing = {}, {}
    for metric in metrics:
        reasons = [one.failures[metric.label] for one in scored.values() if metric.label in one.failures]
        if len(reasons) > MOST_FAILING * len(scored):
            failing[metric.label] = f"no value of {len(reasons)} of {len(scored)} videos or pictures: {reasons[0]}"
        else:
            used[metric.label] = metric
    return used, failing


def _inputs_sha256(pairs: list[VotedPair], hashes: Hashes) -> str:
    """Of all pairs, those without a value too: names, content and votes."""
    whole = hashlib.sha256()
    for pair in pairs:
        files = [[one.key, hashes(one)] for one in (pair.reference, pair.a, pair.b)]
        whole.update(json.dumps([pair.subset, files, pair.votes_a, pair.votes]).encode() + b"\n")
    return whole.hexdigest()
