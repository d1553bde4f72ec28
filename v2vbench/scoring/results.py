"""What `score` returns: typed results, tables and players of them, and the files that `--out` asks for."""

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from IPython.display import HTML

from v2vbench.display import compare as display
from v2vbench.display.video import Tile, player
from v2vbench.params import Params, choose
from v2vbench.results.comparison import ComparedGroup, Comparison
from v2vbench.results.record import write_csv
from v2vbench.results.runs import RunScores
from v2vbench.scoring.pairing import Sides
from v2vbench.scoring.settings import DATASET, GROUP, PLAYERS_BY
from v2vbench.scoring.videos import Videos
from v2vbench.statistics.cost import cost

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Scores:
    """Videos, scored.

    comparison    values with intervals, verdicts and sentences: what metrics/compare.json of a project is
    runs          {key of a method: its scores, those of single clips among them}
    params        the metrics and the protocol
    sides         the clips that were read, and what was left out
    """

    comparison: Comparison
    runs: dict[str, RunScores]
    params: Params
    sides: Sides
    real: Videos
    fakes: dict[str, Videos]
    options: tuple[str, ...]  # of the command that makes these scores again

    @property
    def group(self) -> ComparedGroup:
        """The one group of clips."""
        return self.comparison.datasets[DATASET].groups[GROUP]

    def frame(self) -> "pd.DataFrame":
        """A row a metric and method: metric, run, value, low, high, verdict, p."""
        return self.comparison.frame().drop(columns=["dataset", "group"])

    def clips(self) -> "pd.DataFrame":
        """A row a clip that was read: side, clip, cluster, frames, size, codec, what is lost, sha256, notes; then the
        values of the metrics of single clips."""
        import pandas as pd

        rows = []
        for side, key in zip(self.sides.all, (None, *self.runs)):
            values = {} if key is None else self._per_clip(key)
            for number, clip in enumerate(side.clips.values()):
                row = {
                    "side": side.title,
                    "clip": clip.name,
                    "cluster": clip.cluster,
                    "frames": clip.n_frames,
                    "width": clip.size[1],
                    "height": clip.size[0],
                    "codec": clip.codec,
                    "lossy": clip.lossy,
                    "sha256": clip.sha256,
                    "notes": "; ".join(clip.notes),
                }
                rows.append(row | {label: some[number] for label, some in values.items()})
        return pd.DataFrame(rows)

    def _per_clip(self, key: str) -> dict[str, list[float]]:
        scores = self.runs[key].groups[GROUP].scores
        return {label: score.fake.per_clip for label, score in scores.items() if score.fake and score.fake.per_clip}

    def table(self) -> HTML:
        """Every metric of every method: value, interval, * for the best, and verdict against the first method."""
        return display.scores(self.comparison, DATASET, GROUP)

    def middle(self) -> str:
        """The clip in the middle between the worst and the best, by PSNR; of unpaired sides the first real one."""
        values = [some[PLAYERS_BY] for key in self.runs if PLAYERS_BY in (some := self._per_clip(key))]
        names = list(self.real.clips)
        if self.sides.unpaired or not values:
            return names[0]
        costs = cost([sum(some) for some in zip(*values)], "higher")
        return names[sorted(range(len(names)), key=lambda i: costs[i])[len(names) // 2]]

    def player(self, clip: str | None = None) -> HTML:
        """A clip of every side, side by side and frame for frame; None: the one in the middle.

        raises    Fault for an unknown clip, and for one that only some sides have
        """
        name = self.middle() if clip is None else clip
        choose(self.real.clips, name, "player")
        tiles = [Tile("real", self.real.read(name, arrays=["real"])["real"])]
        for key, store in self.fakes.items():
            other = name if not self.sides.unpaired else next(iter(store.clips))
            tiles.append(Tile(self.runs[key].title, self.real.as_wide(store.read(other, arrays=["fake"])["fake"])))
        about = " and other clips, which are not paired" if self.sides.unpaired else ""
        return player(tiles, self.real.facts.fps, f"{self.sides.real.title}, clip {name}{about}")

    def _repr_html_(self) -> str:
        """Conclusions, the table and one player, for notebooks."""
        texts = " ".join(sentence.text for sentence in self.group.sentences if not sentence.detail)
        warnings = "".join(f"<p>{escape(note)}</p>" for note in self.warnings())
        parts = (self.table().data, self.player().data)
        return f"<p><b>{escape(texts)}</b></p>{warnings}{''.join(str(part) for part in parts)}"

    def warnings(self) -> list[str]:
        """What a reader must know: what is not paired, cut or left out, and which files are lossy."""
        lines = [f"Only distances between sets: {self.sides.unpaired}."] if self.sides.unpaired else []
        alike: dict[str, list[str]] = {}  # {what is lost: sides}
        for side in self.sides.all:
            if lossy := [clip.lossy for clip in side.clips.values() if clip.lossy]:
                share = "all" if len(lossy) == len(side.clips) else f"{len(lossy)} of {len(side.clips)}"
                words = f"{share} clips are from lossy files ({', '.join(sorted(set(lossy)))})"
                alike.setdefault(words, []).append(side.title)
        for words, titles in alike.items():
            lines.append(f"{', '.join(titles)}: {words}, and what compression did to them is scored with them.")
        return [*lines, *(f"{note}." for note in self.sides.notes)]

    def save(self, folder: str | Path) -> Path:
        """Write scores.json, scores.csv, clips.csv and the page; returns the path of index.html.

        folder    an empty or a new one, or one with earlier results
        raises    Fault
        """
        from v2vbench.scoring.arguments import target
        from v2vbench.scoring.page import write_page

        folder = target(folder) or Path()
        self.comparison.save(folder / "scores.json")
        write_csv(folder / "scores.csv", self.frame())
        write_csv(folder / "clips.csv", self.clips())
        return write_page(self, folder)
