"""A threshold is passed, and a real SMTP server gets one mail about it, whatever happens to events and ledger."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from services.cost_alerts.adapters.rebuild import forget_ledger
from services.cost_alerts.main import GROUPS, CostService, build
from services.shared.bus.sqlite import SqliteBus
from services.shared.clock import SteppedClock
from services.shared.events.envelope import Event
from services.shared.events.outcomes import AlertSent, ThresholdCrossed
from services.shared.settings import Settings
from tests.contract.ledger_world import BASE, OCTOBER, World, budget, reading
from tests.unit.cost_alerts.inbox import Inbox, server

PATIENCE_SECONDS = 60.0
NOW = datetime(2026, 10, 20, 9, 0, tzinfo=UTC)
RECIPIENTS = """
finance-kymp: {language: sv, addresses: [finance.kymp@city.example, head.kymp@city.example]}
finance-sote: {language: en, addresses: [finance.sote@city.example]}
"""


class City:
    """A bus and a ledger in one folder, and the mails that its people got."""

    def __init__(self, folder: Path, address: str, inbox: Inbox) -> None:
        recipients = folder / "recipients.yaml"
        recipients.write_text(RECIPIENTS)
        self.settings = Settings(
            data_dir=folder,
            smtp_url=SecretStr(f"smtp://{address}"),
            mail_from="valvomo@city.example",
            recipients_file=recipients,
            public_url="https://valvomo.city.example",
        )
        self.inbox = inbox
        self.clock = SteppedClock(NOW)
        self.bus = SqliteBus(folder / "bus.db", self.clock, 2)
        self.world = World(self.bus, self.settings, self.clock)

    def publish(self, *events: Event) -> None:
        self.world.publish(*events)

    @contextmanager
    def running(self) -> Iterator[CostService]:
        """The ledger as a process has it, with all its loops, until the block ends; nothing is left to do then."""
        service = build(self.settings, self.bus, self.clock, CollectorRegistry())
        service.start()
        try:
            yield service
            until("all is read, priced and sent", lambda: self.is_quiet(service))
            assert service.problems() == []
        finally:
            service.stop()

    def is_quiet(self, service: CostService) -> bool:
        ends = self.bus.end_positions([topic for topics in GROUPS.values() for topic in topics])
        positions = [status.positions for status in service.statuses()]
        read = {key: max((at.get(key, 0) for at in positions), default=0) for key in ends}
        waiting = [state for _, state in service.store.pending_counts() if state == "waiting"]
        return not waiting and all(read[key] >= end for key, end in ends.items()) and not service.queries.work_pending()

    def told(self, kind: type[Event]) -> list[str]:
        return [event.id for event in self.world.events(kind)]

    @property
    def subjects(self) -> list[str]:
        return [str(message["subject"]).replace("\u00a0", " ") for _, message in self.inbox.mails]


def until(what: str, holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"waited {PATIENCE_SECONDS} s until {what}"
        time.sleep(0.05)


@pytest.fixture
def city(tmp_path: Path) -> Iterator[City]:
    inbox = Inbox()
    with server(inbox) as address:
        made = City(tmp_path, address, inbox)
        yield made
        made.bus.close()


def spend(city: City, *names: str) -> None:
    """A request of 3.60 euro each, in kymp."""
    city.publish(*(reading(name) for name in names))


def test_a_threshold_is_told_once_however_often_events_come(city: City) -> None:
    city.world.register(*BASE, budget("kymp-2026", "kymp", "9.00"))
    with city.running():
        spend(city, "a", "b")  # 7.20 of 9.00: past 50 % and 80 %, and only the higher one speaks
        until("the mail has come", lambda: bool(city.inbox.mails))
    with city.running():  # another process, and everything once more
        spend(city, "a", "b", "a")

    [(to, message)] = city.inbox.mails
    assert to == ["finance.kymp@city.example", "head.kymp@city.example"]
    assert city.subjects == ["KYMP: 80 % av AI-budgeten använd (gräns 80 %)"]
    body = message.get_body(("plain",))
    assert body is not None
    assert "https://valvomo.city.example/" in body.get_content()
    assert len(city.told(ThresholdCrossed)) == 2
    assert len(city.told(AlertSent)) == 1


def test_the_next_threshold_is_told_too_and_not_the_first_again(city: City) -> None:
    city.world.register(*BASE, budget("kymp-2026", "kymp", "9.00"))
    with city.running():
        spend(city, "a", "b")
        until("the first mail has come", lambda: len(city.inbox.mails) == 1)
        spend(city, "c")
        until("the second mail has come", lambda: len(city.inbox.mails) == 2)
    assert city.subjects[1] == "KYMP: 120 % av AI-budgeten använd (gräns 100 %)"


@pytest.mark.parametrize("lost", ["emptied", "deleted"])
def test_a_ledger_that_is_folded_again_sends_nothing(city: City, tmp_path: Path, lost: str) -> None:
    city.world.register(*BASE, budget("kymp-2026", "kymp", "9.00"))
    with city.running() as service:
        spend(city, "a", "b", "c")
        until("the mail has come", lambda: bool(city.inbox.mails))
        before = service.queries.report(OCTOBER).document()
    if lost == "emptied":
        with_store(city, lambda service: forget_ledger(service.store, tuple(GROUPS)))
    else:
        for path in tmp_path.glob("ledger.db*"):
            path.unlink()
        shutil.rmtree(tmp_path / "keys", ignore_errors=True)
    with city.running() as service:
        until("it is folded again", lambda: service.queries.report(OCTOBER).document() == before)

    assert city.subjects == ["KYMP: 120 % av AI-budgeten använd (gräns 100 %)"]
    assert len(set(city.told(AlertSent))) == 1


def test_a_mail_server_that_was_away_gets_it_later_once(city: City) -> None:
    city.world.register(*BASE, budget("kymp-2026", "kymp", "9.00"))
    city.inbox.refused = dict.fromkeys(("finance.kymp@city.example", "head.kymp@city.example"), "451 try later")
    service = build(city.settings, city.bus, city.clock, CollectorRegistry())
    service.start()
    spend(city, "a", "b", "c")
    until("it was tried", lambda: bool(city.told(ThresholdCrossed)) and attempts(service) > 0)
    service.stop()
    assert city.inbox.mails == []
    city.inbox.refused.clear()
    city.world.later(hours=2)
    with city.running():
        until("the mail has come", lambda: bool(city.inbox.mails))
    assert len(city.inbox.mails) == 1


def attempts(service: CostService) -> int:
    later = NOW.replace(year=2027)
    return sum(pending.attempts for pending in service.store.pending(["mail"], later, 10))


def with_store(city: City, work: Callable[[CostService], None]) -> None:
    service = build(city.settings, city.bus, city.clock, CollectorRegistry())
    try:
        work(service)
    finally:
        service.stop()
