"""LPIPS between two frames, for `lpips` and `tlp`: the network of the package lpips with listed weights."""

import threading
import warnings
from functools import cache

import torch
from torch import nn

from v2vbench.metrics._networks import backbone, large_enough
from v2vbench.parallel import passes

BUILD = threading.Lock()  # clips are scored side by side, and what keeps warnings quiet holds for the whole process


def distance(first: torch.Tensor, second: torch.Tensor, name: str) -> torch.Tensor:
    """LPIPS, version 0.1, of each pair of frames; one pair at a time, on one thread, so no value depends on others.

    first, second    (T, 3, H, W) in [-1, 1]
    name             alex or vgg
    returns          (T,) float32
    raises           ValueError where frames are too small; Fault where the weights are missing
    """
    large_enough(first, name)
    with BUILD:
        net = _network(name, backbone(name))
    return passes(lambda at: net(first[at].float(), second[at].float()).flatten(), torch.arange(len(first)), 1)


@cache
def _network(name: str, trained: nn.Sequential) -> nn.Module:
    """The package's network; its heads come with it, its backbone gets the weights of `trained`."""
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):  # a backbone drawn at random, then replaced
        warnings.simplefilter("ignore")  # the package asks for it in the words of torchvision before 0.13
        import lpips

        net = lpips.LPIPS(net=name, pnet_rand=True, verbose=False)
    weights = trained.state_dict()  # "0.weight", which is "slice1.0.weight" there
    net.net.load_state_dict({key: weights[key.split(".", 1)[1]] for key in net.net.state_dict()}, assign=True)
    return net.requires_grad_(False)
