"""Speed of the models: a training step and a painted frame against a floor, the convolutions alone."""
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from v2vbench import clips, find, params, synthesize
from v2vbench.models import vid2vid
from v2vbench.train import Trainer

aten = torch.ops.aten
LAYERS = {aten.convolution.default, aten.convolution_backward.default,       # all that a Conv2d or ConvTranspose2d does,
          aten.reflection_pad2d.default, aten.reflection_pad2d_backward.default}   # with its reflected border
MODELS = ("vid2vid", "pix2pixhd", "covst")
SETTINGS = (dict(size=(64, 128), width=16, n_down=2, n_blocks=4), dict(size=(64, 128), width=32, n_down=2, n_blocks=4),
            dict(size=(128, 256), width=32, n_down=3, n_blocks=6))
WINDOW = 6           # frames of a training window, and of a roll-out


class Layers(TorchDispatchMode):
    """The floor: records every call of a convolution that PyTorch carries out while it is entered, and replays them.

    What is recorded stands below autograd and autocast: the forward of each Conv2d and ConvTranspose2d, and each of its backward
    passes with the very outputs that autograd asked of it (to the input, to the weights and bias, or to both). So layers that a step
    passes backward twice count twice: a discriminator once to its input, for the generator's loss, and once to its weights, for its
    own; frozen layers count to their input alone, layers without gradient not at all. The reflected border of a layer is a call of its
    own, forward and backward, as the layer makes it. Replayed on the tensors that the step itself used, each a tensor of its own in
    the same dtype and memory format, one after the other in the same order.

    Not in it: norms, activations, warps, losses, one-hot labels, additions of gradients, casts to bf16, the optimiser, Python around them.
    """

    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func in LAYERS:
            self.calls.append((func, *tree_map_only(torch.Tensor, torch.Tensor.detach, (args, kwargs))))
        else:                                             # in inference mode conv2d comes whole
            with self:
                if (result := func.decompose(*args, **kwargs)) is not NotImplemented:
                    return result
        return func(*args, **kwargs)

    @torch.inference_mode()
    def replay(self) -> None:
        """Make every recorded call once more; what comes out is thrown away."""
        for func, args, kwargs in self.calls:
            func(*args, **kwargs)
