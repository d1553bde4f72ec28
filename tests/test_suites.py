"""Suites say only what differs from another, and become whole files that DVC and people can change line by line."""

import shutil
from pathlib import Path

import pytest
from dvc.utils.hydra import apply_overrides
from ruamel.yaml import YAML

from v2vbench.params import Fault, load, parse
from v2vbench.runner.suites import blocks, load_suite, whole_text

ROOT = Path(__file__).parents[1]
FILES = [ROOT / "tests/tiny.yaml", *sorted((ROOT / "suites").glob("*.yaml"))]

BASE = """\
# about the base
suite: base
datasets:
  # a comment of one
  one: {loader: x}   # the first
  two:
    loader: y
  three: {loader: z}

runs:      # what is compared
  a: &a
    title: a
    kwargs: {n: 1}
  b:
    <<: *a
    title: b
report: {players: 1}
"""
OWN = """\
# about the other

# what extends means
extends: base
suite: other
datasets:
  extends: base
  two: null
  four:    # a new one
    loader: w
  three: {loader: v}

# players are many here
report:
  players: 9
"""
WHOLE = """\
# about the other
suite: other
datasets:
  # a comment of one
  one: {loader: x}   # the first
  four:    # a new one
    loader: w
  three: {loader: v}

runs:      # what is compared
  a: &a
    title: a
    kwargs: {n: 1}
  b:
    <<: *a
    title: b

# players are many here
report:
  players: 9
"""


@pytest.fixture
def suites(tmp_path) -> Path:
    """A folder of two suites: `other` extends `base`."""
    (tmp_path / "base.yaml").write_text(BASE)
    (tmp_path / "other.yaml").write_text(OWN)
    return tmp_path


def test_a_suite_is_written_whole_with_its_comments(suites):
    assert whole_text(suites / "other.yaml") == WHOLE
    assert whole_text(suites / "base.yaml") == BASE


def test_a_suite_of_a_suite(suites):
    (suites / "third.yaml").write_text("extends: base\nsuite: third\ndatasets:\n  extends: other\n  one: null\n")
    content = parse(whole_text(suites / "third.yaml"), "third")
    assert list(content["datasets"]) == ["four", "three"]
    assert list(content["runs"]) == ["a", "b"]


@pytest.mark.parametrize(
    ("own", "says"),
    [
        ("extends: bass\n", "other.yaml: extends: no suite 'bass'; there are base, other"),
        ("extends: [base]\n", "other.yaml: extends: no suite ['base']; there are base, other"),
        ("extends: other\n", "other.yaml: extends: other extends other, in a circle"),
        ("extends: base\nruns:\n  extends: bass\n", "other.yaml: runs.extends: no suite 'bass'; there are base, other"),
        (
            "extends: base\nstyles:\n  extends: base\n",
            "other.yaml: styles.extends: base has no lines in such a section",
        ),
        ("extends: base\nsuite:\n  extends: base\n", "other.yaml: suite.extends: base has no lines in such a section"),
        (
            "extends: base\nruns: {extends: base, a: null}\n",
            "other.yaml: runs: a section that extends another is written as",
        ),
        ("{extends: base, suite: b}\n", "other.yaml: suite: in a suite that extends another, a section starts at the"),
        ("extends: base\nruns:\n  extends: base\n  a: null\n", "other.yaml, written whole:"),
        (
            "extends: base\nruns:\n  extends: base\n  a: &a {title: a}\n  c: &a {title: c}\n",
            "other.yaml:5: found duplicate anchor 'a'",
        ),
        (
            "extends: base\nruns:\n  extends: base\n  a: {title: a}\n  c: &a {title: c}\n",
            "other.yaml: a named block (&name) has the name of one",
        ),
        ("extends: base\nsuite: [\n", "other.yaml:3: "),
    ],
)
def test_a_suite_that_cannot_be_written_whole_is_one_line(suites, own, says):
    (suites / "other.yaml").write_text(own)
    with pytest.raises(Fault) as fault:
        whole_text(suites / "other.yaml")
    assert str(fault.value).startswith(says)
    assert "\n" not in str(fault.value)


def test_only_a_suite_extends(suites):
    shutil.copy(suites / "other.yaml", suites / "params.yaml")
    with pytest.raises(Fault, match="params.yaml: extends is for suites; `v2vbench use NAME` writes"):
        load(suites / "params.yaml")


def test_rows_stay_with_their_key():
    text = "a: 1\n# of b\n\nb:\n  c: 2\n\n  # at the end\n"
    assert blocks(text) == {"a": "a: 1\n", "b": "# of b\n\nb:\n  c: 2\n\n  # at the end\n"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_lines_are_short_and_few(path):
    """A suite that extends another is shorter than what it stands for."""
    text = path.read_text()
    assert max(map(len, text.splitlines())) <= 120
    if "\nextends:" in text:
        assert len(text.splitlines()) < len(whole_text(path).splitlines())


def paths(value, path: str = "") -> dict:
    """{dotted path: value} of everything that is no mapping."""
    if not isinstance(value, dict):
        return {path: value}
    return {key: leaf for name, part in value.items() for key, leaf in paths(part, f"{path}.{name}".strip(".")).items()}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_dvc_changes_one_value_alone(path, tmp_path):
    """`dvc exp run -S` writes into the file: a shared value must change in the named block and in no other."""
    (tmp_path / "params.yaml").write_text(whole_text(path))
    before = paths(YAML(typ="safe").load(tmp_path / "params.yaml"))
    changes = {
        key: value + 1
        for key, value in before.items()
        if key.split(".")[0] in ("schedules", "runs") and type(value) is int and "." not in str(value)
    }
    assert len(changes) > 20
    for key in list(changes)[:: max(1, len(changes) // 3)]:
        (tmp_path / "params.yaml").write_text(whole_text(path))
        apply_overrides(tmp_path / "params.yaml", [f"{key}={changes[key]}"])
        assert paths(YAML(typ="safe").load(tmp_path / "params.yaml")) == before | {key: changes[key]}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_two_lines_hold_one_mapping(path):
    """What `dvc exp run -S` sets in a mapping that two lines share would change both: each line has its own."""
    content = YAML().load(whole_text(path))
    for section in ("schedules", "judges", "runs", "predictors", "futures"):
        inner = [value for line in content[section].values() for value in line.values() if isinstance(value, dict)]
        assert len({id(value) for value in inner}) == len(inner), section


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_suite_has_its_own_name(path):
    assert load_suite(path).suite == path.stem
