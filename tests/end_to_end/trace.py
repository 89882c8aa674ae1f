"""The real request trace as usage events, and the register that prices it (tests/data/README.md)."""

import csv
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from tests.end_to_end.program import Program

TRACE = Path(__file__).parents[1] / "data" / "azure_llm_inference_2023_conv.csv"
READINGS = 19_366
TOTAL_USD = "96.791325"
MONTH = "2023-11"
UNITS = 7
BATCH = 1_000

Batch = Sequence[dict[str, Any]]

_SYSTEM = "language-model"


def events() -> list[dict[str, Any]]:
    """One usage event per request; every row's unit is its line number modulo `UNITS`."""
    with TRACE.open(newline="") as file:
        return [_event(number, row) for number, row in enumerate(csv.DictReader(file))]


def _event(number: int, row: dict[str, str]) -> dict[str, Any]:
    start = datetime.fromisoformat(row["TIMESTAMP"][:26]).replace(tzinfo=UTC)
    reading_id = f"conv-2023-{number:05d}"
    return {
        "specversion": "1.0",
        "type": "valvomo.usage.recorded.v1",
        "source": "test/azure-trace",
        "id": f"{reading_id}.0",
        "subject": _SYSTEM,
        "time": _text(start),
        "data": {
            "reading_id": reading_id,
            "system": _SYSTEM,
            "sku": "conversation-model",
            "charge_period_start": _text(start),
            "charge_period_end": _text(start + timedelta(seconds=1)),
            "consumed": {"input_tokens": row["ContextTokens"], "output_tokens": row["GeneratedTokens"]},
            "consumer": {"account": f"app-{number % UNITS}"},
        },
    }


def _text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def batches(found: Sequence[dict[str, Any]]) -> list[Batch]:
    return [found[start : start + BATCH] for start in range(0, len(found), BATCH)]


def write_register(folder: Path) -> Path:
    """A register that knows the trace's model at 2.50 and 10.00 USD per million tokens."""
    since = date(2023, 1, 1)
    units = [
        {"id": f"unit-{n}", "parent": "city", "name": {"en": f"Unit {n}"}, "valid_from": since} for n in range(UNITS)
    ]
    write_yaml(folder / "units.yaml", [{"id": "city", "name": {"en": "City"}, "valid_from": since}, *units])
    write_yaml(folder / "systems.yaml", [{"id": _SYSTEM, "vendor": "azure", "name": "Language model", "owner": "city"}])
    rules = [
        {"id": f"app-{n}", "order": n, "match": {"account": f"app-{n}"}, "unit": f"unit-{n}", "valid_from": since}
        for n in range(UNITS)
    ]
    write_yaml(folder / "allocation.yaml", rules)
    prices = [tariff("input_tokens", "2.50", since), tariff("output_tokens", "10.00", since)]
    write_yaml(folder / "tariffs" / "language-model.yaml", prices)
    return folder


def tariff(meter: str, price: str, since: date) -> dict[str, Any]:
    """The price of a million tokens, in dollars."""
    return {
        "id": f"language-model-{meter}",
        "system": _SYSTEM,
        "sku": "conversation-model",
        "meter": meter,
        "model": "per_unit",
        "price": price,
        "per": "1000000",
        "currency": "USD",
        "valid_from": since,
        "source": "this test",
        "checked_on": date(2026, 11, 20),
    }


class _Plain(yaml.SafeDumper):
    """Writes repeated values out: a register folder takes no aliases."""

    def ignore_aliases(self, _data: object) -> bool:
        return True


def write_yaml(file: Path, entries: list[dict[str, Any]]) -> None:
    """One file of a register folder."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.dump(entries, Dumper=_Plain, sort_keys=False, allow_unicode=True))


def send(program: Program, found: Batch) -> None:
    for batch in batches(found):
        answer = program.post(batch)
        assert (answer.status_code, answer.json()) == (202, {"accepted": len(batch), "refused": []})


def assert_exact(program: Program) -> None:
    """Readings and dollars are exact, units add up, and the ledger finds nothing to complain of."""
    program.wait_until_caught_up()
    report = program.report(MONTH)
    assert report["total"]["readings"] == READINGS
    assert report["total"]["pricing"] == {"USD": TOTAL_USD}
    assert report["total"]["unpriced"] == 0
    assert {row["unit"] for row in report["rows"]} == {f"unit-{number}" for number in range(UNITS)}
    assert sum(row["readings"] for row in report["rows"]) == READINGS
    program.command("ledger", "check")
