"""A frozen tower whose outputs are all kept needs no room on the accelerator."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


def park(module: nn.Module) -> bool:
    """Move a frozen module to the CPU until it is called again; whether there was anything to gain.

    Whoever calls it finds it where it was: it comes back by itself, and stays.
    """
    device = next(module.parameters()).device
    if device.type == "cpu":
        return False
    module.to("cpu")
    # The hook takes itself away, so it must know its own handle.
    handles: list[Any] = []

    def come_back(_: nn.Module, __: Any) -> None:
        handles.pop().remove()
        module.to(device)

    handles.append(module.register_forward_pre_hook(come_back))
    torch.cuda.empty_cache()
    return True
