"""Step 3: what the starter can and cannot do. Prints one JSON object.

On new pictures of the shop's 36 brands: kind, colour and background said right in detailed descriptions, brands named
(to be near chance), and the linear probe on the frozen eye (the ceiling of any training after). On new pictures of the
other brands: how many it names.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import InternVLForConditionalGeneration

from nameplate.demo import render
from nameplate.demo.palette import BACKGROUNDS
from nameplate.models.prompts import PROMPTS
from starter import probe
from starter.chat import greedy
from starter.logos import training_bank
from starter.scenes import normalise
from starter.train_language import load_learner, named_rows


@torch.no_grad()
def patch_tokens(model: InternVLForConditionalGeneration, pixels: Tensor) -> Tensor:
    """(N, 3, S, S) uint8 to patch tokens (N, G*G, width)."""
    vision = model.model.vision_tower
    parts = [
        vision(normalise(part.float() / 255).to(torch.bfloat16)).last_hidden_state[:, 1:] for part in pixels.split(128)
    ]
    return torch.cat(parts)


def pictures_of(
    logos: Sequence[render.Logo], count: int, first_seed: int
) -> tuple[Tensor, list[render.Scene], list[str]]:
    """``count`` fresh pictures by the shop's renderer, brands in turn: pixels, scenes, names."""
    rng, pixels, scenes, names = random.Random(first_seed), [], [], []
    for number in range(count):
        scene, logo = probe.random_scene(rng), logos[number % len(logos)]
        image = render.compose(scene, logo=logo, seed=first_seed + number)
        pixels.append(probe.as_model_sees(image, first_seed + number))
        scenes.append(scene)
        names.append(logo.title)
    return torch.from_numpy(np.stack(pixels)), scenes, names


def share(hits: list[bool]) -> float:
    """Part of hits that are true, to three places."""
    return round(sum(hits) / len(hits), 3)


def description_shares(answers: list[str], scenes: list[render.Scene]) -> dict[str, float]:
    """How often a description has the right kind, colour and background in the words of the shop."""
    pairs = list(zip(answers, scenes, strict=True))
    return {
        "kind": share([f" {scene.kind}" in text for text, scene in pairs]),
        "colour": share([f"{scene.colour} " in text.split(scene.background)[0] for text, scene in pairs]),
        "background": share([f"{scene.background} background" in text for text, scene in pairs]),
        "no background or two": share([sum(f"{b} background" in text for b in BACKGROUNDS) != 1 for text, _ in pairs]),
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simple-icons", type=Path, required=True, help="folder of the installed npm package")
    parser.add_argument("--work", type=Path, default=Path("build/starter"), help="folder for what can be made again")
    parser.add_argument("--model", type=Path, required=True, help="model folder to measure")
    parser.add_argument("--pictures", type=int, default=720, help="pictures of each set")
    options = parser.parse_args()
    model, tokenizer = load_learner(options.model)
    pixels, scenes, names = pictures_of(render.load_logos(), options.pictures, 8_000_000)
    tokens = patch_tokens(model, pixels)
    described = greedy(model, tokenizer, tokens, PROMPTS["detail"], 96)
    named = greedy(model, tokenizer, tokens, PROMPTS["name"], 12)
    bank = training_bank(options.simple_icons, options.work)
    known = [bank.logos[row] for row in named_rows([logo.title for logo in bank.logos])]
    other_pixels, _, other_names = pictures_of(known, options.pictures, 9_000_000)
    other_named = greedy(model, tokenizer, patch_tokens(model, other_pixels), PROMPTS["name"], 12)
    figures = {
        "shop": description_shares(described, scenes),
        "shop brands named": share([a == b for a, b in zip(named, names, strict=True)]),
        "shop names said": share([a in set(names) for a in named]),
        "other brands named": share([a == b for a, b in zip(other_named, other_names, strict=True)]),
        "linear probe on shop brands": round(
            probe.linear_probe(model.model.vision_tower, probe.shop_pictures(options.work)), 3
        ),
        "samples": described[:3] + named[:6],
    }
    print(json.dumps(figures, ensure_ascii=False))


if __name__ == "__main__":
    main()
