"""Trees of answers: every answer's way through its tree spells it, and what answers share is there once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nameplate.models.answering.tries import QUESTION, Tree, trees_of

ANSWERS = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=6), min_size=1, max_size=30)


def spelled(tree: Tree, path: list[int]) -> list[int]:
    """Tokens along a path, each checked to follow the one before."""
    edges = list(tree.edges)
    node, tokens = QUESTION, []
    for place, number in enumerate(path):
        edge = edges[number]
        assert edge.node == node
        tokens.append(edge.token)
        if place + 1 < len(path):
            (node,) = (
                child
                for child, (token, parent) in enumerate(zip(tree.tokens, tree.parents, strict=True))
                if (token, parent) == (edge.token, edge.node)
            )
    return tokens


@given(ANSWERS, st.integers(1, 20))
def test_every_answer_is_spelled_once_whatever_the_size_of_trees(answers: list[list[int]], most: int) -> None:
    placed = trees_of(answers, most_tokens=most)
    found = {number: spelled(tree, path) for tree, own in placed for number, path in zip(own, tree.paths, strict=True)}
    assert [found[number] for number in range(len(answers))] == answers
    assert sum(len(own) for _, own in placed) == len(answers)
    assert all(len(each.tree.tokens) <= max(most, *map(len, answers)) for each in placed)


@given(ANSWERS)
def test_what_answers_begin_with_is_read_once(answers: list[list[int]]) -> None:
    (only,) = trees_of(answers, most_tokens=1000)
    beginnings = {tuple(answer[:end]) for answer in answers for end in range(1, len(answer))}
    assert len(only.tree.tokens) == len(beginnings)
    for line, depth in zip(only.tree.lines(), only.tree.depths(), strict=True):
        assert len(line) == depth + 1
        assert tuple(only.tree.tokens[place] for place in reversed(line)) in beginnings
