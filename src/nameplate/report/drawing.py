"""Drawing charts: one Vega-Lite spec, for the page in its own colours and for files in plain ones, always offline.

Altair and the renderer are imported when a chart is drawn: a program that only wants help must not wait for them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from markupsafe import Markup

from nameplate.report.svg import LIGHT, PAINT, inline_svg

if TYPE_CHECKING:
    import altair as alt

WIDTH: Final = 300
HEIGHT: Final = 210
FILE_WIDTH: Final = 480
FILE_HEIGHT: Final = 320
PIXELS_PER_UNIT: Final = 2
"""Of PNG files, so that they are sharp in print."""

Row = dict[str, Any]


class Key(NamedTuple):
    """A line of the legend."""

    colour: str
    """Its name among the page's colours."""
    words: str
    """As the rows of the chart say it."""


@dataclass(frozen=True)
class Figure:
    """A chart with its words."""

    stem: str
    """What its files are called."""
    spec: dict[str, Any]
    """Vega-Lite, in stand-ins for colours."""
    title: str
    label: str
    """What it shows, in words, for those who do not see it."""
    caption: str
    keys: tuple[Key, ...] = ()
    """The legend."""
    file_title: str = ""
    """What its files say at the top; "": the same as the page."""

    @property
    def svg(self) -> Markup:
        """As a part of the page."""
        return inline_svg(_svg(_sized(self.spec, WIDTH, HEIGHT)), key=self.stem, label=self.label)

    def files(self) -> dict[str, bytes]:
        """As an SVG and a PNG file, by ending, on white and with title and legend."""
        import vl_convert

        spec = json.loads(_coloured(json.dumps(_with_legends(_sized(self.spec, FILE_WIDTH, FILE_HEIGHT)))))
        spec |= {
            "background": "white",
            "padding": 12,
            "title": {"text": self.file_title or self.title, "anchor": "start"},
        }
        spec["config"] |= {
            "legend": {"title": None, "symbolType": "stroke", "symbolOpacity": 1, "symbolStrokeWidth": 2.5}
        }
        return {
            "svg": _svg(spec).encode("utf-8"),
            "png": vl_convert.vegalite_to_png(_text(spec), scale=PIXELS_PER_UNIT),
        }


def figure(
    chart: alt.LayerChart | alt.HConcatChart,
    *,
    stem: str,
    title: str,
    label: str,
    caption: str = "",
    keys: Sequence[Key] = (),
    file_title: str = "",
) -> Figure:
    """A chart in the page's style, not drawn yet."""
    styled = chart.properties(background="transparent", padding=4).configure(
        view={"stroke": None},
        axis={
            "labelColor": PAINT["muted"],
            "titleColor": PAINT["muted"],
            "domainColor": PAINT["grid"],
            "tickColor": PAINT["grid"],
            "gridColor": PAINT["grid"],
            "labelFontSize": 11,
            "titleFontSize": 11,
            "titleFontWeight": "normal",
        },
        axisX={"grid": False},
        axisY={"domain": False, "ticks": False, "labelPadding": 6},
    )
    return Figure(stem, json.loads(styled.to_json()), title, label, caption, tuple(keys), file_title)


def layers(*charts: alt.Chart | alt.LayerChart) -> alt.LayerChart:
    """One over the other, the first at the bottom."""
    import altair as alt

    return alt.LayerChart(layer=list(charts))


def chart(rows: list[Row]) -> alt.Chart:
    """An empty chart of some rows, which travel inside the spec."""
    import altair as alt

    return alt.Chart(alt.InlineData(values=rows))


def share_axis(field: str) -> alt.Y:
    """From 0 to 100 %, upwards."""
    import altair as alt

    return alt.Y(field, title=None, scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format=".0%", tickCount=5))


def colours(field: str, keys: Sequence[Key]) -> alt.Color:
    """The page's colour of each line of the legend; the page explains them itself."""
    import altair as alt

    scale = alt.Scale(domain=[key.words for key in keys], range=[PAINT[key.colour] for key in keys])
    return alt.Color(field, legend=None, title=None, scale=scale)


def _svg(spec: dict[str, Any]) -> str:
    import vl_convert

    return vl_convert.vegalite_to_svg(_text(spec))


def _text(spec: dict[str, Any]) -> str:
    # Vega's expressions are JavaScript of a time when these two ended a line in the middle of a string.
    return json.dumps(spec, ensure_ascii=False).translate({0x2028: " ", 0x2029: " "})


def _sized(spec: dict[str, Any], width: int, height: int) -> dict[str, Any]:
    """A spec that says nothing of its size gets one; steps (a line per name) and charts in a row have their own."""
    return spec if "hconcat" in spec else {"width": width, "height": height} | spec


def _coloured(text: str) -> str:
    for name, stand_in in PAINT.items():
        text = text.replace(stand_in, LIGHT[name])
    return text


def _with_legends(tree: Any) -> Any:
    """The same spec without the places that turn legends off: only the page has its own."""
    if isinstance(tree, dict):
        return {key: _with_legends(value) for key, value in tree.items() if (key, value) != ("legend", None)}
    return [_with_legends(item) for item in tree] if isinstance(tree, list) else tree
