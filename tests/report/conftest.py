"""What the tests of the page share: one finished run and its page."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

# Test files are imported by path, so the builder beside them must be made findable by name.
sys.path.append(str(Path(__file__).parent))

from report_run import FinishedRun, build_run


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """A run of about 600 listings that learned."""
    return build_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="session")
def page(finished_run: FinishedRun) -> str:
    """The page of that run, written where the run says."""
    return finished_run.write()
