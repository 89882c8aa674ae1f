"""What every store keeps, whatever database it stands on."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, insert, select, text
from sqlalchemy.exc import IntegrityError

from services.shared.bus import TopicPartition
from services.shared.errors import IncompatibleStoreError, StalePositionError, TransientError
from services.shared.store import OutgoingMessage, Store, Transaction
from services.shared.store.faults import RefusedStatementError
from services.shared.store.migrate import draft, migrate
from services.shared.store.tables import micros
from tests.contract.migrations_match import assert_migrations_match
from tests.contract.store_samples import COMMON, METADATA, PACKAGE, SAMPLE, TALLY

NOW = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC)
COLUMNS = ("digest", "number", "label", "flag", "seen_at")
FIRST, SECOND = TopicPartition("valvomo.usage", 0), TopicPartition("valvomo.usage", 1)
UNALIKE = [HealthCheck.function_scoped_fixture, HealthCheck.differing_executors]
"""The property holds on every store, and clears its table itself."""
SECRET = "matti.virtanen@example.org"


def sample(number: int, label: str | None = "a") -> tuple[Any, ...]:
    return (number.to_bytes(16), number, label, number % 2 == 0, micros(NOW))


def letter(message_id: str, destination: str = "bus", value: bytes = b"{}") -> OutgoingMessage:
    if destination == "bus":
        return OutgoingMessage(message_id, "bus", value, topic="valvomo.charges", key=b"k")
    return OutgoingMessage(message_id, destination, value, recipient="finance-kymp")  # type: ignore[arg-type]


def numbers(store: Store) -> list[int]:
    with store.reading() as connection:
        return list(connection.execute(select(SAMPLE.c.number).order_by(SAMPLE.c.number)).scalars())


def tallies(store: Store) -> list[tuple[Any, ...]]:
    with store.reading() as connection:
        return [tuple(row) for row in connection.execute(select(TALLY).order_by(TALLY.c.day, TALLY.c.unit))]


def sent_ids(store: Store, *destinations: str, at: datetime = NOW, limit: int = 1_000) -> list[str]:
    return [pending.message.message_id for pending in store.pending(destinations or ("bus",), at, limit)]


class StoreContract(ABC):
    """Inherit it, and say how a store is opened: empty the first time, then on the same data."""

    @abstractmethod
    def open_store(self) -> Store:
        """Another store, as another process would open it, on this test's database."""

    @pytest.fixture(autouse=True)
    def _database(self, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[None]:
        self.tmp_path, self.request = tmp_path, request
        self.opened: list[Store] = []
        yield
        for store in self.opened:
            store.close()

    @pytest.fixture
    def store(self) -> Store:
        return self.another()

    def another(self) -> Store:
        self.opened.append(self.open_store())
        return self.opened[-1]

    # One transaction

    def test_rows_messages_and_positions_are_committed_together(self, store: Store) -> None:
        with store.transaction() as tx:
            self._write_all_three(tx)
        assert numbers(store) == [1]
        assert store.positions("c", "g") == {FIRST: 5}
        assert sent_ids(store) == ["m1"]

    @pytest.mark.parametrize("fault", [ZeroDivisionError, KeyboardInterrupt, TransientError])
    def test_rows_messages_and_positions_are_rolled_back_together(
        self, store: Store, fault: type[BaseException]
    ) -> None:
        def fail() -> None:
            with store.transaction() as tx:
                self._write_all_three(tx)
                raise fault("planted")

        with pytest.raises(fault):
            fail()
        assert (numbers(store), store.positions("c", "g"), sent_ids(store)) == ([], {}, [])

    def _write_all_three(self, tx: Transaction) -> None:
        tx.bulk_insert(SAMPLE, COLUMNS, [sample(1)])
        tx.advance("c", "g", FIRST, None, 5)
        tx.send([letter("m1")])

    def test_what_was_committed_is_there_for_the_next_process(self, store: Store) -> None:
        with store.transaction() as tx:
            self._write_all_three(tx)
        store.close()
        again = self.another()
        assert (numbers(again), again.positions("c", "g"), sent_ids(again)) == ([1], {FIRST: 5}, ["m1"])

    def test_a_reader_keeps_its_view_and_waits_for_no_writer(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.bulk_insert(SAMPLE, COLUMNS, [sample(1)])
        count = select(func.count()).select_from(SAMPLE)
        with store.reading() as view:
            assert view.execute(count).scalar() == 1
            with store.transaction() as tx:
                tx.bulk_insert(SAMPLE, COLUMNS, [sample(2)])
                assert view.execute(count).scalar() == 1
            assert view.execute(count).scalar() == 1
        assert numbers(store) == [1, 2]

    def test_a_reader_cannot_write(self, store: Store) -> None:
        def write() -> None:
            with store.reading() as connection:
                connection.execute(delete(SAMPLE))

        with pytest.raises((RefusedStatementError, TransientError)):
            write()

    def test_two_writers_of_two_processes_lose_nothing(self, store: Store) -> None:
        stores = [store, self.another()]

        def write(which: int) -> None:
            for _ in range(25):
                with stores[which % 2].transaction() as tx:
                    # In opposite orders: a database that locks row by row must not see them so.
                    rows = [(day, "kymp", 1, 1) for day in range(10)]
                    tx.bulk_add(TALLY, ["day", "unit"], ["nano", "records"], rows if which % 2 else rows[::-1])

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(write, range(4)))
        assert tallies(store) == [(day, "kymp", 100, 100) for day in range(10)]

    # Bulk paths

    def test_bulk_rows_come_back_as_they_went(self, store: Store) -> None:
        rows = [sample(0, None), sample(1, ""), sample(2, "Käyttö 🌲 \t\n\\N"), sample(2**62)]
        with store.transaction() as tx:
            assert tx.bulk_insert(SAMPLE, COLUMNS, rows) == 4
        with store.reading() as connection:
            found = [tuple(row) for row in connection.execute(select(SAMPLE).order_by(SAMPLE.c.number))]
        assert found == [(*row[:4], NOW) for row in rows]

    def test_no_rows_are_no_work(self, store: Store) -> None:
        with store.transaction() as tx:
            assert tx.bulk_insert(SAMPLE, COLUMNS, []) == 0
            assert tx.bulk_insert(SAMPLE, COLUMNS, [], ignore_conflicts=True) == 0
            tx.bulk_add(TALLY, ["day", "unit"], ["nano", "records"], [])
            tx.send([])

    @pytest.mark.parametrize("size", [1, 3, 250])
    def test_rows_that_stand_already_are_passed_over_when_asked(self, store: Store, size: int) -> None:
        with store.transaction() as tx:
            tx.bulk_insert(SAMPLE, COLUMNS, [sample(0, "first")])
            assert tx.bulk_insert(SAMPLE, COLUMNS, [sample(n) for n in range(size)], ignore_conflicts=True) == size - 1
            assert tx.bulk_insert(SAMPLE, COLUMNS, [sample(n) for n in range(size)], ignore_conflicts=True) == 0
            again = [sample(900), sample(900, "twice in one call")]
            assert tx.bulk_insert(SAMPLE, COLUMNS, again, ignore_conflicts=True) == 1
        with store.reading() as connection:
            assert connection.execute(select(SAMPLE.c.label).where(SAMPLE.c.number == 0)).scalar() == "first"
        assert len(numbers(store)) == size + 1

    @pytest.mark.parametrize(
        "row",
        [
            pytest.param((b"x", -1, None, True, None), id="a check fails"),
            pytest.param((b"x", None, None, True, None), id="a null where none may be"),
        ],
    )
    def test_passing_over_conflicts_passes_over_nothing_else(self, store: Store, row: Sequence[Any]) -> None:
        def write() -> None:
            with store.transaction() as tx:
                tx.bulk_insert(SAMPLE, COLUMNS, [row], ignore_conflicts=True)

        with pytest.raises(RefusedStatementError):
            write()

    def test_a_wrong_type_is_refused_and_not_bent(self, store: Store) -> None:
        def write() -> None:
            with store.transaction() as tx:
                tx.bulk_insert(SAMPLE, COLUMNS, [(b"x", "not a number", None, True, None)])

        with pytest.raises((RefusedStatementError, TypeError, ValueError)):
            write()
        assert numbers(store) == []

    @settings(max_examples=25, suppress_health_check=UNALIKE, deadline=None)
    @given(st.lists(st.lists(st.tuples(st.integers(0, 3), st.sampled_from("ab"), st.integers(-(2**40), 2**40)))))
    def test_sums_are_those_of_the_rows_in_any_number_of_calls(
        self, store: Store, calls: list[list[tuple[int, str, int]]]
    ) -> None:
        expected: dict[tuple[int, str], list[int]] = {}
        with store.transaction() as tx:
            tx.connection.execute(delete(TALLY))
            for call in calls:
                tx.bulk_add(TALLY, ["day", "unit"], ["nano", "records"], [(*row, 1) for row in call])
                for day, unit, nano in call:
                    total = expected.setdefault((day, unit), [0, 0])
                    total[0], total[1] = total[0] + nano, total[1] + 1
        assert tallies(store) == [(*key, *expected[key]) for key in sorted(expected)]

    def test_many_sums_at_once(self, store: Store) -> None:
        rows = [(day, "kymp", day, 1) for day in range(3_000)]
        with store.transaction() as tx:
            tx.bulk_add(TALLY, ["day", "unit"], ["nano", "records"], rows)
            tx.bulk_add(TALLY, ["day", "unit"], ["nano", "records"], rows)
        assert tallies(store) == [(day, "kymp", 2 * day, 2) for day in range(3_000)]

    @pytest.mark.parametrize("size", [1, 3_000])
    def test_put_rows_take_the_place_of_those_of_their_keys(self, store: Store, size: int) -> None:
        with store.transaction() as tx:
            tx.bulk_put(SAMPLE, COLUMNS, [sample(number, "first") for number in range(size)])
            tx.bulk_put(SAMPLE, COLUMNS, [])
            tx.bulk_put(SAMPLE, COLUMNS, [sample(size - 1, "second"), sample(size, "second")])
        with store.reading() as connection:
            rows = connection.execute(select(SAMPLE.c.number, SAMPLE.c.label).order_by(SAMPLE.c.number)).all()
        first = [(number, "first") for number in range(size - 1)]
        assert [tuple(row) for row in rows] == [*first, (size - 1, "second"), (size, "second")]

    def test_several_bulk_calls_in_one_transaction_do_not_mix(self, store: Store) -> None:
        with store.transaction() as tx:
            assert tx.bulk_insert(SAMPLE, COLUMNS, [sample(1)], ignore_conflicts=True) == 1
            assert tx.bulk_insert(SAMPLE, ("digest", "number", "flag"), [(b"y", 2, True)], ignore_conflicts=True) == 1
        assert numbers(store) == [1, 2]

    # Positions

    @pytest.mark.parametrize(
        ("expected", "new", "moves"),
        [
            pytest.param(None, 9, False, id="believing there is none"),
            pytest.param(4, 9, False, id="believing an older one"),
            pytest.param(6, 9, False, id="believing a newer one"),
            pytest.param(5, 9, True, id="believing the one that stands"),
        ],
    )
    def test_a_position_moves_only_from_where_it_stands(
        self, store: Store, expected: int | None, new: int, moves: bool
    ) -> None:
        def advance(believed: int | None, to: int) -> None:
            with store.transaction() as tx:
                tx.bulk_insert(SAMPLE, COLUMNS, [sample(to)])
                tx.advance("c", "g", FIRST, believed, to)

        advance(None, 5)
        if moves:
            advance(expected, new)
        else:
            with pytest.raises(StalePositionError):
                advance(expected, new)
        assert store.positions("c", "g") == {FIRST: 9 if moves else 5}
        assert numbers(store) == ([5, 9] if moves else [5])

    def test_a_position_that_never_was_cannot_move(self, store: Store) -> None:
        with pytest.raises(StalePositionError), store.transaction() as tx:
            tx.advance("c", "g", FIRST, 0, 5)

    def test_of_two_who_move_at_once_one_wins(self, store: Store) -> None:
        stores, gate = [store, self.another()], threading.Barrier(2)

        def advance(which: int) -> bool:
            gate.wait()
            try:
                with stores[which].transaction() as tx:
                    tx.bulk_insert(SAMPLE, COLUMNS, [sample(which)])
                    tx.advance("c", "g", FIRST, None, 10 + which)
            except StalePositionError:
                return False
            return True

        with ThreadPoolExecutor(2) as pool:
            won = list(pool.map(advance, range(2)))
        winner = won.index(True)
        assert sorted(won) == [False, True]
        assert (store.positions("c", "g"), numbers(store)) == ({FIRST: 10 + winner}, [winner])

    def test_positions_are_kept_apart_by_bus_group_and_partition(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.advance("c", "g", FIRST, None, 1)
            tx.advance("c", "g", SECOND, None, 2)
            tx.advance("c", "other", FIRST, None, 3)
            tx.advance("other", "g", FIRST, None, 4)
            assert tx.positions("c", "g") == {FIRST: 1, SECOND: 2}
            assert tx.positions("c", "g", [SECOND, TopicPartition("valvomo.usage", 7)]) == {SECOND: 2}
            assert tx.positions("c", "g", []) == {}
        assert store.positions("other", "g") == {FIRST: 4}
        assert store.positions("c", "other", [FIRST]) == {FIRST: 3}

    # Outbox

    def test_messages_come_back_whole_and_in_the_order_of_making(self, store: Store) -> None:
        messages = [letter(f"m{n}", value=bytes([n])) for n in range(20)] + [letter("mail", "mail")]
        for some in (messages[:7], messages[7:]):
            with store.transaction() as tx:
                tx.send(some)
        found = store.pending(["bus", "mail"], NOW, 100)
        assert [pending.message for pending in found] == messages
        assert [pending.attempts for pending in found] == [0] * 21
        assert [pending.sequence for pending in found] == sorted({pending.sequence for pending in found})
        assert sent_ids(store, "mail") == ["mail"]
        assert sent_ids(store, "bus", limit=2) == ["m0", "m1"]
        assert sent_ids(store, "webhook") == []

    def test_a_message_id_makes_one_message(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.send([letter("m1", value=b"first"), letter("m1", value=b"second")])
        with store.transaction() as tx:
            tx.send([letter("m1", value=b"third")])
        assert [pending.message.value for pending in store.pending(["bus"], NOW, 10)] == [b"first"]

    @pytest.mark.parametrize("destination", ["mail", "webhook"])
    def test_a_mail_that_left_never_leaves_again(self, store: Store, destination: str) -> None:
        for _ in range(2):
            with store.transaction() as tx:
                tx.send([letter("crossing-1", destination)])
            store.mark_sent([pending.sequence for pending in store.pending([destination], NOW, 10)], NOW)
        with store.reading() as connection:
            rows = connection.execute(select(COMMON.outbox.c.sent_at, COMMON.outbox.c.attempts)).all()
        assert [tuple(row) for row in rows] == [(NOW, 1)]

    def test_messages_for_the_bus_are_forgotten_when_they_left(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.send([letter(f"m{n}") for n in range(2_500)])
        left = [pending.sequence for pending in store.pending(["bus"], NOW, 2_400)]
        store.mark_sent(left, NOW)
        assert len(sent_ids(store)) == 100
        with store.reading() as connection:
            assert connection.execute(select(func.count()).select_from(COMMON.outbox)).scalar() == 100

    def test_a_message_that_failed_waits_for_its_time(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.send([letter("m1", "mail"), letter("m2", "mail")])
        first = store.pending(["mail"], NOW, 1)[0].sequence
        later = NOW + timedelta(minutes=1)
        store.mark_failed(first, "the server did not answer", later)
        assert sent_ids(store, "mail") == ["m2"]
        assert sent_ids(store, "mail", at=later - timedelta(microseconds=1)) == ["m2"]
        assert [(p.message.message_id, p.attempts) for p in store.pending(["mail"], later, 9)] == [("m1", 1), ("m2", 0)]
        assert store.pending_counts() == {("mail", "waiting"): 2}

    def test_a_message_that_is_given_up_is_counted_and_not_offered(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.send([letter("m1", "webhook"), letter("m2")])
        store.mark_failed(store.pending(["webhook"], NOW, 1)[0].sequence, "410 Gone", None)
        assert sent_ids(store, "webhook", at=NOW + timedelta(days=400)) == []
        assert store.pending_counts() == {("webhook", "given_up"): 1, ("bus", "waiting"): 1}

    def test_a_message_that_is_postponed_waits_and_was_not_tried(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.send([letter("m1", "mail"), letter("m2", "mail"), letter("m3", "mail")])
        first, second, _ = (pending.sequence for pending in store.pending(["mail"], NOW, 9))
        store.mark_sent([first], NOW)
        later = NOW + timedelta(hours=13)
        store.postpone([first, second], later)
        assert sent_ids(store, "mail", at=later - timedelta(microseconds=1)) == ["m3"]
        assert [(p.message.message_id, p.attempts) for p in store.pending(["mail"], later, 9)] == [("m2", 0), ("m3", 0)]

    def test_a_failure_told_late_does_not_revive_what_left(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.send([letter("m1", "mail")])
        (pending,) = store.pending(["mail"], NOW, 1)
        store.mark_sent([pending.sequence], NOW)
        store.mark_failed(pending.sequence, "timeout", NOW)
        assert sent_ids(store, "mail") == []

    # Work for one

    def test_only_one_holds_a_name(self, store: Store) -> None:
        other = self.another()
        with store.exclusive("relay") as first, other.exclusive("relay") as second, store.exclusive("relay") as third:
            assert (first, second, third) == (True, False, False)
            with other.exclusive("notifier") as elsewhere:
                assert elsewhere
        with other.exclusive("relay") as again:
            assert again

    def test_a_name_is_free_again_after_a_fault(self, store: Store) -> None:
        with pytest.raises(ZeroDivisionError), store.exclusive("relay"):
            raise ZeroDivisionError
        with self.another().exclusive("relay") as mine:
            assert mine

    # Whose database it is

    def test_a_database_follows_one_bus(self, store: Store) -> None:
        store.bind("bus-1")
        self.another().bind("bus-1")
        with pytest.raises(IncompatibleStoreError, match=r"bus-1.*bus-2"):
            store.bind("bus-2")

    # Migrations

    def test_migrations_make_what_the_metadata_declares(self, store: Store) -> None:
        assert_migrations_match(METADATA, PACKAGE, store)
        assert draft(store, METADATA).count("op.") == 0

    def test_a_second_start_changes_nothing(self, store: Store) -> None:
        with store.transaction() as tx:
            self._write_all_three(tx)
        migrate(store, METADATA, PACKAGE)
        assert numbers(store) == [1]

    def test_two_who_start_at_once_wait_for_each_other(self) -> None:
        with ThreadPoolExecutor(4) as pool:
            opened = list(pool.map(lambda _: self.another(), range(4)))
        assert [numbers(store) for store in opened] == [[]] * 4

    def test_a_database_of_a_newer_program_is_refused(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.connection.execute(text("UPDATE alembic_version SET version_num = '0999'"))
        with pytest.raises(IncompatibleStoreError, match=r"0999.*newer program"):
            migrate(store, METADATA, PACKAGE)

    # Faults

    def test_an_error_tells_table_and_place_but_no_value(self, store: Store) -> None:
        def write() -> None:
            with store.transaction() as tx:
                tx.connection.execute(insert(SAMPLE).values(digest=b"1", number=1, label=SECRET, flag=True))
                tx.connection.execute(insert(SAMPLE).values(digest=b"2", number=1, label=SECRET, flag=True))

        with pytest.raises(
            RefusedStatementError, match=r"sample.*store_contract\.py|store_contract\.py.*sample"
        ) as told:
            write()
        assert SECRET not in f"{told.value!r} {told.value.__cause__} {getattr(told.value, '__notes__', '')}"
        assert told.value.__suppress_context__

    def test_inside_the_block_a_handler_may_catch_what_the_database_says(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.bulk_insert(SAMPLE, COLUMNS, [sample(1)])
            with pytest.raises(IntegrityError), tx.connection.begin_nested():
                tx.connection.execute(insert(SAMPLE).values(digest=b"2", number=1, flag=True))
        assert numbers(store) == [1]

    def test_instants_keep_their_microseconds_whatever_their_zone(self, store: Store) -> None:
        helsinki = NOW.astimezone(timezone(timedelta(hours=2)))
        with store.transaction() as tx:
            tx.connection.execute(insert(SAMPLE).values(digest=b"1", number=1, flag=False, seen_at=helsinki))
            found = tx.connection.execute(select(SAMPLE.c.seen_at).where(SAMPLE.c.seen_at == NOW)).scalar_one()
        assert (found, found.tzinfo) == (NOW, UTC)
