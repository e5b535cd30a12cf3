"""The other figures of a run, stage by stage, and all of them together: `summary.json`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import Field, ValidationError

from nameplate import __version__
from nameplate.records import ComponentName, StageName
from nameplate.summary.base import Figures, Proportion
from nameplate.summary.score import ScoreSummary

_Kind = TypeVar("_Kind", bound=Figures)


class ComponentRow(Figures):
    """One component of the model under its policy."""

    component: ComponentName
    parameters: int
    trainable: int
    mode: str
    lr: float | None
    """Highest peak learning rate; none: nothing learns."""
    layers: int
    lowest_lr: float | None = None
    """Lowest peak learning rate: less than `lr` where rates fall by layer."""
    rank: int | None = None
    """Rank of its adapters; none: it has none."""
    dtype: str = ""
    """Number formats of its base parameters, most of them first."""
    idle: int = 0
    """Parameters that no answer depends on."""
    ends: str = ""
    """What embeddings and head do, where it has any."""


class TrainSummary(Figures):
    """`train/train.json`: what was trained and how it went."""

    components: list[ComponentRow]
    steps: int
    epochs: int
    examples: int
    """Examples per epoch."""
    losses: list[tuple[float, float]]
    """Pairs (epoch, training loss), as logged."""
    seconds: float
    supervised_tokens: int
    """Answer tokens per epoch that carry loss."""
    kept_bytes: int | None = None
    """What is on disk of what was computed once (`memory.prefix`); none in runs of older versions."""
    validation: dict[str, Proportion] = Field(default_factory=dict)
    """Validation accuracy of each checkpoint on the name question, kept or not; empty with `train.keep: all`."""


class StageSummary(Figures):
    """One stage's row of the funnel."""

    read: int
    kept: int
    rejected: dict[str, int]
    seconds: float
    peak_memory_bytes: int
    details: dict[str, Any]


class HostSummary(Figures):
    """One host's rows. Times are of requests that this run sent, and none where it sent none."""

    host: str
    rows: int
    live: int
    statuses: dict[str, int]
    """Rows by fetch status, `ok` included."""
    p50_ms: int | None
    p95_ms: int | None
    """Time in requests and decoding of one link; half and 95 % of links took less."""


class NameImages(Figures):
    """How many rows of one name have an image."""

    name: str
    rows: int
    live: int


class FetchSummary(Figures):
    """Details of `fetch`: what the table's links gave, counted in rows, and what asking cost."""

    requests: int
    """Requests that finished shards sent; those of a killed shard are not known, though its answers are kept."""
    retries: int
    links: int
    """Distinct links of each shard, added up."""
    known: int
    """Links that were answered from the ledger, without a request."""
    bytes_received: int
    images: int
    """Distinct kept images."""
    bytes: int
    """Their size on disk."""
    median_width: int | None
    median_height: int | None
    changes: dict[str, int]
    """Rows by what was done to their image before it was kept."""
    num_hosts: int
    hosts: list[HostSummary]
    """Those that lost most rows first, at most 20."""
    refusing: list[HostSummary]
    """Hosts that answered 403 or do not want machines, most rows first, at most 20."""
    num_names: int
    num_lost_names: int
    """Names without any live image."""
    names: list[NameImages]
    """Smallest live share first, at most 20, none with less than 10 rows where others have them."""


class CaptionSummary(Figures):
    """Details of `caption`: how the teacher's answers were, and what they cost, over all runs that added to its rows.

    Counts are of different questions where nothing else is said: rows that share image and question share answers.
    """

    requests: int
    """Requests of this run directory's finished shards, tries that got no answer included."""
    answers: int
    questions: int
    """Those with an answer."""
    first_answer_problems: dict[str, int]
    """Rows by the first thing wrong with their first answer."""
    all_first_problems: dict[str, int]
    """First answers by everything wrong with them."""
    attempts: dict[str, int]
    """Rows by how many answers they took."""
    cut_off_first: int
    """First answers that the token limit stopped."""
    cut_off_last: int
    named_first: int | None
    """First answers that say the row's name and no other; none: the question does not tell it."""
    named_last: int | None
    tokens_in: int
    tokens_out: int
    tokens_wasted: int
    """Tokens of answers with a problem."""
    money: float
    """At the recipe's prices."""
    answer_seconds: float
    """Waiting for answers, added up as if one came after the other."""
    p50_ms: int
    p95_ms: int
    template: str
    server: str
    simulated: bool
    source: str = "teacher"

    @classmethod
    def read(cls, details: Mapping[str, Any]) -> CaptionSummary | None:
        """From a stage's details; none: a version that counted differently wrote them."""
        return _read(cls, details)


class CleanSummary(Figures):
    """Details of `clean`, counted in rows, kept and rejected."""

    repairs: dict[str, int]
    name_verdicts: dict[str, int]
    reasons_all: dict[str, int]
    first_problems: dict[str, int]
    cut_off: int
    """Raw captions that the token limit stopped."""
    name_present_before_repair: int
    name_present_after_repair: int
    matcher: str
    """Fingerprint of the names and rules by which they were judged."""

    @property
    def named_rows(self) -> int:
        """Rows with a name, whose captions were judged for it."""
        return sum(self.name_verdicts.values())

    @classmethod
    def read(cls, details: Mapping[str, Any]) -> CleanSummary | None:
        """From a stage's details; none: a version that counted differently wrote them."""
        return _read(cls, details)


def _read(kind: type[_Kind], details: Mapping[str, Any]) -> _Kind | None:
    try:
        return kind.model_validate(details)
    except ValidationError:
        return None


class RunSummary(Figures):
    """`summary.json`: every number of the report."""

    nameplate: str
    """Version of the package."""
    title: str
    recipe: dict[str, Any]
    simulated_teacher: bool
    """Whether the teacher said of itself that it is a simulator."""
    stages: dict[StageName, StageSummary]
    train: TrainSummary
    score: ScoreSummary

    @property
    def captions_from_table(self) -> bool:
        """Whether the captions stood in the table, and no teacher was asked."""
        return bool(self.recipe.get("caption", {}).get("source") == "table")

    @classmethod
    def build(
        cls,
        *,
        title: str,
        recipe: dict[str, Any],
        records: Mapping[StageName, dict[str, Any]],
        train: TrainSummary,
        score: ScoreSummary,
    ) -> RunSummary:
        """Put a run's numbers together from the manifest's records and the files of `train` and `score`."""
        fields = set(StageSummary.model_fields)
        stages: dict[StageName, StageSummary] = {
            name: StageSummary.model_validate({key: value for key, value in record.items() if key in fields})
            for name, record in records.items()
        }
        simulated = bool(stages["caption"].details.get("simulated")) if "caption" in stages else False
        return cls(
            nameplate=__version__,
            title=title,
            recipe=recipe,
            simulated_teacher=simulated,
            stages=stages,
            train=train,
            score=score,
        )
