"""The life of one output: every entry about it, in the order of the log."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Connection

from services.audit_log.adapters.entries import read_frontier
from services.audit_log.adapters.indexing import indexed_size, read_told
from services.audit_log.adapters.search import bodies_of, find, find_all
from services.audit_log.domain.search import Filter, Told

_MOST = 500
"""Steps that a page shows; an output with more has them in the search."""

_UNINDEXED = 5_000
"""So many new entries are looked through one by one; while the log catches up with more, they are told to be missing.
"""


@dataclass(frozen=True, slots=True)
class Step:
    """One entry about an output."""

    index: int
    ingest_time: datetime
    event: Mapping[str, Any]

    @property
    def type(self) -> str:
        return str(self.event.get("type"))


@dataclass(frozen=True, slots=True)
class Life:
    """Steps in the order of the log. `known`: of how many entries this tells; `size`: how many there are."""

    steps: list[Step]
    known: int
    size: int


def read_life(connection: Connection, output_id: str) -> Life:
    """What the log holds about an output."""
    size, indexed = read_frontier(connection).size, indexed_size(connection)
    known = size if size - indexed <= _UNINDEXED else indexed
    found = list(islice(_indexes(connection, output_id, known, indexed), _MOST))
    told = ((index, read_told(body)) for index, body in bodies_of(connection, found).items())
    return Life([_step(index, one) for index, one in told if one], known, size)


def _indexes(connection: Connection, output_id: str, known: int, indexed: int) -> Iterator[int]:
    wanted = Filter(output=output_id)
    if known > indexed:
        return find_all(connection, wanted, known)
    return iter(find(connection, wanted, limit=_MOST).indexes)


def _step(index: int, told: Told) -> Step:
    return Step(index, told.ingest_time, told.event)
