"""A GPU that is not there: tensors keep their numbers in this machine's memory and say that they are elsewhere.

It is a simulator. What it shows is that nothing is left on the processor by mistake: an operation on a tensor that was
moved and one that was not is refused, as a GPU refuses it, and so is looking at a moved one as an array. What it does
not show is anything of a GPU's kernels, numbers, memory or speed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.utils import _device
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

GPU = torch.device("cuda", 0)
CPU = torch.device("cpu")
_aten: Any = torch.ops.aten
# A GPU takes these with indices, or from a source, that are on the processor.
_MAY_MIX = {_aten.copy_.default, _aten.index.Tensor, _aten.index_put.default, _aten.index_put_.default}
_READS = {Tensor.tolist, Tensor.item, Tensor.__format__, Tensor.__repr__, Tensor.__bool__, Tensor.__int__}
_READS |= {Tensor.__float__, Tensor.__index__}
_FACTORIES = ("arange", "empty", "empty_like", "eye", "full", "full_like", "ones", "ones_like", "rand", "randint")
_FACTORIES += ("randn", "randperm", "tensor", "zeros", "zeros_like")


class Moved(Tensor):
    """A tensor that says it is on the GPU."""

    device = property(lambda self: GPU)
    is_cuda = property(lambda self: True)
    is_cpu = property(lambda self: False)

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Leave the GPU where that is asked for, and nowhere else."""
        named = kwargs or {}
        if func is Tensor.cpu or (func is Tensor.to and _asks_for([*args[1:], named.get("device")], "cpu")):
            home = _Home.apply(args[0])
            dtypes = [each for each in [*args[1:], named.get("dtype")] if isinstance(each, torch.dtype)]
            return home.to(dtypes[0]) if dtypes else home
        if func in (Tensor.numpy, Tensor.__array__):
            raise TypeError("can't convert cuda:0 device type tensor to numpy")
        if func in _READS:
            return func(_copy(args[0]), *args[1:], **named)
        # As torch does, but for calling all that comes back a tensor of this class.
        with torch._C.DisableTorchFunctionSubclass():
            return func(*args, **named)

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Compute here, and say that it was there."""
        return _compute(func, args, kwargs or {})


class _Up(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        return _moved(tensor.detach().clone())

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return gradients[0].cpu()


class _Home(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        return _copy(tensor)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return _moved(gradients[0])


class _AllMoved(TorchDispatchMode):
    """Inside of torch's backward pass formulas make tensors by themselves, on the device that they believe to be on."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return tree_map(_moved, _compute(func, args, kwargs or {}))


def _moved(value: Any) -> Any:
    if not isinstance(value, Tensor) or isinstance(value, Moved):
        return value
    return Tensor._make_subclass(Moved, value, value.requires_grad)


def _copy(tensor: Tensor) -> Tensor:
    with torch._C._DisableTorchDispatch(), torch._C.DisableTorchFunctionSubclass():
        return torch.empty(tensor.shape, dtype=tensor.dtype).copy_(tensor.detach())


def _asks_for(arguments: Any, kind: str) -> bool:
    return any(isinstance(each, (str, torch.device)) and torch.device(each).type == kind for each in arguments)


def _compute(func: Any, args: Any, named: dict[str, Any]) -> Any:
    tensors = [each for each in tree_leaves((args, named)) if isinstance(each, Tensor)]
    moved = [isinstance(each, Moved) for each in tensors]
    left = [each for each, is_moved in zip(tensors, moved, strict=True) if not is_moved and each.dim() > 0]
    if any(moved) and left and func not in _MAY_MIX:
        shapes = [tuple(each.shape) for each in left]
        raise RuntimeError(f"Expected all tensors to be on the same device: {func} got some on cpu, of shapes {shapes}")
    with torch._C._DisableTorchDispatch():
        found = func(*args, **named)
    if func is _aten.copy_.default:
        return args[0]
    return tree_map(_moved, found) if any(moved) else found


def _making(factory: Callable[..., Any]) -> Callable[..., Any]:
    def make(*args: Any, **named: Any) -> Any:
        if not _asks_for([named.get("device")], "cuda"):
            return factory(*args, **named)
        return _moved(factory(*args, **{**named, "device": CPU, "pin_memory": False}))

    return make


def _moving(to: Callable[..., Any]) -> Callable[..., Any]:
    def move(tensor: Tensor, *args: Any, **named: Any) -> Any:
        likes = [each for each in args if isinstance(each, Moved)]
        if not likes and not _asks_for([*args, named.get("device")], "cuda"):
            return to(tensor, *args, **named)
        dtypes = [each for each in [*args, named.get("dtype")] if isinstance(each, torch.dtype)]
        dtypes += [each.dtype for each in likes]
        there = tensor if isinstance(tensor, Moved) else _Up.apply(tensor)
        return to(there, dtypes[0]) if dtypes else there

    return move


def _passing_back(run: Callable[..., Any]) -> Callable[..., Any]:
    def backward(roots: Any, *args: Any, **named: Any) -> Any:
        is_there = any(isinstance(each, Moved) for each in tree_leaves(roots))
        with _AllMoved() if is_there else nullcontext():
            return run(roots, *args, **named)

    return backward


class _Autocast(torch.autocast):
    """Rounds here where the GPU would."""

    def __init__(self, device_type: str, *args: Any, **named: Any) -> None:
        super().__init__(_kind(device_type), *args, **named)


class _Generator(torch.Generator):
    """Chance of this processor."""

    def __new__(cls, device: Any = "cpu") -> _Generator:
        """Wherever it is wanted."""
        return super().__new__(cls, CPU)


def _kind(device_type: str) -> str:
    return "cpu" if device_type == "cuda" else device_type


@contextmanager
def pretending() -> Iterator[None]:
    """One GPU with bfloat16, until the end of the block. For a process of its own: much of torch is replaced."""
    nothing = lambda *_, **__: None  # noqa: E731
    zero = lambda *_: 0  # noqa: E731
    yes = lambda *_, **__: True  # noqa: E731
    no = lambda *_: False  # noqa: E731
    stream = lambda *_: SimpleNamespace(is_capturing=no)  # noqa: E731
    enabled, dtype, fork = torch.is_autocast_enabled, torch.get_autocast_dtype, torch.random.fork_rng
    cuda = {"is_available": yes, "is_bf16_supported": yes, "device_count": lambda: 1, "current_device": zero}
    cuda |= dict.fromkeys(("_lazy_init", "set_device", "synchronize", "empty_cache", "manual_seed_all"), nothing)
    cuda |= {"manual_seed": nothing, "is_current_stream_capturing": no}
    replaced = [(torch.cuda, name, each) for name, each in cuda.items()]
    replaced += [(torch, name, _making(getattr(torch, name))) for name in _FACTORIES]
    replaced += [
        (torch.accelerator, "current_stream", stream),
        (torch.accelerator, "current_device_index", zero),
        (torch._C, "_accelerator_getDeviceIndex", zero),
        (torch.autograd, "_engine_run_backward", _passing_back(torch.autograd.graph._engine_run_backward)),
        (Tensor, "to", _moving(Tensor.to)),
        (torch, "autocast", _Autocast),
        (torch.amp, "autocast", _Autocast),
        (torch, "is_autocast_enabled", lambda kind="cpu": enabled(_kind(kind))),
        (torch, "get_autocast_dtype", lambda kind: dtype(_kind(kind))),
        (torch, "Generator", _Generator),
        (torch.random, "fork_rng", lambda *_, **__: fork(devices=())),
    ]
    # torch looks up what makes tensors once, and must find its own.
    _device._device_constructors()
    with ExitStack() as stack:
        for place, name, new in replaced:
            stack.enter_context(mock.patch.object(place, name, new))
        torch.__future__.set_swap_module_params_on_conversion(True)
        stack.callback(torch.__future__.set_swap_module_params_on_conversion, False)
        yield
