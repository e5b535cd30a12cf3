"""What a training would train, said from configuration and file headers alone: the weights are not read."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from transformers import AutoModelForImageTextToText, PreTrainedModel

from nameplate.models.components import check_family
from nameplate.models.internvl.config import is_original, says_tied, to_native_config
from nameplate.models.load import read_native_config
from nameplate.models.locate import find_model, read_config
from nameplate.models.parts import component_rows
from nameplate.models.policy import AppliedPolicies
from nameplate.models.preparing import prepare_model
from nameplate.models.weights import WeightFiles
from nameplate.recipe import TrainSection
from nameplate.summary import ComponentRow

_HEADS: Final = ("lm_head.weight", "language_model.output.weight")
_STATED: Final = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class Blueprint(NamedTuple):
    """A model on the meta device: shapes and no values."""

    model: PreTrainedModel
    folder: Path
    stored: torch.dtype
    """Number format of its files, by their headers; without files, by `config.json`."""
    has_weights: bool


def planned_parts(base: str, section: TrainSection) -> list[ComponentRow]:
    """The table of parts that training would show. Quantisation is left out: it needs the weights.

    Args:
        base: "starter", a local folder, or a Hub id.
        section: the policies.

    Raises:
        ModelError: the base is not there or of an unknown family, or a policy does not fit it.
    """
    return component_rows(with_policies(draw(find_model(base)), section))


def draw(folder: Path, *, image_token_id: int = 0) -> Blueprint:
    """The model of a folder without its values; the folder may lack weights.

    Args:
        folder: of the model.
        image_token_id: for a configuration in InternVL's original layout, which does not say it.

    Raises:
        ModelError: it is of an unknown family, or its configuration is malformed.
    """
    # An index may have been downloaded without what it names.
    files = WeightFiles(folder) if any(folder.glob("*.safetensors")) else None
    tree, where = read_config(folder), str(folder)
    stored = files.dtype() if files is not None else _stated_dtype(tree)
    if is_original(tree):
        tied = _is_tied(tree, files)
        config: Any = to_native_config(tree, image_token_id=image_token_id, tied=tied, where=where)
    else:
        check_family(tree.get("model_type"), where=where)
        config = read_native_config(folder)
        if _has_head(files) and getattr(config, "tie_word_embeddings", False):
            config.tie_word_embeddings = False
    builder: Any = AutoModelForImageTextToText
    with torch.device("meta"):
        model: PreTrainedModel = builder.from_config(config, dtype=stored)
    return Blueprint(model, folder, stored, files is not None)


def with_policies(
    blueprint: Blueprint, section: TrainSection, *, longest: int | None = None, computing: torch.dtype | None = None
) -> AppliedPolicies:
    """Prepare a model without values as training would the model itself; not quantised, which needs values.

    Args:
        blueprint: changed in place.
        section: of the recipe.
        longest: as for `prepare_model`.
        computing: the same.

    Raises:
        ModelError: a policy does not fit the model.
    """
    plain = section.model_copy(update={"memory": section.memory.model_copy(update={"quantise": None})})
    return prepare_model(blueprint.model, plain, stored=blueprint.stored, longest=longest, computing=computing)


def _has_head(files: WeightFiles | None) -> bool:
    return files is not None and any(name.endswith(_HEADS) for name in files.shapes)


def _is_tied(tree: dict[str, Any], files: WeightFiles | None) -> bool:
    # A stored head is a head of its own, whatever the configuration says: the default there is "tied". Without files
    # only a plain statement counts, so that a plan rather asks for too much memory than for too little.
    if files is None:
        return says_tied(tree) is True
    return not _has_head(files) and says_tied(tree) is not False


def _stated_dtype(tree: dict[str, Any]) -> torch.dtype:
    language = tree.get("llm_config") or tree.get("text_config") or {}
    said = [level.get(name) for level in (tree, language) for name in ("dtype", "torch_dtype")]
    return next((_STATED[each] for each in said if each in _STATED), torch.float32)
