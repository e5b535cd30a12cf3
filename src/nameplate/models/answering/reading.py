"""The language model reading tokens behind what it has read, without the library's own cache and masks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import torch
from torch import nn
from torch.nn import functional
from transformers import AttentionInterface, AttentionMaskInterface, InternVLForConditionalGeneration, PreTrainedModel
from transformers.masking_utils import eager_mask

from nameplate.models.answering.keyvalues import KeyValues, Window
from nameplate.models.load import LoadedModel
from nameplate.models.step.attention import short_attention

GROUPED: Final = "nameplate_grouped"
"""Its name among transformers' attentions."""
_MOST_SCORES: Final = 1 << 19
"""Of one row and head; beyond it torch's own attention is used, which does not hold them."""


def can_read(loaded: LoadedModel) -> bool:
    """Whether a model can read into `KeyValues`: see `sees_all_before`."""
    return sees_all_before(loaded.model)


def sees_all_before(model: PreTrainedModel) -> bool:
    """Whether positions continue by themselves and every layer looks at everything before: InternVL, nearly always."""
    if not isinstance(model, InternVLForConditionalGeneration):
        return False
    text: Any = model.config.text_config
    kinds = set(getattr(text, "layer_types", None) or ["full_attention"])
    capped = getattr(text, "attn_logit_softcapping", None)
    # Of models that list no kinds of layers, a window counts for all.
    windowed = not hasattr(text, "layer_types") and getattr(text, "sliding_window", None)
    return kinds == {"full_attention"} and capped is None and not windowed


def bytes_per_token(loaded: LoadedModel) -> int:
    """What keys and values of a token take."""
    text: Any = loaded.model.config.text_config
    heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    return int(2 * text.num_hidden_layers * heads * width * loaded.model.dtype.itemsize)


class Reader:
    """A model that reads rows of tokens into `KeyValues`.

    Args:
        loaded: one that `can_read` says yes to.
        kept: what it reads into.
    """

    def __init__(self, loaded: LoadedModel, kept: KeyValues) -> None:
        foreign: Any = loaded.model
        self.kept = kept
        self.device: torch.device = loaded.model.device
        self._pad = loaded.processor.pad_id
        self._image = loaded.processor.image_token_id
        self._embed: nn.Module = foreign.get_input_embeddings()
        self._body: nn.Module = foreign.base_model.language_model
        self._head: nn.Module = foreign.get_output_embeddings()
        self.vocabulary = int(foreign.get_output_embeddings().weight.shape[0])

    def read(
        self,
        ids: Sequence[Sequence[int]],
        *,
        first: int,
        starts: Sequence[int],
        features: Sequence[torch.Tensor] = (),
    ) -> torch.Tensor:
        """Read tokens of some rows, each behind its start.

        Args:
            ids: one or more for each row; shorter ones are padded behind.
            first: of the rows.
            starts: how much of each row was read before.
            features: of the images whose tokens are among these, in order, (num_tokens, hidden) each.

        Returns:
            (B, hidden): what the model makes of each row's last token.
        """
        longest = max(map(len, ids))
        padded = torch.tensor([[*own, *[self._pad] * (longest - len(own))] for own in ids], device=self.device)
        at = torch.tensor(starts, device=self.device)
        # Rows that start together share a mask.
        known = at[:1] if min(starts) == max(starts) else at
        places = known[:, None] + torch.arange(longest, device=self.device)
        seen = torch.arange(max(starts) + longest, device=self.device) <= places[:, :, None]
        hidden = self.run(self._embedded(padded, features), places, seen, Window(first, starts))
        ends = torch.tensor([len(own) - 1 for own in ids], device=self.device)
        return hidden[torch.arange(len(ids), device=self.device), ends]

    def run(self, embedded: torch.Tensor, places: torch.Tensor, seen: torch.Tensor, window: Window) -> torch.Tensor:
        """One forward pass.

        Args:
            embedded: (B, T, hidden).
            places: (B or 1, T), positions.
            seen: (B or 1, T, S), whether a token looks at a place of its row.
            window: where keys and values go.

        Returns:
            (B, T, hidden).
        """
        self.kept.window = window
        mask = torch.zeros(seen.shape, dtype=embedded.dtype, device=self.device).masked_fill_(~seen, -torch.inf)
        output = self._body(
            inputs_embeds=embedded,
            attention_mask=mask[:, None],
            position_ids=places,
            past_key_values=self.kept,
            use_cache=True,
        )
        hidden: torch.Tensor = output.last_hidden_state
        return hidden

    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        """Tokens without images among them."""
        found: torch.Tensor = self._embed(ids)
        return found

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Of every token of the vocabulary, float32."""
        found: torch.Tensor = self._head(hidden)
        return found.float()

    def _embedded(self, ids: torch.Tensor, features: Sequence[torch.Tensor]) -> torch.Tensor:
        embedded = self.embed(ids)
        if features:
            embedded[ids == self._image] = torch.cat(list(features)).to(embedded)
        return embedded


def grouped_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attention that never repeats the keys of grouped queries; see `short_attention`."""
    if query.device.type == "cpu" and query.shape[2] * key.shape[2] <= _MOST_SCORES:
        return short_attention(module, query, key, value, attention_mask, scaling)
    output = functional.scaled_dot_product_attention(
        query, key, value, attn_mask=attention_mask, scale=scaling, enable_gqa=query.shape[1] != key.shape[1]
    )
    return output.transpose(1, 2), None


@contextmanager
def reading(loaded: LoadedModel) -> Iterator[None]:
    """Let the language model use `grouped_attention`, and nothing be remembered for a gradient."""
    AttentionInterface.register(GROUPED, grouped_attention)
    AttentionMaskInterface.register(GROUPED, eager_mask)
    foreign: Any = loaded.model
    config = foreign.base_model.language_model.config
    before = config._attn_implementation
    config._attn_implementation = GROUPED
    try:
        with torch.inference_mode():
            yield
    finally:
        config._attn_implementation = before
