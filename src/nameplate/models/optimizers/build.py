"""The optimizer that a recipe names, or a clear refusal."""

from __future__ import annotations

import importlib.util
from typing import Any, Final

import torch

from nameplate.errors import ModelError
from nameplate.models.groups import hidden_matrices, parameter_groups
from nameplate.models.optimizers.apollo import Apollo
from nameplate.models.optimizers.paired import Paired
from nameplate.models.policy import AppliedPolicies
from nameplate.recipe import OptimizerSection

APOLLO_RANK: Final = 256
"""Where the recipe says none: the authors' choice for models of 1 to 7 billion parameters."""
MUON_MOMENTUM: Final = 0.95

_Groups = list[dict[str, Any]]


def check_optimizer(section: OptimizerSection) -> None:
    """Refuse what is not installed. Cheap: nothing is imported.

    Raises:
        ModelError: 8-bit moments without bitsandbytes.
    """
    if section.name == "adamw_8bit" and importlib.util.find_spec("bitsandbytes") is None:
        raise ModelError(
            "train.optimizer.name: adamw_8bit",
            found="bitsandbytes is not installed",
            fix="pip install 'nameplate[quantise]', or set it to adamw or apollo",
        )


def build_optimizer(section: OptimizerSection, applied: AppliedPolicies, *, seed: int = 0) -> torch.optim.Optimizer:
    """The optimizer over everything that learns, each component at its own rates.

    apollo, apollo_mini and muon are for the matrices of linear modules inside the model, in every component; what else
    learns (embeddings, head, patch convolution, adapters, vectors) has AdamW, at the same rates.

    Raises:
        ModelError: a library is not installed, or no such matrix learns.
    """
    check_optimizer(section)
    groups = parameter_groups(applied)
    if section.name == "adamw":
        return _adamw(section, groups)
    if section.name == "adamw_8bit":
        return _adamw_8bit(section, groups)
    matrices, rest = _parted(groups, applied)
    if not matrices:
        raise ModelError(
            f"train.optimizer.name: {section.name}",
            found="no matrix of a linear module learns, and it is for these alone",
            fix="set it to adamw, or set the mode of a component to full, last or layers",
        )
    first = _muon(matrices) if section.name == "muon" else _apollo(section, matrices, seed=seed)
    return Paired(first, _adamw(section, rest)) if rest else first


def _adamw(section: OptimizerSection, groups: _Groups) -> torch.optim.Optimizer:
    return torch.optim.AdamW(groups, betas=section.betas, eps=section.epsilon, fused=True)


def _adamw_8bit(section: OptimizerSection, groups: _Groups) -> torch.optim.Optimizer:
    import bitsandbytes

    library: Any = bitsandbytes.optim
    optimizer: torch.optim.Optimizer = library.AdamW8bit(groups, betas=section.betas, eps=section.epsilon)
    return optimizer


def _apollo(section: OptimizerSection, groups: _Groups, *, seed: int) -> torch.optim.Optimizer:
    mini = section.name == "apollo_mini"
    return Apollo(
        groups,
        betas=section.betas,
        eps=section.epsilon,
        rank=1 if mini else section.rank or APOLLO_RANK,
        update_interval=section.update_interval,
        per="tensor" if mini else "channel",
        seed=seed,
    )


def _muon(groups: _Groups) -> torch.optim.Optimizer:
    # Steps of the root mean square of AdamW's, so that one learning rate fits both (arXiv 2502.16982, 2.2).
    return torch.optim.Muon(groups, momentum=MUON_MOMENTUM, adjust_lr_fn="match_rms_adamw")


def _parted(groups: _Groups, applied: AppliedPolicies) -> tuple[_Groups, _Groups]:
    """Each group's hidden matrices, and what else is in it."""
    hidden = hidden_matrices(applied)
    matrices: _Groups = []
    rest: _Groups = []
    for group in groups:
        for chosen, parts in ((True, matrices), (False, rest)):
            parameters = [each for each in group["params"] if (id(each) in hidden) == chosen]
            if parameters:
                parts.append({**group, "params": parameters})
    return matrices, rest
