"""The alert rules: well-formed, tested by promtool, true to the metrics that exist, and each with a section to read."""

import re
import shutil
from pathlib import Path

import pytest
import yaml

from services.shared.metrics import ALL
from tests.servers.prometheus import Promtool

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/prometheus"
RULES = FOLDER / "valvomo.rules.yml"
TESTS = FOLDER / "valvomo.rules.test.yml"
ALERTS = [
    rule
    for group in yaml.safe_load(RULES.read_text())["groups"]
    for rule in group["rules"]
    if "alert" in rule
]  # fmt: skip
NAMES = [rule["alert"] for rule in ALERTS]


def test_promtool_finds_no_fault(promtool: Promtool) -> None:
    assert "SUCCESS" in promtool.check_rules(RULES)


def test_the_unit_tests_pass(promtool: Promtool) -> None:
    assert "SUCCESS" in promtool.test_rules(TESTS)


def test_a_rule_that_fires_too_late_is_noticed(promtool: Promtool, tmp_path: Path) -> None:
    shutil.copy(TESTS, tmp_path)
    (tmp_path / RULES.name).write_text(RULES.read_text().replace(">= 0.8 < 1", ">= 0.85 < 1"))
    with pytest.raises(AssertionError, match="BudgetNearlyUsed"):
        promtool.test_rules(tmp_path / TESTS.name)


@pytest.mark.parametrize("name", NAMES)
def test_every_alert_is_shown_firing(name: str) -> None:
    shown = [
        case["exp_alerts"]
        for test in yaml.safe_load(TESTS.read_text())["tests"]
        for case in test.get("alert_rule_test", ())
        if case["alertname"] == name
    ]
    assert any(shown)


def test_rules_ask_only_for_metrics_that_exist() -> None:
    known = {metric.name for metric in ALL}
    asked = set(re.findall(r"\bvalvomo_[a-z_]+", " ".join(str(rule["expr"]) for rule in ALERTS)))
    assert asked <= known


@pytest.mark.parametrize("rule", ALERTS, ids=NAMES)
def test_every_alert_says_what_it_is_and_what_to_do(rule: dict[str, dict[str, str]]) -> None:
    assert set(rule["annotations"]) == {"summary", "description", "runbook"}
    assert rule["labels"]["severity"] in {"warning", "critical"}
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    sections = {line.lstrip("# ").strip().lower() for line in (ROOT / page).read_text().splitlines() if line[:1] == "#"}
    assert anchor == str(rule["alert"]).lower()
    assert anchor in sections


def test_every_section_of_the_runbook_belongs_to_an_alert() -> None:
    text = (ROOT / "docs/runbook.md").read_text()
    assert set(re.findall(r"^### (\w+)$", text, re.MULTILINE)) == set(NAMES)


def test_prometheus_would_start_with_this_configuration(promtool: Promtool, tmp_path: Path) -> None:
    for path in (FOLDER / "prometheus.yml", RULES):
        shutil.copy(path, tmp_path)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/metrics-token").write_text("a token")
    assert "SUCCESS" in promtool.check_config(tmp_path / "prometheus.yml")
