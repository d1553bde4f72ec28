"""The videos of a test group's clips: which clips are shown, and the curves under each video."""

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markupsafe import Markup

from v2vbench.clips.motion import estimate
from v2vbench.clips.tensors import to_tensors
from v2vbench.display.palette import error_colours, flow_colours
from v2vbench.metrics import score_clip
from v2vbench.params import Fault, Params
from v2vbench.progress import progress
from v2vbench.report.charts import Curve, Method
from v2vbench.report.inputs import Inputs, ordered
from v2vbench.report.settings import Settings
from v2vbench.report.sparklines import strip
from v2vbench.report.svg import needs_log_scale
from v2vbench.report.videos import Tile, Video, heads, make_video
from v2vbench.results.metric import Better
from v2vbench.statistics.cost import cost


@dataclass(frozen=True)
class Player:
    """One clip's video, and a metric of each method by frame under it."""

    video: Video
    place: str  # among the clips of its group: "3rd best of 8"
    metric: str
    strip: Markup
    low: float  # limits of the curves
    high: float
    logarithmic: bool


@dataclass(frozen=True)
class Pick:
    """A clip that is shown."""

    position: int  # in the group's list of clips
    place: int  # from the worst, which is 0


def all_players(inputs: Inputs, settings: Settings, media: Path) -> dict[tuple[str, str], list[Player]]:
    """The players by (data set, group); their videos are written to `media`."""
    groups = [
        (dataset, group)
        for dataset in ordered(inputs.comparison.datasets, inputs.params.datasets)
        for group in ordered(inputs.comparison.datasets[dataset].groups, inputs.stores[dataset].facts.groups)
    ]
    wanted = [(*key, picked) for key in groups for picked in pick(*_scores(inputs, settings, *key), settings.players)]
    players: dict[tuple[str, str], list[Player]] = {key: [] for key in groups}
    for dataset, group, picked in progress(wanted, "report", unit="player"):
        players[dataset, group].append(_player(inputs, settings, dataset, group, picked, media))
    return players


def _scores(inputs: Inputs, settings: Settings, dataset: str, group: str) -> tuple[dict[str, list[float]], Better]:
    """{run: scores of a group's clips} by `players_by`, and which are better.

    raises    Fault where it is no per-clip metric of all runs
    """
    label, values, better = settings.players_by, {}, "lower"
    for run in inputs.runs_of(dataset):
        score = inputs.scores[run].groups[group].scores.get(label)
        if score is None or score.fake is None or not score.fake.per_clip:
            raise Fault(f"params.yaml: report.players_by: {label} has no per-clip scores of every run on {group}")
        values[run], better = score.fake.per_clip, inputs.scores[run].metrics[label].better
    return values, better


def ranked_clips(inputs: Inputs, settings: Settings, dataset: str, group: str) -> list[int]:
    """The positions of a group's clips, from the worst to the best by `players_by`."""
    values, better = _scores(inputs, settings, dataset, group)
    return rank(values, better)


def rank(values: dict[str, list[float]], better: Better) -> list[int]:
    """Positions of clips, from the worst to the best by their mean over the runs.

    values    {run: per-clip scores}
    """
    costs = cost(np.mean(list(values.values()), 0), better)
    return np.argsort(-costs, kind="stable").tolist()


def pick(values: dict[str, list[float]], better: Better, n: int) -> list[Pick]:
    """At most `n` clips, evenly from the best to the worst by their mean over the runs.

    values    {run: per-clip scores}
    """
    ranked = rank(values, better)
    places = np.linspace(len(ranked) - 1, 0, min(n, len(ranked))).round().astype(int)
    return [Pick(ranked[place], int(place)) for place in dict.fromkeys(places)]


def place_name(place: int, n_clips: int) -> str:
    """ "worst of 8", "3rd best of 8", "best of 8"."""
    if n_clips == 1:
        return "the only clip"
    nth = n_clips - place
    ending = "th" if nth % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(nth % 10, "th")
    return f"{'best' if nth == 1 else 'worst' if place == 0 else f'{nth}{ending} best'} of {n_clips}"


def _player(inputs: Inputs, settings: Settings, dataset: str, group: str, picked: Pick, media: Path) -> Player:
    store, compared = inputs.stores[dataset], inputs.comparison.datasets[dataset].groups[group]
    clip, label = compared.clips[picked.position], settings.players_by
    arrays, title = store.read(clip), compared.metrics[label].title
    tiles = heads(arrays, store.facts)
    n_heads, curves = len(tiles), []
    for run, method in inputs.runs_of(dataset).items():
        fakes, number = inputs.fakes[run], inputs.method_numbers[method]
        fake = fakes.read(clip, arrays=["fake"])["fake"]
        tiles.append(Tile(method, number, fake, fakes.clips[clip]["given"], error_colours(fake, arrays["real"])))
        curves.append(Curve(Method(method, number), _by_frame(inputs.params, label, arrays, fake, clip)))
    n_frames, values = len(arrays["real"]), [value for curve in curves for value in curve.values]
    return Player(
        video=make_video(
            tiles,
            clip,
            store.facts,
            settings,
            media,
            f"{dataset}-{group}-{clip}",
            _flows(tiles[n_heads - 1 :], arrays.get("flow")),
        ),
        place=place_name(picked.place, len(compared.clips)),
        metric=title,
        strip=strip(f"{title} by frame, clip {clip}", curves, n_frames, n_frames - len(curves[0].values)),
        low=min(values),
        high=max(values),
        logarithmic=needs_log_scale(values),
    )


def _flows(tiles: list[Tile], exact: np.ndarray | None) -> list[Tile]:
    """The motion of each tile's frames as estimated in them, on the real video's scale, from the second frame on.

    exact    the real video's flow where the data set has it, (T-1, H, W, 2); it is shown in place of the estimate
    """
    if len(tiles[0].frames) < 2:
        return []
    flows = [np.stack([estimate(*pair) for pair in itertools.pairwise(tile.frames)]) for tile in tiles]
    if exact is not None:
        flows[0] = exact
    full = float(np.percentile(np.hypot(flows[0][..., 0], flows[0][..., 1]), 99))
    return [
        Tile(
            f"motion, {tile.title}",
            tile.method,
            np.concatenate([np.full_like(tile.frames[:1], 255), flow_colours(_coarse(flow), full)]),
            0,
        )
        for tile, flow in zip(tiles, flows)
    ]


def _coarse(flow: np.ndarray) -> np.ndarray:
    """Flow at half its resolution and of its size, since single pixels of it are noise that takes room in a file."""
    height, width = (n - n % 2 for n in flow.shape[1:3])
    blocks = flow[:, :height, :width].astype(np.float32).reshape(len(flow), height // 2, 2, width // 2, 2, 2)
    coarse = blocks.mean((2, 4)).repeat(2, 1).repeat(2, 2)
    return np.pad(coarse, ((0, 0), (0, flow.shape[1] - height), (0, flow.shape[2] - width), (0, 0)), mode="edge")


def _by_frame(params: Params, label: str, arrays: dict, fake: np.ndarray, where: str) -> list[float]:
    """The per-clip metric `label` at each frame of one clip that is scored."""
    scored = {name: array[params.protocol.skip_frames :] for name, array in (arrays | {"fake": fake}).items()}
    return score_clip(to_tensors(scored), {label: params.metrics[label]}, where)[label].tolist()
