"""`valvomo value`: what uses of AI bring for what they cost, and what paid licences add."""

import json
from contextlib import closing
from typing import Annotated

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from services.cost_alerts.adapters.queries import LedgerQueries
from services.cost_alerts.adapters.tables import METADATA
from services.cost_alerts.adapters.value import Value, value_of
from services.cost_alerts.cli.figures import cents
from services.cost_alerts.cli.months import parse_month
from services.cost_alerts.domain.value import CLASSES, Change, Group, LicenceValue, UseValue, ValueMonth
from services.cost_alerts.web.value import value_document
from services.shared.clock import SystemClock
from services.shared.periods import Month, helsinki_day
from services.shared.settings import load_settings
from services.shared.store.open import open_store

app = typer.Typer()

HIDDEN = "hidden"
"""What stands where a figure would be about fewer than five persons, or give such a one away."""

HIDDEN_ACTIVE = "active persons (how many would give away how few others are)"

_TOLD = {"no_results": "nobody reported a result", "no_target": "no benefit is declared"}
_COUNTS = {"cases": "case", "hours": "hour"}


@app.command()
def value(
    month: Annotated[
        Month | None,
        typer.Option(parser=parse_month, metavar="YYYY-MM", help="the last month; default: the present"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print it as JSON")] = False,
) -> None:
    """What uses of AI bring beside what they cost, and who uses paid licences beside the base ones.

    Results are what the uses' owners report in the register (benefits.yaml); no result is shown as none, never as zero.
    Exit codes: 0 shown, 2 it could not be read.

    Example: valvomo value --month 2026-10
    """
    today = helsinki_day(SystemClock().now())
    with closing(open_store(load_settings(), "ledger", METADATA)) as store:
        found = value_of(store, LedgerQueries(store).view(), month or Month.of(today), today)
    if as_json:
        typer.echo(json.dumps(value_document(found), ensure_ascii=False))
    else:
        _show(Console(), found)


def _show(screen: Console, found: Value) -> None:
    for use in found.uses:
        _show_use(screen, use)
    if not found.uses:
        screen.print("The register has no uses of AI.")
    for licence in found.licences:
        _show_licence(screen, licence, found)


def _show_use(screen: Console, use: UseValue) -> None:
    benefit = use.use_case.benefit
    by = f"project {use.use_case.project}" if use.costed_by == "project" else "what its unit pays for its systems"
    screen.print(f"[bold]{use.use_case.id}[/bold] ({use.use_case.unit}); cost by {by}", highlight=False)
    if benefit is not None:
        screen.print(
            f"  {benefit.measure}: {benefit.baseline} a month before, {benefit.target} wanted; {benefit.owner}",
            highlight=False,
            markup=False,
        )
    if use.told == "results" and benefit is not None:
        screen.print(_months(use, _COUNTS[benefit.counts]))
    else:
        screen.print(f"  {_eur(use.eur_nano)} EUR; {_TOLD.get(use.told, 'results without a declared benefit')}")


def _months(use: UseValue, one: str) -> Table:
    table = Table(box=SIMPLE)
    for name in ("month", "EUR", "result", f"EUR per {one}"):
        table.add_column(name, justify="left" if name == "month" else "right")
    for month in use.months:
        table.add_row(*_cells(month))
    table.add_section()
    table.add_row("with results", "", "", _eur(use.per_result_nano))
    return table


def _cells(month: ValueMonth) -> tuple[str, ...]:
    at_least = f" (+{month.cost.unpriced} unpriced)" if month.cost.unpriced else ""
    result = "not reported" if month.result is None else f"{month.result:f}"
    return str(month.cost.month), f"{_eur(month.cost.eur_nano)}{at_least}", result, _eur(month.per_result_nano)


def _show_licence(screen: Console, licence: LicenceValue, found: Value) -> None:
    screen.print(
        f"[bold]{licence.system}[/bold] beside {licence.base}, {found.first_day} to {found.last_day}: "
        f"{_eur(licence.eur_nano)} EUR, {_eur(licence.per_active_nano)} for each person who used it",
        highlight=False,
    )
    screen.print(_users(licence))
    for name, use in ((licence.system, licence.paid), (licence.base, licence.base_use)):
        if use.quantity is not None:
            said = f"{use.quantity} {licence.meter} per person in 30 days"
            persons = HIDDEN_ACTIVE if use.persons is None else f"{use.persons} active persons"
            screen.print(f"  {name}: {persons}, {said}", highlight=False)
    screen.print(f"  {_said(licence, licence.change)}", highlight=False)


def _said(licence: LicenceValue, change: Change | None) -> str:
    if change is None:
        return "before and after: too few persons got a licence in the days that are known"
    return (
        f"{change.persons} persons got a licence: {licence.base} {change.base_before} before and {change.base_after} "
        f"after, {licence.system} {change.paid_after} after ({licence.meter} per person in 30 days)"
    )


def _users(licence: LicenceValue) -> Table:
    table = Table(box=SIMPLE)
    table.add_column("unit")
    for name in ("persons", "licences", *(one.replace("_", " ") for one in CLASSES)):
        table.add_column(name, justify="right")
    for unit, group in licence.units.items():
        table.add_row(unit or "smaller units", *_numbers(group))
    table.add_section()
    table.add_row("all", *_numbers(licence.city))
    return table


def _numbers(group: Group) -> tuple[str, ...]:
    counts = (group.holders, *(group.users[name] for name in CLASSES))
    return str(group.persons), *(HIDDEN if one is None else str(one) for one in counts)


def _eur(nano: int | None) -> str:
    return "-" if nano is None else cents(nano)
