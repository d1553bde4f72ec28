"""Answers of raters to votes: nothing that was altered is counted, and everything that is not counted is said."""

import itertools
import json
import random
import re
import shutil
import subprocess
import sys
import zlib
from collections import Counter
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from made_study import CALM, MS, RULES, STRENGTHS, make_study, write_answers, write_run
from scipy import stats

from v2vbench.params import Fault
from v2vbench.people import votes
from v2vbench.people.answers import LARGEST, Answer, Refusal, check_of, write
from v2vbench.people.exclusions import FAILED, HURRIED, NO_CATCH, ONE_SIDE, UNFINISHED, chance_of_failing, reason
from v2vbench.people.read import NothingRead, find_key, read
from v2vbench.people.records import ReadStudy, Study, VoteFile, VoteLine
from v2vbench.people.rehearse import choices, rehearse
from v2vbench.people.sessions import Read, read_answers


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A project with a study of 4 simulated raters and their answers; tests change nothing that is in it."""
    root = tmp_path_factory.mktemp("asked") / "project"
    write_answers(root / "answers", make_study(root))
    return root


@pytest.fixture
def project(folder, tmp_path) -> Path:
    """A copy of it, for tests that do."""
    return Path(shutil.copytree(folder, tmp_path / "project"))


@pytest.fixture(scope="module")
def study(folder) -> Study:
    (key,) = (folder / "studies").glob("*.json")
    return Study.load(key)


def files_of(root: Path) -> list[Path]:
    return sorted((root / "answers").glob("*.jsonl"))


def votes_file(root: Path) -> Path:
    return root / "votes/sliding.jsonl"


@cache
def key_of(root: Path, study: str) -> Study | Refusal:
    return find_key(root, study)


def answers(root: Path, *paths: Path) -> Read:
    def key(study: str) -> Study:
        found = key_of(root, study)
        if isinstance(found, Refusal):
            raise found
        return found

    return read_answers(paths, key)


def counts(found: Read) -> dict[str, int]:
    total = Counter()
    for one in found.refused:
        total[one.reason] += one.n
    return dict(total)


def n_counted(found: Read) -> int:
    return sum(map(len, found.raters.values()))


def sums_up(found: Read) -> None:
    """Each line is counted, refused, or a copy: once."""
    others = sum(one.n for one in (*found.refused, *found.again))
    assert n_counted(found) + others == found.n_lines


def rechained(lines: list[dict], study: str) -> str:
    """Lines with checks that follow, as someone who knows the page can forge them."""
    previous, text = study, ""
    for line in lines:
        body = json.dumps({key: value for key, value in line.items() if key != "check"}, separators=(",", ":"))
        previous = check_of(previous, body)
        text += f'{body[:-1]},"check":"{previous}"}}\n'
    return text


def edited(path: Path, at: int, **changes) -> list[dict]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[at] |= changes
    return lines


# What the page writes


def test_a_file_holds_the_lines_of_the_page(folder, study):
    """Written from the words of the contract: keys in order, and CRC-32 of the check before and the line without it."""
    keys = "schema study rater session trial left right answer ms loops drift screen reloads simulated check".split()
    for path in files_of(folder):
        previous = study.id
        for number, line in enumerate(path.read_text().splitlines()):
            said = json.loads(line)
            assert list(said) == keys and said["trial"] == number
            without = re.sub(r',"check":"[0-9a-f]{8}"\}$', "}", line)
            assert f"{zlib.crc32((previous + without).encode()):08x}" == said["check"]
            previous = said["check"]


def test_every_answer_of_whole_files_is_counted(folder, study):
    found = answers(folder, *files_of(folder))
    assert (found.n_files, found.n_lines, n_counted(found)) == (4, 120, 120)
    assert not found.refused and not found.again
    sums_up(found)


def test_votes_are_the_choices_of_the_raters(project, study):
    """Through files and back, against the script that the raters followed."""
    read(files_of(project), project)
    file = votes.load(votes_file(project))
    script = choices(study, STRENGTHS, **CALM, seed=0)
    expected = Counter()
    for rater, trials in study.raters.items():
        for trial, choice in zip(trials, script[rater]):
            if trial.kind == "catch":
                continue
            left, right = study.videos[trial.left].shows, study.videos[trial.right].shows
            best = {"left": left, "right": right}.get(choice)
            expected[f"{study.id}-{rater}", trial.clip, trial.kind == "repeat", left, right, best] += 1
    got = Counter()
    for vote in file.votes:
        right = vote.b if vote.left == vote.a else vote.a
        best = {"a": vote.a, "b": vote.b}.get(vote.answer)
        got[vote.rater, vote.clip, vote.repeat, vote.left, right, best] += 1
        assert vote.sha256 == {
            video.shows: video.sha256
            for video in study.videos.values()
            if video.clip == vote.clip and video.shows in (vote.a, vote.b)
        }
        assert vote.a < vote.b and vote.simulated and vote.loops >= 1 and vote.ms > MS
    assert got == expected and len(file.votes) == 4 * 27
    (about,) = file.studies.values()
    assert {rater: n for rater, (n, _) in about.sessions.items()} == {f"0{i}": 30 for i in range(1, 5)}
    assert {study.id: replace(about, sessions={})} == {
        study.id: ReadStudy(
            question="look",
            asked=study.asked,
            group="unseen",
            runs=study.runs,
            simulated=True,
            n_raters=4,
            excluded={},
            refused={},
        )
    }


def test_nothing_but_numbers_of_raters_is_stored(project):
    read(files_of(project), project)
    text = votes_file(project).read_text()
    sessions = {json.loads(line)["session"] for path in files_of(project) for line in path.read_text().splitlines()}
    assert len(sessions) == 4 and not any(session in text for session in sessions)
    assert "answers" not in text and "1280" not in text


# Lines and files that are not counted: one line each


def text_of(path: Path, change) -> None:
    path.write_bytes(change(path.read_bytes()))


LINES = {  # how the last line is altered: {reason}, words of the message
    "not UTF-8": (lambda line: line.replace(b'"study"', b'"stud\xff"'), "not UTF-8", "byte"),
    "not JSON": (lambda line: line.replace(b'"ms":', b'"ms"'), "not JSON", "at character"),
    "NaN": (lambda line: re.sub(rb'"drift":[0-9.]+', b'"drift":NaN', line), "not JSON", "NaN is no number"),
    "deep": (lambda line: b"[" * 100_000, "not JSON", "recursion"),
    "long number": (lambda line: b'{"ms":' + b"9" * 5000 + b"}", "not JSON", "digits"),
    "doubled key": (lambda line: line.replace(b'"ms":', b'"ms":1,"ms":'), "not JSON", "a key stands there twice"),
    "a list": (lambda line: b"[1]", "no answer", r"\[1\]"),
    "empty": (lambda line: b"", "empty line", ""),
    "schema": (lambda line: line.replace(b"answers/1", b"answers/2"), "another schema", "'v2vbench/answers/2'"),
    "missing key": (lambda line: line.replace(b'"loops"', b'"loop"'), "other keys", "unknown: 'loop'"),
    "no key": (lambda line: re.sub(rb'"loops":\d+,', b"", line), "other keys", "missing: 'loops'"),
    "a name": (lambda line: line.replace(b'"ms"', b'"name":"Ada","ms"'), "other keys", "unknown: 'name'"),
    "text for a number": (lambda line: line.replace(b'"loops":', b'"loops":"1","x":'), "other keys", "unknown: 'x'"),
    "wrong type": (lambda line: re.sub(rb'"ms":\d+', b'"ms":"9"', line), "wrong value", "ms: '9' is not int"),
    "half a ms": (lambda line: re.sub(rb'"ms":\d+', b'"ms":9.5', line), "wrong value", "ms: 9.5 is not int"),
    "true": (lambda line: re.sub(rb'"ms":\d+', b'"ms":true', line), "wrong value", "ms: True is not int"),
    "below 0": (lambda line: re.sub(rb'"ms":\d+', b'"ms":-9', line), "wrong value", "ms: -9 is out of range"),
    "infinite": (lambda line: re.sub(rb'"drift":[0-9.]+', b'"drift":1e999', line), "wrong value", "drift: inf"),
    "choice": (lambda line: re.sub(rb'"answer":"\w+"', b'"answer":"both"', line), "wrong value", "answer: 'both'"),
    "check": (lambda line: re.sub(rb'"check":"\w+"', b'"check":"XYZ"', line), "wrong value", "check: is not 8"),
    "study": (lambda line: re.sub(rb'"study":"\w+"', b'"study":"../../x"', line), "wrong value", "study: '../../x'"),
    "session": (lambda line: re.sub(rb'"session":"\w+"', b'"session":"1"', line), "wrong value", "session: '1'"),
    "foreign": (
        lambda line: re.sub(rb'"study":"\w+"', b'"study":"0123456789abcdef"', line),
        "a study that is not of this project",
        "no studies/0123456789abcdef.json",
    ),
    "rater": (lambda line: line.replace(b'"rater":"01"', b'"rater":"77"'), "not a rater of the study", "'77'"),
    "trial": (lambda line: line.replace(b'"trial":29', b'"trial":30'), "no such trial", "30; the rater has 30"),
    "videos": (
        lambda line: re.sub(rb'"left":"(\w+)","right":"(\w+)"', rb'"left":"\2","right":"\1"', line),
        "not the videos of the trial",
        "left: '",
    ),
    "people": (
        lambda line: line.replace(b'"simulated":true', b'"simulated":false'),
        "people and simulated raters",
        "an answer of people, a study of the other",
    ),
    "edited": (
        lambda line: re.sub(rb'"ms":\d+', b'"ms":99999', line),
        "changed after it was written",
        "the check of line 30",
    ),
}


@pytest.mark.parametrize("change, why, words", LINES.values(), ids=LINES)
def test_a_wrong_line_is_one_line_of_the_report(project, change, why, words):
    path = files_of(project)[0]
    *lines, last = path.read_bytes().splitlines()
    wrong = change(last)
    assert wrong != last
    if why != "changed after it was written":  # a page that has a fault writes checks that follow
        body = re.sub(rb',"check":"[0-9a-f]{8}"}$', b"}", wrong)
        check = f"{zlib.crc32(lines[-1][-10:-2] + body):08x}".encode()
        wrong = re.sub(rb'"check":"[0-9a-f]{8}"}$', b'"check":"' + check + b'"}', wrong)
    path.write_bytes(b"\n".join([*lines, wrong]) + b"\n")
    found = answers(project, path)
    sums_up(found)
    (one,) = found.refused
    assert one.reason == why and re.search(words, one.detail), one
    changed = why == "changed after it was written"  # then the whole session is refused
    assert (n_counted(found), one.n) == ((0, 30) if changed else (29, 1))
    assert one.last == 30 and str(one).startswith(f"{path}: line") and str(one).isprintable()


def test_markup_and_control_characters_of_a_line_are_harmless(project, capsys):
    path = files_of(project)[0]
    forged = edited(path, 29, rater="<script>alert(1)</script>\x1b[31m\n\ud800")
    path.write_text(rechained(forged, forged[0]["study"]))
    said = read(files_of(project), project)
    print(said)
    (row,) = [row for row in said.splitlines() if "script" in row]
    assert r"not a rater of the study ('<script>alert(1)</script>\x1b[31m\n\ud800')" in row and row.isprintable()
    assert "script" not in votes_file(project).read_text()


def test_keys_and_names_of_files_with_control_characters_are_harmless(project):
    path = project / "answers/odd\x1b[2J\n.jsonl"
    path.write_text('{"\\u001b[2J<b>": 1}\n')
    with pytest.raises(NothingRead) as fault:
        read([path], project)
    assert str(fault.value).isprintable() and all(row.isprintable() for row in fault.value.table.split("\n"))


FILES = {
    "missing": (lambda path: path.unlink(), "no such file"),
    "empty": (lambda path: path.write_bytes(b""), "empty file"),
    "folder": (lambda path: (path.unlink(), path.mkdir()), "a folder, not a file"),
    "huge": (lambda path: path.write_bytes(b"x" * (LARGEST + 1)), "larger than 5 MB, or than 50,000 lines"),
    "many lines": (lambda path: path.write_bytes(b"\n" * 60_000), "larger than 5 MB, or than 50,000 lines"),
}


@pytest.mark.parametrize("change, why", FILES.values(), ids=FILES)
def test_a_file_that_cannot_be_read_stops_no_other(project, change, why):
    first = files_of(project)[0]
    rest = files_of(project)[1:]
    change(first)
    said = read([first, *rest], project)
    assert "4 files, 3 of them read: 90 lines, 0 not counted, 0 that stand there twice" in said
    assert f"not counted: 1 file: {why}\n  {first}: {why}" in said
    assert len(votes.load(votes_file(project)).votes) == 3 * 27
    with pytest.raises(NothingRead, match=f"no answer in 1 file could be counted .{re.escape(why)}: 1") as fault:
        read([first], project)
    assert "\n" not in str(fault.value) and why in fault.value.table


def test_windows_and_joined_files_are_read(project):
    paths = files_of(project)
    joined = project / "joined.jsonl"
    parts = [b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n") for path in paths]
    joined.write_bytes(b"".join(parts).removesuffix(b"\r\n"))
    found = answers(project, joined)
    assert n_counted(found) == 120 and not found.refused
    read(paths, project)
    before = votes_file(project).read_bytes()
    votes_file(project).unlink()
    read([joined], project)
    assert votes_file(project).read_bytes() == before


def test_a_file_cut_in_its_last_line_counts_to_there(project):
    path = files_of(project)[0]
    path.write_bytes(path.read_bytes()[:-40])
    found = answers(project, path)
    assert n_counted(found) == 29 and counts(found) == {"cut off": 1}
    assert str(found.refused[0]) == f"{path}: line 30: cut off (the file ends in this line)"


def test_neighbours_with_the_same_fault_are_one_line(project):
    foreign = project / "foreign.jsonl"
    foreign.write_text(files_of(project)[0].read_text().replace(json_study(project), "0123456789abcdef"))
    found = answers(project, foreign)
    (one,) = found.refused
    assert (one.first, one.last, one.n) == (1, 30, 30) and "lines 1 to 30: a study that is not of this" in str(one)


def json_study(root: Path) -> str:
    return next((root / "studies").glob("*.json")).stem


def test_a_key_that_was_changed_is_not_used(project, study):
    """Rules that are loosened after the answers are in, or a rehearsal declared to be of people."""
    key = Study.path(project, study.id)
    for other in (
        replace(study, rules=replace(RULES, failed_catches=3)),
        replace(study, simulated=False),
        replace(study, id="0" * 16),
    ):
        other.save(key)
        with pytest.raises(NothingRead, match="a study whose key was changed"):
            read(files_of(project), project)
    key.write_text("{")
    with pytest.raises(NothingRead, match="a study whose key is damaged.*bring it back") as fault:
        read(files_of(project), project)
    assert "dvc repro" not in str(fault.value) and "\n" not in str(fault.value)
    assert not votes_file(project).exists()


# Sessions


def test_an_edited_answer_takes_its_session_with_it(project):
    """Each field of a line in the middle, the checks left as they were."""
    path = files_of(project)[0]
    lines = path.read_text().splitlines()
    line = json.loads(lines[11])
    for name, value in line.items():
        if name in ("schema", "study", "check"):
            continue
        other = {str: "right", int: 3, float: 3.0, list: [1, 1], bool: not value}[type(value)]
        other = "left" if other == value == "right" else other
        if value == other:
            continue
        changed = lines.copy()
        changed[11] = json.dumps(line | {name: other}, separators=(",", ":"))
        path.write_text("\n".join(changed) + "\n")
        found = answers(project, path)
        sums_up(found)
        assert n_counted(found) == 0, name
        assert counts(found)["changed after it was written"] >= 29


def test_a_missing_line_and_swapped_lines_are_noticed(project):
    path = files_of(project)[0]
    lines = path.read_text().splitlines(keepends=True)
    for changed in (lines[:5] + lines[6:], lines[1:], [*lines[:5], lines[6], lines[5], *lines[7:]]):
        path.write_text("".join(changed))
        found = answers(project, path)
        assert n_counted(found) == 0 and counts(found) == {"changed after it was written": len(changed)}
    path.write_text("".join(lines[:20]))  # the rater stopped: nothing is wrong with that
    assert n_counted(answers(project, path)) == 20


def test_files_and_lines_that_stand_there_twice_count_once(project):
    path = files_of(project)[0]
    lines = path.read_text().splitlines(keepends=True)
    copy, part, doubled, joined = (project / f"{name}.jsonl" for name in ("copy", "part", "doubled", "joined"))
    copy.write_text("".join(lines))
    part.write_text("".join(lines[:10]))
    doubled.write_text("".join([*lines[:3], lines[2], *lines[3:8], lines[7], lines[1]]))
    joined.write_text("".join(lines[:10] + lines + lines[20:]))
    for others, n, why in (
        ([copy], 30, "the same file again"),
        ([path], 30, "the same file again"),
        ([part], 10, "the same answer again"),
        ([doubled], 11, "the same answer again"),
        ([joined], 50, "the same answer again"),
    ):
        found = answers(project, path, *others)
        sums_up(found)
        assert n_counted(found) == 30 and not found.refused
        assert {one.reason for one in found.again} == {why} and sum(one.n for one in found.again) == n
    for alone, n in ((doubled, 8), (joined, 30)):
        found = answers(project, alone)
        sums_up(found)
        assert n_counted(found) == n and not found.refused


def test_a_whole_copy_stands_beside_an_edited_one(project):
    path = files_of(project)[0]
    other = project / "edited.jsonl"
    other.write_text(path.read_text().replace('"loops":1', '"loops":7', 1).replace('"loops":2', '"loops":7', 1))
    for order in ([path, other], [other, path]):
        found = answers(project, *order)
        sums_up(found)
        assert n_counted(found) == 30 and counts(found) == {"changed after it was written": 30}
        assert {line.file for own in found.raters.values() for line in own} == {str(path)}


def test_contradicting_answers_with_whole_checks_are_counted_once(project, study):
    path = files_of(project)[0]
    forged = project / "forged.jsonl"
    lines = edited(path, 9, ms=12345)
    forged.write_text(rechained(lines[:20], study.id))
    found = answers(project, forged, path)
    sums_up(found)
    assert n_counted(found) == 30 and counts(found) == {"another answer in the same session": 11}
    assert sum(one.n for one in found.again) == 9
    twice = [*lines[:5], lines[4] | {"ms": 1}, *lines[5:]]
    path.write_text(rechained(twice, study.id))
    found = answers(project, path)
    sums_up(found)
    assert n_counted(found) == 30 and counts(found) == {"a second answer to a trial": 1}
    assert found.refused[0].first == 6


def test_of_two_sessions_of_a_number_the_longer_stands(project, study):
    path = files_of(project)[0]
    other = project / "0.jsonl"
    lines = [line | {"session": "0" * 16} for line in edited(path, 0)]
    for n, counted in ((29, json.loads(path.read_text().splitlines()[0])["session"]), (30, "0" * 16)):
        other.write_text(rechained(lines[:n], study.id))
        for order in ([path, other], [other, path]):
            found = answers(project, *order)
            sums_up(found)
            (own,) = found.raters.values()
            assert {line.answer.session for line in own if line.answer} == {counted} and len(own) == 30
            assert counts(found) == {"a second session of the rater": n if n == 29 else 30}


def mutilated(content: bytes, rng: random.Random) -> bytes:
    """One of the things that happen to files."""
    lines = content.splitlines(keepends=True)
    at, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    kind = rng.randrange(6)
    if kind == 0:
        place = rng.randrange(len(content))
        return content[:place] + bytes([content[place] ^ rng.randrange(1, 256)]) + content[place + 1 :]
    if kind == 1:
        del lines[at]
    elif kind == 2:
        lines[at], lines[other] = lines[other], lines[at]
    elif kind == 3:
        return content[: rng.randrange(1, len(content))]
    elif kind == 4:
        lines.insert(other, lines[at])
    else:
        digits = [i for i, byte in enumerate(content) if 48 <= byte <= 57]
        place = rng.choice(digits)
        return content[:place] + bytes([48 + (content[place] - 47) % 10]) + content[place + 1 :]
    return b"".join(lines)


def test_no_altered_answer_is_ever_counted(project):
    """Files damaged at random, once to three times: every line is accounted for, and what counts is as it was."""
    rng, paths = random.Random(0), files_of(project)
    genuine = {line for path in paths for line in path.read_text().splitlines()}
    whole, n_less, damaged = paths[0].read_bytes(), 0, project / "damaged.jsonl"
    for _ in range(400):
        content = whole if rng.random() < 0.7 else whole + paths[1].read_bytes()
        for _ in range(rng.randrange(1, 4)):
            content = mutilated(content, rng) or whole
        damaged.write_bytes(content)
        found = answers(project, damaged)
        sums_up(found)
        assert found.n_lines == content.count(b"\n") + (not content.endswith(b"\n"))
        counted = [line for own in found.raters.values() for line in own]
        assert {line.text for line in counted} <= genuine
        assert len({line.text for line in counted}) == len(counted)
        assert all(one.reason and str(one).isprintable() for one in (*found.refused, *found.again))
        n_less += n_counted(found) < content.count(b"\n")
    assert n_less > 200  # most of it was noticed; the rest were cut between lines


# Who is left out


def given(study: Study, rater: str, choose, ms=MS + 900) -> dict[int, Answer]:
    """Answers by `choose(number, trial, side of the real video or None)`; None: no answer."""
    made = {}
    for number, trial in enumerate(study.raters[rater]):
        real = {study.videos[trial.left].shows: "left", study.videos[trial.right].shows: "right"}.get("real")
        if (choice := choose(number, trial, real)) is None:
            continue
        made[number] = Answer(
            study=study.id,
            rater=rater,
            session="0" * 16,
            trial=number,
            left=trial.left,
            right=trial.right,
            answer=choice,
            ms=ms(number) if callable(ms) else ms,
            loops=1,
            drift=0.0,
            screen=(1, 1),
            reloads=0,
            simulated=True,
        )
    return made


def turns(number: int) -> str:
    return ("left", "right", "neither")[number % 3]


def other_side(side: str) -> str:
    return {"left": "right", "right": "left"}[side]


CASES = {
    "careful": (lambda i, trial, real: real or turns(i), MS + 900, None),
    "half": (lambda i, trial, real: (real or turns(i)) if i < 15 or real else None, MS + 900, None),
    "nothing": (lambda i, trial, real: None, MS + 900, UNFINISHED),
    "nothing loaded": (lambda i, trial, real: "failed", MS + 900, UNFINISHED),
    "few": (lambda i, trial, real: real or (turns(i) if i < 8 else None), MS + 900, UNFINISHED),
    "too many failed": (lambda i, trial, real: real or (turns(i) if i < 8 else "failed"), MS + 900, UNFINISHED),
    "no catch loaded": (lambda i, trial, real: "failed" if real else turns(i), MS + 900, NO_CATCH),
    "wrong": (lambda i, trial, real: other_side(real) if real else turns(i), MS + 900, FAILED),
    "cannot tell": (lambda i, trial, real: "neither" if real else turns(i), MS + 900, FAILED),
    "quick": (lambda i, trial, real: real or turns(i), MS + 299, HURRIED),
    "quick enough": (lambda i, trial, real: real or turns(i), MS + 300, None),
    "quick at times": (lambda i, trial, real: real or turns(i), lambda i: MS + (0 if i % 3 == 0 else 900), None),
    "left": (lambda i, trial, real: real or "left", MS + 900, ONE_SIDE),
    "right": (lambda i, trial, real: real or "right", MS + 900, ONE_SIDE),
    "few sides": (lambda i, trial, real: real or ("left" if i < 4 else "neither"), MS + 900, None),
    "all of it": (lambda i, trial, real: "right" if real is None else other_side(real), MS, FAILED),  # the first reason
}


@pytest.mark.parametrize("choose, ms, why", CASES.values(), ids=CASES)
def test_reasons_to_leave_a_rater_out(study, choose, ms, why):
    assert reason(study, "01", given(study, "01", choose, ms)) == why


def test_rules_are_those_of_the_key(study):
    one_wrong = iter(range(100))

    def choose(number, trial, real):
        return other_side(real) if real and next(one_wrong) == 0 else real or turns(number)

    answers = given(study, "01", choose)
    assert reason(study, "01", answers) == FAILED
    assert reason(replace(study, rules=replace(RULES, failed_catches=1)), "01", answers) is None
    assert reason(replace(study, rules=replace(RULES, failed_catches=1, hurried_ms=901)), "01", answers) == HURRIED
    assert (
        reason(
            replace(study, rules=replace(RULES, failed_catches=1, answered=1)), "01", dict(list(answers.items())[1:])
        )
        == UNFINISHED
    )


@pytest.mark.parametrize("failed_catches", [0, 1])
def test_careless_raters_are_caught_at_the_stated_rate(tmp_path, failed_catches):
    rules = replace(RULES, failed_catches=failed_catches)
    study, n = make_study(tmp_path, n_raters=400, rules=rules, runs=("a", "b")), 400
    texts = choices(study, {"a": 1.0, "b": 0.0}, **CALM | {"careless": study.raters}, seed=3)
    caught = 0
    for rater, own in texts.items():
        why = reason(study, rater, given(study, rater, lambda number, trial, real, own=own: own[number]))
        assert why in (None, FAILED)
        caught += why is not None
    stated = chance_of_failing(3, rules)
    assert stated == pytest.approx({0: 7 / 8, 1: 1 / 2}[failed_catches])
    low, high = stats.binom.interval(0.9999, n, stated)
    assert low <= caught <= high
    lapses = choices(study, {"a": 1.0, "b": 0.0}, **CALM | {"lapse": 0.2}, seed=4)
    whys = [
        reason(study, rater, given(study, rater, lambda number, trial, real, own=own: own[number]))
        for rater, own in lapses.items()
    ]
    low, high = stats.binom.interval(0.9999, n, chance_of_failing(3, rules, right=0.9))
    assert low <= whys.count(FAILED) <= high


def test_raters_who_are_left_out_are_counted_by_reason(project, study):
    seed = next(  # of coins that fail catches
        seed
        for seed in range(100)
        if all(
            reason(study, r, given(study, r, lambda n, trial, real, own=own: own[n])) == FAILED
            for r, own in choices(study, STRENGTHS, **CALM | {"careless": ["02", "03"]}, seed=seed).items()
            if r in ("02", "03")
        )
    )
    paths = write_answers(project / "answers", study, seed=seed, careless=["02", "03"])
    paths["04"].write_text("".join(paths["04"].read_text().splitlines(keepends=True)[:14]))
    said = read(paths.values(), project)
    assert "1 of 4 raters counted\n  1 left out: too few answers\n  2 left out: a catch failed\n  24 votes" in said
    assert "74 of raters who are left out" in said
    file = votes.load(votes_file(project))
    about = file.studies[study.id]
    assert about.excluded == {FAILED: 2, UNFINISHED: 1} and about.n_raters == 1
    assert {vote.rater for vote in file.votes} == {f"{study.id}-01"}


# The file of votes


def test_the_order_of_files_and_reading_again_change_no_byte(project):
    paths = files_of(project)
    text_of(paths[0], lambda content: content[:-30])
    text_of(paths[1], lambda content: content.replace(b'"loops":1', b'"loops":3', 1))
    written = set()
    for order in itertools.permutations([*paths, paths[2]]):
        votes_file(project).unlink(missing_ok=True)
        read(order, project)
        written.add(votes_file(project).read_bytes())
        if len(written) > 1:
            break
    assert len(written) == 1
    read(paths, project)
    read(paths[2:], project)
    written.add(votes_file(project).read_bytes())
    assert len(written) == 1
    votes_file(project).unlink()
    for path in paths[::-1]:
        try:
            read([path], project)
        except NothingRead:
            assert path == paths[1]
    about = next(iter(votes.load(votes_file(project)).studies.values()))
    assert about.n_raters == 3 and about.refused == {"cut off": 1}


def test_raters_read_before_stay_and_more_answers_replace_fewer(project, study):
    paths = files_of(project)
    read(paths[:2], project)
    assert votes.load(votes_file(project)).studies[study.id].n_raters == 2
    read(paths[2:], project)
    file = votes.load(votes_file(project))
    assert file.studies[study.id].n_raters == 4 and len(file.votes) == 4 * 27
    whole = paths[0].read_text()
    paths[0].write_text("".join(whole.splitlines(keepends=True)[:14]))
    with pytest.raises(NothingRead, match="fewer answers than were read before"):
        read(paths[:1], project)
    write_answers(project / "answers", study, seed=5)  # other sessions, as of somebody who opens the page again
    with pytest.raises(NothingRead, match="a second session of the rater"):
        read(paths[:1], project)
    assert votes.load(votes_file(project)).votes == file.votes
    votes_file(project).unlink()
    paths[0].write_text("".join(whole.splitlines(keepends=True)[:14]))
    read(paths[:1], project)  # this rater has not finished
    assert votes.load(votes_file(project)).studies[study.id].excluded == {UNFINISHED: 1}
    paths[0].write_text(whole)
    read(paths[:1], project)
    again = votes.load(votes_file(project)).studies[study.id]
    assert again.n_raters == 1 and again.excluded == {}


def test_a_dry_reading_writes_nothing(project):
    assert "votes/sliding.jsonl would have 0 votes of people and 96 of simulated raters" in read(
        files_of(project), project, True
    )
    assert not votes_file(project).parent.exists()


def test_the_report_says_what_to_write_into_params(project):
    said = read(files_of(project), project)
    assert "has 0 votes of people and 96 of simulated raters" in said
    assert said.endswith("in params.yaml: `preference.votes: votes/<dataset>.jsonl`; then `dvc repro`")
    assert "SIMULATED" in said and "12 catches" in said and "96 votes, 12 repeats" in said


def test_people_and_simulated_raters_stand_side_by_side(project, study):
    """People's answers come from a page; here a page is stood in for by the words of a rehearsal."""
    other = make_study(project, simulated=False, seed=5)
    rehearsed = rehearse(replace(other, simulated=True), STRENGTHS, **CALM, seed=1)
    path = project / "people.jsonl"
    lines = [json.loads(line) | {"simulated": False} for line in rehearsed["01"].splitlines()]
    path.write_text(rechained(lines, other.id))
    said = read([*files_of(project), path], project)
    assert "has 24 votes of people and 96 of simulated raters" in said
    file = votes.load(votes_file(project))
    assert {key: about.simulated for key, about in file.studies.items()} == {study.id: True, other.id: False}
    clusters = {vote.clip: "all" for vote in file.votes}
    cast = votes.ballots(file.votes, clusters)
    assert Counter(vote.source for vote in cast) == {"people": 24, "simulated": 96}
    path.write_text(rechained([line | {"simulated": True} for line in lines], other.id))
    with pytest.raises(NothingRead, match="an answer of simulated raters, a study of the other"):
        read([path], project)


def test_people_s_answers_are_never_made_up(project):
    other = make_study(project, simulated=False, seed=5)
    for act in (choices, rehearse):
        with pytest.raises(Fault, match="asks people, and their answers are not made up"):
            act(other, STRENGTHS, **CALM, seed=0)


def test_what_a_rehearsal_is_given_must_be_there(study):
    with pytest.raises(Fault, match="no strength of copy_last"):
        choices(study, {"vid2vid": 0.0, "pix2pixhd": 0.0}, **CALM, seed=0)
    with pytest.raises(Fault, match="no raters 77; there are 01, 02, 03, 04"):
        choices(study, STRENGTHS, **CALM | {"careless": ["77"]}, seed=0)


def test_simulated_choices_follow_davidson(tmp_path):
    """Shares of wins, ties and left over many raters against the closed form."""
    study = make_study(tmp_path, runs=("a", "b"), n_raters=300)
    how = {"tie": 0.5, "side": 0.4, "clip_effect": 0.0, "rater_effect": 0.0}
    script = choices(study, {"a": 0.8, "b": 0.0}, **CALM | how, seed=1)
    seen = {left: Counter() for left in "ab"}
    for rater, own in script.items():
        for trial, choice in zip(study.raters[rater], own):
            if trial.kind == "catch":
                assert study.videos[getattr(trial, choice)].shows == "real"
            else:
                seen[study.videos[trial.left].shows][choice] += 1
    for left, apart in (("a", 0.8 + 0.4), ("b", -0.8 + 0.4)):
        weights = {"left": np.exp(apart / 2), "neither": 0.5, "right": np.exp(-apart / 2)}
        n = seen[left].total()
        for choice, weight in weights.items():
            low, high = stats.binom.interval(0.9999, n, weight / sum(weights.values()))
            assert low <= seen[left][choice] <= high, (left, choice)


# Videos that are no longer those


def test_votes_on_the_videos_of_a_run_that_was_trained_again_are_refused(project, study):
    write_run(project, "copy_last", seed=1)
    said = read(files_of(project), project)
    on_it = sum(
        trial.kind != "catch" and "copy_last" in (study.videos[trial.left].shows, study.videos[trial.right].shows)
        for own in study.raters.values()
        for trial in own
    )
    file = votes.load(votes_file(project))
    assert len(file.votes) == 4 * 27 - on_it and 0 < on_it
    assert not any("copy_last" in (vote.a, vote.b) for vote in file.votes)
    why = "on videos of copy_last that are no longer these"
    assert file.studies[study.id].refused == {why: on_it} and f"not counted: {on_it} lines: {why}" in said


def test_a_run_without_clips_and_a_damaged_store_are_said(project, study):
    (project / "runs/copy_last/clips.zip").unlink()
    (project / "runs/vid2vid/clips.zip").write_bytes(b"no store")
    said = read(files_of(project), project)
    assert "on videos of copy_last, which is not here (" in said and "no such clip store" in said
    assert "on videos of vid2vid, which is not here (" in said and "not a whole clip store" in said
    assert votes.load(votes_file(project)).votes == []


def test_votes_read_before_a_run_was_trained_again_stay_but_are_not_current(project, study):
    read(files_of(project), project)
    before = votes_file(project).read_bytes()
    store = write_run(project, "copy_last", seed=1)
    said = read(files_of(project), project)
    assert votes_file(project).read_bytes() == before
    file = votes.load(votes_file(project))
    on_it = sum("copy_last" in (vote.a, vote.b) for vote in file.votes)
    assert f"  {on_it} of the votes and repeats were read before, on videos that are not here now" in said
    clips = {run: {} for run in study.runs}
    for video in study.videos.values():
        if video.sha256:
            clips[video.shows][video.clip] = video.sha256
    assert not any(votes.changed(vote, clips) for vote in file.votes)
    clips["copy_last"] = {clip: entry["sha256"] for clip, entry in store.clips.items()}
    for vote in file.votes:
        assert votes.changed(vote, clips) == [run for run in (vote.a, vote.b) if run == "copy_last"]
    del clips["copy_last"], clips["vid2vid"]
    for vote in file.votes:  # 3 runs: each pair has one of the two
        assert votes.changed(vote, clips) == [run for run in (vote.a, vote.b) if run in ("copy_last", "vid2vid")] != []


# Reading and writing votes


def vote(**more) -> VoteLine:
    about = dict(
        study="s",
        question="look",
        group="seen",
        rater="s-01",
        clip="c0",
        a="p",
        b="q",
        answer="a",
        left="q",
        repeat=False,
        sha256={"q": "2", "p": "1"},
        ms=4000,
        loops=2,
        simulated=False,
    )
    return VoteLine(**about | more)  # pyright: ignore[reportArgumentType]


def of_study(n_raters: int, **more) -> ReadStudy:
    about = {"question": "look", "asked": "Which?", "group": "seen", "runs": ["p", "q"], "simulated": False}
    return ReadStudy(**about | {"n_raters": n_raters, "excluded": {}, "refused": {}} | more)  # pyright: ignore


VOTES = [
    vote(),
    vote(repeat=True, left="p", answer="b"),
    vote(clip="c1", answer="neither"),
    vote(rater="s-02", clip="c1", answer="b"),
    vote(study="t", rater="t-01", simulated=True),
]
STUDIES = {"s": of_study(2, refused={"z": 1, "a": 2}), "t": of_study(1, simulated=True)}


def test_votes_round_trip_and_equal_votes_are_equal_bytes(tmp_path):
    written = set()
    for order in itertools.permutations(VOTES):
        votes.save(tmp_path / "v.jsonl", VoteFile(dataset="d", studies=dict(reversed(STUDIES.items())), votes=[*order]))
        written.add((tmp_path / "v.jsonl").read_bytes())
    (content,) = written
    file = votes.load(tmp_path / "v.jsonl")
    assert file.dataset == "d" and file.studies == STUDIES and sorted(file.votes, key=str) == sorted(VOTES, key=str)
    head, *lines = content.decode().splitlines()
    assert json.loads(head)["schema"] == "v2vbench/votes/1" and list(json.loads(head)) == [
        "schema",
        "dataset",
        "studies",
    ]
    assert list(json.loads(lines[0])) == list(asdict(vote()))


def test_votes_as_the_ranking_takes_them():
    cast = votes.ballots(VOTES, {"c0": "map 1", "c1": "map 2"})
    assert [(one.rater, one.clip, one.cluster, one.outcome, one.source, one.left) for one in cast] == [
        ("s-01", "c0", "map 1", 1.0, "people", "q"),
        ("s-01", "c1", "map 2", 0.5, "people", "q"),
        ("s-02", "c1", "map 2", 0.0, "people", "q"),
        ("t-01", "c0", "map 1", 1.0, "simulated", "q"),
    ]


BROKEN = {
    "missing": (lambda text: None, "cannot be read"),
    "not UTF-8": (lambda text: text.encode() + b"\xff\n", "cannot be read"),
    "empty": (lambda text: "", "line 1: cut off"),
    "cut": (lambda text: text[:-9], "line 6: cut off"),
    "not JSON": (lambda text: text.replace('"clip":', '"clip"', 1), "line 2: not JSON"),
    "list": (lambda text: text + "[]\n", r"line 7: \[\] is no mapping"),
    "schema": (lambda text: text.replace("votes/1", "votes/2"), "line 1.schema: 'v2vbench/votes/2'"),
    "head": (lambda text: text.replace('"dataset"', '"data"'), "line 1: unknown data"),
    "study": (
        lambda text: text.replace('"n_raters": 2', '"n_raters": "2"'),
        "line 1.studies.s.n_raters: '2' is not int",
    ),
    "count": (lambda text: text.replace('"n_raters": 2', '"n_raters": 5'), "line 1.studies.s.n_raters: 5; the votes"),
    "field": (lambda text: text.replace('"answer": "a"', '"answer": "q"', 1), "line 2.answer: 'q' is not one of"),
    "extra": (lambda text: text.replace('"ms"', '"name": "Ada", "ms"', 1), "line 2: unknown name"),
    "unknown": (lambda text: text.replace('"study": "s"', '"study": "x"', 1), "line 2.study: 'x' is not among"),
    "simulated": (
        lambda text: text.replace('"simulated": false}\n', '"simulated": true}\n', 1),
        "line 2.simulated: True",
    ),
    "order": (lambda text: text.replace('"a": "p", "b": "q"', '"a": "q", "b": "p"', 1), "line 2: a 'q', b 'p' are not"),
    "left": (lambda text: text.replace('"left": "q"', '"left": "r"', 1), "line 2: left and sha256"),
    "twice": (
        lambda text: text.replace('"clip": "c1"', '"clip": "c0"', 1),
        "line 4: 's-01' votes on 'c0' a second time",
    ),
}


@pytest.mark.parametrize("change, says", BROKEN.values(), ids=BROKEN)
def test_a_damaged_file_of_votes_is_refused_in_one_line(tmp_path, change, says):
    path = tmp_path / "v.jsonl"
    votes.save(path, VoteFile(dataset="d", studies=STUDIES, votes=VOTES))
    changed = change(path.read_text())
    path.unlink() if changed is None else path.write_bytes(changed if isinstance(changed, bytes) else changed.encode())
    with pytest.raises(Fault, match=f"^{re.escape(str(path))}: {says}") as fault:
        votes.load(path)
    assert str(fault.value).isprintable()


def test_what_does_not_fit_together_is_not_written(tmp_path):
    path = tmp_path / "v.jsonl"
    for wrong in (vote(study="x"), vote(a="q", b="p"), vote(left="x"), vote(sha256={"p": "1"})):
        with pytest.raises(Fault, match=f"^{re.escape(str(path))}: line 2"):
            votes.save(path, VoteFile(dataset="d", studies=STUDIES, votes=[wrong]))
    assert not list(tmp_path.iterdir())


def test_a_damaged_file_of_votes_stays_as_it_is(project):
    votes_file(project).parent.mkdir()
    votes_file(project).write_text("{}\n")
    with pytest.raises(Fault, match="votes/sliding.jsonl: line 1.schema"):
        read(files_of(project), project)
    assert votes_file(project).read_text() == "{}\n" and len(list(votes_file(project).parent.iterdir())) == 1
    votes.save(votes_file(project), VoteFile(dataset="other", studies={}, votes=[]))
    with pytest.raises(Fault, match="line 1.dataset: 'other', not sliding"):
        read(files_of(project), project)


def test_a_line_of_another_program_fits(project, study):
    """The page's numbers: JavaScript writes 0 and 0.5 where Python writes 0.0."""
    answer = Answer(**json.loads(json.dumps(asdict(given(study, "01", lambda *_: "left")[0]))))
    line = json.loads(write(answer, study.id)) | {"drift": 0}
    path = project / "page.jsonl"
    path.write_text(rechained([line], study.id))
    assert n_counted(answers(project, path)) == 1


def test_the_command_reads_and_ends_with_1_only_where_nothing_could_be_read(project):
    shutil.copy(Path(__file__).parent / "tiny.yaml", project / "params.yaml")
    shell = "python -m v2vbench study read"
    missing = run(f"{shell} answers/none.jsonl", project)
    assert missing.returncode == 1 and "no such file" in missing.stdout + missing.stderr
    whole = run(f"{shell} answers/*.jsonl answers/none.jsonl", project)
    assert whole.returncode == 0 and "no such file" in whole.stdout and votes_file(project).is_file()


def run(command: str, folder: Path) -> subprocess.CompletedProcess:
    command = command.replace("python", sys.executable, 1)
    return subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True, check=False)
