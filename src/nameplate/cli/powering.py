"""`nameplate power`: what a test of so many images can show, before anything is trained."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import typer

NUM_IMAGES = (200, 400, 600, 1000, 2000)
CHANGED = (0.10, 0.15, 0.20, 0.30)
"""Shares of images that only one of two models gets right; between checkpoints of one run usually in this range."""


def power_command(
    *, images: int | None, effect: float | None, accuracy: float, changed: float | None, power: float, as_json: bool
) -> None:
    """Print what can be shown by so many images, how many show an effect, or a table of both."""
    if images is not None and effect is not None:
        raise typer.BadParameter("--images asks what they can show and --effect how many it takes: give one of them")
    if effect is not None and accuracy + effect / 100 > 1:
        raise typer.BadParameter(f"from {accuracy:.0%} there is no gain of {effect:g} points: lower --accuracy")
    shares = (changed,) if changed is not None else CHANGED
    if effect is not None:
        found = _needed(effect / 100, accuracy, shares, power)
    else:
        found = {"shown": [_shown(n, accuracy, shares, power) for n in ([images] if images else NUM_IMAGES)]}
    found |= {"accuracy": accuracy, "power": power, "level": 0.05}
    if as_json:
        typer.echo(json.dumps(found))
        return
    for line in _needed_lines(found) if effect is not None else _shown_lines(found):
        typer.echo(line)


def _shown(n: int, accuracy: float, shares: tuple[float, ...], power: float) -> dict[str, Any]:
    from nameplate.statistics import paired_detectable, unpaired_detectable, wilson

    share = wilson(round(accuracy * n), n)
    return {
        "images": n,
        "low": share.low,
        "high": share.high,
        "paired": [
            {"changed": changed, "difference": paired_detectable(n, changed=changed, power=power)} for changed in shares
        ],
        "unpaired": unpaired_detectable(n, accuracy, power=power),
    }


def _needed(effect: float, accuracy: float, shares: tuple[float, ...], power: float) -> dict[str, Any]:
    from nameplate.statistics import images_for_interval, paired_sample_size, unpaired_sample_size

    return {
        "effect": effect,
        "paired": [
            {
                "changed": changed,
                "images": paired_sample_size(effect, changed=changed, power=power) if effect <= changed else None,
            }
            for changed in shares
        ],
        "unpaired": round(unpaired_sample_size(accuracy, accuracy + effect, power=power) + 0.5),
        "interval": images_for_interval(effect, share=accuracy),
    }


def _shown_lines(found: dict[str, Any]) -> Iterator[str]:
    yield f"What a test can show with {found['power']:.0%} chance (two-sided, 5 % level), in points of accuracy."
    yield "Paired: two models on the same images, exact McNemar, if so many images are right in one of them only."
    yield f"Unpaired: each on images of its own, from {found['accuracy']:.0%} upwards."
    yield ""
    shares = [each["changed"] for each in found["shown"][0]["paired"]]
    headings = [f"{share:.0%} differ" for share in shares]
    yield f"{'images':>8}  {'one interval':>16}  " + "  ".join(f"{each:>10}" for each in [*headings, "unpaired"])
    for row in found["shown"]:
        interval = f"{100 * row['low']:.1f} to {100 * row['high']:.1f} %"
        cells = [_points(each["difference"]) for each in row["paired"]] + [_points(row["unpaired"])]
        yield f"{row['images']:>8,}  {interval:>16}  " + "  ".join(f"{cell:>10}" for cell in cells)


def _needed_lines(found: dict[str, Any]) -> Iterator[str]:
    effect = f"{100 * found['effect']:g} points"
    yield f"Images by which a difference of {effect} shows with {found['power']:.0%} chance (two-sided, 5 % level):"
    for each in found["paired"]:
        needed = f"{each['images']:,}" if each["images"] is not None else "cannot be: the difference is larger"
        yield f"  paired, if {each['changed']:.0%} of the images are right in one model only: {needed}"
    yield f"  unpaired, from {found['accuracy']:.0%}: {found['unpaired']:,} for each model"
    yield f"To know one accuracy of {found['accuracy']:.0%} within {effect} either way: {found['interval']:,} images."


def _points(difference: float | None) -> str:
    return "none" if difference is None else f"{100 * difference:.1f}"
