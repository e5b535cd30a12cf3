"""What `init` and `presets` do: look, propose, write, and say what was seen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from nameplate.cli.running import explaining
from nameplate.errors import InputError

if TYPE_CHECKING:
    from nameplate.stages.ingest import Preset
    from nameplate.stages.ingest.propose import Proposal, Survey


def init_command(table: str, *, out: Path, preset: str | None, force: bool, as_json: bool) -> None:
    """Look at a table, propose how to read it, and write a recipe."""
    with explaining():
        from nameplate.stages.ingest import open_source
        from nameplate.stages.ingest.propose import propose, recipe_text, survey_table
        from nameplate.store.files import write_text

        if out.exists() and not force:
            raise InputError(str(out), found="there is a recipe already", fix="give --out another name, or --force")
        survey = survey_table(open_source(table))
        proposal = propose(survey, preset_name=preset)
        text = recipe_text(survey, proposal, folder=out.parent)
        out.parent.mkdir(parents=True, exist_ok=True)
        write_text(out, text)
        if as_json:
            typer.echo(json.dumps(_as_json(survey, proposal, out), ensure_ascii=False))
            return
        from nameplate.cli.proposal_tables import print_proposal

        print_proposal(survey, proposal, out)


def presets_command(*, as_json: bool) -> None:
    """List the layouts of known data sets."""
    from nameplate.stages.ingest import PRESETS

    if as_json:
        typer.echo(json.dumps({"presets": [_preset_as_json(preset) for preset in PRESETS.values()]}))
        return
    from nameplate.cli.proposal_tables import print_presets

    print_presets(list(PRESETS.values()))


def _as_json(survey: Survey, proposal: Proposal, out: Path) -> dict[str, Any]:
    columns = [
        {
            "column": name,
            "looks_like": survey.findings[name].look.value,
            "why": survey.findings[name].why,
            "filled": profile.filled if not profile.holds_images else None,
            "distinct": profile.distinct if not profile.holds_images else None,
            "examples": list(survey.images.get(name) or profile.examples()),
            "null_values": list(profile.nulls),
        }
        for name, profile in survey.columns.items()
    ]
    return {
        "table": survey.source.name,
        "rows": survey.num_rows,
        "counted_all": survey.counted_all,
        "looked_at": survey.num_looked_at,
        "malformed": len(survey.malformed),
        "columns": columns,
        "preset": proposal.preset.name if proposal.preset is not None else None,
        "mapping": {choice.meaning: {"column": choice.column, "why": choice.why} for choice in proposal.choices},
        "doubts": list(proposal.doubts),
        "recipe": str(out),
    }


def _preset_as_json(preset: Preset) -> dict[str, Any]:
    return {
        "name": preset.name,
        "dataset": preset.dataset or None,
        "image": preset.image.value,
        "columns": dict(preset.columns),
        "inferred": dict(preset.inferred),
        "size": preset.size,
        "licence": preset.licence,
        "concerns": [concern.value for concern in preset.concerns],
        "warning": preset.warning,
        "null_values": list(preset.null_values),
        "text_rules": [rule.value for rule in preset.text_rules],
        "code_prefix": preset.code_prefix,
        "watch_out": list(preset.watch_out),
    }
