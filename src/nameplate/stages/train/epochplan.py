"""Which examples an epoch has, in which order, and which of them go through the model together."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from nameplate.recipe import ExamplesSection
from nameplate.stages.train.examples import ExampleDataset, TrainingRows
from nameplate.stages.train.microbatches import evenly
from nameplate.stages.train.sampling import RowSampler, in_turn


class EpochPlan(Sampler[list[int]]):
    """Micro-batches of one epoch: which rows are asked what, and in which order, by seed and epoch alone.

    Every optimizer step takes `batch_size` examples in shuffled order; inside a step they are sorted by length and
    divided evenly, so that little is padding while steps stay random.

    Args:
        rows: what there is.
        batch_size: examples per optimizer step.
        micro_batch_size: most examples per forward pass.
        section: what is asked, and how often a name is seen.
        seed: of choice and order.
    """

    def __init__(
        self, rows: TrainingRows, *, batch_size: int, micro_batch_size: int, section: ExamplesSection, seed: int
    ) -> None:
        self.rows = rows
        self.dataset = ExampleDataset(rows)
        self.batch_size = batch_size
        self.micro_batch_size = micro_batch_size
        self.section = section
        self.seed = seed
        self.epoch = 0
        self._sampler = RowSampler(rows.names[: rows.num_named], balance=section.balance, seed=seed)
        self._unnamed = range(rows.num_named, len(rows))
        num_unnamed = section.unnamed.count(rows.num_named) if section.unnamed is not None and self._unnamed else 0
        self.num_examples = rows.num_named + num_unnamed
        """In an epoch."""

    @property
    def accumulation(self) -> int:
        """Micro-batches per optimizer step."""
        return -(-self.batch_size // self.micro_batch_size)

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps per epoch; the last one may be smaller."""
        return -(-self.num_examples // self.batch_size)

    def examples(self, epoch: int) -> list[int]:
        """Dataset indices of an epoch, in order: one of each row that is seen, and images without a name among them."""
        generator = np.random.default_rng([self.seed, epoch])
        rows = self._sampler.rows(epoch)
        shuffled = generator.permutation(len(rows)).tolist()
        chosen = (2 * rows).tolist()
        # Pairs first: only some rows have them, and any row can be asked for its name.
        paired = self._draw_pairs(chosen, shuffled[::-1], generator)
        num_questions = round(self.section.name_question_share * len(rows))
        for place in [place for place in shuffled if place not in paired][:num_questions]:
            chosen[place] += 1
        ordered = [chosen[place] for place in self._sampler.order(rows, generator)]
        return self._with_unnamed(ordered, epoch, generator) if self._unnamed else ordered

    def supervised_tokens(self, epoch: int) -> int:
        """Answer tokens of an epoch."""
        return sum(map(self.dataset.num_answer_tokens, self.examples(epoch)))

    def __len__(self) -> int:
        whole, rest = divmod(self.num_examples, self.batch_size)
        return whole * self.accumulation + -(-rest // self.micro_batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        first = self.epoch * len(self.dataset)
        order = [first + index for index in self.examples(self.epoch)]
        for start in range(0, len(order), self.batch_size):
            step = sorted(order[start : start + self.batch_size], key=self.dataset.length, reverse=True)
            yield from evenly(step, -(-len(step) // self.micro_batch_size))

    def _with_unnamed(self, named: list[int], epoch: int, generator: np.random.Generator) -> list[int]:
        """The same order of what has a name, with the others between."""
        count = self.num_examples - len(named)
        asked = generator.permutation(count) < round(self.section.name_question_share * count)
        between = iter((2 * in_turn(self._unnamed, count, epoch, seed=self.seed) + asked).tolist())
        places = set(generator.choice(self.num_examples, count, replace=False).tolist())
        others = iter(named)
        return [next(between) if place in places else next(others) for place in range(self.num_examples)]

    def _draw_pairs(self, chosen: list[int], places: list[int], generator: np.random.Generator) -> set[int]:
        """Put one of the row's pairs in the place of its caption, as often as the recipe says; the places."""
        wanted = round(self.section.question_answer_share * len(chosen))
        starts = self.rows.pair_starts
        having = [place for place in places if starts[chosen[place] // 2] < starts[chosen[place] // 2 + 1]]
        for place in having[:wanted]:
            row = chosen[place] // 2
            chosen[place] = 2 * len(self.rows) + int(generator.integers(starts[row], starts[row + 1]))
        return set(having[:wanted])
