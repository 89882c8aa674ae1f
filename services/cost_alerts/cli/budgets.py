"""`valvomo budgets`: what every budget allows, what is used, owed and expected of it."""

import json
from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from services.cost_alerts.adapters.queries import LedgerQueries
from services.cost_alerts.api.budgets import budgets_document
from services.cost_alerts.cli.opening import opened_ledger
from services.cost_alerts.domain.budgets.amount import in_force
from services.cost_alerts.domain.budgets.scope import narrowed_to
from services.cost_alerts.domain.budgets.state import BudgetState
from services.cost_alerts.domain.foresight.forecast import Range
from services.shared.clock import SystemClock
from services.shared.events.plans import Budget
from services.shared.money import EXACT, from_nano
from services.shared.periods import helsinki_day

app = typer.Typer()

_EURO = Decimal(1)
_MONEY = ("amount", "plan to date", "used", "committed", "forecast low", "mid", "high")


@app.command()
def budgets(
    year: Annotated[
        int | None, typer.Option(metavar="YYYY", min=2000, max=2100, help="a calendar year; default: this one")
    ] = None,
    as_json: Annotated[  # an option of a command line is a flag
        bool, typer.Option("--json", help="print JSON for programs, with exact figures")
    ] = False,
) -> None:
    """Budgets of a year: amount with amendments, plan to date, used, committed by contracts, forecast; whole euro.

    Committed is what contracts in force still demand until they or the year end. The forecast is of the whole year,
    with limits between which four of five such years end. A count of crossings begins anew with each amendment and
    each correction: its number is the epoch.

    Exit codes: 0 shown, 2 it could not be read.

    Example: valvomo budgets --year 2026
    """
    today = helsinki_day(SystemClock().now())
    wanted = today.year if year is None else year
    with opened_ledger() as store:
        found = [one for one in LedgerQueries(store).budgets(today) if one.budget.period == wanted]
    if as_json:
        typer.echo(json.dumps(budgets_document(found, wanted), ensure_ascii=False))
    elif not found:
        typer.echo(f"the register has no budget for {wanted}; write one into budgets.yaml and publish it")
    else:
        _print(Console(), found, wanted)


def _print(console: Console, found: Sequence[BudgetState], year: int) -> None:
    table = Table(title=f"Budgets of {year}, EUR", title_justify="left")
    table.add_column("budget")
    table.add_column("for")
    for column in _MONEY:
        table.add_column(column, justify="right")
    table.add_column("state")
    table.add_column("epoch", justify="right")
    for one in found:
        table.add_row(one.budget.id, _scope(one.budget), *_figures(one), _state(one), str(one.epoch))
    console.print(table)
    for one in found:
        for sentence in _remarks(one):
            console.print(f"  {sentence}", markup=False, highlight=False)


def _scope(budget: Budget) -> str:
    return ", ".join([budget.unit, *narrowed_to(budget)])


def _figures(state: BudgetState) -> Sequence[str]:
    known = (state.amount_nano, state.planned_to_date_nano, state.used_nano, state.committed_nano)
    expected: Range | tuple[None, None, None] = state.forecast or (None, None, None)
    return [_euro(nano) for nano in (*known, *expected)]


def _state(state: BudgetState) -> str:
    match state.condition:
        case "over":
            return "over"
        case "passed":
            return f"{_per_cent(state.passed())} passed"
        case "at_risk":
            return "forecast over" if state.passed() is None else f"{_per_cent(state.passed())} passed, forecast over"
        case "within":
            return "within"


def _remarks(state: BudgetState) -> list[str]:
    """Where the amount comes from, when it is not what was decided first."""
    budget = state.budget
    remarks = [
        f"{budget.id}: {one.amount:+f} EUR from {one.valid_from} on, {one.decision}"
        for one in in_force(budget, state.day)
    ]
    carry = budget.carry_over
    if carry is not None:
        remarks.append(f"{budget.id}: {from_nano(state.carried_nano):f} EUR left of {carry.budget}, {carry.decision}")
    return remarks


def _euro(nano: int | None) -> str:
    return "–" if nano is None else f"{from_nano(nano).quantize(_EURO, rounding=ROUND_HALF_EVEN):,f}"


def _per_cent(share: Decimal | None) -> str:
    return "" if share is None else f"{EXACT.multiply(share, Decimal(100)).normalize():f} %"
