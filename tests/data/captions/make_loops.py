"""Loops put behind, into and before good captions: `python tests/data/captions/make_loops.py` writes `loops.jsonl`.

The families are those of the research notes and the messier forms that teachers really produce: begun inside a
sentence, the last copy cut, a number or a word that drifts, a loop in the middle after which the text recovers.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Callable
from pathlib import Path

FOLDER = Path(__file__).parent
PER_FAMILY = {"en": 9, "zh": 6}
HELD_OUT_SHARE = 0.3

PHRASES = {
    "en": [
        " with a clean and simple design,",
        " and a touch of modern elegance",
        " in soft and supple leather,",
        " that goes with everything and",
        " of the highest quality,",
    ],
    "zh": ["，设计简洁大方", "，质地柔软舒适", "，适合日常搭配", "，做工十分精细"],
}
SENTENCES = {
    "en": [
        " The overall design is elegant and timeless.",
        " It is suitable for any occasion!",
        " There are no other objects in the image.",
        " The background is plain white.",
        " The colour is a deep, rich shade.",
    ],
    "zh": ["整体设计优雅大方。", "背景为纯白色。", "图中没有其他物品。", "适合各种场合佩戴！"],
}
WORDS = {"en": [" leather", " elegant,", " black", " 100%", " the", " stitched"], "zh": ["优雅", "黑色", "的", "皮革"]}
CHANGING = {
    "en": ["red", "blue", "green", "grey", "pink", "tan", "black", "white", "gold", "brown", "teal", "plum"],
    "zh": ["红", "蓝", "绿", "灰", "粉", "棕", "黑", "白", "金", "紫"],
}
FRAMES = {
    "en": [" There is a {} button on the side of the bag.", " The {} part of the strap is made of leather."],
    "zh": ["包的侧面有一个{}色的小扣子。", "肩带的{}色部分由皮革制成。"],
}
NUMBERED = {
    "en": [" Item {}: a small metal button.", " It has {} rows of stitches."],
    "zh": ["第{}行有一排缝线。", "图{}是包的正面。"],
}
Family = Callable[[str, str, random.Random], str]


def sentence_thrice(good: str, language: str, rng: random.Random) -> str:
    return good + rng.choice(SENTENCES[language]) * 3


def sentence_endless(good: str, language: str, rng: random.Random) -> str:
    return _cut(good + rng.choice(SENTENCES[language]) * 40, language, rng)


def phrase_six_times(good: str, language: str, rng: random.Random) -> str:
    return _open(good) + rng.choice(PHRASES[language]) * 6


def phrase_endless_and_cut(good: str, language: str, rng: random.Random) -> str:
    return _cut(_open(good) + rng.choice(PHRASES[language]) * 40, language, rng)


def begun_inside_a_sentence(good: str, language: str, rng: random.Random) -> str:
    start = _prefix(good, language, rng)
    piece = start[-rng.randint(12, 30) :] if language == "en" else start[-rng.randint(5, 9) :]
    return start + piece * rng.randint(5, 12) + piece[: len(piece) // 2]


def word_eight_times(good: str, language: str, rng: random.Random) -> str:
    return _open(good) + rng.choice(WORDS[language]) * (8 if language == "en" else 14)


def words_in_the_middle(good: str, language: str, rng: random.Random) -> str:
    start = _prefix(good, language, rng)
    return start + rng.choice(WORDS[language]) * (9 if language == "en" else 14) + good[len(start) :]


def phrase_in_the_middle(good: str, language: str, rng: random.Random) -> str:
    start = _prefix(good, language, rng)
    return start + rng.choice(PHRASES[language]) * rng.randint(5, 9) + good[len(start) :]


def sentence_in_the_middle(good: str, language: str, rng: random.Random) -> str:
    return good + rng.choice(SENTENCES[language]) * rng.randint(4, 7) + _space(language) + _another(good, rng)


def two_in_turn(good: str, language: str, rng: random.Random) -> str:
    return _cut(good + "".join(rng.sample(SENTENCES[language], 2)) * rng.randint(5, 9), language, rng)


def three_in_no_order(good: str, language: str, rng: random.Random) -> str:
    three = rng.sample(SENTENCES[language], 3)
    return good + "".join(rng.choice(three) for _ in range(14))


def one_word_changes(good: str, language: str, rng: random.Random) -> str:
    frame = rng.choice(FRAMES[language])
    return good + "".join(frame.format(word) for word in rng.sample(CHANGING[language], 9))


def number_drifts(good: str, language: str, rng: random.Random) -> str:
    frame, first = rng.choice(NUMBERED[language]), rng.randint(1, 40)
    return good + "".join(frame.format(first + step) for step in range(12))


def copies_grow(good: str, language: str, rng: random.Random) -> str:
    phrases = rng.sample(PHRASES[language], 3)
    return _open(good) + "".join(phrases[0] + "".join(phrases[1 : 1 + step % 3]) for step in range(12))


def counting(good: str, language: str, rng: random.Random) -> str:
    first, step = rng.randint(1, 30), rng.choice([1, 1, 2, 5])
    mark = rng.choice([", ", " ", "\n"]) if language == "en" else "、"
    return _open(good) + _space(language) + mark.join(str(first + step * place) for place in range(60))


def salad(good: str, language: str, rng: random.Random) -> str:
    if language == "zh":
        return _open(good) + "，" + "，".join(rng.choice(["优雅", "时尚", "简约", "大方", "精致"]) for _ in range(40))
    words = rng.sample(
        ["soft", "elegant", "modern", "chic", "sleek", "plain", "new", "neat", "bold", "smart", "fine"], 9
    )
    return _open(good) + ", " + ", ".join(rng.choice(words) for _ in range(70))


def glyphs(good: str, language: str, rng: random.Random) -> str:
    return good + rng.choice(["!", "?!", ". ", "-", "*", "~", "…", "\u2588", "😀", "。"]) * rng.randint(40, 90)


FAMILIES: tuple[Family, ...] = (
    sentence_thrice,
    sentence_endless,
    phrase_six_times,
    phrase_endless_and_cut,
    begun_inside_a_sentence,
    word_eight_times,
    words_in_the_middle,
    phrase_in_the_middle,
    sentence_in_the_middle,
    two_in_turn,
    three_in_no_order,
    one_word_changes,
    number_drifts,
    copies_grow,
    counting,
    salad,
    glyphs,
)


def main() -> None:
    """Write `loops.jsonl` from the good captions of `written.jsonl`."""
    rows = [json.loads(line) for line in (FOLDER / "written.jsonl").read_text(encoding="utf-8").splitlines()]
    with (FOLDER / "loops.jsonl").open("w", encoding="utf-8") as file:
        for language, number in PER_FAMILY.items():
            good = [row["text"] for row in rows if not row["labels"] and row["language"] == language]
            for family in FAMILIES:
                rng = random.Random(f"{family.__name__} {language}")
                for base in rng.sample([text for text in good if len(text) > 30], number):
                    text = family(base, language, rng)
                    origin = f"synthetic loop ({family.__name__}) on a written caption"
                    row = {"text": text, "labels": ["loop"], "language": language, "origin": origin}
                    file.write(json.dumps(row | {"split": split_of(text)}, ensure_ascii=False) + "\n")


def split_of(text: str) -> str:
    """Which part of the set a caption is in, by its hash alone."""
    place = int.from_bytes(hashlib.sha256(text.encode("utf-8", "replace")).digest()[:4], "big") / 2**32
    return "held-out" if place < HELD_OUT_SHARE else "tune"


def _cut(text: str, language: str, rng: random.Random) -> str:
    """Where a token limit might stop."""
    return text[: rng.randint(700, 1400) if language == "en" else rng.randint(150, 400)]


def _open(text: str) -> str:
    return re.sub(r"[.。!！?？]$", "", text)


def _space(language: str) -> str:
    return " " if language == "en" else ""


def _prefix(text: str, language: str, rng: random.Random) -> str:
    """The beginning, up to the end of a word."""
    if language == "zh":
        return text[: rng.randint(8, len(text) - 3)]
    ends = [found.start() for found in re.finditer(" ", text)]
    return text[: rng.choice(ends[len(ends) // 3 :])]


def _another(good: str, rng: random.Random) -> str:
    return rng.choice(re.split(r"(?<=[.。!?]) ?", good)[:1]) or good


if __name__ == "__main__":
    main()
