"""Shop and practice teacher in one child process: started, waited for, and always ended.

Addresses are remembered in the shop's folder, so a resumed demo has the same links and the same fingerprints.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final

import uvicorn
from starlette.applications import Starlette

from nameplate.demo.practice_teacher import practice_teacher_app
from nameplate.demo.shop import open_shop, shop_app
from nameplate.errors import RunDirectoryError
from nameplate.store.files import write_json

HOST: Final = "127.0.0.1"
START_TIMEOUT_SECONDS: Final = 60.0
STOP_TIMEOUT_SECONDS: Final = 5.0
BACKLOG: Final = 512


@dataclass(frozen=True)
class Addresses:
    """Where the two servers listen, such as `http://127.0.0.1:8001`; the teacher's protocol is under `/v1`."""

    shop: str
    teacher: str


@contextmanager
def serving(folder: Path) -> Iterator[Addresses]:
    """Serve the shop in `folder` and its practice teacher while the block runs; `feed.csv` then has working links.

    Raises:
        RunDirectoryError: the servers did not start; says where their log is.
    """
    log = folder / "servers.log"
    with log.open("wb") as stream:
        child = subprocess.Popen(
            [sys.executable, "-m", "nameplate.demo.servers", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stream,
            text=True,
            # Ctrl-C goes to the whole process group; the servers must outlive it until the run has put itself away.
            start_new_session=True,
        )
    try:
        yield _wait_until_ready(child, log)
    finally:
        _end(child)


def _wait_until_ready(child: subprocess.Popen[str], log: Path) -> Addresses:
    lines: SimpleQueue[str] = SimpleQueue()
    assert child.stdout is not None
    threading.Thread(target=lambda out: lines.put(out.readline()), args=(child.stdout,), daemon=True).start()
    try:
        line = lines.get(timeout=START_TIMEOUT_SECONDS)
    except Empty:
        line = ""
    if not line:
        last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        raise RunDirectoryError(
            str(log),
            found=f"the demo's servers did not start ({''.join(last) or 'no reason given'})",
            fix="read that log",
        )
    return Addresses(**json.loads(line))


def _end(child: subprocess.Popen[str]) -> None:
    """Close the child's input, which is its sign to end; insist if it does not."""
    assert child.stdin is not None
    child.stdin.close()
    try:
        child.wait(STOP_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    if child.stdout is not None:
        child.stdout.close()


def _listen(port: int) -> socket.socket:
    """A listening socket at `port` if it is free, else at any free port."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # Lets a port be taken again right after the servers before us ended; a port with a listener stays refused.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError:
        listener.bind((HOST, 0))
    listener.listen(BACKLOG)
    return listener


def _remembered_ports(path: Path) -> tuple[int, int]:
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
        return int(tree["shop"]), int(tree["teacher"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return 0, 0


async def _serve(folder: Path) -> None:
    ports_path = folder / "ports.json"
    listeners = [_listen(port) for port in _remembered_ports(ports_path)]
    shop_port, teacher_port = (listener.getsockname()[1] for listener in listeners)
    addresses = Addresses(f"http://{HOST}:{shop_port}", f"http://{HOST}:{teacher_port}")
    write_json(ports_path, {"shop": shop_port, "teacher": teacher_port})
    open_shop(folder).write_feed(addresses.shop)
    servers = [_server(app) for app in (shop_app(folder), practice_teacher_app(folder))]
    threading.Thread(target=_stop_with_parent, args=(servers,), daemon=True).start()
    tasks = [
        asyncio.create_task(server.serve(sockets=[listener]))
        for server, listener in zip(servers, listeners, strict=True)
    ]
    while not all(server.started for server in servers) and not any(task.done() for task in tasks):
        await asyncio.sleep(0.02)
    sys.stdout.write(json.dumps(asdict(addresses)) + "\n")
    sys.stdout.flush()
    await asyncio.gather(*tasks)


def _server(app: Starlette) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=1,
    )
    return uvicorn.Server(config)


def _stop_with_parent(servers: list[uvicorn.Server]) -> None:
    """Block until our input closes: the parent has ended, in whatever way."""
    sys.stdin.read()
    for server in servers:
        server.should_exit = True


def main() -> None:
    """Serve the shop folder given as the only argument until the standard input closes."""
    asyncio.run(_serve(Path(sys.argv[1])))


if __name__ == "__main__":
    main()
