"""Any family's preprocessing by transformers' own processor and chat template, behind our interface."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from PIL import Image
from transformers import AutoProcessor, PreTrainedTokenizerBase, ProcessorMixin

from nameplate.errors import ModelError
from nameplate.models.imagebatch import ImageBatch, PreparedImage
from nameplate.models.locate import first_line
from nameplate.models.pictures import read_picture
from nameplate.models.processing import IGNORED, Encoded, Span, token_spans
from nameplate.models.tiling import ImageSize
from nameplate.models.tokenizer import pad_token_id, special_tokens
from nameplate.store.fingerprint import fingerprint

_SAMPLE: Final = "Nameplate"
_NOT_TEXT: Final = ("input_ids", "attention_mask")
_KIND: Final = "token_type_ids"
_NOT_PIXELS: Final = ("num_patches", "num_crops", "labels")
"""What some image processors report for their own processor, and no model takes."""

Message = dict[str, Any]


class _Turn(NamedTuple):
    """How a chat template frames an answer after its generation prompt."""

    before: str
    end_id: int


class AutoProcessing:
    """One image before one question, in the family's own words.

    Args:
        processor: of the model's folder, with a chat template.
        image_token_id: by the model's configuration.
    """

    def __init__(self, processor: ProcessorMixin, image_token_id: int) -> None:
        own: Any = processor
        self.own = own
        self.tokenizer: PreTrainedTokenizerBase = own.tokenizer
        self.image_token_id = image_token_id
        self.pad_id = pad_token_id(self.tokenizer)
        self._special = special_tokens(self.tokenizer)
        turn = self._turn()
        self.end_id = turn.end_id
        self._before_answer = turn.before
        self._question = lru_cache(maxsize=4096)(self._tokenised)

    @classmethod
    def from_folder(cls, folder: Path, config: Mapping[str, Any], *, max_tiles: int | None) -> AutoProcessing:
        """See `load_processor`."""
        if max_tiles is not None and max_tiles > 1:
            raise ModelError(
                "model.max_tiles",
                found=f"{max_tiles} for a model of the family {config.get('model_type')!r}",
                expected="1: only InternVL's images are cut by this number",
                fix="set it to 1; other families cut images as their own processor says",
            )
        token = config.get("image_token_id", config.get("image_token_index"))
        try:
            reader: Any = AutoProcessor
            processor = reader.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        except (OSError, ValueError, ImportError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(
                str(folder),
                found=f"its processor cannot be loaded ({first_line(error)})",
                fix="give a whole model folder",
            ) from error
        if not isinstance(processor, ProcessorMixin) or not isinstance(token, int):
            raise ModelError(str(folder), found="no processor of images and text", fix="give a whole model folder")
        if getattr(processor, "chat_template", None) is None:
            raise ModelError(
                str(folder), found="it has no chat template", expected="a model that was taught to answer questions"
            )
        found = cls(processor, token)
        strange = found.unknown_arguments()
        if strange:
            raise ModelError(
                str(folder),
                found=f"its processor gives {', '.join(strange)} beside text and images",
                expected="a family whose images stand between the words",
                fix="choose another base",
            )
        return found

    @property
    def by_size(self) -> bool:
        """Not known of a family, so taken to be so."""
        return True

    @property
    def fingerprint(self) -> str:
        """Of the processor's settings, its template and vocabulary."""
        vocabulary = sorted(self.tokenizer.get_vocab().items())
        return fingerprint(self.own.to_json_string(), str(self.own.chat_template), vocabulary, "auto-1")

    def unknown_arguments(self) -> list[str]:
        """What the processor gives beside tokens, what it says of each of them, and what comes of the image alone.

        A model would need these in every batch, and we would not know how to join them.
        """
        blank = Image.new("RGB", (64, 64))
        found = self._processed(_SAMPLE, blank)
        own = {*self.own.image_processor(images=[blank], return_tensors="pt"), *_NOT_TEXT}
        return sorted(name for name in found if name not in own and not name.endswith(_KIND))

    def num_image_tokens(self, size: ImageSize) -> int:
        """As the processor writes them for an image of that size."""
        return self.encode(_SAMPLE, size=size).input_ids.count(self.image_token_id)

    def prepare(self, image: bytes | Image.Image) -> PreparedImage:
        """Whatever the family's image processor makes of one image."""
        picture = read_picture(image)
        found = self.own.image_processor(images=[picture], return_tensors="pt")
        inputs = {name: each for name, each in found.items() if torch.is_tensor(each) and name not in _NOT_PIXELS}
        return PreparedImage(ImageSize(*picture.size), inputs)

    def batch(self, images: Sequence[PreparedImage]) -> ImageBatch:
        """Prepared images as they are."""
        return ImageBatch(tuple(image.size for image in images), tuple(image.inputs for image in images))

    def encode(self, prompt: str, answer: str | None = None, *, size: ImageSize | None = None) -> Encoded:
        """See `Processor.encode`; the size is needed, because most families make more tokens of larger images."""
        assert size is not None, "the number of image tokens depends on the image's size"
        question = self._question(self.plain(prompt), size)
        if answer is None:
            return question
        text = self._before_answer + self.plain(answer)
        reply = [*self.tokenizer(text, add_special_tokens=False)["input_ids"], self.end_id]
        # Nothing that an answer is made of is of a special kind.
        kinds = {name: [*values, *[0] * len(reply)] for name, values in question.kinds.items()}
        return Encoded([*question.input_ids, *reply], [*question.labels, *reply], kinds)

    def answer_spans(self, answer: str) -> list[Span]:
        """See `Processor.answer_spans`; what a family writes before an answer spells nothing of it."""
        text = self.plain(answer)
        before = self._before_answer
        return [*token_spans(self.tokenizer, before + text, skip=len(before)), Span(len(text), len(text))]

    def decode(self, ids: Sequence[int]) -> str:
        """Text of generated ids up to the end of turn, without special tokens."""
        kept = list(ids)
        if self.end_id in kept:
            kept = kept[: kept.index(self.end_id)]
        return str(self.tokenizer.decode(kept, skip_special_tokens=True)).strip()

    def save(self, folder: Path) -> None:
        """Write the processor's own files."""
        self.own.save_pretrained(folder)

    def _tokenised(self, prompt: str, size: ImageSize) -> Encoded:
        """By way of a blank image: only its size can matter to the text."""
        found = self._processed(prompt, Image.new("RGB", size))
        ids = list(found["input_ids"][0])
        kinds = {name: list(values[0]) for name, values in found.items() if name.endswith(_KIND)}
        return Encoded(ids, [IGNORED] * len(ids), kinds)

    def _processed(self, prompt: str, image: Image.Image) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.own.apply_chat_template(
            [_asked(prompt, image)], add_generation_prompt=True, tokenize=True, return_dict=True
        )
        return found

    def _turn(self) -> _Turn:
        question = _asked(_SAMPLE, None)
        answer: Message = {"role": "assistant", "content": [{"type": "text", "text": _SAMPLE}]}
        opened = str(self.own.apply_chat_template([question], add_generation_prompt=True, tokenize=False))
        whole = str(self.own.apply_chat_template([question, answer], tokenize=False))
        eos = self.tokenizer.eos_token_id
        assert isinstance(eos, int), "a tokenizer without an end"
        if not whole.startswith(opened) or _SAMPLE not in whole[len(opened) :]:
            return _Turn("", eos)
        before, _, after = whole[len(opened) :].partition(_SAMPLE)
        ids = self.tokenizer(after, add_special_tokens=False)["input_ids"]
        ends = bool(ids) and self.tokenizer.convert_ids_to_tokens(ids[0]) in self._special
        return _Turn(before, int(ids[0]) if ends else eos)

    def plain(self, text: str) -> str:
        """A text without anything that opens a turn or stands for an image."""
        # A table's or teacher's text must not open turns or add image slots of its own.
        for token in self._special:
            text = text.replace(token, " ")
        return text


def _asked(prompt: str, image: Image.Image | None) -> Message:
    picture: Message = {"type": "image"} if image is None else {"type": "image", "image": image}
    return {"role": "user", "content": [picture, {"type": "text", "text": prompt}]}
