"""An entry of the log: a header line (where the event stood on the bus), LF, and the event's bytes unchanged."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from services.shared.tlog.tiles import MAX_ENTRY_BYTES

VERSION = 1
_MEMBERS = {"v": int, "cluster": str, "topic": str, "partition": int, "offset": int, "ingest_time": str}


class EntryError(ValueError):
    """Bytes that are no entry of this log."""


class Position(NamedTuple):
    """Where an event stood on its bus; `ingest_time` (UTC) is the bus's own."""

    cluster: str
    topic: str
    partition: int
    offset: int
    ingest_time: datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """A parsed entry."""

    position: Position
    value: bytes


def make_entry(position: Position, value: bytes) -> bytes:
    """The bytes that are hashed and kept.

    Raises:
        EntryError: they would be more than 65,535.
    """
    entry = _header(position) + b"\n" + value
    if len(entry) > MAX_ENTRY_BYTES:
        raise EntryError(f"found an entry of {len(entry)} bytes, at most {MAX_ENTRY_BYTES} fit into the log")
    return entry


def _header(position: Position) -> bytes:
    start = _header_start(position.cluster, position.topic, position.partition)
    return f'{start}{position.offset},"ingest_time":"{_time_text(position.ingest_time)}"}}'.encode()


@lru_cache(maxsize=4_096)
def _header_start(cluster: str, topic: str, partition: int) -> str:
    """The same for all entries of a partition."""
    members = {"v": VERSION, "cluster": cluster, "topic": topic, "partition": partition}
    return json.dumps(members, separators=(",", ":"), ensure_ascii=False)[:-1] + ',"offset":'


@lru_cache(maxsize=4_096)
def _time_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


"""Records of one moment come together."""


def parse_entry(entry: bytes) -> Entry:
    """What an entry says.

    Raises:
        EntryError: the header line is not the one way this version writes it.
    """
    header, newline, value = entry.partition(b"\n")
    try:
        position = _parse_header(json.loads(header))
    except (ValueError, RecursionError):
        raise EntryError("the header line is not the JSON that version 1 of an entry begins with") from None
    if not newline or _header(position) != header:
        raise EntryError("the header line is not written the way version 1 writes it")
    return Entry(position, value)


def _parse_header(members: Mapping[str, Any]) -> Position:
    if not isinstance(members, dict) or list(members) != list(_MEMBERS) or members["v"] != VERSION:
        raise EntryError("the header line has other members")
    if any(type(members[name]) is not kind for name, kind in _MEMBERS.items()):
        raise EntryError("a member of the header line has another type")
    moment = datetime.fromisoformat(members["ingest_time"])
    if moment.tzinfo is None:
        raise EntryError("the ingest time has no time zone")
    return Position(members["cluster"], members["topic"], members["partition"], members["offset"], moment)
