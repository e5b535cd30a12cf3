"""A small Hub on loopback: enough of its protocol for `datasets` to stream from it."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

Repos = dict[str, dict[str, bytes]]


@dataclass
class FakeHub:
    """Data sets by id (files by path), ids that are gated, and what was asked."""

    repos: Repos
    gated: frozenset[str] = frozenset()
    url: str = ""
    sent: dict[str, int] = field(default_factory=dict)
    """Bytes sent of each file."""
    agents: set[str] = field(default_factory=set)

    def commit(self, repo: str) -> str:
        digest = hashlib.sha1(repo.encode())
        for path, data in sorted(self.repos[repo].items()):
            digest.update(path.encode() + b"\0" + hashlib.sha1(data).digest())
        return digest.hexdigest()

    @contextmanager
    def serving(self) -> Iterator[FakeHub]:
        server = _Server(("127.0.0.1", 0), _Handler)
        server.hub = self
        self.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()


class _Server(ThreadingHTTPServer):
    hub: FakeHub


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def hub(self) -> FakeHub:
        assert isinstance(self.server, _Server)
        return self.server.hub

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        asked = json.loads(body)["paths"] if body.startswith("{") else parse_qs(body).get("paths", [])
        parts = self._parts()
        repo = "/".join(parts[2:4])
        if parts[:2] != ["api", "datasets"] or parts[4] != "paths-info" or repo not in self.hub.repos:
            self._json({"error": "not found"}, status=404)
            return
        found = [
            entry for path in asked for entry in _entries(self.hub.repos[repo], path, recursive=False, itself=True)
        ]
        self._json(found)

    def _parts(self) -> list[str]:
        self.hub.agents.add(self.headers.get("User-Agent", ""))
        return [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]

    def _answer(self, *, with_body: bool) -> None:
        parts = self._parts()
        if parts[:2] == ["api", "datasets"] and len(parts) >= 4:
            self._api("/".join(parts[2:4]), parts[4:])
        elif parts[0] == "datasets" and len(parts) > 4 and parts[3] == "resolve":
            self._file("/".join(parts[1:3]), parts[4], "/".join(parts[5:]), with_body=with_body)
        else:
            self._json({"error": "not found"}, status=404)

    def _api(self, repo: str, rest: list[str]) -> None:
        if repo not in self.hub.repos:
            self._json({"error": "Repository not found"}, status=401, code="RepoNotFound")
            return
        if rest[:1] == ["revision"] and rest[1] not in ("main", self.hub.commit(repo)):
            self._json({"error": "Invalid rev id"}, status=404, code="RevisionNotFound")
            return
        if not rest or rest[0] == "revision":
            files = [{"rfilename": path} for path in sorted(self.hub.repos[repo])]
            info = {"_id": "0" * 24, "id": repo, "sha": self.hub.commit(repo), "private": False, "siblings": files}
            self._json({**info, "gated": "auto" if repo in self.hub.gated else False, "disabled": False, "tags": []})
        elif rest[0] == "tree":
            query = parse_qs(urlsplit(self.path).query)
            recursive = query.get("recursive", ["false"])[0].lower() in ("true", "1")
            self._json(_entries(self.hub.repos[repo], "/".join(rest[2:]), recursive=recursive, itself=False))
        else:
            self._json({"error": "not found"}, status=404)

    def _file(self, repo: str, revision: str, path: str, *, with_body: bool) -> None:
        files = self.hub.repos.get(repo, {})
        if repo in self.hub.gated:
            self._json({"error": f"Access to dataset {repo} is restricted."}, status=403, code="GatedRepo")
            return
        if path not in files:
            self._json({"error": "Entry not found"}, status=404, code="EntryNotFound")
            return
        data, status, headers = files[path], 200, {}
        asked = self.headers.get("Range", "")
        if asked.startswith("bytes="):
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start, end = int(first), min(int(last or len(data) - 1), len(data) - 1)
            headers["Content-Range"] = f"bytes {start}-{end}/{len(data)}"
            data, status = data[start : end + 1], 206
        if with_body:
            self.hub.sent[path] = self.hub.sent.get(path, 0) + len(data)
        etag = hashlib.sha1(files[path]).hexdigest()
        headers |= {"ETag": f'"{etag}"', "X-Repo-Commit": self.hub.commit(repo), "Accept-Ranges": "bytes"}
        self._send(data, status, {**headers, "Content-Type": "application/octet-stream"}, with_body=with_body)

    def _json(self, value: Any, *, status: int = 200, code: str = "") -> None:
        headers = {"Content-Type": "application/json"} | ({"X-Error-Code": code} if code else {})
        self._send(json.dumps(value).encode(), status, headers, with_body=self.command != "HEAD")

    def _send(self, data: bytes, status: int, headers: dict[str, str], *, with_body: bool) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if with_body:
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        pass


def _entries(files: dict[str, bytes], folder: str, *, recursive: bool, itself: bool) -> list[dict[str, Any]]:
    if itself and folder in files:
        return [_entry(folder, files[folder])]
    root = folder.strip("/") + "/" if folder.strip("/") else ""
    below = sorted(path for path in files if path.startswith(root))
    folders = sorted(
        {
            root + "/".join(path.removeprefix(root).split("/")[: depth + 1])
            for path in below
            for depth in range(path.removeprefix(root).count("/"))
        }
    )
    if itself:
        return [{"type": "directory", "oid": "0" * 40, "size": 0, "path": folder}] if below else []
    if not recursive:
        folders = [path for path in folders if "/" not in path.removeprefix(root)]
        below = [path for path in below if "/" not in path.removeprefix(root)]
    listed = [{"type": "directory", "oid": "0" * 40, "size": 0, "path": path} for path in folders]
    return listed + [_entry(path, files[path]) for path in below]


def _entry(path: str, data: bytes) -> dict[str, Any]:
    return {"type": "file", "oid": hashlib.sha1(data).hexdigest(), "size": len(data), "path": path}
