"""Whether sharing rows pays: training steps with `memory.packing` off, auto and on, in turn.

    python benchmarks/packing.py --json         what docs/training-speed.md shows (three to four minutes)
    python benchmarks/packing.py --quick        the way, not the result
    python benchmarks/packing.py --words 10 60 --passes 8

The model and the captions are those of benchmarks/train.py; half of the examples ask for the name instead, as a recipe
has it unless told otherwise. A step is 24 examples, in forward passes of 8 or of all 24. All ways go through the same
steps, the model learning all the while, and take turns, so that other work on the machine disturbs all alike. Making
batches, clipping and the optimizer are part of a step; images were read, and what lies before the first learning
weight was computed, before. Layers are not compiled.

`packs` is what the stage decides; `cpu` is processor time of an example, all threads; `tokens` are those that the
language model reads for an example, and `padding` is the share of them that belongs to none.
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
from nameplate.models.constanttext import ConstantText
from nameplate.models.prefix.frozen import FrozenPrefix
from nameplate.models.step.allocator import keep_freed_memory
from nameplate.progress import SilentProgress
from nameplate.recipe import ModelSection, TrainSection
from nameplate.stages.train.collator import Collator
from nameplate.stages.train.constanttext import constant_text
from nameplate.stages.train.epochplan import EpochPlan
from nameplate.stages.train.microbatches import packs
from nameplate.stages.train.prefix import frozen_prefix
from nameplate.stages.train.setup import Training, build_training
from nameplate.store.rundir import RunDirectory
from step import Steps
from train_jobs import BATCH, Shop, our_job, prepare
from train_shop import FULL, QUICK
from waiting import wait_as_the_command

Setting = Literal["off", "auto", "on"]
Row = dict[str, Any]
_POLICIES = ("language_frozen", "vision_frozen")
_COLUMNS = ("what", "passes of", "packing", "packs", "examples/s", "cpu, ms", "tokens", "padding")


class Way(NamedTuple):
    """One way through the steps of an epoch."""

    size_of_pass: int
    packing: Setting
    steps: list[list[list[int]]]
    """Examples of each forward pass of each step."""
    collator: Collator
    num_needed: int
    """Tokens of the examples of all steps but the first."""


class Cost(NamedTuple):
    """What one optimizer step took."""

    seconds: float
    cpu_seconds: float
    num_tokens: int
    """Of the rows that the language model read, padding too."""


def main() -> None:
    """Measure and print."""
    wait_as_the_command()
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
    num_images = BATCH * (1 + options.steps)
    cases: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        size = QUICK if options.quick else FULL
        shop = prepare(Path(name), size=size, num_images=num_images, fewest=fewest, most=most)
        for policy in options.policies:
            found = in_turn(ready(shop, policy), options.passes)
            cases += [{"what": policy.replace("_", " ")} | each for each in found]
    return {"benchmark": "packing", "quick": options.quick, "machine": machine(), "cases": cases}


def ready(shop: Shop, policy: str) -> Training:
    """A training as the stage builds it, with the recipe's own mix of captions and questions."""
    job = our_job(shop, policy, epochs=2, threads=torch.get_num_threads(), memory={})
    del job["section"]["examples"]
    section, base = TrainSection.model_validate(job["section"]), ModelSection(base=job["model"])
    return build_training(section, base, RunDirectory(shop.run))


def in_turn(training: Training, passes: Sequence[int]) -> list[Row]:
    """All ways through an epoch side by side; the first step only warms up."""
    prefix, text = frozen_prefix(training, SilentProgress()), constant_text(training, SilentProgress())
    ways = [_way(training, prefix, text, size, setting) for size in passes for setting in get_args(Setting)]
    costs: list[list[Cost]] = [[] for _ in ways]
    training.loaded.model.train()
    for step in range(training.plan.steps_per_epoch):
        # Images are kept in memory once they were read: no way shall read them for the others.
        _batches(training, ways[0], step)
        for way, own in zip(ways, costs, strict=True):
            own.append(_take(training, way, step))
    return [_row(way, own[1:]) for way, own in zip(ways, costs, strict=True)]


def _way(
    training: Training, prefix: FrozenPrefix | None, text: ConstantText, size_of_pass: int, packing: Setting
) -> Way:
    plan = EpochPlan(
        training.rows,
        batch_size=BATCH,
        micro_batch_size=size_of_pass,
        section=training.section.examples,
        seed=training.section.seed,
    )
    parts = list(plan)
    lengths = [[plan.dataset.length(index) - len(text.ids) for index in part] for part in parts]
    packed = packs(packing, training.loaded.model, lengths)
    num_passes = plan.accumulation
    return Way(
        size_of_pass,
        packing,
        [parts[start : start + num_passes] for start in range(0, len(parts), num_passes)],
        Collator(training.images, prefix, text=text, packs=packed),
        sum(map(sum, lengths[num_passes:])),
    )


def _take(training: Training, way: Way, step: int) -> Cost:
    started, cpu = time.perf_counter(), time.process_time()
    batches = _batches(training, way, step)
    Steps(training, batches).step()
    num_tokens = sum(batch["input_ids"].numel() for batch in batches)
    return Cost(time.perf_counter() - started, time.process_time() - cpu, num_tokens)


def _batches(training: Training, way: Way, step: int) -> list[Batch]:
    dataset = training.plan.dataset
    return [way.collator([dataset[index] for index in part]) for part in way.steps[step]]


def _row(way: Way, costs: Sequence[Cost]) -> Row:
    """Over all steps together: they are of unequal length, and all ways have the same."""
    num_examples = BATCH * len(costs)
    num_tokens = sum(each.num_tokens for each in costs)
    return {
        "size_of_pass": way.size_of_pass,
        "packing": way.packing,
        "packs": way.collator.packs,
        "examples_per_second": num_examples / sum(each.seconds for each in costs),
        "cpu_ms_per_example": 1000 * sum(each.cpu_seconds for each in costs) / num_examples,
        "tokens_per_example": num_tokens / num_examples,
        "padding_share": 1 - way.num_needed / num_tokens,
    }


def table(cases: Sequence[Row]) -> str:
    """As docs/training-speed.md holds it."""
    return markdown(_COLUMNS, [_cells(case) for case in cases])


def _cells(case: Row) -> list[str]:
    return [
        case["what"],
        str(case["size_of_pass"]),
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
    parser.add_argument("--steps", type=int, default=6, help="steps of 24 examples that are timed (default 6)")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    return parser.parse_args()


if __name__ == "__main__":
    main()
