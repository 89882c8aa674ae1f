"""What a request needs to know of people who have signed in; `services/sign_in` keeps them.

A browser shows its session by a cookie. Requests with a cookie are the ones that a page of another site could have
written, so everything that changes something asks where it comes from (`check_origin`), and for the form's own token.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

from services.shared.errors import PlatformError
from services.shared.tokens import Role

COOKIE = "valvomo"
SECURE_PREFIX = "__Host-"
"""A browser takes such a cookie only over HTTPS and for this very host, so no neighbour can set it."""

ACTIONS_AT_ONCE = 30
ACTIONS_PER_SECOND = 0.5
"""What one session may do in a row, and how fast it may go on: far more than a person decides."""

_MOST_BUCKETS = 10_000
_SAME = frozenset({"same-origin", "none"})


class NotAllowedError(PlatformError):
    """The caller is unknown (`status` 401), may not do this (403), or does too much of it (429)."""

    def __init__(self, message: str, status: int, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_seconds = retry_after_seconds


class Grant(NamedTuple):
    """A role, and the unit it holds in and below; no unit: everywhere."""

    role: Role
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session that holds. `key` names it in memory and is not the cookie's token."""

    key: str
    person: str
    grants: frozenset[Grant]
    form_token: str


class Sessions(Protocol):
    """Where sessions are looked up. Thread-safe; it may wait for a database."""

    def find(self, token: str) -> SignedIn | None:
        """The session of a cookie's token; None when it ended, was ended, or never was.

        Raises:
            TransientError: the database is away.
        """
        ...


def cookie_name(name: str, *, secure: bool) -> str:
    """How a cookie of ours is called: with a prefix that binds it to the host where there is HTTPS."""
    return f"{SECURE_PREFIX}{name}" if secure else name


def cookie_in(header: str | None, name: str) -> str | None:
    """The first cookie of a name in a Cookie header."""
    for part in (header or "").split(";"):
        found, _, value = part.strip().partition("=")
        if found == name and value:
            return value
    return None


def check_origin(headers: Mapping[bytes, str], public_url: str | None) -> None:
    """Refuse what a page of another site has sent.

    Browsers say so themselves (Sec-Fetch-Site), older ones by Origin; a sender that is no browser says neither.

    Raises:
        NotAllowedError: it comes from elsewhere (403).
    """
    site, origin = headers.get(b"sec-fetch-site"), headers.get(b"origin")
    if site in _SAME:
        return
    if site is None and (origin is None or _host(origin) in {headers.get(b"host", ""), _host(public_url or "")} - {""}):
        return
    raise NotAllowedError("this request comes from a page of another site; open the page here and do it there", 403)


def _host(url: str) -> str:
    """The host of an address; none of what is no address, which any sender may write."""
    try:
        return urlsplit(url).netloc
    except ValueError:
        return ""


@dataclass(slots=True)
class Bucket:
    """So many actions at once, and so many a second from then on, for each key; kept in memory.

    Args:
        ticks: seconds that only grow.
    """

    ticks: Callable[[], float] = time.monotonic
    _left: dict[str, tuple[float, float]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def take(self, key: str) -> None:
        """Count one action.

        Raises:
            NotAllowedError: it was one too many (429).
        """
        with self._lock:
            now = self.ticks()
            left, at = self._left.pop(key, (float(ACTIONS_AT_ONCE), now))
            left = min(float(ACTIONS_AT_ONCE), left + (now - at) * ACTIONS_PER_SECOND)
            allowed = left >= 1
            self._left[key] = (left - allowed, now)
            if len(self._left) > _MOST_BUCKETS:  # the one that did nothing for longest is full again
                del self._left[next(iter(self._left))]
        if not allowed:
            raise NotAllowedError("too many actions in a short time; wait a little", 429, 1 / ACTIONS_PER_SECOND)
