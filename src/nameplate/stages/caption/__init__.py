"""The stage that gets captions: from the teacher, or from the table where it has them."""

from nameplate.stages.caption.stage import VERSION, CaptionStage
from nameplate.stages.caption.table import TABLE_VERSION, TableCaptionStage

__all__ = ["TABLE_VERSION", "VERSION", "CaptionStage", "TableCaptionStage"]
