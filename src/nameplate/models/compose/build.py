"""Putting parts together, and writing the folder piece by piece: the whole model is never in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from transformers import GenerationConfig, InternVLConfig, InternVLForConditionalGeneration

from nameplate.errors import ModelError
from nameplate.models.checkpoint import replacing_folder
from nameplate.models.compose.language import EMBEDDINGS, LanguagePart, num_ids, read_language
from nameplate.models.compose.projector import Fresh, fresh_projector, trained_rms, with_rows
from nameplate.models.compose.provenance import Composed, copy_licences, describe, write_note
from nameplate.models.compose.turns import image_template, leading_text
from nameplate.models.compose.vision import VisionPart, read_vision
from nameplate.models.internvl.config import to_original_config
from nameplate.models.internvl.conversation import settings_of, write_original_preprocessor
from nameplate.models.internvl.keys import HEAD, State, plain_parts, to_original
from nameplate.models.internvl.processing import IMAGE_TOKEN, InternVLProcessor
from nameplate.models.processors import load_processor
from nameplate.models.tokenizer import token_id
from nameplate.models.weights import WeightFiles, check_shapes, write_weights_in_pieces
from nameplate.progress import Progress, SilentProgress, bar
from nameplate.store.files import write_json

Layout = Literal["native", "original"]

_VISION, _PROJECTOR, _LANGUAGE = "model.vision_tower.", "model.multi_modal_projector.", "model.language_model."


class _Parts(NamedTuple):
    """Everything that decides the new model."""

    vision: VisionPart
    language: LanguagePart
    config: InternVLConfig
    projector: Fresh
    processor: InternVLProcessor
    dtype: torch.dtype
    layout: Layout


def compose(
    vision: str,
    language: str,
    out: Path,
    *,
    layout: Layout = "native",
    seed: int = 0,
    progress: Progress | None = None,
) -> Composed:
    """Write a new model: an InternViT, a fresh projector and a language model.

    Args:
        vision: folder or Hub id of an InternVL, or of an InternVisionModel alone.
        language: folder or Hub id of a Qwen2, Qwen3 or Llama chat model.
        out: folder that does not exist or is empty.
        layout: native: as transformers writes it; original: as OpenGVLab does.
        seed: of the projector's first weights.
        progress: shows how far it is.

    Raises:
        ModelError: a part is not what it should be, or `out` is not empty.
        RunDirectoryError: the disk is full or the folder cannot be written.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ModelError(str(out), found="it is there and not empty", fix="give a folder that does not exist")
    parts = _join(read_vision(vision), read_language(language), layout=layout, seed=seed)
    composed = describe(
        vision=(vision, parts.vision),
        language=(language, parts.language),
        projector=parts.projector,
        seed=seed,
        layout=layout,
        dtype=parts.dtype,
    )
    with replacing_folder(out) as temporary:
        _write_weights(parts, temporary, progress or SilentProgress())
        _write_settings(parts, temporary)
        copy_licences({"vision": parts.vision.files.folder, "language": parts.language.files.folder}, temporary)
        write_note(composed, temporary)
        _check(parts, temporary)
    return composed


def _join(vision: VisionPart, language: LanguagePart, *, layout: Layout, seed: int) -> _Parts:
    tokenizer, turns = language.tokenizer, language.turns
    update = {"turn_start": turns.start, "turn_end": turns.end, "system": turns.system}
    contract = vision.contract.model_copy(update=update)
    if layout == "original":
        # Refused before anything is written.
        settings_of(contract, kept={})
    language.config.vocab_size = max(language.num_rows, num_ids(tokenizer))
    config = InternVLConfig(
        vision_config=vision.config,
        text_config=language.config,
        image_token_id=token_id(tokenizer, IMAGE_TOKEN),
        image_seq_length=contract.num_image_tokens,
        downsample_ratio=vision.downsample_ratio,
        vision_feature_layer=vision.feature_layer,
        tie_word_embeddings=language.tied,
    )
    # Wider than either where they differ: bfloat16 in float32 is exact, the other way is not.
    dtype = torch.promote_types(vision.files.dtype(), language.files.dtype())
    projector = fresh_projector(
        inputs=vision.config.hidden_size * round(1 / vision.downsample_ratio) ** 2,
        outputs=int(language.config.hidden_size),
        target_rms=trained_rms(language.files.sound_tensor(EMBEDDINGS), language.num_trained),
        seed=seed,
    )
    tokenizer.chat_template = image_template(contract, leading=leading_text(tokenizer))
    return _Parts(vision, language, config, projector, InternVLProcessor(tokenizer, contract), dtype, layout)


def _native_pieces(parts: _Parts) -> Iterator[State]:
    for piece in parts.vision.pieces():
        yield {_VISION + name: tensor for name, tensor in piece.items()}
    yield {_PROJECTOR + name: tensor for name, tensor in parts.projector.weights.items()}
    for piece in parts.language.pieces():
        for name, tensor in piece.items():
            yield {_language_name(name): _with_new_rows(parts, tensor) if name in (EMBEDDINGS, HEAD) else tensor}


def _with_new_rows(parts: _Parts, matrix: torch.Tensor) -> torch.Tensor:
    language = parts.language
    vocabulary = language.tokenizer.get_vocab()
    return with_rows(
        matrix,
        num_trained=language.num_trained,
        num_rows=int(language.config.vocab_size),
        new=[vocabulary[token] for token in language.added],
    )


def _language_name(name: str) -> str:
    return name if name == HEAD else _LANGUAGE + name.removeprefix("model.")


def _write_weights(parts: _Parts, folder: Path, progress: Progress) -> None:
    total = len(parts.vision.files.shapes) + len(parts.language.files.shapes)
    with bar(progress, "compose", total) as advance:

        def pieces() -> Iterator[State]:
            for native in _native_pieces(parts):
                piece = to_original(native, plain_parts()) if parts.layout == "original" else native
                yield {name: tensor.to(parts.dtype).contiguous() for name, tensor in piece.items()}
                advance(len(piece))

        write_weights_in_pieces(pieces(), folder)


def _write_settings(parts: _Parts, folder: Path) -> None:
    config, processor = parts.config, parts.processor
    dtype = str(parts.dtype).removeprefix("torch.")
    if parts.layout == "original":
        write_json(
            folder / "config.json",
            to_original_config(config, dtype=dtype) | settings_of(processor.contract, kept={}),
        )
        processor.tokenizer.save_pretrained(folder)
        write_original_preprocessor(processor.contract, folder)
    else:
        config.architectures = ["InternVLForConditionalGeneration"]
        config.dtype = parts.dtype
        config.save_pretrained(folder)
        processor.save(folder)
    build: Any = GenerationConfig
    build(eos_token_id=processor.end_id, pad_token_id=processor.pad_id).save_pretrained(folder)


def _check(parts: _Parts, folder: Path) -> None:
    """The folder reads as what was meant: names and shapes of all tensors, ids with rows, the same preprocessing."""
    files = WeightFiles(folder)
    with torch.device("meta"):
        state: State = dict(InternVLForConditionalGeneration(parts.config).state_dict())
    if parts.language.tied:
        del state[HEAD]
    expected = to_original(state, plain_parts()) if parts.layout == "original" else state
    check_shapes(files.shapes, {name: tuple(tensor.shape) for name, tensor in expected.items()}, where=folder)
    processor = load_processor(folder)
    assert isinstance(processor, InternVLProcessor)
    assert processor.contract == parts.processor.contract, "the saved preprocessing is another"
    rows = int(parts.language.config.vocab_size)
    assert max(processor.image_token_id, processor.end_id, processor.pad_id) < rows
    assert processor.image_token_id == parts.config.image_token_id
    assert num_ids(processor.tokenizer) <= rows
