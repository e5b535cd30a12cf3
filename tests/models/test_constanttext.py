"""Text that is read once: losses and gradients are those of whole examples, and only what is right is left out."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch._dynamo.utils import counters
from transformers import LlamaConfig, PreTrainedConfig, Qwen2Config, Qwen3Config

from nameplate.models.batches import Batch, answer_losses, collate
from nameplate.models.constanttext import NO_TEXT, ConstantText, common_start, why_in_every_pass
from nameplate.models.load import LoadedModel, load_model
from nameplate.models.packing import collate_packed
from nameplate.models.policy import AppliedPolicies, apply_policies
from nameplate.models.precision import set_training_attention
from nameplate.models.prefix.skipping import language_layers
from nameplate.models.processing import Encoded
from nameplate.models.recompute import recompute_layers
from nameplate.models.step import compiling
from nameplate.models.step.textbefore import read_text
from nameplate.recipe import PRESETS, PresetName, TrainSection

from .tiny_model import SIDE, write_tiny_model

SYSTEM = "a red mug and a blue shoe by Acme"
ANSWERS = ["red", "a red mug by Acme on a white table", "a blue shoe", "the logo"]
PACKED = [[1, 0], [2, 3]]
LANGUAGES: dict[str, type[PreTrainedConfig]] = {"qwen2": Qwen2Config, "qwen3": Qwen3Config, "llama": LlamaConfig}


class Ready(NamedTuple):
    """A model whose language part is frozen, and examples for it."""

    loaded: LoadedModel
    applied: AppliedPolicies
    examples: list[Encoded]
    pixels: torch.Tensor

    def text(self) -> ConstantText:
        ids = common_start([each.input_ids for each in self.examples], image_token_id=self.image)
        return ConstantText(ids, read_text(self.loaded.model, ids))

    @property
    def image(self) -> int:
        return self.loaded.processor.image_token_id

    def batch(self, text: ConstantText, rows: Sequence[Sequence[int]]) -> Batch:
        """Rows of several examples are packed."""
        encoded, pad_id = [text.behind(each) for each in self.examples], self.loaded.processor.pad_id
        order = [place for row in rows for place in row]
        if max(map(len, rows)) > 1:
            batch = collate_packed(encoded, rows, pad_id, num_before=len(text.ids))
        else:
            batch = collate([encoded[place] for place in order], pad_id, num_before=len(text.ids))
        return {**batch, **text.inputs, "pixel_values": self.pixels[order]}

    def outcome(self, text: ConstantText, rows: Sequence[Sequence[int]]) -> dict[str, torch.Tensor]:
        """Losses of a batch, and the gradients of all that learns."""
        model = self.loaded.model
        model.zero_grad()
        losses = answer_losses(model, self.batch(text, rows))
        losses.sum().backward()  # type: ignore[no-untyped-call]  # torch's own
        gradients = {name: each.grad for name, each in model.named_parameters() if each.grad is not None}
        assert gradients.keys() == self.applied.trainable().keys()
        return {"losses": losses.detach(), **gradients}


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("tiny")
    return {
        name: write_tiny_model(folder / name, text=kind, system=SYSTEM, strong=True) for name, kind in LANGUAGES.items()
    }


def ready(
    base: Path, *, attention: str = "short", preset: PresetName = "frozen-language", dtype: torch.dtype | None = None
) -> Ready:
    loaded = load_model(str(base))
    set_training_attention(loaded.model, "auto" if attention == "short" else attention, longest=1)  # type: ignore[arg-type]
    policies = TrainSection(preset=preset).policies()
    applied = apply_policies(loaded.model, policies, frozen_dtype=dtype)
    loaded.model.train()
    questions = ["Which brand is this product?", "Describe this product in detail."]
    examples = [loaded.processor.encode(questions[place % 2], answer) for place, answer in enumerate(ANSWERS)]
    pixels = torch.randn(len(ANSWERS), 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    return Ready(loaded, applied, examples, pixels)


ROWS = {"padded": [[0], [1], [2], [3]], "single": [[1]], "packed": PACKED}


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize(
    ("language", "attention"),
    [
        *(("qwen2", each) for each in ("short", "eager", "sdpa")),
        *((language, each) for language in ("qwen3", "llama") for each in ("short", "sdpa")),
    ],
)
def test_losses_and_gradients_are_those_of_whole_examples(
    bases: dict[str, Path], language: str, attention: str, rows: str
) -> None:
    """In float32. Measured: losses differ by 3e-7 of themselves at most, mostly not at all."""
    made = ready(bases[language], attention=attention)
    wanted = made.outcome(NO_TEXT, ROWS[rows])
    text = made.text()
    assert len(text.ids) > 10
    assert_same(made.outcome(text, ROWS[rows]), wanted)
    # Batches without text still are what they were.
    assert_same(made.outcome(NO_TEXT, ROWS[rows]), wanted)


def assert_same(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> None:
    """Measured worst case: 4e-6 of the largest number in a gradient. What should be nothing is 1e-10."""
    assert found.keys() == wanted.keys()
    for name in wanted:
        largest = float(wanted[name].abs().max())
        torch.testing.assert_close(found[name], wanted[name], rtol=0, atol=2e-5 * largest + 1e-9)


@pytest.mark.parametrize("attention", ["short", "sdpa"])
def test_the_same_where_layers_are_computed_again(bases: dict[str, Path], attention: str) -> None:
    made = ready(bases["qwen2"], attention=attention)
    wanted = made.outcome(NO_TEXT, PACKED)
    assert recompute_layers(made.applied) == 4
    assert_same(made.outcome(made.text(), PACKED), wanted)


def test_the_same_with_compiled_layers_of_which_one_serves_all(
    bases: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiling, "_compiled", partial(torch.compile, dynamic=True, backend="aot_eager"))
    torch.compiler.reset()
    made = ready(bases["qwen2"])
    wanted = made.outcome(NO_TEXT, PACKED)
    text = made.text()
    layers = language_layers(made.loaded.model)
    with compiling.catching_calls(layers) as calls:
        made.outcome(text, PACKED)
    compiling.compile_layers(layers)
    before = counters["stats"]["unique_graphs"]
    # A training tries the last layer before all others.
    layers[-1].forward(*calls[layers[-1]].arguments, **calls[layers[-1]].named)
    assert_same(made.outcome(text, PACKED), wanted)
    assert counters["stats"]["unique_graphs"] - before == 1, "each layer was compiled by itself"
    torch.compiler.reset()


@pytest.mark.parametrize("rows", ROWS)
def test_in_bfloat16_losses_differ_by_rounding_alone(bases: dict[str, Path], rows: str) -> None:
    """Measured: no difference, on a CPU with short products."""
    made = ready(bases["qwen2"], dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        wanted = made.outcome(NO_TEXT, ROWS[rows])["losses"]
        text = made.text()
        found = made.outcome(text, ROWS[rows])["losses"]
    assert {each.dtype for each in text.inputs.values()} == {torch.bfloat16}
    torch.testing.assert_close(found, wanted, rtol=0.01, atol=0.01)


@pytest.mark.parametrize("attention", ["short", "sdpa"])
@pytest.mark.parametrize("changed", ["tokens", "pixels"])
def test_nothing_of_one_packed_example_reaches_another(bases: dict[str, Path], attention: str, changed: str) -> None:
    made = ready(bases["qwen2"], attention=attention)
    text = made.text()
    before = made.outcome(text, PACKED)["losses"]
    if changed == "tokens":
        example = made.examples[1]
        # A word of the question behind the image.
        place = max(at for at, token in enumerate(example.input_ids) if token == made.image) + 2
        ids = [*example.input_ids[:place], example.input_ids[place] - 1, *example.input_ids[place + 1 :]]
        made.examples[1] = example._replace(input_ids=ids)
    else:
        made.pixels[1] += 1
    after = made.outcome(text, PACKED)["losses"]
    own = len([label for label in made.examples[1].labels if label != -100])
    assert not torch.equal(after[:own], before[:own])
    assert torch.equal(after[own:], before[own:])


def test_layers_compute_nothing_of_the_text(bases: dict[str, Path]) -> None:
    made = ready(bases["qwen2"])
    lengths: list[int] = []

    def note(_: Any, arguments: tuple[torch.Tensor, ...]) -> None:
        lengths.append(arguments[0].shape[1])

    text = made.text()
    for layer in language_layers(made.loaded.model):
        layer.get_submodule("mlp").register_forward_pre_hook(note)
    made.outcome(NO_TEXT, PACKED)
    made.outcome(text, PACKED)
    whole, shorter = lengths[0], lengths[2]
    assert len(text.ids) % 8, "lengths would agree by chance"
    assert lengths == [whole, whole, shorter, shorter]
    assert whole % 8 == (shorter + len(text.ids)) % 8 == 0
    # Of each row, one text is there no more for each of its two examples, but for rounding.
    assert whole - shorter > len(text.ids)


def test_a_model_refuses_text_that_it_has_not_read(bases: dict[str, Path]) -> None:
    text = ready(bases["qwen2"]).text()
    other = ready(bases["qwen2"])
    with pytest.raises(AssertionError, match="has not read"):
        other.outcome(text, PACKED)


def test_an_example_that_begins_otherwise_is_no_example_of_the_text(bases: dict[str, Path]) -> None:
    made = ready(bases["qwen2"])
    text, example = made.text(), made.examples[0]
    weighted = example._replace(weights=[float(place) for place in range(len(example.labels))])
    behind = text.behind(weighted)
    assert list(text.ids) + behind.input_ids == example.input_ids
    assert behind.weights[0] == len(text.ids)
    assert len(behind.labels) == len(behind.weights) == len(behind.input_ids)
    with pytest.raises(AssertionError, match="begins otherwise"):
        text.behind(example._replace(input_ids=[5, *example.input_ids[1:]]))


@pytest.mark.parametrize(
    ("questions", "start"),
    [
        ([[1, 2, 3, 9, 9, 4], [1, 2, 3, 9, 5]], (1, 2, 3)),
        ([[1, 2, 3, 9], [1, 2, 9, 3]], (1, 2)),
        ([[1, 2, 9], [2, 2, 9]], ()),
        ([[9, 1], [9, 1]], ()),
        ([[1, 2, 9, 4]], (1, 2)),
    ],
)
def test_the_common_start_ends_before_the_image_and_where_questions_differ(
    questions: list[list[int]], start: tuple[int, ...]
) -> None:
    assert common_start(questions, image_token_id=9) == start


@pytest.mark.parametrize("preset", PRESETS)
def test_text_is_read_in_every_pass_where_the_language_model_learns(bases: dict[str, Path], preset: PresetName) -> None:
    made = ready(bases["qwen2"], preset=preset)
    why = why_in_every_pass(made.loaded.model, made.applied, share=0.5)
    assert why == ("" if preset in ("frozen-language", "projector-only") else "the language model learns")


def test_text_is_read_in_every_pass_where_that_is_not_known_to_be_right_or_hardly_saves_anything(
    bases: dict[str, Path],
) -> None:
    made = ready(bases["qwen2"], attention="sdpa")
    model, reason = made.loaded.model, partial(why_in_every_pass, made.loaded.model, made.applied)
    text: Any = model.config.text_config
    assert reason(share=0.02) == ""
    assert reason(share=0.019) == "it is 1.9% of all tokens"
    text.rope_parameters["rope_type"] = "longrope"
    assert "no test covers internvl with this language model (qwen2)" in reason(share=0.5)
    text.rope_parameters["rope_type"] = "default"
    text.layer_types = ["sliding_attention", "full_attention"]
    assert "no test covers" in reason(share=0.5)
    text.layer_types = ["full_attention"] * 2
    model.config._attn_implementation = "flex_attention"
    assert reason(share=0.5) == "no test covers it with attention flex_attention"
