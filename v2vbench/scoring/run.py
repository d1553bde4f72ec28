"""From videos to scores: what `v2vbench score` does."""

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pooch
import psutil

from v2vbench.clips.store import EXACT
from v2vbench.metrics import Metric
from v2vbench.params import Fault, Params, brief
from v2vbench.progress import say
from v2vbench.results.calibration import CalibratedGroup
from v2vbench.results.comparison import ComparedDataset, Comparison
from v2vbench.results.metric import MetricInfo
from v2vbench.results.runs import RunInfo, RunScore, RunScores, ScoredGroup
from v2vbench.scoring import arguments, calibrations
from v2vbench.scoring.arguments import Fakes
from v2vbench.scoring.clip_scores import ClipScorer
from v2vbench.scoring.data import Flow, facts_of, with_motion
from v2vbench.scoring.pairing import MOST_BLOCKS, PART, Pairing, Sides, prepare
from v2vbench.scoring.results import Scores
from v2vbench.scoring.settings import DATASET, GROUP, impossible, settings, with_runs
from v2vbench.scoring.sides import Given, open_side
from v2vbench.scoring.videos import Videos
from v2vbench.stages import calibrate as calibration
from v2vbench.stages._scorer import Scorer
from v2vbench.stages._summaries import set_summary_of, summary
from v2vbench.stages.compare import compared_group
from v2vbench.statistics.blocks import blocks
from v2vbench.statistics.group_table import Inputs

MEMORY = 17  # times the pixels of a clip and its pair: what metrics need while they score it


def default_cache() -> Path:
    """The folder of what was scored before, in the user's cache folder; it may be deleted at any time."""
    return Path(pooch.os_cache("v2vbench")) / "score"


def score(
    real: Given,
    fake: Fakes,
    *,
    metrics: Iterable[str] | None = None,
    out: str | Path | None = None,
    size: tuple[int, int] | None = None,
    fps: float | None = None,
    skip: int = 0,
    max_frames: int | None = None,
    cut: int | None = None,
    pair: Pairing = "names",
    flow: Flow = "estimated",
    calibrate: bool = False,
    cache: str | Path | None = "default",
) -> Scores:
    """Score generated videos against real ones, with intervals, and verdicts against the first of several methods.

    real          a folder of videos or of folders of pictures, one video, a clip store, an array (N, T, H, W, 3) uint8,
                  or {name: array (T, H, W, 3)}
    fake          the same, or a list of paths, or {title: path}: a method each; the first is the one that the others
                  are compared with
    metrics       labels, which are then the primary ones; None: all
    out           folder for scores.json, scores.csv, clips.csv and the page index.html; None: nothing is written
    size          (H, W) px that all frames are cropped and resized to; None: as they are
    fps           frames a second to which video files are resampled by their time stamps; None: every frame
    skip          first frames of each clip that no metric sees, such as real ones that a method was given
    max_frames    first frames of each clip that are used
    cut           frames of the parts that every video is cut into; None: whole videos, but a single one in parts
    pair          names: each clip with the real one of its name, or, where no name is shared, two sets of clips alone;
                  common: those clips that all sides have; none: sets alone
    flow          motion of the real videos: estimated (OpenCV's DIS), raft, or given, by a clip store
    calibrate     also score real clips with known damage, and cheats: 16 videos in place of each clip
    cache         folder of what was scored before; None: nothing is kept
    raises        Fault, in one line, naming the file or the argument that is wrong
    """
    arguments.check(size=size, fps=fps, skip=skip, max_frames=max_frames, cut=cut, flow=flow, pair=pair, cache=cache)
    folder = default_cache() if cache == "default" else Path(cache) if cache not in (None, "none") else None
    generated, labels = arguments.generated(fake), arguments.labels(metrics)
    target = arguments.target(out, [real, *generated.values()])
    first = open_side(real, "real", arguments.title(real, "real"), fps=fps, cache=folder)
    others = [open_side(given, "fake", title, fps=fps, cache=folder) for title, given in generated.items()]
    sides = prepare(first, others, pairing=pair, cut=cut, max_frames=max_frames, skip=skip, resized=size is not None)
    params = settings(labels, skip=sides.skip, paired=not sides.unpaired)
    params = with_runs(params, arguments.keys([side.title for side in sides.fakes]))
    options = {
        "--metrics": labels,
        "--size": f"{size[1]}x{size[0]}" if size else None,
        "--fps": fps,
        "--skip": skip or None,
        "--max-frames": max_frames,
        "--cut": cut,
        "--pair": pair if pair != "names" else None,
        "--flow": flow if flow != "estimated" else None,
        "--calibrate": [] if calibrate else None,
    }
    scores = _Run(params, sides, size, fps, flow, folder, labels).scores(calibrate, arguments.words(options))
    if target:
        scores.save(target)
    return scores


class _Run:
    """What one call has at hand."""

    def __init__(
        self,
        params: Params,
        sides: Sides,
        size: tuple[int, int] | None,
        fps: float | None,
        flow: Flow,
        cache: Path | None,
        wanted: list[str] | None,
    ):
        self.params, self.sides, self._wanted = params, sides, wanted or []
        facts, estimator = facts_of(sides, size, fps), None
        if not sides.unpaired:
            facts, estimator = with_motion(sides.real, facts, size, flow)
        self.real = Videos(sides.real, facts, size, estimator)
        plain = replace(facts, flow="none")
        self.fakes = {key: Videos(side, plain, size, None) for key, side in zip(params.runs, sides.fakes)}
        skip = params.protocol.skip_frames
        shortest = min((clip for side in sides.all for clip in side.clips.values()), key=lambda clip: clip.n_frames)
        if shortest.n_frames - skip < 1:
            raise Fault(f"--skip {skip}: clip {brief(shortest.name)} has {shortest.n_frames} frames, so none is left")
        for side in sides.fakes:
            if given := [clip for clip in side.clips.values() if clip.n_given > skip]:
                n = max(clip.n_given for clip in given)
                raise Fault(f"{side.where}: clips begin with {n} real frames, which are not scored: --skip {n}")
        _check_memory(self.sides, facts.size)
        self.notes = impossible(
            params,
            unpaired=sides.unpaired,
            n_frames=shortest.n_frames - skip,
            shortest=brief(shortest.name),
            flow=estimator is not None or facts.flow == EXACT,
        )
        self.info = Scorer(params, DATASET, self.real).info
        usable = {label: line for label, line in params.metrics.items() if label not in self.notes}
        features = {(line or {}).get("features") for line in usable.values()}
        kept = {label: line for label, line in params.features.items() if label in features}
        self.scorer = Scorer(replace(params, metrics=usable, features=kept), DATASET, self.real)
        wanted = self._wanted or list(params.metrics)
        if not {metric.label for metric in self.scorer.present} & set(wanted):
            reasons = {label: self.info[label].absent or self.notes.get(label) for label in wanted}
            raise Fault(f"nothing that was asked for can be measured: {wanted[0]}: {reasons[wanted[0]]}")
        self.clip_scorer = ClipScorer(self.scorer, cache)

    def scores(self, calibrate: bool, options: tuple[str, ...]) -> Scores:
        if self.sides.unpaired:
            if calibrate:
                raise Fault(f"--calibrate: damages real clips in their place, and {self.sides.unpaired}")
            groups, info = self._of_sets(), self._unpaired_info()
        else:
            groups, info = self._of_clips(), self.info
        first = next(iter(groups.values()))
        calibrated = self._calibrated() if calibrate else _uncalibrated(first)
        titles = {key: run.title for key, run in self.params.runs.items()}
        facts = self.real.facts
        table, _ = compared_group(
            self.params,
            Inputs(scored=groups, metrics=info, calibration=calibrated, protocol=self.params.protocol),
            titles,
            facts.groups[GROUP],
            facts.cluster,
        )
        runs = {
            key: RunScores(
                run=key,
                title=title,
                dataset=DATASET,
                model="external",
                n_given=0,
                skip_frames=self.params.protocol.skip_frames,
                metrics=info,
                groups={GROUP: groups[key]},
            )
            for key, title in titles.items()
        }
        about = ComparedDataset(
            title=facts.title,
            about=facts.about,
            standing=facts.standing,
            fps=facts.fps,
            size=facts.size,
            groups={GROUP: table},
        )
        comparison = Comparison(
            confidence=self.params.protocol.confidence,
            runs={
                key: RunInfo(title=run.title, dataset=DATASET, model=run.model, n_given=0) for key, run in runs.items()
            },
            datasets={DATASET: about},
            published=[],
        )
        return Scores(
            comparison=comparison,
            runs=runs,
            params=self.params,
            sides=self.sides,
            real=self.real,
            fakes=self.fakes,
            options=options,
        )

    def _of_clips(self) -> dict[str, ScoredGroup]:
        """{run: its scores}, of pairs of clips."""
        clusters = self.scorer.clusters(GROUP)
        scored = self.clip_scorer.against_real(self.fakes, "score")
        failures: dict[str, list[str]] = {}
        for run, some in scored.items():
            for clip, one in zip(self.real.clips, some):
                for label, reason in one.failures.items():
                    where = f"clip {brief(clip)} of {self.params.runs[run].title}"
                    failures.setdefault(label, []).append(f"{where}: {reason}")
        for label, (first, *more) in failures.items():
            self.notes[label] = first + (f" (and {len(more)} more)" if more else "")
        groups, notes = {}, self.notes
        for run, some in scored.items():
            clips = [one.scores for one in some]

            def of(metric: Metric, clips: list = clips, run: str = run) -> RunScore:
                return summary(metric, clips, clusters, f"{self.params.runs[run].title}")

            groups[run] = self._group(list(self.real.clips), clusters, of, notes)
        return groups

    def _of_sets(self) -> dict[str, ScoredGroup]:
        """{run: its scores}, of two sets of clips that are not paired: jackknife over blocks of both."""
        stores = [self.real, *self.fakes.values()]
        clusters = [list(dict.fromkeys(clip["cluster"] for clip in store.clips.values())) for store in stores]
        at_most = min(MOST_BLOCKS, *map(len, clusters))
        rows = self.clip_scorer.rows_alone(self.real, f"rows of {self.real.side.title}")
        groups = {}
        for (run, store), names_of_fake in zip(self.fakes.items(), clusters[1:]):
            made = self.clip_scorer.rows_alone(store, f"rows of {store.side.title}")
            numbers = blocks(len(names_of_fake), len(clusters[0]), at_most)
            of_fake, of_real = (
                [f"block {owner[names.index(clip['cluster'])] + 1}" for clip in side.clips.values()]
                for side, names, owner in zip((store, self.real), (names_of_fake, clusters[0]), numbers)
            )

            def of(metric: Metric, made: list = made, a: list = of_fake, b: list = of_real, run: str = run) -> RunScore:
                kind = metric.settings["features"]
                parts = [clip[kind] for clip in made], [clip[kind] for clip in rows]
                return set_summary_of(metric, *parts, a, b, self.params.runs[run].title)

            names = list(dict.fromkeys(of_fake))
            groups[run] = self._group(names, names, of, self.notes)
        return groups

    def _group(self, clips: list[str], clusters: list[str], of, notes: dict[str, str]) -> ScoredGroup:
        """`of` a metric to its score, for all that can be computed; the others say in a note why they have none."""
        present = {metric.label: metric for metric in self.scorer.present}
        scores = {}
        for label in self.info:
            if label in present and label not in notes:
                scores[label] = of(present[label])
            else:
                note = None if self.info[label].absent else notes.get(label)
                scores[label] = RunScore(fake=None, real=None, floor=None, curve=None, drift=None, size=None, note=note)
        return ScoredGroup(
            clips=clips, clusters=clusters, n_frames=self.scorer.n_frames(GROUP), scores=scores, seeds={}
        )

    def _unpaired_info(self) -> dict[str, MetricInfo]:
        """Distances between unpaired sets have protocol ids of their own: other pairs of rows count."""
        return {
            label: replace(info, protocol=f"{info.protocol}:unpaired") if info.kind == "set" else info
            for label, info in self.info.items()
        }

    def _calibrated(self) -> CalibratedGroup:
        """Real clips with damage, and controls; without the metrics that have no value on these or on some control."""
        settings, left = calibration.resolve(self.params.calibration), dict(self.scorer.params.metrics)
        left = {label: line for label, line in left.items() if label not in self.notes}
        while True:
            scorer = Scorer(replace(self.scorer.params, metrics=left), DATASET, self.real)
            kept = self.clip_scorer.kept("calibration", [left, self.params.calibration])
            if known := calibrations.read(kept):
                return known
            try:
                result = calibration.calibrated_group(scorer, settings, GROUP, "calibrate")
            except Fault as fault:
                named = re.match(r"metrics\.([\w-]+): ", str(fault))
                if not named or named[1] not in left:
                    raise
                say(f"calibrate: without {named[1]}, which has no value on every control: {fault}")
                del left[named[1]]
                continue
            calibrations.write(kept, result)
            return result


def _uncalibrated(group: ScoredGroup) -> CalibratedGroup:
    """Nothing is known of what the metrics respond to."""
    return CalibratedGroup(
        clips=group.clips,
        clusters=group.clusters,
        n_frames=group.n_frames,
        ladders={},
        mild={},
        controls={},
        other_clip=None,
        preferred={},
        fooled={},
        responses={},
    )


def _check_memory(sides: Sides, size: tuple[int, int]) -> None:
    """Raises Fault where the longest clip does not fit into memory while it is scored."""
    longest = max((clip for side in sides.all for clip in side.clips.values()), key=lambda clip: clip.n_frames)
    needed = MEMORY * 2 * longest.n_frames * size[0] * size[1] * 3
    available = psutil.virtual_memory().available
    if needed > available:
        fitting = int(longest.n_frames * available / needed / 2)
        cut = f"--cut {fitting} scores it in parts, " if fitting >= PART[0] else ""
        raise Fault(
            f"clip {brief(longest.name)}: {longest.n_frames} frames of {size[1]} x {size[0]} px take about "
            f"{needed / 2**30:.1f} GiB to score, and {available / 2**30:.1f} are free: {cut}--size and --max-frames "
            "take less of it"
        )
