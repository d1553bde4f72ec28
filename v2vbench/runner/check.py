"""Checks params.yaml against the code that it names before anything runs: a mistake is one line within seconds."""

import hashlib
from pathlib import Path

from v2vbench.machine import load_machine
from v2vbench.params import Fault, Params, load, shorten
from v2vbench.runner.check_references import check_references
from v2vbench.runner.check_signatures import EXTERNAL, check_players_weights, check_published, check_signatures
from v2vbench.stages._published import is_published, published_runs, read_published

__all__ = ["EXTERNAL", "check_references", "check_signatures", "load_checked", "slow_precision"]


def load_checked(root: Path) -> Params:
    """The parameters of a project, checked, and its machine.yaml; raises Fault.

    It imports every model, so most of it is repeated only when a byte of params.yaml, weights.json, published figures
    or the package changes. The videos of external runs are looked at every time.
    """
    params, passed = load(root / "params.yaml"), root / ".cache" / "checked"
    load_machine(root)
    check_references(params, "params.yaml", imported_checkpoints(root) | published_runs(root))
    bases = {line.base for line in (params.runs | params.predictors).values() if is_published(line.base)}
    published = {base: read_published(base, root) for base in sorted(bases)}
    files = [root / "params.yaml", root / "weights.json", *sorted(Path(__file__).parents[1].rglob("*.py"))]
    files += sorted(root.glob("results/*/*.*"))
    state = hashlib.sha256(b"".join(file.read_bytes() for file in files if file.is_file())).hexdigest()
    if not passed.is_file() or passed.read_text() != state:
        check_signatures(params, "params.yaml")
        check_published(params, "params.yaml", published)
        check_players_weights(params, "params.yaml: report.players_by", root)
        passed.parent.mkdir(exist_ok=True)
        passed.write_text(state)
    for key, run in params.runs.items():
        if run.model == EXTERNAL:
            _check_videos(run.kwargs, f"params.yaml: runs.{key}.kwargs", root)
    return params


def _check_videos(kwargs: dict, where: str, root: Path) -> None:
    """The videos of an external run are there, and are those that were imported; raises Fault.

    Files are hashed, not decoded, and hashed again only if the time, size or inode of one changed.
    """
    from v2vbench.clips.external import file_stamps, videos_sha256

    folder = root / kwargs["folder"]
    if not folder.exists():
        raise Fault(f"{where}.folder: no {folder}; bring it back, or import the videos from where they are")
    hashed = root / ".cache" / "videos" / hashlib.sha256(file_stamps(folder).encode()).hexdigest()
    sha256 = hashed.read_text() if hashed.is_file() else ""
    if sha256 != kwargs["sha256"]:
        sha256 = videos_sha256(folder)
        hashed.parent.mkdir(parents=True, exist_ok=True)
        hashed.write_text(sha256)
    if sha256 != kwargs["sha256"]:
        cause = f"the videos in {folder} changed since they were imported"
        raise Fault(f"{where}.sha256: {cause}; run `v2vbench import-videos` again")


def imported_checkpoints(root: Path) -> set[str]:
    """The names of the checkpoints that `v2vbench import-checkpoint` has put into runs/."""
    return {path.parent.name for path in root.glob("runs/*/imported.json")}


def slow_precision(params: Params) -> str:
    """One line that names the schedules whose precision this machine emulates; "" where there are none.

    torch is imported only where a schedule with steps asks for bfloat16.
    """
    keys = [key for key, schedule in params.schedules.items() if schedule.precision == "bf16-mixed" and schedule.steps]
    if not keys:
        return ""
    from v2vbench.stages import _precision

    warning = _precision.slow_precision("bf16-mixed")
    return warning and f"schedules {shorten(', '.join(keys), 200)}: {warning}"
