"""On what, in which number format and with which attention to compute."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache

import torch
from transformers import PreTrainedModel

from nameplate.errors import ModelError
from nameplate.models.step.allocator import keep_freed_memory
from nameplate.models.step.attention import SHORT, register_short_attention
from nameplate.models.step.shortweights import shorten_weights
from nameplate.recipe import Attention

SHORT_TOKENS = 512
"""Up to so many tokens attention by plain products trains faster on a CPU than torch's fused one."""


@cache
def compute_dtype() -> torch.dtype:
    """bfloat16 where matrix products in it are native (CUDA, or a CPU with AMX), float32 elsewhere.

    `torch.ops.mkldnn._is_mkldnn_bf16_supported()` is no guide: it also says yes to CPUs that emulate bfloat16 slowly.
    """
    if torch.cuda.is_available():
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    native = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return torch.bfloat16 if native is not None and native() else torch.float32


def frozen_dtype(stored: torch.dtype, *, learning: torch.dtype, computing: torch.dtype | None = None) -> torch.dtype:
    """Number format for weights that do not learn: bfloat16 only where that loses nothing.

    Args:
        stored: how the base is stored.
        learning: what learning weights shall be.
        computing: of matrix products; none: this machine's `compute_dtype`.

    Raises:
        ModelError: learning weights shall be bfloat16 and the base is not, so that its frozen parts would be rounded.
    """
    if learning == torch.bfloat16 and stored != torch.bfloat16:
        raise ModelError(
            "train.memory.weights",
            found=f"bfloat16, but the base is stored in {stored}, and its frozen parts would be rounded",
            fix="set it to float32, or give a base that is stored in bfloat16",
        )
    short = stored == torch.bfloat16 and torch.bfloat16 in (computing or compute_dtype(), learning)
    return torch.bfloat16 if short else torch.float32


def best_device() -> torch.device:
    """The accelerator if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def autocast(device: torch.device) -> AbstractContextManager[object]:
    """Matrix products in `compute_dtype`; sums, norms and trained weights stay as they are."""
    dtype = compute_dtype()
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=dtype == torch.bfloat16)


def set_training_attention(model: PreTrainedModel, wanted: Attention = "auto", *, longest: int) -> None:
    """Choose the attention that trains fastest, given the longest sequence of text or patches, or the one by name.

    On a CPU the backward pass of torch's fused attention costs more than plain products up to a few hundred tokens; our
    own does them in fewer passes than transformers' (docs/training-speed.md has the figures). Long sequences would need
    its memory.

    Raises:
        ModelError: the one by name is not there, or not for this model or device.
    """
    if wanted != "auto":
        _set_named_attention(model, wanted)
        return
    if model.device.type not in ("cpu", "meta") or longest > SHORT_TOKENS:
        return
    register_short_attention()
    model.set_attn_implementation(SHORT)
    if model.config._attn_implementation != SHORT:
        # A family whose attention is its own code has the plain one alone.
        model.set_attn_implementation("eager")


def _set_named_attention(model: PreTrainedModel, wanted: Attention) -> None:
    place, fix = "train.memory.attention", "set it to auto, or install what it needs"
    if wanted == "flex_attention" and model.device.type in ("cpu", "meta"):
        raise ModelError(place, found=wanted, expected="an accelerator: on a CPU it has no backward pass", fix=fix)
    try:
        model.set_attn_implementation(wanted)
    except (ImportError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ModelError(place, found=f"{wanted}, and transformers says: {reason}", fix=fix) from error
    others = {part.config._attn_implementation for part in model.modules() if isinstance(part, PreTrainedModel)} - {
        wanted
    }
    if others:
        found = f"{wanted}, but parts of this model compute their attention as {', '.join(sorted(map(str, others)))}"
        raise ModelError(place, found=found, fix="set it to auto")


def lighten_step(model: PreTrainedModel, *, computing: torch.dtype) -> None:
    """Once policies are applied: short copies of learning weights, and freed memory kept for the next step."""
    if computing == torch.bfloat16:
        shorten_weights(model, torch.bfloat16)
    if model.device.type == "cpu":
        keep_freed_memory()
