"""Runs one tool over captions, on one core, in whatever environment that tool lives: called by clean.py, not by people.

    PYTHON clean_worker.py TOOL CAPTIONS ROUNDS

reads JSON lines with `text` and `language` and prints one JSON object: for each caption what the tool says of it, and
the processor seconds of each round over all captions. A round is a plain loop in one process; making the filters and a
first warm round are not counted.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

Captions = Sequence[dict[str, str]]
Verdicts = list[list[str]]
"""For each caption, the names of the rules that reject it."""
Tool = Callable[[Captions], Verdicts]


def main() -> None:
    """Measure and print."""
    name, path, rounds = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    captions = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    tool = TOOLS[name]()
    verdicts = tool(captions)
    seconds = []
    for _ in range(rounds):
        started = time.process_time()
        tool(captions)
        seconds.append(time.process_time() - started)
    print(json.dumps({"verdicts": verdicts, "seconds": seconds}))


def nameplate_text() -> Tool:
    """All rules and repairs of a caption's text."""
    from nameplate.recipe import CleanSection
    from nameplate.text.judge import examine

    sections = {language: CleanSection(language=language, min_words=1, max_words=1000) for language in ("en", "zh")}

    def run(captions: Captions) -> Verdicts:
        return [
            [
                reason.value
                for reason in examine(one["text"], finish_reason=None, section=sections[one["language"]]).reasons
            ]
            for one in captions
        ]

    return run


def nameplate_cleaner() -> Tool:
    """What the stage does with a row: the same, and the names of a registry found, judged and written back."""
    from nameplate.names import Matcher, NameEntry, Registry
    from nameplate.recipe import CleanSection
    from nameplate.stages.clean.caption import CaptionCleaner

    names = json.loads((Path(__file__).parents[1] / "tests/data/captions/grammar.json").read_text(encoding="utf-8"))
    brands: list[str] = names["brands"]
    matcher = Matcher(Registry(tuple(map(NameEntry, brands))))
    cleaners = {
        language: CaptionCleaner(CleanSection(language=language, min_words=1, max_words=1000), matcher=matcher)
        for language in ("en", "zh")
    }

    def run(captions: Captions) -> Verdicts:
        for one in captions:
            name = next((brand for brand in brands if brand in one["text"]), brands[0])
            cleaners[one["language"]].clean(one["text"], name=name, finish_reason=None)
        return [[] for _ in captions]

    return run


def datatrove() -> Tool:
    """Gopher's repetition and quality filters, each asked about every caption."""
    return _datatrove(stop_at_first=False)


def datatrove_pipeline() -> Tool:
    """The same as a pipeline runs them: what the first filter drops, the second never sees."""
    return _datatrove(stop_at_first=True)


def _datatrove(*, stop_at_first: bool) -> Tool:
    from datatrove.data import Document
    from datatrove.pipeline.filters import GopherQualityFilter, GopherRepetitionFilter

    filters = [GopherRepetitionFilter(), GopherQualityFilter()]

    def judge(text: str) -> list[str]:
        document, found = Document(text=text, id=""), []
        for each in filters:
            kept = each.filter(document)
            if kept is not True:
                found.append(kept[1])
                if stop_at_first:
                    break
        return found

    return lambda captions: [judge(one["text"]) for one in captions]


def data_juicer() -> Tool:
    """Its character and word repetition filters with their defaults, on batches of 1,000 as it runs them."""
    from data_juicer.ops.filter.character_repetition_filter import CharacterRepetitionFilter
    from data_juicer.ops.filter.word_repetition_filter import WordRepetitionFilter
    from data_juicer.utils.constant import Fields

    filters = {"character_repetition": CharacterRepetitionFilter(), "word_repetition": WordRepetitionFilter()}

    def run(captions: Captions) -> Verdicts:
        found: Verdicts = []
        for start in range(0, len(captions), 1000):
            texts = [one["text"] for one in captions[start : start + 1000]]
            batch: dict[str, Any] = {"text": texts, Fields.stats: [{} for _ in texts]}
            for each in filters.values():
                batch = each.compute_stats_batched(batch)
            kept = {name: list(each.process_batched(batch)) for name, each in filters.items()}
            found += _rejections(kept, len(texts))
        return found

    return run


def _rejections(kept: dict[str, list[bool]], number: int) -> Iterable[list[str]]:
    return ([name for name, flags in kept.items() if not flags[place]] for place in range(number))


TOOLS: dict[str, Callable[[], Tool]] = {
    "nameplate": nameplate_text,
    "nameplate with names": nameplate_cleaner,
    "datatrove": datatrove,
    "datatrove pipeline": datatrove_pipeline,
    "data-juicer": data_juicer,
}

if __name__ == "__main__":
    main()
