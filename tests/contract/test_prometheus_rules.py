"""The alert rules: well-formed, tested by promtool, true to the metrics that exist, and each with a section to read."""

import re
import shutil
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import pytest
import yaml

from services.cost_alerts.domain.risks.assess import EUROPE
from services.cost_alerts.domain.risks.risk import LIMITS, RiskName
from services.shared.metrics import ALL
from tests.servers.prometheus import Promtool

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/prometheus"
RULES = FOLDER / "valvomo.rules.yml"
TESTS = sorted(FOLDER.glob("*.test.yml"))
SHOWN = [test for path in TESTS for test in yaml.safe_load(path.read_text())["tests"]]
ALERTS = [
    rule
    for group in yaml.safe_load(RULES.read_text())["groups"]
    for rule in group["rules"]
    if "alert" in rule
]  # fmt: skip
NAMES = [rule["alert"] for rule in ALERTS]


def test_promtool_finds_no_fault(promtool: Promtool) -> None:
    assert "SUCCESS" in promtool.check_rules(RULES)


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
def test_the_unit_tests_pass(promtool: Promtool, path: Path) -> None:
    assert "SUCCESS" in promtool.test_rules(path)


def test_a_rule_that_fires_too_late_is_noticed(promtool: Promtool, tmp_path: Path) -> None:
    path = FOLDER / "valvomo.rules.test.yml"
    shutil.copy(path, tmp_path)
    (tmp_path / RULES.name).write_text(RULES.read_text().replace(">= 0.8 < 1", ">= 0.85 < 1"))
    with pytest.raises(AssertionError, match="BudgetNearlyUsed"):
        promtool.test_rules(tmp_path / path.name)


@pytest.mark.parametrize("name", NAMES)
def test_every_alert_is_shown_silent_then_firing_then_resolved(name: str) -> None:
    shown = [
        [bool(case["exp_alerts"]) for case in sorted(cases, key=lambda case: minutes(case["eval_time"]))]
        for test in SHOWN
        if (cases := [case for case in test.get("alert_rule_test", ()) if case["alertname"] == name])
    ]
    assert any(fired[0] is False and True in fired and fired[-1] is False for fired in shown)


def minutes(moment: str) -> int:
    """Of promtool's `90m` or `26h`."""
    return int(moment[:-1]) * {"m": 1, "h": 60}[moment[-1]]


LIMIT_OF_RULE: Mapping[str, RiskName] = {
    "VariableShareHigh": "variable_share",
    "PriceRiseAnnounced": "announced_prices",
    "PriceRiseWouldHurt": "ten_percent_rise",
    "CurrencyExposed": "fx_exposure",
    "VendorConcentrated": "vendor_concentration",
    "ModelDependence": "model_dependence",
    "PoolRunsDry": "pool_exhaustion",
    "SeatsIdle": "idle_seats",
    "CostUnallocated": "unallocated",
    "CostRestated": "restated",
    "SourceDataOld": "data_age",
    "ForecastPoor": "forecast_error",
    "ForecastLimitsWrong": "forecast_coverage",
    "ContractEnding": "contract_end",
    "PriceModelConcentrated": "price_model",
    "JurisdictionConcentrated": "jurisdiction",
    "RegionUnknown": "region_unknown",
}
UNPRICED = {"unpriced"}
"""Its rule fires on the first reading: a share of them hides a dear one."""


@pytest.mark.parametrize(("rule", "risk"), LIMIT_OF_RULE.items())
def test_a_rule_has_the_limit_of_its_risk(rule: str, risk: RiskName) -> None:
    [expression] = [str(one["expr"]) for one in ALERTS if one["alert"] == rule]
    found = re.search(r"([<>]) ([0-9.]+)( \* 86400)?(?: > 0)?$", expression.strip())
    assert found is not None, expression
    limit = LIMITS[risk]
    assert found[1] == ("<" if limit.falling else ">")
    assert Fraction(found[2]) == limit.over
    assert bool(found[3]) == (limit.measure == "days")


def test_every_risk_has_a_rule() -> None:
    assert set(LIMIT_OF_RULE.values()) | UNPRICED == set(LIMITS)


def test_countries_of_europe_are_the_same_in_code_and_rule() -> None:
    [expression] = [str(one["expr"]) for one in ALERTS if one["alert"] == "JurisdictionConcentrated"]
    found = re.search(r'jurisdiction!~"([A-Z|]+)"', expression)
    assert found is not None
    assert frozenset(found[1].split("|")) == EUROPE


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
