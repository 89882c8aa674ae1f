"""Very many entries: however they are cut into portions the same stands, and no portion looks at all of the rest."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, select

from services.audit_log import handlers
from services.audit_log.adapters.entries import SqlEntryLog
from services.audit_log.adapters.reviews.cases import SqlCaseFiles
from services.audit_log.adapters.tables import METADATA, REVIEWS
from services.audit_log.handlers import FOLDED_TOPICS, look, rebuild
from services.audit_log.ports import Arrival
from services.shared.events import Event, encode, topic_of
from services.shared.settings import Settings
from services.shared.store import Store
from services.shared.store.open import open_store
from services.shared.tlog.entry import Position
from tests.unit.audit_log.events import MONDAY, USE_CASES, at, generated, register_events, reviewed, use_case, used
from tools.bench import review_city

CONTENT = "c" * 64
STRICTER = (*USE_CASES[:1], use_case("chat", "high_decision"), *USE_CASES[2:])
NOW = at(24 * 40)


def told() -> list[Event]:
    """Outputs of two registers: what the log said of them, one that came again after its rejection, one told twice."""
    return [
        *register_events(),
        *(one for one in review_city.events(60) if not topic_of(one).endswith("register")),
        generated("o-1", content_hash=CONTENT),
        reviewed("o-1", at(1), decision="rejected", content_hash_reviewed=CONTENT),
        *(generated(f"o-{number}", at(1), use_case="chat") for number in range(5, 15)),
        *register_events(2, use_cases=STRICTER),
        generated("o-2", at(2), content_hash=CONTENT),
        *(used(f"o-{number}", at(3)) for number in range(5, 15)),
        used("o-1", at(4)),
        reviewed("o-never-told", at(5)),
    ]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(Settings(data_dir=tmp_path), "log", METADATA)
    arrivals = [
        Arrival(
            Position("c", topic_of(one), 0, offset, MONDAY + timedelta(seconds=offset)),
            (one.source, one.id),
            encode(one),
        )
        for offset, one in enumerate(told())
    ]
    with opened.transaction() as tx:
        SqlEntryLog().append(tx, arrivals)
    yield opened
    opened.close()


def made_again(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    with store.transaction() as tx:
        rebuild(SqlEntryLog(), SqlCaseFiles(), tx, NOW)
    with store.reading() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))]
            for table in REVIEWS
        }


def test_portions_change_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = made_again(store)
    cases = {row[0]: row for row in whole["case_file"]}
    assert ('"resubmits":"o-1"' in cases["o-2"][1], len(cases), bool(whole["finding"])) == (True, 60 + 13, True)
    for entries, kept in ((1, 1), (7, 3), (50, 20)):
        monkeypatch.setattr(handlers, "_ENTRIES_AT_ONCE", entries)
        monkeypatch.setattr(handlers, "_CASES_KEPT", kept)
        assert made_again(store) == whole, (entries, kept)


def test_a_case_is_written_once_for_all_that_was_told_of_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[int] = []
    monkeypatch.setattr(SqlCaseFiles, "save", lambda _self, _tx, judged: saved.append(len(judged)))
    made_again(store)
    assert sum(saved) < 2 * (60 + 13)


def plans(store: Store, statements: list[tuple[str, Any]]) -> str:
    with store.reading() as connection:
        return "\n".join(
            str(row[-1])
            for statement, values in statements
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
        )


def test_no_portion_sorts_all_that_is_left(store: Store) -> None:
    asked: list[tuple[str, Any]] = []

    def note(_connection: Connection, _cursor: object, statement: str, values: Any, *_more: object) -> None:  # noqa: ANN401  # as the driver takes them
        asked.append((statement, values))

    made_again(store)
    event.listen(store.engine, "before_cursor_execute", note)
    with store.transaction() as tx:
        assert SqlEntryLog().events(tx, FOLDED_TOPICS, 5, 10)
        assert look(SqlCaseFiles(), tx, NOW, limit=5) == 5
    event.remove(store.engine, "before_cursor_execute", note)
    portions = [one for one in asked if one[0].startswith("SELECT") and "LIMIT" in one[0]]
    found = plans(store, portions)
    assert len(portions) == 2
    for words in ("TEMP B-TREE", "case_file_next_look", "SEARCH entry USING INTEGER PRIMARY KEY"):
        assert (words in found) is (words != "TEMP B-TREE"), found
