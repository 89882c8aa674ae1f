"""Failed attempts in the database, so that a restart forgets none."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update

from services.shared.store import Transaction
from services.shared.store.tables import micros
from services.sign_in.adapters.tables import attempt
from services.sign_in.domain.throttle import (
    FORGOTTEN_AFTER,
    OF_LOGIN,
    Failures,
    Limit,
    after_one_more,
    after_success,
    wait,
)


def take(tx: Transaction, whose: Mapping[bytes, Limit], now: datetime) -> timedelta:
    """Count an attempt for each of these before it is tried, so that many at once do not slip through.

    Returns:
        How long to wait first; then nothing was counted.
    """
    tx.connection.execute(delete(attempt).where(attempt.c.last_at <= now - FORGOTTEN_AFTER))
    found = {key: _locked(tx, key, now) for key in sorted(whose)}
    longest = max((wait(one, now) for one in found.values()), default=timedelta())
    if not longest:
        for key, limit in whose.items():
            _write(tx, key, after_one_more(found[key], limit, now))
    return longest


def forgive(tx: Transaction, whose: Mapping[bytes, Limit], now: datetime) -> None:
    """The attempt succeeded: nothing stands against the login, and the address has failed once less."""
    for key, limit in whose.items():
        if limit == OF_LOGIN:
            tx.connection.execute(delete(attempt).where(attempt.c.whose == key))
        elif found := _locked(tx, key, now):
            _write(tx, key, after_success(found, now))


def _locked(tx: Transaction, key: bytes, now: datetime) -> Failures | None:
    """What stands for a key, and nobody else changes it until the transaction ends."""
    columns, at = ("whose", "failures", "until", "last_at"), micros(now)
    tx.bulk_insert(attempt, columns, [(key, 0, at, at)], ignore_conflicts=True)
    row = tx.connection.execute(select(attempt).where(attempt.c.whose == key).with_for_update()).one()
    return Failures(row.failures, row.until, row.last_at) if row.failures else None


def _write(tx: Transaction, key: bytes, found: Failures) -> None:
    values = {"failures": found.count, "until": found.until, "last_at": found.last_at}
    tx.connection.execute(update(attempt).where(attempt.c.whose == key).values(values))
