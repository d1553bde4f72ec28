"""Import closures: what counts for the digest of a file, what does not, and that every version of Python agrees."""

import ast
import hashlib
import re
from pathlib import Path

import pytest

from v2vbench import closure
from v2vbench.params import load
from v2vbench.runner.digests import code

ROOT = Path(__file__).parents[1]
CODE = '''"""A module."""
import os
from math import pi, sqrt

RATIO = 1e-3


class Thing:
    """A class."""

    width: Annotated[int, Range(0), "in pixels"] = 3

    def area(self, height: float = 2.0) -> float:
        """A method."""
        if height < 0:
            raise ValueError(f"{height} is negative")
        assert self.width, "no width"
        return self.width * height * RATIO
'''
SAME = {
    "comment": ("RATIO = 1e-3", "RATIO = 1e-3  # of something"),
    "docstring": ('"""A method."""', '"""Another\n\n        text."""'),
    "no docstring": ('"""A module."""\n', ""),
    "layout": ("self.width * height * RATIO", "(\n            self.width * height * RATIO\n        )"),
    "spelling of a number": ("1e-3", "0.001"),
    "quotes": ('f"{height} is negative"', "f'{height} is negative'"),
    "order of imports": (
        "import os\nfrom math import pi, sqrt",
        "from math import sqrt\nfrom math import pi\nimport os",
    ),
    "text of an error": ("is negative", "must not be negative"),
    "text of an assertion": ("no width", "the width is zero"),
    "type that is returned": (" -> float:", ":"),
    "note of a field": (', "in pixels"', ', "of the picture"'),
    "import for type checkers": (
        "RATIO = 1e-3",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import numpy\nRATIO = 1e-3",
    ),
}
OTHER = {
    "number": ("1e-3", "1e-4"),
    "kind of a number": ("2.0", "2"),
    "operator": ("self.width * height", "self.width + height"),
    "name": ("RATIO = 1e-3", "RATIO2 = 1e-3"),
    "kind of an error": ("raise ValueError", "raise TypeError"),
    "condition": ("height < 0", "height <= 0"),
    "type of a parameter": ("height: float", "height: int"),
    "field": ("Annotated[int, Range(0)", "Annotated[float, Range(0)"),
    "range of a field": ("Range(0)", "Range(1)"),
    "import": ("pi, sqrt", "pi, cbrt"),
}


def form(text: str) -> str:
    return closure.normal_form(ast.parse(text))


@pytest.mark.parametrize(("old", "new"), SAME.values(), ids=SAME)
def test_what_changes_no_number_changes_no_digest(old, new):
    assert old in CODE
    if "TYPE_CHECKING" in new:  # the import of the name itself is code
        assert "numpy" not in form(CODE.replace(old, new))
    else:
        assert form(CODE.replace(old, new)) == form(CODE)


@pytest.mark.parametrize(("old", "new"), OTHER.values(), ids=OTHER)
def test_what_may_change_a_number_changes_the_digest(old, new):
    assert old in CODE
    assert form(CODE.replace(old, new)) != form(CODE)


# Syntax whose trees, or their text by ast.dump and ast.unparse, differ between Python 3.11, 3.12 and 3.13.
SYNTAX = r'''
async def many(a, /, b: int = 1, *rest, c=None, **more) -> dict:
    """Text."""
    async with open(a) as f, open(b): pass
    return [f"{a!r:>{b}}" "" f"{c:}", b'\xff', 'é', 1j, ..., True, None, -1, 10**2, *rest, {**more, None: 1}]
lambda x, y=2: (yield x)
class A(B, metaclass=C):
    x: int
    def f(self): return super().f() if self.x else not self.x
match A:
    case [1, *_] | {"a": 2, **r} if r: pass
    case A(x=1) as y: pass
    case None: pass
try: import a.b as c, d
except* (E, F) as e: raise G from e
else: del c[1:2, ::3], d
finally:
    while (n := 1) < 2 <= 3: break
    for i, in zip([x for x in y if x if y for z in x], {1}, {2: 3}): continue
@dec(1)
def g(): global h; nonlocal_ = f'{h=}' f'{g()!s}'
'''
EXPECTED = "978f11deb0219094ff8ee336c1dfe785f7cac7d89952a15a61ba16f75b602273"


def test_every_version_of_python_has_the_same_digests():
    """Run under another version than this number was made with: 3.11.7, 3.12.1 and 3.13.0 gave it."""
    assert hashlib.sha256(form(SYNTAX).encode()).hexdigest() == EXPECTED


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of six files in the place of v2vbench."""
    files = {
        "__init__.py": "",
        "start.py": "def f():\n    from pack.folder.deep import g\n    return g\n",
        "folder/__init__.py": "WIDTH = 1\n",
        "folder/deep.py": "from . import beside\nimport pack.other\nTABLE = 'numbers.csv'\n",
        "folder/beside.py": "",
        "folder/numbers.csv": "1\n",
        "folder/unread.csv": "2\n",
        "other.py": "",
        "apart.py": "",
    }
    for name, text in files.items():
        path = tmp_path / "pack" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(closure, "PACKAGE", tmp_path / "pack")
    monkeypatch.setattr(closure, "NOT_COUNTED", {"__init__.py": "for the test"})
    return tmp_path / "pack"


def test_a_closure_holds_what_is_imported_anywhere_and_the_data_that_is_read(package):
    assert list(closure.digests(["start.py"])) == [
        "folder/__init__.py",
        "folder/beside.py",
        "folder/deep.py",
        "folder/numbers.csv",
        "other.py",
        "start.py",
    ]


def test_what_only_a_file_that_is_not_counted_imports_does_not_count_either(package, monkeypatch):
    monkeypatch.setattr(closure, "NOT_COUNTED", {"folder/deep.py": "for the test"})
    assert list(closure.digests(["start.py"])) == ["__init__.py", "folder/__init__.py", "start.py"]


def test_a_file_that_is_not_there_is_an_error(package):
    with pytest.raises(FileNotFoundError, match="absent.py"):
        closure.digests(["absent.py"])


def test_modules_are_imported_by_name_where_lines_of_params_name_them_alone():
    """What is imported by another way than a statement would be missing in a closure."""
    texts = {path.relative_to(closure.PACKAGE).as_posix(): path.read_text() for path in closure.PACKAGE.rglob("*.py")}
    by_name = re.compile(r"import_module|__import__|\bexec\(|runpy")
    assert sorted(path for path, text in texts.items() if by_name.search(text)) == [
        "__init__.py",
        "params.py",
        "runner/packed.py",
    ]


def test_files_that_are_not_counted_are_there():
    assert [path for path in closure.NOT_COUNTED if not (closure.PACKAGE / path).is_file()] == []


@pytest.fixture(scope="module")
def counted():
    """The files that some stage runs, or `v2vbench score`, whatever params.yaml says."""
    files = {
        f"{kind}/{path.name}"
        for kind in ("datasets", "models", "metrics", "extractors")
        for path in (closure.PACKAGE / kind).glob("[!_]*.py")
    }
    for start, _ in code(load(ROOT / "tests/tiny.yaml")).values():
        files |= set(start)
    files.add("scoring/run.py")  # of `v2vbench score`, which is no stage, and keeps results under such digests too
    files.add("people/page.py")  # of `v2vbench study make`, which is no stage
    return closure.digests(files).keys()


def test_docstrings_are_no_data(counted):
    """A docstring that a result shows would be stale after an edit, since digests leave it out."""
    texts = {path: (closure.PACKAGE / path).read_text() for path in counted if path.endswith(".py")}
    read_docstrings = [path for path, text in texts.items() if re.search(r"\b__doc__|getdoc\(|getsource\(", text)]
    assert read_docstrings == ["metrics/__init__.py"]  # refuses a metric that has none


def test_every_data_file_of_the_package_counts_for_some_stage(counted):
    assert set(closure.data_files(closure.PACKAGE)) <= counted
