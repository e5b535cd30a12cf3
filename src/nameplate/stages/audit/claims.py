"""Layer 3: what the texts state of their images, and whether the base stands by it.

Each claim is a multiple choice in the text's own words: the text as it is, and with other values of the same factor in
its place. The base takes the one that surprises it least before the image. Asked so, a model needs to follow no
instruction and has no bias to say yes. (Subtracting the blank image's loss made the starter's choice worse: 119 of 144
claims of true captions stood up, against 143.)

Who is right is not known: the base may see less than whoever wrote the caption. A contradiction is a proxy for a false
claim, as far as the base sees such things at all; its own answers, put to the same test, show how far.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

from nameplate.models.images import ImageKey
from nameplate.models.respondent import Respondent, Text
from nameplate.progress import Advance
from nameplate.stages.audit.lexicon import Claim, Lexicon, restated
from nameplate.stages.audit.results import ClaimFigures, FactorFigures, proportion
from nameplate.stages.audit.sample import Beside
from nameplate.stages.audit.thresholds import CONFIDENCE
from nameplate.statistics import mcnemar_exact, share_difference_bootstrap
from nameplate.summary import Proportion

MOST_CHOICES: Final = 8
"""Values to choose from, the stated one among them."""


class Choice(NamedTuple):
    """One claim of one text: the first option is the text as it stands."""

    claim: Claim
    options: tuple[str, ...]


class Stated(NamedTuple):
    """All claims of one text that can be put to the test, and those that the base contradicts."""

    claims: list[Claim]
    contradicted: list[Claim]

    @property
    def standing(self) -> set[Claim]:
        """Claims that stand up."""
        return set(self.claims) - set(self.contradicted)

    def adds_to(self, other: Stated) -> bool:
        """Whether something stands up here that the other does not even state."""
        return bool(self.standing - set(other.claims))


def check_claims(
    respondent: Respondent,
    lexicon: Lexicon,
    beside: Beside,
    *,
    prompt: str,
    advance: Advance,
) -> ClaimFigures:
    """Put every claim of captions and answers before the base."""
    sides = []
    for texts, others in ((beside.captions, beside.answers), (beside.answers, beside.captions)):
        choices = [choices_of(text, lexicon, rival=other) for text, other in zip(texts, others, strict=True)]
        sides.append([*zip(beside.images, choices, strict=True)])
    asked = [
        Text(image, prompt, option)
        for side in sides
        for image, choices in side
        for choice in choices
        for option in choice.options
    ]
    nats = respondent.text_losses(asked, advance)
    ours, base = ([_stated(image, choices, prompt, nats) for image, choices in side] for side in sides)
    return _figures(ours, base)


def choices_of(text: str, lexicon: Lexicon, *, rival: str) -> list[Choice]:
    """Each claim with its options: what `rival` says of the same factor, then values drawn by chance.

    A value that the text itself states elsewhere is no option: the text would then state it twice.
    """
    own, others = lexicon.claims(text), lexicon.claims(rival)
    choices = []
    for claim, places in own.items():
        free = [value for value in lexicon.values(claim.factor) if Claim(claim.factor, value) not in own]
        first = [value for value in free if Claim(claim.factor, value) in others]
        drawn = [value for value in free if value not in first]
        random.Random(f"{claim.value} {text}").shuffle(drawn)
        options = [restated(text, places, value) for value in [*first, *drawn][: MOST_CHOICES - 1]]
        choices.append(Choice(claim, (text, *options)))
    return choices


def _stated(image: ImageKey, choices: Sequence[Choice], prompt: str, nats: dict[Text, float]) -> Stated:
    contradicted = []
    for choice in choices:
        losses = [nats[Text(image, prompt, option)] for option in choice.options]
        if losses[0] > min(losses):
            contradicted.append(choice.claim)
    return Stated([choice.claim for choice in choices], contradicted)


def _figures(ours: Sequence[Stated], base: Sequence[Stated]) -> ClaimFigures:
    both = [(one, other) for one, other in zip(ours, base, strict=True) if one.claims and other.claims]
    counted = [[(len(pair[side].contradicted), len(pair[side].claims)) for pair in both] for side in (1, 0)]
    interval = share_difference_bootstrap(*counted, seed=0)
    captions_more = sum(len(one.standing) > len(other.standing) for one, other in zip(ours, base, strict=True))
    base_more = sum(len(one.standing) < len(other.standing) for one, other in zip(ours, base, strict=True))
    shares = [_share([pair[side] for pair in both]) for side in (0, 1)]
    return ClaimFigures(
        captions=_total(ours),
        base=_total(base),
        difference=shares[0] - shares[1],
        low=interval.low,
        high=interval.high,
        surely=share_difference_bootstrap(*counted, seed=0, confidence=CONFIDENCE).low,
        rows=len(both),
        added=proportion(sum(one.adds_to(other) for one, other in both), len(both)),
        lacking=proportion(sum(other.adds_to(one) for one, other in both), len(both)),
        captions_more=captions_more,
        base_more=base_more,
        equal=len(ours) - captions_more - base_more,
        p_value=mcnemar_exact(captions_more, base_more),
        factors=_factors(ours, base),
    )


def _factors(ours: Sequence[Stated], base: Sequence[Stated]) -> list[FactorFigures]:
    stated, contradicted = (
        [Counter(claim.factor for each in side for claim in getattr(each, what)) for side in (ours, base)]
        for what in ("claims", "contradicted")
    )
    return [
        FactorFigures(
            factor=factor,
            captions=proportion(contradicted[0][factor], stated[0][factor]),
            base=proportion(contradicted[1][factor], stated[1][factor]),
        )
        for factor in sorted(stated[0] | stated[1])
    ]


def _share(texts: Sequence[Stated]) -> float:
    return sum(len(each.contradicted) for each in texts) / max(1, sum(len(each.claims) for each in texts))


def _total(texts: Sequence[Stated]) -> Proportion:
    return proportion(sum(len(each.contradicted) for each in texts), sum(len(each.claims) for each in texts))
