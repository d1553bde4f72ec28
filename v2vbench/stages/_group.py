"""The work of a stage outside of its notebook: in one process, or as one of several that torchrun or srun started."""

import os
import signal
from pathlib import Path

from v2vbench.machine import load_machine
from v2vbench.params import Fault, load, shorten
from v2vbench.runner.check import load_checked
from v2vbench.runner.kernel import die_with_parent
from v2vbench.stages._ranks import ALONE, PULSES, Group


def work(stage: str, key: str, root: Path) -> None:
    """Do the work of a stage for a line of params.yaml.

    raises    Fault, which the process that started this one gets to see
    """
    if PULSES not in os.environ:
        _work(stage, key, root)
        return
    die_with_parent(signal.SIGKILL, os.getppid())
    try:
        _work(stage, key, root)
    except Exception as error:
        kind = "" if isinstance(error, Fault) else f"{type(error).__name__}: "
        rank = os.environ.get("RANK") or os.environ["SLURM_PROCID"]
        (Path(os.environ[PULSES]) / f"{rank}.failed").write_text(kind + shorten(error, 300))
        raise


def _work(stage: str, key: str, root: Path) -> None:
    params = load(root / "params.yaml") if PULSES in os.environ else load_checked(root)
    several = int(os.environ.get("WORLD_SIZE") or os.environ.get("SLURM_NTASKS") or 1) > 1
    ranks = Group(load_machine(root)) if several else ALONE
    if stage == "train":
        from v2vbench.stages.train import train

        train(params, key, root, ranks)
    elif stage == "synthesize":
        from v2vbench.stages.synthesize import synthesize

        synthesize(params, key, root, ranks)
    else:
        from v2vbench.stages.evaluate import evaluate

        evaluate(params, key, root, ranks)
    ranks.leave()
