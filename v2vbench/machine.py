"""machine.yaml: where and how a project runs. No result depends on it beyond rounding, so no stage does either."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_type_hints

from v2vbench.params import Count, Fault, Natural, bind, coerce, parse, read

FILE = "machine.yaml"


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The lines of machine.yaml, each optional. The file lies beside params.yaml and is not in git."""

    devices: Literal["auto"] | Count = (
        "auto"  # processes of one training, a GPU each; auto: the GPUs here, or one process
    )
    nodes: Count = 1  # machines of one training, under SLURM; each has `devices` processes
    micro_batch: Literal["all"] | Count = "all"  # windows at a time on a device; gradients are summed over the others
    recompute: bool = False  # compute activations again in the backward pass: less memory, about a third more time
    workers: Natural = 2  # threads that read the next windows while a step runs; 0: read between the steps
    patience_s: Count = 600  # seconds without a step after which a process counts as hung and its training ends
    slurm: dict = field(default_factory=dict)  # for `repro --executor slurm`: see docs/scale.md


def load_machine(root: Path) -> Machine:
    """The lines of machine.yaml in the project's folder, or the defaults where there is no such file.

    A line is also taken from the environment: V2VBENCH_DEVICES, V2VBENCH_MICRO_BATCH, ... go before the file.

    raises    Fault with the path to the line
    """
    path = root / FILE
    lines = parse(read(path), FILE) if path.is_file() else {}
    if not isinstance(lines, dict | None):
        raise Fault(f"{FILE}: expected lines such as `devices: 8`, got {type(lines).__name__}")
    lines = lines or {}
    if "slurm" in lines and lines["slurm"] is None:  # its lines are comments
        lines = lines | {"slurm": {}}
    return bind(Machine, lines | _of_environment(), FILE)


def _of_environment() -> dict:
    names = [name for name in Machine.__dataclass_fields__ if name != "slurm"]
    said = {name: os.environ.get(f"V2VBENCH_{name.upper()}", "") for name in names}
    hints = get_type_hints(Machine, include_extras=True)
    return {
        name: coerce(parse(value, where), hints[name], where)
        for name, value in said.items()
        if value
        for where in [f"V2VBENCH_{name.upper()}"]
    }


HERE = Machine()
