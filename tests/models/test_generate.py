"""Batches, the loss, features and answers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.models.tiny_model import NUM_IMAGE_TOKENS, write_tiny_model
from tests.models.tiny_run import write_tiny_run

from nameplate.models.batches import collate, loss_sum, num_answer_tokens
from nameplate.models.features import FrozenPrefix, projector_inputs, projector_of, vision_features
from nameplate.models.generate import generate
from nameplate.models.images import ImageCache, ImageKey
from nameplate.models.load import LoadedModel, load_model
from nameplate.models.processing import IGNORED, Encoded
from nameplate.models.prompts import PROMPTS


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    """Larger weights than usual, so that answers are many and depend on everything."""
    found = load_model(str(write_tiny_model(tmp_path_factory.mktemp("tiny"), tie=False)))
    with torch.no_grad():
        for parameter in found.model.parameters():
            if parameter.ndim >= 2:
                parameter.mul_(8)
    return found


@pytest.fixture(scope="module")
def pixels() -> torch.Tensor:
    return torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def encoded(loaded: LoadedModel) -> list[Encoded]:
    answers = ("Acme", "a red mug by Acme on a white table", "a blue shoe by Zeta")
    return [loaded.processor.encode(PROMPTS["detail" if len(answer) > 4 else "name"], answer) for answer in answers]


def test_loss_of_a_batch_is_that_of_its_examples(loaded: LoadedModel, pixels: torch.Tensor) -> None:
    """Against transformers' own loss, one example at a time; measured relative difference 1e-7."""
    examples = encoded(loaded)
    total = 0.0
    for place, example in enumerate(examples):
        labels = torch.tensor([example.labels])
        with torch.no_grad():
            alone = loaded.model(
                input_ids=torch.tensor([example.input_ids]), pixel_values=pixels[place : place + 1], labels=labels
            )
        total += float(alone.loss) * int((labels != IGNORED).sum())
    batch = collate(examples, loaded.processor.pad_id) | {"pixel_values": pixels}
    with torch.no_grad():
        assert float(loss_sum(loaded.model, batch)) == pytest.approx(total, rel=1e-6)
    assert int((batch["targets"] != IGNORED).sum()) == num_answer_tokens(examples)


def test_collated_targets_are_the_answers(loaded: LoadedModel) -> None:
    examples = encoded(loaded)
    batch = collate(examples, loaded.processor.pad_id)
    wanted = [label for example in examples for label in example.labels if label != IGNORED]
    real = batch["targets"] != IGNORED
    assert batch["targets"][real].tolist() == wanted
    assert batch["input_ids"].flatten()[batch["positions"][real] + 1].tolist() == wanted


def test_batches_of_many_lengths_have_few_shapes(loaded: LoadedModel) -> None:
    answers = ["a shoe " * times for times in range(1, 40)]
    examples = [loaded.processor.encode("What is it?", answer) for answer in answers]
    shapes = set()
    for start in range(len(examples) - 2):
        batch = collate(examples[start : start + 2], loaded.processor.pad_id)
        shapes.add((batch["input_ids"].shape, batch["targets"].shape))
    lengths = [len(example.input_ids) for example in examples]
    assert len(set(lengths)) > 30
    assert len(shapes) <= 4 + (max(lengths) - min(lengths)) // 8


def test_features_stand_for_pixels(loaded: LoadedModel, pixels: torch.Tensor) -> None:
    batch = collate(encoded(loaded), loaded.processor.pad_id)
    features = vision_features(loaded.model, pixels)
    assert features.shape == (3, NUM_IMAGE_TOKENS, 32)
    with torch.no_grad():
        by_pixels = loss_sum(loaded.model, batch | {"pixel_values": pixels})
        by_features = loss_sum(loaded.model, batch | {"image_features": features})
        projected = projector_of(loaded.model)(projector_inputs(loaded.model, pixels))
    assert by_pixels.equal(by_features)
    assert projected.equal(features)


def test_prefix_is_computed_once_per_image(
    loaded: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write_tiny_run(tmp_path)
    rows = run.tables("split").read_kept().to_pylist()
    keys = [ImageKey(row["image_sha256"], row["image_ext"]) for row in rows[:5]]
    prefix = FrozenPrefix(loaded.model, ImageCache(run.images, loaded.processor))
    assert prefix.fits(5, keys[0])
    assert not prefix.fits(5, keys[0], max_bytes=100)
    counted: list[int] = []
    prefix.fill([*keys, *keys[:2]], batch_size=2, advance=counted.append)
    assert counted == [2, 2, 1]
    first = prefix.inputs([keys[3], keys[0]])
    prefix.fill(keys, batch_size=2, advance=counted.append)
    assert counted == [2, 2, 1]
    assert first.shape == (2, NUM_IMAGE_TOKENS, 4 * 32)
    assert not first[0].equal(first[1])


def test_answers_do_not_depend_on_the_batch(loaded: LoadedModel, pixels: torch.Tensor) -> None:
    """Prompts of three lengths, so that two rows are padded on the left."""
    features = vision_features(loaded.model, pixels)
    prompts = list(PROMPTS.values())
    together = generate(loaded, features, prompts, max_new_tokens=10)
    alone = [
        generate(loaded, features[place : place + 1], [prompt], max_new_tokens=10)[0]
        for place, prompt in enumerate(prompts)
    ]
    assert together == alone
    assert all(together)


def test_answers_are_the_most_likely_tokens_up_to_the_bound(loaded: LoadedModel, pixels: torch.Tensor) -> None:
    """Against a loop without cache or padding."""
    ids = loaded.processor.encode(PROMPTS["short"]).input_ids
    start = len(ids)
    with torch.no_grad():
        while len(ids) < start + 6 and ids[-1] != loaded.processor.end_id:
            output = loaded.model(input_ids=torch.tensor([ids]), pixel_values=pixels[:1])
            ids.append(int(output.logits[0, -1].argmax()))
    features = vision_features(loaded.model, pixels[:1])
    answer = generate(loaded, features, [PROMPTS["short"]], max_new_tokens=6)[0]
    assert answer == loaded.processor.decode(ids[start:])
