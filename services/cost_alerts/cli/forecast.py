"""`valvomo forecast`: what the month and the year will cost, and how good such forecasts were."""

import json
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from services.cost_alerts.adapters.foresight.book import SqlForesight
from services.cost_alerts.api.forecasts import forecast_document, forecasts_document, tests_document
from services.cost_alerts.cli.figures import cents
from services.cost_alerts.cli.opening import opened_ledger, progress
from services.cost_alerts.domain.foresight.backtest import ORIGINS, attempts, summarised, whole_months
from services.cost_alerts.domain.foresight.effect import PlannedEffect
from services.cost_alerts.domain.foresight.forecast import Forecast, Level
from services.cost_alerts.domain.foresight.issued import ForecastTest, TestedDay
from services.cost_alerts.domain.foresight.judging import MONTHS, judged, tested_day
from services.cost_alerts.domain.foresight.model import MINIMUM_DAYS, History
from services.cost_alerts.domain.foresight.pools import PoolOutlook
from services.cost_alerts.domain.foresight.series import read_series
from services.cost_alerts.handlers.forecasting import Forecaster
from services.shared.clock import SystemClock
from services.shared.errors import ConfigurationError
from services.shared.periods import Month, helsinki_day
from services.shared.store import Store

app = typer.Typer()

JsonOption = Annotated[bool, typer.Option("--json", help="print JSON for programs, with exact figures")]

_LONGEST_MONTH = 31
_LEARNING_DAYS = 400
"""Read before the first month that is tested, so that it can be forecast from a year."""

TOO_FEW = f"not enough data: it takes {MINIMUM_DAYS} days since the first use"


@app.callback(invoke_without_command=True)
def forecast(
    context: typer.Context,
    year: Annotated[bool, typer.Option("--year/--month", help="the calendar year, or the month")] = False,
    by: Annotated[Level, typer.Option(help="what a row stands for")] = "unit",
    as_json: JsonOption = False,
) -> None:
    """What the present month or year will have cost: what is paid, owed by contracts, planned, and the use to come.

    Low and high are limits that four of five such totals should fall between. The figures are those that the ledger
    made last, at least once a day; where it has made none, they are made now.

    Exit codes: 0 shown, 2 it could not be read.

    Example: valvomo forecast --year --by system
    """
    if context.invoked_subcommand is not None:
        return
    with opened_ledger() as store:
        shown = _shown(store, by, year=year)
    if as_json:
        typer.echo(json.dumps(shown.document, ensure_ascii=False))
    else:
        _print(Console(), shown, by, year=year)


class _Shown(NamedTuple):
    document: dict[str, object]
    made_on: date
    forecasts: Sequence[Forecast]
    pools: Sequence[PoolOutlook]
    planned: Sequence[PlannedEffect]


def _shown(store: Store, by: Level, *, year: bool) -> _Shown:
    """What is kept; made now, where nothing is."""
    kept = SqlForesight()
    with store.reading() as connection:
        made_on = kept.made_on(connection)
    if made_on is None:
        made_on = _make(store, kept)
    with store.reading() as connection:
        found = [one for one in kept.newest(connection) if one.level == by and _is_year(one) == year]
        document = forecasts_document(connection, by)
        document["forecasts"] = [forecast_document(one) for one in found]
        return _Shown(document, made_on, found, kept.pools(connection), kept.planned(connection))


def _make(store: Store, kept: SqlForesight) -> date:
    clock = SystemClock()
    forecaster = Forecaster(store, kept, clock, lambda _: True, interval_seconds=0.0)
    return forecaster.make(helsinki_day(clock.now())).made_on


def _is_year(one: Forecast) -> bool:
    return (one.last - one.first).days >= _LONGEST_MONTH


def _print(console: Console, shown: _Shown, by: Level, *, year: bool) -> None:
    if not shown.forecasts:
        console.print(f"nothing is known of any {by} yet: no cost, no contract, no plan", highlight=False)
        return
    first = shown.forecasts[0].first
    what = str(first.year) if year else str(Month.of(first))
    table = _table(f"Forecast of {what} by {by}, made on {shown.made_on}, EUR", by, _COLUMNS)
    for one in shown.forecasts:
        total = one.total
        limits = ("", "not known", "") if total is None else tuple(cents(nano) for nano in total)
        parts = (one.actual_nano, one.fixed_nano, one.renewed_nano, one.planned_nano)
        table.add_row(one.name or "the city", *limits, *(cents(nano) for nano in parts))
    console.print(table)
    for sentence in _remarks(shown, year=year):
        console.print(f"  {sentence}", markup=False, highlight=False)


_COLUMNS = ("low", "mid", "high", "paid", "fixed", "if renewed", "planned")


def _remarks(shown: _Shown, *, year: bool) -> Iterator[str]:
    unknown = [one.name or "the city" for one in shown.forecasts if one.total is None]
    if unknown:
        yield f"{', '.join(unknown)}: {TOO_FEW}"
    for plan in shown.planned:
        nano = plan.year_nano if year else plan.month_nano
        without = "" if plan.is_priced else "; part of it has no price"
        yield f"planned: {plan.change} from {plan.valid_from}: {cents(nano)} EUR{without}"
    for pool in shown.pools:
        yield _about_pool(pool)


def _about_pool(pool: PoolOutlook) -> str:
    start = f"pool {pool.key.removeprefix('pool:')}: {pool.left:f} of {pool.size:f} {pool.meter} left"
    if pool.reason is not None:
        return f"{start}; {TOO_FEW}"
    if pool.dry_low is None:
        return f"{start}; lasts to {pool.last_day}"
    cost = "no price" if pool.overage_mid_nano is None else f"{cents(pool.overage_mid_nano)} EUR"
    return f"{start}; dry {_dry(pool, pool.dry_low)}; use beyond it: {cost}"


def _dry(pool: PoolOutlook, earliest: date) -> str:
    """When a pool is dry: a day, or the days between which it lies."""
    if pool.dry_mid is None:
        return f"on {earliest} at the earliest, or not at all until {pool.last_day}"
    if pool.dry_high == earliest:
        return f"on {earliest}"
    latest = f"after {pool.last_day}" if pool.dry_high is None else str(pool.dry_high)
    return f"on {pool.dry_mid}, at the earliest {earliest}, at the latest {latest}"


@app.command()
def backtest(
    months: Annotated[int, typer.Option(min=1, max=240, help="so many whole months, up to the last")] = MONTHS,
    series: Annotated[
        Path | None, typer.Option(help="a CSV file of days and numbers (header, then 2026-11-20,123.45 a line)")
    ] = None,
    logarithmic: Annotated[bool, typer.Option("--logarithmic", help="the file holds natural logarithms")] = False,
    as_json: JsonOption = False,
) -> None:
    """How good forecasts of past months would have been, made after days 5, 10, 15 and 20, beside the run rate.

    Of the ledger's consumption by city, unit and system at today's prices, or of one series in a file. Error: mean
    absolute error of the month's total ÷ mean total; covered: the share of months between the 80 % limits. Tests of
    the ledger show forecasts as they were issued last month too, where there are any.

    Exit codes: 0 shown, 1 there is not enough data, 2 it could not be read.

    Example: valvomo forecast backtest --months 24
    """
    found = _of_ledger(months) if series is None else [_of_file(series, months, logarithmic=logarithmic)]
    if as_json:
        typer.echo(json.dumps(tests_document(found), ensure_ascii=False))
    else:
        _print_tests(Console(), found)
    if not any(day.months for one in found for day in one.tested):
        typer.echo(f"{TOO_FEW}, and a whole month after them", err=True)
        raise typer.Exit(1)


def _of_ledger(months: int) -> Sequence[ForecastTest]:
    today = helsinki_day(SystemClock().now())
    last = Month.of(today).previous
    book = SqlForesight(history_days=months * _LONGEST_MONTH + _LEARNING_DAYS)
    with opened_ledger() as store, store.reading() as connection:
        inputs, kept = book.inputs(connection, today), book.of_month(connection, last)
    with progress("months tested") as tell:
        return judged(inputs, last, kept, months=months, progress=tell)


def _of_file(path: Path, months: int, *, logarithmic: bool) -> ForecastTest:
    history = _read(path, logarithmic=logarithmic)
    wanted = whole_months(history)[-months:]
    with progress("months tested") as tell:
        tried = attempts(history, np.ones((1, 1), dtype=bool), wanted, ORIGINS, progress=tell)
    tested = tuple(tested_day(one) for one in summarised(tried, 1, ORIGINS))
    last = history.first_day + timedelta(days=history.days - 1)
    return ForecastTest(month=last.replace(day=1), level="city", name=path.name, tested=tested, issued=None)


def _read(path: Path, *, logarithmic: bool) -> History:
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            return read_series(lines, logarithmic=logarithmic)
    except (ValueError, OverflowError) as error:
        raise ConfigurationError(f"{path}: {error}") from None


def _print_tests(console: Console, found: Sequence[ForecastTest]) -> None:
    table = _table("Forecasts of a month's total, in per cent", "of", ("after day", *_FIGURES), second="")
    for one in found:
        name = one.name or "the city"
        for day in (day for day in one.tested if day.months):
            table.add_row(one.level, name, *_tested(day))
        if one.issued is not None:
            figures = (one.issued.error, None, one.issued.bias, one.issued.coverage)
            row = ("as issued", str(one.issued.forecasts), *map(_percent, figures))
            table.add_row(one.level, name, *row)
    console.print(table)


_FIGURES = ("forecasts", "error", "run rate", "bias", "covered")


def _tested(day: TestedDay) -> Sequence[str]:
    figures = (day.error, day.run_rate_error, day.bias, day.coverage)
    return ("all" if day.day_of_month is None else str(day.day_of_month), str(day.months), *map(_percent, figures))


def _percent(share: float | None) -> str:
    return "unknown" if share is None else f"{100 * share:.1f}"


def _table(title: str, first: str, right: Sequence[str], second: str | None = None) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE, padding=(0, 1, 0, 0))
    for column in (first,) if second is None else (first, second):
        table.add_column(column, overflow="fold")
    for column in right:
        table.add_column(column, justify="right")
    return table
