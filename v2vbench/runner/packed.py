"""What runs where a package was taken: `v2vbench pack` writes this file into the package as run.py.

`python run.py --minutes 25` verifies the package, trains, makes the clips, and stops in time; the same command goes on.
It needs the packages of requirements.txt and no network.

done/    what is finished, to be copied back at any moment: <stage>-<key>.json with what determined it, where it was
         made and the sha256 of its files, written after these; train-<key>-<seed>.safetensors, synthesize-<key>.zip
"""

import argparse
import builtins
import hashlib
import json
import os
import platform
import re
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

MARGIN_S = 20  # kept for the last step or clip, and for writing the checkpoint; a tenth of the time, at most
DONE, FAULT, GO_ON, INTERRUPTED = 0, 1, 3, 130  # exit codes


def main(argv: list[str] | None = None) -> int:
    """Verify the package in which this file is run.py, and run it; returns the exit code."""
    began, here = time.time(), Path(__file__).resolve().parent
    command = argparse.ArgumentParser("run.py", description="Train and make clips; what is finished is in done/.")
    command.add_argument(
        "--minutes", type=float, help="stop in time; the same command goes on. Default: until all is done"
    )
    command.add_argument("--check", action="store_true", help="build every model, and print which modules that takes")
    args = command.parse_args(argv)
    if args.minutes is not None and not args.minutes >= 0:  # nan, too
        command.error(f"argument --minutes: {args.minutes:g} is not a number from 0")
    os.chdir(here)
    try:
        manifest = read_manifest(here)
        if problems := damage(here, manifest["files"]):
            return _say(f"{problems[0]}; copy the package again", FAULT)
    except (OSError, ValueError, KeyError) as error:
        return _say(f"manifest.json: not whole ({error}); copy the package again", FAULT)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # or matrix products on a GPU differ from run to run
    os.environ.setdefault("V2VBENCH_DEVICES", "1")  # several would be started by `v2vbench`, which is not here
    os.environ["V2VBENCH_WEIGHTS"] = str(here / "weights")
    os.environ["V2VBENCH_STOP_AT"] = str(stop_time(began, args.minutes))
    try:
        return check(manifest, here) if args.check else run(manifest, here)
    except KeyboardInterrupt:
        return _say("interrupted; the same command goes on from the last checkpoint", INTERRUPTED)
    except ModuleNotFoundError as error:
        return _say(f"{error}; `pip install -r requirements.txt` brings it", FAULT)


def _say(line: str, code: int) -> int:
    print(f"run.py: {line}", file=sys.stderr)
    return code


def stop_time(began: float, minutes: float | None) -> float:
    """When long work has to stop, in seconds since 1970."""
    return began + minutes * 60 - min(MARGIN_S, minutes * 6) if minutes is not None else float("inf")


def read_manifest(folder: Path) -> dict:
    """manifest.json of a package; raises OSError or ValueError."""
    return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))


def damage(folder: Path, files: dict[str, str]) -> list[str]:
    """A line for each file that is missing, or does not have its sha256."""
    lines = []
    for name, sha256 in files.items():
        path = folder / name
        if not path.is_file():
            lines.append(f"{name}: missing")
        elif _sha256(path) != sha256:
            lines.append(f"{name}: damaged, its {path.stat().st_size} bytes are not those that were written")
    return lines


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check(manifest: dict, here: Path) -> int:
    """Print the modules that the package imports, as JSON; returns the exit code."""
    try:
        print(json.dumps(imports(manifest, here)))
    except ValueError as error:  # a Fault, which cannot be imported before `imports` listens
        return _say(str(error), FAULT)
    return DONE


def imports(manifest: dict, here: Path) -> list[str]:
    """The modules outside of the package that it imports to build and finish every model; top levels, sorted.

    `finish` runs with a single clip, since some models import a package there alone.
    """
    found, load = set(), builtins.__import__

    def listen(name, globals=None, locals=None, fromlist=(), level=0):
        module = load(name, globals, locals, fromlist, level)
        if not level and (globals or {}).get("__name__", "").partition(".")[0] in ("v2vbench", "__main__"):
            found.add(name.partition(".")[0])
        return module

    builtins.__import__ = listen
    try:
        from v2vbench.clips.store import Store
        from v2vbench.params import load as load_params
        from v2vbench.stages import synthesize, train  # noqa: F401
        from v2vbench.stages._weights import build_model

        class FirstClip(Store):
            def split(self, name: str) -> list[str]:
                return super().split(name)[:1]

        params = load_params(here / "params.yaml")
        for key in manifest["train"]:
            store = FirstClip(here / "data" / f"{params.run(key).dataset}.zip")
            model = build_model(params, key, store.facts)
            model.finish(store)
            for frame in store.split("train"):
                store.read(frame, 0, 1)
    finally:
        builtins.__import__ = load
    return sorted(found - set(sys.stdlib_module_names) - {"v2vbench"})


def run(manifest: dict, here: Path) -> int:
    """Train, then make clips, in the order of the manifest; returns the exit code."""
    from filelock import FileLock, Timeout

    (here / ".cache").mkdir(exist_ok=True)
    try:
        with FileLock(here / ".cache" / "run.lock", timeout=0):  # two would write the same parts of clips
            return _run(manifest, here)
    except Timeout:
        return _say("another run.py works in this folder; wait for it or end it", FAULT)


def _run(manifest: dict, here: Path) -> int:
    from v2vbench.clips.store import Store
    from v2vbench.params import Fault, load
    from v2vbench.progress import OutOfTime, say, stop_at

    try:
        from v2vbench.stages.synthesize import synthesize
        from v2vbench.stages.train import train

        params = load(here / "params.yaml")
        tasks = [("train", key) for key in manifest["train"]] + [("synthesize", key) for key in manifest["synthesize"]]
        waiting = [task for task in tasks if not _is_done(here, *task)]
        say(f"run.py: {len(tasks) - len(waiting)} of {len(tasks)} done; PyTorch on {_machine()['device']}")
        for number, (stage, key) in enumerate(waiting, len(tasks) - len(waiting) + 1):
            if (stage, key) != waiting[0] and time.time() >= stop_at():  # each call goes on by a step or clip at least
                raise OutOfTime("out of time")
            began = time.monotonic()
            try:
                (train if stage == "train" else synthesize)(params, key, here)
            finally:
                seconds = _add_seconds(here, f"{stage}-{key}", time.monotonic() - began)
            store = Store(here / "data" / f"{params.run(key).dataset}.zip")
            if stage == "train":
                _put_weights(params, key, store, here, manifest)
            else:
                _put_clips(params, key, store, here, manifest, seconds)
            say(f"run.py: {stage} {key} done, {number} of {len(tasks)}")
    except OutOfTime as error:
        return _say(f"{error}; what is finished is in done/, the same command goes on", GO_ON)
    except (Fault, OSError) as error:
        return _say(str(error), FAULT)
    return _say("all done; copy the folder done/ back, and run `v2vbench unpack` on it", DONE)


def _is_done(here: Path, stage: str, key: str) -> bool:
    record = here / "done" / f"{stage}-{key}.json"
    if not record.is_file():
        return False
    try:
        about = json.loads(record.read_text())
        return about["package"] == _sha256(here / "manifest.json") and not damage(record.parent, about["files"])
    except (ValueError, KeyError, TypeError, AttributeError):  # damaged: it is made again
        return False


def _add_seconds(here: Path, name: str, seconds: float) -> float:
    """The seconds of all sittings of a task."""
    from v2vbench.files import write_json

    path = here / ".cache" / "seconds.json"
    known = json.loads(path.read_text()) if path.is_file() else {}
    write_json(path, known | {name: known.get(name, 0) + seconds})
    return known.get(name, 0) + seconds


def _put_weights(params, key: str, store, here: Path, manifest: dict) -> None:
    """Copy the finished weights of each seed to done/, with the learning curves that are in their metadata."""
    from v2vbench.files import write_whole

    files, seconds = {}, 0.0
    for seed, state in states(params, key, store, here, base_sha256(params, key, here)).items():
        content = (state / "weights.safetensors").read_bytes()
        name = f"train-{key}-{seed}.safetensors"
        write_whole(here / "done" / name, content)
        files[name] = hashlib.sha256(content).hexdigest()
        seconds += json.loads(metadata(content)["seconds"])
    sha256 = _sha256(here / params.folder(key) / "model.safetensors")
    _put_record(here, "train", key, files, training(params, key, store), manifest, seconds, {"model_sha256": sha256})


def _put_clips(params, key: str, store, here: Path, manifest: dict, seconds: float) -> None:
    from v2vbench.stages._kept_clips import copy_whole, determined, makers

    name = f"synthesize-{key}.zip"
    weights = {run: _sha256(here / "runs" / run / "model.safetensors") for run in makers(params, key)}
    copy_whole(here / "runs" / key / "clips.zip", here / "done" / name)
    files = {name: _sha256(here / "done" / name)}
    _put_record(here, "synthesize", key, files, determined(params, key, store, weights), manifest, seconds, {})


def _put_record(
    here: Path, stage: str, key: str, files: dict, content: dict, manifest: dict, seconds: float, more: dict
) -> None:
    from v2vbench.files import write_json

    made = _machine() | {"seconds": round(seconds, 1), "finished": datetime.now(UTC).isoformat("T", "seconds")}
    made |= {"revision": manifest["revision"], "suite": manifest["suite"]}
    record = {"stage": stage, "key": key, "files": files, "determined": content, "made": made} | more
    record["package"] = _sha256(here / "manifest.json")
    write_json(here / "done" / f"{stage}-{key}.json", record)


def _machine() -> dict:
    """What results and times depend on here."""
    import torch

    cpuinfo = Path("/proc/cpuinfo")
    cpu = re.search(r"^model name\s*: (.*)$", cpuinfo.read_text() if cpuinfo.is_file() else "", re.MULTILINE)
    return {
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "host_cpu": f"{os.cpu_count()} x {cpu[1] if cpu else platform.processor() or platform.machine()}",
        "python": platform.python_version(),
        "torch": str(torch.__version__),
    }


# What the package and the project that takes its results back must agree on


def training(params, key: str, store) -> dict:
    """What determines the weights of `key`, beside those that it starts from and the machine; each with a name."""
    from v2vbench.closure import digests
    from v2vbench.stages._kept_clips import named

    run, section = params.run(key), params.folder(key).parent
    lines = {name: getattr(run, name) for name in ("dataset", "model", "base", "kwargs", "seeds") if hasattr(run, name)}
    found = named(f"{section}.{key}", lines) | named(
        f"schedules.{run.schedule}", asdict(params.schedules[run.schedule])
    )
    found[f"data/{run.dataset}.zip"] = store.sha256
    files = digests(["stages/train.py", f"models/{run.model}.py"])
    return found | {f"v2vbench/{file}": digest for file, digest in files.items()}


def base_sha256(params, key: str, root: Path) -> str | None:
    """The hash of the weights that a training starts from, as `fingerprint` takes it."""
    base = params.run(key).base
    return None if base == "none" else _sha256(root / params.folder(key).parent / base / "model.safetensors")


def states(params, key: str, store, root: Path, base: str | None) -> dict[int, Path]:
    """{seed: the folder in which `train` keeps its weights}."""
    from v2vbench.stages.train import fingerprint

    seeds = getattr(params.run(key), "seeds", [0])
    return {seed: root / ".cache" / "runs" / fingerprint(params, key, store, base, seed) for seed in seeds}


def metadata(content: bytes) -> dict[str, str]:
    """The metadata of a safetensors file."""
    n = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + n])["__metadata__"]


if __name__ == "__main__":
    sys.exit(main())
