"""The tool that ours is measured against: img2dataset, in an environment of its own outside the tree."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import pyarrow.parquet as pq

from measure import Cost, run_tree

IMG2DATASET = "img2dataset==1.47.0"
PINS = (
    IMG2DATASET,
    # Its own "albumentations<2" and "opencv-python-headless" resolve to these; later ones may not.
    "albumentations==1.4.24",
    "opencv-python-headless==4.14.0.94",
    "numpy==2.4.6",
    "pandas==2.3.3",
    "pyarrow==26.0.1",
    "webdataset==0.2.111",
    "setuptools<81",
)
_ENVIRONMENTS = Path.home() / ".cache" / "nameplate-benchmarks"
_QUIET = {"NO_ALBUMENTATIONS_UPDATE": "1", "WANDB_MODE": "disabled"}

OutputFormat = Literal["webdataset", "files"]


class PeerSettings(NamedTuple):
    """How img2dataset is run; `str` of it is read back by `parse`."""

    processes: int
    threads: int
    output: OutputFormat = "webdataset"
    retries: int = 0

    @classmethod
    def parse(cls, text: str) -> PeerSettings:
        """Read PROCESSESxTHREADS:OUTPUT, such as 2x32:webdataset."""
        workers, _, output = text.partition(":")
        processes, threads = (int(part) for part in workers.split("x"))
        return cls(processes, threads, "files" if output == "files" else "webdataset")

    @property
    def parallel(self) -> int:
        """Most requests at once."""
        return self.processes * self.threads

    def __str__(self) -> str:
        return f"{self.processes}x{self.threads}:{self.output}"


class SavedImage(NamedTuple):
    """An image and the row of the table that a tool says it belongs to."""

    row: int
    data: bytes


class Peer(NamedTuple):
    """img2dataset, ready to run."""

    command: Path
    python: str
    """The version of Python that it runs on."""


def ensure_img2dataset(python: str | None = None) -> Peer:
    """Make the environment unless it is there.

    Args:
        python: the interpreter that it runs on; none: the newest that it can run on, which is its fastest (3.12), or
            else ours.
    """
    python = python or _its_best_python()
    version = _version(python)
    if version is None or version.split(".") >= ["3", "13"]:
        raise SystemExit(f"img2dataset 1.47 does not start on {python} ({version}): it imports imghdr; give 3.12")
    folder = _ENVIRONMENTS / f"img2dataset-1.47.0-python-{version}"
    stamp = folder / "pins.json"
    if not stamp.exists() or json.loads(stamp.read_text()) != list(PINS):
        print(f"making {folder}", file=sys.stderr)
        subprocess.run([python, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", *PINS]
        subprocess.run(pip, check=True)
        stamp.write_text(json.dumps(PINS))
    return Peer(folder / "bin" / "img2dataset", version)


def _its_best_python() -> str:
    newest = shutil.which("python3.12")
    return newest if newest is not None and _version(newest) is not None else sys.executable


def _version(python: str) -> str | None:
    """Major and minor version of an interpreter; none: it cannot be run."""
    show = "import sys; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([python, "-c", show], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def run_img2dataset(
    command: Path,
    *,
    table: Path,
    folder: Path,
    settings: PeerSettings,
    num_links: int,
    longest_side: int,
    env: Mapping[str, str],
) -> Cost:
    """Fetch the table into `folder`, which must not exist."""
    # One shard for each process: with fewer one would idle, with more each would start and end its threads again.
    rows_per_shard = max(2, -(-num_links // settings.processes))
    options = {
        "url_list": table,
        "input_format": "csv",
        "url_col": "imageurl",
        "caption_col": "title",
        "save_additional_columns": '["id"]',
        "output_folder": folder,
        "output_format": settings.output,
        "image_size": longest_side,
        "resize_mode": "keep_ratio_largest",
        "resize_only_if_bigger": True,
        "encode_format": "jpg",
        "encode_quality": 95,
        # There is none in these images, and looking for it costs.
        "extract_exif": False,
        "number_sample_per_shard": rows_per_shard,
        "processes_count": settings.processes,
        "thread_count": settings.threads,
        "retries": settings.retries,
        "enable_wandb": False,
    }
    words = [str(command), *(f"--{name}={value}" for name, value in options.items())]
    return run_tree(words, log=folder.with_suffix(".log"), env={**_QUIET, **env})


def saved_by_img2dataset(folder: Path) -> Iterator[SavedImage]:
    """What it saved, by its own tables."""
    for path in sorted(folder.glob("*.parquet")):
        rows = pq.read_table(path, columns=["id", "key", "status"]).to_pylist()
        row_of_key = {row["key"]: int(row["id"]) for row in rows if row["status"] == "success"}
        tar = path.with_suffix(".tar")
        pictures = _in_tar(tar) if tar.exists() else _in_folder(path.with_suffix(""))
        for key, data in pictures:
            yield SavedImage(row_of_key.pop(key), data)
        if row_of_key:
            raise SystemExit(f"{path}: {len(row_of_key)} rows say success and have no image")


def seconds_by_itself(folder: Path) -> float:
    """Seconds from the start of its first shard to the end of its last, without its start and its end."""
    stats = [json.loads(path.read_text()) for path in folder.glob("*_stats.json")]
    return float(max(each["end_time"] for each in stats) - min(each["start_time"] for each in stats))


def _in_tar(path: Path) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(path) as tar:
        for member in tar:
            if member.name.endswith(".jpg"):
                file = tar.extractfile(member)
                assert file is not None
                yield member.name.removesuffix(".jpg"), file.read()


def _in_folder(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.glob("*.jpg")):
        yield path.stem, path.read_bytes()
