"""What was decided or told once, and is known over every rebuild."""

from collections.abc import Sequence
from typing import Protocol

from sqlalchemy import Connection

from services.cost_alerts.domain.budgets.look import Facts
from services.cost_alerts.ports.ledger import ConflictRow
from services.shared.events.outcomes import Crossing, Finding, FindingClosing, PostingBatch, Receding
from services.shared.store import Transaction


class Crossings(Protocol):
    """Thresholds that were told, epochs that ended, and what may pass the next."""

    def state(self, connection: Connection) -> object:
        """Changes whenever something has that a decision about budgets depends on."""
        ...

    def facts(self, connection: Connection) -> Facts: ...

    def keep(self, tx: Transaction, crossings: Sequence[tuple[Crossing, int]]) -> None:
        """Keep crossings with the time of their decision (microseconds); known ones stay as they are."""
        ...

    def recede(self, tx: Transaction, recedings: Sequence[tuple[Receding, int]]) -> None:
        """Keep which epochs ended, with the time of the decision (microseconds); known ones stay as they are."""
        ...


class Conflicts(Protocol):
    """Which conflicts the world was told of."""

    def anything_to_tell(self, connection: Connection) -> bool: ...

    def to_tell(self, tx: Transaction) -> Sequence[ConflictRow]: ...

    def told(self, tx: Transaction, conflicts: Sequence[ConflictRow]) -> None:
        """Keep that these were told, now or by an earlier life of the ledger."""
        ...


class Findings(Protocol):
    """Findings as the outcomes tell of them."""

    def opened(self, tx: Transaction, findings: Sequence[Finding]) -> None: ...

    def closed(self, tx: Transaction, closings: Sequence[FindingClosing]) -> None: ...


class PostingBook(Protocol):
    """What was handed to bookkeeping."""

    def keep(self, tx: Transaction, batches: Sequence[tuple[PostingBatch, int]]) -> int:
        """Keep parts of batches with the time they were made (microseconds); how many of them were new."""
        ...
