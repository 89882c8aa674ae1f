"""Each risk by its formula: exact fractions of small ledgers, edges of limits, dates of contracts, idle seats."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from services.cost_alerts.domain.risks.assess import DryPool, Facts, Health, PriceRise, Trust, assess
from services.cost_alerts.domain.risks.deadlines import deadlines, end_of
from services.cost_alerts.domain.risks.price_model import is_variable, price_model
from services.cost_alerts.domain.risks.risk import LIMITS, WHAT_TO_DO, Limit, Risk
from services.cost_alerts.domain.risks.seats import IdleSeats, SeatStock, idle_seats
from services.cost_alerts.domain.risks.spending import Amount, Kind, Sums, Trail, grouped, shares
from services.cost_alerts.domain.risks.structure import (
    by_region,
    dependence,
    herfindahl,
    structure,
    variable_share,
    year_ahead,
)
from services.cost_alerts.domain.view import Book, FactVersion, View
from services.shared.events.envelope import Fact
from services.shared.events.meters import METERS
from services.shared.events.plans import PlannedChange, Vendor
from services.shared.events.prices import Contract
from services.shared.events.register import FxRates, System
from tests.contract.ledger_world import fact_id, tariff

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
TODAY = date(2026, 11, 22)
EURO = 10**9


def kind(system: str = "claude-api", **members: str) -> Kind:
    given = {"sku": "sonnet", "meter": "input_tokens", "category": "Usage", "currency": "USD"}
    return Kind(system, **{**given, **members})


SEATS = kind("copilot", sku="M365", meter="seats", category="Purchase", currency="EUR")
HOURS = kind("azure", sku="ptu", meter="capacity_hours", currency="USD")


def sums(*parts: tuple[Kind, int]) -> Sums:
    return {one: Amount(euros * EURO, euros) for one, euros in parts}


def view(*facts: Fact) -> View:
    versions = [FactVersion(f"{type(fact).__name__}:{fact_id(fact)}", 1, None, fact) for fact in facts]
    return Book({1: NOW - timedelta(days=400)}, versions).view(1)


def system(name: str, vendor: str, region: str | None = None) -> System:
    return System(id=name, vendor=vendor, name=name, owner="ict", region=region)


CITY = (
    system("claude-api", "anthropic", "eu"),
    system("copilot", "microsoft"),
    system("bot", "city", "fi"),
    Vendor(id="anthropic", name="Anthropic", jurisdiction="US"),
    Vendor(id="microsoft", name="Microsoft", jurisdiction="US"),
    Vendor(id="city", name="City"),
)


@pytest.mark.parametrize(
    ("spent", "expected"),
    [
        pytest.param((), None, id="nothing"),
        pytest.param([(kind(), 3), (SEATS, 1)], Fraction(3, 4), id="use beside seats"),
        pytest.param([(kind(), 1), (HOURS, 3)], Fraction(1, 4), id="capacity is paid for in any case"),
        pytest.param([(SEATS, 5)], Fraction(0), id="seats alone"),
        pytest.param([(kind(), 2), (kind(category="Adjustment"), -2)], Fraction(1), id="true-ups do not count"),
        pytest.param([(kind(), -2)], None, id="more given back than taken"),
    ],
)
def test_the_variable_share(spent: Sequence[tuple[Kind, int]], expected: Fraction | None) -> None:
    assert variable_share(sums(*spent)) == expected


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        pytest.param(28, (365, {"SEK": 73, "USD": 219}), id="four weeks"),
        pytest.param(14, (730, {"SEK": 146, "USD": 438}), id="a ledger of two weeks"),
        pytest.param(0, (0, {}), id="no complete day"),
    ],
)
def test_a_year_at_the_present_pace(days: int, expected: tuple[int, Mapping[str, int]]) -> None:
    spent = {
        kind(): Amount(84 * EURO // 5, 1),
        kind(currency="SEK"): Amount(28 * EURO // 5, 1),
        SEATS: Amount(28 * EURO // 5, 0),
        kind(currency=""): Amount(0, 1),
    }
    whole, foreign = year_ahead(spent, days)
    assert (whole // EURO, {name: nano // EURO for name, nano in foreign.items()}) == expected


@given(some.dictionaries(some.text(min_size=1, max_size=3), some.integers(1, 10**15), min_size=1))
def test_concentration_lies_between_equal_parts_and_one(amounts: Mapping[str, int]) -> None:
    found = herfindahl(shares(amounts))
    assert found is not None
    assert Fraction(1, len(amounts)) <= found <= 1


@given(some.dictionaries(some.text(min_size=1, max_size=3), some.integers(-(10**9), 10**12)))
def test_shares_add_up_to_the_last_and_fall(amounts: Mapping[str, int]) -> None:
    found = shares(amounts)
    assert sum(found.values()) == (1 if found else 0)
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert set(found) == {name for name, amount in amounts.items() if amount > 0}


def test_no_vendor_no_concentration() -> None:
    assert herfindahl({}) is None


def test_dependence_is_the_dearest_model_of_each_vendor_in_all_tokens() -> None:
    spent = sums(
        (kind(sku="sonnet"), 5),
        (kind(sku="sonnet", meter="output_tokens"), 1),
        (kind(sku="opus"), 2),
        (kind("openai", sku="gpt"), 2),
        (SEATS, 100),
    )
    assert dependence(spent, lambda one: one.system) == {"claude-api": Fraction(6, 10), "openai": Fraction(2, 10)}


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        pytest.param({}, {"eu": 8, "unknown": 4}, id="systems are where the register says"),
        pytest.param({"claude-api": {"us": 3, "eu": 1}}, {"us": 6, "eu": 2, "unknown": 4}, id="readings say"),
        pytest.param({"claude-api": {"us": 1, "": 3}}, {"us": 2, "eu": 6, "unknown": 4}, id="some readings say"),
        pytest.param({"claude-api": {"": 3}}, {"eu": 8, "unknown": 4}, id="none does"),
    ],
)
def test_regions(weights: Mapping[str, Mapping[str, int]], expected: Mapping[str, int]) -> None:
    found = by_region(sums((kind(), 8), (SEATS, 4)), view(*CITY), weights)
    assert {region: amount.eur_nano // EURO for region, amount in found.items() if amount.eur_nano} == expected


def test_structure_by_vendor_law_and_price_model() -> None:
    spent = sums((kind(), 6), (SEATS, 3), (kind("bot", meter="conversations", currency="EUR"), 1), (kind("new"), 0))
    found = structure(view(*CITY), spent, spent, 28, {})
    assert found.vendors == {"anthropic": Fraction(6, 10), "microsoft": Fraction(3, 10), "city": Fraction(1, 10)}
    assert found.concentration == Fraction(46, 100)
    assert found.jurisdictions.euro == {"US": Fraction(9, 10), "unknown": Fraction(1, 10)}
    assert found.price_models.euro == {"token": Fraction(6, 10), "seat": Fraction(3, 10), "call": Fraction(1, 10)}


def test_every_meter_of_the_vocabulary_has_a_price_model() -> None:
    assert {meter for meter in METERS if price_model(kind(meter=meter)) == "other"} == set()
    assert price_model(kind(meter="acme:points")) == "other"
    assert not is_variable(HOURS)


@given(
    some.lists(some.tuples(some.integers(0, 60), some.sampled_from("abc"), some.integers(-50, 50)), max_size=30),
    some.integers(1, 40),
    some.lists(some.integers(0, 90), min_size=1, max_size=6),
)
def test_a_window_is_the_sum_of_the_days_before(rows: list[tuple[int, str, int]], days: int, asked: list[int]) -> None:
    first = date(2026, 1, 1)
    spent = [(first + timedelta(days=day), kind(name), Amount(nano, 1)) for day, name, nano in rows]
    window = Trail(spent).window(days)
    for offset in sorted(asked):
        today = first + timedelta(days=offset)
        expected: dict[Kind, Amount] = {}
        for day, one, amount in spent:
            if today - timedelta(days=days) <= day < today:
                before = expected.get(one, Amount(0, 0))
                expected[one] = Amount(before.eur_nano + amount.eur_nano, before.readings + 1)
        assert dict(window(today)) == expected


def test_a_window_may_be_asked_for_an_earlier_day_again() -> None:
    window = Trail([(date(2026, 1, day), kind(), Amount(day, 1)) for day in (1, 2, 3)]).window(2)
    asked = [date(2026, 1, 4), date(2026, 1, 3), date(2026, 3, 1), date(2026, 1, 2)]
    assert [sum(one.eur_nano for one in window(day).values()) for day in asked] == [5, 3, 0, 1]


def test_a_young_ledger_knows_fewer_days() -> None:
    trail = Trail([(date(2026, 1, 5), kind(), Amount(1, 1))])
    assert [trail.days_before(date(2026, 1, day), 28) for day in (1, 5, 6, 15)] == [0, 0, 1, 10]
    assert Trail([]).days_before(TODAY, 28) == 0
    assert Trail([]).first_day() is None


SEAT = tariff(
    "seats", "31.00", id="seat", system="copilot", sku="M365", model="per_seat_month", per="1", currency="EUR"
)


def stock(idle: int | None = 10, joined: int = 0) -> SeatStock:
    return SeatStock("copilot", "M365", 100, idle, joined)


def planned(seats: int, since: date, **members: object) -> PlannedChange:
    given = {"id": f"more-{since}", "kind": "seats", "system": "copilot", "seats": seats, "valid_from": since}
    return PlannedChange.model_validate({**given, "source": "a plan", **members})


def idle(found: SeatStock, ends: date | None, *facts: Fact) -> IdleSeats:
    [one] = idle_seats([found], view(SEAT, *facts), date(2026, 12, 1), lambda _system: ends)
    return one


@pytest.mark.parametrize(
    ("found", "ends", "plans", "expected"),
    [
        pytest.param(stock(), date(2027, 1, 1), [], (310, 0, 3720), id="a month to the contract's end"),
        pytest.param(stock(joined=4), date(2027, 1, 1), [], (310, 124, 3720), id="four people join"),
        pytest.param(stock(joined=40), date(2027, 1, 1), [], (310, 310, 3720), id="more join than are idle"),
        pytest.param(
            stock(joined=4), date(2027, 2, 1), [planned(3, date(2027, 1, 1))], (620, 248 + 93, 3720), id="and a plan"
        ),
        pytest.param(
            stock(joined=9), date(2027, 2, 1), [planned(3, date(2027, 1, 1))], (620, 558 + 31, 3720), id="plan gets one"
        ),
        pytest.param(
            stock(), date(2027, 1, 1), [planned(3, date(2027, 1, 1))], (310, 0, 3720), id="plan after the end"
        ),
        pytest.param(stock(), date(2027, 1, 1), [planned(3, date(2026, 12, 1))], (310, 0, 3720), id="plan that began"),
        pytest.param(
            stock(), date(2027, 2, 1), [planned(-3, date(2027, 1, 1))], (620, 0, 3720), id="fewer are planned"
        ),
        pytest.param(stock(), None, [], (3720, 0, 3720), id="no end: a year ahead, to be given back at once"),
        pytest.param(stock(), date(2030, 1, 1), [], (3720, 0, 3720), id="an end far away"),
        pytest.param(stock(0), date(2027, 1, 1), [], (0, 0, 0), id="none is idle"),
    ],
)
def test_idle_seats_in_three_figures(
    found: SeatStock, ends: date | None, plans: list[PlannedChange], expected: tuple[int, int, int]
) -> None:
    one = idle(found, ends, *plans)
    nano = (one.exposed_nano, one.reassignable_nano, one.reducible_nano)
    assert tuple(round(amount / EURO) for amount in nano if amount is not None) == expected


def test_idle_seats_at_a_discount_in_another_currency() -> None:
    given = {"id": "ea", "system": "copilot", "vendor": "microsoft", "valid_from": date(2026, 1, 1)}
    contract = Contract.model_validate({**given, "discounts": [{"off": "0.5"}]})
    rate = FxRates(day=date(2026, 11, 30), rates={"USD": Decimal("1.25")}, source="a test")
    dollars = SEAT.model_copy(update={"currency": "USD"})
    [one] = idle_seats([stock()], view(dollars, contract, rate), date(2026, 12, 1), lambda _: date(2027, 1, 1))
    assert one.exposed_nano == 124 * EURO


def test_what_has_no_price_has_no_figure_and_what_nobody_counts_no_row() -> None:
    [one] = idle_seats([stock()], view(), date(2026, 12, 1), lambda _: date(2027, 1, 1))
    assert (one.exposed_nano, one.reassignable_nano, one.reducible_nano) == (None, 0, None)
    assert idle_seats([stock(None)], view(SEAT), date(2026, 12, 1), lambda _: None) == []


@given(some.integers(0, 50), some.integers(0, 60), some.lists(some.integers(1, 30), max_size=3))
def test_no_more_is_reassignable_than_is_exposed(free: int, joined: int, seats: list[int]) -> None:
    plans = [planned(count, date(2026, 12, 2 + number), id=f"plan-{number}") for number, count in enumerate(seats)]
    one = idle(stock(free, joined), date(2026, 12, 15), *plans)
    assert one.exposed_nano is not None
    assert one.reassignable_nano is not None
    assert 0 <= one.reassignable_nano <= one.exposed_nano


def contract(name: str, since: date, until: date | None, **members: object) -> Contract:
    given = {"id": name, "system": "copilot", "vendor": "microsoft", "valid_from": since, "valid_to": until}
    return Contract.model_validate({**given, "time_zone": "Europe/Helsinki", **members})


NEW_YEAR = date(2027, 1, 1)


@pytest.mark.parametrize(
    ("contracts", "expected"),
    [
        pytest.param([contract("a", date(2026, 1, 1), None)], [], id="no end"),
        pytest.param([contract("a", date(2026, 1, 1), NEW_YEAR)], [("end", NEW_YEAR)], id="an end"),
        pytest.param(
            [contract("a", date(2026, 1, 1), NEW_YEAR, notice_days=30)],
            [("notice", date(2026, 12, 2)), ("end", NEW_YEAR)],
            id="notice comes first",
        ),
        pytest.param(
            [contract("a", date(2026, 1, 1), NEW_YEAR, notice_days=90)], [("end", NEW_YEAR)], id="notice has passed"
        ),
        pytest.param(
            [contract("a", date(2026, 1, 1), NEW_YEAR), contract("a", NEW_YEAR, date(2028, 1, 1))],
            [("end", date(2028, 1, 1))],
            id="it goes on under its id",
        ),
        pytest.param(
            [contract("a", date(2026, 1, 1), NEW_YEAR), contract("b", NEW_YEAR, None)],
            [("end", NEW_YEAR)],
            id="another follows",
        ),
        pytest.param([contract("a", date(2025, 1, 1), date(2026, 1, 1))], [], id="it ended long ago"),
        pytest.param([contract("a", NEW_YEAR, date(2028, 1, 1))], [], id="it has not begun"),
    ],
)
def test_deadlines_of_contracts(contracts: list[Contract], expected: list[tuple[str, date]]) -> None:
    assert [(one.kind, one.day) for one in deadlines(view(*contracts), NOW)] == expected


def test_a_deadline_is_midnight_in_the_contracts_own_time() -> None:
    [one] = deadlines(view(contract("a", date(2026, 1, 1), NEW_YEAR)), NOW)
    assert one.at == datetime(2026, 12, 31, 22, tzinfo=UTC)


def test_the_last_contract_on_a_system_decides_until_when_it_is_bound() -> None:
    first, longer = contract("a", date(2026, 1, 1), NEW_YEAR), contract("b", date(2026, 1, 1), date(2028, 1, 1))
    assert end_of(view(first, longer), "copilot", NOW) == date(2028, 1, 1)
    assert end_of(view(first, contract("b", date(2026, 1, 1), None)), "copilot", NOW) is None
    assert end_of(view(), "copilot", NOW) is None


EMPTY = structure(view(*CITY), {}, {}, 0, {})
HEALTHY = Health(0, 0, 0, 0, 0)


def assessed(**members: object) -> dict[tuple[str, str], Risk]:
    given: dict[str, Any] = {
        "now": NOW, "structure": EMPTY, "stocks": [], "idle": [], "deadlines": [], "rises": {}, "pools": [],
        "health": HEALTHY, "trust": Trust(None, None),
    }  # fmt: skip
    return {(one.name, one.about): one for one in assess(Facts(**{**given, **members}))}


def test_of_an_empty_ledger_nothing_is_known_and_nothing_is_fine() -> None:
    assert {one.state for one in assessed().values()} == {"unknown"}


def test_figures_of_prices_pools_seats_and_health() -> None:
    found = assessed(
        rises={"anthropic": PriceRise(6 * EURO, 4 * EURO), "microsoft": PriceRise(0, 6 * EURO)},
        pools=[DryPool("pool:a/b", 4, EURO), DryPool("pool:a/c", None, None)],
        stocks=[stock(15), SeatStock("copilot", "Other", 5, None, 0)],
        health=Health(100 * EURO, 6 * EURO, 3 * EURO, 1000, 1),
        trust=Trust(Fraction(1, 20), Fraction(8, 10)),
        deadlines=deadlines(view(contract("a", date(2026, 1, 1), date(2027, 2, 20))), NOW),
    )
    told = {key: (one.figure, one.state) for key, one in found.items() if one.figure is not None}
    assert told == {
        ("announced_prices", "anthropic"): (Fraction(6, 100), "over"),
        ("announced_prices", "microsoft"): (Fraction(0), "fine"),
        ("ten_percent_rise", "anthropic"): (Fraction(4, 100), "fine"),
        ("ten_percent_rise", "microsoft"): (Fraction(6, 100), "near"),
        ("pool_exhaustion", "pool:a/b"): (Fraction(4), "over"),
        ("idle_seats", "copilot/M365"): (Fraction(15, 100), "near"),
        ("unpriced", ""): (Fraction(1, 1000), "near"),
        ("unallocated", ""): (Fraction(6, 100), "over"),
        ("restated", ""): (Fraction(3, 100), "near"),
        ("forecast_error", ""): (Fraction(1, 20), "fine"),
        ("forecast_coverage", ""): (Fraction(8, 10), "fine"),
        ("contract_end", "a end"): (Fraction(89), "over"),
    }


def test_only_the_largest_country_outside_europe_counts() -> None:
    spent = sums((kind(), 6), (SEATS, 3), (kind("bot", meter="conversations"), 1))
    found = assessed(structure=structure(view(*CITY), spent, spent, 28, {}))
    assert found["jurisdiction", "US"].figure == Fraction(9, 10)
    assert found["price_model", "token"].state == "fine"
    assert found["region_unknown", ""].figure == Fraction(3, 10)
    foreign = found["fx_exposure", "USD"].figure
    assert foreign is not None
    assert abs(foreign - Fraction(7, 100)) < Fraction(1, 10**9)


@pytest.mark.parametrize(("name", "limit"), LIMITS.items())
def test_on_its_limit_a_figure_is_not_beyond_it(name: str, limit: Limit) -> None:
    step = Fraction(1, 10**6) * (-1 if limit.falling else 1)
    assert limit.state(limit.over) == "near"
    assert limit.state(limit.over + step) == "over"
    assert limit.state(limit.near) == "fine"
    assert limit.state(limit.near + step) == "near"
    assert limit.state(None) == "unknown"


def test_every_risk_says_what_can_be_done() -> None:
    assert set(WHAT_TO_DO) == set(LIMITS)
    assert all(text.endswith(".") for text in WHAT_TO_DO.values())


def test_grouping_loses_nothing() -> None:
    spent = sums((kind(), 6), (kind(sku="opus"), 3), (SEATS, 1))
    assert grouped(spent, lambda one: one.system) == {
        "claude-api": Amount(9 * EURO, 9), "copilot": Amount(EURO, 1),
    }  # fmt: skip
