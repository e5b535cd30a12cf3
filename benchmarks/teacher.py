"""How well the teacher's servers are kept busy, and what asking costs the machine that asks.

    python benchmarks/teacher.py --json     what docs/teacher.md shows (about two minutes)
    python benchmarks/teacher.py --quick    the way, not the result (ten seconds)

A server of its own process on loopback answers after 300 ms and counts how many requests are with it. `use` is their
mean number between the first request and the last reply, over the recipe's `concurrency`; `cpu` is the asking process's
processor time for one request with an image of 60 KB, all threads, without its start. The openai package behind a
semaphore stands beside it: it keeps no journal, shares no limit and asks nothing twice for a reason.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from clean_peers import Peer, ensure
from figures import machine, markdown, rounded

OPENAI = Peer(("openai==3.54.0",))
TOOLS = ("client", "stage", "openai")
LATENCY_SECONDS = 0.3
IMAGE_BYTES = 60_000

Row = dict[str, Any]


def main() -> None:
    """Measure and print."""
    options = _options()
    figures = rounded(measure(options))
    print(table(figures["runs"]))
    if options.json:
        print(json.dumps(figures))


def measure(options: argparse.Namespace) -> Row:
    """Every figure of the table, as one JSON object."""
    requests, rounds = (200, 1) if options.quick else (options.requests, options.rounds)
    pythons: dict[str, str | None] = dict.fromkeys(TOOLS, sys.executable)
    pythons["openai"] = None if options.no_peers or options.quick else ensure(OPENAI)
    runs = []
    with serving() as url:
        for concurrency in options.concurrency:
            # Rounds are taken in turn, so that a busy minute hits all tools.
            found: dict[str, list[Row]] = {tool: [] for tool, python in pythons.items() if python is not None}
            for _ in range(rounds):
                for tool, each in found.items():
                    each.append(run(str(pythons[tool]), tool, url, requests=requests, concurrency=concurrency))
            runs += [_middle(tool, concurrency, each) for tool, each in found.items()]
    return {
        "benchmark": "teacher",
        "quick": options.quick,
        "machine": machine(),
        "requests": requests,
        "rounds": rounds,
        "latency_ms": 1000 * LATENCY_SECONDS,
        "image_bytes": IMAGE_BYTES,
        "versions": {"openai": OPENAI.version},
        "runs": runs,
    }


def run(python: str, tool: str, url: str, *, requests: int, concurrency: int) -> Row:
    """One tool asks everything once."""
    worker = Path(__file__).with_name("teacher_worker.py")
    command = [python, str(worker), tool, f"{url}/v1", str(requests), str(concurrency), str(IMAGE_BYTES)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    with urllib.request.urlopen(f"{url}/load", timeout=10) as answer:
        load: Row = json.load(answer)
    assert load["requests"] == requests, f"{tool} sent {load['requests']} requests for {requests} questions"
    return {**json.loads(done.stdout), "load": load}


@contextmanager
def serving() -> Iterator[str]:
    """The server, in a process of its own."""
    server = Path(__file__).with_name("teacher_server.py")
    command = [sys.executable, str(server), str(LATENCY_SECONDS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


def table(runs: Sequence[Row]) -> str:
    """As docs/teacher.md holds it."""
    rows = [
        [
            each["tool"],
            each["concurrency"],
            f"{each['use']:.1%}",
            each["most"],
            f"{each['requests_per_second']:.0f}",
            f"{each['cpu_ms']:.2f}",
        ]
        for each in runs
    ]
    return markdown(["tool", "concurrency", "use", "most at once", "requests/s", "cpu, ms a request"], rows)


def _middle(tool: str, concurrency: int, rounds: Sequence[Row]) -> Row:
    requests = rounds[0]["load"]["requests"]
    return {
        "tool": tool,
        "concurrency": concurrency,
        "use": median(each["load"]["mean"] for each in rounds) / concurrency,
        "most": max(each["load"]["most"] for each in rounds),
        "requests_per_second": median(requests / each["load"]["seconds"] for each in rounds),
        "cpu_ms": 1000 * median(each["cpu_seconds"] for each in rounds) / requests,
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few requests, one round, no peer")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--requests", type=int, default=2000, help="requests of each run (default 2,000)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each tool (default 3)")
    parser.add_argument("--concurrency", type=int, nargs="+", default=[16, 64], help="limits (default 16 64)")
    parser.add_argument("--no-peers", action="store_true", help="ours alone")
    return parser.parse_args()


if __name__ == "__main__":
    main()
