"""Token ids of many examples in little memory: questions are shared, answers lie in one array."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import overload

import numpy as np

from nameplate.models.processing import IGNORED, Encoded


class Texts(Sequence[Encoded]):
    """Encoded examples. As lists of Python numbers, 100 thousand of 300 tokens would take gigabytes.

    Args:
        encoded: each begins with a question, which carries no loss, and ends with an answer, all of which does.
    """

    def __init__(self, encoded: Iterable[Encoded]) -> None:
        questions: dict[object, int] = {}
        self.questions: list[Encoded] = []
        """Those that differ."""
        of_example: list[int] = []
        answers: list[np.ndarray] = []
        weights: list[np.ndarray] = []
        for example in encoded:
            question, answer = _parted(example)
            key = (*question.input_ids, *((name, *values) for name, values in question.kinds.items()))
            if key not in questions:
                questions[key] = len(self.questions)
                self.questions.append(question)
            of_example.append(questions[key])
            answers.append(np.array(answer.input_ids, np.int32))
            weights.append(np.array(answer.weights, np.float32))
        self._question_of = np.array(of_example, np.int64)
        self._starts = np.cumsum([0, *map(len, answers)])
        self._answers = np.concatenate([np.zeros(0, np.int32), *answers])
        self._weights = np.concatenate([np.zeros(0, np.float32), *weights])
        self.num_answer_tokens = np.diff(self._starts)
        """Of each example."""
        lengths = np.array([len(question.input_ids) for question in self.questions], np.int64)
        self.lengths = lengths[self._question_of] + self.num_answer_tokens
        """Of each example, question and answer."""

    def __len__(self) -> int:
        return len(self._question_of)

    @overload
    def __getitem__(self, place: int) -> Encoded: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Encoded]: ...

    def __getitem__(self, place: int | slice) -> Encoded | Sequence[Encoded]:
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        if place < 0:
            place += len(self)
        start, end = self._starts[place], self._starts[place + 1]
        question, answer = self.questions[self._question_of[place]], self._answers[start:end].tolist()
        kinds = {name: [*values, *[0] * len(answer)] for name, values in question.kinds.items()}
        weights = [*question.weights, *self._weights[start:end].tolist()] if len(self._weights) else ()
        return Encoded([*question.input_ids, *answer], [*question.labels, *answer], kinds, weights)

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of everything in it."""
        found = hashlib.sha256(repr([tuple(question) for question in self.questions]).encode())
        for array in (self._question_of, self._starts, self._answers, self._weights):
            found.update(array.tobytes())
        return found.hexdigest()


def _parted(example: Encoded) -> tuple[Encoded, Encoded]:
    """Question and answer."""
    asked = next(place for place, label in enumerate(example.labels) if label != IGNORED)
    assert example.labels[asked:] == example.input_ids[asked:], "an answer of which not every token carries loss"
    assert not any(any(values[asked:]) for values in example.kinds.values()), "an answer with tokens of a special kind"
    ids, weights = example.input_ids, example.weights
    kinds = {name: values[:asked] for name, values in example.kinds.items()}
    question = Encoded(ids[:asked], [IGNORED] * asked, kinds, [0.0] * asked if len(weights) else ())
    return question, Encoded(ids[asked:], ids[asked:], weights=weights[asked:])
