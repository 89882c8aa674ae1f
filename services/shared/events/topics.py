"""The topics: what each holds, and how long (design 2)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic. `partitions` null: as many as the settings say. `retention_days` null: for good."""

    name: str
    partitions: int | None = None
    retention_days: int | None = None


USAGE = Topic("valvomo.usage")
GOVERNANCE = Topic("valvomo.governance")
REGISTER = Topic("valvomo.register", partitions=1)
CHARGES = Topic("valvomo.charges")
OUTCOMES = Topic("valvomo.outcomes")
DEAD_LETTER = Topic("valvomo.dead-letter", partitions=1, retention_days=30)

TOPICS = (USAGE, GOVERNANCE, REGISTER, CHARGES, OUTCOMES, DEAD_LETTER)
