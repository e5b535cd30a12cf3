"""Good captions by a grammar, for counting false alarms on many: GENERATED, and counted apart from written ones.

Seven shapes in English and three in Chinese, from 6 to about 170 words: sentences, dense scenes, lists, titles, prices,
sizes. A caption says different things in each of its sentences, as a person does, so no repetition here is a loop.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path

WORDS: dict[str, list[str]] = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
VERBS = ("stands", "lies", "hangs", "is", "can be seen")
Shape = Callable[[random.Random], str]


def make_good(number: int, *, language: str, seed: int = 0) -> list[str]:
    """Different good captions, the same for the same arguments."""
    shapes = SHAPES[language]
    rng = random.Random(f"good {language} {seed}")
    found: dict[str, None] = {}
    while len(found) < number:
        found.setdefault(shapes[len(found) % len(shapes)](rng))
    return list(found)


def _one(rng: random.Random) -> str:
    return _opener(rng)


def _some(rng: random.Random) -> str:
    return " ".join([_opener(rng), *_facts(rng, rng.randint(1, 4)), *rng.sample(_closers(rng), rng.randint(0, 2))])


def _many(rng: random.Random) -> str:
    return " ".join([_opener(rng), *_facts(rng, rng.randint(8, 22)), *rng.sample(_closers(rng), 3)])


def _scene(rng: random.Random) -> str:
    """Dense: many things, each where it is."""
    places = rng.sample(WORDS["wheres"], rng.randint(4, 9))
    things = rng.sample(WORDS["things"], len(places))
    told = [
        f"{where} {rng.choice(VERBS)} {_article(colour)} {colour} {thing} of {rng.choice(WORDS['materials'])}."
        for where, thing, colour in zip(places, things, rng.choices(WORDS["colours"], k=len(places)), strict=True)
    ]
    return " ".join([_opener(rng), *told])


def _list(rng: random.Random) -> str:
    pairs = [
        ("Brand", rng.choice(WORDS["brands"])),
        ("Colour", rng.choice(WORDS["colours"])),
        ("Material", f"{rng.randint(50, 95)} % {rng.choice(WORDS['materials'])}"),
        ("Lining", rng.choice(WORDS["materials"])),
        ("Size", f"{rng.randint(10, 60)} x {rng.randint(5, 40)} cm"),
        ("Weight", f"{rng.randint(80, 2400)} g"),
        ("Price", f"{rng.randint(20, 3000)} €"),
        ("Item no.", f"{rng.randint(10**5, 10**6)}-{rng.randint(10, 99)}"),
    ]
    chosen = rng.sample(pairs, rng.randint(4, 8))
    mark = rng.choice(["; ", ". ", "\n", " | "])
    return f"{_opener(rng)} {mark.join(f'{name}: {value}' for name, value in chosen)}"


def _title(rng: random.Random) -> str:
    words = [
        rng.choice(WORDS["brands"]),
        rng.choice(WORDS["colours"]),
        rng.choice(WORDS["materials"]),
        rng.choice(WORDS["things"]),
    ]
    extra = rng.sample(
        ["size M", "new season", "limited edition", "with dust bag", "unisex", "made in Italy", "2024"], 2
    )
    return ", ".join([" ".join(words), *extra])


def _names(rng: random.Random) -> str:
    """Heavy with names and prices."""
    told = [
        f"{rng.choice(WORDS['colours'])} {thing} by {brand} (${rng.randint(15, 2500)}.{rng.choice(['00', '50', '95'])})"
        for brand, thing in zip(rng.sample(WORDS["brands"], 4), rng.sample(WORDS["things"], 4), strict=True)
    ]
    return f"Four products {rng.choice(WORDS['places'])}: {', '.join(told[:3])} and {told[3]}."


def _zh_some(rng: random.Random) -> str:
    return _zh_opener(rng) + "".join(_zh_facts(rng, rng.randint(1, 5)))


def _zh_many(rng: random.Random) -> str:
    return _zh_opener(rng) + "".join(_zh_facts(rng, rng.randint(8, 16)))


def _zh_list(rng: random.Random) -> str:
    return (
        f"品牌：{rng.choice(WORDS['brands_zh'])}；颜色：{rng.choice(WORDS['colours_zh'])}；材质：{rng.choice(WORDS['materials_zh'])}；"
        f"尺寸：{rng.randint(10, 60)} x {rng.randint(5, 40)}厘米；价格：{rng.randint(99, 9999)}元。边缘手工缝制。"
    )


SHAPES: dict[str, Sequence[Shape]] = {
    "en": (_one, _some, _many, _some, _scene, _list, _title, _names),
    "zh": (_zh_some, _zh_many, _zh_list),
}


def _opener(rng: random.Random) -> str:
    return _fill(rng.choice(WORDS["openers"]), rng)


def _facts(rng: random.Random, number: int) -> list[str]:
    parts, doings = rng.sample(WORDS["parts"], number), rng.sample(WORDS["doings"], number)
    return [
        f"{rng.choice(['The', 'Its'])} {part} {_fill(doing, rng)}." for part, doing in zip(parts, doings, strict=True)
    ]


def _closers(rng: random.Random) -> list[str]:
    return [_fill(closer, rng) for closer in WORDS["closers"]]


def _fill(template: str, rng: random.Random) -> str:
    colour, thing, material = rng.choice(WORDS["colours"]), rng.choice(WORDS["things"]), rng.choice(WORDS["materials"])
    following = template.partition("{a} ")[2] or template.partition("{A} ")[2]
    article = _article(colour if following.startswith("{c}") else thing)
    return template.format(
        a=article,
        A=article.capitalize(),
        c=colour,
        t=thing,
        m=material,
        b=rng.choice(WORDS["brands"]),
        p=rng.choice(WORDS["places"]),
        n=rng.randint(11, 99),
        k=rng.randint(34, 48),
        j=rng.randint(3, 9),
    )


def _article(word: str) -> str:
    return "an" if word[0] in "aeio" else "a"


def _zh_opener(rng: random.Random) -> str:
    opener = rng.choice(WORDS["openers_zh"])
    return opener.format(
        b=rng.choice(WORDS["brands_zh"]),
        c=rng.choice(WORDS["colours_zh"]),
        t=rng.choice(WORDS["things_zh"]),
        m=rng.choice(WORDS["materials_zh"]),
    )


def _zh_facts(rng: random.Random, number: int) -> list[str]:
    return [
        sentence.format(
            n=rng.randint(2, 40),
            k=rng.randint(5, 30),
            m=rng.choice(WORDS["materials_zh"]),
            c=rng.choice(WORDS["colours_zh"]),
        )
        for sentence in rng.sample(WORDS["sentences_zh"], number)
    ]
