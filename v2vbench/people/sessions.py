"""Who answered what: chains of checks followed through the files, doubles left out, one session for each rater.

Nothing depends on the order of the files.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from v2vbench.people.answers import Line, Refusal, Refused, is_next, own_check, read_file, refused, shown
from v2vbench.people.records import Study


@dataclass
class Read:
    """What files of answers hold; each line is in one of these exactly."""

    n_files: int = 0  # that could be read
    n_lines: int = 0  # in them
    raters: dict[tuple[str, str], list[Line]] = field(default_factory=dict)  # (study, number): answers, one a trial
    refused: list[Refused] = field(default_factory=list)
    again: list[Refused] = field(default_factory=list)  # copies of lines that are counted, or refused, elsewhere
    sha256: set[str] = field(default_factory=set)  # of the files


@dataclass
class _Copy:
    """Lines of one session in one file that follow each other from its beginning."""

    lines: list[Line]
    broken: Line | None = None  # the first line that does not follow
    doubles: list[Line] = field(default_factory=list)  # the same lines again
    texts: set[str] = field(default_factory=set)

    def add(self, line: Line) -> None:
        self.lines.append(line)
        self.texts.add(line.text)

    @property
    def counted(self) -> list[Line]:
        return [line for line in self.lines if line.answer]


def read_answers(paths: Iterable[Path], key: Callable[[str], Study]) -> Read:
    """The answers in files.

    A session whose checks do not follow each other is refused whole, in this file: somebody changed it, so none of it
    is known to be what the rater said. Lines that stand there twice count once. Of two sessions with the number of one
    rater the one with more answers stands.

    key       the key of a study by its id; raises Refusal where there is none
    """
    read, sessions = Read(), {}
    for path in sorted(paths):
        try:
            lines, wrong = read_file(path, key)
        except Refusal as why:
            read.refused.append(Refused(shown(path), None, 0, 0, 0, why.reason, why.detail, None))
            continue
        read.n_files, read.n_lines = read.n_files + 1, read.n_lines + len(lines)
        if lines[0].sha256 in read.sha256:
            read.again.append(refused(lines, Refusal("the same file again"), None))
            continue
        read.sha256.add(lines[0].sha256)
        read.refused += wrong
        for chain, copies in _copies(lines).items():
            for copy in copies:
                if copy.broken:
                    read.refused += _changed(copy)
                else:
                    sessions.setdefault(chain, []).append(copy)
    raters: dict[tuple[str, str], list[tuple[str, list[Line]]]] = {}
    for (study, rater, session), copies in sessions.items():
        if lines := _united(copies, read):
            raters.setdefault((study, rater), []).append((session, lines))
    for (study, rater), own in sorted(raters.items()):
        (session, lines), *others = sorted(own, key=lambda one: (-len(one[1]), one[0]))
        read.raters[study, rater] = lines
        why = Refusal("a second session of the rater", f"number {rater}: session {session} has more, and stands")
        for _, rest in others:
            read.refused += _by_file(rest, why)
    return read


def _copies(lines: list[Line]) -> dict[tuple[str, str, str], list[_Copy]]:
    """The lines of one file by session; files that were joined may hold several copies of one."""
    found: dict[tuple[str, str, str], list[_Copy]] = {}
    for line in lines:
        if line.chain is None:
            continue
        copies = found.setdefault(line.chain, [])
        copy = copies[-1] if copies else None
        if copy and not copy.broken and is_next(line, own_check(copy.lines[-1])):
            copy.add(line)
        elif copy is None or is_next(line, line.chain[0]):
            copies.append(_Copy([], None if is_next(line, line.chain[0]) else line))
            copies[-1].add(line)
        elif line.text in copy.texts:
            copy.doubles.append(line)
        else:
            copy.add(line)
            copy.broken = copy.broken or line
    return found


def _changed(copy: _Copy) -> list[Refused]:
    assert copy.broken and copy.broken.chain
    detail = f"the check of line {copy.broken.number} does not follow: it or the one before was changed, or is missing"
    lines = [line for line in (*copy.lines, *copy.doubles) if line.answer]
    return _by_file(lines, Refusal("changed after it was written", detail))


def _united(copies: list[_Copy], read: Read) -> list[Line]:
    """The answers of one session, of the copy that has the most; the lines of the others are the same, or refused."""
    best, *others = sorted(copies, key=_standing)
    trials, counted = set(), []
    for line in best.counted:
        assert line.answer
        if line.answer.trial in trials:
            read.refused += _by_file([line], Refusal("a second answer to a trial", "the first stands"))
        else:
            trials.add(line.answer.trial)
            counted.append(line)
    rest = [line for copy in others for line in copy.counted]
    doubles = [line for copy in copies for line in copy.doubles if line.answer]
    same = [line for line in (*rest, *doubles) if line.text in best.texts]
    other = [line for line in (*rest, *doubles) if line.text not in best.texts]
    read.again += _by_file(same, Refusal("the same answer again"))
    read.refused += _by_file(other, Refusal("another answer in the same session", "the copy with more answers stands"))
    return counted


def _standing(copy: _Copy) -> tuple:
    """First the copy with the most answers; of equal ones any, but always the same."""
    return -len(copy.counted), [line.text for line in copy.lines], copy.lines[0].sha256


def _by_file(lines: list[Line], why: Refusal) -> list[Refused]:
    """Lines of one study that are not counted, one entry a file."""
    files: dict[str, list[Line]] = {}
    for line in sorted(lines, key=lambda line: line.number):
        files.setdefault(line.file, []).append(line)
    return [refused(own, why, own[0].chain[0] if own[0].chain else None) for own in files.values()]
