"""``python -m starter``: the whole recipe, eyes first, then language, then the figures."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

PACKAGE_MODEL = Path(__file__).resolve().parent.parent / "src" / "nameplate" / "demo" / "starter"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m starter", description=__doc__)
    parser.add_argument(
        "--simple-icons",
        type=Path,
        default=Path("node_modules/simple-icons"),
        help="folder of the npm package: npm install --no-save simple-icons@16.37.0",
    )
    parser.add_argument("--work", type=Path, default=Path("build/starter"), help="folder for what can be made again")
    parser.add_argument(
        "--out", type=Path, default=PACKAGE_MODEL, help="model folder to write (default: the package's)"
    )
    options = parser.parse_args()
    if not (options.simple_icons / "data" / "simple-icons.json").is_file():
        parser.error(
            f"{options.simple_icons} is not an installed simple-icons package; run "
            "`npm install --no-save simple-icons@16.37.0` and name its folder with --simple-icons"
        )
    options.work.mkdir(parents=True, exist_ok=True)
    common = ["--simple-icons", str(options.simple_icons), "--work", str(options.work)]
    # A process per step: each gives its memory back, and each can be run by itself.
    for step in (
        ["starter.train_eyes", *common],
        ["starter.train_language", *common, "--out", str(options.out)],
        ["starter.evaluate", *common, "--model", str(options.out)],
    ):
        subprocess.run([sys.executable, "-m", *step], check=True)


if __name__ == "__main__":
    main()
