"""`valvomo simulate` and `valvomo estimate`: what another price would have cost, and what a plan would."""

import io
import json
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Printed

from services.cost_alerts.adapters.whatif.change_file import read_change
from services.cost_alerts.adapters.whatif.estimate import estimate, read_plan
from services.cost_alerts.adapters.whatif.simulate import last_months, register_now, simulate
from services.cost_alerts.cli.figures import cents
from services.cost_alerts.cli.opening import opened_ledger, progress
from services.cost_alerts.domain.whatif.comparing import Comparison, Row
from services.cost_alerts.domain.whatif.estimate import FEWEST_GROUPS, FEWEST_SINGLE
from services.cost_alerts.domain.whatif.plan import Estimate, Nano, PlanPart
from services.cost_alerts.exports.delimited import write_csv
from services.cost_alerts.exports.tables import Cell, Column, Locale, Table, euro
from services.shared.clock import SystemClock
from services.shared.money import as_text, from_nano
from services.shared.periods import helsinki_day
from services.shared.privacy import FEWEST_PERSONS

app = typer.Typer()

JsonOption = Annotated[bool, typer.Option("--json", help="print JSON for programs, with exact figures")]


class Form(StrEnum):
    """How a simulation is written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


@app.command("simulate")
def simulate_command(
    *,
    change: Annotated[Path, typer.Option(help="the YAML file that says what would be otherwise")],
    months: Annotated[int, typer.Option(min=1, max=36, help="so many full months before this one")] = 3,
    form: Annotated[
        Form, typer.Option("--format", help="table for people, csv for spreadsheets, json for programs")
    ] = Form.TABLE,
    as_json: JsonOption = False,
    locale: Annotated[Locale, typer.Option(help="csv: fi and sv with semicolons and decimal commas")] = "en",
) -> None:
    """Price the last months again under a changed tariff, contract, rule, rate or number of seats.

    The file holds entries as the register would have them; docs/what-if.md shows some. Nothing is written anywhere.

    Exit codes: 0 shown, 2 the file is wrong or the ledger cannot be read.

    Example: valvomo simulate --change price-rise.yaml --months 3
    """
    today = helsinki_day(SystemClock().now())
    asked = last_months(today, months)
    with opened_ledger() as store:
        wanted = read_change(change, register_now(store, today, asked))
        with progress("systems priced again") as tell:
            found = simulate(store, wanted, asked, tell)
    if as_json or form is Form.JSON:
        typer.echo(json.dumps(simulation_document(found), ensure_ascii=False))
    elif form is Form.CSV:
        text = io.StringIO()
        write_csv(text, simulation_table(found), locale)
        typer.echo(text.getvalue(), nl=False)
    else:
        _print_simulation(Console(), found)
    if found.unlike_nano:
        typer.echo(
            f"the ledger's own figures differ from pricing these systems afresh by {cents(found.unlike_nano)} EUR; "
            "it may still be at work; ask again when it has caught up, or run valvomo ledger check",
            err=True,
        )


def simulation_document(found: Comparison) -> dict[str, Any]:
    """A simulation for programs: money as text, exact."""
    return {
        "months": [str(month) for month in found.months],
        "rows": [_row_document(row) for row in found.rows],
        "by_month": [{"month": str(where.month), **_row_document(row)} for where, row in found.by_month.items()],
        "total": _amounts_document(found.total),
        "ledger_differs_eur": as_text(from_nano(found.unlike_nano)),
    }


def _row_document(row: Row) -> dict[str, Any]:
    return {"unit": row.unit, "system": row.system, **_amounts_document(row)}


def _amounts_document(row: Row) -> dict[str, Any]:
    return {
        "before_eur": as_text(euro(row.before_nano)),
        "after_eur": as_text(euro(row.after_nano)) if row.is_known else None,
        "difference_eur": as_text(euro(row.difference_nano)) if row.is_known else None,
        "after_priced_eur": as_text(euro(row.after_nano)),
        "unpriced_before": row.unpriced_before,
        "unpriced_after": row.unpriced_after,
    }


_COLUMNS = (
    Column("unit", "text"),
    Column("system", "text"),
    Column("before_eur", "money"),
    Column("after_eur", "money"),
    Column("difference_eur", "money"),
    Column("after_priced_eur", "money"),
    Column("unpriced_before", "count"),
    Column("unpriced_after", "count"),
)


def simulation_table(found: Comparison) -> Table:
    """A row per unit and system, and the total. Without `after_eur`: not all of it would have a price."""
    total = found.total
    return Table("simulation", _COLUMNS, [_cells(row) for row in found.rows], ["total", "", *_cells(total)[2:]])


def _cells(row: Row) -> list[Cell]:
    after, difference = (euro(row.after_nano), euro(row.difference_nano)) if row.is_known else (None, None)
    money: list[Cell] = [euro(row.before_nano), after, difference, euro(row.after_nano)]
    return [row.unit, row.system, *money, row.unpriced_before, row.unpriced_after]


def _print_simulation(console: Console, found: Comparison) -> None:
    """What differs, and the total; what the change leaves alone is added up in it."""
    differing = [row for row in found.rows if row.difference_nano or row.unpriced_before != row.unpriced_after]
    same = len(found.rows) - len(differing)
    rows = [_texts(row) for row in differing] + ([[f"{same} others", "unchanged"]] if same else [])
    total = ["total", "", *_texts(found.total)[2:]]
    shown = 5 if all(row.is_known for row in found.rows) else 6
    months = f"{found.months[0]} to {found.months[-1]}" if len(found.months) > 1 else str(found.months[0])
    printed = Printed(title=f"If it had been so in {months}, by the day of use", box=SIMPLE, padding=(0, 1, 0, 0))
    for at, name in enumerate(_HEADINGS[:shown]):
        longest = max(len(row[at]) for row in (_HEADINGS, *rows, total) if len(row) > at)
        printed.add_column(name, justify="left" if at < _NAMES else "right", min_width=longest)
    for row in rows:
        printed.add_row(*map(escape, row[:shown]))
    printed.add_section()
    printed.add_row(*total[:shown])
    console.print(printed)
    console.print(
        f"  EUR in whole cents; --format csv or json tells every digit{_unpriced_said(found)}", highlight=False
    )


_NAMES = 2
_HEADINGS = ("unit", "system", "before", "after", "difference", "no price")


def _texts(row: Row) -> list[str]:
    after, difference = (cents(row.after_nano), cents(row.difference_nano)) if row.is_known else ("unknown", "unknown")
    return [
        row.unit,
        row.system,
        cents(row.before_nano),
        after,
        difference,
        str(row.unpriced_after),
    ]


def _unpriced_said(found: Comparison) -> str:
    more = sum(max(0, row.unpriced_after - row.unpriced_before) for row in found.rows)
    return f"; {more} readings or charges would have no price" if more else ""


@app.command("estimate")
def estimate_command(
    *,
    plan: Annotated[Path, typer.Option(help="the YAML file that says what is planned")],
    as_json: JsonOption = False,
) -> None:
    """Say what a planned agent or roll-out would cost a month: low, mid and high, from what comparable use here was.

    It rests on the last three full months and on the prices of today, with what pools have left; docs/what-if.md
    says how. Nothing is written anywhere.

    Exit codes: 0 shown, 1 there is not enough data to say, 2 the file is wrong or the ledger cannot be read.

    Example: valvomo estimate --plan assistant-for-teachers.yaml
    """
    wanted, today = read_plan(plan), helsinki_day(SystemClock().now())
    with opened_ledger() as store:
        found = estimate(store, wanted, last_months(today, _ESTIMATE_MONTHS), today)
    if as_json:
        typer.echo(json.dumps(estimate_document(found), ensure_ascii=False))
    else:
        _print_estimate(Console(), found)
    raise typer.Exit(0 if found.monthly is not None else 1)


_ESTIMATE_MONTHS = 3

REASONS: Mapping[str, str] = {
    "no_history": "nothing like it was used here in these months",
    "no_persons": "nothing tells who used it: write uses_per_user_per_month into the plan",
    "too_few_persons": f"it needs {FEWEST_SINGLE} persons, or {FEWEST_GROUPS} units with {FEWEST_PERSONS} in a month",
    "no_uses_counted": "nothing counts its uses: leave uses_per_user_per_month out of the plan",
    "too_few_weeks": f"it needs {FEWEST_GROUPS} weeks of use",
    "no_price": "it has no price today",
}
"""Why nobody can say what a part of a plan would cost."""


def estimate_document(found: Estimate) -> dict[str, Any]:
    """An estimate for programs: money as text, exact; null where nobody can say."""
    return {
        "name": found.plan.name,
        "unit": found.plan.unit,
        "users": found.plan.users,
        "months": found.plan.months,
        "rests_on": {"first": found.first, "last": found.last},
        "monthly_eur": _limits_document(found.monthly),
        "total_eur": _limits_document(found.total),
        "parts": [_part_document(part) for part in found.parts],
    }


def _part_document(part: PlanPart) -> dict[str, Any]:
    return {
        "system": part.system,
        "kind": part.kind,
        "monthly_eur": _limits_document(part.monthly),
        "by_price_eur": _limits_document(part.by_price),
        "reason": part.reason,
        "limits_of": part.by,
        "persons": part.persons,
        "groups": part.groups,
        "skus": list(part.skus),
        "without_price": list(part.without_price),
        "seats": part.seats,
        "free_seats_taken": part.free,
        "persons_use_share_of_paid": None if part.covered is None else as_text(part.covered),
    }


def _limits_document(limits: Nano | None) -> dict[str, str] | None:
    if limits is None:
        return None
    return {name: as_text(euro(nano)) for name, nano in zip(Nano._fields, limits, strict=True)}


def _print_estimate(console: Console, found: Estimate) -> None:
    title = f"{escape(found.plan.name)}: {found.plan.users} users, EUR a month at today's prices"
    printed = Printed(title=title, box=SIMPLE, padding=(0, 1, 0, 0))
    for name in ("what", "low", "mid", "high"):
        printed.add_column(name, justify="left" if name == "what" else "right")
    for part in found.parts:
        printed.add_row(f"{part.kind} of {escape(part.system)}", *_shown(part.monthly))
    printed.add_section()
    printed.add_row("a month", *_shown(found.monthly))
    printed.add_row(f"{found.plan.months} months", *_shown(found.total))
    console.print(printed)
    for part in found.parts:
        console.print(f"  {part.system}: {_rests_on(part, found)}", highlight=False, markup=False)


def _shown(limits: Nano | None) -> list[str]:
    return ["not known"] * 3 if limits is None else [cents(nano) for nano in limits]


def _rests_on(part: PlanPart, found: Estimate) -> str:
    """What a part rests on, or why there is none, in a sentence."""
    if part.reason is not None:
        return f"not enough data: {REASONS[part.reason]}" if part.reason != "no_price" else REASONS[part.reason]
    if part.kind == "seats":
        return f"{part.seats} seats of {', '.join(part.skus)} to be bought; {part.free} are free already"
    said = f"{part.persons} persons" if part.persons else "uses as they were counted"
    if part.covered is not None:
        said += f", whose use is {part.covered:.2%} of what was paid for"
    limits = f"{part.groups} groups of a unit and a {'month' if part.persons else 'week'}"
    limits = limits if part.by == "groups" else "groups drawn from them"
    listed = "" if part.by_price is None else f"; by unit prices alone {' to '.join(_shown(part.by_price)[::2])}"
    lacking = f"; without {', '.join(part.without_price)}, which has no price" if part.without_price else ""
    return f"{said}, {found.first} to {found.last}; low and high by {limits}{listed}{lacking}"
