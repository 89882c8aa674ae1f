"""How fast reviews are worked out from the log: of a million outputs from nothing, of one more, and of one overdue.

    python -m tools.bench.reviews                             # 1,000,000 outputs, SQLite; about ten minutes
    python -m tools.bench.reviews --form servers              # the same in a PostgreSQL of its own
    python -m tools.bench.reviews --outputs 50000 --profile   # and say where the time goes

The outputs are of four classes over 120 days: some only made, some used, some demanded, opened, decided and used, some
never reviewed and found overdue. What the log itself had said of them stands in it.
"""

import argparse
import cProfile
import json
import pstats
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from random import Random
from statistics import median, quantiles

from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from sqlalchemy import select

from services.audit_log.adapters.entries import SqlEntryLog
from services.audit_log.adapters.reviews.cases import SqlCaseFiles
from services.audit_log.adapters.reviews.sampling import SaltedDraws
from services.audit_log.adapters.tables import METADATA, finding
from services.audit_log.handlers import AppendHandler, look, rebuild
from services.audit_log.main import build
from services.audit_log.ports import Arrival
from services.shared.bus import Message, Record
from services.shared.bus.open import open_bus
from services.shared.clock import SteppedClock
from services.shared.consumer import Delivered, relax_garbage_collector
from services.shared.events import TOPICS, Event, encode, key_of, topic_of
from services.shared.logs import configure_logs
from services.shared.settings import Settings
from services.shared.store import Store
from services.shared.store.open import open_store
from services.shared.tlog.entry import Position
from tests.servers.postgres import PostgresServer, newest_postgres
from tests.servers.roll import ServerUnavailableError
from tools.bench import review_city as city

GOAL_REFOLD_SECONDS = 60.0
GOAL_ONE_MILLISECONDS = 5.0
GOAL_OVERDUE_SECONDS = 60.0

_CLUSTER = "bench"
_BATCH = 5_000
_MORE, _OVERDUE = 300, 50
_NOON = datetime(2026, 11, 16, 10, tzinfo=UTC)
"""Of a Monday in Helsinki: reviews are due in business hours only."""
_HOUR = timedelta(hours=1)
_Took = tuple[float, float]
"""By the clock, and of this process's processor time."""


@dataclass(frozen=True)
class Found:
    """What was measured; pairs are by the clock and of this process's processor time.

    `refold`, `look`: seconds from nothing until all is folded, and then until nothing is left to be said. `one`:
    milliseconds for one more output from its record to its case, median, and p99. `overdue`: seconds from the due time
    to the entry of the finding in a running program, median and longest. `memory`: MB at the most.
    """

    form: str
    outputs: int
    entries: int
    refold: _Took
    looked: int
    look: _Took
    memory: int
    one: _Took
    one_p99: _Took
    overdue: tuple[float, float]


def main() -> None:
    arguments = _arguments()
    configure_logs("text", "error")
    relax_garbage_collector()
    with tempfile.TemporaryDirectory(prefix="valvomo-bench-", dir=arguments.folder) as folder:
        try:
            with FORMS[arguments.form](Path(folder)) as settings:
                found = measure(settings, arguments.form, arguments.outputs, profiled=arguments.profile)
        except ServerUnavailableError as error:
            sys.exit(f"left out: {error}")
    print(json.dumps(asdict(found)) if arguments.json else "\n".join(lines(found)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tools.bench.reviews", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--outputs", type=int, default=1_000_000, help="in the log (default %(default)s)")
    parser.add_argument("--form", choices=list(FORMS), default="embedded", help="SQLite, or a PostgreSQL of its own")
    parser.add_argument("--folder", help="where temporary folders are made; on a disk, not in memory")
    parser.add_argument("--profile", action="store_true", help="print which functions the refolding spends time in")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
    return parser.parse_args()


@contextmanager
def embedded(folder: Path) -> Iterator[Settings]:
    """SQLite, opened as the program opens it: WAL, FULL."""
    yield Settings(data_dir=folder / "log")


@contextmanager
def servers(folder: Path) -> Iterator[Settings]:
    """A PostgreSQL started for this, with every sync that production has.

    Raises:
        ServerUnavailableError: this machine has none; the message says what to install.
    """
    server = PostgresServer(newest_postgres(), durable=True).start()
    try:
        with server.database() as address:
            yield Settings(data_dir=folder / "log", store=SecretStr(address))
    finally:
        server.remove()


FORMS = {"embedded": embedded, "servers": servers}


def measure(settings: Settings, form: str, outputs: int, *, profiled: bool) -> Found:
    """Everything that is measured in one form."""
    store = open_store(settings, "log", METADATA)
    try:
        entries = fill(store, outputs)
        refold = _timed(lambda: _refold(store), _profile() if profiled else nullcontext())
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        looked: list[int] = []
        looking = _timed(lambda: looked.extend(_look(store)))
        one, one_p99 = _one_more(store, entries)
    finally:
        store.close()
    settings.data_dir.mkdir(parents=True, exist_ok=True)  # not there beside a PostgreSQL
    with tempfile.TemporaryDirectory(dir=settings.data_dir) as folder:
        overdue = find_overdue(Settings(data_dir=Path(folder), log_origin="bench.example/audit"))
    return Found(form, outputs, entries, refold, sum(looked), looking, memory, one, one_p99, overdue)


def fill(store: Store, outputs: int) -> int:
    """A log of so many outputs and nothing derived from it; how many entries it has."""
    coming, entries = city.events(outputs), 0
    while some := list(islice(coming, _BATCH)):
        with store.transaction() as tx:
            SqlEntryLog().append(tx, [_arrival(entries + at, event) for at, event in enumerate(some)])
        entries += len(some)
        _tell(f"{entries:,} entries")
    return entries


def _arrival(at: int, event: Event) -> Arrival:
    return Arrival(Position(_CLUSTER, topic_of(event), 0, at, event.time), (event.source, event.id), encode(event))


def _refold(store: Store) -> None:
    with store.transaction() as tx:
        rebuild(SqlEntryLog(), SqlCaseFiles(), tx, city.NOW, lambda done: _tell(f"{done:,} entries folded"))


def _look(store: Store) -> Iterator[int]:
    """What the log does next: it says what is to be said of all those cases, and what is drawn."""
    draws = SaltedDraws(city.SALTS)
    while True:
        with store.transaction() as tx:
            looked = look(SqlCaseFiles(), tx, city.NOW, draws=draws)
        if not looked:
            return
        yield looked


def _one_more(store: Store, entries: int) -> tuple[_Took, _Took]:
    """One output after the other, each from its record to its case and what is said of it, in its own transaction."""
    clock = SteppedClock(city.NOW)
    handler, draws = AppendHandler(SqlEntryLog(), SqlCaseFiles(), clock, _CLUSTER), SaltedDraws(city.SALTS)
    known, chance, took = city.rules(), Random(1), list[_Took]()  # noqa: S311  # the same ones each time
    for number in range(_MORE):
        _, event = next(city.of_output(f"more-{number:05}-{number:08x}", city.NOW, known, chance))
        record = Record(topic_of(event), 0, entries + number, key_of(event), encode(event), (), city.NOW)
        clock.advance(timedelta(seconds=1))

        took.append(_timed(partial(_take, store, handler, draws, Delivered(record, event), clock.now())))
    columns = [[1_000 * value for value in column] for column in zip(*took, strict=True)]
    wall, worked = columns
    return (median(wall), median(worked)), (quantiles(wall, n=100)[98], quantiles(worked, n=100)[98])


def _take(store: Store, handler: AppendHandler, draws: SaltedDraws, delivered: Delivered, now: datetime) -> None:
    with store.transaction() as tx:
        handler.handle([delivered], tx)
        look(SqlCaseFiles(), tx, now, draws=draws)


class _Shifted:
    """The machine's clock, at another time of the week."""

    def __init__(self, start: datetime) -> None:
        self._ahead = start - datetime.now(UTC)

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead


def find_overdue(settings: Settings) -> tuple[float, float]:
    """Seconds from the due times of outputs to their findings in the log of a running program: median and longest."""
    clock = _Shifted(_NOON)
    bus = open_bus(settings, clock)
    bus.ensure_topics(TOPICS)
    service = build(settings, bus, clock, CollectorRegistry())
    service.start()
    try:
        due = {f"o-{number}": clock.now() + timedelta(seconds=5 + number / 5) for number in range(_OVERDUE)}
        events = [*city.register_events(city.rules(hours=1)), *(city.due_at(name, due[name], _HOUR) for name in due)]
        bus.publish([Message(topic_of(event), key_of(event), encode(event)) for event in events])
        seen = _findings(service.store, clock, set(due))
    finally:
        service.stop()
        bus.close()
    took = [(seen[name] - due[name]).total_seconds() for name in due]
    return median(took), max(took)


def _findings(store: Store, clock: _Shifted, names: set[str]) -> dict[str, datetime]:
    seen: dict[str, datetime] = {}
    query = select(finding.c.output_id).where(finding.c.kind == "overdue_review")
    end = time.monotonic() + 3 * GOAL_OVERDUE_SECONDS
    while not names <= seen.keys():
        if time.monotonic() > end:
            raise TimeoutError(f"{len(names) - len(seen)} of {len(names)} outputs were not found overdue")
        with store.reading() as connection:
            found = set(connection.execute(query).scalars())
        now = clock.now()
        seen |= {name: now for name in found if name not in seen}
        time.sleep(0.01)
    return seen


def _timed(work: Callable[[], None], inside: AbstractContextManager[object] | None = None) -> _Took:
    with inside or nullcontext():
        began, worked = time.perf_counter(), time.process_time()
        work()
        return time.perf_counter() - began, time.process_time() - worked


@contextmanager
def _profile() -> Iterator[None]:
    profile = cProfile.Profile()
    with profile:
        yield
    pstats.Stats(profile, stream=sys.stderr).sort_stats("tottime").print_stats(45)


def lines(found: Found) -> Iterator[str]:
    """The findings as text, goals beside the figures."""
    each, goal = 1e6 / found.entries, GOAL_REFOLD_SECONDS * found.outputs / 1_000_000
    wall, worked = found.refold
    yield f"reviews, {found.form}: {found.outputs:,} outputs in {found.entries:,} entries; processor time in brackets"
    yield f"  all states from nothing: {wall:.1f} s ({worked:.1f}){_verdict(goal, wall)}"
    yield f"    of each entry: {wall * each:.1f} µs ({worked * each:.1f}); memory at most {found.memory:,} MB"
    wall, worked = found.look
    yield f"  and what is to be said of them then: {wall:.1f} s ({worked:.1f}) for {found.looked:,} looks"
    wall, worked = found.one
    yield f"  one more output: median {wall:.1f} ms ({worked:.1f}){_verdict(GOAL_ONE_MILLISECONDS, wall)}"
    wall, worked = found.one_p99
    yield f"    p99 {wall:.1f} ms ({worked:.1f})"
    middle, longest = found.overdue
    found_in = f"median {middle:.1f} s, longest {longest:.1f} s"
    yield f"  from due time to overdue finding: {found_in}{_verdict(GOAL_OVERDUE_SECONDS, longest)}"


def _verdict(goal: float, found: float) -> str:
    return f"   goal {goal:g}: {'reached' if found < goal else 'not reached'}"


def _tell(told: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K  {told}\r", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
