"""`--engine` and `--address`: what is refused before anything starts, and a real run on Ray."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from nameplate.store.journal import Journal

WITHOUT_RAY = "import sys; sys.modules['ray'] = None\nfrom nameplate.cli import app\napp.main()"


def nameplate(*words: str, cwd: Path, without_ray: bool = False) -> subprocess.CompletedProcess[str]:
    start = ["-c", WITHOUT_RAY] if without_ray else ["-m", "nameplate"]
    return subprocess.run([sys.executable, *start, *words], capture_output=True, text=True, check=False, cwd=cwd)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "feed.csv").write_text("brand,imageurl\nNike,ftp://127.0.0.1/1.jpg\n", encoding="utf-8")
    (tmp_path / "r.yaml").write_text("table: {source: feed.csv, image: imageurl}", encoding="utf-8")
    return tmp_path


def test_an_address_without_ray_is_refused(place: Path) -> None:
    done = nameplate("fetch", "r.yaml", "--address", "127.0.0.1:6379", cwd=place)
    assert done.returncode == 2 and "--engine ray" in done.stderr
    assert not (place / "runs").exists()


def test_an_unknown_engine_is_refused(place: Path) -> None:
    assert nameplate("fetch", "r.yaml", "--engine", "spark", cwd=place).returncode == 2


def test_a_sample_is_asked_from_this_process_only(place: Path) -> None:
    done = nameplate("fetch", "r.yaml", "--sample", "5", "--engine", "ray", cwd=place)
    assert done.returncode == 2 and "leave --engine out" in done.stderr


def test_without_ray_one_paragraph_says_what_to_install(place: Path) -> None:
    done = nameplate("fetch", "r.yaml", "--engine", "ray", cwd=place, without_ray=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "nameplate: engine ray: Ray is not installed; pip install 'nameplate[ray]'\n"


def test_an_address_where_nothing_listens_is_one_paragraph(place: Path) -> None:
    done = nameplate("fetch", "r.yaml", "--engine", "ray", "--address", "127.0.0.1:1", cwd=place)
    assert done.returncode == 2
    assert "Ray at 127.0.0.1:1: nothing listens there" in done.stderr and "Traceback" not in done.stderr


def test_a_relative_run_directory_is_the_same_one_for_ray_s_workers(place: Path) -> None:
    """The link may not be asked, so that the stage ends without a row: what its workers wrote says where they were."""
    done = nameplate("fetch", "r.yaml", "--engine", "ray", "--json", cwd=place)
    assert done.returncode == 2 and "none of 1 rows is left (scheme_blocked 1)" in done.stderr
    assert done.stdout == "" and "ray" not in done.stderr.lower().replace("--engine ray", "")
    run = place / "runs" / "r"
    assert (run / "fetch" / "rejected" / "part-00000.parquet").exists()
    assert json.loads((run / "manifest.json").read_text())["stages"]["ingest"]["kept"] == 1
    with Journal(run / "store" / "fetch.sqlite") as journal:
        assert len(journal) == 0
