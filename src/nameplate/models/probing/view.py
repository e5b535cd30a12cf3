"""The places in a model at which an image is looked at, on its way from pixels to an answer."""

from __future__ import annotations

from enum import StrEnum


class View(StrEnum):
    """One vector per image, at one place."""

    EYE = "eye"
    """Mean of what the vision tower puts out for the patches."""
    EYE_SUMMARY = "eye_summary"
    """What the tower puts out for its class token."""
    PROJECTOR = "projector"
    """Mean of the tokens that the language model is given for the image."""
    ANSWER = "answer"
    """Last hidden state of the language model after the question, from which the answer's first token is chosen."""


EYE_VIEWS = (View.EYE, View.EYE_SUMMARY)
