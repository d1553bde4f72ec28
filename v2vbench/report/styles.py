"""The videos of one line of `styles`: all its styles side by side, and an edit beside what it was made from."""

from dataclasses import dataclass
from pathlib import Path

from v2vbench.display.palette import colour, legend
from v2vbench.report.inputs import Inputs
from v2vbench.report.settings import Settings
from v2vbench.report.videos import Tile, Video, make_video


@dataclass(frozen=True)
class Edit:
    """A clip whose source was edited."""

    seed: int
    swap: dict[str, str]  # labels, and what they are shown as
    changed: float  # share of the pixels, 0 to 1

    @property
    def words(self) -> str:
        """ "wall shown as door, 3.96 %"."""
        swaps = [f"{old} shown as {new}" for old, new in self.swap.items()]
        return ", ".join([*swaps, f"{100 * self.changed:.3g} %"])


@dataclass(frozen=True)
class StyleVideo:
    """All styles, or one edit."""

    video: Video
    edit: Edit | None


@dataclass(frozen=True)
class StylesSection:
    """One line of `styles`."""

    title: str
    dataset: str
    legend: list[tuple[str, tuple]]
    run: str
    method: str
    clip: str
    seeds: list[int]
    n_given: int  # first frames that are real ones
    videos: list[StyleVideo]


def styles_section(inputs: Inputs, settings: Settings, key: str, media: Path) -> StylesSection:
    """Line `key`; its videos are written to `media`."""
    line, made = inputs.params.styles[key], inputs.restyled[key]
    store, variants = inputs.stores[line.dataset], list(made.clips.values())
    clip, run, n_given, facts = variants[0]["of"], variants[0]["run"], variants[0]["given"], store.facts
    arrays = store.read(clip, arrays=["real", "label"])
    source, real = Tile("source", None, colour(arrays, facts), 0), Tile("real", None, arrays["real"], 0)
    fakes = {name: made.read(name, arrays=["fake"])["fake"] for name in made.clips}
    styles = {v["seed"]: Tile(f"seed {v['seed']}", None, fakes[v["id"]], n_given) for v in variants if not v["swap"]}
    tiles = [source, real, *styles.values()]
    videos = [StyleVideo(make_video(tiles, clip, facts, settings, media, f"{key}-seeds"), None)]
    for variant in (v for v in variants if v["swap"]):
        edited = colour(made.read(variant["id"], arrays=["label"]), facts)
        tiles = [
            source,
            Tile("edited source", None, edited, 0),
            styles[variant["seed"]],
            Tile("edited", None, fakes[variant["id"]], n_given),
        ]
        video = make_video(tiles, clip, facts, settings, media, f"{key}-edited")
        videos.append(StyleVideo(video, Edit(variant["seed"], variant["swap"], variant["changed"])))
    return StylesSection(
        title=line.title,
        dataset=facts.title,
        legend=legend(facts),
        run=run,
        method=inputs.params.runs[run].title,
        clip=clip,
        seeds=list(styles),
        n_given=n_given,
        videos=videos,
    )
