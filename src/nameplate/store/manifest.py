"""The manifest: per stage, what it was made from, what came out, how long it took, and whether it is done."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from nameplate.errors import RunDirectoryError
from nameplate.records import StageName
from nameplate.store.files import write_json

Status = Literal["running", "done"]


class StageRecord(BaseModel):
    """What the manifest says of one stage."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fingerprint: str
    """Of the stage's inputs, its recipe sections and its version."""
    status: Status = "running"
    read: int = 0
    """Rows that came in."""
    kept: int = 0
    """Rows that went on."""
    rejected: dict[str, int] = {}
    """Rows that stopped here, by reason code."""
    seconds: float = 0.0
    """Time spent, over all resumed tries."""
    peak_memory_bytes: int = 0
    """Largest resident size of the process while the stage ran."""
    details: dict[str, Any] = {}
    """Figures of this stage's own."""


class Manifest:
    """`manifest.json` of one run directory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stages: dict[StageName, StageRecord] = {}
        if path.exists():
            self._read()

    def put(self, stage: StageName, record: StageRecord) -> None:
        """Set one stage's record and write the file in one step."""
        self.stages[stage] = record
        self._write()

    def drop(self, stage: StageName) -> None:
        """Forget a stage whose inputs have changed."""
        if self.stages.pop(stage, None) is not None:
            self._write()

    def is_done(self, stage: StageName, fingerprint: str) -> bool:
        """Whether the stage was finished from exactly these inputs."""
        record = self.stages.get(stage)
        return record is not None and record.status == "done" and record.fingerprint == fingerprint

    def _read(self) -> None:
        try:
            tree = json.loads(self.path.read_text(encoding="utf-8"))
            self.stages = {name: StageRecord.model_validate(record) for name, record in tree["stages"].items()}
        except (ValueError, KeyError, AttributeError, ValidationError) as error:
            raise RunDirectoryError(
                str(self.path),
                found=f"not a manifest of this version ({type(error).__name__})",
                fix="give another run directory, or delete this one",
            ) from None

    def _write(self) -> None:
        stages = {name: record.model_dump(mode="json") for name, record in self.stages.items()}
        write_json(self.path, {"version": 1, "stages": stages})
