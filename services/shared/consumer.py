"""The one consumer loop: poll a batch, decode, handle, commit once. (Contract; the loop follows.)"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from services.shared.bus import Record
from services.shared.errors import InvalidEventError
from services.shared.events import Event
from services.shared.store import Transaction


class Delivered(NamedTuple):
    """A record with the event it holds."""

    record: Record
    event: Event


class RefusedRecordError(InvalidEventError):
    """A handler says that one record of its batch can never be handled; the loop sets it aside and tries the rest."""

    def __init__(self, record: Record, reason: str) -> None:
        super().__init__(reason)
        self.record = record


class Handler(Protocol):
    """What one consumer group does with a batch, inside the transaction that also saves its positions."""

    group: str
    topics: tuple[str, ...]

    def handle(self, batch: Sequence[Delivered], tx: Transaction) -> None:
        """Apply the batch. Records of a partition are in order; nothing is promised between partitions.

        A batch may come again after a fault: what was written with it is then gone. Everything told to the world goes
        through `tx.send`.

        Raises:
            RefusedRecordError: this record can never be handled.
        """
        ...
