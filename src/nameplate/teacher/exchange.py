"""One request to the teacher and its reply. The only file that knows the `openai` package."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import time
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from openai import (
    APIConnectionError,
    APIError,
    APIStatusError,
    AsyncOpenAI,
    DefaultAsyncHttpxClient,
    Timeout,
)
from openai.types.chat import ChatCompletion

from nameplate.errors import TeacherError
from nameplate.recipe import TeacherSection
from nameplate.teacher.ladder import Ask
from nameplate.teacher.line import is_temporary

SIMULATOR_OWNER: Final = "nameplate-simulator"
"""`owned_by` of a model that is a simulator; the practice teacher says so in its list of models."""
NO_KEY: Final = "none"
"""Sent where the environment holds no key: local servers need none, but the protocol has the header."""
CONNECT_TIMEOUT_SECONDS: Final = 5.0
MODELS_TIMEOUT_SECONDS: Final = 10.0
LONGEST_MESSAGE: Final = 200


@dataclass(frozen=True)
class Reply:
    """What came back: the raw text and everything the server said about it."""

    text: str
    finish_reason: str
    model: str
    usage: dict[str, Any]
    latency_ms: int
    request_id: str | None


class TemporaryFailure(Exception):
    """No answer this time; the same request may be sent again. Never leaves this room."""

    def __init__(
        self, message: str, *, retry_after: str | None = None, unreachable: bool = False, timed_out: bool = False
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.unreachable = unreachable
        self.timed_out = timed_out


class Exchange:
    """A connection to one teacher; belongs to the event loop it was made in."""

    def __init__(self, section: TeacherSection) -> None:
        self._section = section
        self._key = os.environ.get(section.api_key_env) or NO_KEY
        self.address = public_address(section.base_url)
        self._client = AsyncOpenAI(
            api_key=self._key,
            base_url=section.base_url,
            max_retries=0,
            timeout=Timeout(section.timeout_seconds, connect=CONNECT_TIMEOUT_SECONDS),
            # A proxy from the environment cannot reach this machine's own loopback.
            http_client=DefaultAsyncHttpxClient(trust_env=not _is_loopback(section.base_url)),
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    async def send(self, ask: Ask, image_uri: str) -> Reply:
        """Send one question about one image.

        Args:
            ask: the question and its sampling.
            image_uri: the image as a `data:` URI.

        Raises:
            TemporaryFailure: no answer this time.
            TeacherError: the teacher refuses, and would refuse the next question as well.
        """
        started = time.monotonic()
        try:
            async with asyncio.timeout(self._section.timeout_seconds):
                raw = await self._client.chat.completions.with_raw_response.create(**self._body(ask, image_uri))
                completion = raw.parse()
        except TimeoutError:
            raise TemporaryFailure(f"no answer in {self._section.timeout_seconds:g} s", timed_out=True) from None
        except APIConnectionError as error:
            raise _line_failure(error) from None
        except APIStatusError as error:
            raise self._status_failure(error) from None
        except (APIError, ValueError) as error:
            raise self._not_a_teacher(type(error).__name__) from None
        if not isinstance(completion, ChatCompletion):
            raise self._not_a_teacher("a reply that is not JSON")
        try:
            return _reply(completion, started, raw.headers.get("x-request-id"))
        except (AttributeError, TypeError):
            raise self._not_a_teacher("a reply without choices or message") from None

    async def is_simulated(self) -> bool:
        """Whether the server says that it is a simulator; a server without a list of models is not.

        Raises:
            TemporaryFailure: nothing listens there.
        """
        try:
            async with asyncio.timeout(MODELS_TIMEOUT_SECONDS):
                page = await self._client.models.list()
                return any(getattr(model, "owned_by", "") == SIMULATOR_OWNER for model in page.data)
        except TimeoutError:
            return False
        except APIConnectionError as error:
            failure = _line_failure(error)
            if failure.unreachable:
                raise failure from None
            return False
        except (APIError, ValueError, TypeError, AttributeError):
            # Hosted servers may lack this list or give it another shape; captions do not need it.
            return False

    def _body(self, ask: Ask, image_uri: str) -> dict[str, Any]:
        body = ask.to_json()
        prompt = body.pop("prompt")
        if body["seed"] is None:
            del body["seed"]
        content = [
            {"type": "image_url", "image_url": {"url": image_uri}},
            {"type": "text", "text": prompt},
        ]
        return {"model": self._section.model, "messages": [{"role": "user", "content": content}], **body}

    def _status_failure(self, error: APIStatusError) -> Exception:
        status, said = error.status_code, self._clean(error.message)
        if is_temporary(status):
            return TemporaryFailure(f"HTTP {status}: {said}", retry_after=error.response.headers.get("retry-after"))
        return TeacherError(
            f"teacher at {self.address}",
            found=f"HTTP {status} for model '{self._section.model}': {said}",
            expected="an answer",
            fix=_FIXES.get(status, _FIXES[400]).format(key=self._section.api_key_env),
        )

    def _not_a_teacher(self, found: str) -> TeacherError:
        return TeacherError(
            f"teacher at {self.address}",
            found=f"its reply cannot be read ({found})",
            expected="an OpenAI-compatible chat completion",
            fix="check caption.teacher.base_url; it usually ends in /v1",
        )

    def _clean(self, message: str) -> str:
        """A server's words for a person: one line, clipped, and without our key should the server echo it."""
        if self._key != NO_KEY:
            message = message.replace(self._key, "[key]")
        line = " ".join("".join(c if c.isprintable() else " " for c in message).split())
        return line if len(line) <= LONGEST_MESSAGE else line[: LONGEST_MESSAGE - 3] + "..."


_FIXES: Final = {
    400: "the request itself is refused: check caption.teacher.model, caption.sampling and that the model reads images",
    401: "set the environment variable {key} (caption.teacher.api_key_env) to a valid key",
    403: "the key in {key} may not use this model: check the account or caption.teacher.model",
    404: "check caption.teacher.base_url (it usually ends in /v1) and caption.teacher.model",
}


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


def _line_failure(error: APIConnectionError) -> TemporaryFailure:
    # Judged by name: the class comes from httpx or httpx2, as the version of openai has it.
    kind = type(error.__cause__).__name__
    return TemporaryFailure(
        f"{error.message} ({kind})",
        unreachable=kind in {"ConnectError", "ConnectTimeout"},
        timed_out=kind in {"ReadTimeout", "WriteTimeout"},
    )


def _reply(completion: ChatCompletion, started: float, request_id: str | None) -> Reply:
    # An empty list is a blocked answer (some hosted servers); no list at all raises: that is no completion.
    choice = completion.choices[0] if len(completion.choices) > 0 else None
    return Reply(
        text=_text(choice.message.content) if choice is not None else "",
        finish_reason=_text(choice.finish_reason) if choice is not None else "",
        model=_text(completion.model),
        usage=completion.usage.model_dump(exclude_none=True) if completion.usage is not None else {},
        latency_ms=round((time.monotonic() - started) * 1000),
        request_id=request_id,
    )


def _text(value: str | None) -> str:
    # The openai package does not check replies: a server may leave out what its types promise.
    return value or ""
