"""Digests of the import closure of a file of the package: the file, all that it imports, and the data that these read.

Stages depend on these digests, and the resumable state of a training is named by them, so an edit re-runs only what it
can change. Digests leave out what changes no result: comments, docstrings, layout, the order of imports, the text of
errors, return annotations, notes in Annotated. They are the same under every version of Python, unlike ast.dump and
ast.unparse.
"""

import ast
import functools
import hashlib
import importlib.util
from collections.abc import Iterable, Iterator
from pathlib import Path

PACKAGE = Path(__file__).parent
# Imported by code that computes results, but an edit of these files changes no result.
NOT_COUNTED = {
    "__init__.py": "finds a file by its name; the file that is found is counted",
    "params.py": "hands over the values of params.yaml; each stage depends on the values that it reads",
    "progress.py": "writes progress to the log",
    "closure.py": "computes these digests",
    "machine.py": "says where a stage runs",
    "stages/_kept_clips.py": "keeps clips that are made already",
    "stages/_launch.py": "starts processes and watches them",
    "download/archives.py": "brings and unpacks files whose sha256 the data sets state",
    "download/weights.py": "brings pretrained weights; weights.json holds their sha256, and stages depend on it",
    "stages/_precision.py": "one line of advice on slow precisions",
    "stages/_published.py": "refuses published weights that do not fit, and changes none",
}
# Fields of ast nodes without effect on results, or that some versions of Python lack; `msg` belongs to assert.
NO_FIELDS = {"ctx", "kind", "type_comment", "type_ignores", "returns", "msg"}


def digests(files: Iterable[str]) -> dict[str, str]:
    """{path: sha256} of the import closure of `files`, sorted.

    Imports inside functions count; imports for type checkers do not. A data file counts if its name occurs in a file
    of the closure that is in the same folder or in a parent folder.

    files     paths relative to the package, such as "stages/train.py"
    raises    FileNotFoundError if a file is missing
    """
    waiting, closure = list(files), {}
    while waiting:
        path = waiting.pop()
        if path not in closure and path not in NOT_COUNTED:
            closure[path], reads = _file(path)
            waiting += reads
    return dict(sorted(closure.items()))


def _file(path: str) -> tuple[str, tuple[str, ...]]:
    """The digest of one file, and the files of the package that it names."""
    return _digest(path, (PACKAGE / path).read_bytes())


@functools.cache
def _digest(path: str, content: bytes) -> tuple[str, tuple[str, ...]]:
    if not path.endswith(".py"):
        return hashlib.sha256(content).hexdigest(), tuple(_data_files(path, content.decode(errors="replace")))
    tree = ast.parse(content)
    nodes = list(_walk(tree))
    strings = (node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))
    reads = dict.fromkeys([*_imported_files(path, nodes), *_data_files(path, "\n".join(strings))])
    return hashlib.sha256(normal_form(tree).encode()).hexdigest(), tuple(reads)


def _walk(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node except those only for type checkers."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if not _for_type_checkers(node):
            yield node
            waiting += ast.iter_child_nodes(node)


def _for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and getattr(node.test, "id", getattr(node.test, "attr", "")) == "TYPE_CHECKING"


def _imported_files(path: str, nodes: list[ast.AST]) -> Iterator[str]:
    """Files of the package that a module imports, and the __init__ of each parent package of these and of itself."""
    package = ".".join([PACKAGE.name, *Path(path).parent.parts])
    for top, *parts in (name.split(".") for name in [package, *_imported_names(nodes, package)]):
        for n in range(len(parts) + 1 if top == PACKAGE.name else 0):
            file, folder = Path(*parts[:n]).with_suffix(".py") if n else None, Path(*parts[:n], "__init__.py")
            yield from (found.as_posix() for found in (file, folder) if found and (PACKAGE / found).is_file())


def _imported_names(nodes: list[ast.AST], package: str) -> Iterator[str]:
    """Dotted names of modules, or of their members, that the nodes import into a module of `package`."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            yield from (f"{module}.{alias.name}" for alias in node.names)


def _data_files(path: str, text: str) -> Iterator[str]:
    """Data files in the folder of `path`, or below it, whose name occurs in `text`."""
    for file in data_files((PACKAGE / path).parent):
        if Path(file).name in text and file != path:
            yield file


@functools.cache
def data_files(folder: Path) -> tuple[str, ...]:
    """Files other than Python in `folder` and below it, relative to the package."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix not in (".py", ".pyc"))
    return tuple(path.relative_to(PACKAGE).as_posix() for path in files)


def normal_form(node: ast.AST) -> str:
    """A text of the code that is equal for two pieces of code only if they compute the same results."""
    if isinstance(node, ast.Constant):
        return f"<{ascii(node.value)}>"
    if isinstance(node, ast.Raise):
        kind = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        return f"raise {normal_form(kind) if kind else ''}"
    if isinstance(node, ast.Subscript) and getattr(node.value, "id", "") == "Annotated":
        parts = getattr(node.slice, "elts", [node.slice])
        parts = [part for part in parts if not isinstance(getattr(part, "value", None), str)]
        return f"Annotated[{', '.join(map(normal_form, parts))}]"
    fields = []
    for name, value in ast.iter_fields(node):
        if value is None or value == [] or name in NO_FIELDS:
            continue
        if isinstance(value, list):
            value = f"[{', '.join(_statements(value) if isinstance(value[0], ast.stmt) else _items(value))}]"
        elif isinstance(value, ast.AST):
            value = normal_form(value)
        fields.append(f"{name}={value}")
    return f"{type(node).__name__}({', '.join(fields)})"


def _items(values: list) -> Iterator[str]:
    """Normal forms of the items of a field; without empty parts of f-strings, which Python 3.12 alone has."""
    for value in values:
        text = normal_form(value) if isinstance(value, ast.AST) else ascii(value)
        if text != "<''>" or not any(isinstance(part, ast.FormattedValue) for part in values):
            yield text


def _statements(body: list[ast.stmt]) -> Iterator[str]:
    """Normal forms of statements; docstrings and other lone constants have none, neighbouring imports are sorted."""
    imports: set[str] = set()
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            imports |= set(_import_lines(node))
            continue
        is_constant = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not is_constant and not _for_type_checkers(node):
            yield from sorted(imports)
            imports = set()
            yield normal_form(node)
    yield from sorted(imports)


def _import_lines(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    start = f"from {'.' * node.level}{node.module or ''} " if isinstance(node, ast.ImportFrom) else ""
    for alias in node.names:
        yield f"{start}import {alias.name} as {alias.asname or alias.name}"
