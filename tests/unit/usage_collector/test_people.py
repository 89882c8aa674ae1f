"""Pseudonyms: the same for one person for good, told to nobody without the key."""

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert

from services.shared.clock import SteppedClock
from services.shared.errors import ConfigurationError
from services.shared.events import decode, event_id
from services.shared.events.governance import PseudonymsJoined
from services.shared.events.log import PersonErased
from services.shared.settings import Settings
from services.shared.store import Store
from services.shared.store.open import open_store
from services.usage_collector.adapters.people import StoredPeople, open_people
from services.usage_collector.adapters.tables import METADATA, PERSON_JOINED
from services.usage_collector.erasing import erase, find_subject
from services.usage_collector.joining import all_of
from services.usage_collector.people import People, normalised
from tests.contract.migrations_match import assert_migrations_match

KEY = bytes(range(32))
NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)
LATER = datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(Settings(data_dir=tmp_path), "collector", METADATA)


@pytest.fixture
def people(store: Store) -> People:
    return People(KEY, StoredPeople(store))


def test_one_person_keeps_one_pseudonym(people: People, store: Store) -> None:
    first = people.pseudonym("aino@example.org")
    assert first == people.pseudonym("aino@example.org")
    assert first == People(KEY, StoredPeople(store)).pseudonym("aino@example.org"), "also after a restart"
    assert first != people.pseudonym("eero@example.org")
    assert first.startswith("p-")
    assert "aino" not in first


@pytest.mark.parametrize(
    "spelling", ["AINO@Example.org", "  aino@example.org\n", "\uff41\uff49\uff4e\uff4f@example.org"]
)
def test_spelling_makes_no_second_person(people: People, spelling: str) -> None:
    assert people.pseudonym(spelling) == people.pseudonym("aino@example.org")


@given(st.text())
def test_normalising_twice_changes_nothing(name: str) -> None:
    assert normalised(normalised(name)) == normalised(name)


def test_two_ids_of_one_person_lead_to_one_pseudonym(people: People) -> None:
    both = people.pseudonym("aino@example.org", "user_1")
    assert people.pseudonym("user_1") == both
    assert people.pseudonym("aino.uusi@example.org", "user_1") == both, "a new mail address, the same id"
    assert people.pseudonym("aino.uusi@example.org") == both


def test_of_two_known_pseudonyms_the_first_id_decides(people: People) -> None:
    by_mail, by_id = people.pseudonym("aino@example.org"), people.pseudonym("user_1")
    assert people.pseudonym("aino@example.org", "user_1") == by_mail
    assert people.pseudonym("user_1") == by_id


def joinings(store: Store) -> list[tuple[str, str]]:
    """What was told of pseudonyms that became one, as (old, new), in the order of telling."""
    events = [decode(one.message.value) for one in store.pending(["bus"], LATER, 100)]
    return [(event.data.old, event.data.new) for event in events if isinstance(event, PseudonymsJoined)]


class TestJoining:
    def test_two_pseudonyms_of_one_person_are_told_once(self, people: People, store: Store) -> None:
        by_mail, by_id = people.pseudonym("aino@example.org"), people.pseudonym("user_1")
        assert joinings(store) == []
        for again in (people, people, People(KEY, StoredPeople(store))):
            again.pseudonym("aino@example.org", "user_1")
        assert joinings(store) == [(by_id, by_mail)]

    def test_the_event_names_it_for_good(self, store: Store) -> None:
        people = People(KEY, StoredPeople(store, SteppedClock(NOW)))
        new, old = people.pseudonym("aino@example.org"), people.pseudonym("user_1")
        people.pseudonym("aino@example.org", "user_1")
        [waiting] = store.pending(["bus"], LATER, 100)
        event = decode(waiting.message.value)
        assert (waiting.message.topic, waiting.message.key) == ("valvomo.governance", old.encode())
        assert (event.id, event.time) == (event_id("pseudonyms-joined", old, new), NOW)
        assert b"aino" not in waiting.message.value

    def test_the_other_way_round_it_is_the_same_person(self, people: People, store: Store) -> None:
        mail, number = people.pseudonym("aino@example.org"), people.pseudonym("user_1")
        people.pseudonym("aino@example.org", "user_1")
        assert people.pseudonym("user_1", "aino@example.org") == number, "the first known id decides"
        assert joinings(store) == [(number, mail)]

    def test_three_become_one_without_a_word_too_many(self, people: People, store: Store) -> None:
        one, two, three = (people.pseudonym(name) for name in ("one", "two", "three"))
        people.pseudonym("one", "two")
        people.pseudonym("three", "two")
        people.pseudonym("one", "three")
        assert joinings(store) == [(two, one), (one, three)], "what two was joined to is joined on"

    def test_who_meets_for_the_first_time_is_not_joined(self, people: People, store: Store) -> None:
        people.pseudonyms([("aino@example.org", "user_1"), ("eero@example.org",), ("user_1", "aino@example.org")])
        assert joinings(store) == []

    def test_a_circle_that_two_collectors_made_is_no_trap(self, people: People, store: Store) -> None:
        one, two, three = (people.pseudonym(name) for name in ("one", "two", "three"))
        with store.transaction() as tx:
            rows = [{"old": old, "new": new, "joined_at": NOW} for old, new in ((one, two), (two, one))]
            tx.connection.execute(insert(PERSON_JOINED), rows)
        people.pseudonym("one", "three")
        with store.reading() as connection:
            assert all_of(connection, three) == sorted([one, two, three])

    @pytest.mark.parametrize("known_by", ["aino@example.org", "user_1"])
    def test_all_pseudonyms_of_somebody_are_erased_together(self, people: People, store: Store, known_by: str) -> None:
        pseudonyms = {people.pseudonym("aino@example.org"), people.pseudonym("user_1")}
        people.pseudonym("aino@example.org", "user_1")
        eero = people.pseudonym("eero@example.org")
        subject = find_subject(store, people, known_by)
        assert (set(subject.pseudonyms), subject.ids, len(set(subject.key_ids))) == (pseudonyms, 2, 2)
        erase(store, subject, legal_basis="GDPR 17", approver="dpo", now=NOW)
        told = [decode(one.message.value) for one in store.pending(["bus"], LATER, 100)]
        assert {event.data.key_id for event in told if isinstance(event, PersonErased)} == set(subject.key_ids)
        fresh = People(KEY, StoredPeople(store))
        assert not pseudonyms & {fresh.pseudonym("aino@example.org"), fresh.pseudonym("user_1")}
        assert fresh.pseudonym("eero@example.org") == eero
        with store.reading() as connection:
            assert [all_of(connection, name) for name in sorted(pseudonyms)] == [[name] for name in sorted(pseudonyms)]


def test_the_migrations_make_the_tables_that_the_code_names(store: Store) -> None:
    assert_migrations_match(METADATA, "services.usage_collector.migrations", store)


def test_many_at_once(people: People) -> None:
    many = [(f"person-{number}@example.org", f"{number:032x}") for number in range(2_000)]
    found = people.pseudonyms(many)
    assert len(set(found.values())) == 2_000
    assert people.pseudonyms(many) == found
    assert people.pseudonyms([]) == {}


def test_the_same_person_twice_in_one_batch(people: People) -> None:
    found = people.pseudonyms([("aino@example.org", "user_1"), ("user_1",), ("AINO@example.org",)])
    assert len(set(found.values())) == 1


def test_who_it_is_can_be_asked_with_the_key_only(people: People, store: Store) -> None:
    pseudonym = people.pseudonym("Aino@example.org", "user_1")
    assert people.who(pseudonym) == "Aino@example.org"
    assert people.who("p-unknown") is None
    with pytest.raises(ConfigurationError, match="another key"):
        People(bytes(32), StoredPeople(store)).who(pseudonym)


def test_the_database_alone_names_nobody(people: People, tmp_path: Path) -> None:
    people.pseudonym("aino@example.org", "user_1")
    assert sum(b"aino" in path.read_bytes() for path in tmp_path.glob("collector.db*")) == 0


def test_two_collectors_that_meet_somebody_at_once_agree(store: Store) -> None:
    barrier, found = threading.Barrier(8), list[str]()

    def meet() -> None:
        people = People(KEY, StoredPeople(store))
        barrier.wait()
        found.append(people.pseudonym("aino@example.org", "user_1"))

    threads = [threading.Thread(target=meet) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert People(KEY, StoredPeople(store)).who(found[0]) == "aino@example.org"


def test_who_was_erased_elsewhere_is_forgotten_within_a_tenth_of_a_second(store: Store) -> None:
    now = [0.0]
    people = People(KEY, StoredPeople(store), ticks=lambda: now[0])
    pseudonym = people.pseudonym("aino@example.org")
    decided = {"legal_basis": "GDPR 17", "approver": "dpo", "now": datetime(2026, 11, 22, tzinfo=UTC)}
    erase(store, find_subject(store, people, "aino@example.org"), **decided)  # type: ignore[arg-type]
    now[0] = 0.1
    assert people.pseudonym("aino@example.org") != pseudonym


@pytest.mark.postgres
def test_people_on_postgresql(postgres_url: str, tmp_path: Path) -> None:
    store = open_store(Settings(data_dir=tmp_path, store=postgres_url), "collector", METADATA)  # type: ignore[arg-type]
    try:
        people = open_people(tmp_path, store)
        pseudonym = people.pseudonym("aino@example.org", "user_1")
        assert open_people(tmp_path, store).pseudonym("user_1") == pseudonym
        assert people.who(pseudonym) == "aino@example.org"
        other = people.pseudonym("aino.uusi@example.org")
        people.pseudonym("aino@example.org", "aino.uusi@example.org")
        assert joinings(store) == [(other, pseudonym)]
        assert set(find_subject(store, people, other).pseudonyms) == {pseudonym, other}
        assert_migrations_match(METADATA, "services.usage_collector.migrations", store)
    finally:
        store.close()
