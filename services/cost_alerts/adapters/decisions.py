"""Budgets in SQL: what counts towards each, and what was decided about them and told."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date

from sqlalchemy import ColumnElement, Connection, delete, func, select

from services.cost_alerts.adapters.foresight.kept import SqlForecasts, version_of
from services.cost_alerts.adapters.restatements import SqlRestatements
from services.cost_alerts.adapters.tables import BUDGET_USE, CROSSING, FORECAST, RECEDING, REGISTER_STATE, ROLLUP, WORD
from services.cost_alerts.domain.budgets.crossing import Known, Receded, crossing_id, threshold_text
from services.cost_alerts.domain.budgets.look import Facts
from services.cost_alerts.domain.budgets.scope import Counting, Where
from services.cost_alerts.domain.foresight.forecast import Forecast
from services.cost_alerts.domain.view import Book
from services.shared.events.outcomes import Crossing, Receding
from services.shared.store import Transaction

_CROSSING = ("id", "budget", "period", "threshold", "epoch", "measure", "body", "decided_at")
_RECEDING = ("budget", "period", "epoch", "body", "decided_at")
_DECEMBER = 12


class SqlBudgets:
    """See `Crossings` and `BudgetUse`."""

    def state(self, connection: Connection) -> object:
        forecasts = select(FORECAST.c.made_on, FORECAST.c.name, FORECAST.c.body).where(*_newest_of_budgets())
        return (
            connection.execute(select(REGISTER_STATE.c.version)).scalar_one(),
            sorted(used(connection).items()),
            sorted(map(tuple, connection.execute(forecasts))),
            connection.execute(select(func.count()).select_from(RECEDING)).scalar_one(),
            _settled(connection),
            _foreseen(connection),
        )

    def facts(self, connection: Connection) -> Facts:
        return facts(connection)

    def keep(self, tx: Transaction, crossings: Sequence[tuple[Crossing, int]]) -> None:
        rows = [
            (
                crossing_id(one),
                one.budget,
                one.period,
                threshold_text(one.threshold),
                one.epoch,
                one.measure,
                one.model_dump_json(),
                at,
            )
            for one, at in crossings
        ]
        tx.bulk_insert(CROSSING, _CROSSING, rows, ignore_conflicts=True)

    def recede(self, tx: Transaction, recedings: Sequence[tuple[Receding, int]]) -> None:
        rows = [(one.budget, one.period, one.epoch, one.model_dump_json(), at) for one, at in recedings]
        tx.bulk_insert(RECEDING, _RECEDING, rows, ignore_conflicts=True)

    def recount(self, tx: Transaction, book: Book) -> None:
        tx.connection.execute(delete(BUDGET_USE))
        rows = [(budget, 0, nano) for budget, nano in budget_use(tx.connection, book).items()]
        tx.bulk_insert(BUDGET_USE, ("budget", "shard", "eur_nano"), rows)


def facts(connection: Connection) -> Facts:
    """What the ledger has about budgets, at one moment of a connection's view."""
    return Facts(
        used=used(connection),
        known=_known(connection),
        receded=_receded(connection),
        forecasts=_forecasts(connection),
        settled=_settled(connection),
        foreseen=_foreseen(connection),
    )


def used(connection: Connection) -> Mapping[str, int]:
    """Budget id → 10⁻⁹ euro that count towards it."""
    query = select(BUDGET_USE.c.budget, func.sum(BUDGET_USE.c.eur_nano)).group_by(BUDGET_USE.c.budget)
    return {budget: int(nano) for budget, nano in connection.execute(query)}


_LOST = ""
"""A word that the database has lost counts nowhere; `ledger check` tells of it."""


def budget_use(connection: Connection, book: Book) -> Mapping[str, int]:
    """Budget id → 10⁻⁹ euro, added up from the rollups as the newest register has units and budgets."""
    view = book.view(book.newest)
    counting = Counting(view.budgets, view)
    places = (ROLLUP.c.unit, ROLLUP.c.system, ROLLUP.c.project, ROLLUP.c.day)
    words = {row.id: row.text for row in connection.execute(select(WORD.c.id, WORD.c.text))} if view.budgets else {}
    found: dict[str, int] = defaultdict(int)
    query = select(*places, func.sum(ROLLUP.c.eur_nano)).group_by(*places)
    for *where, day, nano in connection.execute(query) if words else ():
        for budget in counting.counted(Where(*(words.get(one, _LOST) for one in where)), date.fromordinal(day)):
            found[budget] += int(nano)
    return found


def _known(connection: Connection) -> Sequence[Known]:
    told = (Crossing.model_validate_json(body) for body in connection.execute(select(CROSSING.c.body)).scalars())
    return [Known(one.budget, one.period, one.threshold, one.epoch, one.measure, one.amount_eur) for one in told]


def _receded(connection: Connection) -> Sequence[Receded]:
    query = select(RECEDING.c.budget, RECEDING.c.period, RECEDING.c.epoch)
    return [Receded(*row) for row in connection.execute(query)]


def _forecasts(connection: Connection) -> Mapping[str, Forecast]:
    """Budget id → the newest forecast of a whole year that was made for it."""
    bodies = connection.execute(select(FORECAST.c.body).where(*_newest_of_budgets())).scalars()
    found = (Forecast.model_validate_json(body) for body in bodies)
    return {
        one.name: one for one in found if (one.first.month, one.first.day) == (1, 1) and one.last.month == _DECEMBER
    }


def _foreseen(connection: Connection) -> bool:
    """Whether the newest forecasts were made from the newest register."""
    last = SqlForecasts().last(connection)
    return last is None or version_of(last.state) == connection.execute(select(REGISTER_STATE.c.version)).scalar_one()


def _newest_of_budgets() -> Sequence[ColumnElement[bool]]:
    of_budgets = FORECAST.c.level == "budget"
    newest = select(func.max(FORECAST.c.made_on)).where(of_budgets).scalar_subquery()
    return (of_budgets, FORECAST.c.made_on == newest)


def _settled(connection: Connection) -> bool:
    """Whether all charges follow the newest register."""
    restatements = SqlRestatements()
    version = connection.execute(select(REGISTER_STATE.c.version)).scalar_one()
    return not restatements.has_work(connection) and restatements.is_settled(connection, version)
