"""How a use case came to stand in the register as it does: the entries of the log that say so."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection

from services.audit_log.adapters.indexing import read_told
from services.audit_log.adapters.search import bodies_of, find
from services.audit_log.domain.search import Filter, Told

_TYPE = "valvomo.usecase.registered.v1"
_MOST = 100


class Change(NamedTuple):
    """One entry of the register in the log: when the bus took it (UTC), which fact, and what it said.

    `fact_id`: the use case's id with the day from which the fact holds. `fact` None: it is gone.
    """

    seq: int
    taken: datetime
    fact_id: str
    fact: Mapping[str, Any] | None


class Version(NamedTuple):
    """A change, and the members that it made differ from what stood before (None: it is the first)."""

    change: Change
    changed: Sequence[str] | None


def read_versions(connection: Connection, use_case: str) -> list[Version]:
    """The changes of a use case that the log's search knows, the newest first; the newest hundred at most."""
    found = _changes(connection, Filter(use_case=use_case, type=_TYPE))
    for name in sorted({one.fact_id for one in found.values() if one.fact_id != use_case}):
        found |= _changes(connection, Filter(use_case=name, type=_TYPE))  # a fact that is gone is named by its own id
    return compared([found[index] for index in sorted(found)])[::-1]


def compared(changes: Sequence[Change]) -> list[Version]:
    """Each change with the one before it of the same use case, in the order of the entries. Pure."""
    versions: list[Version] = []
    before: Mapping[str, Any] | None = None
    for change in changes:
        versions.append(
            Version(change, None if before is None or change.fact is None else _differing(before, change.fact))
        )
        before = change.fact or before
    return versions


def _changes(connection: Connection, wanted: Filter) -> dict[int, Change]:
    indexes = find(connection, wanted, limit=_MOST, newest_first=True).indexes
    told = ((index, read_told(body)) for index, body in bodies_of(connection, indexes).items())
    return {index: _change(index, found) for index, found in told if found}


def _change(index: int, told: Told) -> Change:
    data = told.event["data"]
    return Change(index, told.ingest_time, data["fact_id"], data["fact"])


def _differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> Sequence[str]:
    """Members that differ; one that is left out is null or its default, which tells nothing new."""
    empty: tuple[object, ...] = (None, [], {}, False)
    return sorted(
        name
        for name in before.keys() | after.keys()
        if before.get(name) != after.get(name) and not (before.get(name) in empty and after.get(name) in empty)
    )
