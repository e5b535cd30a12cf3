"""Low-rank adapters by PEFT, put on modules that are named one by one, and taken out again for saving."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import Linear as LoraLinear
from peft.tuners.lora import LoraLayer
from safetensors.torch import save_file
from torch import nn
from transformers import PreTrainedModel

from nameplate.models.quantise import original_weight
from nameplate.recipe import ComponentPolicy

ADAPTER = "default"


def graft(model: PreTrainedModel, targets: Mapping[str, ComponentPolicy]) -> LoraConfig:
    """Put an adapter on each named module and freeze every other parameter.

    Args:
        model: changed in place.
        targets: full module path -> the policy that gives rank and scale.
    """
    policies = list(targets.values())
    config = LoraConfig(
        r=policies[0].rank,
        lora_alpha=policies[0].alpha,
        lora_dropout=0.0,
        bias="none",
        target_modules=sorted(targets),
        rank_pattern={f"^{re.escape(path)}$": policy.rank for path, policy in targets.items()},
        alpha_pattern={f"^{re.escape(path)}$": policy.alpha for path, policy in targets.items()},
    )
    inject_adapter_in_model(config, model, adapter_name=ADAPTER)
    grafted = {path for path, _ in adapted_modules(model)}
    assert grafted == set(targets), f"adapters on {sorted(grafted ^ set(targets))[:3]} do not match what was asked"
    return config


def adapted_modules(model: nn.Module) -> Iterator[tuple[str, LoraLayer]]:
    """Modules that carry an adapter, with their paths."""
    for path, module in model.named_modules():
        if isinstance(module, LoraLayer):
            yield path, module


def adapter_parameters(model: nn.Module) -> dict[int, nn.Parameter]:
    """The adapters' own parameters, by identity."""
    found: dict[int, nn.Parameter] = {}
    for _, module in adapted_modules(model):
        for part in (module.lora_A, module.lora_B):
            found.update({id(parameter): parameter for parameter in part.parameters()})
    return found


def plain_state_dict(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """The model's weights with every adapter added in and nothing quantised, under the names of a plain model.

    The sum goes into a copy: merging in place and back would change the weights a little each time.
    """
    state = dict(model.state_dict())
    for path, module in adapted_modules(model):
        for key in [key for key in state if key.startswith(f"{path}.")]:
            del state[key]
        base = module.get_base_layer()
        assert isinstance(base, nn.Linear) and isinstance(module, LoraLinear)
        delta: torch.Tensor = module.get_delta_weight(ADAPTER)
        state[f"{path}.weight"] = base.weight.detach() + delta.detach()
        if base.bias is not None:
            state[f"{path}.bias"] = base.bias.detach()
    _restore_quantised(model, state)
    return state


def _restore_quantised(model: nn.Module, state: dict[str, torch.Tensor]) -> None:
    for path, module in model.named_modules():
        weight = original_weight(module)
        if weight is not None:
            for key in [key for key in state if key.startswith(f"{path}.") and key != f"{path}.bias"]:
                del state[key]
            state[f"{path}.weight"] = weight


def save_adapter(model: PreTrainedModel, config: LoraConfig, folder: Path, *, base: str) -> None:
    """Write the adapters alone, as PEFT's own folder: `PeftModel.from_pretrained(base, folder)` reads it."""
    folder.mkdir(parents=True)
    tensors = {}
    for path, module in adapted_modules(model):
        for part in ("lora_A", "lora_B"):
            weight = getattr(module, part)[ADAPTER].weight
            tensors[f"base_model.model.{path}.{part}.weight"] = weight.detach().cpu().contiguous()
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    config.base_model_name_or_path = base
    config.save_pretrained(str(folder))
