"""The judge on the line: any teacher's server, with the same client and journal; nothing is asked twice."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from nameplate.models.images import ImageKey
from nameplate.progress import Advance
from nameplate.recipe import CaptionSection
from nameplate.stages.audit.judge import Contest, Ruling, hold_contests
from nameplate.store.images import ImageStore
from nameplate.teacher.client import TeacherClient
from nameplate.teacher.exchange import Picture

_MEDIA_TYPES: Final = {"jpg": "image/jpeg", "jpeg": "image/jpeg", "tif": "image/tiff"}


def ask_judge(
    section: CaptionSection,
    contests: Sequence[Contest],
    *,
    model: str,
    images: ImageStore,
    journal: Path,
    advance: Advance,
) -> list[Ruling]:
    """Let `model`, at the recipe's servers, judge all pairs, greedily.

    Raises:
        TeacherError: it is not there, refuses, or has gone silent; the answers so far are kept.
    """
    return asyncio.run(_ask_all(section, contests, model, images, journal, advance))


async def _ask_all(
    section: CaptionSection,
    contests: Sequence[Contest],
    model: str,
    images: ImageStore,
    journal: Path,
    advance: Advance,
) -> list[Ruling]:
    teacher = section.teacher.model_copy(update={"model": model})
    greedy = section.sampling.model_copy(update={"temperature": 0.0, "top_p": 1.0})
    async with TeacherClient(section.model_copy(update={"teacher": teacher}), journal) as client:

        async def ask(image: ImageKey, prompt: str) -> str:
            media_type = _MEDIA_TYPES.get(image.ext, f"image/{image.ext}")
            picture = Picture(image.sha256, media_type, partial(images.read, *image))
            answers = await client.converse(prompt, images=[picture], sampling=greedy, label="audit judge")
            return answers.best.text if answers.best is not None else ""

        return await hold_contests(contests, ask, advance)
