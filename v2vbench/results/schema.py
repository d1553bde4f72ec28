"""The JSON Schema of all files of results, made from their dataclasses.

python -m v2vbench.results.schema > docs/results.schema.json
"""

import json
import types
import typing
from dataclasses import MISSING, fields, is_dataclass
from typing import Annotated

from v2vbench.params import Range
from v2vbench.results.calibration import CalibrationScores
from v2vbench.results.comparison import Comparison
from v2vbench.results.future import FutureScores
from v2vbench.results.record import Record
from v2vbench.results.runs import RunScores

FILES: tuple[type[Record], ...] = (RunScores, CalibrationScores, FutureScores, Comparison)
PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean", types.NoneType: "null"}


def schema() -> dict:
    """JSON Schema, draft 2020-12: a document is one of FILES, by its `schema`."""
    classes: dict[str, dict] = {}
    for file in FILES:
        _of_class(file, classes)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Results of v2vbench",
        "description": "Files below metrics/. Python reads them with v2vbench.results.",
        "oneOf": [{"$ref": f"#/$defs/{file.__name__}"} for file in FILES],
        "$defs": dict(sorted(classes.items())),
    }


def _of_class(cls: type, classes: dict[str, dict]) -> dict:
    """A reference to a dataclass, whose definition is put among `classes`."""
    if cls.__name__ not in classes:
        classes[cls.__name__] = {}  # so that it is made once
        hints = typing.get_type_hints(cls, include_extras=True)
        properties = {field.name: _of_hint(hints[field.name], classes) for field in fields(cls)}
        younger = {field.name for field in fields(cls) if (field.default, field.default_factory) != (MISSING, MISSING)}
        if issubclass(cls, Record):
            properties = {"schema": {"const": cls.SCHEMA}} | properties
        classes[cls.__name__] = {
            "description": " ".join((cls.__doc__ or "").split()),
            "type": "object",
            "properties": properties,
            "required": [name for name in properties if name not in younger],  # than files that were published
            "additionalProperties": False,
        }
    return {"$ref": f"#/$defs/{cls.__name__}"}


def _of_hint(hint, classes: dict[str, dict]) -> dict:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return _of_hint(args[0], classes) | _of_notes(args[1:])
    if origin in (typing.Union, types.UnionType):
        kinds = [_of_hint(arg, classes) for arg in args]
        plain = all(kind.keys() == {"type"} for kind in kinds)
        return {"type": [kind["type"] for kind in kinds]} if plain else {"anyOf": kinds}
    if origin is typing.Literal:
        return {"enum": list(args)}
    if origin is tuple:
        return {
            "type": "array",
            "prefixItems": [_of_hint(arg, classes) for arg in args],
            "minItems": len(args),
            "maxItems": len(args),
        }
    if origin is list:
        return {"type": "array", "items": _of_hint(args[0], classes)}
    if origin is dict:
        names = {"propertyNames": _of_hint(args[0], classes)} if args[0] is not str else {}
        return {"type": "object", "additionalProperties": _of_hint(args[1], classes)} | names
    if is_dataclass(hint) and isinstance(hint, type):
        return _of_class(hint, classes)
    return {"type": PLAIN[hint]} if hint in PLAIN else {"type": {list: "array", dict: "object"}[hint]}


def _of_notes(notes: tuple) -> dict:
    """A field's meaning, and its bounds."""
    keywords = {}
    for note in notes:
        if isinstance(note, Range):
            bounds = {"minimum": note.low, "maximum": note.high}
            keywords |= {name: bound for name, bound in bounds.items() if abs(bound) != float("inf")}
        else:
            keywords["description"] = note
    return keywords


if __name__ == "__main__":
    print(json.dumps(schema(), indent=1, ensure_ascii=False))
