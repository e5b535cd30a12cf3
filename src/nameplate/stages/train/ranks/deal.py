"""Each process's part of every optimizer step."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from torch.utils.data import Sampler

from nameplate.stages.train.epochplan import EpochPlan
from nameplate.stages.train.microbatches import evenly
from nameplate.stages.train.ranks.group import Ranks


class DealtPlan(Sampler[list[int]]):
    """A plan's steps, the examples of each dealt out to the processes of a launch; alone, the plan itself.

    All processes do the same number of forward passes, or their collective operations would not meet: who has nothing
    in one gets an empty micro-batch, which counts nothing.

    Args:
        plan: the same in all processes.
        ranks: who they are, and who this one is.
    """

    def __init__(self, plan: EpochPlan, ranks: Ranks) -> None:
        self.plan = plan
        self.ranks = ranks

    @property
    def accumulation(self) -> int:
        """This process's micro-batches per step; the last step of an epoch may have fewer."""
        return self._passes(self.plan.batch_size)

    def __len__(self) -> int:
        whole, rest = divmod(self.plan.num_examples, self.plan.batch_size)
        return whole * self.accumulation + self._passes(rest)

    def __iter__(self) -> Iterator[list[int]]:
        batches, size = iter(self.plan), self.ranks.size
        while step := [index for batch in islice(batches, self.plan.accumulation) for index in batch]:
            # Sorted by length, neighbours are alike: so each process has long ones and short ones.
            yield from list(evenly(step, size * self._passes(len(step))))[self.ranks.rank :: size]

    def _passes(self, num_examples: int) -> int:
        return -(-num_examples // (self.plan.micro_batch_size * self.ranks.size))
