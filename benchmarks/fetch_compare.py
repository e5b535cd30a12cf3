"""Ours and the peer in turns over one table, and what that comes to."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from statistics import median
from typing import Any

from fetch_runs import Place, Round, run_ours, run_peer
from figures import medians
from peers import Peer, PeerSettings
from shop_links import SAVEABLE, link_kinds

POLITE = 4
_THREADS = (16, 32, 64, 128, 256)


def compare(
    place: Place, *, rounds: int, parallel: int, peer: Peer | None, settings: PeerSettings | None, variants: bool
) -> dict[str, Any]:
    """Run both in turns, so that whatever else the machine does hits both; then `variants` of each, once."""
    ours, theirs = [], []
    for number in range(rounds):
        say(f"{place.shop.scheme}, round {number + 1} of {rounds}")
        ours.append(run_ours(place, parallel=parallel, per_host=parallel))
        if peer is not None and settings is not None:
            theirs.append(run_peer(place, peer.command, settings))
    runs = {"nameplate": ours, "img2dataset": theirs}
    if variants:
        say(f"nameplate at per_host {POLITE}")
        runs["nameplate_polite"] = [run_ours(place, parallel=parallel, per_host=POLITE)]
    if variants and peer is not None and settings is not None:
        say("img2dataset with two retries")
        runs["img2dataset_retries_2"] = [run_peer(place, peer.command, settings._replace(retries=2))]
    saveable = sum(kind in SAVEABLE for kind in link_kinds(place.num_links))
    tools = {name: _summary(each, saveable) for name, each in runs.items() if each}
    return {"tools": tools, "ratios": _ratios(tools)}


def best_settings(place: Place, peer: Peer) -> dict[PeerSettings, float]:
    """The peer's own best ways on this machine, best first: one run of each, by saved images a second."""
    cores = len(os.sched_getaffinity(0))
    rates: dict[PeerSettings, float] = {}

    def run(settings: PeerSettings) -> None:
        say(f"img2dataset {settings}")
        rates[settings] = run_peer(place, peer.command, settings).rate

    for processes in sorted({1, cores}):
        for threads in _THREADS:
            run(PeerSettings(processes, threads))
    run(max(rates, key=rates.__getitem__)._replace(output="files"))
    return dict(sorted(rates.items(), key=lambda each: -each[1]))


def say(text: str) -> None:
    """Tell how far it is."""
    print(text, file=sys.stderr, flush=True)


def _summary(rounds: Sequence[Round], saveable: int) -> dict[str, Any]:
    """Medians over the rounds; what must not happen, at its worst."""
    images = median(each.tally.saved for each in rounds)
    ingests = [each.ingest.wall_seconds for each in rounds if each.ingest is not None]
    middle = medians([each.cost for each in rounds])
    return {
        "images_per_second": median(each.rate for each in rounds),
        "images_per_second_of_each_round": [each.rate for each in rounds],
        "images_per_second_without_start": median(each.tally.saved / each.seconds_by_itself for each in rounds),
        "saved": images,
        "saved_share": images / saveable,
        "missed": rounds[-1].tally.missed,
        "mispaired": max(each.tally.mispaired for each in rounds),
        "unreadable": max(each.tally.unreadable for each in rounds),
        "from_bad_links": max(each.tally.from_bad_links for each in rounds),
        "wrong_size": max(each.tally.wrong_size for each in rounds),
        "cpu_seconds_per_1000": middle["cpu_seconds"] / images * 1000,
        **middle,
        "elsewhere_cpu_share": max(_elsewhere(each) for each in rounds),
        "ingest_seconds": median(ingests) if ingests else None,
        "requests": median(each.asked["requests"] for each in rounds),
        "connections": median(each.asked["connections"] for each in rounds),
        "most_at_once": max(each.asked["most_at_once"] for each in rounds),
        "refused_links_asked_again": max(each.asked["refused_links_asked_again"] for each in rounds),
        "statuses": rounds[-1].asked["statuses"],
        "shop_cpu_share_of_one_core": median(each.asked["cpu_seconds"] / each.cost.wall_seconds for each in rounds),
    }


def _elsewhere(done: Round) -> float:
    """How much of the machine's processor time went to neither the tool nor the shop."""
    spare = done.cost.elsewhere_cpu_seconds - done.asked["cpu_seconds"]
    return max(0.0, spare) / (done.cost.wall_seconds * len(os.sched_getaffinity(0)))


def _ratios(tools: dict[str, Any]) -> dict[str, float]:
    """Ours over theirs."""
    if "img2dataset" not in tools:
        return {}
    names = (
        "images_per_second",
        "images_per_second_without_start",
        "cpu_seconds_per_1000",
        "peak_rss_mb",
        "peak_pss_mb",
        "saved",
        "requests",
    )
    ratios = {name: tools["nameplate"][name] / tools["img2dataset"][name] for name in names}
    if "img2dataset_retries_2" in tools:
        ratios["saved_over_retries_2"] = tools["nameplate"]["saved"] / tools["img2dataset_retries_2"]["saved"]
    return ratios
