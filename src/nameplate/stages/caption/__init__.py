"""The stage that asks the teacher for captions."""

from nameplate.stages.caption.stage import VERSION, CaptionStage

__all__ = ["VERSION", "CaptionStage"]
