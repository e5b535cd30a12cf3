"""What can be told of a model on a server, by its words alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from nameplate.models.respondent import Question
from nameplate.stages.score.replies import Reply
from nameplate.store.fingerprint import fingerprint
from nameplate.summary import SelfCheck

LEAST_AGREEMENT: Final = 0.9

Pairs = Sequence[tuple[Reply, Reply]]


def check_engine(model: str, engine: str, pairs: Pairs) -> SelfCheck:
    """The server's answers and this process's, from the same folder: they should be the same but for near ties."""
    same = sum(served.text == here.text for served, here in pairs)
    sentence = f"{same} of {len(pairs)} answers of {engine} are those that this process gives from the same folder"
    if same >= LEAST_AGREEMENT * len(pairs):
        return SelfCheck(kind="engine", model=model, outcome="passed", sentence=f"{sentence}.")
    sentence += (
        "; below 90 %, so do not compare with scores of another engine. Look for another chat template, another size "
        "of images or number of tiles, another number format, or old weights on the server."
    )
    return SelfCheck(kind="engine", model=model, outcome="warned", sentence=sentence)


def check_served_sight(model: str, pairs: Pairs) -> SelfCheck:
    """Answers about images, and to the same questions about a grey one."""
    changed = sum(seen.text != blank.text for seen, blank in pairs)
    if changed:
        sentence = f"{changed} of {len(pairs)} answers change when the image is replaced by a grey one."
        return SelfCheck(kind="image_used", model=model, outcome="passed", sentence=sentence)
    sentence = (
        f"Not one of {len(pairs)} answers changes when the image is replaced by a grey one: the server may not show "
        "images to the model. Its accuracy says nothing about images."
    )
    return SelfCheck(kind="image_used", model=model, outcome="warned", sentence=sentence)


class Voices:
    """Of the models of one run, as they come: a server may hold one model under two names."""

    def __init__(self) -> None:
        self._heard: dict[str, str] = {}

    def check(self, model: str, replies: Mapping[Question, Reply]) -> SelfCheck:
        """Compare one more model's answers with those of the models before it, to the same questions."""
        said = fingerprint([(*each.image, each.prompt, replies[each].text) for each in sorted(replies)])
        twin = self._heard.setdefault(said, model)
        if twin == model:
            others = len(self._heard) - 1
            sentence = f"Its answers differ from those of all {others} models before it."
            return SelfCheck(kind="weights", model=model, outcome="passed", sentence=sentence if others else _FIRST)
        sentence = (
            f"All its {len(replies):,} answers are those of {twin}, word for word: make sure that the server holds "
            "two models, and not one of them twice."
        )
        return SelfCheck(kind="weights", model=model, outcome="warned", sentence=sentence)


_FIRST = "The first model; those after it are compared with it."
