"""`valvomo ledger close`: a month's books are closed; what comes later is booked in an open month."""

import json
import sys
from datetime import datetime
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError

from services.cost_alerts.adapters.tables import METADATA
from services.cost_alerts.cli.months import parse_month
from services.cost_alerts.closing import MonthCloser, State
from services.cost_alerts.main import GROUPS
from services.shared.bus.open import open_bus
from services.shared.clock import Clock, SystemClock
from services.shared.events.envelope import Id
from services.shared.periods import Month, timestamp
from services.shared.settings import load_settings
from services.shared.store.open import open_store


def _id(text: str) -> str:
    try:
        found: str = TypeAdapter(Id).validate_python(text)
    except ValidationError:
        raise typer.BadParameter(
            "expected 1 to 128 characters without control characters, for example finance"
        ) from None
    return found


def close(
    month: Annotated[Month, typer.Argument(parser=parse_month, metavar="YYYY-MM", help="the Helsinki month to close")],
    by: Annotated[
        str | None, typer.Option(parser=_id, metavar="ID", help="who closes it: a role or pseudonym, never a name")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON for programs; does not ask")] = False,
) -> None:
    """Close a month's books: they stay as they are; whatever is recorded later is booked in an open month.

    Refused while the month is not over, earlier months with charges are open, or the ledger is behind.
    Exit codes: 0 closed, 1 left open because you said so, 2 refused, or it could not be read.

    Example: valvomo ledger close 2026-09 --by finance
    """
    run_close(month, by, SystemClock(), ask=not (yes or as_json) and sys.stdin.isatty(), as_json=as_json)


def run_close(month: Month, by: str | None, clock: Clock, *, ask: bool, as_json: bool) -> None:
    """The command, at the time of a clock."""
    settings = load_settings()
    bus = open_bus(settings, clock)
    try:
        store = open_store(settings, "ledger", METADATA)
        try:
            closer = MonthCloser(store, bus, GROUPS, month)
            cut_off, state = closer.prepare(clock.now()), closer.state()
            if ask and not _agreed(month, state):
                raise typer.Exit(1)
            if ask:
                cut_off, state = closer.prepare(clock.now()), closer.state()  # a person takes their time
            closer.close(cut_off, by, clock.now())
        finally:
            store.close()
    finally:
        bus.close()
    _tell(month, by, cut_off, state, as_json=as_json)


def _agreed(month: Month, state: State) -> bool:
    for warning in state.warnings():
        typer.echo(f"{month}: {warning}; mended later, it is booked in an open month")
    return typer.confirm(f"Close {month} with {state.document()['eur']} euro? It cannot be opened again", default=False)


def _tell(month: Month, by: str | None, cut_off: datetime, state: State, *, as_json: bool) -> None:
    if as_json:
        found = {"month": str(month), "cut_off": timestamp(cut_off), "closed_by": by, **state.document()}
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    for warning in state.warnings():
        typer.echo(f"note: {warning}", err=True)
    typer.echo(f"{month} is closed with {state.document()['eur']} euro; later changes are booked in an open month")
