"""Every threshold of the advice, with its source; "section" is a section of the evaluation notes."""

from __future__ import annotations

from typing import Final

FEWEST_ROWS: Final = 50
"""Below it nothing is advised; the same as the audit's."""
FEWEST_PER_NAME: Final = 2
"""Images of a name to learn it from: with one, no fold has it on both sides."""
MANY_PER_NAME: Final = 30
"""Below so many, the readers themselves are short of rows, and what they read is a low lower bound; own choice."""
CONFIDENCE: Final = 1 - 0.05 / 8
"""Of the intervals that decide: up to eight figures are looked at (Bonferroni). Those that are shown are 95 %."""
EYE_POOR: Final = 0.5
"""The eye is the limit when surely less is read anywhere; own choice: most names cannot be told apart."""
HARDLY_MORE: Final = 0.10
"""A share that surely exceeds the commonest name's by no more is chance, however high it is; own choice."""
EYE_ENOUGH: Final = 0.7
"""It is not when surely more is read; own choice."""
PROJECTOR_LOSS: Final = 0.05
"""What the projector may lose; about what 600 pairs can show at 80 % power (section 0)."""
LANGUAGE_LOSS: Final = 0.10
"""What the language model may leave unsaid; about what 200 pairs can show at 80 % power (section 0)."""
CLOSE: Final = 0.05
"""An answer so close to the ceiling leaves little to gain."""
STILL_GROWING: Final = 0.02
"""What twice the rows must surely add for more rows to be worth advising; own choice."""
SHRUNK: Final = 1.5
"""Images whose sides are made smaller by so much lose detail that more tiles would keep; own choice."""
