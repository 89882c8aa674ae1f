"""Vendors over HTTP: authentication, time-outs, bounded retries, redirects, and how large an answer may be.

Every way in which a vendor may answer badly becomes an error of ours here; none is left to the sources. Messages name
the path and the status, never a key, a query or a body.
"""

import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Protocol
from urllib.parse import urlsplit

import httpx

from services.shared.clock import Clock
from services.shared.errors import (
    ConfigurationError,
    SourceChangedError,
    SourceError,
    SourceRejectedError,
    TransientError,
)
from services.usage_collector.source import Answer, Query, read_json

MAX_BYTES = 64 * 1024 * 1024
MAX_REDIRECTS = 5
MAX_WAIT_SECONDS = 30.0
"""A vendor who asks for a longer wait is left alone for so long, instead of holding the connection."""

LONGEST_WAIT_SECONDS = 86_400.0
"""Whatever a vendor asks for, it is asked again after a day."""

FIRST_WAIT_SECONDS = 1.0
WHOLE_ANSWER_SECONDS = 300.0
USER_AGENT = "Valvomo usage collector"
TIMEOUT = httpx.Timeout(60.0, connect=10.0)
_KEPT_HEADERS = ("content-type", "link", "x-total-count")
_RETRIED = frozenset({408, 429, 500, 502, 503, 504})
_SOON = timedelta(seconds=60)
_LONGEST_TOKEN_SECONDS = 86_400
_HEADER = re.compile(r"[\x21-\x7e]+")

Sleep = Callable[[float], None]


class Credentials(Protocol):
    """What proves to a vendor who we are."""

    def headers(self, client: httpx.Client) -> Mapping[str, str]:
        """The headers of a request, fetched when there are none yet.

        Raises:
            SourceError, TransientError: the token service's answer.
        """
        ...

    def refused(self) -> bool:
        """These were refused (401): forget them; whether it is worth trying again with new ones."""
        ...


@dataclass(frozen=True, slots=True)
class FixedHeaders:
    """A key that is sent as it is."""

    values: Mapping[str, str] = field(repr=False)

    def headers(self, client: httpx.Client) -> Mapping[str, str]:  # noqa: ARG002
        return self.values

    def refused(self) -> bool:
        return False


@dataclass(slots=True)
class ClientCredentials:
    """OAuth 2.0 client credentials (RFC 6749, 4.4): a token fetched with an id and a secret, kept until it expires."""

    name: str
    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    clock: Clock
    scope: str | None = None
    _token: str | None = field(default=None, repr=False)
    _until: datetime | None = None

    def headers(self, client: httpx.Client) -> Mapping[str, str]:
        if self._token is None or self._until is None or self.clock.now() + _SOON >= self._until:
            self._fetch(client)
        return {"authorization": f"Bearer {self._token}"}

    def refused(self) -> bool:
        had, self._token = self._token is not None, None
        return had

    def _fetch(self, client: httpx.Client) -> None:
        form = {"grant_type": "client_credentials", "client_id": self.client_id, "client_secret": self.client_secret}
        try:
            answer = client.post(self.token_url, data=form | ({"scope": self.scope} if self.scope else {}))
        except httpx.HTTPError as error:
            raise TransientError(f"{self.name}: the token service cannot be reached ({type(error).__name__})") from None
        if answer.status_code in _RETRIED:
            raise TransientError(f"{self.name}: the token service answered {answer.status_code}")
        if answer.status_code != httpx.codes.OK:
            raise SourceRejectedError(
                f"{self.name}: the token service answered {answer.status_code}. Check client id and secret"
            )
        document = read_json(Answer(answer.content), f"{self.name}: token service")
        found = document if isinstance(document, dict) else {}
        token, lifetime = found.get("access_token"), _lifetime(found.get("expires_in"))
        if not isinstance(token, str) or not _HEADER.fullmatch(token) or lifetime is None:
            raise SourceChangedError(f"{self.name}: the token service answered without access_token and expires_in")
        self._token, self._until = token, self.clock.now() + lifetime


def _lifetime(seconds: object) -> timedelta | None:
    """A token's, a day at most; None when it is no whole number of seconds."""
    text = str(seconds)
    if not isinstance(seconds, int | str) or not (text.isascii() and text.isdigit()):
        return None
    return timedelta(seconds=int(min(Decimal(text), Decimal(_LONGEST_TOKEN_SECONDS))))


class HttpFetch:
    """`Fetch` for one vendor.

    Args:
        name: of the source, for messages.
        base_url: where the vendor's interface begins; nothing but `http` and `https`.
        credentials: sent to the vendor's own host only.
        sleep: waits between tries.
        max_tries: how often one request is made, the first time included.
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        credentials: Credentials,
        clock: Clock,
        *,
        headers: Mapping[str, str] | None = None,
        sleep: Sleep = time.sleep,
        max_tries: int = 4,
        max_bytes: int = MAX_BYTES,
        timeout: httpx.Timeout = TIMEOUT,
    ) -> None:
        self._name = name
        self._base = base_url.rstrip("/")
        self._origin = _origin(base_url)
        if self._origin is None:
            raise ConfigurationError(
                f"{name}: its address is not a web address; write for example https://api.example.org"
            )
        self._credentials = credentials
        self._clock = clock
        self._headers = {"accept": "application/json", "user-agent": USER_AGENT, **(headers or {})}
        self._sleep = sleep
        self._max_tries = max_tries
        self._max_bytes = max_bytes
        self._client = httpx.Client(timeout=timeout, follow_redirects=False)

    def get(self, path: str, query: Query = (), headers: Mapping[str, str] | None = None) -> Answer:
        return self._persistently("GET", self._address(path, query), headers or {}, None)

    def post(self, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> Answer:
        return self._persistently("POST", self._address(path, ()), headers or {}, body)

    def close(self) -> None:
        self._client.close()

    def _address(self, path: str, query: Query) -> httpx.URL:
        whole = path if "://" in path else self._base + path
        if _origin(whole) != self._origin:
            raise SourceChangedError(f"{self._name}: found a next page on another host; expected the vendor's own")
        try:
            return httpx.URL(whole, params=list(query)) if query else httpx.URL(whole)
        except httpx.InvalidURL:
            raise SourceChangedError(f"{self._name}: found a next page whose address cannot be one") from None

    def _persistently(self, method: str, url: httpx.URL, headers: Mapping[str, str], body: bytes | None) -> Answer:
        """Try, and try again where that may help: after what the vendor asks, else ever longer with some chance."""
        renewed = False
        for tried in range(1, self._max_tries + 1):
            try:
                return self._once(method, url, headers, body)
            except _UnauthorisedError as error:
                if renewed or not self._credentials.refused():
                    raise SourceRejectedError(str(error)) from None
                renewed = True
            except TransientError as error:
                if tried == self._max_tries or (error.retry_after_seconds or 0) > MAX_WAIT_SECONDS:
                    raise
                self._sleep(error.retry_after_seconds or self._back_off(tried))
        raise SourceRejectedError(
            f"{self._name}: the credentials were refused, renewed ones as well; check key or secret"
        )

    def _back_off(self, tried: int) -> float:
        return FIRST_WAIT_SECONDS * 2.0 ** (tried - 1) * random.uniform(0.5, 1.5)  # noqa: S311  # only to spread the load

    def _once(self, method: str, url: httpx.URL, headers: Mapping[str, str], body: bytes | None) -> Answer:
        for _ in range(MAX_REDIRECTS + 1):
            response, content = self._exchange(method, url, headers, body)
            if not response.has_redirect_location:
                return self._answer(response, content, url)
            url = self._redirected(response, url)
            method, body = ("GET", None) if response.status_code == httpx.codes.SEE_OTHER else (method, body)
        raise SourceChangedError(f"{self._name}: found more than {MAX_REDIRECTS} redirects from {url.path}")

    def _exchange(
        self, method: str, url: httpx.URL, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[httpx.Response, bytes]:
        own = (url.scheme, url.netloc.decode()) == self._origin
        sent = {**self._headers, **(headers if own else {}), **(self._credentials.headers(self._client) if own else {})}
        try:
            with self._client.stream(method, url, headers=sent, content=body) as response:
                return response, self._body(response)
        except (httpx.TransportError, httpx.DecodingError, httpx.InvalidURL) as error:
            raise TransientError(f"{self._name}: no whole answer from {url.path} ({type(error).__name__})") from None

    def _body(self, response: httpx.Response) -> bytes:
        content, patience = bytearray(), time.monotonic() + WHOLE_ANSWER_SECONDS
        for piece in response.iter_bytes():
            if time.monotonic() > patience:
                raise TransientError(f"{self._name}: {response.url.path} answers too slowly; given up for now")
            content += piece
            if len(content) > self._max_bytes:
                raise SourceChangedError(
                    f"{self._name}: found an answer of more than {self._max_bytes} bytes from {response.url.path}; "
                    "expected pages smaller than that"
                )
        return bytes(content)

    def _redirected(self, response: httpx.Response, url: httpx.URL) -> httpx.URL:
        try:
            target = url.join(response.headers["location"])
        except (httpx.InvalidURL, ValueError):
            raise SourceChangedError(f"{self._name}: found a redirect from {url.path} to no address") from None
        if target.scheme not in {"http", "https"} or (url.scheme == "https" and target.scheme == "http"):
            raise SourceChangedError(
                f"{self._name}: found a redirect from {url.path} to an unprotected address; not followed"
            )
        return target

    def _answer(self, response: httpx.Response, content: bytes, url: httpx.URL) -> Answer:
        status, path = response.status_code, url.path
        if status == httpx.codes.OK:
            kept = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
            return Answer(content, kept)
        if status == httpx.codes.UNAUTHORIZED:
            raise _UnauthorisedError(f"{self._name}: {path} answered 401; check the key or secret, it may have expired")
        if status == httpx.codes.FORBIDDEN:
            raise SourceRejectedError(
                f"{self._name}: {path} answered 403; give the collector's credentials the right to read it"
            )
        if status in _RETRIED:
            raise TransientError(f"{self._name}: {path} answered {status}", self._retry_after(response))
        raise SourceRejectedError(
            f"{self._name}: {path} answered {status}; expected 200. See whether its address is right"
        )

    def _retry_after(self, response: httpx.Response) -> float | None:
        """What the vendor asks for, in seconds: a number, or a date (RFC 9110, 10.2.3)."""
        text = response.headers.get("retry-after", "").strip()
        if text.isascii() and text.isdigit():
            return min(float(text), LONGEST_WAIT_SECONDS)
        try:
            asked = (parsedate_to_datetime(text) - self._clock.now()).total_seconds()
            return min(max(0.0, asked), LONGEST_WAIT_SECONDS)
        except (ValueError, TypeError):
            return None


def _origin(address: str) -> tuple[str, str] | None:
    """Scheme and host of a web address; None for anything else."""
    try:
        parts = urlsplit(address)
        httpx.URL(f"{parts.scheme}://{parts.netloc}")
    except (ValueError, httpx.InvalidURL):
        return None
    return (parts.scheme, parts.netloc) if parts.scheme in {"http", "https"} and parts.netloc else None


class _UnauthorisedError(SourceError):
    """401: new credentials may help, once."""
