"""What changed: revisions, readings taken back, seats given back; and nothing when nothing did."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.shared.errors import SourceChangedError
from services.shared.events.governance import Output
from services.shared.events.usage import Reading, SeatHolding
from services.usage_collector import revise
from services.usage_collector.facts import Known, digest_of, event_of, id_of, known

START = datetime(2026, 11, 17, tzinfo=UTC)


def reading(name: str, tokens: int = 1, revision: int = 0, *, retracted: bool = False) -> Reading:
    return Reading(
        reading_id=name,
        revision=revision,
        system="s",
        sku="k",
        charge_period_start=START,
        charge_period_end=START + timedelta(days=1),
        consumed={"input_tokens": Decimal(tokens)},
        retracted=retracted,
    )


def seat(person: str, since: str = "2026-01-10", released_on: date | None = None) -> SeatHolding:
    since_day = date.fromisoformat(since)
    return SeatHolding(system="s", sku="k", person=f"p-{person}", assigned_on=since_day, released_on=released_on)


def told(*facts: Reading) -> dict[revise.Key, Known]:
    return {revise.key_of(fact): known(fact) for fact in facts}


@pytest.mark.parametrize(
    ("before", "found", "revision"),
    [
        pytest.param(None, reading("a"), 0, id="new"),
        pytest.param(reading("a"), reading("a"), None, id="the same again"),
        pytest.param(reading("a", 1, 4), reading("a", 2), 5, id="other content is the next revision"),
        pytest.param(reading("a", 1, 4, retracted=True), reading("a", 1), 5, id="back after it was taken back"),
    ],
)
def test_revisions(before: Reading | None, found: Reading, revision: int | None) -> None:
    changes = revise.changed({revise.key_of(found): found}, told(before) if before else {})
    assert [change.revision for change in changes if isinstance(change, Reading)] == (
        [] if revision is None else [revision]
    )


def test_the_order_of_members_is_no_content() -> None:
    one = reading("a").model_copy(update={"dimensions": {"a": "1", "b": "2"}})
    other = reading("a").model_copy(update={"dimensions": {"b": "2", "a": "1"}})
    assert digest_of(one) == digest_of(other)


def test_an_output_is_told_once() -> None:
    output = Output(output_id="o", system="s", generated_at=START)
    later = output.model_copy(update={"model": "m"})
    assert revise.changed({revise.key_of(later): later}, {revise.key_of(output): known(output)}) == []


def test_two_that_differ_under_one_name_are_refused() -> None:
    assert len(revise.once([reading("a"), reading("a")], "vendor")) == 1
    with pytest.raises(SourceChangedError, match="same name and differ"):
        revise.once([reading("a"), reading("a", 2)], "vendor")


def test_what_is_gone_is_named_and_missing_days_are_left_alone() -> None:
    standing = {
        ("reading", "a"): date(2026, 11, 17),
        ("reading", "b"): date(2026, 11, 18),
        ("reading", "c"): date(2026, 11, 18),
    }
    found = {("reading", "c")}
    assert revise.gone(standing, found, [], "vendor") == [("reading", "a"), ("reading", "b")]
    assert revise.gone(standing, found, [date(2026, 11, 18)], "vendor") == [("reading", "a")]


@pytest.mark.parametrize(("stood", "believe", "refused"), [(9, False, False), (10, False, True), (10, True, False)])
def test_nothing_at_all_in_place_of_many_is_not_believed(stood: int, believe: bool, refused: bool) -> None:
    standing = {("reading", str(number)): START.date() for number in range(stood)}
    if refused:
        with pytest.raises(SourceChangedError, match="--believe-empty"):
            revise.gone(standing, {}, [], "vendor", believe_empty=believe)
    else:
        assert len(revise.gone(standing, {}, [], "vendor", believe_empty=believe)) == stood


def test_seats_that_are_gone_end_on_the_day_of_the_snapshot() -> None:
    now = revise.seats_now([seat("a"), seat("b")], [seat("a")], date(2026, 11, 17), "vendor")
    assert now == [seat("a"), seat("b", released_on=date(2026, 11, 17))]


def test_a_changed_assignment_is_no_new_seat() -> None:
    now = revise.seats_now([seat("a")], [seat("a", "2026-10-10")], date(2026, 11, 17), "vendor")
    assert now == [seat("a")]


def test_a_seat_given_again_is_a_new_one() -> None:
    assert revise.seats_now([], [seat("a", "2026-10-10")], date(2026, 11, 17), "vendor") == [seat("a", "2026-10-10")]


@pytest.mark.parametrize(
    ("assigned_on", "expected"),
    [("2025-01-01", "2026-11-16"), ("2026-11-16", "2026-11-16"), ("2026-11-17", "2026-11-17")],
)
def test_who_held_no_seat_at_the_last_look_holds_it_since_then_at_the_earliest(assigned_on: str, expected: str) -> None:
    found = [seat("a", assigned_on)]
    now = revise.seats_now([], found, date(2026, 11, 17), "vendor", read_to=date(2026, 11, 16))
    assert now == [seat("a", expected)]


def test_not_one_holder_left_is_not_believed() -> None:
    held = [seat(str(number)) for number in range(10)]
    with pytest.raises(SourceChangedError, match="seats stood"):
        revise.seats_now(held, [], date(2026, 11, 17), "vendor")


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.integers(1, 3)), max_size=8))
def test_what_was_told_last_is_what_the_vendor_says(states: list[dict[str, int]]) -> None:
    """Folding the told revisions gives the vendor's state, whatever it did; each revision is told once and in order."""
    before: dict[revise.Key, Known] = {}
    facts: dict[str, Reading] = {}
    events: dict[str, bytes] = {}
    for state in states:
        found = revise.once([reading(name, tokens) for name, tokens in state.items()], "vendor")
        changes = revise.changed(found, before)
        standing = {("reading", name): START.date() for name, fact in facts.items() if not fact.retracted}
        gone = [revise.retracted(facts[name]) for _, name in revise.gone(standing, found, [], "vendor")]
        for fact in [*changes, *gone]:
            assert isinstance(fact, Reading)
            assert fact.revision == (facts[fact.reading_id].revision + 1 if fact.reading_id in facts else 0)
            facts[id_of(fact)], before[revise.key_of(fact)] = fact, known(fact)
            event = event_of(fact, "vendor", START)
            assert event.id not in events
            events[event.id] = event.model_dump_json().encode()
        assert {name: fact.consumed["input_tokens"] for name, fact in facts.items() if not fact.retracted} == state
        assert revise.changed(found, before) == []
