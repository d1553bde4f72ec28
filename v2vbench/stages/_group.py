"""The work of a stage outside of its notebook: in one process, or as one of several that torchrun or srun started."""

import os
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from v2vbench.machine import load_machine
from v2vbench.params import Fault, Params, load, shorten
from v2vbench.progress import OutOfTime
from v2vbench.runner.check import load_checked
from v2vbench.runner.kernel import die_with_parent
from v2vbench.stages._launch import LAUNCHER
from v2vbench.stages._ranks import ALONE, PULSES, Group

FOLLOW_S, SILENCE_S = 2, 40  # less than train.WAIT_S, in which the next call waits for these processes to be gone
OF_SLURM = {
    "RANK": "SLURM_PROCID",
    "LOCAL_RANK": "SLURM_LOCALID",
    "GROUP_RANK": "SLURM_NODEID",
    "WORLD_SIZE": "SLURM_STEP_NUM_TASKS",
    "LOCAL_WORLD_SIZE": "SLURM_NTASKS_PER_NODE",
}


def work(stage: str, key: str, root: Path) -> None:
    """Do the work of a stage for a line of params.yaml.

    raises    Fault, which the process that started this one gets to see
    """
    if PULSES not in os.environ:
        _work(stage, key, root)
        return
    die_with_parent(signal.SIGKILL, os.getppid())
    if "RANK" not in os.environ:  # a task of a step of SLURM; the next variables are what torchrun would have set
        os.environ.update({name: os.environ[slurm] for name, slurm in OF_SLURM.items()})
        os.environ["TORCHELASTIC_RUN_ID"] = Path(os.environ[PULSES]).name
        threading.Thread(target=_follow, args=(Path(os.environ[PULSES]) / LAUNCHER,), daemon=True).start()
    try:
        _work(stage, key, root)
    except Exception as error:
        kind = "" if isinstance(error, Fault) else f"{type(error).__name__}: "
        (Path(os.environ[PULSES]) / f"{os.environ['RANK']}.failed").write_text(kind + shorten(error, 300))
        raise


def _follow(launcher: Path) -> None:
    """End this process when the one that started it, perhaps on another machine, is gone: its file does not change.

    srun ends its processes when it is killed, but not where all its own processes are killed at once.
    """
    seen, since = "", time.monotonic()
    while time.monotonic() - since < SILENCE_S:
        time.sleep(FOLLOW_S)
        with suppress(OSError):  # the file is opened each time: on NFS that is how a change is seen
            if (sign := launcher.read_text()) != seen:
                seen, since = sign, time.monotonic()
    print(f"no sign of life from the launching process for {SILENCE_S} s; this one ends", file=sys.stderr, flush=True)
    os._exit(1)


def _check_share(params: Params, key: str, n: int) -> None:
    """n processes, however they were started, share the windows of a step equally: means are over processes.

    raises    Fault where they do not
    """
    name = params.run(key).schedule
    schedule = params.schedules[name]
    sizes = [schedule.batch_size] + ([] if schedule.single_frames == "none" else [schedule.single_frames.batch_size])
    if bad := [size for size in sizes if size % n]:
        raise Fault(
            f"{n} processes cannot share the {bad[0]} windows of a step equally (schedules.{name}.batch_size); "
            "start a number that divides it"
        )


def _work(stage: str, key: str, root: Path) -> None:
    params = load(root / "params.yaml") if PULSES in os.environ else load_checked(root)
    # SLURM_NTASKS is that of the job in a batch script, where only one process runs
    several = int(os.environ.get("WORLD_SIZE") or os.environ.get("SLURM_STEP_NUM_TASKS") or 1) > 1
    if several and stage == "train":
        _check_share(params, key, int(os.environ.get("WORLD_SIZE") or os.environ["SLURM_STEP_NUM_TASKS"]))
    ranks = Group(load_machine(root)) if several else ALONE
    if stage == "train":
        from v2vbench.stages.train import train

        try:
            train(params, key, root, ranks)
        except OutOfTime:  # of all at the same step; they would be ended while the first still writes the checkpoint
            ranks.leave()
            raise
    elif stage == "synthesize":
        from v2vbench.stages.synthesize import synthesize

        synthesize(params, key, root, ranks)
    else:
        from v2vbench.stages.evaluate import evaluate

        evaluate(params, key, root, ranks)
    ranks.leave()
