"""`valvomo audit sample`: which periods were drawn from, and whether the draws were what was promised."""

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from services.audit_log.adapters.reviews.sample_check import SENTENCES, Checked, check_period, is_late
from services.audit_log.adapters.reviews.sampling import NotedPeriod, noted_draws, noted_periods
from services.audit_log.cli.opening import AsJson, opened, progress
from services.audit_log.domain.reviews.sampling import parse_period
from services.shared.clock import SystemClock
from services.shared.errors import ConfigurationError
from services.shared.periods import timestamp
from services.shared.settings import load_settings

sample = typer.Typer(no_args_is_help=True, help="Samples of outputs: which were drawn, and by what.")

PeriodName = Annotated[str, typer.Argument(metavar="PERIOD", help="2026-11, 2026-Q4 or 2026")]

_SHOWN = 200
"""Differences that are listed; more are counted."""
_DIFFERS = 1


@sample.command("list")
def list_all(as_json: AsJson = False) -> None:
    """List the periods whose draws were fixed: when that was, whether the salt was told since, what was drawn more.

    Exit codes: 0 listed, 2 the log cannot be read.

    Example: valvomo audit sample list --json
    """
    now = SystemClock().now()
    with opened(load_settings()) as store, store.reading() as connection:
        found = [
            {
                **_document(noted),
                "state": "told" if noted.salt else "over" if noted.period.end <= now else "running",
                "topped_up": sum(len(one.draw.output_ids) for one in noted_draws(connection, noted.period.name)),
            }
            for noted in noted_periods(connection)
        ]
    if as_json:
        print(json.dumps(found))  # noqa: T201  # the output that was asked for
        return
    table = Table("period", "days", "fixed at", "salt", "drawn after it")
    for one in found:
        fixed = f"{one['committed_at']}{' (late)' if one['late'] else ''}"
        days = f"{one['first_day']} to {one['last_day']}"
        table.add_row(one["period"], days, fixed, _WORDS[one["state"]], str(one["topped_up"]))
    Console(markup=False).print(table)


_WORDS = {"running": "secret: the period runs", "over": "not told yet", "told": "told"}


@sample.command("verify")
def verify(period: PeriodName, as_json: AsJson = False) -> None:
    """Draw a period's outputs again, by the salt that was told, and compare with the reviews that the log demands.

    Exit codes: 0 the draws are what the salt gives, 1 they are not (the outputs are named), 2 it cannot be said: the
    salt was not told yet, or nothing is known of the period.

    Example: valvomo audit sample verify 2026-Q3
    """
    name = _name(period)
    with opened(load_settings()) as store, progress() as told, store.reading() as connection:
        noted = next((one for one in noted_periods(connection) if one.period.name == name), None)
        if noted is None:
            raise ConfigurationError(
                f"found no draw of {name} in the log; `valvomo audit sample list` names those it has"
            )
        if noted.salt is None:
            raise ConfigurationError(
                f"the salt of {name} is not told yet: it is about a day after {noted.period.last_day}, with the next "
                "checkpoint, while the program runs"
            )
        checked = check_period(connection, noted, noted.salt, told)
    _print(checked, as_json=as_json)
    raise typer.Exit(_DIFFERS if checked.differences else 0)


def _name(period: str) -> str:
    try:
        return parse_period(period).name
    except ValueError as error:
        raise ConfigurationError(str(error)) from None


def _document(noted: NotedPeriod) -> dict[str, Any]:
    return {
        "period": noted.period.name,
        "first_day": noted.period.first_day.isoformat(),
        "last_day": noted.period.last_day.isoformat(),
        "commitment": noted.commitment,
        "committed_at": timestamp(noted.committed_at),
        "late": is_late(noted),
    }


def _print(checked: Checked, *, as_json: bool) -> None:
    counts = {
        "outputs": checked.outputs, "drawn": checked.drawn, "second": checked.second, "topped_up": checked.topped_up,
    }  # fmt: skip
    if as_json:
        differences = [{"what": one.what, "about": one.about} for one in checked.differences]
        print(json.dumps({**_document(checked.noted), **counts, "differences": differences}))  # noqa: T201  # asked for
        return
    screen = Console(markup=False, soft_wrap=True)
    name = checked.noted.period.name
    screen.print(
        f"{name}: of {checked.outputs} outputs {checked.drawn} were drawn for review, {checked.second} for a second "
        f"one, {checked.topped_up} after the period"
    )
    if checked.is_late:
        screen.print(f"the salt was fixed at {timestamp(checked.noted.committed_at)}, after the period had begun")
    for one in checked.differences[:_SHOWN]:
        screen.print(f"{one.about}: {SENTENCES[one.what]}")
    rest = len(checked.differences) - _SHOWN
    if rest > 0:
        screen.print(f"and {rest} more")
    if not checked.differences:
        screen.print("the log demands what the salt draws, nothing more and nothing less")
