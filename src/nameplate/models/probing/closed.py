"""How probable a model finds each of the known names as its answer, for many images; kept in the journal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nameplate.models.closedset import answer_shares, can_compare
from nameplate.models.images import ImageKey
from nameplate.models.probing.blind import see_blank
from nameplate.models.respondent import Respondent, parts
from nameplate.models.tiling import ImageSize
from nameplate.progress import Advance
from nameplate.store.fingerprint import fingerprint
from nameplate.store.journal import Journal

SMALLEST = 1e-30
"""Stands for a share that is zero in float32, so that it has a logarithm."""


class ClosedSet:
    """A model that chooses among names.

    Args:
        respondent: the model.
        identity: fingerprint of its weights, of its preprocessing and of its number format.
        journal: where shares are kept.
        prompt: the question.
        names: the answers, all different.
        batch_size: images at a time.
    """

    def __init__(
        self,
        respondent: Respondent,
        *,
        identity: Sequence[str],
        journal: Journal,
        prompt: str,
        names: Sequence[str],
        batch_size: int,
    ) -> None:
        self._respondent = respondent
        self._journal = journal
        self._prompt = prompt
        self._names = names
        self._batch_size = batch_size
        self._identity = ("closed-1", *identity, prompt, list(names))

    def log_shares(self, images: Sequence[ImageKey], advance: Advance) -> dict[ImageKey, list[float]] | None:
        """Of each image, the logarithm of each name's share; none: the model's family cannot be asked this."""
        keys = {image: fingerprint(*self._identity, image.sha256) for image in images}
        kept = self._journal.last_many(list(keys.values()))
        found = {image: list(kept[key]["shares"]) for image, key in keys.items() if key in kept}
        advance(len(found))
        missing = [image for image in keys if image not in found]
        if missing and not can_compare(self._respondent.loaded):
            return None
        for part in parts(missing, self._batch_size):
            seen = self._respondent.see(part)
            shares = answer_shares(self._respondent.loaded, seen, self._prompt, self._names).tolist()
            self._journal.put_many((keys[image], 0, {"shares": own}) for image, own in zip(part, shares, strict=True))
            found |= zip(part, shares, strict=True)
            advance(len(part))
        return {image: _logs(shares) for image, shares in found.items()}

    def log_shares_blind(self, size: ImageSize) -> list[float]:
        """The same before a grey image; the family is one that can be asked."""
        key = fingerprint(*self._identity, f"blank {size}")
        kept = self._journal.last(key)
        if kept is None:
            loaded = self._respondent.loaded
            (shares,) = answer_shares(loaded, see_blank(loaded, size), self._prompt, self._names).tolist()
            kept = {"shares": shares}
            self._journal.put(key, 0, kept)
        return _logs(kept["shares"])


def _logs(shares: Sequence[float]) -> list[float]:
    return [math.log(max(share, SMALLEST)) for share in shares]
