"""Training, validation and test rows, divided product by product."""

from nameplate.stages.split.stage import VERSION, SplitStage

__all__ = ["VERSION", "SplitStage"]
