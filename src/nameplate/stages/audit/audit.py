"""The audit, from clean captions to a verdict. Read `run_audit` first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, get_args

from nameplate import __version__
from nameplate.models.images import ImageCache, ImageKey
from nameplate.models.locate import find_model, weights_fingerprint
from nameplate.models.processors import load_processor
from nameplate.models.prompts import PROMPTS
from nameplate.models.respondent import Question, Respondent
from nameplate.names import Matcher, Registry
from nameplate.progress import Progress, bar
from nameplate.recipe import PromptName, Recipe
from nameplate.stages.audit.asking import ask_judge
from nameplate.stages.audit.claims import check_claims
from nameplate.stages.audit.gain import measure_gain
from nameplate.stages.audit.judge import Contest, count_rulings
from nameplate.stages.audit.lexicon import build_lexicon
from nameplate.stages.audit.results import (
    AuditChoices,
    AuditFigures,
    AuditSummary,
    JudgeFigures,
    NameFigures,
    Pair,
    Speaker,
    proportion,
)
from nameplate.stages.audit.sample import Beside, SampledRow, draw_sample
from nameplate.stages.audit.texts import NamedText, TextReader, likeness, measured, names_in_answer
from nameplate.stages.audit.thresholds import ALIKE, CONFIDENCE
from nameplate.stages.audit.verdict import conclude
from nameplate.statistics import mcnemar_exact, paired_difference
from nameplate.store.files import write_text
from nameplate.store.journal import Journal
from nameplate.store.rundir import RunDirectory

ASKED: Final[tuple[PromptName, ...]] = ("detail", "short", "name")
BLACKED_OUT: Final = "[name]"


def run_audit(
    recipe: Recipe, choices: AuditChoices, *, run: RunDirectory, registry: Registry, progress: Progress
) -> AuditSummary:
    """Ask the base about a sample of the clean captions' images, compare, conclude, and write `audit/audit.json`.

    Raises:
        InputError: there is no clean caption, or an image is gone.
        ModelError: the base cannot be loaded.
        TeacherError: the judge is not there, or refuses.
    """
    sample = draw_sample(run.tables("clean"), num_rows=choices.rows, seed=choices.seed)
    folder = find_model(recipe.model.base)
    weights = weights_fingerprint(folder)
    processor = load_processor(folder, max_tiles=recipe.model.max_tiles)
    reader = TextReader(recipe.clean, Matcher(registry))
    with Journal(run.prediction_journal) as journal:
        respondent = Respondent(
            folder,
            weights=weights,
            images=ImageCache(run.images, processor),
            journal=journal,
            max_new_tokens=recipe.score.max_new_tokens,
            batch_size=recipe.score.batch_size,
        )
        pairs = _ask_base(respondent, reader, sample.rows, progress)
        figures = _examine(respondent, reader, sample.rows, pairs, progress)
    if choices.judge is not None:
        judged = _ask_judge(recipe, choices.judge, reader, pairs, run, progress)
        figures = figures.model_copy(update={"judge": judged})
    verdict, findings, sentence = conclude(figures)
    summary = AuditSummary(
        nameplate=__version__,
        base=recipe.model.base,
        weights=weights,
        captions_by=_writers(sample.rows),
        rows=len(sample.rows),
        total=sample.total,
        seed=choices.seed,
        prompts={name: PROMPTS[name] for name in ASKED},
        verdict=verdict,
        sentence=sentence,
        findings=findings,
        figures=figures,
        pairs=pairs,
    )
    write_text(run.audit_path, summary.model_dump_json(indent=2) + "\n")
    return summary


def _ask_base(respondent: Respondent, reader: TextReader, rows: Sequence[SampledRow], progress: Progress) -> list[Pair]:
    questions = [Question(row.image, PROMPTS[prompt]) for row in rows for prompt in ASKED]
    with bar(progress, "audit: ask the base", len(set(questions))) as advance:
        said = respondent.answers(questions, advance)
    return [
        _pair(reader, row, {prompt: said[Question(row.image, PROMPTS[prompt])] for prompt in ASKED}) for row in rows
    ]


def _pair(reader: TextReader, row: SampledRow, said: Mapping[PromptName, str]) -> Pair:
    named = bool(row.name)
    return Pair(
        row_id=row.row_id,
        name=row.name,
        title=row.title,
        image_sha256=row.image.sha256,
        image_ext=row.image.ext,
        caption=row.caption,
        detail=said["detail"],
        short=said["short"],
        named=said["name"],
        caption_right=reader.is_right(NamedText(row.caption, row.name)) if named else None,
        base_right=any(reader.is_right(NamedText(text, row.name)) for text in said.values()) if named else None,
    )


def _examine(
    respondent: Respondent,
    reader: TextReader,
    rows: Sequence[SampledRow],
    pairs: Sequence[Pair],
    progress: Progress,
) -> AuditFigures:
    """Layers 1 to 3."""
    invented = [names_in_answer(pair.named) for pair in pairs]
    beside = Beside(
        [row.image for row in rows], [pair.caption for pair in pairs], [pair.detail for pair in pairs], invented
    )
    with bar(progress, "audit: read before the images", None) as advance:
        gain = measure_gain(respondent, reader, beside, prompt=PROMPTS["detail"], advance=advance)
        lexicon = build_lexicon(row.category for row in rows)
        claims = check_claims(respondent, lexicon, beside, prompt=PROMPTS["detail"], advance=advance)
    alike = [
        likeness(reader.nameless(caption), reader.nameless(answer, names))
        for _, caption, answer, names in zip(*beside, strict=True)
    ]
    return AuditFigures(
        texts={
            speaker: reader.figures(
                [
                    NamedText(getattr(pair, speaker), pair.name, names)
                    for pair, names in zip(pairs, invented, strict=True)
                ]
            )
            for speaker in get_args(Speaker)
        },
        likeness=measured(alike),
        same=proportion(sum(each >= ALIKE for each in alike), len(alike)),
        names=_names([pair for pair in pairs if pair.name]),
        gain=gain,
        claims=claims,
        judge=None,
    )


def _names(pairs: Sequence[Pair]) -> NameFigures | None:
    if not pairs:
        return None
    counts = Counter((bool(pair.caption_right), bool(pair.base_right)) for pair in pairs)
    both, captions_alone, base_alone, neither = (
        counts[place] for place in ((True, True), (True, False), (False, True), (False, False))
    )
    interval = paired_difference(both, captions_alone, base_alone, neither)
    return NameFigures(
        captions=proportion(both + captions_alone, len(pairs)),
        base=proportion(both + base_alone, len(pairs)),
        captions_alone=captions_alone,
        base_alone=base_alone,
        difference=(captions_alone - base_alone) / len(pairs),
        low=interval.low,
        high=interval.high,
        surely=paired_difference(both, captions_alone, base_alone, neither, confidence=CONFIDENCE).low,
        p_value=mcnemar_exact(captions_alone, base_alone),
    )


def _ask_judge(
    recipe: Recipe, model: str, reader: TextReader, pairs: Sequence[Pair], run: RunDirectory, progress: Progress
) -> JudgeFigures:
    contests = [
        Contest(
            ImageKey(pair.image_sha256, pair.image_ext),
            reader.without_names(pair.caption, instead=BLACKED_OUT),
            reader.without_names(pair.detail, names_in_answer(pair.named), instead=BLACKED_OUT),
        )
        for pair in pairs
    ]
    with bar(progress, "audit: ask the judge", 2 * len(contests)) as advance:
        rulings = ask_judge(
            recipe.caption, contests, model=model, images=run.images, journal=run.teacher_journal, advance=advance
        )
    is_teacher = recipe.caption.source == "teacher" and model == recipe.caption.teacher.model
    return count_rulings(contests, rulings, model=model, is_teacher=is_teacher)


def _writers(rows: Sequence[SampledRow]) -> str:
    return ", ".join(sorted({row.teacher for row in rows if row.teacher}))
