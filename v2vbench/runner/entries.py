"""Lines that commands add to params.yaml or change in it: everything else stays as it was, comments too."""

import io
import json
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, ScalarNode

from v2vbench.params import NO_RUN, SLUG, Fault, Params, Run, load, parse
from v2vbench.runner.check import check_references, imported_checkpoints
from v2vbench.stages._published import published_runs

IMPORTED = "imported"  # the schedule of runs that are not trained here
SCHEDULE = f"""\
{IMPORTED}:
  seed: 0
  steps: 0
  batch_size: 1
  n_frames: 3
  n_warmup: 0
  double_every: 0
  single_frames: none
  drop_parts: 0
  lr: 2e-4
  lr_d: 2e-4
  betas: [0.5, 0.999]
  constant_share: 0.5
  ema: 0
  precision: 32-true
  compile: false
  log_every: 10
  checkpoint_every: 100
"""


def check_name(name: str, verb: str) -> None:
    """A run can have this name; raises Fault, which begins with the command's verb."""
    if not re.fullmatch(SLUG, name) or name in NO_RUN:
        rule = f"take a-z, 0-9, _ and - (not as the first), and none of {', '.join(NO_RUN)}"
        raise Fault(f"{verb}: a run cannot be called {name!r}; {rule}")


def with_entry(text: str, section: str, entry: str) -> str:
    """params.yaml with one more entry at the end of a section; everything else stays as it was, comments too."""
    rows = text.split("\n")
    start = next((i for i, row in enumerate(rows) if re.match(rf"{section}:\s*(#.*)?$", row)), len(rows))
    stop = next((i for i in range(start + 1, len(rows)) if re.match(r"[^\s#]", rows[i])), len(rows))
    lines = [i for i in range(start + 1, stop) if re.match(r"\s+\S", rows[i])]
    indents = [match[1] for i in lines if (match := re.match(r"( +)[^\s#]", rows[i]))]
    if not indents:
        raise Fault(f"params.yaml: {section} is not a block of indented lines, so nothing can be added to it")
    new = [indents[0] + row for row in entry.splitlines()]
    return "\n".join(rows[: lines[-1] + 1] + new + rows[lines[-1] + 1 :])


def with_run(text: str, name: str, line: dict[str, Any], params: Params) -> str:
    """The text of params.yaml with one more run, and the schedule `imported` where it is missing."""
    entry, yaml = io.StringIO(), YAML()
    yaml.indent(sequence=4, offset=2)
    yaml.dump({name: line}, entry)
    text = with_entry(text, "runs", entry.getvalue())
    return text if line["schedule"] in params.schedules else with_entry(text, "schedules", SCHEDULE)


def with_values(text: str, name: str, values: dict[tuple[str, ...], str]) -> str:
    """The text of params.yaml with other strings in run `name`.

    values    {path below the run's line, such as ("kwargs", "folder"): string}
    raises    Fault where a value does not stand in the run's line itself, but in a block that it names
    """
    places = []
    for path, value in values.items():
        node: Any = YAML().compose(text)
        for key in ("runs", name, *path):
            entries = {one.value: other for one, other in node.value} if isinstance(node, MappingNode) else {}
            node = entries.get(key)
        if not isinstance(node, ScalarNode):
            raise Fault(f"params.yaml: runs.{name}.{'.'.join(path)} is not written in the run's line; write it there")
        places.append((node.start_mark.index, node.end_mark.index, _scalar(value)))
    for start, stop, value in sorted(places, reverse=True):
        text = text[:start] + value + text[stop:]
    return text


def _scalar(value: str) -> str:
    """A string as YAML: as it is where that is the same string, else in quotes."""
    is_plain = re.fullmatch(r"[\w./-]+", value) and parse(value, "") == value
    return value if is_plain else json.dumps(value, ensure_ascii=False)


@contextmanager
def edited(file: Path, text: str, name: str, line: dict[str, Any], bases: Collection[str] = ()) -> Iterator[Path]:
    """A file beside params.yaml with its new text, to be moved to its place; it is removed at the end if it was not.

    file      params.yaml as it is
    text      the same with run `name` as `line`, and perhaps the schedule `imported`
    bases     checkpoints that the text names and that will be in runs/
    raises    Fault where the text says anything else than that, or lines name what is not there
    """
    old, new_file = load(file), file.with_name("params.yaml.partial")
    try:
        new_file.write_bytes(text.encode())
        new = load(new_file)
        check_references(new, file.name, imported_checkpoints(file.parent) | published_runs(file.parent) | {*bases})
        if replace(new, schedules={}) != replace(old, schedules={}, runs=old.runs | {name: Run(**line)}):
            raise Fault(
                "params.yaml: its runs are not plain lines, so none can be written without a change to something else"
            )
        yield new_file
    finally:
        new_file.unlink(missing_ok=True)
