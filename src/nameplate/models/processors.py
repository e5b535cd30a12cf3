"""The right processor for a model folder."""

from __future__ import annotations

from pathlib import Path

from transformers import Qwen2Config

from nameplate.models.autoprocessing import AutoProcessing
from nameplate.models.contract import read_contract
from nameplate.models.internvl.config import is_original
from nameplate.models.internvl.conversation import original_contract
from nameplate.models.internvl.processing import InternVLProcessor
from nameplate.models.locate import read_config
from nameplate.models.processing import Processor
from nameplate.models.tokenizer import load_tokenizer


def load_processor(folder: Path, *, max_tiles: int | None = None) -> Processor:
    """The processor of a model folder: our own for InternVL in either layout, transformers' for other families.

    Args:
        folder: of the model.
        max_tiles: most tiles per image; none: as the folder says.

    Raises:
        ModelError: a file is missing or malformed, or the family does not cut images into so many tiles.
    """
    # A folder of a processor alone is InternVL's, and needs no configuration.
    tree = read_config(folder) if (folder / "config.json").exists() else {"model_type": "internvl"}
    if is_original(tree):
        tokenizer = load_tokenizer(folder, config=Qwen2Config())
        return InternVLProcessor(tokenizer, original_contract(tree, folder).limited(max_tiles))
    if tree.get("model_type") == "internvl":
        return InternVLProcessor(load_tokenizer(folder), read_contract(folder).limited(max_tiles))
    return AutoProcessing.from_folder(folder, tree, max_tiles=max_tiles)
