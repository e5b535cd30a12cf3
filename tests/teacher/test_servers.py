"""Several servers are one teacher: the least loaded is asked, and one that fails rests while others work."""

from __future__ import annotations

import random
import threading
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from nameplate.errors import TeacherError
from nameplate.teacher.faults import Fault
from nameplate.teacher.servers import Outcome, Servers

from .scripted import GOOD, FastClock, Play, ask, client, entries, question, reply


def servers(number: int = 3, concurrency: int = 12) -> Servers:
    return Servers([f"http://{index}/v1" for index in range(number)], concurrency=concurrency, rng=random.Random(0))


def take(teacher: Servers, now: float = 0.0, avoid: int | None = None) -> int | None:
    index = teacher.choose(now, avoid=avoid)
    if index is not None:
        teacher.all[index].under_way += 1
    return index


def end(teacher: Servers, index: int, outcome: Outcome, *, began: float, now: float) -> None:
    teacher.ended(index, outcome, began=began, now=now)
    teacher.all[index].under_way -= 1


def test_the_least_loaded_is_asked_and_ties_in_turn() -> None:
    teacher = servers()
    assert [take(teacher) for _ in range(6)] == [0, 1, 2, 0, 1, 2]
    for _ in range(2):
        end(teacher, 1, Outcome(seconds=1.0), began=0, now=1)
    assert [take(teacher) for _ in range(2)] == [1, 1]


def test_concurrency_counts_all_servers_together() -> None:
    teacher = servers(concurrency=4)
    assert [take(teacher) is None for _ in range(5)] == [False] * 4 + [True]


def test_a_failed_request_goes_to_another_server_where_there_is_one() -> None:
    assert all(take(servers(), avoid=0) != 0 for _ in range(5))
    assert take(servers(1), avoid=0) == 0


def test_a_server_that_fails_rests_longer_each_time_and_is_probed_with_one_request() -> None:
    teacher, now, rests = servers(1), 0.0, []
    for _ in range(4):
        assert take(teacher, now) == 0
        end(teacher, 0, Outcome(Fault.BROKEN), began=now, now=now)
        assert take(teacher, now) is None
        rests.append(teacher.all[0].free_at() - now)
        now = teacher.all[0].free_at() + 0.01
    assert all(later > 1.3 * earlier for earlier, later in pairwise(rests))
    assert take(teacher, now) == 0 and take(teacher, now) is None
    end(teacher, 0, Outcome(seconds=1.0), began=now, now=now + 1)
    assert [take(teacher, now + 1) for _ in range(6)] == [0] * 6


def test_what_fails_together_counts_once_and_an_answer_ends_the_rest() -> None:
    teacher = servers(1)
    for _ in range(6):
        take(teacher, 1.0)
    for _ in range(5):
        end(teacher, 0, Outcome(Fault.DROPPED), began=1.0, now=1.2)
    assert teacher.all[0].failures == 1 and not teacher.all[0].has_room(1.2)
    end(teacher, 0, Outcome(seconds=0.2), began=1.0, now=1.2)
    assert teacher.all[0].failures == 0 and teacher.all[0].has_room(1.2)


def test_an_answer_does_not_end_the_rest_that_the_server_asked_for() -> None:
    teacher = servers(1)
    take(teacher), take(teacher)
    end(teacher, 0, Outcome(Fault.BUSY, retry_after=60.0), began=0.0, now=1.0)
    end(teacher, 0, Outcome(seconds=1.0), began=0.0, now=1.0)
    assert not teacher.all[0].has_room(59.0) and teacher.all[0].has_room(61.0)


def test_one_hard_question_does_not_make_a_teacher_gone_but_three_do() -> None:
    teacher = servers(1)
    take(teacher)
    end(teacher, 0, Outcome(seconds=1.0), began=0, now=1)
    now = 1.0
    for name in ["hard"] * 8 + ["second", "third"]:
        assert not teacher.are_gone(most_silent=3)
        now += 100
        take(teacher, now)
        end(teacher, 0, Outcome(Fault.BROKEN, question=name), began=now, now=now + 1)
    assert teacher.are_gone(most_silent=3)


def test_one_server_that_lives_keeps_the_teacher() -> None:
    teacher = servers(2)
    for number in range(20):
        teacher.all[0].under_way += 1
        end(teacher, 0, Outcome(Fault.UNREACHABLE, question=f"{number}"), began=100.0 * number, now=100.0 * number + 1)
    assert not teacher.are_gone(most_silent=3)


def test_work_is_shared_and_the_journal_says_who_answered(play: Play, tmp_path: Path) -> None:
    together = threading.Barrier(6)

    def step(body: dict[str, Any]) -> Any:
        together.wait(10)  # six at once, or nobody goes on
        return reply(GOOD)

    scripts = [play(step) for _ in range(3)]
    urls = tuple(script.url for script in scripts)
    ask(client(urls, tmp_path, concurrency=12), *(question(sha256=f"{number}") for number in range(12)))
    assert [len(script.bodies) for script in scripts] == [4, 4, 4]
    assert Counter(entry["server"] for entry in entries(tmp_path)) == dict.fromkeys(urls, 4)


@pytest.mark.parametrize("failing", [(500, "broken"), "drop", (503, "busy"), b"no JSON"])
def test_a_server_that_fails_costs_no_row(play: Play, tmp_path: Path, failing: Any) -> None:
    bad, good = play(failing), play(reply(GOOD))
    answers = ask(client((bad.url, good.url), tmp_path), *(question(sha256=f"{number}") for number in range(40)))
    assert all(found.best is not None for found in answers) and len(good.bodies) == 40
    assert len(bad.bodies) < 40


def test_a_server_that_comes_back_is_asked_again(play: Play, tmp_path: Path) -> None:
    flaky, steady = play((500, "starting"), (500, "starting"), reply(GOOD)), play(reply(GOOD))
    clock = FastClock()

    def step(body: dict[str, Any]) -> Any:
        clock.time += 1.0
        return reply(GOOD)

    steady.steps = [step]
    teacher = client((flaky.url, steady.url), tmp_path, concurrency=2, clock=clock)
    ask(teacher, *(question(sha256=f"{number}") for number in range(30)))
    assert len(flaky.bodies) > 3 and len(entries(tmp_path)) == 30


def test_a_server_that_is_not_there_is_left_out_and_all_gone_is_said(play: Play, tmp_path: Path) -> None:
    good = play(reply(GOOD))
    nowhere = "http://127.0.0.1:1/v1"
    (answers,) = ask(client((nowhere, good.url), tmp_path), question())
    assert answers.best is not None
    with pytest.raises(TeacherError, match=r"nothing answers there") as caught:
        ask(client((nowhere, "http://127.0.0.1:2/v1"), tmp_path), question(sha256="bb"))
    assert nowhere in str(caught.value) and "127.0.0.1:2" in str(caught.value)


def test_a_server_that_refuses_everything_is_named_while_the_other_answers(play: Play, tmp_path: Path) -> None:
    blind, good = play((400, "no images")), play(reply(GOOD))
    with pytest.raises(TeacherError, match="refused 3 questions in a row") as caught:
        ask(client((blind.url, good.url), tmp_path), *(question(sha256=f"{number}") for number in range(40)))
    assert caught.value.where == f"teacher at {blind.url}"
