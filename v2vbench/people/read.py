"""`v2vbench study read`: files of answers to votes/<dataset>.jsonl, with a count of everything that is left out.

The votes of a rater replace those that the file has of the same rater; votes of raters who are not read again stay. So
answers may be read one by one, as they come, and reading a file twice changes nothing.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

from v2vbench.clips.store import Store
from v2vbench.params import SLUG, Fault, brief
from v2vbench.people import exclusions, votes
from v2vbench.people.answers import Line, Refusal, Refused, refused
from v2vbench.people.read_table import StudyAnswers, table, why_nothing
from v2vbench.people.records import ReadStudy, Study, VoteFile, VoteLine, identify
from v2vbench.people.sessions import Read, read_answers


class NothingRead(Fault):
    """No answer could be counted; `table` says why, of each file and line."""

    def __init__(self, message: str, table: str):
        super().__init__(message)
        self.table = table


def read(paths: Iterable[Path], root: Path, dry: bool = False) -> str:
    """Read answers, leave out careless raters, and write votes/<dataset>.jsonl of each data set; returns what was read.

    Keys are read from studies/<id>.json; the videos that were shown must be those of runs/<run>/clips.zip now.

    dry       write nothing
    returns   a table of counts, and a line for everything that is not counted
    raises    NothingRead if no answer could be; Fault if votes/<dataset>.jsonl is damaged: it stays as it is
    """
    paths, root = list(paths), Path(root)
    key = cache(lambda study: find_key(root, study))

    def key_or_refusal(study: str) -> Study:
        found = key(study)
        if isinstance(found, Refusal):
            raise found
        return found

    found = read_answers(paths, key_or_refusal)
    studies: dict[str, StudyAnswers] = {}
    for study, _ in found.raters:
        studies.setdefault(study, StudyAnswers(key_or_refusal(study)))
    files: dict[str, VoteFile] = {}
    for dataset in sorted({one.study.dataset for one in studies.values()}):
        path = votes.path_of(root, dataset)
        files[dataset] = votes.load(path) if path.exists() else VoteFile(dataset=dataset, studies={}, votes=[])
        if files[dataset].dataset != dataset:
            raise Fault(f"{path}: line 1.dataset: {brief(files[dataset].dataset)}, not {dataset}; {votes.MEND}")
    for study, one in studies.items():
        _keep_earlier(found, study, files[one.study.dataset].studies.get(study))
    here = {study: _clips(root, one.study) for study, one in studies.items()}
    for (study, rater), lines in found.raters.items():
        clips, missing = here[study]
        found.refused += _take(studies[study], rater, lines, clips, missing, files[studies[study].study.dataset])
    merged = {dataset: _merged(file, dataset, studies, found) for dataset, file in files.items()}
    said = table(len(paths), found, studies, merged, root, dry)
    if not found.raters:
        raise NothingRead(why_nothing(len(paths), found), said)
    if not dry:
        for dataset, file in merged.items():
            votes.save(votes.path_of(root, dataset), file)
    return said


def _keep_earlier(found: Read, study: str, before: ReadStudy | None) -> None:
    """Refuse what is less than was read before of a rater: fewer answers of the session, or a session with fewer.

    So it does not matter whether files are read together or one after the other.
    """
    for rater, (n, now) in sessions_of(found, study).items():
        n_before, earlier = before.sessions.get(rater, (0, now)) if before else (0, now)
        if n < n_before or (n == n_before and now != earlier):
            other = "a second session of the rater" if now != earlier else "fewer answers than were read before"
            lines = found.raters.pop((study, rater))
            found.refused.append(refused(lines, Refusal(other, f"rater {rater}: {n_before} answers count"), study))


def find_key(root: Path, study: str) -> Study | Refusal:
    """The key of a study, or why there is none that can be trusted."""
    path = Study.path(root, study)
    if not path.is_file():
        return Refusal(
            "a study that is not of this project", f"no studies/{study}.json here; if it was deleted, bring it back"
        )
    try:
        found = Study.load(path)
    except Fault as fault:
        return Refusal("a study whose key is damaged", f"{str(fault).rpartition('; ')[0]}; bring it back")
    if found.id != study or identify(found) != study:
        return Refusal("a study whose key was changed", f"studies/{study}.json is not as it was made; bring it back")
    if not re.fullmatch(SLUG, found.dataset):
        return Refusal("a study whose key is damaged", f"studies/{study}.json: dataset: {brief(found.dataset)}")
    return found


def _clips(root: Path, study: Study) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """{run: {clip: sha256}} of the clips that the study shows, and {run: why it has none}."""
    clips, missing = {}, {}
    for run in study.runs:
        try:
            store = Store(root / "runs" / run / "clips.zip").clips
        except Fault as fault:
            missing[run] = str(fault)
            continue
        shown = {video.clip for video in study.videos.values() if video.shows == run}
        clips[run] = {clip: store[clip]["sha256"] for clip in sorted(shown) if clip in store}
    return clips, missing


def _take(
    answers: StudyAnswers,
    rater: str,
    lines: list[Line],
    clips: Mapping[str, Mapping[str, str]],
    missing: Mapping[str, str],
    file: VoteFile,
) -> list[Refused]:
    """Add a rater's votes to those of the study, and return what is not counted of them.

    A vote that is in the file already stays: its videos were these when it was read, and `compare` looks at them again.
    """
    study, not_counted = answers.study, {}
    why = exclusions.reason(study, rater, {line.answer.trial: line.answer for line in lines if line.answer})
    answers.left_out[rater] = why
    if why:
        answers.other["of raters who are left out"] += len(lines)
        return []
    for line in lines:
        vote = vote_of(study, line)
        if isinstance(vote, str):
            answers.other[vote] += 1
            continue
        changed = votes.changed(vote, clips)
        if changed and vote not in file.votes:
            not_counted.setdefault((line.file, changed[0]), []).append(line)
            continue
        answers.old += bool(changed)
        answers.votes.append(vote)

    def reason(run: str) -> Refusal:
        if run in missing:
            return Refusal(f"on videos of {run}, which is not here", missing[run])
        return Refusal(f"on videos of {run} that are no longer these")

    return [refused(own, reason(run), study.id) for (_, run), own in sorted(not_counted.items())]


def vote_of(study: Study, line: Line) -> VoteLine | str:
    """The vote that an answer is; or what it is instead."""
    answer = line.answer
    assert answer
    trial = study.raters[answer.rater][answer.trial]
    if answer.answer == "failed":
        return "skipped, since a video did not load"
    if trial.kind == "catch":
        return "catches"
    left, right = study.videos[trial.left], study.videos[trial.right]
    a, b = sorted((left, right), key=lambda video: video.shows)
    chosen = {"left": left, "right": right}.get(answer.answer)
    return VoteLine(
        study=study.id,
        question=study.question,
        group=study.group,
        rater=f"{study.id}-{answer.rater}",
        clip=trial.clip,
        a=a.shows,
        b=b.shows,
        answer="neither" if chosen is None else "a" if chosen is a else "b",
        left=left.shows,
        repeat=trial.kind == "repeat",
        sha256={video.shows: video.sha256 or "" for video in (a, b)},
        ms=answer.ms,
        loops=answer.loops,
        simulated=study.simulated,
    )


def sessions_of(found: Read, study: str) -> dict[str, tuple[int, str]]:
    """{number of the rater: (answers, digest of the session's id)} of what was read of a study."""
    own = {rater: lines for (key, rater), lines in found.raters.items() if key == study}
    ids = {rater: next(line.answer.session for line in lines if line.answer) for rater, lines in own.items()}
    return {rater: (len(own[rater]), hashlib.sha256(name.encode()).hexdigest()[:8]) for rater, name in ids.items()}


def _merged(file: VoteFile, dataset: str, studies: Mapping[str, StudyAnswers], found: Read) -> VoteFile:
    """The file with what was read: of raters who were read the new votes alone, of all others those it has."""
    about, kept = dict(file.studies), list(file.votes)
    for key, answers in studies.items():
        study, old = answers.study, file.studies.get(key)
        if study.dataset != dataset:
            continue
        raters = {f"{key}-{rater}" for rater in answers.left_out}
        kept = [vote for vote in kept if vote.rater not in raters] + answers.votes
        left_out = {rater: why for rater, why in old.left_out.items() if rater not in answers.left_out} if old else {}
        left_out |= {rater: why for rater, why in answers.left_out.items() if why}
        refused_in = {file: why for file, why in old.refused_in.items() if file not in found.sha256} if old else {}
        for one in found.refused:
            if one.study == key and one.sha256:
                counts = refused_in.setdefault(one.sha256, {})
                counts[one.reason] = counts.get(one.reason, 0) + one.n
        about[key] = ReadStudy(
            question=study.question,
            asked=study.asked,
            group=study.group,
            runs=study.runs,
            simulated=study.simulated,
            n_raters=len({vote.rater for vote in kept if vote.study == key}),
            excluded=dict(Counter(left_out.values())),
            refused=dict(sum(map(Counter, refused_in.values()), Counter())),
            left_out=left_out,
            sessions=(old.sessions if old else {}) | sessions_of(found, key),
            refused_in=refused_in,
        )
    return replace(file, studies=about, votes=kept)
