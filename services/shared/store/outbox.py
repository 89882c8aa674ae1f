"""The outbox as rows: what waits to leave, and what became of it (the rule is at `Transaction.send`)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import astuple
from datetime import datetime
from operator import attrgetter
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Select,
    Table,
    any_,
    case,
    delete,
    func,
    literal,
    select,
    update,
)

from services.shared.store import OutgoingMessage, PendingMessage, chunks

COLUMNS = ("message_id", "destination", "value", "topic", "key", "recipient")
"""In the order of `OutgoingMessage`."""

_AT_ONCE = 1_000


def row_of(message: OutgoingMessage) -> tuple[Any, ...]:
    """A message as a row of `COLUMNS`."""
    return astuple(message)


def pending(
    connection: Connection, outbox: Table, destinations: Collection[str], now: datetime, limit: int
) -> list[PendingMessage]:
    # One question per destination: each is a walk along the index, also where the planner has no statistics yet.
    found = [
        PendingMessage(sequence, OutgoingMessage(*message), attempts)
        for destination in destinations
        for sequence, attempts, *message in connection.execute(_waiting(outbox, destination, now, limit))
    ]
    return sorted(found, key=attrgetter("sequence"))[:limit]


def _waiting(outbox: Table, destination: str, now: datetime, limit: int) -> Select[Any]:
    return (
        select(outbox.c.sequence, outbox.c.attempts, *(outbox.c[name] for name in COLUMNS))
        .where(
            outbox.c.sent_at.is_(None),
            outbox.c.given_up_reason.is_(None),
            outbox.c.destination == destination,
            outbox.c.next_try_at <= now,
        )
        .order_by(outbox.c.sequence)
        .limit(limit)
    )


def mark_sent(connection: Connection, outbox: Table, sequences: Sequence[int], now: datetime) -> None:
    for some in chunks(sequences, _AT_ONCE):
        left = _among(connection, outbox.c.sequence, some)
        forgotten = connection.execute(delete(outbox).where(left, outbox.c.destination == "bus"))
        if forgotten.rowcount < len(some):
            connection.execute(update(outbox).where(left).values(sent_at=now, attempts=outbox.c.attempts + 1))


def _among(connection: Connection, column: Column[int], values: Sequence[int]) -> ColumnElement[bool]:
    if connection.dialect.name == "sqlite":
        return column.in_(values)
    return column == any_(literal(list(values), ARRAY(BigInteger)))


def mark_failed(connection: Connection, outbox: Table, sequence: int, reason: str, next_try: datetime | None) -> None:
    change = {"given_up_reason": reason} if next_try is None else {"next_try_at": next_try}
    connection.execute(
        update(outbox)
        .where(outbox.c.sequence == sequence, outbox.c.sent_at.is_(None))
        .values(attempts=outbox.c.attempts + 1, **change)
    )


def postpone(connection: Connection, outbox: Table, sequences: Sequence[int], until: datetime) -> None:
    for some in chunks(sequences, _AT_ONCE):
        left = _among(connection, outbox.c.sequence, some)
        connection.execute(update(outbox).where(left, outbox.c.sent_at.is_(None)).values(next_try_at=until))


def pending_counts(connection: Connection, outbox: Table) -> Mapping[tuple[str, str], int]:
    state = case((outbox.c.given_up_reason.is_(None), "waiting"), else_="given_up")
    query = (
        select(outbox.c.destination, state, func.count())
        .where(outbox.c.sent_at.is_(None))
        .group_by(outbox.c.destination, state)
    )
    return {(destination, name): count for destination, name, count in connection.execute(query)}
