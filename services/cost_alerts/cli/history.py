"""`valvomo pools` and `valvomo ledger history`: where prepaid pools stand, and what changed afterwards."""

import json
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from services.cost_alerts.adapters import history
from services.cost_alerts.adapters.pools import PoolMonth
from services.cost_alerts.adapters.pools import pools as pools_of
from services.cost_alerts.adapters.restatements import restated
from services.cost_alerts.api.history import restatement_document
from services.cost_alerts.api.ledger import adjustment_document, pool_document, revision_document
from services.cost_alerts.cli.figures import cents
from services.cost_alerts.cli.months import parse_month
from services.cost_alerts.cli.opening import opened_ledger
from services.shared.clock import SystemClock
from services.shared.periods import Month, helsinki_day

app = typer.Typer()

JsonOption = Annotated[bool, typer.Option("--json", help="print JSON for programs, with exact figures")]


@app.command()
def pools(
    month: Annotated[
        Month | None, typer.Option(parser=parse_month, metavar="YYYY-MM", help="a Helsinki month; default: this one")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Prepaid pools in a month: used, left, when they ran dry; what each unit's use costs, allocated and marginal.

    Inside a pool the next unit costs nothing, so marginal cost is what use beyond it has added to the bill.

    Exit codes: 0 shown, 2 it could not be read.

    Example: valvomo pools --month 2026-10
    """
    wanted = month or Month.of(helsinki_day(SystemClock().now()))
    with opened_ledger() as store:
        found = pools_of(store, wanted)
    if as_json:
        document = {"month": str(wanted), "pools": [pool_document(one) for one in found]}
        typer.echo(json.dumps(document, ensure_ascii=False))
    elif not found:
        typer.echo(f"no contract has a prepaid pool in {wanted}")
    else:
        _print_pools(Console(), found)


def ledger_history(as_json: JsonOption = False) -> None:
    """What changed afterwards: versions of the register, days told again, changes of closed months; before and after.

    Exit codes: 0 shown, 2 it could not be read.

    Example: valvomo ledger history
    """
    with opened_ledger() as store, store.reading() as connection:
        changed, extents = restated(connection), history.extents(connection)
        revised, moved = history.revised(connection), history.moved(connection)
    documents = {
        "restatements": [restatement_document(one, extents.get(one.version)) for one in changed],
        "revisions": [revision_document(one) for one in revised],
        "adjustments": [adjustment_document(one) for one in moved],
    }
    if as_json:
        typer.echo(json.dumps(documents, ensure_ascii=False))
        return
    console = Console()
    changes = [
        (f"version {one.version}: {one.reason or 'no reason given'}", unit, before, after)
        for one in changed
        for unit, (before, after) in sorted(one.by_unit.items())
    ]
    told = [(f"{one.source} of {one.day}", one.system, one.before_nano, one.after_nano) for one in revised]
    _print_changes(console, "Restated by the register", "unit", changes)
    _print_changes(console, "Told again", "system", told)
    table = _table("Booked late", "booked in", "of", "unit", right=("EUR",))
    for late in moved:
        table.add_row(str(late.booked_in), str(late.month), late.unit, _cents(late.eur_nano))
    console.print(table)


def _print_pools(console: Console, found: Sequence[PoolMonth]) -> None:
    for one in found:
        state = one.state
        table = _table(
            f"{one.system}, {one.key.removeprefix('pool:')}", "unit", right=("used", "allocated EUR", "marginal EUR")
        )
        for unit, use in state.units.items():
            table.add_row(unit, f"{use.quantity:f}", _cents(use.allocated), _cents(use.marginal))
        console.print(table)
        dry = "" if state.exhausted_at is None else f", dry since {helsinki_day(state.exhausted_at)}"
        console.print(
            f"  {state.used:f} of {state.size:f} {one.meter} used, {state.left:f} left{dry}",
            highlight=False,
            markup=False,
        )


def _print_changes(console: Console, title: str, place: str, rows: Sequence[tuple[str, str, int, int]]) -> None:
    table = _table(title, "what", place, right=("before EUR", "after EUR", "difference"))
    for what, where, before, after in rows:
        table.add_row(what, where, _cents(before), _cents(after), _cents(after - before))
    console.print(table)


def _table(title: str, *columns: str, right: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column)
    for column in right:
        table.add_column(column, justify="right")
    return table


def _cents(nano: int | None) -> str:
    return "unknown" if nano is None else cents(nano)
