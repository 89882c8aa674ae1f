"""What agreements on a term of a contract have in common: where the term stands, who pays, and who used what."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Generic

from services.cost_alerts.domain.agreements.agreement import Cycle
from services.cost_alerts.domain.agreements.split import Payers
from services.cost_alerts.domain.agreements.terms import Held, T, cycles_of
from services.cost_alerts.domain.agreements.using import Reader


@dataclass(frozen=True, slots=True)
class Termed(Generic[T]):
    """A term of a contract under one register version; `stretches` rise."""

    key: str
    system: str
    stretches: Sequence[Held[T]]
    payers: Payers
    reader: Reader

    def cycles(self, first: date, last: date) -> Iterator[Cycle]:
        return cycles_of(self.stretches, first, last)
