"""The recipe: one YAML page is the experiment. Sections are frozen values; unknown keys are errors."""

from nameplate.recipe.checks import check_choices
from nameplate.recipe.loading import build_recipe, dump_recipe, load_recipe
from nameplate.recipe.sections import (
    CaptionSection,
    CleanSection,
    ClockSection,
    ComponentPolicy,
    FetchSection,
    ImageSection,
    ModelSection,
    NameSection,
    PromptName,
    Recipe,
    ReportSection,
    SamplingSection,
    ScoreSection,
    Section,
    SplitSection,
    TableSection,
    TeacherSection,
    TrainSection,
)

__all__ = [
    "CaptionSection",
    "CleanSection",
    "ClockSection",
    "ComponentPolicy",
    "FetchSection",
    "ImageSection",
    "ModelSection",
    "NameSection",
    "PromptName",
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
]
