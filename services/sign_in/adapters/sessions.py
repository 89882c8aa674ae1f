"""Sessions in the database: begun, found by the cookie's token, ended."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from hashlib import sha256

from sqlalchemy import Connection, RowMapping, delete, insert, or_, select, update

from services.shared.clock import Clock
from services.shared.logs import logger
from services.shared.sessions import SignedIn
from services.shared.store import Store, Transaction
from services.sign_in.adapters.accounts import load
from services.sign_in.adapters.sealing import Sealer
from services.sign_in.adapters.tables import session
from services.sign_in.domain.accounts import Account, How
from services.sign_in.domain.sessions import TOUCHED_EVERY, Lasting, Session, holds

_TOKEN_BYTES = 32
_KEY_DIGITS = 32


def digest_of(token: str) -> bytes:
    """How a cookie's token stands in the database. It is 256 random bits, so a fast hash keeps it."""
    return sha256(token.encode()).digest()


def begin(tx: Transaction, sealer: Sealer, found: Account, how: How, *, lasting: Lasting, now: datetime) -> str:
    """Begin a session; the token for its cookie. What ended long ago is swept out."""
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    made = Session(
        digest_of(token), found.person, how, now, now, now + lasting.whole, secrets.token_urlsafe(_TOKEN_BYTES)
    )
    tx.connection.execute(
        delete(session).where(or_(session.c.expires_at <= now, session.c.seen_at <= now - lasting.idle))
    )
    row = asdict(made)
    tx.connection.execute(insert(session).values({**row, "seal": sealer.seal("session", row)}))
    return token


def end(tx: Transaction, digest: bytes) -> None:
    """End one session."""
    tx.connection.execute(delete(session).where(session.c.digest == digest))


def end_all(tx: Transaction, person: str) -> int:
    """End every session of a person; how many there were."""
    return tx.connection.execute(delete(session).where(session.c.person == person)).rowcount


def sessions_of(connection: Connection, sealer: Sealer, person: str) -> Sequence[Session]:
    """The sessions of a person, the newest first."""
    query = select(session).where(session.c.person == person).order_by(session.c.made_at.desc())
    found = (_session(row, sealer) for row in connection.execute(query).mappings())
    return [one for one in found if one is not None]


class StoredSessions:
    """`Sessions` on a store. `sealer`: asked each time, since a process may begin before its key file is there."""

    def __init__(self, store: Store, sealer: Callable[[], Sealer], lasting: Lasting, clock: Clock) -> None:
        self._store, self._sealer, self._lasting, self._clock = store, sealer, lasting, clock

    def find(self, token: str) -> SignedIn | None:
        found = self.session(token)
        if found is None:
            return None
        one, account = found
        return SignedIn(one.digest.hex()[:_KEY_DIGITS], one.person, account.grants_by(one.how), one.form_token)

    def session(self, token: str) -> tuple[Session, Account] | None:
        """The session of a token with its account, when both are genuine and hold."""
        sealer, now = self._sealer(), self._clock.now()
        with self._store.reading() as connection:
            query = select(session).where(session.c.digest == digest_of(token))
            row = connection.execute(query).mappings().one_or_none()
            one = None if row is None else _session(row, sealer)
            account = None if one is None else load(connection, sealer, one.person)
        if one is None or account is None or not holds(one, account, self._lasting, now):
            return None
        if now - one.seen_at >= TOUCHED_EVERY:
            self._touch(replace(one, seen_at=now), sealer)
        return one, account

    def _touch(self, one: Session, sealer: Sealer) -> None:
        values = {"seen_at": one.seen_at, "seal": sealer.seal("session", asdict(one))}
        with self._store.transaction() as tx:
            tx.connection.execute(update(session).where(session.c.digest == one.digest).values(values))


def _session(row: RowMapping, sealer: Sealer) -> Session | None:
    if not sealer.is_sealed("session", dict(row)):
        logger("sign-in").error("forged session refused: a row of sessions was not written by this program")
        return None
    return Session(**{name: value for name, value in row.items() if name != "seal"})
