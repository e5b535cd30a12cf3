"""The sections that are made of answers and scores, built once: the page shows them, and their charts become files."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from nameplate.errors import InputError
from nameplate.report.answered import Answered, read_answered
from nameplate.report.charts import curves, support_figure
from nameplate.report.checks import Checks, build_checks
from nameplate.report.confusions import Confusions, build_confusions
from nameplate.report.drawing import Figure
from nameplate.report.figures import file_figures
from nameplate.report.guards import Guards, build_guards
from nameplate.report.names import Names, build_names
from nameplate.report.scorer_audit import ScorerAudit, build_scorer_audit
from nameplate.report.slices import Slices, Texts, build_slices
from nameplate.report.verdict import scores_of
from nameplate.stages.probe import read_probe
from nameplate.stages.probe.results import Baseline
from nameplate.store.journal import Journal
from nameplate.store.rundir import RunDirectory
from nameplate.summary import RunSummary, ScoreSummary


@dataclass(frozen=True)
class Sections:
    """Each as its template wants it; None where the run has nothing to show there."""

    curves: tuple[Figure, ...]
    support: Figure
    names: Names
    confusions: Confusions | None
    slices: Slices | None
    scorer: ScorerAudit | None
    checks: Checks | None
    guards: Guards | None

    @cached_property
    def figures(self) -> tuple[Figure, ...]:
        """All charts, as they are written to files."""
        support = (self.support,) if self.names.num_names else ()
        return (*self.curves, *support, *file_figures(self.names, self.confusions, self.slices))


def build_sections(summary: RunSummary, run: RunDirectory) -> Sections:
    """Build them all.

    Raises:
        RunDirectoryError: the predictions are not there.
    """
    score = summary.score
    answered = read_answered(score, run)
    return Sections(
        curves=tuple(curves(score, summary.train)),
        support=support_figure(score.names),
        names=build_names(score.names),
        confusions=build_confusions(answered, run.images),
        slices=build_slices(answered, read_texts(score, run, answered)),
        scorer=build_scorer_audit(answered, scores_of(score, score.selected).closed.get(score.comparison.split)),
        checks=build_checks(score),
        guards=build_guards(score),
    )


def read_texts(score: ScoreSummary, run: RunDirectory, answered: Answered) -> Texts | None:
    """What the probe read in images, with the answers about them; none: it read none, or its program is gone."""
    try:
        probe = read_probe(run) if run.probe_path.exists() else None
    except InputError:
        # A version that counted differently wrote it; the page of a run does not fail for it.
        return None
    if probe is None or all(each.baseline is not Baseline.TEXT_IN_IMAGE for each in probe.baselines):
        return None
    of_probe = answered if probe.read == score.comparison.split else read_answered(score, run, split=probe.read)
    images = {listing.image_sha256 for row in of_probe.rows if (listing := of_probe.listing(row)).image_sha256}
    # It brings the models' library along, which a page without a probe does not need.
    from nameplate.stages.probe.ocr import words_on_record

    try:
        with Journal(run.prediction_journal) as journal:
            words = words_on_record((image for image in images if image is not None), journal)
    except InputError:
        return None
    return Texts(of_probe, probe.read, {image: bool(text.strip()) for image, text in words.items()})
