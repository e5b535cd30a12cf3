"""What stops a training: numbers that are none, and a loss that goes up and stays there."""

from __future__ import annotations

import pytest
import torch

from nameplate.errors import TrainingError
from nameplate.stages.train.divergence import WINDOW, Divergence
from nameplate.stages.train.losses import LossLog


def astray(losses: list[float]) -> list[int]:
    watch = Divergence()
    return [place for place, loss in enumerate(losses) if watch.add(loss) is not None]


def test_a_spike_that_passes_is_no_divergence() -> None:
    calm = [0.5] * 2 * WINDOW
    assert not astray(calm + [9.0] * (WINDOW // 2 - 1) + calm)


@pytest.mark.parametrize(("before", "after"), [(0.05, 1.2), (2.0, 4.5), (0.5, 9.0)])
def test_a_loss_that_stays_up_is_one(before: float, after: float) -> None:
    found = astray([before] * WINDOW + [after] * WINDOW)
    assert found
    assert WINDOW + WINDOW // 2 - 1 <= found[0] <= WINDOW + WINDOW // 2 + 1


@pytest.mark.parametrize(("before", "after"), [(0.05, 1.0), (2.0, 3.9), (11.0, 12.5)])
def test_a_level_that_moves_a_little_is_none(before: float, after: float) -> None:
    assert not astray([before] * WINDOW + [after] * 3 * WINDOW)


def test_divergence_stops_with_epoch_step_and_rows_even_across_a_resume() -> None:
    calm = [((step + 1) / 40, 0.5) for step in range(WINDOW)]
    log = LossLog(("a", "b"), steps_per_epoch=40, logged=calm, flush_steps=1)
    with pytest.raises(
        TrainingError, match=r"train epoch 2 step \d+: the loss has gone up to .* and was 0.5 before, last on rows b"
    ):
        for _ in range(WINDOW):
            log.add(torch.tensor(8.0), torch.tensor(1), torch.tensor([1]))
            log.end_step()


def test_gradient_that_is_no_number_names_its_own_step() -> None:
    log = LossLog(("a", "b", "c"), steps_per_epoch=10, logged=[], flush_steps=2)
    for norm, row in ((1.0, 0), (float("inf"), 2)):
        log.add(torch.tensor(1.0), torch.tensor(1), torch.tensor([row]))
        log.add_norm(torch.tensor(norm))
        if row == 0:
            log.end_step()
    with pytest.raises(TrainingError, match=r"train epoch 1 step 2: the norm of the gradient is inf on rows c"):
        log.end_step()
