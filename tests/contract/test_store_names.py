"""The index of names that were seen answers as a dictionary would, on both stores, however rows wander inside."""

import random
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from services.shared.errors import TransientError
from services.shared.store import Store, Transaction, names
from services.shared.store.faults import RefusedStatementError
from services.shared.store.names import DIGEST_BYTES, digest_of, digests_of
from tests.contract.store_samples import METADATA, NAMES, postgres_store, sqlite_store
from tests.servers.postgres import PostgresServer


@contextmanager
def ending(store: Store, *, well: bool) -> Iterator[Transaction]:
    """A transaction that is committed, or rolled back."""
    with suppress(ZeroDivisionError), store.transaction() as tx:
        yield tx
        if not well:
            raise ZeroDivisionError


class NameIndexContract(ABC):
    @abstractmethod
    def open_store(self) -> Store: ...

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        self.tmp_path = tmp_path
        made = self.open_store()
        yield made
        made.close()

    @pytest.mark.parametrize("seed", range(3))
    def test_it_answers_as_a_dictionary_would(self, store: Store, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(names, "_RECENT_AT_LEAST", 300)  # so that rows wander from the first batches on
        chance, known = random.Random(seed), dict[bytes, int]()
        for batch in range(40):
            new = {chance.randbytes(DIGEST_BYTES): len(known) + n for n in range(chance.randrange(1, 120))}
            old = chance.sample(sorted(known), min(len(known), 30))
            with ending(store, well=batch % 7 != 3) as tx:
                assert NAMES.lookup(tx, [*new, *old]) == {digest: known[digest] for digest in old}
                NAMES.add(tx, new)
                assert NAMES.lookup(tx, [*new, *old]) == new | {digest: known[digest] for digest in old}
            known |= new if batch % 7 != 3 else {}
        with store.transaction() as tx:
            assert NAMES.lookup(tx, list(known)) == known
        with store.reading() as connection:
            some = chance.sample(sorted(known), 50)
            assert NAMES.find(connection, [*some, chance.randbytes(DIGEST_BYTES)]) == {one: known[one] for one in some}
        assert len(known) > 1_000

    def test_a_name_that_was_added_meanwhile_is_never_added_twice(self, store: Store) -> None:
        with store.transaction() as tx:
            NAMES.add(tx, [(digest_of("a", "b"), 1)])
        with pytest.raises((TransientError, RefusedStatementError)), store.transaction() as tx:
            NAMES.add(tx, [(digest_of("a", "b"), 2)])
        with store.transaction() as tx:
            assert NAMES.lookup(tx, [digest_of("a", "b")]) == {digest_of("a", "b"): 1}

    def test_names_are_added_together_when_all_are_new_or_not_at_all(self, store: Store) -> None:
        first, second, third = (digest_of("a", str(number)) for number in range(3))
        with store.transaction() as tx:
            assert NAMES.add_if_new(tx, {first: 1, second: 2})
            assert not NAMES.add_if_new(tx, {third: 3, second: 4})
            assert NAMES.lookup(tx, [first, second, third]) == {first: 1, second: 2}
        with store.transaction() as tx:
            assert not NAMES.add_if_new(tx, {first: 5})
            assert NAMES.add_if_new(tx, {third: 3})
        with store.reading() as connection:
            assert NAMES.find(connection, [first, second, third]) == {first: 1, second: 2, third: 3}

    def test_what_others_have_written_is_found(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        """Another process, and what was there at the start: a little of it is read at a time, none of it is missed."""
        monkeypatch.setattr(names, "_LOADED_AT_ONCE", 10)
        known = {digest_of("a", str(number)): number for number in range(500)}
        with store.transaction() as tx:
            NAMES.add(tx, known)
        other = self.open_store()
        try:
            for number in range(500, 520):
                with other.transaction() as tx:
                    assert NAMES.lookup(tx, list(known)) == known
                added = digest_of("a", str(number))
                with store.transaction() as tx:
                    assert NAMES.add_if_new(tx, {added: number})
                known[added] = number
                with other.transaction() as tx:
                    assert not NAMES.add_if_new(tx, {added: number, digest_of("b"): 0})
        finally:
            other.close()

    def test_nothing_is_found_and_added_when_nothing_is_asked(self, store: Store) -> None:
        with store.transaction() as tx:
            NAMES.add(tx, [])
            assert NAMES.lookup(tx, []) == {}


class TestNamesOnSqlite(NameIndexContract):
    def open_store(self) -> Store:
        return sqlite_store(self.tmp_path / "sample.db")

    def test_the_small_table_stays_small(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(names, "_RECENT_AT_LEAST", 300)
        chance = random.Random(1)
        for start in range(0, 6_000, 100):
            with store.transaction() as tx:
                NAMES.add(tx, [(chance.randbytes(DIGEST_BYTES), start + n) for n in range(100)])
        with store.reading() as connection:
            counts = [
                connection.execute(select(func.count()).select_from(METADATA.tables[table])).scalar_one()
                for table in ("seen_name_recent", "seen_name")
            ]
        assert counts[0] <= 300
        assert sum(counts) == 6_000

    def test_a_guess_of_another_database_costs_no_more_than_a_round(
        self, monkeypatch: pytest.MonkeyPatch, store: Store
    ) -> None:
        """A rolled back batch leaves the bookkeeping too high; moving then finds nothing to move, and must end."""
        monkeypatch.setattr(names, "_RECENT_AT_LEAST", 300)
        for _ in range(20):
            with ending(store, well=False) as tx:
                NAMES.add(tx, [(random.randbytes(DIGEST_BYTES), n) for n in range(200)])
        with store.transaction() as tx:
            NAMES.add(tx, [(digest_of("a"), 1)])
            assert NAMES.lookup(tx, [digest_of("a")]) == {digest_of("a"): 1}


class TestNamesOnPostgres(NameIndexContract):
    @pytest.fixture(autouse=True)
    def _url(self, postgres_server: PostgresServer) -> Iterator[None]:
        with postgres_server.database() as self.url:
            yield

    def open_store(self) -> Store:
        return postgres_store(self.url)


@given(st.lists(st.text(max_size=4), max_size=4), st.lists(st.text(max_size=4), max_size=4))
def test_different_names_have_different_digests(first: list[str], second: list[str]) -> None:
    assert (digest_of(*first) == digest_of(*second)) == (first == second)


@given(st.lists(st.tuples(st.text(max_size=4), st.text(max_size=4))))
def test_digests_of_many_are_those_of_each(some: list[tuple[str, str]]) -> None:
    assert digests_of(some) == [digest_of(*one) for one in some]
