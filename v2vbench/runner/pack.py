"""`v2vbench pack`: a folder in which a suite trains and makes its clips without internet, DVC or this project."""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from v2vbench import __version__, closure
from v2vbench.closure import PACKAGE
from v2vbench.files import MODE, write_json, write_whole
from v2vbench.params import Fault, Params, choose, parse, read, shorten
from v2vbench.progress import say
from v2vbench.runner._distributions import requirements
from v2vbench.runner.check import EXTERNAL, load_checked
from v2vbench.stages._published import is_published, read_published

RUN = "runner/packed.py"  # becomes run.py
MB, LARGE_MB = 1_000_000, 50
README = """\
The suite {suite} of v2vbench, for a machine without internet: {n_train} trainings, {n_clips} sets of clips.
It needs Python {python} or newer and the packages of requirements.txt. torch may be of another version, for your GPU.
Here:             pip download -r requirements.txt -d wheels (with torch for the machine, if it has none)
On the machine:   pip install --no-index --find-links wheels -r requirements.txt
Try it:           python run.py --check     builds every model and trains nothing
Run it:           python run.py --minutes 25
It stops in time with exit code 3: the same command goes on. 0: all is done; 1: an error, in one line.
done/ has what is finished. Copy it back at any moment, whole, and in the project:
v2vbench unpack FOLDER; make repro
Evaluation, calibration, comparison and the report are made there, at home. More: docs/portable.md.
"""


@dataclass(frozen=True)
class Selection:
    """What a package trains and makes clips with, in order: what others start from comes first."""

    train: list[str]
    synthesize: list[str]
    at_home: list[str]  # runs of the suite that need no training: videos in files


def run(args: argparse.Namespace, folder: Path) -> None:
    """Execute `v2vbench pack`."""
    print(pack(args.suite, load_checked(folder), folder, args.out, args.runs))


def pack(suite: str, params: Params, root: Path, out: Path | None = None, keys: Collection[str] = ()) -> str:
    """Write the package of a suite to a folder, or nothing at all; see docs/portable.md.

    suite      the one that params.yaml is
    out        the folder, which must be empty or not there; None: pack/<suite> in the project
    keys       lines of runs, predictors and judges; none: all
    returns    what was written, in one line
    raises     Fault where params.yaml is another suite, data or a base are missing, or the folder holds something
    """
    if suite != params.suite:
        raise Fault(f"pack: params.yaml is the suite {params.suite}, not {suite}; `v2vbench use {suite}` first")
    out = root / "pack" / suite if out is None else out
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise Fault(f"{out}: there is something already; name an empty folder with --out, or delete it")
    chosen = select(params, keys)
    for key in sorted({params.run(key).dataset for key in chosen.train}):
        check_data(params, key, root)
    out = out.absolute()
    out.parent.mkdir(parents=True, exist_ok=True)
    # A new name each time: a folder that is there already may be the user's, or that of another pack.
    partial = Path(tempfile.mkdtemp(dir=out.parent, prefix=f"{out.name}.", suffix=".partial"))
    try:
        partial.chmod(MODE | 0o111 & MODE >> 2)  # mkdtemp's is for its owner alone
        _write_data(params, chosen, root, partial)
        _write_weights(params, chosen, root, partial)
        _write_code(params, chosen, partial)
        _write_manifest(params, chosen, root, partial)
        (partial / "requirements.txt").write_text(_requirements(partial))
        _write_manifest(params, chosen, root, partial)  # with requirements.txt, which the package itself tells
        os.replace(partial, out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    sizes = _sizes(out)
    listed = ", ".join(f"{name} {size:.1f}" for name, size in sizes.items())
    if sum(sizes.values()) > LARGE_MB:
        say(f"pack: {sum(sizes.values()):.0f} MB, which is more than some ways of copying take (in MB: {listed})")
    n, m = len(chosen.train), len(chosen.synthesize)
    counted = f"{n} training{'s' * (n != 1)}, {m} set{'s' * (m != 1)} of clips, {sum(sizes.values()):.1f} MB"
    left = f"; stays at home: {', '.join(chosen.at_home)}" if chosen.at_home else ""
    return f"{out}: {counted}{left}; README.txt there says how to run it"


def select(params: Params, keys: Collection[str] = ()) -> Selection:
    """The lines that a package has, and those that they start from.

    keys      of runs, predictors and judges; none: all
    raises    Fault where there is no such line, or it is one of videos in files
    """
    lines = params.runs | params.predictors | params.judges
    at_home = [key for key, line in lines.items() if line.model == EXTERNAL]
    for key in keys:
        if choose(lines, key, "pack: --runs").model == EXTERNAL:
            raise Fault(f"pack: --runs: {key} is not trained, its videos are in files; leave it out")
    train: dict[str, None] = {}

    def take(key: str) -> None:
        base = lines[key].base
        if base in lines and base not in train:
            take(base)
        train.setdefault(key)

    waiting = list(keys) or [key for key in lines if key not in at_home]
    painters = [params.runs[key].first_frames for key in waiting if key in params.runs]
    for key in [*(painter for painter in painters if painter in params.runs), *waiting]:
        take(key)
    made = [key for key in params.runs if key in (set(keys) or set(train))]
    order = sorted(train, key=lambda key: (key in params.judges, key in params.predictors))  # stable: bases stay first
    return Selection(order, [key for key in made if key not in at_home], [] if keys else at_home)


def check_data(params: Params, key: str, root: Path) -> None:
    """The clip store of a data set is here, and DVC made it from the line in params.yaml; raises Fault if not."""
    path, lock = root / "data" / f"{key}.zip", root / "dvc.lock"
    cure = f"`dvc repro data@{key}` makes it"
    if not path.is_file():
        raise Fault(f"data/{key}.zip: missing; {cure}")
    content = parse(read(lock), "dvc.lock") if lock.is_file() else {}
    stage = (content.get("stages") or {}).get(f"data@{key}") or {}
    line = ((stage.get("params") or {}).get("params.yaml") or {}).get(f"datasets.{key}")
    if line != params.datasets[key]:
        raise Fault(f"data/{key}.zip: dvc.lock does not have it as params.yaml says now; {cure}")
    with open(path, "rb") as file:
        md5 = hashlib.file_digest(file, "md5").hexdigest()
    if md5 not in [one.get("md5") for one in stage.get("outs", []) if one.get("path") == f"data/{key}.zip"]:
        raise Fault(f"data/{key}.zip: not the file that dvc.lock has; {cure}")


def _write_data(params: Params, chosen: Selection, root: Path, out: Path) -> None:
    (out / "data").mkdir()
    for key in sorted({params.run(key).dataset for key in chosen.train}):
        shutil.copyfile(root / "data" / f"{key}.zip", out / "data" / f"{key}.zip")
    shutil.copyfile(root / "params.yaml", out / "params.yaml")
    readme = README.format(
        suite=params.suite,
        n_train=len(chosen.train),
        n_clips=len(chosen.synthesize),
        python=".".join(map(str, sys.version_info[:2])),
    )
    (out / "README.txt").write_text(readme)


def _write_weights(params: Params, chosen: Selection, root: Path, out: Path) -> None:
    """Weights that are trained nowhere here: published and imported bases, and networks of perceptual losses."""
    (out / "weights").mkdir()
    for key in chosen.train:
        line, section = params.run(key), params.folder(key).parent
        name = f"{section}/{line.base}/model.safetensors"
        if is_published(line.base):
            write_whole(out / name, read_published(line.base, root))
        elif line.base not in ("none", *chosen.train):
            if not (root / name).is_file():
                raise Fault(f"{name}: missing; `v2vbench import-checkpoint` brings it")
            write_whole(out / name, (root / name).read_bytes())
        if (network := line.kwargs.get("perceptual", "none")) != "none":
            from v2vbench.download import weights

            file = weights.path(network)
            shutil.copyfile(file, out / "weights" / file.name)
            shutil.copyfile(root / "weights.json", out / "weights.json")
    for line in (params.runs | params.predictors).values():  # for which `kwargs: published` may stand
        if is_published(line.base):
            suite = f"results/{line.base.split('/')[1]}/params.yaml"
            write_whole(out / suite, (root / suite).read_bytes())


def _write_code(params: Params, chosen: Selection, out: Path) -> None:
    """The files of v2vbench that training and roll-outs run, and run.py."""
    models = sorted({f"models/{params.run(key).model}.py" for key in chosen.train})
    for file in code_files([RUN, *models]):
        if file != RUN:
            write_whole(out / "v2vbench" / file, (PACKAGE / file).read_bytes())
    shutil.copyfile(PACKAGE / RUN, out / "run.py")


def code_files(files: Iterable[str]) -> list[str]:
    """Files of the package and all that they import, those that do not count for digests too, sorted."""
    waiting, found = list(files), set()
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += closure._file(path)[1]
    return sorted(found)


def _requirements(package: Path) -> str:
    """requirements.txt: the package builds its models in a process of its own, and says what it imported."""
    words = [sys.executable, "-B", "run.py", "--check"]
    done = subprocess.run(words, cwd=package, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Fault(f"pack: the package does not start: {shorten((done.stderr.splitlines() or ['killed'])[-1], 300)}")
    pinned = requirements(json.loads(done.stdout.splitlines()[-1]))
    return "".join(f"{name}=={number}\n" for name, number in pinned.items())


def _write_manifest(params: Params, chosen: Selection, root: Path, out: Path) -> None:
    files = {}
    for path in sorted(path for path in out.rglob("*") if path.is_file() and path.name != "manifest.json"):
        with open(path, "rb") as file:
            files[path.relative_to(out).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    content = {
        "suite": params.suite,
        "revision": _revision(root),
        "v2vbench": __version__,
        "python": ".".join(map(str, sys.version_info[:3])),
        "torch": version("torch"),
        "train": chosen.train,
        "synthesize": chosen.synthesize,
        "at_home": chosen.at_home,
        "files": files,
    }
    write_json(out / "manifest.json", content)


def _revision(root: Path) -> str | None:
    """The revision of git, "+" where files differ from it; None where there is no git."""
    if not shutil.which("git"):
        return None
    head = subprocess.run(["git", "rev-parse", "HEAD"], check=False, cwd=root, capture_output=True, text=True)
    words = ["git", "diff", "--quiet", "HEAD", "--", "v2vbench"]
    edits = subprocess.run(words, check=False, cwd=root, capture_output=True)
    return None if head.returncode else head.stdout.strip() + "+" * bool(edits.returncode)


def _sizes(out: Path) -> dict[str, float]:
    """{what: MB}, largest first."""
    sizes: dict[str, float] = {}
    for path in (path for path in out.rglob("*") if path.is_file()):
        what = path.relative_to(out).parts[0]
        what = (
            "weights" if what in ("runs", "predictors", "weights") else what if what in ("data", "v2vbench") else "rest"
        )
        sizes[what] = sizes.get(what, 0) + path.stat().st_size / MB
    return dict(sorted(sizes.items(), key=lambda item: -item[1]))
