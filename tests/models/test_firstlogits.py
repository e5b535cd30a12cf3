"""The logits of first tokens, in a batch of different lengths, are those that one question alone gets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from nameplate.models.features import vision_features
from nameplate.models.firstlogits import first_logits, is_tie
from nameplate.models.generate import generate
from nameplate.models.imagebatch import ImageBatch
from nameplate.models.load import load_model

from .tiny_auto import WRITERS
from .tiny_model import write_tiny_model

FAMILIES: dict[str, Callable[[Path], Path]] = {"internvl": write_tiny_model, **WRITERS}
PROMPTS = ["Which brand is this product?", "Describe this product in detail."]


@pytest.mark.parametrize("family", FAMILIES)
def test_first_logits_lead_to_the_first_token(tmp_path: Path, family: str) -> None:
    """Left padding and kernels of another shape round otherwise; measured: at most 6e-7."""
    loaded = load_model(str(FAMILIES[family](tmp_path / "model")))
    pictures = [Image.effect_noise((40 + 24 * place, 40), 90).convert("RGB") for place in range(2)]
    images = loaded.processor.batch([loaded.processor.prepare(picture) for picture in pictures])
    seen = vision_features(loaded.model, images)
    together = first_logits(loaded, seen, PROMPTS)
    for place, prompt in enumerate(PROMPTS):
        alone = first_logits(loaded, seen.pick([place]), [prompt])
        torch.testing.assert_close(together[place], alone[0], rtol=1e-5, atol=5e-6)
        (first,) = generate(loaded, seen.pick([place]), [prompt], max_new_tokens=1)
        token: Any = int(alone.argmax())
        assert loaded.processor.decode([token]) == first


def test_a_tie_is_what_rounding_can_decide(tmp_path: Path) -> None:
    """The likeliest first token against others: of equal logits, of the runner-up, and of the least likely."""
    loaded = load_model(str(write_tiny_model(tmp_path / "model", tie=False)))
    picture = Image.effect_noise((40, 40), 90).convert("RGB")
    seen = vision_features(loaded.model, loaded.processor.batch([loaded.processor.prepare(picture)]))
    letters = {letter: loaded.processor.encode("?", letter).input_ids[-2] for letter in "abcdefgh"}

    def ties(one: str, other: str, images: ImageBatch = seen) -> bool:
        return is_tie(loaded, images, PROMPTS[0], *([letters[each] for each in word] for word in (one, other)))

    model: Any = loaded.model
    head = model.get_output_embeddings()
    assert isinstance(head, torch.nn.Linear)
    with torch.no_grad():
        head.weight[letters["b"]] = head.weight[letters["a"]]
        head.weight[letters["c"]] = -head.weight[letters["a"]]
    assert ties("a", "b")
    assert not ties("a", "c")
    # What comes before is the same, and counts for neither.
    assert ties("hag", "hbg")
    assert not ties("hag", "hcg")
    # An answer that is empty was never said.
    assert not is_tie(loaded, seen, PROMPTS[0], [], [letters["a"]])
    # A model need not spell as its tokenizer would: what counts is what it said.
    spelled, space = [letters[each] for each in "bad"], loaded.processor.encode("?", "bad").input_ids[-5]
    assert loaded.processor.decode([space, space, *spelled]) == "bad"
    assert is_tie(loaded, seen, PROMPTS[0], [space, space, *spelled], [space, space, letters["a"]])
    assert not is_tie(loaded, seen, PROMPTS[0], [space, space, *spelled], [space, space, letters["c"]])
    with torch.no_grad():
        head.weight[letters["b"]] *= 1 + 1e-4
    assert not ties("a", "b")
    model.to(torch.bfloat16)
    short = type(seen)(seen.sizes, tuple({name: each.bfloat16() for name, each in one.items()} for one in seen.inputs))
    assert ties("a", "b", short)
