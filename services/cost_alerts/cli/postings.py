"""`valvomo postings`: a closed month for the city's bookkeeping, never booked twice."""

import io
import json
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from services.cost_alerts.adapters.postings import SqlPostings
from services.cost_alerts.adapters.queries import LedgerQueries
from services.cost_alerts.cli.months import parse_month
from services.cost_alerts.cli.opening import opened_ledger
from services.cost_alerts.exports.delimited import write_csv
from services.cost_alerts.exports.files import whole_file
from services.cost_alerts.exports.postings import (
    batch_of,
    differences,
    due,
    posted,
    posting_document,
    posting_table,
)
from services.cost_alerts.exports.tables import Locale
from services.cost_alerts.handlers.outgoing import postings_made
from services.shared.clock import Clock, SystemClock
from services.shared.errors import ConfigurationError
from services.shared.events.outcomes import PostedLine, PostingBatch
from services.shared.periods import Month
from services.shared.store import Store
from services.shared.store.tables import micros

app = typer.Typer()


class PostingFormat(StrEnum):
    """How lines are written."""

    CSV = "csv"
    JSON = "json"


class Found(NamedTuple):
    """Lines to write; `batch` None: a preview."""

    batch: str | None
    month: str
    lines: Sequence[PostedLine]


@app.command()
def postings(
    *,
    month: Annotated[
        Month | None, typer.Option(parser=parse_month, metavar="YYYY-MM", help="the closed month to book")
    ] = None,
    batch: Annotated[str | None, typer.Option(metavar="ID", help="write an earlier batch again, byte for byte")] = None,
    provisional: Annotated[
        bool, typer.Option("--provisional", help="show what would be booked now; nothing is, and it has no batch id")
    ] = False,
    form: Annotated[PostingFormat, typer.Option("--format", help="csv, or json for programs")] = PostingFormat.CSV,
    locale: Annotated[Locale, typer.Option(help="how csv writes numbers: fi and sv with semicolons and commas")] = "fi",
    output: Annotated[
        Path | None, typer.Option(help="the file to write, whole or not at all; the terminal when left out")
    ] = None,
) -> None:
    """A closed month for bookkeeping: cost centre, project, account, unit, VAT; in cents that add up.

    What was booked is kept under a batch id and told on the bus; the next batch of the month has only differences.
    Exit codes: 0 written, or nothing new to book, 2 refused, or it could not be read or written.

    Example: valvomo postings --month 2026-09 --output postings-2026-09.csv
    """
    if (month is None) == (batch is None):
        raise typer.BadParameter("give --month to book a closed month, or --batch to write an earlier batch again")
    with opened_ledger() as store:
        if batch is not None:
            found: Found | None = find_batch(store, batch)
        else:
            assert month is not None
            found = preview(store, month) if provisional else make_batch(store, month, SystemClock())
    if found is None:
        typer.echo(f"nothing new to book for {month}: all batches together hold what the books do", err=True)
        return
    _write(found, form, locale, output)


def find_batch(store: Store, batch: str) -> Found:
    """An earlier batch, as it was.

    Raises:
        ConfigurationError: there is none of that id, or not all its parts are known yet.
    """
    with store.reading() as connection:
        parts = SqlPostings().batch(connection, batch)
    if not parts:
        raise ConfigurationError(f"found no batch {batch!r}; expected one that was made, for example 2026-09-01")
    if len(parts) != parts[0].parts:
        raise ConfigurationError(
            f"found {len(parts)} of {parts[0].parts} parts of batch {batch}; the rest is on its way over the bus: "
            "start the program and try again when it has caught up"
        )
    return Found(batch, parts[0].month, tuple(line for part in parts for line in part.lines))


def preview(store: Store, month: Month) -> Found:
    """What would be booked of a month now, whether it is closed or not."""
    _, lines = _to_book(store, month)
    return Found(None, str(month), lines)


def make_batch(store: Store, month: Month, clock: Clock) -> Found | None:
    """Book what is new of a closed month; None when nothing is.

    Raises:
        ConfigurationError: the month is open, the ledger has work left, or somebody else made this batch just now.
    """
    with store.reading() as connection:
        is_closed = SqlPostings().is_closed(connection, month)
    if not is_closed:
        raise ConfigurationError(
            f"{month} is not closed: run valvomo ledger close {month} first, or look with --provisional"
        )
    pending = LedgerQueries(store).work_pending()
    if pending:
        raise ConfigurationError(
            f"the ledger has still {pending} things to price again; run the program until it has caught up, then book"
        )
    earlier, lines = _to_book(store, month)
    if not lines:
        return None
    parts = batch_of(month, earlier, lines)
    _book(store, parts, clock)
    return Found(parts[0].batch, str(month), lines)


def _to_book(store: Store, month: Month) -> tuple[Sequence[PostingBatch], tuple[PostedLine, ...]]:
    books, queries = SqlPostings(), LedgerQueries(store)
    accounts = {system: known.account for system, known in queries.view().systems.items() if known.account}
    with store.reading() as connection:
        earlier = books.of_month(connection, month)
        wanted = due(books.booked(connection, month), accounts)
    return earlier, differences(wanted, posted(earlier))


def _book(store: Store, parts: Sequence[PostingBatch], clock: Clock) -> None:
    """Keep a batch and tell of it, at once or not at all: of two who book at the same time one wins."""
    now = clock.now()
    with store.transaction() as tx:
        if SqlPostings().keep(tx, [(part, micros(now)) for part in parts]) != len(parts):
            raise ConfigurationError(
                f"somebody else made batch {parts[0].batch} at the same time; "
                f"write it with valvomo postings --batch {parts[0].batch}"
            )
        tx.send([postings_made(part, now) for part in parts])


def _write(found: Found, form: PostingFormat, locale: Locale, output: Path | None) -> None:
    text = _text(found, form, locale)
    if output is None:
        typer.echo(text, nl=False)
    else:
        try:
            with whole_file(output) as file:
                file.write(text)
        except OSError as error:
            again = f"; the batch is booked: write it again with --batch {found.batch}" if found.batch else ""
            raise ConfigurationError(f"cannot write {output}: {error.strerror or error}{again}") from None
    if any(line.account is None for line in found.lines):
        typer.echo("some lines have no account: add `account` to their systems in the register", err=True)
    if any(line.vat_eur is None for line in found.lines):
        typer.echo("some lines have no VAT rate: add `vat_rate` to their contracts in the register", err=True)


def _text(found: Found, form: PostingFormat, locale: Locale) -> str:
    if form is PostingFormat.JSON:
        return json.dumps(posting_document(*found), ensure_ascii=False) + "\n"
    text = io.StringIO()
    write_csv(text, posting_table(*found), locale)
    return text.getvalue()
