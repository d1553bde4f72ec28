"""The first screen: the answer in a sentence, a playing comparison, and the headline table."""

from dataclasses import dataclass
from pathlib import Path

from v2vbench.display.palette import colour
from v2vbench.report.answer import Answer, answer, place, rival
from v2vbench.report.charts import Method
from v2vbench.report.headline import HeadlineTable, headline_table
from v2vbench.report.inputs import Inputs, ordered
from v2vbench.report.players import place_name, ranked_clips
from v2vbench.report.settings import Settings
from v2vbench.report.videos import Tile, Video, make_mosaic


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
    comparison: Comparison
    table: HeadlineTable | None


def opening(inputs: Inputs, settings: Settings, media: Path) -> Opening:
    """About the last test group, the one farthest from training, of the first data set that ranks methods.

    The clip is the one in the middle of its group. Its video is written to `media`.
    """
    datasets = ordered(inputs.comparison.datasets, inputs.params.datasets)
    ranking = [name for name in datasets if inputs.comparison.datasets[name].standing == "benchmark"]
    dataset = (ranking or datasets)[0]
    compared, runs = inputs.comparison.datasets[dataset], inputs.runs_of(dataset)
    name = ordered(compared.groups, inputs.stores[dataset].facts.groups)[-1]
    group = compared.groups[name]
    other = rival(inputs, runs, group.reference)
    shown = [group.reference, *([other] if other else [])]
    return Opening(
        dataset=dataset,
        group=name,
        where=f"{compared.title}: {place(group)}",
        answer=answer(inputs, dataset, name, other),
        comparison=_comparison(inputs, settings, dataset, name, shown, media),
        table=headline_table(inputs, group, runs, shown, bool(ranking)),
    )


def _comparison(
    inputs: Inputs, settings: Settings, dataset: str, name: str, runs: list[str], media: Path
) -> Comparison:
    group, store = inputs.comparison.datasets[dataset].groups[name], inputs.stores[dataset]
    ranked = ranked_clips(inputs, settings, dataset, name)
    at = len(ranked) // 2
    clip = group.clips[ranked[at]]
    arrays, methods = store.read(clip), [inputs.comparison.runs[run].title for run in runs]
    tiles = [Tile("source", None, colour(arrays, store.facts), 0), Tile("real", None, arrays["real"], 0)]
    for run, title in zip(runs, methods):
        fake = inputs.fakes[run].read(clip, arrays=["fake"])["fake"]
        tiles.append(Tile(title, inputs.method_numbers[title], fake, 0))
    return Comparison(
        video=make_mosaic(tiles, clip, store.facts, settings, media, f"{dataset}-{name}-opening"),
        tiles=["source", "real video", *(Method(title, inputs.method_numbers[title]) for title in methods)],
        place=place_name(at, len(ranked)),
        by=group.metrics[settings.players_by].title,
    )
