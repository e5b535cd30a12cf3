"""A teacher that misbehaves in every way that teachers were seen to, on loopback; it remembers what it said and why.

Which row gets which fault, and what heals it, is decided by the row's number alone, so the same requests get the same
answers whatever their order. Every answer holds a code of its own, by which a caption can be traced to what was said.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

Heals = Literal["at once", "sampling", "question", "tokens", "never"]
TEMPERATURE, MAX_TOKENS = 0.1, 200

COLOURS = ("red", "blue", "green", "black", "white", "brown", "yellow")


def good(name: str, number: int, code: str) -> str:
    """What a teacher should say."""
    colour = COLOURS[number % len(COLOURS)]
    return (
        f"This {name} bag is shown upright against a plain and evenly lit background. It has a {colour} body with a "
        f"wide strap, a short zip along the top, and the style code {code} printed on its side."
    )


SAID: dict[str, Callable[[str, str, str], str]] = {
    # loops
    "phrase loop": lambda text, name, other: text + " with a clean and simple design," * 40,
    "sentence loop": lambda text, name, other: text + f" The strap of the {name} bag is wide and long." * 30,
    "template loop": lambda text, name, other: (
        text + "".join(f" There is a {each} tag on the left side." * 2 for each in COLOURS)
    ),
    "glyphs": lambda text, name, other: text + "!" * 400,
    "counting": lambda text, name, other: text + " It costs " + ", ".join(map(str, range(1, 80))),
    "few words": lambda text, name, other: text + " soft, elegant, modern, chic, soft, modern, bold," * 12,
    "five megabytes": lambda text, name, other: text + f" The {name} bag is on the table." * 160_000,
    # garbage
    "broken bytes": lambda text, name, other: text.replace("e", "\ufffd"),
    "kun jin kao": lambda text, name, other: text + "\u951f\u65a4\u62f7\u70eb\u70eb\u70eb" * 6,
    "lost encoding": lambda text, name, other: text.replace("e", "\u00c3\u00a9\u00e2\u20ac"),
    "salad": lambda text, name, other: text[:40] + " xqzt vbnrk plwq zzkrt mnbvc" * 12 + ".",
    # no captions
    "refusal": lambda text, name, other: "I'm sorry, but I can't help with identifying this product or its maker.",
    "as an ai": lambda text, name, other: f"As an AI language model, I cannot see the {name} bag in this image.",
    "nothing": lambda text, name, other: "",
    "blank": lambda text, name, other: " \n\t ",
    "thinking aloud": lambda text, name, other: f"Let me look. The user wants a caption of a {name} bag. " + text,
    "unclosed thought": lambda text, name, other: "<think>It may be a bag by " + other + ", or it may not.",
    "chinese": lambda text, name, other: "\u8fd9\u662f\u4e00\u4e2a\u5305\uff0c\u989c\u8272\u9c9c\u8273\u3002" * 4,
    # names
    "no name": lambda text, name, other: text.replace(name, "designer"),
    "other name": lambda text, name, other: text.replace(name, other),
    "two names": lambda text, name, other: text + f" It is a {other} bag, made by {other}.",
}
"""Answers that must not be taught, from a good one, the row's name and another name."""

MENDABLE: dict[str, Callable[[str, str, str], str]] = {
    "other case": lambda text, name, other: text.replace(name, name.upper()),
    "closed thought": lambda text, name, other: f"<think>Is it {other}? No.</think>\n{text}",
    "json": lambda text, name, other: json.dumps({"caption": text}),
    "markdown": lambda text, name, other: f"**Caption:** {text}",
    "doubled": lambda text, name, other: text + " " + text.split(". ")[0] + ".",
    "odd finish": lambda text, name, other: text,
    "cut short": lambda text, name, other: text + " The handle of the bag is made of",
}
"""Answers that hold a good caption."""

LINE = ("429", "500", "503", "hang", "drop", "not json", "empty choices", "error object", "no content")
HEALING: tuple[Heals, ...] = ("sampling", "question", "never")


@dataclass(frozen=True)
class Row:
    """What the server knows of one picture."""

    number: int
    name: str
    other: str
    fault: str
    heals: Heals


@dataclass(frozen=True)
class Sent:
    """One request as the server saw it. `kind`: what it said; `whole`: an answer went out to its last byte."""

    body: str
    row: int
    kind: str
    whole: bool


def plan(number: int) -> tuple[str, Heals]:
    """The fault of a row: every second row is well, the others take turns."""
    if number % 2 == 0:
        return "", "at once"
    turn = number // 2
    faults: list[tuple[str, Heals]] = [(fault, heals) for fault in SAID for heals in HEALING]
    faults += [(fault, "at once") for fault in (*LINE, *LINE, *MENDABLE)]
    faults += [("too large", "never"), ("cut by tokens", "tokens"), ("cut by tokens", "never")]
    # Neighbours differ in kind, so that no server would look dead for a stretch.
    return faults[(turn * 37) % len(faults)]


@dataclass
class BadTeacher:
    """The server's memory. `rows` by the SHA-256 of their picture."""

    rows: Mapping[str, Row]
    log: list[Sent] = field(default_factory=list)
    said: dict[str, str] = field(default_factory=dict)
    """What kind of answer each code stands for."""
    url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)
    hold_after: int | None = None
    """So many answers, and then silence until `released`: a kill has all the time it needs."""
    released: threading.Event = field(default_factory=threading.Event)
    first_prompts: dict[int, str] = field(default_factory=dict)
    seen: Counter[str] = field(default_factory=Counter)

    @property
    def num_answered(self) -> int:
        return sum(each.whole for each in list(self.log))

    def kind_of(self, row: Row, body: dict[str, Any], times: int) -> str:
        """What is said to this request; "" is well."""
        prompt = body["messages"][0]["content"][-1]["text"]
        first = self.first_prompts.setdefault(row.number, prompt)
        healed = {
            "at once": times > 1 or prompt != first,
            "sampling": body["temperature"] != TEMPERATURE,
            "question": prompt != first,
            "tokens": body["max_tokens"] > MAX_TOKENS,
            "never": False,
        }[row.heals]
        return row.fault if row.fault in MENDABLE or not healed else ""

    def text_of(self, row: Row, kind: str) -> str:
        with self.lock:
            code = f"KX{len(self.said) + 1000}"
            self.said[code] = kind
        text = good(row.name, row.number, code)
        if kind == "cut by tokens":
            return f"This {row.name} bag with the code {code} is shown upright against a plain and evenly"
        return {**SAID, **MENDABLE}.get(kind, lambda same, *_: same)(text, row.name, row.other)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    teacher: BadTeacher

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self._reply(200, json.dumps({"object": "list", "data": [{"id": "bad-teacher", "owned_by": "test"}]}))

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["content-length"]))
        body = json.loads(raw)
        digest = hashlib.sha256(raw).hexdigest()
        picture = base64.b64decode(body["messages"][0]["content"][0]["image_url"]["url"].partition(",")[2])
        teacher = self.teacher
        row = teacher.rows[hashlib.sha256(picture).hexdigest()]
        if teacher.hold_after is not None and teacher.num_answered >= teacher.hold_after:
            teacher.released.wait()
            self.close_connection = True
            return
        with teacher.lock:
            teacher.seen[digest] += 1
            kind = teacher.kind_of(row, body, teacher.seen[digest])
        whole = False
        with suppress(OSError):
            whole = self._answer(kind, row, digest)
        with teacher.lock:
            teacher.log.append(Sent(digest, row.number, kind, whole))

    def _answer(self, kind: str, row: Row, digest: str) -> bool:
        """Behave as told; whether this was an answer that the client could read."""
        if kind in {"429", "500", "503"}:
            self._reply(
                int(kind), json.dumps({"error": {"message": "busy"}}), **({"retry-after": "0"} if kind == "429" else {})
            )
        elif kind == "hang":
            self.close_connection = True
            self.connection.settimeout(60)
            self.connection.recv(1)  # until the client gives up
        elif kind == "drop":
            self.close_connection = True
            self._reply(200, '{"choices": [{"mess', length=5000)
        elif kind == "not json":
            self._reply(200, "<html>502 from a proxy</html>")
        elif kind == "error object":
            self._reply(200, json.dumps({"error": {"message": "overloaded", "code": 503}}))
        elif kind == "too large":
            self._reply(400, json.dumps({"error": {"message": "this image is too large", "type": "BadRequestError"}}))
        else:
            self._reply(200, json.dumps(self._completion(kind, row)), **{"x-request-id": digest})
            return True
        return False

    def _completion(self, kind: str, row: Row) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": None}
        if kind not in {"no content", "empty choices"}:
            message["content"] = self.teacher.text_of(row, kind)
        reason = {"cut by tokens": "length", "odd finish": "eos_token", "phrase loop": "length"}.get(kind, "stop")
        choices = [] if kind == "empty choices" else [{"index": 0, "message": message, "finish_reason": reason}]
        usage = {"prompt_tokens": 300, "completion_tokens": 50, "total_tokens": 350}
        return {
            "id": "x",
            "object": "chat.completion",
            "created": 0,
            "model": "bad-teacher",
            "choices": choices,
            "usage": usage,
        }

    def _reply(self, status: int, text: str, *, length: int | None = None, **headers: str) -> None:
        data = text.encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(length or len(data)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up, or are killed, are part of the plan."""


@contextmanager
def serving_badly(pictures: Sequence[bytes], names: Sequence[str]) -> Iterator[BadTeacher]:
    """Serve rows 0, 1, ... with these pictures and names; "other" names are those of the next rows."""
    rows = {}
    for number, (picture, name) in enumerate(zip(pictures, names, strict=True)):
        other = next(each for each in (*names[number:], *names) if each != name)
        rows[hashlib.sha256(picture).hexdigest()] = Row(number, name, other, *plan(number))
    teacher = BadTeacher(rows)
    handler = type("Handler", (_Handler,), {"teacher": teacher})
    server = _Server(("127.0.0.1", 0), handler)
    teacher.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield teacher
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
