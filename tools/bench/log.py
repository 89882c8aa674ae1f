"""How fast the log appends: beside bare inserts of the same rows and plain SHA-256, at the start and when it is full.

What is appended are readings of the shape that applications send (`city.py`), in the order of time, as records of
several partitions; what a consumer does before (polling, decoding) is not in it. Every transaction waits for the disk.
"""

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from statistics import quantiles

from pydantic import SecretStr

from services.audit_log.adapters.entries import SqlEntryLog, read_frontier, tile_reader
from services.audit_log.adapters.tables import METADATA, entry
from services.audit_log.ports import Arrival
from services.shared.consumer import relax_garbage_collector
from services.shared.events import USAGE
from services.shared.settings import Settings
from services.shared.store import Store
from services.shared.store.open import open_store
from services.shared.store.sqlite import SqliteStore
from services.shared.tlog.entry import Position
from services.shared.tlog.merkle import inclusion_proof
from services.shared.tlog.tiles import node_reader
from tests.servers.postgres import PostgresServer, newest_postgres
from tests.servers.roll import ServerUnavailableError
from tools.bench import city, sizes
from tools.bench.loops import Rows, Took, insert, timed

APPEND = "append"
ENTRIES_ALONE = "bare insert of the entries alone"
SAME_ROWS = "bare insert of the same rows"
HASH = "plain SHA-256 of the entries"

GOAL_RATIO = 0.6
GOAL_AGE = 0.8
GOAL_PROOF_MILLISECONDS = 10.0
BATCHES = (5_000, 1_000)
WINDOW = 250_000
PROOFS = 500

_PARTITIONS = 12
_TABLES = {"entry", "entry_name", "entry_name_recent", "tile"}
_NONE = Took(0.0, 0.0)


@dataclass(frozen=True)
class Compared:
    """What every loop took per entry, side by side, in transactions of `batch` entries, into a log of `held`."""

    held: int
    batch: int
    entries: int
    took: dict[str, Took]

    def ratio(self, other: str) -> tuple[float, float]:
        """How often appending is as fast as another loop: by the clock, and by this process's processor time."""
        ours, theirs = self.took[APPEND], self.took[other]
        return theirs.wall / ours.wall, theirs.processor / ours.processor


@dataclass(frozen=True)
class Filled:
    """Seconds per entry over the first and the last `window` entries of a fill."""

    entries: int
    window: int
    first: Took
    last: Took


@dataclass
class Found:
    """What one form showed. `proof`: milliseconds of one inclusion proof, p50 and p99."""

    form: str
    compared: list[Compared] = field(default_factory=list)
    filled: Filled | None = None
    proof: tuple[float, float] = (0.0, 0.0)
    bytes_per_entry: float = 0.0


@dataclass
class Source:
    """Makes batches of arrivals; remembers how far each partition is."""

    made: int = 0
    ends: list[int] = field(default_factory=lambda: [0] * _PARTITIONS)

    def batch(self, count: int) -> list[Arrival]:
        """The next arrivals, partition by partition, as a poll gives them."""
        parts: list[list[Arrival]] = [[] for _ in range(_PARTITIONS)]
        for number in range(self.made, self.made + count):
            name, value = city.reading(number)
            at = int(name[-4:], 16) % _PARTITIONS
            moment = city.FIRST + timedelta(seconds=number // 10)
            position = Position("bench", USAGE.name, at, self.ends[at], moment)
            parts[at].append(Arrival(position, (city.SOURCE, f"{name}.0"), value))
            self.ends[at] += 1
        self.made += count
        return [arrival for part in parts for arrival in part]


@dataclass(frozen=True)
class Stores:
    """The log, and two databases of the same kind, tables, keys and triggers that get bare rows."""

    form: str
    log: Store
    alone: Store
    same: Store

    def close(self) -> None:
        for store in (self.log, self.alone, self.same):
            store.close()


def main() -> None:
    arguments = _arguments()
    relax_garbage_collector()
    folder = Path(arguments.folder or tempfile.gettempdir())
    with tempfile.TemporaryDirectory(prefix="valvomo-bench-", dir=folder) as name:
        keep = Path(arguments.keep) if arguments.keep else None
        try:
            with FORMS[arguments.form](Path(name), keep) as stores:
                found = measure(stores, arguments.entries, arguments.stored, _progress)
        except ServerUnavailableError as error:
            sys.exit(f"left out: {error}")
    if arguments.json:
        print(json.dumps(asdict(found)))
    else:
        print(*lines(found), sep="\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.bench.log", description=__doc__)
    parser.add_argument("--entries", type=int, default=100_000, help="entries of each comparison (default %(default)s)")
    parser.add_argument("--stored", type=int, default=0, help="fill the log so far, and compare again (default: not)")
    parser.add_argument("--form", choices=list(FORMS), default="embedded", help="SQLite, or a PostgreSQL of its own")
    parser.add_argument("--keep", help="keep the embedded log, as a data folder of the program, at this path")
    parser.add_argument("--folder", help="where temporary folders are made; on a disk, not in memory")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
    return parser.parse_args()


@contextmanager
def embedded(folder: Path, keep: Path | None = None) -> Iterator[Stores]:
    """SQLite, opened as the program opens it: WAL, FULL."""
    paths = (keep or folder / "log", folder / "alone", folder / "same")
    stores = Stores("SQLite", *(open_store(Settings(data_dir=path), "log", METADATA) for path in paths))
    try:
        yield stores
    finally:
        stores.close()


@contextmanager
def servers(_folder: Path, _keep: Path | None = None) -> Iterator[Stores]:
    """A PostgreSQL started for this, with every sync that production has.

    Raises:
        ServerUnavailableError: this machine has none; the message says what to install.
    """
    server = PostgresServer(newest_postgres(), durable=True).start()
    try:
        with server.database() as log, server.database() as alone, server.database() as same:
            settings = (Settings(store=SecretStr(address)) for address in (log, alone, same))
            opened = (open_store(one, "log", METADATA) for one in settings)
            stores = Stores(f"PostgreSQL {server.version}", *opened)
            try:
                yield stores
            finally:
                stores.close()
    finally:
        server.remove()


FORMS = {"embedded": embedded, "servers": servers}


def measure(stores: Stores, entries: int, stored: int, tell: Callable[[str], None]) -> Found:
    """Everything that is measured in one form."""
    found, source = Found(stores.form), Source()
    found.compared += [compare(stores, source, batch, entries, tell) for batch in BATCHES]
    if stored > source.made:
        found.filled = fill(stores.log, source, stored, tell)
        found.compared += [compare(stores, source, batch, entries, tell) for batch in BATCHES]
    found.proof = prove(stores.log)
    found.bytes_per_entry = _bytes(stores.log) / source.made
    return found


def compare(stores: Stores, source: Source, batch: int, entries: int, tell: Callable[[str], None]) -> Compared:
    """Every loop over the same entries, batch by batch, one after the other; the first batch does not count."""
    held, took = source.made, dict.fromkeys((APPEND, ENTRIES_ALONE, SAME_ROWS, HASH), _NONE)
    for number in range(max(1, entries // batch) + 1):
        for loop, one in _one_batch(stores, source.batch(batch)).items():
            took[loop] = _added(took[loop], one) if number else _NONE
        tell(f"{source.made:,} entries")
    measured = max(1, entries // batch) * batch
    return Compared(held, batch, measured, {loop: _each(one, measured) for loop, one in took.items()})


def _one_batch(stores: Stores, arrivals: Sequence[Arrival]) -> dict[str, Took]:
    rows = Rows(_TABLES)
    with rows.recorded():
        took = {APPEND: timed(lambda: append(stores.log, arrivals))}
    same = _renumbered(stores.same, rows)
    alone = Rows(_TABLES, [[one for one in batch if one[0] is entry] for batch in same.batches])
    took[ENTRIES_ALONE] = timed(lambda: insert(stores.alone, alone))
    took[SAME_ROWS] = timed(lambda: insert(stores.same, same))
    bodies = [row[-1] for batch in alone.batches for _, _, found in batch for row in found]
    took[HASH] = timed(lambda: [sha256(b"\x00" + body).digest() for body in bodies])
    return took


def _renumbered(store: Store, rows: Rows) -> Rows:
    """The rows with indexes as a log has them that gets only these: it takes its entries one after the other.

    So the bare databases stay small while the log is full, which favours them.
    """
    with store.reading() as connection:
        last = connection.execute(entry.select().order_by(entry.c.seq.desc()).limit(1)).first()
    start = last.seq + 1 if last else 0
    batches = [
        [
            (table, columns, _from(start, found) if table is entry else found)
            for table, columns, found in batch
        ]
        for batch in rows.batches
    ]  # fmt: skip
    return Rows(rows.tables, batches)


def _from(start: int, rows: Sequence[Sequence[object]]) -> list[tuple[object, ...]]:
    return [(start + number, *row[1:]) for number, row in enumerate(rows)]


def append(store: Store, arrivals: Sequence[Arrival]) -> None:
    """One batch, in one transaction."""
    with store.transaction() as tx:
        SqlEntryLog().append(tx, arrivals)


def fill(store: Store, source: Source, stored: int, tell: Callable[[str], None]) -> Filled:
    """Append until the log holds `stored` entries."""
    batch, took, start = BATCHES[0], list[Took](), source.made
    while source.made < stored:
        arrivals = source.batch(batch)
        took.append(timed(lambda arrivals=arrivals: append(store, arrivals)))  # type: ignore[misc]
        tell(f"{source.made:,} entries, now {batch / took[-1].wall:,.0f}/s")
    count = max(1, min(WINDOW // batch, len(took) // 2))
    first, last = (_each(_sum(some), count * batch) for some in (took[:count], took[-count:]))
    return Filled(source.made - start, count * batch, first, last)


def prove(store: Store) -> tuple[float, float]:
    """Milliseconds of an inclusion proof of one of the entries, each in a view of its own: p50, p99."""
    chance = random.Random(1)  # noqa: S311  # which proofs are asked is no secret

    def once() -> None:
        with store.reading() as connection:
            frontier = read_frontier(connection)
            node = node_reader(tile_reader(connection, frontier))
            inclusion_proof(chance.randrange(frontier.size), frontier.size, node)

    took = quantiles([timed(once).wall * 1_000 for _ in range(PROOFS)], n=100)
    return took[49], took[98]


def lines(found: Found) -> Iterator[str]:
    """The findings as text, goals beside the figures."""
    yield f"\nappending to the log, {found.form}, every transaction durable"
    for one in found.compared:
        yield f"  into a log of {one.held:,}: {one.entries:,} entries in transactions of {one.batch:,}"
        for loop, took in one.took.items():
            yield f"    {loop:34}{1 / took.wall:>10,.0f}/s   {took.processor * 1e6:6.1f} µs of processor time"
        for other in (SAME_ROWS, ENTRIES_ALONE, HASH):
            clock, processor = one.ratio(other)
            goal = _verdict(GOAL_RATIO, clock) if other == SAME_ROWS else ""
            yield f"    {APPEND} ÷ {other}: {clock:.2f}   (by processor time {processor:.2f}){goal}"
    if found.filled:
        yield from _filled_lines(found.filled)
    p50, p99 = found.proof
    reached = "reached" if p99 < GOAL_PROOF_MILLISECONDS else "not reached"
    yield f"  one inclusion proof: p50 {p50:.2f} ms, p99 {p99:.2f} ms   goal < {GOAL_PROOF_MILLISECONDS:g}: {reached}"
    yield f"  on disk per entry: {found.bytes_per_entry:,.0f} bytes"


def _filled_lines(filled: Filled) -> Iterator[str]:
    first, last = filled.first, filled.last
    yield f"  filled with {filled.entries:,} entries in transactions of {BATCHES[0]:,}"
    yield f"  first {filled.window:,}: {1 / first.wall:,.0f}/s, last {filled.window:,}: {1 / last.wall:,.0f}/s"
    ratio, processor = first.wall / last.wall, first.processor / last.processor
    yield f"  last ÷ first: {ratio:.2f}   (by processor time {processor:.2f}){_verdict(GOAL_AGE, ratio)}"


def _verdict(goal: float, found: float) -> str:
    return f"   goal {goal}: {'reached' if found >= goal else 'not reached'}"


def _bytes(store: Store) -> int:
    return store.path.stat().st_size if isinstance(store, SqliteStore) else sizes.schema_bytes(store)


def _sum(some: Sequence[Took]) -> Took:
    total = _NONE
    for one in some:
        total = _added(total, one)
    return total


def _added(left: Took, right: Took) -> Took:
    return Took(left.wall + right.wall, left.processor + right.processor)


def _each(took: Took, entries: int) -> Took:
    return Took(took.wall / entries, took.processor / entries)


def _progress(told: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K  {told}\r", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
