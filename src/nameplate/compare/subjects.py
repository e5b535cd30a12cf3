"""Which models are compared: a run's chosen checkpoint, or one that is named; what is read of a run, and what is not.

A run is only read, never held or changed: runs of older versions, and runs that are still going, can be compared, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from nameplate.compare.results import Learned
from nameplate.errors import InputError
from nameplate.names import Registry
from nameplate.records import SplitName
from nameplate.stages.score import read_scores
from nameplate.stages.score.results import PREDICTIONS
from nameplate.stages.train import read_training
from nameplate.store.images import ImageStore
from nameplate.store.rundir import RunDirectory
from nameplate.store.tables import StageTables
from nameplate.summary import CheckpointScores, ScoreSummary


@dataclass(frozen=True)
class Compared:
    """One model of a scored run."""

    label: str
    """What it is called in the comparison: RUN's last folder, with the checkpoint where it was named."""
    root: Path
    checkpoint: str
    scores: ScoreSummary

    def predictions(self, *, split: SplitName, prompt: str) -> list[dict[str, Any]]:
        """Its judged answers to one question on one split, in table order.

        Raises:
            InputError: the table is not as scoring writes it.
        """
        path = self.root / "score" / "predictions.parquet"
        wanted = [("checkpoint", "==", self.checkpoint), ("split", "==", split), ("prompt", "==", prompt)]
        try:
            # Runs of older versions lack the newer columns.
            known = [column for column in pq.read_schema(path).names if column in PREDICTIONS.names]
            return list(pq.read_table(path, columns=known, filters=wanted).to_pylist())
        except (OSError, pa.ArrowException) as error:
            raise InputError(
                str(path),
                found=f"cannot be read ({type(error).__name__})",
                fix="run `nameplate score` on this run again",
            ) from None

    def listings(self, columns: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Of each row of the run's split, the columns that are there; empty where the split is gone."""
        found: dict[str, dict[str, Any]] = {}
        for path in StageTables(self.root / "split", "split").kept_paths():
            known = [column for column in columns if column in pq.read_schema(path).names]
            found |= {row["row_id"]: row for row in pq.read_table(path, columns=["row_id", *known]).to_pylist()}
        return found

    @property
    def own(self) -> CheckpointScores:
        """What scoring found of this model."""
        return next(each for each in self.scores.checkpoints if each.name == self.checkpoint)

    @property
    def learned(self) -> Learned | None:
        """What training changed; none: this is the base, or the run does not say."""
        if self.own.epoch == 0:
            return None
        try:
            found = read_training(self.run)
        except InputError:
            return None
        record = self.run.manifest.stages.get("train")
        peak = record.peak_memory_bytes if record is not None else 0
        return Learned(parts=found.components, seconds=found.seconds, peak_memory_bytes=peak)

    @property
    def split_fingerprint(self) -> str:
        """Of the split that the run was trained and scored on; "" where the manifest does not say."""
        record = self.run.manifest.stages.get("split")
        return record.fingerprint if record is not None else ""

    @property
    def base(self) -> str:
        """The untrained model, as the recipe calls it; "" where the recipe is gone."""
        return str(self.setting("model", "base") or "")

    @property
    def run(self) -> RunDirectory:
        """Its files, but for the store's."""
        # Nothing of the store is read through this, so none shall be made.
        return RunDirectory(self.root, store=self.root)

    @property
    def images(self) -> ImageStore:
        """Where its pictures are."""
        store = _recipe(self.root).get("store")
        return ImageStore((Path(store) if isinstance(store, str) else self.root / "store") / "images")

    def setting(self, section: str, field: str) -> Any:
        """A field of the recipe; none where the recipe is gone."""
        fields = _recipe(self.root).get(section)
        return fields.get(field) if isinstance(fields, dict) else None

    @property
    def registry(self) -> Registry | None:
        """The names that this run knows; none where its file is gone."""
        path = self.root / "ingest" / "registry.json"
        try:
            return Registry.from_json(path.read_text(encoding="utf-8"))
        except (OSError, InputError, UnicodeDecodeError):
            return None


def find_compared(texts: Sequence[str]) -> list[Compared]:
    """The models that RUN (the checkpoint that scoring chose) or RUN:CHECKPOINT name, `base` being one of them.

    Raises:
        InputError: fewer than two, one of them twice, no such run or checkpoint, or a run that was not scored.
    """
    if len(texts) < 2:
        fix = f"give another run, or compare with its own base: {texts[0].rstrip('/')}:base" if texts else ""
        raise InputError("compare", found=f"{len(texts)} model", expected="two or more", fix=fix)
    found = [_find(text) for text in texts]
    for place, each in enumerate(found):
        twin = next((other for other in found[:place] if _identity(other) == _identity(each)), None)
        if twin is not None:
            raise InputError(each.label, found=f"is given twice ({each.checkpoint} of {each.root})", fix="give it once")
    return _told_apart(found)


def _find(text: str) -> Compared:
    head, colon, name = text.rpartition(":")
    if Path(text).is_dir() or not colon:
        root, name = Path(text), ""
    else:
        root = Path(head)
    if not (root / "manifest.json").is_file():
        found = "no such folder" if not root.is_dir() else "is not a run directory (it has no manifest.json)"
        raise InputError(str(root), found=found, expected="RUN or RUN:CHECKPOINT, such as runs/first:base")
    if not (root / "score" / "scores.json").is_file():
        raise InputError(str(root), found="was not scored", fix="run `nameplate score` on its recipe first")
    # Nothing of the store is read through this, so none shall be made.
    scores = read_scores(RunDirectory(root, store=root))
    known = [each.name for each in scores.checkpoints]
    if name and name not in known:
        raise InputError(f"{root}:{name}", found="no such checkpoint", expected="one of " + ", ".join(known))
    label = root.resolve().name + (f":{name}" if name else "")
    return Compared(label, root, name or scores.selected, scores)


def _identity(each: Compared) -> tuple[Path, str]:
    return each.root.resolve(), each.checkpoint


def _told_apart(found: list[Compared]) -> list[Compared]:
    """With labels that differ: runs of the same name in different folders are called by their paths."""
    labels = [each.label for each in found]
    if len(set(labels)) == len(labels):
        return found
    return [Compared(f"{each.root}:{each.checkpoint}", each.root, each.checkpoint, each.scores) for each in found]


def _recipe(root: Path) -> dict[str, Any]:
    """The run's recipe as it lies there: one of another version is still good for where its pictures are."""
    try:
        tree = yaml.safe_load((root / "recipe.yaml").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    return tree if isinstance(tree, dict) else {}
