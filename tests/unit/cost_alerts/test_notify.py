"""From the outbox to people: once, again after a fault, never in vain without somebody being told."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from services.cost_alerts.adapters.tables import METADATA
from services.cost_alerts.notify import (
    MAX_ATTEMPTS,
    Channel,
    NobodyError,
    Notifier,
    Parcel,
    UndeliverableError,
    pause_after,
)
from services.shared.clock import SteppedClock
from services.shared.errors import TransientError
from services.shared.events import decode
from services.shared.events.outcomes import AlertSent
from services.shared.store import OutgoingMessage, Store
from services.shared.store.tables import common_tables
from tests.unit.cost_alerts.alerts import NOON, ROLE, crossing, ledger, messages, recipient

OUTBOX = common_tables(METADATA).outbox


class Recorder:
    """A channel that keeps what it was given and does what it was told: deliver, be away, refuse."""

    def __init__(self, told: bool = True) -> None:
        self.seen: list[Parcel] = []
        self.faults: list[Exception] = []
        self.told = told

    def deliver(self, parcel: Parcel) -> bool:
        self.seen.append(parcel)
        if self.faults:
            raise self.faults.pop(0)
        return self.told

    def close(self) -> None:
        self.seen.clear()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with ledger(tmp_path) as opened:
        yield opened


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock(NOON)


@pytest.fixture
def mail() -> Recorder:
    return Recorder()


@pytest.fixture
def webhook() -> Recorder:
    return Recorder(told=False)


@pytest.fixture
def notifier(store: Store, clock: SteppedClock, mail: Recorder, webhook: Recorder) -> Notifier:
    channels: dict[Any, Channel] = {"mail": mail, "webhook": webhook}
    return Notifier(store, OUTBOX, channels, {ROLE: recipient("a@city.example")}, clock)


def put(store: Store, *found: OutgoingMessage) -> None:
    with store.transaction() as tx:
        tx.send(found)


def outcomes(store: Store) -> list[AlertSent]:
    with store.reading() as connection:
        rows = connection.execute(select(OUTBOX.c.value).where(OUTBOX.c.destination == "bus")).scalars()
        events = [decode(value) for value in rows]
    return [event for event in events if isinstance(event, AlertSent)]


def test_an_alert_is_delivered_once_and_told_on_the_bus_once(store: Store, notifier: Notifier, mail: Recorder) -> None:
    put(store, *messages())
    for _ in range(3):
        notifier.step()
        put(store, *messages())  # decided again, under the same id
    assert [(one.role, one.alert.crossing) for one in mail.seen] == [(ROLE, crossing())]
    assert [(one.data.recipient, one.data.channel, one.data.attempts) for one in outcomes(store)] == [(ROLE, "mail", 1)]


def test_a_channel_that_a_role_does_not_use_is_settled_and_tells_nothing(
    store: Store, notifier: Notifier, webhook: Recorder
) -> None:
    put(store, *messages())
    notifier.step()
    notifier.step()
    assert len(webhook.seen) == 1
    assert {one.data.channel for one in outcomes(store)} == {"mail"}
    assert store.pending_counts() == {("bus", "waiting"): 1}


def test_what_fails_is_tried_again_after_a_growing_pause_under_the_same_id(
    store: Store, notifier: Notifier, mail: Recorder, clock: SteppedClock
) -> None:
    put(store, *messages())
    mail.faults = [TransientError("away"), TransientError("away")]
    for seconds in (0, 9, 1, 19, 1, 3600):  # due at 0, 10 and 30 seconds
        clock.advance(timedelta(seconds=seconds))
        notifier.step()
    assert len(mail.seen) == 3
    assert len({one.message_id for one in mail.seen}) == 1
    assert [one.data.attempts for one in outcomes(store)] == [3]


def test_a_receiver_that_asks_for_patience_gets_it(
    store: Store, notifier: Notifier, mail: Recorder, clock: SteppedClock
) -> None:
    put(store, *messages())
    mail.faults = [TransientError("busy", retry_after_seconds=600)]
    notifier.step()
    clock.advance(timedelta(seconds=599))
    notifier.step()
    assert len(mail.seen) == 1
    clock.advance(timedelta(seconds=1))
    notifier.step()
    assert len(mail.seen) == 2


def test_after_many_attempts_it_is_given_up_and_shown(
    store: Store, notifier: Notifier, mail: Recorder, clock: SteppedClock
) -> None:
    put(store, *messages())
    mail.faults = [TransientError("away")] * (MAX_ATTEMPTS + 5)
    for _ in range(MAX_ATTEMPTS + 5):
        notifier.step()
        clock.advance(timedelta(hours=1))
    assert len(mail.seen) == MAX_ATTEMPTS
    assert store.pending_counts() == {("mail", "given_up"): 1}
    assert outcomes(store) == []


@pytest.mark.parametrize(
    ("fault", "counts"),
    [
        pytest.param(UndeliverableError("refused"), {("mail", "given_up"): 1}, id="refused for good"),
        pytest.param(NobodyError("nobody"), {("mail", "waiting"): 1}, id="nobody behind the role yet"),
    ],
)
def test_one_alert_in_trouble_does_not_hold_up_the_next(
    store: Store, notifier: Notifier, mail: Recorder, fault: Exception, counts: dict[tuple[str, str], int]
) -> None:
    put(store, *messages(), *messages(crossing(threshold="1.0")))
    mail.faults = [fault]
    notifier.step()
    assert len(mail.seen) == 2
    assert {state: count for state, count in store.pending_counts().items() if state[0] == "mail"} == counts


def test_a_server_that_is_away_is_not_asked_for_every_alert(store: Store, notifier: Notifier, mail: Recorder) -> None:
    put(store, *messages(), *messages(crossing(threshold="1.0")))
    mail.faults = [TransientError("away")] * 2
    notifier.step()
    assert len(mail.seen) == 1
    assert store.pending_counts()["mail", "waiting"] == 2


def test_mail_that_is_away_does_not_hold_up_webhooks(
    store: Store, notifier: Notifier, mail: Recorder, webhook: Recorder
) -> None:
    put(store, *messages())
    mail.faults = [TransientError("away")]
    notifier.step()
    assert len(webhook.seen) == 1


def test_an_alert_of_another_version_is_given_up_without_repeating_it(
    store: Store, notifier: Notifier, mail: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    put(store, OutgoingMessage("x", "mail", b'{"secret": "person@city.example"}', recipient=ROLE))
    notifier.step()
    assert mail.seen == []
    with store.reading() as connection:
        reason = connection.execute(select(OUTBOX.c.given_up_reason)).scalar_one()
    assert "another version" in reason
    assert "person@" not in reason + "".join(capsys.readouterr())


def test_a_crash_between_delivery_and_mark_sends_the_same_message_again_and_tells_it_once(
    store: Store, notifier: Notifier, mail: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, *messages())

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("services.cost_alerts.notify.mark_sent", crash)
        with pytest.raises(KeyboardInterrupt):
            notifier.step()
    assert outcomes(store) == []
    notifier.step()
    notifier.step()
    assert [one.message_id for one in mail.seen] == [messages()[0].message_id] * 2
    assert len(outcomes(store)) == 1


def test_two_notifiers_on_one_database_do_not_both_send(store: Store, notifier: Notifier, mail: Recorder) -> None:
    put(store, *messages())
    with store.exclusive("notifier") as mine:
        assert mine
        notifier.step()
    assert mail.seen == []
    notifier.step()
    assert len(mail.seen) == 1


@pytest.mark.parametrize(
    ("attempts", "seconds"), [(1, 10), (2, 20), (9, 2560), (10, 3600), (MAX_ATTEMPTS, 3600), (10**6, 3600)]
)
def test_pauses_double_up_to_an_hour(attempts: int, seconds: int) -> None:
    assert pause_after(attempts) == timedelta(seconds=seconds)


def test_giving_up_takes_about_a_day() -> None:
    patience = sum((pause_after(attempts) for attempts in range(1, MAX_ATTEMPTS)), timedelta())
    assert timedelta(hours=20) < patience < timedelta(hours=28)
