"""The starter's shape: an InternVL of 5 to 8 million parameters, and its first weights."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from transformers import InternVLConfig, InternVLForConditionalGeneration, InternVLVisionConfig, Qwen2Config
from transformers.models.internvl.modeling_internvl import InternVLVisionModel

from starter import settings as s


def vision_config() -> InternVLVisionConfig:
    """InternViT's block (biased attention, GELU replaced by ReLU for speed on a CPU)."""
    return InternVLVisionConfig(
        hidden_size=s.VISION_WIDTH,
        num_hidden_layers=s.VISION_LAYERS,
        num_attention_heads=s.VISION_HEADS,
        intermediate_size=s.VISION_MLP,
        attention_bias=True,
        hidden_act="relu",
        image_size=[s.IMAGE_SIDE, s.IMAGE_SIDE],
        patch_size=[s.PATCH, s.PATCH],
        layer_scale_init_value=1.0,
        use_mean_pooling=True,
    )


def model_config(vocabulary: int, image_token: int, end_token: int, pad_token: int) -> InternVLConfig:
    """The whole model's configuration; input and output word vectors are one matrix."""
    text = Qwen2Config(
        vocab_size=vocabulary,
        hidden_size=s.TEXT_WIDTH,
        intermediate_size=s.TEXT_MLP,
        num_hidden_layers=s.TEXT_LAYERS,
        num_attention_heads=s.TEXT_HEADS,
        num_key_value_heads=s.TEXT_KEY_HEADS,
        max_position_embeddings=s.MAX_POSITIONS,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=end_token,
        pad_token_id=pad_token,
    )
    return InternVLConfig(
        vision_config=vision_config(),
        text_config=text,
        image_token_id=image_token,
        image_seq_length=s.NUM_IMAGE_TOKENS,
        downsample_ratio=0.5,
        tie_word_embeddings=True,
    )


def sine_positions(grid: int, width: int) -> Tensor:
    """(grid * grid, width) two-dimensional sine table, as in MAE: neighbours start out alike."""
    quarter = width // 4
    rates = torch.exp(-math.log(100.0) * torch.arange(quarter) / quarter)
    steps = torch.arange(grid).float()[:, None] * rates
    axis = torch.cat([steps.sin(), steps.cos()], 1)
    rows, columns = axis[:, None].expand(-1, grid, -1), axis[None].expand(grid, -1, -1)
    return torch.cat([rows, columns], -1).reshape(grid * grid, width)


@torch.no_grad()
def prime_vision(vision: InternVLVisionModel) -> None:
    """First weights that a small ViT learns from quickly.

    Sine positions, orthogonal linears, keys equal to queries (so that patches first attend to their neighbours and to
    their like: mimetic initialisation, Trockman and Kolter 2023), and outputs near zero.
    """
    for module in vision.modules():
        if isinstance(module, nn.Linear):
            nn.init.orthogonal_(module.weight)
            nn.init.zeros_(module.bias)
    for layer in vision.encoder.layer:
        layer.attention.k_proj.weight.copy_(layer.attention.q_proj.weight)
        layer.attention.projection_layer.weight.mul_(0.2)
        layer.mlp.fc2.weight.mul_(0.2)
    nn.init.normal_(vision.embeddings.patch_embeddings.projection.weight, std=0.03)
    vision.embeddings.position_embeddings[:, 1:] = 0.5 * sine_positions(s.GRID, s.VISION_WIDTH)


def build_vision(seed: int) -> InternVLVisionModel:
    """A fresh eye. Eager attention: on a CPU in bfloat16 its backward pass is several times faster than SDPA's."""
    torch.manual_seed(seed)
    config = vision_config()
    config._attn_implementation = "eager"
    vision = InternVLVisionModel(config)
    prime_vision(vision)
    return vision


def build_model(vocabulary: int, image_token: int, end_token: int, pad_token: int) -> InternVLForConditionalGeneration:
    """A fresh whole model, eager attention throughout."""
    config = model_config(vocabulary, image_token, end_token, pad_token)
    config._attn_implementation = "eager"
    return InternVLForConditionalGeneration(config)
