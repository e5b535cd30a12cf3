"""The `train` section of a recipe: what learns is in `policies.py`, how it learns is here."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import (
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    StringConstraints,
    model_serializer,
    model_validator,
)

from nameplate.recipe.base import Section
from nameplate.recipe.policies import UNSTATED, ComponentPolicy, LanguagePolicy, PresetName, with_preset
from nameplate.records import ComponentName

OptimizerName = Literal["adamw", "apollo", "apollo_mini", "muon", "adamw_8bit"]
Weighting = Literal["token", "sample", "square"]
PrefixLevel = Literal["tiles", "vision", "projected", "hidden"]
Share = Annotated[float, Field(ge=0, lt=1)]


def _as_word(value: object) -> object:
    """YAML reads a bare off as no, and on as yes."""
    return {False: "off", True: "on"}[value] if isinstance(value, bool) else value


_Switch = BeforeValidator(_as_word)

_FOR_MATRICES: Final = ("apollo", "apollo_mini", "muon")
"""Optimizers for the matrices inside a component; adapters are learned with AdamW beside them."""
_NO_MEANS: Final = {"prefix": "auto", "prefix_max_bytes": 0, "compile": "auto", "attention": "auto"}
"""Of a memory section: where and how fast something is computed."""


class OptimizerSection(Section):
    """How gradients become steps. Learning rates and weight decay stand beside each component's policy."""

    name: OptimizerName = "adamw"
    """adamw: fused; apollo, apollo_mini: AdamW's effect from low-rank moments; muon: orthogonal steps for matrices
    inside layers, AdamW for the rest; adamw_8bit: moments in 8 bits (needs `nameplate[quantise]`)."""
    betas: tuple[Share, Share] = (0.9, 0.999)
    """Decay of the first and of the second moment."""
    epsilon: float = Field(1.0e-8, gt=0)
    """Added to the second moment's root."""
    rank: int | None = Field(None, ge=1)
    """Rank of the moments, with apollo (none: 256, or less where a matrix is smaller); apollo_mini has 1."""
    update_interval: int = Field(200, ge=1)
    """A new random projection after so many steps, with apollo and apollo_mini."""
    warmup_share: float = Field(0.03, ge=0, lt=1)
    """Share of steps in which the learning rate rises; then it falls to zero as a cosine."""
    max_grad_norm: float | None = Field(1.0, gt=0)
    """Gradients of a step are scaled down to this norm; none: off."""
    ema_decay: float | None = Field(None, gt=0, lt=1)
    """Checkpoints hold an exponential moving average of the weights with this decay per step; none: the weights."""

    @model_validator(mode="after")
    def _fields_go_with_their_name(self) -> OptimizerSection:
        if self.rank is not None and self.name != "apollo":
            raise ValueError("rank goes with name: apollo, and only there; leave it out")
        default = type(self).model_fields["update_interval"].default
        if self.update_interval != default and self.name not in ("apollo", "apollo_mini"):
            raise ValueError("update_interval goes with name: apollo or apollo_mini, and only there; leave it out")
        return self


class UnnamedSection(Section):
    """Images without any name, of which the model learns to say so."""

    images: str
    """The folder, with all folders in it."""
    share: float = Field(0.05, gt=0, le=0.5)
    """Share of an epoch's examples; the images come in turn."""
    answer: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)] = "There is no brand to be seen."
    """What is learned when the name is asked for."""

    def count(self, num_rows: int) -> int:
        """Examples of an epoch beside those of so many rows."""
        return max(1, round(num_rows * self.share / (1 - self.share)))


class ExamplesSection(Section):
    """What is asked about the images, how often, and how much each answer counts."""

    name_question_share: float = Field(0.5, ge=0, le=1)
    """Share of examples that ask for the name instead of a caption."""
    question_answer_share: float = Field(0.0, ge=0, le=1)
    """Share of examples that are the teacher's question-and-answer pairs (caption.template: question_answer)."""
    balance: Literal["none", "sqrt", "uniform"] = "none"
    """How often a name is seen in an epoch. none: each row once; sqrt: by the root of its rows; uniform: all alike."""
    weighting: Weighting = "token"
    """What a step's mean is over. token: answer tokens; sample: answers; square: tokens over the root of their number
    in the answer, as InternVL was trained."""
    name_weight: float = Field(1.0, gt=0)
    """Weight of the tokens that spell the name, in every answer; 1: like the others."""
    augment: Annotated[Literal["off", "careful"], _Switch] = "off"
    """careful: small crops and changes of light, each epoch anew. Never mirrored: names are written."""
    unnamed: UnnamedSection | None = None
    """Images without any name, in addition to the rows; none: every image that is learned from has a name."""

    @model_validator(mode="after")
    def _shares_fit(self) -> ExamplesSection:
        if self.name_question_share + self.question_answer_share > 1:
            raise ValueError("name_question_share and question_answer_share that add up to at most 1")
        return self

    @model_serializer(mode="wrap")
    def _as_before(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without what is not used: trainings from before this setting need not be done again."""
        tree: dict[str, Any] = plain(self)
        if self.unnamed is None:
            tree.pop("unnamed", None)
        return tree


Attention = Literal["auto", "eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention"]


class MemorySection(Section):
    """Number formats, what is computed at once, and what is kept or computed again."""

    weights: Literal["float32", "bfloat16"] = "float32"
    """What learns. float32: small steps are not lost to rounding; bfloat16: half the memory, and they may be."""
    checkpointing: bool = False
    """Compute a layer's activations again in the backward pass instead of keeping them, where gradients pass."""
    quantise: Literal["int8", "nf4"] | None = None
    """Hold the layers of a frozen language model in 8 or 4 bits (needs `nameplate[quantise]`); none: as they are."""
    attention: Attention = "auto"
    """auto: on a CPU our own where sequences are short, else what the model comes with (torch's, which is fused and has
    flash kernels on a GPU); by name: that one of transformers, whose package must be there."""
    micro_batch_size: int = Field(8, ge=1)
    """Examples per forward pass; steps accumulate up to `train.batch_size`."""
    packing: Annotated[Literal["off", "on", "auto"], _Switch] = "auto"
    """Several short examples in one row, none seeing another; auto: where that saves time."""
    prefix: Annotated[Literal["auto", "off"] | PrefixLevel, _Switch] = "auto"
    """What is computed once and kept on disk, where nothing before it learns. auto: what saves most, if any does."""
    prefix_max_bytes: int = Field(64_000_000_000, ge=0)
    """Most bytes of it on disk."""
    compile: Annotated[Literal["off", "on", "auto"], _Switch] = "auto"
    """Fuse what lies between products in the language model's layers (one CPU process, with a C++ compiler). on: where
    one layer tried is faster; auto: where enough work is ahead, too."""


class TrainSection(Section):
    """What learns, how fast and for how long."""

    preset: PresetName | None = None
    """Policies by name, for all three components; what is stated below comes on top. None: as stated below."""
    vision: ComponentPolicy = ComponentPolicy(**UNSTATED["vision"])
    """The vision tower."""
    projector: ComponentPolicy = ComponentPolicy(**UNSTATED["projector"])
    """Everything between vision tower and language model."""
    language: LanguagePolicy = LanguagePolicy(**UNSTATED["language"])
    """The language model with its embeddings and head."""
    optimizer: OptimizerSection = OptimizerSection()
    """How gradients become steps."""
    examples: ExamplesSection = ExamplesSection()
    """What is asked about the images, how often, and how much each answer counts."""
    memory: MemorySection = MemorySection()
    """Number formats, what is computed at once, and what is kept or computed again."""
    epochs: int = Field(20, ge=1)
    """Passes over the training split."""
    checkpoint_every_epochs: int = Field(5, ge=1)
    """A checkpoint after so many epochs, and after the last."""
    keep: Literal["all", "best_and_last"] = "all"
    """Which checkpoints stay on disk; the best is the most accurate on validation images, name question."""
    batch_size: int = Field(24, ge=1)
    """Examples per optimizer step."""
    seed: int = 0
    """Order and choice of examples, and initial adapters."""

    @model_validator(mode="before")
    @classmethod
    def _fill_preset(cls, tree: object) -> object:
        return with_preset(tree)

    @model_validator(mode="after")
    def _something_learns(self) -> TrainSection:
        if not any(policy.learns for policy in self.policies().values()):
            raise ValueError("a component that learns; every one is frozen")
        if self.memory.quantise is not None and self.language.learns:
            raise ValueError("memory.quantise goes with a language model that is frozen")
        return self

    @model_validator(mode="after")
    def _choices_fit(self) -> TrainSection:
        matrices = any(policy.mode in ("full", "last", "layers") for policy in self.policies().values())
        if self.optimizer.name in _FOR_MATRICES and not matrices:
            raise ValueError(
                f"optimizer.name: adamw; {self.optimizer.name} is for the matrices of a component with mode full, last "
                "or layers, and there is none"
            )
        if self.examples.augment != "off" and self.memory.prefix not in ("auto", "off"):
            raise ValueError(
                f"memory.prefix: auto or off; with examples.augment: {self.examples.augment} every epoch has other "
                "images, and nothing of them can be kept"
            )
        return self

    @model_validator(mode="after")
    def _prefix_stays_as_it_is(self) -> TrainSection:
        level = self.memory.prefix
        if level in ("auto", "off"):
            return self
        before: dict[str, tuple[ComponentName, ...]] = {"tiles": (), "vision": ("vision",)}
        for name in before.get(level, ("vision", "projector")):
            if self.policies()[name].learns:
                raise ValueError(f"memory.prefix: auto; {level} cannot be kept while {name} learns")
        return self

    def without_means(self) -> TrainSection:
        """Less what decides only where and how fast it is computed: two that are equal so learn the same."""
        update: dict[str, Section] = {"memory": self.memory.model_copy(update=_NO_MEANS)}
        if (unnamed := self.examples.unnamed) is not None:
            nowhere = unnamed.model_copy(update={"images": ""})
            update["examples"] = self.examples.model_copy(update={"unnamed": nowhere})
        return self.model_copy(update=update)

    def ends_with_checkpoint(self, epoch: int) -> bool:
        """Whether one is written after this epoch, counted from 1."""
        return epoch % self.checkpoint_every_epochs == 0 or epoch == self.epochs

    @property
    def num_checkpoints(self) -> int:
        """Left when training has ended; the best of two may be the last."""
        written = sum(map(self.ends_with_checkpoint, range(1, self.epochs + 1)))
        return min(written, 2) if self.keep == "best_and_last" else written

    def policies(self) -> dict[ComponentName, ComponentPolicy]:
        """The three policies by component."""
        return {"vision": self.vision, "projector": self.projector, "language": self.language}
