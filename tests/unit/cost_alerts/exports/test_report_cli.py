import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import openpyxl
import pytest
from typer.testing import CliRunner, Result

from services.cost_alerts.cli import app
from services.shared.bus.open import BUS_FILE
from services.shared.bus.sqlite import SqliteBus
from services.shared.errors import ConfigurationError
from services.shared.events import register as facts
from services.shared.events.prices import Contract
from services.shared.events.usage import Consumer
from services.shared.periods import Month
from tests.contract.closing_contract import close
from tests.contract.ledger_world import BASE, SYSTEM, World, make_world, reading, tariff, unit
from tests.golden.focus.checker import check


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A ledger in the form that the commands open, with three readings in October: 7.20 euro, one without a price."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VALVOMO_DATA_DIR", str(tmp_path))
    world = make_world(tmp_path, lambda clock: SqliteBus(tmp_path / BUS_FILE, clock, 2))
    vat = Contract(
        id="anthropic-2026", system=SYSTEM, vendor="anthropic", valid_from=date(2026, 1, 1), vat_rate=Decimal("0.255")
    )
    claude = facts.System(id=SYSTEM, vendor="anthropic", name="Claude", owner="city", account="4470")
    world.register(*BASE, vat, claude, unit("kymp", cost_centre="+3010"))
    world.publish(reading("a"), reading("b", account="else"), reading("c", sku="unheard-of"))
    world.settle()
    yield world
    world.close()
    world.bus.close()


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words), catch_exceptions=False)


OCTOBER = ("report", "--month", "2026-10")
TOTAL = {
    "eur": "7.2",
    "pricing": {"USD": "9"},
    "readings": 3,
    "unpriced": 1,
    "vat_eur": "1.836",
    "without_vat_rate": "0",
}


def test_a_report_for_programs(world: World) -> None:
    found = json.loads(run(*OCTOBER, "--format", "json").output)
    assert found == world.report()
    assert found["total"] == TOTAL


@pytest.mark.parametrize("by", ["unit", "cost_centre", "project", "system", "vendor", "sku", "meter", "day"])
@pytest.mark.parametrize("basis", ["booked", "incurred"])
def test_every_grouping_has_the_same_total(world: World, by: str, basis: str) -> None:
    found = json.loads(run(*OCTOBER, "--by", by, "--basis", basis, "--format", "json").output)
    assert found["total"] == TOTAL
    assert all(by in row for row in found["rows"])


def test_a_report_as_known_before_anything_was(world: World) -> None:
    found = json.loads(run(*OCTOBER, "--as-known-on", "2026-09-30", "--format", "json").output)
    assert (found["as_known_on"], found["rows"]) == ("2026-09-30", [])


def test_a_report_for_a_spreadsheet(world: World) -> None:
    assert run(*OCTOBER, "--format", "csv").output.splitlines() == [
        "unit,eur,eur_cents,vat_eur,without_vat_rate_eur,priced_USD,readings,unpriced",
        "kymp,3.6,3.60,0.918,0,4.5,2,1",
        "unallocated,3.6,3.60,0.918,0,4.5,1,0",
        "total,7.2,7.20,1.836,0,9,3,1",
    ]


@pytest.mark.parametrize("locale", ["fi", "sv"])
def test_a_report_for_a_finnish_spreadsheet(world: World, locale: str) -> None:
    output = run(*OCTOBER, "--by", "cost_centre", "--format", "csv", "--locale", locale).output
    assert output.startswith("\ufeffcost_centre;eur;")
    assert "'+3010;3,6;3,60;0,918;0;4,5;2;1" in output


def test_a_report_for_people(world: World) -> None:
    output = run(*OCTOBER).output
    assert "unallocated" in output
    assert "7.2" in output


def test_a_workbook(world: World, tmp_path: Path) -> None:
    path = tmp_path / "october.xlsx"
    assert run(*OCTOBER, "--format", "xlsx", "--output", str(path)).exit_code == 0
    book = openpyxl.load_workbook(path)
    assert book.sheetnames == ["summary", "detail", "about"]
    assert [cell.value for cell in book["summary"][4]][:4] == ["total", 7.2, None, 7.2]
    detail = list(book["detail"].values)
    eur = detail[0].index("eur")
    assert detail[-1][eur] == 7.2
    assert sum(row[eur] for row in detail[1:-1]) == pytest.approx(7.2)
    assert detail[1][0] == datetime(2026, 10, 2)  # noqa: DTZ001  # a spreadsheet's dates have no zone


def test_a_workbook_wants_a_file(world: World) -> None:
    with pytest.raises(ConfigurationError, match="--output"):
        run(*OCTOBER, "--format", "xlsx")


def test_focus_rows_and_what_was_left_out(world: World, tmp_path: Path) -> None:
    path = tmp_path / "october.csv"
    found = run(*OCTOBER, "--format", "focus", "--output", str(path))
    assert found.exit_code == 0
    assert "left out 2 charges that have no price" in found.stderr
    text = path.read_text(encoding="utf-8")
    assert check(text) == []
    rows = list(csv.DictReader(io.StringIO(text)))
    assert sum(Decimal(row["EffectiveCost"]) for row in rows) == Decimal("7.2")
    beside = list(csv.DictReader(io.StringIO((tmp_path / "october.unpriced.csv").read_text())))
    assert [(row["sku"], row["meter"], row["charges"]) for row in beside] == [
        ("unheard-of", "input_tokens", "1"),
        ("unheard-of", "output_tokens", "1"),
    ]


def test_focus_rows_on_the_terminal(world: World) -> None:
    found = run(*OCTOBER, "--format", "focus")
    assert check(found.stdout) == []


@pytest.mark.parametrize("form", ["table", "csv", "json", "xlsx", "focus"])
def test_a_place_that_cannot_be_written_is_one_sentence(world: World, tmp_path: Path, form: str) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot write .*nowhere.*choose a place with room"):
        run(*OCTOBER, "--format", form, "--output", str(tmp_path / "nowhere" / "file"))


@pytest.mark.parametrize("text", ["October", "2026-13", "2026-1", "0000-01", "9999-12", "", "2026-10-01"])
def test_a_month_that_is_none(world: World, text: str) -> None:
    found = run("report", "--month", text)
    assert found.exit_code == 2
    assert "2026-11" in found.output


@pytest.mark.parametrize("form", ["json", "focus"])
@pytest.mark.parametrize("day", ["9999-12-31", "0001-01-01"])
def test_a_report_as_known_at_the_ends_of_time(world: World, day: str, form: str) -> None:
    found = run(*OCTOBER, "--as-known-on", day, "--format", form)
    assert found.exit_code == 0
    if form == "json":
        assert json.loads(found.output)["total"]["eur"] == ("7.2" if day > "2026" else "0")


def test_a_month_in_which_nothing_was_used(world: World) -> None:
    found = json.loads(run("report", "--month", "2026-09", "--format", "json").output)
    assert (found["rows"], found["total"]["eur"], found["total"]["readings"]) == ([], "0", 0)


def test_postings_by_command(world: World, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="run valvomo ledger close 2026-10 first"):
        run("postings", "--month", "2026-10")
    close(world, Month(2026, 10))
    world.settle()
    path = tmp_path / "postings.csv"
    assert run("postings", "--month", "2026-10", "--output", str(path)).exit_code == 0
    text = path.read_text(encoding="utf-8")
    assert text.splitlines() == [
        "\ufeffbatch;month;cost_centre;project;account;unit;vat_rate;net_eur;vat_eur;gross_eur",
        "2026-10-01;2026-10;;;4470;unallocated;0,255;3,60;0,92;4,52",
        "2026-10-01;2026-10;'+3010;;4470;kymp;0,255;3,60;0,92;4,52",
    ]
    again = run("postings", "--month", "2026-10", "--output", str(tmp_path / "again.csv"))
    assert (again.exit_code, again.stdout) == (0, "")
    assert "nothing new to book for 2026-10" in again.stderr
    assert not (tmp_path / "again.csv").exists()
    assert run("postings", "--batch", "2026-10-01").stdout == text


def test_postings_for_programs(world: World) -> None:
    found = json.loads(run("postings", "--month", "2026-10", "--provisional", "--format", "json").output)
    assert (found["batch"], found["net_eur"], found["vat_eur"], len(found["lines"])) == (None, "7.20", "1.84", 2)


def test_postings_want_a_month_or_a_batch(world: World) -> None:
    assert run("postings").exit_code == 2
    assert run("postings", "--month", "2026-10", "--batch", "2026-10-01").exit_code == 2


def test_a_full_disk_after_booking_says_how_to_write_the_batch_again(world: World, tmp_path: Path) -> None:
    close(world, Month(2026, 10))
    world.settle()
    with pytest.raises(ConfigurationError, match="the batch is booked: write it again with --batch 2026-10-01"):
        run("postings", "--month", "2026-10", "--output", str(tmp_path / "nowhere" / "file"))
    assert "2026-10-01;2026-10;" in run("postings", "--batch", "2026-10-01").stdout


def test_missing_accounts_and_vat_rates_are_told(world: World) -> None:
    world.publish(
        reading("x", system="other", consumer=Consumer(), start=datetime(2026, 10, 2, 8, tzinfo=UTC), sku="s")
    )
    world.register(tariff("input_tokens", "3.00", id="o", system="other", sku="*"))
    world.settle()
    found = run("postings", "--month", "2026-10", "--provisional")
    assert "some lines have no account" in found.stderr
    assert "some lines have no VAT rate" in found.stderr
