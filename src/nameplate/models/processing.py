"""The one way from an image, a prompt and an answer to what a model reads. It is saved with every checkpoint."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from pydantic import BaseModel, ConfigDict
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from nameplate.errors import InputError, ModelError
from nameplate.store.files import write_json
from nameplate.store.fingerprint import fingerprint

IGNORED = -100
"""Label of a token that carries no loss (the convention of torch's cross entropy)."""

IMAGE_TOKEN = "<IMG_CONTEXT>"
END_OF_TURN = "<|im_end|>"
PREPROCESSOR_FILE = "preprocessor_config.json"
TOKENIZER_FILE = "tokenizer.json"

Thumbnail = NDArray[np.uint8]


class ImageContract(BaseModel):
    """How an image becomes numbers: square side in pixels, channel means and deviations, tokens in the text."""

    model_config = ConfigDict(frozen=True)

    size: int
    image_mean: tuple[float, float, float]
    image_std: tuple[float, float, float]
    num_image_tokens: int


class Encoded(NamedTuple):
    """Token ids and, of the same length, labels: `IGNORED` wherever no loss is."""

    input_ids: list[int]
    labels: list[int]


class Processor:
    """ChatML without a system turn, one image tile per question (the template of InternVL's native checkpoints)."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, contract: ImageContract) -> None:
        self.tokenizer = tokenizer
        self.contract = contract
        self.image_token_id = _token_id(tokenizer, IMAGE_TOKEN)
        self.end_id = _token_id(tokenizer, END_OF_TURN)
        pad = tokenizer.pad_token_id
        self.pad_id = pad if isinstance(pad, int) else _token_id(tokenizer, "<|endoftext|>")

    @classmethod
    def from_folder(cls, folder: Path, *, max_tiles: int = 1) -> Processor:
        """Read `preprocessor_config.json` and the tokenizer of a model folder.

        Raises:
            ModelError: a file is missing or malformed, or more than one tile is asked for.
        """
        if max_tiles != 1:
            raise ModelError(
                "model.max_tiles",
                found=str(max_tiles),
                expected="1, the only number of tiles so far",
                fix="set it to 1",
            )
        return cls(_load_tokenizer(folder), _load_contract(folder))

    @property
    def fingerprint(self) -> str:
        """Of everything that decides what the model reads for a given image and prompt."""
        vocabulary = self.tokenizer.get_vocab()
        return fingerprint(self.contract, sorted(vocabulary.items()), "chatml-1")

    def thumbnail(self, image: bytes | Image.Image) -> Thumbnail:
        """The image at the model's size, (S, S, 3) uint8: upright by EXIF, transparency over white, bicubic.

        Raises:
            InputError: the bytes are no image.
        """
        side = self.contract.size
        try:
            picture = Image.open(io.BytesIO(image)) if isinstance(image, bytes) else image
            upright = ImageOps.exif_transpose(picture)
            small = _over_white(upright).resize((side, side), Image.Resampling.BICUBIC)
        except (OSError, SyntaxError, ValueError) as error:
            raise InputError("image", found=f"cannot be decoded ({error})", fix="run fetch again") from None
        return np.asarray(small, dtype=np.uint8)

    def normalise(self, thumbnails: Sequence[Thumbnail]) -> torch.Tensor:
        """Thumbnails as the model reads them, (num_images, 3, S, S) float32."""
        stacked = torch.from_numpy(np.stack(thumbnails)).permute(0, 3, 1, 2).float().div_(255.0)
        mean = torch.tensor(self.contract.image_mean).view(1, 3, 1, 1)
        std = torch.tensor(self.contract.image_std).view(1, 3, 1, 1)
        return stacked.sub_(mean).div_(std).contiguous()

    def pixels(self, image: bytes | Image.Image) -> NDArray[np.float32]:
        """One image as the model reads it, (3, S, S) float32."""
        return self.normalise([self.thumbnail(image)])[0].numpy()

    def encode(self, prompt: str, answer: str | None = None) -> Encoded:
        """Token ids up to the assistant's turn, and with an answer its tokens and the end of turn, which carry loss.

        The two parts are tokenised apart, so that training ends its question exactly as generation does.
        """
        image = "<img>" + IMAGE_TOKEN * self.contract.num_image_tokens + "</img>\n"
        question = self._ids(f"<|im_start|>user\n{image}{_plain(prompt)}{END_OF_TURN}\n<|im_start|>assistant\n")
        if answer is None:
            return Encoded(question, [IGNORED] * len(question))
        reply = [*self._ids(_plain(answer)), self.end_id]
        return Encoded(question + reply, [IGNORED] * len(question) + reply)

    def decode(self, ids: Sequence[int]) -> str:
        """Text of generated ids up to the end of turn, without special tokens."""
        kept = list(ids)
        if self.end_id in kept:
            kept = kept[: kept.index(self.end_id)]
        return str(self.tokenizer.decode(kept, skip_special_tokens=True)).strip()

    def save(self, folder: Path) -> None:
        """Write tokenizer and `preprocessor_config.json` into a model folder."""
        self.tokenizer.save_pretrained(folder)
        write_json(folder / PREPROCESSOR_FILE, self.contract.model_dump(mode="json"))

    def _ids(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])


def _plain(text: str) -> str:
    # A table's or teacher's text must not open turns or add image slots of its own.
    for token in ("<|im_start|>", END_OF_TURN, "<|endoftext|>", "<img>", "</img>", IMAGE_TOKEN):
        text = text.replace(token, " ")
    return text


def _over_white(picture: Image.Image) -> Image.Image:
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        layer = picture.convert("RGBA")
        ground = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(ground, layer).convert("RGB")
    return picture.convert("RGB")


def _token_id(tokenizer: PreTrainedTokenizerBase, token: str) -> int:
    found = tokenizer.get_vocab().get(token)
    if found is None:
        raise ModelError(
            "tokenizer", found=f"it has no token {token}", expected="a ChatML tokenizer of an InternVL model"
        )
    return found


def _load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    path = folder / TOKENIZER_FILE
    if not path.exists():
        raise ModelError(str(path), found="missing", expected="a fast tokenizer", fix="give a whole model folder")
    if (folder / "tokenizer_config.json").exists():
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        return tokenizer
    build: Callable[..., PreTrainedTokenizerBase] = PreTrainedTokenizerFast
    return build(tokenizer_file=str(path), pad_token="<|endoftext|>", eos_token=END_OF_TURN)


def _load_contract(folder: Path) -> ImageContract:
    path = folder / PREPROCESSOR_FILE
    try:
        tree: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        size = tree["size"]
        tree["size"] = size["height"] if isinstance(size, Mapping) else size
        if "num_image_tokens" not in tree:
            tree["num_image_tokens"] = _tokens_of_config(folder)
        return ImageContract.model_validate(tree)
    except FileNotFoundError as error:
        raise ModelError(str(error.filename), found="missing", fix="give a whole model folder") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(
            str(path), found=f"malformed ({type(error).__name__}: {error})", expected="size, image_mean, image_std"
        ) from None


def _tokens_of_config(folder: Path) -> int:
    tree = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return int(tree["image_seq_length"])
