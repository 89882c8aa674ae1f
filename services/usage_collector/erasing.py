"""A person's own row: found for who is told or erased, and erased again when a backup brings it back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, delete, func, insert, select, text

from services.shared.bus import EventBus
from services.shared.errors import ConfigurationError, TransientError
from services.shared.events import OUTCOMES, decode, event_id
from services.shared.events.log import PersonErased, PersonErasure, PersonExport, PersonExported
from services.shared.store import Store, Transaction, chunks
from services.shared.store.sqlite import SqliteStore
from services.usage_collector.adapters.tables import ERASURE, PERSON, PERSON_LINK
from services.usage_collector.joining import SOURCE, all_of, forget
from services.usage_collector.people import People
from services.usage_collector.poller import message_of

GROUP = "collector-erasures"
"""How far the outcomes were read for erasures."""

_AT_ONCE = 2_000
_ERASED = b'"valvomo.person.erased.v1"'


@dataclass(frozen=True, slots=True)
class Subject:
    """A data subject as the collector knows them. `identity` is personal data: for the subject's eyes only."""

    pseudonym: str
    key_id: str
    identity: str | None
    ids: int
    """How many ids (addresses, vendors' ids) lead to the person."""
    others: Mapping[str, str] = field(default_factory=dict)
    """Further pseudonyms that turned out to be the same person, and their key ids."""

    @property
    def pseudonyms(self) -> tuple[str, ...]:
        return (self.pseudonym, *self.others)

    @property
    def key_ids(self) -> tuple[str, ...]:
        return (self.key_id, *self.others.values())


def find_subject(store: Store, people: People, asked: str) -> Subject:
    """The person of an identity, or of a pseudonym.

    Raises:
        ConfigurationError: nobody of that name is known. The sentence does not repeat the name.
    """
    with store.reading() as connection:
        pseudonym = _pseudonym(connection, people, asked)
        names = all_of(connection, pseudonym)
        rows = {row.pseudonym: row for row in connection.execute(select(PERSON).where(PERSON.c.pseudonym.in_(names)))}
        links = select(func.count()).where(PERSON_LINK.c.pseudonym.in_(names))
        ids = connection.execute(links).scalar_one()
    row = rows.pop(pseudonym, None)
    if row is None:
        raise ConfigurationError(
            "found nobody of that identity or pseudonym; expected an address or a vendor's id as a source tells it, or "
            "a pseudonym (p-…). Somebody who was erased is not known any more"
        )
    others = {name: rows[name].key_id for name in sorted(rows)}
    return Subject(row.pseudonym, row.key_id, people.who(row.pseudonym), ids, others)


def _pseudonym(connection: Connection, people: People, asked: str) -> str:
    [digest] = people.digests((asked,))
    linked = connection.execute(select(PERSON_LINK.c.pseudonym).where(PERSON_LINK.c.digest == digest)).scalar()
    return linked or asked


def erase(store: Store, subject: Subject, *, legal_basis: str, approver: str, now: datetime) -> None:
    """Destroy who is behind a pseudonym, and behind all others of the same person, in one transaction.

    The log is told by key ids, each pseudonym's for itself.

    Raises:
        ConfigurationError: somebody else has erased this person meanwhile.
    """
    with store.transaction() as tx:
        if _erase(tx, dict.fromkeys(subject.key_ids, now)) < len(subject.key_ids):
            raise ConfigurationError("this person was erased a moment ago; nothing is left to do")
        told = [
            PersonErasure(key_id=key_id, legal_basis=legal_basis, approver=approver, erased_at=now)
            for key_id in subject.key_ids
        ]
        tx.send([message_of(_told(erasure)) for erasure in told])


def _told(data: PersonErasure) -> PersonErased:
    name = event_id("person-erased", data.key_id)
    return PersonErased(id=name, source=SOURCE, subject=data.key_id, time=data.erased_at, data=data)


def overwrite_traces(store: Store) -> bool:
    """Destroy what the database itself keeps of deleted rows; whether that was possible. After `erase`."""
    try:
        return store.fold_wal() if isinstance(store, SqliteStore) else _vacuumed(store)
    except TransientError:
        return False  # they are erased all the same


def _vacuumed(store: Store) -> bool:
    """Only the owner of tables may do so; PostgreSQL passes the others over with a warning."""
    with store.engine.connect() as found:
        connection = found.execution_options(isolation_level="AUTOCOMMIT")
        connection.execute(text("VACUUM person, person_link"))
        owns = "SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = 'person'::regclass"
        return bool(connection.execute(text(owns)).scalar_one())


def tell_of_export(store: Store, subject: Subject, now: datetime) -> None:
    """Tell the log, by key id, that a data subject was given what is kept about them."""
    event = PersonExported(
        id=event_id("person-exported", subject.key_id, now),
        source=SOURCE,
        subject=subject.key_id,
        time=now,
        data=PersonExport(key_id=subject.key_id, exported_at=now),
    )
    with store.transaction() as tx:
        tx.send([message_of(event)])


def erase_again(store: Store, bus: EventBus) -> int:
    """Erase who was erased before and is back, from a backup; how many. To be called at every start.

    A database that was put back has the position of its day, and so reads every erasure since.
    """
    back = 0
    for partition, end in bus.end_positions([OUTCOMES.name]).items():
        expected = store.positions(bus.cluster_id, GROUP, [partition]).get(partition)
        offset, told = expected or 0, dict[str, datetime]()
        while offset < end and (records := bus.read(partition, offset, _AT_ONCE)):
            offset = records[-1].offset + 1
            erased = (decode(record.value) for record in records if _ERASED in record.value)
            told |= {one.data.key_id: one.data.erased_at for one in erased if isinstance(one, PersonErased)}
        with store.transaction() as tx:
            back += _erase(tx, told)
            if offset != expected:
                tx.advance(bus.cluster_id, GROUP, partition, expected, offset)
    return back


def _erase(tx: Transaction, told: dict[str, datetime]) -> int:
    """Remove these persons with all that leads to them; how many were there."""
    count = 0
    for some in chunks(sorted(told), _AT_ONCE):
        here = select(PERSON.c.pseudonym).where(PERSON.c.key_id.in_(some))
        pseudonyms = list(tx.connection.execute(here).scalars())
        tx.connection.execute(delete(PERSON_LINK).where(PERSON_LINK.c.pseudonym.in_(pseudonyms)))
        tx.connection.execute(delete(PERSON).where(PERSON.c.pseudonym.in_(pseudonyms)))
        forget(tx.connection, pseudonyms)
        known = set(tx.connection.execute(select(ERASURE.c.key_id).where(ERASURE.c.key_id.in_(some))).scalars())
        fresh = [{"key_id": key_id, "erased_at": told[key_id]} for key_id in some if key_id not in known]
        if fresh:
            tx.connection.execute(insert(ERASURE), fresh)
        count += len(pseudonyms)
    return count
