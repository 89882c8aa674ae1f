import csv
import io
import resource
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cost_alerts.exports.delimited import write_csv
from services.cost_alerts.exports.files import whole_file
from services.cost_alerts.exports.tables import Cell, Column, Locale, Table, in_cents, safe
from services.cost_alerts.exports.workbook import loses_digits, write_workbook
from services.shared.errors import ConfigurationError

LONG = Decimal("123456789.012345678")


def table() -> Table:
    columns = [Column("unit", "text"), Column("day", "day"), Column("eur", "money"), Column("readings", "count")]
    rows: list[list[Cell]] = [
        ["Kaupunkiympäristö", date(2026, 10, 2), Decimal("-3.6"), 2],
        ["=HYPERLINK(1)", None, LONG, 0],
    ]
    return Table("summary", columns, rows, ["total", None, Decimal("123456785.412345678"), 2])


def as_csv(locale: Locale) -> str:
    out = io.StringIO()
    write_csv(out, table(), locale)
    return out.getvalue()


def test_english_csv_has_commas_and_points() -> None:
    assert as_csv("en").splitlines() == [
        "unit,day,eur,readings",
        "Kaupunkiympäristö,2026-10-02,-3.6,2",
        "'=HYPERLINK(1),,123456789.012345678,0",
        "total,,123456785.412345678,2",
    ]


@pytest.mark.parametrize("locale", ["fi", "sv"])
def test_finnish_and_swedish_csv_have_semicolons_decimal_commas_and_a_mark(locale: Locale) -> None:
    assert as_csv(locale).splitlines() == [
        "\ufeffunit;day;eur;readings",
        "Kaupunkiympäristö;2026-10-02;-3,6;2",
        "'=HYPERLINK(1);;123456789,012345678;0",
        "total;;123456785,412345678;2",
    ]


@pytest.mark.parametrize("text", ["=1+1", "+358", "-cmd", "@SUM(A1)", "\tx", "\rx", "\n=1"])
def test_a_text_that_a_spreadsheet_would_run_is_made_safe(text: str) -> None:
    assert safe(text) == f"'{text}"


@given(st.text())
def test_a_safe_text_is_not_run_and_loses_nothing(text: str) -> None:
    made = safe(text)
    assert made.removeprefix("'") == text or made == text
    assert not made.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


def workbook(tables: list[Table]) -> openpyxl.Workbook:
    out = io.BytesIO()
    write_workbook(out, tables)
    out.seek(0)
    return openpyxl.load_workbook(out)


def test_a_workbook_has_real_numbers_dates_and_a_frozen_header() -> None:
    sheet = workbook([table()])["summary"]
    assert sheet.freeze_panes == "A2"
    assert [cell.value for cell in sheet[1]] == ["unit", "day", "eur", "eur (exact)", "readings"]
    assert sheet["B2"].value.date() == date(2026, 10, 2)
    assert (sheet["C2"].value, sheet["C2"].data_type, sheet["C2"].number_format) == (-3.6, "n", "#,##0.00#######")
    assert (sheet["E2"].value, sheet["E2"].number_format) == (2, "#,##0")


def test_a_workbook_tells_exactly_what_a_number_of_15_digits_cannot() -> None:
    sheet = workbook([table()])["summary"]
    assert [sheet[f"D{row}"].value for row in (2, 3, 4)] == [None, "123456789.012345678", "123456785.412345678"]
    assert sheet["C3"].value == pytest.approx(123456789.012345678)


def test_a_workbook_runs_no_text_and_keeps_it_as_it_is() -> None:
    cell = workbook([table()])["summary"]["A3"]
    assert (cell.value, cell.data_type) == ("=HYPERLINK(1)", "s")


def test_a_workbook_ends_with_a_total_in_bold() -> None:
    sheet = workbook([table()])["summary"]
    assert sheet.max_row == 4
    assert (sheet["A4"].value, sheet["A4"].font.bold, sheet["A3"].font.bold) == ("total", True, False)


def test_more_rows_than_a_sheet_holds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.cost_alerts.exports.workbook.MOST_ROWS", 2)
    with pytest.raises(ConfigurationError, match="sheet summary"):
        workbook([table()])


@pytest.mark.parametrize(
    ("number", "loses"),
    [("0", False), ("999999.999999999", False), ("9999999.999999999", True), ("10000000.00000000", False)],
)
def test_fifteen_digits_fit(number: str, loses: bool) -> None:
    assert loses_digits(Decimal(number)) is loses


AMOUNTS = st.lists(st.decimals(min_value=-(10**12), max_value=10**12, places=9), max_size=20)


@given(AMOUNTS)
def test_cents_add_up_and_none_is_a_cent_off(amounts: list[Decimal]) -> None:
    cents = in_cents(amounts)
    assert sum(cents, Decimal(0)) == sum(amounts, Decimal(0)).quantize(Decimal("0.01"))
    assert all(abs(one - exact) < Decimal("0.01") for one, exact in zip(cents, amounts, strict=True))


@pytest.mark.parametrize(
    ("amounts", "cents"),
    [
        pytest.param(["0.005", "0.005"], ["0.01", "0.00"], id="of equals the first gets the cent"),
        pytest.param(["0.334", "0.333", "0.333"], ["0.34", "0.33", "0.33"], id="who lost most gets the cent"),
        pytest.param(["-0.004", "0.004"], ["0.00", "0.00"], id="a negative amount is cut down, then given back"),
        pytest.param(["10", "20.10"], ["10.00", "20.10"], id="whole cents stay"),
    ],
)
def test_left_over_cents_go_to_the_largest_remainder(amounts: list[str], cents: list[str]) -> None:
    assert [str(one) for one in in_cents([Decimal(one) for one in amounts])] == cents


@pytest.fixture
def full_disk() -> Iterator[None]:
    """No file may grow above a thousand bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def write_much(path: Path) -> None:
    with whole_file(path) as file:
        file.write("much\n" * 1_000)


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_leaves_the_file_before_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "october"
    path.write_text("before")
    with pytest.raises(OSError, match="too large"):
        write_much(path)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_finished_file_takes_its_place_with_usual_rights(tmp_path: Path) -> None:
    path, other = tmp_path / "october.csv", tmp_path / "other"
    other.touch()
    with whole_file(path) as file:
        file.write("ä;1\n")
        assert not path.exists()
    assert path.read_bytes() == "ä;1\n".encode()
    assert path.stat().st_mode == other.stat().st_mode


def test_a_text_with_separators_and_quotes_comes_back_as_it_was() -> None:
    out = io.StringIO()
    write_csv(out, Table("t", [Column("a;b", "text")], [['x;"y",\nz']]), "fi")
    assert list(csv.reader(io.StringIO(out.getvalue().removeprefix("\ufeff")), delimiter=";")) == [
        ["a;b"],
        ['x;"y",\nz'],
    ]
