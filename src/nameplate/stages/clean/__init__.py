"""Captions that may be taught: judged by the text rules and the matcher, mended where that invents nothing."""

from nameplate.stages.clean.stage import PAIRS_VERSION, VERSION, CleanStage

__all__ = ["PAIRS_VERSION", "VERSION", "CleanStage"]
