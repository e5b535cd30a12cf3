"""Making a chart's SVG fit for a page: the page's colours, no colliding ids, and nothing in it that could act."""

from __future__ import annotations

import re
from typing import Final
from xml.etree import ElementTree

from markupsafe import Markup

PAINT: Final = {
    "ink": "#0a0b01",
    "muted": "#0a0b02",
    "grid": "#0a0b03",
    "validation": "#0a0b04",
    "test": "#0a0b05",
    "train": "#0a0b06",
    "paper": "#0a0b07",
    "strict": "#0a0b08",
    "mention": "#0a0b09",
    "closed": "#0a0b10",
}
"""Stand-ins that a chart is drawn with; on the page each becomes the CSS variable of its name."""
LIGHT: Final = {
    "ink": "#1c1e22",
    "muted": "#5d626b",
    "grid": "#dedbd2",
    "validation": "#2867ad",
    "test": "#b4500c",
    "train": "#6d727b",
    "paper": "#ffffff",
    "strict": "#7a3e9d",
    "mention": "#0f766e",
    "closed": "#9a6a00",
}
"""What each becomes in a file: the page's colours by day."""

_ALLOWED: Final = {"svg", "g", "path", "line", "rect", "circle", "text", "tspan", "defs", "clipPath", "title"}
_DROPPED: Final = {"role", "aria-label", "aria-hidden", "aria-roledescription", "class", "font-family", "version"}
_REFERENCE: Final = re.compile(r"url\(#([^)]+)\)")
_VARIABLES: Final = {colour: f"var(--{name})" for name, colour in PAINT.items()}


def inline_svg(source: str, *, key: str, label: str) -> Markup:
    """A chart's SVG as a part of the page.

    Args:
        source: SVG as the chart library writes it.
        key: stands before every id, so that two charts on one page cannot collide.
        label: what the chart shows, in words, for those who do not see it.
    """
    root = ElementTree.fromstring(source)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        assert element.tag in _ALLOWED, f"a chart has a <{element.tag}>"
        element.attrib = _attributes(element.attrib, key)
    for size in ("width", "height"):
        root.attrib.pop(size, None)
    root.attrib |= {"role": "img", "aria-label": label, "class": "chart"}
    # ElementTree escapes every text and attribute, whatever the names in the data are.
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _attributes(attributes: dict[str, str], key: str) -> dict[str, str]:
    kept = {}
    for name, value in attributes.items():
        if name in _DROPPED or name.startswith("on") or name.rpartition("}")[2] == "href":
            continue
        if name == "id":
            value = f"{key}-{value}"
        value = _REFERENCE.sub(rf"url(#{key}-\1)", value)
        kept[name] = _VARIABLES.get(value, value)
    return kept
