"""Presets of teachers: what they set, that the recipe's own values win, and that a saved recipe means the same."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from nameplate.errors import RecipeError
from nameplate.recipe import CaptionSection, Recipe, TeacherSection, build_recipe, dump_recipe
from nameplate.recipe.teachers import TEACHER_PRESETS


def recipe(**caption: Any) -> Recipe:
    return build_recipe({"table": {"source": "x.csv"}, "caption": caption}, where="test")


def test_presets_are_the_known_teachers() -> None:
    assert " ".join(TEACHER_PRESETS) == "qwen2-vl qwen2.5-vl qwen3-vl qwen3-vl-thinking qvq-72b-preview"


@pytest.mark.parametrize("name", TEACHER_PRESETS)
def test_preset_sets_model_reading_sampling_and_size(name: str) -> None:
    preset, section = TEACHER_PRESETS[name], recipe(preset=name).caption
    assert (section.teacher.model, section.teacher.reading) == (preset.model, preset.reading)
    assert section.sampling.model_dump() == {"presence_penalty": 0.0, "frequency_penalty": 0.0, **preset.sampling}
    assert section.image_longest_side == preset.longest_side


def test_sampling_of_the_experiment() -> None:
    sampling = recipe(preset="qwen2-vl").caption.sampling
    assert (sampling.temperature, sampling.top_p, sampling.max_tokens) == (0.1, 0.2, 200)
    assert (sampling.presence_penalty, sampling.frequency_penalty) == (0.0, 0.0)


def test_thinking_teachers_have_room_to_think() -> None:
    for name, preset in TEACHER_PRESETS.items():
        thinks = preset.reading in {"tags", "qvq"}
        assert (recipe(preset=name).caption.sampling.max_tokens >= 2048) == thinks


def test_own_values_win_over_the_presets() -> None:
    section = recipe(
        preset="qvq-72b-preview",
        teacher={"model": "mine", "concurrency": 3},
        sampling={"temperature": 0.7},
        image_longest_side=None,
    ).caption
    assert (section.teacher.model, section.teacher.concurrency, section.teacher.reading) == ("mine", 3, "qvq")
    assert (section.sampling.temperature, section.sampling.max_tokens) == (0.7, 2048)
    assert section.image_longest_side is None


def test_own_values_win_in_sections_made_by_code() -> None:
    section = CaptionSection(preset="qvq-72b-preview", teacher=TeacherSection(concurrency=3))
    assert (section.teacher.concurrency, section.teacher.model) == (3, "Qwen/QVQ-72B-Preview")


@pytest.mark.parametrize("name", TEACHER_PRESETS)
def test_saved_recipe_means_the_same(name: str) -> None:
    chosen = recipe(preset=name, sampling={"top_p": 0.3})
    assert build_recipe(yaml.safe_load(dump_recipe(chosen)), where="test") == chosen


@pytest.mark.parametrize(
    ("caption", "message"),
    [
        ({"preset": "gpt"}, "one of qwen2-vl, "),
        ({"preset": 7}, "string"),
        ({"preset": "qwen2-vl", "sampling": 7}, "caption.sampling"),
        ({"preset": "qwen2-vl", "teacher": {"modle": "x"}}, "did you mean 'model'"),
        ({"template": "custom"}, "goes with template: custom"),
        ({"template": "brand_first", "prompt": "Describe."}, "goes with template: custom"),
        ({"prompt": ""}, "caption.prompt"),
        ({"attributes": ["title"]}, "attributes go with"),
        ({"prompt": "Describe.", "attributes": ["title"]}, "attributes go with"),
        ({"image_longest_side": 8}, "image_longest_side"),
    ],
)
def test_mistakes_are_named(caption: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        recipe(**caption)


def test_a_question_of_ones_own_need_not_be_announced() -> None:
    assert recipe(prompt="Describe it: {facts}", attributes=["title"]).caption.template == "custom"
