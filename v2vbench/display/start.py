"""What 00_start shows: what is compared, its data, videos and verdicts; or a line that says what makes them."""

from dataclasses import replace
from html import escape
from pathlib import Path

from IPython.display import HTML, Image

from v2vbench.clips.store import Store
from v2vbench.display import compare
from v2vbench.display.data import clip
from v2vbench.display.table import table
from v2vbench.display.video import clip_player
from v2vbench.params import Fault, Params
from v2vbench.results.comparison import Comparison

MAKES = "<code>make repro</code> in a terminal makes it"


def suite(params: Params, root: Path) -> HTML:
    """What params.yaml compares on what, and how much of it is here."""
    rows = []
    for dataset in params.datasets:
        runs = {key: run.title for key, run in params.runs.items() if run.dataset == dataset}
        made = sum(_fakes(root, key).is_file() for key in runs)
        rows.append(
            {
                "data set": dataset,
                "its clips": "here" if _data(root, dataset).is_file() else "not made yet",
                "methods": ", ".join(runs.values()),
                "their videos": f"{made} of {len(runs)} made",
            }
        )
    return table(rows, f"Suite {params.suite}. {params.about}")


def data(params: Params, root: Path, n: int) -> Image | HTML:
    """The first test clip of the main data set at `n` times: frames, source, and the motion between them."""
    path = _data(root, main(params, root))
    if not path.is_file():
        return _line(f"{path.relative_to(root)} is not here yet: {MAKES}.")
    store = Store(path)
    return clip(store, _clip(store), n)


def videos(params: Params, root: Path) -> HTML:
    """The same clip as every method made it, side by side; what is not made yet is named."""
    dataset = main(params, root)
    runs = {key: run for key, run in params.runs.items() if run.dataset == dataset}
    here = {key: run.title for key, run in runs.items() if _fakes(root, key).is_file()}
    absent = [run.title for key, run in runs.items() if key not in here]
    note = _line(f"Videos of {', '.join(absent)} are not here yet: {MAKES}.") if absent else HTML("")
    if not here or not _data(root, dataset).is_file():
        return note if absent else _line(f"The clips of {dataset} are not here yet: {MAKES}.")
    store = Store(_data(root, dataset))
    fakes = {title: Store(_fakes(root, key)) for key, title in here.items()}
    return HTML(f"{clip_player(store, fakes, _clip(store)).data}{note.data}")


def verdicts(params: Params, root: Path) -> HTML:
    """The conclusions on each test group, and the primary metrics that they rest on."""
    path = Comparison.path(root)
    if not path.is_file():
        return _line(f"{path.relative_to(root)} is not here yet: {MAKES}.")
    try:
        result = Comparison.load(path)
    except Fault as fault:
        return _line(escape(str(fault)))
    if set(result.runs) != set(params.runs):
        return _line(f"metrics/compare.json is of other runs than params.yaml: {MAKES} anew.")
    result = replace(result, runs={key: result.runs[key] for key in params.runs})
    here = [dataset for dataset in params.datasets if dataset in result.datasets]
    shown = []
    for dataset in sorted(here, key=lambda dataset: result.datasets[dataset].standing != "benchmark"):
        for group in result.datasets[dataset].groups:
            shown.append(compare.conclusions(result, dataset, group).data)
            if result.datasets[dataset].standing == "benchmark":
                shown.append(compare.headline(result, dataset, group).data)
    return HTML("".join(shown))


def experiment(params: Params, root: Path, n: int) -> HTML:
    """The first `n` lines of the first run in params.yaml, and where they are."""
    key, lines = next(iter(params.runs)), (root / "params.yaml").read_text(encoding="utf-8").splitlines()
    section = next((i for i, line in enumerate(lines) if line.split("#")[0].rstrip() == "runs:"), 0)
    start = next(i for i, line in enumerate(lines) if i > section and line.startswith(f"  {key}:"))
    end = next((i for i in range(start + 1, len(lines)) if lines[i][:3].strip()), len(lines))
    text = [f"# params.yaml, lines {start + 1} to {end}", *lines[start : min(end, start + n)]]
    return HTML(f"<pre>{escape(chr(10).join(text + ['    ...'] * (end - start > n)))}</pre>")


def main(params: Params, root: Path) -> str:
    """The data set to show: the first benchmark that is here, else the first line of `datasets`."""
    here = [dataset for dataset in params.datasets if _data(root, dataset).is_file()]
    benchmarks = [dataset for dataset in here if Store(_data(root, dataset)).facts.standing == "benchmark"]
    return next(iter([*benchmarks, *here, *params.datasets]))


def _clip(store: Store) -> str:
    """The first clip of the last test group: that which training has seen least of."""
    group = [group for group in store.facts.groups if store.split(group)][-1]
    return store.split(group)[0]


def _data(root: Path, dataset: str) -> Path:
    return root / "data" / f"{dataset}.zip"


def _fakes(root: Path, run: str) -> Path:
    return root / "runs" / run / "clips.zip"


def _line(text: str) -> HTML:
    return HTML(f"<p>{text}</p>")
