"""What a service publishes: from its outbox to the bus, in the order of making, at least once."""

from collections.abc import Sequence

from services.shared.bus import EventBus, Message
from services.shared.clock import Clock
from services.shared.errors import InvalidEventError
from services.shared.logs import logger
from services.shared.store import OutgoingMessage, PendingMessage, Store

IDLE_SECONDS = 0.1
OTHERS_SECONDS = 1.0
"""While another process does this work: how long until we ask again."""


class BusRelay:
    """For a `Loop`. One relay at a time works on a database, whichever process runs it, so that no order changes.

    A message that the bus can never take is given up and stays in the outbox for operations to see; the ones after it
    go on. When the process dies between publishing and noting it, the same messages go out again.
    """

    def __init__(self, store: Store, bus: EventBus, clock: Clock, *, batch_messages: int = 2_000) -> None:
        self._store, self._bus, self._clock = store, bus, clock
        self._batch_messages = batch_messages
        self._log = logger("relay")

    def step(self) -> float:
        """Publish what waits, one batch; how long to pause, in seconds.

        Raises:
            TransientError: bus or store is away; everything still waits.
        """
        with self._store.exclusive("relay") as mine:
            return self._publish() if mine else OTHERS_SECONDS

    def _publish(self) -> float:
        waiting = self._store.pending(["bus"], self._clock.now(), self._batch_messages)
        if not waiting:
            return IDLE_SECONDS
        try:
            self._bus.publish([_message(pending.message) for pending in waiting])
        except InvalidEventError:
            return self._publish_singly(waiting)
        self._store.mark_sent([pending.sequence for pending in waiting], self._clock.now())
        return 0.0

    def _publish_singly(self, waiting: Sequence[PendingMessage]) -> float:
        for pending in waiting:
            try:
                self._bus.publish([_message(pending.message)])
            except InvalidEventError as error:
                self._store.mark_failed(pending.sequence, str(error), None)
                self._log.error("given up", message_id=pending.message.message_id, reason=str(error))  # foreseen
            else:
                self._store.mark_sent([pending.sequence], self._clock.now())
        return 0.0


def _message(message: OutgoingMessage) -> Message:
    assert message.topic is not None, "a message for the bus names its topic"
    return Message(message.topic, message.key or b"", message.value)
