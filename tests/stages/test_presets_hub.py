"""A known data set by its address: `init` takes its preset by itself, and the recipe it writes runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from nameplate.stages.ingest import PRESETS

from .eighteen import EIGHTEEN, open_shop
from .sources.fake_hub import FakeHub


def files_of(source: Path) -> dict[str, bytes]:
    if source.is_file():
        return {source.name: source.read_bytes()}
    return {str(path.relative_to(source)): path.read_bytes() for path in source.rglob("*") if path.is_file()}


def nameplate(*words: str, cwd: Path, hub: FakeHub) -> subprocess.CompletedProcess[str]:
    """In a process of its own: the Hub's address is read when its client is imported."""
    own = {"HF_ENDPOINT": hub.url, "HF_HOME": str(cwd / "hf"), "HF_HUB_OFFLINE": "0", "OMP_WAIT_POLICY": "PASSIVE"}
    return subprocess.run(
        [sys.executable, "-m", "nameplate", *words],
        cwd=cwd,
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", ["pokemon-cards", "text-to-image-2m", "groundcap"])
def test_init_knows_a_data_set_by_its_address(name: str, tmp_path: Path) -> None:
    with open_shop() as shop:
        (tmp_path / "made").mkdir()
        table = EIGHTEEN[name](tmp_path / "made", shop)
        data_set = PRESETS[name].dataset
        with FakeHub({data_set: files_of(Path(table.source))}).serving() as hub:
            done = nameplate("init", f"hf://datasets/{data_set}", "--json", cwd=tmp_path, hub=hub)
            assert done.returncode == 0, done.stderr
            seen = json.loads(done.stdout)
            assert seen["preset"] == name
            assert "Proposed by" in (tmp_path / "recipe.yaml").read_text(encoding="utf-8")
            done = nameplate("fetch", "recipe.yaml", "--json", cwd=tmp_path, hub=hub)
            assert done.returncode == 0, done.stderr
    kept = pq.read_table(tmp_path / "runs" / "recipe" / "fetch" / "part-00000.parquet").to_pylist()
    found = {(row["image_source_sha256"], row["name"].upper(), row["text"]) for row in kept}
    assert found == {(row.picture, row.name, row.text) for row in table.kept}
