"""The client against a scripted server on loopback: nothing is asked twice, nothing is lost, no key gets out."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from nameplate.errors import TeacherError
from nameplate.recipe import SamplingSection, TeacherSection
from nameplate.store.journal import Journal
from nameplate.teacher.client import Answers, Judge, Question, TeacherClient

IMAGE = b"\xff\xd8 the bytes of a picture"
GOOD = "A red cap by Puma."


def reply(text: str | None, finish_reason: str = "stop") -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {
        "id": "x",
        "object": "chat.completion",
        "created": 0,
        "model": "served-model",
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14},
    }


class Script:
    """A teacher that plays its steps in order, then the last one for ever.

    A step is a reply, a status with headers, "drop" (close without a word) or "hang" (say nothing for a second).
    """

    def __init__(self, steps: list[Any], owner: str) -> None:
        self.steps = steps
        self.owner = owner
        self.bodies: list[bytes] = []
        self.keys: list[str] = []
        self.model_requests = 0
        self.lock = threading.Lock()
        self.url = ""

    def take(self, body: bytes, key: str) -> Any:
        with self.lock:
            self.bodies.append(body)
            self.keys.append(key)
            return self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]

    @property
    def asked(self) -> list[dict[str, Any]]:
        return [json.loads(body) for body in self.bodies]


def _handler(script: Script) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            script.model_requests += 1
            model = {"id": "m", "object": "model", "created": 0, "owned_by": script.owner}
            self.say(200, {"object": "list", "data": [model]}, {})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            step = script.take(body, self.headers["Authorization"])
            if step == "drop":
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
            elif step == "hang":
                time.sleep(0.6)
                self.close_connection = True
            elif isinstance(step, tuple):
                self.say(step[0], {"error": {"message": step[1], "type": "t"}}, step[2] if len(step) > 2 else {})
            else:
                self.say(200, step, {"x-request-id": f"request-{len(script.bodies)}"})

        def say(self, status: int, tree: Any, headers: dict[str, str]) -> None:
            data = tree.encode() if isinstance(tree, str) else json.dumps(tree).encode()
            self.send_response(status)
            kind = "text/html" if isinstance(tree, str) else "application/json"
            for key, value in {"Content-Type": kind, "Content-Length": str(len(data)), **headers}.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


Play = Callable[..., Script]


@pytest.fixture
def play() -> Iterator[Play]:
    servers: list[ThreadingHTTPServer] = []

    def start(*steps: Any, owner: str = "someone") -> Script:
        script = Script(list(steps), owner)
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(script))
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        script.url = f"http://127.0.0.1:{server.server_port}/v1"
        return script

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def judge(text: str, finish_reason: str) -> list[str]:
    """A small fixed judge: an answer is good when it names Puma."""
    return [] if "Puma" in text else ["name_absent"]


def question(prompt: str = "Describe this Puma cap.", sha256: str = "aa", image: bytes = IMAGE) -> Question:
    return Question(sha256, "image/jpeg", lambda: image, prompt, "Puma")


class Clock:
    """Stands for waiting: writes down how long, and does not."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await asyncio.sleep(0)


def client(
    url: str, folder: Path, *, pause: Callable[[float], Awaitable[None]] | None = None, **teacher: Any
) -> TeacherClient:
    section = TeacherSection(base_url=url, model="m", **teacher)
    return TeacherClient(section, SamplingSection(), folder / "teacher.sqlite", pause=pause or Clock())


def ask(teacher: TeacherClient, *questions: Question, judge: Judge = judge) -> list[Answers]:
    async def run() -> list[Answers]:
        async with teacher:
            return list(await asyncio.gather(*(teacher.ask(question, judge) for question in questions)))

    return asyncio.run(run())


def entries(folder: Path) -> list[dict[str, Any]]:
    with Journal(folder / "teacher.sqlite") as journal:
        return [entry for _, entry in journal.items()]


def test_image_goes_as_the_bytes_we_validated_and_sampling_as_the_recipe_has_it(play: Play, tmp_path: Path) -> None:
    script = play(reply(GOOD))
    (answers,) = ask(client(script.url, tmp_path), question())
    (body,) = script.asked
    picture, words = body["messages"][0]["content"]
    assert base64.b64decode(picture["image_url"]["url"].removeprefix("data:image/jpeg;base64,")) == IMAGE
    assert words["text"] == "Describe this Puma cap."
    assert {key: body[key] for key in ("model", "temperature", "top_p", "max_tokens")} == {
        "model": "m",
        "temperature": 0.1,
        "top_p": 0.2,
        "max_tokens": 200,
    }
    assert "seed" not in body
    assert answers.best is not None and answers.best.text == GOOD


def test_answer_is_in_the_journal_with_all_that_the_server_said(play: Play, tmp_path: Path) -> None:
    ask(client(play(reply(GOOD)).url, tmp_path), question())
    (entry,) = entries(tmp_path)
    assert entry["text"] == GOOD and entry["finish_reason"] == "stop" and entry["model"] == "served-model"
    assert entry["usage"]["completion_tokens"] == 5 and entry["problems"] == [] and entry["latency_ms"] >= 0
    assert entry["ask"]["max_tokens"] == 200 and entry["request_id"] == "request-1" and entry["simulated"] is False


def test_bad_answer_is_asked_again_changed_and_both_are_kept(play: Play, tmp_path: Path) -> None:
    script = play(reply("A red cap."), reply(GOOD))
    (answers,) = ask(client(script.url, tmp_path), question())
    first, second = script.asked
    assert second["messages"] != first["messages"] and second["seed"] == 1
    assert [entry["problems"] for entry in entries(tmp_path)] == [["name_absent"], []]
    assert answers.first_problem == "name_absent" and answers.best is not None and answers.best.text == GOOD


def test_a_second_run_asks_nothing_even_with_a_stricter_judge(play: Play, tmp_path: Path) -> None:
    script = play(reply(GOOD))
    ask(client(script.url, tmp_path), question())
    again = client("http://127.0.0.1:1/v1", tmp_path)
    (answers,) = ask(again, question(), judge=lambda text, finish: ["garbled"])
    assert again.num_sent == 0 and len(script.bodies) == 1
    assert answers.best is not None and answers.best.text == GOOD


def test_a_half_climbed_ladder_goes_on_where_it_stopped(play: Play, tmp_path: Path) -> None:
    script = play(reply("A cap."), (401, "expired"))
    with pytest.raises(TeacherError):
        ask(client(script.url, tmp_path), question())
    later = play(reply(GOOD))
    (answers,) = ask(client(later.url, tmp_path), question())
    assert [body.get("seed") for body in later.asked] == [1]
    assert len(answers.answers) == 2


def test_ladder_ends_and_keeps_the_last_text(play: Play, tmp_path: Path) -> None:
    script = play(reply("One cap."), reply("Two caps."), reply(None))
    (answers,) = ask(client(script.url, tmp_path, max_attempts=3), question())
    assert len(script.bodies) == 3 and len(set(script.bodies)) == 3
    assert answers.best is not None and answers.best.text == "Two caps."
    assert answers.answers[2].problems == ("empty",)


def test_cut_off_answer_is_a_problem_whatever_the_judge_says(play: Play, tmp_path: Path) -> None:
    script = play(reply(GOOD, "length"), reply(GOOD))
    (answers,) = ask(client(script.url, tmp_path), question())
    assert [body["max_tokens"] for body in script.asked] == [200, 300]
    assert answers.first_problem == "cut_off"


def test_busy_teacher_gets_the_same_request_again_and_no_rung_is_used(play: Play, tmp_path: Path) -> None:
    script = play((503, "starting"), (429, "slow down", {"Retry-After": "9"}), "drop", reply(GOOD))
    clock = Clock()
    teacher = client(script.url, tmp_path, pause=clock, max_attempts=1)
    (answers,) = ask(teacher, question())
    assert len(script.bodies) == 4 and len(set(script.bodies)) == 1
    assert len(answers.answers) == 1 and len(entries(tmp_path)) == 1
    assert clock.pauses[0] <= 0.5 and clock.pauses[1] == 9
    assert teacher.num_sent == 4


def test_retry_after_holds_back_the_other_questions_too(play: Play, tmp_path: Path) -> None:
    script = play((429, "slow down", {"Retry-After": "9"}), reply(GOOD))
    clock = Clock()
    teacher = client(script.url, tmp_path, pause=clock, concurrency=1)
    ask(teacher, question(sha256="aa"), question(sha256="bb"))
    assert len([seconds for seconds in clock.pauses if seconds > 8]) >= 2


def test_slow_answer_is_a_timeout_and_asked_again(play: Play, tmp_path: Path) -> None:
    script = play("hang", reply(GOOD))
    (answers,) = ask(client(script.url, tmp_path, timeout_seconds=0.2), question())
    assert len(script.bodies) == 2 and answers.best is not None


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_refusal_stops_the_run_with_one_paragraph(play: Play, tmp_path: Path, status: int) -> None:
    script = play((status, "no such thing"))
    with pytest.raises(TeacherError) as caught:
        ask(client(script.url, tmp_path), question())
    assert f"HTTP {status}" in str(caught.value) and script.url in str(caught.value)
    assert caught.value.fix and len(script.bodies) == 1


def test_key_comes_from_the_environment_and_reaches_only_the_header(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-very-secret")
    script = play(reply(GOOD), (401, "bad key sk-very-secret\nline two"))
    teacher = client(script.url, tmp_path, api_key_env="MY_KEY")
    ask(teacher, question())
    with pytest.raises(TeacherError) as caught:
        ask(teacher, question(sha256="bb"))
    assert script.keys == ["Bearer sk-very-secret"] * 2
    assert "very-secret" not in str(caught.value) and "\n" not in str(caught.value) and "MY_KEY" in str(caught.value)
    for path in tmp_path.iterdir():
        assert b"very-secret" not in path.read_bytes()


def test_no_key_is_a_dummy_one(play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    script = play(reply(GOOD))
    ask(client(script.url, tmp_path), question())
    assert script.keys == ["Bearer none"]


def test_no_teacher_at_the_address_is_said_at_once(tmp_path: Path) -> None:
    clock = Clock()
    with pytest.raises(TeacherError) as caught:
        ask(client("http://user:secret@127.0.0.1:1/v1", tmp_path, pause=clock), question())
    assert "http://127.0.0.1:1/v1" in str(caught.value) and "secret" not in str(caught.value)
    assert "base_url" in caught.value.fix and clock.pauses == []


def test_teacher_that_never_answers_stops_the_run_after_a_few_tries(play: Play, tmp_path: Path) -> None:
    script = play((503, "broken"))
    with pytest.raises(TeacherError, match="does not answer any more"):
        ask(client(script.url, tmp_path), question())
    assert len(script.bodies) == 6


def test_one_question_without_answer_does_not_stop_the_others(play: Play, tmp_path: Path) -> None:
    script = play(reply(GOOD), *[(503, "hard")] * 6, reply(GOOD))
    teacher = client(script.url, tmp_path, concurrency=1)
    (easy,) = ask(teacher, question(sha256="aa"))
    (hard,) = ask(teacher, question(sha256="bb"))
    (later,) = ask(teacher, question(sha256="cc"))
    assert easy.best and later.best and hard.best is None and hard.answers == ()


def test_teacher_gone_in_the_middle_stops_the_run(play: Play, tmp_path: Path) -> None:
    script = play(reply(GOOD), "drop")
    teacher = client(script.url, tmp_path)
    ask(teacher, question(sha256="00"))
    with pytest.raises(TeacherError, match="does not answer any more"):
        ask(teacher, *(question(sha256=f"{number}") for number in range(1, 5)))
    assert len(entries(tmp_path)) == 1


@pytest.mark.parametrize("answer", ["<html>hello</html>", {"hello": 1}, {**reply(GOOD), "choices": [{}]}])
def test_reply_that_is_no_completion_says_so(play: Play, tmp_path: Path, answer: Any) -> None:
    with pytest.raises(TeacherError, match="base_url"):
        ask(client(play(answer).url, tmp_path), question())


def test_rows_with_the_same_image_and_prompt_ask_once(play: Play, tmp_path: Path) -> None:
    script = play(reply(GOOD))
    results = ask(client(script.url, tmp_path), *[question()] * 5)
    assert len(script.bodies) == 1
    assert {answers.key for answers in results} == {results[0].key}


def test_concurrency_is_what_the_recipe_says(play: Play, tmp_path: Path) -> None:
    script = play(reply(GOOD))
    under_way, most = 0, 0
    teacher = client(script.url, tmp_path, concurrency=3)

    async def run() -> None:
        nonlocal under_way, most
        async with teacher:
            send = teacher._exchange.send

            async def watched(*args: Any) -> Any:
                nonlocal under_way, most
                under_way += 1
                most = max(most, under_way)
                try:
                    return await send(*args)
                finally:
                    under_way -= 1

            teacher._exchange.send = watched  # type: ignore[method-assign]  # a spy in place of the real method
            await asyncio.gather(*(teacher.ask(question(sha256=str(n)), judge) for n in range(12)))

    asyncio.run(run())
    assert most == 3 and len(script.bodies) == 12


def test_key_depends_on_what_is_asked_and_on_nothing_else(tmp_path: Path) -> None:
    base = client("http://127.0.0.1:1/v1", tmp_path)
    key = base.key(question())
    assert client("http://10.0.0.1/v1", tmp_path, timeout_seconds=5, max_attempts=9).key(question()) == key
    assert base.key(question(sha256="bb")) != key
    assert base.key(question(prompt="Other.")) != key
    other_model = TeacherClient(TeacherSection(model="n"), SamplingSection(), tmp_path / "j")
    warmer = TeacherClient(TeacherSection(model="m"), SamplingSection(temperature=0.2), tmp_path / "j")
    assert len({key, other_model.key(question()), warmer.key(question())}) == 3


@pytest.mark.parametrize(("owner", "expected"), [("nameplate-simulator", True), ("vllm", False)])
def test_simulator_is_known_by_its_list_of_models_asked_once(
    play: Play, tmp_path: Path, owner: str, expected: bool
) -> None:
    script = play(reply(GOOD), owner=owner)
    ask(client(script.url, tmp_path), question(sha256="aa"), question(sha256="bb"))
    assert [entry["simulated"] for entry in entries(tmp_path)] == [expected, expected]
    assert script.model_requests == 1


def test_server_without_a_list_of_models_is_no_simulator(tmp_path: Path) -> None:
    class Bare(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Bare)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

    async def run() -> bool:
        async with client(f"http://127.0.0.1:{server.server_port}/v1", tmp_path) as teacher:
            return await teacher.is_simulated()

    assert asyncio.run(run()) is False
    server.shutdown()
    server.server_close()
