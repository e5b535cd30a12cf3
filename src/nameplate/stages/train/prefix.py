"""What runs once per image or example instead of once per epoch: choosing it, saying what it costs, filling it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from transformers import PreTrainedModel

from nameplate.models.prefix.costs import Cost, Work, choose, in_words, why_not
from nameplate.models.prefix.frozen import FrozenPrefix, Item
from nameplate.models.prefix.levels import Verdict, judge_levels, refuse_level
from nameplate.models.prefix.looking import chance_in, tower_of
from nameplate.models.prefix.parking import park
from nameplate.models.prefix.skipping import language_layers
from nameplate.models.prefix.store import PrefixStore
from nameplate.models.prefix.trial import try_level
from nameplate.progress import Progress, bar
from nameplate.recipe import TrainSection
from nameplate.recipe.training import PrefixLevel
from nameplate.stages.train.ranks.group import Ranks
from nameplate.stages.train.setup import Training
from nameplate.store.files import write_json


class _Tried(NamedTuple):
    prefix: FrozenPrefix
    cost: Cost


def frozen_prefix(training: Training, progress: Progress, *, start_epoch: int = 0) -> FrozenPrefix | None:
    """The level that the recipe names or that saves most, filled; none: examples come with their pixels.

    Raises:
        RecipeError: the level that the recipe names would be wrong.
        RunDirectoryError: the disk is full.
    """
    if training.section.memory.prefix == "off":
        return None
    work = Work(training.section.epochs - start_epoch, training.plan.num_examples)
    items = _items(training, start_epoch)
    store = PrefixStore(training.run.prefix, max_bytes=training.section.memory.prefix_max_bytes)
    ranks = training.ranks
    decided = _choose(training, items, work, store, progress, resumed=start_epoch > 0) if ranks.leads else None
    level = ranks.everyone(decided)[0]
    if level is None:
        return None
    verdict = _verdicts(training.section, training.loaded.model)[level]
    prefix = FrozenPrefix(training.loaded.model, training.images.unkept(), verdict, store)
    _fill(prefix, items, ranks, progress)
    if ranks.leads:
        kept = {"training": training.fingerprint, "level": level, "bytes": prefix.space.num_bytes()}
        write_json(_path(training), kept)
    if level == "tiles":
        training.images.shelf = prefix
        return None
    if ranks.divides_weights and not prefix.whole:
        progress.note("train: not kept after all: not all fits, and divided weights cannot compute the rest alone")
        return None
    return prefix


def shared_sight(training: Training) -> PrefixStore | None:
    """Where what a frozen tower sees of validation images is kept for all checkpoints; none: it learns."""
    section = training.section
    if section.vision.learns or section.memory.prefix == "off":
        return None
    return PrefixStore(training.run.prefix, max_bytes=section.memory.prefix_max_bytes)


def make_room_on_device(training: Training, prefix: FrozenPrefix | None) -> None:
    """Take a tower that is not needed any more off the accelerator; it comes back by itself if it is called."""
    if prefix is not None and training.ranks.size == 1 and prefix.whole:
        park(tower_of(training.loaded.model))


def _verdicts(section: TrainSection, model: PreTrainedModel) -> dict[PrefixLevel, Verdict]:
    return judge_levels(
        section.policies(),
        model_type=model.config.model_type,
        num_layers=len(language_layers(model)),
        augmented=section.examples.augment != "off",
        by_chance=chance_in(tower_of(model)),
    )


def _items(training: Training, start_epoch: int) -> list[Item]:
    """All that the epochs left will look at, each example once."""
    dataset, plan = training.plan.dataset, training.plan
    epochs = range(start_epoch, training.section.epochs)
    places = dict.fromkeys(index % len(dataset) for epoch in epochs for index in plan.examples(epoch))
    examples = (dataset[place] for place in sorted(places))
    return [Item(example.image, example.encoded) for example in examples]


def _choose(
    training: Training, items: Sequence[Item], work: Work, store: PrefixStore, progress: Progress, *, resumed: bool
) -> PrefixLevel | None:
    """By name, as before a resume, or by what one batch of each has shown; says what it costs and saves."""
    wanted, path = training.section.memory.prefix, _path(training)
    verdicts = _verdicts(training.section, training.loaded.model)
    if wanted in verdicts:
        refuse_level(verdicts[wanted])
    remembered = _remembered(path, training.fingerprint) if resumed and wanted == "auto" else {}
    candidates = [verdicts[wanted]] if wanted in verdicts else _candidates(verdicts)
    if remembered:
        candidates = [each for each in candidates if each.level == remembered["level"]]
    tried = [_try(training, verdict, items, store) for verdict in candidates]
    rooms = {each.cost.level: store.room_for(each.prefix.identity) for each in tried}
    forced = wanted in verdicts or bool(remembered)
    best = tried[0].cost if forced and tried else choose([each.cost for each in tried], work, rooms=rooms)
    for each in tried:
        if best is None:
            progress.note(f"train: not kept: {why_not(each.cost, work, room=rooms[each.cost.level])}")
        elif each.cost is best:
            room = rooms[best.level]
            progress.note(f"train: kept: {in_words(best, work, room=room)}")
            freed = store.make_room(min(best.missing_bytes, room), keep=each.prefix.identity)
            if freed:
                progress.note(f"train: {freed:,} bytes that were kept for other models or settings made room")
    write_json(path, {"training": training.fingerprint, "level": best.level if best else None})
    return best.level if best else None


def _candidates(verdicts: Mapping[PrefixLevel, Verdict]) -> list[Verdict]:
    """Valid levels, shallow first; what the projector reads is not worth keeping where what it gives may be kept."""
    valid = [verdict for verdict in verdicts.values() if verdict.valid]
    return [each for each in valid if not (each.level == "vision" and verdicts["projected"].valid)]


def _try(training: Training, verdict: Verdict, items: Sequence[Item], store: PrefixStore) -> _Tried:
    prefix = FrozenPrefix(training.loaded.model, training.images.unkept(), verdict, store)
    with prefix.space.filling():
        return _Tried(prefix, try_level(prefix, items))


def kept_bytes(training: Training) -> int:
    """What is on disk of what this training computed once; 0: nothing."""
    found = _read(_path(training), training.fingerprint)
    return int(found.get("bytes", 0)) if training.section.memory.prefix != "off" else 0


def _fill(prefix: FrozenPrefix, items: Sequence[Item], ranks: Ranks, progress: Progress) -> None:
    """Each process its part; all go on when all are done."""
    mine = items[ranks.rank :: ranks.size]
    with prefix.space.filling(f"-{ranks.rank}-{ranks.size}"):
        missing = len(prefix.missing(mine))
        damaged = prefix.space.num_damaged
        if missing:
            room = prefix.store.room_for(prefix.identity) // ranks.size
            with bar(progress, f"look at {'examples' if prefix.level == 'hidden' else 'images'}", missing) as advance:
                prefix.fill(mine, advance=advance, max_bytes=room)
    if damaged:
        progress.note(f"train: {damaged:,} kept values were not as they were written; they are computed again")
    ranks.wait()
    prefix.space.refresh()
    prefix.whole = not prefix.missing(items)


def _remembered(path: Path, fingerprint: str) -> dict[str, PrefixLevel | None]:
    """What this very training kept before it was interrupted, so that it goes on with the same numbers."""
    found = _read(path, fingerprint)
    return {"level": found.get("level")} if found else {}


def _path(training: Training) -> Path:
    return training.run.folder("train") / "prefix.json"


def _read(path: Path, fingerprint: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if found.get("training") == fingerprint else {}
