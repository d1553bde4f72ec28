"""The training loop of every model: resumable at any moment, with the same result as if never interrupted."""

import csv
import hashlib
import io
import json
import math
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
from v2vbench.clips.windows import Windows
from v2vbench.closure import digests
from v2vbench.files import write_whole
from v2vbench.models import Trainable
from v2vbench.parallel import fixed_threads
from v2vbench.params import Fault, Params
from v2vbench.progress import goes_on_from, progress, say
from v2vbench.stages._precision import slow_precision
from v2vbench.stages._published import check_data, check_run, is_published, needs_base, read_about
from v2vbench.stages._weights import build_model, of_seed

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
        [clip["sha256"] for clip in store.clips.values()],
        digests(["stages/train.py", f"models/{run.model}.py"]),
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def lr_share(step: int, steps: int, constant_share: float) -> float:
    """Learning rate of a step as a share of the initial one: constant, then linear decay to 0 at `steps`."""
    decay = steps * (1 - constant_share)
    return min(1.0, (steps - step) / decay) if decay else 1.0


class Trainer:
    """A model, its optimisers and the number of steps done: the content of a checkpoint."""

    def __init__(self, model: Trainable, schedule: parameters.Schedule):
        import lightning_fabric  # takes 3 s; not imported by stages that train nothing

        self.fabric = lightning_fabric.Fabric(accelerator="auto", devices=1, precision=schedule.precision)
        self.schedule, self.step, self.rows, self.loss, self.seconds = schedule, 0, [], math.nan, 0.0
        # On a CPU backward passes are up to 1.5 times as fast in the usual layout (docs/performance.md).
        on_gpu = self.fabric.device.type == "cuda"
        raw = model.to(memory_format=torch.channels_last if on_gpu else torch.contiguous_format)
        self.parts = raw.parts()
        self.lr = {name: schedule.lr if name == "G" else schedule.lr_d for name in self.parts}
        optimisers = [
            torch.optim.Adam(part, lr=self.lr[name], betas=schedule.betas, fused=True)
            for name, part in self.parts.items()
        ]
        if schedule.compile:
            from torch._functorch import config

            config.donated_buffer = False  # `update` uses one graph once for each part
            for network in (
                part
                for child in raw.children()
                for part in (child if isinstance(child, torch.nn.ModuleList) else [child])
            ):
                network.compile()
        self.module = raw
        self.average = [weight.detach().clone() for weight in self.parts["G"]] if schedule.ema else []
        self.model, *optimisers = self.fabric.setup(raw, *optimisers)
        self.optimisers = dict(zip(self.parts, optimisers))

    def update(self, clip: dict) -> dict[str, float]:
        """One training step of every part on one batch.

        The losses of all parts share one forward pass, so all gradients are computed before any weight changes, each
        with respect to the parameters of its part alone. In a step on single frames a part may have no loss, and stays.
        """
        share = lr_share(self.step, self.schedule.steps, self.schedule.constant_share)
        with self.fabric.autocast():  # Fabric applies it to `forward` alone
            losses = self.module.losses(clip)
        trained = [name for name in self.parts if name in losses or not clip.get("single")]
        for name in trained:
            self.optimisers[name].zero_grad()
            self.fabric.backward(losses[name], inputs=self.parts[name], retain_graph=name != trained[-1])
        for name in trained:
            for group in self.optimisers[name].param_groups:
                group["lr"] = self.lr[name] * share
            self.optimisers[name].step()
        if self.average:  # of few weights at first: those of the first steps are worth nothing
            decay = min(self.schedule.ema, (1 + self.step) / (10 + self.step))
            torch._foreach_lerp_(  # pyright: ignore[reportPrivateImportUsage]
                self.average, [weight.detach() for weight in self.parts["G"]], 1 - decay
            )
        self.step, self.loss = self.step + 1, float(losses["G"].detach())
        return {name: float(value.detach()) for name, value in losses.items()}

    @torch.no_grad()
    def finish(self) -> None:
        """Put the moving average of the generator's weights in place of the last ones, if the schedule asks for it."""
        for weight, average in zip(self.parts["G"], self.average):
            weight.copy_(average)

    def state(self) -> dict:
        """The content of a checkpoint; loads with weights_only=True."""
        rng = {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all()}
        return {
            "step": self.step,
            "rows": self.rows,
            "seconds": self.seconds,
            "model": self.model.state_dict(),
            "rng": rng,
            "average": self.average,
            "optimisers": {name: optimiser.state_dict() for name, optimiser in self.optimisers.items()},
        }

    def load(self, path: Path) -> None:
        """Resume from a checkpoint."""
        state = torch.load(path, map_location="cpu", weights_only=True)
        self.step, self.rows, self.seconds = state["step"], state["rows"], state["seconds"]
        self.model.load_state_dict(state["model"])
        for name, optimiser in self.optimisers.items():
            optimiser.load_state_dict(state["optimisers"][name])
        self.average = [value.to(weight.device) for value, weight in zip(state["average"], self.parts["G"])]
        torch.set_rng_state(state["rng"]["cpu"])
        torch.cuda.set_rng_state_all(state["rng"]["cuda"])


def train(params: Params, key: str, root: Path) -> Path:
    """Train run, predictor or judge `key`; write model.safetensors and curves.csv to `params.folder(key)`.

    Training starts from the weights of `base`, if the run has one. A checkpoint is written to
    .cache/runs/<fingerprint>/ every `checkpoint_every` steps, and the next call resumes from it. A run with several
    seeds is trained with each in turn. Finished weights stay in that folder, so an edit of the notebook or one more
    seed does not train them again. The folder may be deleted at any time.

    raises    Fault if the base does not fit, a loss is not finite, or another process is training the same run
    """
    run, weights, rows = params.run(key), {}, {}
    store = Store(root / "data" / f"{run.dataset}.zip")
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
            try:
                locks.enter_context(FileLock(state / "lock", timeout=WAIT_S))
            except Timeout:
                raise Fault(
                    f"runs.{key}: another process is training it (it holds {state / 'lock'}); wait for it or end it"
                ) from None
            if is_published(run.base) and not schedule.steps:
                trained = model.state_dict(), [], 0.0  # with the mixtures of styles that were published
            else:
                trained = finished(state) or fit(model, schedule, store, key, state / "checkpoint.pt")
            keep(state, *trained)
            trained_weights, curves, _ = trained
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
        out = root / params.folder(key)
        write_whole(out / "curves.csv", table(list(rows.values())))
        write_whole(out / "model.safetensors", save(weights))
    return out


def finished(state: Path) -> tuple[dict[str, torch.Tensor], list[dict], float] | None:
    """What `keep` wrote to `state`; None if there is nothing.

    raises    Fault if the file is damaged
    """
    path = state / "weights.safetensors"
    if not path.is_file():
        return None
    try:
        with safe_open(path, "pt") as file:
            about = {name: json.loads(file.metadata()[name]) for name in ("curves", "seconds")}
            goes_on_from(about["seconds"])
            return {name: file.get_tensor(name) for name in file.keys()}, about["curves"], about["seconds"]
    except Exception as error:  # safetensors raises various kinds
        raise Fault(f"{path}: not whole ({error}); delete it, and it is trained again") from None


def keep(state: Path, weights: dict[str, torch.Tensor], curves: list[dict], seconds: float) -> None:
    """Write finished weights, learning curves and the seconds of training to `state`, and remove the checkpoint."""
    contiguous = {name: value.contiguous() for name, value in weights.items()}
    write_whole(
        state / "weights.safetensors", save(contiguous, {"curves": json.dumps(curves), "seconds": json.dumps(seconds)})
    )
    (state / "checkpoint.pt").unlink(missing_ok=True)


@fixed_threads()
def fit(
    model, schedule: parameters.Schedule, store: Store, key: str, checkpoint: Path
) -> tuple[dict, list[dict], float]:
    """The training loop; returns the weights, the rows of the learning curves, and the seconds of all sittings."""
    if not model.parts():
        return {}, [], 0.0
    if said := slow_precision(schedule.precision):
        say(f"train {key}: {said}")
    trainer = Trainer(model, schedule)
    if checkpoint.is_file():
        trainer.load(checkpoint)
        say(f"train {key}: going on from step {trainer.step} of {schedule.steps}")
        goes_on_from(trainer.seconds)
    began = time.monotonic() - trainer.seconds
    windows = Windows(
        store,
        n_frames=schedule.n_frames,
        n_warmup=schedule.n_warmup,
        batch_size=schedule.batch_size,
        seed=schedule.seed,
        double_every=schedule.double_every,
        drop_parts=schedule.drop_parts,
        arrays=model.READS,
        single_frames=schedule.single_frames,
        n_past=getattr(model, "n_past", 0),
    )
    terms: dict[str, list[float]] = {}  # since the last row of the learning curves
    for step in progress(
        range(trainer.step, schedule.steps),
        f"train {key}",
        unit="frame",
        start=trainer.step,
        scale=schedule.batch_size * schedule.n_frames,
        note=lambda: f"G {trainer.loss:.2f}",
    ):
        now = trainer.update(trainer.fabric.to_device(windows.batch(step)))
        if bad := [name for name, value in now.items() if not math.isfinite(value)]:
            raise Fault(
                f"runs.{key}: loss {bad[0]} is {now[bad[0]]} at step {step}; "
                "lower schedules lr or use precision 32-true"
            )
        for name, value in now.items():
            terms.setdefault(name, []).append(value)
        if trainer.step % schedule.log_every == 0 or trainer.step == schedule.steps:
            means = {name: sum(values) / len(values) for name, values in terms.items()}
            trainer.rows.append({"step": trainer.step} | means)
            terms = {}
        if trainer.step % schedule.checkpoint_every == 0 or trainer.step == schedule.steps:
            trainer.seconds = time.monotonic() - began
            buffer = io.BytesIO()
            torch.save(trainer.state(), buffer)
            write_whole(checkpoint, buffer.getvalue())
    trainer.finish()
    model.finish(store)
    return model.state_dict(), trainer.rows, trainer.seconds


def table(rows: list[dict]) -> bytes:
    """Rows as CSV: 6 significant digits, so that equal runs give equal bytes; an empty cell is no value."""
    text, columns = io.StringIO(), dict.fromkeys(name for row in rows for name in row)
    writer = csv.DictWriter(text, list(columns) or ["step"], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: f"{value:.6g}" for name, value in row.items()} for row in rows)
    return text.getvalue().encode()
