"""InternVL's preprocessing without torchvision: tiles by Pillow, turns by the checkpoint's own tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch
from PIL import Image
from transformers import PreTrainedTokenizerBase

from nameplate.models.contract import ImageContract, write_contract
from nameplate.models.imagebatch import ImageBatch, PreparedImage
from nameplate.models.internvl.autofiles import write_auto_files
from nameplate.models.pictures import read_picture
from nameplate.models.processing import IGNORED, Encoded, Span, fix_size, token_spans
from nameplate.models.tiling import ImageSize, cut, num_tiles
from nameplate.models.tokenizer import END_OF_TURN, end_of_turn_id, leading_ids, pad_token_id, special_tokens, token_id
from nameplate.store.fingerprint import fingerprint

IMAGE_TOKEN: Final = "<IMG_CONTEXT>"
VIDEO_TOKEN: Final = "<video>"
_MARKS: Final = ("<|im_start|>", END_OF_TURN, "<|endoftext|>", "<img>", "</img>", IMAGE_TOKEN)


class InternVLProcessor:
    """Turns as the contract says, the system's first; an image, `num_image_tokens` a tile, stands before the prompt."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, contract: ImageContract) -> None:
        self.tokenizer = tokenizer
        self.contract = contract
        self.image_token_id = token_id(tokenizer, IMAGE_TOKEN)
        self.end_id = end_of_turn_id(tokenizer, contract.turn_end)
        self.pad_id = pad_token_id(tokenizer)
        self._leading = leading_ids(tokenizer)
        openings = (
            contract.opening("system").strip(),
            contract.opening("user").strip(),
            contract.opening("assistant").strip(),
        )
        self._special = tuple(dict.fromkeys((*special_tokens(tokenizer), *_MARKS, *openings)))

    @property
    def by_size(self) -> bool:
        """Only where there may be several tiles."""
        return self.contract.max_tiles > 1

    @property
    def fingerprint(self) -> str:
        """Of contract, vocabulary and template."""
        vocabulary = self.tokenizer.get_vocab()
        return fingerprint(self.contract, sorted(vocabulary.items()), "chatml-2")

    def num_image_tokens(self, size: ImageSize) -> int:
        """A fixed number for each tile, thumbnail included."""
        return self.contract.num_image_tokens * num_tiles(size, self.contract.rule)

    def prepare(self, image: bytes | Image.Image) -> PreparedImage:
        """`tiles`: (num_tiles, S, S, 3) uint8, bicubic."""
        picture = read_picture(image)
        return PreparedImage(ImageSize(*picture.size), {"tiles": torch.from_numpy(cut(picture, self.contract.rule))})

    def batch(self, images: Sequence[PreparedImage]) -> ImageBatch:
        """`pixel_values`: (num_tiles, 3, S, S) float32 for each image."""
        tiles = [image.inputs["tiles"] for image in images]
        pixels = torch.cat(tiles).permute(0, 3, 1, 2).float().div_(255.0)
        mean = torch.tensor(self.contract.image_mean).view(1, 3, 1, 1)
        std = torch.tensor(self.contract.image_std).view(1, 3, 1, 1)
        normal = pixels.sub_(mean).div_(std).contiguous()
        parts = torch.split(normal, [len(each) for each in tiles])
        return ImageBatch(tuple(image.size for image in images), tuple({"pixel_values": part} for part in parts))

    def encode(self, prompt: str, answer: str | None = None, *, size: ImageSize | None = None) -> Encoded:
        """See `Processor.encode`; the size may be left out with one tile per image."""
        contract = self.contract
        count = self.num_image_tokens(fix_size(size, fixed=not self.by_size))
        system = f"{contract.opening('system')}{contract.system}{contract.turn_end}" if contract.system else ""
        image = "<img>" + IMAGE_TOKEN * count + "</img>\n"
        user, assistant = contract.opening("user"), contract.opening("assistant")
        turn = f"{user}{image}{self.plain(prompt)}{contract.turn_end}{assistant}"
        question = [*self._leading, *self._ids(system + turn)]
        if answer is None:
            return Encoded(question, [IGNORED] * len(question))
        reply = [*self._ids(self.plain(answer)), self.end_id]
        return Encoded(question + reply, [IGNORED] * len(question) + reply)

    def answer_spans(self, answer: str) -> list[Span]:
        """See `Processor.answer_spans`."""
        text = self.plain(answer)
        return [*token_spans(self.tokenizer, text), Span(len(text), len(text))]

    def decode(self, ids: Sequence[int]) -> str:
        """Text of generated ids up to the end of turn, without special tokens."""
        kept = list(ids)
        if self.end_id in kept:
            kept = kept[: kept.index(self.end_id)]
        return str(self.tokenizer.decode(kept, skip_special_tokens=True)).strip()

    def save(self, folder: Path) -> None:
        """Write tokenizer, `preprocessor_config.json`, and what `AutoProcessor` needs beside them."""
        self.tokenizer.save_pretrained(folder)
        write_contract(self.contract, folder)
        leading = str(self.tokenizer.decode(self._leading)) if self._leading else ""
        spare = VIDEO_TOKEN if VIDEO_TOKEN in self.tokenizer.get_vocab() else str(self.tokenizer.decode([self.pad_id]))
        write_auto_files(self.contract, folder, image_token=IMAGE_TOKEN, spare_token=spare, leading=leading)

    def _ids(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def plain(self, text: str) -> str:
        """A text without anything that opens a turn or stands for an image."""
        # A table's or teacher's text must not open turns or add image slots of its own.
        for token in self._special:
            text = text.replace(token, " ")
        return text
