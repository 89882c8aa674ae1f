"""Who may send and read: bearer tokens, stored as hashes, each with its scopes, systems, sources and roles.

The tokens file (`VALVOMO_TOKENS_FILE`) is a YAML list:

    - id: library-chatbot            # names the token in logs and pages; not secret
      sha256: 3f0a…                  # of the token; `valvomo token new` prints both
      scopes: [events, otlp]         # events, otlp, metrics, log
      systems: [library-chatbot]     # whose use it may report; "*" is every one
      sources: ["apps/library", "otlp/*"]   # CloudEvents sources it may use; a final * matches the rest
      otlp_purpose: telemetry        # what its OpenTelemetry readings are for; billing must be said
      roles: []                      # viewer, finance, reviewer, auditor, admin: for reading
      expires_on: 2027-06-30         # last day is the day before (UTC)

A token is 256 random bits, so one SHA-256 keeps it as safe as a slow hash would. Without the file everything is open,
which is only allowed on a loopback address.
"""

import base64
import binascii
import hmac
import ipaddress
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal, cast

import yaml
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError, model_validator

from services.shared.clock import Clock, SystemClock
from services.shared.errors import ConfigurationError, PlatformError
from services.shared.events.envelope import Id, Name
from services.shared.logs import logger
from services.shared.settings import Settings

Scope = Literal["events", "otlp", "metrics", "log"]
Role = Literal["viewer", "finance", "reviewer", "auditor", "admin"]
Purpose = Literal["telemetry", "attribution", "billing"]

EVERY_ROLE: frozenset[Role] = frozenset({"viewer", "finance", "reviewer", "auditor", "admin"})
_EVERY_SCOPE: frozenset[Scope] = frozenset({"events", "otlp", "metrics", "log"})
_READING_METHODS = frozenset({"GET", "HEAD"})


class NotAllowedError(PlatformError):
    """The caller is unknown (`status` 401) or may not do this (403)."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Token(BaseModel):
    """One entry of the tokens file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Id
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    scopes: tuple[Scope, ...] = ()
    systems: tuple[Name, ...] = ()
    sources: tuple[Name, ...] = ()
    otlp_purpose: Purpose = "telemetry"
    roles: tuple[Role, ...] = ()
    expires_on: date | None = None

    @model_validator(mode="after")
    def _allows_something(self) -> "Token":
        if not self.scopes and not self.roles:
            raise ValueError(
                "a token needs at least one scope (events, otlp, metrics, log) or role (viewer, finance, …)"
            )
        return self


@dataclass(frozen=True, slots=True)
class Holder:
    """Who sent a request, as far as it was proved: the token's rights, never its text."""

    token_id: str
    scopes: frozenset[Scope]
    roles: frozenset[Role]
    systems: tuple[str, ...]
    sources: tuple[str, ...]
    otlp_purpose: Purpose = "telemetry"

    @property
    def is_known(self) -> bool:
        """Whether it may do anything at all: probes come without a token."""
        return bool(self.scopes or self.roles)

    def may_report(self, system: str) -> bool:
        """Whether it may tell about this system's use."""
        return _matches(self.systems, system)

    def may_use_source(self, source: str) -> bool:
        """Whether its events may carry this CloudEvents source."""
        return _matches(self.sources, source)


ANYBODY = Holder("open", _EVERY_SCOPE, EVERY_ROLE, ("*",), ("*",))
"""Whoever comes while everything is open."""


@dataclass(frozen=True, slots=True)
class Need:
    """What a request needs: one of these scopes, or one of these roles. Neither: nothing."""

    scopes: frozenset[Scope] = frozenset()
    roles: frozenset[Role] = frozenset()

    def met_by(self, holder: Holder) -> bool:
        return not (self.scopes or self.roles) or bool(self.scopes & holder.scopes or self.roles & holder.roles)


_NOTHING = Need()
_OPEN = frozenset({"/healthz", "/readyz", "/alerts/ack"})
"""Probes; and the page that acknowledges an alert, whose link proves by itself who may."""

_NEEDS: tuple[tuple[str, Need], ...] = (
    ("/v1/otlp/", Need(scopes=frozenset({"otlp"}))),
    ("/v1/", Need(scopes=frozenset({"events"}))),
)
_LOOKING_AT_PEOPLE: frozenset[Role] = frozenset({"reviewer", "auditor", "admin"})
"""Entries, and outputs with their reviews, tell under pseudonyms what single people did."""

_READING_NEEDS: tuple[tuple[str, Need], ...] = (
    ("/metrics", Need(frozenset({"metrics"}), EVERY_ROLE)),
    ("/log/", Need(frozenset({"log"}), frozenset({"auditor", "admin"}))),
    ("/api/v1/log/", Need(roles=_LOOKING_AT_PEOPLE)),
    ("/api/v1/outputs", Need(roles=_LOOKING_AT_PEOPLE)),
    ("/audit", Need(roles=_LOOKING_AT_PEOPLE)),
)


def need_of(method: str, path: str) -> Need:
    """What a request must bring. A path that no rule names needs a role to be read and `admin` for anything else."""
    if path in _OPEN:
        return _NOTHING
    if method in _READING_METHODS:
        return next((need for prefix, need in _READING_NEEDS if path.startswith(prefix)), Need(roles=EVERY_ROLE))
    return next((need for prefix, need in _NEEDS if path.startswith(prefix)), Need(roles=frozenset({"admin"})))


class Access:
    """Answers who may. `tokens` None: everything is open (loopback only)."""

    def __init__(self, tokens: Sequence[Token] | None, clock: Clock) -> None:
        self._tokens = None if tokens is None else tuple(tokens)
        self._clock = clock

    @property
    def is_open(self) -> bool:
        return self._tokens is None

    def admit(self, method: str, path: str, authorization: str | None) -> Holder:
        """The holder of a request that may go on.

        Raises:
            NotAllowedError: no or an unknown token where one is needed, or one that may not do this.
        """
        if self._tokens is None:
            return ANYBODY
        need = need_of(method, path)
        holder = self._holder(_presented(method, authorization))
        if need == _NOTHING:
            return holder or _NOBODY
        if holder is None:
            raise NotAllowedError("no valid token was found; send the header Authorization: Bearer TOKEN", 401)
        if not need.met_by(holder):
            wanted = " or ".join(sorted(need.scopes | need.roles))
            raise NotAllowedError(f"this token may not do this; it needs one of: {wanted}", 403)
        return holder

    def _holder(self, token: str | None) -> Holder | None:
        if token is None:
            return None
        digest = _digest(token)
        # Every entry is compared, and none returns early: the time taken tells nothing about the match.
        matches = [entry for entry in self._tokens or () if hmac.compare_digest(entry.sha256, digest)]
        today = self._clock.now().date()
        return next(
            (_holder_of(entry) for entry in matches if entry.expires_on is None or today < entry.expires_on), None
        )


_NOBODY = Holder("none", frozenset(), frozenset(), (), ())


def load_access(settings: Settings, clock: Clock | None = None) -> Access:
    """`open_access` as the settings say."""
    return open_access(settings.tokens_file, settings.host, clock or SystemClock())


def open_access(tokens_file: Path | None, host: str, clock: Clock) -> Access:
    """The access rules for a program that listens on `host`.

    Raises:
        ConfigurationError: the file cannot be used, or there is none and `host` is not a loopback address.
    """
    if tokens_file is not None:
        return Access(read_tokens(tokens_file), clock)
    if not is_loopback(host):
        raise ConfigurationError(
            f"found the address {host} and no VALVOMO_TOKENS_FILE: anybody on the network could send and read. "
            "Listen on 127.0.0.1, or write a tokens file (valvomo token new)"
        )
    logger("access").warning("everything is open: no VALVOMO_TOKENS_FILE, listening on loopback only", host=host)
    return Access(None, clock)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host` (a name other than localhost counts as reachable)."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def read_tokens(path: Path) -> tuple[Token, ...]:
    """The tokens a file lists.

    Raises:
        ConfigurationError: it cannot be read or says something that cannot be; the sentence names file and line.
    """
    root = _compose(path)
    if not isinstance(root, yaml.SequenceNode) or not root.value:
        raise ConfigurationError(f"{path}: found no list of tokens; write entries that begin with '- id:'")
    tokens = tuple(_token(path, node) for node in root.value)
    for what in ("id", "sha256"):
        _refuse_repeats(path, root.value, [getattr(token, what) for token in tokens], what)
    return tokens


def new_token(token_id: str, **rights: object) -> tuple[str, str]:
    """A fresh token, and the entry for the tokens file that lets it in. The token itself is stored nowhere.

    Raises:
        ConfigurationError: the rights are not such that a token can have them.
    """
    token = f"vt_{secrets.token_urlsafe(32)}"
    try:
        entry = Token.model_validate({"id": token_id, "sha256": _digest(token), **rights})
    except ValidationError as error:
        raise ConfigurationError(f"no token was made: {_reasons(error)}") from None
    document = entry.model_dump(mode="json", exclude_defaults=True)
    return token, yaml.safe_dump([document], sort_keys=False, default_flow_style=None, width=120)


def _matches(patterns: Sequence[str], text: str) -> bool:
    return any(text == pattern or (pattern.endswith("*") and text.startswith(pattern[:-1])) for pattern in patterns)


def _holder_of(token: Token) -> Holder:
    return Holder(
        token.id, frozenset(token.scopes), frozenset(token.roles), token.systems, token.sources, token.otlp_purpose
    )


def _digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()


def _presented(method: str, authorization: str | None) -> str | None:
    kind, _, text = (authorization or "").partition(" ")
    if kind.lower() == "bearer":
        return text.strip() or None
    if kind.lower() == "basic" and method in _READING_METHODS:  # a browser's own way to ask for a password
        return _password(text.strip())
    return None


def _password(encoded: str) -> str | None:
    try:
        return base64.b64decode(encoded, validate=True).decode().partition(":")[2] or None
    except (binascii.Error, UnicodeDecodeError):
        return None


def _compose(path: Path) -> yaml.Node | None:
    try:
        return yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except OSError as error:
        raise ConfigurationError(
            f"{path}: the tokens file cannot be read ({error.strerror}); check VALVOMO_TOKENS_FILE"
        ) from None
    except UnicodeDecodeError:
        raise ConfigurationError(
            f"{path}: found bytes that are not UTF-8; save the tokens file as UTF-8 text"
        ) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise ConfigurationError(
            f"{path}{line}: not YAML ({getattr(error, 'problem', None) or 'damaged'}); mend the file"
        ) from None


def _token(path: Path, node: yaml.Node) -> Token:
    line = node.start_mark.line + 1
    if not isinstance(node, yaml.MappingNode):
        raise ConfigurationError(
            f"{path}:{line}: found no entry; write '- id: …' with sha256, scopes and so on below it"
        )
    lines = {str(key.value): key.start_mark.line + 1 for key, _ in node.value}
    if len(lines) != len(node.value):
        raise ConfigurationError(f"{path}:{line}: found a member twice in this entry; keep one")
    try:
        return Token.model_validate(_plain(node))
    except ValidationError as error:
        raise ConfigurationError(f"{path}:{_line(error, lines, line)}: {_reasons(error)}") from None
    except yaml.YAMLError:
        raise ConfigurationError(f"{path}:{line}: found YAML tags, expected plain text and lists") from None


def _plain(node: yaml.Node) -> object:
    loader = yaml.SafeLoader("")
    try:
        return cast("object", loader.construct_document(node))
    finally:
        loader.dispose()


def _line(error: ValidationError, lines: Mapping[str, int], otherwise: int) -> int:
    location = error.errors(include_input=False)[0]["loc"]
    return lines.get(str(location[0]), otherwise) if location else otherwise


def _reasons(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, item['loc'])) or 'entry'}: {item['msg']}" for item in error.errors(include_input=False)
    )


def _refuse_repeats(path: Path, nodes: Sequence[yaml.Node], values: Sequence[str], what: str) -> None:
    seen: set[str] = set()
    for node, value in zip(nodes, values, strict=True):
        if value in seen:
            raise ConfigurationError(
                f"{path}:{node.start_mark.line + 1}: this {what} stands above already; every token has its own"
            )
        seen.add(value)
