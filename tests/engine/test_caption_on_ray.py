"""The teacher, asked by several workers: no question twice, and no more at once than the recipe says."""

from __future__ import annotations

import json
import pickle
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from nameplate.engine import Engine, LocalEngine, Shard
from nameplate.names import NameEntry, Registry
from nameplate.progress import SilentProgress
from nameplate.recipe import CaptionSection, TeacherSection
from nameplate.stages.caption import CaptionStage
from nameplate.store.images import ImageStore
from nameplate.store.tables import StageTables

from .odd_rows import write_rows

CONCURRENCY = 3
ANSWER = "A red bag by Acme. It has a gold logo in the middle of the front."


class Teacher(ThreadingHTTPServer):
    """Answers every question alike, and counts them."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Asked)
        self.url = f"http://127.0.0.1:{self.server_address[1]}/v1"
        self.lock = threading.Lock()
        self.asked: Counter[bytes] = Counter()
        self.under_way = self.most_under_way = 0


class _Asked(BaseHTTPRequestHandler):
    server: Teacher

    def do_GET(self) -> None:
        self._say({"object": "list", "data": [{"id": "m", "object": "model", "created": 0, "owned_by": "test"}]})

    def do_POST(self) -> None:
        teacher, body = self.server, self.rfile.read(int(self.headers["Content-Length"]))
        with teacher.lock:
            teacher.asked[body] += 1
            teacher.under_way += 1
            teacher.most_under_way = max(teacher.most_under_way, teacher.under_way)
        time.sleep(0.1)
        with teacher.lock:
            teacher.under_way -= 1
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": ANSWER}}
        self._say({"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]})

    def _say(self, tree: dict[str, Any]) -> None:
        body = json.dumps(tree).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def teacher() -> Iterator[Teacher]:
    with Teacher() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def stage_of(teacher: Teacher, folder: Path) -> CaptionStage:
    section = CaptionSection(teacher=TeacherSection(base_urls=teacher.url, model="m", concurrency=CONCURRENCY))
    images = ImageStore(folder.parent / "images")
    return CaptionStage(
        section, registry=Registry((NameEntry("Acme"),)), images=images, journal=folder / "teacher.sqlite"
    )


def inputs_of(folder: Path) -> list[Shard]:
    """Four shards of ten rows; every question stands in two of them."""
    images, rows = ImageStore(folder / "images"), []
    for number in range(40):
        sha256 = images.put(b"\xff\xd8\xff\xdb\x00\x04%02d\xff\xd9" % (number % 20), "jpg")
        rows.append({"row_id": f"{number:03d}", "name": "Acme", "image_sha256": sha256, "image_ext": "jpg"})
    return write_rows(folder / "in", "fetch", rows, per_shard=10)


def test_both_engines_write_the_same_and_ask_nothing_twice(
    ray_engine: Engine, teacher: Teacher, tmp_path: Path
) -> None:
    inputs, written = inputs_of(tmp_path), []
    # Workers that have everything imported begin together, and so could ask too much together.
    warm = StageTables(tmp_path / "warm" / "caption", "caption")
    ray_engine.run(stage_of(teacher, tmp_path / "warm"), inputs, tables=warm, progress=SilentProgress(), total=40)
    for engine, name in ((LocalEngine(), "local"), (ray_engine, "ray")):
        teacher.asked.clear()
        teacher.most_under_way = 0
        tables = StageTables(tmp_path / name / "caption", "caption")
        stage = stage_of(teacher, tmp_path / name)
        outcome = engine.run(stage, inputs, tables=tables, progress=SilentProgress(), total=40)
        assert (outcome.read, outcome.kept) == (40, 40)
        assert outcome.details["requests"] == outcome.details["answers"] == 20
        assert len(teacher.asked) == 20 and set(teacher.asked.values()) == {1}
        assert teacher.most_under_way == CONCURRENCY
        written.append([path.read_bytes() for path in tables.kept_paths()])
    assert written[0] == written[1]


def test_the_key_does_not_travel_with_the_stage(
    teacher: Teacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TeacherSection(model="m").api_key_env, "a-secret-key")
    stage, inputs = stage_of(teacher, tmp_path / "run"), inputs_of(tmp_path)
    LocalEngine().run(
        stage, inputs, tables=StageTables(tmp_path / "caption", "caption"), progress=SilentProgress(), total=40
    )
    assert b"a-secret-key" not in pickle.dumps(stage)
