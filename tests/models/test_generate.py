"""Batches, the loss, features and answers."""

from __future__ import annotations

import math

import pytest
import torch
from tests.models.tiny_model import NUM_IMAGE_TOKENS, write_tiny_model

from nameplate.models.batches import collate, loss_sum, num_answer_tokens
from nameplate.models.features import vision_features
from nameplate.models.generate import Answer, answer, generate
from nameplate.models.imagebatch import ImageBatch
from nameplate.models.load import LoadedModel, load_model
from nameplate.models.prefix.looking import image_values, project
from nameplate.models.processing import IGNORED, Encoded
from nameplate.models.prompts import PROMPTS
from nameplate.models.tiling import ImageSize


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
def pixels() -> ImageBatch:
    noise = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    return ImageBatch((ImageSize(32, 32),) * 3, tuple({"pixel_values": each[None]} for each in noise))


def encoded(loaded: LoadedModel) -> list[Encoded]:
    answers = ("Acme", "a red mug by Acme on a white table", "a blue shoe by Zeta")
    return [loaded.processor.encode(PROMPTS["detail" if len(answer) > 4 else "name"], answer) for answer in answers]


def test_loss_of_a_batch_is_that_of_its_examples(loaded: LoadedModel, pixels: ImageBatch) -> None:
    """Against transformers' own loss, one example at a time; measured relative difference 1e-7."""
    examples = encoded(loaded)
    total = 0.0
    for place, example in enumerate(examples):
        labels = torch.tensor([example.labels])
        with torch.no_grad():
            alone = loaded.model(
                input_ids=torch.tensor([example.input_ids]), **pixels.pick([place]).merged(), labels=labels
            )
        total += float(alone.loss) * int((labels != IGNORED).sum())
    batch = collate(examples, loaded.processor.pad_id) | pixels.merged()
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


def test_features_stand_for_pixels(loaded: LoadedModel, pixels: ImageBatch) -> None:
    batch = collate(encoded(loaded), loaded.processor.pad_id)
    features = vision_features(loaded.model, pixels)
    merged = features.merged()["image_features"]
    assert merged.shape == (3, NUM_IMAGE_TOKENS, 32)
    with torch.no_grad():
        by_pixels = loss_sum(loaded.model, batch | pixels.merged())
        by_features = loss_sum(loaded.model, batch | features.merged())
        inputs = torch.cat(image_values(loaded.model, pixels, "vision"))
        projected = project(loaded.model, inputs)
    assert by_pixels.equal(by_features)
    assert projected.equal(merged)


def test_answers_do_not_depend_on_the_batch(loaded: LoadedModel, pixels: ImageBatch) -> None:
    """Prompts of three lengths, so that two rows are padded on the left."""
    features = vision_features(loaded.model, pixels)
    prompts = list(PROMPTS.values())
    together = generate(loaded, features, prompts, max_new_tokens=10)
    alone = [
        generate(loaded, features.pick([place]), [prompt], max_new_tokens=10)[0] for place, prompt in enumerate(prompts)
    ]
    assert together == alone
    assert all(together)


def test_answers_are_the_most_likely_tokens_up_to_the_bound(loaded: LoadedModel, pixels: ImageBatch) -> None:
    """Against a loop without cache or padding."""
    ids = loaded.processor.encode(PROMPTS["short"]).input_ids
    start = len(ids)
    with torch.no_grad():
        while len(ids) < start + 6 and ids[-1] != loaded.processor.end_id:
            output = loaded.model(input_ids=torch.tensor([ids]), **pixels.pick([0]).merged())
            ids.append(int(output.logits[0, -1].argmax()))
    features = vision_features(loaded.model, pixels.pick([0]))
    answer = generate(loaded, features, [PROMPTS["short"]], max_new_tokens=6)[0]
    assert answer == loaded.processor.decode(ids[start:])


def test_confidence_is_the_mean_probability_of_the_answer_with_its_end(
    loaded: LoadedModel, pixels: ImageBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against a loop without cache or padding, for prompts of three lengths in one batch; some answers are cut off."""
    prompts, bound = list(PROMPTS.values()), 8
    ids, _ = written(loaded, pixels.pick([0]), prompts[0], bound)
    # A random model ends no turn: what it says in the fourth place shall be the end.
    monkeypatch.setattr(loaded.processor, "end_id", ids[3])
    said = answer(loaded, vision_features(loaded.model, pixels), prompts, max_new_tokens=bound)
    assert {each.finish for each in said} == {"stop", "length"}
    for place, (prompt, one) in enumerate(zip(prompts, said, strict=True)):
        ids, nats = written(loaded, pixels.pick([place]), prompt, bound)
        assert one.finish == ("stop" if ids[-1] == loaded.processor.end_id else "length")
        assert (one.text, list(one.ids)) == (loaded.processor.decode(ids), ids)
        # Rounded to four digits.
        assert one.confidence == pytest.approx(math.exp(-sum(nats) / len(nats)), abs=1e-4)


def written(loaded: LoadedModel, image: ImageBatch, prompt: str, bound: int) -> tuple[list[int], list[float]]:
    """The likeliest tokens up to the end of turn, and the negative log likelihood of each."""
    question = loaded.processor.encode(prompt).input_ids
    ids: list[int] = []
    nats: list[float] = []
    while len(ids) < bound and loaded.processor.end_id not in ids:
        with torch.no_grad():
            output = loaded.model(input_ids=torch.tensor([question + ids]), **image.merged())
        scores = output.logits[0, -1].double().log_softmax(dim=-1)
        ids.append(int(scores.argmax()))
        nats.append(-float(scores.max()))
    return ids, nats


@pytest.mark.parametrize("by_library", [False, True])
def test_a_model_whose_logits_are_no_numbers_says_nothing(
    loaded: LoadedModel, pixels: ImageBatch, monkeypatch: pytest.MonkeyPatch, *, by_library: bool
) -> None:
    """Also by transformers' own loop, which answers for other families."""
    if by_library:
        monkeypatch.setattr("nameplate.models.generate.can_read", lambda _: False)
    head = loaded.model.get_output_embeddings()
    hook = head.register_forward_hook(lambda _, __, logits: logits * torch.nan)
    said = answer(loaded, vision_features(loaded.model, pixels), [PROMPTS["name"]] * 3, max_new_tokens=4)
    hook.remove()
    assert said == [Answer("", "nonfinite", 0.0)] * 3


def test_both_ways_to_answer_say_the_same(
    loaded: LoadedModel, pixels: ImageBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, prompts = vision_features(loaded.model, pixels), list(PROMPTS.values())
    own = answer(loaded, seen, prompts, max_new_tokens=9)
    monkeypatch.setattr("nameplate.models.generate.can_read", lambda _: False)
    assert answer(loaded, seen, prompts, max_new_tokens=9) == own
