"""A proposal as a recipe that a person can read: every choice with its reason, other choices as comments."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from nameplate.recipe import TableSection, build_recipe
from nameplate.stages.ingest.propose.fit import Captions, Split, fit_captions, fit_split
from nameplate.stages.ingest.propose.proposal import Proposal
from nameplate.stages.ingest.propose.survey import Survey

_TABLE_FIELDS: Final = ("image", "id", "title", "text", "code", "category", "page")
_TEACHER: Final = "# teacher: {base_urls: http://localhost:8000/v1, model: Qwen/Qwen2-VL-72B-Instruct}"
_WRAP: Final = 110


def recipe_text(survey: Survey, proposal: Proposal, *, folder: Path) -> str:
    """The recipe as YAML. `folder` is where it will lie; a local table is named from there.

    Every text of the table that is quoted stands on one line of a comment, or as one YAML scalar.
    """
    captions, split = fit_captions(survey, proposal), fit_split(survey, proposal)
    lines = [
        *_head(survey),
        *_table(survey, proposal, folder),
        *_name(proposal),
        *_fetch(survey, proposal),
        *_captions(proposal, captions),
        *_split(survey, proposal, split),
        *_model(proposal),
    ]
    text = "\n".join(lines) + "\n"
    build_recipe(yaml.safe_load(text), where="the proposed recipe")
    return text


def source_from(source: str, folder: Path) -> str:
    """A table's address as a recipe in `folder` names it: near files relative, far ones absolute."""
    if "://" in source:
        return source
    path = Path(source).resolve()
    relative = os.path.relpath(path, folder.resolve())
    return str(path) if Path(relative).parts[:2] == ("..", "..") else relative


def _head(survey: Survey) -> Iterator[str]:
    rows = f"{survey.num_rows:,}" if survey.counted_all else f"more than {survey.num_rows:,}"
    yield from _comment(f"Proposed by `nameplate init` from {rows} rows, {survey.num_looked_at:,} of them looked at.")
    yield from _comment("`nameplate fetch` gets the images; `nameplate recipe schema` describes every setting.")


def _table(survey: Survey, proposal: Proposal, folder: Path) -> Iterator[str]:
    yield "table:"
    yield f"  source: {_scalar(source_from(survey.source.name, folder))}"
    preset = proposal.preset
    if preset is not None:
        yield from _comment(f"{preset.dataset or 'DBQ product tables'}; {preset.size} rows", indent="  ")
        yield from _comment(
            f"licence {preset.licence}" + (f": {preset.warning}" if preset.warning else ""), indent="  "
        )
        for said in preset.watch_out:
            yield from _comment(said, indent="  ")
        yield f"  preset: {preset.name}"
    reasons = {choice.meaning: choice for choice in proposal.choices}
    for meaning in _TABLE_FIELDS:
        choice = reasons.get(meaning)
        if choice is None:
            continue
        by_preset = preset is not None and preset.columns.get(meaning) == choice.column
        # What the preset says for certain need not be said again; everything else is written down.
        if not by_preset:
            yield f"  {meaning}: {_scalar(choice.column)}  # {_one_line(choice.why)}"
    if proposal.image_root:
        yield f"  image_root: {_scalar(_image_root(survey, folder))}  # paths start here and may not leave"
    nulls = _more_nulls(survey)
    if nulls:
        listed = yaml.safe_dump([*TableSection.model_fields["null_values"].default, *nulls], default_flow_style=True)
        yield f"  null_values: {' '.join(listed.split())}"
    if not survey.counted_all:
        yield "  # limit: 1000  # read only so many rows"


def _name(proposal: Proposal) -> Iterator[str]:
    choice = next((choice for choice in proposal.choices if choice.meaning == "name"), None)
    if choice is not None:
        yield "name:"
        yield f"  column: {_scalar(choice.column)}  # {_one_line(choice.why)}"
        return
    yield from _comment(
        "No column looks like a name (brand, artist, species). Rows go as far as split; train and score need names: "
        "set the column when you know it, and clean.require_name: true."
    )
    yield "name:"
    yield "  column: null"


def _fetch(survey: Survey, proposal: Proposal) -> Iterator[str]:
    image = proposal.column("image")
    assert image is not None
    if not survey.columns[image].links:
        yield from _comment(
            "The images come with the table: nothing is downloaded, they are checked like fetched ones."
        )
        yield "# fetch: {image: {longest_side: 896}}  # make larger images smaller"
        return
    if proposal.loopback:
        yield "fetch:"
        yield from _comment(
            "All image links of the rows looked at lead to this machine, which is closed to tables by default. "
            "Take the line away if that is not your own server.",
            indent="  ",
        )
        yield f"  allow_networks: [{', '.join(map(_quoted, proposal.loopback))}]"
        return
    yield "# fetch: {per_host: 4, image: {longest_side: 896}}  # politeness; larger images made smaller"


def _captions(proposal: Proposal, captions: Captions | None) -> Iterator[str]:
    named = proposal.column("name") is not None
    if captions is not None and takes_from_table(captions, named=named):
        yield "caption:"
        yield f"  source: table  # {captions.share:.0%} of rows have one, {captions.middle_words} words in the middle"
        yield "  # source: teacher  # would have a vision-language model write them:"
        yield f"  {_TEACHER}"
    else:
        yield from _teacher(captions, named=named)
    clean = _clean(captions, named=named)
    if clean:
        yield "clean:"
        yield from (f"  {line}" for line in clean)


def takes_from_table(captions: Captions, *, named: bool) -> bool:
    """Whether a table's captions will do: without names they must; with names most of them must say their row's."""
    return not named or (captions.names_said or 0.0) >= 0.5


def _teacher(captions: Captions | None, *, named: bool) -> Iterator[str]:
    if captions is not None and captions.names_said is not None:
        said = f"only {captions.names_said:.0%} of the table's texts say the row's name"
        yield from _comment(f"{said}, so a teacher is to write captions (source: table takes the texts as they are)")
    yield "caption:"
    if not named:
        yield "  prompt: Describe this picture in detail.  # without {name}: rows have none"
    yield from _comment("an OpenAI-compatible server that can see; only `nameplate caption` and later need it", "  ")
    yield f"  {_TEACHER}"
    if captions is not None:
        yield "  # source: table  # would take captions from table.text and ask nobody"
    if named:
        yield "  source: teacher"


def _clean(captions: Captions | None, *, named: bool) -> list[str]:
    lines = [] if named else ["require_name: false  # rows have no name that a caption could say"]
    if captions is None or not takes_from_table(captions, named=named):
        return lines
    if named and captions.names_said is not None:
        lines.append(f"require_name: true  # {captions.names_said:.0%} of the captions looked at say their row's name")
    if captions.language != "en":
        lines.append(f"language: {captions.language}")
    if captions.min_words != 8:
        lines.append(f"min_words: {captions.min_words}  # many captions here are short")
    if captions.max_words != 200:
        lines.append(f"max_words: {captions.max_words}  # many captions here are long")
    return lines


def _split(survey: Survey, proposal: Proposal, split: Split) -> Iterator[str]:
    more = "" if survey.counted_all else "; the table is longer, so these may be raised"
    yield from _comment(f"Sized for about {split.usable:,} usable examples{more}.")
    yield "split:"
    if proposal.column("name") is None:
        yield "  min_per_name: 1  # all rows are one group: they have no name"
    else:
        names = f"{split.num_names:,} names have" if split.num_names > 1 else "one name has"
        yield f"  min_per_name: {split.min_per_name}  # about {names} so many"
    yield f"  validation: {split.validation}"
    yield f"  test: {split.test}"
    prefix = proposal.preset.code_prefix if proposal.preset is not None else None
    if prefix is not None:
        yield f"  code_prefix: {prefix}  # the first characters of the code are the product, the rest its variant"


def _model(proposal: Proposal) -> Iterator[str]:
    if proposal.column("name") is None:
        return
    yield from _comment("For `nameplate run`: a model of the InternVL architecture, and which parts of it learn.")
    yield from _comment("model: {base: OpenGVLab/InternVL2_5-4B}")
    yield from _comment(
        "train: {vision: {mode: frozen}, language: {mode: lora, lr: 1.0e-4, rank: 64, alpha: 128}, epochs: 4}"
    )


def _more_nulls(survey: Survey) -> list[str]:
    """Texts of this table that mean nothing and that the recipe's default does not know."""
    known = set(TableSection.model_fields["null_values"].default)
    return sorted({null for profile in survey.columns.values() for null in profile.nulls} - known)


def _image_root(survey: Survey, folder: Path) -> str:
    return source_from(str(Path(survey.source.name).parent), folder)


def _comment(text: str, indent: str = "") -> Iterator[str]:
    line = f"{indent}#"
    for word in _one_line(text).split(" "):
        if len(line) + 1 + len(word) > _WRAP:
            yield line
            line = f"{indent}#"
        line += f" {word}"
    yield line


def _one_line(text: str) -> str:
    """Text of strangers in a comment: no line break or control character can end it."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _scalar(value: Any) -> str:
    # safe_dump ends a bare scalar with a document end mark.
    return yaml.safe_dump(value, allow_unicode=True, width=10**9).removesuffix("...\n").strip()


def _quoted(text: str) -> str:
    return f'"{text}"'
