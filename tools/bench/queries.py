"""How fast questions to a large log are answered: a first page, a page of the search, one proof.

    python -m tools.bench.queries --fill 10000000 --database /data/log    # make one: SQLite, a made-up city
    python -m tools.bench.queries --database /data/log                    # time the questions
    python -m tools.bench.queries --database postgresql://…               # of a log that the program has filled

`--fill` writes entries, tree, index and cases straight into an empty database: what is timed here is asking.
"""

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from sqlalchemy import insert, update

from services.audit_log.adapters.entries import read_frontier
from services.audit_log.adapters.indexing import indexed_size, rows_of, write_rows
from services.audit_log.adapters.reads import Reads
from services.audit_log.adapters.reviews.content_key import ContentKey
from services.audit_log.adapters.tables import METADATA, case_file, checkpoint, entry, head, indexed, names, tile
from services.audit_log.api import make_router
from services.shared.access import Access
from services.shared.clock import SystemClock
from services.shared.http import make_app
from services.shared.logs import configure_logs
from services.shared.settings import Settings
from services.shared.store import Store, Transaction
from services.shared.store.names import digest_of
from services.shared.store.open import open_store
from services.shared.tlog.checkpoint import sign_checkpoint
from services.shared.tlog.entry import Position, make_entry
from services.shared.tlog.merkle import leaf_hash
from services.shared.tlog.note import Signer
from services.shared.tlog.tiles import Frontier

_AT_ONCE = 50_000
_FIRST = datetime(2026, 1, 1, tzinfo=UTC)
_STATES = ("used_rejected", "overdue", "approved")
_OUTPUT_EVERY = 40
_STEPS = {0: "output.generated", 10: "review.opened", 20: "review.decided", 30: "output.used"}
_NAMED_EVERY = 1_000
"""So often an event's name goes into the name index: filling that is not what is measured here."""

_API = "/api/v1/log/entries?newest_first=true&"
QUESTIONS = {
    "no filter": "",
    "common type": "type=valvomo.usage.recorded.v1",
    "topic": "topic=valvomo.governance",
    "common system": "system=system-1",
    "unit": "unit=unit-7",
    "rare unit": "unit=rare",
    "unit that is not there": "unit=nowhere",
    "person": "person=p-77",
    "output": "output=o-80",
    "unit and use case": "unit=unit-7&use_case=case-7",
    "two common that meet": "system=system-1&type=valvomo.usage.recorded.v1",
    "two common that never meet": "type=valvomo.usage.recorded.v1&topic=valvomo.governance",
    "person and system": "person=p-77&system=system-1",
    "state, rare": "state=used_rejected",
    "state, some": "state=overdue",
    "state, common": "state=approved",
    "a day": "since=2026-01-03&until=2026-01-03",
    "a minute": "since=2026-01-03T10:00:00Z&until=2026-01-03T10:01:00Z",
    "a person on a day": "person=p-77&since=2026-01-03&until=2026-01-03",
    "event id": f"id=e-{_NAMED_EVERY}",
    "event id that is not there": "id=nothing",
    "oldest first": "newest_first=false&type=valvomo.usage.recorded.v1",
}


def main() -> None:
    arguments = _arguments()
    configure_logs("text", "error")
    store = _opened(arguments.database)
    try:
        if arguments.fill:
            fill(store, arguments.fill, lambda done: print(f"{done:,} entries", flush=True))
        found = measure(store, arguments.rounds)
    finally:
        store.close()
    print(json.dumps(found) if arguments.json else "\n".join(lines(found)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tools.bench.queries", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--database", required=True, help="a data folder (with log.db), or postgresql://…")
    parser.add_argument("--fill", type=int, default=0, help="first fill an empty database with so many entries")
    parser.add_argument("--rounds", type=int, default=10, help="times each question is asked (default %(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
    return parser.parse_args()


def _opened(database: str) -> Store:
    if database.startswith("postgresql://"):
        return open_store(Settings(store=SecretStr(database)), "log", METADATA)
    return open_store(Settings(data_dir=Path(database)), "log", METADATA)


def measure(store: Store, rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds, median and p99, of each question, of all of them, of a page and of a proof; over HTTP's routes."""
    app = make_app([_Asked(store)], CollectorRegistry(), Access(None, SystemClock()))
    with store.reading() as connection:
        size, known = read_frontier(connection).size, indexed_size(connection)
    with TestClient(app, "http://localhost") as client:
        asked = {name: _timed(client, [f"{_API}limit=50&{question}"] * rounds) for name, question in QUESTIONS.items()}
        pages = _timed(client, ["/audit?lang=en"] * rounds)
        some = random.Random(6)  # noqa: S311  # the same entries each time
        proofs = _timed(client, [f"/api/v1/log/proof?index={some.randrange(size)}" for _ in range(20 * rounds)])
    everything = [one for times in asked.values() for one in times]
    told = {**asked, "all of them": everything, "the search page": pages, "a proof": proofs}
    return {"log": {"entries": size, "indexed": known}, **{name: _figures(times) for name, times in told.items()}}


class _Asked:
    """The log's routes over a database, and nothing that works in the background."""

    name = "audit_log"

    def __init__(self, store: Store) -> None:
        clock = SystemClock()
        self.router = make_router(store, Reads(store, clock, told=False), clock, lambda _: True, ContentKey(Path()))

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def problems(self) -> Sequence[str]:
        return ()


def _timed(client: TestClient, addresses: Sequence[str]) -> list[float]:
    client.get(addresses[0])
    return [_once(client, address) for address in addresses]


def _once(client: TestClient, address: str) -> float:
    began = time.perf_counter()
    answer = client.get(address)
    took = 1000 * (time.perf_counter() - began)
    assert answer.status_code < 300, (address, answer.text)  # noqa: PLR2004
    return took


def _figures(times: Sequence[float]) -> dict[str, float]:
    ordered = sorted(times)
    p99 = ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
    return {"median": round(statistics.median(ordered), 2), "p99": round(p99, 2)}


def lines(found: dict[str, dict[str, float]]) -> Iterator[str]:
    """The figures for people."""
    yield f"{found['log']['entries']:,} entries, {found['log']['indexed']:,} of them searchable; milliseconds"
    for name, figures in found.items():
        if name != "log":
            yield f"{name:32} median {figures['median']:8.2f}   p99 {figures['p99']:8.2f}"


def fill(store: Store, entries: int, tell: Callable[[int], None]) -> None:
    """Fill an empty database with a made-up city's entries, their tree, index and cases, and sign it."""
    frontier = Frontier()
    for first in range(0, entries, _AT_ONCE):
        bodies = [_entry(index) for index in range(first, min(first + _AT_ONCE, entries))]
        with store.transaction() as tx:
            _write(tx, frontier, first, bodies)
        tell(first + len(bodies))


def _write(tx: Transaction, frontier: Frontier, first: int, bodies: Sequence[bytes]) -> None:
    rows = [(first + at, 0, first + at, body) for at, body in enumerate(bodies)]
    full = frontier.append(map(leaf_hash, bodies))
    tx.bulk_insert(entry, ("seq", "source_ref", "source_offset", "body"), rows)
    tx.bulk_insert(tile, ("level", "number", "hashes"), [(found.level, found.number, data) for found, data in full])
    write_rows(tx, rows_of((row[0], row[3]) for row in rows))
    named = range(-(-first // _NAMED_EVERY) * _NAMED_EVERY, first + len(bodies), _NAMED_EVERY)
    names.add(tx, [(digest_of("bench", f"e-{number}"), number) for number in named])
    cases = [_case(number) for number in range(first, first + len(bodies), _OUTPUT_EVERY)]
    tx.bulk_insert(case_file, ("output_id", "document", "state", "system", "unit"), cases)
    tx.connection.execute(update(head).values(size=frontier.size, edge=frontier.encode()))
    tx.connection.execute(update(indexed).values(size=frontier.size))
    note = sign_checkpoint(Signer("bench.example/audit", bytes(32)), frontier.size, frontier.root())
    row = {"size": frontier.size, "note": note, "signed_at": datetime.now(UTC)}
    tx.connection.execute(insert(checkpoint).values(row))


def _case(number: int) -> tuple[str, str, str, str, str]:
    output = number // _OUTPUT_EVERY
    state = _STATES[0] if output % 50_000 == 2 else _STATES[1] if output % 50 == 1 else _STATES[2]  # noqa: PLR2004
    return f"o-{output}", json.dumps({"output_id": f"o-{output}"}), state, "system-1", "unit-7"


def _entry(index: int) -> bytes:
    moment = _FIRST + timedelta(seconds=index // 10)
    topic, event = _event(index)
    position = Position("bench", topic, 0, index, moment)
    return make_entry(position, json.dumps(event, separators=(",", ":")).encode())


def _event(index: int) -> tuple[str, dict[str, object]]:
    """Nine of ten are readings; of every forty entries four are about one output."""
    output, kind = divmod(index, _OUTPUT_EVERY)
    if kind in _STEPS:
        return "valvomo.governance", _enveloped(index, f"valvomo.ai.{_STEPS[kind]}.v1", _about(output, index, kind))
    return "valvomo.usage", _enveloped(index, "valvomo.usage.recorded.v1", _reading(index))


def _enveloped(index: int, kind: str, data: dict[str, object]) -> dict[str, object]:
    time_text = "2026-01-01T00:00:00Z"
    envelope = {"specversion": "1.0", "id": f"e-{index}", "source": "bench", "subject": "s", "time": time_text}
    return {**envelope, "type": kind, "data": data}


def _about(output: int, index: int, kind: int) -> dict[str, object]:
    if kind:
        return {"output_id": f"o-{output}", "reviewer": f"p-{index % 400}"}
    unit = "rare" if output % 25_000 == 3 else f"unit-{output % 60}"  # noqa: PLR2004
    named = {"output_id": f"o-{output}", "system": "system-1", "use_case": f"case-{output % 40}", "unit": unit}
    return {**named, "requester": f"p-{output % 5_000}"}


def _reading(index: int) -> dict[str, object]:
    return {
        "reading_id": f"e-{index}", "system": f"system-{index % 6}", "sku": "large-model", "revision": 0,
        "charge_period_start": "2026-01-01T00:00:00Z", "charge_period_end": "2026-01-01T00:00:01Z",
        "consumed": {"input_tokens": "20041", "output_tokens": "427"}, "dimensions": {"region": "eu"},
        "consumer": {"person": f"p-{index % 5_000}", "account": "wrk-005", "tags": {"department": "unit-5"}},
        "environment": "production", "finality": "final", "purpose": "billing",
    }  # fmt: skip


if __name__ == "__main__":
    main()
