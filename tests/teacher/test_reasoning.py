"""Where thoughts end and answers begin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nameplate.recipe import Reading
from nameplate.teacher.reasoning import MARKER, Separated, separate

from .scripted import GOOD, Play, ask, client, entries, question, reply

CASES: list[tuple[Reading, str, dict[str, Any], Separated]] = [
    ("auto", "A cap.", {}, Separated("A cap.", "")),
    ("auto", "<think>a\nb</think>\n\nA cap.", {}, Separated("A cap.", "a\nb")),
    ("auto", "\n<THINK>a</Think>A cap.", {}, Separated("A cap.", "a")),
    ("auto", "a</think>A cap.", {}, Separated("A cap.", "a")),
    ("auto", "<think>a</think>b</think>A cap.", {}, Separated("A cap.", "a</think>b")),
    ("auto", "<think>a", {}, Separated("", "a", True)),
    ("auto", "<think>", {}, Separated("", "", True)),
    ("auto", "<think>a</think>", {}, Separated("", "a")),
    ("auto", "It says <think> on it.", {}, Separated("It says <think> on it.", "")),
    ("auto", "A cap.", {"reasoning_content": "a"}, Separated("A cap.", "a")),
    ("auto", "A cap.", {"reasoning": "a"}, Separated("A cap.", "a")),
    ("auto", "A cap.", {"reasoning": None, "reasoning_content": 3}, Separated("A cap.", "")),
    ("auto", "", {"reasoning": "a"}, Separated("", "a", True)),
    ("auto", "<think>b</think>A cap.", {"reasoning": "a"}, Separated("A cap.", "a\nb")),
    ("tags", "A cap.", {"reasoning": "a"}, Separated("A cap.", "a")),
    ("tags", "a cap, hm", {}, Separated("", "a cap, hm", True)),
    ("none", "<think>a</think>b", {"reasoning": "c"}, Separated("<think>a</think>b", "")),
    ("qvq", f"So. Hm.\n{MARKER} A cap.", {}, Separated("A cap.", "So. Hm.")),
    ("qvq", f"{MARKER} no\nwait\n{MARKER} A cap.", {}, Separated("A cap.", f"{MARKER} no\nwait")),
    ("qvq", "So.\n\n**Final Answer**\n\n\\[ \\boxed{A cap} \\]", {}, Separated("A cap", "So.")),
    ("qvq", "So.\n**Final answer:** A cap.", {}, Separated("A cap.", "So.")),
    ("qvq", "So.\n## Final Caption:\nA cap.\nIt is red.", {}, Separated("A cap.\nIt is red.", "So.")),
    (
        "qvq",
        "\u55ef\u3002\n\u6700\u7ec8\u7b54\u6848\uff1a\u5e3d\u5b50\u3002",
        {},
        Separated("\u5e3d\u5b50\u3002", "\u55ef\u3002"),
    ),
    (
        "qvq",
        'I must end with "Final answer:" and then',
        {},
        Separated("", 'I must end with "Final answer:" and then', True),
    ),
    ("qvq", "So the final answer: perhaps", {}, Separated("", "So the final answer: perhaps", True)),
    ("qvq", f"So.\n{MARKER}", {}, Separated("", "So.", True)),
    ("qvq", "So. Hm.", {}, Separated("", "So. Hm.", True)),
    ("qvq", "", {}, Separated("", "")),
]


@pytest.mark.parametrize(("reading", "text", "fields", "expected"), CASES)
def test_thoughts_and_answer_are_told_apart(
    reading: Reading, text: str, fields: dict[str, Any], expected: Separated
) -> None:
    assert separate(text, fields, reading, has_stopped=False) == expected


def test_a_text_without_tags_that_stopped_by_itself_is_an_answer() -> None:
    """Hosts that keep thoughts to themselves send the answer alone."""
    assert separate("A cap.", {}, "tags", has_stopped=True) == Separated("A cap.", "")


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_thought_in_tags_is_ever_part_of_the_answer(thought: str, answer: str) -> None:
    found = separate(f"<think>{thought} secret-thought</think>{answer}", {}, "auto")
    assert "secret-thought" not in found.answer and "secret-thought" in found.reasoning


@given(st.text(max_size=80), st.sampled_from(["auto", "tags", "qvq", "none"]), st.booleans())
def test_any_text_can_be_read(text: str, reading: Reading, has_stopped: bool) -> None:
    found = separate(text, {}, reading, has_stopped=has_stopped)
    assert not (found.is_unfinished and found.answer.strip())


def test_journal_keeps_raw_text_thoughts_and_answer_apart(play: Play, tmp_path: Path) -> None:
    raw = f"<think>Is it Puma?</think>{GOOD}"
    usage = {"prompt_tokens": 9, "completion_tokens": 50, "completion_tokens_details": {"reasoning_tokens": 45}}
    (answers,) = ask(client(play({**reply(raw), "usage": usage}).url, tmp_path), question())
    (entry,) = entries(tmp_path)
    assert (entry["raw"], entry["reasoning"], entry["text"]) == (raw, "Is it Puma?", GOOD)
    assert entry["usage"] == {"prompt_tokens": 9, "completion_tokens": 50, "reasoning_tokens": 45}
    assert answers.best is not None and answers.best.reasoning == "Is it Puma?"


def test_a_thought_that_is_cut_off_is_no_answer_and_gets_more_tokens(play: Play, tmp_path: Path) -> None:
    script = play(reply("<think>Is it Puma? It could be", "length"), reply(f"<think>Yes.</think>{GOOD}"))
    (answers,) = ask(client(script.url, tmp_path), question())
    first, second = answers.answers
    assert first.text == "" and set(first.problems) == {"empty", "cut_off"} and second.text == GOOD
    assert script.asked[1]["max_tokens"] > script.asked[0]["max_tokens"]
    assert script.asked[1]["messages"] == script.asked[0]["messages"]


def test_a_model_that_forgets_the_mark_has_not_answered(play: Play, tmp_path: Path) -> None:
    script = play(reply("So it is by Puma. Done."), reply(f"So.\n{MARKER} {GOOD}"))
    (answers,) = ask(client(script.url, tmp_path, reading="qvq"), question())
    assert [answer.text for answer in answers.answers] == ["", GOOD]
    # It has stopped by itself: more tokens alone would get the same again.
    assert answers.answers[0].problems == ("empty",)
    assert script.asked[0]["messages"] != script.asked[1]["messages"]


def test_a_thought_that_ends_for_an_unknown_reason_was_cut_off(play: Play, tmp_path: Path) -> None:
    script = play(reply("<think>Is it Puma?", "abort"), reply(GOOD))
    (answers,) = ask(client(script.url, tmp_path), question())
    assert set(answers.answers[0].problems) == {"empty", "cut_off"}
