"""The poller over a real store: revisions, gaps, seats, bad vendors, crashes, and a database that was lost."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from services.shared.bus.memory import MemoryBus
from services.shared.clock import SteppedClock
from services.shared.errors import SourceChangedError, SourceRejectedError, TransientError
from services.shared.events import GOVERNANCE, OUTCOMES, TOPICS, USAGE, Event, decode
from services.shared.events.outcomes import CollectionGapFound
from services.shared.events.usage import CollectionCompleted, Reading, SeatAssigned, SeatHolding, UsageRecorded
from services.shared.metrics import SOURCE_ERRORS, counter
from services.shared.periods import Period
from services.shared.relay import BusRelay
from services.shared.settings import Settings
from services.shared.store import Store
from services.shared.store.open import open_store
from services.usage_collector.adapters.metrics import SourceMetrics
from services.usage_collector.adapters.state import CollectorState
from services.usage_collector.adapters.tables import METADATA
from services.usage_collector.poller import Collected, Poller, runs
from services.usage_collector.source import Cursor, Fetch, Page, VendorFact, midnight
from tests.unit.usage_collector.sources.fake import Json

TODAY = datetime(2026, 11, 20, 6, tzinfo=UTC)
DAY = timedelta(days=1)


def reading(day: date, name: str, tokens: int = 1) -> Reading:
    start = midnight(day)
    return Reading(
        reading_id=f"{day.isoformat()}/{name}",
        system="claude-api",
        sku="k",
        charge_period_start=start,
        charge_period_end=start + DAY,
        consumed={"input_tokens": Decimal(tokens)},
    )


class ScriptedSource:
    """A source that tells one page after the other; an exception among them is raised."""

    name = "scripted"
    event_source = "scripted/test"
    system = "claude-api"

    def __init__(self) -> None:
        self.script: list[Page | Exception] = []
        self.cursors: list[Cursor] = []

    def poll(self, fetch: Fetch, cursor: Cursor, until: datetime) -> Page:
        self.cursors.append(cursor)
        found = self.script.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    def rewind(self, cursor: Cursor, since: datetime) -> Cursor:
        return {**cursor, "since": since.isoformat()}


class NoFetch:
    def get(self, path: str, query: Json = (), headers: Json = None) -> Json:
        raise AssertionError("the scripted source asks nobody")

    post = get

    def close(self) -> None:
        """Nothing to let go of."""


def page(first: date, days: int, facts: Sequence[VendorFact], **more: Json) -> Page:
    window = Period(midnight(first), midnight(first + DAY * days))
    return Page(facts, more.pop("cursor", {"next": (first + DAY * days).isoformat()}), window=window, **more)


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock(TODAY)


@pytest.fixture
def source() -> ScriptedSource:
    return ScriptedSource()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(Settings(data_dir=tmp_path), "collector", METADATA)
    yield store
    store.close()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def bus(clock: SteppedClock) -> MemoryBus:
    bus = MemoryBus(clock)
    bus.ensure_topics(TOPICS)
    return bus


def make_poller(source: ScriptedSource, store: Store, clock: SteppedClock, registry: CollectorRegistry) -> Poller:
    errors = counter(SOURCE_ERRORS, registry)
    return Poller(source, NoFetch(), CollectorState(store), clock, interval_seconds=900.0, errors=errors)


@pytest.fixture
def poller(source: ScriptedSource, store: Store, clock: SteppedClock, registry: CollectorRegistry) -> Poller:
    return make_poller(source, store, clock, registry)


@pytest.fixture
def published(store: Store, bus: MemoryBus, clock: SteppedClock) -> Callable[[], list[Event]]:
    """Empty the outbox; all that is on the bus then, topic by topic."""

    def read() -> list[Event]:
        relay = BusRelay(store, bus, clock)
        while relay.step() == 0.0:
            pass
        ends = bus.end_positions([USAGE.name, GOVERNANCE.name, OUTCOMES.name])
        return [decode(record.value) for partition in sorted(ends) for record in bus.read(partition, 0, 10_000)]

    return read


def readings(events: list[Event]) -> list[tuple[str, int, bool]]:
    found = [event.data for event in events if isinstance(event, UsageRecorded)]
    return sorted((data.reading_id[11:], data.revision, data.retracted) for data in found)


D = date(2026, 11, 17)


def test_a_window_is_told_once(source: ScriptedSource, poller: Poller, published: Callable[[], list[Event]]) -> None:
    source.script = [page(D, 1, [reading(D, "a"), reading(D, "b")])] * 2
    assert (poller.step(), poller.step()) == (900.0, 900.0)
    events = published()
    assert readings(events) == [("a", 0, False), ("b", 0, False)]
    (completed,) = [event.data for event in events if isinstance(event, CollectionCompleted)]
    assert (completed.source_name, completed.window_start, completed.readings) == ("scripted", midnight(D), 2)
    assert source.cursors == [{}, {"next": "2026-11-18"}]


def test_corrections_and_retractions_are_revisions(
    source: ScriptedSource, poller: Poller, published: Callable[[], list[Event]]
) -> None:
    states = [[("a", 1), ("b", 1)], [("a", 2), ("b", 1)], [("a", 2)], [("a", 2), ("b", 1)]]
    source.script = [page(D, 1, [reading(D, name, tokens) for name, tokens in state]) for state in states]
    for _ in states:
        poller.step()
    assert readings(published()) == [("a", 0, False), ("a", 1, False), ("b", 0, False), ("b", 1, True), ("b", 2, False)]


def test_only_what_was_read_again_completely_can_be_gone(
    source: ScriptedSource, poller: Poller, published: Callable[[], list[Event]]
) -> None:
    source.script = [page(D, 2, [reading(D, "a"), reading(D + DAY, "b")]), page(D + DAY, 1, [reading(D + DAY, "b")])]
    poller.step()
    poller.step()
    assert readings(published()) == [("a", 0, False), ("b", 0, False)]


def test_a_day_the_vendor_did_not_answer_for_is_a_gap_told_once_and_takes_nothing_back(
    source: ScriptedSource, poller: Poller, published: Callable[[], list[Event]], store: Store
) -> None:
    whole = page(D, 3, [reading(D + DAY * number, "a") for number in range(3)])
    holed = page(D, 3, [whole.facts[0], whole.facts[2]], missing=(D + DAY,))
    fresh = page(D + DAY * 3, 3, [], missing=(D + DAY * 3, D + DAY * 4))
    source.script = [whole, holed, fresh, fresh]
    for _ in range(4):
        poller.step()
    events = published()
    assert all(not retracted for _, _, retracted in readings(events))
    gaps = [(event.data.first_day, event.data.last_day) for event in events if isinstance(event, CollectionGapFound)]
    assert gaps == [(D + DAY * 3, D + DAY * 4)], "a day that was told before is no gap"
    assert CollectorState(store).missing_days() == {"scripted": 2}


def test_a_gap_that_is_filled_later_is_closed(source: ScriptedSource, poller: Poller, store: Store) -> None:
    source.script = [page(D, 2, [], missing=(D,)), page(D, 2, [reading(D, "a")])]
    poller.step()
    assert CollectorState(store).missing_days() == {"scripted": 1}
    poller.step()
    assert CollectorState(store).missing_days() == {}


def test_days_that_can_no_longer_be_asked_for_are_a_gap(
    source: ScriptedSource, poller: Poller, published: Callable[[], list[Event]]
) -> None:
    source.script = [page(D, 1, [reading(D, "a")]), page(D + DAY * 4, 1, [reading(D + DAY * 4, "a")])]
    poller.step()
    poller.step()
    (gap,) = [event.data for event in published() if isinstance(event, CollectionGapFound)]
    assert (gap.first_day, gap.last_day) == (D + DAY, D + DAY * 3)


def test_windows_follow_at_once_and_each_is_kept(
    source: ScriptedSource, poller: Poller, published: Callable[[], list[Event]]
) -> None:
    source.script = [
        page(D, 1, [reading(D, "a")], more=True),
        SourceChangedError("second window"),
        page(D + DAY, 1, [reading(D + DAY, "b")]),
    ]
    assert (poller.step(), poller.caught_up) == (0.0, False)
    assert (poller.step(), poller.trouble) == (5.0, "second window")
    assert (poller.step(), poller.caught_up, poller.trouble) == (900.0, True, None)
    assert readings(published()) == [("a", 0, False), ("b", 0, False)]
    assert source.cursors[1] == source.cursors[2], "the failed window is read again"


def test_a_source_that_does_not_move_on(source: ScriptedSource, poller: Poller) -> None:
    source.script = [page(D, 1, [], more=True, cursor={})]
    assert poller.step() == 5.0
    assert poller.trouble is not None
    assert "does not move on" in poller.trouble


@pytest.mark.parametrize(
    ("error", "pauses"),
    [
        pytest.param(SourceRejectedError("no"), [5.0, 10.0, 20.0], id="refused: ever longer"),
        pytest.param(TransientError("busy", 77.0), [77.0, 77.0, 77.0], id="asked to wait"),
        pytest.param(TransientError("busy"), [5.0, 10.0, 20.0], id="busy"),
    ],
)
def test_a_failing_vendor_is_a_pause(
    error: Exception, pauses: list[float], source: ScriptedSource, poller: Poller, registry: CollectorRegistry
) -> None:
    source.script = [error] * 20
    assert [poller.step() for _ in range(3)] == pauses
    for _ in range(17):
        pause = poller.step()
    assert pause <= 900.0
    labels = {"source": "scripted", "kind": type(error).__name__}
    assert registry.get_sample_value("valvomo_source_errors_total", labels) == 20.0


def test_a_changed_shape_names_vendor_and_field_and_no_value(source: ScriptedSource, poller: Poller) -> None:
    with pytest.raises(ValueError, match="reading_id") as caught:
        Reading.model_validate({"reading_id": 7, "person": "aino@example.org"})
    source.script = [caught.value]
    poller.step()
    assert poller.trouble is not None
    assert "scripted" in poller.trouble
    assert "charge_period_start" in poller.trouble
    assert "aino" not in poller.trouble


def test_an_unforeseen_fault_is_not_swallowed(source: ScriptedSource, poller: Poller) -> None:
    source.script = [KeyError("bug")]
    with pytest.raises(KeyError):
        poller.step()


def test_nothing_of_a_doubtful_window_is_taken(
    source: ScriptedSource, poller: Poller, published: Callable[[], list[Event]]
) -> None:
    many = [reading(D, str(number)) for number in range(12)]
    source.script = [page(D, 1, many), page(D, 1, [], cursor={"next": "later"}), page(D, 1, many)]
    poller.step()
    poller.step()
    assert poller.trouble is not None
    assert "--believe-empty" in poller.trouble
    poller.step()
    assert source.cursors[2] == {"next": "2026-11-18"}, "the cursor has not moved"
    assert len(readings(published())) == 12


def test_a_person_can_say_that_it_is_true(
    source: ScriptedSource, poller: Poller, published: Callable[[], list[Event]]
) -> None:
    many = [reading(D, f"{number:02d}") for number in range(12)]
    source.script = [page(D, 1, many), page(D, 1, [])]
    poller.step()
    poller.collect(midnight(D), believe_empty=True)
    assert sum(retracted for _, _, retracted in readings(published())) == 12
    assert source.cursors[1]["since"] == midnight(D).isoformat()


def test_a_dry_run_shows_and_keeps_nothing(
    source: ScriptedSource, poller: Poller, published: Callable[[], list[Event]]
) -> None:
    facts = [reading(D, "a")]
    source.script = [page(D, 1, facts, more=True), page(D + DAY, 1, []), page(D, 1, facts)]
    done = poller.collect(dry_run=True)
    assert (done.windows, readings(done.events)) == (2, [("a", 0, False)])
    assert published() == []
    poller.step()
    assert source.cursors[2] == {}
    assert readings(published()) == [("a", 0, False)]


def test_killed_before_the_commit_the_window_is_read_again_the_same_way(
    source: ScriptedSource,
    poller: Poller,
    store: Store,
    published: Callable[[], list[Event]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source.script = [page(D, 1, [reading(D, "a")])] * 2
    with monkeypatch.context() as killed:
        killed.setattr(CollectorState, "advance", lambda *_unused: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            poller.step()
    assert published() == []
    poller.step()
    assert readings(published()) == [("a", 0, False)]
    assert source.cursors == [{}, {}]


def test_killed_after_the_commit_the_very_same_bytes_are_published(
    source: ScriptedSource, store: Store, bus: MemoryBus, clock: SteppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.script = [page(D, 1, [reading(D, "a")])]
    make_poller(source, store, clock, CollectorRegistry()).step()
    with monkeypatch.context() as killed:
        killed.setattr(type(store), "mark_sent", lambda *_unused: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            BusRelay(store, bus, clock).step()
    clock.advance(timedelta(hours=3))
    BusRelay(store, bus, clock).step()
    values = [record.value for partition in bus.end_positions([USAGE.name]) for record in bus.read(partition, 0, 100)]
    assert len(values) == 4
    assert len(set(values)) == 2


@pytest.mark.parametrize("earlier", [0, 1, 2], ids=lambda reads: f"after {reads} reads")
def test_of_two_collectors_at_once_one_tells(
    earlier: int, store: Store, clock: SteppedClock, published: Callable[[], list[Event]]
) -> None:
    source = ScriptedSource()
    one, two = (make_poller(source, store, clock, CollectorRegistry()) for _ in range(2))
    source.script = [page(D, 1, [reading(D, "a", tokens)]) for tokens in range(1, earlier + 2)]
    for _ in range(earlier):
        one.step()
    told = source.script[-1]
    assert isinstance(told, Page)
    standing = CollectorState(store).standing("scripted")
    two.step()
    with pytest.raises(TransientError, match="another collector"):
        one._told(standing, told, clock.now(), Collected())
    assert readings(published()) == [("a", revision, False) for revision in range(earlier + 1)]


def test_a_clock_set_back_changes_no_revision(
    source: ScriptedSource, poller: Poller, clock: SteppedClock, published: Callable[[], list[Event]]
) -> None:
    source.script = [page(D, 1, [reading(D, "a")]), page(D, 1, [reading(D, "a", 2)])]
    poller.step()
    clock.advance(timedelta(days=-3))
    poller.step()
    assert readings(published()) == [("a", 0, False), ("a", 1, False)]


def holding(person: str, since: str = "2026-02-15", **more: Json) -> SeatHolding:
    return SeatHolding(
        system="m365-copilot", sku="k", person=f"p-{person}", assigned_on=date.fromisoformat(since), **more
    )


def test_seats_come_go_and_come_again(
    source: ScriptedSource, poller: Poller, published: Callable[[], list[Event]]
) -> None:
    snapshots = [
        [holding("aa"), holding("bb")],
        [holding("aa", "2026-11-18"), holding("bb", last_active_on=D)],
        [holding("bb", last_active_on=D)],
        [holding("aa", "2026-11-20"), holding("bb", last_active_on=D)],
    ]
    source.script = [page(D + DAY * number, 1, seats, snapshot=True) for number, seats in enumerate(snapshots)]
    for _ in snapshots:
        poller.step()
    found = [event.data for event in published() if isinstance(event, SeatAssigned)]
    rows = [(one.person, str(one.assigned_on), one.revision, one.released_on, one.last_active_on) for one in found]
    assert sorted(rows, key=lambda row: row[:3]) == [
        ("p-aa", "2026-02-15", 0, None, None),
        ("p-aa", "2026-02-15", 1, date(2026, 11, 19), None),
        ("p-aa", "2026-11-20", 0, None, None),
        ("p-bb", "2026-02-15", 0, None, None),
        ("p-bb", "2026-02-15", 1, None, D),
    ]  # fmt: skip


def test_somebody_met_anew_after_an_erasure_counts_nothing_twice(
    source: ScriptedSource, poller: Poller, published: Callable[[], list[Event]]
) -> None:
    """The vendor tells the same seat and use again; the person has another pseudonym since."""
    source.script = [
        page(D, 1, [holding("old"), reading(D, "p-old")], snapshot=True),
        page(D, 2, [holding("new"), reading(D, "p-new")], snapshot=True),
    ]
    poller.step()
    poller.step()
    events = published()
    assert readings(events) == [("p-new", 0, False), ("p-old", 0, False), ("p-old", 1, True)]
    seats = {event.data.person: event.data for event in events if isinstance(event, SeatAssigned)}
    assert seats["p-old"].released_on == seats["p-new"].assigned_on


def test_after_the_loss_of_the_database_revisions_go_on_where_the_bus_left_them(
    source: ScriptedSource, poller: Poller, published: Callable[[], list[Event]], bus: MemoryBus, tmp_path: Path
) -> None:
    clock = SteppedClock(TODAY)
    source.script = [
        page(D, 1, [reading(D, "a", 1), reading(D, "b")]),
        page(D, 1, [reading(D, "a", 2), reading(D, "b")]),
    ]
    poller.step()
    poller.step()
    before = published()
    fresh = open_store(Settings(data_dir=tmp_path / "again"), "collector", METADATA)
    state = CollectorState(fresh)
    assert state.learn(bus, {"scripted/test"}) == 2
    assert state.learn(bus, {"scripted/test"}) == 0, "once"
    again = ScriptedSource()
    again.script = [page(D, 1, [reading(D, "a", 2), reading(D, "b")]), page(D, 1, [reading(D, "a", 3)])]
    other = make_poller(again, fresh, clock, CollectorRegistry())
    other.step()
    other.step()
    relay = BusRelay(fresh, bus, clock)
    while relay.step() == 0.0:
        pass
    fresh.close()
    assert readings(published()) == sorted([*readings(before), ("a", 2, False), ("b", 1, True)]), "no id comes twice"


def test_what_is_not_ours_on_the_bus_is_not_learned(
    source: ScriptedSource, poller: Poller, published: Callable[[], list[Event]], bus: MemoryBus, tmp_path: Path
) -> None:
    source.script = [page(D, 1, [reading(D, "a")])]
    poller.step()
    published()
    fresh = open_store(Settings(data_dir=tmp_path / "again"), "collector", METADATA)
    assert CollectorState(fresh).learn(bus, {"another/source"}) == 0
    fresh.close()


def test_metrics_are_read_from_the_database(
    source: ScriptedSource, poller: Poller, store: Store, clock: SteppedClock, registry: CollectorRegistry
) -> None:
    registry.register(SourceMetrics(CollectorState(store), clock, ["scripted"]))
    label = {"source": "scripted"}
    assert registry.get_sample_value("valvomo_source_data_age_seconds", label) is None
    source.script = [page(D, 3, [], missing=(D,))]
    poller.step()
    clock.advance(timedelta(hours=1))
    assert registry.get_sample_value("valvomo_source_last_success_timestamp_seconds", label) == TODAY.timestamp()
    assert registry.get_sample_value("valvomo_source_data_age_seconds", label) == 7 * 3600
    assert registry.get_sample_value("valvomo_collection_gap_days", label) == 1


def outbox_after_four_windows(store: Store, clock: SteppedClock) -> list[bytes]:
    """A story with every kind of change, told to a store; the messages that wait then."""
    source = ScriptedSource()
    poller = make_poller(source, store, clock, CollectorRegistry())
    states = [[("a", 1), ("b", 1)], [("a", 2)]]
    source.script = [
        page(D, 2, [reading(D, name, tokens) for name, tokens in state], missing=(D + DAY,)) for state in states
    ]
    source.script += [page(D + DAY, 1, [holding("aa")], snapshot=True), page(D + DAY * 2, 1, [], snapshot=True)]
    for _ in range(4):
        poller.step()
        assert poller.trouble is None
        clock.advance(timedelta(minutes=15))
    assert CollectorState(store).missing_days() == {}
    return [waiting.message.value for waiting in store.pending(["bus"], clock.now(), 100)]


@pytest.mark.postgres
def test_postgresql_tells_the_same_bytes(store: Store, postgres_url: str, tmp_path: Path) -> None:
    other = open_store(Settings(data_dir=tmp_path, store=postgres_url), "collector", METADATA)  # type: ignore[arg-type]
    try:
        found = outbox_after_four_windows(other, SteppedClock(TODAY))
    finally:
        other.close()
    assert found == outbox_after_four_windows(store, SteppedClock(TODAY))
    assert len(found) == 11


@pytest.mark.parametrize(
    ("days", "expected"),
    [([], []), ([1], [(1, 1)]), ([1, 2, 3], [(1, 3)]), ([1, 3, 4, 9], [(1, 1), (3, 4), (9, 9)])],
)
def test_runs_of_days(days: list[int], expected: list[tuple[int, int]]) -> None:
    found = runs([date(2026, 1, day) for day in days])
    assert [(first.day, last.day) for first, last in found] == expected


def test_reading_by_hand_may_stop_at_an_earlier_moment(source: ScriptedSource, poller: Poller) -> None:
    source.script = [page(D, 1, [reading(D, "a")])]
    done = poller.collect(until=TODAY - DAY)
    assert {event.time for event in done.events} == {TODAY - DAY}
