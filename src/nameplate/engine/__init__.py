"""Where row stages run. The stage decides what becomes of a row; the engine only loops, times, counts and resumes."""

from nameplate.engine.base import Engine, Moves, Shard, ShardResult, ShardStage, StageOutcome, file_shards
from nameplate.engine.local import LocalEngine
from nameplate.engine.services import Answers, LocalServices, Makers, Services, Shared

__all__ = [
    "Answers",
    "Engine",
    "LocalEngine",
    "LocalServices",
    "Makers",
    "Moves",
    "Services",
    "Shard",
    "ShardResult",
    "ShardStage",
    "Shared",
    "StageOutcome",
    "file_shards",
]
