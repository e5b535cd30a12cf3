"""An OpenAI-compatible server on loopback that answers with tiny models, as vLLM would with large ones."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from nameplate.models.features import vision_features
from nameplate.models.generate import answer
from nameplate.models.load import LoadedModel, load_model
from nameplate.models.precision import compute_dtype


class ModelHost(ThreadingHTTPServer):
    """Serves folders by name; `refused` images get a 400, and while `blind` all images are the first one."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, folders: Mapping[str, Path]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.models: dict[str, LoadedModel] = {
            name: load_model(str(folder), dtype=compute_dtype()) for name, folder in folders.items()
        }
        self.url = f"http://127.0.0.1:{self.server_port}/v1"
        self.paths: set[str] = set()
        self.asked: list[dict[str, Any]] = []
        self.refused: bytes | None = None
        self.blind = False
        self._first: bytes | None = None
        self._lock = threading.Lock()

    def complete(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        picture, text = body["messages"][0]["content"]
        head, _, encoded = picture["image_url"]["url"].partition(",")
        assert head == "data:image/png;base64"
        image = base64.b64decode(encoded)
        with self._lock:
            self.asked.append(body)
            if image == self.refused:
                return 400, {"error": {"message": "this picture cannot be read", "type": "BadRequestError"}}
            self._first = self._first or image
            loaded = self.models[body["model"]]
            prepared = loaded.processor.prepare(self._first if self.blind else image)
            seen = vision_features(loaded.model, loaded.processor.batch([prepared]))
            (said,) = answer(loaded, seen, [text["text"]], max_new_tokens=body["max_tokens"])
        message = {"role": "assistant", "content": said.text}
        return 200, {"model": body["model"], "choices": [{"message": message, "finish_reason": said.finish}]}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    server: ModelHost
    server_version = "tiny/1"
    sys_version = ""

    def do_GET(self) -> None:
        self.say(200, {"data": [{"id": name, "owned_by": "loopback"} for name in self.server.models]})

    def do_POST(self) -> None:
        self.server.paths.add(self.path)
        self.say(*self.server.complete(json.loads(self.rfile.read(int(self.headers["Content-Length"])))))

    def say(self, status: int, tree: dict[str, Any]) -> None:
        data = json.dumps(tree).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving(folders: Mapping[str, Path]) -> Iterator[ModelHost]:
    """Serve until the block ends."""
    host = ModelHost(folders)
    thread = threading.Thread(target=host.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield host
    finally:
        host.shutdown()
        host.server_close()
        thread.join()
