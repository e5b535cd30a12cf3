"""Answers as trees of tokens, so that what several begin with is read once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

QUESTION = -1
"""Stands for the question's last token, behind which the first tokens of answers come."""


class Edge(NamedTuple):
    """A token that follows a node."""

    node: int
    """What was read before it; `QUESTION`, or a place in the tree's tokens."""
    token: int


@dataclass
class Tree:
    """Some answers that are read in one go.

    A token sees the question, itself and its ancestors. The last token of an answer need not be read.
    """

    tokens: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    edges: dict[Edge, int] = field(default_factory=dict)
    """Numbered: those that the answers go along."""
    paths: list[list[int]] = field(default_factory=list)
    """Of each answer, its edges."""

    def depths(self) -> list[int]:
        """Of each token, how many stand before it in its answers."""
        found: list[int] = []
        for parent in self.parents:
            found.append(0 if parent == QUESTION else found[parent] + 1)
        return found

    def lines(self) -> list[list[int]]:
        """Of each token, itself and its ancestors."""
        found: list[list[int]] = []
        for place, parent in enumerate(self.parents):
            found.append([place, *([] if parent == QUESTION else found[parent])])
        return found

    def add(self, answer: Sequence[int]) -> None:
        """Take in an answer, sharing what is there."""
        node, path = QUESTION, []
        for token in answer[:-1]:
            path.append(self._edge(Edge(node, token)))
            node = self._child(node, token)
        self.paths.append([*path, self._edge(Edge(node, answer[-1]))])

    def _edge(self, edge: Edge) -> int:
        return self.edges.setdefault(edge, len(self.edges))

    def _child(self, node: int, token: int) -> int:
        key = (node, token)
        if key not in self._children:
            self._children[key] = len(self.tokens)
            self.tokens.append(token)
            self.parents.append(node)
        return self._children[key]

    _children: dict[tuple[int, int], int] = field(default_factory=dict)


class Placed(NamedTuple):
    """A tree, and which answers its paths are of."""

    tree: Tree
    answers: list[int]


def trees_of(answers: Sequence[Sequence[int]], *, most_tokens: int) -> list[Placed]:
    """Answers in order of their tokens, in trees of about so many tokens; one that is longer has a tree of its own."""
    placed: list[Placed] = []
    for number in sorted(range(len(answers)), key=lambda number: list(answers[number])):
        own = answers[number]
        if not placed or len(placed[-1].tree.tokens) + len(own) > most_tokens:
            placed.append(Placed(Tree(), []))
        placed[-1].tree.add(own)
        placed[-1].answers.append(number)
    return placed
