"""The image is used: what a model says of images must not be what it says of a grey one."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from nameplate.errors import ModelError
from nameplate.models.firstlogits import first_logits
from nameplate.models.generate import Answer, generate
from nameplate.stages.score.checks.sample import Sample
from nameplate.summary import SelfCheck


def check_sight(sample: Sample, logits: torch.Tensor, together: Sequence[Answer]) -> SelfCheck:
    """The same questions about grey images of the same sizes.

    Args:
        sample: the questions.
        logits: of their answers' first tokens, (B, V).
        together: their answers.

    Raises:
        ModelError: all logits are exactly the same, so the image does not reach the language model.
    """
    if torch.equal(logits, first_logits(sample.loaded, sample.blank, sample.prompts)):
        raise ModelError(
            sample.model,
            found=f"its logits for {len(sample)} images are exactly those for grey images: it does not see the image",
            expected="logits that depend on the image",
            fix="look at the projector's weights: zeros, or a vision side that is not wired, do this",
        )
    blank = generate(sample.loaded, sample.blank, sample.prompts, max_new_tokens=sample.max_new_tokens)
    changed = sum(one.text != other for one, other in zip(together, blank, strict=True))
    if changed:
        sentence = f"{changed} of {len(sample)} answers change when the image is replaced by a grey one."
        return SelfCheck(kind="image_used", model=sample.model, outcome="passed", sentence=sentence)
    sentence = (
        f"Not one of {len(sample)} answers changes when the image is replaced by a grey one, though the logits do: "
        "what it says comes from its language alone. Its accuracy says nothing about images."
    )
    return SelfCheck(kind="image_used", model=sample.model, outcome="warned", sentence=sentence)
