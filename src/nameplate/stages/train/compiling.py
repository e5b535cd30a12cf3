"""Whether the language model's layers are compiled for a training: tried on one of them, said, and remembered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import torch
from torch import nn

from nameplate.errors import ModelError
from nameplate.models.recompute import passed_layers
from nameplate.models.step.compiling import (
    Call,
    CompilerFailureError,
    Trial,
    catching_calls,
    compile_layers,
    has_compiler,
    time_plain,
    try_compiled,
)
from nameplate.progress import Progress, bar
from nameplate.stages.train.collator import Collator
from nameplate.stages.train.objective import batch_loss
from nameplate.stages.train.setup import Training
from nameplate.store.files import write_json

LEAST_AHEAD_SECONDS: Final = 1200.0
"""Of plain layers: compiling takes 15 to 60 seconds, saves a quarter where it does well, and may save nothing."""
_FEWEST: Final = 50
"""Micro-batches ahead: fewer are not worth the looking."""


def compile_where_it_pays(training: Training, collator: Collator, progress: Progress, *, start_epoch: int) -> None:
    """Compile the layers of the language model that gradients pass, as the recipe and a trial decide.

    Layers of the vision tower are left as they are: products take most of their time (docs/training-speed.md).
    A training that goes on does as it did before, so that its losses are those of one that never stopped.

    Args:
        training: as it will train.
        collator: of its batches.
        progress: is told what was decided.
        start_epoch: epochs finished before.

    Raises:
        ModelError: the recipe says `on`, and nothing can be compiled here.
    """
    layers = _language_layers(training)
    if not _wanted(training, layers):
        return
    path = training.run.folder("train") / "compiled.json"
    decided = _remembered(path, training.fingerprint) if start_epoch > 0 else None
    if decided is not False:
        decided = (_decide if decided is None else _again)(training, layers, collator, progress, start_epoch)
        write_json(path, {"training": training.fingerprint, "compiled": decided})
    if decided:
        compile_layers(layers)


def _language_layers(training: Training) -> list[nn.Module]:
    own = {id(layer) for layer in training.applied.components["language"].layers}
    return [layer for layer in passed_layers(training.applied) if id(layer) in own]


def _wanted(training: Training, layers: list[nn.Module]) -> bool:
    setting = training.section.memory.compile
    obstacle = _obstacle(training, layers)
    if setting == "on" and obstacle is not None:
        raise ModelError(
            "train.memory.compile",
            found=f"on, {obstacle}",
            expected="auto or off",
            fix="set it to auto, which compiles where that is possible",
        )
    return setting != "off" and obstacle is None


def _obstacle(training: Training, layers: list[nn.Module]) -> str | None:
    device = training.loaded.model.device.type
    if device != "cpu":
        return f"on {device}, where it was never measured"
    if training.ranks.size > 1:
        return f"with {training.ranks.size} processes"
    if training.section.memory.checkpointing:
        return "with memory.checkpointing"
    if not layers:
        return "but no gradient passes a layer of the language model"
    return None if has_compiler() else "but there is no C++ compiler (g++ or clang++)"


def _decide(
    training: Training, layers: list[nn.Module], collator: Collator, progress: Progress, start_epoch: int
) -> bool:
    forced = training.section.memory.compile == "on"
    ahead = (training.section.epochs - start_epoch) * len(training.plan)
    if not forced and ahead < _FEWEST:
        return False
    call = _call(training, layers[-1], collator)
    if not forced and ahead * len(layers) * time_plain(layers[-1], call) < LEAST_AHEAD_SECONDS:
        return False
    try:
        with bar(progress, "compile layers", 1) as advance:
            trial = try_compiled(layers[-1], call)
            advance(1)
    except CompilerFailureError as failure:
        progress.note(f"train: layers are not compiled: {failure}")
        return False
    progress.note(f"train: {_sentence(trial)}")
    return trial.pays


def _again(
    training: Training, layers: list[nn.Module], collator: Collator, progress: Progress, start_epoch: int
) -> bool:
    """What was compiled before, however fast it is this time; plain layers only where it is not possible any more."""
    try:
        try_compiled(layers[-1], _call(training, layers[-1], collator))
    except CompilerFailureError as failure:
        progress.note(
            f"train: after epoch {start_epoch} layers are not compiled any more, and round otherwise: {failure}"
        )
        return False
    return True


def _call(training: Training, layer: nn.Module, collator: Collator) -> Call:
    """What a layer reads of the first micro-batch, the longest of its step. The state of chance stays as it is."""
    model, dataset = training.loaded.model, training.plan.dataset
    indices = next(each for each in training.plan if each)
    batch = {name: tensor.to(model.device) for name, tensor in collator([dataset[index] for index in indices]).items()}
    model.train()
    with torch.random.fork_rng(), catching_calls([layer]) as calls:
        batch_loss(model, batch)
    return calls[layer]


def _sentence(trial: Trial) -> str:
    took = f"compiling one took {trial.compile_seconds:.0f} s"
    if trial.pays:
        return f"language layers are compiled: {trial.gain:.0%} less time each; {took}"
    if trial.difference > trial.allowed:
        return f"language layers are not compiled: results differ by {trial.difference:.1%}; {took}"
    return f"language layers are not compiled: one is not faster so; {took}"


def _remembered(path: Path, fingerprint: str) -> bool | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return bool(found["compiled"]) if found.get("training") == fingerprint else None
