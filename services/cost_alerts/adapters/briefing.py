"""What somebody who gets a message must know to act, asked of the rollups: two sums, whatever the ledger holds."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Column, Connection, Label, Select, case, func, select

from services.cost_alerts.adapters.tables import ROLLUP, WORD
from services.cost_alerts.domain.alerts.letter import Action, Briefing, Point
from services.cost_alerts.domain.alerts.movers import (
    STRETCH_DAYS,
    Compared,
    movers,
    named_system,
    named_unit,
    within,
)
from services.cost_alerts.domain.view import View
from services.shared.money import from_nano

CHART_DAYS = 60

Counts = Callable[[str, str, str], bool]
"""(unit, system, project) → whether a cost is of what a message is about."""


def briefing_of(
    connection: Connection, view: View, today: date, unit: str | None, system: str | None, *,
    counts: Counts | None = None, actions: Sequence[Action] = (), lasts_until: date | None = None,
    limit: Decimal | None = None, path: str = "", chart: Sequence[Point] | None = None,
) -> Briefing:  # fmt: skip
    """What moved the cost of a unit (with those below it; None: of all) and a system (None: of all), and its last days.

    Args:
        connection: of the ledger; both sums are from its view.
        view: of the newest register.
        today: a Helsinki day; the days before it are complete.
        unit: whom it is about.
        system: what it is about.
        counts: narrows further: to a vendor's systems, a project, a programme.
        actions: as in `Briefing`.
        lasts_until: as in `Briefing`.
        limit: as in `Briefing`.
        path: as in `Briefing`.
        chart: in place of the cost by day, for example what was left of a pool.
    """
    is_within = within(view, unit, [today, today - timedelta(days=STRETCH_DAYS), today - timedelta(days=CHART_DAYS)])

    def fits(one: Any) -> bool:  # noqa: ANN401  # a row of `_grouped`
        if not is_within(one.unit) or system not in (None, one.system):
            return False
        return counts is None or counts(one.unit, one.system, one.project)

    compared = _compared([row for row in connection.execute(_two_stretches(today)) if fits(row)])
    days = [row for row in connection.execute(_by_day(today)) if fits(row)] if chart is None else []
    return Briefing(
        unit=None if unit is None else named_unit(view, unit, today),
        system=None if system is None else named_system(view, system),
        movers=tuple(movers(compared, view, today)),
        lasts_until=lasts_until,
        actions=tuple(actions),
        path=path,
        chart=tuple(_points(days, today) if chart is None else chart),
        limit=limit,
    )


def spent_lately(
    connection: Connection, view: View, today: date, unit: str | None, counts: Counts | None = None
) -> int:
    """10⁻⁹ euro of the last 28 complete days: the rate at which money goes."""
    is_within = within(view, unit, [today, today - timedelta(days=STRETCH_DAYS)])
    rows = connection.execute(_two_stretches(today))
    return sum(
        int(row.after_nano)
        for row in rows
        if is_within(row.unit) and (counts is None or counts(row.unit, row.system, row.project))
    )


def _two_stretches(today: date) -> Select[Any]:
    """Cost of the last 28 complete days and of the 28 before, by who used what."""
    split = today.toordinal() - STRETCH_DAYS
    before = func.sum(case((ROLLUP.c.day < split, ROLLUP.c.eur_nano), else_=0)).label("before_nano")
    after = func.sum(case((ROLLUP.c.day >= split, ROLLUP.c.eur_nano), else_=0)).label("after_nano")
    return _grouped(("unit", "system", "sku", "project"), (), (before, after), split - STRETCH_DAYS, today.toordinal())


def _by_day(today: date) -> Select[Any]:
    spent = func.sum(ROLLUP.c.eur_nano).label("eur_nano")
    first = today.toordinal() - CHART_DAYS
    return _grouped(("unit", "system", "project"), (ROLLUP.c.day,), (spent,), first, today.toordinal())


def _grouped(
    names: Sequence[str], plain: Sequence[Column[Any]], sums: Sequence[Label[Any]], first: int, behind: int
) -> Select[Any]:
    """Sums over the days from `first`, inclusive, to `behind`, exclusive, by `names` spelled out and by `plain`."""
    words = {name: WORD.alias(f"{name}_word") for name in names}
    query = select(*(words[name].c.text.label(name) for name in names), *plain, *sums)
    for name, word in words.items():
        query = query.join(word, word.c.id == ROLLUP.c[name])
    return query.where(ROLLUP.c.day >= first, ROLLUP.c.day < behind).group_by(
        *(word.c.text for word in words.values()), *plain
    )


def _compared(rows: Iterable[Any]) -> Iterable[Compared]:
    """Rows of `_two_stretches` with their projects added up."""
    sums: defaultdict[tuple[str, str, str], tuple[int, int]] = defaultdict(lambda: (0, 0))
    for row in rows:
        before, after = sums[row.unit, row.system, row.sku]
        sums[row.unit, row.system, row.sku] = before + int(row.before_nano), after + int(row.after_nano)
    return [Compared(*key, *both) for key, both in sums.items()]


def _points(rows: Iterable[Any], today: date) -> Iterator[Point]:
    """Cost by day, a point for each day from the first with a cost on."""
    days: defaultdict[int, int] = defaultdict(int)
    for row in rows:
        days[row.day] += int(row.eur_nano)
    for day in range(min(days, default=today.toordinal()), today.toordinal()):
        yield Point(day=date.fromordinal(day), eur=from_nano(days[day]))
