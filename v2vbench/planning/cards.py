"""What GPUs have by their makers' data sheets: dense arithmetic, without sparsity, and memory."""

from dataclasses import dataclass

from v2vbench.params import Fault, shorten

RESERVED = 1.5e9  # bytes: the CUDA context and workspaces of cuDNN, which no estimate here has


@dataclass(frozen=True)
class Card:
    """Peak TFLOP/s on tensor cores in bfloat16 and TF32, of float32 without them; None: it has no such units."""

    title: str
    memory_gb: float
    bf16: float | None
    tf32: float | None
    fp32: float

    @property
    def room(self) -> float:
        """Bytes for a training."""
        return self.memory_gb * 1e9 - RESERVED

    def tflops(self, precision: str) -> float:
        """Peak in a schedule's precision; what has no units of its own runs at the rate of float32."""
        rate = {"bf16-mixed": self.bf16, "tf32": self.tf32}.get(precision)
        return rate or self.fp32


CARDS = {
    # NVIDIA H200 Tensor Core GPU data sheet, SXM: 1,979 bf16 and 989 TF32 with sparsity, half of it dense
    "h200": Card("H200 SXM", 141, 989, 494, 67),
    # NVIDIA H100 Tensor Core GPU data sheet, SXM: 1,979 and 989 with sparsity
    "h100": Card("H100 SXM", 80, 989, 494, 67),
    # NVIDIA A100 Tensor Core GPU data sheet, 80 GB and 40 GB: 312 and 156 without sparsity
    "a100-80": Card("A100 80 GB", 80, 312, 156, 19.5),
    "a100-40": Card("A100 40 GB", 40, 312, 156, 19.5),
    # NVIDIA L40S data sheet: 362.05 and 183 without sparsity
    "l40s": Card("L40S", 48, 362, 183, 91.6),
    # NVIDIA Ada GPU Architecture white paper, appendix A: bf16 with float32 accumulation 165.2, TF32 82.6, dense
    "4090": Card("GeForce RTX 4090", 24, 165.2, 82.6, 82.6),
    # NVIDIA Ampere GA102 GPU Architecture white paper, table of the RTX 3090: bf16 71, TF32 35.6, dense
    "3090": Card("GeForce RTX 3090", 24, 71, 35.6, 35.6),
    # NVIDIA V100 data sheet, SXM2: tensor cores in float16 alone, which no schedule here uses
    "v100-32": Card("V100 SXM2 32 GB", 32, None, None, 15.7),
    "v100-16": Card("V100 SXM2 16 GB", 16, None, None, 15.7),
    # NVIDIA T4 data sheet: tensor cores in float16 and integers alone
    "t4": Card("T4", 16, None, None, 8.1),
}


def card_of(name: str) -> Card:
    """The card with this name; raises Fault naming those that are known."""
    name = name.lower()
    if name not in CARDS:
        raise Fault(f"--gpu {shorten(name)}: no such card; there are {', '.join(CARDS)}")
    return CARDS[name]
