"""`valvomo ledger`: `check` and `rebuild` it; `close` and `history` come from their neighbours."""

import json
import sys
from typing import Annotated

import typer
from prometheus_client import CollectorRegistry
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from services.cost_alerts.adapters.check import check_ledger
from services.cost_alerts.adapters.check_prices import check_prices
from services.cost_alerts.adapters.presence import is_another_at_work
from services.cost_alerts.adapters.queries import LedgerQueries
from services.cost_alerts.adapters.rebuild import forget_ledger
from services.cost_alerts.adapters.tables import METADATA
from services.cost_alerts.cli.closing import close
from services.cost_alerts.cli.history import ledger_history
from services.cost_alerts.main import GROUPS, build
from services.shared.bus.open import open_bus
from services.shared.clock import SystemClock
from services.shared.errors import ConfigurationError
from services.shared.logs import configure_logs
from services.shared.settings import load_settings
from services.shared.store.open import open_store

app = typer.Typer(help="Prove the ledger, close a month, or make it anew from events.", no_args_is_help=True)
app.command()(close)
app.command("history")(ledger_history)


@app.command("check")
def check(as_json: Annotated[bool, typer.Option("--json", help="a list of sentences as JSON")] = False) -> None:
    """Prove that sums are the sums of their charges, that no reading is lost, and that each has its price.

    Exit codes: 0 all holds, 1 something does not, 2 it could not be read.

    Example: valvomo ledger check
    """
    store = open_store(load_settings(), "ledger", METADATA)
    try:
        problems = [*check_ledger(store), *check_prices(store)]
        counts = LedgerQueries(store).counts()
    finally:
        store.close()
    if as_json:
        typer.echo(json.dumps(list(problems), ensure_ascii=False))
    else:
        for problem in problems:
            typer.echo(problem)
        if not problems:
            typer.echo(f"the ledger holds: {counts['readings']} readings, {counts['charges']} charges")
    raise typer.Exit(1 if problems else 0)


@app.command("rebuild")
def rebuild() -> None:
    """Throw the ledger away and fold it from the events again; nothing is told to anybody a second time.

    Refused while the program runs: stop it first. Interrupted, the program goes on when it is started.
    Exit codes: 0 rebuilt and holds, 2 it could not be, or does not hold.

    Example: valvomo ledger rebuild
    """
    settings, clock = load_settings(), SystemClock()
    configure_logs(settings.log_format, settings.log_level)
    bus = open_bus(settings, clock)
    try:
        store = open_store(settings, "ledger", METADATA)
        try:
            if is_another_at_work(store):
                raise ConfigurationError(
                    "another process is at work on this ledger, and a rebuild needs it alone: stop the program first"
                )
            forget_ledger(store, tuple(GROUPS))
        finally:
            store.close()
        service = build(settings, bus, clock, CollectorRegistry())
        try:
            with _progress() as progress:
                service.catch_up(lambda done, total: _show(progress, done, total))
            problems = check_ledger(service.store)
        finally:
            service.stop()
    finally:
        bus.close()
    if problems:
        raise ConfigurationError(f"the rebuilt ledger does not hold: {problems[0]}")
    typer.echo("the ledger is rebuilt and holds")


def _progress() -> Progress:
    console = Console(stderr=True)
    return Progress(
        TextColumn("reading the bus"),
        BarColumn(),
        MofNCompleteColumn(),
        console=console,
        disable=not sys.stderr.isatty(),
    )


def _show(progress: Progress, done: int, total: int) -> None:
    if not progress.task_ids:
        progress.add_task("read", total=total)
    progress.update(progress.task_ids[0], completed=done, total=total)
