"""Whatever is done to a file of parameters, it is sound or ends in one short line: never in a traceback."""

import copy
import math
import random
from pathlib import Path

import pytest

from v2vbench import params
from v2vbench.params import Fault
from v2vbench.runner.check import check_references, check_signatures
from v2vbench.runner.suites import whole_text
from v2vbench.stages._published import published_runs

ROOT = Path(__file__).parents[1]
FILES = [ROOT / "tests/tiny.yaml", *sorted((ROOT / "suites").glob("*.yaml"))]
N_MUTATIONS = 300  # of each file
LONGEST = 400  # characters of a message
LONG = "ab " * 1667
VALUES = (
    None,
    float("nan"),
    float("inf"),
    -float("inf"),
    10**30,
    -(10**30),
    10**400,
    10**5000,
    1e308,
    -1,
    -0.5,
    0,
    True,
    {},
    {"a": 1},
    {1: {}},
    {None: None},
    {(1, 2): 3},
    [],
    [None],
    [1, {}],
    [[]],
    [{}, {}],
    "",
    LONG,
    "x\ny",
    "\x00",
    "../x",
    "none",
    "real",
)


def place(content, draw: random.Random) -> list:
    """A path into a parsed file: each section as likely as another, however many lines it has."""
    path, value = [], content
    while isinstance(value, dict | list) and value and (not path or draw.random() < 0.75):
        path.append(draw.choice(list(value)) if isinstance(value, dict) else draw.randrange(len(value)))
        value = value[path[-1]]
    return path


def other_type(value):
    """The value as someone might have meant it who writes another type."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, bool) or value is None:
        return int(bool(value))
    return (
        str(value)
        if isinstance(value, int | float)
        else dict(enumerate(value))
        if isinstance(value, list)
        else list(value)
    )


def mutate(content, draw: random.Random):
    """Change one place of `content`; returns what was done, for the message of a failure."""
    *folders, last = place(content, draw)
    parent = content
    for key in folders:
        parent = parent[key]
    what, old = draw.choice(["value"] * 4 + ["type", "rename", "remove", "double"]), parent[last]
    if what == "value":
        parent[last] = new = copy.deepcopy(draw.choice(VALUES))
    elif what == "type":
        parent[last] = new = other_type(old)
    elif what == "remove":
        new = parent.pop(last)
    elif isinstance(parent, list):
        new = parent.insert(last, copy.deepcopy(parent[last]))
    else:
        new = draw.choice([f"{last}x", str(last).upper(), LONG, "a" * 5000, 3, None, True, (1, 2), "", "none"])
        parent[new] = copy.deepcopy(parent[last]) if what == "double" else parent.pop(last)
    return what, (*folders, last), old, new


def verdict(content) -> str:
    """What is wrong with the content of a file, or "" where nothing is."""
    try:
        own = params.typed(content, "params.yaml", ROOT)
        check_references(own, "params.yaml", published_runs(ROOT))
        check_signatures(own, "params.yaml")
    except Fault as fault:
        return str(fault)
    return ""


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_changed_file_is_sound_or_one_line(path):
    content, draw, n_refused = params.parse(whole_text(path), path.name), random.Random(path.stem), 0
    assert verdict(content) == ""
    for _ in range(N_MUTATIONS):
        changed = copy.deepcopy(content)
        done = [mutate(changed, draw) for _ in range(draw.choice([1, 1, 1, 2]))]
        try:
            said = verdict(changed)
        except Exception as error:
            raise AssertionError(f"a traceback after {params.brief(done, 500)}") from error
        assert "\n" not in said, (params.brief(done, 500), said)
        assert len(said) <= LONGEST, (params.brief(done, 500), said)
        if any(
            what == "value" and type(old) in (int, float) and isinstance(new, float) and not math.isfinite(new)
            for what, _, old, new in done
        ):
            assert said, f"passes after {params.brief(done, 500)}"
        n_refused += bool(said)
    assert n_refused > N_MUTATIONS / 2  # the changes do reach what is checked
