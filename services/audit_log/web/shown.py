"""What the log's pages show: entries as lines, an event as a list of names and values, a form's question. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, get_args

from services.audit_log.adapters.standing import Standing
from services.audit_log.domain.reviews.folding import State
from services.audit_log.domain.search import Facet, Filter, Told, facets_of, moment_of

STATES: tuple[State, ...] = get_args(State)
FIELDS = ("since", "until", "topic", "type", "system", "unit", "use_case", "state", "person", "output", "id", "source")
"""The parameters of the form, the same as the interface has."""

_SAME = ("topic", "type", "system", "unit", "use_case", "person", "output", "source")
"""Those that a filter takes as they are."""

_SILENT = timedelta(hours=26)
"""The log signs at least every day; after this nobody should call it alive."""
_LONGEST = 192
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PSEUDONYM = re.compile(r"p-[A-Za-z0-9_-]{1,62}")


@dataclass(frozen=True, slots=True)
class Line:
    """An entry in a table."""

    index: int
    ingest_time: datetime
    type: str
    subject: str
    names: tuple[Facet, ...]


def line_of(index: int, told: Told) -> Line:
    """An entry as one line."""
    names = sorted(facet for facet in facets_of(told.event) if facet.kind != "type")
    return Line(index, told.ingest_time, str(told.event.get("type")), str(told.event.get("subject")), tuple(names))


def outputs_of(event: Mapping[str, Any]) -> list[str]:
    """The outputs that an event names."""
    return sorted(facet.value for facet in facets_of(event) if facet.kind == "output")


def flat(value: object, name: str = "") -> Iterator[tuple[str, str]]:
    """An event's members as (dotted name, value), in their order."""
    if isinstance(value, dict) and value:
        for key, one in value.items():
            yield from flat(one, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list) and value:
        for number, one in enumerate(value):
            yield from flat(one, f"{name}.{number}")
    else:
        yield name, "–" if value is None else str(value)


def given_in(parameters: Mapping[str, str]) -> dict[str, str]:
    """What a form asks: its fields that are not empty."""
    return {name: text for name in FIELDS if (text := parameters.get(name, "").strip())}


def question(given: Mapping[str, str]) -> Filter | None:
    """The filter that a form asks for; None: it cannot be understood."""
    state = next((one for one in STATES if one == given.get("state")), None)
    if any(len(text) > _LONGEST or _CONTROL.search(text) for text in given.values()):
        return None
    if ("state" in given and state is None) or not _PSEUDONYM.fullmatch(given.get("person", "p-x")):
        return None
    try:
        since, until = given.get("since"), given.get("until")
        moments = moment_of(since) if since else None, moment_of(until, last=True) if until else None
    except ValueError:
        return None
    same = {
        name: given.get(name) for name in ("topic", "type", "system", "unit", "use_case", "person", "output", "source")
    }
    return Filter(since=moments[0], until=moments[1], state=state, event_id=given.get("id"), **same)


def is_silent(standing: Standing, now: datetime) -> bool:
    """Whether the log has given no sign of life for too long."""
    return standing.signed_at is None or now - standing.signed_at > _SILENT
