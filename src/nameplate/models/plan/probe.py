"""This machine, measured in about two seconds: matrix products, memory, the optimizer, and one layer of each part.

A training on a CPU is not bound by matrix products alone, so that their rate says little about its time. Therefore a
layer of each part is run forward and backward by itself, with arbitrary weights and the shapes of the recipe's own
micro-batch; it stands for all layers of its part.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_leaves, tree_map

from nameplate.models.plan.hardware import Direction, Hardware
from nameplate.models.plan.rehearsal import HEAD, Call, Rehearsal, Shape
from nameplate.models.policy import AppliedPolicies
from nameplate.models.precision import best_device, compute_dtype
from nameplate.models.processing import IGNORED
from nameplate.models.step import compiling
from nameplate.models.step.crossentropy import place_losses
from nameplate.store.memory import held_bytes

SECONDS = 0.25
"""For each of about eight measurements."""
clock = time.perf_counter
"""What time is read from; `benchmarks/plan.py` can take processor time instead, for a machine that others use, too."""
_SIDE, _ELEMENTS = 1024, 4_000_000


def measure_here() -> Hardware:
    """Rates of this machine that do not depend on the model."""
    device = best_device()
    held = held_bytes() if device.type == "cpu" else 0
    source = torch.ones(16_000_000, device=device)
    copied = torch.ones_like(source)
    weights = nn.Parameter(torch.ones(_ELEMENTS, device=device))
    weights.grad = torch.ones_like(weights)
    adamw = torch.optim.AdamW([weights], fused=True)
    return Hardware(
        name="here",
        title=f"this machine ({_device_title(device)})",
        memory_bytes=_free_bytes(device),
        bfloat16=_matmul_rate(device, torch.bfloat16),
        float32=_matmul_rate(device, torch.float32),
        bytes_per_second=2 * source.nbytes / _seconds([lambda: copied.copy_(source)], device)[0],
        utilisation=1.0,
        source="measured",
        # AdamW goes over its tensors seven times: see estimate.ADAMW_PASSES.
        optimizer_bytes_per_second=7 * weights.nbytes / _seconds([adamw.step], device)[0],
        process_bytes=held,
    )


def measure_parts(hardware: Hardware, model: nn.Module, applied: AppliedPolicies, typical: Rehearsal) -> Hardware:
    """Add the speed that a layer of each part reaches, forward and backward.

    Args:
        hardware: measured.
        model: without values; it is the same afterwards.
        applied: its policies.
        typical: its rehearsed micro-batch, which says how layers are called and what they do.
    """
    speeds: dict[tuple[str, Direction], float] = {}
    budget = _budget(hardware)
    for name, call in typical.calls.items():
        component = applied.components[name]
        place = len(component.layers) - 1
        flops = _flops(typical, name, place)
        with _with_values(component.layers[place]) as layer:
            speeds |= {(name, way): speed for way, speed in _layer_speeds(layer, call, flops, budget).items()}
    head: Any = model
    with _with_values(head.get_output_embeddings()) as layer:
        speeds |= {
            (HEAD, way): speed for way, speed in _head_speeds(layer, _flops(typical, HEAD, None), budget).items()
        }
    for way in ("forward", "backward"):
        nearest = next((speeds[part, way] for part in ("vision", "language", HEAD) if (part, way) in speeds), None)
        if nearest is not None:
            for part in ("projector", "vision", "language", HEAD):
                speeds.setdefault((part, way), nearest)
    return replace(hardware, speeds=speeds)


def try_compiled_layer(applied: AppliedPolicies, typical: Rehearsal, hardware: Hardware) -> compiling.Trial:
    """Compile the last layer of the language model and time it beside itself as it is, as training would.

    Its values are arbitrary, so that its results say nothing.

    Raises:
        CompilerFailureError: it cannot be compiled.
    """
    layer = applied.components["language"].layers[-1]
    flops = _flops(typical, "language", len(applied.components["language"].layers) - 1)
    call, _ = _real(typical.calls["language"], flops, _budget(hardware), best_device())
    with _with_values(layer):
        return compiling.try_compiled(layer, call)


def _budget(hardware: Hardware) -> float:
    """FLOPs of one measurement."""
    return hardware.rate(str(compute_dtype()).removeprefix("torch.")) * SECONDS


def _flops(typical: Rehearsal, part: str, layer: int | None) -> dict[Direction, int]:
    found: dict[Direction, int] = {"forward": 0, "backward": 0}
    for work, amount in typical.work.items():
        if work.owner.part == part and work.owner.layer == layer:
            found["forward" if work.during == "forward" else "backward"] += amount.flops
    return found


def _layer_speeds(layer: nn.Module, call: Call, flops: dict[Direction, int], budget: float) -> dict[Direction, float]:
    device = best_device()
    real, share = _real(call, flops, budget, device)

    def forward() -> torch.Tensor:
        with _autocast(device):
            result = layer(*real.arguments, **real.named)
        first: torch.Tensor = result if isinstance(result, torch.Tensor) else result[0]
        return first

    return _speeds(forward, {way: flops[way] * share for way in flops}, device)


def _real(call: Call, flops: dict[Direction, int], budget: float, device: torch.device) -> tuple[compiling.Call, float]:
    """The same call with values, of as many rows as the budget's FLOPs suffice for; and their share of all."""
    first = next(each for each in tree_leaves((call.arguments, call.named)) if isinstance(each, Shape))
    whole = first.sizes[0] if len(first.sizes) > 2 else 1
    kept = max(1, min(whole, int(whole * budget / max(1, sum(flops.values())))))
    arguments, named = tree_map(lambda each: _filled(each, whole, kept, device), (call.arguments, call.named))
    return compiling.Call(arguments, named), kept / whole


def _head_speeds(head: nn.Module, flops: dict[Direction, int], budget: float) -> dict[Direction, float]:
    device = best_device()
    weight = next(head.parameters())
    each = 2 * weight.numel()
    whole = max(1, flops["forward"] // each)
    kept = max(1, min(whole, int(whole * budget / max(1, sum(flops.values())))))
    hidden = torch.full((kept, weight.shape[1]), 0.01, device=device, requires_grad=flops["backward"] > 0)
    targets = torch.zeros(kept, dtype=torch.long, device=device)

    def forward() -> torch.Tensor:
        with _autocast(device):
            logits = head(hidden)
        return place_losses(logits, targets, ignored=IGNORED).sum()

    return _speeds(forward, {way: flops[way] * kept / whole for way in flops}, device)


def _speeds(
    forward: Callable[[], torch.Tensor], flops: dict[Direction, float], device: torch.device
) -> dict[Direction, float]:
    def alone() -> None:
        with torch.no_grad():
            forward()

    def both() -> None:
        result = forward()
        torch.autograd.backward(result, torch.ones_like(result))

    if not (flops["backward"] and forward().requires_grad):
        return {"forward": flops["forward"] / _seconds([alone], device)[0]}
    one, two = _seconds([alone, both], device)
    # A forward pass with a graph is slower than one without; the difference counts as backward.
    return {"forward": flops["forward"] / one, "backward": flops["backward"] / max(two - one, one / 10)}


def _seconds(works: Sequence[Callable[[], Any]], device: torch.device) -> list[float]:
    """Of one call each: medians of as many as fit the time, in turns, so that what else runs slows all alike."""
    taken: list[list[float]] = [[] for _ in works]
    for work in works:
        work()
    _wait(device)
    end = clock() + SECONDS * len(works)
    while not taken[0] or clock() < end:
        for work, times in zip(works, taken, strict=True):
            start = clock()
            work()
            _wait(device)
            times.append(clock() - start)
    return [median(times) for times in taken]


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _matmul_rate(device: torch.device, dtype: torch.dtype) -> float:
    side = _SIDE if device.type == "cpu" else 8 * _SIDE
    one = torch.ones(side, side, dtype=dtype, device=device)
    return 2 * side**3 / _seconds([lambda: one @ one], device)[0]


def _autocast(device: torch.device) -> Any:
    short = compute_dtype() == torch.bfloat16
    return torch.autocast(device.type, dtype=torch.bfloat16) if short else nullcontext()


@contextmanager
def _with_values(module: nn.Module) -> Iterator[nn.Module]:
    """A module without values given some, for a while."""
    device = best_device()
    before = [(each, dict(each._parameters), dict(each._buffers)) for each in module.modules()]
    new: dict[int, torch.Tensor] = {}
    for each in module.modules():
        stores: tuple[dict[str, Any], ...] = (each._parameters, each._buffers)
        for held in stores:
            for name, tensor in held.items():
                if tensor is not None:
                    held[name] = new.setdefault(id(tensor), _like(tensor, device))
    try:
        yield module
    finally:
        for each, parameters, buffers in before:
            each._parameters.update(parameters)
            each._buffers.update(buffers)


def _like(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    values = torch.full(
        tuple(tensor.shape), 0.01 if tensor.is_floating_point() else 0, dtype=tensor.dtype, device=device
    )
    return nn.Parameter(values, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else values


def _filled(value: Any, whole: int, kept: int, device: torch.device) -> Any:
    if isinstance(value, Shape):
        sizes = [kept, *value.sizes[1:]] if value.sizes and value.sizes[0] == whole else list(value.sizes)
        return torch.full(sizes, 0.01, dtype=value.dtype, device=device, requires_grad=value.needs_gradient)
    if isinstance(value, torch.Tensor):
        found = value[:kept] if value.dim() and value.shape[0] == whole else value
        return found.to(device)
    return value


def _free_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    table = Path("/proc/meminfo")
    if table.exists():
        for line in table.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _device_title(device: torch.device) -> str:
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"{torch.get_num_threads()} CPU threads"
