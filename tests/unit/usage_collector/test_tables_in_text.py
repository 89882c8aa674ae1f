"""Numbers, days and tables as spreadsheets write them."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.shared.money import exact
from services.usage_collector.tables_in_text import (
    CellError,
    FileRefusedError,
    Row,
    day,
    decimal_sign,
    number,
    rows_of,
    share,
    text_of,
)

NBSP = "\N{NO-BREAK SPACE}"


@pytest.mark.parametrize(
    ("cell", "sign", "expected"),
    [
        pytest.param("12", None, "12", id="a whole number needs no sign"),
        pytest.param("12,50", ",", "12.5", id="a decimal comma; zeros at the end say nothing"),
        pytest.param("12.50", ".", "12.5", id="a decimal point"),
        pytest.param("-0,255", ",", "-0.255", id="below nought"),
        pytest.param("\N{MINUS SIGN}3", None, "-3", id="a spreadsheet's minus"),
        pytest.param("1 234 567,891", ",", "1234567.891", id="thousands by spaces"),
        pytest.param(f"1{NBSP}234", None, "1234", id="thousands by the spaces of a Finnish spreadsheet"),
        pytest.param("1,234", ",", "1.234", id="what may be thousands is decimals where the file has decimal commas"),
        pytest.param("007", None, "7", id="zeros in front"),
        pytest.param("-0,00", ",", "0", id="nought has no sign"),
    ],
)
def test_a_number(cell: str, sign: str | None, expected: str) -> None:
    assert f"{number(cell, sign):f}" == expected


@pytest.mark.parametrize(
    ("cell", "sign", "expected"),
    [
        ("1,234", None, "write 1234 or 1,2340"),
        ("1.234", ",", "the decimal sign of the numbers before it"),
        ("1,234.50", ".", "a plain number"),
        ("12,5 €", ",", "a plain number"),
        ("12,5 %", ",", "a plain number"),
        ("1 23", None, "a plain number"),
        ("1e3", None, "a plain number"),
        ("٣", None, "a plain number"),
        ("", None, "a plain number"),
        ("9" * 31, None, "at most 30 digits"),
        ("0," + "1" * 19, ",", "18 after"),
    ],
)
def test_what_is_no_number(cell: str, sign: str | None, expected: str) -> None:
    with pytest.raises(CellError, match=expected):
        number(cell, sign)


@given(
    st.decimals(min_value=-(10**9), max_value=10**9, places=4, allow_nan=False),
    st.sampled_from([",", "."]),
    st.sampled_from(["", " ", NBSP]),
)
def test_a_number_written_in_any_of_our_ways_is_the_same(amount: Decimal, sign: str, space: str) -> None:
    written = f"{amount:,f}".replace(",", space).replace(".", sign)
    assert number(written, sign) == exact(amount)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1", "2"], None),
        (["1,234", "5.678"], None),
        (["1,234", "5,67"], ","),
        (["0.255", "1,5"], "."),
        (["1 234,567"], ","),
        (["1234.567"], "."),
    ],
)
def test_the_first_number_that_leaves_no_doubt_tells_the_decimal_sign(cells: list[str], expected: str | None) -> None:
    assert decimal_sign([Row(1, {"net": cell, "other": "9;9"}) for cell in cells], ["net"]) == expected


@pytest.mark.parametrize(("cell", "expected"), [("0.255", "0.255"), ("25.5 %", "0.255"), ("25%", "0.25"), ("1", "1")])
def test_a_share(cell: str, expected: str) -> None:
    assert share(cell, ".") == Decimal(expected)


@pytest.mark.parametrize("cell", ["25.5", "-1 %", "101 %", "1.5"])
def test_no_share(cell: str) -> None:
    with pytest.raises(CellError, match=r"write 0.255 or 25.5 %"):
        share(cell, ".")


@pytest.mark.parametrize("cell", ["2026-12-01", "1.12.2026", "01.12.2026"])
def test_a_day(cell: str) -> None:
    assert day(cell) == date(2026, 12, 1)


@pytest.mark.parametrize("cell", ["12/1/2026", "2026-02-30", "31.4.2026", "20261201", "1.12.26"])
def test_no_day(cell: str) -> None:
    with pytest.raises(CellError, match="a day of the calendar"):
        day(cell)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
def test_text_in_the_encodings_of_spreadsheets(encoding: str) -> None:
    assert text_of("f", "Käyttö;€".encode(encoding)) == "Käyttö;€"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"PK\x03\x04", "f:1: found a workbook; expected text; save it as CSV UTF-8"),
        ("a;b".encode("utf-16"), "f:1: found UTF-16"),
        (b"a;b\nc;\x81", "f:2: found bytes that are neither UTF-8 nor Windows-1252"),
    ],
)
def test_what_is_no_text(content: bytes, expected: str) -> None:
    with pytest.raises(FileRefusedError, match=expected.replace("(", r"\(")):
        text_of("f", content)


def test_rows_by_their_columns_whatever_parts_them() -> None:
    for text in ('A;b\n\n"x\ny";2\n;\n3; \n', 'b,a\n2,"x\ny"\n"",\n,3\n'):
        rows = rows_of("f", text, ["a", "b"], ["a"])
        assert [row.cells for row in rows] == [{"a": "x\ny", "b": "2"}, {"a": "3"}]
    assert [row.line for row in rows] == [2, 5], "a cell of two lines counts as two"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "found no column a; expected a first line"),
        ("b\n1", "found no column a"),
        ("a;c\n1;2", "found the column 'c'; expected only a, b"),
        ("a;A\n1;2", "found the column a 2 times"),
        ("a;b\n1", "f:2: found 1 cells; expected 2"),
        ("a;b", "f:2: found no rows"),
        ('a;b\n1;"2', "f:2: found a quotation mark that is not closed"),
    ],
)
def test_what_is_no_table(text: str, expected: str) -> None:
    with pytest.raises(FileRefusedError, match=expected):
        rows_of("f", text, ["a", "b"], ["a"])
