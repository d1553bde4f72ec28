"""DINOv2 and CLIP: the networks against torchvision's vision transformer with the same random weights."""

from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.models.vision_transformer import VisionTransformer

from v2vbench.download import weights
from v2vbench.extractors import clip_vit, dinov2, resolve
from v2vbench.extractors._rows import Rows
from v2vbench.params import Fault

WIDTH, N_BLOCKS, N_HEADS = 128, 2, 2


def shaken(net: nn.Module) -> nn.Module:
    """Random numbers in every tensor, those that begin as 0 or 1 too."""
    rng = torch.Generator().manual_seed(0)
    for name, value in net.named_parameters():
        spread = 0.4 / value.shape[-1] ** 0.5 if value.ndim > 1 else 0.2
        value.data = (1.0 if "norm" in name or "ln_" in name or "gamma" in name else 0.0) * (
            value.ndim == 1
        ) + spread * torch.randn(value.shape, generator=rng)
    return net.eval().requires_grad_(False)


def torchvisions(px: int, eps: float) -> VisionTransformer:
    net = VisionTransformer(px, 14, N_BLOCKS, N_HEADS, WIDTH, 4 * WIDTH, norm_layer=partial(nn.LayerNorm, eps=eps))
    net.heads = nn.Identity()
    return net.eval().requires_grad_(False)


def put(theirs: VisionTransformer, blocks: list[dict]) -> None:
    """Our blocks' numbers in torchvision's names."""
    for layer, own in zip(theirs.encoder.layers, blocks, strict=True):
        layer.load_state_dict(
            {
                "ln_1.weight": own["norm1"].weight,
                "ln_1.bias": own["norm1"].bias,
                "ln_2.weight": own["norm2"].weight,
                "ln_2.bias": own["norm2"].bias,
                "self_attention.in_proj_weight": own["in"][0],
                "self_attention.in_proj_bias": own["in"][1],
                "self_attention.out_proj.weight": own["out"][0],
                "self_attention.out_proj.bias": own["out"][1],
                "mlp.0.weight": own["first"].weight,
                "mlp.0.bias": own["first"].bias,
                "mlp.3.weight": own["last"][0],
                "mlp.3.bias": own["last"][1],
            }
        )


def cubic(t: np.ndarray) -> np.ndarray:
    """Keys' kernel with a = -0.75, PyTorch's."""
    t, a = np.abs(t), -0.75
    return np.where(t <= 1, (a + 2) * t**3 - (a + 3) * t**2 + 1, np.where(t < 2, a * (t**3 - 5 * t**2 + 8 * t - 4), 0))


def resized(square: np.ndarray, n: int) -> np.ndarray:
    """(m, m, D) to (n, n, D): bicubic at the places that a scale of (n + 0.1) / m gives, edges repeated."""
    m = len(square)
    place = (np.arange(n) + 0.5) * m / (n + 0.1) - 0.5
    near = np.floor(place).astype(int)[:, None] + np.arange(-1, 3)
    weight = np.zeros((n, m))
    for row, (columns, at) in enumerate(zip(near, place)):
        np.add.at(weight[row], columns.clip(0, m - 1), cubic(at - columns))
    return np.einsum("ai,bj,ijd->abd", weight, weight, square)


def close(own: torch.Tensor, theirs: torch.Tensor) -> None:
    assert own.shape == theirs.shape and theirs.std() > 0.01
    assert (own - theirs).abs().max() < 1e-4 * theirs.abs().max()


def test_dinov2_is_torchvisions_transformer_with_scaled_branches_and_resized_positions():
    own, theirs = shaken(dinov2.Network(WIDTH, N_BLOCKS, N_HEADS)), torchvisions(56, 1e-6)
    fold = lambda gamma, layer: (gamma[:, None] * layer.weight, gamma * layer.bias)  # noqa: E731
    put(
        theirs,
        [
            {
                "norm1": b.norm1,
                "norm2": b.norm2,
                "in": (b.attn["qkv"].weight, b.attn["qkv"].bias),
                "first": b.mlp["fc1"],
                "out": fold(b.ls1["gamma"], b.attn["proj"]),
                "last": fold(b.ls2["gamma"], b.mlp["fc2"]),
            }
            for b in own.blocks
        ],
    )
    theirs.conv_proj.load_state_dict(own.patch_embed["proj"].state_dict())
    theirs.encoder.ln.load_state_dict(own.norm.state_dict())
    square = resized(own.pos_embed[0, 1:].double().numpy().reshape(37, 37, WIDTH), 4)
    theirs.encoder.pos_embedding.data = torch.cat(
        [own.pos_embed[:, :1], torch.from_numpy(square).float().reshape(1, 16, WIDTH)], 1
    )
    theirs.class_token.data = own.cls_token
    images = torch.randn(3, 3, 56, 56, generator=torch.Generator().manual_seed(1))
    close(own(images), theirs(images))
    whole = dinov2.Network(WIDTH, N_BLOCKS, N_HEADS, 4)  # of its own size nothing is resized
    whole.load_state_dict(own.state_dict() | {"pos_embed": theirs.encoder.pos_embedding})
    close(whole.eval()(images), theirs(images))


def test_clip_is_torchvisions_transformer_with_another_activation_and_beginning(monkeypatch):
    monkeypatch.setattr(clip_vit, "PX", 56)
    own, theirs = shaken(clip_vit.Network(WIDTH, N_BLOCKS, N_HEADS, 48)), torchvisions(56, 1e-5)
    put(
        theirs,
        [
            {
                "norm1": b.ln_1,
                "norm2": b.ln_2,
                "in": (b.attn.in_proj_weight, b.attn.in_proj_bias),
                "first": b.mlp.c_fc,
                "out": (b.attn.out_proj.weight, b.attn.out_proj.bias),
                "last": (b.mlp.c_proj.weight, b.mlp.c_proj.bias),
            }
            for b in own.transformer["resblocks"]
        ],
    )
    for layer in theirs.encoder.layers:
        layer.mlp[1].forward = lambda x: x / (1 + torch.exp(-1.702 * x))
    theirs.conv_proj.load_state_dict({"weight": own.conv1.weight, "bias": torch.zeros(WIDTH)})
    images = torch.randn(2, 3, 56, 56, generator=torch.Generator().manual_seed(1))
    tokens = (
        torch.cat([own.class_embedding.expand(2, 1, -1), theirs._process_input(images)], 1) + own.positional_embedding
    )
    want = own.ln_post(theirs.encoder.layers(own.ln_pre(tokens)))[:, 0] @ own.proj
    close(own(images), want)


def test_published_sizes():
    """22.06 and 304.29 million numbers, under the names that the files have."""
    with torch.device("meta"):
        small, large = dinov2.Network().state_dict(), clip_vit.Network(**clip_vit.SIZES).state_dict()
    assert len(small) == 175 and sum(value.numel() for value in small.values()) == 22_056_576
    assert sum(value.numel() for value in large.values()) == 304_293_888
    for name in (
        "cls_token",
        "mask_token",
        "patch_embed.proj.weight",
        "blocks.11.attn.qkv.bias",
        "blocks.0.ls2.gamma",
        "norm.weight",
    ):
        assert name in small
    for name in (
        "class_embedding",
        "positional_embedding",
        "proj",
        "conv1.weight",
        "ln_pre.bias",
        "transformer.resblocks.23.attn.in_proj_weight",
        "transformer.resblocks.0.attn.out_proj.bias",
        "transformer.resblocks.9.mlp.c_fc.weight",
        "ln_post.weight",
    ):
        assert name in large


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Both files in their published format: a dict of tensors, and TorchScript in 16 bits that includes the tower."""
    torch.save(shaken(dinov2.Network()).state_dict(), tmp_path / "dinov2_vits14_pretrain.pth")
    monkeypatch.setattr(clip_vit, "SIZES", dict(width=WIDTH, n_blocks=N_BLOCKS, n_heads=N_HEADS, n_out=48))
    whole = Whole(shaken(clip_vit.Network(**clip_vit.SIZES)).state_dict())
    torch.jit.script(whole).save(str(tmp_path / "ViT-L-14-336px.pt"))
    monkeypatch.setenv("V2VBENCH_WEIGHTS", str(tmp_path))
    for name in ("dinov2_vits14", "clip_l14_336"):
        monkeypatch.setitem(weights.TABLE, name, weights.Weights(**vars(weights.TABLE[name]) | {"sha256": None}))
    for module in (dinov2, clip_vit):
        module.network.cache_clear()
    yield tmp_path
    for module in (dinov2, clip_vit):
        module.network.cache_clear()


class Whole(nn.Module):
    """Tensors under dotted names, and one of the other half of CLIP."""

    def __init__(self, state: dict):
        super().__init__()
        self.logit_scale = nn.Parameter(torch.tensor(1.0))
        for name, value in state.items():
            *path, last = f"visual.{name}".split(".")
            at = self
            for part in path:
                if part not in at._modules:
                    at.add_module(part, nn.Module())
                at = at._modules[part]
            at.register_parameter(last, nn.Parameter(value.half()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


@pytest.mark.filterwarnings("ignore:.*torch.jit.*")
def test_rows_from_raw_frames(files, tmp_path):
    """8-bit frames to rows, as in evaluation, against the published preprocessing in Pillow and in double precision."""
    frames = np.random.default_rng(0).integers(0, 256, (2, 40, 60, 3)).astype(np.uint8)
    rows = Rows(resolve({"dino": {"extractor": "dinov2"}, "clip": {"extractor": "clip_vit"}}).values(), None).of(frames)
    assert rows["dino"].shape == (2, 384) and rows["clip"].shape == (2, 48)
    squares = (
        np.stack(
            [
                [
                    np.asarray(
                        Image.fromarray(frame[..., c].astype(np.float32)).resize((224, 224), Image.Resampling.BICUBIC)
                    )
                    for c in range(3)
                ]
                for frame in frames
            ]
        ).clip(0, 255)
        / 255
    )  # dgm-eval's pil_resize
    mean, deviation = np.array([0.485, 0.456, 0.406])[:, None, None], np.array([0.229, 0.224, 0.225])[:, None, None]
    net = shaken(dinov2.Network())
    close(torch.from_numpy(rows["dino"]), net(torch.from_numpy((squares - mean) / deviation).float()))
    images = torch.from_numpy(np.moveaxis(frames, -1, 1) / 255)  # cmmd-pytorch's embed
    images = torch.nn.functional.interpolate(images, size=(336, 336), mode="bicubic").numpy()
    mean, deviation = (
        np.array(values)[:, None, None]
        for values in ([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711])
    )
    net = shaken(clip_vit.Network(**clip_vit.SIZES))
    for value in net.parameters():
        value.data = value.half().float()
    close(torch.from_numpy(rows["clip"]), net(torch.from_numpy((images - mean) / deviation).float()))


@pytest.mark.filterwarnings("ignore:.*torch.jit.*")
def test_other_files_and_absence_are_told(files, monkeypatch):
    torch.save({"cls_token": torch.zeros(1, 1, 384)}, files / "dinov2_vits14_pretrain.pth")
    (files / "ViT-L-14-336px.pt").write_bytes(b"nothing")
    for module, name in ((dinov2, "DINOv2's ViT-S/14"), (clip_vit, "CLIP's ViT-L/14")):
        with pytest.raises(Fault, match=f"not the weights of {name}.*delete it and run"):
            module.Extractor().extract(torch.zeros(1, 3, module.PX, module.PX))
    monkeypatch.setenv("V2VBENCH_WEIGHTS", str(files.parent))
    with pytest.raises(Fault, match="weights absent: dinov2_vits14 .*fetch weights"):
        dinov2.Extractor().extract(torch.zeros(1, 3, 224, 224))
