"""Memory and floating-point operations of what runs inside a context, counted operation by operation."""

import weakref
from dataclasses import dataclass

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

ROUND = 512  # bytes: the unit of CUDA's caching allocator


class Tracker(TorchDispatchMode):
    """Counts the storages that are alive, and the operations of convolutions and matrix products.

    Works on fake tensors and on real ones, on the GPU or on the CPU. It does not see what a kernel takes for itself
    while it runs (workspaces of cuDNN and oneDNN), the CUDA context (0.3 to 0.6 GB), or the gaps of the allocator.

    device     type of the device whose storages count
    live       bytes now
    peak       bytes, at most so far
    flops      multiplications and additions of convolutions and matrix products; others are not counted
    syncs      operations for which the host waits: their results go to the host, or their inputs come from it
    """

    SYNCS = (
        "aten::_local_scalar_dense",
        "aten::nonzero",
        "aten::unique_dim",
        "aten::_unique2",
        "aten::masked_select",
        "aten::equal",
        "aten::is_nonzero",
        "aten::repeat_interleave.Tensor",
        "aten::bincount",
    )

    def __init__(self, device: str = "cuda"):
        super().__init__()
        self.device, self.live, self.peak, self.flops = device, 0, 0, 0
        self.syncs: list[str] = []
        self._known: set[int] = set()

    def hold(self, *tensors) -> None:
        """Count tensors that were made outside, such as a model's weights."""
        for tensor in tree_leaves(tensors):
            if isinstance(tensor, torch.Tensor) and tensor.device.type == self.device:
                self._add(tensor.untyped_storage())

    def _add(self, storage) -> None:
        key, n_bytes = storage._cdata, -(-storage.nbytes() // ROUND) * ROUND
        if key in self._known:
            return
        self._known.add(key)
        self.live += n_bytes
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._drop, key, n_bytes).atexit = False

    def _drop(self, key: int, n_bytes: int) -> None:
        self._known.discard(key)
        self.live -= n_bytes

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func.namespace == "prim":  # a question about a tensor
            return func(*args, **kwargs)
        packet = func._overloadpacket
        if packet not in flop_registry and func.has_kernel_for_dispatch_key(IMPLICIT):
            with self:  # inference mode does not take composite operations apart
                return func.decompose(*args, **kwargs)
        out = func(*args, **kwargs)
        if packet in flop_registry:
            self.flops += flop_registry[packet](*args, **kwargs, out_val=out)
        if func.name() in self.SYNCS or self._waits(func.name(), args, kwargs, out):
            self.syncs.append(func.name())
        self.hold(out)
        return out

    @property
    def n_syncs(self) -> int:
        return len(self.syncs)

    def _waits(self, name: str, args, kwargs, out) -> bool:
        """Whether an operation copies between host and device and waits for it."""
        if name == "aten::_to_copy":
            return args[0].device.type != out.device.type and not kwargs.get("non_blocking", False)
        if name == "aten::copy_":
            return args[0].device.type != args[1].device.type and not (len(args) > 2 and args[2])
        if name == "aten::index.Tensor":  # of a list of numbers
            return any(at is not None and at.device.type != args[0].device.type for at in args[1])
        return False


IMPLICIT = torch._C.DispatchKey.CompositeImplicitAutograd


@dataclass(frozen=True)
class Cost:
    """What one step takes.

    resident    bytes that stay between steps: weights, their average, the optimisers' state, the batch
    peak        bytes at most, those included
    flops       operations, forward and backward
    n_syncs     times that the host waits for the device
    forward     operations of the losses alone
    gradients   bytes of the gradients of all parts
    """

    resident: int
    peak: int
    flops: int
    n_syncs: int
    forward: int = 0
    gradients: int = 0
