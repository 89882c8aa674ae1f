"""Ending a log that cannot go on, and beginning the next one under another origin, which says what it follows.

Entry 0 of the new log never stood on the bus: its header names the cluster `log:<origin>`. Written straight into the
new database, it is there before the first event, whatever the bus holds. The plan is a file, written first and
removed last: interrupted, the same command goes on where it was, with the same words.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, text

from services.audit_log.adapters.ceremony import refuse_others
from services.audit_log.adapters.checkpoints import LATEST, check_beginning, newest_checkpoint
from services.audit_log.adapters.entries import SqlEntryLog, read_frontier
from services.audit_log.adapters.memory import SignerMemory
from services.audit_log.adapters.signing_keys import KeyRing
from services.audit_log.domain.telling import about_log
from services.audit_log.ports import Arrival
from services.shared.errors import ConfigurationError, IncompatibleStoreError, InvalidEventError, TransientError
from services.shared.events import OUTCOMES, decode, encode
from services.shared.events.log import LogSucceeded, Succession
from services.shared.keys import write_durably
from services.shared.store import Store
from services.shared.store.sqlite import SqliteStore
from services.shared.tlog.checkpoint import Checkpoint, parse_checkpoint
from services.shared.tlog.entry import Position
from services.shared.tlog.note import NoteError, parse_note

PLAN = "log-succession.json"
NOT_A_BUS = "log:"
"""Before the origin: the cluster of an entry that the log wrote by itself."""


class Words(NamedTuple):
    """What the person who begins a new log says."""

    origin: str
    reason: str
    responsible: str
    approver: str


@dataclass(frozen=True, slots=True)
class Places:
    """Where the old log's things lie, outside of its database."""

    ring: KeyRing
    memory: SignerMemory
    checkpoints: Path

    @property
    def plan(self) -> Path:
        return self.memory.path.parent / PLAN


class Plan(NamedTuple):
    """What will be done: the first event of the new log, when, and what the old log's things are called from then."""

    tag: str
    event: LogSucceeded
    begun_at: datetime


def refuse_unfinished(keys: Path) -> None:
    """To be called at every start.

    Raises:
        ConfigurationError: a succession was begun and not finished.
    """
    if (keys / PLAN).exists():
        raise ConfigurationError(
            "a new log was begun and is not finished: give the same command, `valvomo audit succeed`, again"
        )


def plan_succession(store: Store, places: Places, words: Words, now: datetime) -> Plan:
    """What is to be done, written down; what was written down before when the command was interrupted.

    Raises:
        ConfigurationError: nothing was ever signed, the new origin is the old one, the role may not do it, or another
            process works on the old log: it would end at another entry than the plan says. No program starts where a
            plan lies, so nothing is planned that cannot be done.
    """
    if places.plan.exists():
        return _read_plan(places.plan)
    refuse_others(store)
    with store.reading() as connection:
        _refuse_without_rights(connection, store.service)
        note = _last_note(connection, places)
        last = parse_checkpoint(parse_note(note).text) if note else None
        if last is None:
            raise ConfigurationError(
                "found no checkpoint of a log before: nothing was signed, so nothing has to be followed: start "
                "the program"
            )
        if last.origin == words.origin:
            raise ConfigurationError(
                f"the old log has the origin {last.origin} already; expected another one for the new log: an origin "
                "names one log for good"
            )
        lost = _lost(connection, places, last)
    fact = Succession(
        previous_origin=last.origin, checkpoint=note.decode() if note else None, lost=lost, reason=words.reason,
        responsible=words.responsible, approver=words.approver,
    )  # fmt: skip
    plan = Plan(f"{now:%Y%m%dt%H%M%Sz}", about_log(LogSucceeded, fact, now, words.origin), now)
    document = {"tag": plan.tag, "event": encode(plan.event).decode(), "begun_at": now.isoformat()}
    write_durably(places.plan, json.dumps(document).encode())
    return plan


def _refuse_without_rights(connection: Connection, schema: str) -> None:
    if connection.dialect.name == "postgresql" and not connection.execute(_MAY_RENAME, {"schema": schema}).scalar_one():
        raise ConfigurationError(
            "the role in VALVOMO_STORE may not put the old log's schema aside; expected the role that owns it: give "
            "its address for this one command (docs/log-keys.md)"
        )


_MAY_RENAME = text(
    "SELECT pg_has_role(nspowner, 'USAGE') AND has_database_privilege(current_database(), 'CREATE') "
    "FROM pg_namespace WHERE nspname = :schema"
)


def close_old(store: Store, plan: Plan) -> str:
    """Move the old database aside, where it was not yet; what it is called from then.

    Raises:
        ConfigurationError: another process works on it.
    """
    if isinstance(store, SqliteStore):
        return _close_file(store, plan)
    closed = f"{store.service}_closed_{plan.tag}"
    refuse_others(store)
    with store.transaction() as tx:
        if not _schema_exists(tx.connection, closed):
            tx.connection.execute(text(f'ALTER SCHEMA "{store.service}" RENAME TO "{closed}"'))
    return f"the schema {closed}"


def begin_new(store: Store, places: Places, plan: Plan, origin: str) -> None:
    """Write entry 0 into the new, empty database, and put aside what signed the old log. The memory goes last.

    As long as it lies there no program starts on a log that is not begun.
    """
    event, value = plan.event, encode(plan.event)
    arrival = Arrival(
        Position(f"{NOT_A_BUS}{origin}", OUTCOMES.name, 0, 0, plan.begun_at), (event.source, event.id), value
    )
    with store.transaction() as tx:
        SqlEntryLog().append(tx, [arrival])  # there already when the command was interrupted: then nothing happens
    places.ring.put_aside(plan.tag)
    _move(places.checkpoints, places.checkpoints.with_name(f"{places.checkpoints.name}-closed-{plan.tag}"))
    memory = places.memory.path
    _move(memory, memory.with_name(f"closed-{plan.tag}-{memory.name}"))
    places.plan.unlink()


def _close_file(store: SqliteStore, plan: Plan) -> str:
    closed = store.path.with_name(f"{store.path.stem}-closed-{plan.tag}{store.path.suffix}")
    if not closed.exists():
        refuse_others(store)
        store.path.rename(closed)
    return closed.name


def _schema_exists(connection: Connection, name: str) -> bool:
    query = text("SELECT count(*) FROM information_schema.schemata WHERE schema_name = :name")
    return bool(connection.execute(query, {"name": name}).scalar_one())


def _read_plan(path: Path) -> Plan:
    try:
        found = json.loads(path.read_text())
        event = decode(found["event"])
        assert isinstance(event, LogSucceeded)
        return Plan(found["tag"], event, datetime.fromisoformat(found["begun_at"]))
    except (ValueError, KeyError, TypeError, AssertionError, InvalidEventError):
        raise ConfigurationError(f"{path.name} is damaged; remove it and give the command again") from None
    except OSError as error:
        raise TransientError(f"{path.name} cannot be read ({error.strerror}); give the command again") from None


def _last_note(connection: Connection, places: Places) -> bytes | None:
    """The largest checkpoint of the old log that can be found: in its database, or beside it."""
    newest, latest = newest_checkpoint(connection), places.checkpoints / LATEST
    found = [note for note in (newest[0] if newest else None, latest.read_bytes() if latest.exists() else None) if note]
    sizes: Sequence[tuple[int, bytes]] = [(size, note) for note in found if (size := _size(note)) is not None]
    return max(sizes)[1] if sizes else None


def _size(note: bytes) -> int | None:
    try:
        return parse_checkpoint(parse_note(note).text).size
    except NoteError:
        return None


def _lost(connection: Connection, places: Places, last: Checkpoint) -> str:
    """What of the old log is gone, in words."""
    remembered = places.memory.load()
    signed = max(last.size, remembered.size if remembered else 0)
    kept = read_frontier(connection).size
    if kept < signed:
        return f"entries {kept} to {signed - 1} of the old log; the others are kept"
    try:
        check_beginning(connection, last.size, last.root)
    except IncompatibleStoreError:
        return f"the old log's database does not hold the {last.size} entries that were signed, but others"
    return f"nothing: the {kept} entries of the old log are kept"


def _move(path: Path, to: Path) -> None:
    if path.exists():
        path.rename(to)
