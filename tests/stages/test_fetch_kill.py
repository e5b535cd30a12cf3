"""A fetch that is killed or interrupted in the middle, and the run after it; the server's own counts are the proof."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from nameplate.store.journal import Journal
from nameplate.store.tables import StageTables

from .fetch_shop import Shop, Workplace, number_in, run_shards, table_of

NUM_LINKS = 400
ROWS_PER_SHARD = 100

SCRIPT = """
import sys
from functools import partial
from pathlib import Path
import pyarrow.parquet as pq
from nameplate.engine import LocalEngine, file_shards
from nameplate.progress import SilentProgress
from nameplate.recipe import FetchSection
from nameplate.stages.fetch import FetchStage
from nameplate.store.images import ImageStore
from nameplate.store.tables import StageTables

if __name__ == "__main__":
    root = Path(sys.argv[1])
    section = FetchSection(allow_networks=("127.0.0.0/8",), per_host=4)
    stage = FetchStage(section, images=ImageStore(root / "images"), journal=root / "fetch.sqlite")
    inputs = file_shards(sorted((root / "rows").glob("part-*.parquet")))
    try:
        LocalEngine().run(stage, inputs, tables=StageTables(root / "fetch", "fetch"), progress=SilentProgress())
    except KeyboardInterrupt:
        sys.exit(130)
"""


@pytest.fixture
def shop() -> Iterator[Shop]:
    with Shop() as server:
        yield server


def _start(root: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", SCRIPT, str(root)], stderr=subprocess.PIPE)


def _wait_until_asked(shop: Shop, num_links: int, process: "subprocess.Popen[bytes]") -> None:
    while len(shop.asked) < num_links:
        assert process.poll() is None, process.stderr and process.stderr.read().decode()
        time.sleep(0.005)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_no_finished_link_is_asked_again_after_an_end_in_the_middle(
    shop: Shop, tmp_path: Path, how: signal.Signals
) -> None:
    urls = [f"{shop.url}/good/{number}" for number in range(NUM_LINKS)]
    table = table_of(urls)
    shards = [table.slice(start, ROWS_PER_SHARD) for start in range(0, NUM_LINKS, ROWS_PER_SHARD)]
    (tmp_path / "rows").mkdir()
    for index, shard in enumerate(shards):
        pq.write_table(shard, tmp_path / "rows" / f"part-{index:05d}.parquet")
    process = _start(tmp_path)
    _wait_until_asked(shop, NUM_LINKS // 2, process)
    process.send_signal(how)
    process.communicate(timeout=60)
    assert process.returncode == (130 if how is signal.SIGINT else -signal.SIGKILL)

    workplace, tables = Workplace(tmp_path), StageTables(tmp_path / "fetch", "fetch")
    with Journal(workplace.journal) as journal:
        written = {key for key, _ in journal.items() if key.startswith("http")}
    before = shop.asked.copy()
    assert 0 < len(written) < NUM_LINKS
    outcome = run_shards(workplace.stage(), tables, shards)
    again = shop.asked - before
    assert not [url for url in written if again[url.removeprefix(shop.url + "/")]]
    assert again.total() == NUM_LINKS - len(written)
    # Only what was under way when the end came may have been asked twice: 3 shards, 2 x per_host links in each.
    assert len([url for url, count in shop.asked.items() if count > 1]) <= 24
    assert (outcome.read, outcome.kept, shop.robots_asked) == (NUM_LINKS, NUM_LINKS, 1)
    for row in tables.read_kept().to_pylist():
        assert number_in(workplace.images.read(row["image_sha256"], row["image_ext"])) == int(row["row_id"])


def test_an_interrupt_does_not_wait_for_a_resolver_that_hangs(tmp_path: Path) -> None:
    (tmp_path / "rows").mkdir()
    pq.write_table(table_of(["http://hangs.example/1", "http://hangs.example/2"]), tmp_path / "rows/part-00000.parquet")
    hangs = f"""
import socket, time
def getaddrinfo(*args, **kwargs):
    open({str(tmp_path / "asked")!r}, "w").close()
    time.sleep(60)
socket.getaddrinfo = getaddrinfo
"""
    process = subprocess.Popen([sys.executable, "-c", hangs + SCRIPT, str(tmp_path)], stderr=subprocess.PIPE)
    while not (tmp_path / "asked").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130


def test_an_interrupt_ends_a_run_whose_host_rests(shop: Shop, tmp_path: Path) -> None:
    """Ctrl-C does not wait for anything: neither for a rest, nor for a server that says nothing."""
    (tmp_path / "rows").mkdir()
    urls = [f"{shop.url}/rest/300/1", f"{shop.url}/good/1", *(f"{shop.url}/slow/{place}" for place in range(5))]
    pq.write_table(table_of(urls), tmp_path / "rows" / "part-00000.parquet")
    process = _start(tmp_path)
    _wait_until_asked(shop, 1, process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
