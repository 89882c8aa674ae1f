"""`valvomo risks`: how predictable the cost is, and what can be done about it."""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from services.cost_alerts.adapters.risks import RiskFigures, read_risks
from services.cost_alerts.api.risks import figure_text, risks_document
from services.cost_alerts.cli.figures import cents
from services.cost_alerts.cli.opening import opened_ledger
from services.cost_alerts.domain.risks.risk import WHAT_TO_DO, Limit, Risk
from services.shared.clock import SystemClock

app = typer.Typer()

_COLOURS = {"over": "red", "near": "yellow", "fine": "green", "unknown": "dim"}
_OVER = 1
"""The exit code of a risk over its limit."""


@app.command()
def risks(
    as_json: Annotated[bool, typer.Option("--json", help="print JSON for programs, with exact money")] = False,
) -> None:
    """Risks to the predictability of cost: each with its figure, its limit, and what can be done.

    The formulas are in the ledger's README, section Risks. Unknown: there is not enough data to say.

    Exit codes: 0 none is over its limit, 1 at least one is, 2 the ledger could not be read.

    Example: valvomo risks
    """
    with opened_ledger() as store:
        found = read_risks(store, SystemClock().now())
    if as_json:
        typer.echo(json.dumps(risks_document(found), ensure_ascii=False))
    else:
        _show(Console(), found)
    if any(one.state == "over" for one in found.risks):
        raise typer.Exit(_OVER)


def _show(screen: Console, found: RiskFigures) -> None:
    table = Table(title="Risks", title_justify="left")
    for column in ("risk", "about"):
        table.add_column(column)
    for column in ("figure", "limit", "EUR"):
        table.add_column(column, justify="right")
    table.add_column("state")
    for one in found.risks:
        colour = _COLOURS[one.state]
        euro = "" if one.eur_nano is None else cents(one.eur_nano)
        state = f"[{colour}]{one.state}[/{colour}]"
        table.add_row(one.name, one.about, _figure(one), _limit(one.limit), euro, state)
    screen.print(table)
    for seats in found.facts.idle:
        amounts = (seats.exposed_nano, seats.reassignable_nano, seats.reducible_nano)
        exposed, reassignable, reducible = ("unknown" if nano is None else f"{cents(nano)} EUR" for nano in amounts)
        line = f"{seats.idle} idle seats of {seats.system}/{seats.sku}: {exposed} until {seats.until},"
        screen.print(f"{line} of that {reassignable} for people who wait; a smaller order saves {reducible} a year.")
    for name in dict.fromkeys(one.name for one in found.risks if one.state == "over"):
        screen.print(f"{name}: {WHAT_TO_DO[name]}", highlight=False, markup=False)


def _figure(one: Risk) -> str:
    if one.figure is None:
        return "unknown"
    return f"{float(one.figure):.1%}" if one.limit.measure == "ratio" else figure_text(one.figure) or ""


def _limit(limit: Limit) -> str:
    edge = f"{float(limit.over):.0%}" if limit.measure == "ratio" else figure_text(limit.over) or ""
    return f"{'<' if limit.falling else '>'} {edge}"
