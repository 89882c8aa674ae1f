"""Files that a person hands over: told once, revised on a word, learned again after a loss."""

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from services.shared.bus import EventBus, Message
from services.shared.bus.memory import MemoryBus
from services.shared.bus.open import BUS_FILE
from services.shared.bus.sqlite import SqliteBus
from services.shared.clock import SteppedClock, SystemClock
from services.shared.events import REGISTER, TOPICS, USAGE, Event, decode, encode, key_of
from services.shared.events.register import System
from services.shared.events.usage import InvoiceReceived
from services.shared.settings import Settings
from services.shared.store import Store
from services.shared.store.open import open_store
from services.usage_collector.adapters.state import CollectorState
from services.usage_collector.adapters.tables import METADATA
from services.usage_collector.cli import app
from services.usage_collector.facts import event_of
from services.usage_collector.importing import import_events, import_invoices
from services.usage_collector.intake import Intake
from services.usage_collector.invoices import IMPORTED, News
from services.usage_collector.register.facts import change_event, digest_of, marker_event
from services.usage_collector.tables_in_text import FileRefusedError
from tests.unit.usage_collector.test_invoices import table
from tests.unit.usage_collector.test_poller import TODAY, reading


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock(TODAY)


@pytest.fixture
def bus(clock: SteppedClock) -> MemoryBus:
    bus = MemoryBus(clock, 1)
    bus.ensure_topics(TOPICS)
    return bus


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(Settings(data_dir=tmp_path), "collector", METADATA)
    yield store
    store.close()


def on_bus(bus: EventBus) -> list[Event]:
    return [
        decode(record.value)
        for partition, end in bus.end_positions([USAGE.name]).items()
        for record in (bus.read(partition, 0, end) if end else ())
    ]


def invoices(bus: EventBus) -> list[tuple[str, int, str]]:
    events = [event for event in on_bus(bus) if isinstance(event, InvoiceReceived)]
    return [(one.data.invoice_id, one.data.revision, f"{one.data.net:f}") for one in events]


@pytest.fixture
def importing(store: Store, bus: MemoryBus, clock: SteppedClock) -> "Importing":
    return Importing(store, bus, clock)


class Importing:
    def __init__(self, store: Store, bus: EventBus, clock: SteppedClock) -> None:
        self.store, self.bus, self.clock = store, bus, clock

    def __call__(self, content: bytes, *, revise: bool = False, dry_run: bool = False) -> News:
        return import_invoices("f", content, self.store, self.bus, self.clock, revise=revise, dry_run=dry_run)


def test_the_same_file_twice_is_told_once(importing: Importing, bus: MemoryBus) -> None:
    content = table({}, {"invoice_id": "A-2", "net": "1"})
    assert len(importing(content).new) == 2
    again = importing(content)
    assert (again.new, again.revised, again.same) == ([], [], ["A-1", "A-2"])
    assert invoices(bus) == [("A-1", 0, "41.12"), ("A-2", 0, "1")]


def test_a_dry_run_tells_nobody(importing: Importing, bus: MemoryBus) -> None:
    assert len(importing(table({}), dry_run=True).new) == 1
    assert invoices(bus) == []
    assert len(importing(table({})).new) == 1


def test_one_bad_row_and_nothing_is_imported(importing: Importing, bus: MemoryBus) -> None:
    with pytest.raises(FileRefusedError, match="f:3: net"):
        importing(table({}, {"invoice_id": "A-2", "net": "?"}))
    with pytest.raises(FileRefusedError, match="at most 60000"):
        importing(table({}, *[{"invoice_id": "A-2", "description": "ä" * 256}] * 200))
    assert invoices(bus) == []


def test_a_changed_invoice_waits_for_a_word(importing: Importing, bus: MemoryBus) -> None:
    importing(table({}))
    with pytest.raises(FileRefusedError, match="add --revise"):
        importing(table({"net": "40"}, {"invoice_id": "A-2"}))
    assert invoices(bus) == [("A-1", 0, "41.12")]
    importing(table({"net": "40"}, {"invoice_id": "A-2"}), revise=True)
    assert sorted(invoices(bus)) == [("A-1", 0, "41.12"), ("A-1", 1, "40"), ("A-2", 0, "41.12")]


def test_the_same_invoice_is_the_same_bytes_wherever_and_whenever_it_is_imported(
    importing: Importing, bus: MemoryBus, clock: SteppedClock, tmp_path: Path
) -> None:
    importing(table({}))
    elsewhere = MemoryBus(SystemClock(), 3)
    elsewhere.ensure_topics(TOPICS)
    other = open_store(Settings(data_dir=tmp_path / "other"), "collector", METADATA)
    import_invoices("g", table({}), other, elsewhere, SystemClock(), revise=False)
    other.close()
    assert [encode(event) for event in on_bus(bus)] == [encode(event) for event in on_bus(elsewhere)]


def test_after_the_loss_of_the_database_revisions_go_on_where_the_bus_left_them(
    importing: Importing, bus: MemoryBus, clock: SteppedClock, tmp_path: Path
) -> None:
    importing(table({}))
    importing(table({"net": "40"}), revise=True)
    fresh = open_store(Settings(data_dir=tmp_path / "again"), "collector", METADATA)
    again = Importing(fresh, bus, clock)
    assert again(table({"net": "40"})).same == ["A-1"]
    again(table({"net": "39"}), revise=True)
    fresh.close()
    assert invoices(bus)[2:] == [("A-1", 2, "39")]


def test_an_import_after_the_loss_leaves_the_vendors_to_be_learned(
    importing: Importing, bus: MemoryBus, clock: SteppedClock, tmp_path: Path
) -> None:
    bus.publish([Message(USAGE.name, b"a", usage("a"))])
    importing(table({}))
    fresh = open_store(Settings(data_dir=tmp_path / "again"), "collector", METADATA)
    Importing(fresh, bus, clock)(table({"invoice_id": "A-2"}))
    state = CollectorState(fresh)
    assert state.learn(bus, {IMPORTED, "test/files"}) == 1, "the reading; invoices are known"
    assert state.learn(bus, {IMPORTED, "test/files"}) == 0
    fresh.close()


def test_a_system_that_the_published_register_does_not_know(importing: Importing, bus: MemoryBus) -> None:
    facts = {("system", "claude-api"): System(id="claude-api", vendor="anthropic", name="Claude", owner="ict")}
    events = [change_event(key, 1, fact, TODAY) for key, fact in facts.items()]
    for event in [*events, marker_event(1, len(events), digest_of(facts), TODAY)]:
        bus.publish([Message(REGISTER.name, key_of(event), encode(event))])
    with pytest.raises(FileRefusedError, match="f:3: system: found 'claud'"):
        importing(table({}, {"system": "claud"}))
    assert len(importing(table({})).new) == 1


def usage(name: str) -> bytes:
    return encode(event_of(reading(date(2026, 11, 19), name), "test/files", TODAY))


@pytest.mark.parametrize("content", [usage("a") + b"\n\n" + usage("b"), b"[" + usage("a") + b"," + usage("b") + b"]"])
def test_a_file_of_events_goes_in_by_the_door_of_all(bus: MemoryBus, clock: SteppedClock, content: bytes) -> None:
    told: list[tuple[int, int]] = []
    intake = Intake(bus, str, str, clock)
    taken = import_events("f", content, intake, lambda done, total: told.append((done, total)))
    assert (taken.accepted, taken.refused, told) == (2, [], [(2, 2)])
    assert [encode(event) for event in on_bus(bus)] == [usage("a"), usage("b")]


def test_events_that_are_refused_are_told_with_their_line(bus: MemoryBus, clock: SteppedClock) -> None:
    content = b"\n".join([usage("a"), b'{"type": "valvomo.invoice.received.v1"}', usage("b")])
    taken = import_events("f", content, Intake(bus, str, str, clock), lambda *_: None)
    assert taken.accepted == 2
    assert [str(fault)[:46] for fault in taken.refused] == ["f:2: found an event that is not taken; expecte"]
    with pytest.raises(FileRefusedError, match="f:2: found no event; expected"):
        import_events("f", usage("a") + b"\n{", Intake(bus, str, str, clock), lambda *_: None)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VALVOMO_DATA_DIR", str(tmp_path / "var"))
    yield tmp_path
    import structlog

    structlog.reset_defaults()


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["import", *words], catch_exceptions=False)


def test_the_command(folder: Path) -> None:
    (folder / "a.csv").write_bytes(table({}))
    assert run("a.csv", "--as", "invoice", "--dry-run").output == (
        "1 new and 0 revised would be imported, 0 known already\n"
    )
    assert json.loads(run("a.csv", "--as", "invoice", "--json").output) == {"new": ["A-1"], "revised": [], "known": []}
    (folder / "a.csv").write_bytes(table({"net": "1"}))
    refused = run("a.csv", "--as", "invoice")
    assert refused.exit_code == 1
    assert "a.csv:2: invoice_id: found 'A-1' with other content" in refused.stderr
    [problem] = json.loads(run("a.csv", "--as", "invoice", "--json").output)["problems"]
    assert (problem["file"], problem["line"], problem["where"]) == ("a.csv", 2, "invoice_id")
    bus = SqliteBus(folder / "var" / BUS_FILE, SystemClock(), 2)
    assert invoices(bus) == [("A-1", 0, "41.12")]
    bus.close()


def test_the_command_with_events(folder: Path) -> None:
    (folder / "e.ndjson").write_bytes(usage("a") + b"\n{}")
    done = run("e.ndjson", "--as", "events")
    assert done.exit_code == 1
    assert done.stdout == "1 events taken, 1 refused\n"
    (folder / "e.ndjson").write_bytes(usage("a"))
    assert json.loads(run("e.ndjson", "--as", "events", "--json").output) == {"accepted": 1, "refused": []}
    assert run("e.ndjson", "--as", "events", "--dry-run").exit_code == 2
