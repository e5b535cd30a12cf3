"""Every threshold of the verdict, with its source; "section" is a section of the evaluation notes."""

from __future__ import annotations

from typing import Final

FEWEST_ROWS: Final = 50
"""Below it nothing is concluded: as many pairs as a person is given (section 4, layer 6)."""
CONFIDENCE: Final = 1 - 0.05 / 8
"""Of the intervals that decide: up to eight figures are looked at (Bonferroni). Those that are shown are 95 %."""
NAME_GAP: Final = 0.10
"""Share of rows that captions name and the base does not; about what 200 pairs can show at 80 % power (section 0)."""
MORE_CONTRADICTED: Final = 0.05
"""Contradicted claims of captions beyond those of the base's own answers (section 4, verdict rule)."""
MOST: Final = 0.5
"""A majority, of rows or of pairs that either side won (section 4, verdict rule)."""
HALF_TOLD: Final = 0.5
"""A caption tells too little of its image under this share of what the base's answer tells. The notes' rule, any less
per token than the base, holds of most true captions too: see `gain`."""
ALIKE: Final = 90.0
"""Likeness (characters in common order, in %) from which on two texts are nearly the same; own choice: in captions of
30 words two or three differ."""
HARDLY_ADDED: Final = 0.10
"""Captions add nothing when surely fewer rows than this state a claim beyond the base's answer, and the median caption
tells at most so much more of its image; own choice, the size of `NAME_GAP`."""
