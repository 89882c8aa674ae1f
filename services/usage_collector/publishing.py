"""Group commit: callers that publish at the same moment share one `EventBus.publish`, and with it one sync to disk."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from services.shared.bus import EventBus, Message
from services.shared.errors import InvalidEventError

MAX_GROUP_MESSAGES = 10_000


@dataclass(slots=True)
class _Turn:
    """One caller's messages, and what became of them."""

    messages: Sequence[Message]
    done: bool = False
    error: BaseException | None = None


@dataclass(slots=True)
class GroupPublisher:
    """Whoever gets the lock first publishes for all who wait. Thread-safe."""

    bus: EventBus
    _waiting: list[_Turn] = field(default_factory=list)
    _queue: threading.Lock = field(default_factory=threading.Lock)
    _leading: threading.Lock = field(default_factory=threading.Lock)

    def publish(self, messages: Sequence[Message]) -> None:
        """Return when `messages` are durable on the bus.

        Raises:
            PlatformError: as `EventBus.publish` does; a fault of another caller's messages is not seen here.
        """
        turn = _Turn(messages)
        with self._queue:
            self._waiting.append(turn)
        while not turn.done:
            with self._leading:
                if not turn.done:
                    self._lead()
        if turn.error is not None:
            raise turn.error

    def _lead(self) -> None:
        group = self._next_group()
        try:
            self._publish_together(group)
        finally:
            for turn in group:
                turn.done = True

    def _publish_together(self, group: Sequence[_Turn]) -> None:
        try:
            self.bus.publish([message for turn in group for message in turn.messages])
        except InvalidEventError as error:
            if len(group) == 1:
                group[0].error = error
            else:  # one caller's message is at fault: the others must not suffer
                for turn in group:
                    self._publish_alone(turn)
        except BaseException as error:  # noqa: BLE001  # told to everybody who waits, then raised by each
            for turn in group:
                turn.error = error

    def _next_group(self) -> list[_Turn]:
        group: list[_Turn] = []
        size = 0
        with self._queue:
            while self._waiting and (not group or size + len(self._waiting[0].messages) <= MAX_GROUP_MESSAGES):
                group.append(self._waiting.pop(0))
                size += len(group[-1].messages)
        return group

    def _publish_alone(self, turn: _Turn) -> None:
        try:
            self.bus.publish(turn.messages)
        except Exception as error:  # noqa: BLE001  # told to whom it concerns; the others of the group go on
            turn.error = error
