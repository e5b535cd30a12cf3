"""Every failure that a user can cause or mend, in one tree.

    NameplateError                 one clear paragraph, exit code 2
    |-- RecipeError                the recipe is missing, malformed or contradicts itself
    |-- InputError                 a table, column, registry or image source is not as expected
    |-- RunDirectoryError          the run directory is in use, unwritable or out of space
    |-- TeacherError               the teacher is not there, refuses the key, or goes bad as a whole
    |-- EngineError                the engine is not installed, not reachable, or its workers are gone
    |-- ModelError                 a model cannot be loaded, or a policy does nothing
    `-- TrainingError              training cannot start or go on

Bugs are not in this tree: they keep their traceback.
"""

from __future__ import annotations


class NameplateError(Exception):
    """A failure that its reader can mend: where it happened, what was found, what was expected, what to do.

    Args:
        where: file, line, column, section or address that is at fault.
        found: what is there.
        expected: what should be there; empty when `found` says it.
        fix: what to do next.
    """

    exit_code = 2

    def __init__(self, where: str, *, found: str, expected: str = "", fix: str = "") -> None:
        self.where = where
        self.found = found
        self.expected = expected
        self.fix = fix
        super().__init__(str(self))

    def __str__(self) -> str:
        text = f"{self.where}: {self.found}"
        if self.expected:
            text += f"; expected {self.expected}"
        if self.fix:
            text += f"; {self.fix}"
        return text

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments do not survive the default pickling of exceptions between processes.
        return (_rebuild, (type(self), self.where, self.found, self.expected, self.fix))


def _rebuild(kind: type[NameplateError], where: str, found: str, expected: str, fix: str) -> NameplateError:
    return kind(where, found=found, expected=expected, fix=fix)


class RecipeError(NameplateError):
    """The recipe is missing, malformed or contradicts itself."""


class InputError(NameplateError):
    """A table, column, registry or image source is not as expected."""


class RunDirectoryError(NameplateError):
    """The run directory is in use, unwritable or out of space."""


class TeacherError(NameplateError):
    """The teacher is not there, refuses the key, or goes bad as a whole."""


class EngineError(NameplateError):
    """The engine is not installed, not reachable, or its workers are gone."""


class ModelError(NameplateError):
    """A model cannot be loaded, or a policy does nothing."""


class TrainingError(NameplateError):
    """Training cannot start or go on."""
