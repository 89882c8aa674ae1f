from datetime import UTC, date, datetime, timedelta
from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.cost_alerts.domain.agreements.agreement import Known, Part
from services.cost_alerts.domain.agreements.all import agreements
from services.cost_alerts.domain.agreements.history import Row, evenings, history
from services.cost_alerts.domain.agreements.seating import Count, Holding, Observed, Product, marked_days
from services.cost_alerts.domain.agreements.seats import SeatLedger
from services.shared.events import prices
from services.shared.events import register as facts
from services.shared.events.envelope import Fact
from services.shared.periods import helsinki_day
from tests.unit.cost_alerts.domain.city import PUBLISHED, book, tariff

UNHURRIED = settings(deadline=None)  # how busy the machine is says nothing about the code

PRODUCT = Product("copilot", "M365")
DAY = date(2026, 10, 14)
SEEN = datetime(2026, 10, 14, 12, tzinfo=UTC)


def price(amount: str = "31.00", **members: object) -> prices.Tariff:
    return tariff(
        amount,
        **{"system": "copilot", "sku": "M365", "meter": "seats", "model": "per_seat_month", "per": "1", **members},
    )


def placed(person: str, unit: str) -> facts.Placement:
    return facts.Placement(person=person, unit=unit, valid_from=date(2026, 1, 1))


def parts_of(held: list[Fact], day: date, purchased: int, holders: frozenset[str] = frozenset()) -> list[Part]:
    """What a day costs when so many seats are known to be bought, and who holds one."""
    view = book(held).view(1)
    [seats] = [one for one in agreements(view, "copilot", ["M365"]) if one.key == "seats:copilot/M365"]
    counts = [Count(day, 0, purchased, SEEN)]
    holdings = [Holding(person, day, 0, None, SEEN) for person in holders]
    [cycle] = seats.cycles(day, day)
    return list(seats.parts(view, cycle, Known(day, seats={"M365": Observed.at(SEEN, counts, holdings)})))


persons = st.integers(0, 8).map(lambda number: f"p-{number}x")


@UNHURRIED
@given(
    amount=st.decimals(min_value="0.01", max_value=1000, places=2),
    purchased=st.integers(1, 600),
    holders=st.frozensets(persons),
    units=st.dictionaries(persons, st.sampled_from(["a", "b", "c"])),
)
def test_the_parts_of_a_day_add_up_to_the_day(
    amount: object, purchased: int, holders: frozenset[str], units: dict[str, str]
) -> None:
    [whole] = parts_of([price(str(amount))], DAY, purchased)
    parts = parts_of([price(str(amount)), *(placed(*one) for one in units.items())], DAY, purchased, holders)
    assert sum(part.amounts[1] or 0 for part in parts) == whole.amounts[1]
    assert sum(part.list_nano or 0 for part in parts) == whole.list_nano
    assert sum(part.quantity for part in parts) == max(purchased, len(holders))


def test_the_days_of_a_month_add_up_to_the_monthly_price_but_for_their_roundings() -> None:
    days = [date(2026, 10, number) for number in range(1, 32)]
    total = sum(parts_of([price("30.00")], day, 1)[0].amounts[1] or 0 for day in days)
    assert abs(total - 30 * 10**9) <= len(days)


def ledger(counts: list[Count], holdings: list[Holding] | None = None) -> SeatLedger:
    return SeatLedger(book([price(), placed("p-1x", "kymp")]), PRODUCT, counts, holdings or [])


def shape(found: SeatLedger, day: date) -> list[tuple[datetime, dict[str, int], datetime | None]]:
    """From when until when which unit was charged how many seats of a day."""
    return [
        (row.recorded_at, {row.part.line.owner.unit: int(row.part.quantity)}, row.superseded_at)
        for row in found.history(day)
    ]


def test_a_day_is_charged_once_it_or_a_later_one_was_counted() -> None:
    later = SEEN + timedelta(days=3)
    found = ledger([Count(DAY, 0, 5, SEEN), Count(DAY + timedelta(days=3), 0, 7, later)])
    assert shape(found, DAY - timedelta(days=1)) == []
    assert shape(found, DAY) == [(SEEN, {"unallocated": 5}, None)]
    assert shape(found, DAY + timedelta(days=1)) == [(later, {"unallocated": 5}, None)]
    assert shape(found, DAY + timedelta(days=4)) == []


def test_what_came_in_one_day_is_one_change_of_mind() -> None:
    later = [SEEN + timedelta(minutes=number) for number in range(3)]
    found = ledger([Count(DAY, number, number + 1, moment) for number, moment in enumerate(later)])
    assert shape(found, DAY) == [(later[-1], {"unallocated": 3}, None)]


def test_a_cut_off_keeps_apart_what_was_known_before_it() -> None:
    later = [SEEN + timedelta(minutes=number) for number in range(3)]
    found = ledger([Count(DAY, number, number + 1, moment) for number, moment in enumerate(later)])
    rows = [(row.recorded_at, int(row.part.quantity)) for row in found.history(DAY, [later[1]])]
    assert rows == [(later[1], 2), (later[2], 3)]


def test_another_day_is_another_change_of_mind() -> None:
    held = Holding("p-1x", date(2026, 10, 1), 0, None, SEEN)
    given_back = Holding("p-1x", date(2026, 10, 1), 1, DAY, SEEN + timedelta(days=2))
    found = ledger([Count(DAY, 0, 1, SEEN)], [held, given_back])
    changed = SEEN + timedelta(days=2)
    assert shape(found, DAY) == [(SEEN, {"kymp": 1}, changed), (changed, {"unallocated": 1}, None)]


def test_seats_that_a_later_count_takes_back_are_charged_no_more() -> None:
    gone = SEEN + timedelta(days=1)
    found = ledger([Count(DAY, 0, 5, SEEN), Count(DAY, 1, 0, gone)])
    assert shape(found, DAY) == [(SEEN, {"unallocated": 5}, gone)]


@UNHURRIED
@given(st.permutations([Count(DAY, number, number, SEEN + timedelta(hours=number % 3)) for number in range(5)]))
def test_the_order_of_asking_does_not_matter(counts: list[Count]) -> None:
    assert shape(ledger(counts), DAY) == [(SEEN + timedelta(hours=1), {"unallocated": 4}, None)]


def test_a_register_of_later_days_restates() -> None:
    versions = book([], [price()])
    found = SeatLedger(versions, PRODUCT, [Count(DAY, 0, 1, PUBLISHED - timedelta(days=1))], []).history(DAY)
    assert [(row.recorded_at, row.part.line.reason) for row in found] == [
        (PUBLISHED - timedelta(days=1), "no tariff"),
        (versions.published_at(2), None),
    ]


days = st.integers(0, 6).map(lambda number: DAY + timedelta(days=number))
hours = st.integers(0, 200).map(lambda number: PUBLISHED + timedelta(hours=number))
a_count = st.builds(Count, days, st.integers(0, 2), st.integers(0, 5), hours)
a_holding = st.builds(Holding, persons, days, st.integers(0, 2), st.none() | days, hours)


@UNHURRIED
@given(st.lists(a_count, max_size=8), st.lists(a_holding, max_size=12), st.lists(hours, max_size=2))
def test_the_sweep_is_the_plain_reckoning_at_every_moment(
    counts: list[Count], holdings: list[Holding], cut_offs: list[datetime]
) -> None:
    """Every evening, from everything known by then: slowly, and beyond doubt the same."""
    units: list[Fact] = [placed("p-1x", "kymp"), placed("p-2x", "sote")]
    versions = book([price()], [price("62"), *units], [price("62"), *units, placed("p-3x", "kymp")])
    fast = SeatLedger(versions, PRODUCT, counts, holdings)
    published = [versions.published_at(version) for version in (1, 2, 3)]
    moments = evenings(
        [*(one.recorded_at for one in counts), *(one.recorded_at for one in holdings), *published], cut_offs
    )

    def parts_at(moment: datetime, day: date) -> list[Part]:
        view = versions.view(versions.version_at(moment))
        [seats] = agreements(view, "copilot", ["M365"])
        [cycle] = seats.cycles(day, day)
        known = Known(day, seats={"M365": Observed.at(moment, counts, holdings)})
        return list(seats.parts(view, cycle, known))

    for day in (DAY, DAY + timedelta(days=3)):
        slow = history(moments, lambda moment, day=day: parts_at(moment, day))  # type: ignore[misc]
        assert _told(fast.history(day, cut_offs), cut_offs) == _told(slow, cut_offs)


def _told(rows: list[Row], cut_offs: list[datetime]) -> list[str]:
    """Rows by the stretch of recording that they begin and end in: within one, any moment is as good."""

    def stretch(moment: datetime | None) -> object:
        return moment and (helsinki_day(moment), [moment <= cut_off for cut_off in sorted(cut_offs)])

    return sorted(repr((row.part.effect, stretch(row.recorded_at), stretch(row.superseded_at))) for row in rows)


@pytest.mark.slow
def test_a_year_of_five_hundred_holders_is_charged_in_seconds_not_minutes() -> None:
    first = date(2026, 1, 1)
    counts = [
        Count(first + timedelta(days=n), 0, 520, datetime(2026, 1, 1, 6, tzinfo=UTC) + timedelta(days=n))
        for n in range(365)
    ]
    recorded = datetime(2026, 1, 1, 7, tzinfo=UTC)
    holdings = [Holding(f"p-{n}xx", first + timedelta(days=n % 300), 0, None, recorded) for n in range(500)]
    people: list[Fact] = [placed(f"p-{number}xx", f"unit-{number % 12}") for number in range(500)]
    found = SeatLedger(book([price(), *people]), PRODUCT, counts, holdings)
    began = perf_counter()
    rows = sum(len(found.history(first + timedelta(days=number))) for number in range(365))
    assert rows > 365
    assert perf_counter() - began < 10  # two on a machine that is busy with much else


@pytest.mark.parametrize(
    ("marks", "days_found"),
    [
        pytest.param([(DAY, DAY)], [DAY], id="a day between two counts of its neighbours"),
        pytest.param([(DAY + timedelta(days=9), DAY + timedelta(days=9))], [], id="a day behind the last count"),
    ],
)
def test_marks_reach_the_days_that_their_counts_speak_for(
    marks: list[tuple[date, date]], days_found: list[date]
) -> None:
    counted = [DAY - timedelta(days=1), DAY, DAY + timedelta(days=1)]
    assert marked_days(marks, counted) == days_found
