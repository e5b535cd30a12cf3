"""The starter's chat form, built by token numbers, and answers from projected image tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import InternVLForConditionalGeneration, PreTrainedTokenizerFast

from starter import settings as s
from starter.tokenizer import END, IMAGE, IMAGE_END, IMAGE_START, START


class Chat(NamedTuple):
    """One question about a picture and its answer."""

    prompt: str
    answer: str


@dataclass(frozen=True)
class ChatBatch:
    """Token numbers (B, T) padded on the right, and which of them are answers (B, T) bool."""

    tokens: Tensor
    is_answer: Tensor


def question_text(prompt: str) -> str:
    """Everything before the answer."""
    slots = IMAGE_START + IMAGE * s.NUM_IMAGE_TOKENS + IMAGE_END
    return f"{START}user\n{slots}\n{prompt}{END}\n{START}assistant\n"


def chat_batch(tokenizer: PreTrainedTokenizerFast, chats: list[Chat]) -> ChatBatch:
    """Question and answer are tokenised apart, as the package does; the loss covers the answer and <|im_end|>."""
    rows = []
    for chat in chats:
        question = tokenizer(question_text(chat.prompt)).input_ids
        rows.append((question, tokenizer(chat.answer + END).input_ids))
    width = max(len(question) + len(reply) for question, reply in rows)
    tokens = torch.full((len(rows), width), tokenizer.pad_token_id)
    is_answer = torch.zeros(len(rows), width, dtype=torch.bool)
    for number, (question, reply) in enumerate(rows):
        stop = len(question) + len(reply)
        tokens[number, :stop] = torch.tensor(question + reply)
        is_answer[number, len(question) : stop] = True
    return ChatBatch(tokens, is_answer)


def project(model: InternVLForConditionalGeneration, patches: Tensor) -> Tensor:
    """Patch tokens (B, G*G, width) to image tokens (B, N, text width), as InternVLModel does."""
    grid = patches.reshape(len(patches), s.GRID, s.GRID, -1)
    merged: Tensor = model.model.pixel_shuffle(grid, scale_factor=0.5)
    image: Tensor = model.model.multi_modal_projector(merged.reshape(len(patches), s.NUM_IMAGE_TOKENS, -1))
    return image


def answer_pictures(model: InternVLForConditionalGeneration, batch: ChatBatch, images: Tensor) -> tuple[Tensor, Tensor]:
    """Logits (A, vocabulary) at the places that predict the batch's A answer tokens, and those tokens (A,)."""
    words = model.get_input_embeddings()(batch.tokens)
    slots = batch.tokens == model.config.image_token_id
    words = words.masked_scatter(slots[..., None], images.to(words.dtype))
    hidden = model.model.language_model(inputs_embeds=words, use_cache=False).last_hidden_state
    logits: Tensor = model.lm_head(hidden[:, :-1][batch.is_answer[:, 1:]])
    return logits, batch.tokens[:, 1:][batch.is_answer[:, 1:]]


@torch.no_grad()
def greedy(
    model: InternVLForConditionalGeneration,
    tokenizer: PreTrainedTokenizerFast,
    patches: Tensor,
    prompt: str,
    max_tokens: int,
) -> list[str]:
    """The model's answers to one prompt about pictures given by their patch tokens (B, G*G, width)."""
    images = project(model, patches)
    question = torch.tensor(tokenizer(question_text(prompt)).input_ids)
    tokens = question.repeat(len(patches), 1)
    words = model.get_input_embeddings()(tokens)
    words = words.masked_scatter((tokens == model.config.image_token_id)[..., None], images.to(words.dtype))
    cache, said = None, []
    stopped = torch.zeros(len(patches), dtype=torch.bool)
    while len(said) < max_tokens and not stopped.all():
        out = model.model.language_model(inputs_embeds=words, past_key_values=cache, use_cache=True)
        cache = out.past_key_values
        token = model.lm_head(out.last_hidden_state[:, -1]).argmax(-1)
        token = torch.where(stopped, tokenizer.pad_token_id, token)
        stopped |= token == tokenizer.eos_token_id
        said.append(token)
        words = model.get_input_embeddings()(token[:, None])
    answers = tokenizer.batch_decode(torch.stack(said, 1), skip_special_tokens=True)
    return [answer.strip() for answer in answers]
