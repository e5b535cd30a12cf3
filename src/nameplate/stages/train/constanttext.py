"""Whether the text before the images is read once for a training, decided by rows, recipe and model alone, and said."""

from __future__ import annotations

from nameplate.models.constanttext import NO_TEXT, ConstantText, common_start, why_in_every_pass
from nameplate.models.precision import autocast
from nameplate.models.step.textbefore import read_text
from nameplate.progress import Progress
from nameplate.stages.train.setup import Training


def constant_text(training: Training, progress: Progress) -> ConstantText:
    """What all examples begin with, read, where that is right and saves time.

    A training that goes on has the same rows, recipe and model, and so reads it the same way.

    Args:
        training: as it will train, its weights not divided yet.
        progress: is told what was decided, if the language model is frozen.
    """
    if training.section.language.learns:
        return NO_TEXT
    model, rows, plan = training.loaded.model, training.rows, training.plan
    questions = [each.input_ids for texts in (rows.captions, rows.questions, rows.pairs) for each in texts.questions]
    ids = common_start(questions, image_token_id=training.loaded.processor.image_token_id)
    if not ids:
        return NO_TEXT
    share = len(ids) * plan.num_examples / sum(map(plan.dataset.length, plan.examples(0)))
    reason = why_in_every_pass(model, training.applied, share=share)
    if not reason and training.ranks.division is not None:
        reason = f"no test covers it with {training.ranks.division.sentence()}"
    what = f"the {len(ids)} tokens before every image are read"
    if reason:
        progress.note(f"train: {what} in every pass: {reason}")
        return NO_TEXT
    progress.note(f"train: {what} once, and not in every pass: {share:.1%} of all tokens")
    with autocast(model.device):
        return ConstantText(ids, read_text(model, ids))
