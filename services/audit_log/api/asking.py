"""What several routes ask alike."""

from inspect import signature
from typing import Annotated, Any

from fastapi import Header, HTTPException, Path, Query, Request
from fastapi.responses import HTMLResponse
from pydantic import BeforeValidator, StringConstraints
from sqlalchemy import Connection

from services.audit_log.adapters.checkpoints import newest_checkpoint
from services.audit_log.domain.reviews.folding import State
from services.audit_log.domain.search import Filter, moment_of
from services.shared.access import NotAllowedError
from services.shared.http import holder_of
from services.shared.tlog.checkpoint import Checkpoint, parse_checkpoint
from services.shared.tlog.note import parse_note
from services.shared.web.rendering import render
from services.shared.web.words import LANGUAGES, Language, Words

LARGEST = 2**62
"""An index that a database can compare; a log never has so many entries."""
Limit = Annotated[int, Query(ge=1, le=1000)]
Index = Annotated[int, Path(ge=0, le=LARGEST)]


def _empty_is_none(given: object) -> object:
    return given or None


EmptyIsNone = BeforeValidator(_empty_is_none)
"""A form sends its empty fields, too."""
Plain = Annotated[str, StringConstraints(max_length=192, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""What a database can compare: PostgreSQL refuses NUL in a text."""
_BUS = "when the bus took the event: a day in Helsinki, or RFC 3339"
Since = Annotated[Plain | None, EmptyIsNone, Query(description=f"from then on; {_BUS}")]
Until = Annotated[Plain | None, EmptyIsNone, Query(description=f"to the end of that day, before that moment; {_BUS}")]
Text = Annotated[Plain | None, EmptyIsNone, Query()]
Person = Annotated[
    Annotated[str, StringConstraints(max_length=64, pattern=r"^p-[A-Za-z0-9_-]+$")] | None,
    EmptyIsNone,
    Query(description="a pseudonym (p-…), in whatever role"),
]
StateText = Annotated[State | None, EmptyIsNone, Query(description="of the output, as it is now")]
After = Annotated[int, Query(ge=-1, le=LARGEST)]
Before = Annotated[int | None, Query(ge=0, le=LARGEST)]
AcceptLanguage = Annotated[str | None, Header(alias="accept-language")]
LanguageText = Annotated[Language | None, Query(description="fi, sv or en; otherwise what the browser asks for")]


def filter_of(  # noqa: PLR0917  # FastAPI asks by name
    since: Since = None,
    until: Until = None,
    topic: Text = None,
    type: Text = None,  # noqa: A002  # the name that it has in an event
    system: Text = None,
    unit: Annotated[Plain | None, EmptyIsNone, Query(description="finds what names it")] = None,
    use_case: Text = None,
    state: StateText = None,
    person: Person = None,
    output: Text = None,
    event_id: Annotated[Plain | None, EmptyIsNone, Query(alias="id", description="of the event")] = None,
    source: Text = None,
) -> Filter:
    """What a request looks for; all of it must hold."""
    try:
        return Filter(
            since=None if since is None else moment_of(since),
            until=None if until is None else moment_of(until, last=True),
            topic=topic, type=type, system=system, unit=unit, use_case=use_case, state=state, person=person,
            output=output, event_id=event_id, source=source,
        )  # fmt: skip
    except ValueError:
        raise HTTPException(
            422, "found a time that cannot be read; write a day as 2026-11-16 or a moment as 2026-11-16T08:00:00Z"
        ) from None


_PAGING = frozenset({"after", "before", "limit", "newest_first"})
_FILTERS = frozenset({*signature(filter_of).parameters, "id"} - {"event_id"})


def refuse_unknown(request: Request) -> None:
    """Whether every parameter is one that a search knows: a misspelt filter must not find everything."""
    known = _FILTERS | _PAGING
    if strange := sorted(set(request.query_params) - known):
        raise HTTPException(422, f"found the parameter {strange[0][:40]!r}; expected of {', '.join(sorted(known))}")


def newest(connection: Connection) -> tuple[bytes, Checkpoint]:
    """The newest note, and what it says."""
    found = newest_checkpoint(connection)
    if found is None:
        raise HTTPException(
            404, "nothing was signed yet; the first checkpoint comes within a minute of the first entry"
        )
    return found[0], parse_checkpoint(parse_note(found[0]).text)


def reader_of(request: Request) -> str:
    """The id of the token that a request came with; `open` where everything is open, or nobody asked for one."""
    try:
        return holder_of(request).token_id
    except NotAllowedError:
        return "open"


def html(template: str, words: Words, status: int = 200, **shown: Any) -> HTMLResponse:  # noqa: ANN401  # what it asks for
    """A page in a language."""
    return in_language(render(template, words=words, languages=LANGUAGES, **shown), words, status)


def in_language(text: str, words: Words, status: int = 200) -> HTMLResponse:
    """A page that is written already, with what says its language."""
    return HTMLResponse(text, status, headers={"content-language": words.language, "vary": "accept-language"})
