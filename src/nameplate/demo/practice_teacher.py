"""The practice teacher: a SIMULATOR that speaks the OpenAI protocol and knows the truth.

It looks a picture up by its SHA-256 in the shop's `truth.json` and says what the shop drew; it sees nothing. It says so
here, in its list of models (`owned_by: nameplate-simulator`) and in the header `x-nameplate-simulator` of every reply.
It misbehaves as the teachers of real caption runs did: on a quarter of first answers it loops, garbles, stops in the
middle, forgets the brand or writes it in another case; a changed question (one with a `seed`) is answered well, except
about the few pictures on which it stays stubborn.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import random
import re
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from nameplate.demo import phrases
from nameplate.demo.shop import read_truth

MODEL: Final = "practice-teacher"
OWNER: Final = "nameplate-simulator"
HEADER: Final = "x-nameplate-simulator"

BAD_FIRST_SHARE: Final = 0.25
"""Of first answers: the experiment had 5,000 abnormal captions of 20,000."""
STUBBORN_SHARE: Final = 0.015
"""Of pictures: these get bad answers however the question is changed, so that cleaning has something to reject."""
SILENT_STOP_SHARE: Final = 0.4
"""Of cut-offs: the server says "stop" although the text ends in the middle of a sentence."""
MOST_TOKENS: Final = 4096
"""A loop ends here even if `max_tokens` is larger."""
PROMPT_TOKENS_OF_IMAGE: Final = 64

_TOKEN = re.compile(r"\w+|[^\w\s]")


class Misbehaviour(StrEnum):
    """How an answer goes wrong."""

    LOOP = "loop"
    GARBLED = "garbled"
    CUT_OFF = "cut_off"
    NO_BRAND = "no_brand"
    OTHER_CASE = "other_case"


_WEIGHTS: Final = {
    Misbehaviour.LOOP: 0.30,
    Misbehaviour.GARBLED: 0.20,
    Misbehaviour.CUT_OFF: 0.20,
    Misbehaviour.NO_BRAND: 0.15,
    Misbehaviour.OTHER_CASE: 0.15,
}
_STUBBORN: Final = (Misbehaviour.LOOP, Misbehaviour.GARBLED, Misbehaviour.NO_BRAND)


@dataclass(frozen=True)
class Facts:
    """What the shop drew."""

    brand: str
    kind: str
    colour: str
    background: str
    place: str


@dataclass(frozen=True)
class Said:
    """An answer: its text and why it ended."""

    text: str
    finish_reason: str


class BadRequest(Exception):
    """A request that this server cannot answer; its reply has the protocol's error object."""

    def __init__(self, message: str, *, code: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


def practice_teacher_app(folder: Path) -> Starlette:
    """The server for the shop in `folder`: `/v1/models`, `/v1/chat/completions`, and `/stats`.

    `/stats` is `{"requests": n, "by_key": {sha256 of the request's body: n}}`; a reply's `x-request-id` is that key.
    """
    truth = read_truth(folder)
    by_sha256 = {
        facts["sha256"]: Facts(*(facts[field] for field in ("brand", "kind", "colour", "background", "place")))
        for facts in truth["listings"].values()
        if facts["sha256"] is not None
    }
    by_key: Counter[str] = Counter()

    async def models(request: Request) -> Response:
        return _json({"object": "list", "data": [{"id": MODEL, "object": "model", "created": 0, "owned_by": OWNER}]})

    async def chat(request: Request) -> Response:
        raw = await request.body()
        key = hashlib.sha256(raw).hexdigest()
        by_key[key] += 1
        try:
            body = _parse(raw)
            sha256 = hashlib.sha256(_image_of(body)).hexdigest()
            said = _answer(body, sha256, by_sha256, placeholder=truth["placeholder"])
        except BadRequest as error:
            problem = {"message": str(error), "type": "invalid_request_error", "param": None, "code": error.code}
            return _json({"error": problem}, status=error.status)
        return _json(_completion(body, said, key=key), key=key)

    async def stats(request: Request) -> Response:
        return _json({"requests": by_key.total(), "by_key": dict(by_key)})

    return Starlette(
        routes=[
            Route("/v1/models", models),
            Route("/v1/chat/completions", chat, methods=["POST"]),
            Route("/stats", stats),
        ]
    )


def describe(facts: Facts, *, sha256: str, body: dict[str, Any]) -> Said:
    """What the teacher says about a known picture; the same for the same picture and question."""
    asked = json.dumps([sha256, prompt_of(body), *_sampling_of(body)])
    rng = random.Random(f"nameplate-teacher-{asked}")
    words = {"kind": facts.kind, "colour": facts.colour, "background": facts.background, "place": facts.place}
    seed = rng.randrange(2**31)
    text = phrases.detail(brand=facts.brand, seed=seed, **words)
    max_tokens = min(MOST_TOKENS, int(body.get("max_tokens") or MOST_TOKENS))
    match _misbehaviour(sha256, body, rng):
        case Misbehaviour.LOOP:
            return _clip(_looped(text, max_tokens, rng), max_tokens)
        case Misbehaviour.GARBLED:
            return _clip(_garbled(text, rng), max_tokens)
        case Misbehaviour.CUT_OFF:
            reason = "stop" if rng.random() < SILENT_STOP_SHARE else "length"
            return Said(_clip(_cut_off(text, rng), max_tokens).text, reason)
        case Misbehaviour.NO_BRAND:
            return _clip(phrases.anonymous(seed=seed, **words), max_tokens)
        case Misbehaviour.OTHER_CASE:
            return _clip(text.replace(facts.brand, _other_case(facts.brand, rng)), max_tokens)
        case None:
            return _clip(text, max_tokens)


def prompt_of(body: dict[str, Any]) -> str:
    """All text parts of a chat request, joined."""
    return " ".join(part.get("text", "") for part in _parts(body) if part.get("type") == "text")


def _misbehaviour(sha256: str, body: dict[str, Any], rng: random.Random) -> Misbehaviour | None:
    picture = random.Random(f"nameplate-stubborn-{sha256}")
    if picture.random() < STUBBORN_SHARE:
        return picture.choice(_STUBBORN)
    # The pipeline sends a seed only with a question that it has changed after a bad answer.
    if body.get("seed") is not None or rng.random() >= BAD_FIRST_SHARE:
        return None
    return rng.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]


def _answer(body: dict[str, Any], sha256: str, known: dict[str, Facts], *, placeholder: str) -> Said:
    if body.get("model") != MODEL:
        raise BadRequest(f"there is no model {body.get('model')!r} here, only {MODEL}", code="no_model", status=404)
    if sha256 == placeholder:
        return Said("The picture is a grey frame with the words 'no image' in it.", "stop")
    if sha256 not in known:
        raise BadRequest("this simulator knows only the pictures of its own shop", code="unknown_image")
    return describe(known[sha256], sha256=sha256, body=body)


def _parse(raw: bytes) -> dict[str, Any]:
    try:
        body = json.loads(raw)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise BadRequest("the body is not a JSON object", code="bad_body")
    return body


def _parts(body: dict[str, Any]) -> list[dict[str, Any]]:
    messages = body.get("messages")
    parts: list[dict[str, Any]] = []
    for message in messages if isinstance(messages, list) else []:
        content = message.get("content") if isinstance(message, dict) else None
        content = [{"type": "text", "text": content}] if isinstance(content, str) else content
        parts += [part for part in content or [] if isinstance(part, dict)]
    return parts


def _image_of(body: dict[str, Any]) -> bytes:
    urls = [part["image_url"].get("url", "") for part in _parts(body) if isinstance(part.get("image_url"), dict)]
    if len(urls) != 1 or not str(urls[0]).startswith("data:image/"):
        raise BadRequest("send exactly one image, as a data: URI", code="bad_image")
    try:
        return base64.b64decode(str(urls[0]).partition(",")[2], validate=True)
    except binascii.Error:
        raise BadRequest("the image is not base64", code="bad_image") from None


def _sampling_of(body: dict[str, Any]) -> list[Any]:
    return [body.get(field) for field in ("temperature", "top_p", "max_tokens", "seed")]


def _looped(text: str, max_tokens: int, rng: random.Random) -> str:
    sentences = text.split(". ")
    start, _, last = text.rpartition(". ")
    piece = rng.choice((f" {last}", f" {sentences[0]}.", " with a clean and simple design,"))
    return start + "." + piece * (max_tokens // max(1, len(_TOKEN.findall(piece))) + 1)


def _garbled(text: str, rng: random.Random) -> str:
    """Half of them UTF-8 read as Latin-1, half with broken bytes."""
    if rng.random() < 0.5:
        fancy = re.sub(r" (\w)", lambda found: rng.choice((" ", " \u201c", "\u2019 ")) + found[1], text)
        return fancy.encode("utf-8").decode("cp1252", errors="replace")
    return "".join("\ufffd" if c.isalpha() and rng.random() < 0.3 else c for c in text)


def _cut_off(text: str, rng: random.Random) -> str:
    """The text up to the middle of its last sentence."""
    start, _, last = text.rpartition(". ")
    words = last.split()
    return f"{start}. {' '.join(words[: rng.randint(1, max(1, len(words) - 2))])}"


def _other_case(brand: str, rng: random.Random) -> str:
    options = [case for case in (brand.upper(), brand.lower()) if case != brand]
    return rng.choice(options)


def _clip(text: str, max_tokens: int) -> Said:
    tokens = list(_TOKEN.finditer(text))
    if len(tokens) <= max_tokens:
        return Said(text, "stop")
    return Said(text[: tokens[max_tokens - 1].end()], "length")


def _completion(body: dict[str, Any], said: Said, *, key: str) -> dict[str, Any]:
    prompt_tokens = PROMPT_TOKENS_OF_IMAGE + len(_TOKEN.findall(prompt_of(body)))
    completion_tokens = len(_TOKEN.findall(said.text))
    message = {"role": "assistant", "content": said.text}
    return {
        "id": f"chatcmpl-{key[:24]}",
        "object": "chat.completion",
        "created": 0,
        "model": MODEL,
        "choices": [{"index": 0, "message": message, "finish_reason": said.finish_reason, "logprobs": None}],
        "usage": {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
        },
    }


def _json(tree: dict[str, Any], *, status: int = 200, key: str = "") -> Response:
    headers = {HEADER: "1"} | ({"x-request-id": key} if key else {})
    return JSONResponse(tree, status_code=status, headers=headers)
