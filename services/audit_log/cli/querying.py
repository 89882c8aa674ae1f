"""`valvomo audit query`: the entries that fit, as a table or as JSON."""

import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from sqlalchemy import Connection

from services.audit_log.adapters.indexing import read_told
from services.audit_log.adapters.reads import Reads
from services.audit_log.adapters.search import Page, bodies_of, find
from services.audit_log.cli.filtering import (
    EventId,
    Output,
    Person,
    Since,
    Source,
    StateNow,
    System,
    Topic,
    Type,
    Unit,
    Until,
    UseCase,
    filter_of,
)
from services.audit_log.cli.opening import READER, AsJson, opened
from services.audit_log.domain.search import Filter
from services.shared.clock import SystemClock
from services.shared.periods import timestamp
from services.shared.settings import load_settings


def query(
    *,
    since: Since = None,
    until: Until = None,
    topic: Topic = None,
    type_: Type = None,
    system: System = None,
    unit: Unit = None,
    use_case: UseCase = None,
    state: StateNow = None,
    person: Person = None,
    output: Output = None,
    event_id: EventId = None,
    source: Source = None,
    after: Annotated[int, typer.Option(help="only entries with a larger index", min=-1)] = -1,
    before: Annotated[int | None, typer.Option(help="only entries with a smaller index", min=0)] = None,
    limit: Annotated[int, typer.Option(help="entries at most", min=1, max=1000)] = 50,
    newest_first: Annotated[bool, typer.Option("--newest-first", help="from the end of the log")] = False,
    as_json: AsJson = False,
) -> None:
    """Find entries of the log by what they name; all that is given must fit.

    Entries are found some seconds after they were appended. With --json also `next`: give its members as --after and
    --before for the next page. What was asked is an entry itself, unless VALVOMO_LOG_READS is false.

    Exit codes: 0 found, 1 nothing fits, 2 the log or a filter cannot be read.

    Example: valvomo audit query --use-case benefits --state overdue --since 2026-10-01
    """
    wanted = filter_of(
        since=since, until=until, topic=topic, type=type_, system=system, unit=unit, use_case=use_case, state=state,
        person=person, output=output, event_id=event_id, source=source,
    )  # fmt: skip
    settings = load_settings()
    with opened(settings) as store:
        with store.reading() as connection:
            page = _page(connection, wanted, after, before, limit, newest_first=newest_first)
            rows = [_row(index, body) for index, body in bodies_of(connection, page.indexes).items()]
        reads = Reads(store, SystemClock(), told=settings.log_reads)
        reads.note(READER, "entries", wanted.asked(), len(rows))
        reads.close()
    _print(rows, page, as_json=as_json)
    raise typer.Exit(0 if rows else 1)


def _page(
    connection: Connection, wanted: Filter, after: int, before: int | None, limit: int, *, newest_first: bool
) -> Page:
    """A full page, or all there is: whoever waits at a terminal does not want to ask on for nothing."""
    page = find(connection, wanted, after=after, before=before, limit=limit, newest_first=newest_first)
    found = list(page.indexes)
    while page.next and len(found) < limit:
        after, before = page.next
        page = find(connection, wanted, after=after, before=before, limit=limit - len(found), newest_first=newest_first)
        found += page.indexes
    return page._replace(indexes=found)


def _row(index: int, body: bytes) -> dict[str, Any]:
    told = read_told(body)
    assert told is not None, "what cannot be read is not found"
    return {"index": index, "topic": told.topic, "ingest_time": timestamp(told.ingest_time), "event": told.event}


def _print(rows: Sequence[dict[str, Any]], page: Page, *, as_json: bool) -> None:
    rest = dict(zip(("after", "before"), page.next, strict=True)) if page.next else None
    if as_json:
        print(json.dumps({"entries": rows, "next": rest, "indexed": page.size}, ensure_ascii=False))  # noqa: T201
        return
    table = Table("entry", "taken by the bus", "type", "subject", "id")
    for row in rows:
        event = row["event"]
        told = (str(event[name]) for name in ("type", "subject", "id"))
        table.add_row(str(row["index"]), row["ingest_time"], *map(escape, told))
    Console().print(table if rows else f"Nothing fits among {page.size} entries.")
    if rest:
        Console().print(f"More may follow: --after {rest['after']} --before {rest['before']}")
