"""Training of a run, predictor or judge: what it starts from, where it runs, and where its weights are kept."""

import csv
import hashlib
import io
import json
import time
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from safetensors import safe_open
from safetensors.torch import load, save

from v2vbench import params as parameters
from v2vbench.clips.store import Store
from v2vbench.closure import digests
from v2vbench.files import write_whole
from v2vbench.machine import Machine, load_machine
from v2vbench.models import Trainable
from v2vbench.params import Fault, Params
from v2vbench.progress import goes_on_from, say
from v2vbench.stages._fit import fit
from v2vbench.stages._launch import launch
from v2vbench.stages._published import check_data, check_run, is_published, needs_base, read_about
from v2vbench.stages._ranks import ALONE, Ranks
from v2vbench.stages._weights import build_model, of_seed

WEIGHTS = "weights.safetensors"  # of a finished training, in the folder of its state
WAIT_S = 60  # for another process that is training the same run


def begin(model: Trainable, base: Path) -> str:
    """Start a model from the weights in the folder `base`; returns their sha256.

    raises    Fault if they are missing or do not fit the model
    """
    path = base / "model.safetensors"
    if not path.is_file():
        raise Fault(
            f"{path}: no such weights to start from; "
            "`dvc repro` trains them, `v2vbench import-checkpoint` brings others"
        )
    content = path.read_bytes()
    try:
        model.begin(of_seed(load(content)))
    except Exception as error:  # safetensors and torch raise different kinds
        raise Fault(f"{path}: does not fit: {' '.join(str(error).split())[:300]}") from None
    return hashlib.sha256(content).hexdigest()


def check_published(params: Params, key: str, store: Store, root: Path) -> None:
    """The published weights that `key` starts from are of such a model and such data; raises Fault."""
    run, folder = params.run(key), params.folder(key)
    where, path = f"{folder.parent}.{key}", root / folder.parent / run.base / "model.safetensors"
    about = read_about(path.read_bytes(), str(path))
    model = parameters.member("models", run.model, f"{where}.model").Model
    check_run(about, run, needs_base(model), params.schedules[run.schedule].steps, where)
    check_data(about, store, where)


def fingerprint(params: Params, key: str, store: Store, base_sha256: str | None, seed: int = 0) -> str:
    """The name of a training's resumable state: a hash of all that determines its weights, including `seed`."""
    run = params.run(key)
    content = [
        run.dataset,
        run.model,
        run.base,
        base_sha256,
        run.kwargs,
        asdict(params.schedules[run.schedule]),
        seed,
        torch.__version__,
        store.sha256,
        digests(["stages/train.py", f"models/{run.model}.py"]),
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def train(params: Params, key: str, root: Path, ranks: Ranks = ALONE) -> Path:
    """Train run, predictor or judge `key`; write model.safetensors and curves.csv to `params.folder(key)`.

    Training starts from the weights of `base`, if the run has one. A checkpoint is written to
    .cache/runs/<fingerprint>/ every `checkpoint_every` steps, and the next call resumes from it. A run with several
    seeds is trained with each in turn. Finished weights stay in that folder, so an edit of the notebook or one more
    seed does not train them again. The folder may be deleted at any time.

    Where machine.yaml or the GPUs here ask for several processes, these train, and this one takes their weights.

    ranks     the processes that train together, of which this is one; all call this function, and rank 0 writes
    raises    Fault if the base does not fit, a loss is not finite, or another process is training the same run
    """
    run, weights, rows = params.run(key), {}, {}
    store, machine = Store(root / "data" / f"{run.dataset}.zip"), load_machine(root)
    out, leads = root / params.folder(key), ranks.rank == 0
    with ExitStack() as locks:
        for number, seed in enumerate(getattr(run, "seeds", [0])):
            schedule = replace(params.schedules[run.schedule], seed=params.schedules[run.schedule].seed + seed)
            torch.manual_seed(schedule.seed)
            model = build_model(params, key, store.facts)
            base_sha256 = None if run.base == "none" else begin(model, root / params.folder(key).parent / run.base)
            if is_published(run.base):
                check_published(params, key, store, root)
            state = root / ".cache" / "runs" / fingerprint(params, key, store, base_sha256, seed)
            state.mkdir(parents=True, exist_ok=True)
            done = (is_published(run.base) and not schedule.steps) or not model.parts()
            if ranks is ALONE and not done and not (state / WEIGHTS).is_file():
                n = n_processes(machine, schedule, f"schedules.{run.schedule}")
                if n * machine.nodes > 1:
                    began = time.monotonic()
                    launch("train", key, root, n, machine)
                    goes_on_from(began - time.monotonic())  # the seconds of the training itself are added below
                    if not (state / WEIGHTS).is_file():
                        raise Fault(f"runs.{key}: code or data changed while it was trained; run it again")
            if leads:
                try:
                    locks.enter_context(FileLock(state / "lock", timeout=WAIT_S))
                except Timeout:
                    raise Fault(
                        f"runs.{key}: another process is training it (it holds {state / 'lock'}); wait for it or end it"
                    ) from None
            if is_published(run.base) and not schedule.steps:
                trained_weights, curves = model.state_dict(), []  # with the mixtures of styles that were published
            elif ranks.first((state / WEIGHTS).is_file()):
                trained_weights, curves, _ = finished(state)
            else:
                trained_weights, curves, seconds = fit(
                    model, schedule, store, key, state / "checkpoint.pt", machine, ranks
                )
                if leads:
                    keep(state, trained_weights, curves, seconds)
            if not leads:
                continue
            weights |= {
                f"seed{seed}/{name}" if number else name: value.contiguous() for name, value in trained_weights.items()
            }
            for row in curves:
                rows.setdefault(row["step"], {}).update(
                    {
                        f"seed {seed}: {name}" if number and name != "step" else name: value
                        for name, value in row.items()
                    }
                )
        if leads:
            write_whole(out / "curves.csv", table(list(rows.values())))
            write_whole(out / "model.safetensors", save(weights))
    return out


def finished(state: Path) -> tuple[dict[str, torch.Tensor], list[dict], float]:
    """What `keep` wrote to `state`; raises Fault if the file is damaged."""
    path = state / WEIGHTS
    try:
        with safe_open(path, "pt") as file:
            about = {name: json.loads(text) for name, text in file.metadata().items()}
            if made := about.get("made"):  # written by `v2vbench unpack`
                say(f"weights trained on {made['device']}, {made['host_cpu']} with torch {made['torch']}")
            goes_on_from(about["seconds"])
            return {name: file.get_tensor(name) for name in file.keys()}, about["curves"], about["seconds"]
    except Exception as error:  # safetensors raises various kinds
        raise Fault(f"{path}: not whole ({error}); delete it, and it is trained again") from None


def keep(state: Path, weights: dict[str, torch.Tensor], curves: list[dict], seconds: float) -> None:
    """Write finished weights, learning curves and the seconds of training to `state`, and remove the checkpoint."""
    contiguous = {name: value.contiguous() for name, value in weights.items()}
    write_whole(state / WEIGHTS, save(contiguous, {"curves": json.dumps(curves), "seconds": json.dumps(seconds)}))
    (state / "checkpoint.pt").unlink(missing_ok=True)


def n_processes(machine: Machine, schedule: parameters.Schedule, where: str) -> int:
    """Processes on each machine that train together: devices of machine.yaml, or as many as there are GPUs.

    raises    Fault if the windows of a step cannot be divided equally among them
    """
    sizes = [schedule.batch_size] + ([] if schedule.single_frames == "none" else [schedule.single_frames.batch_size])
    if machine.devices == "auto":
        most = max(1, torch.cuda.device_count())
        return max(n for n in range(1, most + 1) if not any(size % (n * machine.nodes) for size in sizes) or n == 1)
    n = machine.devices * machine.nodes
    if bad := [size for size in sizes if size % n]:
        raise Fault(
            f"machine.yaml: {n} devices cannot share a step's batch of {bad[0]} equally ({where}.batch_size); "
            "use a number of devices that divides it"
        )
    return machine.devices


def table(rows: list[dict]) -> bytes:
    """Rows as CSV: 6 significant digits, so that equal runs give equal bytes; an empty cell is no value."""
    text, columns = io.StringIO(), dict.fromkeys(name for row in rows for name in row)
    writer = csv.DictWriter(text, list(columns) or ["step"], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: f"{value:.6g}" for name, value in row.items()} for row in rows)
    return text.getvalue().encode()
