"""The sections of a recipe: frozen values, each field with its purpose, its unit and what means "off"."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from nameplate.recipe.addresses import bare_address
from nameplate.recipe.base import Section
from nameplate.recipe.scoring import ScoreSection
from nameplate.recipe.teachers import TEACHER_PRESETS, fill_teacher
from nameplate.recipe.training import TrainSection

Reading = Literal["auto", "none", "tags", "qvq"]


class TableSection(Section):
    """Where the product table is and how its columns are called."""

    source: str
    """A table (CSV, TSV, JSON Lines, Parquet, Arrow), a folder of images, WebDataset tars, hf://datasets/OWNER/NAME."""
    preset: str | None = None
    """Layout of a known data set (`nameplate presets` lists them); the fields below override it."""
    id: str | None = None
    """Column that identifies a row; none: the row's place in the table."""
    image: str | None = None
    """Column with the image: a link, the bytes themselves, or a file's path."""
    image_root: str | None = None
    """Folder that paths in the image column start from and may not leave; none: paths are not followed."""
    title: str | None = None
    """Column with the product's title."""
    text: str | None = None
    """Column with a caption or description that the table already has."""
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

    column: str | None = "brand"
    """Column with the name; none: the rows have no name, which is enough up to `split`."""
    registry: str | None = None
    """YAML file that decides which spellings are one name (`nameplate names` writes one); none: the column alone."""


class ClockSection(Section):
    """Three clocks for one try of one link."""

    connect_seconds: float = Field(5.0, gt=0)
    """Longest time to connect."""
    read_seconds: float = Field(15.0, gt=0)
    """Longest time between two pieces of a body."""
    total_seconds: float = Field(30.0, gt=0)
    """Longest time for one try, from connecting to the last byte, redirects included."""


class ImageSection(Section):
    """Which images are kept, and in what form. The store holds upright 8-bit sRGB without transparency."""

    max_pixels: int = Field(50_000_000, gt=0)
    """Largest image that is decoded (width x height)."""
    min_side: int = Field(32, ge=1)
    """Shortest side, in pixels, that is kept."""
    max_aspect: float = Field(20.0, ge=1)
    """Longest side over shortest side that is kept."""
    longest_side: int | None = Field(None, ge=32)
    """Images with a longer side are made smaller to it; none: kept at their size."""
    matte: str = Field("#ffffff", pattern=r"^#[0-9a-fA-F]{6}$")
    """Colour behind transparent pixels, as #rrggbb."""


class FetchSection(Section):
    """How images are fetched, and what is refused."""

    clocks: ClockSection = ClockSection()
    """How long a link may take."""
    image: ImageSection = ImageSection()
    """What an image must be."""
    max_bytes: int = Field(25_000_000, gt=0)
    """Largest body that is read."""
    concurrency: int = Field(64, ge=1)
    """Most requests under way at once."""
    per_host: int = Field(4, ge=1)
    """Most requests under way at once to one host; after trouble it is fewer for a while."""
    max_attempts: int = Field(3, ge=1)
    """Most tries of one link, when trying again can help."""
    allow_networks: tuple[str, ...] = ()
    """Networks (CIDR) that may be fetched from although they are not public; empty: public addresses only."""
    permitted_hosts: tuple[str, ...] = ()
    """Hosts whose owner lets you take the images: robots.txt and X-Robots-Tag are not asked there."""
    referer: bool = False
    """After a 403, try once more with the product's page as Referer."""
    placeholder_min_products: int = Field(5, ge=2)
    """An image shared by so many different products is a placeholder."""
    keep_failures_days: float = Field(30.0, ge=0)
    """A final failure is believed for so long; then the link is asked again."""
    user_agent: str = "nameplate/0.1 (+https://github.com/nameplate/nameplate)"
    """How we introduce ourselves to hosts; a web address or mail address lets them reach you."""


class TeacherSection(Section):
    """OpenAI-compatible servers that write captions; several are one teacher, with one model."""

    model_config = ConfigDict(hide_input_in_errors=True)

    base_urls: tuple[str, ...] = Field(("http://localhost:8000/v1",), min_length=1)
    """Addresses of the servers, each with its /v1; one may stand without a list."""
    model: str = "Qwen/Qwen2-VL-72B-Instruct"
    """Model name to ask for."""
    api_key_env: str = "OPENAI_API_KEY"
    """Environment variable that holds the key; the key itself never reaches a file."""
    timeout_seconds: float = Field(120.0, gt=0)
    """Longest time for one answer."""
    concurrency: int = Field(16, ge=1)
    """Most questions under way at once, over all servers; fewer while a server is busy or slow."""
    max_attempts: int = Field(4, ge=1)
    """Most questions for one row; each one after a bad answer is changed."""
    reading: Reading = "auto"
    """Where thoughts end and the answer begins. none: no thoughts; tags: <think>; qvq: a marked last part."""
    stop_bad_share: float | None = Field(0.6, gt=0, le=1)
    """Stop when so large a share of the last 50 first answers loops, is garbled or refuses; none: never."""

    @field_validator("base_urls", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("base_urls")
    @classmethod
    def _are_addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        urls = tuple(bare_address(url, key_field="caption.teacher.api_key_env") for url in value)
        if len(set(urls)) < len(urls):
            raise ValueError("each address once")
        return urls


class BudgetSection(Section):
    """What the answers to this recipe's questions may cost; counted from the journal, over all runs."""

    max_tokens: int | None = Field(None, ge=1)
    """Most tokens, of questions and answers together; none: no limit."""
    max_money: float | None = Field(None, gt=0)
    """Most money, in the prices' currency; none: no limit."""
    price_per_million_in: float = Field(0.0, ge=0)
    """Price of a million tokens of questions, images included."""
    price_per_million_out: float = Field(0.0, ge=0)
    """Price of a million tokens of answers, thoughts included."""

    @model_validator(mode="after")
    def _money_needs_prices(self) -> BudgetSection:
        if self.max_money is not None and not self.price_per_million_in + self.price_per_million_out:
            raise ValueError("prices beside max_money: price_per_million_in, price_per_million_out")
        return self


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

    preset: str | None = None
    """A known teacher (`nameplate presets --teachers`); what is stated below comes on top. None: as stated below."""
    teacher: TeacherSection = TeacherSection()
    """The server."""
    sampling: SamplingSection = SamplingSection()
    """Its sampling."""
    budget: BudgetSection = BudgetSection()
    """What asking may cost."""
    source: Literal["teacher", "table"] = "teacher"
    """teacher: asked for every image; table: the captions stand in `table.text` and nobody is asked."""
    template: Literal["brand_first", "attributes", "question_answer", "custom"] = "brand_first"
    """The question, in the language of `clean.language`; custom: `prompt`."""
    prompt: str | None = Field(None, min_length=1)
    """Own question; {name}, {title}, {category} and {facts} are filled from the row. None: the template's."""
    attributes: tuple[str, ...] = ()
    """What the teacher is told of the row besides: title, category, or other columns of the table."""
    image_longest_side: int | None = Field(None, ge=28)
    """Images with a longer side are sent smaller, to this; none: at the size they are kept in."""

    @model_validator(mode="before")
    @classmethod
    def _fill_preset(cls, tree: object) -> object:
        tree = fill_teacher(tree)
        # A recipe that brings a question of its own need not say so twice.
        if isinstance(tree, dict) and tree.get("prompt") is not None and "template" not in tree:
            return {**tree, "template": "custom"}
        return tree

    @model_validator(mode="after")
    def _one_question(self) -> CaptionSection:
        if self.preset is not None and self.preset not in TEACHER_PRESETS:
            raise ValueError("caption.preset: one of " + ", ".join(TEACHER_PRESETS))
        if (self.template == "custom") != (self.prompt is not None):
            raise ValueError("a prompt goes with template: custom, and only there")
        if self.attributes and not self.takes_facts:
            raise ValueError("attributes go with template: attributes or question_answer, or with a prompt's {facts}")
        return self

    @property
    def tells_name(self) -> bool:
        """Whether the question tells the teacher the row's name; every template does."""
        return self.prompt is None or "{name}" in self.prompt

    @property
    def takes_facts(self) -> bool:
        """Whether the question has a place for the row's attributes."""
        return "{facts}" in self.prompt if self.prompt is not None else self.template != "brand_first"


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
    few_words: int = Field(18, ge=0, le=50)
    """At most so many different words among the last 50 are a salad of few words; 0: off."""
    counting: int = Field(20, ge=1)
    """So many numbers among the last 60 words are counting."""
    foreign_letters: float | None = Field(None, ge=0, le=1)
    """Largest share of letters of another script; none: 0.05 in English, 0.70 in Chinese."""
    shared_by: int | None = Field(5, ge=2)
    """A caption that so many different products share says nothing about any of them; none: off."""


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
    near_bits: int | None = Field(2, ge=0, le=8)
    """Images of one name whose perceptual hashes differ in at most so many of 64 bits stay together; none: off."""
    seed: int = 0
    """Same seed, same splits."""


class ModelSection(Section):
    """The model to start from."""

    base: str = "OpenGVLab/InternVL2_5-4B"
    """Folder or Hub id; "starter" is the model that comes with the package."""
    max_tiles: int = Field(1, ge=1)
    """Most tiles that an InternVL cuts an image into, the thumbnail not counted; 1: one square tile."""


class ReportSection(Section):
    """What the page shows."""

    title: str = "Nameplate run"
    """Heading of the page."""
    gallery: int = Field(1_000, ge=0)
    """Most test images in the gallery; 0: no gallery."""
    gallery_validation: int = Field(200, ge=0)
    """Most validation images in it, with the answers of every checkpoint."""
    max_bytes: int = Field(15_000_000, ge=4_000_000)
    """Largest page: thumbnails shrink until it fits, and then there are fewer."""


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
