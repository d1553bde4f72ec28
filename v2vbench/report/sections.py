"""What the page says of one data set and of one of its test groups: everything in metrics/ that is about it, ready to print."""

import hashlib

from v2vbench.report import calibration, charts, marks
from v2vbench.report import votes as preference
from v2vbench.report.drift import drift
from v2vbench.report.scores import scores, shown
from v2vbench.report.tables import Results, clusters, legend, ordered

FEW = 30  # clusters of clips: fewer are worth a word of caution
SEEN = 9  # panels of a figure that are seen at once; the others unfold


def dataset(results: Results, name: str) -> dict:
    """One data set's section."""
    about, store = results.compare["datasets"][name], results.stores[name]
    facts, train = store.facts, store.split("train")
    prints = "\n".join(f"{key} {clip['sha256']}" for key, clip in store.clips.items())
    return {
        "name": name,
        "title": about["title"],
        "about": about["about"],
        "sanity": about["standing"] == "sanity",
        "fps": facts.fps,
        "size": facts.size,
        "origin": facts.origin,
        "licence": facts.licence,
        "legend": legend(facts),
        "n_train": len(train),
        "n_test": len(store.clips) - len(train),
        "n_train_frames": sum(store.clips[clip]["n_frames"] for clip in train),
        "sha256": hashlib.sha256(prints.encode()).hexdigest(),
        "groups": [group(results, name, key) for key in ordered(about["groups"], facts.groups)],
    }


def group(results: Results, dataset: str, name: str) -> dict:
    """One test group of a data set: its table, charts, calibration, preferences and caveats; `players` is filled later."""
    compare, methods = results.compare, results.methods
    about, marked = compare["datasets"][dataset]["groups"][name], compare["datasets"][dataset]["standing"] != "sanity"
    labels = ordered(about["metrics"], results.params.metrics)
    present = {run for metric in about["metrics"].values() for run in metric["rows"]}
    runs = {run: compare["runs"][run]["title"] for run in ordered(present, results.params.runs)}
    lengths = [results.stores[dataset].clips[clip]["n_frames"] for clip in about["clips"]]
    table = scores(results, about, name, labels, runs, marked)
    titles = {label: about["metrics"][label]["title"] for label in labels}
    return {
        "name": name,
        "title": about["title"],
        "clips": about["clips"],
        "n_clips": about["n_clips"],
        "n_clusters": about["n_clusters"],
        "cluster": about["cluster"],
        "clusters": clusters(about),
        "n_frames": sum(lengths),
        "runs": runs,
        "players": [],
        "marks": marked,
        "titles": titles,
        "scores": table,
        "methods": [
            {"title": title, "method": methods[title], "first_frames": compare["runs"][run]["first_frames"]}
            for run, title in runs.items()
        ],
        "legend": [(title, methods[title]) for title in runs.values()],
        "panels": _fold([(row["heading"], _dots(row, runs, methods)) for _, rows in table["sections"] for row in rows]),
        "curves": _fold(_curves(results, name, shown(about, labels), runs, max(lengths))),
        "drift": drift(about, shown(about, labels), runs, marked),
        "calibration": calibration.board(about, labels, titles),
        "preference": preference.preference(results, about, runs),
        "caveats": _caveats(results, about, name, labels, next(iter(runs))),
    } | _sentences(results, dataset, name)


def _dots(row: dict, runs: dict, methods: dict):
    """One row of the score table as a chart."""
    shown = [
        (title, methods[title], {key: cell[key] for key in ("value", "low", "high")})
        for title, cell in zip(runs.values(), row["cells"])
    ]
    return charts.intervals(row["title"], shown, row["real"], row["better"], row["digits"])


def _fold(panels: list[tuple]) -> dict:
    """{"seen", "more"} of [(kind, panel)]: where there are too many, some of each kind are seen, the first of it."""
    kinds = {kind: [panel for own, panel in panels if own == kind] for kind, _ in panels}
    room = len(panels) if len(panels) <= SEEN else SEEN // len(kinds)
    return {
        "seen": [panel for own in kinds.values() for panel in own[:room]],
        "more": [panel for own in kinds.values() for panel in own[room:]],
    }


def _sentences(results: Results, dataset: str, name: str) -> dict[str, list[str]]:
    """A group's sentences: those that stand at the top, and the details, which unfold."""
    own = [
        sentence
        for sentence in results.compare["sentences"]
        if (sentence["dataset"], sentence["group"]) == (dataset, name)
    ]
    return {
        key: [sentence["text"] for sentence in own if sentence["detail"] is detail]
        for key, detail in (("sentences", False), ("more", True))
    }


def _curves(results: Results, name: str, labels: list, runs: dict, n_frames: int) -> list[tuple]:
    """[(kind, panel)] of the per-clip metrics over the frames of a clip. Those of pairs have one value less, and the same last."""
    panels = []
    for label in labels:
        series, metric = [], None
        for run, title in runs.items():
            scored = results.scores[run]["groups"][name]["metrics"].get(label)
            if scored and scored["kind"] == "clip" and scored["curve"]:
                series.append((title, results.methods[title], scored["curve"], None, None))
                metric = scored
        if metric:
            x = list(range(n_frames - len(metric["curve"]) + 1, n_frames + 1))
            panels.append(("clip", charts.lines(metric["title"], series, x=x, x_label="frame", y_label=metric["unit"])))
    return panels


def _caveats(results: Results, about: dict, name: str, labels: list, run: str) -> list[str]:
    """What the data themselves say against reading too much into them."""
    told = []
    if about["n_clusters"] == 1:
        told.append(f"There is one {about['cluster']} only, so no interval can be given and nothing can be told apart.")
    elif about["n_clusters"] < FEW:
        told.append(f"There are only {clusters(about)}: the intervals are themselves rough.")
    scored = results.scores[run]["groups"][name]["metrics"]
    sets = [scored[label] for label in labels if label in scored and scored[label]["kind"] == "set"]
    short = [
        f"{metric['title']} {metric['n']}"
        for metric in sets
        if marks.finite(metric["value"]) and metric["rank"] == metric["n"] - 1
    ]
    if short:
        told.append(
            f"The feature sets have fewer rows than features ({', '.join(short)}), so their covariances "
            "have no full rank: compare these distances along their row only, never with another set's."
        )
    return told
