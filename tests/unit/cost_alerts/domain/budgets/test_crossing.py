"""Which thresholds are told, once each, and what begins their count anew."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cost_alerts.domain.budgets.crossing import (
    Known,
    Receded,
    Standing,
    crossing_id,
    crossings,
    epoch_of,
    receding,
    receding_id,
)
from services.cost_alerts.domain.foresight.forecast import Range
from services.shared.events import event_id
from services.shared.events.plans import Budget
from tests.unit.cost_alerts.domain.budgets.plans import DAY, EURO, amended, budget, known


def standing(
    plan: Budget, used: str, receded: Sequence[Receded] = (), *, forecast: int | None = None, day: date = DAY
) -> Standing:
    range_ = None if forecast is None else Range(forecast * EURO // 2, forecast * EURO, forecast * EURO * 2)
    nano = int(Decimal(used) * EURO)
    return Standing(plan, day, epoch_of(plan, day, receded), plan.amount, nano, range_, 7 * EURO)


@pytest.mark.parametrize(
    ("used", "told", "expected"),
    [
        pytest.param("49.999999999", [], {}, id="a nano below"),
        pytest.param("50", [], {"0.5": True}, id="exactly there"),
        pytest.param("85", [], {"0.5": False, "0.8": True}, id="two at once: the higher one speaks"),
        pytest.param("85", ["0.5"], {"0.8": True}, id="the lower one was told before"),
        pytest.param("85", ["0.80"], {"0.5": False}, id="a lower one after a higher one stays silent"),
        pytest.param("150", ["0.5", "0.8", "1"], {}, id="all were told"),
        pytest.param("0", [], {}, id="nothing used"),
    ],
)
def test_what_has_been_passed(used: str, told: list[str], expected: dict[str, bool]) -> None:
    before = [known(one) for one in told]
    found = crossings(standing(budget("0.5", "0.8", "1.0"), used), before, ())
    assert {str(one.threshold): one.spoken for one in found} == expected


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(known("0.5", name="c"), id="another budget"),
        pytest.param(known("0.5")._replace(period=2025), id="another year"),
        pytest.param(known("0.5", epoch=1), id="another epoch"),
        pytest.param(known("0.5", measure="forecast"), id="another measure"),
    ],
)
def test_only_the_same_budget_period_epoch_and_measure_was_told(other: Known) -> None:
    assert len(crossings(standing(budget("0.5"), "1000"), [other], ())) == 1


@pytest.mark.parametrize(
    ("used", "mid", "expected"),
    [
        pytest.param("10", 99, {}, id="the middle is below"),
        pytest.param("10", 100, {("forecast", "1.0"): True}, id="the middle is there, use is not"),
        pytest.param("10", None, {}, id="nobody can say"),
        pytest.param(
            "100",
            120,
            {("used", "1.0"): True, ("forecast", "1.0"): False, ("forecast", "1.2"): True},
            id="what use has passed is no news of the forecast",
        ),
        pytest.param("100", 100, {("used", "1.0"): True, ("forecast", "1.0"): False}, id="use alone speaks"),
    ],
)
def test_a_forecast_is_watched_too(used: str, mid: int | None, expected: dict[tuple[str, str], bool]) -> None:
    plan = budget("1.0", forecast_thresholds=("1.0", "1.2"))
    found = crossings(standing(plan, used, forecast=mid), [], ())
    assert {(one.measure, str(one.threshold)): one.spoken for one in found} == expected


def test_a_crossing_tells_what_is_committed_and_forecast() -> None:
    [found] = crossings(standing(budget("0.5"), "50", forecast=80), [], ())
    assert (found.used_eur, found.amount_eur, found.committed_eur, found.forecast_eur) == (
        *map(Decimal, (50, 100, 7, 80)),
    )


def test_a_budget_of_nothing_has_no_shares() -> None:
    empty = Standing(budget("0.5"), DAY, 0, Decimal(0), EURO)
    assert crossings(empty, [], ()) == []


def test_a_threshold_is_the_same_however_it_is_written() -> None:
    [one], [other] = (crossings(standing(budget(text), "1000"), [], ()) for text in ("0.8", "0.80"))
    assert crossing_id(one) == crossing_id(other)


def test_crossings_of_use_keep_their_ids_and_those_of_forecasts_have_others() -> None:
    plan = budget("0.8", forecast_thresholds=("0.8",))
    used, forecast = crossings(standing(plan, "80", forecast=80), [], ())
    assert crossing_id(used) == event_id("crossing", "b", 2026, "0.8", 0)
    assert crossing_id(forecast) == event_id("crossing", "b", 2026, "0.8", 0, "forecast")


AMENDED = budget("0.5", amendments=[amended("2026-11-01", "1.00", "EX-2"), amended("2026-10-01", "1.00", "EX-1")])
CORRECTED = Receded("b", 2026, 0)


@pytest.mark.parametrize(
    ("plan", "day", "receded", "expected"),
    [
        pytest.param(budget(), DAY, [], 0, id="the first"),
        pytest.param(budget(epoch=3), DAY, [], 3, id="raised by hand"),
        pytest.param(AMENDED, date(2026, 9, 30), [], 0, id="an amendment of a day to come"),
        pytest.param(AMENDED, date(2026, 10, 1), [], 1, id="an amendment from its day on"),
        pytest.param(AMENDED, date(2026, 11, 1), [], 2, id="two amendments"),
        pytest.param(budget(), DAY, [CORRECTED], 1, id="a correction"),
        pytest.param(AMENDED, DAY, [CORRECTED], 2, id="a correction and an amendment"),
        pytest.param(budget(), DAY, [Receded("c", 2026, 0), Receded("b", 2025, 0)], 0, id="of others"),
        pytest.param(budget(), DAY, [CORRECTED, Receded("b", 2026, 2)], 3, id="an amendment withdrawn since"),
    ],
)
def test_what_begins_the_count_anew(plan: Budget, day: date, receded: list[Receded], expected: int) -> None:
    assert epoch_of(plan, day, receded) == expected


@pytest.mark.parametrize(
    ("plan", "receded", "told", "expected"),
    [
        pytest.param(budget("0.5"), [], [], ("use", None), id="the first epoch"),
        pytest.param(AMENDED, [], [], ("amendment", "EX-1"), id="the decision in force"),
        pytest.param(AMENDED, [], [known("0.1", epoch=1)], ("use", None), id="not the first word of its epoch"),
        pytest.param(budget("0.5"), [CORRECTED], [], ("correction", None), id="after a correction"),
        pytest.param(AMENDED, [CORRECTED], [], ("amendment", "EX-1"), id="an amendment after a correction"),
        pytest.param(AMENDED, [Receded("b", 2026, 1)], [], ("correction", None), id="a correction after an amendment"),
        pytest.param(budget("0.5", epoch=1), [], [], ("use", None), id="raised by hand"),
    ],
)
def test_the_first_word_of_an_epoch_says_what_began_it(
    plan: Budget, receded: list[Receded], told: list[Known], expected: tuple[str, str | None]
) -> None:
    [found] = crossings(standing(plan, "60", receded), told, receded)
    assert (found.cause, found.decision) == expected


@pytest.mark.parametrize(
    ("used", "told", "expected"),
    [
        pytest.param("80", ["0.5", "0.8"], None, id="still passed"),
        pytest.param("79.999999999", ["0.5", "0.8"], ["0.8"], id="a nano below the higher one"),
        pytest.param("0", ["0.8", "0.5"], ["0.5", "0.8"], id="all taken back"),
        pytest.param("0", [], None, id="nothing was told"),
    ],
)
def test_a_correction_takes_use_below_what_was_told(used: str, told: list[str], expected: list[str] | None) -> None:
    found = receding(standing(budget("0.5", "0.8"), used), [known(one) for one in told])
    assert (None if found is None else [str(one) for one in found.thresholds]) == expected


@pytest.mark.parametrize(
    ("before", "amount"),
    [
        pytest.param(known("0.5"), "1000.00", id="the budget was written anew with a larger amount"),
        pytest.param(known("0.5", amount="1000.00"), "100.00", id="with a smaller one"),
        pytest.param(known("0.9", measure="forecast"), "100.00", id="a forecast fell"),
        pytest.param(known("0.9", epoch=1), "100.00", id="told in another epoch"),
    ],
)
def test_only_a_correction_recedes(before: Known, amount: str) -> None:
    assert receding(standing(budget("0.5", "0.9", amount=amount), "60"), [before]) is None


def test_an_epoch_ends_under_one_name() -> None:
    fell = [receding(standing(budget("0.5"), used), [known("0.5")]) for used in ("1", "2")]
    assert len({receding_id(one) for one in fell if one is not None}) == 1
    assert fell[0] is not None
    assert fell[0].epoch == 0


@given(steps=st.lists(st.integers(-40, 60), max_size=12))
def test_however_use_moves_a_threshold_is_told_once_in_an_epoch(steps: list[int]) -> None:
    plan, used = budget("0.25", "0.5", "0.75", "1"), 0
    told: list[Known] = []
    receded: list[Receded] = []
    for step in steps:
        used = max(0, used + step)
        before = len(told)
        if (fell := receding(standing(plan, str(used), receded), told)) is not None:
            assert step < 0, "only a correction begins a new epoch"
            receded.append(Receded("b", 2026, fell.epoch))
        now = standing(plan, str(used), receded)
        found = crossings(now, told, receded)
        told += [known(str(one.threshold), one.epoch) for one in found]
        speaking = [one for one in found if one.spoken]
        assert len(speaking) <= 1
        assert all(one.cause == "use" for one in found) or before == len([one for one in told if one.epoch < now.epoch])
        present = {one.threshold for one in told if one.epoch == now.epoch}
        assert present == {one for one in plan.thresholds if used and used >= 100 * one}, "what is passed has been told"
    assert len(set(told)) == len(told)
