"""The ladder as a truth table: what was wrong so far -> how the next question differs."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nameplate.recipe import SamplingSection
from nameplate.records import CleanReason
from nameplate.teacher.ladder import Ask, Attempt, Cause, cause_of, next_ask, problems_of_finish
from nameplate.teacher.wordings import Form, Language, wordings

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
    "tail_loop": {"temperature": 0.4, "top_p": 0.9, "detect_repetition": True},
    "sentence_repeat": {"temperature": 0.4, "top_p": 0.9, "detect_repetition": True},
    "ngram_cover": {"temperature": 0.4, "top_p": 0.9, "detect_repetition": True},
    "few_words": {"temperature": 0.4, "top_p": 0.9, "detect_repetition": True},
    "counting": {"temperature": 0.4, "top_p": 0.9, "detect_repetition": True},
    "garbled": {"temperature": 0.4, "top_p": 0.9},
    "mojibake": {"temperature": 0.4, "top_p": 0.9},
    "empty": {"prompt": REWORDED},
    "refusal": {"prompt": REWORDED},
    "wrapped": {"prompt": f"{FIRST.prompt} Write one plain paragraph: no list, no heading, no JSON."},
    "bad_format": {"prompt": f"{FIRST.prompt} Write one plain paragraph: no list, no heading, no JSON."},
    "wrong_script": {"prompt": f"{FIRST.prompt} Write in English only."},
    "wrong_language": {"prompt": f"{FIRST.prompt} Write in English only."},
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


@pytest.mark.parametrize("code", ["too_short", "too_long", "shared_text"])
def test_matters_of_taste_cost_no_second_question(code: str) -> None:
    assert climb(code)[-1] is None


def test_every_clean_reason_is_either_a_cause_or_a_matter_of_taste() -> None:
    taste = {code for code in CleanReason if cause_of([code]) is None}
    assert taste == {CleanReason.TOO_SHORT, CleanReason.TOO_LONG, CleanReason.SHARED_TEXT}


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
        "detect_repetition": True,
        "max_tokens": 300,
        "prompt": STRESSED,
        "seed": 3,
    }


def test_garble_goes_away_from_hot_sampling() -> None:
    hot = Ask.first("Describe.", SamplingSection(temperature=1.0, top_p=1.0))
    ask = next_ask(hot, [Attempt(hot, ("garbled",))], name="Puma", max_attempts=4)
    assert ask is not None and ask.temperature == 0.7


def test_thought_without_an_answer_gets_twice_the_tokens_and_is_no_refusal() -> None:
    assert cause_of(["empty", "cut_off"]) is Cause.THOUGHT
    history = [Attempt(FIRST, ("empty", "cut_off"))]
    second = next_ask(FIRST, history, name="Puma", max_attempts=4)
    assert changes(FIRST, second) == {"max_tokens": 400, "temperature": 0.4, "top_p": 0.9, "seed": 1}


def test_repetition_is_watched_for_after_a_loop_and_stays_watched() -> None:
    first, second, third = climb("tail_loop", "name_absent")
    assert first is not None and first.extra == {} and second is not None and third is not None
    assert (
        second.extra
        == third.extra
        == {"repetition_detection": {"max_pattern_size": 128, "min_pattern_size": 8, "min_count": 3}}
    )
    assert "detect_repetition" not in second.sampling()


def test_first_request_has_no_seed_and_a_changed_one_has() -> None:
    first, second = climb("tail_loop")
    assert first is not None and second is not None
    assert set(first.sampling()) == set(SamplingSection.model_fields)
    assert second.sampling()["seed"] == 1


@pytest.mark.parametrize("code", sorted(ONE_BAD_ANSWER))
def test_changed_question_is_in_the_questions_own_language(code: str) -> None:
    chinese = Ask.first("\u63cf\u8ff0\u8fd9\u4ef6\u5546\u54c1\u3002", SamplingSection())
    ask = next_ask(chinese, [Attempt(chinese, (code,))], name="Puma", max_attempts=4, wordings=wordings("zh"))
    assert ask is not None
    added = ask.prompt.replace(chinese.prompt, "").replace("Puma", "").replace("JSON", "")
    assert not any(char.isascii() and char.isalpha() for char in added)


@pytest.mark.parametrize("form", ["caption", "pairs"])
def test_no_changed_question_asks_for_another_form(form: Form) -> None:
    said = " ".join(vars(wordings("en", form)).values()).lower()
    assert ("paragraph" in said) == (form == "caption") and ("q:" in said) == (form == "pairs")


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


SAMPLINGS = st.builds(
    SamplingSection,
    temperature=st.sampled_from([0.0, 0.1, 0.29, 0.3, 0.51, 0.8, 1.5, 2.0]),
    top_p=st.sampled_from([0.05, 0.2, 0.9, 1.0]),
    max_tokens=st.sampled_from([1, 2, 200]),
)
CODES = st.sampled_from([*sorted(ONE_BAD_ANSWER), "empty cut_off", "leaked", "word_salad"])
# The same again and again is what exhausts a cause's rungs.
PROBLEMS = st.lists(CODES, max_size=12) | st.builds(lambda code, times: [code] * times, CODES, st.integers(2, 8))


@settings(max_examples=300)
@example(["bad_format", "bad_format", "garbled"], SamplingSection(temperature=0.29, top_p=0.9), "Puma", "en", "caption")
@given(
    PROBLEMS,
    SAMPLINGS,
    st.sampled_from(["Puma", "", "a b"]),
    st.sampled_from(["en", "zh"]),
    st.sampled_from(["caption", "pairs"]),
)
def test_no_question_is_ever_asked_twice(
    codes: list[str], sampling: SamplingSection, name: str, language: Language, form: Form
) -> None:
    first = Ask.first("Describe.", sampling)
    asks, history = [first], []
    for code in codes:
        history.append(Attempt(asks[-1], tuple(code.split())))
        ask = next_ask(first, history, name=name, max_attempts=20, wordings=wordings(language, form))
        assert ask is not None
        for earlier in asks:
            # A server may ignore seed and repetition_detection, and at a low temperature a seed changes nothing.
            same = replace(ask, seed=None, detect_repetition=False) == replace(
                earlier, seed=None, detect_repetition=False
            )
            assert not same or (ask.seed != earlier.seed and ask.temperature >= 0.3 and ask.top_p >= 0.9)
        asks.append(ask)


def test_ask_survives_the_journal() -> None:
    assert Ask.from_json(FIRST.to_json()) == FIRST


def test_ask_of_an_older_journal_can_be_read() -> None:
    older = {key: value for key, value in FIRST.to_json().items() if key != "detect_repetition"}
    assert Ask.from_json(older) == FIRST
