"""What can be asked of a run beside running it: each brings up what it needs, and holds the run directory meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nameplate.errors import InputError, RecipeError
from nameplate.recipe import check_choices
from nameplate.store.tables import StageTables

if TYPE_CHECKING:
    from nameplate.pipeline import Pipeline
    from nameplate.stages.audit import AuditChoices, AuditSummary
    from nameplate.stages.caption.estimate import CaptionEstimate
    from nameplate.stages.fetch import AskedAgain, LinkCheck
    from nameplate.stages.leaks import LeakChoices, LeakSummary
    from nameplate.stages.probe import ProbeChoices, ProbeSummary


def check_links(pipeline: Pipeline, num_rows: int) -> LinkCheck:
    """Ask for the images of a few rows, drawn by chance, and say what that means for the table.

    Runs `ingest` if it is stale; what was asked is in the ledger, and `fetch` will not ask for it again.
    """
    from nameplate.stages import fetch

    run, section = pipeline.run_directory, pipeline.recipe.fetch
    with run.locked():
        pipeline.bring_up("ingest")
        stage = fetch.FetchStage(fetch.impatient(section), images=run.images, journal=run.fetch_journal)
        return fetch.check_links(stage, run.tables("ingest"), section=section, num_rows=num_rows)


def fetch_again(pipeline: Pipeline) -> AskedAgain | None:
    """Ask again for images that were not there when `fetch` was done, and finish `fetch` if it was not: then None.

    What follows `fetch` is cleared only when rows came back; checkpoints are set aside then, never deleted.
    """
    from nameplate.stages.fetch import FetchStage, ask_again, merge_back

    run, section = pipeline.run_directory, pipeline.recipe.fetch
    with run.locked():
        if pipeline.bring_up("fetch"):
            return None
        tables, aside = run.tables("fetch"), StageTables(run.folder("fetch") / "again", "fetch")
        stage = FetchStage(section, images=run.images, journal=run.fetch_journal)
        asked = ask_again(stage, tables, engine=pipeline.engine, progress=pipeline.progress, aside=aside)
        if asked.came_back:
            pipeline.clear("caption", because=f"{asked.came_back:,} rows have an image now")
        manifest = run.manifest
        manifest.put("fetch", manifest.stages["fetch"].model_copy(update={"status": "running"}))
        merge_back(tables, aside=aside, inputs=run.tables("ingest"))
        pipeline.bring_up("fetch")
        return asked


def estimate_captions(pipeline: Pipeline, num_rows: int) -> CaptionEstimate:
    """Ask the teacher about a few rows, and say what all will cost; runs up to `fetch` if that is stale."""
    check_choices(pipeline.recipe, until="caption")
    if pipeline.recipe.caption.source == "table":
        raise RecipeError("caption.source: table", found="no teacher is asked, so there is nothing to estimate")
    with pipeline.run_directory.locked():
        pipeline.bring_up("fetch")
        return pipeline.estimate(num_rows)


def audit(pipeline: Pipeline, choices: AuditChoices) -> AuditSummary:
    """Lay what the base says by itself beside a sample of the clean captions; first runs up to `clean`."""
    from nameplate.report import write_audit_page
    from nameplate.stages.audit import run_audit

    check_choices(pipeline.recipe, until="clean")
    run = pipeline.run_directory
    with run.locked():
        # A model that is not there should be known before a teacher is paid.
        pipeline.base_fingerprint()
        pipeline.bring_up("clean")
        found = run_audit(pipeline.recipe, choices, run=run, registry=pipeline.registry(), progress=pipeline.progress)
        write_audit_page(found, run=run)
        return found


def probe(pipeline: Pipeline, choices: ProbeChoices) -> ProbeSummary:
    """Say what the untrained base can tell apart and what it says, of a split that is there already."""
    from nameplate.stages.probe import run_probe

    check_choices(pipeline.recipe, until="clean")
    run = pipeline.run_directory
    with run.locked():
        split = _split_there(pipeline)
        registry, progress = pipeline.registry(), pipeline.progress
        return run_probe(pipeline.recipe, choices, run=run, split=split, registry=registry, progress=progress)


def leaks(pipeline: Pipeline, choices: LeakChoices) -> LeakSummary:
    """Say what validation and test share with training, of a split that is there already, and what that is worth."""
    from nameplate.stages.leaks import run_leaks

    run = pipeline.run_directory
    with run.locked():
        return run_leaks(choices, run=run, split=_split_there(pipeline), progress=pipeline.progress)


def _split_there(pipeline: Pipeline) -> str:
    """The fingerprint of the recipe's split, which is in the run directory.

    Raises:
        InputError: there is none, or another one.
    """
    run = pipeline.run_directory
    split = pipeline.fingerprints(until="split")["split"]
    if not run.manifest.is_done("split", split):
        found = "a split of another table or recipe" if "split" in run.manifest.stages else "no split"
        fix = "run nameplate split with the same recipe and options first"
        raise InputError(str(run.folder("split")), found=found, fix=fix)
    return split
