"""What uses of AI cost, in SQL, and which bands the world was told."""

from collections.abc import Mapping, Sequence
from datetime import date

from sqlalchemy import Connection, func, select

from services.cost_alerts.adapters.register import load_book
from services.cost_alerts.adapters.tables import ROLLUP, USE_CASE_COST, WORD
from services.cost_alerts.domain.costing import ProjectSum, UnitSum, bands_of, whole_months
from services.cost_alerts.handlers.outgoing import costed_id
from services.shared.events.outcomes import CostBand, UseCaseCost
from services.shared.events.register import UseCase
from services.shared.store import Transaction, chunks

_AT_ONCE = 500
_COLUMNS = ("id", "use_case", "as_of", "band", "decided_at")
_SUMS = (func.sum(ROLLUP.c.eur_nano), func.sum(ROLLUP.c.unpriced))


class SqlUseCosts:
    """See `UseCosts`."""

    def bands(self, connection: Connection, today: date) -> Mapping[str, CostBand]:
        book = load_book(connection)
        view = book.view(book.newest)
        uses = [one for one in view.use_cases if one.holds_on(today)]
        first, last = whole_months(today)
        by_project = _by_project(connection, first, last, uses)
        return bands_of(uses, view.units, by_project, _by_unit(connection, first, last, uses))

    def told(self, connection: Connection) -> Mapping[str, CostBand]:
        newest = select(USE_CASE_COST).order_by(USE_CASE_COST.c.as_of, USE_CASE_COST.c.decided_at)
        return {row.use_case: row.band for row in connection.execute(newest)}

    def keep(self, tx: Transaction, costs: Sequence[tuple[UseCaseCost, int]]) -> set[str]:
        known = _known(tx.connection, [costed_id(cost) for cost, _ in costs])
        rows = {costed_id(cost): (cost, at) for cost, at in costs if costed_id(cost) not in known}
        values = [(name, cost.use_case, cost.as_of.toordinal(), cost.band, at) for name, (cost, at) in rows.items()]
        tx.bulk_insert(USE_CASE_COST, _COLUMNS, values, ignore_conflicts=True)
        return set(rows)


def _known(connection: Connection, names: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for some in chunks(names, _AT_ONCE):
        query = select(USE_CASE_COST.c.id).where(USE_CASE_COST.c.id.in_(some))
        found |= set(connection.execute(query).scalars())
    return found


def _by_project(connection: Connection, first: date, last: date, uses: Sequence[UseCase]) -> list[ProjectSum]:
    wanted = {one.project for one in uses if one.project}
    query = (
        select(WORD.c.text, *_SUMS)
        .join(WORD, WORD.c.id == ROLLUP.c.project)
        .where(ROLLUP.c.day.between(first.toordinal(), last.toordinal()))
        .group_by(WORD.c.text)
    )
    found = connection.execute(query) if wanted else ()
    return [ProjectSum(row[0], int(row[1]), int(row[2])) for row in found if row[0] in wanted]


def _by_unit(connection: Connection, first: date, last: date, uses: Sequence[UseCase]) -> list[UnitSum]:
    wanted = sorted({system for one in uses if not one.project for system in one.systems})
    words = {row.id: row.text for row in connection.execute(select(WORD.c.id, WORD.c.text))} if wanted else {}
    numbers = [number for number, text in words.items() if text in set(wanted)]
    named = (ROLLUP.c.day, ROLLUP.c.unit, ROLLUP.c.system)
    query = (
        select(*named, *_SUMS)
        .where(ROLLUP.c.day.between(first.toordinal(), last.toordinal()), ROLLUP.c.system.in_(numbers))
        .group_by(*named)
    )
    found = connection.execute(query) if numbers else ()
    return [UnitSum(date.fromordinal(row[0]), words[row[1]], words[row[2]], int(row[3]), int(row[4])) for row in found]
