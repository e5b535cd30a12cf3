"""Layers whose elementwise work is fused by torch's compiler: fewer passes over memory between the same products."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, Final, NamedTuple

import torch
from torch import nn

from nameplate.models.precision import autocast

Forward = Callable[..., Any]

LEAST_GAIN: Final = 0.05
"""Of a layer's time: less is within what a few runs can tell."""
DIFFERENCE: Final = {torch.float32: 1e-4, torch.bfloat16: 5e-2}
"""Most that outputs and gradients may differ from those of plain layers, of the largest value. In bfloat16 a fused
layer rounds less often; measured: 0.7 % of a gradient."""
_RUNS: Final = 5
_NOISY: Final = ("torch.utils.cpp_extension", "torch._inductor", "torch._dynamo")


class Call(NamedTuple):
    """What a layer was called with."""

    arguments: tuple[Any, ...]
    named: dict[str, Any]


class Trial(NamedTuple):
    """One layer, forward and backward, plain and compiled."""

    plain_seconds: float
    compiled_seconds: float
    compile_seconds: float
    difference: float
    """The largest, of outputs and gradients of inputs, as a share of the largest value."""
    allowed: float

    @property
    def gain(self) -> float:
        """Share of the plain layer's time that is saved."""
        return 1 - self.compiled_seconds / self.plain_seconds

    @property
    def pays(self) -> bool:
        """Whether it is faster by more than chance and computes the same."""
        return self.difference <= self.allowed and self.gain > LEAST_GAIN


class CompilerFailureError(Exception):
    """The compiler did not make it; says why in a line."""


def has_compiler() -> bool:
    """Whether there is a C++ compiler that torch's would call."""
    return any(shutil.which(name) for name in ("g++", "clang++"))


@contextmanager
def catching_calls(layers: Sequence[nn.Module]) -> Iterator[dict[nn.Module, Call]]:
    """What each layer is called with meanwhile, last call first forgotten; hidden states as leaves of their own."""
    calls: dict[nn.Module, Call] = {}

    def catch(layer: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        calls[layer] = Call(tuple(map(_alone, arguments)), {name: _alone(each) for name, each in named.items()})

    hooks = [layer.register_forward_pre_hook(catch, with_kwargs=True) for layer in layers]
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()


def time_plain(layer: nn.Module, call: Call) -> float:
    """Seconds of one layer's forward and backward pass, as it is."""
    return _timed(layer.forward, layer, call).seconds


def try_compiled(layer: nn.Module, call: Call) -> Trial:
    """Compile a layer and compare; it stays as it is.

    Raises:
        CompilerFailureError: it cannot be compiled.
    """
    torch.compiler.reset()
    started = time.perf_counter()
    try:
        fast = _timed_compiled(layer, call)
    except CompilerFailureError:
        # A process that was killed leaves half a file in the cache that all of a user's processes share (seen).
        _turn_to_new_cache()
        fast = _timed_compiled(layer, call)
    compile_seconds = time.perf_counter() - started
    plain = _timed(layer.forward, layer, call)
    pairs = list(zip(fast.values, plain.values, strict=True))
    return Trial(
        plain_seconds=plain.seconds,
        compiled_seconds=fast.seconds,
        compile_seconds=compile_seconds,
        difference=max(_difference(found, wanted) for found, wanted in pairs),
        allowed=max(DIFFERENCE.get(wanted.dtype, 0.0) for _, wanted in pairs),
    )


def compile_layers(layers: Sequence[nn.Module]) -> None:
    """Let layers run compiled where gradients are wanted of more than one row; all else runs as before.

    One compilation serves all layers of a kind and all lengths, but for a length that happens to be a width, and single
    rows, which run as before.
    """
    for layer in layers:
        layer.forward = _gated(layer.forward, _compiled(layer.forward))


class _Timed(NamedTuple):
    seconds: float
    values: list[torch.Tensor]
    """The output, and the gradients of what asks for one."""


def _timed(forward: Forward, layer: nn.Module, call: Call) -> _Timed:
    """The fastest of a few runs, after one that warms up (and compiles)."""
    leaves = [each for each in (*call.arguments, *call.named.values()) if _asks(each)]
    learning = [parameter for parameter in layer.parameters() if parameter.requires_grad]
    seconds: list[float] = []
    values: list[torch.Tensor] = []
    for _ in range(1 + _RUNS):
        started = time.perf_counter()
        with autocast(_device(layer)):
            output = forward(*call.arguments, **call.named)
        hidden: torch.Tensor = output if isinstance(output, torch.Tensor) else output[0]
        gradients = torch.autograd.grad(hidden.float().square().sum(), [*leaves, *learning], allow_unused=True)
        seconds.append(time.perf_counter() - started)
        values = [hidden.detach(), *(each for each in gradients[: len(leaves)] if each is not None)]
    return _Timed(min(seconds[1:]), values)


def _timed_compiled(layer: nn.Module, call: Call) -> _Timed:
    # Here, for it takes seconds to import, and most trainings never compile.
    from torch._dynamo.exc import TorchDynamoException

    try:
        with _quiet():
            return _timed(_compiled(layer.forward), layer, call)
    except TorchDynamoException as error:
        raise CompilerFailureError(str(error).strip().splitlines()[0]) from error


def _turn_to_new_cache() -> None:
    """Let this process compile into an empty folder that goes when it ends."""
    folder = tempfile.mkdtemp(prefix="nameplate-compiled-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = folder
    torch.compiler.reset()


def _compiled(forward: Forward) -> Forward:
    made: Forward = torch.compile(forward, dynamic=True)
    return made


def _gated(plain: Forward, compiled: Forward) -> Forward:
    @wraps(plain)
    def run(*arguments: Any, **named: Any) -> Any:
        tensors = [each for each in (*arguments, *named.values()) if isinstance(each, torch.Tensor)]
        chosen = compiled if torch.is_grad_enabled() and tensors and len(tensors[0]) > 1 else plain
        return chosen(*arguments, **named)

    return run


def _alone(value: Any) -> Any:
    if not isinstance(value, torch.Tensor):
        return value
    return value.detach().clone().requires_grad_(value.requires_grad)


def _asks(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.requires_grad


def _device(layer: nn.Module) -> torch.device:
    return next(layer.parameters()).device


def _difference(found: torch.Tensor, wanted: torch.Tensor) -> float:
    largest = wanted.float().abs().max()
    return float((found.float() - wanted.float()).abs().max() / largest.clamp_min(1e-30))


@contextmanager
def _quiet() -> Iterator[None]:
    """No warnings of the compiler about accelerators that are not there."""
    loggers = [logging.getLogger(name) for name in _NOISY]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
