"""What changed since it was published, in SQL."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ARRAY, BigInteger, ColumnElement, Connection, any_, delete, func, literal, select

from services.cost_alerts.adapters.details import Details
from services.cost_alerts.adapters.tables import CHARGE_SENT, CHARGE_UNSENT, PERIOD_CHARGE, READING
from services.cost_alerts.handlers.publishing import Detail, Standing, Told, Unsent
from services.shared.store import Transaction, chunks

_AT_ONCE = 1_000
_SENT = ("agreement", "cycle", "charge_id", "version", "digest")


class SqlCharges:
    """See `ChargeBook`. One thread only."""

    def __init__(self) -> None:
        self._details: tuple[Connection, Details] | None = None

    def unsent(self, connection: Connection, limit: int) -> Sequence[Unsent]:
        query = select(CHARGE_UNSENT).order_by(CHARGE_UNSENT.c.id).limit(limit)
        return [Unsent(*row) for row in connection.execute(query)]

    def of_readings(self, connection: Connection, numbers: Sequence[int]) -> Iterable[Detail]:
        return self._over(connection).of_numbers(numbers) if numbers else ()

    def standing(self, connection: Connection, numbers: Sequence[int]) -> Mapping[int, Standing]:
        found = {}
        for some in chunks(numbers, _AT_ONCE):
            columns = (READING.c.number, READING.c.revision, READING.c.recorded_at)
            for row in connection.execute(select(*columns).where(READING.c.number.in_(some))):
                found[row.number] = Standing(row.revision, row.recorded_at)
        return found

    def of_cycle(self, connection: Connection, agreement: str, cycle: int) -> Iterable[Detail]:
        return self._over(connection).of_cycle(agreement, cycle)

    def _over(self, connection: Connection) -> Details:
        """One for all questions of a step: it begins by reading every word and tariff."""
        if self._details is None or self._details[0] is not connection:
            self._details = connection, Details(connection)
        return self._details[1]

    def changed_at(self, connection: Connection, agreement: str, cycle: int) -> int:
        table = PERIOD_CHARGE.c
        query = select(func.max(table.recorded_at), func.max(table.superseded_at))
        row = connection.execute(query.where(table.agreement == agreement, table.cycle == cycle)).one()
        return max((int(one) for one in row if one is not None), default=0)

    def told(self, connection: Connection, agreement: str, cycle: int) -> Mapping[str, Told]:
        here = (CHARGE_SENT.c.agreement == agreement, CHARGE_SENT.c.cycle == cycle)
        columns = (CHARGE_SENT.c.charge_id, CHARGE_SENT.c.version, CHARGE_SENT.c.digest)
        return {
            row.charge_id: Told(row.version, row.digest) for row in connection.execute(select(*columns).where(*here))
        }

    def keep_told(self, tx: Transaction, agreement: str, cycle: int, told: Mapping[str, Told]) -> None:
        here = (CHARGE_SENT.c.agreement == agreement, CHARGE_SENT.c.cycle == cycle)
        for some in chunks(list(told), _AT_ONCE):
            tx.connection.execute(delete(CHARGE_SENT).where(*here, CHARGE_SENT.c.charge_id.in_(some)))
        tx.bulk_insert(CHARGE_SENT, _SENT, [(agreement, cycle, name, *one) for name, one in told.items()])

    def forget(self, tx: Transaction, unsent: Sequence[Unsent]) -> None:
        for some in chunks([one.id for one in unsent], _AT_ONCE):
            tx.connection.execute(delete(CHARGE_UNSENT).where(_among(tx, some)))


def _among(tx: Transaction, ids: Sequence[int]) -> ColumnElement[bool]:
    column: Any = CHARGE_UNSENT.c.id
    among: ColumnElement[bool] = (
        column.in_(ids) if tx.dialect == "sqlite" else column == any_(literal(list(ids), ARRAY(BigInteger)))
    )
    return among
