"""Run in a process of its own: opens each address of the command line and prints what it sees, as JSON."""

from __future__ import annotations

import hashlib
import json
import sys
from typing import Any

from nameplate.errors import InputError
from nameplate.stages.ingest.sources import open_source


def look(address: str, columns: list[str] | None) -> dict[str, Any]:
    try:
        source = open_source(address)
        rows = [
            {
                "line": row.line,
                "cells": dict(row.cells),
                "blobs": {name: hashlib.sha256(blob).hexdigest() for name, blob in row.blobs.items()},  # type: ignore[arg-type]  # bytes
                "problem": row.problem,
            }
            for row in source.rows(columns=columns)
        ]
        return {
            "columns": list(source.columns),
            "images": sorted(source.image_columns),
            "rows": rows,
            "fingerprint": source.fingerprint(),
        }
    except InputError as error:
        return {"error": str(error)}


if __name__ == "__main__":
    sys.stdout.write(json.dumps([look(*asked) for asked in json.loads(sys.argv[1])]))
