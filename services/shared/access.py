"""Who may send and read: bearer tokens (`tokens.py`), and people who have signed in (`sessions.py`).

Without a tokens file everything is open for sending and reading, which is only allowed on a loopback address. What a
person decides needs a person who has signed in, then too.
"""

import base64
import binascii
import hmac
import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from services.shared.clock import Clock, SystemClock
from services.shared.errors import ConfigurationError
from services.shared.logs import logger
from services.shared.sessions import COOKIE, Grant, NotAllowedError, Sessions, SignedIn, cookie_in, cookie_name
from services.shared.settings import Settings
from services.shared.tokens import (
    EVERY_ROLE,
    EVERY_SCOPE,
    Purpose,
    Role,
    Scope,
    Token,
    digest_of,
    new_token,
    read_tokens,
)

__all__ = [
    "ANYBODY",
    "EVERY_ROLE",
    "LOOKING_AT_PEOPLE",
    "Access",
    "Grant",
    "Holder",
    "Need",
    "NotAllowedError",
    "Role",
    "Token",
    "is_loopback",
    "load_access",
    "need_of",
    "new_token",
    "open_access",
    "read_tokens",
]

READING_METHODS = frozenset({"GET", "HEAD"})
"""They change nothing."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who sent a request, as far as it was proved: the rights of a token or of a person, never a secret.

    `person`: the pseudonym of who signed in; None for tokens. `units`: where their roles hold (and below); empty:
    everywhere. `form_token`: what the person's forms must bring.
    """

    token_id: str
    scopes: frozenset[Scope]
    roles: frozenset[Role]
    systems: tuple[str, ...]
    sources: tuple[str, ...]
    otlp_purpose: Purpose = "telemetry"
    person: str | None = None
    units: frozenset[str] = frozenset()
    form_token: str | None = None
    grants: frozenset[Grant] = frozenset()

    @property
    def is_known(self) -> bool:
        """Whether it may do anything at all: probes come without a token."""
        return bool(self.scopes or self.roles)

    def may_report(self, system: str) -> bool:
        """Whether it may tell about this system's use."""
        return _matches(self.systems, system)

    @property
    def only_system(self) -> str | None:
        """The one system it may tell about, if there is just one."""
        only = self.systems[0] if len(self.systems) == 1 else "*"
        return None if only.endswith("*") else only

    @property
    def may_report_all(self) -> bool:
        """Whether it may tell about every system."""
        return "*" in self.systems

    def may_use_source(self, source: str) -> bool:
        """Whether its events may carry this CloudEvents source."""
        return _matches(self.sources, source)

    def acting_as(self, roles: frozenset[Role]) -> "Holder":
        """The same person with the units in which one of these roles holds: another role's do not count."""
        return replace(self, units=_units_of(grant for grant in self.grants if grant.role in roles))


def _units_of(grants: Iterable[Grant]) -> frozenset[str]:
    units = {grant.unit for grant in grants}
    return frozenset() if None in units else frozenset(unit for unit in units if unit is not None)


ANYBODY = Holder("open", EVERY_SCOPE, EVERY_ROLE, ("*",), ("*",))
"""Whoever comes while everything is open."""


@dataclass(frozen=True, slots=True)
class Need:
    """What a request needs: one of these scopes, or one of these roles. Neither: nothing."""

    scopes: frozenset[Scope] = frozenset()
    roles: frozenset[Role] = frozenset()

    def met_by(self, holder: Holder) -> bool:
        return not (self.scopes or self.roles) or bool(self.scopes & holder.scopes or self.roles & holder.roles)


_NOTHING = Need()
_SIGNING_IN = {"/sign-in", "/sign-out", "/account", "/account/password", "/account/sessions"}
_OPEN = frozenset({"/healthz", "/readyz", "/alerts/ack", *_SIGNING_IN})
"""Probes; the page that acknowledges an alert, whose link proves by itself who may; and the pages of signing in, which
ask for themselves who is there."""

_OPEN_BELOW = ("/oidc/", "/public/")

_JUDGING: frozenset[Role] = frozenset({"auditor", "admin"})
LOOKING_AT_PEOPLE: frozenset[Role] = frozenset({"reviewer", "auditor", "admin"})
"""Entries, and outputs with their reviews, tell under pseudonyms what single people did."""

_REVIEWING = Need(roles=frozenset({"reviewer"}))
_NEEDS: tuple[tuple[str, Need], ...] = (
    ("/v1/otlp/", Need(scopes=frozenset({"otlp"}))),
    ("/v1/", Need(scopes=frozenset({"events"}))),
    ("/reviews/", _REVIEWING),
    ("/api/v1/reviews/", _REVIEWING),
    ("/findings", Need(roles=_JUDGING)),
    ("/api/v1/findings", Need(roles=_JUDGING)),
    ("/incidents", Need(roles=LOOKING_AT_PEOPLE)),
    ("/api/v1/incidents", Need(roles=LOOKING_AT_PEOPLE)),
)

_READING_NEEDS: tuple[tuple[str, Need], ...] = (
    ("/incidents", Need(roles=LOOKING_AT_PEOPLE)),
    ("/api/v1/incidents", Need(roles=LOOKING_AT_PEOPLE)),
    ("/metrics", Need(frozenset({"metrics"}), EVERY_ROLE)),
    ("/log/", Need(frozenset({"log"}), _JUDGING)),
    ("/api/v1/log/", Need(roles=LOOKING_AT_PEOPLE)),
    ("/api/v1/outputs", Need(roles=LOOKING_AT_PEOPLE)),
    ("/api/v1/reviews", Need(roles=LOOKING_AT_PEOPLE)),
    ("/api/v1/governance/shares", Need(roles=EVERY_ROLE)),
    ("/api/v1/governance", Need(roles=_JUDGING)),
    ("/governance", Need(roles=_JUDGING)),
    ("/audit", Need(roles=LOOKING_AT_PEOPLE)),
    ("/reviews", Need(roles=LOOKING_AT_PEOPLE)),
)


def need_of(method: str, path: str) -> Need:
    """What a request must bring. A path that no rule names needs a role to be read and `admin` for anything else."""
    if path in _OPEN or path.startswith(_OPEN_BELOW):
        return _NOTHING
    if method in READING_METHODS:
        return next((need for prefix, need in _READING_NEEDS if path.startswith(prefix)), Need(roles=EVERY_ROLE))
    return next((need for prefix, need in _NEEDS if path.startswith(prefix)), Need(roles=frozenset({"admin"})))


class Access:
    """Answers who may.

    Args:
        tokens: None: everything is open for sending and reading (loopback only).
        clock: for the days on which tokens end.
        sessions: people who have signed in; None: nobody can.
        public_url: the program's address as people reach it; with https, cookies are for HTTPS only.
        sign_in_url: where a browser is sent that must sign in.
    """

    def __init__(
        self,
        tokens: Sequence[Token] | None,
        clock: Clock,
        *,
        sessions: Sessions | None = None,
        public_url: str | None = None,
        sign_in_url: str = "/sign-in",
    ) -> None:
        self._tokens = None if tokens is None else tuple(tokens)
        self._clock = clock
        self._sessions = sessions
        self.public_url = public_url
        self.sign_in_url = sign_in_url
        self.is_secure = (public_url or "").startswith("https://")
        self._cookie = cookie_name(COOKIE, secure=self.is_secure)

    @property
    def is_open(self) -> bool:
        return self._tokens is None

    def use(self, sessions: Sessions) -> None:
        """Know from now on who has signed in; before the first request."""
        self._sessions = sessions

    def session_token(self, headers: Mapping[bytes, str]) -> str | None:
        """The cookie's token, where the request brings no other proof of who sends it."""
        if self._sessions is None or b"authorization" in headers:
            return None
        return cookie_in(headers.get(b"cookie"), self._cookie)

    def signed_in(self, token: str) -> SignedIn | None:
        """The session of a cookie's token. It may wait for a database.

        Raises:
            TransientError: the database is away.
        """
        return None if self._sessions is None else self._sessions.find(token)

    def admit(self, method: str, path: str, authorization: str | None, signed_in: SignedIn | None = None) -> Holder:
        """The holder of a request that may go on.

        Raises:
            NotAllowedError: nobody known where somebody is needed, or somebody who may not do this.
        """
        person = None if signed_in is None else _person(signed_in)
        if self._tokens is None:
            return ANYBODY if person is None else replace(person, scopes=EVERY_SCOPE, systems=("*",), sources=("*",))
        need = need_of(method, path)
        holder = person or self._holder(_presented(method, authorization))
        if need == _NOTHING:
            return holder or _NOBODY
        if holder is None:
            raise NotAllowedError(
                "found no valid token and nobody signed in; send the header Authorization: Bearer TOKEN, or sign in "
                f"at {self.sign_in_url}",
                401,
            )
        if not need.met_by(holder):
            wanted = " or ".join(sorted(need.scopes | need.roles))
            who = "this token" if holder.person is None else "your account"
            raise NotAllowedError(f"{who} may not do this; it needs one of: {wanted}", 403)
        return holder

    def _holder(self, token: str | None) -> Holder | None:
        if token is None:
            return None
        digest = digest_of(token)
        # Every entry is compared, and none returns early: the time taken tells nothing about the match.
        matches = [entry for entry in self._tokens or () if hmac.compare_digest(entry.sha256, digest)]
        today = self._clock.now().date()
        return next(
            (_holder_of(entry) for entry in matches if entry.expires_on is None or today < entry.expires_on), None
        )


_NOBODY = Holder("none", frozenset(), frozenset(), (), ())


def load_access(settings: Settings, clock: Clock | None = None) -> Access:
    """`open_access` as the settings say."""
    return open_access(
        settings.tokens_file,
        settings.host,
        clock or SystemClock(),
        public_url=settings.public_url,
        sign_in_url=settings.sign_in_url,
    )


def open_access(
    tokens_file: Path | None,
    host: str,
    clock: Clock,
    *,
    public_url: str | None = None,
    sign_in_url: str = "/sign-in",
) -> Access:
    """The access rules for a program that listens on `host`.

    Raises:
        ConfigurationError: the file cannot be used, or there is none and `host` is not a loopback address.
    """
    tokens = None if tokens_file is None else read_tokens(tokens_file)
    if tokens is None and not is_loopback(host):
        raise ConfigurationError(
            f"found the address {host} and no VALVOMO_TOKENS_FILE: anybody on the network could send and read. "
            "Listen on 127.0.0.1, or write a tokens file (valvomo token new)"
        )
    if tokens is None:
        logger("access").warning("everything is open: no VALVOMO_TOKENS_FILE, listening on loopback only", host=host)
    return Access(tokens, clock, public_url=public_url, sign_in_url=sign_in_url)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host` (a name other than localhost counts as reachable)."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _matches(patterns: Sequence[str], text: str) -> bool:
    return any(text == pattern or (pattern.endswith("*") and text.startswith(pattern[:-1])) for pattern in patterns)


def _holder_of(token: Token) -> Holder:
    return Holder(
        token.id, frozenset(token.scopes), frozenset(token.roles), token.systems, token.sources, token.otlp_purpose
    )


def _person(found: SignedIn) -> Holder:
    roles = frozenset(grant.role for grant in found.grants)
    return Holder(
        found.person,
        frozenset(),
        roles,
        (),
        (),
        person=found.person,
        units=_units_of(found.grants),
        form_token=found.form_token,
        grants=found.grants,
    )


def _presented(method: str, authorization: str | None) -> str | None:
    kind, _, text = (authorization or "").partition(" ")
    if kind.lower() == "bearer":
        return text.strip() or None
    if kind.lower() == "basic" and method in READING_METHODS:  # a browser's own way to ask for a password
        return _password(text.strip())
    return None


def _password(encoded: str) -> str | None:
    try:
        return base64.b64decode(encoded, validate=True).decode().partition(":")[2] or None
    except (binascii.Error, UnicodeDecodeError):
        return None
