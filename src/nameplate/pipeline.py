"""Read this first: a recipe becomes a scored, explained model, stage by stage.

    feed --ingest--> rows --fetch--> images --caption--> captions --clean--> examples --split--> splits
         --train--> checkpoints --score--> scores --report--> report.html

Each stage has a fingerprint: of its part of the recipe, its own version and the fingerprint of the stage before.
A stage whose fingerprint stands in the manifest as done is not run again; when it differs, it and all after it are.
Inside a stage finished shards, fetched links, teacher answers, checkpoints and predictions are never made twice.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nameplate.engine import Engine, LocalEngine, ShardStage, StageOutcome, file_shards
from nameplate.errors import InputError
from nameplate.names import MATCHER_VERSION, NORMALISER_VERSION, Registry
from nameplate.progress import Progress, SilentProgress
from nameplate.recipe import Recipe, check_choices, dump_recipe
from nameplate.records import STAGES, StageName
from nameplate.stages.train.ranks.fitting import check_launch
from nameplate.stages.train.ranks.launch import follow, launched, leading
from nameplate.store.files import write_json, write_text
from nameplate.store.fingerprint import file_fingerprint, fingerprint
from nameplate.store.manifest import StageRecord
from nameplate.store.memory import forget_peak, peak_bytes
from nameplate.store.rundir import RunDirectory
from nameplate.summary import RunSummary

if TYPE_CHECKING:
    from nameplate.stages.caption import CaptionStage
    from nameplate.stages.caption.estimate import CaptionEstimate


@dataclass(frozen=True)
class Step:
    """One stage of a run: what it depends on, and how to run it."""

    name: StageName
    depends_on: tuple[object, ...]
    """Version, recipe sections and input files whose change makes the stage stale."""
    run: Callable[[], StageOutcome]


class Pipeline:
    """All stages of one recipe over one run directory.

    Args:
        recipe: the experiment.
        run: its directory.
        progress: shows how far each stage is.
        engine: where the shards of stages that distribute run; none: this process.
        command: what a person types to run this again; printed on the page.
        donors: other runs; a stage before `train` that one has done from the same inputs is not done again.
    """

    def __init__(
        self,
        recipe: Recipe,
        run: RunDirectory,
        *,
        progress: Progress | None = None,
        engine: Engine | None = None,
        command: str = "",
        donors: Sequence[RunDirectory] = (),
    ) -> None:
        self.recipe = recipe
        self.engine = engine or LocalEngine()
        self.run_directory = run
        self.progress = progress or SilentProgress()
        self.command = command
        self.donors = donors

    def run(self, *, until: StageName = "report") -> None:
        """Run every stale stage up to and including `until`, holding the run directory.

        Of a launch of several processes the first does so, and the others take part in its training alone.

        Raises:
            NameplateError: with one clear paragraph; the same call continues later.
        """
        check_choices(self.recipe, until=until)
        check_launch(self.recipe.train, until=until)
        if not launched().leads:
            follow(until, lambda: self._train().run())
            return
        with leading(until), self.run_directory.locked():
            self.bring_up(until)

    def bring_up(self, until: StageName) -> bool:
        """Run what is stale, up to `until`; says whether `until` itself was."""
        write_text(self.run_directory.root / "recipe.yaml", dump_recipe(self.recipe))
        stale, trains = False, STAGES.index(until) >= STAGES.index("train")
        for step, wanted in self._wanted(until):
            if step.name == "fetch" and trains:
                # What is not there should be known before a million images are fetched, and days of training paid for.
                self.base_fingerprint()
                self._guard_images(until)
                self._unnamed_examples()
            if stale := not self.run_directory.manifest.is_done(step.name, wanted):
                self._run_step(step, wanted)
        return stale

    def fingerprints(self, *, until: StageName) -> dict[StageName, str]:
        """Of each stage, what it would be made from; a run whose manifest has them all as done has nothing to do."""
        return {step.name: wanted for step, wanted in self._wanted(until)}

    def _wanted(self, until: StageName) -> Iterator[tuple[Step, str]]:
        above = ""
        for step in self.steps():
            above = fingerprint(step.name, step.depends_on, above)
            yield step, above
            if step.name == until:
                return

    def steps(self) -> Iterator[Step]:
        """The story of a run. A room is entered when its turn comes, so that no step imports what it does not need."""
        yield self._ingest()
        yield self._fetch()
        yield self._caption()
        yield self._clean()
        yield self._split()
        yield self._train()
        yield self._score()
        yield self._report()

    def summary(self) -> RunSummary:
        """Every number of a finished run, as the report shows it."""
        from nameplate.stages.score import read_scores
        from nameplate.stages.train import read_training

        run = self.run_directory
        return RunSummary.build(
            title=self.recipe.report.title,
            recipe=self.recipe.model_dump(mode="json"),
            records={name: record.model_dump() for name, record in run.manifest.stages.items() if name != "report"},
            train=read_training(run),
            score=read_scores(run),
        )

    def _ingest(self) -> Step:
        from nameplate.stages.ingest import VERSION, IngestStage, map_columns, open_source

        recipe, tables = self.recipe, self.run_directory.tables("ingest")
        source = open_source(recipe.table.source)
        overrides = Path(recipe.name.registry) if recipe.name.registry is not None else None
        if overrides is not None and not overrides.exists():
            raise InputError(str(overrides), found="no such registry", fix="check name.registry in the recipe")

        def run() -> StageOutcome:
            columns = map_columns(recipe.table, recipe.name, source=source)
            for note in columns.notes:
                self.progress.note(f"ingest: {note}")
            if recipe.caption.source == "table" and columns.text is None:
                raise InputError(source.name, found="no column with captions", fix="set caption.source: teacher")
            images = self.run_directory.images
            stage = IngestStage(
                recipe.table, columns=columns, source=source, overrides=overrides, images=images, tables=tables
            )
            stage.prepare([])
            total = stage.num_rows
            outcome = LocalEngine().run(stage, stage.shards(), tables=tables, progress=self.progress, total=total)
            return self._some_left(stage, outcome)

        content = (source.fingerprint(), file_fingerprint(overrides) if overrides is not None else None)
        # Where the file lies is no part of the result; what is in it is.
        section = recipe.table.model_copy(update={"source": ""})
        return Step("ingest", (VERSION, NORMALISER_VERSION, section, recipe.name.column, content), run)

    def _fetch(self) -> Step:
        from nameplate.stages.fetch import VERSION, FetchStage

        run, section = self.run_directory, self.recipe.fetch

        def fetch() -> StageOutcome:
            return self._run_rows(FetchStage(section, images=run.images, journal=run.fetch_journal), "ingest")

        return Step("fetch", (VERSION, section), fetch)

    def _caption(self) -> Step:
        from nameplate.stages.caption import TABLE_VERSION, VERSION, TableCaptionStage
        from nameplate.teacher.templates import template_of

        section = self.recipe.caption
        if section.source == "table":
            return Step("caption", (TABLE_VERSION, "table"), lambda: self._run_rows(TableCaptionStage(), "fetch"))
        # Where the teacher is, how fast it may be asked and what it may cost are no part of its answers.
        template, teacher = template_of(self.recipe), section.teacher
        question = (template.stamp, template.wording, section.attributes, section.image_longest_side)
        asked = (teacher.model, teacher.reading, teacher.max_attempts, section.sampling, self.recipe.clean.language)
        return Step("caption", (VERSION, question, asked), self._ask_teacher)

    def _ask_teacher(self) -> StageOutcome:
        from nameplate.stages.caption.estimate import MANY_ROWS, ROWS_FOR_ESTIMATE, as_line

        starts = not self.run_directory.tables("caption").kept_paths()
        if starts and self.run_directory.tables("fetch").num_kept() >= MANY_ROWS:
            self.progress.note(f"caption: {as_line(self.estimate(ROWS_FOR_ESTIMATE))}")
        return self._run_rows(self._caption_stage(), "fetch")

    def estimate(self, num_rows: int) -> CaptionEstimate:
        """Ask the teacher about a few fetched rows, and say what all will cost."""
        from nameplate.stages.caption.estimate import estimate_captions

        stage, tables = self._caption_stage(), self.run_directory.tables("fetch")
        return estimate_captions(stage, tables, num_rows=num_rows, progress=self.progress)

    def _caption_stage(self) -> CaptionStage:
        from nameplate.stages.caption import CaptionStage

        run, recipe = self.run_directory, self.recipe
        return CaptionStage(
            recipe.caption,
            registry=self.registry(),
            images=run.images,
            journal=run.teacher_journal,
            language=recipe.clean.language,
            column=recipe.name.column,
        )

    def _clean(self) -> Step:
        from nameplate.stages.clean import PAIRS_VERSION, VERSION, CleanStage
        from nameplate.teacher.templates import template_of

        section = self.recipe.clean
        template = template_of(self.recipe) if self.recipe.caption.source == "teacher" else None
        prompt = template.wording if template is not None else ""
        pairs = [PAIRS_VERSION] if template is not None and template.form == "pairs" else []

        def clean() -> StageOutcome:
            return self._run_rows(CleanStage(section, registry=self.registry(), prompt=prompt), "caption")

        return Step("clean", (VERSION, MATCHER_VERSION, section, prompt, *pairs), clean)

    def _split(self) -> Step:
        from nameplate.stages.split import VERSION, SplitStage

        section = self.recipe.split
        return Step("split", (VERSION, section), lambda: self._run_rows(SplitStage(section), "clean"))

    def _train(self) -> Step:
        from nameplate.models.prompts import PROMPTS
        from nameplate.stages.train import VERSION, run_training

        recipe, run = self.recipe, self.run_directory

        def train() -> StageOutcome:
            summary = run_training(
                recipe.train, model_section=recipe.model, run=run, progress=self.progress, asking=recipe.score
            )
            return StageOutcome(read=summary.examples, kept=summary.examples)

        # Where the model lies is no part of the result; its weights are.
        depends_on = (VERSION, self.base_fingerprint(), recipe.model.max_tiles, recipe.train.without_means(), PROMPTS)
        return Step("train", (*depends_on, *self._unnamed_examples()), train)

    def _score(self) -> Step:
        from nameplate.stages.score import VERSION, run_scoring

        recipe, run = self.recipe, self.run_directory

        def score() -> StageOutcome:
            summary = run_scoring(
                recipe.score,
                model_section=recipe.model,
                run=run,
                registry=self.registry(),
                progress=self.progress,
                memory=recipe.train.memory,
            )
            asked = summary.checkpoints[0].metrics.values()
            rows = sum(metrics[summary.headline].accuracy.n for metrics in asked)
            return StageOutcome(read=rows, kept=rows, details={"selected": summary.selected})

        return Step("score", (VERSION, MATCHER_VERSION, recipe.score, *self._guard_images("score")), score)

    def _guard_images(self, until: StageName) -> list[str]:
        """What is in the folder of images without a name that guards ask about; nothing where none is asked about."""
        from nameplate.models.picturefolder import check_apart, example_folder, guard_folder

        guards, learned = self.recipe.score.guards, self.recipe.train.examples.unnamed
        if STAGES.index(until) < STAGES.index("score") or not guards.rows or guards.unnamed is None:
            return []
        asked = guard_folder(guards.unnamed)
        if learned is not None:
            check_apart(example_folder(learned), asked)
        return [asked.fingerprint()]

    def _unnamed_examples(self) -> list[str]:
        """What is in the folder of images without a name that are learned from; nothing where none is."""
        from nameplate.models.picturefolder import example_folder

        learned = self.recipe.train.examples.unnamed
        if learned is None:
            return []
        folder = example_folder(learned)
        return [folder.fingerprint(), fingerprint(list(folder.captions().items()))]

    def _report(self) -> Step:
        from nameplate.report import VERSION, write_report

        run = self.run_directory

        def report() -> StageOutcome:
            summary = self.summary()
            write_json(run.summary_path, summary.model_dump(mode="json"))
            write_report(summary, run=run, recipe_yaml=dump_recipe(self.recipe), command=self.command)
            return StageOutcome(read=0, kept=0)

        # A probe and a leak audit of this split have their sections on the page.
        looked = [file_fingerprint(path) if path.exists() else None for path in (run.probe_path, run.leaks_path)]
        return Step("report", (VERSION, self.recipe.report, self.command, *looked), report)

    def _run_rows(self, stage: ShardStage, source: StageName) -> StageOutcome:
        """Run a row stage over the kept shards of the stage before."""
        paths = self.run_directory.tables(source).kept_paths()
        if self.run_directory.tables(stage.name).num_kept() == 0:
            # Finished shards that kept nothing may be those of a bad day: the journals know what need not be asked.
            shutil.rmtree(self.run_directory.folder(stage.name), ignore_errors=True)
        stage.prepare(paths)
        engine = self.engine if stage.distributes else LocalEngine()
        tables, total = self.run_directory.tables(stage.name), self.run_directory.tables(source).num_kept()
        outcome = engine.run(stage, file_shards(paths), tables=tables, progress=self.progress, total=total)
        return self._some_left(stage, outcome)

    def _some_left(self, stage: ShardStage, outcome: StageOutcome) -> StageOutcome:
        if outcome.kept == 0:
            reasons = ", ".join(f"{reason} {count}" for reason, count in outcome.rejected.items()) or "no rows came in"
            raise InputError(
                f"stage {stage.name}",
                found=f"none of {outcome.read} rows is left ({reasons})",
                fix=f"look at {self.run_directory.folder(stage.name) / 'rejected'} and mend the table or the recipe",
            )
        return outcome

    def _run_step(self, step: Step, wanted: str) -> None:
        manifest = self.run_directory.manifest
        record = manifest.stages.get(step.name)
        if record is None or record.fingerprint != wanted:
            self.clear(step.name)
            record = StageRecord(fingerprint=wanted)
            if any(self.run_directory.take_over(step.name, donor, wanted) for donor in self.donors):
                return
        manifest.put(step.name, record.model_copy(update={"status": "running"}))
        forget_peak()
        started = time.monotonic()
        outcome = step.run()
        finished = {
            "status": "done",
            "read": outcome.read,
            "kept": outcome.kept,
            "rejected": outcome.rejected,
            "details": outcome.details,
            "seconds": record.seconds + time.monotonic() - started,
            "peak_memory_bytes": max(record.peak_memory_bytes, peak_bytes()),
        }
        manifest.put(step.name, record.model_copy(update=finished))

    def clear(self, stage: StageName, *, because: str = "its inputs or settings have changed") -> None:
        """Forget what this stage and those after it made from other inputs; journals and images stay."""
        run = self.run_directory
        stale = STAGES[STAGES.index(stage) :]
        if any(name in run.manifest.stages for name in stale):
            self.progress.note(f"{stage}: {because}, so it and what follows is done again")
        for name in stale:
            run.manifest.drop(name)
            if name == "train":
                run.set_aside_training()
            shutil.rmtree(run.folder(name), ignore_errors=True)

    def base_fingerprint(self) -> str:
        """Of the base's weights."""
        from nameplate.models.locate import find_model, weights_fingerprint

        return weights_fingerprint(find_model(self.recipe.model.base))

    def registry(self) -> Registry:
        """The names, as ingest found them."""
        return Registry.from_json(self.run_directory.registry_path.read_text(encoding="utf-8"))
