"""Judged answers as scoring has them, for tests that need no model."""

from __future__ import annotations

from collections.abc import Sequence

from nameplate.records import SplitName
from nameplate.stages.score.results import Prediction


def said(
    right: Sequence[bool],
    *,
    checkpoint: str = "base",
    split: SplitName = "test",
    names: Sequence[str] = (),
    verdict: str = "absent",
    finish: str = "stop",
) -> list[Prediction]:
    """One answer a row; rows are numbered, and of four one is called Zeta where no names are given."""
    return [
        Prediction(
            checkpoint=checkpoint,
            epoch=0,
            split=split,
            row_id=str(place),
            image_sha256=f"{place:064x}",
            name=names[place] if names else "Acme" if place % 4 else "Zeta",
            prompt="name",
            answer="",
            verdict="exact" if yes else verdict,
            right=yes,
            strict=yes,
            mentioned=yes,
            finish=finish,
        )
        for place, yes in enumerate(right)
    ]
