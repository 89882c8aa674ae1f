"""`valvomo audit export`: the evidence, as files; everything, a range, or one matter."""

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from sqlalchemy import Connection

from services.audit_log.adapters.export import Progress, Tell, Written, write_export
from services.audit_log.adapters.matters import write_matter, write_range
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
)  # fmt: skip
from services.audit_log.cli.opening import READER, AsJson, opened, progress
from services.audit_log.domain.search import Filter
from services.audit_log.domain.telling import about_log
from services.audit_log.handlers import message_of
from services.shared.clock import SystemClock
from services.shared.errors import ConfigurationError
from services.shared.events.log import Exporting, LogExported
from services.shared.settings import load_settings
from services.shared.store import Store
from services.shared.tlog.checkpoint import parse_checkpoint
from services.shared.tlog.note import NoteError, parse_note


def export(
    folder: Annotated[Path, typer.Argument(help="an empty or new folder")],
    *,
    first: Annotated[int | None, typer.Option(help="a range: its first entry, from 0", min=0)] = None,
    last: Annotated[int | None, typer.Option(help="a range: its last entry", min=0)] = None,
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
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(
            help="a checkpoint that the auditor kept: a range or matter shows that it continues it",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write the log, as far as its newest checkpoint covers it, into a folder that can be verified anywhere.

    Without filters everything is written, in the layout of c2sp.org/tlog-tiles. With --first and --last a range, with
    the other filters a matter: each entry with its proof (entries.jsonl), and as a table (entries.csv). All filters
    that are given must fit. Every export is an entry of the log.

    Exit codes: 0 written, 2 could not be written, or nothing was found.

    Example: valvomo audit export /media/usb/benefits-2026-10 --use-case benefits --since 2026-10-01 --until 2026-10-31
    """
    wanted = filter_of(
        since=since, until=until, topic=topic, type=type_, system=system, unit=unit, use_case=use_case, state=state,
        person=person, output=output, event_id=event_id, source=source,
    )  # fmt: skip
    write = _writer(folder, wanted, first, last, sorted({_size_of(path) for path in checkpoint or []}))
    with opened(load_settings()) as store, store.reading() as connection, progress() as told:
        written = write(connection, told, lambda done: _tell(store, done, SystemClock().now()))
    _print(written, as_json=as_json)


def _writer(
    folder: Path, wanted: Filter, first: int | None, last: int | None, kept: list[int]
) -> Callable[[Connection, Progress, Tell], Written]:
    ranged = first is not None or last is not None
    if ranged and wanted != Filter():
        raise ConfigurationError("found a range and other filters; expected one of them: a range is whole")
    if ranged:
        return lambda log, told, tell: write_range(
            log, folder, first=first or 0, last=last, progress=told, tell=tell, kept=kept
        )
    if wanted != Filter():
        return lambda log, told, tell: write_matter(log, folder, wanted, progress=told, tell=tell, kept=kept)
    return lambda log, told, tell: write_export(log, folder, told, tell)


def _size_of(path: Path) -> int:
    try:
        return parse_checkpoint(parse_note(path.read_bytes()).text).size
    except (OSError, NoteError) as error:
        raise ConfigurationError(f"{path} is no checkpoint that can be read ({error})") from None


def _tell(store: Store, written: Written, now: datetime) -> None:
    """An export is an entry, which the running program appends; what the filters were stands in it."""
    data = Exporting(
        reader=READER,
        scope=written.scope,
        asked=dict(written.asked),
        first=written.first,
        last=written.last,
        entries=written.entries,
        size=written.signed.size,
        root=written.signed.root.hex(),
        exported_at=now,
    )
    with store.transaction() as tx:
        tx.send([message_of(about_log(LogExported, data, now, written.scope, now))])


def _print(written: Written, *, as_json: bool) -> None:
    signed = written.signed
    if as_json:
        document = {"origin": signed.origin, "size": signed.size, "root": signed.root.hex(), "scope": written.scope}
        extent = {"entries": written.entries, "first": written.first, "last": written.last}
        print(json.dumps(document | extent))  # noqa: T201  # the output that was asked for
        return
    what = f"{written.entries} entries written, of {signed.size} under the root {signed.root.hex()}"
    Console().print(what, soft_wrap=True)
