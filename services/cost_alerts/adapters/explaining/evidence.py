"""The events behind a charge, by what the ledger knows of them; who reads bus and log finds their names and entries."""

from dataclasses import dataclass, field
from typing import NamedTuple

from services.cost_alerts.adapters.explaining.facts import FactName

HIDDEN = "p-…"
"""What stands in the place of a person's pseudonym."""


def hidden(text: str, person: str | None) -> str:
    """A text without a pseudonym."""
    return text if person is None else text.replace(person, HIDDEN)


class Evidence(NamedTuple):
    """An event behind a charge: what it says, and one thing that names it.

    `event`: its source and id. `fact`: the event that brought this fact. `version`: the marker of a register version.
    `closing`: of a month, `YYYY-MM`. `invoice`: vendor, invoice id, revision.
    `hides`: a person's pseudonym that is not to be shown with it.
    """

    says: str
    event: tuple[str, str] | None = None
    fact: FactName | None = None
    version: int | None = None
    closing: str | None = None
    invoice: tuple[str, str, int] | None = None
    hides: str | None = None


@dataclass(slots=True)
class Trail:
    """Evidence as it is come across; the same event once."""

    found: dict[tuple[object, ...], Evidence] = field(default_factory=dict)

    def add(self, one: Evidence) -> None:
        self.found.setdefault(tuple(one[1:]), one)
