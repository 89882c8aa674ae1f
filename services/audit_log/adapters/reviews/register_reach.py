"""How far the log has read the register: what depends on it is not said before (design 4)."""

from datetime import datetime

from services.audit_log.handlers import GROUP
from services.shared.bus import EventBus
from services.shared.clock import Clock
from services.shared.events import REGISTER
from services.shared.store import Store


class RegisterReach:
    """Compares what was read of the register's topic with where it ended at a moment.

    Args:
        store: the log's database, with the positions of its consumer group.
        bus: where the register stands.
        clock: tells the moment.
    """

    def __init__(self, store: Store, bus: EventBus, clock: Clock) -> None:
        self._store, self._bus, self._clock = store, bus, clock
        self._read_to: datetime | None = None

    def read_to(self) -> datetime | None:
        """A moment (UTC) before which everything that stood in the register was read; None: not known yet.

        Raises:
            TransientError: the bus does not answer.
        """
        moment = self._clock.now()
        ends = self._bus.end_positions([REGISTER.name])
        read = self._store.positions(self._bus.cluster_id, GROUP)
        if all(read.get(partition, 0) >= end for partition, end in ends.items()):
            self._read_to = moment
        return self._read_to
