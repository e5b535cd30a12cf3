"""Asking a model about images that are no part of a run: one row for each image, whatever is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nameplate.predict.checkpoints import Asked, find_checkpoint, find_registry
from nameplate.predict.inputs import Inputs
from nameplate.predict.output import check_output
from nameplate.predict.results import Predicted, PredictSummary

if TYPE_CHECKING:
    from nameplate.predict.asking import predict

__all__ = [
    "Asked",
    "Inputs",
    "PredictSummary",
    "Predicted",
    "check_output",
    "find_checkpoint",
    "find_registry",
    "predict",
]


def __getattr__(name: str) -> Any:
    # What is wrong with the arguments shall be said before torch is imported, which takes seconds.
    if name == "predict":
        from nameplate.predict.asking import predict

        return predict
    raise AttributeError(name)
