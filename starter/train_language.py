"""Step 2: projector and language model, on the frozen eye's features of other brands' pictures.

Five tasks. ``name``, ``short`` and ``detail`` answer the shop's three prompts about a picture of another brand.
``tag`` and ``tag_detail`` lay a brand's name, as ordinary text tokens, one to three times over a picture's image tokens
and ask the same: the answer is the name on the tag. The tags carry the shop's names too, which is all that the starter
ever meets of them: text. They leave a road that a newly trained projector can take while the language model is frozen.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from transformers import AutoTokenizer, InternVLForConditionalGeneration, PreTrainedTokenizerFast

from nameplate.demo import phrases
from nameplate.demo.palette import BACKGROUNDS, COLOURS, KINDS, PLACES
from nameplate.demo.render import load_logos
from nameplate.models.prompts import PROMPTS
from starter import settings as s
from starter.chat import Chat, answer_pictures, chat_batch, project
from starter.logos import LogoBank, training_bank
from starter.model import build_model
from starter.optim import MasterOptimizer
from starter.save import save_starter
from starter.scenes import Composer, make_bases
from starter.tokenizer import END, IMAGE, PAD, build_tokenizer

WORDS = (KINDS, tuple(COLOURS), BACKGROUNDS, tuple(PLACES))


@dataclass(frozen=True)
class FeaturePool:
    """What the frozen eye saw: tokens (P, G*G, width) bfloat16, brand names, and scene words by number (P, 4)."""

    tokens: Tensor
    names: list[str]
    labels: Tensor


def named_rows(titles: list[str]) -> list[int]:
    """Which logos get a name in pictures: short plain titles, spread over the whole list."""
    rows = [row for row, title in enumerate(titles) if title.isascii() and len(title) <= s.MAX_NAME_LETTERS]
    chosen = random.Random(1).sample(rows, min(s.NUM_NAMED_LOGOS, len(rows)))
    return sorted(row for row in chosen if titles[row] not in s.UNSUITABLE_NAMES)


class Learner(NamedTuple):
    """A model and its tokenizer."""

    model: InternVLForConditionalGeneration
    tokenizer: PreTrainedTokenizerFast


class Lesson(NamedTuple):
    """One batch of one task: mean loss over its answer tokens, and the share of them that was right."""

    task: str
    loss: Tensor
    right: float


def load_learner(folder: Path) -> Learner:
    """A saved starter in bfloat16, ready to answer or to learn on."""
    model = InternVLForConditionalGeneration.from_pretrained(folder, dtype=torch.bfloat16, attn_implementation="eager")
    return Learner(model.eval(), AutoTokenizer.from_pretrained(folder))


@torch.no_grad()
def look(model: InternVLForConditionalGeneration, composer: Composer, titles: list[str], count: int) -> FeaturePool:
    """Compose ``count`` pictures and keep the eye's patch tokens."""
    vision = model.model.vision_tower
    tokens = torch.empty(count, s.GRID**2, s.VISION_WIDTH, dtype=torch.bfloat16)
    names: list[str] = []
    labels = torch.empty(count, 4, dtype=torch.long)
    for start in range(0, count, 128):
        batch = composer.next(min(128, count - start))
        stop = start + len(batch.logo)
        tokens[start:stop] = vision(batch.pixels.bfloat16()).last_hidden_state[:, 1:]
        names += [titles[i] for i in batch.logo.tolist()]
        labels[start:stop] = batch.labels
    return FeaturePool(tokens, names, labels)


def answer(task: str, labels: list[int], name: str, seed: int) -> Chat:
    """Question and answer of one picture in one task."""
    kind, colour, background, place = (words[i] for words, i in zip(WORDS, labels, strict=True))
    scene = {"kind": kind, "colour": colour, "background": background}
    if task.endswith("detail"):
        return Chat(PROMPTS["detail"], phrases.detail(**scene, place=place, brand=name, seed=seed))
    if task == "short":
        return Chat(PROMPTS["short"], phrases.short(**scene, brand=name, seed=seed))
    return Chat(PROMPTS["name"], name)


def lay_tags(images: Tensor, tags: list[list[int]], embedding: Tensor, rng: random.Random) -> Tensor:
    """Put each tag's word vectors over image tokens (B, N, D), one to three times, in order, at random places."""
    images = images.clone()
    for row, tag in enumerate(tags):
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(s.NUM_IMAGE_TOKENS - len(tag) + 1)
            images[row, at : at + len(tag)] = embedding[torch.tensor(tag)]
    return images


class Lessons:
    """Turns pool rows into losses, task by task."""

    def __init__(self, learner: Learner, pool: FeaturePool, other_names: list[str], leg: s.Leg, seed: int) -> None:
        self.model, self.tokenizer, self.pool = learner.model, learner.tokenizer, pool
        self.shop_names = [logo.title for logo in load_logos()]
        self.other_names = other_names
        self.rng = random.Random(seed)
        self.schedule = [task for task, times in leg.tasks.items() for _ in range(times)]

    def pick_name(self) -> str:
        """A name for a text tag."""
        return self.rng.choice(self.shop_names if self.rng.random() < s.TAG_SHOP_CHANCE else self.other_names)

    def loss(self, step: int) -> Lesson:
        """The lesson of a step: a batch of one task."""
        task = self.schedule[step % len(self.schedule)]
        rows = [self.rng.randrange(len(self.pool.names)) for _ in range(s.LANGUAGE_BATCH)]
        tagged = task.startswith("tag")
        names = [self.pick_name() if tagged else self.pool.names[row] for row in rows]
        chats = [
            answer(task, self.pool.labels[row].tolist(), name, self.rng.randrange(1 << 30))
            for row, name in zip(rows, names, strict=True)
        ]
        images = project(self.model, self.pool.tokens[torch.tensor(rows)])
        if tagged:
            # A name inside a sentence starts with a space; so does the token laid on the picture, half of the time.
            tags = [self.tokenizer(self.rng.choice(("", " ")) + name).input_ids for name in names]
            tags = [tag[: s.NUM_IMAGE_TOKENS] for tag in tags]
            images = lay_tags(images, tags, self.model.get_input_embeddings().weight, self.rng)
        logits, target = answer_pictures(self.model, chat_batch(self.tokenizer, chats), images)
        right = (logits.argmax(1) == target).float().mean().item()
        return Lesson(task, functional.cross_entropy(logits.float(), target), right)


def train(lessons: Lessons, leg: s.Leg, save: Callable[[], None]) -> None:
    """One leg; the eye stays as it is."""
    model = lessons.model.bfloat16().train()
    model.model.vision_tower.requires_grad_(False)
    optimizer = MasterOptimizer(model.named_parameters(), leg.lr, leg.steps, s.LANGUAGE_WARMUP)
    started, shown = time.monotonic(), dict[str, list[float]]()
    for step in range(leg.steps):
        lesson = lessons.loss(step)
        lesson.loss.backward()
        optimizer.step()
        shown.setdefault(lesson.task, []).append(lesson.right)
        if (step + 1) % 60 == 0:
            parts = " ".join(f"{name} {sum(rights) / len(rights):.3f}" for name, rights in shown.items())
            print(f"step {step + 1} {time.monotonic() - started:.0f}s answer tokens right: {parts}", flush=True)
            shown.clear()
        if (step + 1) % 200 == 0 or step + 1 == leg.steps:
            save()
    model.eval()


def fresh_learner(eyes: Path, titles: list[str]) -> Learner:
    """Trained eyes, a tokenizer and an untaught language model."""
    tokenizer = build_tokenizer(titles)
    ids = [tokenizer.convert_tokens_to_ids(token) for token in (IMAGE, END, PAD)]
    model = build_model(len(tokenizer), *ids)
    model.model.vision_tower.load_state_dict(torch.load(eyes, weights_only=True))
    return Learner(model.bfloat16().eval(), tokenizer)


def write_brands(bank: LogoBank, rows: list[int], folder: Path) -> None:
    """Which logos were pictured, and which of them named, beside the weights."""
    pictured = {"slugs": [logo.slug for logo in bank.logos], "named": [bank.logos[row].title for row in rows]}
    text = json.dumps(pictured, ensure_ascii=False, separators=(",", ":")) + "\n"
    (folder / "training_brands.json").write_text(text, encoding="utf-8")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simple-icons", type=Path, required=True, help="folder of the installed npm package")
    parser.add_argument("--work", type=Path, default=Path("build/starter"), help="folder with eyes.pt")
    parser.add_argument("--out", type=Path, required=True, help="model folder to write")
    parser.add_argument("--start", type=Path, help="go on from this model folder instead of a fresh language model")
    parser.add_argument("--first-leg", type=int, default=0, help="leg to begin with, from 0")
    options = parser.parse_args()
    torch.manual_seed(1)
    bank = training_bank(options.simple_icons, options.work)
    titles = [logo.title for logo in bank.logos]
    rows = named_rows(titles)
    start = options.start
    learner = load_learner(start) if start else fresh_learner(options.work / "eyes.pt", titles)
    taggable = [title for title in titles if title not in s.UNSUITABLE_NAMES]
    for number, leg in list(enumerate(s.LANGUAGE_LEGS))[options.first_leg :]:
        composer = Composer(bank.pick(rows), make_bases(options.work), seed=3 + number)
        pool = look(learner.model, composer, [titles[row] for row in rows], s.NUM_FEATURES)
        print(f"leg {number}: {len(rows)} other brands, {len(pool.names)} pictures", flush=True)
        lessons = Lessons(learner, pool, taggable, leg, seed=2 + number)
        train(lessons, leg, lambda: save_starter(learner.model, learner.tokenizer, options.out))
    write_brands(bank, rows, options.out)


if __name__ == "__main__":
    main()
