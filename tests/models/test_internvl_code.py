"""InternVL against its own code, where a copy is given: it is not part of this repository.

`NAMEPLATE_INTERNVL_CODE` names the folder that holds the package `internvl` (`internvl_chat` of OpenGVLab/InternVL).
"""

from __future__ import annotations

import importlib
import importlib.machinery
import os
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from nameplate.models.load import load_model
from nameplate.models.tiling import ImageSize, TileRule, cut

from .oracle import OracleVision
from .test_internvl import LARGE, QUESTION, WIDE, assert_equals_oracle, ids, logits, pixels
from .tiny_original import Language, original_config, tiny_oracle, write_tiny_original

CODE = os.environ.get("NAMEPLATE_INTERNVL_CODE")
pytestmark = pytest.mark.skipif(CODE is None, reason="NAMEPLATE_INTERNVL_CODE names no copy of InternVL's own code")


@pytest.fixture
def original(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """The original's chat model; the two packages that it imports and that we do not have are stood in for."""
    assert CODE is not None
    monkeypatch.syspath_prepend(CODE)
    einops, layers = types.ModuleType("einops"), types.ModuleType("timm.models.layers")
    einops.rearrange = _rearrange  # type: ignore[attr-defined]  # the one function that is used
    layers.DropPath = torch.nn.Identity  # type: ignore[attr-defined]  # in eval mode it does nothing
    for name, module in (
        ("einops", einops),
        ("timm", types.ModuleType("timm")),
        ("timm.models", types.ModuleType("timm.models")),
        ("timm.models.layers", layers),
    ):
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        monkeypatch.setitem(sys.modules, name, module)
    return importlib.import_module("internvl.model.internvl_chat.modeling_internvl_chat")


def _rearrange(tensor: torch.Tensor, pattern: str, **sizes: int) -> torch.Tensor:
    """The three patterns of the original's InternLM2."""
    plain = " ".join(pattern.split())
    if plain == "b q (h gs d) -> b q h gs d":
        return tensor.view(*tensor.shape[:2], -1, sizes["gs"], sizes["d"])
    assert plain == "b q h gs d -> b q (h gs) d", plain
    return tensor.flatten(2, 3)


@pytest.mark.parametrize(
    ("language", "vision"),
    [
        ("Qwen2ForCausalLM", OracleVision()),
        ("Qwen2ForCausalLM", LARGE),
        ("LlamaForCausalLM", OracleVision()),
        ("InternLM2ForCausalLM", OracleVision()),
    ],
)
def test_logits_are_those_of_the_original_code(
    tmp_path: Path, original: Any, language: Language, vision: OracleVision
) -> None:
    """Measured worst difference in float32: 2.8e-6."""
    oracle = tiny_oracle(vision=vision, language=language)
    loaded = load_model(str(write_tiny_original(tmp_path / "m", oracle, vision=vision, language=language)))
    theirs = _their_model(original, vision, language, oracle.state_dict())
    one = ids(loaded)
    theirs.img_context_token_id = loaded.processor.image_token_id
    with torch.no_grad():
        wanted = theirs(pixel_values=pixels(), input_ids=one, image_flags=torch.ones(3, 1, dtype=torch.long)).logits
    assert (logits(loaded) - wanted).abs().max() < 1e-5
    assert_equals_oracle(loaded, oracle)


def test_question_is_the_original_template(tmp_path: Path, original: Any) -> None:
    template = importlib.import_module("internvl.conversation").get_conv_template("internvl2_5")
    template.append_message(template.roles[0], f"<image>\n{QUESTION}")
    template.append_message(template.roles[1], None)
    processor = load_model(str(write_tiny_original(tmp_path / "m"))).processor
    wanted = template.get_prompt().replace("<image>", "<img>" + "<IMG_CONTEXT>" * 12 + "</img>")
    assert processor.encode(QUESTION, size=WIDE).input_ids == processor.tokenizer(wanted)["input_ids"]


@pytest.mark.parametrize("size", [ImageSize(800, 600), ImageSize(33, 900), ImageSize(448, 448), ImageSize(1000, 1001)])
@pytest.mark.parametrize("max_tiles", [1, 6, 12])
def test_tiles_are_those_of_the_original_code(original: Any, size: ImageSize, max_tiles: int) -> None:
    preprocess = _dynamic_preprocess()
    noise = torch.randint(0, 256, (size.height, size.width, 3), dtype=torch.uint8)
    picture = Image.fromarray(noise.numpy())
    wanted = preprocess(picture, min_num=1, max_num=max_tiles, image_size=64, use_thumbnail=True)
    found = cut(picture, TileRule(64, 1, max_tiles, thumbnail=True))
    assert len(found) == len(wanted)
    for tile, theirs in zip(found, wanted, strict=True):
        assert Image.fromarray(tile).tobytes() == theirs.tobytes()


def _dynamic_preprocess() -> Any:
    """Out of the text of `dataset.py`, which imports much that tiling does not need."""
    assert CODE is not None
    text = (Path(CODE) / "internvl" / "train" / "dataset.py").read_text()
    names: dict[str, Any] = {}
    for start in ("def find_closest_aspect_ratio", "def dynamic_preprocess"):
        body = text[text.index(start) :]
        exec(body.split("\n\n\n")[0], names)
    return names["dynamic_preprocess"]


def _their_model(original: Any, vision: OracleVision, language: Language, state: dict[str, torch.Tensor]) -> Any:
    configuration = importlib.import_module("internvl.model.internvl_chat.configuration_internvl_chat")
    tree = original_config(vision, language, tied=False, dtype=torch.float32)
    tree["llm_config"] |= {"attn_implementation": "eager"}
    config = configuration.InternVLChatConfig(**{name: value for name, value in tree.items() if name != "auto_map"})
    if language == "InternLM2ForCausalLM":
        # transformers 5 fills in what the original reads as "no stretching" only if it is absent.
        config.llm_config.rope_scaling = None
    model = original.InternVLChatModel(config, use_flash_attn=False)
    model.load_state_dict(state)
    return model.eval()
