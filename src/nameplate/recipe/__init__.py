"""The recipe: one YAML page is the experiment. Sections are frozen values; unknown keys are errors."""

from nameplate.recipe.base import Section
from nameplate.recipe.checks import check_choices
from nameplate.recipe.loading import build_recipe, dump_recipe, load_recipe
from nameplate.recipe.policies import PRESETS, ComponentPolicy, LanguagePolicy, MemorySection, PresetName, parse_range
from nameplate.recipe.sections import (
    BudgetSection,
    CaptionSection,
    CleanSection,
    ClockSection,
    FetchSection,
    ImageSection,
    ModelSection,
    NameSection,
    PromptName,
    Reading,
    Recipe,
    ReportSection,
    SamplingSection,
    ScoreSection,
    SplitSection,
    TableSection,
    TeacherSection,
    TrainSection,
)

__all__ = [
    "PRESETS",
    "BudgetSection",
    "CaptionSection",
    "CleanSection",
    "ClockSection",
    "ComponentPolicy",
    "FetchSection",
    "ImageSection",
    "LanguagePolicy",
    "MemorySection",
    "ModelSection",
    "NameSection",
    "PresetName",
    "PromptName",
    "Reading",
    "Recipe",
    "ReportSection",
    "SamplingSection",
    "ScoreSection",
    "Section",
    "SplitSection",
    "TableSection",
    "TeacherSection",
    "TrainSection",
    "build_recipe",
    "check_choices",
    "dump_recipe",
    "load_recipe",
    "parse_range",
]
