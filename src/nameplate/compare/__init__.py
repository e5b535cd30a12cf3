"""Comparing runs: paired on the rows that all of them answered, with what was fixed and what was lost."""

from nameplate.compare.aligning import Aligned, bring_together
from nameplate.compare.compare import compare_models
from nameplate.compare.page import check_page, write_comparison_page
from nameplate.compare.results import ComparedModel, ComparisonSummary, Difference, Pair, RowChange
from nameplate.compare.subjects import Compared, find_compared

__all__ = [
    "Aligned",
    "Compared",
    "ComparedModel",
    "ComparisonSummary",
    "Difference",
    "Pair",
    "RowChange",
    "bring_together",
    "check_page",
    "compare_models",
    "find_compared",
    "write_comparison_page",
]
