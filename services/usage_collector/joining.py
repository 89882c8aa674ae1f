"""Two pseudonyms that turned out to be one person: told once, and remembered for who is told or erased.

Somebody gets two when two vendors know them by different ids, and a third, or the register, tells that these belong
together. Both pseudonyms go on naming what they named; the log reads them as one from then on.
"""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, delete, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from services.shared.events import event_id
from services.shared.events.governance import PseudonymJoining, PseudonymsJoined
from services.shared.store import OutgoingMessage, Store, Transaction
from services.usage_collector.adapters.tables import PERSON_JOINED
from services.usage_collector.poller import message_of

SOURCE = "valvomo/usage-collector"


def join(store: Store, pairs: Mapping[str, str], now: datetime) -> None:
    """Say of each pair (old → new) that it is one person, unless that follows from what was said before."""
    with store.transaction() as tx:
        told = [_told(tx, _newest(tx.connection, old), _newest(tx.connection, new), now) for old, new in pairs.items()]
        tx.send([message for message in told if message is not None])


def all_of(connection: Connection, pseudonym: str) -> list[str]:
    """Every pseudonym of the person behind this one, sorted."""
    found, unseen = {pseudonym}, {pseudonym}
    while unseen:
        here = or_(PERSON_JOINED.c.old.in_(unseen), PERSON_JOINED.c.new.in_(unseen))
        rows = connection.execute(select(PERSON_JOINED.c.old, PERSON_JOINED.c.new).where(here)).all()
        unseen = {name for row in rows for name in (row.old, row.new)} - found
        found |= unseen
    return sorted(found)


def forget(connection: Connection, pseudonyms: list[str]) -> None:
    """Let nothing here lead from one of these pseudonyms to another."""
    here = or_(PERSON_JOINED.c.old.in_(pseudonyms), PERSON_JOINED.c.new.in_(pseudonyms))
    connection.execute(delete(PERSON_JOINED).where(here))


def _newest(connection: Connection, pseudonym: str) -> str:
    """What a pseudonym was joined to in the end. Two collectors at once may have joined in a circle."""
    passed = [pseudonym]
    while True:
        query = select(PERSON_JOINED.c.new).where(PERSON_JOINED.c.old == passed[-1])
        following = connection.execute(query).scalar()
        if following is None or following in passed:
            return passed[-1] if following is None else min(passed[passed.index(following) :])
        passed.append(following)


def _told(tx: Transaction, old: str, new: str, now: datetime) -> OutgoingMessage | None:
    if old == new:
        return None
    insert = sqlite.insert(PERSON_JOINED) if tx.dialect == "sqlite" else postgresql.insert(PERSON_JOINED)
    row = {"old": old, "new": new, "joined_at": now}
    if not tx.connection.execute(insert.values(row).on_conflict_do_nothing()).rowcount:
        return None  # another collector was first
    data = PseudonymJoining(old=old, new=new, joined_at=now, reason="one source knows this person by both")
    name = event_id("pseudonyms-joined", old, new)
    return message_of(PseudonymsJoined(id=name, source=SOURCE, subject=old, time=now, data=data))
