"""`v2vbench unpack`: takes back what a package has trained and made, so that `dvc repro` does neither again."""

import argparse
import hashlib
import json
from pathlib import Path

from safetensors.torch import load, save

from v2vbench.clips.store import Store
from v2vbench.files import rounded, write_json, write_whole
from v2vbench.params import Fault, Params, brief, shorten
from v2vbench.runner.check import load_checked
from v2vbench.runner.packed import damage, metadata, states, training
from v2vbench.stages._kept_clips import copy_whole, determined, fingerprint, makers
from v2vbench.stages._published import is_published, read_published

STAGES = ("train", "synthesize")  # in this order: clips are those of weights
DIGEST = 64  # hexadecimal digits of a sha256, which is no value to show


class Refused(Exception):
    """Why something is not taken, for one line."""


def run(args: argparse.Namespace, folder: Path) -> None:
    """Execute `v2vbench unpack`."""
    lines, refused = unpack(args.folder, load_checked(folder), folder)
    for line in lines:
        print(line)
    if refused:
        raise Fault("unpack: " + "; ".join(refused))


def unpack(folder: Path, params: Params, root: Path) -> tuple[list[str], list[str]]:
    """Put finished weights into .cache/runs and clips into .cache/clips, where their stages take them from.

    Each is taken if the code, the lines of params.yaml and the data that determine it are the same here, and its files
    are whole. What is here already stays. logs/packages/<stage>-<key>.json says where it was made.

    returns    a line for all that were taken, and one for each that was not, with the reason
    raises     Fault where the folder has nothing that is finished
    """
    done = folder / "done" if (folder / "done").is_dir() else folder
    records = _records(done, params)
    taken: dict[tuple[str, str], str] = {}  # {(stage, key): sha256 of what the stage will write}
    refused: list[str] = []
    for record in records:
        stage, key = record["stage"], record["key"]
        try:
            if problems := damage(done, record["files"]):
                raise Refused(f"{problems[0]}; copy it again")
            take = _take_weights if stage == "train" else _take_clips
            taken[stage, key] = take(record, done, params, root, taken, records)
        except Refused as error:
            refused.append(f"{stage} {key} not taken: {error}")
    lines = [
        f"{stage}: {', '.join(keys)}: `dvc repro` takes them from .cache"
        for stage in STAGES
        if (keys := [key for one, key in taken if one == stage])
    ]
    return lines, refused


def _records(done: Path, params: Params) -> list[dict]:
    """What is finished: trainings first, and those that others start from before them; raises Fault."""
    records = []
    for path in sorted(done.glob("*-*.json")):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            stage, key = record["stage"], record["key"]
            if not all(isinstance(record[name], dict) for name in ("files", "determined", "made")):
                raise TypeError("files, determined and made are no tables")
            records.append((STAGES.index(stage), _depth(key, params), key, record))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Fault(f"{path}: not whole ({shorten(error)}); copy it again, or delete it") from None
    if not records:
        raise Fault(f"{done}: holds nothing that is finished; name the package that `python run.py` ran in, or done/")
    return [record for *_, record in sorted(records, key=lambda item: item[:3])]


def _depth(key: str, params: Params) -> int:
    """How many trainings a line starts from, one after the other."""
    lines, n = params.runs | params.predictors | params.judges, 0
    while key in lines and lines[key].base in lines:
        key, n = lines[key].base, n + 1
    return n


def _take_weights(record: dict, done: Path, params: Params, root: Path, taken: dict, records: list) -> str:
    """Put the weights of every seed into .cache/runs; returns the sha256 of the file that `train` makes of them."""
    key = record["key"]
    store = _store(params, key, root)
    _compare(record["determined"], training(params, key, store))
    base = _base_sha256(params, key, root, taken)
    weights = {}
    for number, (seed, state) in enumerate(states(params, key, store, root, base).items()):
        name = f"train-{key}-{seed}.safetensors"
        content = (done / name).read_bytes()
        tensors, about = load(content), metadata(content)
        path = state / "weights.safetensors"
        if path.is_file():
            if not _equal(load(path.read_bytes()), tensors):
                cause = f"trained here already, with other weights; delete {state.relative_to(root)} to take these"
                raise Refused(cause)
        else:
            write_whole(path, save(tensors, about | {"made": json.dumps(record["made"], sort_keys=True)}))
        weights |= {f"seed{seed}/{name}" if number else name: value for name, value in tensors.items()}
    _log(record, root)
    return hashlib.sha256(save(weights)).hexdigest()


def _equal(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(value.equal(other[name]) for name, value in one.items())


def _take_clips(record: dict, done: Path, params: Params, root: Path, taken: dict, records: list) -> str:
    """Put clips.zip into .cache/clips; returns its sha256."""
    key = record["key"]
    store = _store(params, key, root)
    there = {one["key"]: one.get("model_sha256") for one in records if one["stage"] == "train"}
    weights = {}
    for name in makers(params, key):
        if ("train", name) not in taken or there[name] != record["determined"].get(f"weights of {name}"):
            raise Refused(f"the weights of {name} that made them were not taken")
        weights[name] = taken["train", name]
    content = determined(params, key, store, weights)
    # The same tensors may be other bytes where another version of safetensors wrote them.
    _compare(record["determined"] | {f"weights of {name}": sha256 for name, sha256 in weights.items()}, content)
    ((name, sha256),) = record["files"].items()
    folder = root / ".cache" / "clips" / fingerprint(content)
    write_json(folder / "made.json", {"sha256": sha256, "made": record["made"]})
    copy_whole(done / name, folder / "clips.zip")
    _log(record, root)
    return sha256


def _store(params: Params, key: str, root: Path) -> Store:
    if key not in params.runs | params.predictors | params.judges:
        raise Refused("params.yaml has no such line")
    path = root / "data" / f"{params.run(key).dataset}.zip"
    if not path.is_file():
        raise Refused(f"{path.relative_to(root)} is not here; `dvc repro data@{path.stem}` makes it")
    return Store(path)


def _base_sha256(params: Params, key: str, root: Path, taken: dict) -> str | None:
    """The hash of the weights that the training starts from here."""
    base = params.run(key).base
    if base == "none":
        return None
    if is_published(base):
        return hashlib.sha256(read_published(base, root)).hexdigest()
    if base in params.runs | params.predictors | params.judges:
        if ("train", base) not in taken:
            raise Refused(f"it starts from {base}, which was not taken")
        return taken["train", base]
    path = root / params.folder(key).parent / base / "model.safetensors"
    if not path.is_file():
        raise Refused(f"it starts from {base}, which is not here")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _compare(there: dict, here: dict) -> None:
    """Refuse what was made with other code, params or data; names what differs."""
    here = json.loads(json.dumps(rounded(here)))  # as the record has it: lists in place of tuples, for one
    names = [name for name in sorted(there.keys() | here.keys()) if there.get(name) != here.get(name)]
    if not names:
        return
    values = [here.get(names[0]), there.get(names[0])]
    is_digest = any(isinstance(value, str) and len(value) == DIGEST for value in values)
    shown = f"{names[0]} differs" if is_digest else f"{names[0]} is {brief(values[0])} here, {brief(values[1])} there"
    raise Refused(shown + (f", and so do {len(names) - 1} more" if len(names) > 1 else ""))


def _log(record: dict, root: Path) -> None:
    """Where it was made, for people and the report; logs/<stage>-<key>.json is about the stage that takes it."""
    write_json(
        root / "logs" / "packages" / f"{record['stage']}-{record['key']}.json",
        {name: record[name] for name in ("stage", "key", "made", "files")},
    )
