"""The consumer loop: what one batch does to store, bus and metrics, and what a bad record costs."""

import gc
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import select

from services.shared.bus import Message, TopicPartition
from services.shared.bus.memory import MemoryBus
from services.shared.clock import SteppedClock
from services.shared.consumer import (
    ConsumerRunner,
    DeadLetterRunError,
    Delivered,
    RefusedRecordError,
    relax_garbage_collector,
)
from services.shared.errors import IncompatibleStoreError, InvalidEventError, StalePositionError, TransientError
from services.shared.events import DEAD_LETTER, OUTCOMES, TOPICS, USAGE, decode, encode
from services.shared.events.outcomes import RecordDeadLettered
from services.shared.events.usage import Reading, UsageRecorded
from services.shared.store import OutgoingMessage, Transaction
from services.shared.store.horizon import RebuildHorizon
from tests.contract.store_samples import METADATA, TALLY, sqlite_store

START = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
GROUP = "tally"
NOT_JSON = b'{"person": "Matti Virtanen"'


def usage(number: int, tokens: int = 1) -> bytes:
    return encode(
        UsageRecorded(
            id=f"r{number}.0",
            source="test/source",
            subject="claude-api",
            time=START,
            data=Reading(
                reading_id=f"r{number}",
                system="claude-api",
                sku="claude-sonnet-4-5",
                charge_period_start=START,
                charge_period_end=START + timedelta(hours=1),
                consumed={"input_tokens": str(tokens)},  # type: ignore[dict-item]  # as a sender writes it
            ),
        )
    )


class TallyHandler:
    """Counts readings in the database; does what a test plants before it writes, or after."""

    group = GROUP
    topics = (USAGE.name,)

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.before: Callable[[Sequence[Delivered]], None] = lambda batch: None
        self.after: Callable[[Sequence[Delivered]], None] = lambda batch: None

    def handle(self, batch: Sequence[Delivered], tx: Transaction) -> None:
        self.before(batch)
        self.batches.append([delivered.event.id for delivered in batch])
        tx.bulk_add(TALLY, ["day", "unit"], ["nano", "records"], [(1, "kymp", 7, 1) for _ in batch])
        tx.send([OutgoingMessage(f"told-{delivered.event.id}", "webhook", b"{}", recipient="r") for delivered in batch])
        self.after(batch)


def refuse(*ids: str) -> Callable[[Sequence[Delivered]], None]:
    def check(batch: Sequence[Delivered]) -> None:
        for delivered in batch:
            if delivered.event.id in ids:
                raise RefusedRecordError(delivered.record, "sku: not one of ours")

    return check


def refuse_without_a_name(*ids: str) -> Callable[[Sequence[Delivered]], None]:
    def check(batch: Sequence[Delivered]) -> None:
        if any(delivered.event.id in ids for delivered in batch):
            raise InvalidEventError("one of these cannot be")

    return check


class Bench:
    """A consumer on a memory bus of one partition and a SQLite store."""

    def __init__(self, path: Path) -> None:
        self.clock = SteppedClock(START)
        self.bus = MemoryBus(self.clock, partitions=1)
        self.bus.ensure_topics(TOPICS)
        self.store = sqlite_store(path)
        self.handler = TallyHandler()
        self.registry = CollectorRegistry()
        self.runner = self.another()

    def another(self, *, batch: int = 1_000, run: int = 100, horizon: RebuildHorizon | None = None) -> ConsumerRunner:
        return ConsumerRunner(
            self.handler,
            self.bus,
            self.store,
            self.clock,
            registry=self.registry,
            hash_key=b"key",
            batch_records=batch,
            dead_letter_run=run,
            horizon=horizon,
            poll_seconds=0.01,
        )

    def publish(self, *values: bytes) -> None:
        self.bus.publish([Message(USAGE.name, b"one", value) for value in values])

    def tally(self) -> int:
        with self.store.reading() as connection:
            return connection.execute(select(TALLY.c.records)).scalar() or 0

    def position(self) -> int | None:
        return self.store.positions(self.bus.cluster_id, GROUP).get(TopicPartition(USAGE.name, 0))

    def outgoing(self) -> list[OutgoingMessage]:
        return [pending.message for pending in self.store.pending(["bus", "webhook"], self.clock.now(), 10_000)]

    def letters(self) -> list[RecordDeadLettered]:
        found = [decode(message.value) for message in self.outgoing() if message.topic == OUTCOMES.name]
        return [event for event in found if isinstance(event, RecordDeadLettered)]

    def metric(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "sample.db")
    yield made
    made.runner.close()
    made.store.close()
    made.bus.close()


def test_a_batch_changes_rows_messages_and_position_together(bench: Bench) -> None:
    bench.publish(usage(1), usage(2))
    bench.runner.step()
    assert (bench.tally(), bench.position(), len(bench.outgoing())) == (2, 2, 2)
    assert bench.metric("valvomo_events_total", topic=USAGE.name, group=GROUP) == 2
    assert bench.metric("valvomo_consumer_lag", topic=USAGE.name, group=GROUP) == 0
    assert bench.metric("valvomo_consumer_stopped", group=GROUP) == 0


def test_the_status_says_how_far_the_group_is(bench: Bench) -> None:
    bench.publish(usage(1), usage(2))
    before = bench.runner.status()
    bench.runner.step()
    after = bench.runner.status()
    assert (before.caught_up, before.partitions[0].lag, before.partitions[0].position) == (False, 2, None)
    assert (after.caught_up, after.partitions[0].lag, after.partitions[0].position) == (True, 0, 2)


def test_a_new_runner_goes_on_where_the_store_stands(bench: Bench) -> None:
    bench.publish(usage(1))
    bench.runner.step()
    bench.runner.close()
    bench.publish(usage(2))
    bench.runner = bench.another()
    bench.runner.step()
    assert bench.handler.batches == [["r1.0"], ["r2.0"]]


@pytest.mark.parametrize(
    ("values", "refusal", "good", "bad"),
    [
        pytest.param([usage(1), NOT_JSON, usage(2)], refuse(), 2, [1], id="truncated JSON in the middle"),
        pytest.param([NOT_JSON], refuse(), 0, [0], id="nothing but one bad record"),
        pytest.param([usage(1), usage(2), usage(3)], refuse("r1.0"), 2, [0], id="the handler refuses the first"),
        pytest.param([usage(1), usage(2), usage(3)], refuse("r3.0"), 2, [2], id="the handler refuses the last"),
        pytest.param([usage(1), usage(2), usage(3)], refuse("r1.0", "r2.0", "r3.0"), 0, [0, 1, 2], id="refuses all"),
        pytest.param([usage(1), NOT_JSON, usage(2)], refuse("r2.0"), 1, [1, 2], id="both kinds side by side"),
        pytest.param(
            [usage(n) for n in range(9)], refuse_without_a_name("r4.0"), 8, [4], id="the handler cannot say which"
        ),
        pytest.param(
            [usage(n) for n in range(9)], refuse_without_a_name("r0.0", "r8.0"), 7, [0, 8], id="nor that there are two"
        ),
        pytest.param(
            [usage(n) for n in range(900)],
            refuse(*(f"r{n}.0" for n in range(0, 900, 30))),
            870,
            list(range(0, 900, 30)),
            id="thirty of a large batch",
        ),
    ],
)
def test_a_bad_record_is_set_aside_and_the_others_go_on(
    bench: Bench,
    values: list[bytes],
    refusal: Callable[[Sequence[Delivered]], None],
    good: int,
    bad: list[int],
) -> None:
    bench.handler.after = refusal
    bench.publish(*values)
    bench.runner.step()
    assert (bench.tally(), bench.position()) == (good, len(values))
    assert [letter.data.offset for letter in bench.letters()] == bad
    assert bench.metric("valvomo_dead_letters_total", group=GROUP) == len(bad)
    assert bench.metric("valvomo_events_total", topic=USAGE.name, group=GROUP) == good


def test_neither_log_nor_outcome_repeat_what_a_bad_record_said(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.publish(NOT_JSON)
    bench.runner.step()
    (outcome,) = [message.value for message in bench.outgoing() if message.topic == OUTCOMES.name]
    assert b"Virtanen" not in outcome
    assert "set aside" in (logged := "".join(capsys.readouterr()))
    assert "Virtanen" not in logged


def test_the_outcome_of_a_bad_record_has_the_same_bytes_at_any_hour(bench: Bench, tmp_path: Path) -> None:
    bench.publish(NOT_JSON)
    bench.runner.step()
    (first,) = [message for message in bench.outgoing() if message.topic == OUTCOMES.name]
    bench.clock.advance(timedelta(days=3))
    bench.runner.close()
    bench.store.close()
    bench.store = sqlite_store(tmp_path / "rebuilt.db")
    bench.runner = bench.another()
    bench.runner.step()
    (again,) = [message for message in bench.outgoing() if message.topic == OUTCOMES.name]
    assert again == first


class TestRuns:
    def test_a_run_in_one_batch_leaves_the_position_where_it_was(self, bench: Bench) -> None:
        runner = bench.another(run=3)
        bench.publish(usage(1), *[NOT_JSON] * 3, usage(2))
        with pytest.raises(DeadLetterRunError, match="3 records in a row"):
            runner.step()
        assert (bench.position(), bench.tally(), bench.outgoing()) == (None, 0, [])
        assert bench.metric("valvomo_consumer_stopped", group=GROUP) == 1

    def test_a_run_that_the_handler_finds_commits_none_of_it(self, bench: Bench) -> None:
        runner = bench.another(run=3)
        bench.handler.before = refuse("r2.0", "r3.0", "r4.0")
        bench.publish(*(usage(n) for n in range(1, 6)))
        with pytest.raises(DeadLetterRunError):
            runner.step()
        assert (bench.position(), bench.tally(), bench.letters()) == (1, 1, [])

    def test_a_run_is_counted_over_batches(self, bench: Bench) -> None:
        runner = bench.another(run=3, batch=1)
        bench.publish(NOT_JSON, NOT_JSON, NOT_JSON)
        runner.step()
        runner.step()
        with pytest.raises(DeadLetterRunError):
            runner.step()
        assert bench.position() == 2

    def test_a_good_record_ends_a_run(self, bench: Bench) -> None:
        runner = bench.another(run=3)
        bench.publish(NOT_JSON, NOT_JSON, usage(1), NOT_JSON, NOT_JSON)
        runner.step()
        bench.publish(usage(2))
        runner.step()
        assert (bench.position(), len(bench.letters())) == (6, 4)


class TestFaults:
    @pytest.mark.parametrize("when", ["before", "after"])
    def test_what_nobody_foresaw_stops_the_consumer_with_its_position_unmoved(self, bench: Bench, when: str) -> None:
        def fail(_batch: Sequence[Delivered]) -> None:
            raise ZeroDivisionError

        setattr(bench.handler, when, fail)
        bench.publish(usage(1))
        with pytest.raises(ZeroDivisionError):
            bench.runner.step()
        assert (bench.position(), bench.tally(), bench.outgoing()) == (None, 0, [])
        assert bench.metric("valvomo_consumer_stopped", group=GROUP) == 1

    @pytest.mark.parametrize("committed_before", [True, False])
    def test_after_a_passing_fault_the_same_records_come_again(self, bench: Bench, committed_before: bool) -> None:
        if committed_before:
            bench.publish(usage(0))
            bench.runner.step()

        def fail_once(_batch: Sequence[Delivered]) -> None:
            bench.handler.after = lambda batch: None
            raise TransientError("the database is away")

        bench.handler.after = fail_once
        bench.publish(usage(1), usage(2))
        with pytest.raises(TransientError):
            bench.runner.step()
        assert bench.tally() == (1 if committed_before else 0)
        bench.runner.step()
        assert bench.tally() == (3 if committed_before else 2)
        assert bench.handler.batches[-1] == bench.handler.batches[-2] == ["r1.0", "r2.0"]

    def test_a_batch_of_a_member_that_was_replaced_is_dropped(self, bench: Bench) -> None:
        """Another member commits what this one is about to commit; nothing is counted twice."""

        def overtake(_batch: Sequence[Delivered]) -> None:
            bench.handler.before = lambda batch: None
            with bench.store.transaction() as tx:
                tx.bulk_add(TALLY, ["day", "unit"], ["nano", "records"], [(1, "kymp", 7, 2)])
                tx.advance(bench.bus.cluster_id, GROUP, TopicPartition(USAGE.name, 0), None, 2)

        bench.publish(usage(1), usage(2), usage(3))
        stale = bench.runner
        poll = stale._joined().poll

        def poll_and_lose(timeout_seconds: float, max_records: int) -> object:
            records = poll(timeout_seconds, max_records)
            if records:
                overtake([])
                stale._joined().poll = poll  # type: ignore[method-assign]
            return records

        stale._joined().poll = poll_and_lose  # type: ignore[method-assign, assignment]
        assert stale.step() > 0
        assert (bench.tally(), bench.position()) == (2, 2)
        stale.step()
        assert (bench.tally(), bench.position()) == (3, 3)
        assert bench.handler.batches == [["r1.0", "r2.0", "r3.0"], ["r3.0"]]

    def test_a_handler_that_raises_stale_itself_is_no_stop(self, bench: Bench) -> None:
        def lose(_batch: Sequence[Delivered]) -> None:
            raise StalePositionError("someone was faster")

        bench.handler.after = lose
        bench.publish(usage(1))
        assert bench.runner.step() > 0
        assert bench.metric("valvomo_consumer_stopped", group=GROUP) == 0

    def test_a_database_of_another_bus_is_refused(self, bench: Bench) -> None:
        bench.store.bind("another-bus")
        with pytest.raises(IncompatibleStoreError, match="another-bus"):
            bench.runner.step()


class TestHorizon:
    def test_a_rebuild_sends_no_letters_and_knows_when_it_has_caught_up(self, bench: Bench) -> None:
        bench.publish(usage(1), NOT_JSON)
        horizon = RebuildHorizon(bench.store, METADATA, bench.bus, {GROUP: (USAGE.name,)})
        passed: list[bool] = []
        runner = bench.another(batch=1, horizon=horizon)
        for _ in range(2):
            with bench.store.reading() as connection:
                passed.append(horizon.passed(connection))
            runner.step()
        with bench.store.reading() as connection:
            passed.append(horizon.passed(connection))
        assert passed == [False, False, True]
        assert (bench.position(), bench.letters()) == (2, [])
        bench.publish(NOT_JSON)
        runner.step()
        assert [letter.data.offset for letter in bench.letters()] == [2]

    def test_it_survives_a_restart_and_does_not_move_with_the_bus(self, bench: Bench) -> None:
        bench.publish(usage(1), usage(2))
        RebuildHorizon(bench.store, METADATA, bench.bus, {GROUP: (USAGE.name,)})
        bench.another(batch=1).step()
        bench.publish(usage(3), usage(4))
        again = RebuildHorizon(bench.store, METADATA, bench.bus, {GROUP: (USAGE.name,)})
        partition = TopicPartition(USAGE.name, 0)
        assert [again.covers(GROUP, partition, offset) for offset in range(4)] == [True, True, False, False]

    def test_a_new_database_on_an_empty_bus_has_nothing_to_catch_up(self, bench: Bench) -> None:
        horizon = RebuildHorizon(bench.store, METADATA, bench.bus, {GROUP: (USAGE.name,)})
        with bench.store.reading() as connection:
            assert horizon.passed(connection)

    def test_a_database_that_has_read_already_gets_none(self, bench: Bench) -> None:
        bench.publish(usage(1))
        bench.runner.step()
        bench.publish(usage(2))
        horizon = RebuildHorizon(bench.store, METADATA, bench.bus, {GROUP: (USAGE.name,)})
        with bench.store.reading() as connection:
            assert horizon.passed(connection)


class TestSeveralMembers:
    def test_members_that_come_and_go_count_every_event_once(self, bench: Bench) -> None:
        """Three members in threads of their own; one leaves and another comes while the events flow."""
        bench.bus = MemoryBus(bench.clock, partitions=4)
        bench.bus.ensure_topics(TOPICS)
        events = [Message(USAGE.name, b"%d" % number, usage(number)) for number in range(600)]
        bench.bus.publish(events[:300])
        runners = [bench.another(batch=10) for _ in range(3)]
        for runner in runners:
            runner.handler = TallyHandler()
        lives = [40, 3, 40]

        def live(runner: ConsumerRunner, steps: int) -> None:
            for _ in range(steps):
                try:
                    runner.step()
                except TransientError:
                    continue
            runner.close()

        with ThreadPoolExecutor(3) as pool:
            done = [pool.submit(live, runner, steps) for runner, steps in zip(runners, lives, strict=True)]
            bench.bus.publish(events[300:])
            for one in done:
                one.result()
        bench.runner = bench.another()
        while not bench.runner.status().caught_up:
            bench.runner.step()
        assert bench.tally() == 600
        assert sum(bench.store.positions(bench.bus.cluster_id, GROUP).values()) == 600


def test_letters_go_to_the_dead_letter_topic_under_their_own_key(bench: Bench) -> None:
    bench.publish(NOT_JSON)
    bench.runner.step()
    assert [(message.topic, message.key) for message in bench.outgoing()] == [
        (DEAD_LETTER.name, b"one"),
        (OUTCOMES.name, b"valvomo.usage/0/0"),
    ]


def test_relaxing_the_garbage_collector_lets_a_batch_live_undisturbed() -> None:
    before = gc.get_threshold()
    try:
        relax_garbage_collector()
        assert gc.get_threshold()[0] > 10 * 5_000, "ten objects per event of a batch of the default size"
        assert gc.isenabled()
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
