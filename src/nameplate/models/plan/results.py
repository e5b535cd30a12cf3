"""What a plan says. Every figure stands with what it was computed from."""

from __future__ import annotations

from dataclasses import dataclass, field

from nameplate.models.plan.hardware import Direction, Hardware
from nameplate.models.plan.workload import Workload
from nameplate.summary import ComponentRow

RUNTIME_SHARE = 0.08
"""Of a device's memory: left to its runtime and to what the allocator cannot use."""


@dataclass(frozen=True)
class WorkLine:
    """Products of one sort in one typical micro-batch."""

    part: str
    """A component, or head."""
    step: str
    """forward, again (recomputed), input_gradient, weight_gradient."""
    rows: int
    """Tokens or patches of the micro-batch; 0: attention."""
    weights: int
    """Elements of all matrices that they meet."""
    calls: int
    flops: int

    @property
    def direction(self) -> Direction:
        """What is computed again belongs to the backward pass."""
        return "forward" if self.step == "forward" else "backward"


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes at the highest moment of a step, on the device."""

    weights: int
    optimizer: int
    average: int
    gradients: int
    activations: int
    """What the backward pass needs, and the batch, at the end of the forward pass."""
    passing: int
    """What else is there at the highest moment, beside gradients that are there anyway."""
    capacity: int
    process: int = 0
    """What the process holds beside its tensors."""

    @property
    def total(self) -> int:
        """All of it."""
        tensors = self.weights + self.optimizer + self.average + self.gradients + self.activations + self.passing
        return self.process + tensors

    @property
    def usable(self) -> int:
        """Of the capacity."""
        return round(self.capacity * (1 - RUNTIME_SHARE))

    @property
    def fits(self) -> bool:
        """Whether it goes into what is usable."""
        return self.total <= self.usable


@dataclass(frozen=True)
class TimeLine:
    """A part of the whole training's time."""

    what: str
    flops: float
    """Of the whole training; 0: bound by memory."""
    speed: float
    """FLOP, or bytes, a second; 0: it was measured as a whole."""
    seconds: float


@dataclass(frozen=True)
class PrefixPlan:
    """One level of the frozen prefix, kept on disk."""

    level: str
    what: str
    arithmetic: str
    """Of its size."""
    bytes: int
    saved_seconds: float
    """Of computing, over all epochs."""
    disk_seconds: float
    """Writing it once and reading it in every epoch."""
    fits: bool
    """Into `train.memory.prefix_max_bytes`."""

    @property
    def pays(self) -> bool:
        """Whether it saves more than it takes."""
        return self.fits and self.saved_seconds > self.disk_seconds


@dataclass(frozen=True)
class Plan:
    """What one training will take."""

    base: str
    policy: str
    """The preset, or the modes of the three components."""
    parts: tuple[ComponentRow, ...]
    hardware: Hardware
    dtype: str
    """Of matrix products."""
    epochs: int
    workload: Workload
    memory: MemoryPlan
    work: tuple[WorkLine, ...]
    time: tuple[TimeLine, ...]
    compiling: tuple[str, ...]
    """What training's compiler does to that time, or may do."""
    prefixes: tuple[PrefixPlan, ...]
    """Levels that are valid, shallow first."""
    prefix: str
    """The level that the time above is for; off: none."""
    said: tuple[str, ...]
    """Assumptions and sources."""
    advice: tuple[str, ...] = field(default=())

    @property
    def seconds(self) -> float:
        """Of the whole training."""
        return sum(line.seconds for line in self.time)

    @property
    def flops(self) -> float:
        """Of the whole training."""
        return sum(line.flops for line in self.time)
