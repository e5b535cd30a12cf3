"""What decides a kept value besides the image or example: two equal identities mean equal values."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

import PIL
import torch
import transformers
from torch import nn
from transformers import PreTrainedModel

from nameplate.models.components import Components, partition
from nameplate.models.images import ImageKey
from nameplate.models.prefix.levels import Verdict
from nameplate.models.processing import Encoded, Processor
from nameplate.recipe.training import PrefixLevel
from nameplate.records import ComponentName
from nameplate.store.fingerprint import fingerprint

VERSION: Final = 1
"""Of the code that computes: raised when it computes otherwise."""

_PATHS: Final[dict[PrefixLevel, tuple[ComponentName, ...]]] = {
    "tiles": (),
    "vision": ("vision",),
    "projected": ("vision", "projector"),
    "hidden": ("vision", "projector"),
}


def space_facts(model: PreTrainedModel, processor: Processor, verdict: Verdict, *, mixed: bool) -> dict[str, str]:
    """Everything that decides the values of a level, by name; what tiles are does not depend on the model.

    Args:
        model: that computes.
        processor: that prepares images.
        verdict: which level.
        mixed: whether it is computed under autocast.
    """
    facts = {
        "version": str(VERSION),
        "level": verdict.level,
        "preprocessing": processor.fingerprint,
        "pillow": PIL.__version__,
    }
    if verdict.level == "tiles":
        return facts
    modules = list(_modules(partition(model), verdict))
    return facts | {
        "layers": str(verdict.num_layers),
        "weights": weights_of(modules),
        "attention": str(sorted({_attention(each) for module in modules for each in module.modules()} - {""})),
        "computed": "bfloat16 by autocast" if mixed else "as the weights are",
        "device": model.device.type,
        "family": model.config.model_type,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


def example_key(image: ImageKey, encoded: Encoded) -> str:
    """Of an example with all its tokens, whose hidden states depend on all that stands left of them."""
    return fingerprint(
        image.sha256, list(encoded.input_ids), {name: list(each) for name, each in encoded.kinds.items()}
    )


def weights_of(modules: Iterable[nn.Module]) -> str:
    """SHA-256 (hex) over names, kinds and bytes of all parameters and buffers of modules."""
    digest = hashlib.sha256()
    for module in modules:
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
            digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _modules(components: Components, verdict: Verdict) -> Iterable[nn.Module]:
    for name in _PATHS[verdict.level]:
        yield from components[name].roots.values()
    if verdict.level == "hidden":
        language = components["language"]
        for root in language.roots.values():
            yield from (each for each in root.modules() if isinstance(each, nn.Embedding))
        yield from language.layers[: verdict.num_layers]


def _attention(module: nn.Module) -> str:
    config = getattr(module, "config", None)
    return str(getattr(config, "_attn_implementation", None) or "")
