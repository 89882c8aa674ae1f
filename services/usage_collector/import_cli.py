"""`valvomo import`: files that a person hands over."""

import json
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from services.shared.bus import EventBus
from services.shared.bus.open import open_bus
from services.shared.clock import SystemClock
from services.shared.events import TOPICS
from services.shared.keys import key_bytes
from services.shared.logs import configure_logs
from services.shared.settings import Settings, load_settings
from services.shared.store import Store
from services.shared.store.open import open_store
from services.usage_collector.adapters.people import CONTENT_KEY, check_key, key_file, open_people
from services.usage_collector.adapters.tables import METADATA
from services.usage_collector.importing import Taken, Tell, document, import_events, import_invoices
from services.usage_collector.intake import Intake, keyed_hash
from services.usage_collector.invoices import News
from services.usage_collector.tables_in_text import Fault, FileRefusedError

app = typer.Typer()

REFUSED = 1


class Kind(StrEnum):
    """What a file holds."""

    INVOICE = "invoice"
    EVENTS = "events"


@app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="the file")],
    kind: Annotated[
        Kind, typer.Option("--as", help="invoice: a CSV, one row per line; events: CloudEvents, an array or one a line")
    ],
    revise: Annotated[  # an option of a command line is a flag
        bool, typer.Option("--revise", help="an invoice that came before with other content is replaced by this one")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="say what would be imported; keep and publish nothing (invoices only)")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print what was done as JSON")] = False,
) -> None:
    """Take in a file. The same file twice has no effect.

    An invoice file with one bad row imports nothing; of a file of events the good ones are taken.

    Exit codes: 0 taken, 1 the file, or a part of it, was refused (each problem with file and line), 2 not done.

    Example: valvomo import invoice.csv --as invoice
    """
    settings = load_settings()
    configure_logs(settings.log_format, settings.log_level)
    if kind is Kind.EVENTS and dry_run:
        raise typer.BadParameter("--dry-run goes with --as invoice")
    try:
        with _opened(settings) as (store, bus):
            if kind is Kind.INVOICE:
                told = import_invoices(
                    str(file), file.read_bytes(), store, bus, SystemClock(), revise=revise, dry_run=dry_run
                )
                _print_invoices(told, as_json=as_json, dry_run=dry_run)
            else:
                _import_events(file, settings, store, bus, as_json=as_json)
    except FileRefusedError as error:
        _refuse(error, as_json=as_json)
        raise typer.Exit(REFUSED) from None


@contextmanager
def _opened(settings: Settings) -> Iterator[tuple[Store, EventBus]]:
    with (
        closing(open_store(settings, "collector", METADATA)) as store,
        closing(open_bus(settings, SystemClock())) as bus,
    ):
        bus.ensure_topics(TOPICS)
        yield store, bus


def _print_invoices(told: News, *, as_json: bool, dry_run: bool) -> None:
    if as_json:
        typer.echo(json.dumps(document(told), ensure_ascii=False))
        return
    done = "would be imported" if dry_run else "imported"
    typer.echo(f"{len(told.new)} new and {len(told.revised)} revised {done}, {len(told.same)} known already")


def _import_events(file: Path, settings: Settings, store: Store, bus: EventBus, *, as_json: bool) -> None:
    key = key_bytes(key_file(settings.data_dir, CONTENT_KEY), make=True)
    check_key(store, CONTENT_KEY, key)
    intake = Intake(bus, keyed_hash(key), open_people(settings.data_dir, store).pseudonym, SystemClock())
    with _progress() as tell:
        taken = import_events(str(file), file.read_bytes(), intake, tell)
    _print_events(taken, as_json=as_json)
    if taken.refused:
        raise typer.Exit(REFUSED)


def _print_events(taken: Taken, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"accepted": taken.accepted, "refused": _rows(taken.refused)}, ensure_ascii=False))
        return
    for fault in taken.refused:
        _complain(str(fault))
    typer.echo(f"{taken.accepted} events taken, {len(taken.refused)} refused")


def _refuse(error: FileRefusedError, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"problems": _rows(error.faults)}, ensure_ascii=False))
    else:
        _complain(str(error))


def _rows(faults: Sequence[Fault]) -> list[dict[str, str | int]]:
    return [
        {"file": one.file, "line": one.line, "where": one.where, "found": one.found, "expected": one.expected}
        for one in faults
    ]


def _complain(text: str) -> None:
    Console(stderr=True, soft_wrap=True, highlight=False, markup=False).print(text)


@contextmanager
def _progress() -> Iterator[Tell]:
    screen = Console(stderr=True)
    columns = (TextColumn("importing"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=screen, disable=not screen.is_terminal, transient=True) as bar:
        task = bar.add_task("import")
        yield lambda done, total: bar.update(task, completed=done, total=total)
