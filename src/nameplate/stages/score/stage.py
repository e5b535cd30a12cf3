"""The scoring stage, from checkpoints to `scores.json`. Read `run_scoring` first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from nameplate.models.images import ImageCache
from nameplate.models.prefix.store import PrefixStore
from nameplate.models.processors import load_processor
from nameplate.models.prompts import PROMPTS, Prompts
from nameplate.models.respondent import Question
from nameplate.names import Matcher, Registry, is_right
from nameplate.progress import Progress, bar
from nameplate.recipe import MemorySection, ModelSection, ScoreSection
from nameplate.records import SplitName
from nameplate.stages.score.answers import Examinee
from nameplate.stages.score.choosing import choose
from nameplate.stages.score.metrics import compare, metrics_of, name_scores
from nameplate.stages.score.results import Prediction, read_groups, write_predictions, write_scores
from nameplate.stages.score.subjects import (
    BASE,
    HELD_OUT,
    HeldOutRow,
    Subject,
    find_subjects,
    read_held_out,
    train_counts,
)
from nameplate.store.journal import Journal
from nameplate.store.rundir import RunDirectory
from nameplate.summary import CheckpointScores, ScoreSummary


def run_scoring(
    section: ScoreSection,
    *,
    model_section: ModelSection,
    run: RunDirectory,
    registry: Registry,
    progress: Progress,
    prompts: Prompts = PROMPTS,
    memory: MemorySection | None = None,
) -> ScoreSummary:
    """Let base and checkpoints answer validation and test, judge, choose on validation, compare on test.

    Answers are journaled by weights, image, prompt and processing, so nothing is generated twice. What a vision tower
    that did not learn sees is computed once for the base and all checkpoints, if `memory` lets it be kept.

    Raises:
        InputError: no checkpoint, or an empty split.
        ModelError: a model cannot be loaded, equals another, or answers otherwise in a batch than alone.
    """
    rows = read_held_out(run)
    subjects = find_subjects(model_section.base, run)
    # All checkpoints read images as the base does: training saves the base's processor with each.
    processor = load_processor(subjects[0].folder, max_tiles=model_section.max_tiles)
    images = ImageCache(run.images, processor)
    asked = {prompt: prompts[prompt] for prompt in (section.headline, *section.prompts)}
    matcher = Matcher(registry)
    kept = _kept(subjects, run, memory or MemorySection())
    predictions: dict[str, list[Prediction]] = {}
    losses: dict[str, dict[SplitName, float]] = {}
    total = len(subjects) * len({row.image for row in rows}) * len(set(asked.values()))
    with Journal(run.prediction_journal) as journal, bar(progress, "score", total) as advance:
        for subject in subjects:
            examinee = Examinee(
                subject,
                images=images,
                journal=journal,
                prompts=prompts,
                max_new_tokens=section.max_new_tokens,
                batch_size=section.batch_size,
                kept=kept if subject.shares_tower or subject.name == BASE else None,
            )
            predictions[subject.name] = _judge(examinee, rows, asked, matcher, advance)
            losses[subject.name] = {split: examinee.loss(_of(rows, split)) for split in HELD_OUT}
    write_predictions(run, [each for subject in subjects for each in predictions[subject.name]])
    checkpoints = [_scores(subject, losses[subject.name], predictions[subject.name]) for subject in subjects]
    summary = _conclude(section.headline, checkpoints, predictions, run).model_copy(
        update={"matcher": matcher.fingerprint, "questions": asked}
    )
    write_scores(run, summary)
    return summary


def _kept(subjects: Sequence[Subject], run: RunDirectory, memory: MemorySection) -> PrefixStore | None:
    """Where the outputs of a tower lie that the base and a checkpoint share; none: there is no such tower."""
    if memory.prefix == "off" or not any(subject.shares_tower for subject in subjects):
        return None
    return PrefixStore(run.prefix, max_bytes=memory.prefix_max_bytes)


def _judge(
    examinee: Examinee,
    rows: Sequence[HeldOutRow],
    asked: Prompts,
    matcher: Matcher,
    advance: Callable[[int], None],
) -> list[Prediction]:
    questions = [Question(row.image, text) for row in rows for text in asked.values()]
    answers = examinee.answers(questions, advance)
    subject = examinee.subject
    predictions = []
    for row in rows:
        for prompt, text in asked.items():
            answer = answers[Question(row.image, text)]
            judgement = matcher.judge(answer, row.name)
            predictions.append(
                Prediction(
                    checkpoint=subject.name,
                    epoch=subject.epoch,
                    split=row.split,
                    row_id=row.row_id,
                    image_sha256=row.image.sha256,
                    name=row.name,
                    prompt=prompt,
                    answer=answer,
                    verdict=judgement.verdict.value,
                    right=is_right(judgement),
                )
            )
    return predictions


def _scores(subject: Subject, loss: dict[SplitName, float], predictions: Sequence[Prediction]) -> CheckpointScores:
    groups: dict[tuple[SplitName, str], list[Prediction]] = defaultdict(list)
    for prediction in predictions:
        groups[prediction.split, prediction.prompt].append(prediction)
    return CheckpointScores(
        name=subject.name,
        epoch=subject.epoch,
        train_loss=subject.train_loss,
        loss=loss,
        metrics={
            split: {prompt: metrics_of(group) for (where, prompt), group in groups.items() if where == split}
            for split in HELD_OUT
        },
    )


def _conclude(
    headline: str,
    checkpoints: list[CheckpointScores],
    predictions: dict[str, list[Prediction]],
    run: RunDirectory,
) -> ScoreSummary:
    def answers(name: str, split: SplitName) -> list[Prediction]:
        return [each for each in predictions[name] if each.split == split and each.prompt == headline]

    groups = read_groups(run)
    # By epoch; an average of several stands last.
    chosen = choose(
        {each.name: answers(each.name, "validation") for each in checkpoints if each.name != BASE}, groups=groups
    )
    before, after = answers(BASE, "test"), answers(chosen.name, "test")
    return ScoreSummary(
        headline=headline,
        checkpoints=checkpoints,
        selected=chosen.name,
        choice=chosen.sentence,
        comparison=compare(before, after, groups=groups),
        names=name_scores(before, after, train_counts(run)),
    )


def _of(rows: Sequence[HeldOutRow], split: SplitName) -> list[HeldOutRow]:
    return [row for row in rows if row.split == split]
