"""What a forward and a backward pass do and hold, by watching them: products by component, and bytes of live tensors.

It works on real tensors as on those of `shapes.py`, so that a prediction can be compared with the thing itself.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Literal, NamedTuple

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

Pass = Literal["forward", "again", "input_gradient", "weight_gradient"]
Kind = Literal["weights", "attention"]

_aten = torch.ops.aten
_MATRIX_PRODUCTS: Final = (_aten.mm, _aten.addmm, _aten.bmm, _aten.baddbmm)
_COPIES: Final = (_aten._to_copy, _aten.clone)


class Owner(NamedTuple):
    """Whose weights work: a component, or the output head; and which of its layers."""

    part: str
    layer: int | None = None


class Work(NamedTuple):
    """Products of one sort."""

    owner: Owner
    during: Pass
    kind: Kind
    rows: int
    """Tokens or patches that meet the weights; 0: attention, where each meets each."""


@dataclass
class Amount:
    """How much of it."""

    calls: int = 0
    weights: int = 0
    """Elements of the matrices; 0 for attention."""
    flops: int = 0
    """A product of m x k and k x n is 2 x m x k x n."""


@dataclass
class Ledger(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own
    """Counts while it is entered.

    FLOPs are those of torch's own flop counter: products of matrices, convolutions and attention in its dense form;
    nothing else. Bytes are those of storages, each once: what a kernel takes for itself while it runs, and what an
    allocator leaves unused, are not seen.

    Args:
        owners: by parameter. Their storages count as weights, not as live tensors.
    """

    owners: Mapping[torch.Tensor, Owner]
    work: dict[Work, Amount] = field(default_factory=dict)
    live: int = 0
    """Bytes of tensors that were made since and are still there."""
    peak: int = 0
    """The most of them at once."""

    def __post_init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's own
        self.backward = False
        """Set between the two passes."""
        self._owner_of = {_key(parameter): owner for parameter, owner in self.owners.items()}
        self._held: dict[int, weakref.ref[Any] | None] = dict.fromkeys(map(_key, self.owners))
        self._last = Owner("language")

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        packet = func._overloadpacket
        made = [each for each in tree_leaves(result) if isinstance(each, torch.Tensor)]
        if packet in flop_registry:
            flops = int(flop_registry[packet](*args, **(kwargs or {}), out_val=result))
            self._note(packet, [each for each in args if isinstance(each, torch.Tensor)], made, flops)
        self._hold(made)
        if packet in _COPIES and made:
            self._pass_on(args[0], made[0])
        return result

    def _note(self, packet: Any, given: list[torch.Tensor], made: list[torch.Tensor], flops: int) -> None:
        """A weight's product tells whose it is; attention is that of the weights that worked last."""
        owner = next((self._owner_of[_key(each)] for each in given if _key(each) in self._owner_of), None)
        is_gradient = self.backward and not torch.is_grad_enabled()
        step: Pass = "forward" if not self.backward else "input_gradient" if is_gradient else "again"
        kind: Kind = "attention"
        rows = weights = 0
        if owner is not None:
            self._last = owner
            kind = "weights"
        if packet is _aten.convolution_backward:
            self._note_convolution(owner or self._last, given, flops)
            return
        if packet is _aten.convolution:
            rows, weights = made[0].numel() // made[0].shape[1], given[1].numel()
        elif packet in _MATRIX_PRODUCTS:
            first, second = given[-2:]
            rows, weights = first.numel() // first.shape[-1], second.shape[-2] * second.shape[-1]
            if owner is None and is_gradient and first.dim() == 2:
                # Rows of the input times rows of the gradient: the sum over them is the weight's gradient.
                kind, step = "weights", "weight_gradient"
                rows, weights = first.shape[-1], first.shape[-2] * second.shape[-1]
        self._add(Work(owner or self._last, step, kind, rows if kind == "weights" else 0), weights, flops)

    def _note_convolution(self, owner: Owner, given: list[torch.Tensor], flops: int) -> None:
        """One kernel for both gradients, which cost the same; that of the first layer's input is never asked for."""
        gradient, _, weight = given[:3]
        rows = gradient.numel() // gradient.shape[1]
        one = 2 * rows * weight.numel()
        self._add(Work(owner, "weight_gradient", "weights", rows), weight.numel(), one)
        if flops > one:
            self._add(Work(owner, "input_gradient", "weights", rows), weight.numel(), flops - one)

    def _add(self, work: Work, weights: int, flops: int) -> None:
        amount = self.work.setdefault(work, Amount())
        amount.calls += 1
        amount.weights += weights if work.kind == "weights" else 0
        amount.flops += flops

    def _pass_on(self, source: torch.Tensor, copy: torch.Tensor) -> None:
        # Autocast's short copy of a weight is that weight.
        owner = self._owner_of.get(_key(source))
        if owner is not None:
            self._owner_of[_key(copy)] = owner

    def _hold(self, tensors: Iterable[torch.Tensor]) -> None:
        for tensor in tensors:
            storage, key = tensor.untyped_storage(), _key(tensor)
            if key not in self._held:
                size = storage.nbytes()
                self.live += size
                self._held[key] = weakref.ref(storage, partial(self._release, key, size))
        self.peak = max(self.peak, self.live)

    def _release(self, key: int, size: int, _: object) -> None:
        self.live -= size
        del self._held[key]
        self._owner_of.pop(key, None)


def _key(tensor: torch.Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
