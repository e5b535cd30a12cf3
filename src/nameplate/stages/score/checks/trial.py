"""The checks that need the model itself, on one small sample. What they found is kept: it holds for these weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from nameplate.models.firstlogits import first_logits
from nameplate.stages.score.checks.batching import answers_together, check_batching
from nameplate.stages.score.checks.canary import digest_of
from nameplate.stages.score.checks.sample import Sample
from nameplate.stages.score.checks.sight import check_sight
from nameplate.summary import SelfCheck


class Trial(NamedTuple):
    """What one model's sample showed."""

    checks: list[SelfCheck]
    canary: str
    """Of its logits."""

    def to_json(self) -> dict[str, Any]:
        """For the journal."""
        return {"checks": [check.model_dump(mode="json") for check in self.checks], "canary": self.canary}

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> Trial:
        """What `to_json` wrote."""
        return cls([SelfCheck.model_validate(check) for check in tree["checks"]], tree["canary"])


def run_trial(sample: Sample) -> Trial:
    """Check one model.

    Raises:
        ModelError: it answers otherwise in a batch than alone, or does not see the image.
    """
    logits = first_logits(sample.loaded, sample.seen, sample.prompts)
    together = answers_together(sample)
    return Trial([check_batching(sample, together), check_sight(sample, logits, together)], digest_of(logits))
