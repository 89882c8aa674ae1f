"""What contracts and seats will cost: by the code that charges it, and told apart where a contract ends."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from services.cost_alerts.domain.agreements.agreement import Known
from services.cost_alerts.domain.agreements.all import agreements
from services.cost_alerts.domain.agreements.seating import Count, Holding, Observed
from services.cost_alerts.domain.budgets.scope import Where
from services.cost_alerts.domain.foresight.fixed import Owed, Shares, Standing, by_day, owed, renewing, shortfalls
from services.shared.events import register as facts
from services.shared.events.envelope import Fact
from services.shared.money import NANO
from tests.unit.cost_alerts.domain.city import contract, tariff
from tests.unit.cost_alerts.foresight.towns import KYMP, SOTE, TODAY, view_of

UNTIL = date(2026, 12, 31)
HELSINKI = "Europe/Helsinki"
NOBODY = Where("unallocated", "claude", "")


def term(kind: str = "fee", **members: Any) -> dict[str, Any]:  # noqa: ANN401  # of the model, which checks them
    given = {"id": "t", "sku": "plat", "currency": "EUR"}
    sizes = {"fee": {"amount": "300"}, "capacity": {"quantity": "2", "price": "0.5"}, "minimum": {"amount": "1000"}}
    pool = {"pool": {"meter": "credits", "size": "100", "price": "300"}}
    return {
        "kind": kind,
        **(given if kind != "minimum" else {"id": "t", "currency": "EUR"}),
        **(sizes | pool)[kind],
        **members,
    }


def signed(*terms: dict[str, Any], **members: Any) -> Fact:  # noqa: ANN401  # likewise
    return contract(terms=list(terms), time_zone=HELSINKI, **members)


def standing(*more: Fact, shares: Shares | None = None, seats: Mapping[str, Observed] | None = None) -> Standing:
    observed = {"copilot": dict(seats)} if seats else {}
    return Standing.at(view_of(*more), (TODAY, UNTIL), observed, lambda _key, _system: shares)


def total(found: Iterable[Owed], *, renewed: bool = False) -> int:
    return sum(one.nano for one in found if one.renewed == renewed)


def test_a_fee_is_owed_for_every_day_ahead() -> None:
    found = list(owed(standing(signed(term())), TODAY, UNTIL))
    assert [one.day for one in found] == [TODAY + timedelta(days=number) for number in range(41)]
    assert total(found) == 10 * 10 * NANO + 300 * NANO
    assert {one.where for one in found} == {NOBODY}


@pytest.mark.parametrize(
    ("one", "eur"),
    [
        pytest.param(term("pool"), 400, id="a pool's price, used or not"),
        pytest.param(term("capacity"), 41 * 24, id="capacity by the hour"),
        pytest.param(term("minimum"), 0, id="a minimum depends on use"),
    ],
)
def test_other_terms(one: dict[str, Any], eur: int) -> None:
    assert total(owed(standing(signed(one)), TODAY, UNTIL)) == eur * NANO


def test_a_day_of_25_hours_has_25_hours() -> None:
    october = date(2026, 10, 25)
    view = Standing.at(view_of(signed(term("capacity"))), (october, october), {}, lambda _key, _system: None)
    assert total(owed(view, october, october)) == 25 * NANO


def test_a_leap_year_has_a_day_more_to_spread_a_year_over() -> None:
    day = date(2028, 2, 29)
    yearly = signed(term(every="year", amount="366"), valid_from=date(2028, 1, 1))
    view = Standing.at(view_of(yearly), (day, date(2028, 12, 31)), {}, lambda _key, _system: None)
    assert total(owed(view, day, day)) == NANO
    assert total(owed(view, day, date(2028, 12, 31))) == (366 - 59) * NANO


def test_what_ends_in_mid_month_is_renewed_from_then_on() -> None:
    found = list(owed(standing(signed(term(), valid_to=date(2026, 12, 11))), TODAY, UNTIL))
    december = 300 * NANO / 31
    assert total(found) == pytest.approx(100 * NANO + 10 * december)
    assert total(found, renewed=True) == pytest.approx(21 * december)
    assert min(one.day for one in found if one.renewed) == date(2026, 12, 11)


def test_one_that_has_ended_is_not_renewed() -> None:
    assert not list(owed(standing(signed(term(), valid_to=TODAY)), TODAY, UNTIL))


def test_nor_one_that_another_follows() -> None:
    old = signed(term(), valid_to=date(2026, 12, 1))
    new = signed(term(amount="620"), id="d", valid_from=date(2026, 12, 1))
    found = list(owed(standing(old, new), TODAY, UNTIL))
    assert total(found) == (100 + 620) * NANO
    assert total(found, renewed=True) == 0


def test_what_is_paid_once_is_renewed_for_terms_of_the_same_length() -> None:
    ends = date(2026, 12, 1)
    once = signed(term(amount="30", every="once"), valid_from=ends - timedelta(days=15), valid_to=ends)
    found = list(owed(standing(once), TODAY, UNTIL))
    assert total(found) == 20 * NANO
    assert total(found, renewed=True) == 62 * NANO


def test_a_cost_shared_by_use_goes_as_it_went_of_late() -> None:
    found = list(owed(standing(signed(term()), shares={KYMP: 3, SOTE: 1}), TODAY, TODAY))
    assert {one.where: one.nano for one in found} == {KYMP: 7_500_000_000, SOTE: 2_500_000_000}


@pytest.mark.parametrize(
    "share",
    [
        pytest.param({"by": "fixed", "weights": {"kymp": "2", "sote": "1"}}, id="fixed weights"),
        pytest.param({"by": "fixed", "weights": {"gone": "2"}}, id="weights of nobody who is there"),
        pytest.param({"by": "headcount"}, id="headcount"),
    ],
)
@pytest.mark.parametrize("kind", ["fee", "pool", "capacity"])
def test_it_is_divided_as_it_will_be_charged(kind: str, share: dict[str, Any]) -> None:
    people = [
        facts.Placement(person="p-a", unit="kymp", valid_from=date(2026, 1, 1)),
        facts.Placement(person="p-b", unit="sote", valid_from=date(2026, 12, 5)),
    ]
    given = standing(signed(term(kind, share=share)), *people)
    ahead: dict[tuple[str, date], int] = {}
    for one in owed(given, TODAY, UNTIL):
        ahead[one.where.unit, one.day] = ahead.get((one.where.unit, one.day), 0) + one.nano
    charged: dict[tuple[str, date], int] = {}
    for agreement in agreements(given.view, "claude"):
        for cycle in agreement.cycles(TODAY, UNTIL):
            for part in agreement.parts(given.view, cycle, Known(UNTIL)):
                if TODAY <= part.day <= UNTIL:
                    key = (part.line.owner.unit, part.day)
                    charged[key] = charged.get(key, 0) + (part.amounts[1] or 0)
    assert ahead == charged


SEAT = tariff("31", id="seat", system="copilot", sku="M365", meter="seats", model="per_seat_month", per="1")
AT = datetime(2026, 11, 20, 9, tzinfo=UTC)


def seats(counted: date, purchased: int = 10, *held: str) -> dict[str, Observed]:
    holdings = [Holding(person, date(2026, 1, 1), 0, None, AT) for person in held]
    return {"M365": Observed.at(AT, [Count(counted, 0, purchased, AT)], holdings)}


def test_seats_go_on_as_counted_last() -> None:
    found = list(owed(standing(SEAT, seats=seats(TODAY)), TODAY, UNTIL))
    assert total(found) == pytest.approx((310 / 30 * 10 + 310) * NANO, abs=100)
    assert all(one.at_list_price for one in found)


def test_days_that_await_their_count_are_owed_too_but_of_this_month_only() -> None:
    late = list(owed(standing(SEAT, seats=seats(TODAY - timedelta(days=3))), TODAY, TODAY))
    assert len(late) == 3
    assert {one.day for one in late} == {TODAY}
    early = list(owed(standing(SEAT, seats=seats(date(2026, 10, 30))), TODAY, TODAY))
    assert len(early) == 21


def test_seats_that_nobody_counts_any_more_are_gone() -> None:
    assert not list(owed(standing(SEAT, seats=seats(date(2026, 10, 1))), TODAY, UNTIL))


def test_a_seat_goes_where_its_holder_will_sit() -> None:
    moves = [
        facts.Placement(person="p-a", unit="kymp", valid_from=date(2026, 1, 1), valid_to=date(2026, 12, 1)),
        facts.Placement(person="p-a", unit="sote", valid_from=date(2026, 12, 1)),
    ]
    found = by_day(owed(standing(SEAT, *moves, seats=seats(TODAY, 1, "p-a")), TODAY, UNTIL), renewed=False)
    assert {where.unit: (min(days), max(days)) for where, days in found.items()} == {
        "kymp": (TODAY, date(2026, 11, 30)),
        "sote": (date(2026, 12, 1), UNTIL),
    }


def test_a_price_that_is_published_already_counts_from_its_day() -> None:
    later = SEAT.model_copy(
        update={"id": "seat-2", "price": SEAT.price and SEAT.price * 2, "valid_from": date(2026, 12, 1)}
    )
    now = SEAT.model_copy(update={"valid_to": date(2026, 12, 1)})
    found = list(owed(standing(now, later, seats=seats(TODAY)), date(2026, 12, 1), UNTIL))
    assert total(found) == 620 * NANO


def test_seats_after_their_contract_are_renewed() -> None:
    ends = contract(id="ea", system="copilot", vendor="microsoft", time_zone=HELSINKI, valid_to=date(2026, 12, 1))
    found = list(owed(standing(SEAT, ends, seats=seats(TODAY)), TODAY, UNTIL))
    assert {one.renewed for one in found if one.day < date(2026, 12, 1)} == {False}
    assert total(found, renewed=True) == 310 * NANO


def test_seats_without_a_price_are_no_cost() -> None:
    assert not list(owed(standing(seats=seats(TODAY)), TODAY, UNTIL))


@pytest.mark.parametrize(
    ("spent", "missing"), [pytest.param(400, 600, id="too little"), pytest.param(1200, 0, id="enough")]
)
def test_a_minimum_demands_what_is_missing_on_the_last_day(spent: int, missing: int) -> None:
    asked: list[tuple[str, date, date]] = []

    def cost(system: str, first: date, last: date) -> int:
        asked.append((system, first, last))
        return spent * NANO

    found = list(shortfalls(standing(signed(term("minimum"))), TODAY, date(2026, 11, 30), cost))
    assert asked == [("claude", date(2026, 11, 1), date(2026, 11, 30))]
    assert total(found) == missing * NANO
    assert {one.day for one in found} <= {date(2026, 11, 30)}


def test_the_register_is_left_as_it_is_but_for_renewals() -> None:
    view = view_of(signed(term()), signed(term(), id="d", valid_to=date(2026, 12, 1)))
    ids = [one.fact.id for one in renewing(view, TODAY, UNTIL).contracts.on("claude")]
    assert ids == ["c", "d", "d (renewed 1)"]
    assert [one.fact.id for one in view.contracts.on("claude")] == ["c", "d"]
