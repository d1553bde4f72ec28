"""What extractors do alike: read a network's weights, and bring images to the numbers that it was trained with."""

import torch
from torch import Tensor, nn

from v2vbench.download import weights
from v2vbench.params import Fault


def load_into(net: nn.Module, name: str, title: str, state: dict[str, Tensor] | None = None) -> nn.Module:
    """`net` with its weights, in evaluation mode and without gradient.

    name      of the file in download.weights.TABLE
    title     of the network, for messages
    state     the weights, where they are not the file's content as it is
    raises    Fault where the file is missing, or holds the weights of another network
    """
    try:
        net.load_state_dict(weights.load(name) if state is None else state, assign=True)
    except RuntimeError as error:
        raise not_the_weights(name, title, error) from None
    return net.eval().requires_grad_(False)


def not_the_weights(name: str, title: str, error: RuntimeError) -> Fault:
    """What to say of a file that torch cannot read into the network."""
    return Fault(
        f"{weights.path(name)}: not the weights of {title} ({str(error).splitlines()[-1].strip()}); "
        f"delete it and run {weights.FETCH}"
    )


def standardise(images: Tensor, mean: tuple[float, ...], deviation: tuple[float, ...]) -> Tensor:
    """(..., 3, H, W) on 0..255 to 0..1, less `mean`, by `deviation`, of R, G and B."""
    means, deviations = (torch.tensor(values, device=images.device)[:, None, None] for values in (mean, deviation))
    return (images / 255 - means) / deviations
