"""Thousands of paragraphs that people wrote, none of them a caption: what Debian's maintainers say of their packages.

    apt-get -o Acquire::Languages=en update
    /usr/lib/apt/apt-helper cat-file /var/lib/apt/lists/*bookworm_main_i18n_Translation-en* |
        python benchmarks/human_texts.py > human.jsonl
    python benchmarks/clean.py --human human.jsonl --no-peers

Writes the first paragraph of each long description that is prose of 15 to 150 words, one JSON object a line, each text
once, in a fixed order. The texts stay where they are made: each has its own licence.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator

FEWEST_WORDS, MOST_WORDS = 15, 150


def main() -> None:
    """From a Translation file on standard input to JSON lines on standard output."""
    for text in sorted({text for text in first_paragraphs(sys.stdin) if is_prose(text)}):
        print(json.dumps({"text": text}))


def first_paragraphs(lines: Iterable[str]) -> Iterator[str]:
    """The first paragraph of each description; a list or a table in it (lines further in) makes it empty."""
    paragraph: list[str] | None = None
    for line in lines:
        if line.startswith("Description-en:"):
            paragraph = []
        elif paragraph is not None and (not line.startswith(" ") or line.strip() == "."):
            yield " ".join(paragraph)
            paragraph = None
        elif paragraph is not None:
            paragraph.append("\n" if line.startswith("  ") else line.strip())


def is_prose(text: str) -> bool:
    """Whether it is whole sentences, and as long as captions are."""
    return "\n" not in text and text.endswith(".") and FEWEST_WORDS <= len(text.split()) <= MOST_WORDS


if __name__ == "__main__":
    main()
