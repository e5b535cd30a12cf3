"""How much each token of an answer counts, and which tokens spell a name."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from tests.models.tiny_model import write_tiny_model
from tests.models.tiny_run import write_tiny_run

from nameplate.errors import InputError, TrainingError
from nameplate.models.batches import answer_losses, collate
from nameplate.models.images import ImageCache
from nameplate.models.load import LoadedModel, load_model
from nameplate.models.processing import IGNORED, Encoded, Span
from nameplate.models.prompts import PROMPTS
from nameplate.recipe import ExamplesSection
from nameplate.stages.train.examples import ExampleDataset
from nameplate.stages.train.objective import batch_losses
from nameplate.stages.train.reading import read_training_rows
from nameplate.stages.train.texts import Texts
from nameplate.stages.train.weighting import weighted


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return load_model(str(write_tiny_model(tmp_path_factory.mktemp("tiny") / "base")))


def supervised(encoded: Encoded) -> list[float]:
    return [each for each, label in zip(encoded.weights, encoded.labels, strict=True) if label != IGNORED]


@pytest.mark.parametrize(
    ("weighting", "each", "of_name"),
    [("token", 1.0, 3.0), ("square", 1 / math.sqrt(8), 3 / math.sqrt(8)), ("sample", 1 / 8, 3 / 8)],
)
def test_weights_of_an_answer_whose_name_counts_threefold(weighting: str, each: float, of_name: float) -> None:
    encoded = Encoded([1, 2, 10, 11, 12, 13], [IGNORED, IGNORED, 10, 11, 12, 13])
    section = ExamplesSection.model_validate({"weighting": weighting, "name_weight": 3.0})
    # The third token begins inside the name and ends behind it; the fourth is the end of the turn.
    spans = [Span(0, 2), Span(2, 6), Span(6, 9), Span(9, 9)]
    found = weighted(encoded, section, spans=spans, names=[Span(3, 7)])
    assert found.weights == pytest.approx([0, 0, each, of_name, of_name, each])


def test_all_alike_carries_no_weights() -> None:
    encoded = Encoded([1, 2], [IGNORED, 2])
    assert weighted(encoded, ExamplesSection()) is encoded


@pytest.mark.parametrize(("weighting", "power"), [("token", 0.0), ("square", 0.5), ("sample", 1.0)])
def test_loss_is_the_weighted_mean_over_answers_of_different_lengths(
    loaded: LoadedModel, weighting: str, power: float
) -> None:
    """Against the formula, from losses of each answer alone. Measured worst relative difference 2e-7."""
    processor = loaded.processor
    section = ExamplesSection.model_validate({"weighting": weighting})
    texts = ["a red mug", "a blue shoe by Zeta on grey ground. The Zeta mark is small.", "Acme"]
    encoded = [processor.encode(PROMPTS["detail"], text) for text in texts]
    pixels = torch.randn(len(texts), 3, 32, 32, generator=torch.Generator().manual_seed(0))
    above, below = 0.0, 0.0
    with torch.no_grad():
        for place, example in enumerate(encoded):
            alone = collate([example], processor.pad_id) | {"pixel_values": pixels[place : place + 1]}
            losses = answer_losses(loaded.model, alone)
            count = sum(label != IGNORED for label in example.labels)
            above += float(losses.sum()) * count**-power
            below += count ** (1 - power)
        batch = collate([weighted(each, section) for each in encoded], processor.pad_id) | {"pixel_values": pixels}
        losses = batch_losses(loaded.model, batch) * batch["weights"]
        found = float(losses.sum() / batch["weights"].sum())
    assert found == pytest.approx(above / below, rel=1e-2 if torch.cpu._is_amx_tile_supported() else 1e-5)


def test_exactly_the_tokens_that_spell_the_name_are_found(loaded: LoadedModel, tmp_path: Path) -> None:
    run = write_tiny_run(tmp_path / "run", train=6)
    images = ImageCache(run.images, loaded.processor)
    section = ExamplesSection(name_weight=4.0, question_answer_share=0.1)
    rows = read_training_rows(run, images, PROMPTS, max_tokens=192, section=section)
    dataset = ExampleDataset(rows)
    assert len(dataset) == 12 + 6  # pairs: none, one and two, twice
    for index in range(len(dataset)):
        row, _, encoded, _ = dataset[index]
        labels = [label for label in encoded.labels if label != IGNORED]
        heavy = [label for label, weight in zip(labels, supervised(encoded), strict=True) if weight == 4.0]
        assert loaded.processor.decode(heavy) == rows.names[row]
        assert all(weight in (1.0, 4.0) for weight in supervised(encoded))
    assert loaded.processor.end_id == labels[-1]
    assert supervised(encoded)[-1] == 1.0


def test_spans_are_of_the_text_that_is_learned(loaded: LoadedModel) -> None:
    processor = loaded.processor
    answer = "a <img>mug<|im_end|> by Acme."
    text = processor.plain(answer)
    spans = processor.answer_spans(answer)
    labels = [label for label in processor.encode("?", answer).labels if label != IGNORED]
    assert len(spans) == len(labels)
    assert [text[start:end] for start, end in spans[:-1]] == [
        processor.tokenizer.decode([each]) for each in labels[:-1]
    ]
    assert spans[-1] == (len(text), len(text))


def test_weight_of_names_that_no_answer_says_is_refused(loaded: LoadedModel, tmp_path: Path) -> None:
    run = write_tiny_run(tmp_path / "run")
    images = ImageCache(run.images, loaded.processor)
    table = run.tables("split").read_kept()
    wrong = table.set_column(table.column_names.index("caption"), "caption", [["a red mug."] * len(table)])
    nothing = wrong.slice(0, 0)
    rejected = nothing.append_column("reason", [[]]).append_column("detail", [[]])
    run.tables("split").write(0, wrong, rejected.cast(rejected.schema))
    rows = read_training_rows(run, images, PROMPTS, max_tokens=192, section=ExamplesSection(name_weight=2.0))
    assert len(rows) == 12  # the name question still says it
    with pytest.raises(TrainingError, match=r"train.examples.name_weight: 2, but no answer says"):
        read_training_rows(
            run, images, PROMPTS, max_tokens=192, section=ExamplesSection(name_weight=2.0, name_question_share=0.0)
        )


def test_more_pairs_than_the_rows_have_are_refused(loaded: LoadedModel, tmp_path: Path) -> None:
    run = write_tiny_run(tmp_path / "run")
    images = ImageCache(run.images, loaded.processor)
    with pytest.raises(InputError, match=r"8 of 12 training rows have questions.*lower it to 0.66, or caption with"):
        read_training_rows(
            run,
            images,
            PROMPTS,
            max_tokens=192,
            section=ExamplesSection(name_question_share=0, question_answer_share=0.8),
        )


def test_texts_come_back_as_they_were() -> None:
    examples = [
        Encoded([1, 2, 7], [IGNORED, IGNORED, 7], {"kind": [0, 1, 0]}, [0.0, 0.0, 0.5]),
        Encoded([1, 2, 8, 9], [IGNORED, IGNORED, 8, 9], {"kind": [0, 1, 0, 0]}, [0.0, 0.0, 1.0, 2.0]),
        Encoded([3, 7], [IGNORED, 7], {"kind": [0, 0]}, [0.0, 1.0]),
    ]
    texts = Texts(examples)
    assert list(texts) == examples
    assert texts.lengths.tolist() == [3, 4, 2]
    assert texts.num_answer_tokens.tolist() == [1, 2, 1]
    assert texts.fingerprint == Texts(examples).fingerprint
    assert texts.fingerprint != Texts(examples[::-1]).fingerprint
    assert len(Texts([])) == 0
