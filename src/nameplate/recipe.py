"""The recipe: one YAML page is the experiment. Sections are frozen values; unknown keys are errors."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo

from nameplate.errors import RecipeError
from nameplate.records import ComponentName

PromptName = Literal["short", "detail", "name"]


class Section(BaseModel):
    """A part of the recipe: frozen, comparable, without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class TableSection(Section):
    """Where the product table is and how its columns are called."""

    source: str
    """Path of a CSV, TSV, JSON Lines or Parquet file."""
    preset: Literal["dbq"] | None = None
    """Column names of a known family of tables; the fields below override it."""
    id: str | None = None
    """Column that identifies a row; none: the row's place in the file."""
    image: str | None = None
    """Column with the image link."""
    title: str | None = None
    """Column with the product's title."""
    code: str | None = None
    """Column with the product code, used to keep variants of one product in one split."""
    category: str | None = None
    """Column with the product's category."""
    page: str | None = None
    """Column with the link of the product's page."""
    null_values: tuple[str, ...] = ("", "N.A.", "NA", "None", "none", "nan", "NaN", "null")
    """Texts that mean "no value"."""
    limit: int | None = Field(None, ge=1)
    """Read only so many rows; none: all."""


class NameSection(Section):
    """Which attribute the model shall learn to name."""

    column: str = "brand"
    """Column with the name."""
    registry: str | None = None
    """YAML file with display forms and aliases; none: made from the column."""


class FetchSection(Section):
    """How images are fetched, and what is refused."""

    total_timeout_seconds: float = Field(30.0, gt=0)
    """Longest time for one try, from connecting to the last byte."""
    connect_timeout_seconds: float = Field(5.0, gt=0)
    """Longest time to connect."""
    read_timeout_seconds: float = Field(15.0, gt=0)
    """Longest time between two pieces of a body."""
    max_bytes: int = Field(25_000_000, gt=0)
    """Largest body that is read."""
    max_pixels: int = Field(50_000_000, gt=0)
    """Largest image that is decoded (width x height)."""
    min_side: int = Field(32, ge=1)
    """Shortest side, in pixels, that is kept."""
    concurrency: int = Field(64, ge=1)
    """Most requests under way at once."""
    per_host: int = Field(4, ge=1)
    """Most requests under way at once to one host."""
    max_attempts: int = Field(3, ge=1)
    """Most tries of one link, when trying again can help."""
    allow_networks: tuple[str, ...] = ()
    """Networks (CIDR) that may be fetched from although they are not public; empty: public addresses only."""
    placeholder_min_products: int = Field(5, ge=2)
    """An image shared by so many different products is a placeholder."""
    user_agent: str = "nameplate/0.1 (+https://github.com/nameplate/nameplate)"
    """How we introduce ourselves to hosts."""


class TeacherSection(Section):
    """An OpenAI-compatible server that writes captions."""

    base_url: str = "http://localhost:8000/v1"
    """Address of the server, with its /v1."""
    model: str = "Qwen/Qwen2-VL-72B-Instruct"
    """Model name to ask for."""
    api_key_env: str = "OPENAI_API_KEY"
    """Environment variable that holds the key; the key itself never reaches a file."""
    timeout_seconds: float = Field(120.0, gt=0)
    """Longest time for one answer."""
    concurrency: int = Field(16, ge=1)
    """Most questions under way at once."""
    max_attempts: int = Field(4, ge=1)
    """Most questions for one row; each one after a bad answer is changed."""


class SamplingSection(Section):
    """How the teacher samples its first answer."""

    temperature: float = Field(0.1, ge=0)
    """Sampling temperature; 0: greedy."""
    top_p: float = Field(0.2, gt=0, le=1)
    """Nucleus mass."""
    max_tokens: int = Field(200, ge=1)
    """Longest answer, in tokens."""
    presence_penalty: float = 0.0
    """Passed on as it is; 0: off."""
    frequency_penalty: float = 0.0
    """Passed on as it is; 0: off."""


class CaptionSection(Section):
    """What the teacher is asked."""

    teacher: TeacherSection = TeacherSection()
    """The server."""
    sampling: SamplingSection = SamplingSection()
    """Its sampling."""
    prompt: str = "Describe this product in detail. Its brand is {name}; name the brand in the first sentence."
    """The question; {name} and {title} are filled from the row."""


class CleanSection(Section):
    """Which captions may be taught."""

    language: Literal["en", "zh"] = "en"
    """Language that a caption must be written in."""
    require_name: bool = True
    """Reject captions that do not say the row's name."""
    min_words: int = Field(8, ge=1)
    """Shortest caption, in words."""
    max_words: int = Field(200, ge=1)
    """Longest caption, in words."""
    loop_min_repeats: int = Field(3, ge=2)
    """So many copies of one piece at the end, or of one sentence anywhere, are a loop."""
    ngram_cover: float = Field(0.30, gt=0, le=1)
    """Share of words under 4-grams seen at least three times that is a loop."""


class SplitSection(Section):
    """How examples are divided, product by product."""

    min_per_name: int = Field(100, ge=1)
    """Names with fewer usable examples are left out, with their counts."""
    validation: int = Field(1000, ge=1)
    """Examples for choosing a checkpoint."""
    test: int = Field(1000, ge=1)
    """Examples for the final number."""
    code_prefix: int | None = Field(None, ge=1)
    """So many first characters of the product code identify a product; none: the whole code."""
    seed: int = 0
    """Same seed, same splits."""


class ModelSection(Section):
    """The model to start from."""

    base: str = "OpenGVLab/InternVL2_5-4B"
    """Folder or Hub id; "starter" is the model that comes with the package."""
    max_tiles: int = Field(1, ge=1)
    """Most image tiles per image."""


class ComponentPolicy(Section):
    """How one component of the model is trained."""

    mode: Literal["frozen", "full", "lora", "last"] = "frozen"
    """frozen: nothing; full: every parameter; lora: low-rank adapters; last: the last `num_layers` layers."""
    lr: float = Field(1.0e-5, gt=0)
    """Peak learning rate."""
    weight_decay: float = Field(0.0, ge=0)
    """Weight decay on matrices; 0: off."""
    num_layers: int | None = Field(None, ge=1)
    """Number of last layers, with `mode: last`."""
    rank: int = Field(16, ge=1)
    """Rank, with `mode: lora`."""
    alpha: int = Field(32, ge=1)
    """Scale (alpha / rank), with `mode: lora`."""

    @model_validator(mode="after")
    def _layers_go_with_last(self) -> ComponentPolicy:
        if (self.mode == "last") != (self.num_layers is not None):
            raise ValueError("num_layers goes with mode: last, and only there")
        return self


class TrainSection(Section):
    """What learns, how fast and for how long."""

    vision: ComponentPolicy = ComponentPolicy(mode="full", lr=1.0e-5)
    """The vision tower."""
    projector: ComponentPolicy = ComponentPolicy(mode="full", lr=1.0e-4)
    """Everything between vision tower and language model."""
    language: ComponentPolicy = ComponentPolicy(mode="frozen")
    """The language model with its embeddings and head."""
    epochs: int = Field(20, ge=1)
    """Passes over the training split."""
    checkpoint_every_epochs: int = Field(5, ge=1)
    """A checkpoint after so many epochs, and after the last."""
    batch_size: int = Field(24, ge=1)
    """Examples per optimizer step."""
    micro_batch_size: int = Field(8, ge=1)
    """Examples per forward pass; steps accumulate up to `batch_size`."""
    name_question_share: float = Field(0.5, ge=0, le=1)
    """Share of examples that ask for the name instead of a caption."""
    warmup_share: float = Field(0.03, ge=0, lt=1)
    """Share of steps in which the learning rate rises."""
    seed: int = 0
    """Order of examples and initial adapters."""

    def policies(self) -> dict[ComponentName, ComponentPolicy]:
        """The three policies by component."""
        return {"vision": self.vision, "projector": self.projector, "language": self.language}


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


class ReportSection(Section):
    """What the page shows."""

    title: str = "Nameplate run"
    """Heading of the page."""
    gallery: int = Field(24, ge=0)
    """Number of images shown before and after."""


class Recipe(Section):
    """One experiment: every choice that can change its result."""

    table: TableSection
    """The product table."""
    name: NameSection = NameSection()
    """The attribute to name."""
    store: str | None = None
    """Folder for images, answers and predictions, shared between runs; none: inside the run directory."""
    fetch: FetchSection = FetchSection()
    """Getting the images."""
    caption: CaptionSection = CaptionSection()
    """Asking the teacher."""
    clean: CleanSection = CleanSection()
    """Judging its answers."""
    split: SplitSection = SplitSection()
    """Dividing the examples."""
    model: ModelSection = ModelSection()
    """The model."""
    train: TrainSection = TrainSection()
    """Training it."""
    score: ScoreSection = ScoreSection()
    """Scoring it."""
    report: ReportSection = ReportSection()
    """Showing it."""


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe with what it extends, apply `section.field=value` overrides, and check every key.

    Relative paths (`table.source`, `name.registry`, `store`, a local `model.base`) start at the recipe's folder.

    Raises:
        RecipeError: the file is missing or malformed, or a key or value is not known.
    """
    tree = _read_tree(path, seen=())
    for override in overrides:
        _apply_override(tree, override)
    return build_recipe(tree, where=str(path))


def build_recipe(tree: Mapping[str, Any], *, where: str) -> Recipe:
    """Check a parsed recipe.

    Raises:
        RecipeError: with the place, what was found, and the nearest known key.
    """
    try:
        return Recipe.model_validate(tree)
    except ValidationError as error:
        raise _explain(error, where) from None


def dump_recipe(recipe: Recipe) -> str:
    """The recipe as YAML, every field written out."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _read_tree(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    path = path.resolve()
    if path in seen:
        raise RecipeError(str(path), found="it extends itself", fix="remove the circle of 'extends'")
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise RecipeError(str(path), found="no such recipe", fix="check the path") from None
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(str(path), found=f"cannot be read ({error})", expected="a YAML file in UTF-8") from None
    try:
        tree = yaml.safe_load(text)
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        line = f" line {place.line + 1}" if place is not None else ""
        problem = getattr(error, "problem", None) or "malformed"
        raise RecipeError(f"{path}{line}", found=f"not YAML: {problem}") from None
    if not isinstance(tree, dict):
        raise RecipeError(str(path), found="not a mapping", expected="sections such as 'table:' and 'train:'")
    _anchor_paths(tree, path.parent)
    parent = tree.pop("extends", None)
    if parent is None:
        return tree
    return _merge(_read_tree(path.parent / str(parent), (*seen, path)), tree)


def _anchor_paths(tree: dict[str, Any], folder: Path) -> None:
    """Make relative local paths absolute, so that a recipe means the same from any working directory."""
    for section, field in (("table", "source"), ("name", "registry"), ("model", "base")):
        part = tree.get(section)
        if not isinstance(part, dict) or not isinstance(part.get(field), str) or "://" in part[field]:
            continue
        local = folder / part[field]
        # A Hub id such as OWNER/NAME stays as it is unless a folder of that name stands beside the recipe.
        if section != "model" or local.exists():
            part[field] = str(local.resolve())
    if isinstance(tree.get("store"), str):
        tree["store"] = str((folder / tree["store"]).resolve())


def _merge(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in top.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _apply_override(tree: dict[str, Any], override: str) -> None:
    name, sign, text = override.partition("=")
    keys = name.strip().split(".")
    if not sign or not all(keys):
        raise RecipeError(f"--set {override}", found="not an assignment", expected="section.field=value")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        value = text
    node = tree
    for key in keys[:-1]:
        child = node.setdefault(key, {})
        if not isinstance(child, dict):
            raise RecipeError(f"--set {override}", found=f"'{key}' is a value", expected="a section")
        node = child
    node[keys[-1]] = value


def _explain(error: ValidationError, where: str) -> RecipeError:
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or "recipe"
    if first["type"] == "extra_forbidden":
        known = _known_keys(first["loc"][:-1])
        near = difflib.get_close_matches(str(first["loc"][-1]), known, n=1, cutoff=0.5)
        fix = f"did you mean '{near[0]}'?" if near else ""
        return RecipeError(f"{where}: {place}", found="unknown key", expected="one of " + ", ".join(known), fix=fix)
    if first["type"] == "missing":
        return RecipeError(f"{where}: {place}", found="missing", fix=f"add '{place}: ...'")
    found = json.dumps(first.get("input"), ensure_ascii=False, default=str)
    if len(found) > 80:
        found = found[:77] + "..."
    expected = first["msg"].removeprefix("Value error, ")
    return RecipeError(f"{where}: {place}", found=f"{found} is not accepted", expected=expected)


def _known_keys(path: Sequence[int | str]) -> list[str]:
    section: type[BaseModel] = Recipe
    for key in path:
        field: FieldInfo | None = section.model_fields.get(str(key))
        annotation = field.annotation if field is not None else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        section = annotation
    return list(section.model_fields)
