"""Looking at a strange table, and proposing a recipe for it."""

from nameplate.stages.ingest.propose.fit import Captions, Split, fit_captions, fit_split
from nameplate.stages.ingest.propose.proposal import Choice, Proposal, propose
from nameplate.stages.ingest.propose.recipe_text import recipe_text
from nameplate.stages.ingest.propose.survey import Survey, survey_table

__all__ = [
    "Captions",
    "Choice",
    "Proposal",
    "Split",
    "Survey",
    "fit_captions",
    "fit_split",
    "propose",
    "recipe_text",
    "survey_table",
]
