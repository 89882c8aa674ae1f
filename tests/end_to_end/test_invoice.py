"""The vendor's recorded days, its invoice over them, and nothing left to explain; through the whole program."""

import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from tests.end_to_end import trace
from tests.end_to_end.program import Program
from tests.end_to_end.test_anthropic import DAYS_USD, vendor

__all__ = ["vendor"]  # the fixture

HEAD = "vendor;invoice_id;month;issued_on;currency;system;sku;net;vat_rate;per_euro"
TOTAL = sum((Decimal(usd) for usd in DAYS_USD.values()), Decimal(0))


def register(folder: Path) -> Path:
    trace.write_yaml(folder / "units.yaml", [{"id": "city", "name": {"en": "City"}, "valid_from": date(2026, 1, 1)}])
    trace.write_yaml(
        folder / "systems.yaml",
        [{"id": "claude-api", "vendor": "anthropic", "name": "Claude", "owner": "city", "price_from": "tariff"}],
    )
    return folder


def rows(by_sku: dict[str, str]) -> list[str]:
    """The invoice as a Finnish spreadsheet saves it, a line per model."""
    return [
        HEAD,
        *(
            f"anthropic;A-1;2026-11;1.12.2026;USD;claude-api;{sku};{usd.replace('.', ',')};25,5 %;1,1172"
            for sku, usd in by_sku.items()
        ),
    ]


@pytest.mark.e2e
def test_an_invoice_over_the_recorded_days_leaves_nothing_to_explain(tmp_path: Path, vendor: str) -> None:
    folder = register(tmp_path / "register")
    with Program(tmp_path / "data", anthropic_url=vendor, anthropic_key="sk-test", anthropic_api="legacy") as program:
        program.start()
        program.command("register", "seed", str(folder), "--system", "claude-api")
        program.command("register", "publish", str(folder))
        program.command("collect", "anthropic", "--since", "2026-11-16")
        program.wait_until_caught_up()
        ledger = json.loads(program.command("report", "--month", "2026-11", "--by", "sku", "--format", "json"))
        by_sku = {row["sku"]: row["pricing"]["USD"] for row in ledger["rows"]}
        assert sum(map(Decimal, by_sku.values())) == TOTAL
        assert len(by_sku) > 1

        file = tmp_path / "november.csv"
        file.write_text("\n".join(rows({**by_sku, "unheard-of": "?"})), encoding="cp1252")
        program.command("import", str(file), "--as", "invoice", expect=1)
        file.write_text("\n".join(rows(by_sku)), encoding="cp1252")
        for _ in range(2):
            program.command("import", str(file), "--as", "invoice")
        program.wait_until_caught_up()

        told = json.loads(program.command("invoices", "--month", "2026-11", "--json"))
        assert program.get("/api/v1/invoices", month="2026-11").json() == told
        [found] = told["reconciliations"]
        [invoice] = found["invoices"]
        assert (invoice["net"], invoice["revision"], invoice["rate_from"]) == (f"{TOTAL}", 0, "invoice")
        explained = found["explained"]
        assert [explained[f"{name}_eur"] for name in ("timing", "discount", "unexplained")] == ["0", "0", "0"]
        assert found["unpriced"] == []
        assert Decimal(explained["fx_eur"]) != 0
        assert "nothing" not in program.command("invoices")
