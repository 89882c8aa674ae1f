"""From the outbox to people: once, again after a fault, never in vain without somebody being told."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import select

from services.cost_alerts.adapters.tables import METADATA
from services.cost_alerts.delivery.notifier import (
    BATCH,
    MAX_ATTEMPTS,
    ChannelName,
    NobodyError,
    Notifier,
    Parcel,
    ServerAwayError,
    UndeliverableError,
    pause_after,
    read_letter,
)
from services.cost_alerts.delivery.recipients import Recipient
from services.cost_alerts.domain.budgets.tree import Told
from services.cost_alerts.domain.foresight.forecast import Range
from services.cost_alerts.handlers.outgoing import crossed
from services.shared.clock import SteppedClock
from services.shared.errors import TransientError
from services.shared.events import decode
from services.shared.events.outcomes import AlertSent
from services.shared.store import OutgoingMessage, Store
from services.shared.store.tables import common_tables
from tests.unit.cost_alerts.alerts import (
    NOON,
    ROLE,
    briefing,
    condition_letter,
    crossing,
    ledger,
    letter,
    messages,
    recipient,
)

OUTBOX = common_tables(METADATA).outbox


class Recorder:
    """A channel that keeps what it was given and does what it was told: deliver, be away, refuse."""

    def __init__(self, told: bool = True, rests: bool = True) -> None:
        self.seen: list[Parcel] = []
        self.faults: list[Exception] = []
        self.told, self.rests = told, rests

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
def notifier(store: Store, clock: SteppedClock, mail: Recorder) -> Notifier:
    return sending(store, clock, mail)


def sending(
    store: Store, clock: SteppedClock, channel: Recorder, name: ChannelName = "mail", **roles: Recipient
) -> Notifier:
    known = {ROLE: recipient("a@city.example")} | {role.replace("_", "-"): entry for role, entry in roles.items()}
    return Notifier(store, OUTBOX, name, channel, known, clock)


def put(store: Store, *found: OutgoingMessage) -> None:
    with store.transaction() as tx:
        tx.send(found)


def outcomes(store: Store) -> list[AlertSent]:
    with store.reading() as connection:
        rows = connection.execute(select(OUTBOX.c.value).where(OUTBOX.c.destination == "bus")).scalars()
        events = [decode(value) for value in rows]
    return [event for event in events if isinstance(event, AlertSent)]


def counts(store: Store, destination: str = "mail") -> dict[str, int]:
    return {state: count for (name, state), count in store.pending_counts().items() if name == destination}


def test_an_alert_is_delivered_once_and_told_on_the_bus_once(store: Store, notifier: Notifier, mail: Recorder) -> None:
    put(store, *messages())
    for _ in range(3):
        notifier.step()
        put(store, *messages())  # decided again, under the same id
    assert [(one.role, one.letters) for one in mail.seen] == [(ROLE, (letter(),))]
    assert [(one.data.recipient, one.data.channel, one.data.attempts) for one in outcomes(store)] == [(ROLE, "mail", 1)]


def test_a_channel_that_a_role_does_not_use_is_settled_and_tells_nothing(store: Store, clock: SteppedClock) -> None:
    webhook = Recorder(told=False)
    put(store, *messages())
    for _ in range(2):
        sending(store, clock, webhook, "webhook").step()
    assert len(webhook.seen) == 1
    assert outcomes(store) == []
    assert store.pending_counts() == {("mail", "waiting"): 1, ("teams", "waiting"): 1}


def test_the_all_clear_is_another_delivery_than_the_alarm(store: Store, notifier: Notifier, mail: Recorder) -> None:
    put(store, *messages(condition_letter("no_data"), condition_letter("no_data", resolved=True)))
    notifier.step()
    assert len(mail.seen) == 2
    assert len({one.id for one in outcomes(store)}) == 2


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
        clock.advance(timedelta(minutes=15))
    assert len(mail.seen) == MAX_ATTEMPTS
    assert counts(store) == {"given_up": 1}
    assert outcomes(store) == []


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        pytest.param(UndeliverableError("refused"), "given_up", id="refused for good"),
        pytest.param(NobodyError("nobody"), "waiting", id="nobody behind the role yet"),
        pytest.param(TransientError("slow"), "waiting", id="its receiver is slow"),
    ],
)
def test_one_role_in_trouble_does_not_hold_up_the_next(
    store: Store, clock: SteppedClock, mail: Recorder, fault: Exception, state: str
) -> None:
    first, *_ = messages()
    put(store, first, OutgoingMessage("other", "mail", first.value, recipient="head-kymp"))
    mail.faults = [fault]
    sending(store, clock, mail, head_kymp=recipient("b@city.example")).step()
    assert [one.role for one in mail.seen] == [ROLE, "head-kymp"]
    assert counts(store) == {state: 1}


def test_a_slow_receiver_is_waited_for_once_however_much_waits_for_it(
    store: Store, notifier: Notifier, mail: Recorder, clock: SteppedClock
) -> None:
    put(store, *messages(letter(), letter(crossing("1.0"))))
    mail.faults = [TransientError("slow")] * 2
    for seen in (1, 2):
        notifier.step()
        notifier.step()
        assert len(mail.seen) == seen
        clock.advance(pause_after(1))
    assert counts(store) == {"waiting": 2}
    notifier.step()
    assert mail.seen[-1].letters == (letter(crossing("1.0")),), "the first may be what its receiver does not take"


def test_however_much_waits_for_a_dead_receiver_others_get_theirs(
    store: Store, clock: SteppedClock, mail: Recorder
) -> None:
    first, *_ = messages()
    put(store, *(OutgoingMessage(f"{n}", "mail", first.value, recipient="dead") for n in range(BATCH)), first)
    mail.faults = [TransientError("slow")]
    notifier = sending(store, clock, mail, dead=recipient("b@city.example"))
    notifier.step()
    notifier.step()
    assert [one.role for one in mail.seen] == ["dead", ROLE]


def test_a_server_that_is_away_is_not_asked_for_every_role(store: Store, clock: SteppedClock, mail: Recorder) -> None:
    first, *_ = messages()
    put(store, first, OutgoingMessage("other", "mail", first.value, recipient="head-kymp"))
    mail.faults = [ServerAwayError("away")] * 2
    sending(store, clock, mail, head_kymp=recipient("b@city.example")).step()
    assert len(mail.seen) == 1
    assert counts(store) == {"waiting": 2}


def test_a_server_that_was_down_for_an_hour_gets_all_within_a_quarter_of_an_hour_after(
    store: Store, notifier: Notifier, mail: Recorder, clock: SteppedClock
) -> None:
    put(store, *messages(*(letter(crossing(f"0.{tenth}")) for tenth in range(1, 9))))
    mail.faults = [ServerAwayError("away")] * 10_000
    for _ in range(360):
        clock.advance(timedelta(seconds=10))
        notifier.step()
    assert counts(store) == {"waiting": 8}
    mail.faults.clear()
    mail.seen.clear()
    for _ in range(90):
        clock.advance(timedelta(seconds=10))
        notifier.step()
    assert counts(store) == {}
    assert len(mail.seen) == 8
    assert len({one.message_id for one in mail.seen}) == 8


def test_a_channel_that_hangs_holds_up_no_other(store: Store, clock: SteppedClock, mail: Recorder) -> None:
    put(store, *messages())
    inside, release = threading.Event(), threading.Event()

    class Hanging(Recorder):
        def deliver(self, parcel: Parcel) -> bool:
            inside.set()
            assert release.wait(30)
            return super().deliver(parcel)

    hanging = threading.Thread(target=sending(store, clock, Hanging(), "webhook").step)
    hanging.start()
    try:
        assert inside.wait(30)
        sending(store, clock, mail).step()
        assert len(mail.seen) == 1
        assert {one.data.channel for one in outcomes(store)} == {"mail"}
    finally:
        release.set()
        hanging.join(30)


def test_a_role_is_told_only_of_the_kinds_that_it_wants(store: Store, clock: SteppedClock, mail: Recorder) -> None:
    wants = {ROLE: recipient("a@city.example", kinds=["budget", "no_data"])}
    forecast = letter(crossing(measure="forecast", forecast_eur="9000"))
    put(store, *messages(letter(), forecast, condition_letter("no_data"), condition_letter("anomaly")))
    Notifier(store, OUTBOX, "mail", mail, wants, clock).step()
    assert [one.letters[0].kind for one in mail.seen] == ["budget", "no_data"]
    assert counts(store) == {}


# Quiet hours and digests; NOON is a Friday's noon in Helsinki


def resting(store: Store, clock: SteppedClock, channel: Recorder, name: ChannelName = "mail") -> Notifier:
    to = recipient("a@city.example", digest="08:00", quiet_hours={"from": "16:00", "to": "07:00", "weekends": True})
    return Notifier(store, OUTBOX, name, channel, {ROLE: to}, clock)


def test_what_is_not_critical_comes_as_one_at_the_hour_of_the_digest(
    store: Store, clock: SteppedClock, mail: Recorder
) -> None:
    put(store, *messages(letter(), letter(crossing("1.0")), condition_letter("anomaly")))
    notifier = resting(store, clock, mail)
    notifier.step()
    assert [one.letters for one in mail.seen] == [(letter(crossing("1.0")),)]  # all of it is used: critical
    clock.advance(timedelta(days=2, hours=21, minutes=59, seconds=59))  # Monday, just before ten
    notifier.step()
    assert len(mail.seen) == 2
    assert mail.seen[1].letters == (letter(), condition_letter("anomaly"))
    assert counts(store) == {}
    assert len(outcomes(store)) == 3


def test_a_digest_does_not_come_before_its_hour(store: Store, clock: SteppedClock, mail: Recorder) -> None:
    put(store, *messages(letter(), condition_letter("anomaly")))
    notifier = resting(store, clock, mail)
    for _ in range(5):
        notifier.step()
    clock.advance(timedelta(days=2, hours=19, minutes=59, seconds=59))  # Monday, just before eight
    notifier.step()
    assert mail.seen == []
    clock.advance(timedelta(seconds=1))
    notifier.step()
    assert [len(one.letters) for one in mail.seen] == [2]


def test_a_digest_that_fails_comes_again_whole_and_under_the_same_id(
    store: Store, clock: SteppedClock, mail: Recorder
) -> None:
    put(store, *messages(letter(), condition_letter("anomaly")))
    mail.faults = [TransientError("away")]
    clock.advance(timedelta(days=3))
    notifier = resting(store, clock, mail)
    notifier.step()
    clock.advance(timedelta(seconds=10))
    notifier.step()
    assert [len(one.letters) for one in mail.seen] == [2, 2]
    assert len({one.message_id for one in mail.seen}) == 1
    assert [one.data.attempts for one in outcomes(store)] == [2, 2]


def test_programs_do_not_rest(store: Store, clock: SteppedClock) -> None:
    webhook = Recorder(rests=False)
    put(store, *messages(letter(), condition_letter("anomaly")))
    resting(store, clock, webhook, "webhook").step()
    assert [len(one.letters) for one in webhook.seen] == [1, 1]


# What the watch writes


@pytest.mark.parametrize(
    ("forecast", "limits"),
    [
        pytest.param(Range(8_000_000_000, 9_000_000_000, 9_500_000_001), ("8", "9.500000001"), id="a forecast"),
        pytest.param(None, None, id="none yet"),
    ],
)
def test_a_crossing_is_told_with_the_limits_of_its_forecast(
    forecast: Range | None, limits: tuple[str, str] | None
) -> None:
    rows = [one for one in crossed(Told(crossing(), (), forecast), briefing(), NOON) if one.destination == "mail"]
    [found] = [read_letter(one.value) for one in rows]
    expected = (None, None) if limits is None else tuple(map(Decimal, limits))
    assert (found.forecast_low_eur, found.forecast_high_eur) == expected


# Rows of other versions


EARLIER = b"""{"alert_id":"a1","kind":"threshold_crossed","decided_at":"2026-10-20T09:00:00Z",
"crossing":{"budget":"kymp-2026","unit":"kymp","period":2026,"threshold":"0.8","epoch":0,"used_eur":"7.2",
"amount_eur":"9.00","recipients":["finance-kymp"],"spoken":true},
"unit":{"id":"kymp","name":{"fi":"KYMP"},"cost_centre":"3100000"}}"""


def test_what_an_earlier_version_left_in_the_outbox_is_delivered(
    store: Store, notifier: Notifier, mail: Recorder
) -> None:
    put(store, OutgoingMessage("x", "mail", EARLIER, recipient=ROLE))
    notifier.step()
    [parcel] = mail.seen
    assert parcel.letters == (read_letter(EARLIER),)
    assert parcel.letters[0].crossing is not None
    assert parcel.letters[0].crossing.used_eur == Decimal("7.2")
    assert parcel.letters[0].briefing.unit is not None
    assert parcel.letters[0].briefing.unit.cost_centre == "3100000"


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
        patched.setattr("services.cost_alerts.delivery.notifier.mark_sent", crash)
        with pytest.raises(KeyboardInterrupt):
            notifier.step()
    assert outcomes(store) == []
    notifier.step()
    notifier.step()
    assert [one.message_id for one in mail.seen] == [messages()[0].message_id] * 2
    assert len(outcomes(store)) == 1


def test_two_notifiers_on_one_database_do_not_both_send(store: Store, notifier: Notifier, mail: Recorder) -> None:
    put(store, *messages())
    with store.exclusive("notifier-mail") as mine:
        assert mine
        notifier.step()
    assert mail.seen == []
    notifier.step()
    assert len(mail.seen) == 1


@pytest.mark.parametrize(
    ("attempts", "seconds"), [(1, 10), (2, 20), (7, 640), (8, 900), (MAX_ATTEMPTS, 900), (10**6, 900)]
)
def test_pauses_double_up_to_a_quarter_of_an_hour(attempts: int, seconds: int) -> None:
    assert pause_after(attempts) == timedelta(seconds=seconds)


@pytest.mark.parametrize(("asked", "seconds"), [(None, 10), (5.0, 10), (90.0, 90), (1e9, 3600)])
def test_a_receiver_gets_the_patience_it_asks_for_up_to_an_hour(asked: float | None, seconds: int) -> None:
    assert pause_after(1, asked) == timedelta(seconds=seconds)


def test_giving_up_takes_about_a_day() -> None:
    patience = sum((pause_after(attempts) for attempts in range(1, MAX_ATTEMPTS)), timedelta())
    assert timedelta(hours=20) < patience < timedelta(hours=28)
