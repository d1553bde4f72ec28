"""Checkpoints of the paper's own code, NVIDIA/vid2vid and pix2pixHD, as runs: `v2vbench import-checkpoint`."""

import glob
import hashlib
import os
import re
import shutil
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from v2vbench.clips.store import Store
from v2vbench.files import write_json, write_whole
from v2vbench.params import Fault, bind, choose, load, member
from v2vbench.reference.architecture import State, settings
from v2vbench.reference.names import renamed
from v2vbench.runner.entries import IMPORTED, check_name, edited, with_run


def net_files(path: Path, epoch: str) -> dict[str, Path]:
    """{network: its file} of a checkpoint: G0, G1, ..., D, D_T0, ... or G, E, D, as the reference code names them.

    path      a folder; or the file of a generator of single images, <epoch>_net_G_512.pth, whose E and D end alike
    raises    Fault where there is no generator, there are two, or a number is left out
    """
    ending, is_file = "", path.is_file()
    if is_file:
        match = re.fullmatch(r"(.+)_net_G(_\w+)?\.pth", path.name)
        if not match:
            raise Fault(f"{path}: give the folder, or the <epoch>_net_G.pth of a generator of single images")
        epoch, ending, path = match[1], match[2] or "", path.parent
    start, end = f"{epoch}_net_", f"{ending}.pth"
    files = {file.name[len(start) : -len(end)]: file for file in path.glob(f"{glob.escape(start)}*{glob.escape(end)}")}
    if "G" in files and "G0" in files and not is_file:
        both = f"{start}G.pth and {start}G0.pth"
        raise Fault(f"{path}: holds {both}; give the file of the first to import that one, or move it away")
    names = r"G|E|D" if "G" in files else r"G\d+|D|D_T\d+"
    files = {net: files[net] for net in sorted(files) if re.fullmatch(names, net)}
    if "G" not in files and "G0" not in files:
        there = ", ".join(sorted(file.name for file in path.glob("*.pth"))) or "no .pth files"
        raise Fault(f"{path}: no {start}G0.pth and no {start}G.pth; there are {there}")
    needed = {"D"} if "D_T0" in files else set()
    for kind in ("G", "D_T"):
        needed |= {f"{kind}{i}" for i in range(sum(re.fullmatch(rf"{kind}\d+", net) is not None for net in files))}
    if missing := sorted(needed - files.keys()):
        raise Fault(f"{path}: no {start}{missing[0]}.pth beside {', '.join(file.name for file in files.values())}")
    return files


def read_state(path: Path) -> State:
    """A state dict written by torch.save, without the `module.` of DataParallel; raises Fault where it is none."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch, pickle and zipfile raise kinds of their own
        raise Fault(f"{path}: no file of weights ({(str(error) or type(error).__name__).splitlines()[0]})") from None
    is_state = isinstance(state, dict) and all(isinstance(key, str) and torch.is_tensor(state[key]) for key in state)
    if not is_state or not state:
        raise Fault(f"{path}: holds no state dict, which is names and tensors")
    parallel = all(key.startswith("module.") for key in state)
    return {key.removeprefix("module.") if parallel else key: value for key, value in state.items()}


def weights(model: torch.nn.Module, nets: dict[str, State], files: dict[str, Path]) -> State:
    """All weights of the model under its own names; without discriminators where the checkpoint has none.

    raises    Fault as `renamed` does, and where the networks are not the whole model
    """
    own = model.state_dict()
    buffers = {key: buffer for key, buffer in model.named_buffers() if key in own}  # of styles: `train` fits them
    result = {key: torch.zeros(buffer.shape) for key, buffer in buffers.items()}
    for net, state in nets.items():
        part = {"D": "D_image", "E": "source.E"}.get(net)
        part = part or re.sub(r"^D_T", "D_video.", re.sub(r"^G(\d)", r"G.\1", net))
        tensors = renamed(model.get_submodule(part), state, files[net])
        result |= {f"{part}.{key}": value.contiguous() for key, value in tensors.items()}
    if wrong := {key for key in own if "D" in nets or not key.startswith("D_")} ^ result.keys():
        where = ", ".join(map(str, files.values()))
        raise Fault(f"{where}: not all of the model is in them, {sorted(wrong)[0]} for one")
    return result


def bring(path: Path, name: str, root: Path, *, dataset: str, epoch: str, foreground: list[str]) -> str:
    """Write runs/<name>_reference/{model.safetensors, imported.json} and the line `name` of `runs`, or nothing at all.

    path          of the checkpoint, see `net_files`
    dataset       the line whose data the run is for; data/<dataset>.zip must be there
    foreground    labels that the foreground network of the generators paints
    returns       what was done and what to do next, in one line
    raises        Fault where a file is missing or does not fit, the data have another source, or the run exists
    """
    file, folder = root / "params.yaml", root / "runs" / f"{name}_reference"
    params = load(file)
    check_name(name, "import-checkpoint")
    for key in (name, folder.name):
        if key in params.runs | params.predictors | params.styles or (root / "runs" / key).exists():
            where = "in params.yaml or runs/; take another name or remove it"
            raise Fault(f"import-checkpoint: {key} is there already, {where}")
    choose(params.datasets, dataset, "import-checkpoint: --dataset")
    facts = Store(root / "data" / f"{dataset}.zip").facts
    files = net_files(path, epoch)
    nets = {net: read_state(path) for net, path in files.items()}
    kind, kwargs = settings(nets, files, facts, foreground)
    build = member("models", kind, "model").Model
    kwargs = {key: kwargs[key] for key in signature(build).parameters if key in kwargs} | kwargs  # in the usual order
    model = bind(build, kwargs, f"{path}: kwargs", facts=facts)
    content = save(weights(model, nets, files))
    sha256 = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files.values()}
    line: dict[str, Any] = dict(
        title=name,
        dataset=dataset,
        model=kind,
        schedule=IMPORTED,
        base=folder.name,
        first_frames="real" if kind == "vid2vid" else "none",
        seeds=[0],
        kwargs=kwargs,
    )

    partial, text = folder.with_name(f"{folder.name}.partial"), file.read_bytes().decode()
    shutil.rmtree(partial, ignore_errors=True)  # what a killed import left
    try:
        with edited(file, with_run(text, name, line, params), name, line, {folder.name}) as new_file:
            write_whole(partial / "model.safetensors", content)
            write_json(
                partial / "imported.json", {"files": sha256, "dataset": dataset, "model": kind, "kwargs": kwargs}
            )
            os.replace(partial, folder)
            try:
                os.replace(new_file, file)
            except BaseException:
                shutil.rmtree(folder)
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    contents = f"runs/{folder.name} holds {', '.join(nets)}, params.yaml the run"
    return f"{name}: {contents}; `dvc repro synthesize@{name}` makes its videos"
