from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.cost_alerts.domain.seats import Count, Holding, Product, SeatLedger, day_parts
from services.shared.events import register as facts
from tests.unit.cost_alerts.domain.city import PUBLISHED, book, tariff

PRODUCT = Product("copilot", "M365")
DAY = date(2026, 10, 14)
SEEN = datetime(2026, 10, 14, 12, tzinfo=UTC)


def price(amount: str = "31.00", **members: object) -> facts.Tariff:
    return tariff(
        amount,
        **{"system": "copilot", "sku": "M365", "meter": "seats", "model": "per_seat_month", "per": "1", **members},
    )


def placed(person: str, unit: str) -> facts.Placement:
    return facts.Placement(person=person, unit=unit, valid_from=date(2026, 1, 1))


persons = st.integers(0, 8).map(lambda number: f"p-{number}x")


@given(
    amount=st.decimals(min_value="0.01", max_value=1000, places=2),
    purchased=st.integers(1, 600),
    holders=st.frozensets(persons),
    units=st.dictionaries(persons, st.sampled_from(["a", "b", "c"])),
)
def test_the_parts_of_a_day_add_up_to_the_day(
    amount: object, purchased: int, holders: frozenset[str], units: dict[str, str]
) -> None:
    view = book([price(str(amount)), *(placed(person, unit) for person, unit in units.items())]).view(1)
    alone = book([price(str(amount))]).view(1)
    [whole] = day_parts(alone, PRODUCT, DAY, purchased, frozenset())
    parts = day_parts(view, PRODUCT, DAY, purchased, holders)
    assert sum(part.amounts[1] or 0 for part in parts) == whole.amounts[1]
    assert sum(part.seats for part in parts) == max(purchased, len(holders))


def test_the_days_of_a_month_add_up_to_the_monthly_price_but_for_their_roundings() -> None:
    view = book([price("30.00")]).view(1)
    days = [date(2026, 10, number) for number in range(1, 32)]
    total = sum(day_parts(view, PRODUCT, day, 1, frozenset())[0].amounts[1] or 0 for day in days)
    assert abs(total - 30 * 10**9) <= 31


def test_a_price_may_change_in_mid_month() -> None:
    changed = date(2026, 10, 15)
    view = book([price("31", valid_to=changed), price("62", id="new", valid_from=changed)]).view(1)
    found = [day_parts(view, PRODUCT, date(2026, 10, day), 1, frozenset())[0].amounts[1] for day in (14, 15)]
    assert found == [10**9, 2 * 10**9]


def ledger(counts: list[Count], holdings: list[Holding] | None = None) -> SeatLedger:
    return SeatLedger(book([price(), placed("p-1x", "kymp")]), PRODUCT, counts, holdings or [])


def shape(found: SeatLedger, day: date) -> list[tuple[datetime, dict[str, int]]]:
    """Recorded time and seats by unit of each stretch of a day's history."""
    return [(one.recorded_at, {part.line.owner.unit: part.seats for part in one.parts}) for one in found.history(day)]


def test_a_day_is_charged_once_it_or_a_later_one_was_counted() -> None:
    found = ledger([Count(DAY, 0, 5, SEEN), Count(DAY + timedelta(days=3), 0, 7, SEEN + timedelta(days=3))])
    assert shape(found, DAY - timedelta(days=1)) == []
    assert shape(found, DAY) == [(SEEN, {"unallocated": 5})]
    assert shape(found, DAY + timedelta(days=1)) == [(SEEN + timedelta(days=3), {"unallocated": 5})]
    assert shape(found, DAY + timedelta(days=4)) == []


def test_what_came_in_one_day_is_one_change_of_mind() -> None:
    later = [SEEN + timedelta(minutes=number) for number in range(3)]
    found = ledger([Count(DAY, number, number + 1, moment) for number, moment in enumerate(later)])
    assert shape(found, DAY) == [(later[-1], {"unallocated": 3})]


def test_another_day_is_another_change_of_mind() -> None:
    held = Holding("p-1x", date(2026, 10, 1), 0, None, SEEN)
    given_back = Holding("p-1x", date(2026, 10, 1), 1, DAY, SEEN + timedelta(days=2))
    found = ledger([Count(DAY, 0, 1, SEEN)], [held, given_back])
    assert shape(found, DAY) == [(SEEN, {"kymp": 1}), (SEEN + timedelta(days=2), {"unallocated": 1})]


@given(st.permutations([Count(DAY, number, number, SEEN + timedelta(hours=number % 3)) for number in range(5)]))
def test_the_order_of_asking_does_not_matter(counts: list[Count]) -> None:
    assert shape(ledger(counts), DAY) == [(SEEN + timedelta(hours=2), {"unallocated": 4})]


def test_a_register_of_later_days_restates() -> None:
    versions = book([], [price()])
    found = SeatLedger(versions, PRODUCT, [Count(DAY, 0, 1, PUBLISHED - timedelta(days=1))], [])
    assert [(one.version, one.parts[0].line.reason) for one in found.history(DAY)] == [(0, "no tariff"), (2, None)]
