from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cost_alerts.domain.agreements.agreement import Metered
from services.cost_alerts.domain.use import Profile, Use
from services.cost_alerts.domain.whatif.basket import PriceIndex, by_nobody, index
from services.shared.events import register as facts
from services.shared.events.envelope import Fact
from tests.unit.cost_alerts.domain.city import book, contract, tariff, usd

TODAY = date(2026, 11, 2)
FIRST, MIDDLE, LAST = date(2026, 6, 1), date(2027, 1, 1), date(2027, 6, 1)


def used(consumed: Mapping[str, str], sku: str = "sonnet", person: str | None = None) -> Metered:
    meters = tuple(sorted(consumed))
    use = Use(Profile("claude", sku, meters, person=person), datetime(2026, 10, 30, 8, tzinfo=UTC), date(2026, 10, 30))
    return Metered(use, tuple(Decimal(consumed[meter]) for meter in meters), None, estimated=False)


def indexed(register: Sequence[Fact], *readings: Metered) -> PriceIndex:
    return index(book(register).view(1), by_nobody(readings), TODAY, [FIRST, TODAY, MIDDLE, LAST])


def levels(found: PriceIndex) -> list[float]:
    return [round(float(found.levels[day]), 6) for day in (FIRST, TODAY, MIDDLE, LAST)]


MILLION = {"input_tokens": "1000000"}
ENDS = tariff("3.00", valid_to=MIDDLE)
TIERS: Mapping[str, object] = {
    "model": "graduated",
    "tiers": [{"up_to": "10", "price": "2"}, {"price": "1"}],
    "per": "1",
}


@pytest.mark.parametrize(
    ("register", "readings", "expected"),
    [
        pytest.param([tariff()], [used(MILLION)], [1, 1, 1, 1], id="nothing changes"),
        pytest.param([], [used(MILLION)], [1, 1, 1, 1], id="nothing has a price"),
        pytest.param([tariff()], [], [1, 1, 1, 1], id="nothing was used"),
        pytest.param(
            [ENDS, tariff("4.50", id="u", valid_from=MIDDLE)], [used(MILLION)], [1, 1, 1.5, 1.5], id="a rise to come"
        ),
        pytest.param(
            [tariff("1.50", valid_to=date(2026, 9, 1)), tariff("3.00", id="u", valid_from=date(2026, 9, 1))],
            [used(MILLION)], [0.5, 1, 1, 1], id="a rise that was",
        ),
        pytest.param(
            [tariff("1.50", valid_to=date(2026, 9, 1)), tariff("3.00", id="u", valid_from=date(2026, 9, 1)),
             tariff("3.00", id="o", meter="output_tokens")],
            [used({**MILLION, "output_tokens": "500000"})], [round(2 / 3, 6), 1, 1, 1], id="by what was used of each",
        ),
        pytest.param(
            [tariff(), contract(discounts=[{"off": "0.20"}], valid_from=MIDDLE, valid_to=LAST)],
            [used(MILLION)], [1, 1, 0.8, 1], id="a discount for a time",
        ),
        pytest.param(
            [tariff(currency="USD"), usd(date(2026, 5, 1), "2"), usd(date(2026, 11, 1), "1")],
            [used(MILLION)], [1, 1, 1, 1], id="exchange rates are no prices",
        ),
        pytest.param(
            [tariff(None, **TIERS), tariff("3.00", id="u", per="1", valid_from=LAST)],
            [used({"input_tokens": "30"})], [1, 1, 1, 1], id="two that fit alike are no price: the last known counts",
        ),
        pytest.param(
            [tariff(None, **TIERS, valid_to=LAST), tariff("3.00", id="u", per="1", valid_from=LAST)],
            [used({"input_tokens": "30"})], [1, 1, 1, 90 / 40], id="tiers of a month, then a price",
        ),
        pytest.param(
            [tariff(), facts.System(id="claude", vendor="v", name="C", owner="o", price_from="reported")],
            [used(MILLION)], [1, 1, 1, 1], id="the vendor's own cost",
        ),
    ],
)  # fmt: skip
def test_levels(register: Sequence[Fact], readings: Sequence[Metered], expected: list[float]) -> None:
    assert levels(indexed(register, *readings)) == expected


def test_a_price_that_ends_goes_on_and_is_told() -> None:
    other = tariff("9.00", id="o", sku="opus")
    found = indexed([ENDS, other], used(MILLION), used(MILLION, "opus"), used(MILLION, "new"))
    assert levels(found) == [1, 1, 1, 1]
    assert found.guessed == {MIDDLE: ["sonnet"], LAST: ["sonnet"]}
    assert found.left_out == ["new"]


def test_a_basket_adds_up_by_kind_whoever_used_it() -> None:
    found = by_nobody([used(MILLION, person="p-1x"), used(MILLION, person="p-2x"), used(MILLION, "opus")])
    assert [(one.use.profile.sku, one.use.profile.person, one.quantities) for one in found] == [
        ("sonnet", None, (Decimal(2_000_000),)),
        ("opus", None, (Decimal(1_000_000),)),
    ]


@given(
    st.dictionaries(st.sampled_from(["a", "b", "c"]), st.tuples(st.integers(1, 10**9), st.integers(0, 10**6),
                    st.integers(0, 10**6)), min_size=1)
)  # fmt: skip
def test_the_index_is_what_the_basket_costs_over_what_it_cost(skus: dict[str, tuple[int, int, int]]) -> None:
    register: list[Fact] = []
    for sku, (_, before, after) in skus.items():
        register.append(tariff(str(before), id=f"{sku}-1", sku=sku, per="1", valid_to=MIDDLE))
        register.append(tariff(str(after), id=f"{sku}-2", sku=sku, per="1", valid_from=MIDDLE))
    found = indexed(register, *(used({"input_tokens": str(quantity)}, sku) for sku, (quantity, _, _) in skus.items()))
    cost, later = (sum(one[0] * one[at] for one in skus.values()) for at in (1, 2))
    assert found.levels[LAST] == (Fraction(later, cost) if cost else 1)
