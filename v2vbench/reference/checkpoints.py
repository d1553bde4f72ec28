"""Checkpoints of the paper's own code, NVIDIA/vid2vid and pix2pixHD, as runs of ours: `v2vbench import-checkpoint`."""

import glob
import hashlib
import io
import os
import re
import shutil
from dataclasses import replace
from inspect import signature
from pathlib import Path

import torch
from ruamel.yaml import YAML
from safetensors.torch import save

from v2vbench.clips.store import Facts, Store
from v2vbench.files import write_json, write_whole
from v2vbench.params import NO_RUN, SLUG, Fault, Params, Run, bind, choose, load, member
from v2vbench.reference.names import renamed
from v2vbench.runner.check import check_references

State = dict[str, torch.Tensor]

# What weights do not tell is as the reference code has it by default, and is written into params.yaml, where it can be changed.
SCHEDULE = """\
imported:
  seed: 0
  steps: 0
  batch_size: 1
  n_frames: 3
  n_warmup: 0
  double_every: 0
  drop_parts: 0
  lr: 2e-4
  lr_d: 2e-4
  betas: [0.5, 0.999]
  constant_share: 0.5
  precision: 32-true
  compile: false
  log_every: 10
  checkpoint_every: 100
"""
LOSSES = dict(w_feature=10, w_pixel=0, w_perceptual=0, perceptual="none")
VIDEO = dict(
    n_frozen_steps=0,
    n_backprop=0,
    from_nothing=False,
    styles="none",
    composition="over",
    flow_scale=20,
    resample="bilinear",
    condition_video=True,
    score_raw=True,
    w_flow=10,
    w_warp=10,
    w_temporal=10,
    w_mask=0,
    **LOSSES,
)
STYLES = dict(mixture="kmeans", n_components=10, min_px=1, seed=0)
DISCRIMINATOR = dict(n_scales=2, n_filters_d=64, n_layers_d=3)
N_TEMPORAL, N_LOCAL = 2, 3  # temporal scales; residual blocks of a finer spatial scale


def found(path: Path, epoch: str) -> dict[str, Path]:
    """{net: its file} of a checkpoint: G0, G1, ..., D, D_T0, ... or G, E, D, as the reference code calls them.

    path      a folder; or the file of one generator of single images, <epoch>_net_G_512.pth, beside which E and D end alike
    raises    Fault where there is no generator, there are two, or a number is left out
    """
    ending, alone = "", path.is_file()
    if alone:
        match = re.fullmatch(r"(.+)_net_G(_\w+)?\.pth", path.name)
        if not match:
            raise Fault(f"{path}: give the folder, or the <epoch>_net_G.pth of a generator of single images")
        epoch, ending, path = match[1], match[2] or "", path.parent
    start, end = f"{epoch}_net_", f"{ending}.pth"
    files = {file.name[len(start) : -len(end)]: file for file in path.glob(f"{glob.escape(start)}*{glob.escape(end)}")}
    if "G" in files and "G0" in files and not alone:
        raise Fault(
            f"{path}: holds {start}G.pth and {start}G0.pth; give the file of the first to import that one, or move it away"
        )
    wanted = r"G|E|D" if "G" in files else r"G\d+|D|D_T\d+"
    files = {net: files[net] for net in sorted(files) if re.fullmatch(wanted, net)}
    if "G" not in files and "G0" not in files:
        there = ", ".join(sorted(file.name for file in path.glob("*.pth"))) or "no .pth files"
        raise Fault(f"{path}: no {start}G0.pth and no {start}G.pth; there are {there}")
    needed = {"D"} if "D_T0" in files else set()
    for kind in ("G", "D_T"):
        needed |= {f"{kind}{i}" for i in range(sum(re.fullmatch(rf"{kind}\d+", net) is not None for net in files))}
    if missing := sorted(needed - files.keys()):
        raise Fault(f"{path}: no {start}{missing[0]}.pth beside {', '.join(file.name for file in files.values())}")
    return files


def read(path: Path) -> State:
    """A file of weights as torch.save left it, without the `module.` of DataParallel; raises Fault where it is none."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch, pickle and zipfile raise kinds of their own
        raise Fault(f"{path}: no file of weights ({(str(error) or type(error).__name__).splitlines()[0]})") from None
    if (
        not isinstance(state, dict)
        or not state
        or not all(isinstance(key, str) and torch.is_tensor(state[key]) for key in state)
    ):
        raise Fault(f"{path}: holds no state dict, which is names and tensors")
    parallel = all(key.startswith("module.") for key in state)
    return {key.removeprefix("module.") if parallel else key: value for key, value in state.items()}


def convolutions(state: State, part: str, path: Path) -> list[torch.Tensor]:
    """Weights of a part's own convolutions in order, those of its residual blocks apart; raises Fault where it has none."""
    own = {
        int(match[1]): value
        for key, value in state.items()
        if (match := re.fullmatch(rf"{part}\.(\d+)\.weight", key)) and value.ndim == 4
    }
    if 1 not in own:
        raise Fault(
            f"{path}: no convolution {part}.1.weight in it; it holds {', '.join(sorted(state)[:3])}, … and is no such net"
        )
    return [own[i] for i in sorted(own)]


def n_blocks(state: State, *parts: str) -> int:
    """Residual blocks of the parts together."""
    return sum(re.fullmatch(rf"({'|'.join(parts)})\.\d+\.conv_block\.1\.weight", key) is not None for key in state)


def norm(state: State) -> str:
    """Which norm it has: pix2pixHD's has no weights."""
    return "batch" if any(key.endswith(".weight") and value.ndim == 1 for key, value in state.items()) else "instance"


def discriminator_kwargs(nets: dict[str, State], files: dict[str, Path]) -> dict:
    """The discriminators' settings."""
    if "D" not in nets:
        return DISCRIMINATOR
    places = [
        tuple(map(int, match.groups()))
        for key in nets["D"]
        if (match := re.fullmatch(r"scale(\d+)_layer(\d+)\.0\.weight", key))
    ]
    first = f"scale{max(places, default=(0,))[0]}_layer0.0.weight"  # of the full size
    if first not in nets["D"]:
        raise Fault(
            f"{files['D']}: no {first} in it; discriminators without feature matching are not known here, and may be left out"
        )
    n_scales, n_layers = (1 + max(numbers) for numbers in zip(*places))
    return dict(n_scales=n_scales, n_filters_d=len(nets["D"][first]), n_layers_d=n_layers - 2)


def video(nets: dict[str, State], files: dict[str, Path]) -> tuple[dict, int]:
    """What the weights of vid2vid tell: its settings, and how many channels a frame's source has."""
    G, n_scales = nets["G0"], sum(net.startswith("G") for net in nets)
    seen, past = (convolutions(G, part, files["G0"]) for part in ("model_down_seg", "model_down_img"))
    n_past, n_temporal = (
        past[0].shape[1] // 3,
        sum(net.startswith("D_T") for net in nets) if "D" in nets else N_TEMPORAL,
    )
    n_source, rest = divmod(seen[0].shape[1], n_past + 1)
    if rest:
        raise Fault(f"{files['G0']}: the {seen[0].shape[1]} channels of its input are not those of {n_past + 1} frames")
    return dict(
        n_past=n_past,
        n_filters=len(seen[0]),
        n_down=len(seen) - 1,
        n_blocks=n_blocks(G, "model_down_seg", "model_res_img"),
        n_scales_spatial=n_scales,
        n_blocks_local=n_blocks(nets["G1"], "model_up_img") if n_scales > 1 else N_LOCAL,
        norm=norm(G),
        with_flow="model_final_flow.1.weight" in G,
        n_scales_temporal=n_temporal,
        **discriminator_kwargs(nets, files),
        **VIDEO,
    ), n_source


def image(nets: dict[str, State], files: dict[str, Path]) -> tuple[dict, int]:
    """What the weights of pix2pixHD tell; vid2vid's generators of first frames are the same nets."""
    G, at_bottleneck = nets["G"], "model_downsample.1.weight" in nets["G"]
    layers = convolutions(G, "model_downsample" if at_bottleneck else "model", files["G"])
    finer = sorted(int(match[1]) for key in G if (match := re.fullmatch(r"model(\d+)_1\.1\.weight", key)))
    stem, n_z, styles = G[f"model{finer[-1]}_1.1.weight"] if finer else layers[0], 0, "none"
    if at_bottleneck:
        n_z = convolutions(G, "model_upsample_conv", files["G"])[0].shape[1] - len(stem)
        if finer:
            raise Fault(f"{files['G']}: enhancers that take styles at the bottleneck are not known here")
        if "E" not in nets:
            raise Fault(
                f"{files['G']}: takes {n_z} channels of styles; the encoder that makes them, a net_E, must lie beside it"
            )
    if "E" in nets:
        encoder = convolutions(nets["E"], "model", files["E"])
        styles = dict(n_features=len(encoder[-1]), n_filters=len(encoder[0]), n_down=len(encoder) // 2 - 1, **STYLES)
        if n_z not in (0, len(encoder[-1])):
            raise Fault(f"{files['G']}: takes {n_z} channels of styles, but {files['E'].name} makes {len(encoder[-1])}")
    return dict(
        n_filters=len(stem),
        n_down=len(layers) - 1 if at_bottleneck else (len(layers) - 1) // 2,
        n_blocks=n_blocks(G, "model", "model_resnet"),
        n_local=len(finer),
        n_blocks_local=n_blocks(G, f"model{finer[-1]}_2") if finer else N_LOCAL,
        styles=styles,
        styles_at="bottleneck" if at_bottleneck else "input",
        norm=norm(G),
        **discriminator_kwargs(nets, files),
        **LOSSES,
    ), stem.shape[1] - (len(encoder[-1]) if "E" in nets else 0)


def settings(nets: dict[str, State], files: dict[str, Path], facts: Facts, foreground: list[str]) -> tuple[str, dict]:
    """The model and its kwargs for the data; raises Fault where they take another source, or labels of the foreground are wanted."""
    kind, G, of = ("pix2pixhd", "G", image) if "G" in nets else ("vid2vid", "G0", video)
    kwargs, n_source = of(nets, files)
    n, where = len(facts.label_names), files[G]
    if n_source not in (n, n + 1):
        styles = " beside its styles" if "E" in nets else ""
        raise Fault(
            f"{where}: its source has {n_source} channels{styles}; {facts.name} has {n}, or {n + 1} with instance edges"
        )
    front = "indv_down.1.weight" in nets[G]
    if front and not foreground:
        raise Fault(
            f"{where}: paints a foreground, and weights do not tell which; add --foreground and some of "
            f"{', '.join(facts.label_names)}"
        )
    if foreground and not front:
        raise Fault(f"{where}: has no network for a foreground; leave --foreground out")
    return kind, kwargs | {"instance_edges": n_source > n} | ({"foreground": foreground} if kind == "vid2vid" else {})


def weights(model: torch.nn.Module, nets: dict[str, State], files: dict[str, Path]) -> State:
    """All weights of the model under its own names, or without discriminators where there are none; raises Fault as `renamed` does."""
    result = {
        key: torch.zeros(buffer.shape) for key, buffer in model.named_buffers()
    }  # mixtures of styles, fitted by `train`
    for net, state in nets.items():
        ours = {"D": "D_image", "E": "source.E"}.get(net) or re.sub(
            r"^D_T", "D_video.", re.sub(r"^G(\d)", r"G.\1", net)
        )
        own = renamed(model.get_submodule(ours), state, files[net])
        result |= {f"{ours}.{key}": value.contiguous() for key, value in own.items()}
    if wrong := {key for key in model.state_dict() if "D" in nets or not key.startswith("D_")} ^ result.keys():
        raise Fault(
            f"{', '.join(map(str, files.values()))}: not all of the model is in them, {sorted(wrong)[0]} for one"
        )
    return result


def inserted(text: str, section: str, entry: str) -> str:
    """params.yaml with one more entry at the end of a section; what was there stays as it was, comments too."""
    rows = text.split("\n")
    start = next((i for i, row in enumerate(rows) if re.match(rf"{section}:\s*(#.*)?$", row)), len(rows))
    stop = next((i for i in range(start + 1, len(rows)) if re.match(r"[^\s#]", rows[i])), len(rows))
    own = [i for i in range(start + 1, stop) if re.match(r"\s+\S", rows[i])]
    indents = [match[1] for i in own if (match := re.match(r"( +)[^\s#]", rows[i]))]
    if not indents:
        raise Fault(f"params.yaml: {section} is not a block of indented lines, so nothing can be added to it")
    return "\n".join(rows[: own[-1] + 1] + [indents[0] + row for row in entry.splitlines()] + rows[own[-1] + 1 :])


def with_run(text: str, name: str, line: dict, params: Params) -> str:
    """The text of params.yaml with a run more, and the schedule `imported` if it is not there."""
    entry, yaml = io.StringIO(), YAML()
    yaml.indent(sequence=4, offset=2)
    yaml.dump({name: line}, entry)
    text = inserted(text, "runs", entry.getvalue())
    return text if line["schedule"] in params.schedules else inserted(text, "schedules", SCHEDULE)


def bring(path: Path, name: str, root: Path, *, dataset: str, epoch: str, foreground: list[str]) -> str:
    """Write runs/<name>_reference/{model.safetensors, imported.json} and the line `name` of params.yaml's runs, or nothing at all.

    path          of the checkpoint, see `found`
    dataset       the line whose data the run is for; data/<dataset>.zip must be there
    foreground    labels, of what the generators' foreground network paints
    returns       what was done and what to do next, in one line
    raises        Fault where a file is missing or does not fit, the data have another source, or the run is there already
    """
    file, folder = root / "params.yaml", root / "runs" / f"{name}_reference"
    params = load(file)
    if not re.fullmatch(SLUG, name) or name in NO_RUN:
        raise Fault(
            f"import-checkpoint: a run cannot be called {name!r}; take a-z, 0-9, _ and -, and none of {', '.join(NO_RUN)}"
        )
    for key in (name, folder.name):
        if key in params.runs | params.forecasts | params.predictions | params.styles or (root / "runs" / key).exists():
            raise Fault(
                f"import-checkpoint: {key} is there already, in params.yaml or runs/; take another name or remove it"
            )
    choose(params.datasets, dataset, "import-checkpoint: --dataset")
    facts = Store(root / "data" / f"{dataset}.zip").facts
    files = found(path, epoch)
    nets = {net: read(path) for net, path in files.items()}
    kind, kwargs = settings(nets, files, facts, foreground)
    build = member("models", kind, "model").Model
    kwargs = {key: kwargs[key] for key in signature(build).parameters if key in kwargs} | kwargs  # in the usual order
    model = bind(build, kwargs, f"{path}: kwargs", facts=facts)
    content = save(weights(model, nets, files))
    sha256 = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files.values()}
    line = dict(
        title=name,
        dataset=dataset,
        model=kind,
        schedule="imported",
        base=folder.name,
        first_frames="real" if kind == "vid2vid" else "none",
        seeds=[0],
        kwargs=kwargs,
    )

    partial, new_file = folder.with_name(f"{folder.name}.partial"), file.with_name("params.yaml.partial")
    shutil.rmtree(partial, ignore_errors=True)  # what a killed import left
    try:
        new_file.write_bytes(with_run(file.read_bytes().decode(), name, line, params).encode())
        new = load(new_file)
        check_references(
            new, file.name, {folder.name, *(other.parent.name for other in root.glob("runs/*/imported.json"))}
        )
        if replace(new, schedules={}) != replace(params, schedules={}, runs=params.runs | {name: Run(**line)}):
            raise Fault(
                "params.yaml: its runs are not plain lines, so none can be added without a change to something else"
            )
        write_whole(partial / "model.safetensors", content)
        write_json(partial / "imported.json", {"files": sha256, "dataset": dataset, "model": kind, "kwargs": kwargs})
        os.replace(partial, folder)
        try:
            os.replace(new_file, file)
        except BaseException:
            shutil.rmtree(folder)
            raise
    finally:
        new_file.unlink(missing_ok=True)
        shutil.rmtree(partial, ignore_errors=True)
    return f"{name}: runs/{folder.name} holds {', '.join(nets)}, params.yaml the run; `dvc repro synthesize@{name}` makes its videos"
