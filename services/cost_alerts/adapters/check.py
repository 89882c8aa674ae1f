"""What must always hold of a ledger, and whether it does: answers are sentences, none when all is well."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

from sqlalchemy import Connection, Select, Table, and_, func, or_, select, union_all

from services.cost_alerts.adapters.closing import KEY, current, late_sums, load_closings
from services.cost_alerts.adapters.decisions import budget_use
from services.cost_alerts.adapters.ledger import bases, digest_of
from services.cost_alerts.adapters.register import load_book
from services.cost_alerts.adapters.sums import WORDS
from services.cost_alerts.adapters.tables import (
    ADJUSTMENT,
    BASIS,
    BUDGET_USE,
    CHARGE,
    CLOSING,
    METADATA,
    PERIOD_CHARGE,
    READING,
    REGISTER_STATE,
    REGISTER_VERSION,
    ROLLUP,
    SUMS,
    WORD,
)
from services.cost_alerts.domain.closing import month_of
from services.shared.money import as_text, from_nano
from services.shared.store import Store

_SHOWN = 10
_AT_ONCE = 5_000
_NAMES = ("reading_name", "reading_name_recent")
_ANEW = "stop the program, set its database aside and start it again: it folds a new one from the events"
_LOST = "(its name is lost)"
_CHARGES = (CHARGE, PERIOD_CHARGE)
_PAID = and_(READING.c.purpose == 0, READING.c.retracted == 0)


def check_ledger(store: Store) -> Sequence[str]:
    """What does not hold, a sentence each."""
    with store.reading() as connection:
        return [
            *_rollups(connection),
            *_adjustments(connection),
            *_readings(connection),
            *_versions(connection),
            *_strays(connection),
            *_bases(connection),
            *_names(connection),
            *_register(connection),
            *_totals(connection),
            *_budgets(connection),
        ]


def _rollups(connection: Connection) -> Iterator[str]:
    """The sum of each rollup is the sum of its current charges."""
    parts = union_all(_rollup_part(), *(_current_part(table) for table in _CHARGES)).subquery("part")
    sums = [func.sum(parts.c[name]) for name in SUMS]
    differing = (
        select(*(parts.c[name] for name in KEY), *sums)
        .group_by(*(parts.c[name] for name in KEY))
        .having(or_(*(one != 0 for one in sums)))
        .limit(_SHOWN)
    )
    found = connection.execute(differing).all()
    words = {row.id: row.text for row in connection.execute(select(WORD))} if found else {}
    for row in found:
        euro, charges = as_text(from_nano(int(row[len(KEY)]))), int(row[len(KEY) + 2])
        yield (
            f"the rollup of {date.fromordinal(row[0])}, unit {words.get(row[1], _LOST)}, system "
            f"{words.get(row[2], _LOST)} differs from its "
            f"charges by {euro} euro and {charges} charges: run valvomo ledger rebuild"
        )


def _rollup_part() -> Select[Any]:
    return select(*(ROLLUP.c[name] for name in KEY), *(ROLLUP.c[name] for name in SUMS))


def _current_part(table: Table) -> Select[Any]:
    charge = current(table).subquery()
    query = select(*(BASIS.c[name] for name in KEY), *((-charge.c[name]).label(name) for name in SUMS))
    return query.join(charge, charge.c.basis == BASIS.c.id)


def _adjustments(connection: Connection) -> Iterator[str]:
    """What open months' books take of closed ones is what was recorded after their cut-offs."""
    key = [ADJUSTMENT.c[name] for name in ("booked_in", *KEY)]
    sums = [func.sum(ADJUSTMENT.c[name]) for name in SUMS]
    rows = connection.execute(select(*key, *sums).group_by(*key))
    kept = {tuple(row[: len(key)]): [int(value) for value in row[len(key) :]] for row in rows}
    kept = {place: found for place, found in kept.items() if any(found)}
    late = late_sums(connection, load_closings(connection))
    differing = sorted({place[0] for place in {*kept, *late} if kept.get(place) != late.get(place)})
    for month in differing[:_SHOWN]:
        yield (
            f"the books of {month_of(month)} take something else of closed months than was recorded after they were "
            "closed: run valvomo ledger rebuild"
        )


def _readings(connection: Connection) -> Iterator[str]:
    """Every paid reading has charges, or says why it has no price; no other reading has any."""
    charged = (
        select(CHARGE.c.reading).where(CHARGE.c.reading == READING.c.number, CHARGE.c.superseded_at.is_(None)).exists()
    )
    bare = _count(connection, select(func.count()).select_from(READING).where(_PAID, ~charged))
    if bare:
        yield f"{bare} billing readings have neither charges nor a reason: run valvomo ledger rebuild"
    paid_for_nothing = _count(connection, select(func.count()).select_from(READING).where(~_PAID, charged))
    if paid_for_nothing:
        yield f"{paid_for_nothing} readings that cost nothing have charges: run valvomo ledger rebuild"
    silent = (
        select(func.count())
        .select_from(CHARGE)
        .join(BASIS, BASIS.c.id == CHARGE.c.basis)
        .where(CHARGE.c.eur_nano.is_(None), BASIS.c.reason.is_(None))
    )
    if found := _count(connection, silent):
        yield f"{found} charges have no amount and no reason: run valvomo ledger rebuild"


def _versions(connection: Connection) -> Iterator[str]:
    """The current charges of a reading are those of one version, the last."""
    query = (
        select(func.count())
        .select_from(CHARGE)
        .join(READING, READING.c.number == CHARGE.c.reading)
        .where(CHARGE.c.superseded_at.is_(None), CHARGE.c.version != READING.c.pricing)
    )
    if found := _count(connection, query):
        yield f"{found} charges are current besides newer ones of the same reading: run valvomo ledger rebuild"


def _strays(connection: Connection) -> Iterator[str]:
    """Charges belong to readings, and say by whom and by what they are priced."""
    of_nothing = select(func.count()).select_from(CHARGE).outerjoin(READING, READING.c.number == CHARGE.c.reading)
    if found := _count(connection, of_nothing.where(CHARGE.c.superseded_at.is_(None), READING.c.number.is_(None))):
        yield f"{found} charges are of readings that are lost: run valvomo ledger rebuild"
    for table in _CHARGES:
        baseless = select(func.count()).select_from(table).outerjoin(BASIS, BASIS.c.id == table.c.basis)
        if found := _count(connection, baseless.where(BASIS.c.id.is_(None))):
            yield f"{found} charges have lost what they were priced by: {_ANEW}"
    for name in WORDS:
        nameless = select(func.count()).select_from(BASIS).outerjoin(WORD, WORD.c.id == BASIS.c[name])
        if found := _count(connection, nameless.where(WORD.c.id.is_(None))):
            yield f"the {name} of {found} prices is lost: {_ANEW}"


def _bases(connection: Connection) -> Iterator[str]:
    """What charges say they were priced by is what was written with them: unit, rule, tariff, rate, reason and all."""
    rows = connection.execute(bases().add_columns(BASIS.c.digest).execution_options(yield_per=_AT_ONCE))
    if found := sum(bytes(row.digest) != digest_of(repr(tuple(row[1:-1]))) for row in rows):
        yield f"{found} prices say something else than was written: {_ANEW}"


def _names(connection: Connection) -> Iterator[str]:
    """Every reading is known by its name: one that is not would count again when it is delivered again."""
    named = union_all(*(select(METADATA.tables[name].c.number) for name in _NAMES)).subquery("named")
    names = connection.execute(select(func.count(), func.sum(named.c.number))).one()
    readings = connection.execute(select(func.count(), func.sum(READING.c.number))).one()
    if tuple(map(_whole, names)) != tuple(map(_whole, readings)):
        yield f"{names[0]} names are known of {readings[0]} readings, or of others: run valvomo ledger rebuild"


def _register(connection: Connection) -> Iterator[str]:
    """The version in force is the last that was published."""
    in_force = _count(connection, select(REGISTER_STATE.c.version))
    published = _count(connection, select(func.max(REGISTER_VERSION.c.version)))
    if in_force != published:
        yield f"register version {in_force} is in force, the last published is {published}: run valvomo ledger rebuild"


def _totals(connection: Connection) -> Iterator[str]:
    """Units, systems and charges add up to one total."""
    total = _count(connection, select(func.sum(ROLLUP.c.eur_nano)))
    charges = sum(
        _count(connection, select(func.sum(table.c.eur_nano)).where(table.c.superseded_at.is_(None)))
        for table in _CHARGES
    )
    if total != charges:
        yield (
            f"units and vendors add up to {as_text(from_nano(total))} euro, charges to "
            f"{as_text(from_nano(charges))}: run valvomo ledger rebuild"
        )
    closed = _count(connection, select(func.count()).select_from(CLOSING))
    told = _count(connection, select(REGISTER_STATE.c.closings))
    if closed != told:
        yield f"{closed} months are closed and {told} were counted: run valvomo ledger rebuild"


def _budgets(connection: Connection) -> Iterator[str]:
    """What counts towards a budget is what its units cost."""
    query = select(BUDGET_USE.c.budget, func.sum(BUDGET_USE.c.eur_nano)).group_by(BUDGET_USE.c.budget)
    kept = {budget: int(nano) for budget, nano in connection.execute(query)}
    counted = budget_use(connection, load_book(connection))
    for budget in sorted({*kept, *counted}):
        if kept.get(budget, 0) != counted.get(budget, 0):
            yield (
                f"budget {budget} counts {as_text(from_nano(kept.get(budget, 0)))} euro as used, its units cost "
                f"{as_text(from_nano(counted.get(budget, 0)))}: run valvomo ledger rebuild"
            )


def _count(connection: Connection, query: Select[Any]) -> int:
    return _whole(connection.execute(query).scalar())


def _whole(value: Any) -> int:  # noqa: ANN401  # a sum: int, Decimal, or None of no rows
    return int(value or 0)
