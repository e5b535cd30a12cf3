"""Models without values that run: forward and backward passes in which floating tensors are shapes only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_aten = torch.ops.aten
_BY_MASK = {_aten.index.Tensor: 1, _aten.index_put.default: 1, _aten.index_put_.default: 1}
"""Operations whose result's shape depends on a mask's values, and which argument holds the mask."""


@contextmanager
def shapes_only() -> Iterator[None]:
    """Inside, floating tensors take no memory and no time; whole numbers and masks are real.

    Whole numbers decide shapes: where the image's tokens stand, how its patches lie. Everything else runs as it would
    on a CPU: autograd, autocast and the choice of the attention kernel are torch's own.
    """
    integers: Any = _RealNumbers
    with _fake_mode(), integers():
        yield


@cache
def _fake_mode() -> FakeTensorMode:
    # One for all: tensors of two such modes do not mix.
    return FakeTensorMode(allow_non_fake_inputs=True)


def without_values(model: nn.Module) -> None:
    """Turn a model on the meta device into one that runs inside `shapes_only`; tied parameters stay tied."""
    new: dict[int, torch.Tensor] = {}
    with _fake_mode():
        for module in model.modules():
            stores: tuple[dict[str, Any], ...] = (module._parameters, module._buffers)
            for held in stores:
                for name, tensor in held.items():
                    if tensor is None:
                        continue
                    if id(tensor) not in new:
                        empty = torch.empty(tensor.shape, dtype=tensor.dtype)
                        is_parameter = isinstance(tensor, nn.Parameter)
                        new[id(tensor)] = nn.Parameter(empty, tensor.requires_grad) if is_parameter else empty
                    held[name] = new[id(tensor)]


def shaped(batch: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A batch whose floating tensors have lost their values; call it inside `shapes_only`."""
    return {
        name: torch.empty(tensor.shape, dtype=tensor.dtype) if tensor.is_floating_point() else tensor
        for name, tensor in batch.items()
    }


class _RealNumbers(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own
    """Runs operations on whole numbers alone for real, and asks masks for their places.

    A mask that is computed from values, which are not there, is true everywhere, except that no value equals another:
    no picture is blank.
    """

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        named = kwargs or {}
        given = [each for each in tree_leaves((args, named)) if isinstance(each, torch.Tensor)]
        if not any(isinstance(each, FakeTensor) for each in given):
            if not given and func(*args, **named).is_floating_point():
                return func(*args, **named)
            with unset_fake_temporarily():
                return func(*args, **named)
        if func in _BY_MASK:
            place = _BY_MASK[func]
            args = (*args[:place], _places(args[place]), *args[place + 1 :])
        result = func(*args, **named)
        if isinstance(result, FakeTensor) and result.dtype == torch.bool:
            with unset_fake_temporarily():
                return torch.full(result.shape, func._overloadpacket is not _aten.eq, dtype=torch.bool)
        return result


def _places(indices: list[torch.Tensor | None]) -> list[torch.Tensor | None]:
    found: list[torch.Tensor | None] = []
    for index in indices:
        if index is not None and index.dtype == torch.bool:
            with unset_fake_temporarily():
                found.extend(index.nonzero(as_tuple=True))
        else:
            found.append(index)
    return found
