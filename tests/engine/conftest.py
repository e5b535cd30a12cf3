"""One Ray for all tests of this folder: it is started once, by the first test that runs a shard on it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nameplate.engine import Engine, LocalEngine


@pytest.fixture(scope="session")
def ray_engine() -> Iterator[Engine]:
    from nameplate.engine.ray import RayEngine

    with pytest.MonkeyPatch.context() as patch:
        # Ray makes its workers nice, so on a machine with other work they would hardly run.
        patch.setenv("RAY_worker_niceness", "0")
        # So that workers find the stages of these tests for drivers elsewhere, too.
        patch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, sys.path)]))
        with RayEngine(num_cpus=3) as engine:
            yield engine


@pytest.fixture(params=["local", "ray"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each test that asks for this runs on both."""
    if request.param == "local":
        return LocalEngine()
    on_ray: Engine = request.getfixturevalue("ray_engine")
    return on_ray
