"""`valvomo alerts`, the API on alerts, and who may acknowledge: with a link, with a role, never without either."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry, generate_latest
from typer.testing import CliRunner, Result

from services.cost_alerts.adapters.keys import acknowledgement_key
from services.cost_alerts.adapters.metrics import AlertMetrics
from services.cost_alerts.cli import app
from services.cost_alerts.domain.alerts.acknowledging import is_token, link_path, token_of
from services.shared.access import load_access, new_token
from services.shared.bus.open import BUS_FILE
from services.shared.bus.sqlite import SqliteBus
from services.shared.errors import ConfigurationError
from services.shared.events.outcomes import AlertAcknowledged, AlertRaised, ThresholdCrossed
from services.shared.http import make_app
from services.shared.settings import Settings
from tests.contract.ledger_world import BASE, World, budget, make_world, reading, unit
from tests.unit.cost_alerts.test_api import Page


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """A command sets up the logs of its process; the tests after it are in the same."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A ledger that has told of a budget and of a model without a price, in the form that the commands open."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VALVOMO_DATA_DIR", str(tmp_path))
    world = make_world(tmp_path, lambda clock: SqliteBus(tmp_path / BUS_FILE, clock, 2))
    world.register(*BASE, budget("kymp-2026", "kymp", "6.00", "0.5"), unit("<script>", "kymp"))
    world.publish(reading("a"), reading("c", sku="<b>unheard-of</b>"))
    world.later(days=2)
    world.settle()
    world.service.alerts.step()
    world.settle()
    yield world
    world.close()
    world.bus.close()


@pytest.fixture
def alert_id(world: World) -> str:
    [raised] = world.events(AlertRaised)
    return str(raised.data.alert_id)


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["alerts", *words], catch_exceptions=False)


def shown(*words: str) -> Any:  # noqa: ANN401  # a JSON document
    return json.loads(run(*words, "--json").output)


def client(world: World, settings: Settings | None = None) -> TestClient:
    app = make_app([world.service], CollectorRegistry(), load_access(settings or world.settings), world.bus)
    return TestClient(app, base_url="http://127.0.0.1")


def test_the_list_says_what_nobody_acts_on(world: World, alert_id: str) -> None:
    found = run("list")
    assert found.exit_code == 1
    assert alert_id[:12] in found.output
    kinds = {one["kind"]: one for one in shown("list")}
    assert set(kinds) == {"threshold_crossed", "price_missing"}
    assert kinds["price_missing"]["about"] == "claude-api <b>unheard-of</b>"
    assert run("acknowledge", alert_id[:12], "--role", "city").output == "acknowledged by city\n"
    assert run("list").exit_code == 0


def test_the_first_acknowledgement_counts_and_is_told(world: World, alert_id: str) -> None:
    for _ in range(2):
        run("acknowledge", alert_id, "--role", "city")
    assert run("acknowledge", alert_id, "--role", "city").output == "city has acknowledged it before\n"
    world.settle()
    assert [one.data.via for one in world.events(AlertAcknowledged)] == ["command"]
    assert shown("show", alert_id)["acknowledged"]["role"] == "city"


def test_a_crossing_is_acknowledged_alike(world: World) -> None:
    [crossing] = world.events(ThresholdCrossed)
    assert shown("acknowledge", crossing.id[:10], "--role", "finance-kymp")["acknowledged"]["via"] == "command"


def test_what_cannot_be_done_is_said_in_a_sentence(alert_id: str) -> None:
    for words, sentence in (
        (["show", "zz"], "found no alert whose id begins with 'zz'"),
        (["show", ""], "whose id begins with ''"),
        (["acknowledge", alert_id, "--role", "mayor"], "expected one of: city"),
        (["retry"], "expected the ids of messages, or --all"),
        (["retry", "zz"], "found no message whose id begins with 'zz'"),
    ):
        with pytest.raises(ConfigurationError, match=sentence):
            run(*words)


def test_lost_messages_are_listed_and_tried_again(world: World) -> None:
    assert run("failed").exit_code == 0
    store = world.service.store
    for pending in store.pending(["mail"], world.clock.now(), 10):
        store.mark_failed(pending.sequence, "the server refused every address", None)
    found = run("failed")
    assert (found.exit_code, "the server refused" in " ".join(found.output.split())) == (1, True)
    assert {one["recipient"] for one in shown("failed")} == {"city", "finance-kymp"}
    first = shown("failed")[0]["message_id"]
    assert run("retry", first[:12]).output == "1 wait to be sent again\n"
    assert shown("retry", "--all") == {"waiting": 1}
    assert run("failed").exit_code == 0


def test_the_list_for_programs(world: World, alert_id: str) -> None:
    with client(world) as http:
        found = http.get("/api/v1/alerts").json()
        assert [one["kind"] for one in found["alerts"]] == ["threshold_crossed"]
        assert [(one["alert_id"], one["state"], one["figures"]) for one in found["conditions"]] == [
            (alert_id, "open", {"readings": "1"})
        ]
        assert http.get(f"/api/v1/alerts/{alert_id}").json() == found["conditions"][0]
        missing, wrong = http.get("/api/v1/alerts/none"), http.get("/api/v1/alerts?state=shut")
    assert (missing.status_code, missing.json()["detail"]) == (
        404, "found no alert of this id; GET /api/v1/alerts lists them all with their ids",
    )  # fmt: skip
    assert (wrong.status_code, "state" in wrong.json()["detail"]) == (422, True)


def test_the_link_needs_no_token_of_the_program_and_no_other_link_will_do(world: World, alert_id: str) -> None:
    _, entry = new_token("somebody", roles=["viewer"])
    tokens = world.settings.data_dir / "tokens.yaml"
    tokens.write_text(entry)
    key = acknowledgement_key(world.service.store)
    with client(world, world.settings.model_copy(update={"tokens_file": tokens})) as http:
        assert http.get("/api/v1/alerts").status_code == 401
        page = http.get(f"/{link_path(key, alert_id, 'city')}&lang=en")
        assert page.status_code == 200
        assert Page(page.text).row("claude-api <b>unheard-of</b>")
        assert "<b>unheard" not in page.text
        for wrong in (
            f"/alerts/ack?alert={alert_id}&role=city&token=",
            f"/alerts/ack?alert={alert_id}&role=city&token={'0' * 64}",
            f"/alerts/ack?alert={alert_id}&role=city&token=ä",
            f"/{link_path(key, alert_id, 'city').replace('role=city', 'role=mayor')}",
            f"/{link_path(b'another key', alert_id, 'city')}",
            f"/{link_path(key, 'no such alert', 'city')}",
        ):
            for answer in (http.get(wrong), http.post(wrong)):
                assert answer.status_code == 403
                assert all(word in answer.text for word in ("Linkki ei kelpaa", "Länken duger inte", "cannot be used"))
    world.settle()
    assert world.events(AlertAcknowledged) == []


@pytest.mark.parametrize(
    ("alert", "role"),
    [
        pytest.param("a", "r", id="itself"),
        pytest.param("b", "r", id="another alert"),
        pytest.param("a", "s", id="another role"),
        pytest.param("ar", "", id="run together"),
    ],
)
def test_a_token_holds_for_one_alert_and_one_role(alert: str, role: str) -> None:
    assert is_token(b"key", alert, role, token_of(b"key", "a", "r")) == ((alert, role) == ("a", "r"))


def test_gauges_tell_what_is_open_and_what_nobody_acts_on(world: World, alert_id: str) -> None:
    registry = CollectorRegistry()
    registry.register(AlertMetrics(world.service.store))
    assert registry.get_sample_value("valvomo_alerts_open", {"kind": "price_missing", "severity": "warning"}) == 1
    assert registry.get_sample_value("valvomo_alerts_open", {"kind": "no_data", "severity": "critical"}) == 0
    assert registry.get_sample_value("valvomo_alerts_unacknowledged") == 1
    run("acknowledge", alert_id, "--role", "city")
    assert b"valvomo_alerts_unacknowledged 0.0" in generate_latest(registry)
