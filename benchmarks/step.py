"""Processor time of one training step and of single layers, plain and compiled, on one thread.

    python benchmarks/step.py --json                             what docs/training-speed.md quotes (ten minutes)
    python benchmarks/step.py --quick                            the way, not the result
    python benchmarks/step.py --policies projector_only --no-compiled
    python benchmarks/step.py --only-texts --system-words 0 8 24 --turns 12

The model and the captions are those of benchmarks/train.py. A step is 24 examples in three forward passes of 8, with
what lies before the first learning weight computed already, as the training stage has it after its fill; clipping and
the optimizer are part of it. A layer is the last of its part, forward and backward, over the middle micro-batch. Plain
and compiled take turns, so that other work on the machine disturbs both alike; the middle of the turns is shown, in
milliseconds of processor time: of an example where steps are meant, of a micro-batch where layers are. `loss` is cross
entropy of 1,024 places over 8,192 words, forward and backward, torch's and ours.

Where the language model is frozen, steps are measured once more: with the text before the image read in every pass, and
with what was read of it before the first step (`once`), for system texts of so many words.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from figures import machine, markdown, rounded
from nameplate.models.batches import Batch
from nameplate.models.constanttext import NO_TEXT, ConstantText
from nameplate.models.precision import autocast
from nameplate.models.processing import IGNORED
from nameplate.models.recompute import passed_layers
from nameplate.models.step.allocator import keep_freed_memory
from nameplate.models.step.compiling import catching_calls, compile_layers
from nameplate.models.step.crossentropy import place_losses
from nameplate.progress import SilentProgress
from nameplate.recipe import ModelSection, TrainSection
from nameplate.stages.train.collator import Collator
from nameplate.stages.train.constanttext import constant_text
from nameplate.stages.train.objective import batch_loss
from nameplate.stages.train.prefix import frozen_prefix
from nameplate.stages.train.setup import Training, build_training
from nameplate.store.rundir import RunDirectory
from train_jobs import BATCH, POLICIES, Shop, our_job, prepare
from train_shop import FULL, QUICK, VOCABULARY, words

Row = dict[str, Any]
Work = Callable[[], object]
_PLACES = 1024


class Steps(NamedTuple):
    """One policy, ready to step."""

    training: Training
    batches: list[Batch]

    def step(self) -> None:
        """Forward, backward, clip, learn."""
        model, optimizer = self.training.loaded.model, self.training.optimizer
        for batch in self.batches:
            (batch_loss(model, batch) / _PLACES).backward()
        nn.utils.clip_grad_norm_([each for each in model.parameters() if each.requires_grad], 1.0)
        optimizer.step()
        optimizer.zero_grad()


def main() -> None:
    """Measure and print."""
    options = _options()
    figures = rounded(measure(options))
    for part in ("steps", "texts", "layers"):
        if figures[part]:
            print(table(figures[part]))
    if options.json:
        print(json.dumps(figures))


def measure(options: argparse.Namespace) -> Row:
    """Every figure of the tables, as one JSON object."""
    torch.set_num_threads(1)
    keep_freed_memory()
    turns = 2 if options.quick else options.turns
    found: Row = {"steps": [], "texts": [], "layers": []}
    size = QUICK if options.quick else FULL
    if not options.only_texts:
        with tempfile.TemporaryDirectory() as name:
            shop = prepare(Path(name), size=size, num_images=48)
            for policy in options.policies:
                plain = ready(shop, policy)
                found["layers"] += _layers(plain, policy, turns, compiled=options.compiled)
                found["steps"].append(_step(shop, policy, plain, turns, compiled=options.compiled))
        found["layers"].append({"what": "loss", **in_turn(_losses(), turns)})
    for count in options.system_words:
        with tempfile.TemporaryDirectory() as name:
            shop = prepare(Path(name), size=size, num_images=48, system=" ".join(words()[:count]))
            policies = [each for each in options.policies if "language" not in POLICIES[each]]
            found["texts"] += [_text(shop, policy, turns, compiled=options.compiled) for policy in policies]
    return {"benchmark": "step", "quick": options.quick, "machine": machine(), **found}


def ready(shop: Shop, policy: str) -> Steps:
    """A training as the stage builds it, and the first step's batches."""
    training = _training(shop, policy)
    return Steps(training, _batches(training, constant_text(training, SilentProgress())))


def _training(shop: Shop, policy: str) -> Training:
    job = our_job(shop, policy, epochs=2, threads=1, memory={})
    section, base = TrainSection.model_validate(job["section"]), ModelSection(base=job["model"])
    return build_training(section, base, RunDirectory(shop.run))


def _batches(training: Training, text: ConstantText) -> list[Batch]:
    collator = Collator(training.images, frozen_prefix(training, SilentProgress()), text=text)
    training.loaded.model.train()
    first = list(training.plan)[: training.plan.accumulation]
    return [collator([training.plan.dataset[index] for index in each]) for each in first]


def _step(shop: Shop, policy: str, plain: Steps, turns: int, *, compiled: bool) -> Row:
    works: dict[str, Work] = {"plain": plain.step}
    if compiled:
        fast = ready(shop, policy)
        compile_layers(_passed(fast.training)["language"])
        works["compiled"] = fast.step
    return {"what": policy.replace("_", " "), **_by_example(in_turn(works, turns))}


def _text(shop: Shop, policy: str, turns: int, *, compiled: bool) -> Row:
    """Steps of one training with the text before the image read in every pass, and once."""
    works: dict[str, Work] = {}
    what = ""
    for name in ("plain", "compiled") if compiled else ("plain",):
        training = _training(shop, policy)
        text = constant_text(training, SilentProgress())
        if name == "compiled":
            compile_layers(_passed(training)["language"])
        works |= {name: Steps(training, _batches(training, NO_TEXT)).step}
        works |= {f"{name}, once": Steps(training, _batches(training, text)).step}
        dataset, first = training.plan.dataset, training.plan.examples(0)[:BATCH]
        tokens = sum(map(dataset.length, first)) / len(first)
        what = f"{policy.replace('_', ' ')}, {len(text.ids)} of {tokens:.0f} tokens"
    return {"what": what, **_by_example(in_turn(works, turns))}


def _by_example(times: Mapping[str, float]) -> dict[str, float]:
    return {name: each / BATCH for name, each in times.items()}


def in_turn(works: Mapping[str, Work], turns: int) -> dict[str, float]:
    """Milliseconds of processor time of each, after one turn that warms up."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(1 + turns):
        for name, work in works.items():
            started = time.process_time()
            work()
            times[name].append(1000 * (time.process_time() - started))
    return {name: median(each[1:]) for name, each in times.items()}


def _passed(training: Training) -> dict[str, list[nn.Module]]:
    """Layers that gradients pass, by component."""
    passed = list(passed_layers(training.applied))
    return {
        name: [layer for layer in component.layers if any(layer is each for each in passed)]
        for name, component in training.applied.components.items()
    }


def _layers(steps: Steps, policy: str, turns: int, *, compiled: bool) -> list[Row]:
    """The last layer of each component that gradients pass."""
    last = {name: layers[-1] for name, layers in _passed(steps.training).items() if layers}
    with catching_calls(list(last.values())) as calls:
        batch_loss(steps.training.loaded.model, steps.batches[1])
    rows: list[Row] = []
    for name, layer in last.items():
        call = calls[layer]
        learns = any(parameter.requires_grad for parameter in layer.parameters())
        works = {"plain": _pass_through(layer, layer.forward, call)}
        if compiled:
            fast = torch.compile(layer.forward, dynamic=True)
            works["compiled"] = _pass_through(layer, fast, call)
        hidden = next(each for each in (*call.arguments, *call.named.values()) if isinstance(each, torch.Tensor))
        what = f"{name} layer, {'learning' if learns else 'frozen'}, {' x '.join(map(str, hidden.shape))} ({policy})"
        rows.append({"what": what, **in_turn(works, 4 * turns)})
    return rows


def _pass_through(layer: nn.Module, forward: Callable[..., Any], call: Any) -> Work:
    inputs = [each for each in (*call.arguments, *call.named.values()) if isinstance(each, torch.Tensor)]
    wanted = [each for each in (*inputs, *layer.parameters()) if each.requires_grad]

    def work() -> None:
        with autocast(torch.device("cpu")):
            output = forward(*call.arguments, **call.named)
        torch.autograd.grad(output.sum(), wanted)

    return work


def _losses() -> dict[str, Work]:
    logits = torch.randn(_PLACES, VOCABULARY, dtype=torch.bfloat16, requires_grad=True)
    targets = torch.randint(VOCABULARY, (_PLACES,))
    return {
        "plain": lambda: torch.autograd.grad(
            functional.cross_entropy(logits.float(), targets, ignore_index=IGNORED, reduction="none").sum(), logits
        ),
        "ours": lambda: torch.autograd.grad(place_losses(logits, targets, ignored=IGNORED).sum(), logits),
    }


def table(rows: Sequence[Row]) -> str:
    """As docs/training-speed.md holds it."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    return markdown(
        [f"{each}, ms" if each != "what" else each for each in columns], [_cells(row, columns) for row in rows]
    )


def _cells(row: Row, columns: Sequence[str]) -> list[str]:
    return [row[key] if key == "what" else f"{row[key]:.1f}" if key in row else "" for key in columns]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small model and two turns")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--policies", nargs="+", choices=list(POLICIES), default=list(POLICIES), help="what learns")
    parser.add_argument("--system-words", nargs="+", type=int, default=[0, 24], help="of system texts (default 0 24)")
    parser.add_argument("--only-texts", action="store_true", help="nothing but the text before the image")
    parser.add_argument("--turns", type=int, default=6, help="steps of each that are timed (default 6)")
    parser.add_argument("--compiled", action=argparse.BooleanOptionalAction, default=True, help="beside plain layers")
    return parser.parse_args()


if __name__ == "__main__":
    main()
