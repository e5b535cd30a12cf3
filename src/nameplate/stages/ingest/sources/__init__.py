"""Reading tables as they come, streamed: files of many kinds, folders of images, tars, and Hugging Face data sets."""

from nameplate.stages.ingest.sources.base import MAX_IMAGE_BYTES, MAX_ROW_CHARS, RawRow, Source
from nameplate.stages.ingest.sources.opening import open_source

__all__ = ["MAX_IMAGE_BYTES", "MAX_ROW_CHARS", "RawRow", "Source", "open_source"]
