"""Packed rows: nothing leaks from one example to another, and losses and gradients are those of single examples."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedModel

from nameplate.models.batches import Batch, answer_losses, collate
from nameplate.models.load import LoadedModel, load_model
from nameplate.models.packing import can_pack, collate_packed, pack, pays, saved_share
from nameplate.models.precision import set_training_attention
from nameplate.models.processing import IGNORED, Encoded

from .tiny_model import SIDE, write_tiny_model

ANSWERS = ["red", "a red mug by Acme on a white table", "a blue shoe", "the logo", "by Zeta on grey ground. The Zeta"]
ATTENTIONS = ["short", "eager", "sdpa"]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return load_model(str(write_tiny_model(tmp_path_factory.mktemp("tiny") / "base")))


@pytest.fixture
def examples(loaded: LoadedModel) -> list[Encoded]:
    return [loaded.processor.encode("Which brand is this product?", answer) for answer in ANSWERS]


@pytest.fixture
def pixels() -> torch.Tensor:
    return torch.randn(len(ANSWERS), 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


def attending(loaded: LoadedModel, attention: str) -> PreTrainedModel:
    if attention == "short":
        set_training_attention(loaded.model, longest=1)
    else:
        loaded.model.set_attn_implementation(attention)
    return loaded.model


def packed(loaded: LoadedModel, examples: list[Encoded], pixels: torch.Tensor, rows: list[list[int]]) -> Batch:
    order = [place for row in rows for place in row]
    return collate_packed(examples, rows, loaded.processor.pad_id) | {"pixel_values": pixels[order]}


def padded(loaded: LoadedModel, examples: list[Encoded], pixels: torch.Tensor) -> Batch:
    return collate(examples, loaded.processor.pad_id) | {"pixel_values": pixels}


def losses_by_example(model: PreTrainedModel, batch: Batch, examples: list[Encoded], order: list[int]) -> torch.Tensor:
    """Summed loss of each example, in the order of `examples`; places stand in a batch row by row."""
    losses = answer_losses(model, batch)
    counts = [sum(label != IGNORED for label in examples[place].labels) for place in order]
    sums = torch.stack([part.sum() for part in torch.split(losses[: sum(counts)], counts)])
    return sums[torch.argsort(torch.tensor(order))]


def gradients(model: PreTrainedModel, losses: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad()
    losses.sum().backward()
    return {name: each.grad.clone() for name, each in model.named_parameters() if each.grad is not None}


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_packed_padded_and_single_examples_have_the_same_losses_and_gradients(
    loaded: LoadedModel, examples: list[Encoded], pixels: torch.Tensor, attention: str
) -> None:
    model = attending(loaded, attention)
    rows = pack([len(each.input_ids) for each in examples], row_length=120)
    assert len(rows) < len(examples)
    assert max(map(len, rows)) > 1
    order = [place for row in rows for place in row]
    together = losses_by_example(model, packed(loaded, examples, pixels, rows), examples, order)
    apart = losses_by_example(model, padded(loaded, examples, pixels), examples, list(range(len(examples))))
    single = torch.stack(
        [
            answer_losses(model, padded(loaded, [example], pixels[place : place + 1])).sum()
            for place, example in enumerate(examples)
        ]
    )
    torch.testing.assert_close(together, apart, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(together, single, rtol=1e-5, atol=1e-5)
    wanted = gradients(model, single)
    for found in (gradients(model, together), gradients(model, apart)):
        assert set(found) == set(wanted)
        for name, gradient in found.items():
            torch.testing.assert_close(gradient, wanted[name], rtol=1e-4, atol=2e-5, msg=name)


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("changed", ["tokens", "pixels"])
def test_nothing_of_one_example_reaches_another(
    loaded: LoadedModel, examples: list[Encoded], pixels: torch.Tensor, attention: str, changed: str
) -> None:
    model = attending(loaded, attention)
    rows = [[0, 1, 2], [4, 3]]
    order = [0, 1, 2, 4, 3]
    before = losses_by_example(model, packed(loaded, examples, pixels, rows), examples, order)
    if changed == "tokens":
        # The words of the question, whose number stays the same.
        ids = [
            token if token == loaded.processor.image_token_id else max(token, 9) - 1 for token in examples[1].input_ids
        ]
        ids = [new if label == IGNORED else old for new, old, label in zip(ids, *examples[1][:2], strict=True)]
        examples[1] = examples[1]._replace(input_ids=ids)
    else:
        pixels[1] += 1
    after = losses_by_example(model, packed(loaded, examples, pixels, rows), examples, order)
    assert after[1] != before[1]
    others = [0, 2, 3, 4]
    assert torch.equal(after[others], before[others])


def test_weights_of_tokens_stay_with_their_tokens(loaded: LoadedModel, examples: list[Encoded]) -> None:
    weighted = [
        example._replace(weights=[float(place + 1)] * len(example.labels)) for place, example in enumerate(examples)
    ]
    batch = collate_packed(weighted, [[1, 0], [2]], loaded.processor.pad_id)
    expected = [float(place + 1) for place in (1, 0, 2) for label in examples[place].labels if label != IGNORED]
    assert batch["weights"][: len(expected)].tolist() == expected
    assert not batch["weights"][len(expected) :].any()


@given(st.lists(st.integers(1, 50), min_size=1, max_size=30), st.integers(1, 80))
def test_every_example_is_in_one_row_that_holds_it(lengths: list[int], row_length: int) -> None:
    rows = pack(lengths, row_length=row_length)
    assert sorted(place for row in rows for place in row) == list(range(len(lengths)))
    assert all(sum(lengths[place] for place in row) <= row_length or len(row) == 1 for row in rows)


def test_it_pays_where_much_is_padding() -> None:
    assert saved_share([100, 50, 50]) == pytest.approx(1 / 3)
    assert pays([[100, 50, 50, 40]])
    assert not pays([[100, 95, 90], [60, 58, 55]])
    assert not pays([[100]])


def test_examples_with_kinds_of_tokens_are_refused(loaded: LoadedModel, examples: list[Encoded]) -> None:
    assert can_pack(loaded.model)
    kinds = examples[0]._replace(kinds={"mm_token_type_ids": [0] * len(examples[0].input_ids)})
    with pytest.raises(AssertionError, match="kinds of tokens"):
        collate_packed([kinds, examples[1]], [[0, 1]], loaded.processor.pad_id)
