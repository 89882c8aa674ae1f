from collections.abc import Mapping
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

import pytest

from services.cost_alerts.domain.whatif.exposure import (
    Exposure,
    Lately,
    Situation,
    by_time,
    counting,
    exposure,
    grown,
    horizon,
)
from services.shared.events.plans import PlannedChange
from services.shared.events.prices import Fee
from tests.unit.cost_alerts.domain.city import book, contract, pool, tariff

TODAY = date(2026, 11, 2)
IN_100 = TODAY + timedelta(days=100)


def lately(unit: str = "kymp", sku: str = "sonnet", *, by_time: bool = False, nano: int = 100) -> list[Lately]:
    """The same on each of the last 28 days."""
    days = [TODAY - timedelta(days=number) for number in range(1, 29)]
    return [Lately(day, unit, sku, by_time, nano) for day in days]


def situation(costs: list[Lately], **members: Any) -> Situation:  # noqa: ANN401  # members of a situation
    given: Mapping[str, Any] = {"levels": {}, "held": {}, "coming": {}}
    return Situation("claude", "anthropic", TODAY, costs, 28, **{**given, **members})


def planned(**members: object) -> PlannedChange:
    given = {
        "id": "p",
        "kind": "price",
        "system": "claude",
        "valid_from": IN_100,
        "factor": "1.10",
        "source": "a letter",
    }
    return PlannedChange.model_validate({**given, **members})


RISES = {day: Fraction(1) if day < IN_100 else Fraction(3, 2) for day in horizon(TODAY)}
FALLS = {day: Fraction(1) if day < IN_100 else Fraction(1, 2) for day in horizon(TODAY)}
WAS_HALF = {TODAY - timedelta(days=number): Fraction(1, 2) for number in range(1, 29)}
A_FEE = dict.fromkeys(horizon(TODAY), 10)
A_FEE_DOUBLES = {day: 10 if day < IN_100 else 20 for day in horizon(TODAY)}


@pytest.mark.parametrize(
    ("of", "announced", "first", "ten_percent"),
    [
        pytest.param(situation([]), 0, None, 0, id="nothing is paid"),
        pytest.param(situation(lately()), 0, None, 3650, id="nothing changes"),
        pytest.param(situation(lately(), levels=RISES), 50 * 265, IN_100, 3650, id="a rise"),
        pytest.param(situation(lately(), levels=FALLS), -50 * 265, IN_100, 3650, id="a fall"),
        pytest.param(situation(lately(), levels=WAS_HALF), 0, None, 7300, id="lately it cost half: on today's footing"),
        pytest.param(situation([], held=A_FEE, coming=A_FEE_DOUBLES), 10 * 265, IN_100, 365, id="a fee doubles"),
        pytest.param(situation(lately(by_time=True), held=A_FEE, coming=A_FEE), 0, None, 365, id="time is not use"),
        pytest.param(
            situation(lately(), levels=RISES, held=A_FEE, coming=A_FEE_DOUBLES), 60 * 265, IN_100, 4015, id="both"
        ),
    ],
)
def test_exposure(of: Situation, announced: int, first: date | None, ten_percent: int) -> None:
    assert exposure(of, [], {}) == Exposure("claude", "anthropic", announced, first, ten_percent)


BOTH = [*lately(), *lately("sote", "opus", nano=300)]


@pytest.mark.parametrize(
    ("change", "daily"),
    [
        pytest.param(planned(), Fraction(40), id="all of it"),
        pytest.param(planned(sku="opus"), Fraction(30), id="one SKU"),
        pytest.param(planned(unit="kymp"), Fraction(10), id="one unit"),
        pytest.param(planned(unit="above"), Fraction(40), id="a unit with its children"),
        pytest.param(planned(unit="kymp", sku="opus"), Fraction(0), id="both must fit"),
        pytest.param(planned(factor="0.5"), Fraction(-200), id="a fall"),
    ],
)
def test_planned_rises(change: PlannedChange, daily: Fraction) -> None:
    found = exposure(situation(BOTH), [change], {"above": ["above", "kymp", "sote"], "kymp": ["kymp"]})
    assert found.announced_nano == daily * 265
    assert found.announced_from == (IN_100 if daily else None)


@pytest.mark.parametrize(
    ("days", "ramp", "expected"),
    [(-1, 0, "0"), (0, 0, "1"), (0, 10, "0.1"), (4, 10, "0.5"), (9, 10, "1"), (99, 10, "1")],
)
def test_a_change_grows_evenly(days: int, ramp: int, expected: str) -> None:
    assert grown(planned(ramp_days=ramp), IN_100 + timedelta(days=days)) == Fraction(expected)


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        pytest.param(planned(), True, id="to come"),
        pytest.param(planned(valid_from=TODAY), False, id="its day has come"),
        pytest.param(planned(valid_from=date(2027, 1, 1)), False, id="it is published too"),
        pytest.param(planned(system="other"), False, id="of another system"),
        pytest.param(planned(kind="rollout"), False, id="no price"),
    ],
)
def test_which_planned_changes_count(change: PlannedChange, counts: bool) -> None:
    assert bool(counting([change], "claude", TODAY, {date(2027, 1, 1)})) == counts


def test_what_is_paid_by_time() -> None:
    fee = Fee(kind="fee", id="f", sku="platform", amount="31", currency="EUR")  # type: ignore[arg-type]
    seat = tariff("62.00", id="s", meter="seats", sku="M365", model="per_seat_month", per="1")
    unpriced = {"kind": "fee", "id": "g", "sku": "g", "amount": "31", "currency": "JPY"}
    terms = [pool(price="310"), fee.model_dump(), unpriced]
    view = book([contract(terms=terms), seat]).view(1)
    days = [date(2026, 12, 31), date(2027, 1, 1), date(2027, 2, 1)]
    found = by_time(view, "claude", {"M365": 3, "none": 0, "new": 5}, days)
    january = (10 + 1 + 6) * 10**9
    february = -(-310 * 10**9 // 28) + -(-31 * 10**9 // 28) + 186 * 10**9 // 28
    assert found == {days[0]: january, days[1]: january, days[2]: pytest.approx(february, abs=3)}
