"""Choices that contradict each other: said before anything is read or fetched."""

from __future__ import annotations

import importlib.util

from nameplate.errors import RecipeError
from nameplate.recipe.sections import Recipe
from nameplate.records import STAGES, StageName


def check_choices(recipe: Recipe, *, until: StageName) -> None:
    """Refuse a recipe that cannot get as far as `until`.

    Raises:
        RecipeError: captions from a table that names no text column, a stage that needs names without any, training
            with what is not installed or not asked for, or an average of more checkpoints than training leaves.
    """
    goal = STAGES.index(until)
    if goal >= STAGES.index("train"):
        _check_training(recipe)
    if goal >= STAGES.index("score"):
        _check_scoring(recipe)
    if goal < STAGES.index("caption"):
        return
    asks_teacher = recipe.caption.source == "teacher"
    if not asks_teacher and recipe.table.text is None and recipe.table.preset is None:
        raise RecipeError(
            "caption.source: table",
            found="no column with captions is named",
            expected="table.text, or a table.preset that has one",
            fix="set table.text, or caption.source: teacher",
        )
    if recipe.name.column is not None:
        return
    if asks_teacher and recipe.caption.tells_name:
        raise RecipeError(
            "caption.template" if recipe.caption.prompt is None else "caption.prompt",
            found="it tells the teacher the row's {name}, and with name.column: null rows have none",
            fix="set a caption.prompt without {name}, or name.column",
        )
    if goal >= STAGES.index("clean") and recipe.clean.require_name:
        raise RecipeError(
            "clean.require_name",
            found="true, and with name.column: null no caption can say its row's name",
            fix="set clean.require_name: false, or name.column",
        )
    if goal >= STAGES.index("train"):
        raise RecipeError(
            "name.column",
            found=f"null: rows without names go up to split, and '{until}' trains and scores a model on names",
            fix="set name.column to the column that the model shall learn to name, or stop with `nameplate split`",
        )


def _check_training(recipe: Recipe) -> None:
    wanted = {
        "train.optimizer.name: adamw_8bit": recipe.train.optimizer.name == "adamw_8bit",
        f"train.memory.quantise: {recipe.train.memory.quantise}": recipe.train.memory.quantise is not None,
    }
    for place, is_wanted in wanted.items():
        if is_wanted and importlib.util.find_spec("bitsandbytes") is None:
            raise RecipeError(
                place, found="bitsandbytes is not installed", fix="pip install 'nameplate[quantise]', or leave it out"
            )
    share, caption = recipe.train.examples.question_answer_share, recipe.caption
    if share > 0 and (caption.source != "teacher" or caption.template != "question_answer"):
        raise RecipeError(
            f"train.examples.question_answer_share: {share:g}",
            found="captions do not come as questions and answers",
            fix="set caption.source: teacher and caption.template: question_answer, or leave it out",
        )


def _check_scoring(recipe: Recipe) -> None:
    left, wanted = recipe.train.num_checkpoints, recipe.score.average_last
    if wanted > left:
        raise RecipeError(
            f"score.average_last: {wanted}",
            found=f"training leaves {left} {'checkpoint' if left == 1 else 'checkpoints'}",
            fix="lower it, or keep more: train.epochs, train.checkpoint_every_epochs and train.keep decide",
        )
