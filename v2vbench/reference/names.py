"""Weights of the paper's own code, NVIDIA/vid2vid and pix2pixHD, under our names: every key and shape, or none.

docs/reference.md describes its files, and where it differs from our code.
"""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn

from v2vbench.models._blocks import Discriminator, Residual
from v2vbench.models._composite import Generator
from v2vbench.models._image import Global, Local
from v2vbench.params import Fault

NORMS = (nn.BatchNorm2d, nn.InstanceNorm2d)


def _leaves(module: nn.Module, name: str) -> Iterator[tuple[str, nn.Module]]:
    """(name, layer) of everything in nested sequences and lists."""
    if isinstance(module, (nn.Sequential, nn.ModuleList)):
        for number, child in enumerate(module):
            yield from _leaves(child, f"{name}.{number}")
    else:
        yield name, module


def _numbered(net: nn.Module, theirs: str, ours: list[str]) -> Iterator[tuple[str, str, nn.Module]]:
    """(their name, our name, layer) of each layer with a state. Theirs are numbered in one Sequential, padding too."""
    index = 0
    for name, layer in (pair for part in ours for pair in _leaves(net.get_submodule(part), part)):
        if isinstance(layer, Residual):
            for number, inner in {1: 0, 2: 1, 5: 3, 6: 4}.items():
                yield f"{theirs}.{index}.conv_block.{number}", f"{name}.body.{inner}", layer.body[inner]
        index += isinstance(layer, nn.Conv2d) and layer.padding_mode == "reflect"
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, *NORMS)):
            yield f"{theirs}.{index}", name, layer
        index += 1


def _tree(net: nn.Module) -> dict[str, list[str]]:
    """{their name of a part: our names of it, in order}."""
    if isinstance(net, Global) and net.n_z:
        return {
            "model_downsample": ["down"],
            "model_resnet": ["blocks"],
            "model_upsample": ["up"],
            "model_upsample_conv": ["head"],
        }
    if isinstance(net, Global):
        return {"model": ["down", "blocks", "up", "head"]}
    if isinstance(net, Local):
        tree, n = {"model": ["coarse.down", "coarse.blocks", "coarse.up"]}, len(net.downs)
        for i in range(n):
            tree |= {f"model{i + 1}_1": [f"downs.{i}"], f"model{i + 1}_2": [f"ups.{i}", *["head"] * (i == n - 1)]}
        return tree
    if isinstance(net, Generator):
        tree = {"model_down_seg": ["down_source"], "model_down_img": ["down_past"], "model_final_img": ["paint"]}
        if hasattr(net, "motion"):
            tree |= {"model_final_flow": ["flow"], "model_final_w": ["mask"]}
        if hasattr(net, "front"):
            tree |= {"indv_down": ["down_front"], "indv_final": ["paint_front"]}
        for part, blocks, ups in (
            ("image", "model_res_img", "model_up_img"),
            ("motion", "model_res_flow", "model_up_flow"),
            ("front", "indv_res", "indv_up"),
        ):
            if hasattr(net, part):  # in a finer scale, blocks and upsampling are one part
                tree |= {blocks: [f"{part}.0"], ups: [f"{part}.1"]} if net.coarsest else {ups: [part]}
        return tree
    return {"model": [""]}  # the encoder


def names(net: nn.Module) -> dict[str, tuple[str | None, tuple[int, ...]]]:
    """The keys of the reference code's state dict of this network: {their key: (our key, shape)}.

    net        a generator or discriminator of ours, or the encoder of styles
    returns    our key is None for running statistics, which we do not keep
    """
    if isinstance(net, Discriminator):
        n, layers = len(net.scales), []
        for i, scale in enumerate(net.scales):  # their scale 0 is the smallest image, ours the full size
            for j, layer in enumerate(scale.get_submodule("layers").children()):
                prefix = f"scales.{i}.layers.{j}"
                inner = (
                    [(f"{prefix}.{k}", part) for k, part in enumerate(layer)]
                    if isinstance(layer, nn.Sequential)
                    else [(prefix, layer)]
                )
                layers += [(f"scale{n - 1 - i}_layer{j}.{k}", ours, part) for k, (ours, part) in enumerate(inner)]
    else:
        layers = [layer for theirs, ours in _tree(net).items() for layer in _numbered(net, theirs, ours)]
    table = {}
    for theirs, ours, layer in layers:
        table |= {
            f"{theirs}.{key}": (f"{ours}.{key}".lstrip("."), tuple(value.shape))
            for key, value in layer.named_parameters()
        }
        if isinstance(layer, NORMS):
            table |= {f"{theirs}.{key}": (None, (layer.num_features,)) for key in ("running_mean", "running_var")}
            table[f"{theirs}.num_batches_tracked"] = (None, ())
    return table


def renamed(net: nn.Module, state: dict[str, torch.Tensor], where: Path | str) -> dict[str, torch.Tensor]:
    """A state dict of the reference code under our names.

    Running statistics may be missing: versions of torch differ in those that they save, and we read none.
    raises    Fault naming keys that are missing, left over or of another shape
    """
    table = names(net)
    needed = {theirs for theirs, (ours, _) in table.items() if ours}
    for kind, keys in (("missing", needed - state.keys()), ("left over", state.keys() - table.keys())):
        if keys:
            some = f"{', '.join(sorted(keys)[:4])}{', …' * (len(keys) > 4)}"
            raise Fault(f"{where}: {len(keys)} keys {kind}, {some}; nothing was loaded")
    if other := [key for key, (_, shape) in table.items() if key in state and tuple(state[key].shape) != shape]:
        raise Fault(
            f"{where}: {other[0]} is {tuple(state[other[0]].shape)}, expected {table[other[0]][1]}; nothing was loaded"
        )
    return {ours: state[theirs].float() for theirs, (ours, _) in table.items() if ours}
