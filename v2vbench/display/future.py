"""What 05_future shows: how predictions get worse by frames ahead, who wins, and what they look like."""

from pathlib import Path
from typing import TYPE_CHECKING

from IPython.display import HTML, Image

from v2vbench.clips.store import Store
from v2vbench.display.palette import colour
from v2vbench.display.pictures import Line, curves, strip
from v2vbench.display.video import Tile, player
from v2vbench.results.future import SHOWN, FutureScores, Sampling

if TYPE_CHECKING:
    import pandas as pd

GUESS: tuple[Sampling, ...] = ("deterministic", "one sample")  # entries with one video a clip


def horizon(result: FutureScores, group: str) -> Image:
    """The metrics of one group by frames ahead, a line an entry with one video a clip, with intervals."""
    steps = range(1, result.n_future + 1)
    panels = {
        result.metrics[label].title: {
            result.entries[entry].title: Line(steps, curve.curve, curve.low, curve.high)
            for entry, curve in entries.items()
            if result.entries[entry].sampling in GUESS
        }
        for label, entries in result.groups[group].curves.items()
    }
    return curves(panels, "frames ahead", f"{result.title}, {group}: {result.n_past} frames seen")


def stores(result: FutureScores, root: Path) -> dict[str, Store]:
    """{title: predictions} of the entries with one video a clip."""
    folder, entries = root / "futures" / result.dataset, result.of_sampling(*GUESS).values()
    return {one.title: Store(folder / f"{one.predictor}.zip") for one in entries}


def winners(result: FutureScores, group: str) -> "pd.DataFrame":
    """Who is best how far ahead, a row a primary metric; in brackets who cannot be told from it, or how many."""
    import pandas as pd

    def sure(tied: list[str]) -> str:
        if not tied:
            return ", surely"
        return f" (≈ {result.entries[tied[0]].title if len(tied) == 1 else f'{len(tied)} others'})"

    rows = {
        result.metrics[label].title: {one.steps_ahead: result.entries[one.entry].title + sure(one.tied) for one in some}
        for label, some in result.groups[group].winners.items()
    }
    return pd.DataFrame(rows).T.rename_axis(columns="frames ahead")


def reach(result: FutureScores, group: str) -> "pd.DataFrame":
    """How far ahead each entry beats the held last frame with verdicts: "20 (from 3)"; a column a metric."""
    import pandas as pd

    columns = {}
    for label, some in result.groups[group].ahead.items():
        columns[result.metrics[label].title] = {
            result.entries[entry].title: "–" if one.last is None else f"{one.last} (from {one.first})"
            for entry, one in some.items()
        }
    return pd.DataFrame(columns).fillna("")


def future_player(store: Store, predictions: dict[str, Store], clip: str) -> HTML:
    """A clip as a player: the source, the real frames, and every prediction; frames of the past are marked.

    predictions    {title: store of predicted clips}
    """
    n_frames = max(other.clips[clip]["n_frames"] for other in predictions.values())
    names = [name for name in ("real", "label", "maps") if name in store.clips[clip]["arrays"]]
    arrays, n_past = store.read(clip, 0, n_frames, names), next(iter(predictions.values())).clips[clip]["given"]
    tiles = [Tile("real", arrays["real"], n_past)]
    if store.facts.source != "none":
        tiles.insert(0, Tile("source", colour(arrays, store.facts), n_past))
    for title, other in predictions.items():
        tiles.append(Tile(title, other.read(clip, arrays=["fake"])["fake"], n_past))
    return player(tiles, store.facts.fps, f"{store.facts.title}, clip {clip}")


def film(store: Store, predictions: dict[str, Store], clip: str) -> Image:
    """The last given frame of a clip and some frames ahead, a row the real video and each prediction."""
    real, n_past = store.read(clip, arrays=["real"])["real"], next(iter(predictions.values())).clips[clip]["given"]
    rows = {"real": real} | {title: other.read(clip, arrays=["fake"])["fake"] for title, other in predictions.items()}
    at, columns = moments(n_past, min(map(len, rows.values())))
    return strip({title: frames[at] for title, frames in rows.items()}, columns, f"{store.facts.title}, clip {clip}")


def moments(n_past: int, n_frames: int) -> tuple[list[int], list[str]]:
    """The frames that a strip shows, and what it calls them: the last given one, and some steps ahead."""
    steps = [step for step in SHOWN if n_past + step <= n_frames]
    return [n_past - 1, *(n_past - 1 + step for step in steps)], ["given", *(f"+{step}" for step in steps)]
