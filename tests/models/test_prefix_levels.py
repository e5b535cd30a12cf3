"""Which part of a model may be computed once: by the policies, and by what each family's model takes back."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.models import tiny_families
from tests.models.tiny_families import IMAGE, TINY_FAMILIES
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPooling

from nameplate.errors import RecipeError
from nameplate.models.families import FAMILIES
from nameplate.models.imagebatch import ImageBatch
from nameplate.models.prefix.frozen import BESIDE
from nameplate.models.prefix.levels import ABILITIES, LEVELS, frozen_depth, judge_levels, refuse_level
from nameplate.models.prefix.looking import image_values, project
from nameplate.models.prefix.skipping import going_on_from, language_layers, make_skippable, stopping_after
from nameplate.models.tiling import ImageSize
from nameplate.recipe import LanguagePolicy, TrainSection

FROZEN = {"mode": "frozen"}
FULL = {"mode": "full"}
LORA = {"mode": "lora"}

pytestmark = pytest.mark.usefixtures("one_thread")


def last(count: int) -> dict[str, object]:
    return {"mode": "last", "num_layers": count}


TABLE: list[tuple[Any, Any, Any, str, str]] = [
    (FULL, FULL, FROZEN, "tiles", "the vision tower learns"),
    (LORA, FROZEN, FROZEN, "tiles", "the vision tower learns"),
    (last(1), FROZEN, FROZEN, "tiles", "the vision tower learns"),
    (FROZEN, FULL, FROZEN, "tiles vision", "the projector learns"),
    (FROZEN, LORA, last(2), "tiles vision", "the projector learns"),
    (FROZEN, FROZEN, FULL, "tiles vision projected", "the token embeddings learn"),
    (FROZEN, FROZEN, LORA, "tiles vision projected", "adapters learn from its first layer on"),
    (FROZEN, FROZEN, last(4), "tiles vision projected", "its first layer learns"),
    (FROZEN, FROZEN, {"mode": "layers", "layers": ["0", "3"]}, "tiles vision projected", "its first layer learns"),
    (FROZEN, FROZEN, {**last(1), "embeddings": "full"}, "tiles vision projected", "the token embeddings learn"),
    (FROZEN, FROZEN, last(1), "tiles vision projected hidden", ""),
    (FROZEN, FROZEN, {"mode": "frozen", "head": "full"}, "tiles vision projected hidden", ""),
]


@pytest.mark.parametrize(("vision", "projector", "language", "valid", "why_not"), TABLE)
def test_levels_end_where_learning_begins(vision: Any, projector: Any, language: Any, valid: str, why_not: str) -> None:
    section = TrainSection.model_validate({"vision": vision, "projector": projector, "language": language})
    verdicts = judge_levels(section.policies(), model_type="internvl", num_layers=4)
    assert tuple(verdicts) == LEVELS
    assert " ".join(level for level, verdict in verdicts.items() if verdict.valid) == valid
    assert verdicts["hidden"].reason == why_not


@pytest.mark.parametrize(
    ("policy", "depth"),
    [
        (last(1), 3),
        (last(9), 0),
        ({"mode": "layers", "layers": ["2", "1-3"]}, 1),
        (FROZEN, 4),
        (LORA, 0),
        (FULL, 0),
        ({"mode": "full", "embeddings": "frozen"}, 0),
        ({"mode": "frozen", "embeddings": "full"}, 0),
    ],
)
def test_depth_is_counted_to_the_first_layer_that_learns(policy: Any, depth: int) -> None:
    assert frozen_depth(LanguagePolicy.model_validate(policy), num_layers=4) == depth


def test_nothing_is_kept_of_images_that_change_each_epoch() -> None:
    section = TrainSection.model_validate({"vision": FROZEN, "projector": FROZEN, "language": FULL})
    verdicts = judge_levels(section.policies(), model_type="internvl", num_layers=4, augmented=True)
    assert {verdict.reason for verdict in verdicts.values()} == {"images are augmented anew in every epoch"}
    by_chance = judge_levels(section.policies(), model_type="internvl", num_layers=4, by_chance="vision.drop_path")
    assert [verdict.reason for verdict in by_chance.values()][:3] == ["", *["vision.drop_path acts by chance"] * 2]


def test_a_level_that_would_be_wrong_is_refused_in_words() -> None:
    section = TrainSection.model_validate({"vision": FROZEN, "projector": FROZEN, "language": LORA})
    verdicts = judge_levels(section.policies(), model_type="internvl", num_layers=4)
    refuse_level(verdicts["projected"])
    with pytest.raises(RecipeError) as refused:
        refuse_level(verdicts["hidden"])
    assert "train.memory.prefix: hidden" in str(refused.value)
    assert "adapters learn from its first layer on" in str(refused.value)


def test_a_family_that_nobody_has_looked_at_keeps_tiles_alone() -> None:
    section = TrainSection.model_validate({"vision": FROZEN, "projector": FROZEN, "language": last(1)})
    verdicts = judge_levels(section.policies(), model_type="qwen3_vl", num_layers=4)
    assert [level for level, verdict in verdicts.items() if verdict.valid] == ["tiles"]
    assert set(ABILITIES) <= set(FAMILIES)


@pytest.mark.parametrize("name", [name for name in TINY_FAMILIES if name in ABILITIES])
def test_what_a_family_is_said_to_take_back_gives_the_same_answer(name: str) -> None:
    """Measured worst difference 4.8e-7, where the projector sees sixteen tiles instead of one."""
    model, can = tiny_families.build(name), ABILITIES[name]
    image = TINY_FAMILIES[name].image()
    beside = {key: tensor for key, tensor in image.items() if key in BESIDE}
    batch = ImageBatch((ImageSize(16, 16),), (image,))
    wanted = _answer(model, name, image)
    found = []
    with torch.no_grad():
        if can.form is not None:
            (features,) = image_values(model, batch, "projected")
            found.append(_answer(model, name, beside | _given(features)))
        if can.vision:
            (inputs,) = image_values(model, batch, "vision")
            found.append(_answer(model, name, beside | _given(project(model, inputs))))
    if can.hidden:
        layers = language_layers(model)
        with stopping_after(layers, 2) as caught:
            _answer(model, name, image)
        assert _answer(model, name, image).equal(wanted), "the layers above do not compute any more"
        make_skippable(layers[:2])
        with going_on_from(caught[0]):
            found.append(_answer(model, name, beside))
        assert _answer(model, name, image).equal(wanted), "the layers below do not compute any more"
    assert found
    for each in found:
        torch.testing.assert_close(each, wanted, rtol=0, atol=2e-6)


def _given(features: torch.Tensor) -> dict[str, Any]:
    payload: Any = [features] if features.ndim == 2 else features
    return {"mm_encoder_outputs": {"image": BaseModelOutputWithPooling(pooler_output=payload)}}


def _answer(model: PreTrainedModel, name: str, inputs: dict[str, Any]) -> torch.Tensor:
    ids = torch.tensor([[20, 21] + [IMAGE] * TINY_FAMILIES[name].num_tokens + [22, 23, 24, 25]])
    kinds: dict[str, Any] = {}
    if name in ("gemma3", "paligemma"):
        kinds["token_type_ids"] = (ids == IMAGE).long()
    if name.startswith(("qwen", "glm4v")):
        kinds["mm_token_type_ids"] = (ids == IMAGE).long()
    with torch.no_grad():
        output = model(input_ids=ids, use_cache=False, **inputs, **kinds)
    found: torch.Tensor = output.logits
    return found
