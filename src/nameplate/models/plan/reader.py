"""How a model folder counts images and words, with its tokenizer or, where it has none, by rule of thumb."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from PIL import Image

from nameplate.models.constanttext import common_start
from nameplate.models.contract import ImageContract, read_contract
from nameplate.models.internvl.config import is_original
from nameplate.models.internvl.conversation import original_contract
from nameplate.models.locate import read_config
from nameplate.models.plan.table import Texts
from nameplate.models.processing import IGNORED, Encoded, Processor
from nameplate.models.processors import load_processor
from nameplate.models.prompts import PROMPTS
from nameplate.models.tiling import ImageSize, num_tiles
from nameplate.models.tokenizer import BYTE_PAIRS, TOKENIZER_FILE

TOKENS_PER_WORD: Final = 1.35
"""English product captions with Qwen's tokenizer; the figure is used where there is no tokenizer, and is shown."""
FRAME_TOKENS: Final = 60
"""System turn, marks of turns and image, and the question, in InternVL 2.5's template; the same."""
NAME_WORDS: Final = 2


@dataclass(frozen=True)
class Counted:
    """One example."""

    image: int
    """Tokens that stand for the image."""
    text: int
    """Question, frame and answer."""
    answer: int
    tiles: int
    """Of an InternVL; 1 elsewhere."""

    @property
    def total(self) -> int:
        """Length of the sequence."""
        return self.image + self.text


class Reader:
    """Counts for one model folder.

    Args:
        folder: of the model; weights are not needed, and with InternVL no tokenizer either.
        max_tiles: of the recipe.

    Raises:
        ModelError: the folder does not say how it reads images.
    """

    def __init__(self, folder: Path, *, max_tiles: int) -> None:
        tree = read_config(folder)
        self.contract = _contract(tree, folder, max_tiles)
        self.processor: Processor | None = None
        if self.contract is None or _has_tokenizer(folder):
            self.processor = load_processor(folder, max_tiles=max_tiles)

    @property
    def said(self) -> str:
        """How words become tokens, as a sentence."""
        if self.processor is not None:
            return (
                f"tokens are counted by the model's own tokenizer; where only words are known, {TOKENS_PER_WORD} each"
            )
        return f"the folder has no tokenizer: {TOKENS_PER_WORD} tokens a word, {FRAME_TOKENS} for frame and question"

    def tiles(self, size: ImageSize) -> int:
        """Tiles of an image."""
        return num_tiles(size, self.contract.rule) if self.contract is not None else 1

    def caption(self, row: Texts) -> Counted:
        """A row asked for its caption."""
        return self._count(PROMPTS["detail"], row.caption, row.size)

    def question(self, row: Texts) -> Counted:
        """A row asked for its name."""
        name = row.name if self.processor is not None else NAME_WORDS
        return self._count(PROMPTS["name"], name, row.size)

    def text_before(self) -> tuple[int, ...]:
        """Tokens that stand before every image; none where the folder has no tokenizer."""
        if self.processor is None:
            return ()
        questions = [self.processor.encode(PROMPTS[each], size=ImageSize(1, 1)) for each in ("detail", "name")]
        return common_start([each.input_ids for each in questions], image_token_id=self.processor.image_token_id)

    def _count(self, prompt: str, answer: str | int, size: ImageSize) -> Counted:
        tiles = self.tiles(size)
        if self.processor is None:
            assert self.contract is not None, "a folder without a tokenizer is InternVL's"
            words = answer if isinstance(answer, int) else len(answer.split())
            tokens = round(words * TOKENS_PER_WORD) + 1
            return Counted(self.contract.num_image_tokens * tiles, FRAME_TOKENS + tokens, tokens, tiles)
        known = answer if isinstance(answer, str) else ""
        encoded = self.processor.encode(prompt, known, size=size)
        image = encoded.input_ids.count(self.processor.image_token_id)
        answered = sum(label != IGNORED for label in encoded.labels)
        more = 0 if isinstance(answer, str) else round(answer * TOKENS_PER_WORD)
        return Counted(image, len(encoded.input_ids) - image + more, answered + more, tiles)

    def example(self, size: ImageSize) -> tuple[Encoded, dict[str, Any]]:
        """One example with a grey image, as this family's own processor makes it: ids, and the image's arguments."""
        assert self.processor is not None
        encoded = self.processor.encode(PROMPTS["name"], "a", size=size)
        grey = Image.new("RGB", (size.width, size.height), (128, 128, 128))
        return encoded, self.processor.batch([self.processor.prepare(grey)]).merged()


def _contract(tree: dict[str, Any], folder: Path, max_tiles: int) -> ImageContract | None:
    if is_original(tree):
        return original_contract(tree, folder).limited(max_tiles)
    if tree.get("model_type") == "internvl":
        return read_contract(folder).limited(max_tiles)
    return None


def _has_tokenizer(folder: Path) -> bool:
    return any((folder / name).exists() for name in (TOKENIZER_FILE, *BYTE_PAIRS, "tokenizer.model"))
