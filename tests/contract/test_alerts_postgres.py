"""Alerts, pages and metrics on a real PostgreSQL: the same questions, asked in the other dialect."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry

from services.cost_alerts.adapters.tables import METADATA
from services.cost_alerts.delivery.alertmanager import OpenAlerts
from services.cost_alerts.delivery.notifier import ChannelName, Notifier
from services.shared.access import load_access
from services.shared.bus.memory import MemoryBus
from services.shared.clock import SteppedClock
from services.shared.events.outcomes import AlertSent
from services.shared.http import make_app
from services.shared.store.tables import common_tables
from tests.contract.ledger_world import World, make_world
from tests.unit.cost_alerts.alerts import NOON, ROLE, condition_letter, crossing, letter, messages, recipient
from tests.unit.cost_alerts.delivery.test_notifier import Recorder
from tests.unit.cost_alerts.test_api import fed, get
from tests.unit.cost_alerts.test_metrics import scraped


@pytest.fixture
def world(postgres_url: str, tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path, lambda clock: MemoryBus(clock, partitions=2), postgres_url)
    yield made
    made.close()


def test_an_alert_is_delivered_and_told_once(world: World) -> None:
    fed(world)
    channels: dict[ChannelName, Recorder] = {
        "mail": Recorder(),
        "teams": Recorder(told=False),
        "webhook": Recorder(told=False),
    }
    roles = {"finance-kymp": recipient("a@city.example")}
    store, outbox = world.service.store, common_tables(METADATA).outbox
    notifiers = [Notifier(store, outbox, name, channel, roles, world.clock) for name, channel in channels.items()]
    for _ in range(2):
        for one in notifiers:
            one.step()
        world.settle()
    assert len(channels["mail"].seen) == 1
    assert [event.data.recipient for event in world.events(AlertSent)] == ["finance-kymp"]
    assert world.service.store.pending_counts() == {}


def test_what_waits_for_a_digest_is_put_off_and_goes_as_one(world: World) -> None:
    store, mail = world.service.store, Recorder()
    with store.transaction() as tx:
        tx.send(messages(letter(), letter(crossing("1.0")), condition_letter("anomaly")))
    roles = {ROLE: recipient("a@city.example", digest="08:00")}
    clock = SteppedClock(NOON)
    notifier = Notifier(store, common_tables(METADATA).outbox, "mail", mail, roles, clock)
    notifier.step()
    clock.advance(timedelta(days=1))
    for _ in range(2):
        notifier.step()
    assert [[one.alert_id for one in parcel.letters] for parcel in mail.seen] == [
        ["kirjasto-2026-1.0-used"],
        ["kirjasto-2026-0.8-used", "alert-anomaly"],
    ]
    assert ("mail", "waiting") not in store.pending_counts()


def test_the_same_alerts_are_open_as_on_sqlite(world: World, tmp_path: Path) -> None:
    fed(world)
    other = make_world(tmp_path / "sqlite", lambda clock: MemoryBus(clock, partitions=2))
    fed(other)
    found = [OpenAlerts(one.service.store, one.service.queries.view, one.clock)() for one in (world, other)]
    assert [one.crossing for one in found[0]] == [one.crossing for one in found[1]]
    assert len(found[0]) == 1
    other.close()


def test_the_page_and_a_scrape_show_the_same_figures_as_on_sqlite(world: World, tmp_path: Path) -> None:
    fed(world)
    app = make_app([world.service], CollectorRegistry(), load_access(world.settings), world.bus)
    other = make_world(tmp_path / "sqlite", lambda clock: MemoryBus(clock, partitions=2))
    fed(other)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        page = get(client)
    assert page.row("KYMP €7.20 €22 €9 80% · passed 80% 1")
    assert page.row("KYMP kymp-2026 80% €7.20 11 Oct 2026 12:00 2 waiting")
    assert page.row("Claude claude-new 1")
    assert scraped(world) == scraped(other)
    other.close()
