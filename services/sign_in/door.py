"""What can be done at the door: come in, go out, and be given or lose a role. Each in one transaction."""

import secrets
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.shared.clock import Clock
from services.shared.errors import ConfigurationError
from services.shared.logs import logger
from services.shared.sessions import Grant
from services.shared.store import Store, Transaction
from services.sign_in.adapters import accounts, attempts, sessions
from services.sign_in.adapters.accounts import Decided
from services.sign_in.adapters.hashing import Hashing
from services.sign_in.adapters.sealing import Sealer
from services.sign_in.domain.accounts import Account, Change, How, as_directory_says, with_local, without_local
from services.sign_in.domain.directory import Told
from services.sign_in.domain.passwords import LONGEST, ONE_TIME_DAYS, Fault, fault
from services.sign_in.domain.sessions import Lasting, Session
from services.sign_in.domain.throttle import OF_ADDRESS, OF_LOGIN, Limit

_ONE_TIME_BYTES = 15
_MOST_LETTERS = 4 * LONGEST
"""So much of a password is hashed: letters may be told in several parts."""
_DIRECTORY = Decided("directory", "roles as the city's directory tells them")


@dataclass(frozen=True, slots=True)
class Persons:
    """The way to pseudonyms: `find` knows them or not, `make` gives one to who has none."""

    find: Callable[[str], str | None]
    make: Callable[..., str]


@dataclass(frozen=True, slots=True)
class Entered:
    """Somebody came in. `token`: for the cookie."""

    token: str
    must_change: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """Nobody came in; why is told to nobody. `wait`: nothing is tried before that."""

    wait: timedelta = timedelta()


class Door:
    """Accounts and sessions of one database."""

    def __init__(
        self, store: Store, sealer: Sealer, persons: Persons, clock: Clock, *, hashing: Hashing, lasting: Lasting
    ) -> None:
        self._store, self.sealer, self._persons, self._clock = store, sealer, persons, clock
        self._hashing, self._lasting = hashing, lasting
        self._log = logger("sign-in")

    def enter(self, login: str, password: str, address: str | None, left: str | None = None) -> Entered | Refused:
        """Come in by a password. `left`: the token of a session that this browser had, which ends.

        `address`: where from; None: not known, and then not counted. Who is unknown, disabled or without a password
        takes the same way as a wrong password.
        """
        now = self._clock.now()
        person = self._persons.find(login)
        # By the person where there is one. Who is nobody waits as long however they spell it: else it would show.
        whose = self._counted("login", person or _spelled(login), address)
        if pause := self._put_off(whose, now):
            self._log.warning("sign-in put off", how="password")
            return Refused(pause)
        found = self._usable(person, now)
        right = self._hashing.matches(None if found is None else found.password, password[:_MOST_LETTERS])
        if found is None or not right:
            self._log.warning("sign-in refused", how="password")
            return Refused()
        with self._changing(found.person) as (tx, still):
            if still != found:
                return Refused()  # somebody has changed the account meanwhile
            attempts.forgive(tx, whose, now)
            self._rehash(tx, found, password)
            token = self._begun(tx, found, "password", left)
        return Entered(token, must_change=found.one_time_until is not None)

    def enter_from_directory(self, told: Told, left: str | None = None) -> Entered | Refused:
        """Come in as the directory says; its roles replace those that it told before."""
        now = self._clock.now()
        person = self._persons.make(told.login, *told.also)
        with self._changing(person) as (tx, before):
            if before is not None and before.disabled_at is not None:
                self._log.warning("sign-in refused", how="directory")
                return Refused()
            after = as_directory_says(before or _new(person, now), told.grants, now)
            if before is None and not after.grants:
                self._log.warning("sign-in refused", how="directory")
                return Refused()
            if after != before:
                accounts.save(tx, self.sealer, before, after, decided=_DIRECTORY)
            if not after.grants:
                self._log.warning("sign-in refused", how="directory")
                return Refused()
            return Entered(self._begun(tx, after, "directory", left))

    def leave(self, token: str) -> None:
        """End the session of a cookie."""
        with self._store.transaction() as tx:
            sessions.end(tx, sessions.digest_of(token))
        self._log.info("signed out")

    def sessions_of(self, person: str) -> Sequence[Session]:
        with self._store.reading() as connection:
            return sessions.sessions_of(connection, self.sealer, person)

    def end_sessions(self, person: str) -> int:
        """End every session of a person, wherever it is; how many there were."""
        with self._store.transaction() as tx:
            ended = sessions.end_all(tx, person)
        self._log.info("sessions ended", count=ended)
        return ended

    def change_password(self, person: str, old: str, new: str, address: str | None) -> Fault | Entered | Refused:
        """Choose another password: every session ends, and a new one begins."""
        now = self._clock.now()
        whose = self._counted("password of", person, address)
        if pause := self._put_off(whose, now):
            return Refused(pause)
        before = self.account(person)
        if before is None or not self._hashing.matches(before.password, old[:_MOST_LETTERS]):
            return Refused()
        if wrong := "common" if old == new else fault(new, ""):
            return wrong
        hashed = self._hashing.hash(new)
        with self._changing(person) as (tx, found):
            if found != before:
                return Refused()  # somebody else has changed the account meanwhile
            attempts.forgive(tx, whose, now)
            after = replace(before, password=hashed, one_time_until=None, changed_at=now)
            accounts.save(tx, self.sealer, before, after, decided=_OWN)
            return Entered(self._begun(tx, after, "password", None))

    def account(self, person: str) -> Account | None:
        with self._store.reading() as connection:
            return accounts.load(connection, self.sealer, person)

    def everybody(self) -> tuple[list[Account], int]:
        """All accounts, and how many rows are forged."""
        with self._store.reading() as connection:
            return accounts.everybody(connection, self.sealer)

    def add(
        self, login: str, grants: Sequence[Grant], decided: Decided, *, password: bool
    ) -> tuple[Account, str | None]:
        """Make an account; with `password`, one that is for a single use, which is kept nowhere.

        Raises:
            ConfigurationError: this person has an account.
        """
        now, person = self._clock.now(), self._persons.make(login)
        once, made = self._one_time(_new(person, now)) if password else (None, _new(person, now))
        made = with_local(made, grants, now)
        with self._changing(person) as (tx, before):
            if before is not None:
                raise ConfigurationError(
                    "this person has an account already; give a role with: valvomo user role grant"
                )
            accounts.save(tx, self.sealer, None, made, decided=decided)
        return made, once

    def grant(self, person: str, grant: Grant, decided: Decided) -> Sequence[Change]:
        """Give a role; nothing when it was given here before."""
        return self._change(person, decided, lambda found, now: with_local(found, [grant], now))

    def revoke(self, person: str, grant: Grant, decided: Decided) -> Sequence[Change]:
        """Take a role that was given here; nothing when there was none."""
        return self._change(person, decided, lambda found, now: without_local(found, grant, now))

    def disable(self, person: str, decided: Decided, *, disabled: bool) -> None:
        """Let a person in no more, or again; the log is told that their roles went, or came back."""
        self._change(
            person, decided, lambda found, now: replace(found, disabled_at=now if disabled else None, changed_at=now)
        )

    def give_password(self, person: str, password: str | None, decided: Decided) -> str | None:
        """Set a password that must be changed at the next sign-in; a fresh one when none is given, which is returned.

        Who knows it could come in as this person, so the log is told that the roles were given anew.

        Raises:
            ConfigurationError: the password cannot be used, or the person has no account.
        """
        if password is not None and (wrong := fault(password, "")):
            raise ConfigurationError(
                f"the password is too {wrong}; expected 12 to {LONGEST} characters, not a common one"
            )
        made: list[str | None] = []

        def given(found: Account, now: datetime) -> Account:
            once, after = self._one_time(replace(found, changed_at=now), password)
            made.append(once if password is None else None)
            return after

        self._change(person, decided, given, anew=True)
        return made[0]

    def _change(
        self, person: str, decided: Decided, make: Callable[[Account, datetime], Account], *, anew: bool = False
    ) -> Sequence[Change]:
        with self._changing(person) as (tx, before):
            if before is None:
                raise ConfigurationError("this person has no account; make one with: valvomo user add")
            return accounts.save(tx, self.sealer, before, make(before, self._clock.now()), decided=decided, anew=anew)

    @contextmanager
    def _changing(self, person: str) -> Iterator[tuple[Transaction, Account | None]]:
        """A transaction in which nobody else changes this person's account."""
        with self._store.transaction() as tx:
            accounts.lock(tx, person)
            yield tx, accounts.load(tx.connection, self.sealer, person)

    def _counted(self, kind: str, name: str, address: str | None) -> dict[bytes, Limit]:
        """What an attempt counts against."""
        whose = {self.sealer.hashed(kind, name): OF_LOGIN}
        return whose if address is None else {**whose, self.sealer.hashed("address", address): OF_ADDRESS}

    def _put_off(self, whose: Mapping[bytes, Limit], now: datetime) -> timedelta:
        """Count an attempt, or say how long nothing is tried."""
        with self._store.transaction() as tx:
            return attempts.take(tx, whose, now)

    def _usable(self, person: str | None, now: datetime) -> Account | None:
        found = None if person is None else self.account(person)
        if found is None or found.disabled_at is not None:
            return None
        return None if found.one_time_until is not None and found.one_time_until <= now else found

    def _begun(self, tx: Transaction, found: Account, how: How, left: str | None) -> str:
        if left is not None:
            sessions.end(tx, sessions.digest_of(left))
        self._log.info("signed in", how=how)
        return sessions.begin(tx, self.sealer, found, how, lasting=self._lasting, now=self._clock.now())

    def _rehash(self, tx: Transaction, found: Account, password: str) -> None:
        if found.password is not None and self._hashing.is_old(found.password):
            accounts.save(tx, self.sealer, found, replace(found, password=self._hashing.hash(password)), decided=_OWN)

    def _one_time(self, found: Account, password: str | None = None) -> tuple[str, Account]:
        once = password or secrets.token_urlsafe(_ONE_TIME_BYTES)
        until = self._clock.now() + timedelta(days=ONE_TIME_DAYS)
        return once, replace(found, password=self._hashing.hash(once), one_time_until=until)


def _spelled(login: str) -> str:
    """One spelling of a login, as pseudonyms are found by."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", login).strip().casefold())


_OWN = Decided("self", "the password was changed")


def _new(person: str, now: datetime) -> Account:
    return Account(person, None, None, frozenset(), None, now, now)
