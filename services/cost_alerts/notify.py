"""Alerts on their way to people: from the outbox to mail and webhook, each once.

A row is rendered in its recipients' language when it leaves. It is delivered, and then marked in the transaction that
also tells the bus `alert.sent`. A process that dies in between sends the same message again under the same id
(`Message-ID`, `webhook-id`), by which a receiver knows it. What fails is tried again for about a day, then given up.
Addresses live in the recipients file; neither log lines nor reasons nor events hold any.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy import Table

from services.cost_alerts.handlers.outgoing import SOURCE, for_bus
from services.cost_alerts.recipients import Recipient
from services.cost_alerts.web.words import Language
from services.shared.clock import Clock
from services.shared.errors import PlatformError, TransientError
from services.shared.events import event_id
from services.shared.events.envelope import Id, Name, Utc
from services.shared.events.outcomes import AlertSent, Crossing, Delivery
from services.shared.logs import logger
from services.shared.store import PendingMessage, Store
from services.shared.store.outbox import mark_sent

NAME = "notifier"
ChannelName = Literal["mail", "webhook"]
IDLE_SECONDS = 1.0
BATCH = 50
MAX_ATTEMPTS = 32
"""With the pauses below, about a day."""

_FIRST_PAUSE = timedelta(seconds=10)
_LONGEST_PAUSE = timedelta(hours=1)
_MOST_DOUBLINGS = 12


class UndeliverableError(PlatformError):
    """This message cannot be delivered, now or later: every address is refused for good, or it cannot be read."""


class NobodyError(TransientError):
    """Nobody stands behind the role. Once the recipients file names somebody, a restart delivers what waits."""


class AlertUnit(BaseModel):
    """The unit that an alert is about, as the register had it when the alert was decided."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Id
    name: Mapping[Language, Name]
    cost_centre: Name | None


class Alert(BaseModel):
    """A row of the outbox: what `outgoing.crossed` wrote."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    alert_id: Id
    kind: Literal["threshold_crossed"]
    decided_at: Utc
    crossing: Crossing
    unit: AlertUnit


@dataclass(frozen=True, slots=True)
class Parcel:
    """One alert for one role by one channel. `message_id`: the same each time it is sent. `recipient` None: unknown."""

    message_id: str
    alert: Alert
    role: str
    recipient: Recipient | None


class Channel(Protocol):
    """A way to people."""

    def deliver(self, parcel: Parcel) -> bool:
        """Hand the message over. False: this role does not use this channel, and there is nothing to tell.

        Raises:
            TransientError: the other side is away or refuses for now; nothing may be inferred about who got it.
            UndeliverableError: no retry helps.
        """
        ...

    def close(self) -> None:
        """Give connections back."""
        ...


class Notifier:
    """For a `Loop`. One notifier at a time works on a database, whichever process runs it."""

    def __init__(
        self, store: Store, outbox: Table, channels: Mapping[ChannelName, Channel],
        recipients: Mapping[str, Recipient], clock: Clock,
    ) -> None:  # fmt: skip
        self._store, self._outbox, self._clock = store, outbox, clock
        self._channels, self._recipients = channels, recipients
        self._log = logger(NAME)

    def step(self) -> float:
        """Send what is due; how long to pause, in seconds.

        Raises:
            TransientError: the store is away; everything still waits.
        """
        with self._store.exclusive(NAME) as mine:
            if mine:
                for channel in self._channels:
                    self._send(self._store.pending([channel], self._clock.now(), BATCH), channel)
        return IDLE_SECONDS

    def close(self) -> None:
        """Give the channels' connections back."""
        for channel in self._channels.values():
            channel.close()

    def _send(self, waiting: Sequence[PendingMessage], channel: ChannelName) -> None:
        for pending in waiting:
            try:
                parcel = self._parcel(pending)
                told = self._channels[channel].deliver(parcel)
            except UndeliverableError as error:
                self._give_up(pending, str(error))
            except TransientError as error:
                self._postpone(pending, error)
                if not isinstance(error, NobodyError):
                    return  # the same server would only keep the next one waiting too
            else:
                self._settle(pending, channel, parcel, told=told)

    def _parcel(self, pending: PendingMessage) -> Parcel:
        message = pending.message
        try:
            alert = Alert.model_validate_json(message.value)
        except ValidationError as error:
            raise UndeliverableError(
                f"found an alert of another shape ({error.error_count()} faults); another version wrote it"
            ) from None
        role = message.recipient or ""
        return Parcel(message.message_id, alert, role, self._recipients.get(role))

    def _settle(self, pending: PendingMessage, channel: ChannelName, parcel: Parcel, *, told: bool) -> None:
        now = self._clock.now()
        with self._store.transaction() as tx:
            if told:
                tx.send([for_bus(alert_sent(parcel, channel, pending.attempts + 1, now))])
            mark_sent(tx.connection, self._outbox, [pending.sequence], now)
        if told:
            self._log.info("alert sent", alert_id=parcel.alert.alert_id, role=parcel.role, channel=channel)

    def _postpone(self, pending: PendingMessage, error: TransientError) -> None:
        attempts = pending.attempts + 1
        if attempts >= MAX_ATTEMPTS:
            self._give_up(pending, f"given up after {attempts} attempts: {error}")
            return
        pause = pause_after(attempts)
        if error.retry_after_seconds is not None:
            pause = max(pause, min(timedelta(seconds=error.retry_after_seconds), _LONGEST_PAUSE))
        self._store.mark_failed(pending.sequence, str(error), self._clock.now() + pause)
        self._log.warning("alert waits", reason=str(error), attempts=attempts, pause_seconds=pause.total_seconds())

    def _give_up(self, pending: PendingMessage, reason: str) -> None:
        self._store.mark_failed(pending.sequence, reason, None)
        self._log.error("alert given up", reason=reason, role=pending.message.recipient)  # foreseen


def pause_after(attempts: int) -> timedelta:
    """How long to wait after so many attempts (at least 1): 10 s, doubling, an hour at most."""
    return min(_LONGEST_PAUSE, _FIRST_PAUSE * (1 << min(attempts - 1, _MOST_DOUBLINGS)))


def alert_sent(parcel: Parcel, channel: ChannelName, attempts: int, now: datetime) -> AlertSent:
    """The outcome of a delivery, named by alert, role and channel."""
    alert_id = parcel.alert.alert_id
    return AlertSent(
        id=event_id("alert.sent", alert_id, parcel.role, channel),
        source=SOURCE,
        subject=alert_id,
        time=now.astimezone(UTC),
        data=Delivery(alert_id=alert_id, recipient=parcel.role, channel=channel, attempts=attempts),
    )
