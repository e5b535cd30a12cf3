"""Showing what a benchmark found: a table for the page, and one JSON object for programs."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from measure import Cost

MB = 1e6


def machine() -> dict[str, Any]:
    """The machine that the figures are of."""
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "processor": names[0].split(":", 1)[1].strip() if names else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def medians(costs: Sequence[Cost]) -> dict[str, float]:
    """The middle of several runs, figure by figure."""
    return {
        "wall_seconds": median(cost.wall_seconds for cost in costs),
        "cpu_seconds": median(cost.cpu_seconds for cost in costs),
        "peak_rss_mb": median(cost.peak_rss_bytes for cost in costs) / MB,
        "peak_pss_mb": median(cost.peak_pss_bytes for cost in costs) / MB,
    }


def rounded(value: Any) -> Any:
    """Floats to four digits, throughout: more is noise."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, Mapping):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(each) for each in value]
    return value


def markdown(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table as the docs hold it."""
    lines = [headings, ["---", *("---:" for _ in headings[1:])], *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
