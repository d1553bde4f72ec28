"""Suites: experiments in suites/, written in full or as differences from another suite."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from v2vbench.files import write_whole
from v2vbench.params import Fault, Params, brief, parse, read, shorten, typed

ABOUT = r"(#.*\n)*"  # the comment that a file begins with
HEADING = r"(\s*#.*\n|\s*\n)*\S.*\n"  # of a section: comments and blank lines, then its key


def load_suite(path: Path) -> Params:
    """The parameters of a suite after `use`; raises Fault with the path to the line."""
    project = path.parents[1] if path.parent.name == "suites" else path.parent
    return typed(parse(whole_text(path), path.name), path.name, project)


def use(suite: str, force: bool, root: Path) -> None:
    """Write a suite to params.yaml; raises Fault if that would lose changes, or the suite is not valid.

    force    overwrite params.yaml even if it has changes that are not in git
    """
    path = root / "suites" / f"{suite}.yaml"
    if not path.is_file():
        raise Fault(f"use: no suite {suite!r} in suites; there are {_names(path.parent)}")
    text = whole_text(path)
    typed(parse(text, path.name), path.name, root)
    refuse_loss(force, root)
    write_whole(root / "params.yaml", text.encode())
    print(f"params.yaml is now the suite {suite}; `make repro` runs it")


def refuse_loss(force: bool, root: Path, same: Callable[[str], bool] = lambda text: False) -> None:
    """Raise Fault if params.yaml has changes that git does not have and that writing a suite would lose.

    force    never
    same     whether a text has nothing to lose
    """
    target = root / "params.yaml"
    if force or not _differs_from_git(target):
        return
    text = read(target)
    if not (same(text) or _is_suite(text, root / "suites")):
        raise Fault(
            "use: params.yaml holds changes that git does not have; commit it first, or add --force to lose them"
        )


def whole_text(path: Path) -> str:
    """The text of a suite with every section written out, comments and named blocks (&name) kept.

    A suite with `extends: mini` has all sections of mini except those that it writes itself. A section with
    `extends: mini` has all lines of mini's section: a line here replaces mini's line, a new line goes after the line
    above it, and null removes a line.

    raises    Fault naming the suite and the section
    """
    return _whole(path, (), {})[0]


def _whole(path: Path, heirs: tuple[str, ...], read_before: dict[str, tuple[str, dict]]) -> tuple[str, dict]:
    """The whole text and its parsed content.

    heirs          suites that extend this one
    read_before    results for other suites, which several sections may extend
    """
    text = read(path)
    values = parse(text, path.name)
    if not isinstance(values, dict) or "extends" not in values:
        return text, values
    if path.stem in heirs:
        raise Fault(f"{path.name}: extends: {' extends '.join((*heirs, path.stem))}, in a circle")

    def extended(name: object, where: str) -> tuple[dict[str, str], dict]:
        """The sections of the suite `name`, as text and parsed."""
        if not isinstance(name, str) or not (other := path.with_name(f"{name}.yaml")).is_file():
            raise Fault(f"{where}: no suite {brief(name)}; there are {_names(path.parent)}")
        if name not in read_before:
            read_before[name] = _whole(other, (*heirs, path.stem), read_before)
        whole, parsed = read_before[name]
        if not isinstance(parsed, dict):
            raise Fault(f"{other.name}: expected a mapping of sections, got {type(parsed).__name__}")
        return blocks(whole), parsed

    about = _start(text, ABOUT)
    sections, content = extended(values.pop("extends"), f"{path.name}: extends")
    content = dict(content)
    written = blocks(text[len(about) :])
    for section, lines in values.items():
        where = f"{path.name}: {shorten(section)}"
        if section not in written:
            raise Fault(f"{where}: in a suite that extends another, a section starts at the beginning of a line")
        block = written[section]
        if isinstance(lines, dict) and "extends" in lines:
            name = lines.pop("extends")
            others, base = extended(name, f"{where}.extends")
            if not isinstance(base.get(section), dict) or section not in others:
                raise Fault(f"{where}.extends: {name} has no lines in such a section")
            block = _merged(others[section], block, lines, where)
            removed = {key for key, line in lines.items() if line is None and key in base[section]}
            lines = {key: line for key, line in (base[section] | lines).items() if key not in removed}
        sections[section], content[section] = block, lines
    whole = about + "".join(sections.values())
    if parse(whole, f"{path.name}, written whole") != content:
        raise Fault(f"{path.name}: a named block (&name) has the name of one in a suite that it extends; rename it")
    return whole, content


def blocks(text: str, indent: str = "") -> dict[str, str]:
    """Text in block style, cut at the keys of one indentation: {key: its rows, those of comments above it included}."""
    cut, above, key = {}, "", None
    for row in text.splitlines(keepends=True):
        if match := re.match(rf"{indent}([\w-]+):(\s|$)", row):
            key = match[1]
            cut[key], above = above + row, ""
        elif key is None or re.match(rf"{indent}#|\s*$", row):
            above += row
        else:
            cut[key], above = cut[key] + above + row, ""
    if key is not None:
        cut[key] += above
    return cut


def _merged(base: str, changed: str, values: dict, where: str) -> str:
    """The block of a section that extends another suite's: the base's lines with those of `changed` in place of some.

    values    the lines of `changed`, parsed, without `extends`
    """
    heading = _start(base, HEADING)
    lines, changes = blocks(base[len(heading) :], "  "), blocks(changed[len(_start(changed, HEADING)) :], "  ")
    if changes.keys() != values.keys() | {"extends"} or not lines:
        raise Fault(f"{where}: a section that extends another is written as lines that are indented by two spaces")
    order, place = list(lines), len(lines)
    for key in values:
        if key not in order:
            order.insert(place, key)
        place = order.index(key) + 1
    removed = {key for key, value in values.items() if value is None and key in lines}
    return heading + "".join((lines | changes)[key] for key in order if key not in removed)


def _start(text: str, pattern: str) -> str:
    """The part of a text, from its beginning, that a pattern matches."""
    match = re.match(pattern, text)
    return match[0] if match else ""


def _names(folder: Path) -> str:
    return ", ".join(sorted(path.stem for path in folder.glob("*.yaml"))) or "none"


def _is_suite(text: str, folder: Path) -> bool:
    """Whether a text is that of a valid suite, so that nothing is lost if it is overwritten."""
    for path in sorted(folder.glob("*.yaml")):
        try:
            if whole_text(path) == text:
                return True
        except Fault:
            continue
    return False


def _differs_from_git(file: Path) -> bool:
    command = ["git", "diff", "--quiet", "HEAD", "--", file.name]
    return subprocess.run(command, check=False, cwd=file.parent, capture_output=True).returncode != 0
