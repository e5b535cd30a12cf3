"""A product table in, rows of one shape out."""

from nameplate.stages.ingest.columns import PRESETS, ColumnMap, map_columns
from nameplate.stages.ingest.sources import Source, open_source
from nameplate.stages.ingest.stage import VERSION, IngestStage, source_shards

__all__ = ["PRESETS", "VERSION", "ColumnMap", "IngestStage", "Source", "map_columns", "open_source", "source_shards"]
