"""What a training would train, said from configuration and file headers alone: the weights are not read."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import torch
from transformers import AutoConfig, AutoModelForImageTextToText, PreTrainedModel

from nameplate.models.components import check_family
from nameplate.models.internvl.config import is_original, says_tied, to_native_config
from nameplate.models.load import stored_dtype
from nameplate.models.locate import find_model, read_config
from nameplate.models.parts import component_rows
from nameplate.models.policy import apply_policies
from nameplate.models.precision import frozen_dtype
from nameplate.models.weights import WeightFiles
from nameplate.recipe import TrainSection
from nameplate.summary import ComponentRow

_HEADS: Final = ("lm_head.weight", "language_model.output.weight")


def planned_parts(base: str, section: TrainSection) -> list[ComponentRow]:
    """The table of parts that training would show. Quantisation is left out: it needs the weights.

    Args:
        base: "starter", a local folder, or a Hub id.
        section: the policies.

    Raises:
        ModelError: the base is not there or of an unknown family, or a policy does not fit it.
    """
    folder = find_model(base)
    stored = stored_dtype(folder)
    model = _without_weights(folder, dtype=stored)
    dtype = frozen_dtype(stored, learning=getattr(torch, section.memory.weights))
    plain = section.memory.model_copy(update={"quantise": None})
    return component_rows(apply_policies(model, section.policies(), frozen_dtype=dtype, memory=plain))


def _without_weights(folder: Path, *, dtype: torch.dtype) -> PreTrainedModel:
    tree, where = read_config(folder), str(folder)
    # A stored head is a head of its own, whatever the configuration says: the default there is "tied".
    has_head = any(name.endswith(_HEADS) for name in WeightFiles(folder).shapes)
    if is_original(tree):
        tied = not has_head and says_tied(tree) is not False
        config: Any = to_native_config(tree, image_token_id=0, tied=tied, where=where)
    else:
        check_family(tree.get("model_type"), where=where)
        config = AutoConfig.from_pretrained(where, local_files_only=True, trust_remote_code=False)
        if has_head and getattr(config, "tie_word_embeddings", False):
            config.tie_word_embeddings = False
    builder: Any = AutoModelForImageTextToText
    with torch.device("meta"):
        model: PreTrainedModel = builder.from_config(config, dtype=dtype)
    return model
