"""votes/<dataset>.jsonl: the votes of people on a data set, and which of them are on the videos that are here now."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

from v2vbench.files import write_whole
from v2vbench.params import Fault, bind, brief
from v2vbench.people.records import OUTCOMES, VOTES, VoteFile, VoteLine
from v2vbench.statistics.bradley_terry import Vote

MEND = "bring the file back from git, or, while the videos are those shown, delete it and run `v2vbench study read`"
Clips = Mapping[str, Mapping[str, str]]  # {run: {clip: sha256 in the run's store}}


def path_of(root: Path, dataset: str) -> Path:
    return Path(root) / "votes" / f"{dataset}.jsonl"


def load(path: Path) -> VoteFile:
    """A file of votes, every field checked; raises Fault naming the file, the line, the field and what to do."""
    try:
        text = Path(path).read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise Fault(f"{path}: cannot be read ({error}); {MEND}") from None
    *lines, rest = text.split("\n")
    if rest or not lines:
        raise Fault(f"{path}: line {len(lines) + 1}: cut off; {MEND}")
    rows = [_row(line, f"{path}: line {number}") for number, line in enumerate(lines, 1)]
    head = rows[0]
    if head.get("schema") != VOTES:
        raise Fault(f"{path}: line 1.schema: {brief(head.get('schema'))}; this version of v2vbench reads {VOTES!r}")
    try:
        lines = [bind(VoteLine, row, f"{path}: line {number}") for number, row in enumerate(rows[1:], 2)]
        about = {name: value for name, value in head.items() if name != "schema"}
        file = bind(VoteFile, about, f"{path}: line 1", votes=lines)
        _check(file, path)
    except Fault as fault:
        raise Fault(f"{fault}; {MEND}") from None
    return file


def save(path: Path, file: VoteFile) -> None:
    """Write votes, whole or not at all: equal votes, equal bytes, in whatever order. Raises Fault as `load` does."""
    votes = sorted(file.votes, key=lambda vote: (vote.study, vote.rater, vote.clip, vote.repeat, _line(vote)))
    _check(VoteFile(dataset=file.dataset, studies=file.studies, votes=votes), path)
    studies = json.dumps({key: asdict(study) for key, study in file.studies.items()}, sort_keys=True)
    head = f'{{"schema": "{VOTES}", "dataset": {json.dumps(file.dataset)}, "studies": {studies}}}'
    write_whole(Path(path), "".join(f"{line}\n" for line in (head, *map(_line, votes))).encode())


def _line(vote: VoteLine) -> str:
    return json.dumps(asdict(vote) | {"sha256": dict(sorted(vote.sha256.items()))})


def changed(vote: VoteLine, clips: Clips) -> list[str]:
    """The runs whose present video is not the one that was shown: these do not inherit the vote.

    clips     of the runs that are here
    """
    return [run for run in (vote.a, vote.b) if clips.get(run, {}).get(vote.clip) != vote.sha256[run]]


def ballots(votes: Iterable[VoteLine], clusters: Mapping[str, str]) -> list[Vote]:
    """Votes as the ranking takes them; repeats are left out, since they are no votes.

    clusters   {clip: cluster}
    """
    return [
        Vote(
            clip=vote.clip,
            cluster=clusters[vote.clip],
            a=vote.a,
            b=vote.b,
            outcome=OUTCOMES[vote.answer],
            rater=vote.rater,
            source="simulated" if vote.simulated else "people",
            left=vote.left,
        )
        for vote in votes
        if not vote.repeat
    ]


def _row(line: str, where: str) -> dict:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise Fault(f"{where}: not JSON ({brief(str(error))}); {MEND}") from None
    if not isinstance(row, dict):
        raise Fault(f"{where}: {brief(row)} is no mapping; {MEND}")
    return row


def _check(file: VoteFile, path: Path) -> None:
    """Raise Fault where a vote does not fit its study, or stands there twice."""
    seen, raters = set(), {study: set() for study in file.studies}
    for number, vote in enumerate(file.votes, 2):
        where, study = f"{path}: line {number}", file.studies.get(vote.study)
        if study is None:
            raise Fault(f"{where}.study: {brief(vote.study)} is not among the studies of line 1")
        for name in ("question", "group", "simulated"):
            if getattr(vote, name) != getattr(study, name):
                raise Fault(f"{where}.{name}: {brief(getattr(vote, name))}, and the study has {getattr(study, name)!r}")
        if not vote.a < vote.b or {vote.a, vote.b} - set(study.runs):
            raise Fault(f"{where}: a {brief(vote.a)}, b {brief(vote.b)} are not two runs of the study, in order")
        if vote.left not in (vote.a, vote.b) or set(vote.sha256) != {vote.a, vote.b}:
            raise Fault(f"{where}: left and sha256 do not name the two runs")
        same = (vote.study, vote.rater, vote.clip)
        if not vote.repeat and same in seen:
            raise Fault(f"{where}: {brief(vote.rater)} votes on {brief(vote.clip)} a second time")
        seen |= set() if vote.repeat else {same}
        raters[vote.study].add(vote.rater)
    for key, study in file.studies.items():
        if study.n_raters != len(raters[key]):
            raise Fault(f"{path}: line 1.studies.{key}.n_raters: {study.n_raters}; the votes are of {len(raters[key])}")
