"""One POST to somebody's address: a time limit on the whole of it, no redirects, and what each answer means."""

import asyncio
import ssl
from collections.abc import Mapping
from functools import cache
from http import HTTPStatus

import httpx
from pydantic import SecretStr

from services.cost_alerts.delivery.notifier import UndeliverableError
from services.shared.errors import TransientError

_CANNOT_BE_REACHED = (httpx.HTTPError, httpx.InvalidURL, ValueError, OverflowError, OSError, ExceptionGroup)
"""What becomes of a receiver that is away, and of an address that is none: `https://host:-1/` fails in a task of its
own, `https://xn--/` when it is spelled out. A mistake in one role's entry must not stop the messages of all others."""


class Poster:
    """Posts to one kind of receiver. Follows no redirect: the address is a secret of this receiver alone.

    Args:
        who: the receiver in our sentences, as in "the webhook's receiver".
        timeout_seconds: for the whole exchange: who answers a byte at a time for ever is away, too.
    """

    def __init__(self, who: str, *, timeout_seconds: float, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._who, self._seconds, self._transport = who, timeout_seconds, transport

    def post(self, address: SecretStr, body: bytes, headers: Mapping[str, str]) -> None:
        """Hand `body` over.

        Raises:
            TransientError: not now; with the seconds that the receiver asks us to wait, where it does.
            UndeliverableError: it wants no more.
        """
        status, asked = asyncio.run(self._within_time(address.get_secret_value(), body, headers))
        if HTTPStatus(200) <= status < HTTPStatus.MULTIPLE_CHOICES:
            return
        if status == HTTPStatus.GONE:
            raise UndeliverableError(f"{self._who} answered 410: it wants no more messages")
        raise TransientError(f"{self._who} answered {status}", float(asked) if asked.isdecimal() else None)

    async def _within_time(self, address: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, str]:
        try:
            async with asyncio.timeout(self._seconds):
                return await self._exchange(address, body, headers)
        except TimeoutError:
            raise TransientError(f"{self._who} did not answer within {self._seconds:g} s") from None
        except _CANNOT_BE_REACHED as error:  # their texts name the address
            raise TransientError(f"{self._who} cannot be reached ({type(error).__name__})") from None

    async def _exchange(self, address: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, str]:
        """Status and Retry-After. The answer's body is not waited for: the status says all."""
        async with (
            httpx.AsyncClient(
                verify=_trust(), timeout=self._seconds, transport=self._transport, follow_redirects=False
            ) as client,
            client.stream("POST", address, content=body, headers=dict(headers)) as answer,
        ):
            return answer.status_code, answer.headers.get("retry-after", "")


@cache
def _trust() -> ssl.SSLContext:
    """Whom this machine trusts; read at the first message and once, for it reads every certificate."""
    return ssl.create_default_context()
