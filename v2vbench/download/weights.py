"""Pretrained weights: find, check and download the files in `TABLE`, and write the manifest of the files present."""

import hashlib
import importlib.util
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import pooch

from v2vbench.download import archives
from v2vbench.download.table import TABLE, Package, Weights
from v2vbench.files import write_json
from v2vbench.params import Fault, choose
from v2vbench.progress import say

FETCH = "`v2vbench fetch weights`"
_hashes: dict[str, tuple[int, int, str]] = {}  # {path: (bytes, time of change in ns, sha256)}


def cache() -> Path:
    """The folder of downloaded weights, in the user's cache folder."""
    return Path(pooch.os_cache("v2vbench")) / "weights"


def folders() -> list[Path]:
    """The search path for weights: V2VBENCH_WEIGHTS, `cache()`, and the folder of torch.hub, which torchvision uses."""
    chosen = os.environ.get("V2VBENCH_WEIGHTS")
    if chosen and not Path(chosen).is_dir():
        raise Fault(f"V2VBENCH_WEIGHTS={chosen}: no such folder; correct it, or unset it")
    # torch.hub.get_dir(), without importing torch
    home = os.environ.get("TORCH_HOME") or os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "torch")
    return [*([Path(chosen)] if chosen else []), cache(), Path(os.path.expanduser(home), "hub", "checkpoints")]


def find(name: str) -> Path | None:
    """The file of `name`, or the folder of its package; None if it is missing. The content is not checked.

    raises    Fault for an unknown name
    """
    entry = choose(TABLE, name, "weights")
    if isinstance(entry, Weights):
        places = [folder / file for folder in folders() for file in (entry.file, *entry.others)]
        return next((place for place in places if place.is_file()), None)
    specs = [importlib.util.find_spec(module) for module in entry.needs]
    if specs[0] is None or None in specs or not specs[0].submodule_search_locations:
        return None
    folder = Path(specs[0].submodule_search_locations[0])
    return folder if all((folder / file).is_file() for file in entry.files) else None


def path(name: str) -> Path:
    """The file of `name`, after a check of its hash; raises Fault if it is missing or another file."""
    file = find(name)
    if (line := why_absent([name])) or file is None:
        raise Fault(line)
    return file


def why_absent(names: Iterable[str]) -> str | None:
    """One line that names the missing weights and how to get them, or None; raises Fault if one is another file."""
    missing = {name: TABLE[name] for name in names if find(name) is None or not sha256(name)}  # sha256 may raise
    if not missing:
        return None
    download = f"{FETCH} brings {'it' if len(missing) == 1 else 'them'}"
    cures = [download if isinstance(entry, Weights) else f"`{entry.install}`" for entry in missing.values()]
    which = ", ".join(f"{name} ({entry.description})" for name, entry in missing.items())
    return f"weights absent: {which}: {', and '.join(dict.fromkeys(cures))}"


def sha256(name: str) -> str:
    """The hash of the file of `name`; for a package, one hash of all its files.

    raises    Fault if it is missing, or not the file in TABLE
    """
    entry, place = choose(TABLE, name, "weights"), find(name)
    if place is None:
        raise Fault(why_absent([name]))
    if isinstance(entry, Package):
        lines = [f"{_sha256(place / file)} {file}\n" for file in entry.files]
        return hashlib.sha256("".join(lines).encode()).hexdigest()
    digest = _sha256(place)
    _check(entry, place, digest)
    return digest


def load(name: str) -> dict:
    """The content of the file of `name`, by torch.load with weights_only; raises Fault."""
    import torch

    file = path(name)
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises many kinds: of pickle, of zipfile, of its reader
        reason = (str(error) or repr(error)).splitlines()[0]
    else:
        if isinstance(content, dict):
            return content
        reason = f"it holds a {type(content).__name__}"
    raise Fault(f"{file}: not a file of weights ({reason}); delete it and run {FETCH}")


def manifest() -> dict[str, str]:
    """{name: sha256} of all weights that are present; raises Fault if one is another file."""
    return {name: sha256(name) for name in sorted(TABLE) if find(name)}


def write_manifest(root: Path) -> None:
    """Write weights.json, which evaluation depends on, so new weights rerun it. It is committed with dvc.lock."""
    write_json(Path(root) / "weights.json", manifest())


def read_manifest(root: Path) -> dict[str, str]:
    """The content of the project's weights.json; {} if it is missing. Raises Fault if it is malformed."""
    file = Path(root) / "weights.json"
    try:
        return json.loads(file.read_text()) if file.is_file() else {}
    except ValueError as error:
        raise Fault(f"{file}: not whole ({error}); {FETCH} writes it again") from None


def why_unusable(names: Iterable[str], root: Path) -> str | None:
    """One line that says why the project may not use these weights, or None if it may.

    They must be present and listed with the same hash in weights.json: a file that only lies there must not change
    results.
    """
    if line := why_absent(names):
        return line
    listed = read_manifest(root)
    if not (unlisted := [name for name in names if listed.get(name) != sha256(name)]):
        return None
    return f"weights not listed: {', '.join(unlisted)}, here but not in weights.json: {FETCH} lists them"


def fetch(names: Iterable[str] | None = None) -> None:
    """Download the weights in `names` that are missing; None: all in TABLE.

    A failed download does not stop the others; each failure is reported on a separate line.

    raises    Fault at the end if a download failed; for an unknown name, before anything is downloaded
    """
    entries = {name: choose(TABLE, name, "weights") for name in (TABLE if names is None else names)}
    files = {name: entry for name, entry in entries.items() if isinstance(entry, Weights)}
    missing = {name: entry for name, entry in files.items() if find(name) is None}
    for name, entry in missing.items():
        say(f"{name}: {entry.description}, {entry.licence}; for {entry.use}")
    total = sum(entry.mb for entry in missing.values())
    say(f"fetch weights: {len(missing)} of {len(files)} to download, {total:.0f} MB, to {cache()}")
    failed = []
    for name in entries:
        try:
            if name in missing:
                _download(name, missing[name])
            elif find(name) is not None:
                sha256(name)
            elif names is None:  # packages are optional unless they are named
                say(f"{why_absent([name])}, if you want it")
            else:
                path(name)
        except Fault as error:
            failed.append(name)
            say(str(error))
    if failed:
        raise Fault(
            f"fetch weights: {len(failed)} failed ({', '.join(failed)}), see above; run it again to resume, put the "
            "files in a folder that V2VBENCH_WEIGHTS names, or set V2VBENCH_MIRROR to a base URL that has them"
        )


def _download(name: str, entry: Weights) -> None:
    """Download one file to the cache: pooch manages the folder and checks whole hashes, `archives` downloads."""
    mirror, whole = os.environ.get("V2VBENCH_MIRROR"), entry.sha256 if len(entry.sha256 or "") == 64 else None
    address = f"{mirror.rstrip('/')}/{entry.file}" if mirror else entry.url

    def download(url: str, output_file: str, pooch_: pooch.Pooch) -> None:
        file, digest = archives.fetch(url, Path(pooch_.abspath) / "downloads", sha256=whole)
        try:
            _check(entry, file, digest)
        except Fault:
            file.unlink()
            start = f"expected it to start with {entry.sha256}"
            raise Fault(f"{url}: sha256 is {digest}, {start}; the file was removed") from None
        os.replace(file, output_file)

    pooch.get_logger().setLevel("WARNING")  # `archives` reports the progress
    try:
        keeper = pooch.create(path=cache(), base_url="", registry={entry.file: whole}, urls={entry.file: address})
        keeper.fetch(entry.file, downloader=download)  # pyright: ignore[reportArgumentType] - its names differ
    except Fault as error:
        cure = f"put {entry.file} in a folder that V2VBENCH_WEIGHTS names"
        raise Fault(str(error).replace(archives.OWN_COPY, cure)) from None
    except OSError as error:
        reason = error.strerror or str(error).splitlines()[0]
        raise Fault(f"{cache()}: {reason}; repair the folder, or name another one in XDG_CACHE_HOME") from None
    if entry.sha256 is None:
        say(f"{name}: sha256 {sha256(name)}; none is published, so compare it with others' before you compare numbers")


def _check(entry: Weights, file: Path, digest: str) -> None:
    """Raises Fault if a file's hash differs from that of the entry."""
    wanted = entry.sha256 or ""
    if not digest.startswith(wanted):
        shown = f"{wanted}…" if len(wanted) < 64 else wanted
        raise Fault(
            f"{file}: not the file its name says: sha256 is {digest}, expected {shown}; delete it and run {FETCH}"
        )


def _sha256(file: Path) -> str:
    """The hash of a file, cached while its size and modification time stay: half a gigabyte takes seconds to hash."""
    key, stat = str(file), file.stat()
    state, kept = (stat.st_size, stat.st_mtime_ns), cache() / "hashes.json"
    if key not in _hashes:
        with suppress(OSError, ValueError):  # missing or truncated: the file is hashed again below
            entries = json.loads(kept.read_text()).items()
            _hashes.update({path: tuple(entry) for path, entry in entries if path not in _hashes})
    if _hashes.get(key, ())[:2] != state:
        _hashes[key] = (*state, pooch.file_hash(file))
        with suppress(OSError):  # without a writable cache the next run hashes again
            write_json(kept, _hashes)
    return _hashes[key][2]
