"""One life of a small service that may end at any moment: `python -m tests.crash.life FOLDER STORE [HOLD]`.

It reads the bus in FOLDER into the store (a SQLite file, or a PostgreSQL address) and publishes what it made, until
nothing is left to do. It prints `batch` inside each transaction, after its rows are written; at the HOLD-th it waits
there for good. It prints `done` at the end.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry

from services.shared.bus.sqlite import SqliteBus
from services.shared.clock import SystemClock
from services.shared.consumer import ConsumerRunner, Delivered
from services.shared.events import CHARGES, USAGE
from services.shared.events.usage import UsageRecorded
from services.shared.logs import configure_logs
from services.shared.relay import BusRelay
from services.shared.store import OutgoingMessage, Store, Transaction
from services.shared.store.names import digest_of
from tests.contract.store_samples import NAMES, SAMPLE, TALLY, postgres_store, sqlite_store

GROUP = "crash"
BATCH_RECORDS = 20
PARTITIONS = 3


class SmallLedger:
    """Every event is a row, a name, a sum and a message; a second time would fail or count twice."""

    group = GROUP
    topics = (USAGE.name,)

    def __init__(self, hold_at: int) -> None:
        self._batches, self._hold_at = 0, hold_at

    def handle(self, batch: Sequence[Delivered], tx: Transaction) -> None:
        ids = [delivered.event.id for delivered in batch]
        assert NAMES.lookup(tx, [digest_of(name) for name in ids]) == {}, "an event came twice"
        numbers = [int(name.removesuffix(".0").removeprefix("r")) for name in ids]
        NAMES.add(tx, [(digest_of(name), number) for name, number in zip(ids, numbers, strict=True)])
        columns = ("digest", "number", "label", "flag")
        tx.bulk_insert(
            SAMPLE, columns, [(digest_of(name), n, name, True) for name, n in zip(ids, numbers, strict=True)]
        )
        tx.bulk_add(
            TALLY,
            ["day", "unit"],
            ["nano", "records"],
            [(n % 5, "kymp", _tokens(d), 1) for n, d in zip(numbers, batch, strict=True)],
        )
        tx.send([OutgoingMessage(f"charge-{n}", "bus", b"%d" % n, CHARGES.name, b"%d" % n) for n in numbers])
        self._tell()

    def _tell(self) -> None:
        self._batches += 1
        print("batch", flush=True)  # noqa: T201  # who kills us reads it
        if self._batches == self._hold_at:
            time.sleep(3600)  # until somebody kills us, inside the transaction


def _tokens(delivered: Delivered) -> int:
    assert isinstance(delivered.event, UsageRecorded)
    return int(delivered.event.data.consumed["input_tokens"])


def open_store(where: str) -> Store:
    return postgres_store(where) if where.startswith("postgresql") else sqlite_store(Path(where))


def live(folder: Path, store: Store, hold_at: int = 0) -> None:
    """Read and publish until nothing is left."""
    clock = SystemClock()
    bus = SqliteBus(folder / "bus.db", clock, PARTITIONS)
    runner = ConsumerRunner(
        SmallLedger(hold_at),
        bus,
        store,
        clock,
        registry=CollectorRegistry(),
        hash_key=b"key",
        batch_records=BATCH_RECORDS,
        poll_seconds=0.1,
    )
    relay = BusRelay(store, bus, clock, batch_messages=33)
    while not runner.status().caught_up or store.pending_counts():
        runner.step()
        relay.step()
    runner.close()
    bus.close()


if __name__ == "__main__":
    configure_logs("json", "error")
    opened = open_store(sys.argv[2])
    live(Path(sys.argv[1]), opened, int(sys.argv[3]) if len(sys.argv) > 3 else 0)
    print("done", flush=True)  # noqa: T201  # likewise
