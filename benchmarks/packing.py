"""Whether sharing rows pays: training steps with `memory.packing` off, auto and on, in turn.

    python benchmarks/packing.py --json         what docs/training-speed.md shows (about four minutes)
    python benchmarks/packing.py --quick        the way, not the result
    python benchmarks/packing.py --words 10 60 --passes 8

The model and the captions are those of benchmarks/train.py; half of the examples ask for the name instead, as a recipe
has it unless told otherwise. A step is 24 examples, in forward passes of 8 or of all 24. Each setting goes through the
same examples, the model learning all the while, and they take turns, so that other work on the machine disturbs all
alike. Making batches, clipping and the optimizer are part of a step; images were read, and what lies before the first
learning weight was computed, before. Layers are not compiled.

`cpu` is processor time of an example, all threads; `padding` is the share of the tokens of the language model's rows
that belong to no example; `packs` is what the stage decides.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import torch

from figures import machine, markdown, rounded
from nameplate.models.batches import Batch
from nameplate.models.step.allocator import keep_freed_memory
from nameplate.progress import SilentProgress
from nameplate.recipe import ModelSection, TrainSection
from nameplate.stages.train.collator import Collator
from nameplate.stages.train.constanttext import constant_text
from nameplate.stages.train.microbatches import packs
from nameplate.stages.train.prefix import frozen_prefix
from nameplate.stages.train.setup import Training, build_training
from nameplate.store.rundir import RunDirectory
from step import Steps
from train_jobs import BATCH, Shop, our_job, prepare
from train_shop import FULL, QUICK

Setting = Literal["off", "auto", "on"]
Row = dict[str, Any]
_POLICIES = ("language_frozen", "vision_frozen")
_COLUMNS = ("what", "passes of", "packing", "packs", "examples/s", "cpu, ms", "tokens", "padding")


class Cost(NamedTuple):
    """What one optimizer step took."""

    seconds: float
    cpu_seconds: float
    tokens: int
    """Of the rows that the language model read, padding too."""


def main() -> None:
    """Measure and print."""
    options = _options()
    figures = rounded(measure(options))
    print(table(figures["cases"]))
    if options.json:
        print(json.dumps(figures))


def measure(options: argparse.Namespace) -> Row:
    """Every figure of the table, as one JSON object."""
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    fewest, most = options.words
    cases: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        num_images = BATCH * (1 + options.steps)
        size = QUICK if options.quick else FULL
        shop = prepare(Path(name), size=size, num_images=num_images, fewest=fewest, most=most)
        for policy in options.policies:
            for size_of_pass in options.passes:
                training = ready(shop, policy, size_of_pass)
                named = {"what": policy.replace("_", " "), "passes_of": size_of_pass}
                cases += [named | each for each in in_turn(training)]
    return {"benchmark": "packing", "quick": options.quick, "machine": machine(), "cases": cases}


def ready(shop: Shop, policy: str, size_of_pass: int) -> Training:
    """A training as the stage builds it, with the recipe's own mix of captions and questions."""
    memory = {"micro_batch_size": size_of_pass}
    job = our_job(shop, policy, epochs=2, threads=torch.get_num_threads(), memory=memory)
    del job["section"]["examples"]
    section, base = TrainSection.model_validate(job["section"]), ModelSection(base=job["model"])
    return build_training(section, base, RunDirectory(shop.run))


def in_turn(training: Training) -> list[Row]:
    """The steps of an epoch with each setting, which go through them side by side; the first step only warms up."""
    plan, prefix = training.plan, frozen_prefix(training, SilentProgress())
    text = constant_text(training, SilentProgress())
    training.loaded.model.train()
    micro_batches = list(plan)
    lengths = [[plan.dataset.length(index) - len(text.ids) for index in each] for each in micro_batches]
    decided = {setting: packs(setting, training.loaded.model, lengths) for setting in get_args(Setting)}
    collators = {setting: Collator(training.images, prefix, text=text, packs=each) for setting, each in decided.items()}
    costs: dict[Setting, list[Cost]] = {setting: [] for setting in decided}
    for start in range(0, len(micro_batches), plan.accumulation):
        parts = micro_batches[start : start + plan.accumulation]
        # Images are kept in memory once they were read: no setting shall read them for the others.
        _batches(training, collators["off"], parts)
        for setting, collator in collators.items():
            costs[setting].append(_step(training, collator, parts))
    needed = sum(map(sum, lengths[plan.accumulation :]))
    return [_row(setting, costs[setting][1:], packed, needed) for setting, packed in decided.items()]


def _step(training: Training, collator: Collator, parts: Sequence[Sequence[int]]) -> Cost:
    started, cpu = time.perf_counter(), time.process_time()
    batches = _batches(training, collator, parts)
    Steps(training, batches).step()
    tokens = sum(batch["input_ids"].numel() for batch in batches)
    return Cost(time.perf_counter() - started, time.process_time() - cpu, tokens)


def _batches(training: Training, collator: Collator, parts: Sequence[Sequence[int]]) -> list[Batch]:
    return [collator([training.plan.dataset[index] for index in part]) for part in parts]


def _row(setting: Setting, costs: Sequence[Cost], packed: bool, needed: int) -> Row:
    """Over all steps alike: they are of unequal length, and all settings have the same."""
    num_examples = BATCH * len(costs)
    tokens = sum(each.tokens for each in costs)
    return {
        "packing": setting,
        "packs": packed,
        "examples_per_second": num_examples / sum(each.seconds for each in costs),
        "cpu_ms_per_example": 1000 * sum(each.cpu_seconds for each in costs) / num_examples,
        "tokens_per_example": tokens / num_examples,
        "padding_share": 1 - needed / tokens,
    }


def table(cases: Sequence[Row]) -> str:
    """As docs/training-speed.md holds it."""
    return markdown(_COLUMNS, [_cells(case) for case in cases])


def _cells(case: Row) -> list[str]:
    return [
        case["what"],
        str(case["passes_of"]),
        case["packing"],
        "yes" if case["packs"] else "no",
        f"{case['examples_per_second']:.2f}",
        f"{case['cpu_ms_per_example']:.1f}",
        f"{case['tokens_per_example']:.0f}",
        f"{case['padding_share']:.1%}",
    ]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small model")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--policies", nargs="+", choices=_POLICIES, default=list(_POLICIES), help="what learns")
    parser.add_argument("--passes", nargs="+", type=int, default=[8, BATCH], help="examples of a forward pass")
    parser.add_argument("--words", nargs=2, type=int, default=[30, 110], help="fewest and most of a caption")
    parser.add_argument("--steps", type=int, default=4, help="steps of 24 examples that are timed (default 4)")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    return parser.parse_args()


if __name__ == "__main__":
    main()
