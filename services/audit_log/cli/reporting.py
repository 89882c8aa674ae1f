"""`valvomo audit report`: the quarter for the auditor, as JSON or as a page to print."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from services.audit_log.adapters.reads import Reads
from services.audit_log.adapters.reviews.quarter import read_quarter
from services.audit_log.api.governance import last_quarter, quarter_of, report_html
from services.audit_log.cli.opening import READER, opened, progress
from services.audit_log.domain.reviews.quarter import QuarterReport
from services.audit_log.web.report import as_document
from services.shared.clock import SystemClock
from services.shared.errors import ConfigurationError
from services.shared.settings import Settings, load_settings
from services.shared.web.words import DEFAULT, LANGUAGES, Words


def report(
    *,
    quarter: Annotated[str | None, typer.Option(help="2026-Q4; otherwise the newest that is over")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the whole report as JSON")] = False,
    html: Annotated[Path | None, typer.Option(help="write the report to this file as a page to print")] = None,
    language: Annotated[str, typer.Option(help=f"of the page: {', '.join(LANGUAGES)}")] = DEFAULT,
) -> None:
    """What an auditor asks of a quarter: all outputs, samples, deviations, shares, and what could not be tested.

    Every figure is read from the log's database; the evidence behind it is the log (valvomo audit export). Without
    --json and --html a summary is printed.

    Exit codes: 0 done, 2 the quarter, the language or the log cannot be read, or the file cannot be written.

    Example: valvomo audit report --quarter 2026-Q4 --html report.html --language sv
    """
    spoken = next((one for one in LANGUAGES if one == language), None)
    if spoken is None:
        raise ConfigurationError(f"found the language {language[:20]!r}; expected one of: {', '.join(LANGUAGES)}")
    made = _made(load_settings(), quarter)
    if html is not None:
        _write(html, report_html(made, Words(spoken)))
    if as_json:
        typer.echo(json.dumps(as_document(made), indent=2, ensure_ascii=False))
    elif html is None:
        _print(made)


def _made(settings: Settings, quarter: str | None) -> QuarterReport:
    clock = SystemClock()
    try:
        period = quarter_of(quarter) if quarter else last_quarter(clock)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    with opened(settings) as store:
        with store.reading() as connection, progress("outputs") as bar:
            made = read_quarter(connection, period, clock.now(), bar)
        reads = Reads(store, clock, told=settings.log_reads)
        reads.note(READER, "page", {"since": str(period.first_day), "until": str(period.last_day)}, made.outputs)
        reads.close()
    return made


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be written ({error.strerror}); name another file") from None


def _print(made: QuarterReport) -> None:
    table = Table("what", "number", title=f"{made.quarter}: {made.first_day} to {made.last_day}", title_justify="left")
    rows = {
        "outputs": made.outputs,
        "reviews due": sum(row.due for row in made.shares),
        "reviewed in time": sum(row.in_time for row in made.shares),
        "findings opened": sum(row.opened for row in made.deviations),
        "findings open at the end": sum(row.open_at_end for row in made.deviations),
        "incidents": len(made.incidents),
        "auditor's sample": len(made.sample.outputs),
        **{f"could not be tested: {one.reason}": one.number for one in made.untested},
    }
    for what, number in rows.items():
        table.add_row(what, str(number))
    Console().print(table)
