"""The wired collector: real HTTP to vendors, its store, the bus, and what operations see."""

import json
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from typer.testing import CliRunner

from services.shared.bus.open import open_bus
from services.shared.clock import SteppedClock
from services.shared.errors import ConfigurationError
from services.shared.events import GOVERNANCE, USAGE, Event, decode
from services.shared.events.governance import ReviewDecided
from services.shared.events.usage import SeatAssigned, SeatsObserved, UsageRecorded
from services.shared.settings import Settings
from services.usage_collector.cli import app
from services.usage_collector.main import SOURCES, CollectorService, build
from tests.unit.usage_collector.sources.fake import Json
from tests.unit.usage_collector.vendor import Asked, Said, Vendor, said

PAYLOADS = Path(__file__).parents[2] / "golden/sources/payloads"
NOW = datetime(2026, 11, 19, 6, tzinfo=UTC)


def recorded(name: str) -> Json:
    return json.loads((PAYLOADS / f"{name}.json").read_text())


class City:
    """Three vendors behind one address: they answer by time, as the real ones do. `broken` ones answer otherwise."""

    def __init__(self) -> None:
        self.broken: dict[str, Said] = {}

    def __call__(self, asked: Asked) -> Said:
        for path, answer in self.broken.items():
            if path in asked.path:
                return answer
        if asked.method == "POST":
            return said({"access_token": "token", "expires_in": 3600})
        if "usage_report" in asked.path:
            return said(self._buckets(asked))
        if "/api/now/table/" in asked.path:
            return said({"result": self._rows(asked)})
        if "reports" in asked.path:
            return Said((PAYLOADS / "01_copilot_usage_user_detail_v2.csv").read_bytes())
        return said(recorded("04_subscribed_skus" if "Skus" in asked.path else "04_users_licences_org"))

    def _buckets(self, asked: Asked) -> Json:
        document = recorded("usage_report_messages")
        start, end = asked.one("starting_at"), asked.one("ending_at")
        fits = [one for one in document["data"] if start <= one["starting_at"] and one["ending_at"] <= end]
        return document | {"data": fits}

    def _rows(self, asked: Asked) -> Json:
        name = "sys_gen_ai_usage_log.page1" if "usage" in asked.path else "sys_generative_ai_log.review"
        query = dict(asked.query).get("sysparm_query", "sys_created_on>=2000^sys_created_on<3000^")
        start, end = (re.sub("sys_created_on(>=|<)", "", part) for part in query.split("^")[:2])
        return [row for row in recorded(name)["result"] if start <= row["sys_created_on"] < end]


@pytest.fixture
def city() -> City:
    return City()


@pytest.fixture
def vendor(city: City) -> Iterator[Vendor]:
    with Vendor(city) as vendor:
        yield vendor


@pytest.fixture
def settings(vendor: Vendor, tmp_path: Path) -> Settings:
    secret = SecretStr("sk-ant-secret")
    return Settings(
        data_dir=tmp_path,
        sources=("anthropic", "microsoft_copilot", "servicenow"),
        anthropic_url=vendor.address,
        anthropic_key=secret,
        anthropic_api="legacy",
        microsoft_url=vendor.address,
        microsoft_login_url=vendor.address,
        microsoft_tenant="tenant",
        microsoft_client_id="me",
        microsoft_client_secret=secret,
        servicenow_url=vendor.address,
        servicenow_client_id="me",
        servicenow_client_secret=secret,
    )


def make(settings: Settings) -> tuple[CollectorService, Json, CollectorRegistry]:
    clock = SteppedClock(NOW)
    bus, registry = open_bus(settings, clock), CollectorRegistry()
    return build(settings, bus, clock, registry), bus, registry


def on_the_bus(bus: Json) -> list[Event]:
    partitions = sorted(bus.end_positions([USAGE.name, GOVERNANCE.name]))
    return [decode(record.value) for one in partitions for record in bus.read(one, 0, 10_000)]


def eventually(check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not check():
        assert time.monotonic() < deadline, "it did not come to this within 60 s"
        time.sleep(0.02)


def caught_up(service: CollectorService) -> bool:
    return all(status.pending == 0 for status in service.statuses())


def test_three_vendors_end_up_on_the_bus(settings: Settings) -> None:
    service, bus, _ = make(settings)
    assert not caught_up(service)
    service.start()
    try:
        eventually(lambda: caught_up(service))
        assert service.problems() == []
    finally:
        service.stop()
    events = on_the_bus(bus)
    bus.close()
    by_source: dict[str, int] = {}
    for event in events:
        if isinstance(event, UsageRecorded):
            by_source[event.source] = by_source.get(event.source, 0) + 1
    assert by_source == {"anthropic/legacy": 7, "servicenow/usage": 5}
    assert sum(isinstance(event, SeatsObserved) for event in events) == 1
    assert sum(isinstance(event, SeatAssigned) for event in events) == 10
    assert sum(isinstance(event, ReviewDecided) for event in events) == 1
    text = "".join(event.model_dump_json() for event in events)
    assert "example.org" not in text
    assert "11aa11aa" not in text


def test_one_failing_vendor_leaves_the_others_running(
    settings: Settings, city: City, capfd: pytest.CaptureFixture[str]
) -> None:
    city.broken = {"usage_report": Said(b"<html>aino@example.org sk-ant-secret</html>")}
    service, bus, registry = make(settings)
    service.start()
    try:
        eventually(lambda: sum(poller.caught_up for poller in service.pollers) == 3)
        failing = next(poller for poller in service.pollers if poller.source.name == "anthropic")
        eventually(lambda: failing.trouble is not None)
        assert "a web page" in str(failing.trouble)
        assert service.problems() == [], "the intake works on"
        labels = {"source": "anthropic", "kind": "SourceChangedError"}
        assert registry.get_sample_value("valvomo_source_errors_total", labels) == 1
    finally:
        service.stop()
        bus.close()
    logged = "".join(capfd.readouterr())
    assert "sk-ant-secret" not in logged
    assert "aino" not in logged


def test_a_second_start_tells_nothing_twice(settings: Settings) -> None:
    counts = []
    for _ in range(2):
        service, bus, _ = make(settings)
        service.start()
        eventually(lambda: caught_up(service))  # noqa: B023  # called at once
        service.stop()
        counts.append(sum(isinstance(event, UsageRecorded | SeatAssigned) for event in on_the_bus(bus)))
        bus.close()
    assert counts == [22, 22]


def test_stopping_does_not_wait_for_a_vendors_patience(settings: Settings, city: City) -> None:
    city.broken = {"usage_report": Said(status=503, headers={"Retry-After": "25"})}
    service, bus, _ = make(settings)
    service.start()
    eventually(lambda: sum(poller.caught_up for poller in service.pollers) == 3)
    began = time.monotonic()
    service.stop()
    bus.close()
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"sources": ("openai",)}, "found the source 'openai'"),
        ({"anthropic_key": None}, "VALVOMO_ANTHROPIC_KEY is not set"),
        ({"anthropic_key": SecretStr("sk-ant-ö")}, "VALVOMO_ANTHROPIC_KEY holds a letter"),
        ({"microsoft_client_secret": SecretStr("secret\n")}, "VALVOMO_MICROSOFT_CLIENT_SECRET holds a letter"),
        ({"microsoft_tenant": None}, "VALVOMO_MICROSOFT_TENANT is not set"),
        ({"servicenow_url": None}, "VALVOMO_SERVICENOW_URL is not set"),
        ({"servicenow_url": "instance"}, "not a web address"),
    ],
)
def test_a_missing_setting_is_named_at_the_start(settings: Settings, change: Json, says: str) -> None:
    clock = SteppedClock(NOW)
    bus = open_bus(settings, clock)
    with pytest.raises(ConfigurationError, match=says):
        build(settings.model_copy(update=change), bus, clock, CollectorRegistry())
    bus.close()


def test_every_source_can_be_named_in_the_settings() -> None:
    description = str(Settings.model_fields["sources"].description)
    assert all(name in description for name in SOURCES)


class TestCommand:
    @pytest.fixture(autouse=True)
    def _environment(self, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("services.usage_collector.cli.SystemClock", lambda: SteppedClock(NOW))
        monkeypatch.setenv("VALVOMO_DATA_DIR", str(settings.data_dir))
        monkeypatch.setenv("VALVOMO_ANTHROPIC_URL", settings.anthropic_url)
        monkeypatch.setenv("VALVOMO_ANTHROPIC_KEY", "sk-ant-secret")
        monkeypatch.setenv("VALVOMO_ANTHROPIC_API", "legacy")

    def test_a_dry_run_prints_events_and_leaves_no_trace(self) -> None:
        shown = CliRunner().invoke(app, ["collect", "anthropic", "--since", "2026-11-16", "--dry-run"])
        assert shown.exit_code == 0, shown.output
        events = [decode(line) for line in shown.stdout.splitlines()]
        assert sum(isinstance(event, UsageRecorded) for event in events) == 7
        again = CliRunner().invoke(app, ["collect", "anthropic", "--json"])
        assert json.loads(again.stdout)["anthropic"]["events"]["valvomo.usage.recorded.v1"] == 7

    def test_what_was_collected_is_on_the_bus(self, settings: Settings) -> None:
        assert CliRunner().invoke(app, ["collect", "anthropic"]).exit_code == 0
        bus = open_bus(settings, SteppedClock(NOW))
        assert sum(isinstance(event, UsageRecorded) for event in on_the_bus(bus)) == 7
        bus.close()

    @pytest.mark.parametrize("since", ["0001-01-01", "1999-12-31", "9999-12-31"])
    def test_a_day_of_which_nobody_knows(self, since: str) -> None:
        shown = CliRunner().invoke(app, ["collect", "anthropic", "--since", since])
        assert isinstance(shown.exception, ConfigurationError)
        assert since in str(shown.exception)

    def test_an_unknown_vendor(self) -> None:
        shown = CliRunner().invoke(app, ["collect", "nobody"])
        assert shown.exit_code == 2
        assert "anthropic" in shown.output
