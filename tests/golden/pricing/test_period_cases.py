"""Cases by the period: pools, tiers, fees, capacity, minimums, seats. Every file of `periods` is one (README there)."""

import ast
import json
import sys
from pathlib import Path

import pytest

from tests.golden.pricing import case_files, period_files, recompute_periods

HERE = Path(__file__).parent
CASES = sorted((HERE / "periods").glob("*.json"))
AT_LEAST = 60
KINDS = {"seats", "tariff", "pool", "capacity", "fee", "minimum"}


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_the_charges_are_those_written_down(path: Path, rewrite_golden: bool) -> None:
    case = json.loads(path.read_text())
    found = period_files.charges(case)
    shown, totals = period_files.shown(case, found), period_files.totals(found)
    if rewrite_golden:
        case_files.write(path, {**case, "charges": shown, "totals": totals})
    assert shown == case["charges"]
    assert totals == case["totals"]


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_second_opinion_comes_to_the_same(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = recompute_periods.main([path])
    assert capsys.readouterr().out == "1 cases, 0 differences\n"
    assert found == 0


def test_the_second_opinion_says_what_differs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = json.loads(CASES[0].read_text())
    case["totals"][0]["EffectiveCost"] = "1"
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps(case))
    assert recompute_periods.main([wrong]) == 1
    assert "wrong.json, totals: worked out" in capsys.readouterr().out


@pytest.mark.parametrize("path", sorted(HERE.glob("recompute*.py")), ids=lambda path: path.stem)
def test_a_second_opinion_imports_nothing_of_ours(path: Path) -> None:
    tree = ast.parse(path.read_text())
    plain = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    modules = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    own = {name for name in plain | modules if name.startswith("tests.golden.pricing")}
    assert {name.partition(".")[0] for name in plain | modules - own} <= sys.stdlib_module_names
    imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for name in node.names}
    assert {"case_files", "period_files"}.isdisjoint(imported)


def test_there_are_enough_cases_of_every_kind_and_each_says_why() -> None:
    cases = [json.loads(path.read_text()) for path in CASES]
    assert len(cases) >= AT_LEAST
    assert all(len(case["why"]) > len("because") for case in cases)
    assert {charge["x_Agreement"].partition(":")[0] for case in cases for charge in case["charges"]} == KINDS
