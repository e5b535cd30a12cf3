"""A progress that shows nothing and keeps what is said."""

from __future__ import annotations

from nameplate.progress import SilentProgress


class Listener(SilentProgress):
    """`notes`: what was said, in order."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def about(self, *words: str) -> list[str]:
        """Notes in which any of the words stand."""
        return [note for note in self.notes if any(word in note for word in words)]
