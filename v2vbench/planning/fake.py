"""A GPU that is not there: tensors with shapes, dtypes and devices, and no content."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
import torch._dynamo.config  # before Tensor._make_subclass is replaced, which it looks at
from torch._subclasses import FakeTensorMode

CUDA = torch.device("cuda", 0)


@contextmanager
def fake_cuda(n_unique: int | None = None) -> Iterator[torch.device]:
    """A context in which tensors have no content and "cuda" is a device, with or without a GPU or its driver.

    An operation raises that mixes devices, or that needs the content of a tensor on the host: item, tolist, numpy,
    nonzero, a mask as an index. Autocast casts as on CUDA. Modules and tensors are made on the GPU inside the device
    that is yielded, `with device:`; what code makes without a device is on the CPU, as with a real GPU. A module cannot
    be moved here, and its layout in memory stays the usual one; `torch.Generator("cuda")` does not work.

    n_unique    values that `unique` is taken to find, in place of an error
    yields      the device
    """
    real = torch.Tensor._make_subclass
    hide = not torch.cuda.is_available()

    def make(cls, elem, requires_grad=False, **options):
        # The engine of autograd asks CUDA for the streams of CUDA tensors, and there is no CUDA: it sees the meta
        # tensors that hold the shapes instead. Python, autocast and the checks of devices still see CUDA.
        if hide and options.get("device_for_backend_keys") == CUDA:
            options.pop("dispatch_device", None)
        return real(cls, elem, requires_grad, **options)

    def to(module, device=None, *, memory_format=None):
        here = next(module.parameters(), torch.empty(0, device="meta")).device
        if device is not None and here.type not in ("meta", torch.device(device).type):
            raise RuntimeError(f"a module on {here} cannot be moved to {device} here: make it inside `with device:`")
        return module

    with (
        mock.patch.object(torch.nn.Module, "to", to),
        mock.patch.object(torch.Tensor, "_make_subclass", make),
        mock.patch.object(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False),
        mock.patch.object(torch.cuda, "is_bf16_supported", lambda including_emulation=True: True),
        _Mode(n_unique),
    ):
        yield CUDA


class _Mode(FakeTensorMode):
    """FakeTensorMode in which C++ code that makes a tensor where a hidden one is makes it on the GPU."""

    def __init__(self, n_unique: int | None):
        super().__init__()
        self.n_unique = n_unique

    def dispatch(self, func, types, args: Any = (), kwargs: Any = None):
        device = (kwargs or {}).get("device")
        if device is not None and torch.device(device).type == "meta":
            kwargs = {**(kwargs or {}), "device": CUDA}
        if self.n_unique is not None and func is torch.ops.aten._unique2.default:
            whole = args[0]
            return whole.new_empty(self.n_unique), torch.zeros_like(whole), whole.new_empty(self.n_unique)
        if self.n_unique is not None and func is torch.ops.aten.bincount.default:  # of the places of those values
            return args[0].new_empty((kwargs or {})["minlength"] if len(args) < 3 else args[2])
        return super().dispatch(func, types, args, kwargs or {})
