"""What queries find on every store: what the entries themselves say, each once, however the log grows meanwhile."""

import random
from datetime import timedelta

import pytest
from sqlalchemy import insert, select, text

from services.audit_log.adapters import indexing, search
from services.audit_log.adapters.entries import read_entries, read_frontier
from services.audit_log.adapters.indexing import Indexer, clear_index, index_some, indexed_size, read_told
from services.audit_log.adapters.search import find, find_all
from services.audit_log.adapters.tables import SEARCH, facet
from services.audit_log.domain.search import Facet, Filter, facets_of, fits, key_of
from services.shared.events import Event
from tests.contract.log_contract import OnAStore, Program
from tests.unit.audit_log.events import at, generated, register_events, reviewed, used, window

WANTED = [
    pytest.param(Filter(), id="everything"),
    pytest.param(Filter(type="valvomo.ai.output.generated.v1"), id="a common type"),
    pytest.param(Filter(topic="valvomo.governance"), id="a topic"),
    pytest.param(Filter(topic="valvomo.register", unit="kymp"), id="a topic and a unit"),
    pytest.param(Filter(unit="kymp"), id="a unit"),
    pytest.param(Filter(unit="kymp", type="valvomo.ai.output.generated.v1"), id="two properties"),
    pytest.param(Filter(person="p-3"), id="a person, in whatever role"),
    pytest.param(Filter(output="o-7"), id="an output"),
    pytest.param(Filter(use_case="chat", unit="sote"), id="a use case of a unit"),
    pytest.param(Filter(system="now-assist", use_case="nothing-of-the-kind"), id="nothing"),
    pytest.param(Filter(since=at(1), until=at(3)), id="some hours"),
    pytest.param(Filter(since=at(2), person="p-3"), id="a person since"),
    pytest.param(Filter(until=at(1), topic="valvomo.usage"), id="a topic until"),
    pytest.param(Filter(since=at(900)), id="the future"),
    pytest.param(Filter(event_id="w-5"), id="an id of two sources"),
    pytest.param(Filter(event_id="w-5", source="test/usage"), id="an id of one source"),
    pytest.param(Filter(event_id="o-7.generated", unit="kymp"), id="an id that is of another unit"),
    pytest.param(Filter(source="test/other"), id="a source"),
]


class SearchContract(OnAStore):
    """Inherited by a test class per store."""

    def test_pages_hold_what_fits_each_once_while_the_log_grows(
        self, program: Program, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Against a plain look at every entry, for every question, both ways, with few entries looked at a page."""
        monkeypatch.setattr(search, "_LOOKED_AT", 60)
        monkeypatch.setattr(search, "_LOOKED_INTO", 20)
        monkeypatch.setattr(search, "_AT_LEAST", 7)
        for module in (search, indexing):
            monkeypatch.setattr(module, "BLOCK", 16)
        city = random.Random(6)
        grow(program, city, 30)
        for number, parameters in enumerate(WANTED):
            (wanted,) = parameters.values
            assert isinstance(wanted, Filter)
            for newest_first in (False, True):
                size, pages = paged(program, wanted, city, newest_first=newest_first, limit=3 + number % 9)
                expected = plain(program, wanted, size)
                assert pages == (expected[::-1] if newest_first else expected), parameters.id
        assert program.size() > 400

    def test_everything_that_fits_also_of_what_is_not_indexed_yet(self, program: Program) -> None:
        city = random.Random(1)
        grow(program, city, 5)
        publish_some(program, city)
        with program.service.store.reading() as connection:
            size = read_frontier(connection).size
            assert indexed_size(connection) < size, "or this shows nothing"
            for wanted in (Filter(), Filter(unit="kymp"), Filter(topic="valvomo.usage"), Filter(event_id="w-1")):
                assert list(find_all(connection, wanted, size - 1)) == plain(program, wanted, size - 1)

    def test_outputs_by_their_state(self, program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
        program.publish(*register_events(), *(generated(f"o-{number}") for number in range(6)))
        program.publish(reviewed("o-1"), reviewed("o-2", decision="rejected"), window(1))
        index_all(program)
        states = program.states()
        entries = {name: plain(program, Filter(output=name), program.size()) for name in states}
        for listed in (10, 1):
            monkeypatch.setattr(search, "_LISTED_OUTPUTS", listed)
            for state in ("pending", "approved", "rejected", "overdue"):
                expected = sorted(index for name in states if states[name] == state for index in entries[name])
                assert ask(program, Filter(state=state)) == expected, (state, listed)
        assert len(ask(program, Filter(state="approved"))) == 3, "the output, what is demanded, its review"
        assert ask(program, Filter(state="approved", type="valvomo.ai.review.decided.v1")) == [
            entries["o-1"][1]
        ]  # fmt: skip

    def test_contradictions_are_found_by_the_id_they_share(self, program: Program) -> None:
        program.publish(window(1), window(2))
        program.settle()
        program.publish(window(1).model_copy(update={"time": at(9)}))
        index_all(program)
        assert ask(program, Filter(event_id="w-1")) == plain(program, Filter(event_id="w-1"), 3)
        assert len(ask(program, Filter(event_id="w-1"))) == 2

    def test_what_only_shares_a_key_is_not_found(self, program: Program) -> None:
        program.publish(window(1), window(2))
        index_all(program)
        with program.service.store.transaction() as tx:
            tx.connection.execute(insert(facet), [{"key": key_of(Facet("unit", "kymp")), "seq": seq} for seq in (0, 1)])
        assert ask(program, Filter(unit="kymp")) == []

    def test_a_page_may_be_short_and_says_how_far_it_came(
        self, program: Program, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(search, "_LOOKED_AT", 10)
        monkeypatch.setattr(search, "_AT_LEAST", 10)
        program.publish(*(window(number) for number in range(30)))
        index_all(program)
        with program.service.store.reading() as connection:
            page = find(connection, Filter(source="nobody"), limit=5)
            assert page == ([], (9, 30), 30)
            page = find(connection, Filter(source="nobody"), after=19, before=30, limit=5)
            assert page.next is None or page.next == (29, 30)

    def test_the_index_is_made_in_portions_and_again_at_will(self, program: Program) -> None:
        grow(program, random.Random(2), 8)
        first = tables(program)
        with program.service.store.transaction() as tx:
            clear_index(tx)
        assert all(not rows or table == "indexed" for table, rows in tables(program).items())
        portions = 0
        while index_some(program.service.store, 17):
            portions += 1
        assert portions > 3
        assert tables(program) == first

    def test_nothing_is_indexed_twice_after_a_crash_in_between(
        self, program: Program, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        program.publish(*(window(number) for number in range(20)))
        program.settle()
        with monkeypatch.context() as patched:
            patched.setattr("services.audit_log.adapters.indexing.update", lambda _table: text("no such statement"))
            with pytest.raises(Exception, match="no attribute"):
                index_some(program.service.store)
        assert tables(program)["facet"] == []
        assert index_some(program.service.store) == 20
        assert len(tables(program)["facet"]) == 20

    def test_the_loop_gives_way_while_entries_come(self, program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
        program.publish(*(window(number) for number in range(25)))
        program.settle()
        monkeypatch.setattr("services.audit_log.adapters.indexing._ENTRIES_AT_ONCE", 10)
        monkeypatch.setattr("services.audit_log.adapters.indexing.index_some.__defaults__", (10,))
        busy = iter([True, False])
        indexer = Indexer(program.service.store, lambda: next(busy))
        pauses = [indexer.step() for _ in range(3)]
        assert pauses[0] > 0, "busy: a pause"
        assert pauses[1] == 0, "calm, and more to do"
        assert pauses[2] > 0, "nothing left"
        with program.service.store.reading() as connection:
            assert indexed_size(connection) == 25


def publish_some(program: Program, city: random.Random) -> None:
    """A few entries of a made-up city, at a later time than those before."""
    program.clock.advance(timedelta(minutes=city.randrange(5, 20)))
    events = [event for _ in range(4) for event in city.sample(_about_an_output(program, city), city.randrange(1, 6))]
    program.publish(*events)
    program.settle()


def _about_an_output(program: Program, city: random.Random) -> list[Event]:
    when, number = program.clock.now(), city.randrange(1_000_000)
    output = city.choice(["o-7", f"o-{number}"])
    unit, system = city.choice(["kymp", "sote"]), city.choice(["now-assist", "copilot"])
    case = city.choice(["chat", "benefits"])
    return [
        generated(output, when, unit=unit, system=system, use_case=case, requester=f"p-{city.randrange(5)}"),
        reviewed(output, when, review=f"r-{number}", reviewer=f"p-{city.randrange(5)}"),
        used(output, when, use=f"u-{number}", actor=f"p-{city.randrange(5)}"),
        window(city.randrange(100)),
        window(city.randrange(100), "test/other"),
    ]


def grow(program: Program, city: random.Random, times: int) -> None:
    program.publish(*register_events())
    for _ in range(times):
        publish_some(program, city)
    index_all(program)


def index_all(program: Program) -> None:
    program.settle()
    while index_some(program.service.store, 50):
        pass


def paged(
    program: Program, wanted: Filter, city: random.Random, *, newest_first: bool, limit: int
) -> tuple[int, list[int]]:
    """All pages one after the other, with entries coming between them; how many entries there were at the first."""
    found: list[int] = []
    rest: tuple[int, int] | None = (-1, 2**62)
    first_size, growths = None, 2
    while rest:
        with program.service.store.reading() as connection:
            page = find(connection, wanted, after=rest[0], before=rest[1], limit=limit, newest_first=newest_first)
        assert len(page.indexes) <= limit
        found += page.indexes
        rest = page.next
        first_size = page.size if first_size is None else first_size
        if growths and city.random() < 0.5:
            growths -= 1
            publish_some(program, city)
            index_all(program)
    assert first_size is not None
    return first_size, found


def ask(program: Program, wanted: Filter) -> list[int]:
    with program.service.store.reading() as connection:
        return find(connection, wanted, limit=1_000).indexes


def plain(program: Program, wanted: Filter, size: int) -> list[int]:
    """What fits, by looking at every entry."""
    with program.service.store.reading() as connection:
        read = [read_told(body) for body in read_entries(connection, 0, size)]
    return [index for index, told in enumerate(read) if told and fits(wanted, told, facets_of(told.event))]


def tables(program: Program) -> dict[str, list[tuple[object, ...]]]:
    """All that the index holds."""
    with program.service.store.reading() as connection:
        return {table.name: sorted(tuple(row) for row in connection.execute(select(table))) for table in SEARCH}
