"""Whether validation or test rows are known from training: by image, product, page or caption, equal or nearly so."""

from nameplate.stages.leaks.leaks import run_leaks
from nameplate.stages.leaks.results import LeakChoices, LeakKind, LeakSummary, read_leaks

__all__ = ["LeakChoices", "LeakKind", "LeakSummary", "read_leaks", "run_leaks"]
