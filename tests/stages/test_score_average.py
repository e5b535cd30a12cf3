"""The average of the last checkpoints is one more candidate, made by scoring."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from nameplate.errors import InputError
from nameplate.store.rundir import RunDirectory

from .scored_run import score, write_trained_run

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, base: Path) -> RunDirectory:
    """Three checkpoints of adapters, merged as they are saved."""
    root = tmp_path_factory.mktemp("run") / "one"
    lora = {"mode": "lora", "lr": 1e-2, "rank": 4}
    return write_trained_run(
        root, base, vision={"mode": "frozen"}, language=lora, examples={}, epochs=3, checkpoint_every_epochs=1
    )


def test_average_stands_last_among_the_candidates_and_is_asked_like_them(trained: RunDirectory, base: Path) -> None:
    summary = score(trained, base, average_last=2)
    assert [each.name for each in summary.checkpoints] == ["base", "epoch-01", "epoch-02", "epoch-03", "average-2"]
    last = summary.checkpoints[-1]
    assert (last.epoch, last.train_loss) == (3, None)
    assert last.metrics["validation"]["name"].accuracy.n == 16
    weights = [load_file(trained.checkpoints / name / "model.safetensors") for name in ("epoch-02", "epoch-03")]
    merged = [name for name in weights[0] if not torch.equal(weights[0][name], weights[1][name])]
    assert any("language_model" in name for name in merged)
    found = load_file(trained.checkpoints / "average-2" / "model.safetensors")
    for name in found:
        torch.testing.assert_close(found[name], (weights[0][name] + weights[1][name]) / 2)


def test_only_the_average_that_the_recipe_asks_for_is_scored(trained: RunDirectory, base: Path) -> None:
    score(trained, base, average_last=2)
    assert [each.name for each in score(trained, base, average_last=3).checkpoints][-2:] == ["epoch-03", "average-3"]
    assert score(trained, base).checkpoints[-1].name == "epoch-03"


def test_fewer_checkpoints_than_are_to_be_averaged_are_refused(trained: RunDirectory, base: Path) -> None:
    with pytest.raises(InputError, match=r"score\.average_last: 5 checkpoints to average, and there are 3; "):
        score(trained, base, average_last=5)
