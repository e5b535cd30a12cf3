"""The plan of one training. Read `plan_training` first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from nameplate.errors import TrainingError
from nameplate.models.blueprint import Blueprint, draw, with_policies
from nameplate.models.components import partition
from nameplate.models.constanttext import NO_TEXT, ConstantText, why_in_every_pass
from nameplate.models.footprint import footprint
from nameplate.models.locate import find_model
from nameplate.models.parts import component_rows
from nameplate.models.plan.advice import advice
from nameplate.models.plan.batch import empty_batch
from nameplate.models.plan.compiled import NOTHING_COMPILED, CompiledLayers, compiled_layers
from nameplate.models.plan.hardware import Direction, Hardware
from nameplate.models.plan.ledger import Amount, Work
from nameplate.models.plan.levels import DISK_BYTES_PER_SECOND, Level, spared, valid_levels
from nameplate.models.plan.probe import measure_parts
from nameplate.models.plan.reader import Reader
from nameplate.models.plan.rehearsal import Rehearsal, computing_in, rehearse
from nameplate.models.plan.results import MemoryPlan, Plan, PrefixPlan, TimeLine, WorkLine
from nameplate.models.plan.shapes import shapes_only, without_values
from nameplate.models.plan.table import Assumptions, Examples, known_examples, with_unnamed
from nameplate.models.plan.workload import Workload, epoch_of
from nameplate.models.policy import AppliedPolicies
from nameplate.models.precision import best_device, compute_dtype
from nameplate.models.step.textbefore import read_text
from nameplate.recipe import PRESETS, PresetName, Recipe, TrainSection

ADAMW_PASSES = 7
"""Times that AdamW goes over what learns in a step: it reads weight, gradient and two moments, and writes three."""
CLIP_PASSES = 2
"""Times that clipping does: it reads the gradients for their norm, and makes them smaller."""


@dataclass(frozen=True)
class Prepared:
    """A model of a recipe without values, under its policies, ready to be rehearsed."""

    blueprint: Blueprint
    applied: AppliedPolicies
    reader: Reader
    load: Workload
    dtype: torch.dtype
    device: str
    """Kind of the one that it will train on."""
    compiled: CompiledLayers = NOTHING_COMPILED
    text: ConstantText = NO_TEXT
    """Read before the first step; its keys and values are shapes, too."""


def plan_training(recipe: Recipe, *, root: Path | None, hardware: Hardware, assumed: Assumptions) -> Plan:
    """Say what a recipe's training takes. No weights are read, nothing is computed, nothing is written.

    Args:
        recipe: the experiment.
        root: its run directory, which may not exist yet; none: look at no table.
        hardware: what it runs on.
        assumed: of the examples, where no table says it.

    Raises:
        ModelError: the base is not there or of an unknown family, or a policy does not fit it.
        TrainingError: an example is longer than the model can read.
    """
    examples = known_examples(root, assumed, recipe.split)
    return plan_section(recipe, recipe.train, examples, hardware)


def plan_presets(recipe: Recipe, *, root: Path | None, hardware: Hardware, assumed: Assumptions) -> list[Plan]:
    """The same recipe under each preset in the place of its own policies.

    Raises:
        ModelError, TrainingError: as for `plan_training`.
    """
    examples = known_examples(root, assumed, recipe.split)
    return [plan_section(recipe, _under(recipe.train, preset), examples, hardware) for preset in PRESETS]


def _under(section: TrainSection, preset: PresetName) -> TrainSection:
    policies = TrainSection(preset=preset)
    memory = section.memory
    if policies.language.learns:
        memory = memory.model_copy(update={"quantise": None})
    chosen: dict[str, Any] = {"preset": preset, "memory": memory}
    chosen |= {str(name): policy for name, policy in policies.policies().items()}
    return section.model_copy(update=chosen)


def plan_section(recipe: Recipe, section: TrainSection, examples: Examples, hardware: Hardware) -> Plan:
    """The same for known examples and any `train` section."""
    examples = with_unnamed(examples, section.examples.unnamed)
    ready = prepare(recipe, section, examples, hardware)
    accumulates = ready.load.micro_batches > ready.load.steps
    typical = _rehearsed(ready, largest=False, accumulates=accumulates)
    if hardware.name == "here":
        hardware = measure_parts(hardware, ready.blueprint.model, ready.applied, typical)
    ready = replace(ready, compiled=compiled_layers(ready.applied, section.memory, typical, hardware, ready.device))
    same = ready.load.typical == ready.load.largest
    largest = typical if same else _rehearsed(ready, largest=True, accumulates=accumulates)
    prefixes = list(_prefixes(ready, section, typical, hardware))
    level = _chosen(prefixes, section)
    memory = _memory(ready, section, largest, hardware)

    def again(changed: TrainSection) -> MemoryPlan:
        other = prepare(recipe, changed, examples, hardware)
        several = other.load.micro_batches > other.load.steps
        return _memory(other, changed, _rehearsed(other, largest=True, accumulates=several), hardware)

    return Plan(
        base=recipe.model.base,
        policy=policy_name(section),
        parts=tuple(component_rows(ready.applied)),
        hardware=hardware,
        dtype=_name(ready.dtype),
        epochs=section.epochs,
        workload=ready.load,
        memory=memory,
        work=tuple(_work_lines(typical.work)),
        time=tuple(_time(ready, section, typical, hardware, level)),
        compiling=tuple(_compiling(ready, section, typical, hardware)),
        prefixes=tuple(plan for _, plan in prefixes),
        prefix=level.name if level is not None else "off",
        said=(*examples.said, ready.reader.said, *_said_of_model(ready, section)),
        advice=tuple(advice(section, memory, again, may_be_short=ready.blueprint.stored == torch.bfloat16)),
    )


def prepare(recipe: Recipe, section: TrainSection, examples: Examples, hardware: Hardware) -> Prepared:
    """Draw the model and do to it what training does to the real one before its first step."""
    folder = find_model(recipe.model.base, weights=False)
    reader = Reader(folder, max_tiles=recipe.model.max_tiles)
    blueprint = draw(folder)
    load = epoch_of(examples, reader, section)
    _check_length(load, blueprint)
    here = hardware.name == "here"
    dtype = compute_dtype() if here else torch.bfloat16
    device = best_device().type if here else "cuda"
    # On an accelerator each model has the attention that it comes with, which is fused as all by name but one.
    chosen = section.memory.attention in ("eager", "sdpa") or device == "cpu"
    applied = with_policies(blueprint, section, longest=load.largest.length if chosen else None, computing=dtype)
    without_values(blueprint.model)
    applied = applied._replace(components=partition(blueprint.model))
    text = _text(blueprint, applied, reader, load, dtype) if device == "cpu" else NO_TEXT
    return Prepared(blueprint, applied, reader, load, dtype, device, text=text)


def _text(
    blueprint: Blueprint, applied: AppliedPolicies, reader: Reader, load: Workload, dtype: torch.dtype
) -> ConstantText:
    """What a training on this CPU would read once."""
    ids = reader.text_before()
    share = len(ids) / (load.image_tokens + load.text_tokens)
    if not ids or why_in_every_pass(blueprint.model, applied, share=share):
        return NO_TEXT
    with shapes_only(), computing_in(dtype):
        return ConstantText(ids, read_text(blueprint.model, ids))


def _check_length(load: Workload, blueprint: Blueprint) -> None:
    most = int(blueprint.model.config.get_text_config().max_position_embeddings)
    if load.longest > most:
        raise TrainingError(
            "train",
            found=f"an example of {load.longest:,} tokens, and {blueprint.folder} reads at most {most:,}",
            fix="lower model.max_tiles or clean.max_words, or what you stated with --caption-words",
        )


def policy_name(section: TrainSection) -> str:
    """The preset's name, or the three modes."""
    return section.preset or ", ".join(f"{name} {policy.mode}" for name, policy in section.policies().items())


def _rehearsed(ready: Prepared, *, largest: bool, accumulates: bool) -> Rehearsal:
    shape = ready.load.largest if largest else ready.load.typical
    token = int(getattr(ready.blueprint.model.config, "image_token_id", 0) or 0)
    batch = empty_batch(ready.reader, shape, image_token_id=token, text=ready.text)
    return rehearse(
        ready.blueprint.model, ready.applied, batch, dtype=ready.dtype, accumulates=accumulates, device=ready.device
    )


def _memory(ready: Prepared, section: TrainSection, largest: Rehearsal, hardware: Hardware) -> MemoryPlan:
    held = footprint(ready.applied, section.optimizer, section.memory)
    # With one micro-batch a step there are no gradients yet when activations are at their highest.
    gradients = held.gradients if ready.load.micro_batches > ready.load.steps else 0
    highest = max(largest.peak, held.gradients)
    activations = min(largest.kept, highest - gradients)
    return MemoryPlan(
        weights=held.weights,
        optimizer=held.optimizer,
        average=held.average,
        gradients=gradients,
        activations=activations,
        passing=highest - gradients - activations,
        capacity=hardware.memory_bytes,
        process=hardware.process_bytes,
    )


def _work_lines(work: Mapping[Work, Amount]) -> Iterator[WorkLine]:
    """Layers of a part taken together."""
    lines: dict[tuple[str, str, int], WorkLine] = {}
    for each, amount in work.items():
        key = (each.owner.part, each.during, each.rows)
        before = lines.get(key, WorkLine(*key, 0, 0, 0))
        lines[key] = WorkLine(
            *key, before.weights + amount.weights, before.calls + amount.calls, before.flops + amount.flops
        )
    yield from lines.values()


def _prefixes(
    ready: Prepared, section: TrainSection, typical: Rehearsal, hardware: Hardware
) -> Iterator[tuple[Level, PrefixPlan]]:
    for level in valid_levels(ready.blueprint.model, ready.applied, ready.load, section):
        sparing = spared(typical.work, level).items()
        seconds = sum(_seconds(ready, amount.flops, each, hardware) for each, amount in sparing)
        yield (
            level,
            PrefixPlan(
                level.name,
                level.what,
                level.arithmetic,
                level.bytes,
                saved_seconds=seconds * ready.load.micro_batches * (section.epochs - 1),
                disk_seconds=level.bytes * (1 + section.epochs) / DISK_BYTES_PER_SECOND,
                fits=level.bytes <= section.memory.prefix_max_bytes,
            ),
        )


def _chosen(found: Sequence[tuple[Level, PrefixPlan]], section: TrainSection) -> Level | None:
    """The level that training is taken to use: the one asked for, or the deepest that pays."""
    wanted = section.memory.prefix
    usable = [level for level, plan in found if (plan.pays if wanted == "auto" else level.name == wanted)]
    return usable[-1] if usable else None


def _time(
    ready: Prepared, section: TrainSection, typical: Rehearsal, hardware: Hardware, level: Level | None
) -> Iterator[TimeLine]:
    once = spared(typical.work, level)
    sums: dict[str, list[float]] = {}
    for each, amount in typical.work.items():
        passes = 1 if each in once else section.epochs
        direction = "forward" if each.during == "forward" else "backward"
        flops = float(amount.flops * ready.load.micro_batches * passes)
        line = sums.setdefault(f"{each.owner.part}, {direction}" + (", once" if each in once else ""), [0.0, 0.0])
        line[0] += flops
        line[1] += _seconds(ready, flops, each, hardware)
    for what, (flops, seconds) in sums.items():
        yield TimeLine(what, flops, flops / seconds, seconds)
    yield _optimizer_time(ready, section, hardware)
    if ready.compiled.saved:
        yield TimeLine("compiling layers, once", 0, 0, ready.compiled.compile_seconds)


def _compiling(ready: Prepared, section: TrainSection, typical: Rehearsal, hardware: Hardware) -> Iterator[str]:
    count = ready.load.micro_batches * section.epochs
    own = {each: amount for each, amount in typical.work.items() if ready.compiled.owns(each.owner)}
    seconds = sum(_seconds(ready, amount.flops, each, hardware) for each, amount in own.items())
    yield from ready.compiled.lines(count * seconds, count)


def _optimizer_time(ready: Prepared, section: TrainSection, hardware: Hardware) -> TimeLine:
    learning = footprint(ready.applied).gradients
    passes = ADAMW_PASSES + (CLIP_PASSES if section.optimizer.max_grad_norm is not None else 0)
    moved = learning * passes * ready.load.steps * section.epochs
    speed = hardware.optimizer_bytes_per_second or hardware.bytes_per_second
    return TimeLine(f"optimizer, {passes} x {learning:,} bytes a step", 0, speed, moved / speed)


def _seconds(ready: Prepared, flops: float, work: Work, hardware: Hardware) -> float:
    direction: Direction = "forward" if work.during == "forward" else "backward"
    seconds = flops / hardware.speed(work.owner.part, direction, _name(ready.dtype))
    return seconds * (1 - ready.compiled.saved) if ready.compiled.owns(work.owner) else seconds


def _said_of_model(ready: Prepared, section: TrainSection) -> Iterator[str]:
    if section.memory.quantise is not None:
        yield f"train.memory.quantise={section.memory.quantise}: counted in memory; the time to unpack weights is not"
    if section.optimizer.name != "adamw":
        yield f"train.optimizer.name={section.optimizer.name}: counted in memory; the time of its steps is AdamW's"
    if ready.text.ids:
        yield f"the {len(ready.text.ids)} tokens before every image are read once, and not in every pass"
    if not ready.blueprint.has_weights:
        yield f"no weights in {ready.blueprint.folder}: stored as {_name(ready.blueprint.stored)}, as config.json says"


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
