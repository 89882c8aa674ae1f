"""The tokens file: bearer tokens, stored as hashes, each with its scopes, systems, sources and roles.

The tokens file (`VALVOMO_TOKENS_FILE`) is a YAML list:

    - id: library-chatbot            # names the token in logs and pages; not secret
      sha256: 3f0a…                  # of the token; `valvomo token new` prints both
      scopes: [events, otlp]         # events, otlp, metrics, log
      systems: [library-chatbot]     # whose use it may report; "*" is every one
      sources: ["apps/library", "otlp/*"]   # CloudEvents sources it may use; a final * matches the rest
      otlp_purpose: telemetry        # what its OpenTelemetry readings are for; billing must be said
      roles: []                      # viewer, finance, reviewer, auditor, admin: for reading
      expires_on: 2027-06-30         # last day is the day before (UTC)

A token is 256 random bits, so one SHA-256 keeps it as safe as a slow hash would.
"""

import secrets
from collections.abc import Mapping, Sequence
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal, cast

import yaml
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError, model_validator

from services.shared.errors import ConfigurationError
from services.shared.events.envelope import Id, Name

Scope = Literal["events", "otlp", "metrics", "log"]
Role = Literal["viewer", "finance", "reviewer", "auditor", "admin"]
Purpose = Literal["telemetry", "attribution", "billing"]

EVERY_ROLE: frozenset[Role] = frozenset({"viewer", "finance", "reviewer", "auditor", "admin"})
EVERY_SCOPE: frozenset[Scope] = frozenset({"events", "otlp", "metrics", "log"})


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
        entry = Token.model_validate({"id": token_id, "sha256": digest_of(token), **rights})
    except ValidationError as error:
        raise ConfigurationError(f"no token was made: {_reasons(error)}") from None
    document = entry.model_dump(mode="json", exclude_defaults=True)
    return token, yaml.safe_dump([document], sort_keys=False, default_flow_style=None, width=120)


def digest_of(token: str) -> str:
    """How a token stands in the file."""
    return sha256(token.encode()).hexdigest()


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
