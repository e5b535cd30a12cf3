"""What a training runs on: data sheets, or this machine as it was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

HardwareName = Literal["here", "h100", "h200", "a100", "4090"]

Direction = Literal["forward", "backward"]
Speeds = Mapping[tuple[str, Direction], float]

ASSUMED_UTILISATION: Final = 0.4
"""Share of the data sheet's rate that a training reaches. Published runs of dense models on one such GPU lie between
0.35 and 0.55; small batches and short sequences lie lower."""


@dataclass(frozen=True)
class Hardware:
    """One device."""

    name: str
    title: str
    memory_bytes: int
    """What a process may use."""
    bfloat16: float
    """FLOP a second of dense matrix products with bfloat16 inputs."""
    float32: float
    """The same with float32 inputs, without shortened ones."""
    bytes_per_second: float
    """Of its memory; the optimizer is bound by it."""
    utilisation: float = ASSUMED_UTILISATION
    """Share of these rates that forward and backward passes reach; for a measured device 1."""
    source: str = "data sheet"
    speeds: Speeds = field(default_factory=dict)
    """Measured FLOP a second by part and direction; empty: the rate times the utilisation."""
    optimizer_bytes_per_second: float | None = None
    """Measured: what AdamW moves; none: as its memory."""
    process_bytes: int = 0
    """What a process holds of this memory before the first tensor: Python and libraries on a CPU."""

    def rate(self, dtype: str) -> float:
        """FLOP a second of matrix products in a number format."""
        return self.bfloat16 if dtype == "bfloat16" else self.float32

    def speed(self, part: str, direction: Direction, dtype: str) -> float:
        """FLOP a second that a part of the model reaches."""
        measured = self.speeds.get((part, direction))
        return measured if measured is not None else self.rate(dtype) * self.utilisation

    def at(self, utilisation: float | None) -> Hardware:
        """The same with another utilisation; none: unchanged."""
        return self if utilisation is None else replace(self, utilisation=utilisation)


DATA_SHEETS: Final[Mapping[str, Hardware]] = {
    "h100": Hardware("h100", "NVIDIA H100 SXM 80 GB", 80 * 10**9, 989.4e12, 66.9e12, 3.35e12),
    "h200": Hardware("h200", "NVIDIA H200 SXM 141 GB", 141 * 10**9, 989.4e12, 66.9e12, 4.8e12),
    "a100": Hardware("a100", "NVIDIA A100 SXM 80 GB", 80 * 10**9, 312e12, 19.5e12, 2.039e12),
    "4090": Hardware("4090", "NVIDIA GeForce RTX 4090 24 GB", 24 * 10**9, 165.2e12, 82.6e12, 1.008e12),
}
"""Dense rates of NVIDIA's data sheets (H100 and H200 tensor core GPU, A100 80 GB, Ada architecture paper: bfloat16 with
float32 sums), not those with sparsity."""
