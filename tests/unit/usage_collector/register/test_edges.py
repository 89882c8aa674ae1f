"""Prices and contracts where one midnight meets another, rates of days to come, and who counts as a second person."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import pytest

from services.shared.errors import ConfigurationError
from services.usage_collector.register.approval_cli import reason_of
from services.usage_collector.register.folder import load_folder

TODAY = date(2026, 11, 22)
FILES = {
    "units.yaml": "- {id: city, name: {en: City}, valid_from: 2026-01-01}\n",
    "systems.yaml": "- {id: api, vendor: anthropic, name: API, owner: ict}\n",
}
PRICE = (
    '- {{id: {id}, system: api, sku: m, meter: {meter}, model: {model}, price: "3", per: "1", currency: EUR, '
    "valid_from: {valid_from}, valid_to: {valid_to}, time_zone: {zone}, source: s, checked_on: 2026-11-20}}\n"
)
HELSINKI = "Europe/Helsinki"


def warnings(folder: Path, files: Mapping[str, str]) -> list[str]:
    for name, text in {**FILES, **files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return [str(warning) for warning in load_folder(folder, today=TODAY).warnings]


def two_prices(first_zone: str, second_zone: str, meter: str = "requests", model: str = "per_unit") -> str:
    return PRICE.format(
        id="t", meter=meter, model=model, valid_from="2026-01-01", valid_to="2026-06-01", zone=first_zone
    ) + PRICE.format(id="u", meter=meter, model=model, valid_from="2026-06-01", valid_to="2027-01-01", zone=second_zone)


def test_hours_without_a_price_between_two_midnights_are_told(tmp_path: Path) -> None:
    (said,) = warnings(tmp_path, {"tariffs/a.yaml": two_prices(HELSINKI, "UTC")})
    assert said.startswith(
        "tariffs/a.yaml:2: found no price from 2026-06-01 in Europe/Helsinki to 2026-06-01 in UTC; expected"
    )


@pytest.mark.parametrize(
    "prices",
    [
        pytest.param(two_prices("UTC", "UTC"), id="one midnight"),
        pytest.param(two_prices(HELSINKI, "UTC", "seats", "per_seat_month"), id="seats by the date, no hours left"),
        pytest.param(two_prices("UTC", HELSINKI, "seats", "per_seat_month"), id="seats by the date, no hours twice"),
    ],
)
def test_prices_that_follow_each_other(prices: str, tmp_path: Path) -> None:
    assert warnings(tmp_path, {"tariffs/a.yaml": prices}) == []


def test_a_rate_of_a_day_to_come_does_not_silence_the_alarm(tmp_path: Path) -> None:
    rate = '- {{day: {day}, rates: {{KES: "150"}}, source: bank}}\n'
    price = PRICE.format(
        id="t", meter="requests", model="per_unit", valid_from="2026-01-01", valid_to="2027-01-01", zone="UTC"
    ).replace("EUR", "KES")
    said = warnings(
        tmp_path, {"tariffs/a.yaml": price, "fx.yaml": rate.format(day="2026-11-01") + rate.format(day="2027-11-20")}
    )
    assert [warning.partition(";")[0] for warning in said] == [
        "fx.yaml:1: found NO RATES FOR 21 DAYS: 2026-11-01 as the last day with a rate of KES",
        "fx.yaml:2: found day: 2027-11-20",
    ]


def test_a_reason_without_addresses() -> None:
    with pytest.raises(ConfigurationError, match="found an e-mail address in --reason; expected none"):
        reason_of("asked for by first.last@city.example")
    assert reason_of("price list of October") == "price list of October"


BUDGET = """\
- id: b
  unit: city
  period: 2026
  amount: "9.00"
  currency: EUR
  thresholds: ["0.5"]
  recipients: [f]
  amendments:
    - {valid_from: 2026-05-01, amount: "-9.00", decision: D-1}
    - {valid_from: 2026-05-%02d, amount: "7.00", decision: D-2}
"""


def test_decisions_of_one_day_leave_what_they_leave_together(tmp_path: Path) -> None:
    assert warnings(tmp_path, {"budgets.yaml": BUDGET % 1}) == []
    with pytest.raises(ConfigurationError, match=r"found 0\.00 EUR left of the budget from 2026-05-01 on"):
        warnings(tmp_path, {"budgets.yaml": BUDGET % 2})
