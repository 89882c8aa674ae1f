"""Planned changes laid over what is expected without them."""

from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cost_alerts.domain.budgets.scope import Where
from services.cost_alerts.domain.foresight.planned import Stream, counting, planned, ramp
from services.shared.events.envelope import Fact
from services.shared.events.plans import PlannedChange
from tests.unit.cost_alerts.domain.city import tariff, usd
from tests.unit.cost_alerts.foresight.towns import KYMP, SOTE, TODAY, view_of

DAYS = 41
UNTIL = date(2026, 12, 31)
DECEMBER = date(2026, 12, 1)


def change(kind: str, **members: Any) -> PlannedChange:  # noqa: ANN401  # of the model, which checks them
    given: dict[str, Any] = {"id": kind, "kind": kind, "system": "claude", "valid_from": DECEMBER, "source": "a test"}
    return PlannedChange.model_validate(given | members)


def use(where: Where, eur: float, sku: str = "*") -> Stream:
    return Stream(where, sku, np.full(DAYS, eur), is_use=True, at_list_price=True)


def fee(where: Where, eur: float, *, at_list_price: bool = False) -> Stream:
    return Stream(where, "plat", np.full(DAYS, eur), at_list_price=at_list_price)


def added(*changes: PlannedChange, streams: list[Stream] | None = None) -> dict[str, float]:
    """Change → euro that it adds up to the year's end, to ten for Kymp and twenty for Sote a day."""
    view = view_of(
        tariff("31", id="seat", system="copilot", sku="M365", meter="seats", model="per_seat_month", per="1")
    )
    wanted = counting(view_of(*changes), TODAY, UNTIL)
    found = planned(view, wanted, [use(KYMP, 10), use(SOTE, 20)] if streams is None else streams, TODAY, DAYS)
    return {one.change.id: round(float(sum(part.eur.sum() for part in one.added)), 6) for one in found}


@pytest.mark.parametrize(
    ("wanted", "eur"),
    [
        pytest.param(change("price", factor="1.10"), 31 * 3.0, id="a tenth dearer from December on"),
        pytest.param(change("rollout", factor="3", unit="kymp"), 31 * 20.0, id="Kymp triples its use"),
        pytest.param(change("rollout", factor="2", unit="city"), 31 * 30.0, id="a unit above means all below it"),
        pytest.param(change("ending"), -31 * 30.0, id="an ending saves all of it"),
        pytest.param(change("rollout", monthly_eur="310"), 310.0, id="a monthly sum, spread over the month's days"),
        pytest.param(change("price", factor="2", system="copilot"), 0.0, id="another system is left alone"),
        pytest.param(change("price", factor="2", sku="opus"), 0.0, id="another SKU is left alone"),
        pytest.param(change("price", factor="1", valid_from=UNTIL), 0.0, id="a price that stays the same"),
    ],
)
def test_what_a_change_adds(wanted: PlannedChange, eur: float) -> None:
    assert added(wanted) == {wanted.id: pytest.approx(eur)}


@pytest.mark.parametrize(
    "day",
    [
        pytest.param(TODAY, id="today"),
        pytest.param(date(2026, 1, 1), id="in the past"),
        pytest.param(date(2027, 1, 1), id="after the year"),
    ],
)
def test_one_whose_day_has_come_or_lies_too_far_counts_nothing(day: date) -> None:
    assert added(change("price", factor="2", valid_from=day)) == {}


@pytest.mark.parametrize(
    ("published", "counts"),
    [
        pytest.param(tariff(id="dearer", valid_from=DECEMBER), [], id="a price from the same day on"),
        pytest.param(
            tariff(id="seat", meter="seats", model="per_seat_month", per="1", valid_from=DECEMBER), [], id="of seats"
        ),
        pytest.param(tariff(id="ends", valid_to=DECEMBER), ["price"], id="one that ends on it is none yet"),
        pytest.param(tariff(id="other", system="copilot", valid_from=DECEMBER), ["price"], id="of another system"),
    ],
)
def test_a_planned_price_that_is_published_counts_once(published: Fact, counts: list[str]) -> None:
    plans = change("price", factor="2"), change("rollout", factor="2")
    found = counting(view_of(published, *plans), TODAY, UNTIL)
    assert [one.id for one in found] == [*counts, "rollout"]


def test_a_change_grows_over_its_ramp() -> None:
    wanted = change("rollout", factor="2", ramp_days=10)
    found = ramp(wanted, TODAY, DAYS)
    assert found[9] == 0
    assert found[10:20] == pytest.approx(np.arange(1, 11) / 10)
    assert (found[20:] == 1).all()
    assert added(wanted)["rollout"] == pytest.approx(30 * (5.5 + 21))


def test_later_changes_are_reckoned_on_top_of_earlier_ones() -> None:
    found = added(change("rollout", factor="2"), change("price", factor="1.5", valid_from=date(2026, 12, 11)))
    assert found == {"rollout": pytest.approx(31 * 30.0), "price": pytest.approx(21 * 30.0)}


def test_a_price_moves_what_goes_by_list_price_and_an_ending_everything() -> None:
    streams = [fee(KYMP, 10), fee(SOTE, 1, at_list_price=True)]
    assert added(change("price", factor="2"), streams=streams) == {"price": pytest.approx(31.0)}
    assert added(change("ending"), streams=streams) == {"ending": pytest.approx(-31 * 11.0)}
    assert added(change("rollout", factor="2"), streams=streams) == {"rollout": 0.0}


def test_seats_cost_their_tariff_or_the_price_of_the_plan() -> None:
    seats = {"system": "copilot", "sku": "M365", "unit": "kymp", "seats": 10}
    assert added(change("seats", **seats)) == {"seats": pytest.approx(310.0)}
    assert added(change("seats", **seats | {"seats": -10})) == {"seats": pytest.approx(-310.0)}
    assert added(change("seats", **seats, price="62.00", currency="EUR")) == {"seats": pytest.approx(620.0)}


def test_seats_without_a_price_count_nothing_and_say_so() -> None:
    wanted = [
        change("seats", sku="unheard-of", seats=10),
        change("seats", id="in USD", seats=1, price="1", currency="USD"),
    ]
    found = planned(view_of(), counting(view_of(*wanted), TODAY, UNTIL), [], TODAY, DAYS)
    assert [one.is_priced for one in found] == [False, False]
    assert [float(one.added[0].eur.sum()) for one in found] == [0.0, 0.0]
    known = planned(view_of(usd(date(2026, 11, 1), "2")), counting(view_of(*wanted[1:]), TODAY, UNTIL), [], TODAY, DAYS)
    assert known[0].is_priced
    assert float(known[0].added[0].eur.sum()) == pytest.approx(0.5)


def test_seats_of_no_unit_go_where_the_rules_send_them() -> None:
    found = planned(view_of(), [change("seats", seats=1, price="31", currency="EUR")], [], TODAY, DAYS)
    assert [one.where for one in found[0].added] == [Where("unallocated", "claude", "")]


@given(
    days=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    factors=st.lists(st.sampled_from(["0", "0.5", "1", "1.1", "3"]), min_size=4, max_size=4),
    ramps=st.lists(st.integers(0, 60), min_size=4, max_size=4),
)
def test_an_ending_takes_away_whatever_came_before_it(days: list[int], factors: list[str], ramps: list[int]) -> None:
    changes = [
        change("rollout", id=f"r{number}", factor=factors[number], ramp_days=ramps[number],
               valid_from=TODAY + timedelta(days=day))
        for number, day in enumerate(days)
    ]  # fmt: skip
    last = TODAY + timedelta(days=max(days))
    wanted = counting(view_of(*changes, change("ending", id="z", valid_from=last)), TODAY, UNTIL)
    found = planned(view_of(), wanted, [use(KYMP, 10)], TODAY, DAYS)
    left = np.full(DAYS, 10.0)
    for part in (part for one in found for part in one.added):
        left += part.eur
    assert left[max(days) :] == pytest.approx(np.zeros(DAYS - max(days)))
    assert left.min() >= -1e-9
