"""The probe: before a model is trained, what its parts can tell apart already is laid beside what it says.

Not a stage of a run: nothing follows from it but a person's decision. `run_probe` is the way in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nameplate.stages.probe.results import ProbeChoices, ProbeSummary, read_probe

if TYPE_CHECKING:
    from nameplate.stages.probe.probe import run_probe

__all__ = ["ProbeChoices", "ProbeSummary", "read_probe", "run_probe"]


def __getattr__(name: str) -> Any:
    # Reading what a probe found must not import torch, which takes seconds.
    if name == "run_probe":
        from nameplate.stages.probe.probe import run_probe

        return run_probe
    raise AttributeError(name)
