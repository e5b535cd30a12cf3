"""InternVL's own conversation templates and image settings, as our preprocessing contract, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from nameplate.errors import ModelError
from nameplate.models.contract import PREPROCESSOR_FILE, TURN_START, ImageContract
from nameplate.models.internvl.config import check_original, tile_side, tokens_per_tile
from nameplate.store.files import write_json

IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
IMAGENET_STD: Final = (0.229, 0.224, 0.225)


class Template(NamedTuple):
    """A conversation in ChatML: the default system text, and what ends a turn."""

    system: str
    turn_end: str


_OLDER_SYSTEM: Final = (
    "\u4f60\u662f\u7531\u4e0a\u6d77\u4eba\u5de5\u667a\u80fd\u5b9e\u9a8c\u5ba4\u8054\u5408\u5546\u6c64\u79d1\u6280"
    "\u5f00\u53d1\u7684\u4e66\u751f\u591a\u6a21\u6001\u5927\u6a21\u578b\uff0c\u82f1\u6587\u540d\u53ebInternVL, "
    "\u662f\u4e00\u4e2a\u6709\u7528\u65e0\u5bb3\u7684\u4eba\u5de5\u667a\u80fd\u52a9\u624b\u3002"
)
_SYSTEM: Final = (
    "\u4f60\u662f\u4e66\u751f\xb7\u4e07\u8c61\uff0c\u82f1\u6587\u540d\u662fInternVL\uff0c\u662f\u7531\u4e0a\u6d77"
    "\u4eba\u5de5\u667a\u80fd\u5b9e\u9a8c\u5ba4\u3001\u6e05\u534e\u5927\u5b66\u53ca\u591a\u5bb6\u5408\u4f5c\u5355"
    "\u4f4d\u8054\u5408\u5f00\u53d1\u7684\u591a\u6a21\u6001\u5927\u8bed\u8a00\u6a21\u578b\u3002"
)
TEMPLATES: Final[Mapping[str, Template]] = {
    "internvl2_5": Template(_SYSTEM, "<|im_end|>\n"),
    "internlm2-chat": Template(_OLDER_SYSTEM, "<|im_end|>"),
    "Hermes-2": Template(_OLDER_SYSTEM, "<|im_end|>"),
}
"""By the name that `config.json` gives (source: `conversation.py` of OpenGVLab/InternVL)."""


def original_contract(tree: Mapping[str, Any], folder: Path) -> ImageContract:
    """The contract that an original configuration implies.

    Args:
        tree: the original `config.json`.
        folder: where `preprocessor_config.json` may give means and deviations.

    Raises:
        ModelError: the template is unknown, or a file is malformed.
    """
    where = f"{folder / 'config.json'}: template"
    check_original(tree, where=str(folder / "config.json"))
    name = tree.get("template")
    if name not in TEMPLATES:
        raise ModelError(where, found=str(name), expected="one of " + ", ".join(TEMPLATES))
    template = TEMPLATES[str(name)]
    mean, std = colours(folder / PREPROCESSOR_FILE)
    dynamic = bool(tree.get("dynamic_image_size", False))
    try:
        return ImageContract(
            size=tile_side(tree),
            image_mean=mean,
            image_std=std,
            num_image_tokens=tokens_per_tile(tree),
            min_tiles=int(tree.get("min_dynamic_patch", 1)) if dynamic else 1,
            max_tiles=int(tree.get("max_dynamic_patch", 6)) if dynamic else 1,
            thumbnail=bool(tree.get("use_thumbnail", False)),
            system=str(tree.get("system_message", template.system)),
            turn_end=template.turn_end,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(where, found=f"malformed ({type(error).__name__}: {error})") from None


def settings_of(contract: ImageContract, *, kept: Mapping[str, Any]) -> dict[str, Any]:
    """A contract as fields of an original configuration.

    Args:
        contract: what to say.
        kept: the original configuration it came from; empty: it came from elsewhere.

    Raises:
        ModelError: its turns are none that an original template has.
    """
    names = [name for name, template in TEMPLATES.items() if template.turn_end == contract.turn_end]
    if contract.turn_start != TURN_START or not names:
        raise ModelError(
            "the original layout",
            found=f"turns that start with {contract.turn_start!r} and end with {contract.turn_end!r}",
            expected="ChatML, which is all that InternVL's own code can be told",
            fix="use the native layout",
        )
    template = kept.get("template") if kept.get("template") in names else names[0]
    several = contract.max_tiles > 1
    tiles = {
        "min_dynamic_patch": contract.min_tiles,
        "max_dynamic_patch": contract.max_tiles if several else kept.get("max_dynamic_patch", 1),
    }
    settings = {"template": template, "dynamic_image_size": several, "use_thumbnail": contract.thumbnail, **tiles}
    if contract.system != TEMPLATES[str(template)].system:
        settings["system_message"] = contract.system
    return settings


def write_original_preprocessor(contract: ImageContract, folder: Path) -> None:
    """Write `preprocessor_config.json` as original checkpoints have it; tiles and turns stand in `config.json`."""
    tree = {
        "crop_size": contract.size,
        "do_center_crop": True,
        "do_normalize": True,
        "do_resize": True,
        "feature_extractor_type": "CLIPFeatureExtractor",
        "image_mean": list(contract.image_mean),
        "image_std": list(contract.image_std),
        "resample": 3,
        "size": contract.size,
    }
    write_json(folder / PREPROCESSOR_FILE, tree)


Rgb = tuple[float, float, float]


def colours(path: Path) -> tuple[Rgb, Rgb]:
    """Mean and deviation of the channels by a `preprocessor_config.json`; where it says nothing, ImageNet's.

    Raises:
        ModelError: the file is malformed.
    """
    if not path.exists():
        return IMAGENET_MEAN, IMAGENET_STD
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
        mean, std = tree.get("image_mean", IMAGENET_MEAN), tree.get("image_std", IMAGENET_STD)
        return (float(mean[0]), float(mean[1]), float(mean[2])), (float(std[0]), float(std[1]), float(std[2]))
    except (OSError, ValueError, TypeError, IndexError, AttributeError) as error:
        raise ModelError(str(path), found=f"malformed ({error})", expected="image_mean, image_std") from None
