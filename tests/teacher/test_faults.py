"""A teacher that misbehaves in every known way: nothing crashes, nothing is lost, and what is told is of use."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from nameplate.errors import TeacherError
from nameplate.teacher.exchange import MOST_BYTES
from nameplate.teacher.reply import LONGEST_TEXT

from .scripted import GOOD, FastClock, Play, ask, client, entries, lines, question, reply


def stop_of(script_url: str | tuple[str, ...], folder: Path, *, rows: int = 1, **more: Any) -> TeacherError:
    """The error that ends a run over so many rows."""
    with pytest.raises(TeacherError) as caught:
        ask(client(script_url, folder, **more), *(question(sha256=str(number)) for number in range(rows)))
    assert "\n" not in str(caught.value) and caught.value.fix
    return caught.value


@pytest.mark.parametrize(
    ("step", "fault", "status"),
    [
        ((503, "starting"), "busy", 503),
        ((429, "slow down", {"Retry-After": "9"}), "busy", 429),
        ((500, "oops"), "broken", 500),
        ("drop", "dropped", None),
        ("cut", "dropped", None),
        ("hang", "timed_out", None),
        (b'{"choices": [{"message": {"content": "A red', "unreadable", 200),
        (b"\xff\xfe\x00", "unreadable", 200),
        (b"[" * 100_000, "unreadable", 200),
        ({"error": {"code": 502, "message": "upstream"}}, "broken", 502),
        ({"error": {"code": "rate_limit_exceeded", "message": "slow"}}, "busy", 429),
        ({"error": "no object"}, "broken", 500),
        ({**reply(None), "choices": [{"error": {"code": 503}, "message": {}, "finish_reason": "error"}]}, "busy", 503),
    ],
)
def test_a_failing_line_gets_the_same_request_again_and_no_rung_is_used(
    play: Play, tmp_path: Path, step: Any, fault: str, status: int | None
) -> None:
    script = play(step, reply(GOOD))
    teacher = client(script.url, tmp_path, max_attempts=1, timeout_seconds=3)
    (answers,) = ask(teacher, question())
    assert len(script.bodies) == 2 and len(set(script.bodies)) == 1 and teacher.num_sent == 2
    assert answers.best is not None and answers.best.text == GOOD and len(answers.answers) == 1
    (line,) = lines(tmp_path)
    assert line["line"] == [{"fault": fault, "status": status, "server": script.url, "count": 1}]


def test_a_server_rests_longer_each_time_and_as_long_as_it_asks(play: Play, tmp_path: Path) -> None:
    script = play((503, "busy"), (503, "busy"), (429, "slow down", {"Retry-After": "9"}), (500, "oops"), reply(GOOD))
    clock = FastClock()
    ask(client(script.url, tmp_path, clock=clock), question())
    first, second, asked, fourth = clock.pauses
    assert 0.375 <= first <= 0.5 and 0.75 <= second <= 1 and asked == pytest.approx(9) and 3 <= fourth <= 4


def test_retry_after_holds_back_all_questions(play: Play, tmp_path: Path) -> None:
    script = play((429, "slow down", {"Retry-After": "9"}), reply(GOOD))
    clock = FastClock()
    ask(client(script.url, tmp_path, clock=clock, concurrency=1), question(sha256="aa"), question(sha256="bb"))
    assert clock.time == pytest.approx(9) and len(script.bodies) == 3


@pytest.mark.parametrize(
    ("step", "words", "fix"),
    [
        ((401, "expired"), "HTTP 401: expired", "OPENAI_API_KEY"),
        ((402, "no credit"), "HTTP 402: no credit", "no money"),
        ((429, {"message": "quota", "code": "insufficient_quota"}), "HTTP 429: quota", "no money"),
        ((403, "not yours"), "HTTP 403", "may not use this model"),
        ((404, "no such model"), "HTTP 404", "set caption.teacher.model to a model that it offers: one, two"),
        ((400, {"message": "bad model", "param": "model"}), "HTTP 400", "a model that it offers: one, two"),
        ((400, {"message": "bad", "code": "model_not_found"}), "HTTP 400", "a model that it offers: one, two"),
        ({"error": {"code": 401, "message": "expired"}}, "error 401 in a 200", "OPENAI_API_KEY"),
        ((307, "elsewhere", {"Location": "http://other/v1?key=k"}), "sends us to http://other/v1", "base_urls"),
    ],
)
def test_what_every_request_would_be_told_stops_the_run(
    play: Play, tmp_path: Path, step: Any, words: str, fix: str
) -> None:
    script = play(step, models=("one", "two"))
    stop = stop_of(script.url, tmp_path)
    assert words in str(stop) and fix in stop.fix and script.url in str(stop)
    assert len(script.bodies) == 1 and "?key" not in str(stop)


def test_answers_under_way_are_kept_when_the_run_must_stop(play: Play, tmp_path: Path) -> None:
    """What is under way has been paid for."""
    refused = threading.Event()

    def slow(body: dict[str, Any]) -> Any:
        refused.wait(10)
        return reply(GOOD)

    def refuse(body: dict[str, Any]) -> Any:
        threading.Timer(0.2, refused.set).start()
        return (401, "expired")

    script = play(slow, refuse)
    stop_of(script.url, tmp_path, rows=5, concurrency=4)
    assert len(script.bodies) == 2 and [entry["text"] for entry in entries(tmp_path)] == [GOOD]


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_refused_picture_ends_its_row_with_a_reason(play: Play, tmp_path: Path, status: int) -> None:
    script = play(reply(GOOD), (status, "image too large"), reply(GOOD))
    teacher = client(script.url, tmp_path, concurrency=1)
    easy, hard, later = ask(teacher, *(question(sha256=name) for name in ("aa", "bb", "cc")))
    assert easy.best and later.best and hard.best is None and hard.answers == ()
    assert hard.failure == f"HTTP {status}: image too large"


def test_a_refused_retry_leaves_the_answers_before_it(play: Play, tmp_path: Path) -> None:
    script = play(reply("A cap.", "length"), (400, "context length"))
    (answers,) = ask(client(script.url, tmp_path), question())
    assert answers.best is not None and answers.best.text == "A cap." and "context length" in answers.failure


def test_a_server_that_refuses_everything_stops_the_run(play: Play, tmp_path: Path) -> None:
    script = play((400, "this model reads no images"), models=("other",))
    stop = stop_of(script.url, tmp_path, rows=30, concurrency=1)
    assert "refused 3 questions in a row" in str(stop) and "reads no images" in str(stop) and len(script.bodies) == 3
    assert "other" in stop.fix


def test_a_server_that_begins_to_refuse_everything_stops_the_run_later(play: Play, tmp_path: Path) -> None:
    script = play(reply(GOOD), (400, "broken template"))
    stop = stop_of(script.url, tmp_path, rows=60, concurrency=1)
    assert "refused 25 questions in a row" in str(stop) and len(script.bodies) == 26


@pytest.mark.parametrize(
    "answer", [b"<html>hello</html>", {"hello": 1}, {**reply(GOOD), "choices": [{}]}, b"null", b"[]", b""]
)
def test_a_server_that_is_no_teacher_is_told_so(play: Play, tmp_path: Path, answer: Any) -> None:
    stop = stop_of(play(answer).url, tmp_path)
    assert "cannot be read" in str(stop) and "base_urls" in stop.fix


@pytest.mark.parametrize(
    "odd",
    [
        {**reply(None), "choices": []},
        reply(None),
        reply(""),
        reply(7),
        {**reply(None), "choices": [{"message": {"role": "assistant"}}]},
    ],
)
def test_a_reply_without_text_is_an_answer_without_text(play: Play, tmp_path: Path, odd: Any) -> None:
    script = play(odd, reply(GOOD))
    (answers,) = ask(client(script.url, tmp_path), question())
    assert answers.first_problem == "empty" and answers.best is not None and len(set(script.bodies)) == 2


def test_what_a_server_leaves_out_or_makes_up_does_no_harm(play: Play, tmp_path: Path) -> None:
    odd = {"choices": [{"message": {"content": [{"type": "text", "text": GOOD}]}, "finish_reason": "quantum"}]}
    odd |= {"usage": {"prompt_tokens": "many", "completion_tokens": -1}, "model": ["x"]}
    (answers,) = ask(client(play(odd).url, tmp_path), question())
    assert answers.best is not None and answers.best.text == GOOD and answers.best.finish_reason == "quantum"
    (entry,) = entries(tmp_path)
    assert entry["usage"] == {} and entry["model"] == "" and entry["problems"] == []


def test_half_a_character_can_be_kept(play: Play, tmp_path: Path) -> None:
    body = json.dumps(reply("A red cap by Puma \ud83d")).encode()
    (answers,) = ask(client(play(body).url, tmp_path), question())
    assert answers.best is not None and answers.best.text.endswith("\ufffd")


@pytest.mark.parametrize("size", [LONGEST_TEXT + 1, 5_000_000])
def test_an_endless_answer_is_read_as_far_as_an_answer_can_be_and_is_a_bad_one(
    play: Play, tmp_path: Path, size: int
) -> None:
    loop = 'A "red" cap by Puma\n\u00e9\U0001f9e2 '
    script = play(reply((loop * (size // len(loop) + 1))[:size]), reply(GOOD))
    (answers,) = ask(client(script.url, tmp_path), question())
    first, last = entries(tmp_path)
    assert first["note"] == "over_long" and "tail_loop" in first["problems"] and len(first["text"]) == LONGEST_TEXT
    assert (loop * 1000).startswith(first["text"][:15_000]) and last["problems"] == []
    assert answers.best is not None and answers.best.text == GOOD and len(set(script.bodies)) == 2
    assert MOST_BYTES < 5_000_000


def test_a_server_that_never_ends_its_answer_is_not_listened_to(play: Play, tmp_path: Path) -> None:
    script = play("endless", reply(GOOD))
    (answers,) = ask(client(script.url, tmp_path, timeout_seconds=20), question())
    first, _ = entries(tmp_path)
    assert first["note"] == "over_long" and first["text"].startswith("very very") and answers.best is not None
    assert lines(tmp_path) == [] and len(script.bodies) == 2


def test_a_teacher_that_never_answers_stops_the_run(play: Play, tmp_path: Path) -> None:
    script = play((503, "broken"))
    stop = stop_of(script.url, tmp_path, rows=8, concurrency=2)
    assert "does not answer any more (HTTP 503: broken)" in str(stop) and len(script.bodies) <= 8


def test_no_teacher_at_the_address_is_said_at_once(tmp_path: Path) -> None:
    clock = FastClock()
    stop = stop_of("http://127.0.0.1:1/v1", tmp_path, clock=clock)
    assert "nothing answers there" in str(stop) and "http://127.0.0.1:1/v1" in str(stop)
    assert "base_urls" in stop.fix and clock.pauses == []


def test_one_question_without_answer_does_not_stop_the_others(play: Play, tmp_path: Path) -> None:
    def step(body: dict[str, Any]) -> Any:
        return (500, "hard") if "hard" in body["messages"][0]["content"][1]["text"] else reply(GOOD)

    script = play(step)
    teacher = client(script.url, tmp_path, concurrency=1)
    hard = question(prompt="A hard Puma cap.")
    questions = [question(sha256=str(number)) for number in range(9)]
    answers = ask(teacher, *questions[:2], hard, *questions[2:])
    assert [found.best is None for found in answers] == [False, False, True, *[False] * 7]
    assert answers[2].failure == "HTTP 500: hard" and len(script.bodies) == 9 + 6
    (line,) = lines(tmp_path)
    assert [each["count"] for each in line["line"]] == [6]


def test_teacher_gone_in_the_middle_stops_the_run(play: Play, tmp_path: Path) -> None:
    script = play(reply(GOOD), "drop")
    stop = stop_of(script.url, tmp_path, rows=5, concurrency=1)
    assert "does not answer any more" in str(stop)
    assert len(entries(tmp_path)) == 1


def test_the_failures_of_a_line_take_no_more_room_with_time(play: Play, tmp_path: Path) -> None:
    script = play((503, "broken"))
    for _ in range(3):
        stop_of(script.url, tmp_path)
    (line,) = lines(tmp_path)
    assert line["line"] == [{"fault": "busy", "status": 503, "server": script.url, "count": 18}]


def test_a_field_that_a_server_does_not_know_is_left_out_from_then_on(play: Play, tmp_path: Path) -> None:
    def step(body: dict[str, Any]) -> Any:
        if "repetition_detection" in body:
            return (400, "Extra inputs are not permitted")
        return reply("A cap." if body.get("seed") is None else GOOD)

    script = play(step)
    teacher = client(script.url, tmp_path, concurrency=1)
    judged = ask(
        teacher,
        *(question(sha256=name) for name in ("aa", "bb")),
        judge=lambda text, finish: [] if "Puma" in text else ["tail_loop"],
    )
    assert all(answers.best is not None and answers.best.text == GOOD for answers in judged)
    assert ["repetition_detection" in body for body in script.asked].count(True) == 1
    assert [entry["dropped"] for entry in entries(tmp_path)] == [[], ["repetition_detection"]] * 2


SECRET = "sk-very-secret"


def test_the_key_comes_from_the_environment_and_reaches_nothing_but_the_header(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MY_KEY", SECRET + "\n")
    script = play(
        reply(f"A Puma cap, {SECRET}"),
        (503, f"bad {SECRET}"),
        {"error": {"code": 500, "message": SECRET}},
        (413, f"too large {SECRET}"),
        (401, f"bad key {SECRET}\nline two"),
    )
    teacher = client(script.url, tmp_path, api_key_env="MY_KEY", concurrency=1)
    with caplog.at_level(logging.DEBUG), pytest.raises(TeacherError) as caught:
        ask(teacher, *(question(sha256=str(number)) for number in range(3)))
    assert script.keys == [f"Bearer {SECRET}"] * 5
    assert "\n" not in str(caught.value) and "MY_KEY" in str(caught.value)
    assert SECRET not in str(caught.value) + caplog.text + repr(vars(teacher))
    for path in tmp_path.rglob("*"):
        assert SECRET.encode() not in path.read_bytes()


TRACEBACK = """
import asyncio, logging, sys
from pathlib import Path
from rich.traceback import install
from nameplate.recipe import CaptionSection, TeacherSection
from nameplate.teacher.client import Question, TeacherClient
install(show_locals=True)
logging.basicConfig(level=logging.DEBUG)
section = CaptionSection(teacher=TeacherSection(base_urls=sys.argv[1], model="m"))
def broken(text, finish_reason):
    raise RuntimeError("a bug")
async def run():
    async with TeacherClient(section, Path(sys.argv[2])) as client:
        await client.ask(Question("aa", "image/png", lambda: b"x", "Prompt", "Puma"), broken)
asyncio.run(run())
"""


def test_the_key_stands_in_no_traceback_even_with_its_variables(play: Play, tmp_path: Path) -> None:
    script = play(reply(GOOD))
    command = [sys.executable, "-c", TRACEBACK, script.url, str(tmp_path / "teacher.sqlite")]
    ended = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OPENAI_API_KEY": SECRET})
    said = re.sub(r"\s", "", ended.stdout + ended.stderr)
    assert "a bug" in ended.stderr and "locals" in ended.stderr and script.keys == [f"Bearer {SECRET}"]
    assert SECRET not in said and "very-secret" not in said


@pytest.mark.parametrize("key", ["sk very-secret", "sk-very\nsecret", "sk-very-s\u00e9cret"])
def test_what_can_be_no_key_is_refused_without_being_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("MY_KEY", key)
    stop = stop_of("http://127.0.0.1:1/v1", tmp_path, api_key_env="MY_KEY")
    assert "MY_KEY" in str(stop) and "very" not in str(stop)


def test_an_address_that_cannot_be_asked_is_nobody_s(tmp_path: Path) -> None:
    assert "nothing answers there" in str(stop_of("http://a..b/v1", tmp_path))


def test_no_key_is_a_dummy_one(play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    script = play(reply(GOOD))
    ask(client(script.url, tmp_path), question())
    assert script.keys == ["Bearer none"]
