"""An account: which roles a person holds, and who gave them."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, NamedTuple, get_args

from services.shared.sessions import Grant
from services.shared.tokens import Role

How = Literal["password", "directory"]
"""The way in: a password kept here, or the city's directory (OpenID Connect)."""

ROLES: tuple[Role, ...] = get_args(Role)


class Held(NamedTuple):
    """A grant, and whether it was given here or by the city's directory."""

    grant: Grant
    by: Literal["local", "directory"]


@dataclass(frozen=True, slots=True)
class Account:
    """A person's account. `one_time_until`: the password was given by somebody else and ends then."""

    person: str
    password: str | None
    one_time_until: datetime | None
    held: frozenset[Held]
    disabled_at: datetime | None
    made_at: datetime
    changed_at: datetime

    @property
    def grants(self) -> frozenset[Grant]:
        """All roles, whichever way the person comes in; none while the account is disabled."""
        return frozenset() if self.disabled_at is not None else frozenset(one.grant for one in self.held)

    def grants_by(self, how: How) -> frozenset[Grant]:
        """The roles of a session. What the directory says holds only for who comes through it.

        A person who still has a password that somebody else knows may change it, and nothing else.
        """
        if how == "directory":
            return self.grants
        if self.one_time_until is not None:
            return frozenset()
        return frozenset(one.grant for one in self.held if one.by == "local")


@dataclass(frozen=True, slots=True)
class Change:
    """What became of a role."""

    grant: Grant
    change: Literal["granted", "revoked"]


def with_local(account: Account, grants: Collection[Grant], now: datetime) -> Account:
    """The account with these roles given here too."""
    held = account.held | {Held(grant, "local") for grant in grants}
    return replace(account, held=held, changed_at=now)


def without_local(account: Account, grant: Grant, now: datetime) -> Account:
    """The account without a role that was given here."""
    return replace(account, held=account.held - {Held(grant, "local")}, changed_at=now)


def as_directory_says(account: Account, grants: Iterable[Grant], now: datetime) -> Account:
    """The account with the roles that the directory tells now; unchanged when it told the same before."""
    local = frozenset(one for one in account.held if one.by == "local")
    held = local | {Held(grant, "directory") for grant in grants}
    return account if held == account.held else replace(account, held=held, changed_at=now)


def changes(before: Account | None, after: Account, *, anew: bool = False) -> list[Change]:
    """What somebody who reads the log must be told, in a fixed order.

    `anew`: somebody else may come in from now on, so that all roles are given again, to be seen.
    """
    had = frozenset() if before is None else before.grants
    lost, gained = (had, after.grants) if anew else (had - after.grants, after.grants - had)
    return [Change(grant, "revoked") for grant in _ordered(lost)] + [
        Change(grant, "granted") for grant in _ordered(gained)
    ]


def _ordered(grants: Iterable[Grant]) -> list[Grant]:
    return sorted(grants, key=lambda grant: (grant.role, grant.unit or ""))
