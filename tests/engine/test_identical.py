"""Twenty thousand rows give the same bytes on either engine, and when a worker is killed."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pytest
from tests.stages.fetch_shop import Shop

from nameplate.engine import Engine, LocalEngine, Shard, ShardStage
from nameplate.names import NameEntry, Registry
from nameplate.progress import SilentProgress
from nameplate.recipe import CleanSection, FetchSection
from nameplate.stages.clean import CleanStage
from nameplate.stages.fetch import FetchStage
from nameplate.store.images import ImageStore
from nameplate.store.tables import StageTables

from .killed import CleanKilledInside, CleanKilledOutside, FetchKilledOutside
from .odd_rows import write_rows

NUM_ROWS, PER_SHARD = 20_000, 2_000
FEW_ROWS, FEW_PER_SHARD = 2_000, 400
VICTIM = "00800"
NUM_IMAGES = 1_500
NAMES = [f"{first}{second}" for first in ("Ar", "Bel", "Cor", "Dun", "Es") for second in ("vo", "lina", "mark", "tex")]
REGISTRY = Registry(tuple(NameEntry(name) for name in NAMES))
PIECES = (
    "A red bag by {name}.",
    "A BLUE shoe by {upper}, with laces.",
    "It has a gold logo in the middle of the front.",
    "The sole is white and it is made of rubber.",
    "It is red and plain. It is red and plain. It is red and plain. It is red and plain.",
    "I'm sorry, but I cannot help with that.",
    "A coat by {other}.",
    "It's itâ€™s red.",
    "\n\n",
    "The str",
)


class Few(NamedTuple):
    """A smaller table, and what is made of it where nobody is killed."""

    inputs: list[Shard]
    files: dict[str, bytes]


def captions() -> list[dict[str, Any]]:
    """Rows with captions of all kinds, good and bad."""
    chance = random.Random(0)
    rows = []
    for number in range(NUM_ROWS):
        name, other = chance.choice(NAMES), chance.choice(NAMES)
        said = " ".join(chance.choices(PIECES, k=chance.randint(0, 4)))
        said = said.format(name=name, upper=name.upper(), other=other)
        ending = chance.choice(["stop", "stop", "length"])
        rows.append({"row_id": f"{number:05d}", "name": name, "caption_raw": said, "finish_reason": ending})
    return rows


def run(engine: Engine, stage: ShardStage, inputs: list[Shard], folder: Path) -> dict[str, bytes]:
    """The files that the stage writes, by their place."""
    tables = StageTables(folder, stage.name)
    outcome = engine.run(stage, inputs, tables=tables, progress=SilentProgress(), total=NUM_ROWS)
    assert outcome.read in (NUM_ROWS, FEW_ROWS) and 0 < outcome.kept < outcome.read
    paths = sorted(tables.folder.rglob("*.parquet"))
    assert len(paths) == 2 * len(inputs)
    return {str(path.relative_to(tables.folder)): path.read_bytes() for path in paths}


def test_clean_writes_the_same_bytes(ray_engine: Engine, tmp_path: Path) -> None:
    inputs = write_rows(tmp_path / "in", "caption", captions(), per_shard=PER_SHARD)
    local, on_ray = (
        run(engine, CleanStage(CleanSection(), registry=REGISTRY), inputs, tmp_path / folder)
        for engine, folder in ((LocalEngine(), "local"), (ray_engine, "ray"))
    )
    assert local == on_ray


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Few:
    folder = tmp_path_factory.mktemp("few")
    inputs = write_rows(folder / "in", "caption", captions()[:FEW_ROWS], per_shard=FEW_PER_SHARD)
    stage = CleanStage(CleanSection(), registry=REGISTRY)
    return Few(inputs, run(LocalEngine(), stage, inputs, folder / "out"))


def test_a_worker_killed_from_inside_changes_nothing(ray_engine: Engine, few: Few, tmp_path: Path) -> None:
    stage = CleanKilledInside(CleanSection(), registry=REGISTRY)
    stage.marker, stage.victim = tmp_path / "marker", VICTIM
    assert run(ray_engine, stage, few.inputs, tmp_path / "clean") == few.files
    assert has_died(int(stage.marker.read_text()))


def test_a_worker_killed_from_outside_changes_nothing(ray_engine: Engine, few: Few, tmp_path: Path) -> None:
    stage = CleanKilledOutside(CleanSection(), registry=REGISTRY)
    stage.marker, stage.victim = tmp_path / "marker", VICTIM
    with killing(lambda: pid_in(stage.marker)) as killed:
        # Without the kill the shard would take a minute.
        assert run(ray_engine, stage, few.inputs, tmp_path / "clean") == few.files
    assert len(killed) == 1 and has_died(killed[0])


def links(shop: Shop, *, steady: bool = False) -> list[dict[str, Any]]:
    """Rows that share images, in one shard and across shards, and links that end in many ways.

    With `steady`, none whose answer depends on how often it was asked for: a worker that is killed takes its tries with
    it, and the next one finds the link healed.
    """
    chance = random.Random(1)
    bad = [f"{shop.url}/status/404", f"{shop.url}/status/410?2", "ftp://x/y.jpg", "", f"{shop.url}/body/html"]
    bad += [f"{shop.url}/noai", f"{shop.url}/loop/a", f"{shop.url}/body/half"]
    if not steady:
        bad.append(f"{shop.url}/flaky/7")
    rows = []
    for number in range(NUM_ROWS):
        # Mostly an image of the neighbours', sometimes one of another shard.
        image = number * NUM_IMAGES // NUM_ROWS if chance.random() < 0.97 else chance.randrange(NUM_IMAGES)
        link = chance.choice(bad) if chance.random() < 0.02 else f"{shop.url}/good/{image}"
        row = {"row_id": f"{number:05d}", "name": chance.choice(NAMES), "product_code": str(number), "image_url": link}
        rows.append(row)
    return rows


Fetching = TypeVar("Fetching", bound=FetchStage)

SECTION: dict[str, Any] = {"allow_networks": ("127.0.0.0/8",), "placeholder_min_products": NUM_ROWS}
CLOCKS = {"clocks": {"total_seconds": 5.0, "connect_seconds": 2.0, "read_seconds": 3.0}}


def fetching(kind: type[Fetching], folder: Path, **fields: Any) -> Fetching:
    """A stage with a store and a ledger of its own, so that nothing is known from before."""
    section = FetchSection(**SECTION, **fields)
    return kind(section, images=ImageStore(folder / "images"), journal=folder / "fetch.sqlite")


def test_fetch_writes_the_same_bytes_and_asks_for_nothing_twice(ray_engine: Engine, tmp_path: Path) -> None:
    with Shop() as shop:
        inputs = write_rows(tmp_path / "in", "ingest", links(shop), per_shard=PER_SHARD)
        local = run(LocalEngine(), fetching(FetchStage, tmp_path / "1"), inputs, tmp_path / "local")
        asked, most = Counter(shop.asked), shop.most_under_way
        shop.asked.clear()
        on_ray = run(ray_engine, fetching(FetchStage, tmp_path / "2"), inputs, tmp_path / "ray")
    assert local == on_ray
    assert shop.asked == asked and {asked[f"good/{number}"] for number in range(NUM_IMAGES)} == {1}
    assert most == shop.most_under_way == FetchSection().per_host


def test_a_worker_killed_while_it_fetches_changes_nothing(ray_engine: Engine, tmp_path: Path) -> None:
    with Shop() as shop:
        inputs = write_rows(tmp_path / "in", "ingest", links(shop, steady=True)[:FEW_ROWS], per_shard=FEW_PER_SHARD)
        local = run(LocalEngine(), fetching(FetchStage, tmp_path / "1"), inputs, tmp_path / "local")
        shop.asked.clear()
        stage = fetching(FetchKilledOutside, tmp_path / "2", **CLOCKS)
        stage.marker, stage.begun, stage.after_rows = tmp_path / "marker", tmp_path / "begun", FEW_PER_SHARD // 2
        with killing(lambda: pid_in(stage.marker)) as killed:
            # Without the kill the shard would take a minute, and without a second try its files would be missing.
            on_ray = run(ray_engine, stage, inputs, tmp_path / "ray")
        assert local == on_ray
        assert shop.most_under_way == FetchSection().per_host
    assert len(killed) == 1 and has_died(killed[0])


def pid_in(marker: Path) -> int | None:
    text = marker.read_text() if marker.exists() else ""
    return int(text) if text else None


def has_died(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


@contextmanager
def killing(victim: Callable[[], int | None]) -> Iterator[list[int]]:
    """Send SIGKILL to the process as soon as `victim` says which; yields whom it has met."""
    killed: list[int] = []
    over = threading.Event()

    def kill() -> None:
        while not over.wait(0.01):
            pid = victim()
            if pid is not None:
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
                return

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield killed
    finally:
        over.set()
        killer.join()
