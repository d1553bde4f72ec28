"""Per-clip scores and feature rows, kept by content: an interrupted run goes on, and nothing is scored twice."""

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from v2vbench.closure import digests
from v2vbench.download import weights
from v2vbench.files import write_whole
from v2vbench.parallel import side_by_side
from v2vbench.params import Fault
from v2vbench.progress import progress
from v2vbench.runner.digests import scoring
from v2vbench.scoring.videos import Videos
from v2vbench.stages._scorer import ClipScores, Scorer
from v2vbench.stages.evaluate import AT_ONCE

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Scored:
    """What one generated clip scores."""

    scores: ClipScores
    failures: dict[str, str]  # {label: why the metric has no value on this clip}


class ClipScorer:
    """Scores generated clips against the real ones of the same names, or makes the feature rows of clips alone.

    scorer    of the real side, whose store is a Videos; it keeps no rows on disk itself
    cache     folder of results under the hash of what they depend on; None: nothing is kept
    """

    def __init__(self, scorer: Scorer, cache: Path | None):
        self.scorer, self.cache, params = scorer, cache, scorer.params
        files, values = scoring(params, [metric.label for metric in scorer.present])
        needed = {name for metric in scorer.present for name in metric.weights}
        needed |= {name for extractor in scorer.rows.extractors.values() for name in extractor.weights}
        origin = [
            digests([*files, "scoring/clip_scores.py", "scoring/videos.py"]),
            values,
            {name: weights.sha256(name) for name in sorted(needed)},
            params.protocol.skip_frames,
            torch.__version__,
        ]
        self.origin = json.dumps(origin, sort_keys=True)

    def against_real(self, fakes: dict[str, Videos], what: str) -> dict[str, list[Scored]]:
        """{run: what each clip scores}, in the order of the clips; clips side by side, as many as memory allows."""

        def score(clip: str) -> dict[str, Scored]:
            return self._clip(clip, fakes)

        clips = list(self.scorer.store.clips)
        scored = side_by_side(score, clips, self._at_once(1 + len(fakes)))
        by_clip = [copied(of_runs) for of_runs in progress(scored, what, unit="clip", total=len(clips))]
        return {run: [of_runs[run] for of_runs in by_clip] for run in fakes}

    def rows_alone(self, store: Videos, what: str) -> list[Arrays]:
        """{line of features: rows} of every clip of one side."""

        def rows(clip: str) -> Arrays:
            known = self._known_rows(store, clip)
            return known if known is not None else self._rows(store, clip, self._frames(store, clip))

        made = side_by_side(rows, store.clips, self._at_once(1))
        return [copied(rows) for rows in progress(made, what, unit="clip", total=len(store.clips))]

    def _at_once(self, n_sides: int) -> int:
        store = self.scorer.store
        longest = max(clip["n_frames"] for clip in store.clips.values())
        return max(1, AT_ONCE // (n_sides * longest * store.facts.size[0] * store.facts.size[1] * 3))

    def _frames(self, store: Videos, clip: str) -> np.ndarray:
        kind = store.side.kind
        return store.read(clip, self.scorer.params.protocol.skip_frames, None, [kind])[kind]

    def _clip(self, clip: str, fakes: dict[str, Videos]) -> dict[str, Scored]:
        """{run: what its clip scores}; the real side is computed once for all runs, and not at all if all are known."""
        scorer, real, where = self.scorer, self.scorer.store, f"clip {clip}"
        assert isinstance(real, Videos)
        known = {run: found for run, store in fakes.items() if (found := self._known(clip, store)) is not None}
        if missing := {run: store for run, store in fakes.items() if run not in known}:
            arrays = scorer.read(clip)
            side = scorer.real_side(arrays, where)
            self._write(self._key("rows", real, clip), side.rows)
            first = None  # what the real video scores is the same beside each
            for run, store in missing.items():
                failures: dict[str, str] = {}
                shown, name = arrays | {"fake": self._frames(store, clip)}, f"{where} of {store.side.title}"
                scores = scorer.score(shown, name, real=first is None, keep=False, side=side, failures=failures)
                first = first or scores
                scores = replace(scores, real=first.real, floor=first.floor)
                known[run] = Scored(scores, {label: _cause(label, name, said) for label, said in failures.items()})
                self._write(self._key("rows", store, clip), scores.fake_rows)
                self._write(self._key("scores", store, clip), _packed(known[run]))
        return {run: known[run] for run in fakes}

    def _known(self, clip: str, store: Videos) -> Scored | None:
        """What was kept of a generated clip; None where a part of it is missing."""
        real = self.scorer.store
        assert isinstance(real, Videos)
        packed = self._read(self._key("scores", store, clip))
        rows = [self._known_rows(side, clip) for side in (store, real)]
        if packed is None or rows[0] is None or rows[1] is None:
            return None
        parts = {field: {} for field in ("fake", "real", "floor")}
        try:
            failures = json.loads(str(packed["failures"]))
            for name, array in packed.items():
                field, _, label = name.partition("/")
                if label:
                    parts[field][label] = array
        except (KeyError, ValueError):  # not what was written: made anew
            return None
        return Scored(ClipScores(**parts, fake_rows=rows[0], real_rows=rows[1]), failures)

    def _known_rows(self, store: Videos, clip: str) -> Arrays | None:
        rows = self._read(self._key("rows", store, clip))
        return rows if rows is not None and set(rows) == {kind.label for kind in self.scorer.rows.kinds} else None

    def _rows(self, store: Videos, clip: str, frames: np.ndarray) -> Arrays:
        rows = self.scorer.rows_of(frames, False, f"clip {clip} of {store.side.title}")
        self._write(self._key("rows", store, clip), rows)
        return rows

    def kept(self, kind: str, content: list) -> Path | None:
        """Where a result of all real clips is kept, named by a hash of them and of `content`."""
        if self.cache is None:
            return None
        real = [str(self._key("rows", self.scorer.store, clip)) for clip in self.scorer.store.clips]  # pyright: ignore[reportArgumentType]
        clusters = [clip["cluster"] for clip in self.scorer.store.clips.values()]
        code = digests(["stages/calibrate.py"])
        what = json.dumps([self.origin, real, clusters, list(self.scorer.store.clips), code, content], sort_keys=True)
        return self.cache / kind / f"{hashlib.sha256(what.encode()).hexdigest()}.json"

    def _key(self, kind: str, store: Videos, clip: str) -> Path | None:
        """Named by a hash of all that determines the content: the file and how it is read, metrics, weights, code.

        Scores depend on the real clip and its flow as well.
        """
        if self.cache is None:
            return None
        stores, facts = [store], self.scorer.store.facts
        if kind == "scores":
            stores.append(self.scorer.store)  # pyright: ignore[reportArgumentType] - a Videos
        sources = []
        for one in stores:
            entry = one.side.clips[clip]
            sources.append([entry.sha256, entry.start, entry.n_frames, one.side.fps, one.size, one.side.kind])
        content = json.dumps([kind, sources, facts.flow if kind == "scores" else None])
        digest = hashlib.sha256(f"{self.origin}{content}".encode()).hexdigest()
        return self.cache / kind / digest[:2] / f"{digest}.npz"

    def _read(self, path: Path | None) -> Arrays | None:
        """What was kept; None where there is nothing, or a file that was cut short: its content is made anew."""
        if path is None or not path.is_file():
            return None
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile):
            return None

    def _write(self, path: Path | None, arrays: Arrays) -> None:
        if path is not None:
            buffer = io.BytesIO()
            np.savez(buffer, **arrays)  # pyright: ignore[reportArgumentType]
            try:
                write_whole(path, buffer.getvalue())
            except OSError as error:
                cure = "--cache FOLDER names another place, --cache none keeps nothing"
                raise Fault(f"{self.cache}: {error.strerror or error}; {cure}") from error


def copied(value: Any) -> Any:
    """Results of a thread, copied by the one that keeps them.

    Between the large arrays that a thread makes and frees for each clip, small ones that stay would hold the heap of
    that thread apart: its memory would grow by the pixels of every clip.
    """
    if isinstance(value, np.ndarray):
        return np.array(value)
    if isinstance(value, dict):
        return {key: copied(one) for key, one in value.items()}
    if isinstance(value, Scored | ClipScores):
        return type(value)(**{key: copied(one) for key, one in vars(value).items()})
    return value


def _cause(label: str, name: str, said: str) -> str:
    """Why a metric has no value on a clip, without the clip's name: it is kept for equal clips of other names."""
    for start in (f"metrics.{label}: ", f"the real {name}: ", f"{name}: "):
        said = said.removeprefix(start)
    return said


def _packed(scored: Scored) -> Arrays:
    """Scores of single clips as arrays with one name each."""
    parts = {field: getattr(scored.scores, field) for field in ("fake", "real", "floor")}
    arrays = {f"{field}/{label}": values for field, some in parts.items() for label, values in some.items()}
    return arrays | {"failures": np.array(json.dumps(scored.failures))}
