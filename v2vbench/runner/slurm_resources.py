"""What the jobs of stages ask SLURM for: the section `slurm` of machine.yaml."""

import dataclasses
from dataclasses import dataclass, field
from typing import Literal

from v2vbench.machine import FILE, Machine
from v2vbench.params import Count, Fault, Natural, bind, choose

STAGES = ("data", "train", "synthesize", "evaluate", "calibrate", "future", "styles", "compare")
ON_GPU = ("train", "synthesize", "future", "styles")


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What the job of a stage asks for; "" and auto leave it to the cluster or to the stage."""

    partition: str = ""
    account: str = ""
    qos: str = ""
    minutes: Count = 240
    nodes: Literal["auto"] | Count = "auto"  # auto: `nodes` of machine.yaml for trainings, 1 for others
    gpus: Literal["auto"] | Natural = (
        "auto"  # per node; auto: `devices` of machine.yaml for trainings, or 1; 0 for most
    )
    cpus: Literal["auto"] | Count = "auto"  # per node; auto: 8 for each GPU, at least 8
    memory_gb: Literal["auto"] | Count = "auto"  # per node; auto: 32 for each GPU, at least 32
    setup: list[str] = field(default_factory=list)  # lines of shell before the stage, such as `module load cuda`


@dataclass(frozen=True, kw_only=True)
class Slurm(Resources):
    """The section `slurm` of machine.yaml."""

    stages: dict = field(default_factory=dict)  # {stage: lines of Resources that differ there}
    head: list[str] = field(default_factory=list)  # stages that run on the head node, such as data, which downloads


def resources(machine: Machine, stage: str) -> Resources | None:
    """What the job of a stage asks for, every auto replaced; None for a stage of the head node.

    raises    Fault with the path to a wrong line, of any stage
    """
    where = f"{FILE}: slurm"
    lines = bind(Slurm, machine.slurm, where)
    for name in [*lines.stages, *lines.head]:
        choose(dict.fromkeys(STAGES), name, where)
    every = {name: value for name, value in machine.slurm.items() if name not in ("stages", "head")}
    each = {
        name: bind(Resources, every | _mapping(lines.stages.get(name), f"{where}.stages.{name}"), f"{where}.{name}")
        for name in STAGES
    }
    n_nodes = each["train"].nodes
    if n_nodes not in ("auto", machine.nodes) and "train" not in lines.head:
        raise Fault(f"{where}: {n_nodes} nodes for train, and `nodes` of {FILE} is {machine.nodes}; make them agree")
    if stage in lines.head:
        return None
    asked = each[stage]
    training = stage == "train"
    gpus, nodes = asked.gpus, asked.nodes
    if gpus == "auto":
        gpus = int(stage in ON_GPU) if machine.devices == "auto" or not training else machine.devices
    if nodes == "auto":
        nodes = machine.nodes if training else 1
    cpus = 8 * max(1, gpus) if asked.cpus == "auto" else asked.cpus
    memory = 32 * max(1, gpus) if asked.memory_gb == "auto" else asked.memory_gb
    return dataclasses.replace(asked, gpus=gpus, nodes=nodes, cpus=cpus, memory_gb=memory)


def _mapping(lines, where: str) -> dict:
    """The lines of one stage; raises Fault where they are wrong."""
    bind(Resources, lines, where)
    return lines or {}
