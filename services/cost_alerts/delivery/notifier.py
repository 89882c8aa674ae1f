"""Letters on their way to people: from the outbox to mail, Teams and webhooks, each once.

Every channel has a notifier of its own, so that a slow one holds up no other. A row is rendered in its recipients'
language when it leaves; where a role rests or gets a digest (`quiet.py`), it waits, and what waited for the same
moment goes as one message. It is delivered, and then marked in the transaction that also tells the bus `alert.sent`. A
process that dies in between sends the same message again under the same id (`Message-ID`, `webhook-id`), by which a
receiver knows it. What fails is tried again for about a day, then given up. Addresses live in the recipients file;
neither log lines nor reasons nor events hold any.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy import Table

from services.cost_alerts.delivery.quiet import due_at
from services.cost_alerts.delivery.recipients import Recipient
from services.cost_alerts.domain.alerts.letter import Briefing, Letter, Named
from services.cost_alerts.handlers.outgoing import SOURCE, for_bus
from services.shared.clock import Clock
from services.shared.errors import PlatformError, TransientError
from services.shared.events import event_id
from services.shared.events.envelope import Id, Utc
from services.shared.events.outcomes import AlertSent, Crossing, Delivery
from services.shared.logs import logger
from services.shared.store import PendingMessage, Store
from services.shared.store.outbox import mark_sent

NAME = "notifier"
ChannelName = Literal["mail", "teams", "webhook"]
IDLE_SECONDS = 1.0
BATCH = 200
MAX_ATTEMPTS = 100
"""With the pauses below, about a day."""

_FIRST_PAUSE = timedelta(seconds=10)
_LONGEST_PAUSE = timedelta(minutes=15)
"""So long, at most, after a server is back, what waited for it leaves."""
_LONGEST_ASKED = timedelta(hours=1)
"""More patience than this no receiver gets, however much it asks for."""
_MOST_DOUBLINGS = 12


class UndeliverableError(PlatformError):
    """This message cannot be delivered, now or later: every address is refused for good, or it cannot be read."""


class ServerAwayError(TransientError):
    """The server that all roles share on this channel is away: what waits for others would wait too."""


class NobodyError(TransientError):
    """Nobody stands behind the role. Once the recipients file names somebody, a restart delivers what waits."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """What goes to one role by one channel at once: a letter, or several that waited for the same moment.

    `message_id`: the same each time it is sent. `recipient` None: unknown.
    """

    message_id: str
    letters: tuple[Letter, ...]
    role: str
    recipient: Recipient | None


class Channel(Protocol):
    """A way to people."""

    rests: bool
    """Whether people read it as it comes, so that quiet hours and digests hold here."""

    def deliver(self, parcel: Parcel) -> bool:
        """Hand the message over. False: this role does not use this channel, and there is nothing to tell.

        Raises:
            TransientError: the other side is away or refuses for now; nothing may be inferred about who got it.
                As `ServerAwayError` when that goes for every role.
            UndeliverableError: no retry helps.
        """
        ...

    def close(self) -> None:
        """Give connections back."""
        ...


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A row of the outbox, read. `due`: the moment for which it waited; None when it need not wait."""

    pending: PendingMessage
    letter: Letter
    role: str
    due: datetime | None


class Notifier:
    """One channel, for a `Loop`. One notifier of a channel at a time works on a database, whichever process runs it."""

    def __init__(  # noqa: PLR0917  # what it reads, where it sends, whom it knows
        self, store: Store, outbox: Table, name: ChannelName, channel: Channel,
        recipients: Mapping[str, Recipient], clock: Clock,
    ) -> None:  # fmt: skip
        self.name = f"{NAME}-{name}"
        self._store, self._outbox, self._clock = store, outbox, clock
        self._name, self._channel, self._recipients = name, channel, recipients
        self._log = logger(NAME)

    def step(self) -> float:
        """Send what is due; how long to pause, in seconds.

        Raises:
            TransientError: the store is away; everything still waits.
        """
        with self._store.exclusive(self.name) as mine:
            if mine:
                waiting = self._store.pending([self._name], self._clock.now(), BATCH)
                self._send([one for pending in waiting for one in self._opened(pending)])
        return IDLE_SECONDS

    def close(self) -> None:
        """Give the channel's connections back."""
        self._channel.close()

    def _opened(self, pending: PendingMessage) -> Iterable[_Waiting]:
        """The row, read, if it may leave now; else it is put where it belongs."""
        try:
            letter = read_letter(pending.message.value)
        except UndeliverableError as error:
            self._give_up(pending, str(error))
            return
        role = pending.message.recipient or ""
        recipient = self._recipients.get(role)
        if recipient is not None and recipient.kinds is not None and letter.kind not in recipient.kinds:
            self._store.mark_sent([pending.sequence], self._clock.now())
            return
        due = due_at(letter, recipient) if recipient is not None and self._channel.rests else letter.decided_at
        if due > self._clock.now():
            self._store.postpone([pending.sequence], due)
            return
        yield _Waiting(pending, letter, role, due if due > letter.decided_at else None)

    def _send(self, waiting: Sequence[_Waiting]) -> None:
        in_trouble: set[str] = set()  # roles whose receiver was slow or away just now: one wait is enough
        kept: list[int] = []
        for together in grouped(waiting):
            parcel = self._parcel(together)
            if parcel.role in in_trouble:
                kept += [one.pending.sequence for one in together]
                continue
            try:
                told = self._channel.deliver(parcel)
            except UndeliverableError as error:
                for one in together:
                    self._give_up(one.pending, str(error))
            except TransientError as error:
                self._postpone(together, error)
                if isinstance(error, ServerAwayError):
                    return
                in_trouble.add(parcel.role)
            else:
                self._settle(together, parcel, told=told)
        if kept:  # however much waits for a dead receiver, what waits for others is among the next
            self._store.postpone(kept, self._clock.now() + _FIRST_PAUSE)

    def _parcel(self, together: Sequence[_Waiting]) -> Parcel:
        ids = [one.pending.message.message_id for one in together]
        name = ids[0] if len(ids) == 1 else event_id("digest", *ids)
        role = together[0].role
        return Parcel(name, tuple(one.letter for one in together), role, self._recipients.get(role))

    def _settle(self, together: Sequence[_Waiting], parcel: Parcel, *, told: bool) -> None:
        now = self._clock.now()
        with self._store.transaction() as tx:
            if told:
                sent = (alert_sent(one.letter, one.role, self._name, one.pending.attempts + 1, now) for one in together)
                tx.send([for_bus(event) for event in sent])
            mark_sent(tx.connection, self._outbox, [one.pending.sequence for one in together], now)
        if told:
            ids = [letter.alert_id for letter in parcel.letters]
            self._log.info("alert sent", alert_ids=ids, role=parcel.role, channel=self._name)

    def _postpone(self, together: Sequence[_Waiting], error: TransientError) -> None:
        for one in together:
            attempts = one.pending.attempts + 1
            if attempts >= MAX_ATTEMPTS:
                self._give_up(one.pending, f"given up after {attempts} attempts: {error}")
                continue
            pause = pause_after(attempts, error.retry_after_seconds)
            self._store.mark_failed(one.pending.sequence, str(error), self._clock.now() + pause)
        attempts = together[0].pending.attempts + 1
        self._log.warning("alert waits", reason=str(error), attempts=attempts, channel=self._name)

    def _give_up(self, pending: PendingMessage, reason: str) -> None:
        self._store.mark_failed(pending.sequence, reason, None)
        self._log.error("alert given up", reason=reason, role=pending.message.recipient)  # foreseen


def grouped(waiting: Iterable[_Waiting]) -> Sequence[Sequence[_Waiting]]:
    """What goes together: what waited for one role and one moment; everything else singly, in the order of making."""
    groups: dict[object, list[_Waiting]] = {}
    for one in waiting:
        key = one.pending.sequence if one.due is None else (one.role, one.due)
        groups.setdefault(key, []).append(one)
    return list(groups.values())


def pause_after(attempts: int, asked_seconds: float | None = None) -> timedelta:
    """How long to wait after so many attempts (at least 1): 10 s, doubling, a quarter of an hour at most.

    `asked_seconds`: what the receiver asked for; it gets that much, an hour at most.
    """
    ours = min(_LONGEST_PAUSE, _FIRST_PAUSE * (1 << min(attempts - 1, _MOST_DOUBLINGS)))
    if asked_seconds is None:
        return ours
    return max(ours, timedelta(seconds=min(asked_seconds, _LONGEST_ASKED.total_seconds())))


def alert_sent(letter: Letter, role: str, channel: ChannelName, attempts: int, now: datetime) -> AlertSent:
    """The outcome of a delivery, named by alert, role and channel; the all-clear is another one."""
    end = ("resolved",) if letter.resolved else ()
    return AlertSent(
        id=event_id("alert.sent", letter.alert_id, role, channel, *end),
        source=SOURCE,
        subject=letter.alert_id,
        time=now.astimezone(UTC),
        data=Delivery(alert_id=letter.alert_id, recipient=role, channel=channel, attempts=attempts),
    )


class _Earlier(BaseModel):
    """A row as versions before `Letter` wrote it: a database that was upgraded may still hold some."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    alert_id: Id
    kind: Literal["threshold_crossed"]
    decided_at: Utc
    crossing: Crossing
    unit: Named


def read_letter(value: bytes) -> Letter:
    """The letter that a row of the outbox holds, whichever version wrote it.

    Raises:
        UndeliverableError: it is of another shape. The sentence does not repeat it.
    """
    try:
        return Letter.model_validate_json(value)
    except ValidationError as error:
        faults = error.error_count()
    try:
        found = _Earlier.model_validate_json(value)
    except ValidationError:
        raise UndeliverableError(
            f"found an alert of another shape ({faults} faults); another version of the program wrote it"
        ) from None
    briefing = Briefing(unit=found.unit, system=None)
    return Letter(alert_id=found.alert_id, decided_at=found.decided_at, crossing=found.crossing, briefing=briefing)
