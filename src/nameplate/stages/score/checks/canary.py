"""Weights really differ: two models of one run must not make the same of the same questions."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import torch

from nameplate.errors import ModelError
from nameplate.models.precision import compute_dtype
from nameplate.models.twins import differ_in
from nameplate.summary import SelfCheck


class Canary(NamedTuple):
    """What one model made of the sample."""

    model: str
    folder: Path
    digest: str


def digest_of(logits: torch.Tensor) -> str:
    """SHA-256 (hex) of logits, to the last bit: models that differ at all differ here. "": some are no numbers."""
    if not bool(torch.isfinite(logits).all()):
        return ""
    return hashlib.sha256(logits.contiguous().numpy().tobytes()).hexdigest()


class Canaries:
    """Of the models of one run, as they come."""

    def __init__(self) -> None:
        self._seen: dict[str, Canary] = {}

    def check(self, new: Canary) -> SelfCheck:
        """Compare one more model with those before it.

        Raises:
            ModelError: it makes exactly the same of the sample as another whose weights differ from its own.
        """
        if not new.digest:
            sentence = "Some of its logits are NaN or infinity, so they were not compared with those of others."
            return SelfCheck(kind="weights", model=new.model, outcome="skipped", sentence=sentence)
        twin = self._seen.setdefault(new.digest, new)
        if twin.model == new.model:
            others = len(self._seen) - 1
            sentence = f"Its logits differ from those of all {others} models before it." if others else _FIRST
            return SelfCheck(kind="weights", model=new.model, outcome="passed", sentence=sentence)
        if not differ_in(twin.folder, new.folder, compute_dtype()):
            sentence = (
                f"Its weights differ from those of {twin.model} only by less than {_short(compute_dtype())} can tell, "
                "in which answers are computed: both answer the same. Train longer, or with larger learning rates."
            )
            return SelfCheck(kind="weights", model=new.model, outcome="warned", sentence=sentence)
        raise ModelError(
            new.model,
            found=f"its logits are exactly those of {twin.model}, though their weights on disk differ",
            expected="other logits from other weights",
            fix="score again in a new process; if it stays so, what training changed reaches no answer",
        )


_FIRST = "The first model; those after it are compared with it."


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
