"""From a figure to its charges, and from the id of a charge, or how it begins, to the charge.

The ledger keeps no ids: they are made of what they name. To find one, all are made again, a few microseconds each.
"""

from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from heapq import nlargest
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, null, select, union_all

from services.cost_alerts.adapters.details import Details, Wanted
from services.cost_alerts.adapters.ledger import bases
from services.cost_alerts.adapters.tables import (
    BASIS,
    CHARGE,
    NAMES,
    PERIOD_CHARGE,
    PROFILE,
    READING,
    READING_HISTORY,
    WORD,
)
from services.cost_alerts.domain.rating import WHOLE_READING
from services.cost_alerts.domain.report import Basis as ReportBasis
from services.cost_alerts.domain.use import Profile
from services.cost_alerts.handlers.publishing import Detail, charge_id, reading_charge_id
from services.cost_alerts.handlers.usage import reading_digest
from services.cost_alerts.ports.ledger import Basis
from services.shared.periods import Month
from services.shared.store import chunks

_AT_ONCE = 400
_STREAMED = {"yield_per": 5_000}


class Place(NamedTuple):
    """Where a charge stands: a meter of a reading, or a cycle of an agreement."""

    charge_id: str
    number: int | None
    agreement: str | None
    cycle: int | None


def named(place: Place, basis: Basis) -> str:
    """The id of a charge by the period with this basis."""
    blank = Detail(*(None,) * len(Detail._fields))  # type: ignore[arg-type]  # only what names a charge is looked at
    return charge_id(blank._replace(agreement=place.agreement, cycle=place.cycle, basis=basis))


def beginning_with(connection: Connection, text: str) -> Sequence[Place]:
    """The charges, current or not, whose ids begin so; two are as many as anybody needs to know of."""
    found: dict[str, Place] = {}
    for places in (_of_periods(connection), _of_readings(connection)):
        with closing(places):  # a cursor of the database is left early
            for place in places:
                if place.charge_id.startswith(text):
                    found[place.charge_id] = place
                    if len(found) > 1 or len(text) == len(place.charge_id):
                        return list(found.values())
    return list(found.values())


def _of_periods(connection: Connection) -> Generator[Place, None, None]:
    of_basis = bases().subquery("its_basis")
    which = select(PERIOD_CHARGE.c.agreement, PERIOD_CHARGE.c.cycle, PERIOD_CHARGE.c.basis).distinct().subquery("which")
    query = select(which.c.agreement, which.c.cycle, *(of_basis.c[name] for name in Basis._fields))
    for row in connection.execute(query.join(of_basis, of_basis.c.id == which.c.basis)):
        place = Place("", None, row[0], row[1])
        yield place._replace(charge_id=named(place, Basis(*row[2:])))


def _of_readings(connection: Connection) -> Generator[Place, None, None]:
    meters: dict[int, Sequence[str]] = {
        row.id: [*Profile.from_text(row.body).meters, WHOLE_READING]
        for row in connection.execute(select(PROFILE.c.id, PROFILE.c.body))
    }
    sources = {row.id: row.text for row in connection.execute(select(WORD.c.id, WORD.c.text))}
    now = select(READING.c.number, READING.c.source, READING.c.reading_id, READING.c.profile)
    before = (
        select(READING.c.number, READING.c.source, READING.c.reading_id, READING_HISTORY.c.profile)
        .select_from(READING_HISTORY)
        .join(READING, READING.c.number == READING_HISTORY.c.number)
        .where(READING_HISTORY.c.profile != READING.c.profile)
    )
    with connection.execute(union_all(now, before), execution_options=_STREAMED) as rows:
        for row in rows:
            for meter in meters[row.profile]:
                yield Place(reading_charge_id(sources[row.source], row.reading_id, meter), row.number, None, None)


def readings_named(connection: Connection, reading_id: str, source: str | None) -> Sequence[int]:
    """The numbers of the readings of this id; of one source, or of any."""
    if source is None:
        used = select(READING.c.source).distinct()
        sources = list(connection.execute(select(WORD.c.text).where(WORD.c.id.in_(used))).scalars())
    else:
        sources = [source]
    digests = [reading_digest(one, reading_id) for one in sources]
    return sorted(number for some in chunks(digests, _AT_ONCE) for number in NAMES.find(connection, some).values())


@dataclass(frozen=True, slots=True)
class Asked:
    """Which charges make up a figure: a month's, as the books of `basis` take them, that fit every member given."""

    month: Month
    basis: ReportBasis = "booked"
    unit: str | None = None
    system: str | None = None
    meter: str | None = None
    day: date | None = None

    def conditions(self) -> Iterator[ColumnElement[bool]]:
        for name in ("unit", "system", "meter"):
            text = getattr(self, name)
            if text is not None:
                yield BASIS.c[name].in_(select(WORD.c.id).where(WORD.c.text == text))
        if self.day is not None:
            yield BASIS.c.day == self.day.toordinal()


class Listed(NamedTuple):
    """What a figure is made of: how many charges, what they add up to (10⁻⁹ euro), and some of them."""

    charges: int
    eur_nano: int
    unpriced: int
    shown: Sequence[Detail]


class _Row(NamedTuple):
    """A charge of a figure, small: `name` is a reading's number, or an agreement with its `cycle`."""

    sign: int
    eur_nano: int | None
    name: int | str
    cycle: int | None
    basis: int
    recorded_at: int

    @property
    def size(self) -> tuple[int, str]:
        return abs(self.eur_nano or 0), repr(self)


def listed(connection: Connection, asked: Asked, skip: int, limit: int) -> Listed:
    """The charges of a figure, those of the most euro first, without the first `skip`."""
    wanted = Wanted.of(connection, asked.month, asked.basis, None)
    totals: Counter[str] = Counter()
    rows = nlargest(skip + limit, _counted(_rows(connection, asked, wanted), totals), key=lambda one: one.size)
    shown = list(_in_full(connection, rows[skip:], wanted))
    return Listed(totals["charges"], totals["eur_nano"], totals["unpriced"], shown)


def _counted(rows: Iterator[_Row], totals: Counter[str]) -> Iterator[_Row]:
    for row in rows:
        totals["charges"] += 1
        totals["eur_nano"] += row.sign * (row.eur_nano or 0)
        totals["unpriced"] += row.eur_nano is None
        yield row


def _rows(connection: Connection, asked: Asked, wanted: Wanted) -> Iterator[_Row]:
    for table in (CHARGE, PERIOD_CHARGE):
        here = wanted.condition(table.c.recorded_at, table.c.superseded_at)
        query = _light(table).where(here, *asked.conditions())
        for *names, eur_nano, superseded_at, day in connection.execute(query, execution_options=_STREAMED):
            row = _Row(0, eur_nano, *names)
            sign = wanted.sign(day, row.recorded_at, superseded_at)
            if sign:
                yield row._replace(sign=sign)


def _light(table: Any) -> Select[Any]:  # noqa: ANN401  # CHARGE or PERIOD_CHARGE
    columns = table.c
    name = (columns.reading, null()) if table is CHARGE else (columns.agreement, columns.cycle)
    kept = (columns.basis, columns.recorded_at, columns.eur_nano, columns.superseded_at)
    return select(*name, *kept, BASIS.c.day).join(BASIS, BASIS.c.id == columns.basis)


def _in_full(connection: Connection, rows: Sequence[_Row], wanted: Wanted) -> Iterator[Detail]:
    """The details of some rows, in their order."""
    details = Details(connection)
    of_basis = bases().where(BASIS.c.id.in_(sorted({row.basis for row in rows})))
    words = {row.id: Basis(*row[1:]) for row in connection.execute(of_basis)}
    numbers = {row.name for row in rows if isinstance(row.name, int)}
    found = [*details.of_numbers(numbers), *(details.of_periods(wanted) if len(numbers) < len(rows) else ())]
    known = {(one.number or one.agreement, one.cycle, one.recorded_at, one.basis): one for one in found}
    for row in rows:
        yield known[row.name, row.cycle, row.recorded_at, words[row.basis]]._replace(sign=row.sign)
