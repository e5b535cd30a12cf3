"""What `names` does: count the names of a column, say what wants a decision, and write a registry file to decide in."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from nameplate.cli.running import explaining
from nameplate.errors import InputError

if TYPE_CHECKING:
    from nameplate.cli.name_column import NameColumn
    from nameplate.names.counted import CountedName, CountedNames, NameFlag
    from nameplate.names.offenders import Offender
    from nameplate.names.proposals import Proposal


@dataclass(frozen=True)
class NamesFound:
    """Everything that the command says; `texts_of` is where the offenders' texts come from."""

    column: NameColumn
    names: CountedNames
    flags: Mapping[NameFlag, Sequence[CountedName]]
    proposals: Sequence[Proposal]
    offenders: Sequence[Offender]
    num_texts: int
    texts_of: str


def names_command(
    table: str, *, column: str | None, captions: str | None, out: Path, force: bool, as_json: bool
) -> None:
    """Look at the names of a table or a recipe, and write a registry file."""
    with explaining():
        from nameplate.cli.name_column import read_captions, read_names
        from nameplate.names.overrides import read_overrides
        from nameplate.names.registry_file import RegistryDraft, registry_text
        from nameplate.store.files import write_text

        if out.exists() and not force:
            raise InputError(str(out), found="there is a file already", fix="give --out another name, or --force")
        read = read_names(table, column=column)
        decided = read_overrides(read.overrides) if read.overrides is not None else []
        texts = read_captions(captions, column=read.column) if captions is not None else read.texts
        found = _look(read, texts.sample, decided=[override.display for override in decided], texts_of=texts.origin)
        draft = RegistryDraft(found.names, found.proposals, found.offenders, decided, _by_display(found))
        write_text(out, registry_text(draft, origin=f"{read.source}, column {read.column}"))
        if as_json:
            typer.echo(json.dumps(_as_json(found, out), ensure_ascii=False))
            return
        from nameplate.cli.name_tables import print_names

        print_names(found, out)


def _look(read: NameColumn, texts: Sequence[Any], *, decided: Sequence[str], texts_of: str) -> NamesFound:
    from nameplate.names import Matcher
    from nameplate.names.counted import CountedNames, NameFlag
    from nameplate.names.offenders import find_offenders
    from nameplate.names.proposals import propose_pairs

    names = CountedNames(read.counts, read.overrides)
    flagged = [(name, names.flags(name)) for name in names.names]
    return NamesFound(
        column=read,
        names=names,
        flags={flag: [name for name, flags in flagged if flag in flags] for flag in NameFlag},
        proposals=propose_pairs(names, decided=decided),
        offenders=find_offenders(texts, Matcher(names.registry)),
        num_texts=len(texts),
        texts_of=texts_of,
    )


def _by_display(found: NamesFound) -> dict[str, list[str]]:
    """Examples of rows by the name's display form."""
    return {
        name.display: [text for spelling in name.spellings for text in found.column.examples.get(spelling, ())]
        for name in found.names.names
    }


def _as_json(found: NamesFound, out: Path) -> dict[str, Any]:
    names = found.names.names
    return {
        "source": found.column.source,
        "column": found.column.column,
        "rows": found.column.num_rows,
        "rows_without_name": found.column.num_null + found.names.without_name,
        "rows_malformed": found.column.num_malformed,
        "names": len(names),
        "spellings": sum(len(name.spellings) for name in names),
        "joined": [
            {"name": name.display, "rows": name.rows, "spellings": {**name.spellings}}
            for name in names
            if len(name.spellings) > 1
        ],
        "proposals": [
            {
                "name": proposal.name.display,
                "rows": proposal.name.rows,
                "other": proposal.other.display,
                "other_rows": proposal.other.rows,
                "likeness": proposal.likeness.value,
                "plausibility": proposal.plausibility,
            }
            for proposal in found.proposals
        ],
        "flags": {flag.value: [name.display for name in flagged] for flag, flagged in found.flags.items()},
        "texts": {"from": found.texts_of, "looked_at": found.num_texts},
        "offenders": [
            {
                "name": one.name,
                "policy": one.policy,
                "share_of_rows": round(one.expected_share, 6),
                "texts_of_others": one.num_others,
                "found": one.wrong["plain"],
                "claimed": one.wrong[one.policy],
                "suggests": one.suggests,
                "claimed_then": one.wrong[one.suggests] if one.suggests is not None else None,
                "examples": list(one.examples),
            }
            for one in found.offenders
        ],
        "registry": found.names.registry.fingerprint,
        "file": str(out),
    }
