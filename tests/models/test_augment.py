"""Small changes of images: by seed, epoch and row alone, and never a mirror."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nameplate.models.augment import LEAST_SIDE, AugmentedImages, careful
from nameplate.models.images import ImageCache, ImageKey
from nameplate.models.processors import load_processor

from .tiny_model import write_tiny_model
from .tiny_run import write_tiny_run


def test_changes_keep_size_sides_and_edges() -> None:
    """A ramp from left to right and from top to bottom stays one: nothing is turned, mirrored or moved far."""
    ramp = np.zeros((60, 80, 3), np.uint8)
    ramp[..., 0] = np.linspace(0, 255, 80)[None, :]
    ramp[..., 1] = np.linspace(0, 255, 60)[:, None]
    for seed in range(30):
        changed = careful(Image.fromarray(ramp), np.random.default_rng(seed))
        assert changed.size == (80, 60)
        pixels = np.asarray(changed).astype(float)
        assert pixels[:, -1, 0].mean() > pixels[:, 0, 0].mean() + 100
        assert pixels[-1, :, 1].mean() > pixels[0, :, 1].mean() + 100
    assert LEAST_SIDE > 0.9


def test_images_change_with_seed_epoch_and_row_alone(tmp_path: Path) -> None:
    run = write_tiny_run(tmp_path / "run")
    images = ImageCache(run.images, load_processor(write_tiny_model(tmp_path / "base")))
    row = run.tables("split").read_kept().to_pylist()[0]
    key = ImageKey(row["image_sha256"], row["image_ext"])

    def pixels(seed: int, epoch: int, place: int) -> torch.Tensor:
        batch = AugmentedImages(images, seed=seed).batch([key], rows=[place], epochs=[epoch])
        return batch.merged()["pixel_values"]

    one = pixels(1, 2, 3)
    assert torch.equal(one, pixels(1, 2, 3))
    for other in ((2, 2, 3), (1, 3, 3), (1, 2, 4)):
        assert not torch.equal(one, pixels(*other))
    assert one.shape == images.batch([key]).merged()["pixel_values"].shape
    with pytest.raises(AssertionError):
        assert torch.equal(one, images.batch([key]).merged()["pixel_values"])
