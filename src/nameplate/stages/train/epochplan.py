"""Which examples an epoch has, in which order, and which of them go through the model together."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from nameplate.models.batches import num_answer_tokens
from nameplate.stages.train.examples import ExampleDataset, TrainingRows
from nameplate.stages.train.microbatches import evenly


class EpochPlan(Sampler[list[int]]):
    """Micro-batches of one epoch: which rows are asked for the name, and in which order, by seed and epoch alone.

    Every optimizer step takes `batch_size` examples in shuffled order; inside a step they are sorted by length and
    divided evenly, so that little is padding while steps stay random.

    Args:
        rows: what there is.
        batch_size: examples per optimizer step.
        micro_batch_size: most examples per forward pass.
        name_question_share: share of examples that ask for the name.
        seed: of choice and order.
    """

    def __init__(
        self, rows: TrainingRows, *, batch_size: int, micro_batch_size: int, name_question_share: float, seed: int
    ) -> None:
        self.rows = rows
        self.batch_size = batch_size
        self.micro_batch_size = micro_batch_size
        self.name_question_share = name_question_share
        self.seed = seed
        self.epoch = 0

    @property
    def accumulation(self) -> int:
        """Micro-batches per optimizer step."""
        return -(-self.batch_size // self.micro_batch_size)

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps per epoch; the last one may be smaller."""
        return -(-len(self.rows) // self.batch_size)

    def examples(self, epoch: int) -> list[int]:
        """Dataset indices of an epoch, one per row, in order."""
        generator = np.random.default_rng([self.seed, epoch])
        num_questions = round(self.name_question_share * len(self.rows))
        asked = set(generator.permutation(len(self.rows))[:num_questions].tolist())
        order: list[int] = generator.permutation(len(self.rows)).tolist()
        return [2 * row + (row in asked) for row in order]

    def supervised_tokens(self, epoch: int) -> int:
        """Answer tokens of an epoch."""
        dataset = ExampleDataset(self.rows)
        return num_answer_tokens([dataset[index].encoded for index in self.examples(epoch)])

    def __len__(self) -> int:
        whole, rest = divmod(len(self.rows), self.batch_size)
        return whole * self.accumulation + -(-rest // self.micro_batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        order = self.examples(self.epoch)
        for start in range(0, len(order), self.batch_size):
            step = sorted(order[start : start + self.batch_size], key=self._length, reverse=True)
            yield from evenly(step, -(-len(step) // self.micro_batch_size))

    def _length(self, index: int) -> int:
        row, asks_name = divmod(index, 2)
        texts = self.rows.questions if asks_name else self.rows.captions
        return len(texts[row].input_ids)
