"""What entries are found by: the properties of an event, and whether an entry is what was asked for. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Literal, NamedTuple

from services.audit_log.domain.reviews.folding import State
from services.shared.events import GOVERNANCE, types_of
from services.shared.periods import day_period, timestamp, utc

Kind = Literal["type", "system", "unit", "use_case", "person", "output"]

_KIND_OF_MEMBER: Mapping[str, Kind] = {
    "system": "system",
    "systems": "system",
    "unit": "unit",
    "use_case": "use_case",
    "use_cases": "use_case",
    "output_id": "output",
    "output_ids": "output",
    "superseded_by": "output",
    "parent_output_id": "output",
    "person": "person",
    "requester": "person",
    "reviewer": "person",
    "actor": "person",
    "opened_by": "person",
    "told_by": "person",
    "closed_by": "person",
}
_KIND_OF_FACT: Mapping[str, Kind] = {
    "valvomo.unit.defined.v1": "unit",
    "valvomo.system.defined.v1": "system",
    "valvomo.usecase.registered.v1": "use_case",
}
_OTHERS_WORDS = frozenset({"tags", "dimensions", "consumed", "figures", "asked"})
"""Members whose own members are named by somebody else: a tag called `unit` names no unit of ours."""
_PSEUDONYM = "p-"
_KEY_BITS = 63

TYPES_ABOUT_OUTPUTS = (*types_of(GOVERNANCE.name), "valvomo.finding.opened.v1", "valvomo.finding.closed.v1")


class Facet(NamedTuple):
    """One property of an event: `value` as it stands in it."""

    kind: Kind
    value: str


@dataclass(frozen=True, slots=True)
class Filter:
    """What is looked for; what is None does not matter, all else must hold.

    `since` (inclusive) and `until` (exclusive): when the bus took the event. `person`: a pseudonym, in whatever role.
    `state`: of an output that the entry names, as it is now. `unit`: of entries that name it; which unit pays for a
    reading is decided by the ledger and stands in no entry.
    """

    since: datetime | None = None
    until: datetime | None = None
    topic: str | None = None
    type: str | None = None
    system: str | None = None
    unit: str | None = None
    use_case: str | None = None
    state: State | None = None
    person: str | None = None
    output: str | None = None
    event_id: str | None = None
    source: str | None = None

    @property
    def facets(self) -> tuple[Facet, ...]:
        """The properties that an index can find."""
        kinds: tuple[Kind, ...] = ("output", "person", "use_case", "unit", "system", "type")
        return tuple(Facet(kind, value) for kind in kinds if (value := getattr(self, kind)) is not None)

    def asked(self) -> dict[str, str]:
        """What was asked, by name."""
        given = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {
            name: timestamp(value) if isinstance(value, datetime) else value
            for name, value in given
            if value is not None
        }


class Told(NamedTuple):
    """An entry, read: when (UTC) and on which topic its event came, and the event's members."""

    ingest_time: datetime
    topic: str
    event: Mapping[str, Any]


def facets_of(event: Mapping[str, Any]) -> set[Facet]:
    """Every property that the event can be found by."""
    data = event.get("data")
    found = set(_facets_in(data))
    kind = event.get("type")
    if isinstance(kind, str):
        found.add(Facet("type", kind))
        if kind in _KIND_OF_FACT and isinstance(data, dict):
            fact = data.get("fact")
            name = fact.get("id") if isinstance(fact, dict) else data.get("fact_id")
            found.update(_texts(_KIND_OF_FACT[kind], name))
    return found


def fits(wanted: Filter, told: Told, facets: set[Facet]) -> bool:
    """Whether an entry is what was asked for, but for the state of its output, which no entry holds."""
    return (
        (wanted.since is None or told.ingest_time >= wanted.since)
        and (wanted.until is None or told.ingest_time < wanted.until)
        and wanted.topic in (None, told.topic)
        and wanted.event_id in (None, told.event.get("id"))
        and wanted.source in (None, told.event.get("source"))
        and facets.issuperset(wanted.facets)
    )


@lru_cache(maxsize=65_536)
def key_of(facet: Facet) -> int:
    """A number of 63 bits for a property. Two properties may share one: look into the entry before believing it."""
    digest = blake2b(f"{facet.kind}\0{facet.value}".encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest) >> (64 - _KEY_BITS)


def moment_of(text: str, *, last: bool = False) -> datetime:
    """The moment (UTC) that a text names: RFC 3339 with a time zone, or a day in Helsinki (its end, when `last`).

    Raises:
        ValueError: it is neither.
    """
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return utc(datetime.fromisoformat(text))
    try:
        return day_period(day).end if last else day_period(day).start
    except OverflowError:
        raise ValueError(f"found the day {text}, which begins or ends outside the years 1 to 9999") from None


def _facets_in(node: object) -> Iterator[Facet]:
    if isinstance(node, list):
        for one in node:
            yield from _facets_in(one)
    elif isinstance(node, dict):
        for name, value in node.items():
            kind = _KIND_OF_MEMBER.get(name)
            if kind is not None:
                yield from _texts(kind, value)
            elif name not in _OTHERS_WORDS and isinstance(value, dict | list):
                yield from _facets_in(value)


def _texts(kind: Kind, value: object) -> Iterator[Facet]:
    for one in value if isinstance(value, list) else (value,):
        if isinstance(one, str) and (kind != "person" or one.startswith(_PSEUDONYM)):
            yield Facet(kind, one)
