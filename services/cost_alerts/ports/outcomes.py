"""What was decided or told once, and is known over every rebuild."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Protocol

from sqlalchemy import Connection

from services.cost_alerts.domain.budgets.look import Facts
from services.cost_alerts.ports.ledger import ConflictRow
from services.shared.events.outcomes import (
    CostBand,
    Crossing,
    Finding,
    FindingClosing,
    PostingBatch,
    Receding,
    UseCaseCost,
)
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


class UseCosts(Protocol):
    """What uses of AI cost, in bands, and which of these the world was told."""

    def bands(self, connection: Connection, today: date) -> Mapping[str, CostBand]:
        """Use case → the band of its last twelve whole months, of those that hold today and are priced wholly."""
        ...

    def told(self, connection: Connection) -> Mapping[str, CostBand]:
        """Use case → the band that was told last."""
        ...

    def keep(self, tx: Transaction, costs: Sequence[tuple[UseCaseCost, int]]) -> set[str]:
        """Keep what was told, with the time of the decision (microseconds); the ids of those that are new."""
        ...
