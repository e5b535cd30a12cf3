"""How fast, how frugal and how careful the fetch stage is, beside img2dataset 1.47.

    python benchmarks/fetch.py --flatness 100000 --json     everything (about an hour)
    python benchmarks/fetch.py --quick                      the way, not the result (a minute or two)

Both tools fetch one table from a server on loopback and make each image 448 pixels long; afterwards every saved image
is opened and the row number in its pixels is compared with the row that it was saved for. They do so over http, and
over https as most links of real tables want it. Files go where TMPDIR says.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from certificate import make_certificate
from fetch_compare import best_settings, compare, say
from fetch_parts import cost_of_parts
from fetch_runs import LONGEST_SIDE, Place, run_ours
from fetch_tables import tables
from figures import machine, medians, rounded
from peers import IMG2DATASET, PeerSettings, ensure_img2dataset
from shop_client import ceiling
from shop_links import SAVEABLE, link_kinds
from shop_server import LATENCY_SECONDS

_PARALLEL_WITHOUT_PEER = 64
_QUICK_PEER = PeerSettings(processes=2, threads=32)


def main() -> None:
    """Measure and print."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="nameplate-benchmark-") as folder:
        figures = rounded(measure(options, folder=Path(folder)))
    print(tables(figures))
    if options.json:
        print(json.dumps(figures))


def measure(options: argparse.Namespace, *, folder: Path) -> dict[str, Any]:
    """Every figure of the tables, as one JSON object."""
    peer = None if options.peer == "none" else ensure_img2dataset(options.peer_python)
    figures = _about(options)
    with Place.open(folder, num_links=options.links, num_pictures=options.pictures) as place:
        settings, scan = None, {}
        if peer is not None and options.peer == "scan" and not options.quick:
            scan = best_settings(place, peer)
            settings = next(iter(scan))
        elif peer is not None:
            settings = _QUICK_PEER if options.peer == "scan" else PeerSettings.parse(options.peer)
        parallel = _PARALLEL_WITHOUT_PEER if settings is None else settings.parallel
        figures["parallel_requests"] = parallel
        figures["peer"] = {
            "version": IMG2DATASET,
            "python": peer.python if peer is not None else None,
            "settings": str(settings),
            "scan_images_per_second": {str(each): rate for each, rate in scan.items()},
        }
        figures["shop_ceiling"] = ceiling(place.shop, num_requests=options.links, connections=256)._asdict()
        sides = {"rounds": options.rounds, "parallel": parallel, "peer": peer, "settings": settings}
        figures["http"] = compare(place, **sides, variants=True)
        figures["parts_ms_per_image"] = cost_of_parts(place, longest_side=LONGEST_SIDE)
    certificate = make_certificate(folder)
    with Place.open(folder, num_links=options.links, num_pictures=options.pictures, certificate=certificate) as place:
        figures["https"] = compare(place, **sides, variants=False)
    if options.flatness:
        figures.update(_flatness(folder, options=options, parallel=parallel))
    return figures


def _about(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "benchmark": "fetch",
        "quick": options.quick,
        "machine": machine(),
        "links": options.links,
        "saveable": sum(kind in SAVEABLE for kind in link_kinds(options.links)),
        "rounds": options.rounds,
        "latency_ms": LATENCY_SECONDS * 1000,
    }


def _flatness(folder: Path, *, options: argparse.Namespace, parallel: int) -> dict[str, Any]:
    """What an image costs in a small table and in a large one."""
    sizes = [
        _flat(folder, num_links=num_links, num_pictures=options.pictures, parallel=parallel)
        for num_links in (options.links, options.flatness)
    ]
    names = ("cpu_seconds_per_1000", "wall_seconds_per_1000", "peak_pss_mb")
    return {"flatness": sizes, "flatness_ratios": {name: sizes[1][name] / sizes[0][name] for name in names}}


def _flat(folder: Path, *, num_links: int, num_pictures: int, parallel: int) -> dict[str, float]:
    say(f"nameplate, {num_links} links")
    with Place.open(folder, num_links=num_links, num_pictures=num_pictures) as place:
        done = run_ours(place, parallel=parallel, per_host=parallel)
    thousands = done.tally.saved / 1000
    assert done.ingest is not None
    return {
        "links": num_links,
        "saved": done.tally.saved,
        "mispaired": done.tally.mispaired,
        "images_per_second": done.rate,
        "wall_seconds_per_1000": done.cost.wall_seconds / thousands,
        "cpu_seconds_per_1000": done.cost.cpu_seconds / thousands,
        "ingest_seconds_per_1000": done.ingest.wall_seconds / thousands,
        **medians([done.cost]),
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--links", type=int, default=5000, help="rows of the table; 1 %% of each of ten bad kinds")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each tool, in turns; medians are shown")
    parser.add_argument(
        "--peer",
        default="scan",
        metavar="PxT:OUTPUT",
        help="img2dataset's processes x threads, such as 2x32:webdataset (default: scan for its best), or none",
    )
    parser.add_argument("--peer-python", metavar="PYTHON", help="what img2dataset runs on (default: 3.12, or ours)")
    parser.add_argument("--flatness", type=int, default=0, metavar="LINKS", help="also run ours with so many links")
    parser.add_argument("--quick", action="store_true", help="200 links, one round, no scan: the way, not the result")
    parser.add_argument("--json", action="store_true", help="print every figure as one JSON object in the last line")
    options = parser.parse_args()
    if options.links < 100:
        parser.error("--links: at least 100, so that there is one of each bad kind")
    options.pictures = 250
    if options.quick:
        options.links, options.rounds, options.pictures = 200, 1, 10
    return options


if __name__ == "__main__":
    main()
