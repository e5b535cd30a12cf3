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


def set_training_attention(model: PreTrainedModel, *, longest: int) -> None:
    """Choose the attention that trains fastest, given the longest sequence of text or patches.

    On a CPU the backward pass of torch's fused attention costs more than plain products up to a few hundred tokens; our
    own does them in fewer passes than transformers' (docs/training-speed.md has the figures). Long sequences would need
    its memory.
    """
    if model.device.type != "cpu" or longest > SHORT_TOKENS:
        return
    register_short_attention()
    model.set_attn_implementation(SHORT)
    if model.config._attn_implementation != SHORT:
        # A family whose attention is its own code has the plain one alone.
        model.set_attn_implementation("eager")


def lighten_step(model: PreTrainedModel) -> None:
    """Once policies are applied: short copies of learning weights, and freed memory kept for the next step."""
    if compute_dtype() == torch.bfloat16:
        shorten_weights(model, torch.bfloat16)
    if model.device.type == "cpu":
        keep_freed_memory()
