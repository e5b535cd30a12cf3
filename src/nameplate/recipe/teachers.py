"""Known teachers: what a recipe need not say about them. Merged under the recipe's own values when it is built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel

EXPERIMENT: Final = {"temperature": 0.1, "top_p": 0.2, "presence_penalty": 0.0, "frequency_penalty": 0.0}
"""The sampling of the experiment that this product comes from."""


@dataclass(frozen=True)
class TeacherPreset:
    """One family of teachers, served by the user (so that tokens cost nothing but time).

    `pixels_per_token` is the side of the square that becomes one image token (patch x merge); `inferred` names what is
    a judgement of ours and stands in no model card and no measured run.
    """

    name: str
    model: str
    reading: str
    sampling: Mapping[str, float | int]
    longest_side: int
    pixels_per_token: int
    inferred: tuple[str, ...]
    note: str

    def fields(self) -> dict[str, Any]:
        """What it sets, in the shape of the recipe's section."""
        return {
            "teacher": {"model": self.model, "reading": self.reading},
            "sampling": dict(self.sampling),
            "image_longest_side": self.longest_side,
        }


_SIDE_REASON = "image_longest_side"
_LONG_THOUGHT: Final = 4096

TEACHER_PRESETS: Final = {
    preset.name: preset
    for preset in (
        TeacherPreset(
            name="qwen2-vl",
            model="Qwen/Qwen2-VL-72B-Instruct",
            reading="none",
            sampling={**EXPERIMENT, "max_tokens": 200},
            longest_side=1024,
            pixels_per_token=28,
            inferred=(_SIDE_REASON,),
            note="the experiment's first teacher: of 20,000 captions over 5,000 were loops or garbled",
        ),
        TeacherPreset(
            name="qwen2.5-vl",
            model="Qwen/Qwen2.5-VL-72B-Instruct",
            reading="none",
            sampling={**EXPERIMENT, "max_tokens": 200},
            longest_side=1024,
            pixels_per_token=28,
            inferred=(_SIDE_REASON, "sampling"),
            note="its AWQ form is known to loop one sign and end with finish_reason stop",
        ),
        TeacherPreset(
            name="qwen3-vl",
            model="Qwen/Qwen3-VL-235B-A22B-Instruct",
            reading="none",
            sampling={**EXPERIMENT, "max_tokens": 200},
            longest_side=1024,
            pixels_per_token=32,
            inferred=(_SIDE_REASON, "sampling"),
            note="its card advises temperature 0.7, top_p 0.8, presence_penalty 1.5",
        ),
        TeacherPreset(
            name="qwen3-vl-thinking",
            model="Qwen/Qwen3-VL-235B-A22B-Thinking",
            reading="tags",
            sampling={"temperature": 1.0, "top_p": 0.95, "max_tokens": _LONG_THOUGHT},
            longest_side=1024,
            pixels_per_token=32,
            inferred=(_SIDE_REASON, "max_tokens"),
            note="sampling as its card advises: thinking loops when it is sampled greedily",
        ),
        TeacherPreset(
            name="qvq-72b-preview",
            model="Qwen/QVQ-72B-Preview",
            reading="qvq",
            sampling={**EXPERIMENT, "max_tokens": 2048},
            longest_side=1024,
            pixels_per_token=28,
            inferred=(_SIDE_REASON, "max_tokens"),
            note="the experiment's second teacher, whose 200 tokens cut texts off; it thinks aloud without tags",
        ),
    )
}


def fill_teacher(tree: Any) -> Any:
    """A `caption` section as it was written, with its preset's values where it says nothing itself."""
    if not isinstance(tree, Mapping) or not isinstance(tree.get("preset"), str):
        return tree
    preset = TEACHER_PRESETS.get(tree["preset"])
    if preset is None:
        return tree  # the section's own check says which ones there are
    return _under(tree, preset.fields())


def _under(own: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base) | dict(own)
    for key, value in base.items():
        mine = own.get(key)
        if isinstance(mine, BaseModel):
            mine = mine.model_dump(exclude_unset=True)
        if isinstance(value, Mapping) and isinstance(mine, Mapping):
            merged[key] = _under(mine, value)
    return merged
