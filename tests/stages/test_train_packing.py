"""Examples that share rows, through the whole training stage: the same losses, weights and answers, of fewer tokens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.models.tiny_run import write_tiny_run
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook
from transformers.models.qwen2.modeling_qwen2 import Qwen2DecoderLayer

from nameplate.recipe import ScoreSection, TrainSection
from nameplate.store.fingerprint import folder_fingerprint

from . import scored_run
from .kill_points import StopAfter
from .listening import Listener
from .scored_run import score

FULL: Mapping[str, object] = {"mode": "full", "lr": 1e-3}
FROZEN: Mapping[str, object] = {"mode": "frozen"}
LORA: Mapping[str, object] = {"mode": "lora", "lr": 1e-2, "rank": 4}
EVERYTHING: Mapping[str, object] = {"vision": FULL, "projector": FULL, "language": FULL}
ODD: Mapping[str, object] = {"augment": "careful", "weighting": "sample", "name_weight": 2.0}
"""Each image and each token otherwise, by row and epoch."""

LENGTHS = 9
"""Of captions: many, so that name questions fit beside the short ones."""

pytestmark = pytest.mark.usefixtures("one_thread", "single_precision")
train = partial(scored_run.train, asking=ScoreSection(max_new_tokens=6))


def section(packing: str, *, prefix: str = "off", **changes: object) -> TrainSection:
    """Half captions, half name questions."""
    values: dict[str, object] = {
        **EVERYTHING,
        "epochs": 3,
        "checkpoint_every_epochs": 3,
        "batch_size": 6,
        "memory": {"micro_batch_size": 6, "packing": packing, "prefix": prefix},
    }
    return TrainSection.model_validate(values | changes)


class Watched:
    """A training of its own: what it gave, whether it said that it packs, and what its language model read.

    `shapes`: rows and tokens of a row, of each forward pass with gradients.
    """

    def __init__(self, root: Path, base: Path, wanted: TrainSection) -> None:
        self.run, said = write_tiny_run(root, lengths=LENGTHS), Listener()
        with _watching_shapes() as self.shapes:
            self.summary = train(self.run, base, wanted, said)
        self.packed = bool(said.about("short examples share rows"))
        self.losses = [loss for _, loss in self.summary.losses]
        self.num_tokens = sum(rows * length for rows, length in self.shapes)

    @property
    def weights(self) -> dict[str, torch.Tensor]:
        """Of the last checkpoint."""
        return load_file(self.run.checkpoints / "epoch-03" / "model.safetensors")


@contextmanager
def _watching_shapes() -> Iterator[list[tuple[int, int]]]:
    shapes: list[tuple[int, int]] = []

    def note(module: nn.Module, arguments: tuple[Any, ...]) -> None:
        if isinstance(module, Qwen2DecoderLayer) and module.self_attn.layer_idx == 0 and torch.is_grad_enabled():
            rows, length, _ = arguments[0].shape
            shapes.append((rows, length))

    hook = register_module_forward_pre_hook(note)
    try:
        yield shapes
    finally:
        hook.remove()


POLICIES: Mapping[str, Mapping[str, object]] = {
    "everything, other images and weights": {**EVERYTHING, "examples": ODD},
    "language by lora": {"vision": FROZEN, "projector": FULL, "language": LORA},
    "language frozen": {"vision": FULL, "projector": FULL, "language": FROZEN},
}


@pytest.mark.parametrize("policies", POLICIES.values(), ids=POLICIES)
def test_losses_and_weights_are_those_of_rows_of_their_own(
    policies: Mapping[str, object], tmp_path: Path, base: Path
) -> None:
    """Measured worst differences: 1.4e-7 of a loss, 6e-8 of a weight; steps move weights by 1e-3."""
    alone, packed, chosen = (
        Watched(tmp_path / packing, base, section(packing, **policies)) for packing in ("off", "on", "auto")
    )
    assert packed.num_tokens < 0.85 * alone.num_tokens
    assert len(packed.shapes) == len(alone.shapes)
    assert sum(rows for rows, _ in packed.shapes) < sum(rows for rows, _ in alone.shapes)
    assert packed.losses == pytest.approx(alone.losses, rel=1e-6)
    start = load_file(base / "model.safetensors")
    for name, weight in alone.weights.items():
        torch.testing.assert_close(packed.weights[name], weight, rtol=0, atol=1e-6, msg=name)
    assert max(float((weight - start[name]).abs().max()) for name, weight in packed.weights.items()) > 1e-3
    # What it does by itself is no third way.
    assert chosen.shapes == packed.shapes
    assert (alone.packed, packed.packed, chosen.packed) == (False, True, True)
    assert chosen.losses == packed.losses


def test_by_itself_it_leaves_examples_alone_that_are_equally_long(tmp_path: Path, base: Path) -> None:
    names = {"examples": {"name_question_share": 1.0}, "epochs": 1}
    alone, chosen = (Watched(tmp_path / packing, base, section(packing, **names)) for packing in ("off", "auto"))
    assert not chosen.packed
    assert chosen.shapes == alone.shapes
    assert chosen.losses == alone.losses


@pytest.mark.parametrize("level", ["tiles", "vision", "projected"])
def test_what_was_computed_before_finds_its_example_in_a_row(level: str, tmp_path: Path, base: Path) -> None:
    """Images of a packed batch stand in the order of its rows, whatever of them was kept."""
    policies = {"vision": FULL} if level == "tiles" else {"vision": FROZEN}
    policies |= {"projector": FROZEN if level == "projected" else FULL, "language": LORA}
    pixels, kept = (
        Watched(tmp_path / prefix, base, section(packing, prefix=prefix, **policies))
        for packing, prefix in (("off", "off"), ("on", level))
    )
    assert kept.num_tokens < pixels.num_tokens
    assert kept.losses == pytest.approx(pixels.losses, rel=1e-6)


def test_an_interruption_changes_nothing(tmp_path: Path, base: Path) -> None:
    wanted = section("on", checkpoint_every_epochs=1, examples=ODD)
    whole = Watched(tmp_path / "whole", base, wanted)
    run = write_tiny_run(tmp_path / "interrupted", lengths=LENGTHS)
    with pytest.raises(KeyboardInterrupt):
        train(run, base, wanted, StopAfter(3))
    with _watching_shapes() as shapes:
        assert train(run, base, wanted).losses == whole.summary.losses
    # Of six steps two were not done again.
    assert shapes[-4:] == whole.shapes[-4:]
    one, other = (folder_fingerprint(each.checkpoints / "epoch-03", "*.safetensors") for each in (whole.run, run))
    assert one == other


def test_validation_finds_the_same(tmp_path: Path, base: Path) -> None:
    """Names while it trains, and the losses that scoring finds afterwards."""
    alone, packed = (
        Watched(tmp_path / packing, base, section(packing, keep="best_and_last")) for packing in ("off", "on")
    )
    assert packed.num_tokens < alone.num_tokens
    assert packed.summary.validation == alone.summary.validation
    losses = [
        {each.name: each.loss["validation"] for each in score(run, base).checkpoints} for run in (alone.run, packed.run)
    ]
    assert len(losses[0]) > 1
    assert losses[1] == pytest.approx(losses[0], rel=1e-6)
