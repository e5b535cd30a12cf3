"""Caption: ask the teacher about every image, and keep what it said as it said it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final

import pyarrow as pa

from nameplate.engine import Makers, ShardResult, ShardStage
from nameplate.names import Registry
from nameplate.progress import Advance
from nameplate.recipe import CaptionSection
from nameplate.records import CaptionReason, StageName
from nameplate.stages.caption.judge import AnswerJudge
from nameplate.stages.caption.prompt import asks_for_name, fill
from nameplate.store.images import ImageStore
from nameplate.store.journal import Journal
from nameplate.store.tables import StageTables
from nameplate.teacher.client import Answers, Question, TeacherClient
from nameplate.teacher.desk import desk_makers
from nameplate.teacher.exchange import public_address

VERSION = 1

_MEDIA_TYPES: Final = {"jpg": "image/jpeg", "jpeg": "image/jpeg", "tif": "image/tiff"}

Row = dict[str, Any]


class CaptionStage(ShardStage):
    """Adds the teacher's last answer to each row; only a row that got no text at all is rejected.

    Args:
        section: teacher, sampling and question.
        registry: the names of the run, to see whether an answer says the row's own.
        images: where the fetched images lie.
        journal: SQLite file of all answers ever given.
    """

    name: ClassVar[StageName] = "caption"
    distributes: ClassVar[bool] = True

    def __init__(self, section: CaptionSection, *, registry: Registry, images: ImageStore, journal: Path) -> None:
        self._section = section
        self._judge = AnswerJudge(registry, asks_for_name=asks_for_name(section.prompt))
        self._images = images
        self._journal = journal

    def shared(self) -> Makers:
        """The desk that keeps all workers together to `caption.teacher.concurrency` requests."""
        return desk_makers(self._section.teacher)

    def journals(self) -> Sequence[Path]:
        """The teacher's answers."""
        return (self._journal,)

    def folders(self) -> Sequence[Path]:
        """The images that are sent."""
        return (self._images.root,)

    def run_shard(self, rows: pa.Table, advance: Advance) -> ShardResult:
        """Ask about all rows of a shard at once, as many at a time as the recipe allows.

        Raises:
            TeacherError: the teacher is not there, refuses, or has gone silent; the answers so far are kept.
        """
        listed: list[Row] = rows.to_pylist()
        if not listed:
            return self.result([], [])
        client = TeacherClient(
            self._section.teacher,
            self._section.sampling,
            self._journal,
            services=self.services,
            holder=listed[0]["row_id"],
        )
        answers = asyncio.run(self._ask_all(listed, client, advance))
        kept, rejected = [], []
        for row, answer in zip(listed, answers, strict=True):
            filled = {**row, **_columns(answer)}
            if answer.best is not None:
                kept.append(filled)
            else:
                rejected.append({**filled, "reason": CaptionReason.NO_ANSWER.value, "detail": _why_silent(answer)})
        return self.result(kept, rejected, {"requests": client.num_sent})

    def finish(self, tables: StageTables) -> dict[str, Any]:
        """Figures over all rows.

        `requests` are those that the shards of this table took, the others those of every run that added to its rows.
        """
        rows = [*_asked(tables.read_kept()), *_asked(tables.read_rejected())]
        attempts = Counter(row["teacher_attempts"] for row in rows)
        per_key = {row["request_key"]: row["teacher_attempts"] for row in rows}
        return {
            "requests": sum(part["requests"] for part in tables.figures()),
            "answers": sum(per_key.values()),
            "first_answer_problems": dict(Counter(row["first_problem"] for row in rows if row["first_problem"])),
            "attempts": {str(number): attempts[number] for number in sorted(attempts)},
            "server": public_address(self._section.teacher.base_url),
            "simulated": self._was_simulated(per_key),
        }

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
        sha256, ext = row["image_sha256"], row["image_ext"]
        question = Question(
            image_sha256=sha256,
            media_type=_MEDIA_TYPES.get(ext, f"image/{ext}"),
            load_image=partial(self._images.read, sha256, ext),
            prompt=fill(self._section.prompt, name=row["name"], title=row["title"]),
            name=row["name"],
        )
        answers = await client.ask(question, self._judge.for_row(row["name"]))
        advance(1)
        return answers

    def _was_simulated(self, keys: dict[str, int]) -> bool:
        """Whether any of these answers came from a simulator, as the server said when it gave them."""
        with Journal(self._journal) as journal:
            return any(entry["simulated"] for key in keys for entry in journal.attempts(key))


def _columns(answers: Answers) -> Row:
    best = answers.best
    return {
        "caption_raw": best.text if best is not None else None,
        "finish_reason": best.finish_reason if best is not None else None,
        "teacher_model": best.model if best is not None else None,
        "request_key": answers.key,
        "teacher_attempts": len(answers.answers),
        "first_problem": answers.first_problem,
    }


def _why_silent(answers: Answers) -> str:
    if not answers.answers:
        return "the teacher did not answer in time; others were answered"
    return f"{len(answers.answers)} answers without text"


def _asked(table: pa.Table) -> list[Row]:
    columns = ["request_key", "teacher_attempts", "first_problem"]
    return list(table.select(columns).to_pylist())
