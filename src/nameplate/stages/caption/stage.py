"""Caption: ask the teacher about every image, and keep what it said as it said it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from nameplate.engine import Makers, ShardResult, ShardStage
from nameplate.errors import RunDirectoryError
from nameplate.names import Registry
from nameplate.progress import Advance
from nameplate.recipe import CaptionSection
from nameplate.records import CaptionReason, StageName
from nameplate.stages.caption.facts import check_attributes, facts_of
from nameplate.stages.caption.figures import summarise
from nameplate.stages.caption.judge import AnswerJudge
from nameplate.stages.caption.pairs import as_caption, parse_pairs
from nameplate.stages.caption.pictures import Sending, how_to_send, policy
from nameplate.store.images import ImageStore
from nameplate.store.journal import Journal
from nameplate.store.tables import StageTables
from nameplate.teacher.beside import run_beside
from nameplate.teacher.client import Answers, Question, TeacherClient
from nameplate.teacher.desk import desk_makers
from nameplate.teacher.templates import MAX_NAME_CHARACTERS, find_template, one_line
from nameplate.teacher.wordings import Language

VERSION = 2

Row = dict[str, Any]


class CaptionStage(ShardStage):
    """Adds the teacher's last answer to each row; only a row without a usable text is rejected.

    Args:
        section: teacher, sampling and question.
        registry: the names of the run, to see whether an answer says the row's own.
        images: where the fetched images lie.
        journal: SQLite file of all answers ever given.
        language: that captions shall be in, and questions are.
        column: the table's column of names, for the word by which the question calls a name.
    """

    name: ClassVar[StageName] = "caption"
    distributes: ClassVar[bool] = True

    def __init__(
        self,
        section: CaptionSection,
        *,
        registry: Registry,
        images: ImageStore,
        journal: Path,
        language: Language = "en",
        column: str | None = "brand",
    ) -> None:
        self.section = section
        self._template = find_template(section, language=language, column=column)
        self._judge = AnswerJudge(registry, self._template, language=language)
        self._images = images
        self.journal = journal

    def shared(self) -> Makers:
        """The desk that keeps all workers together to `caption.teacher.concurrency` requests."""
        return desk_makers(self.section, self.journal)

    def journals(self) -> Sequence[Path]:
        """The teacher's answers."""
        return (self.journal,)

    def folders(self) -> Sequence[Path]:
        """The images that are sent."""
        return (self._images.root,)

    def prepare(self, inputs: Sequence[Path]) -> None:
        """Check that the attributes are there before the first question is paid for.

        Raises:
            RecipeError: no row has one of them.
        """
        check_attributes(self.section.attributes, inputs)

    def run_shard(self, rows: pa.Table, advance: Advance) -> ShardResult:
        """Ask about all rows of a shard at once, as many at a time as the recipe allows.

        Raises:
            TeacherError: the teacher is not there, refuses, or has gone silent; the answers so far are kept.
        """
        listed: list[Row] = rows.to_pylist()
        if not listed:
            return self.result([], [])
        client = self._client(holder=listed[0]["row_id"])
        answers = run_beside(self.services, self._ask_all(listed, client, advance))
        kept, rejected = [], []
        for row, answer in zip(listed, answers, strict=True):
            filled = row | self._columns(row, answer)
            if filled["caption_raw"]:
                kept.append(filled)
            else:
                rejected.append(filled | _why_rejected(answer))
        return self.result(kept, rejected, {"requests": client.num_sent})

    def ask_rows(self, rows: pa.Table, advance: Advance) -> list[Answers]:
        """Ask about a few rows, in their order; the answers are in the journal when the stage comes to these rows.

        Raises:
            TeacherError: as for `run_shard`.
        """
        return run_beside(self.services, self._ask_all(rows.to_pylist(), self._client(holder="a few rows"), advance))

    def finish(self, tables: StageTables) -> dict[str, Any]:
        """Figures over all rows, see `summary.CaptionSummary`."""
        with Journal(self.journal) as journal:
            return summarise(tables, journal, section=self.section)

    def _client(self, *, holder: str) -> TeacherClient:
        return TeacherClient(self.section, self.journal, services=self.services, holder=holder)

    async def _ask_all(self, rows: Sequence[Row], client: TeacherClient, advance: Advance) -> list[Answers]:
        async with client:
            try:
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(self._ask_one(row, client, advance)) for row in rows]
            except BaseExceptionGroup as failures:
                # One failure stops all; the first one says why, the others are its echoes.
                raise failures.exceptions[0] from None
        return [task.result() for task in tasks]

    async def _ask_one(self, row: Row, client: TeacherClient, advance: Advance) -> Answers:
        facts = facts_of(row, self.section.attributes)
        sending = self._sending(row)
        question = Question(
            image_sha256=row["image_sha256"],
            media_type=sending.media_type,
            load_image=lambda: sending.prepare(self._kept(row)),
            prompt=self._template.fill(name=row["name"], title=row["title"], category=row["category"], facts=facts),
            name=one_line(row["name"], MAX_NAME_CHARACTERS),
            template=self._template.stamp,
            image_policy=policy(self.section.image_longest_side),
            wordings=self._template.wordings,
            loading_is_work=sending.size is not None,
        )
        answers = await client.ask(question, self._judge.for_row(row["name"]))
        advance(1)
        return answers

    def _sending(self, row: Row) -> Sending:
        longest_side = self.section.image_longest_side
        width, height = row["image_width"] or 0, row["image_height"] or 0
        return how_to_send(ext=row["image_ext"], width=width, height=height, longest_side=longest_side)

    def _kept(self, row: Row) -> bytes:
        try:
            return self._images.read(row["image_sha256"], row["image_ext"])
        except FileNotFoundError:
            where = self._images.path(row["image_sha256"], row["image_ext"])
            fix = "delete the run's folder 'fetch' and run the same command again; it gets what is missing"
            raise RunDirectoryError(str(where), found="this fetched image is gone", fix=fix) from None

    def _columns(self, row: Row, answers: Answers) -> Row:
        pairs = None
        if self._template.form == "pairs":
            read = [(answer, parse_pairs(answer.text)) for answer in reversed(answers.answers)]
            best, pairs = next((each for each in read if each[1] is not None), (None, None))
        else:
            best = answers.best
        columns: Row = {
            "caption_raw": as_caption(pairs) if pairs is not None else best.text if best is not None else None,
            "finish_reason": best.finish_reason if best is not None else None,
            "teacher_model": best.model if best is not None else None,
            "teacher_template": self._template.stamp,
            "request_key": answers.key,
            "teacher_attempts": len(answers.answers),
            "first_problem": answers.first_problem,
        }
        if pairs is not None:
            columns["qa_pairs"] = [pair._asdict() for pair in self._judge.teachable(pairs, name=row["name"])]
        return columns


def _why_rejected(answers: Answers) -> Row:
    if answers.best is not None:
        detail = f"{len(answers.answers)} answers, none in pairs of a question and an answer"
        return {"reason": CaptionReason.BAD_FORMAT.value, "detail": detail}
    detail = f"{len(answers.answers)} answers without text" if answers.answers else "the teacher did not answer"
    detail = f"{detail}: {answers.failure}" if answers.failure else detail
    return {"reason": CaptionReason.NO_ANSWER.value, "detail": detail}
