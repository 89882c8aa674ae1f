"""What the watch over conditions asks and keeps."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from services.cost_alerts.domain.alerts.letter import Briefing
from services.cost_alerts.domain.alerts.situation import Situation
from services.shared.events.outcomes import Acknowledgement, Condition
from services.shared.store import Transaction


class Alerts(Protocol):
    """Conditions that were told, and who acknowledged what; known over every rebuild. Times are microseconds."""

    def raised(self, tx: Transaction, conditions: Sequence[tuple[Condition, int]]) -> None:
        """Keep conditions with the time of their decision; known ones stay as they are."""
        ...

    def resolved(self, tx: Transaction, alerts: Sequence[tuple[str, int]]) -> None:
        """Keep that these alerts are over; it may be told before their beginning. The first word counts."""
        ...

    def acknowledged(self, tx: Transaction, told: Sequence[tuple[Acknowledgement, int]]) -> int:
        """Keep who acknowledged, of each alert the first; how many of them were news."""
        ...


class Seen(NamedTuple):
    """What the watch sees, and the ids of all alerts that were ever raised."""

    situation: Situation
    told: Collection[str]


class Lookout(Protocol):
    """Looks at the ledger for conditions."""

    def see(self, now: datetime) -> Seen: ...

    def brief(self, situation: Situation, condition: Condition) -> Briefing:
        """What somebody who is told of a condition must know to act."""
        ...


class Windows(NamedTuple):
    """A source told that a window is complete: its name, its events' `source`, the Helsinki day it told on."""

    name: str
    source: str
    told_on: int


class Collections(Protocol):
    """Which sources told that a window is complete, and on which days."""

    def completed(self, tx: Transaction, windows: Sequence[Windows]) -> None:
        """Keep them, one per source and day."""
        ...
