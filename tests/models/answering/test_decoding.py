"""Answers many at a time: those that transformers gives one by one, whatever stands beside them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from PIL import Image
from tests.models.tiny_model import write_tiny_model
from torch import nn

from nameplate.models.answering import decoding
from nameplate.models.answering.decoding import Answer, Asked, answers_to
from nameplate.models.answering.keyvalues import KeyValues, Window
from nameplate.models.answering.reading import Reader, can_read
from nameplate.models.features import vision_features
from nameplate.models.imagebatch import ImageBatch
from nameplate.models.load import LoadedModel, load_model
from nameplate.models.prompts import PROMPTS

LIMIT = 12


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    """Several tiles per image, so that questions differ in length; larger weights, so that answers do."""
    found = load_model(str(write_tiny_model(tmp_path_factory.mktemp("tiny"), tie=False)), max_tiles=4)
    with torch.no_grad():
        for parameter in found.model.parameters():
            if parameter.ndim >= 2:
                parameter.mul_(6)
    return found


@pytest.fixture(scope="module")
def images(loaded: LoadedModel) -> ImageBatch:
    sizes = ((32, 32), (96, 32), (64, 64), (32, 32), (32, 32), (64, 32))
    chance = np.random.default_rng(0)
    pictures = [Image.fromarray(chance.integers(256, size=(high, wide, 3), dtype=np.uint8)) for wide, high in sizes]
    return loaded.processor.batch([loaded.processor.prepare(each) for each in pictures])


@pytest.fixture
def asked(images: ImageBatch) -> list[Asked]:
    """Every image three questions, but the second, which has one."""
    every = [Asked(place, prompt) for place in range(len(images)) for prompt in PROMPTS.values()]
    return [each for each in every if each.place != 1 or each.prompt == PROMPTS["short"]]


@pytest.fixture
def end_id(loaded: LoadedModel, images: ImageBatch, asked: list[Asked], monkeypatch: pytest.MonkeyPatch) -> int:
    """A random model ends no turn: something that it says now and then shall be the end."""
    said = [alone(loaded, images, each)[0] for each in asked]
    often = sorted({token for ids in said for token in ids[1:]}, key=lambda token: sum(token in ids for ids in said))
    chosen = next(token for token in reversed(often) if sum(token in ids for ids in said) < len(said))
    monkeypatch.setattr(loaded.processor, "end_id", chosen)
    return chosen


def alone(loaded: LoadedModel, images: ImageBatch, asked: Asked) -> tuple[list[int], float]:
    """By transformers' own `generate`, from pixels, one question at a time: tokens, and the least lead of the best."""
    ids = torch.tensor([loaded.processor.encode(asked.prompt, size=images.sizes[asked.place]).input_ids])
    with torch.inference_mode():
        found = loaded.model.generate(  # type: ignore[operator]  # of a mixin
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=LIMIT,
            do_sample=False,
            eos_token_id=loaded.processor.end_id,
            pad_token_id=loaded.processor.pad_id,
            output_logits=True,
            return_dict_in_generate=True,
            **images.pick([asked.place]).merged(),
        )
    best = torch.stack([step[0].topk(2).values for step in found.logits])
    return found.sequences[0, ids.shape[1] :].tolist(), float((best[:, 0] - best[:, 1]).min())


def together(loaded: LoadedModel, images: ImageBatch, asked: list[Asked], rows: int) -> list[Answer]:
    parts = answers_to(loaded, images, asked, max_new_tokens=LIMIT, rows_at_once=rows)
    said = {each.number: each.answer for part in parts for each in part}
    assert sorted(said) == list(range(len(asked)))
    return [said[number] for number in range(len(asked))]


@pytest.mark.parametrize(("rows", "factor", "tokens"), [(1, 1, 1), (4, 1, 40), (7, 1, 2048), (4, 4, 2048)])
def test_answers_are_those_of_transformers_one_by_one(
    loaded: LoadedModel,
    images: ImageBatch,
    asked: list[Asked],
    end_id: int,
    rows: int,
    factor: int,
    tokens: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Questions of many lengths, three about most images, with rows that end, leave and make room for others."""
    monkeypatch.setattr(decoding, "ROWS_FACTOR", factor)
    monkeypatch.setattr(decoding, "TOKENS_AT_ONCE", tokens)
    expected = [alone(loaded, images, each) for each in asked]
    # No step is so close that rounding could decide it: worst difference of logits measured 2e-5.
    assert min(lead for _, lead in expected) > 1e-3
    answers = together(loaded, images, asked, rows)
    assert [list(each.ids) for each in answers] == [ids for ids, _ in expected]
    assert [each.text for each in answers] == [loaded.processor.decode(ids) for ids, _ in expected]
    assert [each.finish for each in answers] == ["stop" if end_id in ids else "length" for ids, _ in expected]
    assert {each.finish for each in answers} == {"stop", "length"}


def test_an_image_is_read_once_for_all_its_questions_and_the_beginning_once_for_all(
    loaded: LoadedModel, images: ImageBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[list[list[int]]] = []
    plain = Reader.read

    def noting(self: Reader, ids: list[list[int]], **named: object) -> torch.Tensor:
        read.append([list(own) for own in ids])
        return plain(self, ids, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Reader, "read", noting)
    every = [Asked(place, prompt) for place in (0, 3) for prompt in PROMPTS.values()]
    together(loaded, images, every, 6)
    image = loaded.processor.image_token_id
    lead, beginnings, ends, *_ = read
    encoded = loaded.processor.encode(PROMPTS["name"], size=images.sizes[0]).input_ids
    assert lead == [encoded[: encoded.index(image)]]
    assert len(beginnings) == 2
    assert all(own[0] == image for own in beginnings)
    assert len(ends) == 6
    assert not any(image in own for own in ends)
    assert [*lead[0], *beginnings[0], *ends[2]] == encoded


def test_a_row_without_numbers_ends_and_the_others_do_not_notice(
    loaded: LoadedModel, images: ImageBatch, asked: list[Asked], end_id: int
) -> None:
    before = together(loaded, images, asked, 5)
    seen = vision_features(loaded.model, images)
    features = [dict(each) for each in seen.inputs]
    features[2]["image_features"] = torch.full_like(features[2]["image_features"], torch.nan)
    after = together(loaded, ImageBatch(seen.sizes, tuple(features)), asked, 5)
    for each, was, now in zip(asked, before, after, strict=True):
        assert now == (Answer("", "nonfinite", 0.0) if each.place == 2 else was)


def test_a_model_that_turns_to_no_numbers_while_it_answers_says_nothing(
    loaded: LoadedModel, images: ImageBatch, asked: list[Asked]
) -> None:
    head: nn.Module = loaded.model.get_output_embeddings()
    with broken_from_step(head, 4):
        answers = together(loaded, images, asked, len(asked))
    assert {each.finish for each in answers} == {"nonfinite"}


class broken_from_step:  # noqa: N801  # reads as what it does
    """From so many calls on, a module gives infinities."""

    def __init__(self, module: nn.Module, step: int) -> None:
        self.calls = 0
        self.step = step
        self.hook = module.register_forward_hook(self.spoil)

    def spoil(self, _: nn.Module, __: object, output: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return output if self.calls < self.step else torch.full_like(output, torch.inf)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self.hook.remove()


def test_attention_is_the_models_own_again_afterwards(loaded: LoadedModel, images: ImageBatch) -> None:
    """Also between tokens, for whoever takes answers one after another may use the model meanwhile."""
    config = loaded.model.base_model.language_model.config
    before = config._attn_implementation
    parts: Iterator[object] = answers_to(loaded, images, [Asked(0, PROMPTS["name"])], max_new_tokens=2, rows_at_once=1)
    next(parts)
    assert config._attn_implementation == before
    assert not torch.is_inference_mode_enabled()


def test_windows_and_other_families_keep_the_librarys_way(loaded: LoadedModel) -> None:
    text = loaded.model.config.text_config
    assert can_read(loaded)
    kinds = text.layer_types
    text.layer_types = ["sliding_attention", *kinds[1:]]
    assert not can_read(loaded)
    text.layer_types = kinds


def test_rows_that_leave_make_room_and_those_that_stay_are_whole() -> None:
    kept = KeyValues(6, 4)
    kept.window = Window(0, [0] * 5)
    rows = torch.arange(1.0, 6.0)[:, None, None, None].expand(5, 2, 3, 1).contiguous()
    kept.update(rows, rows, 0)
    assert kept.leave([0, 3, 4], 5) == [2, 1]
    kept.window = Window(0, [3, 3])
    new = torch.zeros(2, 2, 1, 1)
    keys, values = kept.update(new, new, 0)
    assert keys[:, 0, :3, 0].tolist() == [[3.0] * 3, [2.0] * 3]
    assert values.equal(keys)
    kept.window = Window(2, [0] * 3)
    joined = torch.full((3, 2, 1, 1), 9.0)
    kept.update(joined, joined, 0)
    kept.window = Window(2, [2] * 3)
    keys, _ = kept.update(joined, joined, 0)
    assert keys[:, 0, :, 0].tolist() == [[9.0, 0.0, 9.0]] * 3
