"""The files of a study: its key, which says what stood behind each file name, and the votes that were read."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Annotated, ClassVar, Literal

from v2vbench.files import rounded
from v2vbench.results.record import Record

Question = Literal["look", "motion", "fit"]
Choice = Literal["left", "right", "neither", "failed"]  # failed: a video did not load, and the pair was skipped
ANSWERS, VOTES = "v2vbench/answers/1", "v2vbench/votes/1"
OUTCOMES = {"a": 1.0, "b": 0.0, "neither": 0.5}  # of VoteLine.answer: what it is worth for a


@dataclass(frozen=True, kw_only=True)
class Rules:
    """Which raters are left out, fixed before anyone is asked."""

    failed_catches: Annotated[int, "trials with a damaged video, at most, in which the real one was not chosen"]
    hurried_ms: Annotated[int, "a rater whose median time after the first whole loop is shorter did not look"]
    one_side: Annotated[float, "share of the left or of the right among the answers that chose a side, at most"]
    answered: Annotated[float, "share of the trials that must be answered, at least"]


@dataclass(frozen=True, kw_only=True)
class StudyVideo:
    """One video file of the page."""

    clip: Annotated[str, "of the data set"]
    shows: Annotated[str, "a run; or real, frozen, blurred (real frames, damaged), source"]
    sha256: Annotated[str | None, "of a run: sha256 of the clip in the run's store; null for the others"]
    file_sha256: Annotated[str, "of the video file"]
    ms: Annotated[int, "length of one loop, milliseconds"]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Two videos of one clip, side by side."""

    kind: Annotated[Literal["vote", "catch", "repeat"], "catch: real against damaged; repeat: an earlier vote again"]
    clip: Annotated[str, "of the data set"]
    left: Annotated[str, "name of a video, without .mp4"]
    right: Annotated[str, "name of another"]
    source: Annotated[str | None, "name of the video of the source, which stands between them; null where none does"]


@dataclass(frozen=True, kw_only=True)
class Study(Record):
    """studies/<id>.json: the key of one study. It never leaves the lab before the last answer is in."""

    SCHEMA: ClassVar[str] = "v2vbench/study/1"
    PATH: ClassVar[str] = "studies/{}.json"

    id: Annotated[str, "16 hexadecimal digits of the sha256 of all that is below"]
    dataset: Annotated[str, "its key"]
    group: Annotated[str, "of test clips, its key"]
    question: Annotated[Question, "what is asked"]
    asked: Annotated[str, "the question in words, as on the page"]
    simulated: Annotated[bool, "a rehearsal: its answers are never counted as people's"]
    runs: Annotated[list[str], "what is compared"]
    seed: Annotated[int, "of names, order and sides"]
    rules: Annotated[Rules, "which raters are left out"]
    videos: Annotated[dict[str, StudyVideo], "by name of the file, without .mp4"]
    raters: Annotated[dict[str, list[Trial]], "by number of the rater, 01 and so on: the trials in order"]


def identify(study: Study) -> str:
    """The id of a study: 16 hexadecimal digits of the sha256 of everything else in it."""
    content = {name: value for name, value in asdict(study).items() if name != "id"}
    return hashlib.sha256(json.dumps(rounded(content), sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class ReadStudy:
    """What is known of one study whose votes are in a file."""

    question: Annotated[Question, "what was asked"]
    asked: Annotated[str, "in words"]
    group: Annotated[str, "of test clips"]
    runs: Annotated[list[str], "what was compared"]
    simulated: Annotated[bool, "no person answered"]
    n_raters: Annotated[int, "whose votes are in the file"]
    excluded: Annotated[dict[str, int], "by reason: raters who were left out"]
    refused: Annotated[dict[str, int], "by reason: answers or files that were not counted"]
    left_out: Annotated[dict[str, str], "by number: raters who were left out, and why"] = field(default_factory=dict)
    sessions: Annotated[dict[str, tuple[int, str]], "by number: answers of the session that counts, and its digest"] = (
        field(default_factory=dict)
    )
    refused_in: Annotated[dict[str, dict[str, int]], "by sha256 of a file of answers: what was not counted in it"] = (
        field(default_factory=dict)
    )


@dataclass(frozen=True, kw_only=True)
class VoteLine:
    """One answer of one rater; a line of votes/<dataset>.jsonl."""

    study: Annotated[str, "id"]
    question: Annotated[Question, "what was asked"]
    group: Annotated[str, "of test clips"]
    rater: Annotated[str, "pseudonym: study and number"]
    clip: Annotated[str, "of the data set"]
    a: Annotated[str, "a run"]
    b: Annotated[str, "another; a < b"]
    answer: Annotated[Literal["a", "b", "neither"], "which was preferred"]
    left: Annotated[str, "the run that stood on the left"]
    repeat: Annotated[bool, "an earlier vote of the same rater again: it tells consistency, and is no vote"]
    sha256: Annotated[dict[str, str], "by run: sha256 of the clip that was shown, as in the run's store"]
    ms: Annotated[int, "milliseconds from the first frame to the answer"]
    loops: Annotated[int, "whole loops that were seen"]
    simulated: Annotated[bool, "no person answered"]


@dataclass(frozen=True, kw_only=True)
class VoteFile:
    """votes/<dataset>.jsonl: a first line {"schema", "dataset", "studies"}, then a vote a line."""

    dataset: str
    studies: dict[str, ReadStudy]  # by id
    votes: list[VoteLine]
