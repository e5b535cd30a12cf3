"""Where a composed model comes from: its parts, their fingerprints and licences, and how what is new began."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import torch
import yaml
from pydantic import BaseModel, ConfigDict

import nameplate
from nameplate.models.compose.language import LanguagePart
from nameplate.models.compose.projector import Fresh
from nameplate.models.compose.vision import VisionPart
from nameplate.models.locate import weights_fingerprint
from nameplate.store.files import write_json

NOTE_FILE: Final = "composed.json"
UNKNOWN: Final = "not stated"


class PartNote(BaseModel):
    """One part."""

    model_config = ConfigDict(frozen=True)

    source: str
    """As it was given."""
    model_type: str
    fingerprint: str
    """SHA-256 over its safetensors files."""
    licence: str
    """As its README.md says at the top."""
    parameters: int
    stored_as: str
    """Number format in its files."""


class Composed(BaseModel):
    """What was put together; `composed.json` in the folder."""

    model_config = ConfigDict(frozen=True)

    nameplate: str
    """Version that did it."""
    layout: str
    stored_as: str
    """Number format of the new model."""
    vision: PartNote
    language: PartNote
    projector_parameters: int
    projector_seed: int
    feature_rms_as_drawn: float
    """Root mean square of what the projector gives, before its last matrix was scaled."""
    feature_rms: float
    """After that; equal to the embeddings' own."""
    tied: bool
    """Whether head and embeddings are one matrix."""
    added_tokens: dict[str, int]
    """Image tokens that the tokenizer lacked, with their ids; their rows are the mean of the trained ones."""
    trained_rows: int
    rows: int
    """Of the embeddings now."""
    rows_before: int
    system: str
    turn_start: str
    turn_end: str


def describe(
    *,
    vision: tuple[str, VisionPart],
    language: tuple[str, LanguagePart],
    projector: Fresh,
    seed: int,
    layout: str,
    dtype: torch.dtype,
) -> Composed:
    """The note on a model that is about to be written."""
    eye, tongue = vision[1], language[1]
    vocabulary = tongue.tokenizer.get_vocab()
    inside = (shape for name, shape in eye.files.shapes.items() if name.startswith(eye.prefix))
    return Composed(
        nameplate=nameplate.__version__,
        layout=layout,
        stored_as=_name(dtype),
        vision=_part(vision[0], eye, model_type="InternViT", shapes=inside),
        language=_part(
            language[0],
            tongue,
            model_type=str(tongue.config.model_type),
            shapes=(tongue.files.shapes[name] for name in tongue.names()),
        ),
        projector_parameters=sum(tensor.numel() for tensor in projector.weights.values()),
        projector_seed=seed,
        feature_rms_as_drawn=projector.rms_before,
        feature_rms=projector.rms,
        tied=tongue.tied,
        added_tokens={token: vocabulary[token] for token in tongue.added},
        trained_rows=tongue.num_trained,
        rows=int(tongue.config.vocab_size),
        rows_before=tongue.num_rows,
        system=tongue.turns.system,
        turn_start=tongue.turns.start,
        turn_end=tongue.turns.end,
    )


def write_note(composed: Composed, folder: Path) -> None:
    """Write `composed.json`."""
    write_json(folder / NOTE_FILE, composed.model_dump(mode="json"))


def copy_licences(parts: Mapping[str, Path], folder: Path) -> None:
    """Copy the licence texts that come with the parts."""
    for part, source in parts.items():
        for path in sorted(source.glob("LICENSE*")):
            shutil.copyfile(path, folder / f"{path.name}-{part}")


def _part(
    source: str, part: VisionPart | LanguagePart, *, model_type: str, shapes: Iterable[tuple[int, ...]]
) -> PartNote:
    return PartNote(
        source=source,
        model_type=model_type,
        fingerprint=weights_fingerprint(part.files.folder),
        licence=_licence(part.files.folder),
        parameters=sum(map(math.prod, shapes)),
        stored_as=_name(part.files.dtype()),
    )


def _licence(folder: Path) -> str:
    """The licence that a model card states in its YAML head."""
    try:
        _, head, _ = (folder / "README.md").read_text(encoding="utf-8").split("---", 2)
        tree = yaml.safe_load(head)
    except (OSError, ValueError, yaml.YAMLError):
        return UNKNOWN
    fields = ("license", "license_name", "license_link")
    said = [str(tree[field]) for field in fields if tree.get(field)] if isinstance(tree, dict) else []
    return ", ".join(said) or UNKNOWN


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
