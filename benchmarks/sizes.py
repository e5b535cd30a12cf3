"""Parameters, training memory per preset and tokens per image at real sizes, computed without any weights.

    python benchmarks/sizes.py                          the tables
    python benchmarks/sizes.py --write docs/compose.md  the same, into that page, between its two marks

Models are built from their published configurations on torch's meta device, which holds shapes and no values; policies
are laid on them by the code that training uses.
"""

from __future__ import annotations

import argparse
import copy
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import torch
from transformers import (
    InternVLConfig,
    InternVLForConditionalGeneration,
    InternVLVisionConfig,
    PreTrainedModel,
    Qwen2Config,
)

from figures import markdown
from nameplate.models.components import partition
from nameplate.models.footprint import Footprint, footprint
from nameplate.models.parts import component_rows
from nameplate.models.policy import AppliedPolicies, apply_policies
from nameplate.models.tiling import ImageSize, TileRule, num_tiles
from nameplate.recipe import PRESETS, MemorySection, TrainSection

BEGIN, END = "<!-- sizes: benchmarks/sizes.py --write -->", "<!-- end of sizes -->"
INTERNVIT_300M: Final = InternVLVisionConfig(
    hidden_size=1024,
    num_hidden_layers=24,
    num_attention_heads=16,
    intermediate_size=4096,
    attention_bias=True,
    image_size=[448, 448],
    patch_size=[14, 14],
)
QWEN_1_5B: Final[Mapping[str, Any]] = {
    "hidden_size": 1536,
    "num_hidden_layers": 28,
    "num_attention_heads": 12,
    "num_key_value_heads": 2,
    "intermediate_size": 8960,
    "vocab_size": 151936,
    "tie_word_embeddings": True,
}
QWEN_3B: Final[Mapping[str, Any]] = {
    "hidden_size": 2048,
    "num_hidden_layers": 36,
    "num_attention_heads": 16,
    "num_key_value_heads": 2,
    "intermediate_size": 11008,
    "vocab_size": 151674,
    "tie_word_embeddings": False,
}
MODELS: Final = {
    "InternViT-300M + Qwen2.5-1.5B": QWEN_1_5B,
    "InternVL2.5-4B (InternViT-300M + Qwen2.5-3B)": QWEN_3B,
}
TILE, TOKENS_PER_TILE, MARKS = 448, 256, 2
_BYTES: Final = ("weights", "gradients", "optimizer", "together", "together_bfloat16")
SIZES: Final = (ImageSize(448, 448), ImageSize(800, 600), ImageSize(1000, 1500), ImageSize(1600, 900))
TILES: Final = (1, 6, 12)


def main() -> None:
    """Compute and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the first model only")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the tables into this page")
    options = parser.parse_args()
    names = list(MODELS)[:1] if options.quick else list(MODELS)
    figures = measure(names)
    text = tables(figures)
    print(text)
    if options.write:
        options.write.write_text(with_tables(options.write.read_text(encoding="utf-8"), text), encoding="utf-8")
    if options.json:
        print(json.dumps(figures))


def measure(names: list[str]) -> dict[str, Any]:
    """Every figure of the tables."""
    models = {name: _model(name) for name in names}
    return {
        "models": {name: {"parts": _parts(model), "memory": list(_memory(model))} for name, model in models.items()},
        "tokens": [
            {"width": size.width, "height": size.height, "max_tiles": most, "tokens": _tokens(size, most)}
            for size in SIZES
            for most in TILES
        ],
    }


def tables(figures: Mapping[str, Any]) -> str:
    """All tables as Markdown."""
    blocks = []
    for name, found in figures["models"].items():
        parts = ", ".join(f"{part} {count / 1e6:,.1f}" for part, count in found["parts"].items())
        rows = [
            (row["preset"], f"{row['learn'] / 1e6:,.1f}", *(f"{row[each] / 1e9:.2f}" for each in _BYTES))
            for row in found["memory"]
        ]
        head = ("preset", "learns (million)", "weights", "gradients", "AdamW", "together (GB)", "all in bfloat16")
        blocks.append(f"**{name}** (million parameters: {parts})\n\n{markdown(head, rows)}")
    by_size: dict[str, list[str]] = {}
    for row in figures["tokens"]:
        by_size.setdefault(f"{row['width']} x {row['height']}", []).append(f"{row['tokens']:,}")
    head = ("image", *(f"max_tiles: {most}" for most in TILES))
    blocks.append("**Tokens per image**\n\n" + markdown(head, [(size, *found) for size, found in by_size.items()]))
    return "\n\n".join(blocks)


def with_tables(page: str, text: str) -> str:
    """A page with these tables between its marks."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"the page has no '{BEGIN}' and '{END}'")
    return f"{before}{BEGIN}\n{text}\n{END}{after}"


def _parts(model: PreTrainedModel) -> dict[str, int]:
    found = partition(model)
    return {part: sum(each.numel() for each in component.parameters.values()) for part, component in found.items()}


def _memory(model: PreTrainedModel) -> Iterator[dict[str, Any]]:
    for preset in PRESETS:
        applied, found = _footprint(model, TrainSection(preset=preset))
        _, short = _footprint(model, TrainSection(preset=preset, memory=MemorySection(weights="bfloat16")))
        learn = sum(row.trainable for row in component_rows(applied))
        figures = {each: getattr(found, each) for each in ("weights", "gradients", "optimizer", "together")}
        yield {"preset": preset, "learn": learn, **figures, "together_bfloat16": short.together}


def _footprint(model: PreTrainedModel, section: TrainSection) -> tuple[AppliedPolicies, Footprint]:
    applied = apply_policies(
        copy.deepcopy(model), section.policies(), frozen_dtype=torch.bfloat16, memory=section.memory
    )
    return applied, footprint(applied)


def _model(name: str) -> PreTrainedModel:
    text = Qwen2Config(**MODELS[name])
    config = InternVLConfig(
        vision_config=INTERNVIT_300M, text_config=text, tie_word_embeddings=text.tie_word_embeddings
    )
    with torch.device("meta"):
        return InternVLForConditionalGeneration(config).to(torch.bfloat16)


def _tokens(size: ImageSize, max_tiles: int) -> int:
    return num_tiles(size, TileRule(TILE, 1, max_tiles)) * TOKENS_PER_TILE + MARKS


if __name__ == "__main__":
    main()
