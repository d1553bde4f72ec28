"""DINOv2's ViT-S/14: what a network sees that learned from 142 million pictures without a label, for FD-DINOv2."""

import functools

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from v2vbench import extractors
from v2vbench.download import weights
from v2vbench.extractors._networks import load_into, standardise
from v2vbench.parallel import passes

PX, PATCH, BATCH = 224, 14, 4
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, on 0..1
OFFSET = 0.1  # that the published code adds to the number of patches where it resizes positions: it moves them a little


class Block(nn.Module):
    """Attention, then two layers with GELU, each on normalised tokens, scaled channel by channel and added."""

    def __init__(self, width: int, n_heads: int):
        super().__init__()
        self.n_heads = n_heads
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.attn = nn.ModuleDict({"qkv": nn.Linear(width, 3 * width), "proj": nn.Linear(width, width)})
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, 4 * width), "fc2": nn.Linear(4 * width, width)})
        self.ls1, self.ls2 = (nn.ParameterDict({"gamma": torch.ones(width)}) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """(n, tokens, width) to the same."""
        q, k, v = (
            self.attn["qkv"](self.norm1(x)).unflatten(-1, (3, self.n_heads, -1)).permute(2, 0, 3, 1, 4)
        )  # (n, heads, tokens, 64)
        values = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = x + self.ls1["gamma"] * self.attn["proj"](values)
        return x + self.ls2["gamma"] * self.mlp["fc2"](F.gelu(self.mlp["fc1"](self.norm2(x))))


class Network(nn.Module):
    """The published network under its names; its positions are for 518 px and resized as its authors do."""

    def __init__(self, width: int = 384, n_blocks: int = 12, n_heads: int = 6, n_patches: int = 37):
        super().__init__()
        self.cls_token, self.mask_token = nn.Parameter(torch.zeros(1, 1, width)), nn.Parameter(torch.zeros(1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + n_patches**2, width))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, width, PATCH, PATCH)})
        self.blocks = nn.ModuleList(Block(width, n_heads) for _ in range(n_blocks))
        self.norm, self.n_patches = nn.LayerNorm(width, eps=1e-6), n_patches

    def positions(self, n: int) -> Tensor:
        """Of the class token and of n x n patches, (1, 1 + n^2, width)."""
        square = self.pos_embed[:, 1:].unflatten(1, (self.n_patches, self.n_patches)).permute(0, 3, 1, 2)
        scale = (n + OFFSET) / self.n_patches
        square = square if n == self.n_patches else F.interpolate(square, scale_factor=(scale, scale), mode="bicubic")
        return torch.cat([self.pos_embed[:, :1], square.flatten(2).transpose(1, 2)], 1)

    def forward(self, images: Tensor) -> Tensor:
        """Normalised frames (n, 3, px, px), px a multiple of 14, to the normalised class token (n, width)."""
        x = self.patch_embed["proj"](images).flatten(2).transpose(1, 2)  # (n, patches, width)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1) + self.positions(images.shape[-1] // PATCH)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)[:, 0]


@functools.cache
def network(sha256: str) -> nn.Module:
    """ViT-S/14 with its weights, made once for each content of its file; raises Fault where the file holds others."""
    with torch.device("meta"):  # nothing drawn at random
        net = Network()
    return load_into(net, "dinov2_vits14", "DINOv2's ViT-S/14")


class Extractor(extractors.Extractor):
    """The class token of DINOv2's ViT-S/14, a row of 384 a frame. (dgm-eval's default is ViT-L/14: other values.)

    Frames are squashed to 224 x 224 with Pillow's bicubic of floats, dgm-eval's `clean_resize`.
    source    Oquab et al. 2023 (DINOv2); Stein et al. 2023 (FD-DINOv2, dgm-eval)
    """

    VERSION = 1

    def __init__(self):
        self.titles = {"frechet": "FD-DINOv2 (ViT-S)", "kernel": "KD-DINOv2 (ViT-S)"}
        self.ids = {"frechet": "fd-dinov2-vits14", "kernel": "kd-dinov2-vits14"}
        self.rows = f"{PX}-pil-bicubic:cls384"
        self.weights, self.resize = ("dinov2_vits14",), ("pil-bicubic", PX)

    def extract(self, images: Tensor) -> Tensor:
        """images (n, 3, 224, 224) on 0..255; returns (n, 384); raises Fault where its weights are not here."""
        net = network(weights.sha256("dinov2_vits14"))
        return passes(lambda part: net(standardise(part, MEAN, DEVIATION)), images, BATCH)
