"""Whether the language model's layers are compiled for a training: tried on one of them, said, and remembered."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import nn

from nameplate.models.compilable import LEAST_AHEAD_MICRO_BATCHES, LEAST_AHEAD_SECONDS, compilable_layers
from nameplate.models.step.compiling import (
    Call,
    CompilerFailureError,
    Trial,
    catching_calls,
    compile_layers,
    time_plain,
    try_compiled,
)
from nameplate.progress import Progress, bar
from nameplate.stages.train.collator import Collator
from nameplate.stages.train.objective import batch_loss
from nameplate.stages.train.setup import Training
from nameplate.store.files import write_json


def compile_where_it_pays(training: Training, collator: Collator, progress: Progress, *, start_epoch: int) -> None:
    """Compile the layers of the language model that gradients pass, as the recipe and a trial decide.

    A training that goes on does as it did before, so that its losses are those of one that never stopped.

    Args:
        training: as it will train.
        collator: of its batches.
        progress: is told what was decided.
        start_epoch: epochs finished before.

    Raises:
        ModelError: the recipe says `on`, and nothing can be compiled here.
    """
    layers = compilable_layers(
        training.applied,
        training.section.memory,
        device=training.loaded.model.device.type,
        processes=training.ranks.size,
    )
    if not layers:
        return
    path = training.run.folder("train") / "compiled.json"
    decided = _remembered(path, training.fingerprint) if start_epoch > 0 else None
    if decided is not False:
        decided = (_decide if decided is None else _again)(training, layers, collator, progress, start_epoch)
        write_json(path, {"training": training.fingerprint, "compiled": decided})
    if decided:
        compile_layers(layers)


def _decide(
    training: Training, layers: list[nn.Module], collator: Collator, progress: Progress, start_epoch: int
) -> bool:
    forced = training.section.memory.compile == "on"
    ahead = (training.section.epochs - start_epoch) * len(training.plan)
    if not forced and ahead < LEAST_AHEAD_MICRO_BATCHES:
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
