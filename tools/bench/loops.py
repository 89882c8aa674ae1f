"""What is measured: the two consumers, and the bare loops that they are compared with, on the same events."""

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, NamedTuple
from unittest.mock import patch

from sqlalchemy import Table, select

from services.audit_log.adapters import tables as log_tables
from services.cost_alerts.adapters import tables as ledger_tables
from services.shared.bus import Record
from services.shared.events import USAGE, decode
from services.shared.store import Store
from services.shared.store.open import open_store
from services.shared.store.postgres import PostgresTransaction
from services.shared.store.sqlite import SqliteTransaction
from tools.bench.forms import Pipeline, drain

POLL = "bare poll loop"
DECODE = "decode alone"
LEDGER = "cost_alerts: ledger"
LEDGER_ROWS = "bare insert of the ledger's rows"
LOG = "audit_log: log"
LOG_ROWS = "bare insert of the log's rows"
HASH = "plain SHA-256 of the entries"
ORDER = (POLL, DECODE, LEDGER, LEDGER_ROWS, LOG, LOG_ROWS, HASH)

_LONG_TABLES = {"reading", "charge", "charge_unsent", "reading_name", "reading_name_recent"}
_LOG_TABLES = {"entry", "entry_name", "entry_name_recent", "tile"}

Insert = tuple[Table, Sequence[str], Sequence[Sequence[Any]]]


@dataclass
class Rows:
    """The rows that a consumer inserted, by transaction, as they went to the driver."""

    tables: set[str]
    batches: list[list[Insert]] = field(default_factory=list)

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Keep what goes through `bulk_insert` meanwhile; one list entry per call, no copies."""
        with ExitStack() as stack:
            for kind in (SqliteTransaction, PostgresTransaction):
                stack.enter_context(patch.object(kind, "bulk_insert", self._recording(kind.bulk_insert)))
            yield

    def _recording(self, insert: Callable[..., int]) -> Callable[..., int]:
        last: Any = None

        def recording(tx: Any, table: Table, columns: Sequence[str], rows: Any, **how: bool) -> int:  # noqa: ANN401
            nonlocal last
            if table.name in self.tables:
                if tx is not last:
                    last = tx
                    self.batches.append([])
                self.batches[-1].append((table, columns, rows))
            return insert(tx, table, columns, rows, **how)

        return recording


class Bare:
    """A second database of each service, which gets the same rows and nothing else.

    It has the same tables, keys and triggers. The log's take their entries only one after the other, so it begins with
    what the log has already.
    """

    def __init__(self, line: Pipeline) -> None:
        self.ledger = open_store(line.form.bare_settings, "ledger", ledger_tables.METADATA)
        self.log = open_store(line.form.bare_settings, "log", log_tables.METADATA)
        entry = log_tables.entry
        with line.log.store.reading() as connection:
            rows = [tuple(row) for row in connection.execute(select(entry).order_by(entry.c.seq))]
        with self.log.transaction() as tx:
            tx.bulk_insert(entry, entry.c.keys(), rows)

    def close(self) -> None:
        self.ledger.close()
        self.log.close()


class Took(NamedTuple):
    """Seconds by the clock on the wall, and of this process's processor time (servers' not counted)."""

    wall: float
    processor: float


def timed(work: Callable[[], object]) -> Took:
    """How long it took; the garbage of what came before is not counted."""
    gc.collect()
    start, processor = time.perf_counter(), time.process_time()
    work()
    return Took(time.perf_counter() - start, time.process_time() - processor)


class Poller:
    """A consumer group that only reads."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._batch = pipeline.form.settings.batch_records
        self._consumer = pipeline.bus.consumer("bench-poll", (USAGE.name,), lambda _partitions: {})
        self.records: list[Record] = []

    def read(self, count: int) -> None:
        self.records = []
        while len(self.records) < count:
            self.records += self._consumer.poll(1.0, self._batch)

    def close(self) -> None:
        self._consumer.close()


def one_round(pipeline: Pipeline, poller: Poller, bare: Bare, count: int) -> dict[str, Took]:
    """Publish `count` readings and run every loop over them once."""
    pipeline.publish(count)
    took = {POLL: timed(lambda: poller.read(count))}
    values = [record.value for record in poller.records]
    took[DECODE] = timed(lambda: _decode_all(values, pipeline.form.settings.batch_records))
    rows = Rows(_LONG_TABLES)
    with rows.recorded():
        took[LEDGER] = timed(lambda: drain(pipeline.usage, pipeline.ledger.store, pipeline.bus))
    took[LEDGER_ROWS] = timed(lambda: insert(bare.ledger, rows))
    entries = Rows(_LOG_TABLES)
    with entries.recorded():
        took[LOG] = timed(lambda: drain(pipeline.log.consumer, pipeline.log.store, pipeline.bus))
    took[LOG_ROWS] = timed(lambda: insert(bare.log, entries))
    bodies = [
        row[-1] for batch in entries.batches for table, _, found in batch if table.name == "entry" for row in found
    ]
    took[HASH] = timed(lambda: [sha256(b"\x00" + body).digest() for body in bodies])
    return took


def insert(store: Store, rows: Rows) -> None:
    """The same rows by the same bulk path, one transaction per batch, and nothing else."""
    for batch in rows.batches:
        with store.transaction() as tx:
            for table, columns, found in batch:
                tx.bulk_insert(table, columns, found)


def _decode_all(values: Sequence[bytes], batch: int) -> None:
    for start in range(0, len(values), batch):
        [decode(value) for value in values[start : start + batch]]
