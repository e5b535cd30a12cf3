"""How many validation images a checkpoint names, to know the best while training goes on."""

from __future__ import annotations

from pathlib import Path

import torch

from nameplate.errors import InputError
from nameplate.models.images import ImageCache, ImageKey
from nameplate.models.locate import weights_fingerprint
from nameplate.models.prefix.store import PrefixStore
from nameplate.models.prompts import Prompts
from nameplate.models.respondent import Question, Respondent
from nameplate.names import Matcher, is_right
from nameplate.progress import Progress, bar
from nameplate.recipe import ScoreSection
from nameplate.stages.train.reading import read_registry
from nameplate.stages.train.resume import Accuracy
from nameplate.store.journal import Journal
from nameplate.store.rundir import RunDirectory

_COLUMNS = ["name", "image_sha256", "image_ext", "split"]


class Validation:
    """Asks written checkpoints for the names of the validation images, as scoring will; it is not asked again then.

    A checkpoint is read back from its folder, so that what is measured is what was kept. That takes the memory of a
    second model for as long as it lasts.

    Args:
        run: with its split.
        images: thumbnails, as training has them.
        prompts: texts of the questions.
        asking: batch size and longest answer.
        kept: where the outputs of a vision tower lie that does not learn; none: it learns, or nothing is to be kept.

    Raises:
        InputError: there are no validation rows.
    """

    def __init__(
        self,
        run: RunDirectory,
        images: ImageCache,
        prompts: Prompts,
        asking: ScoreSection,
        *,
        kept: PrefixStore | None = None,
    ) -> None:
        table = run.tables("split").read_kept().select(_COLUMNS).to_pylist()
        rows = [row for row in table if row["split"] == "validation"]
        if not rows:
            raise InputError(
                "train.keep: best_and_last",
                found="no validation rows to find the best by",
                fix="raise split.validation, or set train.keep: all",
            )
        self._questions = [Question(ImageKey(row["image_sha256"], row["image_ext"]), prompts["name"]) for row in rows]
        self._names = [row["name"] for row in rows]
        self._matcher = Matcher(read_registry(run))
        self._run = run
        self._images = images
        self._asking = asking
        self._kept = kept

    def accuracy(self, folder: Path, progress: Progress) -> Accuracy:
        """Of one checkpoint. The random state of training stays as it is."""
        with (
            torch.random.fork_rng(),
            Journal(self._run.prediction_journal) as journal,
            bar(progress, f"validate {folder.name}", len(set(self._questions))) as advance,
        ):
            respondent = Respondent(
                folder,
                weights=weights_fingerprint(folder),
                images=self._images,
                journal=journal,
                max_new_tokens=self._asking.max_new_tokens,
                batch_size=self._asking.batch_size,
                kept=self._kept,
            )
            answers = respondent.answers(self._questions, advance)
        said = zip(self._questions, self._names, strict=True)
        right = sum(is_right(self._matcher.judge(answers[question], name)) for question, name in said)
        return Accuracy(right, len(self._questions))
