"""The ceiling: a linear probe on frozen vision features for the shop's 36 brands, which the eye never saw.

The shop's pictures are used here to measure, never to train the starter.
"""

from __future__ import annotations

import io
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional
from transformers.models.internvl.modeling_internvl import InternVLVisionModel

from nameplate.demo import render
from nameplate.demo.palette import BACKGROUNDS, COLOURS, KINDS, PLACES
from starter.scenes import normalise
from starter.settings import IMAGE_SIDE

TRAIN_PER_BRAND = 40
TEST_PER_BRAND = 20


@dataclass(frozen=True)
class Pictures:
    """pixels (N, 3, S, S) uint8, brand number (N,), scene words."""

    pixels: Tensor
    brand: Tensor


def random_scene(rng: random.Random) -> render.Scene:
    """A scene of the shop's vocabulary, all words equally likely."""
    return render.Scene(rng.choice(KINDS), rng.choice(list(COLOURS)), rng.choice(BACKGROUNDS), rng.choice(list(PLACES)))


def as_model_sees(image: Image.Image, seed: int) -> np.ndarray:
    """(3, S, S) uint8 after the JPEG path and the model's resize."""
    jpeg = Image.open(io.BytesIO(render.encode_jpeg(image, seed=seed)))
    return np.asarray(jpeg.resize((IMAGE_SIDE, IMAGE_SIDE), Image.Resampling.BICUBIC)).transpose(2, 0, 1)


def shop_pictures(cache: Path) -> Pictures:
    """60 pictures of each shop brand, test pictures last; 10 seconds, kept under ``cache``."""
    target = cache / "shop.pt"
    if target.exists():
        saved = torch.load(target, weights_only=True)
        return Pictures(saved["pixels"], saved["brand"])
    rng, pixels, brand = random.Random(7), [], []
    logos = render.load_logos()
    for turn in range(TRAIN_PER_BRAND + TEST_PER_BRAND):
        for number, logo in enumerate(logos):
            seed = 5_000_000 + turn * len(logos) + number
            pixels.append(as_model_sees(render.compose(random_scene(rng), logo=logo, seed=seed), seed))
            brand.append(number)
    pictures = Pictures(torch.from_numpy(np.stack(pixels)), torch.tensor(brand))
    torch.save({"pixels": pictures.pixels, "brand": pictures.brand}, target)
    return pictures


@torch.no_grad()
def mean_features(vision: InternVLVisionModel, pixels: Tensor) -> Tensor:
    """(N, width) mean patch tokens in float32."""
    dtype = next(vision.parameters()).dtype
    rows = [
        vision(normalise(part.float() / 255).to(dtype)).last_hidden_state[:, 1:].float().mean(1)
        for part in pixels.split(128)
    ]
    return torch.cat(rows)


def linear_probe(vision: InternVLVisionModel, pictures: Pictures) -> float:
    """Share of held-out shop pictures that a linear classifier on frozen mean features names right."""
    features = mean_features(vision, pictures.pixels)
    split = len(features) * TRAIN_PER_BRAND // (TRAIN_PER_BRAND + TEST_PER_BRAND)
    features = (features - features[:split].mean(0)) / features[:split].std(0).clamp_min(1e-6)
    classes = int(pictures.brand.max()) + 1
    weight = torch.zeros(features.shape[1] + 1, classes, requires_grad=True)
    padded = torch.cat([features, torch.ones(len(features), 1)], 1)
    solver = torch.optim.LBFGS([weight], max_iter=150, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        solver.zero_grad()
        loss = functional.cross_entropy(padded[:split] @ weight, pictures.brand[:split]) + 2e-3 * weight.square().sum()
        loss.backward()
        return loss

    with torch.enable_grad():
        solver.step(closure)
    hits = (padded[split:] @ weight.detach()).argmax(1) == pictures.brand[split:]
    return hits.float().mean().item()
