"""Building models and loading their trained weights."""

import re
from pathlib import Path

import torch
from safetensors.torch import load_file

from v2vbench import params as parameters
from v2vbench.clips.store import Facts
from v2vbench.models import Trainable
from v2vbench.params import Fault, Params

FURTHER = re.compile(r"seed\d+/")  # prefix of the weights of a run's second and later seeds


def build_model(params: Params, key: str, facts: Facts) -> Trainable:
    """The untrained model of run `key` for a data set with these facts; raises Fault with the path to a wrong line."""
    run = params.run(key)
    kind = parameters.member("models", run.model, f"runs.{key}.model").Model
    return parameters.bind(kind, run.kwargs, f"runs.{key}.kwargs", facts=facts)


def of_seed(weights: dict[str, torch.Tensor], seed: int | None = None) -> dict[str, torch.Tensor]:
    """The weights of one seed from a file with several: those of later seeds have a prefix, those of the first none."""
    if seed is None:
        return {name: value for name, value in weights.items() if not FURTHER.match(name)}
    prefix = f"seed{seed}/"
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}


def trained_model(params: Params, key: str, root: Path, facts: Facts, seed: int | None = None) -> Trainable:
    """The model of run, predictor or judge `key` with the weights that `train` wrote.

    seed      one of the run's `seeds`; None: the first
    """
    path = root / params.folder(key) / "model.safetensors"
    if not path.is_file():
        raise Fault(f"{path}: no such weights; `dvc repro` trains them")
    model = build_model(params, key, facts)
    try:
        model.load_state_dict(of_seed(load_file(path), seed))
    except Exception as error:  # safetensors and torch raise different kinds
        raise Fault(f"{path}: does not fit {key} ({str(error).splitlines()[0]}); run `dvc repro`") from error
    return model.to(memory_format=torch.channels_last)
