"""The votes of people that count on a data set: those on the videos that are here now. Others are counted by reason."""

from pathlib import Path

from v2vbench.clips.store import Facts, Store
from v2vbench.params import Fault, Params, brief
from v2vbench.people import votes
from v2vbench.people.records import Question, ReadStudy, Study, VoteLine
from v2vbench.statistics.people import Asked, added
from v2vbench.statistics.sentences import votes_refused


def asked_people(params: Params, root: Path, dataset: str, facts: Facts, runs: list[str]) -> dict[str, Asked]:
    """{test group: the votes on it that count}; {} where nobody was asked.

    A vote counts where both of its runs are compared here, and their clips are still those that the rater saw: a method
    that was trained again does not inherit votes. Prints how many do not count, and why.

    root      the project's folder; reads votes/<dataset>.jsonl, and runs/<run>/clips.zip of the runs that it names
    raises    Fault where votes/<dataset>.jsonl is damaged, or of another data set
    """
    path = root / "votes" / f"{dataset}.jsonl"
    if params.preference["votes"] == "none":
        return {}
    if not path.exists():
        print(f"{path.relative_to(root)} is not there: nobody was asked about {dataset}")
        return {}
    file = votes.load(path)
    for key, study in file.studies.items():
        _check_key(root, path, key, study)
    if file.dataset != dataset:
        raise Fault(f"{path}: votes on {brief(file.dataset)}; `v2vbench study read` names a file by its data set")
    named = {run for line in file.votes for run in (line.a, line.b)}
    stores = {run: Store(root / "runs" / run / "clips.zip") for run in runs if run in named}
    asked = {group: _on_group(group, file.votes, stores) for group in facts.groups}
    asked = {
        group: Asked(lines=lines, studies={k: s for k, s in file.studies.items() if s.group == group}, refused=refused)
        for group, (lines, refused) in asked.items()
    }
    elsewhere = sum(line.group not in facts.groups for line in file.votes)
    reasons = added([counts for one in asked.values() for counts in one.refused.values()])
    if elsewhere:
        reasons["on a group that the data set does not have"] = elsewhere
    if reasons:
        print(votes_refused(dataset, reasons, not any(one.lines for one in asked.values())))
    return asked


def _check_key(root: Path, path: Path, key: str, study: ReadStudy) -> None:
    """Raise Fault where the key of a study is here and says otherwise what was asked, or whether people were."""
    if not (file := Study.path(root, key)).is_file():
        return
    made = Study.load(file)
    for name in ("simulated", "question", "group"):
        if getattr(made, name) != getattr(study, name):
            raise Fault(f"{path}: {name} of study {key} is not that of {file}; `v2vbench study read` writes it anew")


def _on_group(
    group: str, lines: list[VoteLine], stores: dict[str, Store]
) -> tuple[list[VoteLine], dict[tuple[Question, bool], dict[str, int]]]:
    """The votes on one test group that count, and {(question, simulated): {reason: number}} of those that do not."""
    shown = {run: {clip: store.clips[clip]["sha256"] for clip in store.split(group)} for run, store in stores.items()}
    counted: list[VoteLine] = []
    refused: dict[tuple[Question, bool], dict[str, int]] = {}
    for line in (line for line in lines if line.group == group):
        if gone := [run for run in (line.a, line.b) if run not in shown]:
            why = f"{gone[0]} is no run here"
        elif others := votes.changed(line, shown):
            why = f"{others[0]} shows another video now"
        else:
            counted.append(line)
            continue
        reasons = refused.setdefault((line.question, line.simulated), {})
        reasons[why] = reasons.get(why, 0) + 1
    return counted, refused
