"""A dataclass that is a JSON file: how it is read, checked and written; a file that is wrong is refused in one line."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from v2vbench.files import write_json, write_whole
from v2vbench.params import Fault, bind, brief

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Record:
    """A file of results.

    SCHEMA    name and version, which stand in the file; the version rises when a field or its meaning changes
    PATH      of the file below the project's folder; {} is the key: of a run, a data set, a prediction
    """

    SCHEMA: ClassVar[str]
    PATH: ClassVar[str]

    @classmethod
    def path(cls, root: Path, key: str = "") -> Path:
        return Path(root) / cls.PATH.format(key)

    @classmethod
    def load(cls, path: Path) -> Self:
        """The file's content, every field checked; raises Fault naming the file, the field and what to do."""
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise Fault(f"{path}: missing; `dvc repro` makes it") from None
        except (OSError, ValueError) as error:
            raise Fault(f"{path}: not whole ({error}); delete it and run `dvc repro`") from None
        schema = content.pop("schema", None) if isinstance(content, dict) else None
        if schema != cls.SCHEMA:
            what = "without a schema" if schema is None else f"of schema {brief(schema)}"
            raise Fault(f"{path}: {what}, and this version of v2vbench reads {cls.SCHEMA!r}; run `dvc repro`")
        try:
            return bind(cls, content, "$")
        except Fault as fault:
            raise Fault(f"{path}: {fault}; run `dvc repro`") from None

    def save(self, path: Path) -> None:
        """Write the file: equal results, equal bytes."""
        write_json(path, {"schema": self.SCHEMA} | asdict(self))


def write_csv(path: Path, table: "pd.DataFrame") -> None:
    """Write a table with floats of 9 significant digits, so that equal results are equal bytes."""
    write_whole(path, table.to_csv(index=False, float_format="%.9g", lineterminator="\n").encode())
