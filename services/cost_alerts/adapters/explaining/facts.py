"""What the ledger remembers of the register and of readings, to be named in an explanation."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Connection, or_, select

from services.cost_alerts.adapters.register import KINDS
from services.cost_alerts.adapters.tables import (
    PROFILE,
    READING,
    READING_HISTORY,
    REGISTER_FACT,
    REGISTER_VERSION,
    WORD,
)
from services.cost_alerts.domain.use import Profile
from services.shared.events.envelope import Fact

F = TypeVar("F", bound=Fact)


class FactName(NamedTuple):
    """A fact of the register as one version brought it; `kind` is its model's name."""

    kind: str
    fact_id: str
    since: int


class Signed(NamedTuple):
    """A register version: when it was published (microseconds), and who stands behind it."""

    version: int
    published_at: int
    author: str | None
    approver: str | None
    reason: str | None


class Told(NamedTuple):
    """A revision of a reading, as it was told; quantities in the order of the profile's meters."""

    revision: int
    recorded_at: int
    starts_at: int
    day: int
    profile: Profile
    quantities: tuple[Decimal, ...]
    cost: Decimal | None
    currency: str | None
    finality: int
    purpose: int
    retracted: int


class ReadingTold(NamedTuple):
    """A reading with all its revisions, rising; the highest is the one that stands."""

    source: str
    reading_id: str
    revisions: Sequence[Told]


class Facts:
    """The facts of every register version."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._read: dict[tuple[str, int], list[tuple[FactName, Fact]]] = {}

    def of(self, kind: type[F], version: int) -> list[tuple[FactName, F]]:
        """Facts of a kind as a version left them."""
        key = (kind.__name__, version)
        if key not in self._read:
            self._read[key] = list(self._at(*key))
        return [(name, fact) for name, fact in self._read[key] if isinstance(fact, kind)]

    def _at(self, kind: str, version: int) -> list[tuple[FactName, Fact]]:
        table = REGISTER_FACT.c
        holds = (table.since <= version, or_(table.until.is_(None), table.until > version))
        query = select(table.fact_id, table.since, table.body).where(table.kind == kind, *holds)
        model = KINDS[kind]
        rows = self._connection.execute(query.order_by(table.fact_id))
        return [(FactName(kind, row.fact_id, row.since), model.model_validate_json(row.body)) for row in rows]


def signed(connection: Connection) -> Mapping[int, Signed]:
    """Every register version."""
    columns = [REGISTER_VERSION.c[name] for name in Signed._fields]
    return {row.version: Signed(*row) for row in connection.execute(select(*columns))}


def reading_told(connection: Connection, number: int) -> ReadingTold:
    """A reading of this number, which there is, with its revisions."""
    name = select(WORD.c.text, READING.c.reading_id).join(WORD, WORD.c.id == READING.c.source)
    source, reading_id = connection.execute(name.where(READING.c.number == number)).one()
    rows = [row for table in (READING, READING_HISTORY) for row in connection.execute(_revisions(table, number))]
    return ReadingTold(source, reading_id, sorted(map(_told, rows), key=lambda one: one.revision))


_TOLD = ("revision", "recorded_at", "starts_at", "day", "quantities", "cost", "cost_currency", "finality", "purpose",
         "retracted")  # fmt: skip


def _revisions(table: Any, number: int) -> Any:  # noqa: ANN401  # READING or READING_HISTORY, and a query
    columns = [table.c[name] for name in _TOLD]
    joined = select(*columns, PROFILE.c.body).join(PROFILE, PROFILE.c.id == table.c.profile)
    return joined.where(table.c.number == number)


def _told(row: Any) -> Told:  # noqa: ANN401
    return Told(
        row.revision,
        row.recorded_at,
        row.starts_at,
        row.day,
        Profile.from_text(row.body),
        tuple(map(Decimal, row.quantities.split())),
        None if row.cost is None else Decimal(row.cost),
        row.cost_currency,
        row.finality,
        row.purpose,
        row.retracted,
    )


def day_text(ordinal: int | None) -> str | None:
    return None if ordinal is None else date.fromordinal(ordinal).isoformat()
