"""Layer 2: how much of its own image a text tells, in the eyes of the base.

Names are left out, the registered ones and what the base takes for one: a guessed brand would tell much.

A token's gain is its loss before a blank image minus its loss before the real one. A text that ignores its image gains
nothing; one that belongs to another image loses. The gain is summed over a text: per token the base's own answer always
looks better than the truth told in more words (of 48 true captions, the starter gave 40 a lower gain a token than its
own answers, while the two medians of the totals were equal).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from nameplate.models.respondent import Respondent, Text
from nameplate.models.surprise import TokenLoss
from nameplate.progress import Advance
from nameplate.stages.audit.results import ImageGain, proportion
from nameplate.stages.audit.sample import Beside
from nameplate.stages.audit.texts import TextReader, measured
from nameplate.stages.audit.thresholds import HALF_TOLD


class Told(NamedTuple):
    """What one text tells, names left out: nats in all, nats a token, and surprise a token given the image."""

    gain: float
    gain_per_token: float
    surprise: float


def measure_gain(
    respondent: Respondent,
    reader: TextReader,
    beside: Beside,
    *,
    prompt: str,
    advance: Advance,
) -> ImageGain:
    """Read captions and the base's answers before their images and before a blank one."""
    asked = [
        Text(image, prompt, text, blank)
        for texts in (beside.captions, beside.answers)
        for image, text in zip(beside.images, texts, strict=True)
        for blank in (False, True)
    ]
    losses = respondent.token_losses(asked, advance)

    def told(texts: Sequence[str]) -> list[Told]:
        return [
            what_is_told(
                losses[Text(image, prompt, text)],
                losses[Text(image, prompt, text, blank=True)],
                reader.name_places(text, names),
            )
            for image, text, names in zip(beside.images, texts, beside.invented, strict=True)
        ]

    ours, base = told(beside.captions), told(beside.answers)
    under = sum(one.gain < HALF_TOLD * other.gain for one, other in zip(ours, base, strict=True) if other.gain > 0)
    return ImageGain(
        captions=measured([each.gain for each in ours]),
        base=measured([each.gain for each in base]),
        difference=measured([one.gain - other.gain for one, other in zip(ours, base, strict=True)]),
        captions_per_token=measured([each.gain_per_token for each in ours]),
        base_per_token=measured([each.gain_per_token for each in base]),
        surprise_captions=measured([each.surprise for each in ours]),
        surprise_base=measured([each.surprise for each in base]),
        under_half=proportion(under, len(ours)),
    )


def what_is_told(seen: Sequence[TokenLoss], blank: Sequence[TokenLoss], names: Sequence[tuple[int, int]]) -> Told:
    """One text: its tokens' losses before its image and before a blank one, and where names stand in it."""
    pairs = [
        (with_image.nats, without.nats)
        for with_image, without in zip(seen, blank, strict=True)
        if not any(with_image.start < end and with_image.end > start for start, end in names)
    ]
    if not pairs:
        return Told(0.0, 0.0, 0.0)
    gain = sum(without - with_image for with_image, without in pairs)
    return Told(gain, gain / len(pairs), sum(with_image for with_image, _ in pairs) / len(pairs))
