"""Prices as an accountant writes them down: every file of this folder is one case (README.md beside them)."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from services.cost_alerts.domain.pricing import Line, Pricer, lines
from services.cost_alerts.domain.use import Profile, Use
from services.cost_alerts.domain.view import Book, FactVersion
from services.shared.events import register as facts
from services.shared.events.envelope import Fact
from services.shared.events.usage import Reading
from services.shared.money import as_text, from_nano
from services.shared.periods import helsinki_day

CASES = sorted(Path(__file__).parent.glob("*.json"))
_BEFORE_ALL = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_the_charges_are_those_written_down(path: Path, rewrite_golden: bool) -> None:
    case = json.loads(path.read_text())
    charges = [charge for usage in case["usage"] for charge in _charges(_book(case), _reading(usage))]
    if rewrite_golden:
        path.write_text(json.dumps({**case, "charges": charges}, indent=2, ensure_ascii=False) + "\n")
    assert charges == case["charges"]


def test_there_are_cases() -> None:
    assert CASES


def _book(case: dict[str, Any]) -> Book:
    tariffs = TypeAdapter(list[facts.Tariff]).validate_python(case["tariffs"])
    rates = TypeAdapter(list[facts.FxRates]).validate_python(case.get("fx", []))
    held: list[Fact] = [*tariffs, *rates]
    return Book({1: _BEFORE_ALL}, [FactVersion(str(number), 1, None, fact) for number, fact in enumerate(held)])


def _reading(usage: dict[str, Any]) -> Reading:
    defaults = {"reading_id": "case", "system": "claude-api", "sku": "claude-sonnet-4-5"}
    return Reading.model_validate({**defaults, **usage})


def _charges(book: Book, reading: Reading) -> list[dict[str, Any]]:
    start = reading.charge_period_start
    use = Use(Profile.of(reading), start, helsinki_day(start))
    return [_charge(line, use.day, reading.consumed[line.meter]) for line in lines(book.view(1), use)]


def _charge(line: Line, day: date, quantity: Decimal) -> dict[str, Any]:
    """A charge under its FOCUS 1.2 column names; null where there is no value."""
    nano, eur_nano = Pricer(line).amounts(quantity)
    return {
        "ChargePeriodStart": day.isoformat(),
        "SkuMeter": line.meter,
        "ConsumedQuantity": as_text(quantity),
        "PricingCurrency": line.currency,
        "PricingCurrencyListCost": None if nano is None else as_text(from_nano(nano)),
        "BillingCurrency": None if eur_nano is None else "EUR",
        "ListCost": None if eur_nano is None else as_text(from_nano(eur_nano)),
        "x_Tariff": line.tariff,
        "x_RateDay": None if line.rate_day is None else line.rate_day.isoformat(),
        "x_Unpriced": line.reason,
    }
