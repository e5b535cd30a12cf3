"""Run a row stage in the caller's process, skipping the shards that are already there. No daemon, no port."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from nameplate.engine.base import Shard, ShardStage, StageOutcome, complete, run_one_shard, unfinished
from nameplate.engine.services import LocalServices
from nameplate.progress import Advance, Progress, bar
from nameplate.store.tables import StageTables


class LocalEngine:
    """The caller's own process."""

    def run(
        self,
        stage: ShardStage,
        inputs: Iterable[Shard],
        *,
        tables: StageTables,
        progress: Progress,
        total: int | None = None,
    ) -> StageOutcome:
        """Run `stage` over `inputs` and write `tables`; see `Engine.run`."""
        services = LocalServices(stage.shared())
        stage.serve(services)
        try:
            with bar(progress, stage.name, total) as advance:
                _run_shards(stage, inputs, tables, advance)
        finally:
            stage.close()
            services.close()
        return complete(stage, tables)


def _run_shards(stage: ShardStage, inputs: Iterable[Shard], tables: StageTables, advance: Advance) -> None:
    if stage.shards_at_once == 1:
        for shard in unfinished(inputs, tables, advance):
            run_one_shard(stage, shard, tables, advance)
        return
    running: set[Future[None]] = set()
    with ThreadPoolExecutor(stage.shards_at_once, f"{stage.name}-shard") as threads:
        try:
            for shard in unfinished(inputs, tables, advance):
                running.add(threads.submit(run_one_shard, stage, shard, tables, advance))
                if len(running) == stage.shards_at_once:
                    running = _after_one(running)
            while running:
                running = _after_one(running)
        except BaseException:
            # Ctrl-C or a failed shard: the others are told to stop, or leaving the pool would wait for them.
            stage.close()
            raise


def _after_one(running: set[Future[None]]) -> set[Future[None]]:
    """Wait until a shard is done; its error is ours."""
    done, others = wait(running, return_when=FIRST_COMPLETED)
    for future in done:
        future.result()
    return others
