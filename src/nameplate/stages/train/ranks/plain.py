"""The model in one piece on the first process, for what reads or writes it as such."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from torch.nn.parallel import DistributedDataParallel

from nameplate.models.load import LoadedModel
from nameplate.models.policy import AppliedPolicies
from nameplate.stages.train.ranks.group import Ranks
from nameplate.stages.train.ranks.whole import copy_whole


class Laid(NamedTuple):
    """A model under its policies."""

    loaded: LoadedModel
    applied: AppliedPolicies


class PlainModel:
    """Gives the first process the model as one: itself where every process holds all, else a twin in main memory.

    Args:
        own: what this process trains.
        ranks: who is there.
        build: makes the twin, which has the same policies; called once, and only where it is needed.
    """

    def __init__(self, own: Laid, ranks: Ranks, build: Callable[[], Laid]) -> None:
        self._own = own
        self._ranks = ranks
        self._build = build
        self._twin: Laid | None = None

    def gather(self) -> Laid | None:
        """The model with its weights of now; none on all processes but the first. All must come here."""
        if not self._ranks.divides_weights:
            return self._own if self._ranks.leads else None
        if self._ranks.leads and self._twin is None:
            self._twin = self._build()
        # That may take longer than DeepSpeed's own groups wait.
        self._ranks.wait()
        into = self._twin.applied.trainable() if self._twin is not None else None
        copy_whole(self._own.applied.trainable(), into)
        return self._twin


def leave_out_frozen(laid: Laid) -> None:
    """Let DDP neither hold nor send what does not learn, nor buffers: every process has read the same."""
    trainable = laid.applied.trainable()
    names = [name for name, _ in laid.loaded.model.named_parameters() if name not in trainable]
    names += [name for name, _ in laid.loaded.model.named_buffers()]
    wrapper: Any = DistributedDataParallel
    wrapper._set_params_and_buffers_to_ignore_for_model(laid.loaded.model, names)
