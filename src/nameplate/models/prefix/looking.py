"""Computing what is kept of images and examples: always in batches of one shape, so that neighbours change no bit."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import torch
from torch import nn
from torch.nn.modules.dropout import _DropoutNd
from transformers import PreTrainedModel

from nameplate.models.families import family_of
from nameplate.models.imagebatch import ImageBatch
from nameplate.models.prefix.levels import abilities_of
from nameplate.recipe.training import PrefixLevel

TILES_AT_ONCE: Final = 16
"""Tiles per pass of the tower; a last batch is filled up with copies."""


def image_values(model: PreTrainedModel, images: ImageBatch, level: PrefixLevel) -> list[torch.Tensor]:
    """What the projector reads (`vision`) or gives (`projected`) of each image, on the model's device; no gradient.

    Tiles of one size go through the tower `TILES_AT_ONCE` at a time; images of families that cut them otherwise go one
    by one.
    """
    assert level in ("vision", "projected")
    if not _are_tiles(model, images):
        return [_seen(model, images.pick([place]), level) for place in range(len(images))]
    tiles = images.merged()["pixel_values"]
    seen = torch.cat([_of_tiles(model, part, level) for part in torch.split(tiles, TILES_AT_ONCE)])
    return list(torch.split(seen, [len(inputs["pixel_values"]) for inputs in images.inputs]))


def projector_of(model: PreTrainedModel) -> nn.Module:
    """The module between vision tower and language model."""
    path = family_of(model.config.model_type, where=type(model).__name__).projector[0]
    return model.base_model.get_submodule(path)


def project(model: PreTrainedModel, inputs: torch.Tensor) -> torch.Tensor:
    """Kept projector inputs as the features that the model takes; the projector may learn."""
    features: torch.Tensor = projector_of(model)(inputs)
    return _formed(model, features)


def tower_of(model: PreTrainedModel) -> nn.Module:
    """The vision tower."""
    foreign: Any = model
    found: nn.Module = foreign.get_encoder(modality="image")
    return found


def chance_in(module: nn.Module) -> str | None:
    """Path of a part that would act by chance in training, such as a drop-path; none: there is none.

    What policies freeze stays in eval mode, where nothing does.
    """
    before = module.training
    module.train()
    acting = (path or type(module).__name__ for path, each in module.named_modules() if each.training and _drops(each))
    found = next(acting, None)
    module.train(before)
    return found


def _drops(module: nn.Module) -> bool:
    shares = (getattr(module, name, 0.0) for name in ("p", "drop_prob", "attention_dropout"))
    named = isinstance(module, _DropoutNd) or "drop" in type(module).__name__.lower()
    return any(isinstance(share, float) and share > 0 for share in shares) and (
        named or isinstance(getattr(module, "attention_dropout", None), float)
    )


def _are_tiles(model: PreTrainedModel, images: ImageBatch) -> bool:
    """Whether images are nothing but square pictures of one size, each of which the tower sees by itself."""
    if abilities_of(model.config.model_type).form != "tensor":
        return False
    shapes = {tuple(inputs["pixel_values"].shape[1:]) for inputs in images.inputs}
    return all(inputs.keys() == {"pixel_values"} for inputs in images.inputs) and len(shapes) == 1


def _of_tiles(model: PreTrainedModel, tiles: torch.Tensor, level: PrefixLevel) -> torch.Tensor:
    lacking = TILES_AT_ONCE - len(tiles)
    full = torch.cat([tiles, tiles[:1].expand(lacking, *tiles.shape[1:])]) if lacking else tiles
    return _features(model, {"pixel_values": full}, level)[: len(tiles)]


def _seen(model: PreTrainedModel, image: ImageBatch, level: PrefixLevel) -> torch.Tensor:
    return _features(model, image.merged(), level)


def _features(model: PreTrainedModel, inputs: dict[str, torch.Tensor], level: PrefixLevel) -> torch.Tensor:
    foreign: Any = model.base_model
    known = inspect.signature(foreign.get_image_features).parameters
    moved = {name: tensor.to(model.device) for name, tensor in inputs.items() if name in known}
    if level == "projected":
        with torch.no_grad():
            payload = foreign.get_image_features(**moved, return_dict=True).pooler_output
        return _formed(model, payload if isinstance(payload, torch.Tensor) else torch.cat(list(payload)))
    # What follows a projector of tiles does not care what it gives, so it need not run.
    skipped = abilities_of(model.config.model_type).form == "tensor"
    with torch.no_grad(), _caught(projector_of(model), run=not skipped) as caught:
        foreign.get_image_features(**moved, return_dict=True)
    assert len(caught) == 1, f"the projector ran {len(caught)} times for one batch of images"
    return caught[0]


def _formed(model: PreTrainedModel, features: torch.Tensor) -> torch.Tensor:
    """(num_tiles, tokens, width), or (tokens, width) for families that take rows."""
    if abilities_of(model.config.model_type).form == "rows":
        return features.reshape(-1, features.shape[-1])
    return features.reshape(len(features), -1, features.shape[-1])


@contextmanager
def _caught(module: nn.Module, *, run: bool) -> Iterator[list[torch.Tensor]]:
    """What a module is given as its first argument; without `run` it gives that back instead of computing."""
    caught: list[torch.Tensor] = []
    forward, own = module.forward, module.__dict__.get("forward")

    def catch(*arguments: Any, **named: Any) -> Any:
        caught.append(arguments[0] if arguments else next(iter(named.values())))
        return forward(*arguments, **named) if run else caught[-1]

    module.forward = catch
    try:
        yield caught
    finally:
        del module.__dict__["forward"]
        if own is not None:
            module.forward = own
