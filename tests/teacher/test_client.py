"""The client against a scripted server on loopback: nothing is asked twice, nothing is lost."""

from __future__ import annotations

import asyncio
import base64
import threading
from pathlib import Path
from typing import Any

import pytest

from nameplate.errors import TeacherError
from nameplate.recipe import CaptionSection, SamplingSection, TeacherSection
from nameplate.store.journal import Journal
from nameplate.teacher.client import Answers, Question, TeacherClient
from nameplate.teacher.exchange import Picture

from .scripted import GOOD, IMAGE, Play, ask, client, entries, judge, question, reply


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
    assert set(body) == {"model", "messages", *SamplingSection.model_fields}
    assert answers.best is not None and answers.best.text == GOOD


def test_an_image_that_takes_work_keeps_no_other_question_waiting(play: Play, tmp_path: Path) -> None:
    script, other = play(reply(GOOD)), threading.Event()

    def slow() -> bytes:
        assert other.wait(60), "the other question's image was not loaded meanwhile"
        return IMAGE

    def quick() -> bytes:
        other.set()
        return IMAGE

    asked = [
        Question(sha256, "image/jpeg", load, "Describe this Puma cap.", "Puma", loading_is_work=True)
        for sha256, load in (("aa", slow), ("bb", quick))
    ]
    answers = ask(client(script.url, tmp_path), *asked)
    assert all(found.best is not None for found in answers)


def test_answer_is_in_the_journal_with_all_that_the_server_said(play: Play, tmp_path: Path) -> None:
    script = play(reply(GOOD))
    ask(client(script.url, tmp_path), question())
    (entry,) = entries(tmp_path)
    assert entry["text"] == GOOD and entry["finish_reason"] == "stop" and entry["model"] == "served-model"
    assert entry["usage"]["completion_tokens"] == 5 and entry["problems"] == [] and entry["latency_ms"] >= 0
    assert entry["ask"]["max_tokens"] == 200 and entry["request_id"] == "request-1" and entry["simulated"] is False
    assert entry["server"] == script.url and entry["at"] > 1.7e9 and entry["raw"] is None and entry["note"] == ""


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


def test_rows_with_the_same_image_and_prompt_ask_once(play: Play, tmp_path: Path) -> None:
    script = play(reply(GOOD))
    results = ask(client(script.url, tmp_path), *[question()] * 5)
    assert len(script.bodies) == 1
    assert {answers.key for answers in results} == {results[0].key}


def test_key_depends_on_what_is_asked_and_on_nothing_else(tmp_path: Path) -> None:
    base = client("http://127.0.0.1:1/v1", tmp_path)
    key = base.key(question())
    assert client("http://10.0.0.1/v1", tmp_path, timeout_seconds=5, max_attempts=9).key(question()) == key
    other_model = TeacherClient(CaptionSection(teacher=TeacherSection(model="n")), tmp_path / "j")
    section = CaptionSection(teacher=TeacherSection(model="m"), sampling=SamplingSection(temperature=0.2))
    others = [
        base.key(question(sha256="bb")),
        base.key(question(prompt="Other.")),
        base.key(question(template="brand_first/2")),
        base.key(question(image_policy="longest_side=512/1")),
        other_model.key(question()),
        TeacherClient(section, tmp_path / "j").key(question()),
    ]
    assert len({key, *others}) == 7


def test_entries_of_the_first_version_are_still_read(play: Play, tmp_path: Path) -> None:
    script = play(reply(GOOD))
    teacher = client(script.url, tmp_path)
    ask_tree = {
        "prompt": "Describe this Puma cap.",
        "temperature": 0.1,
        "top_p": 0.2,
        "max_tokens": 200,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "seed": None,
    }
    old = {
        "text": "A cap.",
        "finish_reason": "stop",
        "model": "m",
        "usage": {},
        "latency_ms": 3,
        "request_id": None,
        "problems": ["name_absent"],
        "ask": ask_tree,
        "simulated": False,
    }
    with Journal(tmp_path / "teacher.sqlite") as journal:
        journal.put(teacher.key(question()), 1, old)
    (answers,) = ask(teacher, question())
    assert [answer.text for answer in answers.answers] == ["A cap.", GOOD] and len(script.bodies) == 1


@pytest.mark.parametrize(("owner", "expected"), [("nameplate-simulator", True), ("vllm", False)])
def test_simulator_is_known_by_its_list_of_models_asked_once(
    play: Play, tmp_path: Path, owner: str, expected: bool
) -> None:
    script = play(reply(GOOD), owner=owner)
    ask(client(script.url, tmp_path), question(sha256="aa"), question(sha256="bb"))
    assert [entry["simulated"] for entry in entries(tmp_path)] == [expected, expected]
    assert script.model_requests == 1


def test_server_without_a_list_of_models_is_no_simulator(play: Play, tmp_path: Path) -> None:
    ask(client(play(reply(GOOD), models=None).url, tmp_path), question())
    assert [entry["simulated"] for entry in entries(tmp_path)] == [False]


def converse(teacher: TeacherClient, *calls: dict[str, Any]) -> list[Answers]:
    async def run() -> list[Answers]:
        async with teacher:
            return [await teacher.converse(**call) for call in calls]

    return asyncio.run(run())


def test_a_plain_question_is_asked_once_and_kept_like_the_others(play: Play, tmp_path: Path) -> None:
    script = play(reply("B is better."))
    pictures = [Picture(sha, "image/png", sha.encode) for sha in ("one", "two")]
    call = {"prompt": "A or B?", "images": pictures, "sampling": SamplingSection(temperature=0), "label": "judge"}
    first, again = converse(client(script.url, tmp_path), call, call)
    assert first == again and first.answers[0].text == "B is better." and len(script.bodies) == 1
    (body,) = script.asked
    urls = [part["image_url"]["url"] for part in body["messages"][0]["content"][:-1]]
    assert urls == [f"data:image/png;base64,{base64.b64encode(each).decode()}" for each in (b"one", b"two")]
    assert body["temperature"] == 0 and [part["type"] for part in body["messages"][0]["content"]][-1] == "text"
    swapped, other = converse(
        client(script.url, tmp_path), {**call, "images": pictures[::-1]}, {**call, "label": "second look"}
    )
    assert len({first.key, swapped.key, other.key}) == 3 and len(script.bodies) == 3


def test_an_empty_answer_to_a_plain_question_is_no_reason_to_ask_again(play: Play, tmp_path: Path) -> None:
    script = play(reply(""))
    (answers,) = converse(client(script.url, tmp_path), {"prompt": "A or B?"})
    assert answers.best is None and len(answers.answers) == 1 and len(script.bodies) == 1


def test_nothing_is_asked_outside_the_judge_s_word(play: Play, tmp_path: Path) -> None:
    """A judge that fails is a bug, and it comes out as itself; what was paid for is not in the way."""

    def broken(text: str, finish_reason: str) -> list[str]:
        raise RuntimeError("a bug")

    script = play(reply(GOOD))
    with pytest.raises(RuntimeError, match="a bug"):
        ask(client(script.url, tmp_path), question(), judge=broken)
    (answers,) = ask(client(script.url, tmp_path), question(), judge=judge)
    assert answers.best is not None
