"""What a preset is: the layout of one known data set, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, get_args

from nameplate.stages.ingest.presets.text import TextRule

Meaning = Literal["image", "name", "id", "title", "text", "code", "category", "page"]
MEANINGS: tuple[Meaning, ...] = get_args(Meaning)


class ImageKind(StrEnum):
    """Where the images of a data set are."""

    LINK = "link"
    BYTES = "bytes"
    FILE = "file"
    TAR = "tar"


class Concern(StrEnum):
    """What a licence asks of whoever trains on the data."""

    NON_COMMERCIAL = "non_commercial"
    SHARE_ALIKE = "share_alike"
    NO_DERIVATIVES = "no_derivatives"
    UNKNOWN = "unknown"


_WARNINGS = {
    Concern.NON_COMMERCIAL: "non-commercial use only",
    Concern.SHARE_ALIKE: "share alike: what is made from it must carry the same licence",
    Concern.NO_DERIVATIVES: "no derivatives: what is made from it may not be passed on",
    Concern.UNKNOWN: "no known licence: ask the owner before you train on it",
}
_PARTS = {"nc": Concern.NON_COMMERCIAL, "sa": Concern.SHARE_ALIKE, "nd": Concern.NO_DERIVATIVES}
_UNSAID = frozenset({"unknown", "other", "not stated"})


@dataclass(frozen=True)
class Preset:
    """The layout of a known data set.

    `columns` were read in the data set itself; `inferred` ones were not, and are checked against the table. A column of
    a meaning that stands in neither is not there. `signature` are columns that together give the data set away; empty:
    its columns are too common for that.
    """

    name: str
    dataset: str
    """Hub id, OWNER/NAME."""
    image: ImageKind
    columns: Mapping[Meaning, str]
    licence: str
    size: str
    """Rows, as far as known."""
    inferred: Mapping[Meaning, str] = field(default_factory=dict)
    also: tuple[str, ...] = ()
    """Other Hub ids with this layout."""
    others: tuple[str, ...] = ()
    """Columns that were read in the data set and have no meaning here."""
    signature: frozenset[str] = frozenset()
    only_name: str | None = None
    """The one name that all its rows have."""
    null_values: tuple[str, ...] = ()
    """Texts that mean "no value" here, added to the recipe's."""
    text_rules: tuple[TextRule, ...] = ()
    code_prefix: int | None = None
    """So many first characters of the code identify a product."""
    watch_out: tuple[str, ...] = ()

    @property
    def concerns(self) -> tuple[Concern, ...]:
        """What the licence asks, from its name."""
        if self.licence in _UNSAID:
            return (Concern.UNKNOWN,)
        return tuple(_PARTS[part] for part in self.licence.split("-") if part in _PARTS)

    @property
    def warning(self) -> str:
        """The concerns in words; empty when there are none."""
        return "; ".join(_WARNINGS[concern] for concern in self.concerns)

    @property
    def datasets(self) -> tuple[str, ...]:
        """All Hub ids with this layout."""
        return (self.dataset, *self.also) if self.dataset else self.also

    def column(self, meaning: Meaning) -> str | None:
        """The column of a meaning, certain or inferred."""
        return self.columns.get(meaning) or self.inferred.get(meaning)
