"""The scoring section of a recipe: who is asked what, and which number decides."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from nameplate.recipe.addresses import bare_address
from nameplate.recipe.base import PromptName, Section


class GuardSection(Section):
    """Asking for what is not the name: did learning names cost anything else?"""

    rows: int = Field(100, ge=0)
    """Validation rows that are asked about the table's other columns; 0: off."""
    columns: tuple[str, ...] = ()
    """Columns to ask about; none given: those with few enough values, the fullest first, at most three."""
    unnamed: str | None = None
    """Folder of images without any of the names; none: plain, noisy and graded images that are drawn for this."""


class ServerSection(Section):
    """A server that holds the models, each under its own name."""

    model_config = ConfigDict(hide_input_in_errors=True)

    base_url: str
    """Address, up to and with `/v1`; `{checkpoint}` in it stands for base, epoch-05, ..., each on its own server."""
    model: str = "{checkpoint}"
    """What the server calls a model; `{checkpoint}` as above."""
    api_key_env: str = "OPENAI_API_KEY"
    """Environment variable that holds the key; it is fine for it to be empty."""
    concurrency: int = Field(16, ge=1)
    """Questions under way at a time."""

    @field_validator("base_url")
    @classmethod
    def _is_address(cls, value: str) -> str:
        return bare_address(value, key_field="score.server.api_key_env")

    @model_validator(mode="after")
    def _tells_them_apart(self) -> ServerSection:
        if "{checkpoint}" not in self.base_url + self.model:
            raise ValueError("'{checkpoint}' in model or base_url, or one model would answer for all checkpoints")
        return self


class ScoreSection(Section):
    """What the checkpoints are asked, and which number decides."""

    prompts: tuple[PromptName, ...] = ("name", "detail")
    """Questions to ask about every image."""
    headline: PromptName = "name"
    """The question whose accuracy is the headline and chooses the checkpoint."""
    select_on: Literal["validation"] = "validation"
    """Split that chooses the checkpoint; the test split never does."""
    batch_size: int = Field(64, ge=1)
    """Images per generation batch."""
    max_new_tokens: int = Field(96, ge=1)
    """Longest answer, in tokens."""
    closed_set: Literal["off", "chosen", "all"] = "chosen"
    """Who also chooses among all names, by their likelihood: nobody, base and chosen checkpoint, or every model."""
    test: Literal["chosen", "all"] = "chosen"
    """Who is asked about the test split: base and chosen checkpoint, or every model; each look is counted."""
    train_rows: int = Field(300, ge=0)
    """Training rows that the headline question is asked about, to see what was learned by heart; 0: off."""
    average_last: int = Field(0, ge=0)
    """Average of the weights of so many last checkpoints, as one more candidate; 0: none, 1 is refused."""
    guards: GuardSection = GuardSection()
    """What the model could do before, and whether it still can."""
    server: ServerSection | None = None
    """An OpenAI-compatible server that answers for the models; none: this process does."""

    @field_validator("average_last")
    @classmethod
    def _of_several(cls, value: int) -> int:
        if value == 1:
            raise ValueError("an average of 1 checkpoint is that checkpoint; give 0, or 2 and more")
        return value
