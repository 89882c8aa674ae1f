"""The compose file and Grafana's provisioning: true to the settings, ports and files that exist. No engine is run."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.__main__ import Part
from services.embedded import OWN_PORTS
from services.shared.settings import Settings

DEPLOY = Path(__file__).parents[2] / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
OURS = [part.value for part in Part if part is not Part.ALL]


def service(name: str) -> dict[str, Any]:
    found: dict[str, Any] = COMPOSE["services"][name]
    return found


def test_every_service_is_there_with_what_it_needs() -> None:
    assert set(COMPOSE["services"]) == {*OURS, "prepare-store", "kafka", "postgres", "prometheus", "grafana"}
    for name in OURS:
        assert service(name)["command"] == ["run", name]
        assert service(name)["ports"] == [f"127.0.0.1:{OWN_PORTS[name]}:{OWN_PORTS[name]}"]
        assert set(service(name)["depends_on"]) == {"kafka", "prepare-store"}


def test_the_services_sign_in_as_another_role_than_the_owner_of_the_tables() -> None:
    prepare = service("prepare-store")
    assert prepare["command"] == ["store", "prepare"]
    owner = prepare["environment"]["VALVOMO_STORE_OWNER"]
    for name in OURS:
        assert service(name)["environment"]["VALVOMO_STORE"] == prepare["environment"]["VALVOMO_STORE"]
        assert owner not in service(name)["environment"].values()
    roles = [address.split("://")[1].split(":")[0] for address in (owner, prepare["environment"]["VALVOMO_STORE"])]
    assert roles == [service("postgres")["environment"]["POSTGRES_USER"], "valvomo_app"]


@pytest.mark.parametrize("name", OURS)
def test_settings_exist_and_can_be_read(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {key: re.sub(r"\$\{\w+:[?-].*?\}", "x", value) for key, value in service(name)["environment"].items()}
    for key, value in given.items():
        assert key.removeprefix("VALVOMO_").lower() in Settings.model_fields
        monkeypatch.setenv(key, value.replace("x", "http://x") if key == "VALVOMO_PUBLIC_URL" else value)
    settings = Settings()
    assert settings.bus == "kafka://kafka:9092"
    assert settings.tokens_file is not None


def test_sources_are_words_with_commas_between_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALVOMO_SOURCES", "anthropic, servicenow,")
    assert Settings().sources == ("anthropic", "servicenow")
    monkeypatch.setenv("VALVOMO_SOURCES", "")
    assert Settings().sources == ()


def test_nothing_is_open_to_other_machines_and_no_secret_is_written_down() -> None:
    for name, found in COMPOSE["services"].items():
        assert all(port.startswith("127.0.0.1:") for port in found.get("ports", ())), name
        for key, value in found.get("environment", {}).items():
            if re.search("PASSWORD|KEY(?!_FILE)|SECRET|STORE", key) and "LISTENER" not in key:
                assert "${" in str(value), f"{name}: {key}"


def test_every_variable_without_default_is_in_the_example() -> None:
    asked = set(re.findall(r"\$\{(\w+):\?", (DEPLOY / "compose.yaml").read_text()))
    example = dict(
        line.split("=", 1) for line in (DEPLOY / "secrets.example.env").read_text().splitlines() if "=" in line
    )
    assert asked <= set(example)


def test_mounted_files_exist_and_prometheus_asks_every_service() -> None:
    for name in ("prometheus", "grafana"):
        for mount in service(name)["volumes"]:
            if mount.startswith("."):
                assert (DEPLOY / mount.split(":")[0]).exists(), mount
    [scrape] = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())["scrape_configs"]
    assert scrape["static_configs"] == [{"targets": [f"{name}:{OWN_PORTS[name]}" for name in OURS]}]


def test_grafana_finds_the_board_and_its_source() -> None:
    [provider] = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/valvomo.yaml").read_text())["providers"]
    assert f"../dashboards:{provider['options']['path']}:ro" in service("grafana")["volumes"]
    [source] = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yaml").read_text())["datasources"]
    assert source["type"] == "prometheus"
    assert source["url"] == "http://prometheus:9090"
