"""The eye of a new model: an InternViT, out of a whole InternVL in either layout or from a folder of its own."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from transformers import InternVLVisionConfig, InternVLVisionModel

from nameplate.errors import ModelError
from nameplate.models.compose.sizes import VISION_SIZES, require_sizes
from nameplate.models.contract import PREPROCESSOR_FILE, ImageContract, read_contract
from nameplate.models.internvl.config import ORIGINAL_TYPE, to_vision_config
from nameplate.models.internvl.conversation import TEMPLATES, colours, original_contract
from nameplate.models.internvl.keys import State, to_native, to_original, vision_parts
from nameplate.models.locate import find_model, read_config
from nameplate.models.weights import WeightFiles, check_shapes

OPTION: Final = "--vision"
MAX_TILES: Final = 12
"""Of a tower that comes without tile settings, as InternVL 2.5 and 3 are released."""

_BARE_TYPES: Final = {"intern_vit_6b", "intern_vit_300m"}
_LAYER: Final = re.compile(r"encoder\.layers?\.\d+\.")


class VisionPart(NamedTuple):
    """An InternViT, not yet read."""

    files: WeightFiles
    config: InternVLVisionConfig
    prefix: str
    """Before the names of its tensors in the files."""
    original: bool
    """Whether these names are in the original spelling."""
    feature_layer: int
    downsample_ratio: float
    contract: ImageContract
    """Of which the images' half matters here."""

    def pieces(self) -> Iterator[State]:
        """The weights, layer by layer, under native names that start below the tower.

        Raises:
            ModelError: one is no number.
        """
        layers: dict[str, list[str]] = defaultdict(list)
        for name in self._expected():
            layer = _LAYER.search(name)
            layers[layer[0] if layer else name].append(name)
        for names in layers.values():
            state = {name.removeprefix(self.prefix): self.files.sound_tensor(name) for name in names}
            yield to_native(state, vision_parts()) if self.original else state

    def check(self) -> None:
        """Refuse a tower whose tensors are not those of its configuration; values are not read.

        Raises:
            ModelError: with the first tensor's name.
        """
        found = {name: shape for name, shape in self.files.shapes.items() if name.startswith(self.prefix)}
        check_shapes(found, self._expected(), where=self.files.folder)

    def _expected(self) -> dict[str, tuple[int, ...]]:
        with torch.device("meta"):
            state = InternVLVisionModel(self.config).state_dict()
        spelt = to_original(state, vision_parts()) if self.original else state
        return {self.prefix + name: tuple(tensor.shape) for name, tensor in spelt.items()}


def read_vision(base: str) -> VisionPart:
    """Find an InternViT and check its tensors' names and shapes.

    Args:
        base: a folder or Hub id of a whole InternVL or of an `InternVisionModel` alone, in either layout.

    Raises:
        ModelError: there is none, it is no InternViT, or its tensors are not those of its configuration.
    """
    folder = find_model(base, where=OPTION)
    tree, where = read_config(folder), str(folder / "config.json")
    kind, architectures = tree.get("model_type"), tree.get("architectures") or []
    files = WeightFiles(folder)
    if kind == ORIGINAL_TYPE:
        part = _whole_original(files, tree, where)
    elif kind == "internvl":
        part = _whole_native(files, tree, where)
    elif kind == "internvl_vision" or kind in _BARE_TYPES or "InternVisionModel" in architectures:
        part = _bare(files, tree, where)
    else:
        raise ModelError(
            f"{OPTION} {base}",
            found=f"a model of the type {kind!r}, which is no InternViT",
            expected="an InternVL in either layout, or an InternVisionModel",
        )
    part.check()
    return part


def _whole_original(files: WeightFiles, tree: Mapping[str, Any], where: str) -> VisionPart:
    vision = require_sizes(tree.get("vision_config"), VISION_SIZES, where=f"{where}: vision_config")
    # Its own conversation is of no matter here: the turns are those of the language model.
    contract = original_contract({**tree, "template": next(iter(TEMPLATES))}, files.folder)
    layer, ratio = int(tree.get("select_layer", -1)), float(tree.get("downsample_ratio", 0.5))
    return VisionPart(files, to_vision_config(vision), "vision_model.", True, layer, ratio, contract)


def _whole_native(files: WeightFiles, tree: Mapping[str, Any], where: str) -> VisionPart:
    vision = require_sizes(tree.get("vision_config"), VISION_SIZES, where=f"{where}: vision_config")
    layer, ratio = int(tree.get("vision_feature_layer", -1)), float(tree.get("downsample_ratio", 0.5))
    prefix = _prefix(files, ("model.vision_tower.", "vision_tower."))
    return VisionPart(files, InternVLVisionConfig(**vision), prefix, False, layer, ratio, read_contract(files.folder))


def _bare(files: WeightFiles, tree: Mapping[str, Any], where: str) -> VisionPart:
    require_sizes(tree, VISION_SIZES, where=where)
    original = tree.get("model_type") != "internvl_vision"
    config = to_vision_config(tree) if original else InternVLVisionConfig(**tree)
    prefix = _prefix(files, ("vision_model.", "vision_tower."), default="")
    contract = _default_contract(config, files.folder, where=where)
    return VisionPart(files, config, prefix, original, -1, 0.5, contract)


def _prefix(files: WeightFiles, known: tuple[str, ...], *, default: str | None = None) -> str:
    fallback = known[-1] if default is None else default
    return next((prefix for prefix in known if any(name.startswith(prefix) for name in files.shapes)), fallback)


def _default_contract(config: InternVLVisionConfig, folder: Path, *, where: str) -> ImageContract:
    """One as InternVL 2.5 is released, for a tower that comes without."""
    side, patch = _first(config.image_size), _first(config.patch_size)
    patches, rest = divmod(side, patch)
    if rest or patches % 2:
        raise ModelError(
            where,
            found=f"images of {side} pixels in patches of {patch}",
            expected="an even number of patches a side: the projector takes them two by two",
        )
    mean, std = colours(folder / PREPROCESSOR_FILE)
    return ImageContract(
        size=side, image_mean=mean, image_std=std, num_image_tokens=(patches // 2) ** 2, max_tiles=MAX_TILES
    )


def _first(value: Any) -> int:
    return int(value[0] if isinstance(value, (list, tuple)) else value)
