"""What holds for every agreement: parts add up, order decides, days add up to the price, amendments go on."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.cost_alerts.domain.agreements.agreement import Agreement, Known, Metered, Part, Spent
from services.cost_alerts.domain.agreements.all import agreements
from services.cost_alerts.domain.agreements.reckoning import as_decimal, parted, share_of_day
from services.cost_alerts.domain.agreements.split import split, whole_weights
from services.cost_alerts.domain.agreements.terms import anniversary
from services.cost_alerts.domain.allocation import NOBODY, Owner
from services.cost_alerts.domain.pricing import Line
from services.cost_alerts.domain.view import View
from services.shared.events import register as facts
from services.shared.events.envelope import Fact
from services.shared.money import to_nano
from services.shared.periods import day_start
from tests.unit.cost_alerts.domain.city import book, contract, pool, tariff, use

UNHURRIED = settings(deadline=None)  # how busy the machine is says nothing about the code

FIRST, LAST = date(2026, 10, 1), date(2026, 10, 31)
OVER = date(2026, 11, 1)
MORNING = datetime(2026, 10, 1, 6, tzinfo=UTC)

prices = st.decimals(min_value="0.01", max_value=100_000, places=2).map(str)
quantities = st.decimals(min_value="0.001", max_value=2000, places=3)
persons = st.integers(0, 4).map(lambda number: f"p-{number}xx")
hours = st.integers(0, 31 * 24 - 12)
uses = st.lists(st.tuples(hours, persons, quantities), max_size=12)


def placed(person: str, unit: str, since: date = date(2026, 1, 1), until: date | None = None) -> facts.Placement:
    return facts.Placement(person=person, unit=unit, valid_from=since, valid_to=until)


PEOPLE: list[Fact] = [placed(f"p-{number}xx", f"unit-{number % 3}") for number in range(5)]


def metered(found: Sequence[tuple[int, str, Decimal]]) -> list[Metered]:
    """Readings that begin so many hours after the first morning of October, in order."""
    made = [
        Metered(use(MORNING + timedelta(hours=hour), person=person), (quantity,), None, estimated=False)
        for hour, person, quantity in found
    ]
    return sorted(made, key=lambda one: one.use.start)


def the(key: str, view: View) -> Agreement:
    return next(one for one in agreements(view, "claude") if one.key == key)


def parts_of(key: str, held: Sequence[Fact], known: Known, first: date = FIRST, last: date = LAST) -> list[Part]:
    view = book(held).view(1)
    agreement = the(key, view)
    return [
        part
        for cycle in agreement.cycles(first, last)
        for part in agreement.parts(view, cycle, known)
        if first <= part.day <= last
    ]


def total(parts: Sequence[Part]) -> int:
    return sum(part.amounts[0] or 0 for part in parts)


@UNHURRIED
@given(prices, uses, st.sampled_from(["usage", "headcount"]))
def test_the_days_of_a_pool_add_up_to_its_price(price: str, found: list[tuple[int, str, Decimal]], by: str) -> None:
    bought = contract(terms=[pool(price=price, size="0", overage="none", share={"by": by})])
    parts = parts_of("pool:c/p", [bought, *PEOPLE], Known(OVER, metered(found)))
    assert total([part for part in parts if part.line.category == "Purchase"]) == to_nano(Decimal(price))


@UNHURRIED
@given(uses, st.integers(0, 5000))
def test_inside_and_beyond_a_pool_are_all_that_was_used(found: list[tuple[int, str, Decimal]], size: int) -> None:
    held = [contract(terms=[pool(price="0", size=str(size))]), tariff("2", per="1"), *PEOPLE]
    parts = parts_of("pool:c/p", held, Known(OVER, metered(found)))
    used = sum((quantity for _, _, quantity in found), Decimal(0))
    inside = [part for part in parts if part.line.tariff == "c/p"]
    assert sum(part.quantity for part in parts) == used
    assert sum(part.quantity for part in inside) == min(used, Decimal(size))
    assert total(parts) == to_nano(max(used - size, Decimal(0)) * 2)
    assert sum(part.list_nano or 0 for part in parts) == to_nano(used * 2)


TIERS = [{"up_to": "100", "price": "3"}, {"up_to": "1000", "price": "2"}, {"price": "1"}]


@UNHURRIED
@given(uses)
def test_graduated_tiers_cost_what_the_months_sum_costs(found: list[tuple[int, str, Decimal]]) -> None:
    held = [tariff(None, model="graduated", tiers=TIERS, per="1"), *PEOPLE]
    parts = parts_of("tariff:claude/sonnet/input_tokens", held, Known(OVER, metered(found)))
    used = sum((quantity for _, _, quantity in found), Decimal(0))
    tiers = [min(used, Decimal(100)), min(max(used - 100, Decimal(0)), Decimal(900)), max(used - 1000, Decimal(0))]
    assert total(parts) == to_nano(3 * tiers[0] + 2 * tiers[1] + tiers[2])
    assert sum(part.quantity for part in parts) == used


@UNHURRIED
@given(uses, st.integers(1, 3000))
def test_packages_of_a_month_cost_what_the_rounded_sum_costs(
    found: list[tuple[int, str, Decimal]], package: int
) -> None:
    held = [tariff("2", per="1", round_up={"to": str(package), "per": "month"}), *PEOPLE]
    parts = parts_of("tariff:claude/sonnet/input_tokens", held, Known(OVER, metered(found)))
    used = Fraction(sum((quantity for _, _, quantity in found), Decimal(0)))
    assert total(parts) == -(-used // package) * package * 2 * 10**9


@pytest.mark.parametrize("first", [0, 1], ids=["the one first", "the other first"])
def test_of_readings_of_one_moment_the_first_given_draws_first(first: int) -> None:
    given_ones = [(5, "p-0xx", Decimal(1000)), (5, "p-1xx", Decimal(1000))]
    readings = metered([given_ones[first], given_ones[1 - first]])
    held = [contract(terms=[pool(price="0")]), tariff("2", per="1"), *PEOPLE]
    parts = parts_of("pool:c/p", held, Known(OVER, readings))
    assert {part.line.owner.unit: part.amounts[0] for part in parts} == {
        f"unit-{first}": 0,
        f"unit-{1 - first}": to_nano(Decimal(2000)),
    }


def test_what_a_pool_took_back_can_be_used_again() -> None:
    """A credit note of a reported cost refills a pool of money."""
    system = facts.System(id="claude", vendor="v", name="c", owner="ict", price_from="reported")
    money = {"kind": "pool", "id": "p", "measure": "cost", "burns": "EUR", "size": "100", "price": "0"}
    costs = [Decimal(80), Decimal(-50), Decimal(60), Decimal(20)]
    readings = [
        Metered(use(MORNING + timedelta(hours=hour), cost_currency="EUR"), (Decimal(1),), cost, estimated=False)
        for hour, cost in enumerate(costs)
    ]
    held = [system, contract(terms=[{**money, "currency": "EUR"}]), *PEOPLE]
    parts = parts_of("pool:c/p", held, Known(OVER, readings))
    assert total(parts) == to_nano(Decimal(10))


def test_no_part_is_told_twice_of_what_is_alike() -> None:
    held = [contract(terms=[pool(price="31", overage_share={"by": "headcount"})]), tariff("2", per="1"), *PEOPLE]
    readings = metered([(hour, f"p-{hour % 5}xx", Decimal(700)) for hour in range(9)])
    parts = parts_of("pool:c/p", held, Known(OVER, readings))
    names = [(part.day, part.sku, part.line, part.estimated) for part in parts]
    assert len(names) == len(set(names))


AMENDED = date(2026, 10, 15)


@pytest.mark.parametrize(
    ("second", "inside"),
    [
        pytest.param(pool(price="0"), 1000, id="the same term goes on"),
        pytest.param(pool(price="0", size="1001"), 1000 + 500, id="another size begins anew"),
    ],
)
def test_an_amendment_goes_on_with_a_term_that_stays_the_same(second: dict[str, object], inside: int) -> None:
    held = [
        contract(terms=[pool(price="0")], valid_to=AMENDED),
        contract(terms=[second], valid_from=AMENDED, vat_rate="0.255"),
        tariff("2", per="1"),
    ]
    readings = metered([(24, "p-0xx", Decimal(1000)), (24 * 20, "p-0xx", Decimal(500))])
    parts = parts_of("pool:c/p", held, Known(OVER, readings))
    assert sum(part.quantity for part in parts if part.line.tariff == "c/p") == inside


def test_a_cycle_that_the_register_no_longer_knows_costs_nothing() -> None:
    before = book([contract(terms=[pool()])]).view(1)
    [cycle] = [one for one in the("pool:c/p", before).cycles(FIRST, FIRST) if one.starts.month == FIRST.month]
    after = book([contract(terms=[pool()], time_zone="Europe/Helsinki")]).view(1)
    assert the("pool:c/p", before).parts(before, cycle, Known(OVER))
    assert the("pool:c/p", after).parts(after, cycle, Known(OVER)) == ()


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/Los_Angeles", "Europe/Helsinki"])
@pytest.mark.parametrize("kind", ["tariff", "pool", "fee"])
def test_every_moment_of_a_day_lies_in_exactly_one_of_its_cycles(zone: str, kind: str) -> None:
    """Whatever the contract's zone is: who asks for the cycles of a reading's Helsinki day gets the reading's own."""
    fee = {"kind": "fee", "id": "f", "sku": "s", "amount": "1", "currency": "EUR"}
    held = [
        tariff(None, model="graduated", tiers=TIERS, per="1", time_zone=zone),
        contract(terms=[pool(), fee], time_zone=zone),
    ]
    view = book(held).view(1)
    [agreement] = [one for one in agreements(view, "claude") if one.key.startswith(kind)]
    for day in (FIRST, LAST, date(2026, 12, 31)):
        cycles = list(agreement.cycles(day, day))
        for hour in range(0, 24, 3):
            moment = day_start(day) + timedelta(hours=hour)
            assert [one for one in cycles if one.starts <= moment < one.ends] == [
                one for one in agreement.cycles(date(2026, 1, 1), date(2027, 12, 31)) if one.starts <= moment < one.ends
            ]
            assert len([one for one in cycles if one.starts <= moment < one.ends]) == 1


def test_the_cycles_of_all_time_have_an_end() -> None:
    view = book([tariff(None, model="graduated", tiers=TIERS, per="1"), contract(terms=[pool()])]).view(1)
    for agreement in agreements(view, "claude"):
        cycles = list(agreement.cycles(date.min, date.max))
        assert len(cycles) == (2101 - 2026) * 12
        assert all(one.ends == other.starts for one, other in pairwise(cycles))


@pytest.mark.parametrize(
    ("today", "spent", "missing"),
    [
        pytest.param(LAST, 0, [], id="the last day has begun, and is not over"),
        pytest.param(OVER, 0, [100], id="nothing was spent"),
        pytest.param(OVER, 99, [1], id="almost enough"),
        pytest.param(OVER, 100, [], id="exactly enough"),
        pytest.param(OVER, 101, [], id="more than enough"),
    ],
)
def test_a_minimum_is_charged_when_its_cycle_is_over(today: date, spent: int, missing: list[int]) -> None:
    held = [contract(terms=[{"kind": "minimum", "id": "m", "amount": "100", "currency": "EUR"}])]
    known = Known(today, spent=[Spent(LAST, NOBODY, "claude", spent * 10**9), Spent(LAST, NOBODY, "other", 10**12)])
    parts = parts_of("minimum:c/m", held, known)
    assert [(part.day, part.amounts[1]) for part in parts] == [(LAST, one * 10**9) for one in missing]


def test_a_minimum_counts_what_was_priced_in_its_own_currency_as_it_was_priced() -> None:
    """The vendor adds up dollars: however the rate moved since, 900 of 1,000 leave 100."""
    rates = facts.FxRates(day=date(2026, 10, 30), rates={"USD": Decimal("1.2")}, source="ECB")
    held = [contract(terms=[{"kind": "minimum", "id": "m", "amount": "1000", "currency": "USD"}]), rates]
    spent = [
        Spent(FIRST, NOBODY, "claude", 700 * 10**9, currency="USD", nano=900 * 10**9),
        Spent(FIRST, NOBODY, "claude", 5 * 10**9, currency="EUR", nano=5 * 10**9),
    ]
    [part] = parts_of("minimum:c/m", held, Known(OVER, spent=spent))
    assert part.amounts[0] == (1000 - 900 - 6) * 10**9


def test_nothing_is_charged_of_days_that_have_not_begun() -> None:
    held = [contract(terms=[pool(price="31")])]
    assert {part.day for part in parts_of("pool:c/p", held, Known(date(2026, 10, 3)))} == {
        date(2026, 10, day) for day in (1, 2, 3)
    }


def test_what_the_ledger_could_not_hold_is_unpriced() -> None:
    parts = parts_of("pool:c/p", [contract(terms=[pool(price="1000000000", every="month")])], Known(FIRST))
    assert [(part.line.reason, part.amounts) for part in parts] == [("amount too large", (None, None))]


def test_a_reorganisation_leaves_the_days_before_it_alone() -> None:
    moved = date(2026, 10, 16)
    people: list[Fact] = [placed("p-0xx", "old", until=moved), placed("p-0xx", "new", moved)]
    held = [contract(terms=[pool(price="31")]), *people]
    parts = parts_of("pool:c/p", held, Known(OVER, metered([(1, "p-0xx", Decimal(5))])))
    paid = {part.day: part.line.owner.unit for part in parts if part.line.category == "Purchase"}
    assert paid == {date(2026, 10, day): "old" if day < moved.day else "new" for day in range(1, 32)}


weights = st.dictionaries(st.sampled_from([Owner(name, None) for name in "abcde"]), st.integers(0, 10**12), min_size=1)


@UNHURRIED
@given(st.integers(-(10**15), 10**15), st.none() | st.integers(-(10**15), 10**15), weights, quantities)
def test_parts_add_up_to_the_whole(nano: int, eur_nano: int | None, by: dict[Owner, int], quantity: Decimal) -> None:
    if not any(by.values()):
        return
    found = split((nano, eur_nano), by)
    assert sum(amounts[0] or 0 for amounts in found.values()) == nano
    assert [amounts[1] for amounts in found.values()].count(None) == (len(found) if eur_nano is None else 0)
    whole = Part(FIRST, "s", Line("m", "Usage", NOBODY), quantity, (nano, eur_nano), nano)
    parts = list(parted(whole, by))
    assert sum(part.quantity for part in parts) == quantity
    assert sum(part.list_nano or 0 for part in parts) == nano


@UNHURRIED
@given(st.dictionaries(st.sampled_from("abcd"), st.fractions(min_value=0, max_denominator=10**6), min_size=1))
def test_whole_weights_keep_the_proportions(found: dict[str, Fraction]) -> None:
    whole = whole_weights(found)
    assert set(whole) == {key for key, weight in found.items() if weight}
    assert len({Fraction(whole[key]) / found[key] for key in whole}) <= 1


@UNHURRIED
@given(prices, st.integers(1, 400))
def test_days_add_up_and_none_is_a_unit_off(price: str, days: int) -> None:
    whole = Fraction(price) * 10**9
    shares = [share_of_day(whole, position, days) for position in range(days)]
    assert sum(shares) == whole
    assert max(shares) - min(shares) <= 1


@pytest.mark.parametrize(
    ("anchor", "years", "found"),
    [
        (date(2028, 2, 29), 1, date(2029, 3, 1)),
        (date(2028, 2, 29), 4, date(2032, 2, 29)),
        (date(2026, 3, 31), 1, date(2027, 3, 31)),
    ],
)
def test_anniversaries(anchor: date, years: int, found: date) -> None:
    assert anniversary(anchor, years) == found


@pytest.mark.parametrize(
    ("quantity", "text"),
    [
        (Fraction(1, 3), "0.333333333333333333"),
        (Fraction(5, 2), "2.5"),
        (Fraction(10**20), "1" + "0" * 20),
        (Fraction(10**60), "9" * 30),
    ],
)
def test_quantities_are_plain_decimals(quantity: Fraction, text: str) -> None:
    assert str(as_decimal(quantity)) == text


def test_more_than_can_be_told_has_no_price_and_stops_nobody() -> None:
    much = "9" * 30
    card = tariff(much, meter="requests", per="1", currency=None, credit="cr")
    view = book([contract(terms=[pool(meter="credits", size=much)]), card]).view(1)
    reading = Metered(use(meters=("requests",)), (Decimal(much),), None, False)
    (agreement,) = agreements(view, "claude")
    (cycle,) = (one for one in agreement.cycles(reading.use.day, reading.use.day) if one.starts <= reading.use.start)
    parts = agreement.parts(view, cycle, Known(reading.use.day, [reading]))
    # The pool is used up, and more is used beyond it than anybody could write down: neither is told as a price.
    assert [part.quantity for part in parts if part.line.reason == "amount too large"] == [Decimal(much)]
    assert len({(part.day, part.sku, part.line, part.estimated) for part in parts}) == len(parts)
