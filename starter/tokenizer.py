"""The starter's tokenizer: byte-level BPE trained on the shop's own language and on brand names.

The shop's names stand in that text often enough to become one to three tokens each; what they look like does not.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from nameplate.demo import phrases
from nameplate.demo.palette import BACKGROUNDS, COLOURS, KINDS, PLACES
from nameplate.demo.render import load_logos
from nameplate.models.prompts import PROMPTS
from starter import settings as s

PAD, START, END, IMAGE_START, IMAGE_END, IMAGE = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<img>",
    "</img>",
    "<IMG_CONTEXT>",
)
SPECIALS = (PAD, START, END, IMAGE_START, IMAGE_END, IMAGE)
SHOP_REPEATS = 40
OTHER_REPEATS = 3
NUM_CAPTIONS = 4000


def corpus(other_names: list[str]) -> Iterator[str]:
    """Text to learn merges from; the shop's names weigh more, so that they stay short."""
    rng = random.Random(0)
    for title in [logo.title for logo in load_logos()]:
        yield from [f"by {title}.", f"The {title} logo", title] * SHOP_REPEATS
    for title in other_names:
        yield from [f"by {title}.", title] * OTHER_REPEATS
    yield from [*PROMPTS.values(), "user\n", "assistant\n"] * SHOP_REPEATS
    for seed in range(NUM_CAPTIONS):
        scene = {
            "kind": rng.choice(KINDS),
            "colour": rng.choice(list(COLOURS)),
            "background": rng.choice(BACKGROUNDS),
        }
        brand, place = rng.choice(other_names), rng.choice(list(PLACES))
        yield phrases.detail(**scene, place=place, brand=brand, seed=seed)
        yield phrases.short(**scene, brand=brand, seed=seed)


def build_tokenizer(other_names: list[str]) -> PreTrainedTokenizerFast:
    """Train it: seconds, the same every time."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=s.VOCABULARY,
        special_tokens=list(SPECIALS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(corpus(other_names), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=[START, IMAGE_START, IMAGE_END, IMAGE],
        model_max_length=s.MAX_POSITIONS,
        clean_up_tokenization_spaces=False,
    )
