"""From a look at a table to a mapping: which column means what, why, and what is doubtful about it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from nameplate.errors import InputError
from nameplate.recipe import NameSection, TableSection
from nameplate.stages.ingest.columns import map_columns
from nameplate.stages.ingest.looks import Look
from nameplate.stages.ingest.presets import Meaning, Preset, find_preset, preset_of_columns, preset_of_source
from nameplate.stages.ingest.propose.survey import Survey

FILES_TO_CHECK: Final = 20
"""Files that are looked for where a table names its images by path."""

_LOOPBACK: Final = {"localhost": ("127.0.0.1/32", "::1/128")}


@dataclass(frozen=True)
class Choice:
    """One column for one meaning, and why."""

    meaning: Meaning
    column: str
    why: str


@dataclass(frozen=True)
class Proposal:
    """How a table may be read."""

    preset: Preset | None
    preset_why: str
    choices: tuple[Choice, ...]
    doubts: tuple[str, ...]
    loopback: tuple[str, ...]
    """Networks of this machine that all image links lead to; empty where they lead anywhere else."""
    image_root: bool = False
    """Whether images are files that the table names by path."""

    def column(self, meaning: Meaning) -> str | None:
        """The column of a meaning."""
        return next((choice.column for choice in self.choices if choice.meaning == meaning), None)


def propose(survey: Survey, *, preset_name: str | None = None) -> Proposal:
    """Propose a mapping.

    Raises:
        RecipeError: no such preset.
        InputError: no column holds images or links to them, or the table is not as the preset says.
    """
    preset, why = _choose_preset(survey, preset_name)
    choices, notes = _by_preset(survey, preset) if preset is not None else (_by_looks(survey), [])
    image = next((choice.column for choice in choices if choice.meaning == "image"), None)
    if image is None:
        raise InputError(
            survey.source.name,
            found="no column with images, links to images or paths of images",
            expected="such a column among " + ", ".join(survey.source.columns),
            fix="if one is there all the same, write a recipe with table.image by hand",
        )
    by_path = survey.findings[image].look is Look.IMAGE_FILE
    if by_path and "://" in survey.source.name:
        raise InputError(
            survey.source.name,
            found=f"'{image}' names images by path, and the table is not on this machine",
            fix="copy the table with its images here",
        )
    hosts = set(_hosts(survey.columns[image].values))
    loopback = [networks for host in hosts if (networks := _loopback(host))]
    own = len(loopback) == len(hosts)
    return Proposal(
        preset=preset,
        preset_why=why,
        choices=tuple(choices),
        doubts=(*notes, *_doubts(survey, choices, preset), *_about_loopback(len(loopback), len(hosts))),
        loopback=tuple(sorted({network for networks in loopback for network in networks})) if own else (),
        image_root=by_path,
    )


def _choose_preset(survey: Survey, name: str | None) -> tuple[Preset | None, str]:
    if name is not None:
        return find_preset(name), "asked for"
    by_source = preset_of_source(survey.source.name)
    if by_source is not None:
        return by_source, "the data set's address"
    named = survey.of_look(Look.NAME)
    names = survey.columns[named[0]].counts if named else ()
    by_columns = preset_of_columns(survey.source.columns, names=names)
    if by_columns is None:
        return None, ""
    same = f" and the only name is {by_columns.only_name}" if by_columns.only_name is not None else ""
    return by_columns, f"all of its columns are here{same}"


def _by_preset(survey: Survey, preset: Preset) -> tuple[list[Choice], list[str]]:
    table = TableSection(source=survey.source.name, preset=preset.name)
    found = map_columns(table, NameSection(column=None), source=survey.source)
    choices = [
        Choice(meaning, column, _preset_reason(preset, meaning, column))
        for meaning in ("image", "id", "title", "text", "code", "category", "page")
        if (column := getattr(found, meaning)) is not None
    ]
    name = preset.column("name")
    if name is not None and name in survey.source.columns:
        choices.insert(1, Choice("name", name, _preset_reason(preset, "name", name)))
    return choices, list(found.notes)


def _preset_reason(preset: Preset, meaning: Meaning, column: str) -> str:
    if preset.columns.get(meaning) == column:
        return f"preset {preset.name}"
    if preset.inferred.get(meaning) == column:
        return f"preset {preset.name} infers it, and the table has it"
    return f"in the place of '{preset.inferred[meaning]}', which preset {preset.name} infers"


def _by_looks(survey: Survey) -> list[Choice]:
    """The first column of the right look for each meaning, better looks first."""
    kinds: tuple[tuple[Meaning, tuple[Look, ...]], ...] = (
        ("image", (Look.IMAGE, Look.IMAGE_LINK, Look.IMAGE_FILE)),
        ("name", (Look.NAME,)),
        ("id", (Look.ID,)),
        ("title", (Look.TITLE,)),
        ("text", (Look.CAPTION,)),
        ("code", (Look.CODE,)),
        ("category", (Look.CATEGORY,)),
        ("page", (Look.LINK,)),
    )
    choices = []
    for meaning, looks in kinds:
        # Better looks first, then fuller columns, then the table's own order.
        fitting = [column for look in looks for column in _by_filled(survey, survey.of_look(look))]
        if fitting:
            choices.append(Choice(meaning, fitting[0], survey.findings[fitting[0]].why))
    links = survey.of_look(Look.LINK)
    if len(links) == 1 and choices and not any(choice.meaning == "image" for choice in choices):
        choices = [choice for choice in choices if choice.meaning != "page"]
        choices.insert(0, Choice("image", links[0], "the only column of links; they do not end as image files do"))
    return choices


def _by_filled(survey: Survey, columns: list[str]) -> list[str]:
    return sorted(columns, key=lambda column: -round(survey.columns[column].filled, 1))


def _doubts(survey: Survey, choices: list[Choice], preset: Preset | None) -> Iterable[str]:
    chosen = {choice.meaning: choice.column for choice in choices}
    if survey.malformed:
        first = survey.malformed[0]
        yield f"{len(survey.malformed):,} of the rows looked at are malformed and will be rejected, the first: {first}"
    yield from _about_image(survey, chosen["image"])
    yield from _about_names(survey, chosen.get("name"))
    if preset is None and "text" in chosen and len(others := survey.of_look(Look.CAPTION)) > 1:
        yield f"captions could also be {_listed(others, but=chosen['text'])}"
    if preset is not None and preset.warning:
        yield f"licence {preset.licence}: {preset.warning}"
    yield from preset.watch_out if preset is not None else ()


def _about_image(survey: Survey, image: str) -> Iterable[str]:
    profile = survey.columns[image]
    if not profile.holds_images and profile.filled < 1:
        yield f"'{image}' is empty in {1 - profile.filled:.0%} of the rows: they will be rejected"
    for said in survey.images.get(image, ()):
        if "image" in said or "opened" in said:
            yield f"of the first images in '{image}' one {said if 'opened' in said else 'is missing'}"
            break
    if survey.findings[image].look is Look.IMAGE_FILE:
        yield from _about_files(survey, image)
    others = [column for column in survey.of_look(Look.IMAGE, Look.IMAGE_LINK) if column != image]
    if others:
        yield f"images could also be {_listed(others)}"


def _about_files(survey: Survey, image: str) -> Iterable[str]:
    """Paths start at the table's own folder, as `table.image_root` will say."""
    root = Path(survey.source.name).parent
    paths = survey.columns[image].values[:FILES_TO_CHECK]
    missing = [path for path in paths if not (root / path).is_file()]
    if missing:
        yield f"of the first {len(paths)} files in '{image}' {len(missing)} are not under {root}: set table.image_root"


def _about_names(survey: Survey, name: str | None) -> Iterable[str]:
    others = [column for column in survey.of_look(Look.NAME) if column != name]
    if name is None:
        perhaps = [column for column, found in survey.findings.items() if found.look is Look.REPEATING]
        hint = f"; {_listed(perhaps)} repeats as names do: set name.column" if perhaps else ""
        yield f"no column looks like a name: rows go up to split, nothing can be trained or scored on names{hint}"
        return
    profile = survey.columns[name]
    if profile.distinct == 1:
        only = profile.values[0]
        yield f"one name, {only}, in all rows: always answering '{only}' is 100 % right, so accuracy says nothing"
    if profile.filled < 1:
        nulls = f" ({', '.join(profile.nulls)})" if profile.nulls else ""
        yield f"'{name}' is empty in {1 - profile.filled:.0%} of the rows{nulls}: they will be rejected"
    if others:
        yield f"names could also be {_listed(others)}"


def _about_loopback(own: int, hosts: int) -> Iterable[str]:
    if own and own == hosts:
        yield "all image links lead to this machine: the recipe allows its address, which is closed by default"
    elif own:
        yield "some image links lead to this machine and will be refused: a shop has no business with them"


def _hosts(values: Iterable[str]) -> Iterable[str]:
    for value in values:
        try:
            host = urlsplit(value).hostname
        except ValueError:
            continue
        if host:
            yield host


def _loopback(host: str) -> tuple[str, ...]:
    if host in _LOOPBACK:
        return _LOOPBACK[host]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return ()
    return (f"{address}/{address.max_prefixlen}",) if address.is_loopback else ()


def _listed(columns: list[str], *, but: str = "") -> str:
    return " or ".join(f"'{column}'" for column in columns if column != but)
