"""A product table in, rows of one shape out."""

from nameplate.stages.ingest.columns import ColumnMap, map_columns
from nameplate.stages.ingest.presets import PRESETS, Preset, find_preset
from nameplate.stages.ingest.sources import Source, open_source
from nameplate.stages.ingest.stage import VERSION, IngestStage

__all__ = [
    "PRESETS",
    "VERSION",
    "ColumnMap",
    "IngestStage",
    "Preset",
    "Source",
    "find_preset",
    "map_columns",
    "open_source",
]
