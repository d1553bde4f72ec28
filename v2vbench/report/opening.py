"""The first screen: the answer in a sentence, a playing comparison, and the headline table."""

from dataclasses import dataclass
from pathlib import Path

from v2vbench.display.palette import colour
from v2vbench.report.answer import Answer, answer, place, rival
from v2vbench.report.charts import Method
from v2vbench.report.future import of_clips
from v2vbench.report.headline import HeadlineTable, headline_table
from v2vbench.report.inputs import Inputs, ordered
from v2vbench.report.players import place_name, rank, ranked_clips
from v2vbench.report.settings import Settings
from v2vbench.report.videos import Tile, Video, heads, make_mosaic
from v2vbench.results.future import FutureScores


@dataclass(frozen=True)
class Comparison:
    """Videos in step: the source, the real frames, the reference, and another method where there is one."""

    video: Video
    tiles: list[Method | str]  # in the video from left to right, two a row
    place: str  # of its clip among the clips of the group
    by: str  # title of the metric that orders the clips


@dataclass(frozen=True)
class Opening:
    """The first screen."""

    dataset: str  # its key
    group: str  # its key
    where: str  # "Freedoom walks: 12 maps never trained on"
    answer: Answer
    comparison: Comparison | None  # None where clips are not paired
    table: HeadlineTable | None


def opening(inputs: Inputs, settings: Settings, media: Path) -> Opening:
    """About the last test group, the one farthest from training, of the first data set that ranks methods.

    Where there is only one run, and predictors are compared, it is about these. The clip is the one in the middle of
    its group. Its video is written to `media`.
    """
    datasets = ordered(inputs.comparison.datasets, inputs.params.datasets)
    ranking = [name for name in datasets if inputs.comparison.datasets[name].standing == "benchmark"]
    dataset = (ranking or datasets)[0]
    compared, runs = inputs.comparison.datasets[dataset], inputs.runs_of(dataset)
    name = ordered(compared.groups, inputs.stores[dataset].facts.groups)[-1]
    group = compared.groups[name]
    other = rival(inputs, runs, group.reference)
    if other is None and inputs.futures:
        return _of_future(inputs, settings, inputs.futures[0], media)
    shown = [group.reference, *([other] if other else [])]
    return Opening(
        dataset=dataset,
        group=name,
        where=f"{compared.title}: {place(group)}",
        answer=answer(inputs, dataset, name, other),
        comparison=None if inputs.is_unpaired else _comparison(inputs, settings, dataset, name, shown, media),
        table=headline_table(
            group,
            inputs.params.protocol.primary,
            {run: Method(title, inputs.method_numbers[title]) for run, title in runs.items()},
            shown,
            bool(ranking),
        ),
    )


def _of_future(inputs: Inputs, settings: Settings, future: FutureScores, media: Path) -> Opening:
    """About the predictors on one data set: the first one beside the next."""
    store, predictors = inputs.stores[future.dataset], list(inputs.params.predictors)
    name = ordered(future.groups, store.facts.groups)[-1]
    group, ranked = future.groups[name].table, store.facts.standing == "benchmark"
    titles = {key: one.title for key, one in future.of_sampling("deterministic").items() if not one.ceiling}
    methods = {key: Method(titles[key], predictors.index(key)) for key in ordered(titles, predictors)}
    others = [key for key in methods if key != group.reference]
    primary = inputs.params.futures[future.dataset].primary
    label, values = of_clips(future, future.groups[name], primary)
    order = rank(values, future.metrics[label].better) if label else list(range(len(group.clips)))
    at = len(order) // 2
    clip, shown = group.clips[order[at]], [group.reference, *others[:1]]
    arrays = store.read(clip, 0, future.n_past + future.n_future)
    tiles = [Tile("source", None, colour(arrays, store.facts), 0), Tile("real", None, arrays["real"], 0)]
    for key in shown:
        fake = inputs.predicted[future.dataset][key].read(clip, arrays=["fake"])["fake"]
        tiles.append(Tile(methods[key].title, methods[key].number, fake, 0))
    said = [sentence.text.removesuffix(".") for sentence in group.sentences if not sentence.detail]
    about_shown = [text for text in said if all(methods[key].title in text for key in shown)]
    claim = next(iter(about_shown + said), "Nothing is compared")
    ahead = f"{future.n_future} frames ahead, from {future.n_past}"
    return Opening(
        dataset=future.dataset,
        group=name,
        where=f"{future.title}, {ahead}: {place(group)}",
        answer=Answer(claim, "", ""),
        comparison=Comparison(
            video=make_mosaic(tiles, clip, store.facts, settings, media, f"{future.dataset}-{name}-opening"),
            tiles=["source", "real video", *(methods[key] for key in shown)],
            place=place_name(at, len(order)),
            by=future.metrics[label].title if label else "their order",
        ),
        table=headline_table(group, primary, methods, shown, ranked),
    )


def _comparison(
    inputs: Inputs, settings: Settings, dataset: str, name: str, runs: list[str], media: Path
) -> Comparison:
    group, store = inputs.comparison.datasets[dataset].groups[name], inputs.stores[dataset]
    ranked = ranked_clips(inputs, settings, dataset, name)
    at = len(ranked) // 2
    clip = group.clips[ranked[at]]
    arrays, methods = store.read(clip), [inputs.comparison.runs[run].title for run in runs]
    tiles = heads(arrays, store.facts)
    names = ["source", "real video"][-len(tiles) :]
    for run, title in zip(runs, methods):
        fake = inputs.fakes[run].read(clip, arrays=["fake"])["fake"]
        tiles.append(Tile(title, inputs.method_numbers[title], fake, 0))
    return Comparison(
        video=make_mosaic(tiles, clip, store.facts, settings, media, f"{dataset}-{name}-opening"),
        tiles=[*names, *(Method(title, inputs.method_numbers[title]) for title in methods)],
        place=place_name(at, len(ranked)),
        by=group.metrics[settings.players_by].title,
    )
