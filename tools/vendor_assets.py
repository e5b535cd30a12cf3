"""Regenerate the embedded shop's vendored pictures from npm packages.

Get the packages first (any empty folder will do)::

    npm install simple-icons@16.37.0 @iconify-json/noto@1.2.9
    python tools/vendor_assets.py --node-modules node_modules

Writes ``logos.json`` (36 real brands, simple-icons, CC0-1.0) and ``drawings.json`` (12 product
kinds, Noto Emoji, Apache-2.0) into ``src/nameplate/demo/assets``.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

BRAND_SLUGS = [
    "nike",
    "puma",
    "reebok",
    "newbalance",
    "underarmour",
    "fila",
    "jordan",
    "thenorthface",
    "handm",
    "uniqlo",
    "adidas",
    "jbl",
    "beats",
    "razer",
    "corsair",
    "starbucks",
    "redbull",
    "ferrari",
    "lamborghini",
    "audi",
    "ducati",
    "volvo",
    "tesla",
    "mitsubishi",
    "maserati",
    "playstation",
    "leica",
    "citroen",
    "target",
    "shell",
    "mcdonalds",
    "apple",
    "sennheiser",
    "caterpillar",
    "nba",
    "atari",
]

# Our word for the kind -> the name of its Noto drawing.
KIND_ICONS = {
    "t-shirt": "t-shirt",
    "dress": "dress",
    "jeans": "jeans",
    "coat": "coat",
    "handbag": "handbag",
    "backpack": "backpack",
    "running shoe": "running-shoe",
    "cap": "billed-cap",
    "socks": "socks",
    "cup": "hot-beverage",
    "umbrella": "umbrella",
    "suitcase": "luggage",
}

ASSETS = Path(__file__).resolve().parent.parent / "src" / "nameplate" / "demo" / "assets"
PATH_DATA = re.compile(r'<path[^>]*\sd="([^"]+)"')


def read_json(path: Path) -> Any:
    """Parsed JSON of one file."""
    return json.loads(path.read_text(encoding="utf-8"))


def source_of(package: Path, licence: str) -> dict[str, str]:
    """Where a vendored file comes from: package, version and licence."""
    meta = read_json(package / "package.json")
    return {"package": meta["name"], "version": meta["version"], "licence": licence}


def brand_entry(icon: dict[str, Any], icons: Path) -> dict[str, str]:
    """Title, slug, colour and 24x24 path of one simple-icons brand."""
    match = PATH_DATA.search((icons / f"{icon['slug']}.svg").read_text(encoding="utf-8"))
    assert match, f"{icon['slug']}.svg has no path"
    return {"title": icon["title"], "slug": icon["slug"], "hex": icon["hex"], "path": match.group(1)}


def collect_logos(node_modules: Path) -> dict[str, Any]:
    """The content of logos.json, brands in the order of BRAND_SLUGS."""
    package = node_modules / "simple-icons"
    by_slug = {icon["slug"]: icon for icon in read_json(package / "data" / "simple-icons.json")}
    missing = [slug for slug in BRAND_SLUGS if slug not in by_slug]
    if missing:
        raise SystemExit(f"{package}: no icons named {', '.join(missing)}; install simple-icons@16.37.0")
    logos = [brand_entry(by_slug[slug], package / "icons") for slug in BRAND_SLUGS]
    return {"source": source_of(package, "CC0-1.0"), "logos": logos}


def collect_drawings(node_modules: Path) -> dict[str, Any]:
    """The content of drawings.json, kinds in the order of KIND_ICONS."""
    package = node_modules / "@iconify-json" / "noto"
    collection = read_json(package / "icons.json")
    default = collection.get("width", 128)
    drawings = []
    for kind, name in KIND_ICONS.items():
        icon = collection["icons"][name]
        side = icon.get("width", default)
        drawings.append({"kind": kind, "icon": name, "size": side, "body": icon["body"]})
    return {"source": source_of(package, "Apache-2.0"), "drawings": drawings}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--node-modules", type=Path, required=True, help="folder that npm installed the packages into")
    parser.add_argument("--out", type=Path, default=ASSETS, help="folder to write into (default: the package's assets)")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for name, content in (
        ("logos.json", collect_logos(options.node_modules)),
        ("drawings.json", collect_drawings(options.node_modules)),
    ):
        target = options.out / name
        target.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        print(f"{target}: {target.stat().st_size / 1000:.0f} KB")


if __name__ == "__main__":
    main()
