"""InternVL's weights under their original names and under transformers' own: the same tensors, both ways.

Three parts keep their names but for prefix and spelling; what the original fuses (q, k and v in one matrix) is cut and
joined without touching a value.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch

State = dict[str, torch.Tensor]
Pair = tuple[str, str]
"""Original and native spelling."""

HEAD: Final = "lm_head.weight"
EMBEDDINGS: Final = "model.language_model.embed_tokens.weight"
"""Native names of the two matrices that may be tied."""


@dataclass(frozen=True)
class Fused:
    """A matrix that the original keeps as one and the native layout as three."""

    original: str
    native: tuple[str, str, str]
    cut: Callable[[torch.Tensor], Sequence[torch.Tensor]]
    join: Callable[[Sequence[torch.Tensor]], torch.Tensor]


@dataclass(frozen=True)
class Part:
    """One part of the model: its prefix, how its names are spelt, and what is fused in it."""

    prefix: Pair
    spelling: tuple[Pair, ...] = ()
    fused: Fused | None = None

    def to_native(self, name: str) -> str:
        """The native name of an original one."""
        return self._respell(name, 0, 1)

    def to_original(self, name: str) -> str:
        """The original name of a native one."""
        return self._respell(name, 1, 0)

    def _respell(self, name: str, source: int, target: int) -> str:
        rest = name.removeprefix(self.prefix[source])
        for pair in self.spelling:
            rest = rest.replace(pair[source], pair[target])
        return self.prefix[target] + rest


def _thirds(tensor: torch.Tensor) -> Sequence[torch.Tensor]:
    return tensor.chunk(3)


def _joined(pieces: Sequence[torch.Tensor]) -> torch.Tensor:
    return torch.cat(list(pieces))


_VISION: Final = Part(
    ("vision_model.", "model.vision_tower."),
    (
        ("class_embedding", "cls_token"),
        ("position_embedding", "position_embeddings"),
        ("patch_embedding.", "patch_embeddings.projection."),
        ("encoder.layers.", "encoder.layer."),
        (".attn.proj.", ".attention.projection_layer."),
        (".attn.q_norm.", ".attention.q_norm."),
        (".attn.k_norm.", ".attention.k_norm."),
        (".norm1.", ".layernorm_before."),
        (".norm2.", ".layernorm_after."),
        (".ls1", ".lambda_1"),
        (".ls2", ".lambda_2"),
    ),
    Fused(
        ".attn.qkv.",
        (".attention.q_proj.", ".attention.k_proj.", ".attention.v_proj."),
        cut=_thirds,
        join=_joined,
    ),
)
_PROJECTOR: Final = tuple(
    Part((f"mlp1.{place}.", f"model.multi_modal_projector.{name}."))
    for place, name in ((0, "layer_norm"), (1, "linear_1"), (3, "linear_2"))
)
_PLAIN_LANGUAGE: Final = (
    Part(("language_model.model.", "model.language_model.")),
    Part(("language_model.lm_head.", "lm_head.")),
)
_INTERNLM2_SPELLING: Final = (
    ("tok_embeddings.", "embed_tokens."),
    (".attention.wo.", ".self_attn.o_proj."),
    (".feed_forward.w1.", ".mlp.gate_proj."),
    (".feed_forward.w3.", ".mlp.up_proj."),
    (".feed_forward.w2.", ".mlp.down_proj."),
    (".attention_norm.", ".input_layernorm."),
    (".ffn_norm.", ".post_attention_layernorm."),
)


def vision_parts() -> tuple[Part, ...]:
    """The parts of a tower alone, as `InternViT-300M-448px-V2_5` is published: the same names without prefix."""
    return (Part(("", ""), _VISION.spelling, _VISION.fused),)


def plain_parts() -> tuple[Part, ...]:
    """The parts of a model whose language model is one of transformers' own."""
    return (_VISION, *_PROJECTOR, *_PLAIN_LANGUAGE)


def internlm2_parts(*, heads: int, groups: int) -> tuple[Part, ...]:
    """The parts of a model whose language model is InternLM2.

    Args:
        heads: attention heads.
        groups: heads of keys and values; for each, `wqkv` holds its query heads, then its key, then its value.
    """
    per_group = heads // groups

    def by_group(tensor: torch.Tensor, count: int) -> torch.Tensor:
        return tensor.reshape(groups, count, -1, *tensor.shape[1:])

    def cut(tensor: torch.Tensor) -> Sequence[torch.Tensor]:
        grouped = by_group(tensor, per_group + 2)
        pieces = (grouped[:, :per_group], grouped[:, per_group : per_group + 1], grouped[:, per_group + 1 :])
        return [piece.flatten(0, 2).contiguous() for piece in pieces]

    def join(pieces: Sequence[torch.Tensor]) -> torch.Tensor:
        counts = (per_group, 1, 1)
        grouped = [by_group(piece, count) for piece, count in zip(pieces, counts, strict=True)]
        return torch.cat(grouped, dim=1).flatten(0, 2)

    names = (".self_attn.q_proj.", ".self_attn.k_proj.", ".self_attn.v_proj.")
    language = Part(
        ("language_model.model.", "model.language_model."),
        _INTERNLM2_SPELLING,
        Fused(".attention.wqkv.", names, cut=cut, join=join),
    )
    return (_VISION, *_PROJECTOR, language, Part(("language_model.output.", "lm_head.")))


def to_native(state: Mapping[str, torch.Tensor], parts: Sequence[Part]) -> State:
    """Original names to native ones; a name that belongs to no part stays as it is."""
    native: State = {}
    for name, tensor in state.items():
        part = _part_of(name, parts, 0)
        fused = part.fused if part else None
        if part is None:
            native[name] = tensor
        elif fused is not None and fused.original in name:
            for fragment, piece in zip(fused.native, fused.cut(tensor), strict=True):
                native[part.to_native(name.replace(fused.original, fragment))] = piece
        else:
            native[part.to_native(name)] = tensor
    return native


def to_original(state: Mapping[str, torch.Tensor], parts: Sequence[Part]) -> State:
    """Native names to original ones; works on meta tensors too, which tells names and shapes to expect."""
    original: State = {}
    pieces: dict[str, dict[int, torch.Tensor]] = defaultdict(dict)
    joins: dict[str, Fused] = {}
    for name, tensor in state.items():
        part = _part_of(name, parts, 1)
        if part is None:
            original[name] = tensor
            continue
        fused = part.fused
        place = next((at for at, each in enumerate(fused.native) if each in name), None) if fused else None
        if fused is None or place is None:
            original[part.to_original(name)] = tensor
            continue
        whole = part.to_original(name.replace(fused.native[place], fused.original))
        pieces[whole][place] = tensor
        joins[whole] = fused
    for whole, found in pieces.items():
        original[whole] = joins[whole].join([found[place] for place in range(3)])
    return original


def _part_of(name: str, parts: Sequence[Part], side: int) -> Part | None:
    return next((part for part in parts if name.startswith(part.prefix[side])), None)
