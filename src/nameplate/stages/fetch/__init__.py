"""From image links to checked images: every link ends with one typed status."""

from nameplate.stages.fetch.stage import VERSION, FetchStage

__all__ = ["VERSION", "FetchStage"]
