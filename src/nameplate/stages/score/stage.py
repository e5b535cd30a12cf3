"""The scoring stage, from checkpoints to `scores.json`. Read `run_scoring` first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nameplate.models.images import ImageCache
from nameplate.models.prefix.store import PrefixStore
from nameplate.models.processors import load_processor
from nameplate.models.prompts import PROMPTS, Prompts
from nameplate.names import Registry
from nameplate.progress import Progress, bar
from nameplate.recipe import MemorySection, ModelSection, ScoreSection
from nameplate.stages.score.choosing import Chosen, choose
from nameplate.stages.score.closed import write_closed
from nameplate.stages.score.concluding import conclude
from nameplate.stages.score.exam import set_exam
from nameplate.stages.score.examining import ExamRoom, Paper, first_sitting, last_sitting
from nameplate.stages.score.guards import GuardRound
from nameplate.stages.score.notes import notes_of
from nameplate.stages.score.rejudging import Judge
from nameplate.stages.score.results import read_groups, write_predictions, write_scores
from nameplate.stages.score.serving import ModelServer
from nameplate.stages.score.subjects import BASE, Subject, find_subjects
from nameplate.store.journal import Journal
from nameplate.store.rundir import RunDirectory
from nameplate.summary import ScoreSummary


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
    """Let base and candidates answer validation, choose, let base and chosen one answer test, judge and compare.

    Answers are journaled by weights, image, prompt and processing, so nothing is generated twice. What a vision tower
    that did not learn sees is computed once for the base and all checkpoints, if `memory` lets it be kept.

    Raises:
        InputError: no checkpoint, an empty split, or a name that the registry does not know.
        ModelError: a model cannot be loaded, equals another, fails a check, or answers nothing that can be judged.
    """
    judge = Judge(registry)
    exam = set_exam(section, run=run, registry=registry, prompts=prompts)
    subjects = find_subjects(model_section.base, run, average_last=section.average_last)
    guards = GuardRound(
        section.guards,
        run=run,
        matcher=judge.matcher,
        headline=exam.questions[exam.headline],
        detail=exam.questions.get("detail"),
        detailed=[row.image for row in exam.rows["validation"]],
    )
    with Journal(run.prediction_journal) as journal:
        room = ExamRoom(
            section,
            exam=exam,
            guards=guards,
            prompts=prompts,
            # All checkpoints read images as the base does: training saves the base's processor with each.
            images=ImageCache(run.images, load_processor(subjects[0].folder, max_tiles=model_section.max_tiles)),
            judge=judge,
            journal=journal,
            kept=_kept(subjects, run, memory or MemorySection()),
            server=_server(section, subjects, run, journal),
        )
        papers, chosen = _examine(room, section, subjects, groups=read_groups(run), progress=progress)
    write_predictions(run, [each for paper in papers.values() for each in paper.predictions])
    write_closed(run, [each for paper in papers.values() for each in paper.closed])
    summary = conclude(exam, papers, chosen, run=run).model_copy(
        update={
            "matcher": judge.matcher.fingerprint,
            "checks": room.checks,
            "notes": [*notes_of(exam, section, can_choose_names=room.can_choose_names), *guards.notes],
        }
    )
    write_scores(run, summary)
    return summary


def _server(
    section: ScoreSection, subjects: Sequence[Subject], run: RunDirectory, journal: Journal
) -> ModelServer | None:
    """The server that answers for the models; none: this process does."""
    if section.server is None:
        return None
    return ModelServer.find(
        section.server,
        [subject.name for subject in subjects],
        images=run.images,
        journal=journal,
        max_new_tokens=section.max_new_tokens,
    )


def _kept(subjects: Sequence[Subject], run: RunDirectory, memory: MemorySection) -> PrefixStore | None:
    """Where the outputs of a tower lie that the base and a checkpoint share; none: there is no such tower."""
    if memory.prefix == "off" or not any(subject.shares_tower for subject in subjects):
        return None
    return PrefixStore(run.prefix, max_bytes=memory.prefix_max_bytes)


def _examine(
    room: ExamRoom,
    section: ScoreSection,
    subjects: Sequence[Subject],
    *,
    groups: Mapping[str, str],
    progress: Progress,
) -> tuple[dict[str, Paper], Chosen]:
    """Everybody's paper, and who was chosen before any candidate had seen the test split."""
    papers = {subject.name: Paper(subject) for subject in subjects}
    sittings = {subject.name: first_sitting(section, subject) for subject in subjects}
    last = last_sitting(section)
    total = sum(room.num_steps(sitting) for sitting in (*sittings.values(), last))
    with bar(progress, "score", total) as advance:
        for name, sitting in sittings.items():
            room.hold(papers[name], sitting, advance)
        # By epoch; an average of several stands last.
        candidates = [subject for subject in subjects if subject.name != BASE]
        chosen = choose(
            {each.name: papers[each.name].answers("validation", section.headline) for each in candidates},
            groups=groups,
            averages={each.name for each in candidates if each.is_average},
        )
        room.hold(papers[chosen.name], last, advance)
    return papers, chosen
