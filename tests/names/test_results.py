"""Verdicts on disk say by which names and rules they were given."""

from __future__ import annotations

import json

from tests.conftest import QuickDemo

from nameplate.names import Matcher, Registry
from nameplate.store.rundir import RunDirectory


def test_clean_and_score_keep_the_fingerprint_of_what_judged(quick_demo: QuickDemo) -> None:
    run = RunDirectory(quick_demo.folder / "runs" / "language-lora")
    registry = Registry.from_json(run.registry_path.read_text(encoding="utf-8"))
    expected = Matcher(registry).fingerprint
    assert run.manifest.stages["ingest"].details["registry"] == registry.fingerprint
    assert run.manifest.stages["clean"].details["matcher"] == expected
    assert json.loads((run.folder("score") / "scores.json").read_text(encoding="utf-8"))["matcher"] == expected
