"""The tools that our cleaning is measured against, each in an environment of its own outside the tree."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

_ENVIRONMENTS = Path.home() / ".cache" / "nameplate-benchmarks"
_WORKER = Path(__file__).with_name("clean_worker.py")


class Peer(NamedTuple):
    """A package and what else it needs to be imported."""

    pins: tuple[str, ...]

    @property
    def version(self) -> str:
        """The package itself, pinned."""
        return self.pins[0]


DATATROVE = Peer(
    ("datatrove[processing]==0.10.1", "spacy==3.8.18", "nltk==3.10.4", "regex==2026.11.15", "numpy==2.4.6")
)
# It imports aiohttp, but does not ask for it.
DATA_JUICER = Peer(("py-data-juicer==1.6.1", "aiohttp>=3.12", "numpy==2.4.6", "pandas==3.1.1", "datasets==5.2.0"))


class Measured(NamedTuple):
    """What a tool said of each caption, and how long each round over all of them took."""

    verdicts: list[list[str]]
    seconds: list[float]


def ensure(peer: Peer) -> str | None:
    """The interpreter of a peer's environment, which is made unless it is there; none when it does not install."""
    folder = _ENVIRONMENTS / f"{peer.version.partition('[')[0].partition('=')[0]}-{peer.version.rpartition('=')[2]}"
    stamp = folder / "pins.json"
    python = str(folder / "bin" / "python")
    if stamp.exists() and json.loads(stamp.read_text()) == list(peer.pins):
        return python
    print(f"making {folder}", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    done = subprocess.run([python, "-m", "pip", "install", "--quiet", *peer.pins], check=False)
    if done.returncode != 0:
        print(f"{peer.version} does not install here", file=sys.stderr)
        return None
    stamp.write_text(json.dumps(list(peer.pins)))
    return python


def run(python: str, tool: str, captions: Path, *, rounds: int) -> Measured:
    """One tool over a file of captions."""
    command = [python, str(_WORKER), tool, str(captions), str(rounds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{tool} failed: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return Measured(found["verdicts"], found["seconds"])
