"""What a model says and what surprises it: the same in batches as alone, token by token, and never computed twice."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.models.tiny_run import write_tiny_run

from nameplate.models import respondent
from nameplate.models.batches import collate, loss_sum
from nameplate.models.features import vision_features
from nameplate.models.imagebatch import ImageBatch
from nameplate.models.images import ImageCache, ImageKey
from nameplate.models.load import LoadedModel, load_model
from nameplate.models.locate import weights_fingerprint
from nameplate.models.processors import load_processor
from nameplate.models.respondent import Question, Respondent, Text
from nameplate.store.journal import Journal
from nameplate.store.rundir import RunDirectory

PROMPT = "Describe this product in detail."
TEXTS = ["a red mug by Acme", "a blue shoe. The Z\u00ebta mark is \u5c0f small on grey ground.", "mug <|im_end|> shoe"]
Make = Callable[..., Respondent]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return write_tiny_run(tmp_path_factory.mktemp("run") / "one")


@pytest.fixture
def images(run: RunDirectory) -> list[ImageKey]:
    rows = run.tables("split").read_kept().to_pylist()
    return [ImageKey(row["image_sha256"], row["image_ext"]) for row in rows[:3]]


@pytest.fixture
def make(base: Path, run: RunDirectory, tmp_path: Path) -> Make:
    def made(journal: str = "predictions") -> Respondent:
        return Respondent(
            base,
            weights=weights_fingerprint(base),
            images=ImageCache(run.images, load_processor(base)),
            journal=Journal(tmp_path / f"{journal}.sqlite"),
            max_new_tokens=8,
            batch_size=4,
        )

    return made


def nothing(_: int) -> None:
    pass


def test_token_losses_are_the_training_loss_in_pieces(make: Make, base: Path, images: list[ImageKey]) -> None:
    read = make().token_losses([Text(images[0], PROMPT, TEXTS[0])], nothing)
    loaded = load_model(str(base))
    encoded = loaded.processor.encode(PROMPT, TEXTS[0])
    seen = vision_features(loaded.model, make()._images.batch(images[:1]))
    with torch.inference_mode():
        whole = float(loss_sum(loaded.model, collate([encoded], loaded.processor.pad_id) | seen.merged()))
        encoded.labels[-1] = -100
        without_end = float(loss_sum(loaded.model, collate([encoded], loaded.processor.pad_id) | seen.merged()))
    (losses,) = read.values()
    # Rounded to four digits each.
    assert sum(each.nats for each in losses) == pytest.approx(without_end, abs=1e-4 * len(losses) + 1e-4)
    assert whole > without_end


def test_tokens_stand_where_they_say(make: Make, images: list[ImageKey]) -> None:
    (losses,) = make().token_losses([Text(images[0], PROMPT, TEXTS[0])], nothing).values()
    pieces = [TEXTS[0][each.start : each.end] for each in losses]
    assert "".join(pieces) == TEXTS[0]
    assert all(pieces)


def test_a_text_reads_the_same_in_a_batch_as_alone(make: Make, images: list[ImageKey]) -> None:
    prompts = (PROMPT, "Which brand is this product?")
    texts = [Text(*asked) for asked in product(images, prompts, TEXTS, (False, True))]
    together, by_itself = make().text_losses(texts, nothing), make("alone")
    for text in texts:
        (alone,) = by_itself.text_losses([text], nothing).values()
        # Measured worst case 0 of 124 nats here; elsewhere float32 sums may come in another order.
        assert together[text] == pytest.approx(alone, abs=1e-3)
    sums = make().token_losses(texts, nothing)
    # Measured worst case 3e-4: each token is rounded to four digits.
    assert all(sum(each.nats for each in sums[text]) == pytest.approx(together[text], abs=0.005) for text in texts)


def test_a_blank_image_is_the_same_for_all_and_not_the_image(make: Make, images: list[ImageKey]) -> None:
    blank = make().text_losses([Text(image, PROMPT, TEXTS[0], blank=True) for image in images], nothing)
    seen = make().text_losses([Text(image, PROMPT, TEXTS[0]) for image in images], nothing)
    assert len(set(blank.values())) == 1
    assert len({*blank.values(), *seen.values()}) == 1 + len(images)


def test_nothing_is_computed_twice(make: Make, images: list[ImageKey], monkeypatch: pytest.MonkeyPatch) -> None:
    questions = [Question(image, prompt) for image in images for prompt in (PROMPT, "Which brand is this product?")]
    texts = [Text(image, PROMPT, text) for image in images for text in TEXTS]
    first = make()
    answers, losses = first.answers(questions, nothing), first.token_losses(texts, nothing)
    assert first.num_computed == len(questions) + len(texts)

    def not_again(*_: object, **__: object) -> None:
        raise AssertionError("loaded again")

    monkeypatch.setattr(respondent, "load_model", not_again)
    second, done = make(), []
    assert second.answers(questions, done.append) == answers
    assert second.token_losses(texts, done.append) == losses
    assert second.num_computed == 0
    assert sum(done) == len(questions) + len(texts)


def test_scoring_finds_the_answers_of_an_audit(
    make: Make, base: Path, run: RunDirectory, images: list[ImageKey]
) -> None:
    from nameplate.models.prompts import PROMPTS
    from nameplate.stages.score.answers import Examinee
    from nameplate.stages.score.subjects import Subject

    asking = make()
    said = asking.answers([Question(image, PROMPTS["name"]) for image in images], nothing)
    examinee = Examinee(
        Subject("base", 0, base, weights_fingerprint(base), None),
        images=asking._images,
        journal=asking._journal,
        prompts=PROMPTS,
        max_new_tokens=8,
        batch_size=4,
    )
    done: list[int] = []
    replies = examinee.replies([Question(image, PROMPTS["name"]) for image in images], done.append)
    assert [reply.text for reply in replies.values()] == list(said.values())
    assert done == [len(images)]


@pytest.mark.parametrize(("most_bytes", "images_together"), [(1, [1, 1, 1]), (1 << 28, [3])])
def test_answers_are_the_same_however_many_images_are_looked_at_first(
    make: Make, images: list[ImageKey], monkeypatch: pytest.MonkeyPatch, most_bytes: int, images_together: list[int]
) -> None:
    """Batches of one image; answers begin when several were looked at, unless what is seen takes too much room."""
    questions = [Question(image, prompt) for prompt in (PROMPT, "Which brand is this product?") for image in images]
    expected = make("expected").answers(questions, nothing)
    monkeypatch.setattr(respondent, "LOOKED_BYTES", most_bytes)
    together: list[int] = []
    plain = respondent.answer_all

    def noting(loaded: LoadedModel, seen: ImageBatch, *arguments: Any, **named: Any) -> Any:
        together.append(len(seen))
        return plain(loaded, seen, *arguments, **named)

    monkeypatch.setattr(respondent, "answer_all", noting)
    asking = make()
    monkeypatch.setattr(asking, "_batch_size", 1)
    assert asking.answers(questions, nothing) == expected
    assert together == images_together
