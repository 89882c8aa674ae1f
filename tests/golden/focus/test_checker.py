import csv
import io
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.golden.focus.checker import FILE_RULES, ROW_RULES, check, invoice_problems

HERE = Path(__file__).parent
GOOD = (HERE / "good.csv").read_text(encoding="utf-8")
BROKEN: list[dict[str, Any]] = json.loads((HERE / "broken.json").read_text(encoding="utf-8"))


def broken(case: dict[str, Any]) -> str:
    """The good file with one cell changed, and others where `also` says so."""
    rows = list(csv.reader(io.StringIO(GOOD)))
    header = list(rows[0])
    for column, text in {case["column"]: case["text"], **case.get("also", {})}.items():
        rows[case["line"] - 1][header.index(column)] = text
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()


def test_a_file_without_faults_has_no_problems() -> None:
    assert check(GOOD) == []


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: f"{case['rule']}: {case['column']} {case['text'][:20]!r}")
def test_a_fault_is_found_and_said(case: dict[str, Any]) -> None:
    problems = check(broken(case))
    assert any(case["says"] in problem for problem in problems), problems
    assert any(problem.startswith((f"line {case['line']}:", "file:")) for problem in problems)


def test_every_rule_has_a_fault_that_it_alone_must_find() -> None:
    assert {rule.__name__ for rule in (*ROW_RULES, *FILE_RULES)} | {"header"} == {case["rule"] for case in BROKEN}


@pytest.mark.parametrize("rule", [*ROW_RULES, *FILE_RULES], ids=lambda rule: rule.__name__)
def test_without_a_rule_its_faults_go_unseen(rule: Callable[..., object], monkeypatch: pytest.MonkeyPatch) -> None:
    """So no rule stands in the list for nothing, and no other rule does its work by accident."""
    for name, rules in (("ROW_RULES", ROW_RULES), ("FILE_RULES", FILE_RULES)):
        monkeypatch.setattr(f"tests.golden.focus.checker.{name}", tuple(one for one in rules if one is not rule))
    for case in (case for case in BROKEN if case["rule"] == rule.__name__):
        assert not any(case["says"] in problem for problem in check(broken(case)))


def test_a_line_that_is_too_long_or_too_short_is_said() -> None:
    assert check(f"{GOOD}1,2\n") == ["line 7: has 2 cells, the header 44"]


def test_a_byte_order_mark_is_said() -> None:
    assert check(f"\ufeff{GOOD}")[0].startswith("line 1: the file begins with a byte order mark")


def test_an_empty_file_lacks_every_column() -> None:
    assert len(check("")) == 21


def test_rows_of_an_invoice_add_up_to_it() -> None:
    assert invoice_problems(GOOD, {"A-1": Decimal("0.22")}) == []
    assert invoice_problems(GOOD, {"A-1": Decimal("0.23")}) == ["invoice A-1: its rows add up to 0.22, it says 0.23"]
    assert invoice_problems(GOOD, {}) == ["invoice A-1: its rows add up to 0.22, it says 0"]
    assert invoice_problems(GOOD, {"A-1": Decimal("0.22"), "B": Decimal(1)}) == [
        "invoice B: its rows add up to 0, it says 1"
    ]
