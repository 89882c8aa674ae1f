"""One overrun rings once: what the message of a budget below tells of those above it."""

from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cost_alerts.domain.budgets.crossing import crossing_id, is_passed
from services.cost_alerts.domain.budgets.look import Decided, decide
from services.cost_alerts.domain.budgets.scope import encloses
from services.shared.events.plans import Budget
from tests.unit.cost_alerts.domain.budgets.plans import DAY, EURO, budget, facts, forecast, remembered, view


def of(name: str, amount: int, *thresholds: str, **members: object) -> Budget:
    """The budget of a unit, told to its finance and to the city's."""
    given: dict[str, object] = {"id": name, "unit": name, "recipients": (f"finance-{name}", "finance-city")}
    return budget(*(thresholds or ("1.0",)), amount=f"{amount}.00", **{**given, **members})


def looked(budgets: list[Budget], used: dict[str, int], **more: object) -> Decided:
    return decide(view(*budgets), DAY, facts(used, **more))


def tellers(found: Decided) -> dict[str, str | None]:
    """Budget → the budget whose message tells of it, its own when it speaks."""
    names = {crossing_id(one.crossing): one.crossing.budget for one in found.told}
    return {
        one.crossing.budget: one.crossing.budget if one.crossing.spoken else names.get(one.crossing.told_by or "")
        for one in found.told
    }


LIBRARY, MUSEUM = of("library", 100), of("museum", 100)
HYVE, CITY = of("hyve", 300), of("city", 1000)


@pytest.mark.parametrize(
    ("budgets", "used", "expected"),
    [
        pytest.param(
            [LIBRARY, HYVE], {"library": 120, "hyve": 310}, {"library": "library", "hyve": "library"},
            id="without the excess the upper one would not have crossed",
        ),
        pytest.param(
            [LIBRARY, HYVE], {"library": 110, "hyve": 310}, {"library": "library", "hyve": "hyve"},
            id="just as much: the upper one stands at its threshold without it",
        ),
        pytest.param(
            [LIBRARY, HYVE], {"library": 105, "hyve": 400}, {"library": "library", "hyve": "hyve"},
            id="the upper one crosses by the use of others",
        ),
        pytest.param([LIBRARY, HYVE], {"library": 90, "hyve": 310}, {"hyve": "hyve"}, id="only the upper one crosses"),
        pytest.param(
            [LIBRARY, HYVE], {"library": 100, "hyve": 300}, {"library": "library", "hyve": "hyve"},
            id="both exactly at their thresholds",
        ),
        pytest.param(
            [LIBRARY, HYVE, CITY], {"library": 150, "hyve": 320, "city": 1040},
            {"library": "library", "hyve": "library", "city": "library"},
            id="three levels by the lowest",
        ),
        pytest.param(
            [LIBRARY, HYVE, CITY], {"library": 130, "hyve": 320, "city": 1015},
            {"library": "library", "hyve": "library", "city": "library"},
            id="three levels, a chain",
        ),
        pytest.param(
            [LIBRARY, HYVE, CITY], {"library": 105, "hyve": 320, "city": 1010},
            {"library": "library", "hyve": "hyve", "city": "hyve"},
            id="three levels, the lowest is not the reason",
        ),
        pytest.param(
            [LIBRARY, MUSEUM, HYVE], {"library": 120, "museum": 130, "hyve": 315},
            {"library": "library", "museum": "museum", "hyve": "museum"},
            id="of two below the larger excess tells",
        ),
        pytest.param(
            [LIBRARY, MUSEUM, HYVE], {"library": 120, "museum": 120, "hyve": 315},
            {"library": "library", "museum": "museum", "hyve": "library"},
            id="of two alike the first by name tells",
        ),
        pytest.param(
            [LIBRARY, MUSEUM, HYVE], {"library": 110, "museum": 110, "hyve": 315},
            {"library": "library", "museum": "museum", "hyve": "hyve"},
            id="only both together are the reason",
        ),
        pytest.param(
            [LIBRARY, of("hyve", 300, system="claude")], {"library": 120, "hyve": 310},
            {"library": "library", "hyve": "hyve"},
            id="an upper one narrowed to a system is about something else",
        ),
        pytest.param(
            [of("library", 100, system="claude"), of("hyve", 300, vendor="anthropic")], {"library": 120, "hyve": 310},
            {"library": "library", "hyve": "library"},
            id="an upper one narrowed to the system's vendor",
        ),
        pytest.param(
            [of("library", 100), of("part", 50, unit="library", system="claude")], {"library": 101, "part": 60},
            {"part": "part", "library": "part"},
            id="a system's budget within its unit's",
        ),
    ],
)  # fmt: skip
def test_who_tells(budgets: list[Budget], used: dict[str, int], expected: dict[str, str]) -> None:
    assert tellers(looked(budgets, used)) == expected


def test_one_message_goes_to_everybody_once_and_names_what_it_tells() -> None:
    found = looked([LIBRARY, HYVE, CITY], {"library": 150, "hyve": 320, "city": 1040})
    [told] = [one for one in found.told if one.crossing.spoken]
    assert told.recipients == ("finance-library", "finance-city", "finance-hyve")
    assert [one.budget for one in told.also] == ["hyve", "city"]
    assert all(one.told_by == crossing_id(told.crossing) and not one.spoken for one in told.also)


def test_use_and_forecast_are_told_apart() -> None:
    """The library has used its money; above it only the forecast crosses."""
    upper = of("hyve", 300, "1.0", forecast_thresholds=("1.0",))
    found = looked([LIBRARY, upper], {"library": 120, "hyve": 200}, forecasts={"hyve": forecast("hyve", 310)})
    assert tellers(found) == {"library": "library", "hyve": "hyve"}


def test_a_forecast_is_told_from_below_like_use() -> None:
    plans = [of(name, amount, forecast_thresholds=("1.0",)) for name, amount in (("library", 100), ("hyve", 300))]
    known = {"library": forecast("library", 140), "hyve": forecast("hyve", 310)}
    assert tellers(looked(plans, {"library": 10, "hyve": 20}, forecasts=known)) == {
        "library": "library",
        "hyve": "library",
    }


def test_a_forecast_of_another_year_says_nothing() -> None:
    plan = of("hyve", 300, forecast_thresholds=("1.0",))
    assert looked([plan], {"hyve": 20}, forecasts={"hyve": forecast("hyve", 310, year=2025)}).told == []


def test_nothing_recedes_while_charges_still_follow_the_register() -> None:
    once = looked([HYVE], {"hyve": 300})
    told = [one.crossing for one in once.told]
    from_before = [remembered(one) for one in told]
    assert looked([HYVE], {"hyve": 200}, known=from_before, settled=False).recedings == []
    [fell] = looked([HYVE], {"hyve": 200}, known=from_before).recedings
    assert (fell.budget, fell.epoch, fell.used_eur) == ("hyve", 0, Decimal(200))


def test_a_correction_and_what_is_still_passed_are_told_in_one_look() -> None:
    plan = of("hyve", 300, "0.5", "1.0")
    before = [remembered(one.crossing) for one in looked([plan], {"hyve": 300}).told]
    found = looked([plan], {"hyve": 200}, known=before)
    assert [one.thresholds for one in found.recedings] == [(Decimal("1.0"),)]
    [told] = [one.crossing for one in found.told]
    assert (told.threshold, told.epoch, told.cause, told.spoken) == (Decimal("0.5"), 1, "correction", True)


NAMES = ("library", "museum", "hyve", "kymp", "city")


@given(
    leaves=st.tuples(*[st.integers(0, 200)] * 3),
    own=st.tuples(*[st.integers(0, 100)] * 2),
    amounts=st.tuples(*[st.integers(1, 500)] * 5),
    narrowed=st.sampled_from([None, "claude"]),
)
def test_every_crossing_is_told_to_each_of_its_roles_by_exactly_one_message(
    leaves: tuple[int, ...], own: tuple[int, ...], amounts: tuple[int, ...], narrowed: str | None
) -> None:
    library, museum, kymp = leaves
    hyve = library + museum + own[0]
    used = dict(zip(NAMES, (library, museum, hyve, kymp, hyve + kymp + own[1]), strict=True))
    plans = [of(name, amount, "0.5", "0.8", "1.0") for name, amount in zip(NAMES, amounts, strict=True)]
    plans[-1] = plans[-1].model_copy(update={"system": narrowed})
    found, known, by_id = looked(plans, used), view(*plans), {one.id: one for one in plans}
    speaking = [one for one in found.told if one.crossing.spoken]
    told = Counter(crossing_id(one) for message in speaking for one in (message.crossing, *message.also))
    for one in (message.crossing for message in found.told):
        plan = by_id[one.budget]
        highest = max(share for share in plan.thresholds if is_passed(plan.amount, share, used[one.budget] * EURO))
        assert told[crossing_id(one)] == (one.threshold == highest), "the most advanced is told once, no other"
    for message in speaking:
        assert len(set(message.recipients)) == len(message.recipients)
        assert {role for one in (message.crossing, *message.also) for role in one.recipients} == set(message.recipients)
        assert all(encloses(by_id[one.budget], by_id[message.crossing.budget], known, DAY) for one in message.also)
    for one in (upper for message in speaking for upper in message.also):
        below = [
            low.crossing for low in found.told if encloses(by_id[one.budget], by_id[low.crossing.budget], known, DAY)
        ]
        excess = max(low.used_eur - low.threshold * low.amount_eur for low in below if told[crossing_id(low)])
        assert one.used_eur - excess < one.threshold * one.amount_eur, "without it, it would not have crossed"
