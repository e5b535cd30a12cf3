"""Where row stages run. The stage decides what becomes of a row; the engine only loops, times, counts and resumes."""

from nameplate.engine.base import Moves, Shard, ShardResult, ShardStage, StageOutcome
from nameplate.engine.local import run_stage

__all__ = ["Moves", "Shard", "ShardResult", "ShardStage", "StageOutcome", "run_stage"]
