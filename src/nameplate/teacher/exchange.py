"""Requests to the teacher's servers and their replies. The only file that knows the HTTP client."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import json
import logging
import os
import re
import ssl
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import httpx2
from pydantic import SecretStr

from nameplate.errors import TeacherError
from nameplate.recipe import TeacherSection
from nameplate.teacher.faults import Fault, NoAnswer, fault_of
from nameplate.teacher.ladder import Ask
from nameplate.teacher.line import retry_after_seconds
from nameplate.teacher.reply import LONGEST_LABEL, Reply, error_of, one_line, read_reply

SIMULATOR_OWNER: Final = "nameplate-simulator"
"""`owned_by` of a model that is a simulator; the practice teacher says so in its list of models."""
NO_KEY: Final = "none"
"""Sent where the environment holds no key: local servers need none, but the protocol has the header."""
CONNECT_TIMEOUT_SECONDS: Final = 5.0
MODELS_TIMEOUT_SECONDS: Final = 10.0
KEEP_ALIVE_SECONDS: Final = 30.0
MOST_BYTES: Final = 1 << 20
"""So much of a body is read. A caption has some thousand bytes; thoughts have some ten thousand."""

# Its INFO lines hold the address as the recipe has it, with what its query may hold.
logging.getLogger("httpx2").setLevel(logging.WARNING)


@dataclass(frozen=True)
class Picture:
    """An image of a question; loaded when it is sent."""

    sha256: str
    media_type: str
    load: Callable[[], bytes]
    is_work: bool = False
    """Whether loading takes so long, as making an image smaller does, that other questions must not wait for it."""


@dataclass(frozen=True)
class Sent:
    """A reply, and how it came."""

    reply: Reply
    seconds: float
    request_id: str | None
    dropped: tuple[str, ...]
    """Fields that this server does not know, and that were left out."""


class _Body(NamedTuple):
    status: int
    data: bytes
    is_whole: bool
    headers: httpx2.Headers


@dataclass
class _Server:
    url: str
    make: Callable[[], httpx2.AsyncClient]
    idle: list[httpx2.AsyncClient] = field(default_factory=list)
    made: list[httpx2.AsyncClient] = field(default_factory=list)
    greeting: asyncio.Lock = field(default_factory=asyncio.Lock)
    is_simulated: bool | None = None
    models: tuple[str, ...] = ()
    software: str = ""
    unknown: set[str] = field(default_factory=set)

    @contextmanager
    def connection(self) -> Iterator[httpx2.AsyncClient]:
        """A client for one request at a time: a pool looks at all its connections twice for each request."""
        if self.idle:
            client = self.idle.pop()
        else:
            client = self.make()
            self.made.append(client)
        try:
            yield client
        finally:
            self.idle.append(client)


class Exchange:
    """Connections to one teacher's servers; belongs to the event loop it was made in."""

    def __init__(self, section: TeacherSection) -> None:
        self._section = section
        self._key = _key_in(section.api_key_env)
        self.addresses = tuple(public_address(url) for url in section.base_urls)
        self._servers = [_Server(url, partial(self._client, url)) for url in section.base_urls]

    async def close(self) -> None:
        """Close all connections."""
        for server in self._servers:
            for client in server.made:
                await client.aclose()

    async def send(self, index: int, ask: Ask, pictures: Sequence[Picture]) -> Sent:
        """Send one question to one server; fields that it refuses are left out from then on.

        Raises:
            NoAnswer: and why.
        """
        server = self._servers[index]
        extra = {key: value for key, value in ask.extra.items() if key not in server.unknown}
        images = [await _image(picture) for picture in pictures]
        body = partial(_body, self._section.model, ask, images)
        try:
            return await self._send(server, body(extra), dropped=ask.extra.keys() - extra.keys())
        except NoAnswer as caught:
            if caught.fault is not Fault.REFUSED or not extra:
                raise
        sent = await self._send(server, body({}), dropped=ask.extra.keys())
        # It takes the question without them: so it was them.
        server.unknown |= extra.keys()
        return sent

    async def is_simulated(self, index: int) -> bool:
        """Whether a server says that it is a simulator; asked once, and a server without a list of models is not.

        Raises:
            NoAnswer: nothing listens there.
        """
        server = self._servers[index]
        async with server.greeting:
            if server.is_simulated is None:
                server.is_simulated = await self._greet(server)
            return server.is_simulated

    def models(self, index: int) -> tuple[str, ...]:
        """The models that a server offers, as it said when it was greeted; none where it has no list."""
        return self._servers[index].models

    def software(self, index: int) -> str:
        """What a server says that it is: its header, and who owns its models."""
        return self._servers[index].software

    async def _send(self, server: _Server, content: bytes, *, dropped: Collection[str]) -> Sent:
        started = time.monotonic()
        seconds = self._section.timeout_seconds
        headers = {"Content-Type": "application/json"}
        try:
            async with asyncio.timeout(seconds):
                answer = await self._read(server, "POST", "/chat/completions", content=content, headers=headers)
        except TimeoutError:
            raise NoAnswer(f"no answer in {seconds:g} s", Fault.TIMED_OUT) from None
        if answer.status != 200:
            raise _refusal(answer)
        reply = read_reply(answer.data, is_whole=answer.is_whole, reading=self._section.reading)
        request_id = answer.headers.get("x-request-id")
        return Sent(
            reply,
            time.monotonic() - started,
            one_line(request_id, LONGEST_LABEL) if request_id else None,
            tuple(sorted(dropped)),
        )

    async def _read(self, server: _Server, method: str, path: str, **request: Any) -> _Body:
        """One request, and as much of its reply as we want."""
        parts = urlsplit(server.url)
        url = urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/") + path, parts.query, ""))
        pieces, size = [], 0
        try:
            with server.connection() as client:
                async with client.stream(method, url, **request) as response:
                    async for piece in response.aiter_bytes():
                        pieces.append(piece)
                        size += len(piece)
                        if size > MOST_BYTES:
                            break
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.InvalidURL) as error:
            raise NoAnswer(f"no connection ({type(error).__name__})", Fault.UNREACHABLE) from None
        except httpx2.TimeoutException:
            raise NoAnswer("no answer in time", Fault.TIMED_OUT) from None
        except httpx2.HTTPError as error:
            raise NoAnswer(f"the connection ended early ({type(error).__name__})", Fault.DROPPED) from None
        return _Body(response.status_code, self._without_key(b"".join(pieces)), size <= MOST_BYTES, response.headers)

    async def _greet(self, server: _Server) -> bool:
        try:
            async with asyncio.timeout(MODELS_TIMEOUT_SECONDS):
                answer = await self._read(server, "GET", "/models")
            models = [model for model in json.loads(answer.data)["data"] if isinstance(model, dict)]
        except NoAnswer as failure:
            if failure.fault is Fault.UNREACHABLE:
                raise
            return False
        except (TimeoutError, ValueError, TypeError, KeyError, RecursionError):
            # Hosted servers may lack this list or give it another shape; captions do not need it.
            return False
        server.models = tuple(one_line(model.get("id")) for model in models)
        said = [answer.headers.get("server", ""), *(str(model.get("owned_by") or "") for model in models)]
        server.software = ", ".join(dict.fromkeys(one_line(each, LONGEST_LABEL) for each in said if each))
        return any(model.get("owned_by") == SIMULATOR_OWNER for model in models)

    def _client(self, url: str) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            headers={"Authorization": f"Bearer {self._key.get_secret_value()}", "Accept-Encoding": "identity"},
            timeout=httpx2.Timeout(self._section.timeout_seconds, connect=CONNECT_TIMEOUT_SECONDS, pool=None),
            limits=httpx2.Limits(max_connections=1, keepalive_expiry=KEEP_ALIVE_SECONDS),
            verify=_tls(),
            # A proxy from the environment cannot reach this machine's own loopback.
            trust_env=not _is_loopback(url),
        )

    def _without_key(self, body: bytes) -> bytes:
        """A body without our key, should the server echo it: bodies end up in messages and in the journal."""
        key = self._key.get_secret_value()
        return body if key == NO_KEY else body.replace(key.encode(), b"[key]")


def public_address(base_url: str) -> str:
    """The server's address without user, password and query, fit for files and messages."""
    parts = urlsplit(base_url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _is_loopback(base_url: str) -> bool:
    host = urlsplit(base_url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _key_in(variable: str) -> SecretStr:
    """The key in an environment variable.

    Raises:
        TeacherError: it cannot be one.
    """
    key = SecretStr(os.environ.get(variable, "").strip() or NO_KEY)
    if re.fullmatch(r"[!-~]+", key.get_secret_value()) is None:
        raise TeacherError(
            f"environment variable {variable}",
            found="spaces, line breaks or characters beyond ASCII, which no header can hold",
            expected="a key",
            fix=f"set {variable} (caption.teacher.api_key_env) to the key alone",
        )
    return key


@cache
def _tls() -> ssl.SSLContext:
    """The trusted authorities, read once: a client is made for each server and each shard."""
    return httpx2.create_ssl_context()


async def _image(picture: Picture) -> bytes:
    # A file of some 100 kB is read sooner than a thread is asked to.
    data = await asyncio.to_thread(picture.load) if picture.is_work else picture.load()
    encoded = base64.b64encode(data)
    head = f'{{"type":"image_url","image_url":{{"url":"data:{picture.media_type};base64,'.encode()
    return b"".join((head, encoded, b'"}},'))


def _body(model: str, ask: Ask, images: Sequence[bytes], extra: dict[str, Any]) -> bytes:
    """The request. Images are put into the JSON as they are: base64 needs no escapes, and no second pass."""
    head = json.dumps({"model": model, **ask.sampling(), **extra})
    text = json.dumps({"type": "text", "text": ask.prompt})
    start = f'{head[:-1]}, "messages": [{{"role": "user", "content": ['.encode()
    return b"".join((start, *images, text.encode(), b"]}]}"))


def _refusal(answer: _Body) -> NoAnswer:
    if 300 <= answer.status < 400:
        where = public_address(answer.headers.get("location", ""))
        said = f"HTTP {answer.status}: it sends us to {one_line(where) or 'another place'}"
        return NoAnswer(said, Fault.FATAL, status=answer.status)
    error = error_of(answer.data)
    return NoAnswer(
        f"HTTP {answer.status}: {error['message']}",
        fault_of(answer.status, error),
        status=answer.status,
        retry_after=retry_after_seconds(answer.headers.get("retry-after")),
    )
