"""Samples: the salts of periods, the draw of each output, and what the log holds of both.

What was drawn stands in the log as demands. Salts come from one key file, and count only where they are the ones whose
commitment the log holds.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Table, select, update
from sqlalchemy.dialects import postgresql, sqlite

from services.audit_log.adapters.tables import case_file, checkpoint, sample_draw, sample_period
from services.audit_log.domain.reviews.case import Case
from services.audit_log.domain.reviews.duty import Duty
from services.audit_log.domain.reviews.findings import requested
from services.audit_log.domain.reviews.sampling import (
    SamplePeriod,
    Seed,
    commitment_of,
    committed,
    draw,
    is_demanded,
    may_be_drawn,
    parse_period,
    period_for,
    salt_of,
)
from services.shared.events import Event
from services.shared.events.governance import Output, SampleCommitted, SampleDraw, SampleDrawn, SampleRevealed
from services.shared.periods import day_start
from services.shared.store import Transaction
from services.shared.tlog.checkpoint import parse_checkpoint
from services.shared.tlog.note import parse_note

_ROWS_AT_ONCE = 1_000
_SALTS_KEPT = 256


class NotedPeriod(NamedTuple):
    """A period as the log has it: the entry that fixed its salt, and the salt once it was revealed."""

    seq: int
    period: SamplePeriod
    commitment: str
    committed_at: datetime
    salt: bytes | None


class NotedDraw(NamedTuple):
    """A top-up as the log has it, and in which entry."""

    seq: int
    draw: SampleDraw


class Found(NamedTuple):
    """An output that may be drawn, as its case has it."""

    case: Case
    output: Output
    duty: Duty


class Salts:
    """The secret salts of periods, made from one key.

    Args:
        key: 32 secret bytes.
    """

    def __init__(self, key: bytes) -> None:
        self.of = lru_cache(_SALTS_KEPT)(lambda period: salt_of(key, period))
        """The salt that the key gives a period."""

    def fits(self, noted: NotedPeriod) -> bool:
        """Whether the log's commitment is to this key's salt."""
        return commitment_of(self.of(noted.period.name)) == noted.commitment


class SaltedDraws:
    """See `Draws`."""

    def __init__(self, salts: Salts) -> None:
        self._salts = salts
        self._fits: dict[str, bool] = {}
        """Of periods whose commitment the log holds; the first one stands for good."""

    def told(self, tx: Transaction, cases: Sequence[Case], now: datetime) -> list[Event]:
        """What the draws demand of these cases and the log does not hold yet; before it, what fixes their periods."""
        found = [one for case in cases if (one := drawable(case))]
        if not found:
            return []
        periods = {one.output.output_id: period_for(one.output, one.duty) for one in found}
        self._learn(tx.connection, {period.name for period in periods.values()})
        lacking = {period.name: period for period in periods.values() if period.name not in self._fits}
        told: list[Event] = [committed(period, self._salts.of(name), now) for name, period in sorted(lacking.items())]
        for one in found:
            period = periods[one.output.output_id].name
            if self._fits.get(period, True):
                salt = self._salts.of(period)
                told += [requested(demand, now) for demand in draw(*one[1:], salt) if not is_demanded(one.case, demand)]
        return told

    def _learn(self, connection: Connection, asked: set[str]) -> None:
        if not asked <= self._fits.keys():
            self._fits = {noted.period.name: self._salts.fits(noted) for noted in noted_periods(connection)}


def fold_commitment(tx: Transaction, index: int, event: SampleCommitted) -> None:
    """The first commitment of a period stands."""
    data = event.data
    row = {
        "period": data.period,
        "first_day": data.first_day.isoformat(),
        "last_day": data.last_day.isoformat(),
        "commitment": data.commitment,
        "committed_at": data.committed_at,
        "committed_seq": index,
    }
    _keep_first(tx, sample_period, row)


def fold_reveal(tx: Transaction, index: int, event: SampleRevealed) -> None:
    """The first salt stands that fits the commitment."""
    salt = event.data.salt
    this = (sample_period.c.period == event.data.period) & sample_period.c.salt.is_(None)
    fits = sample_period.c.commitment == commitment_of(bytes.fromhex(salt))
    tx.connection.execute(update(sample_period).where(this, fits).values(salt=salt, revealed_seq=index))


def fold_draw(tx: Transaction, index: int, event: SampleDrawn) -> None:
    """The first top-up of a period, system and class stands."""
    data = event.data
    key = {"period": data.period, "system": data.system, "risk_class": data.risk_class}
    _keep_first(tx, sample_draw, {**key, "seq": index, "document": data.model_dump_json()})


def noted_periods(connection: Connection) -> list[NotedPeriod]:
    """Every period that the log knows, by its first day."""
    rows = connection.execute(select(sample_period).order_by(sample_period.c.first_day, sample_period.c.period))
    return [_noted(row) for row in rows]


def noted_draws(connection: Connection, period: str) -> list[NotedDraw]:
    """The top-ups of a period, by system and class."""
    query = select(sample_draw.c.seq, sample_draw.c.document).where(sample_draw.c.period == period)
    rows = connection.execute(query.order_by(sample_draw.c.system, sample_draw.c.risk_class))
    return [NotedDraw(row.seq, SampleDraw.model_validate_json(row.document)) for row in rows]


def drawable(case: Case) -> Found | None:
    """The case with what a draw looks at, if it may be drawn."""
    return Found(case, case.output, case.duty) if may_be_drawn(case) and case.output and case.duty else None


def outputs_of(connection: Connection, period: SamplePeriod) -> Iterator[Found]:
    """The outputs that a period's salt draws, or does not, by when they were made. Read in portions."""
    when = case_file.c.generated_at
    query = (
        select(case_file.c.document)
        .where(when >= day_start(period.first_day), when < period.end)
        .order_by(when, case_file.c.output_id)
    )
    for document in connection.execute(query, execution_options={"yield_per": _ROWS_AT_ONCE}).scalars():
        found = drawable(Case.model_validate_json(document))
        if found and period_for(found.output, found.duty) == period:
            yield found


def first_checkpoint(connection: Connection, since: datetime) -> Seed | None:
    """The first checkpoint that was signed at `since` or later."""
    query = select(checkpoint.c.note).where(checkpoint.c.signed_at >= since).order_by(checkpoint.c.size).limit(1)
    note = connection.execute(query).scalar()
    if note is None:
        return None
    signed = parse_checkpoint(parse_note(note).text)
    return Seed(signed.root.hex(), signed.size)


def _noted(row: Row[Any]) -> NotedPeriod:
    salt = bytes.fromhex(row.salt) if row.salt else None
    return NotedPeriod(row.committed_seq, parse_period(row.period), row.commitment, row.committed_at, salt)


def _keep_first(tx: Transaction, table: Table, row: dict[str, Any]) -> None:
    insert = sqlite.insert if tx.dialect == "sqlite" else postgresql.insert
    tx.connection.execute(insert(table).values(row).on_conflict_do_nothing())
