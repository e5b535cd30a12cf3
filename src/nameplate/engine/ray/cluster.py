"""Starting Ray on this machine, or joining a cluster that is there, within a bounded time."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import subprocess
import sys
from typing import Final
from urllib.parse import urlsplit

import ray

from nameplate.errors import EngineError

CONNECT_SECONDS: Final = 5.0
JOIN_SECONDS: Final = 60.0

_OBJECT_STORE_BYTES: Final = 128 * 1024 * 1024
"""Rows travel by file; only stages and handles go through Ray's store."""

_JOIN: Final = "import ray, sys; ray.init(sys.argv[1], logging_level='ERROR', log_to_driver=False)"


def start(num_cpus: int | None) -> None:
    """Start Ray for this process alone: no telemetry, no dashboard, no log lines; it dies with this process."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # Ray listens on every interface, and does what those who have the token say: ours is this run's alone.
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    ray.init(
        "local",
        num_cpus=num_cpus,
        num_gpus=0,
        object_store_memory=_OBJECT_STORE_BYTES,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )


def join(address: str) -> None:
    """Join the cluster at `HOST:PORT`, `ray://HOST:PORT` or `auto`.

    Raises:
        EngineError: no cluster answers there in time, or it cannot be joined from here.
    """
    if address != "auto":
        _knock(address)
    # Ray itself waits for minutes and prints meanwhile; a process of its own can be stopped.
    try:
        tried = subprocess.run(
            [sys.executable, "-c", _JOIN, address], capture_output=True, text=True, timeout=JOIN_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise _no_cluster(address, f"no Ray cluster answers within {JOIN_SECONDS:g} s") from None
    if "AuthenticationError" in tried.stderr:
        raise EngineError(
            f"Ray at {address}",
            found="the cluster asks for a token, and ours is missing or another",
            fix="export RAY_AUTH_MODE=token, and put the cluster's token in RAY_AUTH_TOKEN or ~/.ray/auth_token",
        )
    if tried.returncode != 0:
        raise _no_cluster(address, (tried.stderr.strip().splitlines() or ["it cannot be joined"])[-1])
    ray.init(address, log_to_driver=False, logging_level=logging.ERROR)


def _knock(address: str) -> None:
    """See whether anything listens, which is soon said."""
    parts = urlsplit(address if "//" in address else f"//{address}")
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if host is None or port is None or parts.scheme not in ("", "ray"):
        raise EngineError(f"--address {address}", found="no address", expected="HOST:PORT, ray://HOST:PORT or auto")
    try:
        socket.create_connection((host, port), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        raise _no_cluster(address, f"nothing listens there ({error})") from None


def _no_cluster(address: str, found: str) -> EngineError:
    return EngineError(
        f"Ray at {address}",
        found=found,
        fix="start a cluster (`ray start --head`) and join this machine to it (`ray start --address=HOST:PORT`), "
        "or leave --address out: Ray is then started on this machine alone",
    )
