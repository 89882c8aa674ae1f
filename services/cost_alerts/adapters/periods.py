"""Charges by the period in SQL: what waits to be made again, what it is made from, and the charges themselves."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Connection,
    Select,
    bindparam,
    delete,
    func,
    not_,
    or_,
    select,
    union,
    union_all,
    update,
)

from services.cost_alerts.adapters import seats
from services.cost_alerts.adapters.invoices import invoices_about
from services.cost_alerts.adapters.ledger import bases
from services.cost_alerts.adapters.tables import (
    BASIS,
    CHARGE,
    DAY,
    INVOICE,
    PERIOD_CHARGE,
    PERIOD_DIRTY,
    PROFILE,
    READING,
    READING_HISTORY,
    SEAT_COUNT,
    SEAT_HOLDING,
    WORD,
)
from services.cost_alerts.domain.agreements.agreement import Spent
from services.cost_alerts.domain.allocation import Owner
from services.cost_alerts.domain.closing import month_of
from services.cost_alerts.domain.view import Book
from services.cost_alerts.ports.ledger import Basis, Mark, Work
from services.cost_alerts.ports.periods import PeriodRow, Reach, Seen, Version
from services.shared.events.usage import Invoice
from services.shared.periods import Month
from services.shared.store import Transaction
from services.shared.store.tables import instant

EVERY = "*"
"""The system of a mark that is about every system."""

FIRST, LAST = date.min.toordinal(), date.max.toordinal()

_ROW = PeriodRow._fields
_ALL_COMPARE = {"minimum": ("minimum:%", "invoice:%"), "invoice": ("invoice:%",)}
"""Kind of agreement that compares → keys whose charges it leaves out."""


class SqlPeriods:
    """See `PeriodBook` and `Days`."""

    def pending(self, connection: Connection) -> int:
        return pending(connection)

    def take(self, work: Work, without: Collection[str] = ()) -> Sequence[Mark]:
        connection = work.tx.connection
        system = _longest_waiting(connection, without)
        if system == EVERY:
            self._spread(work.tx, work.book, _taken(connection, EVERY))
            system = _longest_waiting(connection, without)
        return [] if system is None else _taken(connection, system)

    def _spread(self, tx: Transaction, book: Book, marks: Iterable[Mark]) -> None:
        """Write marks about every system as marks about each that they may concern."""
        observed = select(SEAT_COUNT.c.system).distinct()
        systems = sorted(book.systems().union(tx.connection.execute(observed).scalars()))
        rows: set[Mark] = set()
        for mark in marks:
            if mark.about == "closing":
                rows.update(_closing(tx.connection, mark.recorded_from, systems))
            else:
                rows.update(mark._replace(system=system) for system in systems)
        tx.bulk_insert(PERIOD_DIRTY, Mark._fields, sorted(rows))

    def days(self, tx: Transaction) -> Sequence[tuple[date, datetime]]:
        query = select(DAY).where(DAY.c.recorded_at > _TOLD).order_by(DAY.c.recorded_at)
        return [(date.fromordinal(row.day), instant(row.recorded_at)) for row in tx.connection.execute(query)]

    def reach(self, tx: Transaction) -> Reach:
        connection = tx.connection
        used = [_ends(connection, table.c.day) for table in (READING, READING_HISTORY)]
        months = _ends(connection, INVOICE.c.month)
        if months is not None:
            first, last = (month_of(number) for number in months)
            used.append((first.first_day.toordinal(), last.next.first_day.toordinal() - 1))
        known = [one for one in used if one is not None]
        begun = connection.execute(select(func.max(DAY.c.day)).where(DAY.c.recorded_at > _TOLD)).scalar()
        first_day, last_day = (
            min((one[0] for one in known), default=LAST),
            max((one[1] for one in known), default=FIRST),
        )
        return Reach(
            date.fromordinal(first_day),
            date.fromordinal(last_day),
            date.fromordinal(begun or FIRST),
            months is not None,
        )

    def seats(self, tx: Transaction, system: str) -> Mapping[str, Seen]:
        return seats.seen(tx.connection, system)

    def versions(self, work: Work, system: str, days: tuple[date, date], since: int = 0) -> Sequence[Version]:
        numbers = _numbers(work, system, days)
        found: list[Version] = []
        for query, table in ((_present(), READING), (_past(), READING_HISTORY)):
            wanted = query.where(table.c.number.in_(numbers), table.c.recorded_at >= since)
            found += [Version(*row) for row in work.tx.connection.execute(wanted)]
        return found

    def count(self, work: Work, system: str, days: tuple[date, date]) -> int:
        numbers = _numbers(work, system, days)
        counts = [
            select(func.count()).select_from(table).where(table.c.number.in_(numbers))
            for table in (READING, READING_HISTORY)
        ]
        return sum(int(work.tx.connection.execute(query).scalar_one()) for query in counts)

    def invoices(self, tx: Transaction, vendor: str, month: Month) -> Sequence[tuple[Invoice, datetime]]:
        return invoices_about(tx.connection, vendor, month)

    def spent(self, work: Work, system: str, days: tuple[date, date], at: int, without: str) -> Sequence[Spent]:
        of_readings = select(CHARGE.c.basis, CHARGE.c.eur_nano, CHARGE.c.nano).where(
            CHARGE.c.reading.in_(_numbers(work, system, days)), *_known_at(CHARGE, at)
        )
        counted = [not_(PERIOD_CHARGE.c.agreement.like(one)) for one in _ALL_COMPARE[without]]
        here = (_within(PERIOD_CHARGE.c.day, days), *_known_at(PERIOD_CHARGE, at))
        columns = (PERIOD_CHARGE.c.basis, PERIOD_CHARGE.c.eur_nano, PERIOD_CHARGE.c.nano)
        of_periods = select(*columns).where(*here, *counted)
        charges = union_all(of_readings, of_periods).subquery("charges")
        unit, cost_centre, project = (WORD.alias(name) for name in ("unit", "cost_centre", "project"))
        owner = (unit.c.text, BASIS.c.rule, cost_centre.c.text, project.c.text)
        names = (BASIS.c.day, *owner, BASIS.c.estimated, BASIS.c.currency)
        sums = (func.sum(func.coalesce(amount, 0)) for amount in (charges.c.eur_nano, charges.c.nano))
        query = (
            select(*names, *sums)
            .select_from(charges)
            .join(BASIS, BASIS.c.id == charges.c.basis)
            .join(unit, unit.c.id == BASIS.c.unit)
            .join(cost_centre, cost_centre.c.id == BASIS.c.cost_centre)
            .join(project, project.c.id == BASIS.c.project)
            .where(BASIS.c.system == work.word(system), _within(BASIS.c.day, days))
            .group_by(*names)
        )
        rows = sorted(work.tx.connection.execute(query), key=repr)
        return [
            Spent(date.fromordinal(day), Owner(*owner), system, int(eur), bool(estimated), currency, int(nano))
            for day, *owner, estimated, currency, eur, nano in rows
        ]

    def instants(self, work: Work, system: str, days: tuple[date, date], without: str) -> Sequence[int]:
        found: set[int] = set()
        for column in (PERIOD_CHARGE.c.recorded_at, PERIOD_CHARGE.c.superseded_at):
            query = (
                select(column)
                .distinct()
                .join(BASIS, BASIS.c.id == PERIOD_CHARGE.c.basis)
                .where(
                    column.is_not(None),
                    _within(PERIOD_CHARGE.c.day, days),
                    BASIS.c.system == work.word(system),
                    *(not_(PERIOD_CHARGE.c.agreement.like(one)) for one in _ALL_COMPARE[without]),
                )
            )
            found.update(work.tx.connection.execute(query).scalars())
        return sorted(found)

    def rows(self, work: Work, agreement: str, system: str, cycle: int) -> Sequence[tuple[PeriodRow, Basis]]:
        of_basis = bases().subquery("its_basis")
        query = (
            select(*(PERIOD_CHARGE.c[name] for name in _ROW), *(of_basis.c[name] for name in Basis._fields))
            .join(of_basis, of_basis.c.id == PERIOD_CHARGE.c.basis)
            .where(
                PERIOD_CHARGE.c.agreement == agreement,
                PERIOD_CHARGE.c.cycle == cycle,
                of_basis.c.system == system,
            )
        )
        width = len(_ROW)
        return [(PeriodRow(*row[:width]), Basis(*row[width:])) for row in work.tx.connection.execute(query)]

    def replace(
        self, tx: Transaction, agreement: str, cycle: int, gone: Sequence[PeriodRow], came: Sequence[PeriodRow]
    ) -> None:
        key = ("day", "recorded_at", "basis")
        here = (PERIOD_CHARGE.c.agreement == agreement, PERIOD_CHARGE.c.cycle == cycle)
        if gone:
            which = (PERIOD_CHARGE.c[name] == bindparam(f"its_{name}") for name in key)
            keys = [{f"its_{name}": getattr(row, name) for name in key} for row in gone]
            tx.connection.execute(delete(PERIOD_CHARGE).where(*here, *which), keys)
        tx.bulk_insert(PERIOD_CHARGE, ("agreement", "cycle", *_ROW), [(agreement, cycle, *row) for row in came])

    def last(self, connection: Connection) -> date | None:
        number = connection.execute(select(func.max(DAY.c.day))).scalar()
        return None if number is None else date.fromordinal(number)

    def tell(self, tx: Transaction, day: date) -> None:
        tx.bulk_insert(DAY, ("day", "recorded_at"), [(day.toordinal(), _TOLD)], ignore_conflicts=True)

    def begun(self, tx: Transaction, days: Sequence[tuple[date, int]]) -> None:
        for day, recorded_at in sorted(days):
            number = day.toordinal()
            before = select(func.max(DAY.c.day)).where(DAY.c.day < number, DAY.c.recorded_at > _TOLD)
            first = tx.connection.execute(before).scalar()
            told = update(DAY).where(DAY.c.day == number, DAY.c.recorded_at == _TOLD).values(recorded_at=recorded_at)
            if tx.connection.execute(told).rowcount or tx.bulk_insert(
                DAY, ("day", "recorded_at"), [(number, recorded_at)], ignore_conflicts=True
            ):
                mark = Mark("day", EVERY, first or FIRST, number, recorded_at)
                tx.bulk_insert(PERIOD_DIRTY, Mark._fields, [mark])


_TOLD = 0
"""`recorded_at` of a day that was told and has not come back by the outcomes: it does not count yet."""


def pending(connection: Connection) -> int:
    """How many marks wait for the worker."""
    return int(connection.execute(select(func.count()).select_from(PERIOD_DIRTY)).scalar_one())


def _longest_waiting(connection: Connection, without: Collection[str]) -> str | None:
    query = select(PERIOD_DIRTY.c.system).where(PERIOD_DIRTY.c.system.not_in(without)).order_by(PERIOD_DIRTY.c.id)
    return connection.execute(query.limit(1)).scalar()


def _taken(connection: Connection, system: str) -> list[Mark]:
    """Only what is seen is taken: what is marked meanwhile stays for the next time."""
    columns = (PERIOD_DIRTY.c.id, *(PERIOD_DIRTY.c[name] for name in Mark._fields))
    found = connection.execute(select(*columns).where(PERIOD_DIRTY.c.system == system)).all()
    if found:
        which = delete(PERIOD_DIRTY).where(PERIOD_DIRTY.c.id == bindparam("its_id"))
        connection.execute(which, [{"its_id": row.id} for row in found])
    return [Mark(*row[1:]) for row in found]


def _ends(connection: Connection, column: Any) -> tuple[int, int] | None:  # noqa: ANN401  # a column
    """The least and the greatest value; each is the end of an index."""
    first, last = (connection.execute(select(one(column))).scalar() for one in (func.min, func.max))
    return None if first is None or last is None else (int(first), int(last))


def _numbers(work: Work, system: str, days: tuple[date, date]) -> CompoundSelect[Any]:
    """The readings that are, or were once told to be, of these days of a system."""
    its = select(PROFILE.c.id).where(PROFILE.c.system == work.word(system))
    return union(
        *(
            select(table.c.number).where(_within(table.c.day, days), table.c.profile.in_(its))
            for table in (READING, READING_HISTORY)
        )
    )


_NAMING: Mapping[str, ColumnElement[Any]] = {"source": WORD.c.text.label("source"), "reading_id": READING.c.reading_id}


def _present() -> Select[Any]:
    columns = [_NAMING[name] if name in _NAMING else READING.c[name] for name in Version._fields]
    return select(*columns).join(WORD, WORD.c.id == READING.c.source)


def _past() -> Select[Any]:
    columns = [_NAMING[name] if name in _NAMING else READING_HISTORY.c[name] for name in Version._fields]
    return (
        select(*columns)
        .select_from(READING_HISTORY)
        .join(READING, READING.c.number == READING_HISTORY.c.number)
        .join(WORD, WORD.c.id == READING.c.source)
    )


def _known_at(table: Any, at: int) -> Sequence[Any]:  # noqa: ANN401  # CHARGE or PERIOD_CHARGE, and SQL conditions
    return (table.c.recorded_at <= at, or_(table.c.superseded_at.is_(None), table.c.superseded_at > at))


def _closing(connection: Connection, cut_off: int, systems: Sequence[str]) -> Iterator[Mark]:
    """Marks about what was recorded after a cut-off, which now divides what was known on its day."""
    for system, first, last in connection.execute(_late_use(cut_off)):
        yield Mark("closing", system, first, last, cut_off)
    for system in connection.execute(_late_seats(cut_off)).scalars():
        yield Mark("closing", system, FIRST, LAST, cut_off)
    last = connection.execute(select(func.max(DAY.c.day)).where(DAY.c.recorded_at > cut_off)).scalar()
    if last is not None:  # a day that begins charges itself, and ends the cycles of the day before
        for system in systems:
            yield Mark("closing", system, last - 1, last, cut_off)


def _late_use(cut_off: int) -> Select[Any]:
    """System, first and last day of the readings that were recorded after a cut-off."""
    late = union_all(
        *(select(one.c.profile, one.c.day).where(one.c.recorded_at > cut_off) for one in (READING, READING_HISTORY))
    ).subquery("late")
    return (
        select(WORD.c.text, func.min(late.c.day), func.max(late.c.day))
        .select_from(late)
        .join(PROFILE, PROFILE.c.id == late.c.profile)
        .join(WORD, WORD.c.id == PROFILE.c.system)
        .group_by(WORD.c.text)
    )


def _late_seats(cut_off: int) -> CompoundSelect[Any]:
    return union(*(select(one.c.system).where(one.c.recorded_at > cut_off) for one in (SEAT_COUNT, SEAT_HOLDING)))


def _within(column: Any, days: tuple[date, date]) -> ColumnElement[bool]:  # noqa: ANN401  # a column of days
    between: ColumnElement[bool] = column.between(days[0].toordinal(), days[1].toordinal())
    return between
