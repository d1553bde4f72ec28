"""The training loop of every model: resumable at any moment, with the same result as if never interrupted."""

import io
import math
import time
from contextlib import closing
from pathlib import Path

import torch

from v2vbench.clips.store import Store
from v2vbench.clips.windows import Windows
from v2vbench.files import write_whole
from v2vbench.machine import HERE, Machine
from v2vbench.parallel import fixed_threads
from v2vbench.params import Fault, Schedule
from v2vbench.progress import OutOfTime, goes_on_from, progress, say, stop_at
from v2vbench.stages._precision import slow_precision
from v2vbench.stages._ranks import ALONE, Ranks
from v2vbench.stages._trainer import Trainer, read_ahead


@fixed_threads()
def fit(
    model, schedule: Schedule, store: Store, key: str, checkpoint: Path, machine: Machine = HERE, ranks: Ranks = ALONE
) -> tuple[dict, list[dict], float]:
    """The training loop; returns the weights, the rows of the learning curves, and the seconds of all sittings.

    raises    Fault if a loss is not finite; OutOfTime, after a checkpoint, at the time that V2VBENCH_STOP_AT says
    """
    if not model.parts():
        return {}, [], 0.0
    if ranks.rank == 0 and (said := slow_precision(schedule.precision)):
        say(f"train {key}: {said}")
    trainer = Trainer(model, schedule, machine=machine, ranks=ranks)
    if ranks.first(checkpoint.is_file()):
        try:
            trainer.load(checkpoint)
        except Exception as error:  # torch raises various kinds
            raise Fault(f"{checkpoint}: not whole ({error}); delete it, and the training begins anew") from None
        goes_on_from(trainer.seconds)
        if ranks.rank == 0:
            say(f"train {key}: going on from step {trainer.step} of {schedule.steps}")
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
        share=(ranks.rank, ranks.n),
    )
    terms: dict[str, list[float]] = {}  # since the last row of the learning curves
    steps = range(trainer.step, schedule.steps)
    shown = progress(
        steps,
        f"train {key}",
        unit="frame",
        start=trainer.step,
        scale=schedule.batch_size * schedule.n_frames,
        note=lambda: f"G {trainer.rows[-1]['G']:.2f}" if trainer.rows else "",
    )
    on_gpu = trainer.device.type == "cuda"
    with closing(read_ahead(windows.batch, steps, machine.workers, pin=on_gpu)) as batches:
        for step, batch in zip(shown if ranks.rank == 0 else steps, batches):
            trainer.update(trainer.to_device(batch))
            stops = ranks.first(time.time() >= stop_at()) if stop_at() < math.inf else False
            last = trainer.step == schedule.steps
            logs, checks = (
                trainer.step % every == 0 or last for every in (schedule.log_every, schedule.checkpoint_every)
            )
            if not (logs or checks or stops):
                continue
            for number, losses in trainer.read_losses():
                if bad := [name for name, value in losses.items() if not math.isfinite(value)]:
                    raise Fault(
                        f"runs.{key}: loss {bad[0]} is {losses[bad[0]]} at step {number}; "
                        "lower schedules lr or use precision 32-true"
                    )
                for name, value in losses.items():
                    terms.setdefault(name, []).append(value)
            if logs:
                trainer.rows.append(
                    {"step": trainer.step} | {name: sum(values) / len(values) for name, values in terms.items()}
                )
                terms = {}
            if checks or stops:
                trainer.seconds = time.monotonic() - began
                save_checkpoint(trainer, checkpoint)
            if stops and not last:
                raise OutOfTime(f"train {key}: out of time after step {step + 1} of {schedule.steps}")
    trainer.finish()
    if ranks.rank == 0:
        model.finish(store)
    return model.state_dict(), trainer.rows, trainer.seconds


def save_checkpoint(trainer: Trainer, path: Path) -> None:
    """Write what the training can be resumed from; all processes call it, and rank 0 writes."""
    state = trainer.state()
    if trainer.ranks.rank == 0:
        buffer = io.BytesIO()
        torch.save(state, buffer)
        write_whole(path, buffer.getvalue())
