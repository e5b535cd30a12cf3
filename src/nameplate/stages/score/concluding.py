"""From papers to the summary: every model's figures, base against chosen one, name by name."""

from __future__ import annotations

from collections.abc import Mapping

from nameplate.records import SplitName
from nameplate.stages.score.choosing import Chosen
from nameplate.stages.score.closed import closed_scores, knows_more
from nameplate.stages.score.exam import Exam
from nameplate.stages.score.examining import Paper
from nameplate.stages.score.guards import conclude as against_base
from nameplate.stages.score.looks import note_looks
from nameplate.stages.score.memorisation import memorisation
from nameplate.stages.score.metrics import compare, metrics_of, name_scores
from nameplate.stages.score.results import read_groups
from nameplate.stages.score.subjects import BASE, HELD_OUT
from nameplate.store.rundir import RunDirectory
from nameplate.summary import CheckpointScores, ClosedScores, ScoreSummary


def conclude(exam: Exam, papers: Mapping[str, Paper], chosen: Chosen, *, run: RunDirectory) -> ScoreSummary:
    """What all papers say, and who has looked at the test split for it, which is written down.

    Args:
        exam: what was asked.
        papers: by model, the base first; those of the base and of the chosen one have answers on test.
        chosen: the candidate whose number counts.
        run: whose store counts the looks.
    """
    groups = read_groups(run)
    before, after = papers[BASE].answers("test", exam.headline), papers[chosen.name].answers("test", exam.headline)
    guarded = {name: paper.guards for name, paper in papers.items() if paper.guards is not None}
    guards = against_base(guarded, base=BASE) if guarded else {}
    checkpoints = {
        name: _scores(paper, exam, groups).model_copy(update={"guards": guards.get(name)})
        for name, paper in papers.items()
    }
    looks = note_looks(
        run,
        [paper.subject for paper in papers.values() if paper.answers("test", exam.headline)],
        exam.rows["test"],
        reached=checkpoints[chosen.name].metrics["test"][exam.headline].accuracy,
    )
    return ScoreSummary(
        headline=exam.headline,
        checkpoints=list(checkpoints.values()),
        selected=chosen.name,
        choice=chosen.sentence,
        comparison=compare(before, after, groups=groups),
        names=name_scores(before, after, exam.taught),
        looks=looks,
        questions=dict(exam.questions),
    )


def _scores(paper: Paper, exam: Exam, groups: Mapping[str, str]) -> CheckpointScores:
    answered = [split for split in HELD_OUT if paper.answers(split, exam.headline)]
    return CheckpointScores(
        name=paper.subject.name,
        epoch=paper.subject.epoch,
        train_loss=paper.subject.train_loss,
        loss=paper.loss,
        metrics={
            split: {prompt: metrics_of(paper.answers(split, prompt)) for prompt in exam.questions} for split in answered
        },
        closed=_closed(paper, exam, groups),
        memorisation=memorisation(paper.answers("train", exam.headline), paper.answers("validation", exam.headline)),
    )


def _closed(paper: Paper, exam: Exam, groups: Mapping[str, str]) -> dict[SplitName, ClosedScores]:
    answers = {split: [each for each in paper.closed if each.split == split] for split in HELD_OUT}
    scores = closed_scores(answers, num_names=len(exam.names))
    if "test" in scores:
        said = paper.answers("test", exam.headline)
        scores["test"] = knows_more(scores["test"], answers["test"], said, groups=groups)
    return scores
