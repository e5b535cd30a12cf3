"""What the starter model says when it is made to go wrong.

    python tests/data/captions/ask_starter.py

prints JSON lines: greedy answers about rendered pictures, in four ways: as it should be asked; with the end of the
answer forbidden, so that it has to go on; with noise on its language weights; with both. Nobody wrote these loops. The
labels of `starter.jsonl` were given by reading the answers.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator

import torch

from nameplate.demo import render
from nameplate.demo.palette import BACKGROUNDS, COLOURS, KINDS, PLACES
from nameplate.models.batches import image_inputs
from nameplate.models.components import partition
from nameplate.models.features import vision_features
from nameplate.models.load import LoadedModel, load_model
from nameplate.models.prompts import PROMPTS

BATCH = 10
WAYS = {
    "as asked": {"noise": 0.0, "min_new_tokens": 1, "max_new_tokens": 120},
    "end forbidden": {"noise": 0.0, "min_new_tokens": 200, "max_new_tokens": 200},
    "noise 0.25": {"noise": 0.25, "min_new_tokens": 1, "max_new_tokens": 160},
    "noise 0.35, end forbidden": {"noise": 0.35, "min_new_tokens": 160, "max_new_tokens": 160},
}


def main() -> None:
    """Print one JSON object a caption."""
    torch.manual_seed(0)
    for way, setting in WAYS.items():
        loaded = load_model("starter")
        spoil(loaded, setting["noise"])
        for prompt in ("short", "detail"):
            rng = random.Random(f"{way} {prompt}")
            for text in answers(loaded, list(pictures(rng)), prompt=PROMPTS[prompt], setting=setting):
                sys.stdout.write(json.dumps({"text": text, "way": way, "prompt": prompt}, ensure_ascii=False) + "\n")


def pictures(rng: random.Random) -> Iterator[bytes]:
    """Rendered products of brands by chance."""
    logos = render.load_logos()
    for _ in range(BATCH):
        scene = render.Scene(
            rng.choice(KINDS), rng.choice(list(COLOURS)), rng.choice(BACKGROUNDS), rng.choice(list(PLACES))
        )
        seed = rng.randrange(2**31)
        yield render.encode_jpeg(render.compose(scene, logo=rng.choice(logos), seed=seed), seed=seed)


def spoil(loaded: LoadedModel, share: float) -> None:
    """Add noise to each matrix of the language model, as a share of its own deviation."""
    language = partition(loaded.model)["language"]
    language = partition(loaded.model)["language"]
    with torch.no_grad():
        for parameter in language.parameters.values():
            if parameter.ndim >= 2:
                parameter.add_(torch.randn_like(parameter) * parameter.std() * share)


def answers(loaded: LoadedModel, images: list[bytes], *, prompt: str, setting: dict[str, float]) -> list[str]:
    """Greedy answers; the end of a turn may be forbidden up to `min_new_tokens`."""
    processor, model = loaded.processor, loaded.model
    batch = processor.batch([processor.prepare(image) for image in images])
    question = torch.tensor([processor.encode(prompt).input_ids] * len(images))
    with torch.inference_mode():
        output = model.generate(
            input_ids=question,
            attention_mask=torch.ones_like(question),
            do_sample=False,
            min_new_tokens=int(setting["min_new_tokens"]),
            max_new_tokens=int(setting["max_new_tokens"]),
            eos_token_id=processor.end_id,
            pad_token_id=processor.pad_id,
            **image_inputs(vision_features(model, batch).merged()),
        )
    return [processor.decode(row[question.shape[1] :].tolist()) for row in output]


if __name__ == "__main__":
    main()
