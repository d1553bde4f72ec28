"""What `v2vbench study read` prints: everything that was counted, and everything that was not, with its reason."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from v2vbench.people import exclusions, votes
from v2vbench.people.answers import Refused
from v2vbench.people.records import Study, VoteFile, VoteLine
from v2vbench.people.sessions import Read


@dataclass
class StudyAnswers:
    """What was read of one study."""

    study: Study
    left_out: dict[str, str | None] = field(default_factory=dict)  # by number of each rater: why, or None
    votes: list[VoteLine] = field(default_factory=list)
    old: int = 0  # of these, that are in the file already, and on videos that are not here now
    other: Counter = field(default_factory=Counter)  # answers that are no votes: catches, videos that did not load


def table(
    n_given: int,
    found: Read,
    studies: Mapping[str, StudyAnswers],
    merged: Mapping[str, VoteFile],
    root: Path,
    dry: bool,
) -> str:
    """Counts of files, lines, raters and votes, then a line for everything that is not counted.

    merged    the files of votes, by data set, as they are now; where `dry`, as they would be
    """
    n_refused, n_again = (sum(one.n for one in ones) for ones in (found.refused, found.again))
    rows = [
        f"{_count(n_given, 'file')}, {found.n_files} of them read: {_count(found.n_lines, 'line')}, "
        f"{n_refused} not counted, {n_again} that stand there twice"
    ]
    for key, one in sorted(studies.items()):
        study, out = one.study, Counter(filter(None, one.left_out.values()))
        n_repeats = sum(vote.repeat for vote in one.votes)
        who = ", SIMULATED raters" if study.simulated else ""
        rows += ["", f"study {key}: {study.dataset}, {study.group}, {study.question}{who}"]
        rows.append(f"  {len(one.left_out) - out.total()} of {len(one.left_out)} raters counted")
        rows += [f"  {n} left out: {why}" for why in exclusions.REASONS if (n := out[why])]
        rows.append(f"  {len(one.votes) - n_repeats} votes, {n_repeats} repeats")
        rows += [f"  {n} {what}" for what, n in sorted(one.other.items())]
        if one.old:
            rows.append(f"  {one.old} of the votes and repeats were read before, on videos that are not here now")
    for title, ones in (("not counted", found.refused), ("twice", found.again)):
        for reason, own in sorted(_by_reason(ones).items()):
            n = sum(one.n for one in own)
            rows += ["", f"{title}: {_count(n, 'line') if n else _count(len(own), 'file')}: {reason}"]
            rows += [f"  {one}" for one in own]
    rows.append("")
    for dataset, file in merged.items():
        done = "would have" if dry else "has"
        n = Counter(vote.simulated for vote in file.votes if not vote.repeat)
        path = votes.path_of(root, dataset)
        rows.append(f"{path} {done} {n[False]} votes of people and {n[True]} of simulated raters")
    if merged:
        rows.append("in params.yaml: `preference.votes: votes/<dataset>.jsonl`; then `dvc repro`")
    return "\n".join(rows)


def _by_reason(ones: list[Refused]) -> dict[str, list[Refused]]:
    found: dict[str, list[Refused]] = {}
    for one in sorted(ones, key=lambda one: (one.file, one.first)):
        found.setdefault(one.reason, []).append(one)
    return found


def why_nothing(n_given: int, found: Read) -> str:
    """The reasons in one line, where no answer could be counted."""
    reasons = _by_reason(found.refused)
    why = "; ".join(f"{reason}: {len(own)}" for reason, own in sorted(reasons.items()))
    first = f"; the first: {found.refused[0]}" if found.refused else ""
    return f"study read: no answer in {_count(n_given, 'file')} could be counted ({why or 'no files'}){first}"


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"
