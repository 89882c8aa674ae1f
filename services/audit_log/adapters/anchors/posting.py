"""One question to an anchor over HTTP: a time limit on the whole of it, no redirects, a bounded answer."""

import asyncio
import ssl
from functools import cache
from http import HTTPStatus
from typing import NamedTuple, Protocol

import httpx

from services.shared.errors import TransientError

PATIENCE_SECONDS = 15.0
MAX_ANSWER_BYTES = 64 * 1024
_BUSY = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
_CANNOT_BE_REACHED = (httpx.HTTPError, httpx.InvalidURL, ValueError, OverflowError, OSError, ExceptionGroup)


class Answer(NamedTuple):
    """What came back."""

    status: int
    body: bytes


class Post(Protocol):
    """Asks; see `post`."""

    def __call__(self, who: str, address: str, body: bytes, content_type: str) -> Answer: ...


def post(
    who: str, address: str, body: bytes, content_type: str, *, patience_seconds: float = PATIENCE_SECONDS
) -> Answer:
    """The answer to `POST address`; `who` is the other side in our sentences.

    Raises:
        TransientError: no answer came, or one that says to try later. The address is not told: it may hold a secret.
    """
    try:
        answer = asyncio.run(_within(patience_seconds, address, body, content_type))
    except TimeoutError:
        raise TransientError(f"{who} did not answer within {patience_seconds:g} s") from None
    except _CANNOT_BE_REACHED as error:
        raise TransientError(f"{who} cannot be reached ({type(error).__name__})") from None
    if answer.status in _BUSY or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise TransientError(f"{who} answered {answer.status}")
    return answer


async def _within(seconds: float, address: str, body: bytes, content_type: str) -> Answer:
    async with asyncio.timeout(seconds):
        return await _exchange(address, body, content_type, seconds)


async def _exchange(address: str, body: bytes, content_type: str, seconds: float) -> Answer:
    verify = _trust() if address.startswith("https:") else False
    async with (
        httpx.AsyncClient(verify=verify, timeout=seconds, follow_redirects=False) as client,
        client.stream("POST", address, content=body, headers={"content-type": content_type}) as answer,
    ):
        found = b""
        async for piece in answer.aiter_bytes():
            found += piece
            if len(found) > MAX_ANSWER_BYTES:
                raise ValueError("the answer is too long")
        return Answer(answer.status_code, found)


@cache
def _trust() -> ssl.SSLContext:
    """Whom this machine trusts; read once, for it reads every certificate."""
    return ssl.create_default_context()
