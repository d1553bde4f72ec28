"""The GPUs of this machine that stages may use, without loading torch."""

import os
import re
import shutil
import subprocess

from v2vbench.machine import FILE
from v2vbench.params import Fault, shorten

ON_GPU = re.compile(r"(train|train_predictor|train_judge|synthesize|future|styles)\b.*")


def visible_gpus() -> list[str]:
    """The ids of the GPUs, for CUDA_VISIBLE_DEVICES; those that it names already where it is set.

    V2VBENCH_GPUS, a number, goes before both.
    """
    if number := os.environ.get("V2VBENCH_GPUS"):
        if not number.isdecimal():
            raise Fault(f"V2VBENCH_GPUS: {shorten(number)!r} is not a number of GPUs")
        return [str(gpu) for gpu in range(int(number))]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        ids = [gpu.strip() for gpu in visible.split(",")]
        return ids[: next((i for i, gpu in enumerate(ids) if gpu in ("", "-1")), len(ids))]  # as CUDA reads it
    if not shutil.which("nvidia-smi"):
        return []
    listed = subprocess.run(["nvidia-smi", "-L"], check=False, capture_output=True, text=True).stdout
    return re.findall(r"^GPU (\d+):", listed, re.MULTILINE)


class Gpus:
    """The GPUs that stages take and give back.

    all     their ids, for CUDA_VISIBLE_DEVICES; [] where there are none, and stages take nothing
    """

    def __init__(self, ids: list[str], per_training: int):
        if ids and per_training > len(ids):
            raise Fault(f"{FILE}: devices: {per_training} for a training, and there are {len(ids)} GPUs here")
        self.all, self.per_training, self._free = ids, per_training, list(ids)

    def needed(self, stage: str) -> int:
        """How many GPUs a stage takes."""
        if not self.all or not ON_GPU.fullmatch(stage):
            return 0
        return self.per_training if stage.startswith("train") else 1

    def fits(self, stage: str) -> bool:
        """Whether enough are free for a stage."""
        return self.needed(stage) <= len(self._free)

    def take(self, stage: str) -> list[str]:
        """The GPUs of a stage from now on."""
        n = self.needed(stage)
        taken, self._free = self._free[:n], self._free[n:]
        return taken

    def give_back(self, taken: list[str]) -> None:
        self._free = [gpu for gpu in self.all if gpu in self._free or gpu in taken]
