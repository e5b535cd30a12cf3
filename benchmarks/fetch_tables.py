"""The tables of the fetch benchmark, as docs/fetch.md holds them."""

from __future__ import annotations

from typing import Any

from figures import markdown

_ROWS = (
    ("saved images a second", "images_per_second", 0),
    ("the same, without the program's start", "images_per_second_without_start", 0),
    ("rows saved", "saved", 0),
    ("share of the rows that can be saved", "saved_share", 3),
    ("images paired with the wrong row", "mispaired", 0),
    ("images of links that have none to give", "from_bad_links", 0),
    ("CPU seconds for 1,000 images", "cpu_seconds_per_1000", 1),
    ("peak memory, MB (shared pages once)", "peak_pss_mb", 0),
    ("peak memory, MB (sum of RSS)", "peak_rss_mb", 0),
    ("requests", "requests", 0),
    ("connections", "connections", 0),
    ("final refusals asked again", "refused_links_asked_again", 0),
    ("most requests at once", "most_at_once", 0),
    ("share of the machine taken by others, at its worst", "elsewhere_cpu_share", 2),
)
_FLAT = ("links", "saved", "mispaired", "images_per_second", "cpu_seconds_per_1000", "wall_seconds_per_1000")


def tables(figures: dict[str, Any]) -> str:
    """All tables of a run."""
    shown = [_compared(figures, scheme) for scheme in ("http", "https")]
    parts = [[name, f"{ms:.2f}"] for name, ms in figures["parts_ms_per_image"].items()]
    shown.append(markdown(["part of ours, by itself", "CPU ms an image"], parts))
    if "flatness" in figures:
        names = (*_FLAT, "peak_pss_mb")
        rows = [[f"{each[name]:,.4g}" for name in names] for each in figures["flatness"]]
        shown.append(markdown([name.replace("_", " ") for name in names], rows))
    return "\n\n".join(shown)


def _compared(figures: dict[str, Any], scheme: str) -> str:
    tools, ratios = figures[scheme]["tools"], figures[scheme]["ratios"]
    rows = [[label, *(f"{tool[name]:,.{digits}f}" for tool in tools.values())] for label, name, digits in _ROWS]
    table = markdown([scheme, *(name.replace("_", " ") for name in tools)], rows)
    if not ratios:
        return table
    return f"{table}\n\nnameplate over img2dataset: " + ", ".join(
        f"{name.replace('_', ' ')} {value:.2f}" for name, value in ratios.items()
    )
