"""Whether two ledgers are the same to the last digit, whatever numbers they gave to readings, words and prices."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, Table, func, select

from services.cost_alerts.adapters.ledger import bases
from services.cost_alerts.adapters.tables import CHARGE, PROFILE, READING, ROLLUP, ROLLUP_KEY, SUMS, WORD
from services.shared.store import Store

_WORDS = {"source", "unit", "system", "sku", "meter", "cost_centre", "project"}


@dataclass(frozen=True)
class Fingerprint:
    """How many readings and charges a ledger holds, and a hash of everything that it says of them."""

    readings: int
    charges: int
    hash: str


def fingerprint(store: Store) -> Fingerprint:
    """Readings, charges with all that they are based on and their history, and the sums over all shards."""
    with store.reading() as connection:
        names = _Names(connection)
        readings = [names.spell(READING, row) for row in _rows(connection, READING)]
        charges = [names.spell(CHARGE, row) for row in _rows(connection, CHARGE)]
        lines = sorted([*readings, *charges, *(names.spell(ROLLUP, row) for row in _sums(connection))])
    return Fingerprint(len(readings), len(charges), sha256("\n".join(lines).encode()).hexdigest())


class _Names:
    """What numbers stand for in one ledger."""

    def __init__(self, connection: Connection) -> None:
        words = {row.id: row.text for row in connection.execute(select(WORD))}
        profiles = {row.id: row.body for row in connection.execute(select(PROFILE))}
        based = {row[0]: repr(tuple(row[1:])) for row in connection.execute(bases())}
        self._spelled: dict[str, dict[int, str]] = {
            **dict.fromkeys(_WORDS, words),
            "profile": profiles,
            "basis": based,
            "reading": {row.number: row.reading_id for row in connection.execute(select(READING))},
        }

    def spell(self, table: Table, row: Mapping[str, Any]) -> str:
        told = {name: self._spelled[name][value] if name in self._spelled else value for name, value in row.items()}
        return f"{table.name} {told}"


def _rows(connection: Connection, table: Table) -> Iterator[Mapping[str, Any]]:
    columns = [column for column in table.c if column.name != "number"]
    for row in connection.execute(select(*columns)).mappings():
        yield dict(row)


def _sums(connection: Connection) -> Iterator[Mapping[str, Any]]:
    """The rollups over all shards; which share of the readings came by which partition is no matter."""
    key = [ROLLUP.c[name] for name in ROLLUP_KEY if name != "shard"]
    sums = [func.sum(ROLLUP.c[name]).label(name) for name in SUMS]
    for row in connection.execute(select(*key, *sums).group_by(*key)).mappings():
        yield {name: int(value) if name in SUMS else value for name, value in row.items()}
