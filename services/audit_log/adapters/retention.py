"""Pruning: destroying the bytes of old entries, in one transaction with the row that says so.

Their hashes stay, so roots and proofs stay what they were. What the log still works with stays too (see
`domain/retention.py`); of outputs of which every entry goes, cases and findings go with them.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Delete,
    MetaData,
    Table,
    Text,
    delete,
    exists,
    func,
    insert,
    select,
    text,
)

from services.audit_log.adapters.entries import read_frontier
from services.audit_log.adapters.holds import lock_everything, standing_holds
from services.audit_log.adapters.pruned import entry_portions, minimum_index, refs_of
from services.audit_log.adapters.reviews.cases import SqlCaseFiles
from services.audit_log.adapters.tables import case_file, entry, facet, finding, pruning, receipt
from services.audit_log.domain.retention import Limit, Range, limits_of_holds, settled, stays, tightest
from services.audit_log.domain.reviews.case import Case
from services.audit_log.domain.reviews.folding import judge
from services.audit_log.domain.reviews.resubmitting import resubmitting
from services.audit_log.domain.search import TYPES_ABOUT_OUTPUTS
from services.audit_log.domain.telling import about_log
from services.audit_log.handlers import judged, message_of
from services.shared.errors import ConfigurationError, IncompatibleStoreError
from services.shared.events import GOVERNANCE, OUTCOMES, REGISTER
from services.shared.events.log import LogPruned, Pruning
from services.shared.store import Store, Transaction
from services.shared.store.roles import owns_tables
from services.shared.store.sqlite import SqliteStore
from services.shared.tlog.entry import EntryError, parse_entry

_OUTPUTS_AT_ONCE = 500
_RESUBMITS = '"resubmits":"'
"""What stands in the document of a case that came again after a rejection."""

_LISTS = MetaData()


def _list(name: str, *columns: Column[Any]) -> Table:
    return Table(name, _LISTS, *columns, prefixes=["TEMPORARY"])


about = _list("prune_about", Column("seq", BigInteger, primary_key=True), Column("output_id", Text, nullable=False))
"""Entries in the range that are about an output."""
later = _list("prune_later", Column("output_id", Text, primary_key=True))
"""Outputs of which an entry lies behind the range."""
gone = _list("prune_gone", Column("output_id", Text, primary_key=True))
"""Outputs of which every entry goes."""
stay = _list("prune_stay", Column("seq", BigInteger, primary_key=True))
"""Entries that stay for what they are."""


class Pruned(NamedTuple):
    """What was pruned: entries gone, entries in the range that stay, outputs whose cases went with them."""

    before: int
    gone: int
    stay: int
    outputs: int


def find_limits(
    connection: Connection,
    *,
    export_size: int,
    older_than: datetime,
    anchored: bool,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> list[Limit]:
    """All that says how far pruning may go, from the lowest index that was not pruned yet on.

    Args:
        connection: a consistent view.
        export_size: how many entries the verified export covers.
        older_than: younger entries stay (UTC, by their ingest time).
        anchored: whether a checkpoint behind what goes must have left the house.
        progress: told (entries looked at, entries that there are to look at).
    """
    first, size = minimum_index(connection), read_frontier(connection).size
    limits = [
        Limit(export_size, f"the export covers {export_size} entries"),
        Limit(max(size - 1, 0), "the newest entry always stays"),
        *limits_of_holds(standing_holds(connection), first),
    ]
    if anchored:
        limits.append(_limit_of_anchors(connection))
    end = tightest(limits).end
    younger = _first_younger(connection, first, end, older_than, progress)
    if younger is not None:
        limits.append(Limit(younger, f"entry {younger} is younger than the retention period"))
    return limits


def _limit_of_anchors(connection: Connection) -> Limit:
    size = connection.execute(select(func.max(receipt.c.size))).scalar() or 0
    what = f"the newest checkpoint that an anchor holds covers {size} entries" if size else "no anchor holds any"
    return Limit(size, f"{what} (set one up, or say --without-anchor)")


def _first_younger(
    connection: Connection, first: int, end: int, older_than: datetime, progress: Callable[[int, int], None]
) -> int | None:
    """The lowest index whose entry is not older; partitions of the bus interleave, so each entry is looked at."""
    for portion in entry_portions(connection, first):
        for index, _, body in portion:
            if index >= end:
                return None
            if _time_of(index, body) >= older_than:
                return index
        progress(portion[-1][0] + 1 - first, end - first)
    return None


def _time_of(index: int, body: bytes) -> datetime:
    try:
        return parse_entry(body).position.ingest_time
    except EntryError:
        raise _damaged(index) from None


def prune(tx: Transaction, wanted: Range, told: Pruning, now: datetime) -> Pruned:
    """Destroy entries with an index under `wanted.before`, but those that stay; all of it or nothing.

    Nobody appends meanwhile: the bus keeps what comes.

    Raises:
        ConfigurationError: somebody pruned or placed a hold meanwhile, or the role of the database may not delete.
    """
    lock_everything(tx)
    _refuse_changed(tx.connection, wanted)
    with _deleting(tx):
        _LISTS.create_all(tx.connection, checkfirst=False)
        _sort_out(tx, wanted.before, now)
        _write_down(tx, wanted, told, now)
        done = _delete(tx, wanted.before)
        _forget_rejections(tx, now)
        _LISTS.drop_all(tx.connection, checkfirst=False)
    tx.send([message_of(about_log(LogPruned, told, now, wanted.before, now))])
    return done


def _refuse_changed(connection: Connection, wanted: Range) -> None:
    first = minimum_index(connection)
    held = [limit for limit in limits_of_holds(standing_holds(connection), first) if limit.end < wanted.before]
    if first != wanted.first or held:
        why = held[0].reason if held else f"entries below {first} were pruned meanwhile"
        raise ConfigurationError(f"nothing was pruned: {why}; look again what may go, with --dry-run")


@contextmanager
def _deleting(tx: Transaction) -> Iterator[None]:
    """On PostgreSQL not even the owner of the tables may delete entries, but for as long as this block lasts."""
    if tx.dialect == "sqlite":
        yield
        return
    if not owns_tables(tx.connection):
        raise ConfigurationError(
            "the program's role on PostgreSQL may not delete entries; give the address of the role that owns the "
            "tables as VALVOMO_STORE_OWNER, for this command only"
        )
    tx.connection.execute(text("GRANT DELETE ON entry TO CURRENT_USER"))
    yield
    tx.connection.execute(text("REVOKE DELETE ON entry FROM CURRENT_USER"))


def _sort_out(tx: Transaction, before: int, now: datetime) -> None:
    """Fill the lists: which entries are about an output, which outputs go, which entries stay for what they are."""
    for portion in entry_portions(tx.connection, 0, (GOVERNANCE.name, OUTCOMES.name)):
        read = [(index, *_subject_of(index, body)) for index, _, body in portion]
        named = [(index, output) for index, _, output in read if output is not None]
        tx.bulk_insert(about, ("seq", "output_id"), [one for one in named if one[0] < before])
        behind = {output for index, output in named if index >= before}
        tx.bulk_insert(later, ("output_id",), [(output,) for output in sorted(behind)], ignore_conflicts=True)
        kept = [(index,) for index, kind, output in read if index < before and stays(kind, output)]
        tx.bulk_insert(stay, ("seq",), kept)
    for outputs in _outputs_of_range(tx.connection):
        tx.bulk_insert(gone, ("output_id",), [(output,) for output in _settled(tx, outputs, now)])


def _subject_of(index: int, body: bytes) -> tuple[str, str | None]:
    """The type of an entry's event, and the output that it is about."""
    try:
        event = json.loads(parse_entry(body).value)
        kind = str(event["type"])
        output = event["data"].get("output_id") if kind in TYPES_ABOUT_OUTPUTS else None
        return kind, None if output is None else str(output)
    except (EntryError, ValueError, KeyError, TypeError, AttributeError):
        raise _damaged(index) from None


def _damaged(index: int) -> IncompatibleStoreError:
    return IncompatibleStoreError(
        f"entry {index} cannot be read any more; nothing is pruned from a damaged log: restore it as it was"
    )


def _outputs_of_range(connection: Connection) -> Iterator[Sequence[str]]:
    """The outputs of which every entry lies in the range, in portions."""
    after = ""
    query = select(about.c.output_id).distinct().where(~exists().where(later.c.output_id == about.c.output_id))
    query = query.order_by(about.c.output_id).limit(_OUTPUTS_AT_ONCE)
    while outputs := connection.execute(query.where(about.c.output_id > after)).scalars().all():
        yield outputs
        after = outputs[-1]


def _settled(tx: Transaction, outputs: Sequence[str], now: datetime) -> list[str]:
    cases = SqlCaseFiles().load(tx, outputs)
    return [name for name in outputs if name in cases and settled(cases[name], judge(cases[name], now).state)]


def _write_down(tx: Transaction, wanted: Range, told: Pruning, now: datetime) -> None:
    """From here on, in this transaction, the guard of the table lets these entries go."""
    row = {"before": wanted.before, "pruned_at": now, "export_size": told.export_size, "export_root": told.export_root}
    tx.connection.execute(insert(pruning).values(row))


def _delete(tx: Transaction, before: int) -> Pruned:
    deleted = tx.connection.execute(_unneeded(before)).rowcount
    left = tx.connection.execute(select(func.count()).select_from(entry).where(entry.c.seq < before)).scalar_one()
    outputs = tx.connection.execute(select(func.count()).select_from(gone)).scalar_one()
    for table in (case_file, finding):
        tx.connection.execute(delete(table).where(table.c.output_id.in_(select(gone.c.output_id))))
    tx.connection.execute(delete(facet).where(facet.c.seq < before, ~exists().where(entry.c.seq == facet.c.seq)))
    return Pruned(before, deleted, left, outputs)


def _forget_rejections(tx: Transaction, now: datetime) -> None:
    """What came again after the rejection of an output that went names another such one that is left, or none."""
    cases = SqlCaseFiles()
    marked = select(case_file.c.document).where(case_file.c.document.contains(_RESUBMITS))
    for document in tx.connection.execute(marked).scalars().all():
        case = Case.model_validate_json(document)
        if case.output is None or case.output.content_hash is None or cases.load(tx, [case.resubmits or ""]):
            continue
        left = cases.rejected(tx, [case.output.content_hash])
        cases.save(tx, [judged(resubmitting(case.model_copy(update={"resubmits": None}), left), now)])


def _unneeded(before: int) -> Delete:
    goes = exists().where(gone.c.output_id == about.c.output_id)
    of_output = exists().where(about.c.seq == entry.c.seq, ~goes)
    return delete(entry).where(
        entry.c.seq < before,
        entry.c.source_ref.not_in(refs_of((REGISTER.name,))),
        ~exists().where(stay.c.seq == entry.c.seq),
        ~of_output,
    )


def give_back_room(store: Store) -> None:
    """Return the room of pruned entries: SQLite writes its file anew, PostgreSQL marks it as free for what comes.

    Raises:
        ConfigurationError: another process uses the file.
    """
    if isinstance(store, SqliteStore):
        store.close()
        _vacuum_file(store.path)
        return
    with store.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM (ANALYZE) entry"))


def _vacuum_file(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        try:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.OperationalError:
            raise ConfigurationError(
                f"entries were pruned, but {path.name} cannot be written anew now: another process uses it, or the "
                "disk has no room for a second copy. Stop the program and run: sqlite3 log.db VACUUM"
            ) from None
