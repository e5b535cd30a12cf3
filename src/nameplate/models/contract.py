"""The preprocessing contract: what decides how an InternVL reads an image and a prompt. It is saved with the model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from nameplate.errors import ModelError
from nameplate.models.tiling import TileRule
from nameplate.store.files import write_json

PREPROCESSOR_FILE: Final = "preprocessor_config.json"
PROCESSOR_FILE: Final = "processor_config.json"
"""Where transformers 5 writes the image processor, nested."""
TURN_START: Final = "<|im_start|>{role}\n"
"""ChatML's."""


class ImageContract(BaseModel):
    """How an image becomes numbers and a question becomes text."""

    model_config = ConfigDict(frozen=True)

    size: int = Field(gt=0)
    """Side of a tile, in pixels."""
    image_mean: tuple[float, float, float]
    """Per channel, of values from 0 to 1."""
    image_std: tuple[float, float, float]
    """Per channel."""
    num_image_tokens: int = Field(gt=0)
    """Tokens that stand for one tile."""
    min_tiles: int = Field(1, ge=1)
    """Fewest tiles of an image."""
    max_tiles: int = Field(1, ge=1)
    """Most tiles of an image, the thumbnail not counted."""
    thumbnail: bool = True
    """Whether an image of several tiles is also shown whole."""
    system: str = ""
    """Text of the system turn; empty: no such turn."""
    turn_start: str = TURN_START
    """What opens a turn of system, user or assistant."""
    turn_end: str = "<|im_end|>\n"
    """What ends a turn; the model's own turn ends with its first token."""

    def opening(self, role: Literal["system", "user", "assistant"]) -> str:
        """What opens a turn."""
        return self.turn_start.replace("{role}", role)

    @property
    def rule(self) -> TileRule:
        """How images are divided."""
        return TileRule(self.size, self.min_tiles, self.max_tiles, self.thumbnail)

    def limited(self, max_tiles: int | None) -> ImageContract:
        """The same with another number of tiles; none: unchanged."""
        if max_tiles is None:
            return self
        return self.model_copy(update={"max_tiles": max_tiles, "min_tiles": min(self.min_tiles, max_tiles)})


def write_contract(contract: ImageContract, folder: Path) -> None:
    """Write `preprocessor_config.json`: the fields of transformers' own image processor, and ours beside them."""
    tree = {
        "image_processor_type": "GotOcr2ImageProcessor",
        "processor_class": "InternVLProcessor",
        "size": {"height": contract.size, "width": contract.size},
        "image_mean": list(contract.image_mean),
        "image_std": list(contract.image_std),
        "resample": 3,
        "do_convert_rgb": True,
        "do_resize": True,
        "do_rescale": True,
        "do_normalize": True,
        "crop_to_patches": contract.max_tiles > 1,
        "min_patches": contract.min_tiles,
        "max_patches": contract.max_tiles,
        "num_image_tokens": contract.num_image_tokens,
        "use_thumbnail": contract.thumbnail,
        "system_message": contract.system,
        "turn_start": contract.turn_start,
        "turn_end": contract.turn_end,
    }
    write_json(folder / PREPROCESSOR_FILE, tree)


def read_contract(folder: Path) -> ImageContract:
    """The contract of a folder in the native layout.

    Raises:
        ModelError: the file is missing or malformed.
    """
    path = folder / PREPROCESSOR_FILE
    try:
        tree = _preprocessor_tree(folder)
        if "num_image_tokens" not in tree:
            tree["num_image_tokens"] = _read(folder / "config.json")["image_seq_length"]
        return ImageContract.model_validate(_from_tree(tree))
    except FileNotFoundError as error:
        raise ModelError(str(error.filename), found="missing", fix="give a whole model folder") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(
            str(path), found=f"malformed ({type(error).__name__}: {error})", expected="size, image_mean, image_std"
        ) from None


def _preprocessor_tree(folder: Path) -> dict[str, Any]:
    path = folder / PREPROCESSOR_FILE
    nested = folder / PROCESSOR_FILE
    if not path.exists() and nested.exists():
        return dict(_read(nested)["image_processor"])
    return _read(path)


def _from_tree(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Our fields out of a file that transformers, OpenGVLab or we have written."""
    size = tree["size"]
    fields: dict[str, Any] = {
        "size": size["height"] if isinstance(size, Mapping) else size,
        "image_mean": tree["image_mean"],
        "image_std": tree["image_std"],
        "num_image_tokens": tree["num_image_tokens"],
    }
    names = {
        "min_patches": "min_tiles",
        "max_patches": "max_tiles",
        "use_thumbnail": "thumbnail",
        "system_message": "system",
        "turn_start": "turn_start",
        "turn_end": "turn_end",
    }
    return fields | {ours: tree[theirs] for theirs, ours in names.items() if theirs in tree}


def _read(path: Path) -> dict[str, Any]:
    tree = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(tree, dict):
        raise TypeError("not a mapping")
    return tree
