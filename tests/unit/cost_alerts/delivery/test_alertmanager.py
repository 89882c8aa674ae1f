"""Open alerts before a real Alertmanager: held as long as they last, ended with their words, whatever becomes of it."""

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from services.cost_alerts.adapters.alerts import SqlAlerts
from services.cost_alerts.delivery.alertmanager import OpenAlerts, poster
from services.cost_alerts.delivery.posting import Poster
from services.cost_alerts.delivery.ringer import ENDS_AFTER, REPEATED_FOR, Ringer, annotations_of, labels_of
from services.cost_alerts.domain.alerts.letter import Letter
from services.shared.bus.memory import MemoryBus
from services.shared.clock import SteppedClock, SystemClock
from services.shared.errors import TransientError
from services.shared.events.outcomes import Acknowledgement
from services.shared.store.tables import micros
from tests.contract.ledger_world import BASE, World, budget, make_world, reading
from tests.servers.alertmanager import AlertmanagerServer
from tests.servers.receiver import Receiver, receiving
from tests.unit.cost_alerts.alerts import FIGURES, LINK, LINKS, NOON, condition_letter, crossing, letter
from tests.unit.cost_alerts.delivery.test_letters import EVERY_KIND, EVIL

PATIENCE_SECONDS = 60.0
LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


class Wall:
    """An Alertmanager that keeps every post, and is away when it is told."""

    def __init__(self) -> None:
        self.posts: list[Sequence[dict[str, Any]]] = []
        self.is_away = False

    def __call__(self, alerts: Sequence[dict[str, Any]]) -> None:
        if self.is_away:
            raise TransientError("Alertmanager cannot be reached (ConnectError)")
        self.posts.append(alerts)


def ringer(letters: list[Letter], wall: Wall, clock: SteppedClock) -> Ringer:
    return Ringer(lambda: list(letters), wall, LINKS, clock)


def test_labels_identify_and_hold_no_figure() -> None:
    assert dict(labels_of(letter())) == {
        "alertname": "ValvomoBudget", "service": "valvomo", "severity": "warning", "unit": "kirjasto",
        "budget": "kirjasto-2026",
    }  # fmt: skip
    assert labels_of(letter()) == labels_of(letter(crossing("0.8", "8000")))
    assert dict(labels_of(condition_letter("pool_running_dry")))["alertname"] == "ValvomoPoolRunningDry"
    for found in EVERY_KIND.values():
        assert all(LABEL.fullmatch(name) and value for name, value in labels_of(found))


def test_annotations_hold_what_there_is_to_know() -> None:
    found = annotations_of(EVERY_KIND["budget_forecast"], LINKS)
    assert found["summary"].startswith("Library <Services>: the forecast is 103%")
    assert found["description"].endswith("At the present rate the money lasts until 11 Dec 2026.")
    assert (found["used_eur"], found["forecast_eur"], found["cost_centre"]) == ("6100", "9300.55", "4110005")
    assert annotations_of(condition_letter("anomaly"), LINKS)["usual_eur"] == "35.25"


def test_what_is_open_is_posted_each_time_to_end_by_itself() -> None:
    wall, clock = Wall(), SteppedClock(NOON)
    letters = [letter()]
    ringing = ringer(letters, wall, clock)
    for _ in range(2):
        ringing.step()
        clock.advance(timedelta(minutes=1))
    assert [[one["endsAt"] for one in post] for post in wall.posts] == [
        ["2026-11-20T10:05:00Z"], ["2026-11-20T10:06:00Z"],
    ]  # fmt: skip
    assert wall.posts[0][0]["startsAt"] == "2026-11-20T10:00:00Z"
    assert wall.posts[0][0]["generatorURL"] == f"{LINK}#units"


def test_what_is_over_is_told_for_five_minutes_with_its_words() -> None:
    wall, clock = Wall(), SteppedClock(NOON)
    letters = [condition_letter("no_data")]
    ringing = ringer(letters, wall, clock)
    ringing.step()
    letters.clear()
    for _ in range(10):
        clock.advance(timedelta(minutes=1))
        ringing.step()
    after = wall.posts[1:]
    assert len(after) == REPEATED_FOR / timedelta(minutes=1)
    assert {one["endsAt"] for post in after for one in post} == {"2026-11-20T10:01:00Z"}
    assert {one["annotations"]["summary"] for post in after for one in post} == {"Copilot: no usage data comes in"}


def test_what_comes_back_is_open_again() -> None:
    wall, clock = Wall(), SteppedClock(NOON)
    letters = [letter()]
    ringing = ringer(letters, wall, clock)
    for now in ([letter()], [], [letter()]):
        letters[:] = now
        ringing.step()
        clock.advance(timedelta(minutes=1))
    assert [len(post) for post in wall.posts] == [1, 1, 1]
    assert wall.posts[-1][0]["endsAt"] > wall.posts[-1][0]["startsAt"]
    assert datetime.fromisoformat(wall.posts[-1][0]["endsAt"]) == clock.now() - timedelta(minutes=1) + ENDS_AFTER


def test_a_budget_that_becomes_critical_ends_its_warning() -> None:
    wall, clock = Wall(), SteppedClock(NOON)
    letters = [letter()]
    ringing = ringer(letters, wall, clock)
    ringing.step()
    clock.advance(timedelta(minutes=1))
    letters[:] = [letter(crossing("1.0", "9100"))]
    ringing.step()
    now = "2026-11-20T10:01:00Z"
    assert {one["labels"]["severity"]: one["endsAt"] == now for one in wall.posts[-1]} == {
        "critical": False, "warning": True,
    }  # fmt: skip


def test_its_absence_stops_nothing_and_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    wall, clock = Wall(), SteppedClock(NOON)
    ringing = ringer([letter()], wall, clock)
    wall.is_away = True
    for _ in range(3):
        assert ringing.step() > 0
    wall.is_away = False
    ringing.step()
    assert len(wall.posts) == 1
    told = "".join(capsys.readouterr())
    assert told.count("alertmanager is away") == 1
    assert told.count("alertmanager is back") == 1


# A real one


@pytest.fixture
def webhooks() -> Iterator[Receiver]:
    with receiving() as receiver:
        receiver.status = 200
        yield receiver


def statuses(webhooks: Receiver) -> dict[str, str]:
    """The last status of each alert that the receiver of an Alertmanager got."""
    found = (alert for _, _, body in webhooks.came for alert in json.loads(body)["alerts"])
    return {alert["labels"]["alertname"]: alert["status"] for alert in found}


def just_now(*letters: Letter) -> list[Letter]:
    """By the clock of the machine, which is the Alertmanager's too."""
    return [one.model_copy(update={"decided_at": SystemClock().now()}) for one in letters]


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_real_alertmanager_holds_every_kind_and_lets_go_of_it(
    alertmanager_server: Callable[[str], AlertmanagerServer], webhooks: Receiver
) -> None:
    evil = condition_letter("price_missing", about=EVIL, system=None)
    letters = just_now(*EVERY_KIND.values(), evil)
    with alertmanager_server(webhooks.address) as server:
        post = poster(SecretStr(f"{server.url}/"), Poster("Alertmanager", timeout_seconds=5))
        ringing = Ringer(lambda: letters, post, LINKS, SystemClock())
        for _ in range(2):
            ringing.step()
        held = server.alerts()
        assert len(held) == len(letters) == len(FIGURES) + 3
        assert [one["annotations"]["summary"] for one in held if one["labels"].get("about") == EVIL]
        until(lambda: len(statuses(webhooks)) == len(FIGURES) + 2)
        letters = []
        ringing.step()
        until(lambda: set(statuses(webhooks).values()) == {"resolved"})
        assert server.alerts() == []
    last = json.loads(webhooks.came[-1][2])["alerts"][0]
    assert last["annotations"]["summary"]


def test_one_that_was_away_is_told_when_it_is_back(
    alertmanager_server: Callable[[str], AlertmanagerServer], webhooks: Receiver
) -> None:
    server = alertmanager_server(webhooks.address)
    post = poster(SecretStr(server.url), Poster("Alertmanager", timeout_seconds=5))
    ringing = Ringer(lambda: just_now(letter()), post, LINKS, SystemClock())
    ringing.step()
    with server:
        ringing.step()
        assert [one["labels"]["budget"] for one in server.alerts()] == ["kirjasto-2026"]


# What is open, of a ledger


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path, lambda clock: MemoryBus(clock, partitions=2))
    yield made
    made.close()


def opened(world: World) -> list[tuple[str, str, str]]:
    """(kind, severity, budget or what it is about) of each."""
    letters = OpenAlerts(world.service.store, world.service.queries.view, world.clock)()
    return [
        (one.kind, one.severity, one.crossing.budget if one.crossing else one.condition.about if one.condition else "")
        for one in letters
    ]


def acknowledge(world: World, alert_id: str) -> None:
    with world.service.store.transaction() as tx:
        told = Acknowledgement(alert_id=alert_id, role="finance-kymp", via="command")
        SqlAlerts().acknowledged(tx, [(told, micros(world.clock.now()))])


def test_only_the_most_advanced_threshold_of_a_budget_is_open(world: World) -> None:
    world.register(*BASE, budget("kymp-2026", "kymp", "9.00"))
    world.publish(reading("a"), reading("b"))
    world.settle()
    assert opened(world) == [("budget", "warning", "kymp-2026")]
    world.publish(reading("c"))
    world.settle()
    assert opened(world) == [("budget", "critical", "kymp-2026")]


def test_what_somebody_has_acknowledged_is_not_open_nor_what_came_before_it(world: World) -> None:
    world.register(*BASE, budget("kymp-2026", "kymp", "9.00"))
    for name in "abc":
        world.publish(reading(name))
        world.settle()
    letters = OpenAlerts(world.service.store, world.service.queries.view, world.clock)()
    acknowledge(world, letters[0].alert_id)
    assert opened(world) == []


def test_a_new_count_and_a_new_year_close_it(world: World) -> None:
    spent = budget("kymp-2026", "kymp", "9.00")
    world.register(*BASE, spent)
    world.publish(reading("a"), reading("b"), reading("c"))
    world.settle()
    assert len(opened(world)) == 1
    amended = [{"valid_from": "2026-10-01", "amount": "100.00", "decision": "EX-1"}]
    world.register(budget("kymp-2026", "kymp", "9.00", amendments=amended))
    world.settle()
    assert opened(world) == []
    world.register(spent)
    world.settle()
    world.clock.set(datetime.fromisoformat("2027-01-02T09:00:00Z"))
    assert opened(world) == []


def test_conditions_are_open_until_they_are_resolved(world: World) -> None:
    world.register(*BASE)
    world.settle()
    condition = condition_letter("no_data", system="claude-api", about="claude-api").condition
    assert condition is not None
    at = micros(world.clock.now())
    with world.service.store.transaction() as tx:
        SqlAlerts().raised(tx, [(condition, at)])
    assert opened(world) == [("no_data", "critical", "claude-api")]
    acknowledge(world, condition.alert_id)
    assert len(opened(world)) == 1
    with world.service.store.transaction() as tx:
        SqlAlerts().resolved(tx, [(condition.alert_id, at)])
    assert opened(world) == []
