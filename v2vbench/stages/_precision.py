"""Precisions that this machine emulates: what training in them would cost."""

import time

SLOWER = 0.9  # a gain below this is more than timing noise


def bfloat16_gain() -> float:
    """Speed-up of a convolution's training in bfloat16 over float32 on this CPU: forward and backward under autocast.

    Measured in a fraction of a second, on one thread, so that other processes disturb it little. Draws nothing from
    torch's random generators.
    """
    import torch

    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        seconds = {enabled: _trains(enabled) for enabled in (False, True)}
    finally:
        torch.set_num_threads(n_threads)
    return seconds[False] / seconds[True]


def _trains(autocast: bool) -> float:
    """Seconds of one convolution, forward and backward, the fastest of a few."""
    import torch

    image = (
        torch.linspace(-1, 1, 2 * 32 * 32 * 64)
        .view(2, 32, 32, 64)
        .to(memory_format=torch.channels_last)
        .requires_grad_()
    )
    kernel = (
        torch.linspace(-1, 1, 32 * 32 * 3 * 3).view(32, 32, 3, 3).to(memory_format=torch.channels_last).requires_grad_()
    )
    times = []
    while len(times) < 2 or (sum(times) < 0.05 and len(times) < 20):  # the first compiles the kernels
        began = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            out = torch.nn.functional.conv2d(image, kernel, padding=1)
        out.float().square().mean().backward()
        times.append(time.perf_counter() - began)
    return min(times)


def slow_precision(precision: str) -> str:
    """A one-line warning if training in `precision` runs on this CPU and is slower than in 32-true; "" otherwise."""
    if precision != "bf16-mixed":
        return ""
    import torch

    if torch.accelerator.is_available():
        return ""
    gain = bfloat16_gain()
    return (
        ""
        if gain > SLOWER
        else (
            f"precision bf16-mixed runs {gain:.2g} x as fast as 32-true on this CPU (measured); "
            "set 32-true, or train on a GPU"
        )
    )
