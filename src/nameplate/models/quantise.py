"""The layers of a frozen language model in 8 or 4 bits. Gradients pass through them; they themselves never change."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import nn

from nameplate.errors import ModelError

Kind = Literal["int8", "nf4"]

_ORIGINAL = "nameplate_original"


def quantise_linears(model: nn.Module, linears: Mapping[str, nn.Linear], *, kind: Kind) -> None:
    """Put a quantised module in the place of each linear one, by bitsandbytes.

    The original weights stay in the host's memory, so that a checkpoint holds them as they were.

    Args:
        model: changed in place, on the device that it will train on.
        linears: frozen modules by full path.
        kind: int8 (LLM.int8(), arXiv 2208.07339) or nf4 (QLoRA's 4 bits, arXiv 2305.14314).

    Raises:
        ModelError: bitsandbytes is not installed.
    """
    if importlib.util.find_spec("bitsandbytes") is None:
        raise ModelError(
            f"train.memory.quantise: {kind}",
            found="bitsandbytes is not installed",
            fix="pip install 'nameplate[quantise]', or leave quantise out",
        )
    # It says for every call that 8-bit products take float16 inputs; the docs say it once.
    logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
    for path, linear in linears.items():
        holder, _, name = path.rpartition(".")
        setattr(model.get_submodule(holder), name, _quantised(linear, kind))


def original_weight(module: nn.Module) -> torch.Tensor | None:
    """What a quantised module's weight was; none: the module is not quantised."""
    kept = module.__dict__.get(_ORIGINAL)
    return kept if isinstance(kept, torch.Tensor) else None


def num_weights(parameter: nn.Parameter) -> int:
    """How many numbers a parameter stands for; packed ones count as what they were."""
    state = getattr(parameter, "quant_state", None)
    return int(torch.Size(state.shape).numel()) if state is not None else parameter.numel()


def _quantised(linear: nn.Linear, kind: Kind) -> nn.Module:
    import bitsandbytes

    library: Any = bitsandbytes.nn
    weight = linear.weight.detach()
    shape = (linear.in_features, linear.out_features)
    module: nn.Module
    if kind == "int8":
        module = library.Linear8bitLt(*shape, bias=linear.bias is not None, has_fp16_weights=False)
        parameter = library.Int8Params(weight.cpu().clone(), requires_grad=False, has_fp16_weights=False)
    else:
        module = library.Linear4bit(*shape, bias=linear.bias is not None, quant_type="nf4", compute_dtype=weight.dtype)
        parameter = library.Params4bit(weight.cpu().clone(), requires_grad=False, quant_type="nf4", module=module)
    module.weight = parameter
    if linear.bias is not None:
        module.bias = linear.bias
    module.to(weight.device)  # this is what quantises
    module.__dict__[_ORIGINAL] = weight.cpu()
    return module
