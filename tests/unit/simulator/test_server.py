"""The simulator as the demo uses it: vendors over HTTP, the real collector, an intake."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import Response
from prometheus_client import CollectorRegistry

from services.shared.bus import TopicPartition
from services.shared.bus.memory import MemoryBus
from services.shared.clock import SteppedClock
from services.shared.errors import ConfigurationError
from services.shared.events import OUTCOMES, TOPICS, USAGE, Event, decode
from services.shared.events.outcomes import CollectionGapFound
from services.shared.events.usage import SeatsObserved, UsageRecorded
from services.shared.relay import BusRelay
from services.shared.serving import Server
from services.shared.settings import Settings
from services.shared.store.open import open_store
from services.simulator.city import EXAMPLE_CITY
from services.simulator.intake import MAX_TRIES, Intake
from services.simulator.past import visits
from services.simulator.server import BUSY_EVERY, Simulator
from services.usage_collector.adapters.tables import METADATA
from services.usage_collector.main import build
from tests.unit.simulator.asking import NOW, TODAY, stories

DAYS = 16


@pytest.fixture
def city() -> Iterator[Simulator]:
    with Simulator(EXAMPLE_CITY, seed=1, days=DAYS, today=TODAY, clock=SteppedClock(NOW)) as city:
        yield city


@pytest.fixture
def settings(city: Simulator, tmp_path: Path) -> Settings:
    return Settings.model_validate({"data_dir": tmp_path, **city.collector_settings()})


class Door:
    """An intake that answers as it is told, then takes everything."""

    def __init__(self, *answers: Response) -> None:
        self.answers = list(answers)
        self.batches: list[list[dict[str, object]]] = []
        self.app = FastAPI()
        self.app.add_api_route("/v1/events", self.take, methods=["POST"], response_model=None)

    async def take(self, request: Request) -> Response:
        if self.answers:
            return self.answers.pop(0)
        assert request.headers["content-type"] == "application/cloudevents-batch+json"
        self.batches.append(json.loads(await request.body()))
        return Response(status_code=202)


def test_vendors_answer_on_one_address_of_this_machine(city: Simulator) -> None:
    assert city.address.startswith("http://127.0.0.1:")
    assert httpx.get(f"{city.address}/v1/organizations/analytics/usage").status_code == 401
    assert httpx.get(f"{city.address}/v1.0/subscribedSkus").status_code == 401
    assert httpx.get(f"{city.address}/api/now/table/sys_user").status_code == 401
    assert httpx.get(f"{city.address}/nobody").status_code == 404


def test_every_so_many_questions_a_vendor_asks_to_wait(city: Simulator) -> None:
    headers = {"authorization": "Bearer simulated-instance-token"}
    with httpx.Client(base_url=city.address, headers=headers) as client:
        found = [client.get("/api/now/table/sys_user?sysparm_limit=1") for _ in range(2 * BUSY_EVERY)]
    busy = [number for number, answer in enumerate(found, start=1) if answer.status_code == 429]
    assert busy == [BUSY_EVERY, 2 * BUSY_EVERY]
    assert {found[number - 1].headers["retry-after"] for number in busy} == {"1"}


def test_outside_its_with_statement_a_city_has_no_address() -> None:
    with pytest.raises(ConfigurationError, match="with statement"):
        _ = Simulator(EXAMPLE_CITY, seed=1, days=1, today=TODAY).address


def test_the_real_collector_reads_the_past_and_then_the_present(city: Simulator, settings: Settings) -> None:
    assert city.collect_past(settings) == 2
    events = _collected(settings)
    counts = [event.data for event in events if isinstance(event, SeatsObserved)]
    first, last = city.stories.outage
    told = [day for day in _days(TODAY - timedelta(days=DAYS), TODAY + timedelta(days=1)) if day not in (first, last)]
    assert len({count.sku for count in counts}) == 2
    for sku in {count.sku for count in counts}:
        assert sorted(count.observed_on for count in counts if count.sku == sku) == told
    gaps = [event.data for event in events if isinstance(event, CollectionGapFound)]
    assert [(gap.source_name, gap.first_day, gap.last_day) for gap in gaps] == [("microsoft_copilot", first, last)]
    readings = [event.data for event in events if isinstance(event, UsageRecorded)]
    restated = [one for one in readings if one.revision == 1]
    assert {one.charge_period_start.date() for one in restated} == {city.stories.restated_day}
    assert max(one.charge_period_start.date() for one in readings) == TODAY - timedelta(days=1)


@pytest.mark.parametrize("days", [1, 2, 7, 120])
def test_who_is_read_when(days: int) -> None:
    told = stories(days)
    planned = visits(told)
    moments = [moment for _, moment in planned]
    assert moments == sorted(moments)
    assert [moment.date() for name, moment in planned if name == "microsoft_copilot"] == _days(told.first_day, TODAY)
    for _, moment in (visit for visit in planned if visit[0] == "anthropic"):
        assert moment < told.restated_at < datetime(2026, 11, 22, 0, 0, 1, tzinfo=UTC)


def test_history_comes_in_batches_and_is_told_of(city: Simulator) -> None:
    door, said = Door(), list[str]()
    with Server(door.app) as address:
        count = city.push_history(address, said.append)
        assert city.live_step(NOW) == 0
        steps = [city.live_step(NOW + number * timedelta(seconds=30)) for number in range(1, 40)]
    past = [batch for batch in door.batches if len(batch) > 20]
    assert sum(len(batch) for batch in past) == count
    assert all(480 < len(batch) <= 500 for batch in past[:-1])
    subjects = [[event["subject"] for event in batch] for batch in past]
    assert all(before[-1] != after[0] for before, after in pairwise(subjects))
    assert sum(len(batch) for batch in door.batches) == count + sum(steps)
    assert said[-1].startswith(f"{count:,} of {count:,}")
    assert sum(steps) > 20


def test_a_present_needs_a_past(city: Simulator) -> None:
    with pytest.raises(ConfigurationError, match="push_history"):
        city.live_step(NOW)


def test_an_intake_that_is_busy_is_asked_again() -> None:
    door, waited = (
        Door(Response(status_code=429, headers={"retry-after": "3"}), Response(status_code=503)),
        list[float](),
    )
    with Server(door.app) as address:
        intake = Intake(address, waited.append)
        assert list(intake.post([{"subject": "one"} for _ in range(501)])) == [500, 501]
        intake.close()
    assert waited == [3.0, 1.0]
    assert [len(batch) for batch in door.batches] == [500, 1]


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        pytest.param([Response(status_code=400, content=b"no such type")], "answered 400.*no such type", id="refused"),
        pytest.param([Response(status_code=503) for _ in range(MAX_TRIES)], "answered 503", id="busy for ever"),
    ],
)
def test_an_intake_that_takes_nothing_ends_it(answers: list[Response], sentence: str) -> None:
    with Server(Door(*answers).app) as address:
        intake = Intake(address, lambda _seconds: None)
        with pytest.raises(ConfigurationError, match=sentence):
            list(intake.post([{"subject": "one"}]))
        intake.close()


def test_an_intake_that_is_not_there_ends_it() -> None:
    with Server(FastAPI()) as address:
        pass
    intake = Intake(address)
    with pytest.raises(ConfigurationError, match="cannot be reached"):
        list(intake.post([{"subject": "one"}]))
    intake.close()


def _collected(settings: Settings) -> list[Event]:
    """What a program with the real sources publishes, on a bus in memory, when everything was read once."""
    clock = SteppedClock(NOW)
    bus = MemoryBus(clock)
    bus.ensure_topics(TOPICS)
    service = build(settings, bus, clock, CollectorRegistry())
    for poller in service.pollers:
        poller.collect()
    store = open_store(settings, "collector", METADATA)
    relay = BusRelay(store, bus, clock)
    while relay.step() == 0.0:
        pass
    store.close()
    service.stop()
    return [
        decode(record.value)
        for place in bus.end_positions([USAGE.name, OUTCOMES.name])
        for record in bus.read(TopicPartition(*place), 0, 100_000)
    ]


def _days(first: date, end: date) -> list[date]:
    return [first + timedelta(days=number) for number in range((end - first).days)]
