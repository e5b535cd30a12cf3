"""Shares of given answers: those of the models' own likelihoods, whatever the batch."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from PIL import Image
from tests.models.tiny_model import write_tiny_model

from nameplate.models import closedset
from nameplate.models.batches import collate, loss_sum
from nameplate.models.closedset import answer_log_likelihoods, answer_shares
from nameplate.models.features import vision_features
from nameplate.models.imagebatch import ImageBatch
from nameplate.models.load import LoadedModel, load_model

PROMPT = "Which brand is this product?"
ANSWERS = ["Acme", "Z\u00ebta Group", "Acme Sport", "mug", "<|im_end|>x"]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    """Several tiles per image, so that questions differ in length; larger weights, so that answers do."""
    found = load_model(str(write_tiny_model(tmp_path_factory.mktemp("tiny"), tie=False)), max_tiles=4)
    with torch.no_grad():
        for parameter in found.model.parameters():
            if parameter.ndim >= 2:
                parameter.mul_(4)
    return found


@pytest.fixture(scope="module")
def seen(loaded: LoadedModel) -> ImageBatch:
    pictures = [Image.effect_noise(size, 90).convert("RGB") for size in ((32, 32), (96, 32), (64, 64))]
    processor = loaded.processor
    images = vision_features(loaded.model, processor.batch([processor.prepare(each) for each in pictures]))
    lengths = {len(processor.encode(PROMPT, size=size).input_ids) for size in images.sizes}
    assert len(lengths) == 3
    return images


def of_losses(loaded: LoadedModel, seen: ImageBatch) -> torch.Tensor:
    """One image and one answer at a time, without a cache."""
    rows = []
    for place, size in enumerate(seen.sizes):
        encoded = [loaded.processor.encode(PROMPT, answer, size=size) for answer in ANSWERS]
        batches = [collate([each], loaded.processor.pad_id) | seen.pick([place]).merged() for each in encoded]
        with torch.inference_mode():
            rows.append([-float(loss_sum(loaded.model, batch)) for batch in batches])
    return torch.tensor(rows).softmax(dim=1)


@pytest.mark.parametrize(("tree_tokens", "tokens_at_once", "logits"), [(1, 1, 1), (6, 12, 1000), (128, 2048, 1 << 24)])
def test_shares_are_those_of_the_losses(
    loaded: LoadedModel,
    seen: ImageBatch,
    tree_tokens: int,
    tokens_at_once: int,
    logits: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever is read at once: one answer about one image, a few, or all."""
    monkeypatch.setattr(closedset, "autocast", lambda _: nullcontext())
    monkeypatch.setattr(closedset, "TREE_TOKENS", tree_tokens)
    monkeypatch.setattr(closedset, "TOKENS_AT_ONCE", tokens_at_once)
    monkeypatch.setattr(closedset, "LOGITS_AT_ONCE", logits)
    shares = answer_shares(loaded, seen, PROMPT, ANSWERS)
    expected = of_losses(loaded, seen)
    # Measured worst case 5e-7.
    torch.testing.assert_close(shares, expected, atol=1e-5, rtol=0)
    assert len({tuple(row) for row in expected.round(decimals=2).tolist()}) == 3


def test_likelihoods_are_absolute_and_a_name_listed_twice_has_one(
    loaded: LoadedModel, seen: ImageBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closedset, "autocast", lambda _: nullcontext())
    found = answer_log_likelihoods(loaded, seen, PROMPT, ["mug", "Acme", "mug"])
    example = loaded.processor.encode(PROMPT, "mug", size=seen.sizes[1])
    batch = collate([example], loaded.processor.pad_id) | seen.pick([1]).merged()
    with torch.inference_mode():
        alone = -float(loss_sum(loaded.model, batch))
    # Measured difference 2e-6.
    assert float(found[1, 0]) == pytest.approx(alone, abs=1e-4)
    assert found[:, 0].equal(found[:, 2])


def test_one_answer_is_certain(loaded: LoadedModel, seen: ImageBatch) -> None:
    assert answer_shares(loaded, seen, PROMPT, ["Acme"]).tolist() == [[1.0]] * 3
