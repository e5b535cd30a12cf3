"""What answers may cost: counted from the journal, kept by all workers together, and said when it is spent."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from nameplate.errors import TeacherError
from nameplate.recipe import BudgetSection, SamplingSection
from nameplate.store.journal import Journal
from nameplate.teacher.budget import Purse, series_of
from nameplate.teacher.client import Answers, TeacherClient

from .scripted import GOOD, Play, ask, caption, client, entries, judge, question, reply

TOKENS = 14
"""Of each scripted answer: 9 of the question, 5 of the answer."""


def questions(number: int) -> list[Any]:
    return [question(sha256=f"{index}") for index in range(number)]


def test_a_run_ends_when_its_tokens_are_spent_and_goes_on_when_there_are_more(play: Play, tmp_path: Path) -> None:
    script = play(reply(GOOD))
    with pytest.raises(TeacherError) as caught:
        ask(client(script.url, tmp_path, budget={"max_tokens": 20 * TOKENS}, concurrency=4), *questions(50))
    assert caught.value.where == "caption.budget" and "280 tokens in 20 answers" in str(caught.value)
    assert len(script.bodies) == 20 and len(entries(tmp_path)) == 20
    with pytest.raises(TeacherError, match="spent"):
        ask(client(script.url, tmp_path, budget={"max_tokens": 20 * TOKENS}), *questions(50))
    assert len(script.bodies) == 20, "the tokens of the run before do not count"
    answers = ask(client(script.url, tmp_path, budget={"max_tokens": 51 * TOKENS}), *questions(50))
    assert len(script.bodies) == 50 and all(found.best is not None for found in answers)


def test_money_is_counted_by_the_prices_of_question_and_answer(play: Play, tmp_path: Path) -> None:
    script = play(reply(GOOD))
    budget = {"max_money": 0.001, "price_per_million_in": 2.0, "price_per_million_out": 10.0}
    with pytest.raises(TeacherError, match=r"0\.00 of 0\.00 in money"):
        ask(client(script.url, tmp_path, budget=budget, concurrency=1), *questions(50))
    assert len(script.bodies) == 15  # 15 x (9 x 2 + 5 x 10) / 1e6 = 0.00102


def test_what_is_in_the_journal_may_be_read_when_nothing_may_be_spent(play: Play, tmp_path: Path) -> None:
    script = play(reply(GOOD))
    ask(client(script.url, tmp_path), *questions(5))
    answers = ask(client(script.url, tmp_path, budget={"max_tokens": 1}), *questions(5))
    assert len(script.bodies) == 5 and len(answers) == 5


def test_only_answers_to_this_recipe_s_questions_count(tmp_path: Path) -> None:
    section = caption("http://a/v1")
    series = series_of(section)
    others = {
        "sampling": section.model_copy(update={"sampling": SamplingSection(temperature=0.7)}),
        "model": caption("http://a/v1", model="n"),
        "prompt": section.model_copy(update={"template": "custom", "prompt": "What is it?"}),
    }
    assert series_of(caption(("http://b/v1", "http://c/v1"), concurrency=3, budget={"max_tokens": 5})) == series
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    with Journal(tmp_path / "j") as journal:
        journal.put("key", 1, {"series": series, "usage": usage})
        journal.put("key", 2, {"series": series, "usage": {}})
        journal.put("old", 1, {"usage": usage})
        journal.put("key:line", 1, {"line": []})
        for name, other in others.items():
            assert series_of(other) != series
            journal.put(name, 1, {"series": series_of(other), "usage": usage})
    purse = Purse(BudgetSection(max_tokens=1000), series=series, journal=tmp_path / "j")
    assert purse.tokens == 110 and str(purse) == "110 tokens in 2 answers, of 1,000 tokens"


def test_requests_under_way_are_reckoned_with_at_the_mean_price_so_far(tmp_path: Path) -> None:
    purse = Purse(BudgetSection(max_tokens=100), series="s", journal=tmp_path / "j")
    assert not purse.is_spent(under_way=50)
    purse.spend(8, 2)
    assert not purse.is_spent(under_way=8) and purse.is_spent(under_way=9)


def test_a_server_that_does_not_count_cannot_keep_a_budget(play: Play, tmp_path: Path) -> None:
    uncounted = {key: value for key, value in reply(GOOD).items() if key != "usage"}
    script = play(uncounted)
    with pytest.raises(TeacherError, match="does not count tokens"):
        ask(client(script.url, tmp_path, budget={"max_tokens": 1000}, concurrency=1), *questions(5))
    assert len(entries(tmp_path)) == 1
    assert len(ask(client(script.url, tmp_path), *questions(5))) == 5


def test_plain_questions_are_paid_from_the_same_purse(play: Play, tmp_path: Path) -> None:
    script = play(reply(GOOD))

    async def run(teacher: TeacherClient) -> Answers:
        async with teacher:
            await teacher.converse("A or B?")
            return await teacher.ask(question(), judge)

    with pytest.raises(TeacherError, match="14 tokens in 1 answers"):
        asyncio.run(run(client(script.url, tmp_path, budget={"max_tokens": TOKENS})))


@pytest.mark.parametrize(
    "tree", [{"max_money": 5.0}, {"max_tokens": 0}, {"max_money": -1}, {"price_per_million_in": -1}]
)
def test_a_budget_that_cannot_be_kept_is_refused(tree: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        BudgetSection(**tree)
