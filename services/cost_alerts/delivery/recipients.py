"""Who stands behind a role: the recipients file (`VALVOMO_RECIPIENTS_FILE`), the only place with addresses.

finance-kymp:                             # the role that a budget names
  language: sv                            # fi (default), sv or en
  addresses: [finance.kymp@city.example]
  webhook: https://flows.example/alert    # optional; the address may hold a secret, so it is never logged
  secret: whsec_…                         # optional; signs the webhook
  teams: https://….logic.azure.com/…      # optional; a Workflow's address, a secret too
  kinds: [budget, pool_running_dry]       # optional; only these
  quiet_hours: {from: "18:00", to: "07:00", weekends: true}   # optional; mail and Teams wait, but for critical ones
  digest: "08:00"                         # optional; what is not critical waits and comes as one
"""

import re
from collections.abc import Mapping
from datetime import time
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from services.cost_alerts.domain.alerts.letter import LetterKind
from services.shared.errors import ConfigurationError
from services.shared.events.envelope import Id
from services.shared.web.words import DEFAULT, Language


def _ascii(value: str) -> str:
    """Many servers take no other address, and then the mail would reach nobody of the role."""
    if not value.isascii():
        raise ValueError("an address is written in ASCII, its domain with xn--")
    return value


Address = Annotated[
    str,
    StringConstraints(pattern=r"^[^@\s<>,;:\"()\[\]\\]+@[^@\s<>,;:\"()\[\]\\]+$", max_length=254),
    AfterValidator(_ascii),
]
_WEB = re.compile(r"https?://[^\s/]+")
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]", re.ASCII)


def _clock_time(value: object) -> time:
    """Only text: without quotes, YAML reads 18:00 as the number 1080."""
    if not isinstance(value, str) or _CLOCK.fullmatch(value) is None:
        raise ValueError('a time is written in quotes, for example "18:00"')
    return time.fromisoformat(value)


ClockTime = Annotated[time, BeforeValidator(_clock_time)]


class QuietHours(BaseModel):
    """From `begin` (`from` in the file, inclusive) to `to` (exclusive) nobody is disturbed; Helsinki time.

    `weekends`: nor on Saturdays and Sundays.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    begin: ClockTime = Field(alias="from")
    to: ClockTime
    weekends: bool = False

    def hold_at(self, moment: time) -> bool:
        """Whether a clock that shows `moment` is in them; of weekends it knows nothing."""
        if self.begin < self.to:
            return self.begin <= moment < self.to
        return moment >= self.begin or moment < self.to

    @model_validator(mode="after")
    def _leaves_some_hours(self) -> "QuietHours":
        if self.begin == self.to:
            raise ValueError("from and to must differ, or no hour would be left")
        return self


class Recipient(BaseModel):
    """One role's entry. `kinds`: what it is told of; None: of all."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    language: Language = DEFAULT
    addresses: tuple[Address, ...] = ()
    webhook: SecretStr | None = None
    secret: SecretStr | None = Field(default=None, description="`whsec_` and base64, or any text")
    teams: SecretStr | None = None
    kinds: frozenset[LetterKind] | None = None
    quiet_hours: QuietHours | None = None
    digest: ClockTime | None = None

    @field_validator("webhook", "teams")
    @classmethod
    def _is_web_address(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and _WEB.match(value.get_secret_value()) is None:
            raise ValueError("the address begins with https:// or http://")
        return value

    @model_validator(mode="after")
    def _digest_disturbs_nobody(self) -> "Recipient":
        if self.digest is not None and self.quiet_hours is not None and self.quiet_hours.hold_at(self.digest):
            raise ValueError("digest must not lie in quiet_hours")
        return self

    @property
    def is_reached(self) -> bool:
        """Whether there is any way to tell this role."""
        return bool(self.addresses) or self.webhook is not None or self.teams is not None


def load_recipients(path: Path | None) -> Mapping[str, Recipient]:
    """Role → recipient; empty without a file.

    Raises:
        ConfigurationError: the file cannot be read or holds something else; the sentence names roles, no addresses.
    """
    if path is None:
        return {}
    try:
        text = path.read_text(encoding="utf-8")
        twice = _told_twice(yaml.compose(text, yaml.SafeLoader))
        found = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"cannot read {path} ({type(error).__name__}); correct VALVOMO_RECIPIENTS_FILE"
        ) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise ConfigurationError(f"{path}{where} is not YAML; correct the file") from None
    if twice is not None:
        raise ConfigurationError(f"{path}, line {twice} names a role for the second time; write all of it in one entry")
    if not isinstance(found, dict):
        raise ConfigurationError(f"{path} holds no roles; write for example `finance-kymp: {{addresses: […]}}`")
    return {_role(path, role): _recipient(path, str(role), entry) for role, entry in found.items()}


def _told_twice(root: yaml.Node | None) -> int | None:
    """The line on which a role is named for the second time. Read on, YAML would forget the first entry."""
    names = set[str]()
    for key, _ in root.value if isinstance(root, yaml.MappingNode) else ():
        if str(key.value) in names:
            return int(key.start_mark.line) + 1
        names.add(str(key.value))
    return None


class _Role(BaseModel):
    role: Id


def _role(path: Path, role: object) -> str:
    try:
        found = _Role.model_validate({"role": role}).role
    except ValidationError:
        found = ""
    if not found or "@" in found:
        raise ConfigurationError(f"{path}: found a role that is not an id; use the names in budgets.yaml")
    return found


def _recipient(path: Path, role: str, entry: Any) -> Recipient:  # noqa: ANN401  # whatever YAML held
    try:
        return Recipient.model_validate(entry if entry is not None else {})
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(_member, item['loc']))}: {item['msg']}"
            for item in error.errors(include_input=False, include_context=False)
        )
        raise ConfigurationError(f"{path}: {role} cannot be used: {wrong}. See docs/alerts.md") from None


def _member(part: str | int) -> str:
    """A member by its name, unless somebody wrote an address in its place."""
    return "(an address)" if "@" in str(part) else str(part)
