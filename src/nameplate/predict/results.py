"""What comes out of predicting: a row for each image, and a summary."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

PREDICTED = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("answer", pa.string(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
        pa.field("verdict", pa.string(), nullable=False),
        pa.field("confidence", pa.float64()),
        pa.field("name_confidence", pa.float64()),
        pa.field("finish", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
    ]
)


@dataclass(frozen=True)
class Predicted:
    """One image and what the model says of it. Texts are "" where there is nothing to say."""

    path: str
    """As it was given, or as the table has it."""
    answer: str = ""
    name: str = ""
    """The first name of the registry that the answer claims, else one that stands in it without being claimed."""
    verdict: str = ""
    """`records.NameVerdict` on that name: how it is written, ambiguous, absent; other_name: several are claimed."""
    confidence: float | None = None
    """Geometric mean of the probabilities of the answer's tokens; not calibrated."""
    name_confidence: float | None = None
    """Probability of the name among those of the registry, as the answer to the name question; not calibrated."""
    finish: str = ""
    """stop, or length where the answer was cut off."""
    reason: str = ""
    """Why there is no answer: a code of `records.FetchStatus` or `records.IngestReason`."""
    detail: str = ""
    """The same for a person."""


class PredictSummary(BaseModel):
    """What one call did."""

    model_config = ConfigDict(frozen=True)

    checkpoint: str
    weights: str
    """Fingerprint of the model's weights."""
    prompt: str
    """The question in full."""
    names: int | None
    """How many names were looked for; none: no registry."""
    images: int
    """Rows that came in, and that came out."""
    answered: int
    computed: int
    """Images that the model was asked about now; the other answers were known, or stand for several rows."""
    cut_off: int
    """Answers that did not end by themselves."""
    verdicts: dict[str, int]
    reasons: dict[str, int]
    """Rows without an answer."""
    left_out: int
    """Files of the folders that are no images by their ending."""
    seconds: float
    """Spent on looking and asking, without loading the model."""
    images_per_second: float | None
    """Of those computed; none: nothing was."""
