from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import pytest

from services.cost_alerts.domain.whatif.change import Change, Entry, Named, laid_over, throughout
from services.cost_alerts.domain.whatif.throughout import frozen, gone_on
from services.shared.events import register as facts
from services.shared.events.envelope import Fact
from services.shared.events.prices import Contract, Tariff
from tests.unit.cost_alerts.domain.city import contract, pool, tariff, usd

TODAY = date(2026, 11, 2)
YEAR_END = date(2027, 1, 1)
NOW = tariff(id="now", valid_to=YEAR_END)
NEXT = tariff("4.00", id="next", valid_from=YEAR_END)
OTHER = tariff(id="other", sku="opus", valid_from=YEAR_END)
PAST = tariff("1.00", id="past", valid_from=date(2025, 1, 1), valid_to=date(2026, 1, 1))
BATCH = tariff(id="batch", when={"service_tier": "batch"}, valid_from=YEAR_END)
TERM = contract(valid_to=YEAR_END)
SUCCESSOR = contract(id="d", valid_from=YEAR_END)
ONCE = contract(id="once", terms=[pool(every="once")], valid_to=YEAR_END)


def open_ended(fact: Tariff | Contract) -> Fact:
    return fact.model_copy(update={"valid_to": None})


@pytest.mark.parametrize(
    ("given", "today_held", "with_what_comes"),
    [
        pytest.param([NOW], [open_ended(NOW)], [open_ended(NOW)], id="it merely ends"),
        pytest.param([NOW, NEXT], [open_ended(NOW)], [NOW, NEXT], id="another follows"),
        pytest.param([NOW, OTHER], [open_ended(NOW)], [open_ended(NOW), OTHER], id="of another SKU"),
        pytest.param([NOW, BATCH], [open_ended(NOW)], [open_ended(NOW), BATCH], id="under another condition"),
        pytest.param([PAST, NOW], [PAST, open_ended(NOW)], [PAST, open_ended(NOW)], id="what is over is over"),
        pytest.param([TERM], [open_ended(TERM)], [open_ended(TERM)], id="a contract is renewed as it is"),
        pytest.param([TERM, SUCCESSOR], [open_ended(TERM)], [TERM, SUCCESSOR], id="a contract of another id follows"),
        pytest.param([ONCE], [ONCE], [ONCE], id="what is paid once keeps its end"),
        pytest.param([usd(TODAY, "2")], [usd(TODAY, "2")], [usd(TODAY, "2")], id="all else stays"),
    ],
)
def test_prices_held_still(given: Sequence[Fact], today_held: Sequence[Fact], with_what_comes: Sequence[Fact]) -> None:
    assert frozen(given, TODAY) == today_held
    assert gone_on(given, TODAY) == with_what_comes


DAYS = (date(2026, 8, 1), date(2026, 10, 31))


@pytest.mark.parametrize(
    ("fact", "begins", "ends"),
    [
        pytest.param(tariff(), date(2026, 1, 1), None, id="in force already"),
        pytest.param(NOW, date(2026, 1, 1), YEAR_END, id="an end behind the days stays"),
        pytest.param(NEXT, date(2026, 1, 1), None, id="by a year"),
        pytest.param(tariff(valid_from=date(2028, 2, 29)), date(2026, 3, 1), None, id="a leap day"),
        pytest.param(
            tariff(valid_from=date(2028, 9, 1), valid_to=date(2029, 1, 1)), date(2025, 9, 1), None, id="by three"
        ),
        pytest.param(tariff(valid_to=date(2026, 9, 1)), date(2026, 1, 1), None, id="an end within the days goes"),
        pytest.param(
            contract(terms=[pool(every="once")], valid_from=date(2027, 1, 1), valid_to=date(2028, 1, 1)),
            date(2026, 1, 1), date(2027, 1, 1), id="what is paid once keeps its length",
        ),
    ],
)  # fmt: skip
def test_a_change_holds_on_all_days(fact: Entry, begins: date, ends: date | None) -> None:
    moved = throughout(fact, DAYS)
    assert (moved.valid_from, moved.valid_to) == (begins, ends)


def rule(name: str, unit: str) -> facts.AllocationRule:
    match = facts.Match(account="wrk-1")
    return facts.AllocationRule(id=name, order=1, match=match, unit=unit, valid_from=date(2026, 1, 1))


@pytest.mark.parametrize(
    ("change", "gone", "came"),
    [
        pytest.param(Change([NEXT]), {"now", "past"}, 1, id="of the same question, whatever their days"),
        pytest.param(Change([OTHER]), set(), 1, id="of another SKU"),
        pytest.param(Change([BATCH]), set(), 1, id="under another condition"),
        pytest.param(Change(contracts=[contract(discounts=[{"off": "0.1"}])]), {"c"}, 1, id="a contract"),
        pytest.param(Change(allocation=[rule("r", "sote")]), {"r"}, 1, id="a rule"),
        pytest.param(Change(without=["now", "c", "r"]), {"now", "c", "r"}, 0, id="without"),
        pytest.param(Change(), set(), 0, id="nothing"),
    ],
)
def test_what_a_change_takes_the_place_of(change: Change, gone: set[str], came: int) -> None:
    held = [PAST, NOW, TERM, rule("r", "kymp"), usd(TODAY, "2")]
    laid = laid_over([Named(getattr(one, "id", "fx"), one) for one in held], change, DAYS)
    assert {one.fact_id for one in laid if one.until == 2} == gone
    assert [one.since for one in laid if one.fact_id.startswith("what-if")] == [2] * came


def test_a_rate_of_a_change_holds_on_all_days_and_leaves_other_currencies_alone() -> None:
    both = facts.FxRates.model_validate({"day": TODAY, "rates": {"USD": "2", "SEK": "11"}, "source": "a test"})
    laid = laid_over([Named("fx", both)], Change(rates={"USD": Decimal(3), "JPY": Decimal(160)}), DAYS)
    after = [one.fact for one in laid if one.until is None and isinstance(one.fact, facts.FxRates)]
    assert {one.day: dict(one.rates) for one in after} == {
        TODAY: {"USD": 3, "SEK": 11},
        date(2025, 6, 27): {"USD": 3, "JPY": 160},
    }


def test_the_systems_that_a_change_may_touch() -> None:
    held = [NOW, rule("r", "kymp")]
    assert Change([NEXT], seats={("copilot", "M365"): 3}).systems(held) == frozenset({"claude", "copilot"})
    moved = NOW.model_copy(update={"system": "gemini"})
    assert Change([moved]).systems(held) == frozenset({"claude", "gemini"})
    assert Change(without=["now"]).systems(held) == frozenset({"claude"})
    assert Change(without=["r"]).systems(held) is None
    assert Change(rates={"USD": Decimal(3)}).systems(held) is None
