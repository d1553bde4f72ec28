"""The architecture that weights of the paper's own code imply: the model here, and its kwargs."""

import re
from pathlib import Path

import torch

from v2vbench.clips.store import Facts
from v2vbench.params import Fault

State = dict[str, torch.Tensor]

# Settings that weights do not show: defaults of the reference code, written to params.yaml, where they can change.
LOSSES = dict(w_feature=10, w_pixel=0, w_perceptual=0, perceptual="none")
VIDEO = dict(
    n_frozen_steps=0,
    n_backprop=0,
    from_nothing=False,
    styles="none",
    composition="over",
    flow_scale=20,
    resample="bilinear",
    upsample="transposed",
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
N_SCALES_TEMPORAL, N_BLOCKS_LOCAL = 2, 3


def convolutions(state: State, part: str, path: Path) -> list[torch.Tensor]:
    """Weights of a part's convolutions in order, without its residual blocks; raises Fault where it has none."""
    numbered = {
        int(match[1]): value
        for key, value in state.items()
        if (match := re.fullmatch(rf"{part}\.(\d+)\.weight", key)) and value.ndim == 4
    }
    if 1 not in numbered:
        keys = ", ".join(sorted(state)[:3])
        raise Fault(f"{path}: no convolution {part}.1.weight in it; it holds {keys}, … and is no such net")
    return [numbered[i] for i in sorted(numbered)]


def n_blocks(state: State, *parts: str) -> int:
    """The number of residual blocks of some parts together."""
    return sum(re.fullmatch(rf"({'|'.join(parts)})\.\d+\.conv_block\.1\.weight", key) is not None for key in state)


def norm(state: State) -> str:
    """Its kind of norm: pix2pixHD's instance norm has no weights."""
    return "batch" if any(key.endswith(".weight") and value.ndim == 1 for key, value in state.items()) else "instance"


def discriminator_kwargs(nets: dict[str, State], files: dict[str, Path]) -> dict:
    """Settings of the discriminators; raises Fault where they are of a kind that this code does not have."""
    if "D" not in nets:
        return DISCRIMINATOR
    places = [
        tuple(map(int, match.groups()))
        for key in nets["D"]
        if (match := re.fullmatch(r"scale(\d+)_layer(\d+)\.0\.weight", key))
    ]
    first = f"scale{max(places, default=(0,))[0]}_layer0.0.weight"  # of the full size
    if first not in nets["D"]:
        cause = "discriminators without feature matching are not supported, and may be left out"
        raise Fault(f"{files['D']}: no {first} in it; {cause}")
    n_scales, n_layers = (1 + max(numbers) for numbers in zip(*places))
    return dict(n_scales=n_scales, n_filters_d=len(nets["D"][first]), n_layers_d=n_layers - 2)


def video(nets: dict[str, State], files: dict[str, Path]) -> tuple[dict, int]:
    """Settings of vid2vid, and the number of channels of a frame's source."""
    G, n_scales = nets["G0"], sum(net.startswith("G") for net in nets)
    source, past = (convolutions(G, part, files["G0"]) for part in ("model_down_seg", "model_down_img"))
    n_past, n_channels = past[0].shape[1] // 3, source[0].shape[1]
    n_temporal = sum(net.startswith("D_T") for net in nets) if "D" in nets else N_SCALES_TEMPORAL
    n_source, rest = divmod(n_channels, n_past + 1)
    if rest:
        raise Fault(f"{files['G0']}: the {n_channels} channels of its input are not those of {n_past + 1} frames")
    return dict(
        n_past=n_past,
        n_filters=len(source[0]),
        n_down=len(source) - 1,
        n_blocks=n_blocks(G, "model_down_seg", "model_res_img"),
        n_scales_spatial=n_scales,
        n_blocks_local=n_blocks(nets["G1"], "model_up_img") if n_scales > 1 else N_BLOCKS_LOCAL,
        norm=norm(G),
        with_flow="model_final_flow.1.weight" in G,
        n_scales_temporal=n_temporal,
        **discriminator_kwargs(nets, files),
        **VIDEO,
    ), n_source


def image(nets: dict[str, State], files: dict[str, Path]) -> tuple[dict, int]:
    """The same of pix2pixHD; vid2vid's generators of first frames are the same networks."""
    G, at_bottleneck = nets["G"], "model_downsample.1.weight" in nets["G"]
    layers = convolutions(G, "model_downsample" if at_bottleneck else "model", files["G"])
    finer = sorted(int(match[1]) for key in G if (match := re.fullmatch(r"model(\d+)_1\.1\.weight", key)))
    stem, n_z, n_features, styles = G[f"model{finer[-1]}_1.1.weight"] if finer else layers[0], 0, 0, "none"
    if at_bottleneck:
        n_z = convolutions(G, "model_upsample_conv", files["G"])[0].shape[1] - len(stem)
        if finer:
            raise Fault(f"{files['G']}: enhancers that take styles at the bottleneck are not supported")
        if "E" not in nets:
            cause = "the encoder that makes them, a net_E, must be in the same folder"
            raise Fault(f"{files['G']}: takes {n_z} channels of styles; {cause}")
    if "E" in nets:
        encoder = convolutions(nets["E"], "model", files["E"])
        n_features = len(encoder[-1])
        styles = dict(n_features=n_features, n_filters=len(encoder[0]), n_down=len(encoder) // 2 - 1, **STYLES)
        if n_z not in (0, n_features):
            raise Fault(f"{files['G']}: takes {n_z} channels of styles, but {files['E'].name} makes {n_features}")
    return dict(
        n_filters=len(stem),
        n_down=len(layers) - 1 if at_bottleneck else (len(layers) - 1) // 2,
        n_blocks=n_blocks(G, "model", "model_resnet"),
        n_local=len(finer),
        n_blocks_local=n_blocks(G, f"model{finer[-1]}_2") if finer else N_BLOCKS_LOCAL,
        styles=styles,
        styles_at="bottleneck" if at_bottleneck else "input",
        norm=norm(G),
        upsample="transposed",
        **discriminator_kwargs(nets, files),
        **LOSSES,
    ), stem.shape[1] - n_features


def settings(nets: dict[str, State], files: dict[str, Path], facts: Facts, foreground: list[str]) -> tuple[str, dict]:
    """The model and its kwargs.

    facts         of the data that it is for
    foreground    labels that its foreground network paints, which weights do not show
    raises        Fault where the networks take another source, or the foreground's labels are missing or not needed
    """
    kind, G, of = ("pix2pixhd", "G", image) if "G" in nets else ("vid2vid", "G0", video)
    kwargs, n_source = of(nets, files)
    n, where = len(facts.label_names), files[G]
    if n_source not in (n, n + 1):
        styles = " beside its styles" if "E" in nets else ""
        here = f"{facts.name} has {n}, or {n + 1} with instance edges"
        raise Fault(f"{where}: its source has {n_source} channels{styles}; {here}")
    has_foreground = "indv_down.1.weight" in nets[G]
    if has_foreground and not foreground:
        labels = ", ".join(facts.label_names)
        cause = "paints a foreground, and weights do not show of which labels"
        raise Fault(f"{where}: {cause}; add --foreground and some of {labels}")
    if foreground and not has_foreground:
        raise Fault(f"{where}: has no network for a foreground; leave --foreground out")
    return kind, kwargs | {"instance_edges": n_source > n} | ({"foreground": foreground} if kind == "vid2vid" else {})
