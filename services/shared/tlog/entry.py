"""An entry of the log: a header line (where the event stood on the bus), LF, and the event's bytes unchanged."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from services.shared.tlog.tiles import MAX_ENTRY_BYTES

VERSION = 1
_OFFSET = b',"offset":'
_PLACE_IN_PARTITION = re.compile(
    rb'(0|[1-9][0-9]{0,18}),"ingest_time":"'
    rb'([0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?!\.0{6})(?:\.[0-9]{6})?Z)"\}\n'
)
"""What follows the part that all headers of a partition share. A day that does not exist still fits."""
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
    cluster, topic, partition, offset, ingest_time = position  # unpacked: this is asked for every entry
    return f'{_header_start(cluster, topic, partition)}{offset},"ingest_time":"{_time_text(ingest_time)}"}}'.encode()


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
        written = _header(position)
    except (ValueError, RecursionError, OverflowError):  # a time beyond the calendar, once it is in UTC
        raise EntryError("the header line is not the JSON that version 1 of an entry begins with") from None
    if not newline or written != header:
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


Place = tuple[str, str, int]
"""A partition of a bus: cluster, topic, partition."""


class HeaderReader:
    """Reads the headers of very many entries; what `parse_entry` takes and refuses, it takes and refuses alike.

    The start of a header is the same for all entries of a partition: it is parsed once, and recognised by its bytes.
    """

    def __init__(self) -> None:
        self._places: dict[bytes, Place] = {}

    def __call__(self, entry: bytes) -> tuple[Place, int, datetime, int]:
        """(partition, offset, ingest time, where the event's bytes begin).

        Raises:
            EntryError: the header line is not the one way this version writes it.
        """
        shared = entry.find(_OFFSET) + len(_OFFSET)
        place = self._places.get(entry[:shared])
        found = _PLACE_IN_PARTITION.match(entry, shared) if place else None
        if place is None or found is None:
            return self._slowly(entry)
        try:
            return place, int(found[1]), datetime.fromisoformat(found[2].decode()), found.end()
        except ValueError:
            return self._slowly(entry)

    def _slowly(self, entry: bytes) -> tuple[Place, int, datetime, int]:
        parsed = parse_entry(entry)
        position = parsed.position
        start = _header_start(position.cluster, position.topic, position.partition).encode()
        place = self._places[start] = (position.cluster, position.topic, position.partition)
        return place, position.offset, position.ingest_time, len(entry) - len(parsed.value)
