"""`valvomo metrics backfill`: the metrics of days past, for a Prometheus that was not there yet."""

import sys
from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from services.cost_alerts.adapters.metrics.openmetrics import TimedMetrics
from services.cost_alerts.adapters.metrics.past import past_metrics
from services.cost_alerts.cli.opening import opened_ledger
from services.shared.clock import SystemClock
from services.shared.periods import helsinki_day
from services.shared.store import Store

app = typer.Typer(help="Metrics for a Prometheus that was not there yet.")

MOST_DAYS = 3660


@app.callback()
def metrics() -> None:
    """Metrics for a Prometheus that was not there yet."""


@app.command()
def backfill(
    output: Annotated[Path, typer.Option(help="the file to write, OpenMetrics text with timestamps")],
    days: Annotated[int, typer.Option(min=1, max=MOST_DAYS, help="how many days before today")] = 365,
) -> None:
    """Write what the metrics of the ledger would have been, one point a day, for Prometheus to take in.

    From what the ledger knows now: a correction that came later is in it. What only a running program knows (sources,
    consumers, outboxes, reviews), and what was announced at the time, cannot be known afterwards and is left out.
    Then: promtool tsdb create-blocks-from openmetrics FILE DATA_FOLDER; Prometheus must keep data for that long
    (--storage.tsdb.retention.time).

    Exit codes: 0 written, 1 the file could not be written, 2 the ledger could not be read.

    Example: valvomo metrics backfill --days 365 --output past.txt
    """
    today = helsinki_day(SystemClock().now())
    with opened_ledger() as store:
        found = collected(store, today, days)
    try:
        with output.open("w", encoding="utf-8") as file:
            file.writelines(found.lines())
    except OSError as error:
        typer.echo(
            f"Cannot write {output}: {error.strerror}; expected a file in a folder that exists: name one with --output",
            err=True,
        )
        raise typer.Exit(1) from None
    typer.echo(f"{found.points} points of {found.series} series over {days} days: {output}")


def collected(store: Store, today: date, days: int) -> TimedMetrics:
    """The metrics of the days before `today`, with a progress bar when a person watches."""
    found = TimedMetrics()
    steps = track(
        past_metrics(store, today, days),
        "Reckoning",
        total=days,
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
        transient=True,
    )
    for moment, families in steps:
        found.add(moment, families)
    return found
