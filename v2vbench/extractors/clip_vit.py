"""CLIP's image encoder, ViT-L/14 at 336 px, for CMMD."""

import functools
import warnings

import torch
from torch import Tensor, nn

from v2vbench import extractors
from v2vbench.download import weights
from v2vbench.extractors._networks import load_into, not_the_weights, standardise
from v2vbench.parallel import passes

TITLE = "CLIP's ViT-L/14 at 336 px"
PX, PATCH, BATCH = 336, 14, 1
SIZES = dict(width=1024, n_blocks=24, n_heads=16, n_out=768)
MEAN, DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # OpenAI's, on 0..1


class QuickGELU(nn.Module):
    """x sigmoid(1.702 x), which OpenAI's CLIP has for GELU."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)


class Block(nn.Module):
    """Attention, then two layers, each on normalised tokens and added."""

    def __init__(self, width: int, n_heads: int):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, n_heads, batch_first=True)
        self.mlp = nn.Sequential()
        for name, layer in (
            ("c_fc", nn.Linear(width, 4 * width)),
            ("gelu", QuickGELU()),
            ("c_proj", nn.Linear(4 * width, width)),
        ):
            self.mlp.add_module(name, layer)

    def forward(self, x: Tensor) -> Tensor:
        """(n, tokens, width) to the same."""
        normal = self.ln_1(x)
        x = x + self.attn(normal, normal, normal, need_weights=False)[0]
        return x + self.mlp(self.ln_2(x))


class Network(nn.Module):
    """The published tower, under its published names."""

    def __init__(self, width: int, n_blocks: int, n_heads: int, n_out: int):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, PATCH, PATCH, bias=False)
        self.class_embedding = nn.Parameter(torch.zeros(width))
        self.positional_embedding = nn.Parameter(torch.zeros(1 + (PX // PATCH) ** 2, width))
        self.ln_pre, self.ln_post = nn.LayerNorm(width), nn.LayerNorm(width)
        self.transformer = nn.ModuleDict(
            {"resblocks": nn.Sequential(*(Block(width, n_heads) for _ in range(n_blocks)))}
        )
        self.proj = nn.Parameter(torch.zeros(width, n_out))

    def forward(self, images: Tensor) -> Tensor:
        """(n, 3, 336, 336) less MEAN, by DEVIATION; returns the class token's embedding (n, n_out), of any length."""
        x = self.conv1(images).flatten(2).transpose(1, 2)  # (n, 576, width)
        x = torch.cat([self.class_embedding.expand(len(x), 1, -1), x], 1) + self.positional_embedding
        return self.ln_post(self.transformer["resblocks"](self.ln_pre(x))[:, 0]) @ self.proj


@functools.cache
def network(sha256: str) -> nn.Module:
    """The tower with its weights, 16 bits on disk and 32 here, made once for each content of its file.

    The file is TorchScript of the whole of CLIP, of which the tower's numbers alone are taken; none of its code is run.
    raises    Fault where the file holds others
    """
    path, prefix = weights.path("clip_l14_336"), "visual."
    with torch.device("meta"):  # nothing drawn at random
        net = Network(**SIZES)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch would have another format by now
            whole = torch.jit.load(str(path), map_location="cpu").state_dict()
    except RuntimeError as error:
        raise not_the_weights("clip_l14_336", TITLE, error) from None
    tower = {name.removeprefix(prefix): value.float() for name, value in whole.items() if name.startswith(prefix)}
    return load_into(net, "clip_l14_336", TITLE, tower)


class Extractor(extractors.Extractor):
    """CLIP's image embedding, a row of 768 a frame, as CMMD compares them (`mmd` divides them by their length).

    Frames are squashed to 336 x 336 with PyTorch's bicubic, no antialias and nothing clipped, as cmmd-pytorch does.
    source    Radford et al. 2021 (CLIP); Jayasumana et al. 2024 (CMMD)
    """

    VERSION = 1

    def __init__(self):
        self.titles = {"frechet": "FD-CLIP", "kernel": "KD-CLIP", "mmd": "CMMD"}
        self.ids = {"frechet": "fd-clip-l14-336", "kernel": "kd-clip-l14-336", "mmd": "cmmd"}
        self.rows = f"{PX}-torch-bicubic:embedding768"
        self.weights, self.resize = ("clip_l14_336",), ("torch-bicubic", PX)

    def extract(self, images: Tensor) -> Tensor:
        """images (n, 3, 336, 336) on 0..255; returns (n, 768); raises Fault where its weights are not here."""
        net = network(weights.sha256("clip_l14_336"))
        return passes(lambda part: net(standardise(part, MEAN, DEVIATION)), images, BATCH)
