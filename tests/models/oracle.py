"""An InternVL of our own in the original layout: the same names, another hand. It is the truth that tests compare with.

Written from the papers and the published names, without looking at transformers' class: fused q, k and v, layer scale,
class token and position embeddings, pixel shuffle (`ps_version` v2), the projector as a `Sequential`, and an InternLM2
with fused wqkv. Qwen2 and Llama are transformers' own text models.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn


@dataclass(frozen=True)
class OracleVision:
    """Sizes and variants of the tower."""

    hidden: int = 32
    layers: int = 2
    heads: int = 2
    inner: int = 48
    side: int = 32
    patch: int = 8
    norm: str = "layer_norm"
    qk_norm: bool = False
    qkv_bias: bool = True

    def config(self) -> dict[str, Any]:
        """As the original `config.json` says it."""
        return {
            "architectures": ["InternVisionModel"],
            "attention_dropout": 0.0,
            "drop_path_rate": 0.1,
            "dropout": 0.0,
            "hidden_act": "gelu",
            "hidden_size": self.hidden,
            "image_size": self.side,
            "initializer_factor": 1.0,
            "initializer_range": 0.02,
            "intermediate_size": self.inner,
            "layer_norm_eps": 1e-06,
            "model_type": "intern_vit_6b",
            "norm_type": self.norm,
            "num_attention_heads": self.heads,
            "num_channels": 3,
            "num_hidden_layers": self.layers,
            "patch_size": self.patch,
            "qk_normalization": self.qk_norm,
            "qkv_bias": self.qkv_bias,
            "use_bfloat16": True,
            "use_flash_attn": True,
        }


class RootMeanSquare(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.weight * x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt()


class Attention(nn.Module):
    def __init__(self, vision: OracleVision) -> None:
        super().__init__()
        self.heads = vision.heads
        self.qkv = nn.Linear(vision.hidden, 3 * vision.hidden, bias=vision.qkv_bias)
        self.proj = nn.Linear(vision.hidden, vision.hidden)
        self.qk_norm = vision.qk_norm
        if vision.qk_norm:
            self.q_norm, self.k_norm = RootMeanSquare(vision.hidden), RootMeanSquare(vision.hidden)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tiles, tokens, width = x.shape
        three = self.qkv(x).view(tiles, tokens, 3, width)
        q, k, v = three[:, :, 0], three[:, :, 1], three[:, :, 2]
        if self.qk_norm:
            q, k = self.q_norm(q), self.k_norm(k)
        q, k, v = (each.view(tiles, tokens, self.heads, -1) for each in (q, k, v))
        weights = torch.einsum("nqhd,nkhd->nhqk", q, k).div(math.sqrt(width // self.heads)).softmax(-1)
        return self.proj(torch.einsum("nhqk,nkhd->nqhd", weights, v).flatten(2))


class Inner(nn.Module):
    def __init__(self, vision: OracleVision) -> None:
        super().__init__()
        self.fc1 = nn.Linear(vision.hidden, vision.inner)
        self.fc2 = nn.Linear(vision.inner, vision.hidden)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.fc1(x)
        return self.fc2(x * 0.5 * (1 + torch.erf(x / math.sqrt(2))))


class Block(nn.Module):
    def __init__(self, vision: OracleVision) -> None:
        super().__init__()
        self.attn, self.mlp = Attention(vision), Inner(vision)
        self.norm1, self.norm2 = _norm(vision), _norm(vision)
        self.ls1, self.ls2 = nn.Parameter(torch.ones(vision.hidden)), nn.Parameter(torch.ones(vision.hidden))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.ls1 * self.attn(self.norm1(x))
        return x + self.ls2 * self.mlp(self.norm2(x))


def _norm(vision: OracleVision) -> nn.Module:
    return nn.LayerNorm(vision.hidden, eps=1e-6) if vision.norm == "layer_norm" else RootMeanSquare(vision.hidden)


class Embeddings(nn.Module):
    def __init__(self, vision: OracleVision) -> None:
        super().__init__()
        count = (vision.side // vision.patch) ** 2
        self.class_embedding = nn.Parameter(torch.zeros(1, 1, vision.hidden))
        self.position_embedding = nn.Parameter(torch.zeros(1, count + 1, vision.hidden))
        self.patch_embedding = nn.Conv2d(3, vision.hidden, vision.patch, vision.patch)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        patches = self.patch_embedding(pixels).flatten(2).permute(0, 2, 1)
        whole = torch.cat([self.class_embedding.expand(len(pixels), -1, -1), patches], dim=1)
        return whole + self.position_embedding


class Encoder(nn.Module):
    def __init__(self, vision: OracleVision) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Block(vision) for _ in range(vision.layers))


class Tower(nn.Module):
    def __init__(self, vision: OracleVision) -> None:
        super().__init__()
        self.embeddings, self.encoder = Embeddings(vision), Encoder(vision)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        x = self.embeddings(pixels)
        for layer in self.encoder.layers:
            x = layer(x)
        return x


def pixel_shuffle(patches: torch.Tensor) -> torch.Tensor:
    """Four neighbours to one token, patch by patch: (n, p * p, c) to (n, p * p / 4, 4 c)."""
    side = math.isqrt(patches.shape[1])
    grid = patches.view(len(patches), side, side, -1)
    rows = [
        torch.cat(
            [grid[:, row, column], grid[:, row, column + 1], grid[:, row + 1, column], grid[:, row + 1, column + 1]], -1
        )
        for row in range(0, side, 2)
        for column in range(0, side, 2)
    ]
    return torch.stack(rows, dim=1)


class Oracle(nn.Module):
    """The whole model; `language_model` is any causal language model."""

    def __init__(self, vision: OracleVision, language_model: nn.Module, *, width: int, image_token_id: int) -> None:
        super().__init__()
        self.image_token_id = image_token_id
        self.vision_model = Tower(vision)
        self.mlp1 = nn.Sequential(
            nn.LayerNorm(4 * vision.hidden), nn.Linear(4 * vision.hidden, width), nn.GELU(), nn.Linear(width, width)
        )
        self.language_model = language_model

    def forward(self, ids: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
        """Logits, (1, tokens, vocabulary), of one sequence and its tiles."""
        features = self.mlp1(pixel_shuffle(self.vision_model(pixels)[:, 1:])).flatten(0, 1)
        embedded = self.language_model.get_input_embeddings()(ids).clone()  # type: ignore[operator]  # any language model
        embedded[ids == self.image_token_id] = features
        output = self.language_model(inputs_embeds=embedded)
        return output if isinstance(output, torch.Tensor) else output.logits


class FusedAttention(nn.Module):
    """InternLM2: for each group of keys and values, its queries, its key and its value lie together in `wqkv`."""

    def __init__(self, width: int, heads: int, groups: int) -> None:
        super().__init__()
        self.groups, self.per_group, self.size = groups, heads // groups, width // heads
        self.wqkv = nn.Linear(width, (heads + 2 * groups) * self.size, bias=False)
        self.wo = nn.Linear(width, width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = x.shape[1]
        fused = self.wqkv(x).view(1, tokens, self.groups, self.per_group + 2, self.size)
        q, k, v = _rotated(fused[:, :, :, :-2]), _rotated(fused[:, :, :, -2:-1]), fused[:, :, :, -1]
        scores = torch.einsum("ntgpd,nsgd->ngpts", q, k[:, :, :, 0]) / math.sqrt(self.size)
        later = torch.ones(tokens, tokens, dtype=torch.bool).triu(1)
        weights = scores.masked_fill(later, -torch.inf).softmax(-1)
        return self.wo(torch.einsum("ngpts,nsgd->ntgpd", weights, v).flatten(2))


def _rotated(x: torch.Tensor) -> torch.Tensor:
    half = x.shape[-1] // 2
    rates = 10000.0 ** (-torch.arange(half) / half)
    angles = (torch.arange(x.shape[1])[:, None] * rates).view(1, x.shape[1], 1, 1, half)
    first, second = x[..., :half], x[..., half:]
    return torch.cat(
        [first * angles.cos() - second * angles.sin(), second * angles.cos() + first * angles.sin()], dim=-1
    )


class FeedForward(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.w1, self.w3 = nn.Linear(width, inner, bias=False), nn.Linear(width, inner, bias=False)
        self.w2 = nn.Linear(inner, width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.w2(nn.functional.silu(self.w1(x)) * self.w3(x))


class InternLM2Layer(nn.Module):
    def __init__(self, width: int, inner: int, heads: int, groups: int) -> None:
        super().__init__()
        self.attention, self.feed_forward = FusedAttention(width, heads, groups), FeedForward(width, inner)
        self.attention_norm, self.ffn_norm = RootMeanSquare(width), RootMeanSquare(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(self.attention_norm(x))
        return x + self.feed_forward(self.ffn_norm(x))


class InternLM2Body(nn.Module):
    def __init__(self, vocabulary: int, width: int, inner: int, heads: int, groups: int, layers: int) -> None:
        super().__init__()
        self.tok_embeddings = nn.Embedding(vocabulary, width)
        self.layers = nn.ModuleList(InternLM2Layer(width, inner, heads, groups) for _ in range(layers))
        self.norm = RootMeanSquare(width)


class InternLM2(nn.Module):
    """A small one of our own, with the original's names."""

    def __init__(
        self, vocabulary: int, *, width: int = 32, inner: int = 64, heads: int = 4, groups: int = 2, layers: int = 2
    ) -> None:
        super().__init__()
        self.model = InternLM2Body(vocabulary, width, inner, heads, groups, layers)
        self.output = nn.Linear(width, vocabulary, bias=False)

    def get_input_embeddings(self) -> nn.Module:
        return self.model.tok_embeddings

    def forward(self, inputs_embeds: torch.Tensor) -> torch.Tensor:
        x = inputs_embeds
        for layer in self.model.layers:
            x = layer(x)
        return self.output(self.model.norm(x))
