"""What the watch over conditions keeps on every store: each condition is told once, and is over once."""

import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry

from services.cost_alerts.adapters.alerts import SqlAlerts, alert_states
from services.cost_alerts.adapters.failed import failed, try_again
from services.cost_alerts.adapters.keys import acknowledgement_key
from services.cost_alerts.adapters.tables import FORECAST, METADATA
from services.cost_alerts.domain.alerts.acknowledging import link_path
from services.cost_alerts.domain.alerts.letter import Letter
from services.cost_alerts.domain.foresight.pools import PoolOutlook
from services.cost_alerts.handlers.acknowledging import acknowledge
from services.cost_alerts.handlers.alerting import PAUSE_SECONDS
from services.shared.access import load_access
from services.shared.events.envelope import Event
from services.shared.events.outcomes import Acknowledgement, AlertAcknowledged, AlertRaised, AlertResolved
from services.shared.events.prices import Contract
from services.shared.events.usage import CollectionCompleted, CollectionWindow
from services.shared.http import make_app
from services.shared.settings import Settings
from services.shared.store.tables import common_tables
from tests.contract.ledger_world import BASE, MODEL, START, SYSTEM, World, budget, rate, reading, tariff, unit

MakeWorld = Callable[[], World]

OUTBOX = common_tables(METADATA).outbox
A_DAY = timedelta(days=1)
CITY = (*BASE, rate(date(2026, 1, 2), "1.25"), budget("city-2026", "city", "100000.00"), unit("<script>", "kymp"))
SILENT = f"no_data {SYSTEM}"


def daily(first: int, last: int, **members: Any) -> list[Event]:  # noqa: ANN401  # members of a reading
    """A reading on each day from `first` to `last` days before the start, by falling distance."""
    name = members.pop("name", "day")
    return [reading(f"{name}-{back}", start=START - back * A_DAY, **members) for back in range(first, last - 1, -1)]


def look(world: World, **later: float) -> None:
    """Let the watch look, some time later, and let the ledger read what it told."""
    world.later(**later or {"minutes": 1})
    world.service.alerts.step()
    world.settle()


def told(world: World, kind: type[Event] = AlertRaised) -> list[Any]:
    return [event.data for event in world.events(kind)]


def about(world: World) -> list[str]:
    return sorted(f"{one.kind} {one.about}" for one in told(world))


def letters(world: World, way: str = "mail") -> list[tuple[str, Letter]]:
    with world.service.store.reading() as connection:
        rows = connection.execute(OUTBOX.select().where(OUTBOX.c.destination == way).order_by(OUTBOX.c.sequence))
        return [(row.recipient, Letter.model_validate_json(row.value)) for row in rows]


class WatchContract:
    """Inherited by the test of each store, which gives `make_world`."""

    @pytest.fixture
    def world(self, make_world: MakeWorld) -> Iterator[World]:
        world = make_world()
        world.register(*CITY)
        yield world
        world.close()

    def test_a_silent_system_is_told_once_and_calmed_once(self, world: World) -> None:
        world.publish(*daily(60, 4))
        world.settle()
        look(world, minutes=5)
        assert about(world) == [], "its readings have only just come"
        for _ in range(2):
            look(world, minutes=10)
            world.restart()
        [raised] = told(world)
        assert (raised.kind, raised.severity, raised.since, raised.recipients) == (
            "no_data", "critical", date(2026, 9, 28), ("city",),
        )  # fmt: skip
        world.rebuild()
        look(world)
        assert len(told(world)) == 1
        world.publish(*daily(3, 0))
        world.settle()
        look(world, minutes=11)
        look(world)
        assert [one.alert_id for one in told(world, AlertResolved)] == [raised.alert_id]
        assert [(role, one.resolved, one.condition) for role, one in letters(world)] == [
            ("city", False, raised), ("city", True, raised),
        ]  # fmt: skip
        assert len({name for name, _ in world.outgoing("mail")}) == 2
        assert len(letters(world, "webhook")) == len(letters(world, "teams")) == 2

    def test_a_silence_that_nobody_waits_out_is_over_without_a_message(self, world: World) -> None:
        world.publish(*daily(60, 4))
        world.settle()
        look(world, minutes=15)
        look(world, days=40)
        assert len(told(world)) == len(told(world, AlertResolved)) == 1
        assert [one.resolved for _, one in letters(world)] == [False], "nobody hears that all is well"

    def test_a_model_without_a_price_is_told_and_is_over_without_a_message(self, world: World) -> None:
        world.publish(*daily(1, 1, sku="unheard-of"))
        world.settle()
        look(world)
        assert about(world) == [f"price_missing {SYSTEM} unheard-of"]
        world.register(tariff("input_tokens", "1", id="new", sku="*"), tariff("output_tokens", "1", id="new2", sku="*"))
        world.settle()
        world.service.restater.step()
        look(world)
        assert len(told(world, AlertResolved)) == 1
        assert [one.resolved for _, one in letters(world)] == [False]

    def test_each_story_of_prices_pools_and_contracts(self, world: World) -> None:
        """A price that rises next quarter and one that ends, a contract that ends, a pool that runs dry."""
        end = START.date() + 40 * A_DAY
        world.register(
            tariff("input_tokens", "3.00", valid_to=end),
            tariff("input_tokens", "9.00", id="dearer", valid_from=end),
            tariff("output_tokens", "15.00", valid_to=START.date() + 30 * A_DAY),
            ending("c-2026", end),
        )
        world.publish(*daily(30, 0))
        world.settle()
        self._foresee(world, PoolOutlook.model_validate({
            "key": "pool:c/p", "system": SYSTEM, "meter": "credits", "made_on": START.date(),
            "first_day": date(2026, 10, 1), "last_day": date(2026, 10, 31), "size": "100", "left": "90",
            "dry_low": date(2026, 10, 4), "dry_mid": date(2026, 10, 5), "overage_mid_nano": 5,
        }))  # fmt: skip
        look(world)
        assert about(world) == [
            "contract_ending c-2026",
            "pool_running_dry pool:c/p",
            f"price_rising {SYSTEM}",
            f"tariff_expiring {SYSTEM} {MODEL}",
        ]
        by_kind = {one.kind: one for one in told(world)}
        assert by_kind["price_rising"].until == end
        # A million input tokens a day at 6 dollars more is 4.80 euro; of 365 days a twelfth is a month.
        assert by_kind["price_rising"].figures["monthly_eur"].quantize(Decimal(1)) == Decimal(146)
        assert by_kind["pool_running_dry"].until == date(2026, 10, 5)
        [pool] = [one for _, one in letters(world) if one.kind == "pool_running_dry"]
        assert (pool.briefing.lasts_until, pool.briefing.actions) == (
            date(2026, 10, 5), ("buy_a_larger_pool", "slow_down_use"),
        )  # fmt: skip

    def _foresee(self, world: World, pool: PoolOutlook) -> None:
        days = [one.toordinal() for one in (pool.first_day, pool.last_day)]
        row = (pool.made_on.toordinal(), "pool", pool.key, *days, pool.model_dump_json())
        with world.service.store.transaction() as tx:
            tx.bulk_insert(FORECAST, ("made_on", "level", "name", "first_day", "last_day", "body"), [row])

    def test_an_unusual_day_and_what_moved_it(self, world: World) -> None:
        world.publish(*daily(90, 1), *daily(90, 1, name="other", account="wrk-sote"))
        much = {"input_tokens": "20000000"}
        world.publish(*daily(1, 1, name="more", consumed=much, account="wrk-sote"))
        world.settle()
        look(world)
        [raised] = told(world)
        assert (raised.kind, raised.unit, raised.since) == ("anomaly", "sote", START.date() - A_DAY)
        assert raised.recipients == ("city", "finance-city")
        [(_, letter), _] = letters(world)
        assert letter.briefing.unit is not None
        assert letter.briefing.unit.id == "sote"
        moved = [(one.unit.id, one.sku, one.before_eur, one.after_eur) for one in letter.briefing.movers]
        assert moved == [("sote", MODEL, Decimal("100.8"), Decimal("148.8"))], "what stood still moved nothing"
        days = {one.day: one.eur for one in letter.briefing.chart}
        assert (len(days), max(days), days[max(days)]) == (60, START.date() - A_DAY, Decimal("51.6"))

    def test_a_source_that_stops(self, world: World) -> None:
        for _ in range(10):
            world.publish(completed(world))
            world.begin_day()
            look(world, days=1)
        assert about(world) == []
        for _ in range(2):
            world.begin_day()
            look(world, days=1)
        assert about(world) == ["no_data source anthropic"]
        world.publish(completed(world))
        world.settle()
        look(world)
        assert len(told(world, AlertResolved)) == 1

    def test_another_ledger_on_the_same_bus_takes_over_what_was_told(self, world: World, make_world: MakeWorld) -> None:
        world.publish(*daily(1, 1, sku="unheard-of"))
        world.settle()
        look(world)
        [raised] = told(world)
        given = Acknowledgement(alert_id=raised.alert_id, role="city", via="command")
        assert acknowledge(world.service.store, SqlAlerts(), given, world.clock.now())
        world.settle()
        world.close()
        other = make_world()
        other.bus, other.clock = world.bus, world.clock
        look(other)
        look(other)
        with other.service.store.reading() as connection:
            [state] = alert_states(connection)
        assert (state.condition, state.acknowledged and state.acknowledged.role) == (raised, "city")
        assert (len(told(world)), letters(other)) == (1, [])
        other.close()

    def test_before_the_past_is_read_nothing_is_told(self, world: World) -> None:
        world.publish(*daily(1, 1, sku="unheard-of"))
        assert world.service.alerts.step() < PAUSE_SECONDS
        assert letters(world) == []

    def test_a_process_that_dies_in_the_middle_tells_all_of_it_at_the_next_look(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.publish(*daily(1, 1, sku="unheard-of"))
        world.settle()
        with monkeypatch.context() as patched:
            patched.setattr("services.cost_alerts.handlers.outgoing.alert_raised", _dies)
            with pytest.raises(KeyboardInterrupt):
                world.service.alerts.step()
        with world.service.store.reading() as connection:
            assert alert_states(connection, also_over=True) == []
        look(world)
        assert (len(told(world)), len(letters(world))) == (1, 1)

    def test_a_link_acknowledges_when_its_button_is_pressed(self, world: World) -> None:
        world.publish(*daily(1, 1, sku="unheard-of"))
        world.settle()
        look(world)
        [raised] = told(world)
        link = link_path(acknowledgement_key(world.service.store), raised.alert_id, "city")
        with client(world) as http:
            for _ in range(2):
                page = http.get(f"/{link}&lang=sv")
                assert (page.status_code, "Kvittera: vi tar hand om saken" in page.text) == (200, True)
            assert told(world, AlertAcknowledged) == []
            action = re.search(r'action="([^"]+)"', page.text)
            assert action is not None
            pressed = [http.post(action[1].replace("&amp;", "&")) for _ in range(2)]
            assert [(one.status_code, "<button" in one.text, "rollen city" in one.text) for one in pressed] == [
                (200, False, True)
            ] * 2
            assert http.get("/api/v1/alerts?state=open").json()["conditions"][0]["acknowledged"]["role"] == "city"
        world.settle()
        assert [(one.alert_id, one.role, one.via) for one in told(world, AlertAcknowledged)] == [
            (raised.alert_id, "city", "link")
        ]

    def test_lost_messages_are_seen_and_tried_again(self, world: World) -> None:
        world.publish(*daily(1, 1, sku="unheard-of"))
        world.settle()
        look(world)
        store = world.service.store
        [pending] = store.pending(["mail"], world.clock.now(), 10)
        store.mark_failed(pending.sequence, "every address was refused", None)
        with store.reading() as connection:
            [lost] = failed(connection)
        assert (lost.destination, lost.recipient, lost.attempts) == ("mail", "city", 1)
        with store.transaction() as tx:
            assert try_again(tx, [lost.message_id], world.clock.now()) == 1
        assert [one.message.message_id for one in store.pending(["mail"], world.clock.now(), 10)] == [lost.message_id]
        assert store.pending_counts()["mail", "waiting"] == 1


def completed(world: World) -> CollectionCompleted:
    now = world.clock.now()
    data = CollectionWindow(source_name="anthropic", window_start=now - A_DAY, window_end=now, readings=1)
    return CollectionCompleted(
        id=f"window-{now.isoformat()}", source="anthropic/usage", subject="anthropic", time=now, data=data
    )


def client(world: World, settings: Settings | None = None) -> TestClient:
    app = make_app([world.service], CollectorRegistry(), load_access(settings or world.settings), world.bus)
    return TestClient(app, base_url="http://127.0.0.1")


def ending(name: str, until: date) -> Contract:
    return Contract(id=name, system=SYSTEM, vendor="anthropic", valid_from=date(2026, 1, 1), valid_to=until)


def _dies(*_: object) -> None:
    raise KeyboardInterrupt
