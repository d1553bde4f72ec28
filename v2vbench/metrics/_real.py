"""The real side of a clip, made once where many videos are scored against the same one."""

import hashlib
from collections.abc import Callable, Iterator

import torch


def remember(real: torch.Tensor) -> torch.Tensor:
    """Let `of_real` keep what is computed from this tensor, as long as the tensor itself is kept."""
    real.remembered = {}
    return real


def of_real(function: Callable, real: torch.Tensor, *settings):
    """function(real, *settings), computed once for a tensor that went through `remember`; what it yields is kept."""
    held = getattr(real, "remembered", None)
    if held is None:
        return function(real, *settings)
    key = function, settings, real._version  # another after any change in place
    if key not in held:
        result = function(real, *settings)
        held[key] = tuple(result) if isinstance(result, Iterator) else result
    return held[key]


class Reader:
    """A judge that knows what it reads in the real frames of one clip; any other frame it looks at, equal ones once.

    judge    with `predict`, (T, 3, H, W) to (T, ...), in which no frame's result depends on the others
    real     (T, 3, H, W)
    """

    def __init__(self, judge: torch.nn.Module, real: torch.Tensor):
        self.judge, self.real, self.known = judge, real, None

    def __getattr__(self, name: str):
        return getattr(self.judge, name)

    def predict(self, frames: torch.Tensor) -> torch.Tensor:
        if self.known is None:
            self.known = dict(zip(_keys(self.real), self.judge.predict(self.real)))
        keys, known = _keys(frames), dict(self.known)
        first = {key: i for i, key in reversed(list(enumerate(keys))) if key not in known}
        if first:
            known |= zip(first, self.judge.predict(frames[list(first.values())]))
        return torch.stack([known[key] for key in keys])


def _keys(frames: torch.Tensor) -> list[bytes]:
    return [hashlib.sha256(frame.contiguous().numpy()).digest() for frame in frames]
