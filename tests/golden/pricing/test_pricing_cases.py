"""Prices as an accountant writes them down: every file of this folder is one case (README.md beside them)."""

import ast
import json
import sys
from pathlib import Path

import pytest

from tests.golden.pricing import case_files, recompute

HERE = Path(__file__).parent
CASES = sorted(HERE.glob("*.json"))
AT_LEAST = 80


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_the_charges_are_those_written_down(path: Path, rewrite_golden: bool) -> None:
    case = json.loads(path.read_text())
    charges = case_files.charges(case)
    if rewrite_golden:
        case_files.write(path, {**case, "charges": charges})
    assert charges == case["charges"]


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_second_opinion_comes_to_the_same(path: Path) -> None:
    case = json.loads(path.read_text())
    assert recompute.charges(case) == case["charges"]


def test_the_second_opinion_imports_nothing_of_ours() -> None:
    tree = ast.parse((HERE / "recompute.py").read_text())
    plain = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    found = plain | {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert found
    assert {name.partition(".")[0] for name in found} <= sys.stdlib_module_names


def test_the_second_opinion_says_what_differs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = json.loads(CASES[0].read_text())
    case["charges"][0]["ConsumedQuantity"] = "1000001"
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps(case))
    assert recompute.main([wrong]) == 1
    assert "wrong.json, charge 1: worked out" in capsys.readouterr().out
    assert recompute.main(CASES) == 0


def test_there_are_enough_cases_and_each_says_why() -> None:
    assert len(CASES) >= AT_LEAST
    assert all(len(json.loads(path.read_text())["why"]) > len("because") for path in CASES)
