"""Putting the page together: one HTML file that needs nothing but itself."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from pathlib import Path

from markupsafe import Markup

from nameplate.recipe import ReportSection
from nameplate.records import SPLITS
from nameplate.report.captions import build_captions
from nameplate.report.figures import FOLDER, write_figures
from nameplate.report.funnel import build_funnel
from nameplate.report.gallery import build_gallery
from nameplate.report.images import build_images
from nameplate.report.leaks import build_leaks
from nameplate.report.probe import build_probe
from nameplate.report.provenance import build_provenance
from nameplate.report.sections import Sections, build_sections
from nameplate.report.teacher import build_teacher
from nameplate.report.templating import asset, environment
from nameplate.report.verdict import build_verdict
from nameplate.store.files import write_text
from nameplate.store.rundir import RunDirectory
from nameplate.summary import RunSummary


def write_report(summary: RunSummary, *, run: RunDirectory, recipe_yaml: str, command: str) -> Path:
    """Write `report.html` of a scored run in one step, its charts as files beside it, and return its path.

    Args:
        summary: every number of the run.
        run: where the rows, pictures and predictions lie.
        recipe_yaml: the resolved recipe, shown as it is.
        command: what to type to get this run again, shown as it is.

    Raises:
        RunDirectoryError: there are no predictions, or the page cannot be written.
    """
    sections = build_sections(summary, run)
    page = render_page(summary, run=run, recipe_yaml=recipe_yaml, command=command, sections=sections)
    write_figures(sections.figures, run.root / FOLDER)
    write_text(run.report_path, page)
    return run.report_path


def render_page(
    summary: RunSummary, *, run: RunDirectory, recipe_yaml: str, command: str, sections: Sections | None = None
) -> str:
    """The page as text; `sections`, if they were built already."""
    sections = sections or build_sections(summary, run)
    section = ReportSection.model_validate(summary.recipe.get("report", {}))
    script = asset("script.js")
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            title=summary.title,
            style=Markup(asset("style.css")),  # our own file, not data
            script=Markup(script),  # our own file, not data
            script_hash=_csp_hash(script),
            written=datetime.now(UTC),
            splits=SPLITS,
            summary=summary,
            score=summary.score,
            train=summary.train,
            verdict=build_verdict(summary),
            funnel=build_funnel(summary, run),
            images=build_images(summary),
            teacher=build_teacher(run),
            captions=build_captions(summary),
            probe=build_probe(summary, run),
            sections=sections,
            leaks=build_leaks(run),
            gallery=build_gallery(summary.score, run, section),
            provenance=build_provenance(summary, run, recipe_yaml=recipe_yaml, command=command),
        )
    )


def _csp_hash(script: str) -> str:
    """What a content security policy calls a script: it may run if, and only if, it is this text."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
