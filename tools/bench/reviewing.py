"""How fast the queue of reviews answers when very much waits: first, middle and last page, with and without filters.

    python -m tools.bench.reviewing                                   # 100,000 open outputs, SQLite
    python -m tools.bench.reviewing --database postgresql://…         # an empty database of its own, filled and left

The outputs are made up and written straight into the table that the log keeps of them, beside as many that nobody waits
for any more: what is timed here is asking, over the program's own routes.
"""

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from sqlalchemy import text

from services.audit_log.adapters.reads import Reads
from services.audit_log.adapters.reviews.content_key import ContentKey
from services.audit_log.adapters.reviews.queue import Place, Wanted, read_page
from services.audit_log.adapters.tables import METADATA, case_file, register_fact
from services.audit_log.api import make_router
from services.audit_log.domain.reviews.case import Case, KnownReview
from services.audit_log.domain.reviews.duty import Rulebook, duty_of
from services.audit_log.web.reviewing import next_of
from services.shared.access import Access, Grant
from services.shared.clock import SystemClock
from services.shared.events import governance, register
from services.shared.http import make_app
from services.shared.logs import configure_logs
from services.shared.sessions import COOKIE, SignedIn
from services.shared.settings import Settings
from services.shared.store import Store
from services.shared.store.open import open_store
from services.shared.store.tables import micros

_OPEN = 100_000
_AT_ONCE = 5_000
_NOW = datetime.now(UTC).replace(microsecond=0)
_ID, _HASH = "the output's id", "f" * 64
_CLASSES = ("high_decision", "high_support", "limited")
_COLUMNS = (
    "output_id", "document", "state", "system", "unit", "use_case", "risk_class", "model", "waits", "generated_at",
    "due_at", "next_look", "content_hash",
)  # fmt: skip
FILTERS: Mapping[str, dict[str, str]] = {
    "no filter": {},
    "a common state": {"state": "overdue"},
    "a rare unit": {"unit": "rare"},
    "a use case and a class": {"use_case": "case-7", "risk_class": "high_support"},
    "a unit that is not there": {"unit": "nowhere"},
    "mine": {"mine": "1"},
}


def main() -> None:
    arguments = _arguments()
    configure_logs("text", "error")
    with tempfile.TemporaryDirectory() as folder:
        store = _opened(arguments.database, Path(folder))
        try:
            fill(store, arguments.open)
            found = measure(store, arguments.open, arguments.rounds)
        finally:
            store.close()
    print(json.dumps(found) if arguments.json else "\n".join(lines(found)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tools.bench.reviewing", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--database", default="sqlite", help="sqlite (default), or postgresql://…")
    parser.add_argument("--open", type=int, default=_OPEN, help="outputs that wait (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=100, help="times each page is asked (default %(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
    return parser.parse_args()


def _opened(database: str, folder: Path) -> Store:
    return open_store(Settings(store=SecretStr(database), data_dir=folder), "log", METADATA)


def fill(store: Store, waiting: int) -> None:
    """So many outputs that wait for review, and as many that were reviewed."""
    some = random.Random(7)  # noqa: S311  # the same city each time
    rules = _rules()
    rows = _rows(some, rules, 2 * waiting)
    for start in range(0, 2 * waiting, _AT_ONCE):
        with store.transaction() as tx:
            tx.bulk_insert(case_file, _COLUMNS, [next(rows) for _ in range(min(_AT_ONCE, 2 * waiting - start))])
    with store.transaction() as tx:
        facts = [("policy", "p", rules.policies[0]), ("mandate", "m", rules.mandates[0])]
        facts += [("use_case", one.id, one) for one in rules.use_cases]
        documents = [(kind, name, fact.model_dump_json()) for kind, name, fact in facts]
        tx.bulk_insert(register_fact, ("kind", "fact_id", "document"), documents)
        if tx.dialect == "postgresql":
            tx.connection.execute(text("ANALYZE case_file"))


def _rules() -> Rulebook:
    since = date(2026, 1, 1)
    made = [
        register.ReviewRule.model_validate({"risk_class": one, "gate": "before_use", "deadline_business_hours": 16})
        for one in _CLASSES
    ]
    policy = register.Policy(id="p", version=1, approved_by="bench", valid_from=since, rules=tuple(made))
    use_cases = tuple(
        register.UseCase.model_validate({
            "id": f"case-{number}", "name": {"en": f"Case {number}"}, "unit": _unit(number), "owner": "o",
            "purpose": "p", "systems": ("s-1",), "risk_class": _CLASSES[number % 3], "valid_from": since,
        })
        for number in range(40)
    )  # fmt: skip
    mandate = register.ReviewerMandate(reviewer="p-1", unit="u", use_cases=("case-3", "case-9"), valid_from=since)
    return Rulebook((policy,), use_cases, (mandate,))


def _unit(number: int) -> str:
    return "rare" if number == 39 else f"unit-{number % 12}"  # noqa: PLR2004  # the last one


def _rows(some: random.Random, rules: Rulebook, count: int) -> Iterator[tuple[Any, ...]]:
    """Rows as the program writes them; only the id, the hash and the times differ between those of one use case."""
    written = {(chosen, waits): _written(rules, chosen, waits=waits) for chosen in range(40) for waits in (True, False)}
    for number in range(count):
        waits, chosen = number % 2 == 0, 39 if some.random() < 0.001 else some.randrange(39)  # noqa: PLR2004
        name, content = f"o-{some.randrange(16**12):012x}-{number}", f"{some.randrange(16**63):064x}"
        made = _NOW - timedelta(minutes=some.randrange(60 * 24 * 14))
        due = made + timedelta(hours=some.choice((24, 48, 120)))
        state = ("overdue" if due < _NOW else "pending") if waits else "approved"
        case, document = written[chosen, waits]
        assert case.duty is not None
        yield (
            name, document.replace(_ID, name).replace(_HASH, content), state, "s-1", case.duty.unit,
            case.use_case or "", case.duty.risk_class, "m-1", int(waits), micros(made), micros(due), None, content,
        )  # fmt: skip


def _written(rules: Rulebook, chosen: int, *, waits: bool) -> tuple[Case, str]:
    output = governance.Output(
        output_id=_ID, system="s-1", use_case=f"case-{chosen}", model="m-1", unit=_unit(chosen), generated_at=_NOW,
        content_hash=_HASH, length=900, requester="p-9",
    )  # fmt: skip
    review = governance.Review(
        output_id=_ID, review_id="r", reviewer="p-2", decided_at=_NOW, decision="approved", evidence="explicit_accept",
        content_hash_reviewed=_HASH,
    )  # fmt: skip
    known = KnownReview(review=review, index=1, ingest_time=_NOW, source="s", standing="valid")
    case = Case(
        output_id=_ID, output=output, came=_NOW, newest=_NOW, duty=duty_of(output, rules, _NOW),
        reviews=() if waits else (known,),
    )  # fmt: skip
    return case, case.model_dump_json(exclude_defaults=True)


def measure(store: Store, waiting: int, rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds, median and p99, of the queue for programs (50 a page) and of the page for people."""
    clock = SystemClock()
    app = make_app([_Asked(store)], CollectorRegistry(), Access((), clock, sessions=_Everybody()))
    places = {"first": None, "middle": _place(store, waiting // 2), "last": _place(store, waiting - 50)}
    found: dict[str, dict[str, float]] = {}
    with TestClient(app, "http://localhost", cookies={COOKIE: "p-1"}) as client:
        for name, place in places.items():
            at = next_of(place) if place else {}
            found[f"page for people, {name}"] = _timed(client, "/reviews", {"lang": "en", **at}, rounds)
            found[f"for programs, {name}"] = _timed(client, "/api/v1/reviews/queue", {"limit": "50", **at}, rounds)
        for name, given in FILTERS.items():
            found[f"for programs, {name}"] = _timed(client, "/api/v1/reviews/queue", {"limit": "50", **given}, rounds)
    return found


def _place(store: Store, passed: int) -> Place | None:
    with store.reading() as connection:
        return read_page(connection, Wanted(), None, passed).next


def _timed(client: TestClient, path: str, parameters: Mapping[str, str], rounds: int) -> dict[str, float]:
    ask: Callable[[], Any] = lambda: client.get(path, params=dict(parameters))  # noqa: E731  # the same each time
    ask()
    taken = [_once(ask) for _ in range(rounds)]
    times, worked = (sorted(column) for column in zip(*taken, strict=True))
    at = min(rounds - 1, rounds * 99 // 100)
    return {"median": times[rounds // 2], "p99": times[at], "worked": worked[rounds // 2], "worked p99": worked[at]}


def _once(ask: Callable[[], Any]) -> tuple[float, float]:
    """Milliseconds on the clock, and of this process's processors: client and program, not PostgreSQL."""
    began, worked = time.perf_counter(), time.process_time()
    answer = ask()
    took = 1000 * (time.perf_counter() - began), 1000 * (time.process_time() - worked)
    assert answer.status_code == 200, answer.text  # noqa: PLR2004
    return took


class _Everybody:
    """Whoever shows a cookie is a reviewer."""

    def find(self, token: str) -> SignedIn | None:
        return SignedIn(token, token, frozenset({Grant("reviewer")}), "form")


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


def lines(found: Mapping[str, Mapping[str, float]]) -> list[str]:
    """A table of milliseconds."""
    head = f"{'':<40}" + "".join(f"{name:>11}" for name in ("median", "p99", "worked", "worked p99"))
    return [
        head,
        *(f"{name:<40}" + "".join(f"{value:>11.1f}" for value in one.values()) for name, one in found.items()),
    ]


if __name__ == "__main__":
    main()
