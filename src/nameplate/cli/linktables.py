"""Links as tables for a person: a finished fetch, and a check of a few rows. Strangers' texts are never markup."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from nameplate.stages.fetch import LinkCheck
    from nameplate.stages.fetch.check import Group
    from nameplate.store.manifest import Manifest
    from nameplate.summary import FetchSummary, HostSummary

SHOWN = 8


def print_links(manifest: Manifest) -> None:
    """After a fetch: failures with what they mean, the hosts that lose most, and those that refuse machines."""
    from nameplate.summary import FetchSummary as Summary

    record = manifest.stages.get("fetch")
    if record is None or not record.details:
        return
    console, fetched = Console(), Summary.model_validate(record.details)
    if record.rejected:
        console.print(_failures(record.rejected))
    worst = [host for host in fetched.hosts if host.live < host.rows]
    if worst:
        console.print(_hosts(f"hosts that lose most, of {fetched.num_hosts:,}", worst))
    for host in fetched.refusing[:SHOWN]:
        console.print(Text(_refusal(host)))
    console.print(Text(_cost(fetched)))


def print_check(found: LinkCheck) -> None:
    """A link check; the verdict stands last, where a person looks."""
    console = Console()
    if found.reasons:
        console.print(_failures(found.reasons))
    noun = "host" if found.num_hosts == 1 else "hosts"
    if found.hosts:
        console.print(_groups("host", f"{found.num_hosts:,} {noun}, worst first", found.hosts))
    if found.num_names > 1:
        console.print(_groups("name", f"{found.num_names:,} names, worst first", found.names, times=False))
    for line in _facts(found):
        console.print(Text(line))
    console.print(Text(found.sentence, style="bold"))


def _facts(found: LinkCheck) -> Iterable[str]:
    yield f"sample: {found.rows:,} of {found.table_rows:,} rows, {found.unanswered:,} unanswered, {found.seconds:g} s"
    if found.sizes is not None:
        sizes = found.sizes
        yield (
            f"images: median {sizes.median_width} x {sizes.median_height} pixels, smallest {sizes.smallest_width} x "
            f"{sizes.smallest_height}; median {_bytes(sizes.median_bytes)}, 95 % under {_bytes(sizes.p95_bytes)}"
        )
    for image in found.shared[:3]:
        yield f"one image for {image.num_products} products of the sample, perhaps a placeholder: {image.url}"
    if found.refused:
        yield f"refused: {found.refused:,} rows are on hosts that do not want machines; ask their owners"
    if found.estimate is not None:
        cost = found.estimate
        yield (
            f"all {cost.links:,} links: about {cost.requests:,} requests, {_bytes(cost.bytes)} on disk, "
            f"{_duration(cost.hours)} at {cost.megabits_per_second:g} Mbit/s; {cost.busiest_host} takes longest"
        )


def _failures(reasons: Mapping[str, int]) -> Table:
    from nameplate.records import FetchStatus
    from nameplate.stages.fetch.meanings import MEANINGS

    table = Table(title="rows without an image", title_justify="left")
    for heading in ("status", "rows", "what it means", "what can be done"):
        table.add_column(heading, justify="right" if heading == "rows" else "left")
    for status, count in reasons.items():
        meaning = MEANINGS[FetchStatus(status)]
        table.add_row(status, f"{count:,}", meaning.what, meaning.remedy or "-")
    return table


def _hosts(title: str, hosts: list[HostSummary]) -> Table:
    table = _table(title, ("host", "live", "rows", "p50 ms", "p95 ms", "reasons"))
    for host in hosts[:SHOWN]:
        reasons = ", ".join(f"{status} {count:,}" for status, count in host.statuses.items() if status != "ok")
        cells = (host.host, f"{host.live:,}", f"{host.rows:,}", _ms(host.p50_ms), _ms(host.p95_ms), reasons)
        table.add_row(*(Text(cell) for cell in cells))
    return table


def _groups(kind: str, title: str, groups: list[Group], *, times: bool = True) -> Table:
    table = _table(title, (kind, "live", "rows", "unanswered", *(("median ms",) if times else ())))
    for group in groups[:SHOWN]:
        cells = [group.key, f"{group.live:,}", f"{group.rows:,}", f"{group.unanswered:,}"]
        cells += [_ms(group.median_ms)] if times else []
        table.add_row(*(Text(cell) for cell in cells))
    return table


def _table(title: str, headings: tuple[str, ...]) -> Table:
    table = Table(title=title, title_justify="left")
    for place, heading in enumerate(headings):
        text = place == 0 or heading == "reasons"
        table.add_column(heading, justify="left" if text else "right", overflow="fold")
    return table


def _refusal(host: HostSummary) -> str:
    reasons = ", ".join(
        f"{status} {count:,}"
        for status, count in host.statuses.items()
        if status in ("robots_disallowed", "opted_out", "http_403")
    )
    return f"{host.host} refuses us ({reasons}): with its owner's leave, add it to fetch.permitted_hosts"


def _cost(fetched: FetchSummary) -> str:
    noun = "image" if fetched.images == 1 else "images"
    asked = f"{fetched.requests:,} requests, {fetched.known:,} links known from before"
    return f"{fetched.images:,} distinct {noun}, {_bytes(fetched.bytes)}; {asked}"


def _ms(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _bytes(number: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number} B"


def _duration(hours: float) -> str:
    minutes = round(60 * hours)
    return f"{hours:.1f} h" if hours >= 1 else f"{minutes} min" if minutes else "under a minute"
