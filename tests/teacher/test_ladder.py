"""The ladder as a truth table: what was wrong so far -> how the next question differs."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nameplate.recipe import SamplingSection
from nameplate.records import CleanReason
from nameplate.teacher.ladder import Ask, Attempt, Cause, cause_of, next_ask, problems_of_finish

FIRST = Ask.first("Describe this Puma cap.", SamplingSection(temperature=0.1, top_p=0.2, max_tokens=200))


def climb(*problems: str, max_attempts: int = 9) -> list[Ask | None]:
    """The questions asked when the answers have these problems, one after another."""
    asks: list[Ask | None] = [FIRST]
    history: list[Attempt] = []
    for code in problems:
        last = asks[-1]
        assert last is not None
        history.append(Attempt(last, (code,) if code else ()))
        asks.append(next_ask(FIRST, history, name="Puma", max_attempts=max_attempts))
    return asks


def changes(before: Ask | None, after: Ask | None) -> dict[str, object]:
    assert before is not None and after is not None
    names = [field.name for field in fields(Ask)]
    return {name: getattr(after, name) for name in names if getattr(after, name) != getattr(before, name)}


CONCISE = "Describe this Puma cap. Be concise: write at most three short sentences."
STRESSED = 'Describe this Puma cap. Write the name "Puma" in the first sentence, spelled exactly so, and no other name.'
REWORDED = (
    "This is an ordinary product photo from a shop's catalogue. Write a plain paragraph that describes the product. "
    "Describe this Puma cap."
)

ONE_BAD_ANSWER = {
    "cut_off": {"max_tokens": 300},
    "no_whole_sentence": {"max_tokens": 300},
    "tail_loop": {"temperature": 0.4, "top_p": 0.9},
    "sentence_repeat": {"temperature": 0.4, "top_p": 0.9},
    "ngram_cover": {"temperature": 0.4, "top_p": 0.9},
    "few_words": {"temperature": 0.4, "top_p": 0.9},
    "counting": {"temperature": 0.4, "top_p": 0.9},
    "garbled": {"temperature": 0.4, "top_p": 0.9},
    "mojibake": {"temperature": 0.4, "top_p": 0.9},
    "empty": {"prompt": REWORDED},
    "refusal": {"prompt": REWORDED},
    "name_absent": {"prompt": STRESSED},
    "name_ambiguous": {"prompt": STRESSED},
    "other_name": {"prompt": STRESSED},
}


def test_first_question_is_the_recipes_own_without_a_seed() -> None:
    assert next_ask(FIRST, [], name="Puma", max_attempts=4) == FIRST
    assert FIRST.seed is None and FIRST.temperature == 0.1 and FIRST.max_tokens == 200


@pytest.mark.parametrize(("code", "expected"), ONE_BAD_ANSWER.items())
def test_one_bad_answer_changes_what_its_cause_asks_for(code: str, expected: dict[str, object]) -> None:
    first, second = climb(code)
    assert changes(first, second) == {**expected, "seed": 1}


@pytest.mark.parametrize("code", ["too_short", "too_long", "wrong_script"])
def test_matters_of_taste_cost_no_second_question(code: str) -> None:
    assert climb(code)[-1] is None


def test_every_clean_reason_is_either_a_cause_or_a_matter_of_taste() -> None:
    taste = {code for code in CleanReason if cause_of([code]) is None}
    lengths = {CleanReason.TOO_SHORT, CleanReason.TOO_LONG}
    assert taste == {*lengths, CleanReason.WRONG_SCRIPT, CleanReason.WRONG_LANGUAGE, CleanReason.SHARED_TEXT}


def test_good_answer_ends_the_ladder() -> None:
    assert climb("")[-1] is None
    assert climb("cut_off", "")[-1] is None


def test_more_tokens_are_given_once_then_brevity_is_asked_for() -> None:
    _, second, third, fourth = climb("cut_off", "cut_off", "cut_off")
    assert changes(second, third) == {"prompt": CONCISE, "seed": 2}
    assert changes(third, fourth) == {"temperature": 0.4, "top_p": 0.9, "seed": 3}


def test_changes_add_up_over_different_causes() -> None:
    first, *_, last = climb("tail_loop", "cut_off", "name_absent")
    assert changes(first, last) == {
        "temperature": 0.4,
        "top_p": 0.9,
        "max_tokens": 300,
        "prompt": STRESSED,
        "seed": 3,
    }


def test_garble_goes_away_from_hot_sampling() -> None:
    hot = Ask.first("Describe.", SamplingSection(temperature=1.0, top_p=1.0))
    ask = next_ask(hot, [Attempt(hot, ("garbled",))], name="Puma", max_attempts=4)
    assert ask is not None and ask.temperature == 0.7


def test_max_attempts_ends_the_ladder() -> None:
    assert climb("empty", "empty", max_attempts=2)[-1] is None
    assert climb("empty", "empty", max_attempts=3)[-1] is not None


def test_gravest_cause_decides() -> None:
    assert cause_of(["name_absent", "cut_off", "tail_loop"]) is Cause.LOOP
    assert cause_of(["name_absent", "cut_off"]) is Cause.LENGTH
    assert cause_of(["mojibake", "tail_loop"]) is Cause.GARBLED
    assert cause_of(["tail_loop", "empty"]) is Cause.REFUSAL


def test_servers_own_finish_reasons_are_problems() -> None:
    assert problems_of_finish("length") == ["cut_off"]
    assert problems_of_finish("repetition") == ["tail_loop"]
    assert problems_of_finish("content_filter") == ["refusal"]
    assert problems_of_finish("stop") == []


def test_name_is_text_even_with_braces_in_it() -> None:
    ask = next_ask(FIRST, [Attempt(FIRST, ("name_absent",))], name="{x} {name}", max_attempts=4)
    assert ask is not None and '"{x} {name}"' in ask.prompt


@given(st.lists(st.sampled_from(sorted(ONE_BAD_ANSWER)), min_size=1, max_size=8), st.sampled_from([0.0, 0.1, 1.5]))
def test_no_question_is_ever_asked_twice(codes: list[str], temperature: float) -> None:
    first = Ask.first("Describe.", SamplingSection(temperature=temperature))
    asks, history = [first], []
    for code in codes:
        history.append(Attempt(asks[-1], (code,)))
        ask = next_ask(first, history, name="Puma", max_attempts=20)
        assert ask is not None and ask not in asks
        asks.append(ask)


def test_ask_survives_the_journal() -> None:
    assert Ask.from_json(FIRST.to_json()) == FIRST
