"""Images are read as in training: an image must stand for as many tokens as it did there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nameplate.errors import ModelError
from nameplate.models.processing import Processor
from nameplate.models.tokencounts import IMAGE_TOKENS, image_tokens
from nameplate.summary import SelfCheck


def check_reading(model: str, notes: Mapping[str, Any], processor: Processor) -> SelfCheck:
    """Image tokens of three sizes of images, now and by what training noted.

    Args:
        model: its name.
        notes: beside its checkpoint.
        processor: reads the images that it is asked about.

    Raises:
        ModelError: they are not the same.
    """
    now, then = image_tokens(processor), notes.get(IMAGE_TOKENS)
    if then is None:
        sentence = "Its notes do not say how many tokens an image had in training: an older version wrote them."
        return SelfCheck(kind="image_tokens", model=model, outcome="skipped", sentence=sentence)
    different = [size for size in now if then.get(size, now[size]) != now[size]]
    if different:
        size = different[0]
        raise ModelError(
            model,
            found=f"an image of {size} pixels has {now[size]:,} tokens here, and had {then[size]:,} in training",
            expected="the same number",
            fix="set model.max_tiles to what it was in training, or train again",
        )
    sizes = ", ".join(f"{count:,} for {size}" for size, count in now.items())
    sentence = f"Images have as many tokens as in training: {sizes} pixels."
    return SelfCheck(kind="image_tokens", model=model, outcome="passed", sentence=sentence)
