"""A teacher on loopback that plays a script, and a client to ask it."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from nameplate.recipe import CaptionSection, TeacherSection
from nameplate.store.journal import Journal
from nameplate.teacher.client import Answers, Judge, Question, TeacherClient
from nameplate.teacher.line import Clock

IMAGE = b"\xff\xd8 the bytes of a picture"
GOOD = "A red cap by Puma."


def reply(text: Any, finish_reason: Any = "stop", **message: Any) -> dict[str, Any]:
    """A completion as vLLM writes it."""
    return {
        "id": "x",
        "object": "chat.completion",
        "created": 0,
        "model": "served-model",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": finish_reason}
        ],
        "usage": {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14},
    }


class Script:
    """A teacher that plays its steps in order, then the last one for ever.

    A step is a reply (a dict), a body (bytes), a status with a message or an error object and perhaps headers, "drop"
    (close without a word), "cut" (close in the middle of a good body), "hang" (say nothing until the test ends),
    "endless" (an answer that goes on until nobody listens), or a
    function of the request's body that returns a step.
    """

    def __init__(self, steps: list[Any], owner: str, models: tuple[str, ...] | None = ("m",)) -> None:
        self.steps = steps
        self.owner = owner
        self.models = models
        self.bodies: list[bytes] = []
        self.keys: list[str] = []
        self.model_requests = 0
        self.num_cut_short = 0
        self.under_way = self.most_under_way = 0
        self.lock = threading.Lock()
        self.is_over = threading.Event()
        self.url = ""

    def take(self, body: bytes, key: str) -> Any:
        with self.lock:
            self.bodies.append(body)
            self.keys.append(key)
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
            step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        return step(json.loads(body)) if callable(step) else step

    def done(self) -> None:
        with self.lock:
            self.under_way -= 1

    @property
    def asked(self) -> list[dict[str, Any]]:
        return [json.loads(body) for body in self.bodies]


class Teacher(ThreadingHTTPServer):
    """Serves one script."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, script: Script) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script = script
        script.url = f"http://127.0.0.1:{self.server_port}/v1"
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def end(self) -> None:
        self.script.is_over.set()
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet: the second would wait for a delayed acknowledgement of the first
    server: Teacher

    def do_GET(self) -> None:
        script = self.server.script
        script.model_requests += 1
        if script.models is None:
            self.say(404, b"{}", {})
            return
        models = [{"id": name, "object": "model", "created": 0, "owned_by": script.owner} for name in script.models]
        self.say(200, json.dumps({"object": "list", "data": models}).encode(), {})

    def do_POST(self) -> None:
        script = self.server.script
        body = self.rfile.read(int(self.headers["Content-Length"]))
        step = script.take(body, self.headers["Authorization"])
        script.done()
        if step in ("drop", "cut", "hang", "endless"):
            self.fail(step)
        elif isinstance(step, tuple):
            error = step[1] if isinstance(step[1], dict) else {"message": step[1], "type": "t"}
            self.say(step[0], json.dumps({"error": error}).encode(), step[2] if len(step) > 2 else {})
        else:
            data = step if isinstance(step, bytes) else json.dumps(step).encode()
            self.say(200, data, {"x-request-id": f"request-{len(script.bodies)}"})

    def fail(self, step: str) -> None:
        if step == "hang":
            self.server.script.is_over.wait(60)
        elif step == "endless":
            self.talk()
        elif step == "cut":
            data = json.dumps(reply(GOOD)).encode()
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
            self.wfile.write(b"Content-Length: %d\r\n\r\n" % len(data) + data[:60])
        self.close_connection = True
        with suppress(OSError):
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)

    def talk(self) -> None:
        self.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n")
        self.wfile.write(b'{"choices": [{"message": {"content": "')
        try:
            while not self.server.script.is_over.is_set():
                self.wfile.write(b"very " * 10_000)
                self.wfile.flush()
        except OSError:
            self.server.script.num_cut_short += 1

    def say(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        try:
            self.wfile.write(data)
            self.wfile.flush()
        except OSError:
            self.close_connection = True  # who asked has heard enough

    def log_message(self, format: str, *args: object) -> None:
        pass


Play = Callable[..., Script]


def judge(text: str, finish_reason: str) -> list[str]:
    """A small fixed judge: an answer is good when it names Puma."""
    return [] if "Puma" in text else ["name_absent"]


def question(
    prompt: str = "Describe this Puma cap.", sha256: str = "aa", image: bytes = IMAGE, **more: Any
) -> Question:
    return Question(sha256, "image/jpeg", lambda: image, prompt, "Puma", **more)


class FastClock(Clock):
    """Stands for time: it passes only when somebody waits, and then at once."""

    def __init__(self) -> None:
        self.time = 0.0
        self.pauses: list[float] = []

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await asyncio.sleep(0)
        self.time += seconds


def caption(url: str | tuple[str, ...], *, budget: dict[str, Any] | None = None, **teacher: Any) -> CaptionSection:
    fields = {"base_urls": url, "model": "m", **teacher}
    return CaptionSection(teacher=TeacherSection(**fields), budget=budget or {})


def client(url: str | tuple[str, ...], folder: Path, *, clock: Clock | None = None, **teacher: Any) -> TeacherClient:
    return TeacherClient(caption(url, **teacher), folder / "teacher.sqlite", clock=clock or FastClock())


def ask(teacher: TeacherClient, *questions: Question, judge: Judge = judge) -> list[Answers]:
    """Ask all at once; the first failure stops them, as it does in the stage."""

    async def run() -> list[Answers]:
        async with teacher:
            try:
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(teacher.ask(question, judge)) for question in questions]
            except BaseExceptionGroup as failures:
                raise failures.exceptions[0] from None
            return [task.result() for task in tasks]

    return asyncio.run(asyncio.wait_for(run(), 60))


def entries(folder: Path) -> list[dict[str, Any]]:
    """All answers in the journal."""
    with Journal(folder / "teacher.sqlite") as journal:
        return [entry for key, entry in journal.items() if not key.endswith(":line")]


def lines(folder: Path) -> list[dict[str, Any]]:
    """What went wrong on the way to answers."""
    with Journal(folder / "teacher.sqlite") as journal:
        return [entry for key, entry in journal.items() if key.endswith(":line")]
