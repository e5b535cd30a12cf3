"""The statistics behind every claim. Pure: numbers in, numbers out; SciPy is imported when a function needs it."""

from nameplate.statistics.bootstrap import (
    RESAMPLES,
    cluster_bootstrap,
    design_effect,
    macro_bootstrap,
    macro_difference_bootstrap,
    paired_bootstrap,
    share_difference_bootstrap,
)
from nameplate.statistics.choosing import Choice, Drop, difference_error, drops, one_standard_error
from nameplate.statistics.comparison import (
    SIGNIFICANT,
    Outcome,
    PairedComparison,
    compare_pairs,
    difference_interval,
    in_words,
    p_text,
    points_text,
)
from nameplate.statistics.medians import median_interval
from nameplate.statistics.pairs import mcnemar_exact, paired_difference, sign_flip_exact
from nameplate.statistics.power import (
    ALPHA,
    POWER,
    connor_sample_size,
    fewest_changed,
    images_for_interval,
    paired_detectable,
    paired_power,
    paired_sample_size,
    unpaired_detectable,
    unpaired_power,
    unpaired_sample_size,
)
from nameplate.statistics.proportions import (
    CONFIDENCE,
    Interval,
    Share,
    unpaired_difference,
    unpaired_p,
    wilson,
)
from nameplate.statistics.several import holm, selection_optimism
from nameplate.statistics.shrinkage import Prior, Shrunk, fit_prior, shrink
from nameplate.statistics.slices import slice_p

__all__ = [
    "ALPHA",
    "CONFIDENCE",
    "POWER",
    "RESAMPLES",
    "SIGNIFICANT",
    "Choice",
    "Drop",
    "Interval",
    "Outcome",
    "PairedComparison",
    "Prior",
    "Share",
    "Shrunk",
    "cluster_bootstrap",
    "compare_pairs",
    "connor_sample_size",
    "design_effect",
    "difference_error",
    "difference_interval",
    "drops",
    "fewest_changed",
    "fit_prior",
    "holm",
    "images_for_interval",
    "in_words",
    "macro_bootstrap",
    "macro_difference_bootstrap",
    "mcnemar_exact",
    "median_interval",
    "one_standard_error",
    "p_text",
    "paired_bootstrap",
    "paired_detectable",
    "paired_difference",
    "paired_power",
    "paired_sample_size",
    "points_text",
    "selection_optimism",
    "share_difference_bootstrap",
    "shrink",
    "sign_flip_exact",
    "slice_p",
    "unpaired_detectable",
    "unpaired_difference",
    "unpaired_p",
    "unpaired_power",
    "unpaired_sample_size",
    "wilson",
]
