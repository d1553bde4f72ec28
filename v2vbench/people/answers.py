"""Files of answers, line by line: what the page wrote, or the reason why a line is not counted."""

import hashlib
import json
import re
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated, NoReturn

from v2vbench.params import Fault, Natural, Weight, bind, brief
from v2vbench.people.records import ANSWERS, Choice, Study

LARGEST, MOST = 5_000_000, 50_000  # bytes and lines of a file; an answer has about 330 bytes
ID = re.compile("[0-9a-f]{16}")  # of a study, a session
CHECK = re.compile(r'(?s)(.*),"check":"([0-9a-f]{8})"}')
BOM = "\ufeff"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one rater did in one trial; the keys of a line, but for its schema and check."""

    study: Annotated[str, "id"]
    rater: Annotated[str, "number"]
    session: Annotated[str, "16 hexadecimal digits, drawn by the page when the rater began"]
    trial: Annotated[Natural, "from 0"]
    left: Annotated[str, "name of a video"]
    right: Annotated[str, "name of another"]
    answer: Choice
    ms: Annotated[Natural, "milliseconds from the first frame to the answer"]
    loops: Annotated[Natural, "whole loops that were seen"]
    drift: Annotated[Weight, "frames that the two videos were apart, at most"]
    screen: Annotated[tuple[Natural, Natural], "width and height, px"]
    reloads: Annotated[Natural, "of the page"]
    simulated: Annotated[bool, "no person answered"]


KEYS = ("schema", *(field.name for field in fields(Answer)), "check")


@dataclass(frozen=True)
class Line:
    """One line of a file."""

    file: str
    sha256: str  # of the file
    number: int  # from 1
    text: str  # without its end
    chain: tuple[str, str, str] | None = None  # study, rater, session, as the line says; None where it says nothing
    answer: Answer | None = None  # None where the line is not counted


@dataclass(frozen=True)
class Refused:
    """Lines that are not counted, or a file (n = 0) that cannot be read, for one reason."""

    file: str
    sha256: str | None  # of the file
    first: int  # number of a line; 0: the file
    last: int
    n: int
    reason: str
    detail: str
    study: str | None  # which they belong to, where that is known

    def __str__(self) -> str:
        lines = f"line {self.first}" if self.first == self.last else f"lines {self.first} to {self.last}"
        what = f"{self.reason} ({self.detail})" if self.detail else self.reason
        return f"{self.file}: {lines}: {what}" if self.first else f"{self.file}: {what}"


class Refusal(Exception):
    """Why a line, or a file, is not counted: reason, detail."""

    def __init__(self, reason: str, detail: str = ""):
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


def refused(lines: list[Line], why: Refusal, study: str | None) -> Refused:
    """Lines of one file that are not counted for one reason."""
    first, last = lines[0], lines[-1]
    return Refused(first.file, first.sha256, first.number, last.number, len(lines), why.reason, why.detail, study)


def shown(path: Path) -> str:
    """The name of a file as messages have it: on one line, whatever it is."""
    return str(path) if str(path).isprintable() else repr(str(path))


def check_of(previous: str, body: str) -> str:
    """The check of a line: CRC-32 of the check before it, or of the study's id, and its text without the check."""
    return f"{zlib.crc32((previous + body).encode()):08x}"


def is_next(line: Line, previous: str) -> bool:
    """Whether the check of a line with a chain continues from `previous`."""
    match = CHECK.fullmatch(line.text)
    return match is not None and check_of(previous, match[1] + "}") == match[2]


def own_check(line: Line) -> str:
    return line.text[-10:-2]


def write(answer: Answer, previous: str) -> str:
    """The line that the page writes, without its end; `previous` as in `check_of`."""
    body = json.dumps({"schema": ANSWERS} | asdict(answer), separators=(",", ":"))
    return f'{body[:-1]},"check":"{check_of(previous, body)}"}}'


FORMATS = {
    b"PK": "a zip or a spreadsheet; unpack it, or ask for the file that the page saved",
    b"\xff\xfe": "UTF-16; ask for the file that the page saved",
    b"\xfe\xff": "UTF-16; ask for the file that the page saved",
}  # by their first bytes


def content_of(path: Path) -> bytes:
    """The bytes of a file of answers; raises Refusal where it cannot be read, or cannot be one."""
    if path.is_dir():
        raise Refusal("a folder, not a file", "give the files in it")
    if not path.is_file():
        raise Refusal("no such file")
    try:
        with open(path, "rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise Refusal("cannot be read", error.strerror or "") from None
    if len(content) > LARGEST or content.count(b"\n") > MOST:
        raise Refusal(f"larger than {LARGEST / 1e6:g} MB, or than {MOST:,} lines", "no file of answers is")
    if not content:
        raise Refusal("empty file")
    for begin, what in FORMATS.items():
        if content.startswith(begin):
            raise Refusal("not a file of answers", what)
    return content


def read_file(path: Path, key: Callable[[str], Study]) -> tuple[list[Line], list[Refused]]:
    """Every line of a file, and what is wrong with those that have no answer.

    key       the key of a study by its id; raises Refusal where there is none
    raises    Refusal where the file cannot be read
    """
    content, file = content_of(path), shown(path)
    sha256 = hashlib.sha256(content).hexdigest()
    *whole, rest = content.split(b"\n")
    lines, wrong = [], []
    for number, one in enumerate([*whole, rest] if rest else whole, 1):
        line, why = _read_line(one, number <= len(whole), Line(file, sha256, number, ""), key)
        lines.append(line)
        if why:
            wrong.append((line, why))
    studies = {line.answer.study for line in lines if line.answer}
    only = studies.pop() if len(studies) == 1 else None  # of lines that do not say theirs
    return lines, _runs(wrong, only, key)


def _runs(wrong: list[tuple[Line, Refusal]], only: str | None, key: Callable[[str], Study]) -> list[Refused]:
    """Problems, with one line for neighbours that have the same."""
    found: list[tuple[list[Line], Refusal, str | None]] = []
    for line, why in wrong:
        study = line.chain[0] if line.chain and _is_known(line.chain[0], key) else only
        before = found[-1] if found else None
        same = before and (before[1].args, before[2]) == (why.args, study) and before[0][-1].number + 1 == line.number
        if before and same:
            before[0].append(line)
        else:
            found.append(([line], why, study))
    return [refused(lines, why, study) for lines, why, study in found]


def _is_known(study: str, key: Callable[[str], Study]) -> bool:
    try:
        return bool(key(study))
    except Refusal:
        return False


def _read_line(content: bytes, has_end: bool, line: Line, key: Callable[[str], Study]) -> tuple[Line, Refusal | None]:
    text, chain = "", None
    try:
        text = _text(content)
        said = _json(text)
        chain = _chain(said, text)
        return Line(line.file, line.sha256, line.number, text, chain, _answer(said, text, key)), None
    except Refusal as why:
        if not has_end and why.reason in ("not UTF-8", "not JSON"):
            why = Refusal("cut off", "the file ends in this line")
        return Line(line.file, line.sha256, line.number, text, chain), why


def _text(content: bytes) -> str:
    try:
        text = content.decode().removeprefix(BOM).removesuffix("\r")
    except UnicodeDecodeError as error:
        raise Refusal("not UTF-8", f"byte {error.start + 1}") from None
    if not text.strip():
        raise Refusal("empty line")
    return text


def _json(text: str) -> dict:
    try:
        said = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise Refusal("not JSON", f"at character {error.pos + 1}") from None
    except (ValueError, RecursionError) as error:  # a number of too many digits; nested too deeply
        raise Refusal("not JSON", brief(str(error))) from None
    if not isinstance(said, dict):
        raise Refusal("no answer", brief(said))
    return said


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _once(pairs: list[tuple[str, object]]) -> dict:
    said = dict(pairs)
    if len(said) < len(pairs):
        raise ValueError("a key stands there twice")
    return said


def _chain(said: dict, text: str) -> tuple[str, str, str] | None:
    study, rater, session = said.get("study"), said.get("rater"), said.get("session")
    if not (isinstance(study, str) and isinstance(rater, str) and isinstance(session, str)):
        return None
    return (study, rater, session) if ID.fullmatch(study) and ID.fullmatch(session) and CHECK.fullmatch(text) else None


def _answer(said: dict, text: str, key: Callable[[str], Study]) -> Answer:
    """The answer that a line holds, every field checked, also against the study's key."""
    if said.get("schema") != ANSWERS:
        raise Refusal("another schema", f"{brief(said.get('schema'))}; this reads {ANSWERS!r}")
    if other := sorted(said.keys() ^ set(KEYS)):
        raise Refusal("other keys", f"{'unknown' if other[0] in said else 'missing'}: {brief(other[0])}")
    if not CHECK.fullmatch(text):
        raise Refusal("wrong value", "check: is not 8 hexadecimal digits at the end of the line")
    try:
        answer = bind(Answer, {name: said[name] for name in KEYS[1:-1]}, "$")
    except Fault as fault:
        raise Refusal("wrong value", str(fault).removeprefix("$.")) from None
    for name, value in (("study", answer.study), ("session", answer.session)):
        if not ID.fullmatch(value):
            raise Refusal("wrong value", f"{name}: {brief(value)} is not 16 hexadecimal digits")
    study = key(answer.study)
    if answer.rater not in study.raters:
        raise Refusal("not a rater of the study", brief(answer.rater))
    trials = study.raters[answer.rater]
    if answer.trial >= len(trials):
        raise Refusal("no such trial", f"{answer.trial}; the rater has {len(trials)}, from 0")
    for side in ("left", "right"):
        if getattr(answer, side) != getattr(trials[answer.trial], side):
            raise Refusal("not the videos of the trial", f"{side}: {brief(getattr(answer, side))}")
    if answer.simulated is not study.simulated:
        kinds = {True: "simulated raters", False: "people"}
        raise Refusal("people and simulated raters", f"an answer of {kinds[answer.simulated]}, a study of the other")
    return answer
