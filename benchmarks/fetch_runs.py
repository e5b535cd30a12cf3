"""One run of either tool over the shop's table, and the check of what it saved."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
from PIL import Image

from certificate import Certificate
from measure import Cost, run_tree
from nameplate.store.rundir import RunDirectory
from peers import PeerSettings, SavedImage, run_img2dataset, saved_by_img2dataset, seconds_by_itself
from row_pictures import row_of
from shop_client import RunningShop, running_shop
from shop_links import SAVEABLE, LinkKind, link_kinds, write_table

LONGEST_SIDE = 448

_RECIPE = """\
table: {{source: {table}, id: id, image: imageurl, title: title}}
name: {{column: brand}}
fetch:
  concurrency: {parallel}
  per_host: {per_host}
  allow_networks: [127.0.0.0/8]
  image: {{longest_side: {longest_side}}}
"""


class Tally(NamedTuple):
    """What was saved, by the numbers in the pixels and by what each link does."""

    saved: int
    """Images paired with their row, of links that a perfect fetcher saves."""
    mispaired: int
    """Images that show another row's number."""
    unreadable: int
    """Images without a sound number."""
    from_bad_links: int
    """Images of links that have no whole image to give, or that may not be taken."""
    wrong_size: int
    """Images whose longest side is not what was asked for."""
    missed: dict[str, int]
    """Links that a perfect fetcher saves and this one did not, by kind."""


class Round(NamedTuple):
    """One run of one tool."""

    cost: Cost
    seconds_by_itself: float
    """The tool's own clock, without its start and its end."""
    tally: Tally
    asked: dict[str, Any]
    """What the shop counted."""
    ingest: Cost | None = None

    @property
    def rate(self) -> float:
        """Saved images a second, from the start of the command to its end."""
        return self.tally.saved / self.cost.wall_seconds


class Place(NamedTuple):
    """Where runs happen: the shop, its table, and a folder for what they write."""

    shop: RunningShop
    table: Path
    folder: Path
    num_links: int

    @classmethod
    @contextmanager
    def open(
        cls, folder: Path, *, num_links: int, num_pictures: int, certificate: Certificate | None = None
    ) -> Iterator[Place]:
        """A running shop with its table."""
        with running_shop(num_links=num_links, num_pictures=num_pictures, certificate=certificate) as shop:
            place = cls(shop, folder / "table.csv", folder, num_links)
            write_table(place.table, num_links=num_links, port=shop.port, scheme=shop.scheme)
            yield place


def run_ours(place: Place, *, parallel: int, per_host: int) -> Round:
    """`nameplate ingest`, then `nameplate fetch`, each as a user types it."""
    folder = _fresh(place.folder / "ours")
    folder.mkdir()
    recipe = folder / "recipe.yaml"
    recipe.write_text(
        _RECIPE.format(table=place.table, parallel=parallel, per_host=per_host, longest_side=LONGEST_SIDE)
    )
    ingest = _nameplate("ingest", recipe, folder, env=place.shop.env)
    place.shop.reset()
    cost = _nameplate("fetch", recipe, folder, env=place.shop.env)
    asked = place.shop.counts()
    run = RunDirectory(folder / "run")
    counted = tally(saved_by_ours(run), place.num_links)
    return Round(cost, run.manifest.stages["fetch"].seconds, counted, asked, ingest)


def run_peer(place: Place, command: Path, settings: PeerSettings) -> Round:
    """img2dataset over the same table."""
    folder = _fresh(place.folder / "peer")
    place.shop.reset()
    cost = run_img2dataset(
        command,
        table=place.table,
        folder=folder,
        settings=settings,
        num_links=place.num_links,
        longest_side=LONGEST_SIDE,
        env=place.shop.env,
    )
    _succeeded(cost, folder.with_suffix(".log"))
    asked = place.shop.counts()
    return Round(cost, seconds_by_itself(folder), tally(saved_by_img2dataset(folder), place.num_links), asked)


def saved_by_ours(run: RunDirectory) -> Iterator[SavedImage]:
    """What the kept rows of a run say, and the store holds."""
    for path in run.tables("fetch").kept_paths():
        for row in pq.read_table(path, columns=["row_id", "image_sha256", "image_ext"]).to_pylist():
            yield SavedImage(int(row["row_id"]), run.images.read(row["image_sha256"], row["image_ext"]))


def tally(saved: Iterable[SavedImage], num_links: int) -> Tally:
    """Look at every saved image and count."""
    kinds = link_kinds(num_links)
    good, sizes, mispaired, unreadable, from_bad = set(), 0, 0, 0, 0
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for row, (shown, longest) in threads.map(_look, saved):
            sizes += longest != LONGEST_SIDE
            unreadable += shown is None
            mispaired += shown is not None and shown != row
            from_bad += kinds[row] not in SAVEABLE
            if shown == row and kinds[row] in SAVEABLE:
                good.add(row)
    missed = _by_kind(kinds, (row for row, kind in enumerate(kinds) if kind in SAVEABLE and row not in good))
    return Tally(len(good), mispaired, unreadable, from_bad, sizes, missed)


def _look(saved: SavedImage) -> tuple[int, tuple[int | None, int]]:
    with Image.open(io.BytesIO(saved.data)) as image:
        return saved.row, (row_of(image), max(image.size))


def _by_kind(kinds: Sequence[LinkKind], rows: Iterable[int]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row in rows:
        counts[str(kinds[row])] = counts.get(str(kinds[row]), 0) + 1
    return counts


def _nameplate(stage: str, recipe: Path, folder: Path, *, env: Mapping[str, str]) -> Cost:
    log = folder / f"{stage}.log"
    words = [sys.executable, "-m", "nameplate", stage, str(recipe), "--run-dir", str(folder / "run"), "--json"]
    cost = run_tree(words, log=log, env=env)
    _succeeded(cost, log)
    json.loads(log.read_text().splitlines()[-1])
    return cost


def _succeeded(cost: Cost, log: Path) -> None:
    if cost.exit_code != 0:
        raise SystemExit(f"{log.read_text(errors='replace')[-2000:]}\nended with exit code {cost.exit_code}: {log}")


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    return folder
