"""The audit: before a model is trained on captions, what it says by itself is laid beside them.

Not a stage of a run: nothing follows from it but a person's decision. `run_audit` is the way in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nameplate.stages.audit.results import AuditChoices, AuditSummary, read_audit

if TYPE_CHECKING:
    from nameplate.stages.audit.audit import run_audit

__all__ = ["AuditChoices", "AuditSummary", "read_audit", "run_audit"]


def __getattr__(name: str) -> Any:
    # Reading what an audit found must not import torch, which takes seconds.
    if name == "run_audit":
        from nameplate.stages.audit.audit import run_audit

        return run_audit
    raise AttributeError(name)
