"""What was handed to bookkeeping, in SQL, and what a month's books hold for it."""

from collections.abc import Sequence

from sqlalchemy import Connection, select

from services.cost_alerts.adapters.sums import Grouped, grouped_sums
from services.cost_alerts.adapters.tables import CLOSING, POSTING
from services.cost_alerts.domain.closing import month_number
from services.shared.events.outcomes import PostingBatch
from services.shared.periods import Month
from services.shared.store import Transaction

PARTED_BY = ("unit", "system", "cost_centre", "project", "vat_rate")

_COLUMNS = ("batch", "part", "month", "number", "body", "made_at")


class SqlPostings:
    """See `PostingBook`; and what a posting is made from."""

    def keep(self, tx: Transaction, batches: Sequence[tuple[PostingBatch, int]]) -> int:
        rows = [
            (one.batch, one.part, month_number(Month.parse(one.month)), one.number, one.model_dump_json(), at)
            for one, at in batches
        ]
        return tx.bulk_insert(POSTING, _COLUMNS, rows, ignore_conflicts=True)

    def of_month(self, connection: Connection, month: Month) -> Sequence[PostingBatch]:
        """The parts of every batch of a month, in the order they were made."""
        query = select(POSTING.c.body).where(POSTING.c.month == month_number(month))
        rows = connection.execute(query.order_by(POSTING.c.number, POSTING.c.part)).scalars()
        return [PostingBatch.model_validate_json(body) for body in rows]

    def batch(self, connection: Connection, batch: str) -> Sequence[PostingBatch]:
        """The parts of one batch; none when there is no such batch."""
        rows = connection.execute(select(POSTING.c.body).where(POSTING.c.batch == batch).order_by(POSTING.c.part))
        return [PostingBatch.model_validate_json(body) for body in rows.scalars()]

    def is_closed(self, connection: Connection, month: Month) -> bool:
        query = select(CLOSING.c.month).where(CLOSING.c.month == month_number(month))
        return connection.execute(query).first() is not None

    def booked(self, connection: Connection, month: Month) -> Sequence[Grouped]:
        """A month's books, by `PARTED_BY`."""
        return grouped_sums(connection, month, PARTED_BY, None, "booked")
